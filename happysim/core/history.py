"""What clients invoked and got back: the only thing a linearizability check may look at.

A history is an immutable value and part of a world's state, so it keeps no clock. It keeps what
real time means to a client: which calls had completed before a call was invoked. Two runs that
agree on that are one value, whatever the order of the rest, and a search visits them once.

This file knows nothing of nodes and networks, nor of what a correct answer is.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from happysim.core.errors import HappysimError
from happysim.core.freeze import Frozen, freeze

_first = itemgetter(0)


class HistoryError(HappysimError):
    """A history that no clients can make, such as two calls of one client at once."""


class _Kept:
    """What is worked out once of an immutable value: its content, and the hash of that."""

    __slots__ = ("_content", "_hash")
    _content: Any
    _hash: int


@dataclass(frozen=True, slots=True)
class Call(_Kept):
    """One operation of one client. Two calls are equal only if the types of their values are too.

    `after` holds, for every *other* client that had completed a call when this one was invoked, in
    order of name, that client and the index of its last completed call. `done` is False while the
    call is open: it may have taken effect already, may do so later, or never.
    """

    client: str
    operation: Any
    after: tuple[tuple[str, int], ...] = ()
    done: bool = False
    result: Any = None

    @property
    def content(self) -> Frozen:
        """All of the call as a hashable key, types included."""
        try:
            return self._content  # type: ignore[no-any-return]
        except AttributeError:
            frozen = freeze(self.operation), freeze(self.result)
            content = (self.client, self.after, self.done, *frozen)
            object.__setattr__(self, "_content", content)
            return content

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Call):
            return NotImplemented
        return self is other or self.content == other.content

    def __hash__(self) -> int:
        try:
            return self._hash
        except AttributeError:
            made = hash(self.content)
            object.__setattr__(self, "_hash", made)
            return made

    def __str__(self) -> str:
        return f"{self.operation!r} " + (f"-> {self.result!r}" if self.done else "(open)")


Lane = tuple[str, tuple[Call, ...]]


@dataclass(frozen=True, slots=True)
class Span:
    """A call, the `index`-th of its client from 0, with its place in one order of all events.

    `invoked` and `returned` number the events from 0. `returned` is None for an open call.
    """

    call: Call
    index: int
    invoked: int
    returned: int | None

    def __str__(self) -> str:
        return f"{self.call.client}[{self.index}] {self.call}"


@dataclass(frozen=True, slots=True)
class History(_Kept):
    """The calls of every client: `lanes`, in order of client, each with its calls in order.

    Only the last call of a lane may be open.
    """

    lanes: tuple[Lane, ...] = ()

    def __hash__(self) -> int:
        try:
            return self._hash
        except AttributeError:
            made = hash(self.lanes)
            object.__setattr__(self, "_hash", made)
            return made

    def invoke(self, client: str, operation: Hashable) -> History:
        """The history in which `client` has also invoked `operation`.

        Raises HistoryError if the client has an open call or the operation cannot be hashed, and
        FreezeError if it holds something without content, such as a function.
        """
        _check_value(operation, f"the operation of client {client!r}")
        calls = self.of(client)
        if calls and not calls[-1].done:
            raise HistoryError(
                f"client {client!r} invoked {operation!r} while its {calls[-1].operation!r} is "
                "open; complete that call first, or let a client of another name invoke this one"
            )
        after = tuple(
            [
                (other, len(theirs) - (1 if theirs[-1].done else 2))
                for other, theirs in self.lanes
                if theirs[0].done and other != client
            ]
        )
        return self._with(client, (*calls, Call(client, operation, after)))

    def complete(self, client: str, result: Hashable) -> History:
        """The history in which the open call of `client` has returned `result`.

        Raises HistoryError if the client has no open call or the result cannot be hashed, and
        FreezeError if it holds something without content, such as a function.
        """
        _check_value(result, f"the result of client {client!r}")
        calls = self.of(client)
        if not calls or calls[-1].done:
            raise HistoryError(
                f"client {client!r} got {result!r} but has no open call; invoke one first"
            )
        call = Call(client, calls[-1].operation, calls[-1].after, True, result)
        return self._with(client, (*calls[:-1], call))

    def abandon(self, client: str) -> History:
        """The history in which `client` has crashed or given up: its open call stays open for ever.

        The call moves to a lane of its own, named `client~1` and so on, so that the client may
        invoke again: what it asked before may take effect at any later time, or never.
        """
        calls = self.of(client)
        if not calls or calls[-1].done:
            return self
        number = 1
        while self.of(f"{client}~{number}"):
            number += 1
        lane = f"{client}~{number}"
        lost, kept = calls[-1], calls[:-1]
        own = ((client, len(kept) - 1),) if kept else ()
        moved = Call(lane, lost.operation, tuple(sorted((*lost.after, *own))))
        lanes = [entry for entry in self.lanes if entry[0] != client]
        lanes += [(client, kept)] if kept else []
        return History(tuple(sorted([*lanes, (lane, (moved,))], key=_first)))

    def _with(self, client: str, calls: tuple[Call, ...]) -> History:
        at = bisect_left(self.lanes, client, key=_first)
        following = at + 1 if self.of(client) else at
        return History((*self.lanes[:at], (client, calls), *self.lanes[following:]))

    def of(self, client: str) -> tuple[Call, ...]:
        """The calls of one client in their order; none if it has invoked nothing."""
        at = bisect_left(self.lanes, client, key=_first)
        if at < len(self.lanes) and self.lanes[at][0] == client:
            return self.lanes[at][1]
        return ()

    @property
    def calls(self) -> tuple[Call, ...]:
        """Every call, client by client."""
        return tuple(call for _, calls in self.lanes for call in calls)

    @property
    def completed(self) -> tuple[Call, ...]:
        """Every call that has returned, client by client."""
        return tuple(call for call in self.calls if call.done)

    @property
    def open(self) -> tuple[str, ...]:
        """The clients with an open call, in order of name."""
        return tuple(client for client, calls in self.lanes if not calls[-1].done)

    def spans(self) -> tuple[Span, ...]:
        """Every call with its place in one order of events that makes this history, as invoked.

        Real time is a partial order here; where it says nothing, the order goes by client. Raises
        HistoryError if no order of events makes this history; what `invoke` and `complete` built
        always has one.
        """
        return _Timing(self).spans()

    def __str__(self) -> str:
        """One line a call. `after` names only what the client's previous call was not yet after."""
        return "\n".join(
            f"{client}[{index}] {call}{_news(calls, index)}"
            for client, calls in self.lanes
            for index, call in enumerate(calls)
        )


