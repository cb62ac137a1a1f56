"""What a Paxos node does, one behaviour at a time, along schedules made by hand."""

from __future__ import annotations

from typing import Any

import pytest

from happysim import Faults, HappysimError, World
from happysim.protocols.ballot import NO_BALLOT, Ballot
from happysim.protocols.paxos import Decided, PaxosNode, Proposal
from properties.paxos import client, cluster, duel
from properties.raft import along
from tests.support.worlds import answers


def promised(world: World, proposer: str, acceptor: str) -> World:
    """Phase 1 between two nodes."""
    return along(
        world,
        f"deliver {proposer} -> {acceptor} Prepare(ballot={ballot(world, proposer)}",
        f"deliver {acceptor} -> {proposer} Promise(ballot={ballot(world, proposer)}",
    )


def ballot(world: World, proposer: str) -> str:
    return f"Ballot({world[proposer].ballot.round}, '{proposer}')"


def accepted(world: World, proposer: str, acceptor: str) -> World:
    """Phase 2 between two nodes."""
    number = ballot(world, proposer)
    return along(
        world,
        f"deliver {proposer} -> {acceptor} Accept(proposal=Proposal(ballot={number}",
        f"deliver {acceptor} -> {proposer} Accepted(ballot={number}",
    )


def test_a_majority_of_promises_and_of_acceptances_chooses() -> None:
    world = cluster(3, proposals=("x",))
    assert (world["n1"].ballot, world["n1"].promised) == (Ballot(1, "n1"),) * 2
    world = promised(world, "n1", "n2")
    assert (world["n1"].value, world["n1"].accepted) == ("x", Proposal(Ballot(1, "n1"), "x"))
    world = accepted(world, "n1", "n2")
    assert world["n1"].chosen == "x"
    world = along(world, "deliver n1 -> n2 Decided", "deliver n1 -> n3 Decided")
    assert [world[name].chosen for name in ("n2", "n3")] == ["x", "x"]
    assert [world[name].timers for name in ("n1", "n2", "n3")] == [()] * 3


class Clock:
    """A host that only notes for how long timers are set."""

    def __init__(self) -> None:
        self.seconds: list[tuple[float, float]] = []

    def set_timer(self, name: str, seconds: tuple[float, float]) -> None:
        self.seconds.append(seconds)


def test_the_longest_wait_doubles_with_each_attempt_six_times() -> None:
    clock: Any = Clock()
    node = PaxosNode("n1", retry_seconds=(1.0, 2.0))
    for attempt in range(1, 10):
        node.promised = Ballot(attempt, "n1")
        node.set_retry_timer(clock)
    longest = [2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 128.0, 128.0]
    assert clock.seconds == [(1.0, most) for most in longest]


def test_half_of_the_acceptors_is_no_majority() -> None:
    world = promised(cluster(4, proposals=("x",)), "n1", "n2")
    assert world["n1"].value is None
    world = accepted(promised(world, "n1", "n3"), "n1", "n2")
    assert world["n1"].chosen is None
    assert accepted(world, "n1", "n3")["n1"].chosen == "x"


def test_an_acceptor_rejects_what_is_below_its_promise_and_says_what_it_promised() -> None:
    world = along(promised(duel(), "n1", "n3"), "deliver n2 -> n3 Prepare")
    world = along(world, "deliver n1 -> n3 Accept")
    assert world["n3"].accepted is None
    world = along(world, "deliver n3 -> n1 Rejected(ballot=Ballot(1, 'n2'))", "fire n1 retry")
    assert world["n1"].ballot == (2, "n1")


def test_the_next_attempt_is_above_whatever_others_have_promised() -> None:
    world = along(duel(), "fire n2 retry", "fire n2 retry")
    world = along(world, f"deliver n2 -> n3 Prepare(ballot={ballot(world, 'n2')}")
    world = along(world, "deliver n1 -> n3 Prepare", "deliver n3 -> n1 Rejected", "fire n1 retry")
    assert world["n1"].ballot == (4, "n1")


def test_the_highest_proposal_reported_is_adopted() -> None:
    """n3 has accepted x itself, and hears of y, under a higher ballot, from n2."""
    world = promised(promised(cluster(5, proposals=("x", "y")), "n1", "n3"), "n1", "n4")
    world = promised(promised(world, "n2", "n4"), "n2", "n5")
    world = along(world, "deliver n1 -> n3 Accept", "fire n3 retry")
    world = promised(promised(world, "n3", "n2"), "n3", "n4")
    assert world["n3"].value == "y"


def test_a_promise_beyond_the_quorum_changes_nothing() -> None:
    world = promised(cluster(3, proposals=("x",)), "n1", "n2")
    world = along(world, "deliver n1 -> n3 Prepare")
    assert not any(str(choice).startswith("deliver n3 -> n1") for choice in world.choices())


