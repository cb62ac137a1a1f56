"""A space of worlds as a plain search sees it: events, and the worlds they lead to.

`Space` is over the tables of a scenario, or over `Lean` ones, which leave dead messages out.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator
from typing import NamedTuple

from happysim import Scenario, World
from happysim.core.tables import Tables
from happysim.kernel.contract import Numbers
from happysim.search.dead import Lean


class Event(NamedTuple):
    """What happens to one process, by its text; whether clients see it, or a budget pays for it."""

    slot: int
    text: str
    recorded: bool
    paid: bool

    def commutes(self, other: Event) -> bool:
        """True where the order of two events makes no difference, in any world that has both."""
        return (
            self.slot != other.slot
            and not (self.recorded and other.recorded)
            and not (self.paid and other.paid)
        )


class Found(NamedTuple):
    """Worlds expanded, and steps taken."""

    worlds: int
    steps: int


class Space:
    """The worlds of a scenario, without partitions; with the clients' history where `history`."""

    def __init__(self, scenario: Scenario, history: bool) -> None:
        self.history, self.within = history, scenario.bounds.within
        first = list(scenario.worlds.values())
        self.tables: Tables = first[0].tables
        self.lean: Lean | None = None
        self.firsts = [self._of(world.numbers) for world in first]
        self._inside: dict[tuple[int, ...], bool] = {}
        # What the last search met: its worlds, and the local steps of each process.
        self.worlds: set[Numbers] = set()
        self.steps: list[defaultdict[int, set[int]]] = []

    def _of(self, numbers: Numbers) -> Numbers:
        return numbers if self.history else (*numbers[:-1], 0)

    def without_dead(self) -> Found:
        """From now on without dead messages; what is left when none is in doubt."""
        self.lean = lean = Lean(self.tables)
        whole = self.firsts
        while True:
            lean.begin()
            self.firsts = [lean.numbers(world) for world in whole]
            found = self.search()
            if lean.learn():
                return found

    def states(self, world: Numbers) -> tuple[int, ...]:
        """The local state of each process."""
        return tuple(self.tables.state(slot, cell) for slot, cell in enumerate(world[:-2]))

    def waiting(self, world: Numbers, slot: int) -> tuple[tuple[int, int], ...]:
        """What is in flight to a process: messages and copies."""
        return self.tables.network.waiting(self.tables.cells[slot].values[world[slot]].inbox)

    def inside(self, world: Numbers) -> bool:
        """Whether a world lies within the scenario's bound, which may read local states only."""
        if self.within is None:
            return True
        states = self.states(world)
        if states not in self._inside:
            self._inside[states] = self.within(World(self.tables, world[:-2], *world[-2:]))
        return self._inside[states]

    def events(self, world: Numbers) -> Iterator[tuple[Event, Numbers]]:
        """Each event of a world, with the world after it; that may lie outside the bound."""
        model = self.lean or self.tables
        for slot, cell in enumerate(world[:-2]):
            free, faults = model.moves(slot, cell)
            for move in (*free, *faults):
                ledger = model.pay(world[-2], move.cost) if move.cost else world[-2]
                if ledger < 0 or move.cell < 0:
                    continue
                cells = list(world[:-2])
                cells[slot] = move.cell
                for target, batch in move.sends:
                    cells[target] = model.put(target, cells[target], batch)
                recorded = self.history and move.record > 0
                history = model.record(world[-1], move.record) if recorded else world[-1]
                choice: str = str(move.choice)  # type: ignore[attr-defined]
                event = Event(slot, choice, recorded, move.cost > 0)
                yield event, (*cells, ledger, history)

    def search(self) -> Found:
        """All worlds, breadth first."""
        seen, steps = set(self.firsts), 0
        self.worlds, self.steps = seen, [defaultdict(set) for _ in self.firsts[0][:-2]]
        queue = deque(self.firsts)
        while queue:
            world = queue.popleft()
            for (slot, *_), after in self.events(world):
                if after not in seen:
                    if not self.inside(after):
                        continue
                    seen.add(after)
                    queue.append(after)
                steps += 1
                before = self.tables.state(slot, world[slot])
                self.steps[slot][before].add(self.tables.state(slot, after[slot]))
        return Found(len(seen), steps)
