"""Ahead: how many steps each process takes at the least, before a local step and after it.

For each local step bounds are known on how many steps every process has taken by then: those on the
way to it, and those before the message that it receives was sent. There may be several ways, so a
bound is a set of vectors, one number a process, and says that some vector of it is no more than
what a run has taken. From the ends back another one is known, on what is still to come: the rest of
the process's own way, and what the others need for the messages on that. The bounds are those of a
relaxed planning graph (Haslum and Geffner 2000), kept apart by process: steps of two of them are
never the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from typing import NamedTuple

from happysim.smt.closure import RAISED, Edge

# Per process, the vertices of which it ends in one; None where that is not asked.
Ends = tuple[frozenset[int] | None, ...]
# Per process, how many steps it takes at the least.
Steps = tuple[int, ...]
# A bound has so many vectors at most; two of more are made one that is below both.
_VECTORS_MAX = 6


class Line(NamedTuple):
    """A local step as far as the bounds look at it."""

    source: int
    target: int
    edge: Edge


def _more(one: Steps, other: Steps) -> Steps:
    return tuple(map(max, one, other))


def _is_below(one: Steps, other: Steps) -> bool:
    return all(a <= b for a, b in zip(one, other, strict=True))


def least(vectors: Iterable[Steps]) -> list[Steps]:
    """The same bound without vectors that are above another, and with few of them."""
    bound = Bound()
    for vector in sorted(set(vectors), key=lambda each: (sum(each), each)):
        bound.add(vector)
    return bound.vectors


class Bound:
    """Some vector of it is no more than what a run has taken."""

    def __init__(self) -> None:
        self.vectors: list[Steps] = []

    def add(self, vector: Steps) -> Steps | None:
        """Let a run have taken so much. Returns what is new in the bound: that, or one below it."""
        if any(_is_below(each, vector) for each in self.vectors):
            return None
        if len(self.vectors) == _VECTORS_MAX:
            vector = tuple(map(min, vector, self.vectors.pop()))
        self.vectors = [each for each in self.vectors if not _is_below(vector, each)]
        self.vectors.append(vector)
        return vector


class Ahead:
    """What is needed to get to each vertex, to each step and to each message, at the least.

    Sound by induction along a run: at its begin all counts are zero; a step has behind it the
    counts of its vertex, and of its message, both of this run, so one vector of each bound is no
    more than them, nor is the greater of the two in each number; and a vertex, or a message, is
    there by one of the steps into it, or that send it. Vectors of more than `most` steps are
    dropped: no run that is asked about has taken as many.
    """

    def __init__(self, first: Iterable[int], lines: list[list[Line]], most: float) -> None:
        self.lines, self.most = lines, most
        self.zeros: Steps = (0,) * len(lines)
        # By (process, vertex), or (-1, message).
        self.bounds: dict[tuple[int, int], Bound] = {}
        self.steps: list[dict[int, Bound]] = [{} for _ in lines]
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
            new = self.bounds.setdefault(place, Bound()).add(vector)
            if new is None:
                continue
            for slot, at in self._from.get(place, ()):
                line = self.lines[slot][at]
                for needed in self._needed(slot, line, place, new):
                    added = self.steps[slot].setdefault(at, Bound()).add(needed)
                    if added is None:
                        continue
                    if line.target != RAISED:
                        heappush(waiting, (sum(added), added, (slot, line.target)))
                    for envelope in dict.fromkeys(line.edge.sends):
                        heappush(waiting, (sum(added), added, (-1, envelope)))

    def _needed(self, slot: int, line: Line, place: tuple[int, int], new: Steps) -> Iterator[Steps]:
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

    def to_end(self, ends: Ends) -> list[Steps]:
        """What is needed so that every process can be at an end; empty where they cannot."""
        needed = [self.zeros]
        for slot, own in enumerate(ends):
            if own is None:
                continue
            ways: list[Steps] = []
            for vertex in sorted(own - {RAISED}):
                if (slot, vertex) in self.bounds:
                    ways += self.bounds[slot, vertex].vectors
            for at, line in enumerate(self.lines[slot]) if RAISED in own else ():
                if line.target == RAISED and at in self.steps[slot]:
                    ways += self.steps[slot][at].vectors
            both = (_more(one, other) for one in needed for other in least(ways))
            needed = least(each for each in both if sum(each) <= self.most)
        return needed

    def floors(
        self, slot: int, own: frozenset[int] | None, ends: list[Steps]
    ) -> Iterator[tuple[int, int, Steps]]:
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

    def _behind(self, slot: int, own: frozenset[int] | None) -> dict[int, Bound]:
        """For each vertex: the own steps that are left to an end, and what others need for these.

        The mirror of what is needed to get there, from the ends back.
        """
        into: dict[int, list[int]] = {}
        for at in sorted(self.steps[slot]):
            into.setdefault(self.lines[slot][at].target, []).append(at)
        ends = own
        if ends is None:
            ends = frozenset({RAISED, *(line.target for line in self.lines[slot])})
        behind: dict[int, Bound] = {}
        waiting = [(0, self.zeros, vertex) for vertex in sorted(ends)]
        while waiting:
            _, vector, vertex = heappop(waiting)
            new = behind.setdefault(vertex, Bound()).add(vector)
            for at in into.get(vertex, ()) if new is not None else ():
                assert new is not None
                for needs in self.steps[slot][at].vectors:
                    both = _more(needs, new)
                    left = (*both[:slot], new[slot] + 1, *both[slot + 1 :])
                    if sum(left) - 1 + needs[slot] <= self.most:
                        heappush(waiting, (sum(left), left, self.lines[slot][at].source))
        return behind
