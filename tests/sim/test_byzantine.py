"""Byzantine nodes: which lies there are, as branches of a search and as draws of a simulation."""

from __future__ import annotations

from typing import Any

import pytest

from happysim.core.byzantine import byzantine
from happysim.core.errors import ProtocolError
from happysim.core.freeze import freeze
from happysim.core.host import Host
from happysim.core.message import message
from happysim.core.node import Node, on
from happysim.core.script import Script, call
from happysim.core.world import World
from happysim.search.check import check
from happysim.search.schedule import follow
from happysim.sim.policy import simulated
from happysim.sim.simulation import Simulation
from happysim.spec.verdict import Broken
from properties import byzantine as protocols
from properties.broken import byzantine as broken


@message
class Say:
    number: int


class Talker(Node):
    """Says 1 to all once it is told to, then 2; notes what it hears from whom."""

    heard: list[tuple[str, int]] = []

    def on_start(self, host: Host) -> None:
        if host.name == "a":
            host.set_timer("one", seconds=1)
            host.set_timer("two", seconds=2)

    @on.timer("one")
    def one(self, host: Host) -> None:
        host.broadcast(Say(1))

    @on.timer("two")
    def two(self, host: Host) -> None:
        host.send("b", Say(2))

    @on(Say)
    def say(self, host: Host, sender: str, say: Say) -> None:
        self.heard.append((sender, say.number))


def talk(mutate: Any = None, **lies: int) -> World:
    liar = byzantine(Talker, mutate=mutate, **lies)
    return World.of(liar("a"), Talker("b"), Talker("c"))


def options(world: World, timer: str = "one") -> list[str]:
    found = [str(each).partition(" choosing ")[2] for each in world.choices()]
    return [text for each, text in zip(world.choices(), found, strict=True) if each.what == timer]


def test_an_equivocator_may_tell_each_receiver_something_else_once() -> None:
    world = talk(equivocates=1)
    assert options(world) == [
        "'honest', 'honest'",
        "'honest', 'Say(number=0) instead'",
        "'Say(number=0) instead'",
    ]
    said = world.step("fire a one choosing 'Say(number=0) instead'")
    assert [(m.target, m.message.number) for m in said.in_flight] == [("b", 0), ("c", 1)]
    assert said["a"].equivocates_left == 0
    assert options(said, "two") == [""]


def test_what_an_equivocator_says_can_be_given_and_may_depend_on_the_receiver() -> None:
    def louder(say: Say, to: str) -> list[Say]:
        return [Say(say.number + 10), Say(say.number + 20)] if to == "c" else []

    assert options(talk(louder, equivocates=1)) == [
        "'honest'",
        "'Say(number=11) instead'",
        "'Say(number=21) instead'",
    ]


def test_a_silent_node_keeps_a_message_back() -> None:
    said = talk(silent=1).step("fire a one choosing 'silent'")
    assert [message.target for message in said.in_flight] == ["c"]


def test_a_forger_speaks_under_the_name_of_a_peer() -> None:
    world = talk(lambda say, to: None, forges=1)
    assert options(world) == [
        "'nothing more', 'nothing more'",
        "'nothing more', 'Say(number=1) as b'",
        "'Say(number=1) as c'",
    ]
    said = world.step("fire a one choosing 'Say(number=1) as c'")
    heard = said.after("deliver c -> b Say(number=1)", "deliver a -> b Say(number=1)")
    assert heard["b"].heard == [("c", 1), ("a", 1)]


def test_a_replayer_sends_again_what_it_has_sent() -> None:
    said = talk(replays=1).step("fire a one choosing 'nothing more'")
    again = said.step("fire a two choosing 'Say(number=1) to c again'")
    assert [(m.target, m.message.number) for m in again.in_flight] == [
        ("b", 1),
        ("b", 2),
        ("c", 1),
        ("c", 1),
    ]


def test_a_lying_server_answers_its_client_otherwise_or_not_at_all() -> None:
    class Server(Node):
        @on(Say)
        def say(self, host: Host, sender: str, say: Say) -> None:
            host.reply(say.number)

    def client() -> Any:
        yield call("s", Say(4))

    world = World.of(byzantine(Server, equivocates=1, silent=1)("s"), Script("c", client))
    world = world.step(world.choices()[0])
    assert [each.choosing for each in world.choices()] == ["'honest'", "'5 instead'", "'silent'"]


def test_the_same_lies_of_the_same_nodes_are_the_same_class() -> None:
    assert byzantine(Talker, silent=1) is byzantine(Talker, silent=1)
    assert byzantine(Talker, silent=1) is not byzantine(Talker, silent=2)
    assert talk(silent=1)["b"].name == "b"
    assert talk(silent=1).nodes(Talker)[0].name == "a"


@pytest.mark.parametrize(
    ("lies", "complaint"),
    [
        ({}, "give it a budget, as equivocates=1"),
        ({"silent": -1}, r"byzantine\(silent=-1\): a budget is a whole number"),
        ({"replays": True}, "a budget is a whole number"),
    ],
)
def test_lies_that_make_no_sense_are_refused(lies: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ProtocolError, match=complaint):
        byzantine(Talker, **lies)


def test_a_field_that_is_in_the_way_is_named() -> None:
    class Quiet(Node):
        silent_left: int = 0

    with pytest.raises(ProtocolError, match="its field silent_left is in the way"):
        byzantine(Quiet, silent=1)


@pytest.mark.parametrize("seed", range(5))
def test_lies_are_drawn_in_a_simulation_and_the_run_replays_without_time(seed: int) -> None:
    world = talk(equivocates=1, silent=1, forges=1, replays=1)
    run = Simulation(world, seed=seed, trace=True).run(5)
    again = follow(world, run.schedule).worlds[-1]
    for name in "abc":
        assert freeze(again[name].heard) == freeze(run.world[name].heard)
    assert any(each.choosing.count("'") > 2 for each in run.schedule)


@pytest.mark.parametrize(
    ("prop", "correct"),
    [
        (
            broken.two_values_are_delivered_as_the_source_said,
            protocols.no_two_members_deliver_different_values,
        ),
        (broken.a_deposit_counts_twice, protocols.no_deposit_counts_twice),
    ],
)
def test_what_believes_too_much_breaks_in_a_simulation_too(prop: Any, correct: Any) -> None:
    found = check(prop, by=simulated(1, runs=200, until=5))
    assert isinstance(found, Broken)
    assert not check(correct, by=simulated(1, runs=200, until=5)).broken
