"""Numbers are private: they remember every local step, and show in nothing that a user sees."""

from __future__ import annotations

from typing import Any

import pytest

from happysim import Faults, Host, Node, World, action, on
from happysim.core.entries import Numbering
from tests.support.nodes import Counter, Ping


def test_equal_values_have_one_number_and_it_leads_back() -> None:
    numbering = Numbering("zero")
    numbers = [numbering.number(value) for value in ("one", "zero", "one", ("one",))]

    assert numbers == [1, 0, 1, 2]
    assert [numbering.values[number] for number in numbers] == ["one", "zero", "one", ("one",)]
    assert len(numbering) == 3


def test_a_local_step_is_computed_once_whatever_the_rest_of_the_world_is() -> None:
    calls: list[int] = []

    class Spy(Node):
        count: int = 0

        @action(when=lambda self: self.count < 20)
        def up(self, host: Host) -> None:
            calls.append(self.count)
            self.count += 1

    world = World.of(Spy("a"), Counter("b", 9))
    for first in ("act a up", "act b up"):
        for second in ("act a up", "act b up"):
            world.after(first, second).choices()
    # 0, 1 and 2, each twice: the second run is the check for determinism.
    assert sorted(calls) == [0, 0, 1, 1, 2, 2]


class Chooser(Node):
    values: tuple[Any, ...] = ()

    @action(when=lambda self: len(self.values) < 2)
    def pick(self, host: Host) -> None:
        host.send("b", Ping(host.choose([2, 1])))

    @on(Ping)
    def ping(self, host: Host, sender: str, ping: Ping) -> None:
        self.values += (ping.value,)


@pytest.mark.parametrize(
    "warm_up", [(), ("act a pick choosing 1",), ("act a pick choosing 2", "crash b")], ids=len
)
def test_no_order_depends_on_what_was_seen_first(warm_up: tuple[str, ...]) -> None:
    world = World.of(Chooser("a"), Chooser("b"), faults=Faults(crashes=1, drops=1))
    world.after(*warm_up).choices()
    both = world.after("act a pick choosing 2", "act a pick choosing 1")

    assert [str(choice) for choice in both.choices() if choice.source] == [
        "deliver a -> b Ping(value=1)",
        "deliver a -> b Ping(value=2)",
        "drop a -> b Ping(value=1)",
        "drop a -> b Ping(value=2)",
    ]
    assert [sent.message.value for sent in both.in_flight] == [1, 2]


def test_the_lines_of_a_world_are_all_its_content_in_a_fixed_order() -> None:
    faults = Faults(drops=1, crashes=1, partitions=1, unsynced_loss=True)
    world = World.of(Counter("a"), Counter("b", 0, 7), faults=faults).after("partition b | a")

    assert world.lines() == [
        "a.(status) = up",
        "a.limit = 3",
        "a.count = 0",
        "a.timers = []",
        "b.(status) = up",
        "b.limit = 0",
        "b.count = 7",
        "b.timers = []",
        "faults left: 1 0 1 1 0 1",
        "partition: b | a",
    ]
