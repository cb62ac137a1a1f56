"""Client scripts: generators that yield requests and are sent the answers.

A generator cannot be copied, so its state *is* the tuple of answers sent into it so far; it is
rebuilt by running it again on them. A script must therefore depend on its arguments and answers
only.

A search rebuilds a script for each step, a simulation keeps it running; both drive it through
`LiveScript`, so that they cannot differ.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite
from typing import Any

from happysim.core.errors import ProtocolError
from happysim.core.freeze import Frozen, freeze, thaw
from happysim.core.latency import NS_PER_S

_CLOSINGS_MAX = 16

ScriptFunction = Callable[..., Generator["Request | Post | Sleep", Any, Any]]


@dataclass(frozen=True)
class Request:
    """Send `message` to the node named `to`, and await its answer: for `timeout_ns` at most."""

    to: str
    message: Any
    timeout_ns: int | None = None


@dataclass(frozen=True)
class Post:
    """Send `message` to the node named `to`, and await nothing."""

    to: str
    message: Any


@dataclass(frozen=True)
class Sleep:
    """Wait for a time between `low_ns` and `high_ns`."""

    low_ns: int
    high_ns: int


@dataclass(frozen=True)
class TimedOut:
    """What a client script gets in the place of an answer that did not come in time; it is falsy.

    The call may still take effect, now or later: its history says that it never returned.
    """

    def __bool__(self) -> bool:
        return False


def call(to: str, message: Any, timeout: float | None = None) -> Request:
    """The request that a client script yields: `answer = yield call("server", Read())`.

    Where no answer came within `timeout` seconds, the script gets `TimedOut()`, and an answer that
    comes later is ignored. A search has no time: there the timeout may fire at any moment while the
    call is open. Without a timeout the script waits for ever. Raises `ProtocolError` for a timeout
    that is no number of at least 0.
    """
    if timeout is None:
        return Request(to, message)
    (timeout_ns,) = _nanoseconds((timeout,), f"call(..., timeout={timeout!r})", "timeout=2.0")
    return Request(to, message, timeout_ns)


def post(to: str, message: Any) -> Post:
    """What a client script yields to send a message and go on at once: `yield post("log", Line())`.

    The message is one-way: its receiver finds no `host.operation` to answer, and the history does
    not know of it. The script gets None.
    """
    return Post(to, message)


def sleep(seconds: float | tuple[float, float]) -> Sleep:
    """What a client script yields to wait, for some seconds or a draw from a range of them.

    A search has no time: there the script may wake at any moment. The script gets None. Raises
    `ProtocolError` unless 0 <= low <= high.
    """
    pair = seconds if isinstance(seconds, tuple) else (seconds, seconds)
    example = "sleep(0.5) or sleep((0.1, 0.5))"
    times = _nanoseconds(pair, f"sleep({seconds!r})", example)
    if len(times) != 2 or times[0] > times[1]:
        raise ProtocolError(f"sleep({seconds!r}) is no range of seconds; write {example}")
    return Sleep(*times)


def _nanoseconds(seconds: tuple[float, ...], what: str, example: str) -> tuple[int, ...]:
    for each in seconds:
        number = isinstance(each, int | float) and not isinstance(each, bool)
        if not number or not isfinite(each) or each < 0:
            raise ProtocolError(f"{what}: {each!r} is no number of seconds; write {example}")
    return tuple(round(each * NS_PER_S) for each in seconds)


@dataclass(frozen=True)
class Operation:
    """Which operation of which client: the address of an answer. Numbers start at 1."""

    client: str
    number: int


@dataclass(frozen=True)
class Response:
    """What travels back to a client script: the answer to its operation of that number."""

    number: int
    value: Any


class Script:
    """A client that runs a generator function: `Script("c1", function, *arguments)`.

    The generator yields `call(node, message)`; the value that the node gives to `host.respond` is
    sent back in. Making a request is a choice of the schedule, and so is the arrival of an answer.
    One operation is open at a time. The calls and answers form the world's History. It may also
    yield `post(node, message)`, which awaits no answer, and `sleep(seconds)`.

    An answer whose class has a method `__bind__(outbox)` reaches the generator as what that method
    returns. Requests that code appends to the outbox, the list that it is handed, are sent one-way
    in the step that runs the code: `grant.release()`. One that is yielded as well is an ordinary
    request: `yield grant.release()`.
    """

    def __init__(self, name: str, function: ScriptFunction, *arguments: Any) -> None:
        if not callable(function):
            raise ProtocolError(f"script {name}: {function!r} is not a generator function")
        self.name = name
        self.function = function
        self.arguments: Frozen = freeze(arguments, f"arguments of script {name}")


class LiveScript:
    """A script that runs: `start` it, then give it the `answer` to each request.

    Both return the next request, also in `request`: a `Request`, which gets the answer or
    `TimedOut()`, a `Post` or a `Sleep`, which get None; or None where the script is done. `posted`
    holds what the code that ran since the request before sent one-way. `number` counts the calls,
    the present one included, from 1: an `Operation` has it.

    Each answer belongs to the script: hand in a copy of its own. What the script raises passes
    through; `ProtocolError` is raised where it yields no request.
    """

    def __init__(self, script: Script) -> None:
        self.script = script
        self.request: Request | Post | Sleep | None = None
        self.posted: tuple[Request | Post, ...] = ()
        self.number = 0
        self._outbox: list[Any] = []
        self._generator: Generator[Any, Any, Any] = script.function(*thaw(script.arguments))
        if not isinstance(self._generator, Generator):
            raise ProtocolError(
                f"script {script.name}: {script.function.__name__} is not a generator function; "
                "write `answer = yield call(node, message)` in it"
            )

    def start(self) -> Request | Post | Sleep | None:
        """Run to the first request."""
        return self._advance(lambda: next(self._generator))

    def answer(self, value: Any) -> Request | Post | Sleep | None:
        """Give the answer to the present request, and run to the next."""
        bind = getattr(type(value), "__bind__", None)
        bound = value if bind is None else bind(value, self._outbox)
        return self._advance(lambda: self._generator.send(bound))

    def close(self) -> None:
        """Leave the script where it is. What its `finally` blocks do is no part of the run."""
        # One that yields in a `finally` block is closed once more for each such yield.
        for _ in range(_CLOSINGS_MAX):
            with suppress(Exception):
                self._generator.close()
                return

    def __del__(self) -> None:
        # Where the class of generator was refused there is none to close.
        if hasattr(self, "_generator"):
            self.close()

    def _advance(self, run: Callable[[], Any]) -> Request | Post | Sleep | None:
        try:
            asked = run()
        except StopIteration:
            asked = None
        else:
            self._check(asked, (Request, Post, Sleep), "yielded")
        posted = [each for each in self._outbox if each is not asked]
        self._outbox.clear()
        for each in posted:
            self._check(each, (Request, Post), "put into the outbox")
        self.request, self.posted = asked, tuple(posted)
        self.number += isinstance(asked, Request)
        return self.request

    def _check(self, asked: object, kinds: tuple[type, ...], did: str) -> None:
        if not isinstance(asked, kinds):
            raise ProtocolError(
                f"script {self.script.name} {did} a {type(asked).__name__}; "
                "yield call(node, message), as returned by happysim.call; or post(...), sleep(...)"
            )
