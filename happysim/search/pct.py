"""Probabilistic concurrency testing: few changes of priority find what uniform chance does not.

**Source**: Burckhardt, Kothari, Musuvathi and Nagarakatte, "A randomized scheduler with
probabilistic guarantees of finding bugs", ASPLOS 2010. Its threads are *strands* here.
"""

from __future__ import annotations

from collections.abc import Sequence

from happysim.core.choice import Choice
from happysim.core.entries import Move
from happysim.core.prng import Random

Enabled = tuple[Choice, int, Move | int]
Strand = tuple[int, int, int]


def strand(slot: int, move: Move | int) -> Strand:
    """What has one priority: a link, a node's own steps, a kind of fault of a node, the network."""
    if not isinstance(move, Move):
        return 3, 0, 0
    if move.cost:
        return 2, move.cost, slot
    if move.source >= 0:
        return 0, move.source, slot
    return 1, slot, 0


class Priorities:
    """The priorities of one run. A strand draws its own when it is first enabled.

    At the i-th of `depth - 1` steps, drawn at the start, the strand that has just moved falls below
    all others, to priority `depth - i`. Of several choices of a strand each is equally likely.
    """

    def __init__(self, random: Random, depth: int, steps: int) -> None:
        self.random = random
        # A search that is bound to its first world makes runs of no steps.
        self.change_points = [random.below(max(steps, 1)) + 1 for _ in range(1, depth)]
        self.of: dict[Strand, tuple[bool, int]] = {}

    def pick(self, enabled: Sequence[Enabled]) -> int:
        """The place of the next choice among those enabled."""
        strands = [strand(slot, move) for _, slot, move in enabled]
        for each in strands:
            if each not in self.of:
                self.of[each] = True, self.random.next64()
        highest = max(strands, key=self.of.__getitem__)
        places = [place for place, each in enumerate(strands) if each == highest]
        return places[self.random.below(len(places))]

    def taken(self, steps: int, by: Strand) -> None:
        """So many steps were taken, the last one by that strand."""
        for at, point in enumerate(self.change_points):
            if point == steps:
                self.of[by] = False, len(self.change_points) - at
