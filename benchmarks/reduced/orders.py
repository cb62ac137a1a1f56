"""Fewer orders of events that commute: sleep sets and persistent sets, after Godefroid.

P. Godefroid, "Partial-order methods for the verification of concurrent systems", 1996. Events of
different processes commute here unless both are seen by clients or paid from a budget.
"""

from __future__ import annotations

from collections import defaultdict, deque

from benchmarks.reduced.space import Event, Found, Space
from happysim.core.entries import Cell, Effect
from happysim.kernel.contract import Numbers


def sleep_sets(space: Space) -> Found:
    """Every world, with fewer steps: what was tried before an event that commutes with it sleeps.

    A world is expanded again for what slept each time that it was met, and does not now.
    """
    asleep: dict[Numbers, frozenset[Event]] = {}
    steps = 0
    stack: list[tuple[Numbers, frozenset[Event]]] = [(world, frozenset()) for world in space.firsts]
    while stack:
        world, sleeping = stack.pop()
        before = asleep.get(world)
        awake = None if before is None else before - sleeping
        if awake is not None and not awake:
            continue
        asleep[world] = sleeping if before is None else before & sleeping
        tried = set(sleeping)
        for event, after in space.events(world):
            if event in sleeping or (awake is not None and event not in awake):
                continue
            if after in asleep or space.inside(after):
                steps += 1
                stack.append((after, frozenset(filter(event.commutes, tried))))
            tried.add(event)
    return Found(len(asleep), steps)


def persistent_sets(space: Space) -> Found:
    """The events of one process alone, where nobody else can send it anything new before it acts.

    What others may send is found by closing their local states over what they may receive: in each
    world anew, which is as exact as can be and takes long. At least one step must lead to a world
    not seen before, so that no event is put off for ever. What a property sees is not looked at, so
    each local state is met, but not each combination of them: less than most properties need, and
    so a bound on what can be saved.
    """
    return _Persistent(space).search()


class _Persistent:
    def __init__(self, space: Space) -> None:
        self.space, self.tables = space, space.tables
        self.alone: dict[tuple[int, ...], bool] = {}

    def search(self) -> Found:
        space = self.space
        seen, steps = set(space.firsts), 0
        queue = deque(space.firsts)
        while queue:
            world = queue.popleft()
            of: defaultdict[int, list[tuple[Event, Numbers]]] = defaultdict(list)
            for event, after in space.events(world):
                of[event.slot].append((event, after))
            fitting = (
                taken
                for slot, taken in sorted(of.items(), key=lambda each: len(each[1]))
                if self.suffices(world, slot, taken, seen)
            )
            every = [step for taken in of.values() for step in taken]
            for _, after in next(fitting, every):
                if after not in seen:
                    if not space.inside(after):
                        continue
                    seen.add(after)
                    queue.append(after)
                steps += 1
        return Found(len(seen), steps)

    def suffices(
        self,
        world: Numbers,
        slot: int,
        taken: list[tuple[Event, Numbers]],
        seen: set[Numbers],
    ) -> bool:
        """Whether the events of a process may stand for all."""
        return (
            not any(event.recorded or event.paid for event, _ in taken)
            and all(self.space.inside(after) for _, after in taken)
            and not all(after in seen for _, after in taken)
            and self.is_alone(world, slot)
        )

    def is_alone(self, world: Numbers, slot: int) -> bool:
        """Whether nothing that others may send matters to a process as it is."""
        key = (slot, *world[:-2])
        known = self.alone.get(key)
        if known is None:
            state = self.space.states(world)[slot]
            there = {number for number, _ in self.space.waiting(world, slot)}
            copies = self.tables.network.kind == "duplicating"
            known = self.alone[key] = not any(
                self.tables.receives(slot, state)
                and self.tables.delivery_effects(slot, state, number)
                for number in self.may_send(world, slot)
                if not (copies and number in there)
            )
        return known

    def may_send(self, world: Numbers, to: int) -> set[int]:
        """The messages to a process that others may send while it does nothing."""
        space = self.space
        sent: list[set[int]] = [
            {number for number, _ in space.waiting(world, slot)} for slot in range(len(world) - 2)
        ]
        states = [{state} for state in space.states(world)]
        found: set[int] = set()
        done: set[tuple[int, int, int]] = set()
        while True:
            todo = {
                (slot, state, number)
                for slot in range(len(states))
                if slot != to
                for state in states[slot]
                for number in (-1, *sent[slot])
            } - done
            if not todo:
                return found
            done |= todo
            for slot, state, number in todo:
                for effect in self.effects(slot, state, number):
                    if not self.stays_inside(world, slot, effect.state):
                        continue
                    states[slot].add(effect.state)
                    sent[slot].update(effect.own)
                    for target, batch in effect.sends:
                        into = found if target == to else sent[target]
                        into.update(self.tables.batches.values[batch])

    def effects(self, slot: int, state: int, number: int) -> list[Effect]:
        if number < 0:
            free, faults = self.tables.own_effects(slot, state)
            return [each for each in (*free, *faults) if each.state >= 0]
        if not self.tables.receives(slot, state):
            return []
        effects = self.tables.delivery_effects(slot, state, number)
        return [each for each in effects if each.state >= 0]

    def stays_inside(self, world: Numbers, slot: int, state: int) -> bool:
        """Whether a process may come to a local state within the bound, while others stay."""
        alone = list(world)
        alone[slot] = self.tables.cells[slot].number(Cell(state, ()))
        return self.space.inside(tuple(alone))