class _Timing:
    """The events of a history, put in order again from what each call was invoked after."""

    def __init__(self, history: History) -> None:
        self.lanes = dict(history.lanes)
        self.events = 0
        self.invoked: dict[str, list[int]] = {client: [] for client in self.lanes}
        self.returned: dict[str, list[int]] = {client: [] for client in self.lanes}
        self.returns = 0

    def spans(self) -> tuple[Span, ...]:
        # Returns only ever add to what an invocation comes after, so the sum orders invocations.
        ranked = sorted(
            (
                (index + sum(last + 1 for _, last in call.after), client, index)
                for client, calls in self.lanes.items()
                for index, call in enumerate(calls)
            ),
            key=_first,
        )
        for returns, client, index in ranked:
            call = self.lanes[client][index]
            self._return_up_to(client, index - 1)
            for other, last in call.after:
                self._return_up_to(other, last)
            if self.returns != returns or len(self.invoked[client]) != index:
                raise HistoryError(
                    f"no order of events makes this history: {client}[{index}] {call} is after "
                    f"{call.after!r}; build histories with invoke() and complete()"
                )
            self.invoked[client].append(self._tick())
        for client, calls in self.lanes.items():
            self._return_up_to(client, len(calls) - 1)
        return tuple(self._span(client, index) for _, client, index in ranked)

    def _return_up_to(self, client: str, last: int) -> None:
        returned = self.returned.get(client, [])
        while len(returned) <= last:
            index = len(returned)
            if index >= len(self.invoked.get(client, ())) or not self.lanes[client][index].done:
                return
            returned.append(self._tick())
            self.returns += 1

    def _tick(self) -> int:
        self.events += 1
        return self.events - 1

    def _span(self, client: str, index: int) -> Span:
        call = self.lanes[client][index]
        returned = self.returned[client][index] if call.done else None
        return Span(call, index, self.invoked[client][index], returned)


def _news(calls: tuple[Call, ...], index: int) -> str:
    known: Iterable[tuple[str, int]] = calls[index - 1].after if index else ()
    news = [f"{other}[{last}]" for other, last in calls[index].after if (other, last) not in known]
    return f"  after {', '.join(news)}" if news else ""


def _check_value(value: Hashable, where: str) -> None:
    try:
        hash(value)
    except TypeError:
        raise HistoryError(
            f"{where} cannot be hashed: {value!r}; "
            "use a frozen dataclass, with tuples and frozensets in the place of lists and sets"
        ) from None
    freeze(value, where)
