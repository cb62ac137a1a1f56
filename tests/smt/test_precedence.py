"""What may change places: every order that is left ends in the same world, and gets its times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations

import pytest

from happysim import (
    Choice,
    Faults,
    Host,
    Node,
    Random,
    Script,
    World,
    message,
    on,
    realise_schedule,
)
from happysim.sim.scripted import replay_in_time
from happysim.smt.occurrences import occurrences
from happysim.smt.precedence import as_it_stands, precedence
from happysim.smt.realise import Realised, Unrealisable
from happysim.smt.timing import Timing
from properties.clients import asks
from tests.smt.random_protocols import NETWORKS, protocol, walk


def end_of(world: World, schedule: list[Choice]) -> World | None:
    """Where a schedule ends; None where a choice is not there, as a message not sent yet."""
    for choice in schedule:
        if choice not in world.choices():
            return None
        world = world.step(choice)
    return world


def an_order(random: Random, pairs: list[tuple[int, int]], count: int) -> list[int]:
    """Steps in some order that keeps the pairs."""
    order, left = [0], set(range(1, count + 1))
    while left:
        ready = [n for n in sorted(left) if all(a in order for a, b in pairs if b == n)]
        order.append(random.choice(ready))
        left.remove(order[-1])
    return order[1:]


@pytest.mark.parametrize("network", NETWORKS)
def test_steps_in_another_order_that_keeps_the_pairs_end_in_the_same_world(network: str) -> None:
    moved = 0
    for seed in range(60):
        start = protocol(seed, network)
        taken, end = walk(start, seed, 14)
        pairs = precedence(start, list(occurrences(start, taken)))
        for draw in range(4):
            order = an_order(Random(draw), pairs, len(taken))
            found = end_of(start, [taken[number - 1] for number in order])
            if found is not None:
                assert (found.numbers, found.history) == (end.numbers, end.history), (seed, draw)
                moved += order != sorted(order)
    assert moved > 30


@message
class Beat:
    number: int


class Heart(Node):
    """Beats on and on, and anew from when it hears the other; it remembers in which order."""

    beats: int = 0
    story: tuple[str, ...] = ()

    def on_start(self, host: Host) -> None:
        host.set_timer("beat", seconds=(0.9, 1.1))

    @on.timer("beat")
    def beat(self, host: Host) -> None:
        self.beats += 1
        self.story += ("beat",)
        for peer in host.peers:
            host.send(peer, Beat(self.beats))
        host.set_timer("beat", seconds=(0.9, 1.1))

    @on(Beat)
    def hear(self, host: Host, sender: str, beat: Beat) -> None:
        self.story += (f"heard {beat.number}",)
        host.set_timer("beat", seconds=(0.5, 0.6))


def hearts() -> World:
    return World.of(Heart("a"), Heart("b"))


def orders(start: World, taken: list[Choice], end: World) -> Iterator[list[Choice]]:
    """All schedules of the same choices with the same last that end in the same world."""
    for order in permutations(range(len(taken) - 1)):
        schedule = [*(taken[number] for number in order), taken[-1]]
        found = end_of(start, schedule)
        if found is not None and found.numbers == end.numbers:
            yield schedule


def test_reordering_finds_times_where_some_order_has_them_and_only_there() -> None:
    start, timing = hearts(), Timing(latency=("0.1", "0.3"))
    seen: Counter[tuple[bool, bool]] = Counter()
    for seed in range(30):
        taken, end = walk(start, seed, 5)
        plain = realise_schedule(start, taken, timing)
        found = realise_schedule(start, taken, timing, reorder=True)
        seen[isinstance(plain, Realised), isinstance(found, Realised)] += 1
        if isinstance(found, Realised):
            run = replay_in_time(start, found.schedule)
            again = end_of(start, [replace(choice, at=None) for choice in run.schedule])
            assert again is not None
            assert again.numbers == end.numbers, seed
        else:
            assert isinstance(found, Unrealisable)
            for order in orders(start, taken, end):
                assert isinstance(realise_schedule(start, order, timing), Unrealisable)
    assert not seen[True, False]
    assert min(seen.values()) >= 3, seen


@message
class Ask: ...


class Deaf(Node):
    @on(Ask)
    def ignore(self, host: Host, sender: str, ask: Ask) -> None: ...


def asking() -> World:
    """Two clients whose requests the history tells of, and servers that crash one at a time."""
    clients = (Script(name, asks, ("a", Ask())) for name in ("c1", "c2"))
    faults = Faults(crashes=2, restarts=1, down_max=1, drops=1)
    return World.of(Deaf("a"), Deaf("b"), *clients, faults=faults)


FIRST, SECOND = (f"invoke {name} -> a Ask() as call 1" for name in ("c1", "c2"))


@pytest.mark.parametrize(
    ("schedule", "pairs"),
    [
        # Requests are in the history in their order.
        ([FIRST, SECOND, "crash b"], [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)]),
        # b crashes when a is up again; c1 asks whenever it likes, but for the last step.
        (
            ["crash a", "restart a", FIRST, "crash b", SECOND],
            [(0, 1), (1, 2), (0, 3), (0, 4), (2, 4), (0, 5), (2, 5), (3, 5), (4, 5)],
        ),
        # A fault of the network keeps its place, whichever message it befalls.
        (
            [FIRST, SECOND, "drop c1 -> a Ask() as call 1", "crash b"],
            [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3), (3, 4)],
        ),
    ],
)
def test_what_keeps_its_order(schedule: list[str], pairs: list[tuple[int, int]]) -> None:
    found = set(precedence(asking(), list(occurrences(asking(), schedule))))
    assert found == set(pairs)


def test_a_schedule_as_it_stands_is_one_chain() -> None:
    assert as_it_stands(3) == [(0, 1), (1, 2), (2, 3)]
