"""The reference kernel: exhaustive search in plain Python, exact, over integers only.

A world is one integer: its numbers side by side, 29 bits each. A step adds to it: the change of the
acting process's cell is known in advance, and the change that a message makes to its receiver's
inbox is looked up. So most steps cost an addition or two and one look-up in the set of worlds seen.

`local` is the same kind of integer over the local states and the history alone. Most properties
depend on nothing else, and there are few of them, so what the judge said is remembered by it.
"""

from __future__ import annotations

import time
from array import array
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from happysim.kernel.contract import (
    DONE,
    LOCAL,
    OUTSIDE,
    Exploration,
    Judge,
    Model,
    Numbers,
    Plan,
)
from happysim.kernel.memory import used_mib
from happysim.kernel.orbits import Orbits

name = "reference"

# Python hashes an integer modulo 2**61 - 1, where a shift is a rotation. With 32 bits a number,
# every other number would lie 3 bits beside the last, and many worlds would share a hash.
_BITS = 29
_MASK = (1 << _BITS) - 1
# Between two looks at the clock, the memory and the progress callback.
_WORLDS_A_TICK = 512

# A prepared move: what to add to the world, what to add to `local`, and the messages it sends.
Plain = tuple[int, int, tuple[tuple[int, int], ...]]


class _Row(dict[int, tuple[list[Plain], list[Any], list[Any]]]):
    """Per cell of one process: plain moves, other free moves, faults. Filled on first use."""

    def __init__(self, model: Model, slot: int, partitions: bool) -> None:
        super().__init__()
        self.model, self.slot, self.partitions = model, slot, partitions

    def __missing__(self, cell: int) -> tuple[list[Plain], list[Any], list[Any]]:
        free, faults = self.model.moves(self.slot, cell)
        plain, other = [], []
        for move in free:
            # What needs a look at the ledger or the history is not plain, nor is a raise.
            if move.record or move.cell < 0 or (self.partitions and move.source >= 0):
                other.append((*self.prepare(cell, move), move))
            else:
                plain.append(self.prepare(cell, move))
        made = plain, other, [(*self.prepare(cell, move), move) for move in faults]
        self[cell] = made
        return made

    def prepare(self, cell: int, move: Any) -> Plain:
        if move.cell < 0:
            return 0, 0, ()
        shift = _BITS * self.slot
        state = self.model.state
        change = state(self.slot, move.cell) - state(self.slot, cell)
        return (move.cell - cell) << shift, change << shift, move.sends


class _Put(dict[int, dict[int, int]]):
    """Per cell of one process, per batch: what the arrival of the batch adds to the world."""

    def __init__(self, model: Model, slot: int) -> None:
        super().__init__()
        self.model, self.slot = model, slot

    def __missing__(self, cell: int) -> dict[int, int]:
        made = self[cell] = _PutCell(self, cell)
        return made


class _PutCell(dict[int, int]):
    def __init__(self, owner: _Put, cell: int) -> None:
        super().__init__()
        self.owner, self.cell = owner, cell

    def __missing__(self, batch: int) -> int:
        owner = self.owner
        change = owner.model.put(owner.slot, self.cell, batch) - self.cell
        made = self[batch] = change << (_BITS * owner.slot)
        return made


class _SeenOrbits(set[int]):
    """The worlds met, up to symmetry: it holds the canonical member of the orbit of each."""

    def __init__(
        self,
        orbits: Orbits,
        numbers: Callable[[int], Numbers],
        key: Callable[[Numbers], int],
    ) -> None:
        super().__init__()
        self.orbits, self.numbers, self.key = orbits, numbers, key
        self.in_full = 0

    def canonical(self, key: int) -> int:
        return self.key(self.orbits.canonical(self.numbers(key))[0])

    def __contains__(self, key: object) -> bool:
        assert isinstance(key, int)
        return super().__contains__(self.canonical(key))

    def add(self, key: int) -> None:
        numbers, members = self.orbits.canonical(self.numbers(key))
        self.in_full += members
        super().add(self.key(numbers))


