"""Judging a history from one that is an event shorter, as a search meets them.

A *frontier* is every way in which the completed calls of a history can have taken effect: the state
that they leave, and which open calls took effect too, with what result. A history is linearizable
where its frontier is not empty. Frontiers grow event by event:

- An invocation changes nothing: an open call takes effect once a completed one needs it.
- A return keeps the ways in which the call has, or can yet be given, the result that it returned:
  open calls may take effect before it, in any order, and it takes effect last.

So this is the search of Wing and Gong, "Testing and verifying concurrent objects", 1993, breadth
first over events, as "just-in-time" linearization does it (Lowe, "Testing for linearizability",
2017). A search judges many histories of which each is another with one more event, and there it
saves all but the last event. It says yes or does not know; `linearizability` explains a no.
"""

from __future__ import annotations

from typing import Any

from happysim.core.freeze import Frozen, freeze
from happysim.core.history import Call, History
from happysim.spec.objects import SequentialObject

# Beyond these the search of `linearizability`, which follows one way at a time, is the better one.
_CALLS_MAX = 24
_WAYS_MAX = 64
# Frontiers that are kept; then all are forgotten.
_KEPT_MAX = 200_000

# The state's content, and (client, content of the result) for each open call that took effect.
Way = tuple[Frozen, frozenset[tuple[str, Frozen]]]
_NOTHING: frozenset[tuple[str, Frozen]] = frozenset()


class _TooWide(Exception):
    """There are more ways than are worth following."""


class Frontiers:
    """The frontiers of the histories of one object, remembered."""

    def __init__(self, object: SequentialObject) -> None:
        self.object = object
        self._known: dict[History, tuple[Way, ...] | None] = {}
        self._values: dict[Frozen, Any] = {}
        # Of a state and an operation: the next state and the result, all as content.
        self._answers: dict[tuple[Frozen, Frozen], tuple[Frozen, Frozen]] = {}

    def fit(self, history: History) -> bool:
        """True where the history is linearizable; False where it is not, or not worth it."""
        return bool(self._of(history))

    def _of(self, history: History) -> tuple[Way, ...] | None:
        """The frontier of a history; None where it is not known."""
        known = self._known.get(history, ())
        if known != ():
            return known
        chain = [history]
        while chain[-1].lanes:
            shorter = None if len(chain) > 2 * _CALLS_MAX else _without_last(chain[-1])
            if shorter is None:
                return None
            chain.append(shorter)
            if shorter in self._known:
                break
        if len(self._known) > _KEPT_MAX:
            self._known.clear()
            self._values.clear()
            self._answers.clear()
        ways = self._known.get(chain[-1]) if chain[-1].lanes else self._first()
        while True:
            longer = chain.pop()
            self._known[longer] = ways
            if not chain or ways is None:
                return ways if not chain else None
            try:
                ways = self._extended(ways, longer, chain[-1])
            except _TooWide:
                ways = None

    def _first(self) -> tuple[Way, ...]:
        key = freeze(self.object.initial, "the state")
        self._values[key] = self.object.initial
        return ((key, _NOTHING),)

    def _extended(self, ways: tuple[Way, ...], before: History, after: History) -> tuple[Way, ...]:
        """The frontier after one more event."""
        returned = next(
            (c for c, calls in after.lanes if calls[-1].done and _is_open(before, c)), ""
        )
        if not returned:
            return ways
        call = after.of(returned)[-1]
        others = [calls[-1] for c, calls in after.lanes if not calls[-1].done]
        found: dict[Way, None] = {}
        for way in ways:
            self._return(way, call, others, found)
        return tuple(found)

    def _return(self, way: Way, call: Call, others: list[Call], found: dict[Way, None]) -> None:
        """Add to `found` the ways that go on from `way` once `call` has returned its result."""
        client, wanted = call.client, call.content[4]  # type: ignore[index]
        for taken in way[1]:
            if taken[0] == client:
                if taken[1] == wanted:
                    found[way[0], way[1] - {taken}] = None
                return
        visited, pending = {way}, [way]
        while pending:
            at = pending.pop()
            following, result = self._answer(at[0], call)
            if result == wanted:
                found[following, at[1]] = None
            for other in others:
                if any(taken[0] == other.client for taken in at[1]):
                    continue
                following, result = self._answer(at[0], other)
                to = following, at[1] | {(other.client, result)}
                if to not in visited:
                    visited.add(to)
                    pending.append(to)
            if len(visited) + len(found) > _WAYS_MAX:
                raise _TooWide

    def _answer(self, state: Frozen, call: Call) -> tuple[Frozen, Frozen]:
        """What an operation does in a state: the next state and the result, as content."""
        operation = call.content[3]  # type: ignore[index]
        known = self._answers.get((state, operation))
        if known is None:
            value, result = self.object.apply(self._values[state], call.operation)
            key = freeze(value, "the state")
            self._values.setdefault(key, value)
            known = self._answers[state, operation] = key, freeze(result)
        return known


def _is_open(history: History, client: str) -> bool:
    calls = history.of(client)
    return bool(calls) and not calls[-1].done


def _without_last(history: History) -> History | None:
    """The history before an event that can have been the last one; None where there is none.

    That is a return which no invocation comes after, or the invocation of an open call that comes
    after every return.
    """
    lanes = history.lanes
    for at, (client, calls) in enumerate(lanes):
        last = len(calls) - 1
        if calls[-1].done and not _seen(lanes, client, last):
            call = calls[-1]
            opened = Call(client, call.operation, call.after)
            return History((*lanes[:at], (client, (*calls[:-1], opened)), *lanes[at + 1 :]))
    returns = sum(len(calls) if calls[-1].done else len(calls) - 1 for _, calls in lanes)
    for at, (client, calls) in enumerate(lanes):
        if calls[-1].done:
            continue
        if len(calls) - 1 + sum(last + 1 for _, last in calls[-1].after) == returns:
            kept = ((client, calls[:-1]),) if len(calls) > 1 else ()
            return History((*lanes[:at], *kept, *lanes[at + 1 :]))
    return None


def _seen(lanes: Any, client: str, index: int) -> bool:
    """True where a call of another client was invoked after that one had returned."""
    for other, calls in lanes:
        if other != client:
            for name, last in calls[-1].after:
                if name == client and last >= index:
                    return True
    return False
