"""Worlds that others stand for: those with less in flight, and those with what comes to nothing.

Both are sound for safety on a network that may delay a message for ever: whoever has more in flight
can do all that whoever has less can do.
"""

from __future__ import annotations

from collections import defaultdict, deque
from functools import cache

from benchmarks.reduced.space import Found, Space
from happysim.kernel.contract import Numbers


def subsumed(space: Space, depth_first: bool) -> Found:
    """Without worlds that have the local states of another one and less in flight.

    A world is left out where one with more was met before it, or before its turn to be expanded.
    """
    most: defaultdict[object, dict[Numbers, frozenset[object]]] = defaultdict(dict)
    seen: set[Numbers] = set()
    queue: deque[Numbers] = deque()
    steps = expanded = 0

    def meet(world: Numbers) -> None:
        seen.add(world)
        others, flying = most[space.states(world), world[-2:]], in_flight(space, world)
        if not any(flying <= other for other in others.values()):
            for less in [each for each, other in others.items() if other <= flying]:
                del others[less]
            others[world] = flying
            queue.append(world)

    for first in space.firsts:
        meet(first)
    while queue:
        world = queue.pop() if depth_first else queue.popleft()
        if world not in most[space.states(world), world[-2:]]:
            continue
        expanded += 1
        for _, after in space.events(world):
            if after in seen or space.inside(after):
                steps += 1
                if after not in seen:
                    meet(after)
    return Found(expanded, steps)


def in_flight(space: Space, world: Numbers) -> frozenset[object]:
    """Every copy of every message in flight."""
    return frozenset(
        (slot, number, copy)
        for slot in range(len(world) - 2)
        for number, copies in space.waiting(world, slot)
        for copy in range(copies)
    )


def without_echoes(space: Space) -> int:  # noqa: C901 - three remembered questions in one
    """How many worlds of the last search differ in more than messages that lead to dead ones only.

    Such a message changes no local state, now or later, and what is sent for it does neither. That
    depends on the local states of several processes, so it is asked of each world.
    """
    tables = space.tables

    @cache
    def later(slot: int, state: int) -> frozenset[int]:
        found, todo = {state}, [state]
        while todo:
            for after in space.steps[slot].get(todo.pop(), ()):
                if after not in found:
                    found.add(after)
                    todo.append(after)
        return frozenset(found)

    @cache
    def sent_for(slot: int, state: int, number: int) -> frozenset[tuple[int, int]] | None:
        """What a message makes a process send, now or later; None where it does more than that."""
        found: set[tuple[int, int]] = set()
        for each in later(slot, state):
            for effect in (
                tables.delivery_effects(slot, each, number) if tables.receives(slot, each) else ()
            ):
                if effect.state != each or effect.record:
                    return None
                found.update((slot, own) for own in effect.own)
                for target, batch in effect.sends:
                    found.update((target, sent) for sent in tables.batches.values[batch])
        return frozenset(found)

    @cache
    def is_echo(states: tuple[int, ...], slot: int, number: int) -> bool:
        todo, seen = [(slot, number)], {(slot, number)}
        while todo:
            to, each = todo.pop()
            sent = sent_for(to, states[to], each)
            if sent is None:
                return False
            todo += sent - seen
            seen |= sent
        return True

    def shown(world: Numbers) -> object:
        states = space.states(world)
        inboxes = [
            tuple(each for each in space.waiting(world, slot) if not is_echo(states, slot, each[0]))
            for slot in range(len(states))
        ]
        return states, tuple(inboxes), world[-2:]

    return len({shown(world) for world in space.worlds})
