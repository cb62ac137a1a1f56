"""Leadership transfer and forwarding, one behaviour at a time."""

from __future__ import annotations

from typing import Any, cast

import pytest

from happysim import Host, Read, Script, World, Write, call
from happysim.core.script import Operation
from happysim.protocols.raft import (
    AppendEntries,
    ChangeMembership,
    Configuration,
    NotLeader,
    RaftNode,
    ReadRequest,
    RequestVoteAtOnce,
    Role,
    TimeoutNow,
    TransferLeadership,
    TransferRefused,
)
from happysim.protocols.raft.elections import set_quorum_timer
from happysim.protocols.raft.transfer import begin, hand_over
from properties.raft import along, ask, client, cluster, elect
from properties.raft_transfer import hands_over
from tests.support.hosts import Noting
from tests.support.worlds import answers


def up_to_date(*clients: Script, **options: Any) -> World:
    """n1 leads three servers that hear it; n2 has its whole log."""
    options = {"no_op": True, "check_quorum": True} | options
    world = elect(cluster(3, *clients, **options), "n1", "n2")
    world = along(world, *(f"deliver n1 -> n{number} AppendEntries" for number in (2, 3)))
    return along(world, "deliver n2 -> n1 AppendEntriesReply")


def test_a_server_that_is_up_to_date_takes_over_though_all_hear_the_leader() -> None:
    world = up_to_date(Script("a1", hands_over, "n1", "n2"))
    world = along(ask(world, "a1"), "deliver n1 -> a1", "deliver n1 -> n2 TimeoutNow")
    assert answers(world, "a1") == [True]
    assert world["n2"].role is Role.CANDIDATE
    assert any(isinstance(each.message, RequestVoteAtOnce) for each in world.in_flight)
    world = along(world, "deliver n2 -> n3 RequestVoteAtOnce", "deliver n3 -> n2 Vote")
    assert (world["n2"].role, world["n2"].current_term) == (Role.LEADER, 2)
    world = along(world, "deliver n2 -> n1 RequestVoteAtOnce")
    assert (world["n1"].role, world["n1"].transfer) == (Role.FOLLOWER, None)
    assert world["n1"].timers == ("election",)


def test_a_server_that_lags_behind_is_brought_up_to_date_first() -> None:
    world = ask(up_to_date(Script("a1", hands_over, "n1", "n3")), "a1")
    assert not any(isinstance(each.message, TimeoutNow) for each in world.in_flight)
    world = along(world, "deliver n3 -> n1 AppendEntriesReply", "deliver n1 -> n3 TimeoutNow")
    assert world["n3"].role is Role.CANDIDATE


def sent(world: World, kind: type, to: str) -> int:
    """How many messages of a kind are on their way to a node."""
    return sum(isinstance(each.message, kind) and each.target == to for each in world.in_flight)


@pytest.mark.parametrize(("to", "entries"), [("n2", 0), ("n3", 1)])
def test_only_a_server_that_lags_behind_is_sent_what_it_lacks(to: str, entries: int) -> None:
    before = up_to_date(Script("a1", hands_over, "n1", to))
    world = ask(before, "a1")
    assert sent(world, AppendEntries, to) == sent(before, AppendEntries, to) + entries
    assert sent(world, TimeoutNow, to) == 1 - entries


def test_a_server_is_told_once_and_its_client_is_answered_once() -> None:
    world = ask(up_to_date(Script("a1", hands_over, "n1", "n3")), "a1")
    replies = [each for each in world.choices() if str(each).startswith("deliver n3 -> n1 Append")]
    world = along(world, str(replies[0]), "deliver n1 -> a1")
    assert (answers(world, "a1"), world["n1"].transfer.told) == ([True], True)
    world = along(world, "fire n1 transfer")
    assert (world["n1"].transfer, world["n1"].timers) == (None, ("quorum",))
    assert not any(each.target == "a1" for each in world.in_flight)


