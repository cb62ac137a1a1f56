"""A scenario is a function that returns a world, or several of one shape by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from happysim import Faults, Host, Node, ScenarioError, World, action, durable, explore, on, ordered
from happysim.spec.scenario import Scenario, bounded, load, scenario_of
from tests.support.nodes import Counter, Ping, chain


class Kept(Node):
    value: int = 0
    disk: int = durable(0)

    @on(Ping)
    def ping(self, host: Host, sender: str, ping: Ping) -> None:
        self.value = ping.value


class Greeter(Kept):
    @action
    def greet(self, host: Host) -> None:
        host.send("n", Ping(1))


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (lambda: None, ["returned a NoneType", "return World.of("]),
        (lambda: Counter("n"), ["returned a Counter", "return World.of("]),
        (lambda: [chain()], ["returned a list"]),
        (dict, ["no world at all", "at least one"]),
        (lambda: {"a": chain(), "b": 3}, ["returned a int"]),
        (lambda: {1: chain(), "1": chain(4)}, ["'1'", "twice"]),
        (lambda: {"a": chain(), "b": World.of(Counter("m"))}, ["same nodes"]),
        (lambda: {"a": chain(), "b": World.of(Kept("n"))}, ["classes"]),
        (lambda: {"a": chain(), "b": World.of(Counter("n"), network=ordered())}, ["network"]),
        (lambda: {"a": chain(), "b": World.of(Counter("n"), faults=Faults(drops=1))}, ["faults"]),
        (
            lambda: {
                str(value): World.of(Kept("n", value), faults=Faults(crashes=1)) for value in (1, 2)
            },
            ["crash", "made with"],
        ),
    ],
)
def test_what_is_no_scenario_is_refused(make: Callable[[], Any], parts: list[str]) -> None:
    with pytest.raises(ScenarioError) as refused:
        explore(make)
    assert [part for part in parts if part not in str(refused.value)] == []


def test_worlds_of_one_shape_may_hold_other_values_other_messages_and_other_faults_left() -> None:
    def made(*steps: str) -> World:
        return World.of(Greeter("n"), faults=Faults(drops=1)).after(*steps)

    # Each from tables of its own.
    worlds = Scenario(
        lambda: {
            "first": made(),
            "sent": made("act n greet"),
            "dropped": made("act n greet", "drop n -> n Ping(value=1)"),
        }
    ).worlds
    assert [len(world.in_flight) for world in worlds.values()] == [0, 1, 0]
    assert [world.faults_left["drops"] for world in worlds.values()] == [1, 1, 0]


def test_a_world_brought_from_other_tables_is_the_same_world() -> None:
    def made(count: int, *steps: str) -> World:
        return World.of(Counter("n", 5, count), Counter("m")).after(*steps)

    given = {"a": made(0), "b": made(3, "act m up"), "c": made(1, "act n up")}
    worlds = Scenario(lambda: given).worlds

    assert len({id(world.tables) for world in worlds.values()}) == 1
    assert worlds == given
    assert {name: world.digest() for name, world in worlds.items()} == {
        name: world.digest() for name, world in given.items()
    }


def test_durable_fields_may_differ_where_nodes_crash() -> None:
    # A crash keeps them, so what they were made with is no part of the shape.
    report = explore(
        lambda: {str(n): World.of(Kept("n", 0, n), faults=Faults(crashes=1)) for n in (1, 2)}
    )
    # up, down and up again, for each of the two.
    assert report.worlds == 6


def test_a_scenario_is_named_by_its_function_and_arguments() -> None:
    scenario = scenario_of(chain, {"limit": 4})

    assert str(scenario) == "chain(limit=4)"
    assert scenario.name == "tests.support.nodes:chain"
    assert len(scenario.worlds) == 1
    assert load(scenario.name, {"limit": 4}).worlds[""] == chain(4)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("no.such.module:f", "no module no.such.module"),
        ("tests.support.nodes:nothing", "no scenario nothing"),
        ("tests.support.nodes:", "no scenario"),
    ],
)
def test_a_name_that_leads_nowhere_says_where_it_ends(name: str, part: str) -> None:
    with pytest.raises(ScenarioError, match=part):
        load(name, {})


def test_a_world_is_a_scenario_too_and_takes_no_arguments() -> None:
    assert scenario_of(chain()).worlds[""] == chain()
    with pytest.raises(ScenarioError, match="limit"):
        scenario_of(chain(), {"limit": 3})


def test_bounds_stay_with_the_function() -> None:
    @bounded(max_depth=3, unknown_passes=True)
    def some() -> World:
        return chain()

    assert scenario_of(some).bounds.max_depth == 3
    assert scenario_of(some).bounds.unknown_passes
    assert scenario_of(chain).bounds.max_depth is None


def greeted(*before: str) -> World:
    return World.of(Kept("n"), Greeter("g")).after(*before)


def test_a_loosened_first_world_has_just_started_too() -> None:
    """So that a simulation starts its nodes, and knows since when their timers are set."""
    fresh = scenario_of(greeted).loosened().worlds[""]
    assert fresh.tables.first == fresh.numbers
    later = scenario_of(lambda: greeted("act g greet")).loosened().worlds[""]
    assert later.tables.first != later.numbers
