"""Precedence: which steps of a schedule have to keep their order, and which may change places.

A schedule is one of many that differ by the order of steps at different processes alone: all of
them end in the same world (Mazurkiewicz 1977). In the order of its steps there may be no times for
it, and in another there may. What stays in order is

- the steps of one process, and so what ends in one that sends and begins in one that takes;
- what is recorded in the history, since that tells the order of requests and answers;
- faults among themselves, since they share budgets; and any step beside a fault of the network, or
  a crash where that empties links;
- the last step, after which the property is judged.
"""

from __future__ import annotations

from collections.abc import Sequence

from happysim.core.choice import Kind
from happysim.core.world import World
from happysim.smt.occurrences import Occurrence, Parcel

# Local to one process, wherever messages keep no order.
_OF_PROCESSES = frozenset({Kind.CRASH, Kind.RESTART, Kind.FILL, Kind.FREE})


def as_it_stands(count: int) -> list[tuple[int, int]]:
    """The order of a schedule of `count` steps: each comes after the one before. 0 begins."""
    return [(number - 1, number) for number in range(1, count + 1)]


def precedence(world: World, steps: Sequence[Occurrence]) -> list[tuple[int, int]]:
    """The pairs (one, other) of steps, counted from 1, of which one may not come after the other.

    0 is the beginning. What follows from two pairs is left out, mostly.
    """
    found = _Precedence(world.tables.network.kind == "ordered")
    for number, step in enumerate(steps, 1):
        found.add(number, step, last=number == len(steps))
    return found.pairs


class _Precedence:
    """`newest` has the last step of each process since `fence`, which all steps stay behind."""

    def __init__(self, links_keep_order: bool) -> None:
        self.links_keep_order = links_keep_order
        self.pairs: list[tuple[int, int]] = []
        self.fence = self.recorded = self.fault = 0
        self.newest: dict[str, int] = {}
        self.sent: dict[Parcel, list[int]] = {}

    def add(self, number: int, step: Occurrence, *, last: bool) -> None:
        is_fault = step.choice.kind.is_fault
        before = {self.newest.get(step.node, self.fence)}
        if last or (is_fault and not self._is_local(step)):
            before = {self.fence, *self.newest.values()}
            self.fence, self.newest = number, {}
        else:
            self.newest[step.node] = number
        if is_fault:
            before.add(self.fault)
            self.fault = number
        if step.records:
            before.add(self.recorded)
            self.recorded = number
        if step.receives is not None and len(self.sent.get(step.receives, [])) == 1:
            before.update(self.sent[step.receives])
        for parcel in step.sends:
            self.sent.setdefault(parcel, []).append(number)
        self.pairs += [(one, number) for one in sorted(before)]

    def _is_local(self, step: Occurrence) -> bool:
        return step.choice.kind in _OF_PROCESSES and not self.links_keep_order
