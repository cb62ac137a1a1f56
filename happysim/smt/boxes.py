"""Boxes: all that a property says of every combination of local states, in few evaluations.

A property is judged on one combination. What it read there decides the judgement, so the judgement
is that of every combination which agrees on what was read: a box, one set of local states a
process. Cutting the space along each read leaves smaller boxes to judge, until nothing is left.
Each evaluation yields one box, and the boxes are disjoint and cover the space.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from happysim.core.entries import Cell
from happysim.core.tables import Tables
from happysim.core.world import HistoryNotKept, World
from happysim.spec.property import PropertyError

Box = tuple[tuple[int, ...], ...]
# Answers None where all is well, else what is wrong.
Ask = Callable[..., str | None]

# The parts of a world that are local states, and nothing else.
_LOCAL = frozenset({"field", "status", "timers", "state"})


class NotCoveredError(Exception):
    """The property reads a part of the world that is not a local state of a node."""


class TooLargeError(Exception):
    """There is too much to look at; the message says how far it went."""


class Judged(NamedTuple):
    """A judgement and the box of local states that it is true of."""

    box: Box
    wrong: str | None
    # The property raised: not a judgement, unless such a world can be reached.
    raised: bool = False


class Reader:
    """Judges combinations of local states as worlds in which nothing else is known.

    Raises `TooLargeError` at `deadline` (of `time.perf_counter`).
    """

    def __init__(self, tables: Tables, ask: Ask, deadline: float = math.inf) -> None:
        self.tables, self.ask, self.deadline = tables, ask, deadline
        self.evaluations = 0

    def world(self, states: Sequence[int]) -> World:
        """The world of these local states, with empty inboxes and without a history."""
        cells = self.tables.cells
        numbers = tuple(cells[slot].number(Cell(state, ())) for slot, state in enumerate(states))
        return World(self.tables, numbers, 0, -1)

    def judge(self, *combinations: Sequence[int]) -> tuple[str | None, bool, list[Any]]:
        """The judgement, whether the property raised instead, and what was read, in order.

        Raises `NotCoveredError`.
        """
        self.evaluations += 1
        if not self.evaluations % 64 and time.perf_counter() > self.deadline:
            raise TooLargeError(f"the time ran out after {self.evaluations:,} judgements")
        reads: list[tuple[int, tuple[Any, ...]]] = []
        worlds = [
            self.world(states).watched(_Log(which, reads))
            for which, states in enumerate(combinations)
        ]
        raised = False
        try:
            wrong = self.ask(*worlds)
        except HistoryNotKept:
            raise NotCoveredError("the history") from None
        except PropertyError as error:
            wrong, raised = str(error), True
        for _, key in reads:
            if key[0] not in _LOCAL:
                raise NotCoveredError(_PARTS.get(key[0], "more than local states"))
        return wrong, raised, list(dict.fromkeys(reads))

    def boxes(self, space: Box, before: tuple[int, int] | None = None) -> Iterator[Judged]:
        """Every judgement over a space of local states, each with its box.

        With `before`, a (slot, state), the property is asked of two worlds: the first differs from
        the second in that process, which was in that state.
        """
        waiting = [space]
        while waiting:
            box = waiting.pop()
            if all(box):
                judged, rest = self._around(box, before)
                waiting += rest
                yield judged

    def box_around(self, space: Box, states: Sequence[int]) -> Judged:
        """The judgement on one combination, and the box of the space that it is true of."""
        first = [
            (state, *(other for other in every if other != state))
            for state, every in zip(states, space, strict=True)
        ]
        return self._around(tuple(first), None)[0]

    def _around(self, box: Box, before: tuple[int, int] | None) -> tuple[Judged, list[Box]]:
        """The judgement on the first combination of a box, its part of the box, and the rest."""
        states = [each[0] for each in box]
        combinations = [states]
        if before is not None:
            slot, state = before
            combinations = [[*states[:slot], state, *states[slot + 1 :]], states]
        wrong, raised, reads = self.judge(*combinations)
        others: list[Box] = []
        for which, key in reads:
            if before is not None and which == 0 and key[1] == before[0]:
                continue
            box, rest = self._cut(box, key)
            others += rest
        return Judged(box, wrong, raised), others

    def _cut(self, box: Box, key: tuple[Any, ...]) -> tuple[Box, list[Box]]:
        """The part of a box that agrees with its first combination on `key`, and the other one."""
        slot = key[1]
        values = [self._value(slot, state, key) for state in box[slot]]
        agree = tuple(s for s, value in zip(box[slot], values, strict=True) if value == values[0])
        if len(agree) == len(values):
            return box, []
        differ = tuple(s for s, value in zip(box[slot], values, strict=True) if value != values[0])
        return _with(box, slot, agree), [_with(box, slot, differ)]

    def _value(self, slot: int, state: int, key: tuple[Any, ...]) -> Any:
        value = self.tables.states[slot].values[state]
        match key[0]:
            case "field":
                return value.fields[key[2]]
            case "timers":
                return value.timers
            case "status":
                return value.status
        return state


_PARTS = {
    "inbox": "what is in flight",
    "ledger": "the faults left",
    "all": "the whole world",
    "history": "the history",
}


class _Log:
    """Receives what one of the worlds that a property is given reads."""

    def __init__(self, which: int, reads: list[tuple[int, tuple[Any, ...]]]) -> None:
        self.which, self.reads = which, reads

    def append(self, entry: tuple[tuple[Any, ...], Any]) -> None:
        self.reads.append((self.which, entry[0]))


def _with(box: Box, slot: int, states: tuple[int, ...]) -> Box:
    return (*box[:slot], states, *box[slot + 1 :])


def merged(boxes: Sequence[Box]) -> list[Box]:
    """Fewer boxes that cover the same combinations: two that differ in one process become one."""
    kept = list(boxes)
    for slot in range(len(kept[0]) if kept else 0):
        together: dict[Box, set[int]] = {}
        for box in kept:
            together.setdefault(_with(box, slot, ()), set()).update(box[slot])
        kept = [_with(rest, slot, tuple(sorted(states))) for rest, states in together.items()]
    return kept
