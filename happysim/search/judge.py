"""The judge: asks every property about each world, step and end, and keeps its first finding.

It speaks the kernel's language on one side (numbers in, bits out) and that of properties on the
other. A property that has been broken, or reached, is asked no more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from happysim.core.entries import Move, Numbering
from happysim.core.tables import Tables
from happysim.core.world import World
from happysim.kernel.contract import DONE, FOUND, LOCAL, OUTSIDE, Numbers
from happysim.spec.invariance import Invariant
from happysim.spec.property import Property, PropertyError, Sort
from happysim.spec.remember import Remembered

# Parts of a world that are parts of one local state.
_OF_STATES = frozenset({"state", "field", "status", "timers"})
Asked = Remembered | Invariant
_OF_WORLDS = (Sort.ALWAYS, Sort.REACHABLE, Sort.LINEARIZABLE)


@dataclass(frozen=True)
class Finding:
    """Where a property was broken or reached: at a world, or in the step after it."""

    at: int
    reason: str
    # The step, where the finding is about one: the numbers after it, or the move that raised.
    after: Numbers | None = None
    raising: tuple[int, Move] | None = None


class PropertyJudge:
    """A kernel's Judge over a list of properties."""

    def __init__(
        self,
        tables: Tables,
        properties: Sequence[Property],
        within: Callable[[World], bool] | None,
        keeps_history: bool = True,
        local_only: bool = False,
        symmetric: bool = False,
    ) -> None:
        self.tables, self.keeps_history = tables, keeps_history
        # In a search that shows worlds without some messages, no property may look for them.
        self._local_only = local_only
        # Where a search visits one world of an orbit, a property must say the same of each.
        self._symmetry = tables.symmetry if symmetric else None
        self.properties = list(properties)
        self.findings: dict[Property, Finding] = {}
        self.raised_property = next((p for p in properties if p.sort is Sort.NO_RAISE), None)
        self._of_worlds = self._open(properties, *_OF_WORLDS)
        self._of_steps = self._open(properties, Sort.STEP_ALWAYS)
        self._of_ends = self._open(properties, Sort.QUIESCENT)
        self._within = (
            None if within is None else self._remember(Remembered("within", bound(within)))
        )
        self._opened = [
            (asked, tuple(asked)) for asked in (self._of_worlds, self._of_steps, self._of_ends)
        ]
        every = [*self._of_worlds, *self._of_steps, *self._of_ends]
        self._remembered = [remembered for _, remembered in every]
        if self._within is not None:
            self._remembered.append(self._within)
        self.judges_steps, self.judges_quiescence = bool(self._of_steps), bool(self._of_ends)
        self.judges_bounds = within is not None
        self.quiescent_worlds = 0
        # What the last answer depended on, in the words of `Remembered`; and each part's number.
        self._read: list[tuple[tuple[Any, ...], ...]] = []
        self._parts = Numbering()
        self._parts_of: dict[tuple[Any, ...], tuple[int, ...] | None] = {}
        self._contents: list[Numbering] = []
        self._asked = len(properties) - (self.raised_property is not None)

    def _open(self, properties: Sequence[Property], *sorts: Sort) -> list[tuple[Property, Asked]]:
        return [
            (each, self._remember(Remembered.of(each))) for each in properties if each.sort in sorts
        ]

    def _remember(self, remembered: Remembered) -> Asked:
        return remembered if self._symmetry is None else Invariant(remembered, self._symmetry)

    def reopen(self, findings: Mapping[Property, Finding]) -> None:
        """Judge worlds anew, as if nothing but these had been found."""
        self.findings = dict(findings)
        self.quiescent_worlds = 0
        for asked, every in self._opened:
            asked[:] = [each for each in every if each[0] not in findings]

    def forget(self, sort: Sort) -> None:
        """Take back what was found of the properties of one sort."""
        self.findings = {each: at for each, at in self.findings.items() if each.sort is not sort}

    @property
    def evaluations(self) -> int:
        """How often a property had to be called."""
        return sum(each.evaluations for each in self._remembered)

    def world_of(self, numbers: Numbers) -> World:
        """The world that a kernel's numbers stand for."""
        history = numbers[-1] if self.keeps_history else -1
        return World(self.tables, numbers[:-2], numbers[-2], history)

    def world(self, index: int, numbers: Numbers) -> int:
        """See `Judge.world`."""
        world = self.world_of(numbers)
        self._read.clear()
        bits = LOCAL
        if self._within is not None:
            outside, local, reads = self._within(world)
            self._check_local("the bound `within`", local)
            self._read.append(reads)
            if outside is not None:
                return OUTSIDE | (LOCAL if local else 0)
            bits &= local
        return self._ask(self._of_worlds, index, world) & (bits | DONE | FOUND)

    def step(self, index: int, before: Numbers, after: Numbers) -> int:
        """See `Judge.step`."""
        worlds = self.world_of(before), self.world_of(after)
        self._read.clear()
        return self._ask(self._of_steps, index, *worlds, after=after)

    def quiescent(self, index: int, numbers: Numbers) -> int:
        """See `Judge.quiescent`."""
        world = self.world_of(numbers)
        if not world.is_quiescent:
            return 0
        said = self._ask(self._of_ends, index, world)
        # An interrupt may come before this: then the world is judged again, and counts once.
        self.quiescent_worlds += 1
        return said

    def raised(self, index: int, slot: int, move: Any) -> int:
        """See `Judge.raised`."""
        prop = self.raised_property
        if prop is None or prop in self.findings:
            return 0
        self.findings[prop] = Finding(index, str(move.raised), raising=(slot, move))
        return FOUND | self._done()

    # -- checkpoints -----------------------------------------------------------------------------

    def as_data(self, worlds: int) -> list[Any]:
        """What was found among the first so many worlds, as JSON takes it."""
        return [
            {
                "property": self.properties.index(prop),
                "at": finding.at,
                "reason": finding.reason,
                "after": finding.after and self._content(finding.after),
                "raising": finding.raising and (finding.raising[0], str(finding.raising[1].choice)),
            }
            for prop, finding in self.findings.items()
            # A world may be judged and not be taken in, where an interrupt comes between.
            if finding.at < worlds
        ]

    def from_data(self, data: list[Any]) -> None:
        """Go on from what was found. Raises `KeyError` or the like for what does not fit."""
        findings = {}
        for found in data:
            after, raising = found["after"], found["raising"]
            findings[self.properties[found["property"]]] = Finding(
                int(found["at"]),
                str(found["reason"]),
                after and self._numbers(after),
                raising and (raising[0], self._raising(raising[0], raising[1], found["reason"])),
            )
        self.reopen(findings)

    def _content(self, numbers: Numbers) -> list[Any]:
        """A world with its cells by content: their numbers here are nobody else's."""
        inside = self.tables.local.inside
        return [[inside(slot, cell) for slot, cell in enumerate(numbers[:-2])], *numbers[-2:]]

    def _numbers(self, content: list[Any]) -> Numbers:
        cells, ledger, history = content
        cell = self.tables.local.cell
        made = [cell(slot, state, _tuples(inbox)) for slot, (state, inbox) in enumerate(cells)]
        return (*made, int(ledger), int(history))

    def _raising(self, slot: int, choice: str, reason: str) -> Any:
        """The step that raised, which was computed again."""
        for effect in self.tables.raising_effects(slot):
            if (str(effect.choice), str(effect.raised)) == (choice, reason):
                return effect
        raise KeyError(choice)

    def reads(self) -> tuple[int, ...] | None:
        """See `Judge.reads`."""
        read = tuple(self._read)
        if read not in self._parts_of:
            keys = dict.fromkeys(key for reads in read for key in reads)
            whole = any(key[1] == "all" for key in keys)
            self._parts_of[read] = None if whole else tuple(map(self._parts.number, keys))
        return self._parts_of[read]

    def place(self, part: int) -> int:
        """See `Judge.place`."""
        which, what, *of = self._parts.values[part]
        slots = len(self.tables.processes)
        rest = {"ledger": slots, "history": slots + 1}
        place = rest[what] if what in rest else of[0]
        if what in _OF_STATES:
            place += slots + 2
        return int(which) * (2 * slots + 2) + int(place)

    def mark(self, part: int, number: int) -> int:
        """See `Judge.mark`."""
        _, *key = self._parts.values[part]
        while len(self._contents) <= part:
            self._contents.append(Numbering())
        if key[0] in _OF_STATES:
            # Any cell with that local state will do.
            number = self.tables.local.cell(key[1], number, ())
        # Of this world only the part asked for is looked at.
        world = World(self.tables, (number,) * len(self.tables.processes), number, number)
        return self._contents[part].number(world.mark(key))

    def _ask(
        self,
        properties: list[tuple[Property, Asked]],
        index: int,
        *worlds: World,
        after: Numbers | None = None,
    ) -> int:
        bits = LOCAL
        found = []
        for prop, remembered in properties:
            wrong, local, reads = remembered(*worlds)
            self._check_local(prop.name, local)
            if wrong is not None:
                self.findings[prop] = Finding(index, wrong, after)
                found.append((prop, remembered))
            else:
                bits &= local
                self._read.append(reads)
        for each in found:
            properties.remove(each)
        return bits | (FOUND | self._done() if found else 0)

    def _check_local(self, name: str, local: bool) -> None:
        if self._local_only and not local:
            raise PropertyError(
                f"{name} reads what is in flight or the faults left, and a search with reduce=True "
                "leaves messages out of worlds; search without it, or let the property read "
                "fields, timers and the history alone"
            )

    def _done(self) -> int:
        """DONE once no property is left that could still be found broken or reached.

        Of handlers that raise only the first is kept, and they alone do not keep a search going
        once there is nothing else to find; a search without properties runs to its end.
        """
        found = len(self.findings) - (self.raised_property in self.findings)
        return DONE if self._asked and found == self._asked else 0


def _tuples(value: Any) -> Any:
    """Lists, at any depth, as tuples."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def bound(within: Callable[[World], bool]) -> Callable[[World], str | None]:
    """A bound as a judgement: None for a world inside. Raises `PropertyError` as properties do."""

    def judge(world: World) -> str | None:
        try:
            inside = within(world)
        except Exception as error:
            raise PropertyError(f"within raised {type(error).__name__}: {error}") from error
        if not isinstance(inside, bool):
            raise PropertyError(
                f"within returned {inside!r:.60}; return True for a world inside, False for others"
            )
        return None if inside else "outside"

    return judge