def test_a_transfer_is_given_the_longest_election_timeout_and_one_order() -> None:
    voters = Configuration(frozenset({"n1", "n2", "n3"}))
    node, host = RaftNode("n1", configuration=voters), Noting("n2", "n3")
    node.match_index = {"n2": 0, "n3": 0}
    begin(node, cast(Host, host), Operation("a1", 1), "n2")
    assert host.timers == {"transfer": node.election_seconds[1]}
    assert host.sent == [("n2", TimeoutNow(0)), ("a1", True)]
    assert not hand_over(node, cast(Host, host))
    assert len(host.sent) == 2
    set_quorum_timer(node, cast(Host, host))
    assert host.timers["quorum"] == node.election_seconds[1]


def test_no_request_is_taken_meanwhile_and_the_successor_is_named() -> None:
    world = up_to_date(Script("a1", hands_over, "n1", "n2"), client("c1", ("n1", Write(1))))
    world = along(ask(ask(world, "a1"), "c1"), "deliver n1 -> c1")
    assert answers(world, "c1") == [NotLeader("n2")]
    assert world["n1"].log.last_index == 1


def test_a_transfer_that_does_not_succeed_in_time_is_given_up() -> None:
    world = up_to_date(Script("a1", hands_over, "n1", "n3"), client("c1", ("n1", Write(1))))
    world = along(ask(world, "a1"), "fire n1 transfer", "deliver n1 -> a1")
    assert answers(world, "a1") == [TransferRefused("it did not catch up in time")]
    assert ask(world, "c1")["n1"].log.last_index == 2


def test_who_does_not_vote_does_not_lead_and_who_leads_already_does() -> None:
    world = up_to_date(Script("a1", hands_over, "n1", "n9", "n1"))
    for _ in range(2):
        world = along(ask(world, "a1"), "deliver n1 -> a1")
    assert answers(world, "a1") == [TransferRefused("n9 has no vote"), True]


def test_an_order_of_an_older_term_is_not_obeyed() -> None:
    world = ask(up_to_date(Script("a1", hands_over, "n1", "n2"), check_quorum=False), "a1")
    world = along(world, "fire n3", "deliver n3 -> n2 RequestVote(term=2")
    assert not any("TimeoutNow" in str(choice) for choice in world.choices())


def test_a_follower_passes_a_request_on_and_the_leader_answers() -> None:
    world = ask(up_to_date(client("c1", ("n2", Write(1))), forward=True), "c1")
    world = along(world, "deliver n2 -> n1 Forwarded")
    assert world["n1"].log.last_index == 2
    world = along(world, "deliver n1 -> n3 AppendEntries")
    world = along(world, "deliver n3 -> n1 AppendEntriesReply(term=1, index=2", "deliver n1 -> c1")
    assert answers(world, "c1") == [None]


def test_a_read_and_a_change_are_passed_on_as_well() -> None:
    def asks() -> Any:
        yield call("n2", ReadRequest(Read()))
        yield call("n2", ChangeMembership(("n1", "n2", "n3")))
        yield call("n2", TransferLeadership("n1"))

    world = up_to_date(Script("c1", asks), forward=True)
    world = along(ask(world, "c1"), "deliver n2 -> n1 Forwarded", "deliver n1 -> n2 Probe")
    world = along(world, "deliver n2 -> n1 ProbeReply", "deliver n1 -> c1")
    for _ in range(2):
        world = along(ask(world, "c1"), "deliver n2 -> n1 Forwarded", "deliver n1 -> c1")
    first = Configuration(frozenset({"n1", "n2", "n3"}))
    assert answers(world, "c1") == [None, first, True]


def test_a_request_is_passed_on_once_and_refused_where_it_ends_up() -> None:
    """n2 takes n1 for the leader, and n1 takes n3 for it."""
    world = ask(up_to_date(client("c1", ("n2", Read())), forward=True, check_quorum=False), "c1")
    world = elect(world, "n3", "n2")
    world = along(world, "deliver n3 -> n1 RequestVote", "deliver n3 -> n1 AppendEntries")
    world = along(world, "deliver n2 -> n1 Forwarded", "deliver n1 -> c1")
    assert answers(world, "c1") == [NotLeader("n3")]
