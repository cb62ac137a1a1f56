"""Reads outside of the log, one behaviour at a time."""

from __future__ import annotations

from typing import Any, cast

import pytest

from happysim import Faults, Host, ProtocolError, Script, World, Write, call
from happysim.protocols.raft import Configuration, NotLeader, Probe, RaftNode, ReadRequest
from happysim.protocols.raft.reads import has_lease, prolong, refuse_all, result_of
from properties.raft import PLAIN, along, ask, cluster, elect
from properties.raft_reads import reads
from tests.support.hosts import Noting
from tests.support.worlds import answers


def steady(*clients: Script, **options: Any) -> World:
    """n1 leads three servers and has committed its no-op."""
    world = elect(cluster(3, *clients, no_op=True, **options), "n1", "n2")
    return along(world, "deliver n1 -> n2 AppendEntries", "deliver n2 -> n1 AppendEntriesReply")


def test_a_read_is_answered_when_a_majority_still_follows_and_leaves_the_log_alone() -> None:
    world = ask(steady(Script("c1", reads, "n1")), "c1")
    assert not any(each.target == "c1" for each in world.in_flight)
    world = along(
        world, "deliver n1 -> n3 Probe", "deliver n3 -> n1 ProbeReply", "deliver n1 -> c1"
    )
    assert (answers(world, "c1"), world["n1"].log.last_index) == ([None], 1)
    assert world["n1"].reads == []


def test_one_round_answers_all_reads_that_came_before_it_and_none_that_came_later() -> None:
    clients = [Script(name, reads, "n1") for name in ("c1", "c2", "c3")]
    world = ask(ask(steady(*clients), "c1"), "c2")
    world = along(world, "deliver n1 -> n3 Probe(term=1, round=2)")
    world = along(ask(world, "c3"), "deliver n3 -> n1 ProbeReply(term=1, round=2)")
    assert [read.operation.client for read in world["n1"].reads] == ["c3"]


def test_a_read_waits_until_something_of_the_leaders_term_is_committed() -> None:
    world = ask(elect(cluster(3, Script("c1", reads, "n1"), no_op=True), "n1", "n2"), "c1")
    world = along(world, "deliver n1 -> n2 Probe", "deliver n2 -> n1 ProbeReply")
    assert len(world["n1"].reads) == 1
    world = along(world, "deliver n1 -> n2 AppendEntries", "deliver n2 -> n1 AppendEntriesReply")
    assert answers(along(world, "deliver n1 -> c1"), "c1") == [None]


def test_who_steps_down_refuses_the_reads_it_has() -> None:
    world = along(ask(steady(Script("c1", reads, "n1")), "c1"), "fire n3", "fire n3")
    world = along(world, "deliver n1 -> n3 Probe", "deliver n3 -> n1 NewerTerm", "deliver n1 -> c1")
    assert answers(world, "c1") == [NotLeader(None)]
    assert (world["n1"].reads, world["n1"].rounds, world["n1"].round) == ([], {}, 0)


def test_a_round_that_is_lost_is_made_up_for_by_the_next_heartbeat() -> None:
    world = ask(steady(Script("c1", reads, "n1"), heartbeats=True), "c1")
    world = along(world, "fire n1 heartbeat")
    probes = [each for each in world.in_flight if each.message == Probe(1, 1)]
    assert len(probes) == 4


def test_a_probe_is_a_heartbeat() -> None:
    world = ask(steady(Script("c1", reads, "n1"), check_quorum=True), "c1")
    world = along(world, "deliver n1 -> n3 Probe", "deliver n3 -> n1 ProbeReply")
    assert (world["n3"].leader, world["n3"].hears_leader) == ("n1", True)
    assert "n3" in world["n1"].heard


def test_a_follower_refuses_a_read_and_names_the_leader() -> None:
    world = along(ask(steady(Script("c1", reads, "n2")), "c1"), "deliver n2 -> c1")
    assert answers(world, "c1") == [NotLeader("n1")]


def test_a_cluster_of_one_answers_at_once() -> None:
    world = ask(along(cluster(1, Script("c1", reads, "n1"), no_op=True), "fire n1"), "c1")
    assert answers(along(world, "deliver n1 -> c1"), "c1") == [None]


def test_a_copy_of_a_request_is_answered_once() -> None:
    world = along(steady(Script("c1", reads, "n1"), faults=Faults(duplicates=1)), "invoke c1")
    world = along(world, "duplicate c1 -> n1 Read", "deliver c1 -> n1")
    # The copy changes nothing and says nothing, which is no choice.
    assert not any(str(choice).startswith("deliver c1") for choice in world.choices())
    assert len(world["n1"].reads) == 1


class Counted:
    """A machine whose state after a read is equal to the one before, and not the same object."""

    initial = (1, 2)

    def apply(self, state: Any, command: Any) -> tuple[Any, Any]:
        return (*state,), len(state)


def test_a_read_may_make_the_state_anew() -> None:
    node = RaftNode("n1", machine=Counted(), **PLAIN)
    node.state = Counted.initial
    assert result_of(node, "any") == 2


def test_a_lease_counts_from_the_question_and_is_never_shortened() -> None:
    voters = Configuration(frozenset({"n1", "n2", "n3"}))
    node = RaftNode("n1", configuration=voters, lease_reads=True)
    node.round, node.asked_at = 3, {1: 1_000, 2: 5_000, 3: 9_000}
    node.rounds = {"n2": 2}
    prolong(node)
    span = int(node.lease_seconds() * 10**9)
    assert (node.lease_until, node.asked_at) == (5_000 + span, {3: 9_000})
    prolong(node)
    assert node.lease_until == 5_000 + span


@pytest.mark.parametrize("now", [-1, 0, 1])
def test_there_is_no_lease_before_a_round_is_confirmed_whatever_the_clock_shows(now: int) -> None:
    node, host = RaftNode("n1", lease_reads=True), Noting("n2", "n3")
    node.leases, host.now = True, now
    assert not has_lease(node, cast(Host, host))
    refuse_all(node, cast(Host, host))
    node.leases = True
    assert not has_lease(node, cast(Host, host))


def test_a_read_that_would_change_something_is_an_error() -> None:
    def wrong() -> Any:
        yield call("n1", ReadRequest(Write(1)))

    world = along(cluster(1, Script("c1", wrong), no_op=True), "fire n1", "invoke c1")
    with pytest.raises(ProtocolError, match=r"Write\(value=1\) changes the state"):
        along(world, "deliver c1 -> n1")
