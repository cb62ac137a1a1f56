"""Client scripts: generators that yield requests and are sent the answers.

A generator cannot be copied, so its state *is* the tuple of answers sent into it so far; it is
rebuilt by running it again on them. A script must therefore depend on its arguments and answers
only.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from happysim.core.errors import ProtocolError
from happysim.core.freeze import Frozen, freeze, thaw

ScriptFunction = Callable[..., Generator["Request", Any, Any]]


@dataclass(frozen=True)
class Request:
    """A request of a client script: send `message` to the node named `to` and await its answer."""

    to: str
    message: Any


def call(to: str, message: Any) -> Request:
    """The request that a client script yields: `answer = yield call("server", Read())`."""
    return Request(to, message)


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
    One operation is open at a time. The calls and answers form the world's History.
    """

    def __init__(self, name: str, function: ScriptFunction, *arguments: Any) -> None:
        if not callable(function):
            raise ProtocolError(f"script {name}: {function!r} is not a generator function")
        self.name = name
        self.function = function
        self.arguments: Frozen = freeze(arguments, f"arguments of script {name}")

    def next_call(self, answers: tuple[Frozen, ...]) -> Request | None:
        """What the script asks next after these answers; None when it is done."""
        generator = self.function(*thaw(self.arguments))
        if not isinstance(generator, Generator):
            raise ProtocolError(
                f"script {self.name}: {self.function.__name__} is not a generator function; "
                "write `answer = yield call(node, message)` in it"
            )
        try:
            asked = next(generator)
            for answer in answers:
                asked = generator.send(thaw(answer))
        except StopIteration:
            return None
        if not isinstance(asked, Request):
            raise ProtocolError(
                f"script {self.name} yielded a {type(asked).__name__}; "
                "yield call(node, message), as returned by happysim.call"
            )
        return asked
