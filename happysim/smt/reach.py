"""Reach: what a run of at most so many steps may hold, which is often little of a closure.

For each local step bounds are known on how many steps every process has taken by then: those on the
way to it, and those before the message that it receives was sent. There may be several ways, so a
bound is a set of vectors, one number a process, and says that some vector of it is no more than
what a run has taken. From the ends back another one is known, on what is still to come: the rest of
the process's own way, and what the others need for the messages on that. Where both together are
more steps than a run may have, no such run takes the step, and it is left out. That leaves fewer
messages, so more is out of reach, until nothing changes. The bounds are those of a relaxed planning
graph (Haslum and Geffner 2000), kept apart by process: steps of two of them are never the same.

What is left is unrolled by the number of steps that a process has taken. So it has no cycles, and
whatever a run of so many steps does, however often it sends the same, has a place in it. And a
process's place says how many steps it has taken, so that these need not be counted one by one.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from heapq import heappop, heappush
from typing import NamedTuple

from happysim.smt.closure import RAISED, Closure, Edge
from happysim.smt.unroll import Arc, Unrolled

# Per process, the vertices of which it ends in one; None where that is not asked.
Ends = tuple[frozenset[int] | None, ...]
# Per process, how many steps it takes at the least.
_Steps = tuple[int, ...]
# A bound has so many vectors at most; two of more are made one that is below both.
_VECTORS_MAX = 6


class _Line(NamedTuple):
    """A local step as far as the bounds look at it."""

    source: int
    target: int
    edge: Edge


class _Kept(NamedTuple):
    """A step within reach. `rest` is a lower bound on all steps but its own process's until then.

    `floor` says how many steps each process takes in all, at the least, in a run that takes it.
    """

    line: _Line
    rest: int
    floor: _Steps


def within_reach(closure: Closure, ends: Sequence[Ends], most: int) -> list[list[Edge]] | None:
    """Per process the edges that a run of at most `most` steps to one of the ends may take.

    None where there is no such run.
    """
    lines = [[_Line(e.source, e.target, e) for e in graph.edges] for graph in closure.graphs]
    kept = _kept(closure.first, lines, ends, most)
    return None if kept is None else [[each.line.edge for each in own] for own in kept]


def least_steps(closure: Closure, ends: Sequence[Ends]) -> float:
    """A lower bound on the steps of any run to one of the ends; infinite where there is none."""
    lines = [[_Line(e.source, e.target, e) for e in graph.edges] for graph in closure.graphs]
    ahead = _Ahead(closure.first, lines, math.inf)
    return min((sum(each) for end in ends for each in ahead.to_end(end)), default=math.inf)


def unroll_reach(closure: Closure, ends: Sequence[Ends], most: int) -> list[Unrolled] | None:
    """All runs of at most `most` steps to one of the ends, as graphs without cycles.

    None where there is no such run.
    """
    lines = [[_Line(e.source, e.target, e) for e in graph.edges] for graph in closure.graphs]
    kept = _kept(closure.first, lines, ends, most)
    if kept is None:
        return None
    unrolled = [_by_depth(own, most) for own in kept]
    copied = [_copies_of(unrolled, each) for each in ends]
    lines = [[_Line(a.source, a.target, a.edge) for a in each.arcs] for each in unrolled]
    kept = _kept(closure.first, lines, copied, most)
    if kept is None:
        return None
    return [_of_lines(each, own) for each, own in zip(unrolled, kept, strict=True)]


def _copies_of(unrolled: list[Unrolled], ends: Ends) -> Ends:
    made: list[frozenset[int] | None] = []
    for each, wanted in zip(unrolled, ends, strict=True):
        if wanted is None:
            made.append(None)
            continue
        copies = {copy for copy, vertex in enumerate(each.vertex) if vertex in wanted}
        made.append(frozenset(copies | ({RAISED} & wanted)))
    return tuple(made)


def _by_depth(kept: list[_Kept], most: int) -> Unrolled:
    """The graph in which a vertex is copied for each number of steps that may lead to it."""
    leaving: dict[int, list[_Kept]] = {}
    for each in kept:
        leaving.setdefault(each.line.source, []).append(each)
    made = Unrolled(vertex=[0])
    copies = {(0, 0): 0}
    waiting = deque(copies)
    while waiting:
        vertex, depth = here = waiting.popleft()
        for line, rest, _ in leaving.get(vertex, ()):
            if depth + 1 + rest > most:
                continue
            target = RAISED
            if line.target != RAISED:
                there = line.target, depth + 1
                if there not in copies:
                    copies[there] = len(made.vertex)
                    made.vertex.append(line.target)
                    waiting.append(there)
                target = copies[there]
            made.arcs.append(Arc(line.edge, copies[here], target))
    made.component = list(range(len(made.vertex)))
    return made


def _of_lines(unrolled: Unrolled, kept: list[_Kept]) -> Unrolled:
    """The part of an unrolled graph that is kept, with its copies numbered anew."""
    made = Unrolled(vertex=[unrolled.vertex[0]])
    number = {0: 0, RAISED: RAISED}
    for line, _, floor in kept:
        made.floors.append(floor)
        for copy in (line.source, line.target):
            if copy not in number:
                number[copy] = len(made.vertex)
                made.vertex.append(unrolled.vertex[copy])
        made.arcs.append(Arc(line.edge, number[line.source], number[line.target]))
    made.component = list(range(len(made.vertex)))
    return made


def _kept(
    first: dict[int, int], lines: list[list[_Line]], ends: Sequence[Ends], most: int
) -> list[list[_Kept]] | None:
    """The steps within reach; None where no end is."""
    while True:
        ahead = _Ahead(first, lines, most)
        kept = _once(ahead, ends, most)
        if kept is None:
            return None
        fewer = [[each.line for each in own] for own in kept]
        if list(map(len, fewer)) == list(map(len, lines)):
            return kept
        lines = fewer


def _once(ahead: _Ahead, ends: Sequence[Ends], most: int) -> list[list[_Kept]] | None:
    """The steps that the bounds of one look leave within reach."""
    # Per process and set of its ends: what all processes need for an end with it.
    groups: list[dict[frozenset[int] | None, list[_Steps]]] = [{} for _ in ahead.lines]
    for end in ends:
        needed = ahead.to_end(end)
        for slot, own in enumerate(end):
            if needed:
                groups[slot].setdefault(own, []).extend(needed)
    if not all(groups):
        return None
    kept = []
    for slot, own_groups in enumerate(groups):
        floors: dict[int, _Steps] = {}
        rests: dict[int, int] = {}
        for own, needed in own_groups.items():
            for at, rest, floor in ahead.floors(slot, own, _least(needed)):
                rests[at] = min(rest, rests.get(at, rest))
                floors[at] = tuple(map(min, floors.get(at, floor), floor))
        lines = ahead.lines[slot]
        kept.append([_Kept(lines[at], rests[at], floors[at]) for at in sorted(rests)])
    return kept


def _more(one: _Steps, other: _Steps) -> _Steps:
    return tuple(map(max, one, other))


def _is_below(one: _Steps, other: _Steps) -> bool:
    return all(a <= b for a, b in zip(one, other, strict=True))


def _least(vectors: Iterable[_Steps]) -> list[_Steps]:
    """The same bound without vectors that are above another, and with few of them."""
    bound = _Bound()
    for vector in sorted(set(vectors), key=lambda each: (sum(each), each)):
        bound.add(vector)
    return bound.vectors


class _Bound:
    """Some vector of it is no more than what a run has taken."""

    def __init__(self) -> None:
        self.vectors: list[_Steps] = []

    def add(self, vector: _Steps) -> _Steps | None:
        """Let a run have taken so much. Returns what is new in the bound: that, or one below it."""
        if any(_is_below(each, vector) for each in self.vectors):
            return None
        if len(self.vectors) == _VECTORS_MAX:
            vector = tuple(map(min, vector, self.vectors.pop()))
        self.vectors = [each for each in self.vectors if not _is_below(vector, each)]
        self.vectors.append(vector)
        return vector


class _Ahead:
    """What is needed to get to each vertex, to each step and to each message, at the least.

    Sound by induction along a run: at its begin all counts are zero; a step has behind it the
    counts of its vertex, and of its message, both of this run, so one vector of each bound is no
    more than them, nor is the greater of the two in each number; and a vertex, or a message, is
    there by one of the steps into it, or that send it. Vectors of more than `most` steps are
    dropped: no run that is asked about has taken as many.
    """

    def __init__(self, first: Iterable[int], lines: list[list[_Line]], most: float) -> None:
        self.lines, self.most = lines, most
        self.zeros: _Steps = (0,) * len(lines)
        # By (process, vertex), or (-1, message).
        self.bounds: dict[tuple[int, int], _Bound] = {}
        self.steps: list[dict[int, _Bound]] = [{} for _ in lines]
        self._from: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for slot, own in enumerate(lines):
            for at, line in enumerate(own):
                self._from.setdefault((slot, line.source), []).append((slot, at))
                if line.edge.receives >= 0:
                    self._from.setdefault((-1, line.edge.receives), []).append((slot, at))
        self._spread([(slot, 0) for slot in range(len(lines))] + [(-1, each) for each in first])

    def _spread(self, begin: list[tuple[int, int]]) -> None:
        """In order of all steps together, so that little is found that is not the least."""
        waiting = [(0, self.zeros, place) for place in begin]
        while waiting:
            _, vector, place = heappop(waiting)
            new = self.bounds.setdefault(place, _Bound()).add(vector)
            if new is None:
                continue
            for slot, at in self._from.get(place, ()):
                line = self.lines[slot][at]
                for needed in self._needed(slot, line, place, new):
                    added = self.steps[slot].setdefault(at, _Bound()).add(needed)
                    if added is None:
                        continue
                    if line.target != RAISED:
                        heappush(waiting, (sum(added), added, (slot, line.target)))
                    for envelope in dict.fromkeys(line.edge.sends):
                        heappush(waiting, (sum(added), added, (-1, envelope)))

    def _needed(
        self, slot: int, line: _Line, place: tuple[int, int], new: _Steps
    ) -> Iterator[_Steps]:
        """What a step needs, itself counted, where one of its two bounds has a new vector."""
        others = [new]
        if line.edge.receives >= 0:
            message = -1, line.edge.receives
            bound = self.bounds.get((slot, line.source) if place == message else message)
            others = [] if bound is None else [_more(new, each) for each in bound.vectors]
        for before in others:
            needed = (*before[:slot], before[slot] + 1, *before[slot + 1 :])
            if sum(needed) <= self.most:
                yield needed

    def to_end(self, ends: Ends) -> list[_Steps]:
        """What is needed so that every process can be at an end; empty where they cannot."""
        needed = [self.zeros]
        for slot, own in enumerate(ends):
            if own is None:
                continue
            ways: list[_Steps] = []
            for vertex in sorted(own - {RAISED}):
                if (slot, vertex) in self.bounds:
                    ways += self.bounds[slot, vertex].vectors
            for at, line in enumerate(self.lines[slot]) if RAISED in own else ():
                if line.target == RAISED and at in self.steps[slot]:
                    ways += self.steps[slot][at].vectors
            both = (_more(one, other) for one in needed for other in _least(ways))
            needed = _least(each for each in both if sum(each) <= self.most)
        return needed

    def floors(
        self, slot: int, own: frozenset[int] | None, ends: list[_Steps]
    ) -> Iterator[tuple[int, int, _Steps]]:
        """The steps from which a process may come to an end, each with how many more a run takes
        than the process until then, and the least that it takes in all, if it ends so.

        That has, of the others, as many steps as any of three bounds says: those before the step,
        those for the messages that the process receives after it, and those for the end. The last
        one also says how many the process takes in all; not how many are left after the step,
        before which it may have taken more than it has to.
        """
        behind = self._behind(slot, own)
        for at, bound in self.steps[slot].items():
            left = behind.get(self.lines[slot][at].target)
            for needs in bound.vectors if left else ():
                for to_come in left.vectors if left else ():
                    both = _more(needs, to_come)
                    both = (*both[:slot], needs[slot] + to_come[slot], *both[slot + 1 :])
                    for end in ends:
                        floor = _more(both, end)
                        if sum(floor) <= self.most:
                            yield at, sum(floor) - floor[slot] + to_come[slot], floor

    def _behind(self, slot: int, own: frozenset[int] | None) -> dict[int, _Bound]:
        """For each vertex: the own steps that are left to an end, and what others need for these.

        The mirror of what is needed to get there, from the ends back.
        """
        into: dict[int, list[int]] = {}
        for at in sorted(self.steps[slot]):
            into.setdefault(self.lines[slot][at].target, []).append(at)
        ends = own
        if ends is None:
            ends = frozenset({RAISED, *(line.target for line in self.lines[slot])})
        behind: dict[int, _Bound] = {}
        waiting = [(0, self.zeros, vertex) for vertex in sorted(ends)]
        while waiting:
            _, vector, vertex = heappop(waiting)
            new = behind.setdefault(vertex, _Bound()).add(vector)
            for at in into.get(vertex, ()) if new is not None else ():
                assert new is not None
                for needs in self.steps[slot][at].vectors:
                    both = _more(needs, new)
                    left = (*both[:slot], new[slot] + 1, *both[slot + 1 :])
                    if sum(left) - 1 + needs[slot] <= self.most:
                        heappush(waiting, (sum(left), left, self.lines[slot][at].source))
        return behind
