"""Orbits: which worlds differ only by which of some interchangeable processes is which.

Two worlds are of one orbit where swaps turn the one into the other. Each orbit has one *canonical*
member, which any member leads to: the least, as numbers, of the arrangements of the world that put
its interchangeable processes in an order that does not depend on their names. Where nothing tells
two of them apart they are tried in each place; where exchanging them changes nothing, in one.
This is how graph canonizers work (McKay, *Practical graph isomorphism*, 1981): refine, and where
refining ends, single one out.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import factorial, prod

from happysim.kernel.contract import Numbers, Symmetry

# By slot: processes that nothing tells apart so far have one colour. Fixed processes have 0.
Colours = list[int]


class Orbits:
    """The orbits of the worlds of one model."""

    def __init__(self, symmetry: Symmetry, slots: int) -> None:
        self.symmetry, self.slots = symmetry, slots
        self.sets = symmetry.sets
        # For each set the first of its swaps: number `first + k` exchanges its k-th and next.
        sizes = [len(each) for each in self.sets]
        self.first_swap = [sum(sizes[:at]) - at for at in range(len(sizes))]
        self.permutations = prod(map(factorial, sizes))
        self.moving = [slot for each in self.sets for slot in each]
        self.fixed = [slot for slot in range(slots) if slot not in self.moving]

    def canonical(self, numbers: Numbers) -> tuple[Numbers, int]:
        """The member that stands for the orbit of a world, and how many members there are.

        A world without a history has -1 for it, here and in the answer.
        """
        colours = [0] * self.slots
        for slots in self.sets:
            for slot in slots:
                colours[slot] = self.symmetry.sight(slot, numbers[slot], slot)
        best, same = numbers, 0
        for arranged, times in self.arrangements(numbers, colours):
            if not same or arranged < best:
                best, same = arranged, times
            elif arranged == best:
                same += times
        # Orbit and stabilizer: `same` permutations make the same world.
        return best, self.permutations // same

    def arrangements(self, numbers: Numbers, colours: Colours) -> Iterator[tuple[Numbers, int]]:
        """The arrangements to compare, each with how many permutations lead to it."""
        numbers = self.sorted(numbers, colours)
        tie, told_apart = self.first_tie(colours), 0
        while tie is not None and told_apart < len(set(colours)):
            told_apart = len(set(colours))
            colours = self.refined(numbers, colours)
            numbers = self.sorted(numbers, colours)
            tie = self.first_tie(colours)
        if tie is None:
            yield numbers, 1
            return
        at, first, end = tie
        slots = self.sets[at]
        chains = self.twins(numbers, at, first, end)
        if len(chains) == 1:
            # Whatever their order, the world is the same.
            for place in range(first, end):
                colours[slots[place]] = colours[slots[place]] * self.slots + place
            times = factorial(end - first)
            yield from ((each, more * times) for each, more in self.arrangements(numbers, colours))
            return
        for chosen, times in chains:
            apart = [2 * colour + 1 for colour in colours]
            apart[slots[chosen]] -= 1
            yield from ((each, more * times) for each, more in self.arrangements(numbers, apart))

    def sorted(self, numbers: Numbers, colours: Colours) -> Numbers:
        """The world with the processes of each set in order of colour; `colours` is sorted too."""
        for slots, first in zip(self.sets, self.first_swap, strict=True):
            for end in range(1, len(slots)):
                at = end
                while at and colours[slots[at - 1]] > colours[slots[at]]:
                    one, other = slots[at - 1], slots[at]
                    numbers = self.symmetry.world(first + at - 1, numbers)
                    colours[one], colours[other] = colours[other], colours[one]
                    at -= 1
        return numbers

    def first_tie(self, colours: Colours) -> tuple[int, int, int] | None:
        """The first run of one colour in a sorted world: its set, its first place, its end."""
        for at, slots in enumerate(self.sets):
            for first in range(len(slots) - 1):
                colour, end = colours[slots[first]], first + 1
                while end < len(slots) and colours[slots[end]] == colour:
                    end += 1
                if end > first + 1:
                    return at, first, end
        return None

    def refined(self, numbers: Numbers, colours: Colours) -> Colours:
        """Colours that also tell processes apart by how they see others, and are seen."""
        sight = self.symmetry.sight
        told = {}
        for at, slots in enumerate(self.sets):
            for slot in slots:
                cell = numbers[slot]
                others = sorted(
                    (colours[other], sight(other, numbers[other], slot), sight(slot, cell, other))
                    for other in self.moving
                    if other != slot
                )
                fixed = [sight(other, numbers[other], slot) for other in self.fixed]
                told[slot] = (at, colours[slot], fixed, others)
        ranks: list[object] = []
        made = [0] * self.slots
        for slot in sorted(told, key=told.__getitem__):
            if not ranks or ranks[-1] != told[slot]:
                ranks.append(told[slot])
            made[slot] = len(ranks)
        return made

    def twins(self, numbers: Numbers, at: int, first: int, end: int) -> list[tuple[int, int]]:
        """A run of one colour as chains of processes whose exchange changes nothing.

        Of each chain its first place, and how many they are. Neighbours only are compared: chains
        that a longer look would join are tried one by one, to the same end.
        """
        chains = [(first, 1)]
        for place in range(first + 1, end):
            if self.symmetry.world(self.first_swap[at] + place - 1, numbers) == numbers:
                chains[-1] = (chains[-1][0], chains[-1][1] + 1)
            else:
                chains.append((place, 1))
        return chains
