"""Quorums of Flexible Paxos: which are enough, and which are refused, with two that do not meet."""

from __future__ import annotations

from typing import Any

import pytest

from happysim import HappysimError, World, Write
from happysim.protocols.flexible_paxos import (
    FlexiblePaxosNode,
    Quorums,
    grid,
    listed,
    majority,
    sizes,
    weights,
)
from happysim.protocols.multi_paxos import MultiPaxosNode, Role
from properties.flexible_paxos import GRID, PAIRS, WEIGHTS
from properties.multi_paxos import client, cluster, elect
from properties.raft import along, ask

NAMES = ("n1", "n2", "n3", "n4")


def led(phases: tuple[Any, Any], *voters: str) -> World:
    """n1 has stood, these have promised, and a client has asked it."""
    asking = client("c1", ("n1", Write(1)))
    return elect(cluster(4, asking, kind=FlexiblePaxosNode, phases=phases), "n1", *voters)


def chosen_by(world: World, *acceptors: str) -> int:
    """How many slots n1 knows to be chosen after these have accepted the first."""
    world = ask(world, "c1")
    for name in acceptors:
        world = along(world, f"deliver n1 -> {name} Accept", f"deliver {name} -> n1 Accepted")
    return int(world["n1"].chosen)


@pytest.mark.parametrize(
    ("phases", "too_few", "voters"),
    [
        ((3, 2), ("n2",), ("n2", "n3")),
        ((4, 1), ("n2", "n3"), ("n2", "n3", "n4")),
        ((2, 3), (), ("n4",)),
        (GRID, ("n3",), ("n2",)),
        ((weights(WEIGHTS, 4), weights(WEIGHTS, 2)), ("n2",), ("n2", "n3")),
        (PAIRS, ("n4",), ("n2",)),
    ],
)
def test_a_quorum_of_phase_1_elects(
    phases: tuple[Any, Any], too_few: tuple[str, ...], voters: tuple[str, ...]
) -> None:
    assert led(phases, *too_few)["n1"].role is Role.CANDIDATE
    assert led(phases, *voters)["n1"].role is Role.LEADER


@pytest.mark.parametrize(
    ("phases", "voters", "too_few", "acceptors"),
    [
        ((3, 2), ("n2", "n3"), (), ("n4",)),
        ((2, 3), ("n2",), ("n2",), ("n2", "n4")),
        (GRID, ("n2",), ("n2",), ("n4",)),
        ((weights(WEIGHTS, 3), weights(WEIGHTS, 3)), ("n2",), (), ("n3",)),
        (PAIRS, ("n2",), ("n2",), ("n3",)),
    ],
)
def test_a_quorum_of_phase_2_chooses(
    phases: tuple[Any, Any],
    voters: tuple[str, ...],
    too_few: tuple[str, ...],
    acceptors: tuple[str, ...],
) -> None:
    world = led(phases, *voters)
    assert chosen_by(world, *too_few) == 0
    assert chosen_by(world, *acceptors) == 1


def test_one_server_may_choose_where_all_elect() -> None:
    assert chosen_by(led((4, 1), "n2", "n3", "n4")) == 1


def test_quorums_by_name_that_need_not_meet_are_refused_when_a_server_is_made() -> None:
    rows, _ = grid([["n1", "n2"], ["n3", "n4"]])
    with pytest.raises(HappysimError, match=r"n1: .* elected by \{n1, n2\} .* what \{n3, n4\} "):
        FlexiblePaxosNode("n1", phase_1=rows, phase_2=rows)


def test_sizes_that_need_not_meet_are_refused_once_the_cluster_is_known() -> None:
    said = r"elected by \{n1, n2\} .* what \{n3, n4\} chose; make every quorum of phase_1 meet"
    with pytest.raises(HappysimError, match=said):
        FlexiblePaxosNode("n1", peers=("n2", "n3", "n4"), phase_1=2, phase_2=2)
    with pytest.raises(HappysimError, match=said):
        World.of(*(FlexiblePaxosNode(name, phase_1=2, phase_2=2) for name in NAMES))


def test_a_size_and_a_majority_have_to_meet_too() -> None:
    with pytest.raises(HappysimError, match="may not hear what"):
        World.of(*(MultiPaxosNode(name, phase_2=1) for name in NAMES))


@pytest.mark.parametrize(
    ("phase_1", "phase_2"),
    [
        (majority("n1", "n2", "n5"), 4),
        (4, listed(["n1", "n5"])),
    ],
)
def test_quorums_of_strangers_are_refused(phase_1: Quorums | int, phase_2: Quorums | int) -> None:
    with pytest.raises(HappysimError, match=r"n1: phase_[12] names n5, not in the cluster"):
        World.of(*(FlexiblePaxosNode(name, phase_1=phase_1, phase_2=phase_2) for name in NAMES))


@pytest.mark.parametrize("size", [0, 5])
def test_sizes_that_there_are_not_are_refused(size: int) -> None:
    with pytest.raises(HappysimError, match=f"needed={size} of 4 votes"):
        World.of(*(FlexiblePaxosNode(name, phase_1=4, phase_2=size) for name in NAMES))


@pytest.mark.parametrize("phases", [(None, None), (3, None), (None, sizes(NAMES, 2))])
def test_both_phases_have_to_be_given(phases: tuple[Any, Any]) -> None:
    with pytest.raises(HappysimError, match="give both, as numbers of servers or quorum systems"):
        FlexiblePaxosNode("n1", phase_1=phases[0], phase_2=phases[1])
