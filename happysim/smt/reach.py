"""Reach: what a run of at most so many steps may hold, which is often little of a closure.

Where a local step needs more steps before it and after it (`ahead.py`) than a run may have, no such
run takes it, and it is left out. That leaves fewer messages, so more is out of reach, until nothing
changes.

What is left is unrolled by the number of steps that a process has taken. So it has no cycles, and
whatever a run of so many steps does, however often it sends the same, has a place in it. And a
process's place says how many steps it has taken, so that these need not be counted one by one.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from happysim.smt.ahead import Ahead, Ends, Line, Steps, least
from happysim.smt.closure import RAISED, Closure, Edge
from happysim.smt.unroll import Arc, Unrolled


class _Kept(NamedTuple):
    """A step within reach. `rest` is a lower bound on all steps but its own process's until then.

    `floor` says how many steps each process takes in all, at the least, in a run that takes it.
    """

    line: Line
    rest: int
    floor: Steps


def within_reach(closure: Closure, ends: Sequence[Ends], most: int) -> list[list[Edge]] | None:
    """Per process the edges that a run of at most `most` steps to one of the ends may take.

    None where there is no such run.
    """
    kept = _kept(closure.first, _lines_of(closure), ends, most)
    return None if kept is None else [[each.line.edge for each in own] for own in kept]


def least_steps(closure: Closure, ends: Sequence[Ends]) -> float:
    """A lower bound on the steps of any run to one of the ends; infinite where there is none."""
    ahead = Ahead(closure.first, _lines_of(closure), math.inf)
    return min((sum(each) for end in ends for each in ahead.to_end(end)), default=math.inf)


def unroll_reach(closure: Closure, ends: Sequence[Ends], most: int) -> list[Unrolled] | None:
    """All runs of at most `most` steps to one of the ends, as graphs without cycles.

    None where there is no such run.
    """
    kept = _kept(closure.first, _lines_of(closure), ends, most)
    if kept is None:
        return None
    unrolled = [_by_depth(own, most) for own in kept]
    copied = [_copies_of(unrolled, each) for each in ends]
    lines = [[Line(a.source, a.target, a.edge) for a in each.arcs] for each in unrolled]
    kept = _kept(closure.first, lines, copied, most)
    if kept is None:
        return None
    return [_of_lines(each, own) for each, own in zip(unrolled, kept, strict=True)]


def _lines_of(closure: Closure) -> list[list[Line]]:
    return [[Line(e.source, e.target, e) for e in graph.edges] for graph in closure.graphs]


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
    first: dict[int, int], lines: list[list[Line]], ends: Sequence[Ends], most: int
) -> list[list[_Kept]] | None:
    """The steps within reach; None where no end is."""
    while True:
        ahead = Ahead(first, lines, most)
        kept = _once(ahead, ends, most)
        if kept is None:
            return None
        fewer = [[each.line for each in own] for own in kept]
        if list(map(len, fewer)) == list(map(len, lines)):
            return kept
        lines = fewer


def _once(ahead: Ahead, ends: Sequence[Ends], most: int) -> list[list[_Kept]] | None:
    """The steps that the bounds of one look leave within reach."""
    # Per process and set of its ends: what all processes need for an end with it.
    groups: list[dict[frozenset[int] | None, list[Steps]]] = [{} for _ in ahead.lines]
    for end in ends:
        needed = ahead.to_end(end)
        for slot, own in enumerate(end):
            if needed:
                groups[slot].setdefault(own, []).extend(needed)
    if not all(groups):
        return None
    kept = []
    for slot, own_groups in enumerate(groups):
        floors: dict[int, Steps] = {}
        rests: dict[int, int] = {}
        for own, needed in own_groups.items():
            for at, rest, floor in ahead.floors(slot, own, least(needed)):
                rests[at] = min(rest, rests.get(at, rest))
                floors[at] = tuple(map(min, floors.get(at, floor), floor))
        lines = ahead.lines[slot]
        kept.append([_Kept(lines[at], rests[at], floors[at]) for at in sorted(rests)])
    return kept
