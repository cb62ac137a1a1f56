"""State counts that other tools have published, or that follow by counting on paper.

*Unique* states, states *generated* (the first ones, and one for each step) and the *depth* of a
breadth-first search, whose first state has depth 1. Where a model exists in two forms, as one raw
system and as nodes that exchange messages, both must give the same states.

Sources: the models and asserted counts of Stateright's examples (two-phase commit, increment,
single-copy register, ABD, Paxos, ping-pong), of the TLA+ examples as TLC counts them (EWD840,
Chang-Roberts, MCPaxosTiny).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from happysim import (
    Property,
    Register,
    Report,
    Scenario,
    World,
    bfs,
    dfs,
    duplicating,
    explore,
    linearizable,
    ordered,
    unordered,
)
from happysim.search.policy import Policy
from tests.oracles.models import counters, mc_paxos, paxos, register, rings, small, two_phase


@dataclass(frozen=True)
class Row:
    """One model, and what is known of it. Both policies share its tables."""

    scenario: Scenario
    unique: int
    generated: int | None = None
    depth: int | None = None
    history: bool = True
    within: Callable[[World], bool] | None = None
    large: bool = False  # minutes and gigabytes on the reference kernel

    def explored(self, by: Policy) -> Report:
        return explore(self.scenario, by=by, history=self.history, within=self.within)


def row(
    function: Callable[..., Any], arguments: dict[str, Any], *known: Any, **options: Any
) -> Any:
    """A row of the table below, with a readable test id."""
    marks = options.pop("marks", ())
    scenario = Scenario(function, tuple(arguments.items()))
    shown = "-".join(f"{getattr(value, 'kind', value)}" for value in arguments.values())
    suffix = "" if options.get("history", True) else "-without-history"
    name = f"{function.__name__}-{shown}".strip("-")
    return pytest.param(Row(scenario, *known, **options), id=name + suffix, marks=marks)


def steps_of_messages(managers: int, raw_generated: int) -> int:
    """What two-phase commit as messages generates: the raw system's count without its self-loops.

    While the coordinator is undecided, each manager is working, aborted, or prepared with its
    message noted or not: 4^N states, in which receiving a noted message again is a loop. Committed,
    each manager is prepared or committed: 2^N. Aborted, each has sent nothing, sent or been noted,
    and has aborted or not: 6^N, in which an aborted manager receives Abort again in a loop.
    """
    n = managers
    loops = n * 4 ** (n - 1) + n * 2 ** (n - 1) + 3 * n * 6 ** (n - 1)
    return raw_generated - loops


def counters_at_most(largest: int) -> Callable[[World], bool]:
    return lambda world: max(world["p0"].count, world["p1"].count) <= largest


slow = pytest.mark.slow

ROWS = [
    row(two_phase.raw, {"managers": 3}, 288, 1_146, 11),
    row(two_phase.raw, {"managers": 5}, 8_832, 58_146, 17),
    row(two_phase.messages, {"managers": 3}, 288, steps_of_messages(3, 1_146), 11),
    row(two_phase.messages, {"managers": 5}, 8_832, steps_of_messages(5, 58_146), 17),
    row(two_phase.messages, {"managers": 7}, 296_448, steps_of_messages(7, 2_744_706), 23),
    row(
        two_phase.messages,
        {"managers": 8},
        1_745_408,
        steps_of_messages(8, 18_507_778),
        26,
        marks=slow,
    ),
    row(
        two_phase.messages,
        {"managers": 9},
        10_340_352,
        steps_of_messages(9, 123_558_402),
        29,
        large=True,
        marks=slow,
    ),
    row(counters.increment, {"threads": 2}, 13),
    row(counters.increment, {"threads": 3}, 84),
    row(counters.increment, {"threads": 4}, 755),
    row(counters.increment, {"threads": 5}, 8_638),
    row(counters.locked_increment, {"threads": 2}, 17),
    row(counters.locked_increment, {"threads": 3}, 61),
    row(counters.locked_increment, {"threads": 4}, 257),
    row(counters.locked_increment, {"threads": 5}, 1_301),
    row(rings.ewd840, {"nodes": 3}, 302, None, 9),
    row(rings.chang_roberts, {}, 137, None, 10),
    row(mc_paxos.mc_paxos_tiny, {}, 3_921, None, 17),
    row(register.single_copy, {"servers": 1, "clients": 2}, 93, 121, 9),
    row(register.single_copy, {"servers": 1, "clients": 2}, 49, history=False),
    row(register.single_copy, {"servers": 1, "clients": 3}, 4_243, 6_778, 13),
    row(register.single_copy, {"servers": 1, "clients": 3}, 553, history=False),
    row(register.single_copy, {"servers": 1, "clients": 4}, 400_233, 731_789, 17, marks=slow),
    row(register.single_copy, {"servers": 2, "clients": 2}, 62, 81, 9),
    row(register.single_copy, {"servers": 2, "clients": 2}, 33, history=False),
    row(register.abd, {"servers": 2, "clients": 2}, 544, 875, 25),
    row(register.abd, {"servers": 2, "clients": 2}, 325, history=False),
    row(
        register.abd,
        {"servers": 3, "clients": 2},
        41_138_199,
        194_646_243,
        33,
        large=True,
        marks=slow,
    ),
    row(paxos.paxos, {"servers": 3, "clients": 1}, 265, 482, 14),
    row(paxos.paxos, {"servers": 3, "clients": 1}, 265, 482, 14, history=False),
    row(paxos.paxos, {"servers": 3, "clients": 2}, 16_668, 32_971, 21),
    row(paxos.paxos, {"servers": 3, "clients": 2}, 16_668, 32_971, 21, history=False),
    row(paxos.paxos, {"servers": 3, "clients": 3}, 1_194_428, 2_420_477, 28, marks=slow),
    row(
        paxos.paxos,
        {"servers": 3, "clients": 6},
        9_357_525,
        18_972_647,
        large=True,
        marks=slow,
    ),
    # A ball on its way or lost, for every length of the rally: 2^(2m+2) - 2.
    *(
        row(small.ping_pong, {"most": m}, 2 ** (2 * m + 2) - 2, within=counters_at_most(m))
        for m in (1, 2, 3, 4, 5)
    ),
    # Every set of at most k of 3 nodes may be down.
    row(small.inert, {"nodes": 3, "down_max": 1}, 1 + 3),
    row(small.inert, {"nodes": 3, "down_max": 2}, 1 + 3 + 3),
    row(small.inert, {"nodes": 3, "down_max": 3}, 1 + 3 + 3 + 1),
    row(small.no_op, {"network": duplicating()}, 2),
    row(small.no_op, {"network": unordered()}, 2),
    row(small.no_op, {"network": ordered()}, 3),
]


@pytest.mark.parametrize("by", [bfs(), dfs()], ids=["bfs", "dfs"])
@pytest.mark.parametrize("known", ROWS)
def test_counts_are_the_published_ones(known: Row, by: Policy, kernel: str) -> None:
    if known.large and kernel == "reference":
        pytest.skip("a search for the native kernel")
    report = known.explored(by)
    assert report.complete
    assert report.worlds == known.unique
    assert known.generated in (None, report.generated)
    if by == bfs():
        assert known.depth in (None, report.depth)


def over(scenario: Callable[..., World], **arguments: Any) -> Property:
    return linearizable(scenario, Register(), **arguments)


@pytest.mark.parametrize("by", [bfs(), dfs()], ids=["bfs", "dfs"])
@pytest.mark.parametrize(
    "prop",
    [
        two_phase.managers_agree,
        two_phase.raw_managers_agree,
        rings.termination_is_detected_rightly,
        rings.the_smallest_initiator_alone_wins,
        mc_paxos.one_value_is_chosen,
        over(register.single_copy, servers=1, clients=2),
        over(register.single_copy, servers=1, clients=3),
        over(register.abd),
        over(paxos.paxos),
    ],
    ids=lambda prop: str(prop.scenario),
)
def test_correct_algorithms_hold(prop: Property, by: Policy) -> None:
    report = explore(prop.scenario, prop, by=by)
    assert report[prop].holds


@pytest.mark.parametrize("by", [bfs(), dfs()], ids=["bfs", "dfs"])
def test_a_get_from_another_single_copy_is_not_linearizable(by: Policy) -> None:
    prop = over(register.single_copy, servers=2, clients=2)
    report = explore(prop.scenario, prop, by=by)
    assert report[prop].broken
    # c2 writes at s0 and reads at s1, which knows of no write: four deliveries.
    assert by == dfs() or len(report[prop].schedule) == 4


def test_a_node_that_is_down_can_always_recover() -> None:
    """However many are down, every node that is down may restart: no world is a dead end."""
    world = small.inert(3, 3)
    for name in ("n0", "n1", "n2"):
        world = world.step(f"crash {name}")
    assert {str(choice) for choice in world.choices()} == {
        "restart n0",
        "restart n1",
        "restart n2",
    }