class _Search:
    """One exploration. `run` is the loop; the other methods are what it does now and then."""

    def __init__(
        self,
        model: Model,
        starts: Sequence[Numbers],
        judge: Judge,
        plan: Plan,
        progress: Callable[[Exploration], None] | None,
    ) -> None:
        self.model, self.judge, self.plan, self.progress = model, judge, plan, progress
        slots = self.slots = len(starts[0]) - 2
        self.at_ledger, self.at_history = _BITS * slots, _BITS * (slots + 1)
        self.rows = [_Row(model, slot, plan.partitions) for slot in range(slots)]
        self.puts = [_Put(model, slot) for slot in range(slots)]
        self.shifts = [_BITS * slot for slot in range(slots)]
        self.found = Exploration(path=self.path)
        self.seen: set[int] = set()
        if plan.symmetric and model.symmetry is not None:
            self.seen = _SeenOrbits(Orbits(model.symmetry, slots), self.numbers, self.key)
        self.keys: list[int] = []
        self.parents = array("q")
        self.queue: deque[tuple[int, int, int, int]] = deque()
        self.take = self.queue.pop if plan.depth_first else self.queue.popleft
        # Where a depth-first search is cut by depth, a world met again nearer to the start must be
        # expanded again: here its place and the least depth at which it was met.
        self.nearest: dict[int, tuple[int, int]] | None = (
            {} if plan.depth_first and plan.depth is not None else None
        )
        self.expanded: set[int] = set()
        self.fine: set[int] = set()
        self.fine_steps: set[tuple[int, int]] = set()
        # Outside the bounds: local states that are so wherever they occur, and single worlds.
        self.beyond: set[int] = set()
        self.outside: set[int] = set()
        self.started = time.perf_counter()
        for start in starts:
            history = start[-1] if plan.histories else 0
            key, local = self.key((*start[:-1], history)), history << self.at_history
            for slot, cell in enumerate(start[:-2]):
                local += model.state(slot, cell) << self.shifts[slot]
            if key not in self.seen:
                self.meet(key, local, -1, 1)

    # -- what happens at a new world -------------------------------------------------------------

    def meet(self, key: int, local: int, parent: int, depth: int) -> bool:
        """Take in a world not seen before; False where it lies outside the bounds."""
        said = LOCAL
        if local not in self.fine:
            if local in self.beyond or key in self.outside:
                return False
            said = self.judge.world(len(self.keys), self.numbers(key))
            if said & OUTSIDE:
                self.found.outside = True
                if said & LOCAL:
                    self.beyond.add(local)
                else:
                    self.outside.add(key)
                return False
        if len(self.keys) == self.plan.worlds:
            self.found.stopped = self.found.stopped or "worlds"
            return False
        self.conclude(said)
        if said & LOCAL and not said & DONE:
            self.fine.add(local)
        index = len(self.keys)
        self.seen.add(key)
        self.keys.append(key)
        self.parents.append(parent)
        self.queue.append((key, local, index, depth))
        self.found.depth = max(self.found.depth, depth)
        if self.nearest is not None:
            self.nearest[self.stands_for(key)] = (index, depth)
        return True

    def meet_again(self, key: int, local: int, parent: int, depth: int) -> None:
        """A world seen before, in a depth-first search that is cut by depth."""
        assert self.nearest is not None
        orbit = self.stands_for(key)
        index, before = self.nearest[orbit]
        if depth < before:
            self.nearest[orbit] = (index, depth)
            self.parents[index] = parent
            # Another of its orbit, perhaps. The worlds that were met from the one before are
            # steps from this one up to a permutation.
            self.keys[index] = key
            self.queue.append((key, local, index, depth))

    def judge_step(self, index: int, key: int, after: int, local: int, local_after: int) -> None:
        """A step, where some property looks at steps."""
        pair = (local, local_after)
        if pair not in self.fine_steps:
            said = self.judge.step(index, self.numbers(key), self.numbers(after))
            self.conclude(said)
            if said & LOCAL and not said & DONE:
                self.fine_steps.add(pair)

    def conclude(self, said: int) -> None:
        """Stop where the judge has nothing left to find out."""
        if said & DONE:
            self.found.stopped = "done"

    def numbers(self, key: int) -> Numbers:
        """The world that an integer stands for."""
        ledger, history = key >> self.at_ledger & _MASK, key >> self.at_history
        return (*[key >> shift & _MASK for shift in self.shifts], ledger, history)

    def key(self, numbers: Numbers) -> int:
        """A world as one integer."""
        shifts = (*self.shifts, self.at_ledger, self.at_history)
        return sum(number << shift for number, shift in zip(numbers, shifts, strict=True))

    def stands_for(self, key: int) -> int:
        """The world that is kept for this one: itself, or the canonical member of its orbit."""
        return self.seen.canonical(key) if isinstance(self.seen, _SeenOrbits) else key

    def path(self, index: int) -> list[Numbers]:
        """The worlds from a start to the world at `index`, both included."""
        steps = []
        while index >= 0:
            steps.append(self.numbers(self.keys[index]))
            index = self.parents[index]
        return steps[::-1]

    # -- the loop --------------------------------------------------------------------------------

    def run(self) -> Exploration:
        """Expand worlds until none is left or a limit is met; Ctrl-C is a limit."""
        try:
            until_tick = _WORLDS_A_TICK
            while self.queue and self.found.stopped is None:
                self.expand(*self.take())
                until_tick -= 1
                if not until_tick:
                    until_tick = _WORLDS_A_TICK
                    self.tick()
        except KeyboardInterrupt:
            self.found.stopped = "interrupt"
        if self.nearest is not None:
            # Some worlds at the limit were met again nearer to the start.
            at_limit = [key for key, (_, depth) in self.nearest.items() if depth == self.plan.depth]
            self.found.depth_limited = any(map(self.leads_on, at_limit))
        self.count()
        return self.found

    def expand(  # noqa: C901, PLR0912 - the hot loop: a call for each step would cost a third of it
        self, key: int, local: int, index: int, depth: int
    ) -> None:
        """Take every step that leads on from one world."""
        if depth == self.plan.depth:
            self.stand_still(key, index)
            return
        depth += 1
        cells = [key >> shift & _MASK for shift in self.shifts]
        rows, puts, seen = self.rows, self.puts, self.seen
        judges_steps, cut_depth_first = self.judge.judges_steps, self.nearest is not None
        steps, moving, special = 0, False, []
        if cut_depth_first:
            # Expanded before, from farther away: its steps have been counted.
            steps_before = self.found.steps if index in self.expanded else -1
            self.expanded.add(index)
        for slot, cell in enumerate(cells):
            plain, other, faults = rows[slot][cell]
            if plain:
                moving = True
            for change, local_change, sends in plain:
                after = key + change
                for target, batch in sends:
                    after += puts[target][cells[target]][batch]
                steps += 1
                if after not in seen:
                    if not self.meet(after, local + local_change, index, depth):
                        steps -= 1
                        continue
                elif cut_depth_first:
                    self.meet_again(after, local + local_change, index, depth)
                if judges_steps:
                    self.judge_step(index, key, after, local, local + local_change)
            if other:
                moving = True
                special += [(slot, *move) for move in other]
            if faults:
                special += [(slot, *move) for move in faults]
        self.found.steps += steps
        if special:
            self.special_steps(key, local, index, depth, cells, special)
        ledger = key >> self.at_ledger & _MASK
        for ledger_after in self.model.ledger_moves(ledger):
            change = (ledger_after - ledger) << self.at_ledger
            self.arrive(key, local, index, depth, key + change, local)
        if not moving and self.judge.judges_quiescence:
            self.conclude(self.judge.quiescent(index, self.numbers(key)))
        if cut_depth_first and steps_before >= 0:
            self.found.steps = steps_before

    def special_steps(
        self, key: int, local: int, index: int, depth: int, cells: list[int], special: list[Any]
    ) -> None:
        """Steps that look at the ledger or the history, or raise."""
        model = self.model
        ledger, history = key >> self.at_ledger & _MASK, key >> self.at_history
        for slot, change, local_change, sends, move in special:
            paid = 0
            if move.cost:
                ledger_after = model.pay(ledger, move.cost)
                if ledger_after < 0:
                    continue
                paid = (ledger_after - ledger) << self.at_ledger
            elif model.blocked(ledger, move.source, slot):
                continue
            if move.cell < 0:
                self.found.steps += 1
                self.conclude(self.judge.raised(index, slot, move))
                continue
            recorded = 0
            if move.record and self.plan.histories:
                recorded = (model.record(history, move.record) - history) << self.at_history
            after = key + change + paid + recorded
            for target, batch in sends:
                after += self.puts[target][cells[target]][batch]
            self.arrive(key, local, index, depth, after, local + local_change + recorded)

    def arrive(
        self, key: int, local: int, index: int, depth: int, after: int, local_after: int
    ) -> None:
        """One step has led to `after`, seen before or not."""
        if after not in self.seen:
            if not self.meet(after, local_after, index, depth):
                return
        elif self.nearest is not None:
            self.meet_again(after, local_after, index, depth)
        self.found.steps += 1
        if self.judge.judges_steps:
            self.judge_step(index, key, after, local, local_after)

    def stand_still(self, key: int, index: int) -> None:
        """A world at the depth limit: it is judged, and not expanded."""
        rows = [self.rows[slot][key >> shift & _MASK] for slot, shift in enumerate(self.shifts)]
        if self.judge.judges_quiescence and not any(plain or other for plain, other, _ in rows):
            self.conclude(self.judge.quiescent(index, self.numbers(key)))
        if self.nearest is None and not self.found.depth_limited:
            self.found.depth_limited = self.leads_on(key)

    def leads_on(self, key: int) -> bool:
        """True where the world has a step, so that a depth limit left something out."""
        ledger = key >> self.at_ledger & _MASK
        for slot, shift in enumerate(self.shifts):
            plain, other, faults = self.rows[slot][key >> shift & _MASK]
            if plain or any(not self.model.blocked(ledger, m[-1].source, slot) for m in other):
                return True
            if any(self.model.pay(ledger, move[-1].cost) >= 0 for move in faults):
                return True
        return bool(self.model.ledger_moves(ledger))

    def tick(self) -> None:
        """Look at the clock and the memory, and tell how far the search is."""
        self.count()
        plan = self.plan
        if plan.seconds is not None and time.perf_counter() - self.started > plan.seconds:
            self.found.stopped = "seconds"
        if plan.memory_mib is not None and used_mib() > plan.memory_mib:
            self.found.stopped = "memory"
        if self.progress is not None:
            self.progress(self.found)

    def count(self) -> None:
        if isinstance(self.seen, _SeenOrbits):
            self.found.in_full = self.seen.in_full
        self.found.worlds = len(self.keys)
        self.found.waiting = len(self.queue)


def explore(
    model: Model,
    starts: Sequence[Numbers],
    judge: Judge,
    plan: Plan | None = None,
    progress: Callable[[Exploration], None] | None = None,
) -> Exploration:
    """Visit every world that can be reached from `starts`, once each.

    Counts are exact: whole worlds are compared, not hashes, whatever the plan allows; and the way
    to each is kept. Ctrl-C ends the search early.
    """
    return _Search(model, starts, judge, plan or Plan(), progress).run()
