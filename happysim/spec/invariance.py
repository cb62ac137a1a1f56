"""A property of a world with interchangeable nodes must not tell them apart: here that is checked.

A search that visits one world of an orbit judges that one alone, so the judgement must be that of
every other. It is asked of them all, as far as it can tell them apart: by the parts of a world that
it reads, together with the same parts of the nodes that may stand in their place. What was found
there decides for all worlds that agree on it.
"""

from __future__ import annotations

from typing import Any

from happysim.core.symmetry import Symmetry
from happysim.core.world import World
from happysim.spec.property import PropertyError
from happysim.spec.remember import Judgement, Remembered, are_local

Part = tuple[Any, ...]
Content = tuple[Any, ...]


class Invariant:
    """A remembered judgement that is asked of a whole orbit; called as `Remembered` is.

    Raises `PropertyError` where two worlds of one orbit are judged differently.
    """

    def __init__(self, remembered: Remembered, symmetry: Symmetry) -> None:
        self.remembered, self.symmetry = remembered, symmetry
        # What was read so far, and the same of each node that may stand in the place of another.
        self.parts: dict[Part, None] = {}
        self.local = True
        self._checked: set[Content] = set()

    @property
    def evaluations(self) -> int:
        """How often the property had to be called."""
        return self.remembered.evaluations

    def __call__(self, *worlds: World) -> Judgement:
        judged = self.remembered(*worlds)
        self._note(judged)
        while self._content(worlds) not in self._checked:
            self._check(worlds, judged)
        return Judgement(judged.wrong, self.local, tuple(self.parts))

    def _check(self, worlds: tuple[World, ...], judged: Judgement) -> None:
        """Judge every world of an orbit, unless that reads what was never read before."""
        met, waiting = {self._content(worlds)}, [worlds]
        while waiting:
            here = waiting.pop()
            for swap in range(len(self.symmetry.swaps)):
                image = tuple(self._image(swap, world) for world in here)
                content = self._content(image)
                if content in met:
                    continue
                found = self.remembered(*image)
                if (found.wrong is None) != (judged.wrong is None):
                    raise PropertyError(self._told_apart(worlds, image, judged, found))
                if self._note(found):
                    return
                met.add(content)
                waiting.append(image)
        self._checked |= met

    def _note(self, judged: Judgement) -> bool:
        """Take in what a judgement read; True where some of it is new."""
        new = [read for read in judged.reads if read not in self.parts]
        for which, what, *of in new:
            slots = of[:1]
            for each in self.symmetry.sets:
                if of and of[0] in each:
                    slots = list(each)
            for slot in slots or [None]:
                part = (which, what) if slot is None else (which, what, slot, *of[1:])
                self.parts[part] = None
        if new:
            self.local = are_local(self.parts)
            self._checked.clear()
        return bool(new)

    def _content(self, worlds: tuple[World, ...]) -> Content:
        return tuple([worlds[part[0]].mark(part[1:]) for part in self.parts])

    def _image(self, swap: int, world: World) -> World:
        *cells, ledger, history = self.symmetry.world(swap, world.numbers)
        return World(world.tables, tuple(cells), ledger, history)

    def _told_apart(
        self,
        worlds: tuple[World, ...],
        image: tuple[World, ...],
        judged: Judgement,
        found: Judgement,
    ) -> str:
        said, instead = (each.wrong is None for each in (judged, found))
        shown = "\n    and\n    ".join("\n    ".join(each[-1].lines()) for each in (worlds, image))
        return (
            f"property {self.remembered.name} tells symmetric nodes apart ({self.symmetry}): it "
            f"{_accepts(said)} the first of these worlds and {_accepts(instead)} the other, which "
            "differs only by which node is which. Judge all of them alike, or leave symmetric=... "
            f"out of World.of.\n    {shown}"
        )


def _accepts(fine: bool) -> str:
    return "accepts" if fine else "does not accept"