def test_a_late_acceptance_does_not_count_for_the_next_attempt() -> None:
    world = along(cluster(3, client("c1", ("n1", "x"))), "invoke c1", "deliver c1 -> n1")
    world = along(promised(world, "n1", "n2"), "deliver n1 -> n2 Accept", "fire n1 retry")
    assert not any("Accepted" in str(choice) for choice in world.choices())
    assert accepted(promised(world, "n1", "n3"), "n1", "n3")["n1"].chosen == "x"


def test_a_client_is_answered_with_the_value_of_another_node() -> None:
    world = along(cluster(3, client("c1", ("n2", "y")), proposals=("x",)), "invoke c1")
    world = accepted(promised(along(world, "deliver c1 -> n2"), "n1", "n3"), "n1", "n3")
    world = along(world, "deliver n1 -> n2 Decided", "deliver n2 -> c1")
    assert answers(world, "c1") == ["x"]


def test_a_client_that_asks_late_is_answered_at_once() -> None:
    world = along(cluster(1, client("c1", ("n1", "x")), proposals=("w",)), "invoke c1")
    world = along(world, "deliver c1 -> n1", "deliver n1 -> c1")
    assert answers(world, "c1") == ["w"]


def test_a_node_that_missed_the_decision_asks_for_it() -> None:
    world = cluster(3, proposals=("x",), catches_up=True)
    world = along(accepted(promised(world, "n1", "n2"), "n1", "n2"), "fire n3 catch up")
    assert "catch up" in world["n3"].timers
    world = along(world, "deliver n3 -> n1 Ask", "deliver n1 -> n3 Decided")
    assert (world["n3"].chosen, world["n3"].timers) == ("x", ())


def test_an_acceptor_finishes_what_a_dead_proposer_began() -> None:
    faults = Faults(crashes=1, restarts=0, crashable=("n1",))
    world = promised(cluster(3, proposals=("x",), faults=faults), "n1", "n2")
    world = along(world, "deliver n1 -> n2 Accept", "crash n1", "fire n2 retry")
    assert accepted(promised(world, "n2", "n3"), "n2", "n3")["n2"].chosen == "x"


def test_a_restarted_node_keeps_its_promise_its_proposal_and_the_decision() -> None:
    faults = Faults(crashes=2, unsynced_loss=True)
    world = promised(cluster(3, proposals=("x",), faults=faults), "n1", "n2")
    world = along(world, "deliver n1 -> n2 Accept", "crash n2", "restart n2")
    node = world["n2"]
    assert (node.promised, node.accepted) == (Ballot(1, "n1"), Proposal(Ballot(1, "n1"), "x"))
    assert (node.ballot, node.timers) == (NO_BALLOT, ("retry",))
    world = along(world, "deliver n2 -> n1 Accepted", "crash n1", "restart n1")
    assert (world["n1"].chosen, world["n1"].ballot) == ("x", NO_BALLOT)


def test_a_restarted_proposer_uses_a_new_ballot() -> None:
    faults = Faults(crashes=1, unsynced_loss=True)
    world = along(cluster(3, proposals=("x",), faults=faults), "crash n1", "restart n1")
    assert world["n1"].ballot == (2, "n1")


def test_nothing_that_was_said_can_be_lost() -> None:
    faults = Faults(crashes=1, unsynced_loss=True)
    world = promised(cluster(3, proposals=("x",), faults=faults), "n1", "n2")
    world = along(world, "deliver n1 -> n2 Accept")
    crashes = [str(choice) for choice in world.choices() if "crash" in str(choice)]
    assert crashes == ["crash n1", "crash n2", "crash n3"]


def test_who_knows_the_decision_answers_any_question_with_it() -> None:
    world = cluster(1, proposals=("x",))
    assert world["n1"].chosen == "x"
    world = along(accepted(promised(duel(), "n1", "n3"), "n1", "n3"), "deliver n2 -> n1 Prepare")
    told = [each.message for each in world.in_flight if (each.source, each.target) == ("n1", "n2")]
    assert told.count(Decided("x")) == 2  # to everyone, and as the answer


def test_nodes_may_be_made_before_their_world_is() -> None:
    nodes = [PaxosNode(f"n{number}") for number in range(3)]
    world = along(World.of(*nodes, client("c1", ("n0", "x"))), "invoke c1", "deliver c1 -> n0")
    assert accepted(promised(world, "n0", "n2"), "n0", "n2")["n0"].chosen == "x"


@pytest.mark.parametrize("peers", [("n1", "n2"), ("n2", "n2")])
def test_peers_that_are_no_others_are_refused(peers: tuple[str, ...]) -> None:
    with pytest.raises(HappysimError, match=r"n1: peers=.* each of the others, once"):
        PaxosNode("n1", peers=peers)


def test_none_is_no_value_to_propose() -> None:
    with pytest.raises(HappysimError, match=r"c1 proposed None.*give a value"):
        along(cluster(3, client("c1", ("n1", None))), "invoke c1", "deliver c1 -> n1")
