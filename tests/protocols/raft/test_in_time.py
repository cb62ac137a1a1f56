"""Raft in virtual time: leases, and how calm a cluster is that nothing happens to."""

from __future__ import annotations

from typing import Any

import pytest

from happysim import (
    Crash,
    ProtocolError,
    Read,
    Register,
    Script,
    World,
    Write,
    at,
    call,
    simulate,
    sleep,
)
from happysim.protocols.raft import ClientRequest, RaftNode, ReadRequest, Role
from properties.raft import PLAIN, along
from properties.raft_in_time import in_datacenter, makes_lead


def servers(size: int = 3, **options: Any) -> list[RaftNode]:
    return [RaftNode(f"n{number}", **options) for number in range(1, size + 1)]


@pytest.mark.parametrize("size", [1, 3, 5])
@pytest.mark.parametrize("lease_reads", [False, True])
def test_where_nothing_fails_one_leader_is_elected_and_stays(size: int, lease_reads: bool) -> None:
    run = simulate(in_datacenter(servers(size, lease_reads=lease_reads)), seed=3, until=20)
    found = run.world.nodes(RaftNode)
    assert [each.role for each in found].count(Role.LEADER) == 1
    assert len({each.current_term for each in found}) == 1
    assert {each.commit_index for each in found} == {1}


def reads_after_a_write(server: str, took: int) -> Any:
    yield sleep(2.0)
    yield call(server, ClientRequest(Write(7)))
    for _ in range(took):
        yield call(server, ReadRequest(Read()))


def rounds_of(lease_reads: bool, count: int) -> tuple[int, list[Any]]:
    """How many rounds n1 has asked for, and what a client is told that reads so many times."""
    clients = [
        Script("a1", makes_lead, 1.0, "n1", "n1", "n2", "n3"),
        Script("c1", reads_after_a_write, "n1", count),
    ]
    options = {"lease_reads": lease_reads, "machine": Register()}
    run = simulate(in_datacenter(servers(**options), *clients), seed=3, until=2.2)
    return run.world["n1"].round, [each.result for each in run.world.history.of("c1")][1:]


def test_reads_by_lease_need_no_round_of_their_own() -> None:
    assert rounds_of(False, 10) == (10, [7] * 10)
    assert rounds_of(True, 10) == (rounds_of(True, 0)[0], [7] * 10)


def test_a_leader_that_hands_over_has_no_lease_any_more_and_its_successor_has() -> None:
    clients = [Script("a1", makes_lead, 1.0, "n2", "n1", "n2", "n3")]
    run = simulate(in_datacenter(servers(lease_reads=True), *clients), seed=3, until=2)
    held = {each.name: (each.role, each.leases) for each in run.world.nodes(RaftNode)}
    assert held.pop("n2") == (Role.LEADER, True)
    assert set(held.values()) == {(Role.FOLLOWER, False)}


def test_a_leader_that_told_another_to_stand_has_no_lease_any_more_in_its_term() -> None:
    """Though nothing came of it: the order may be late, and its voters do not wait."""
    clients = [
        Script("a1", makes_lead, 0.8, "n1", "n1", "n2", "n3"),
        Script("a2", makes_lead, 1.2, "n2", "n1"),
    ]
    faults = [at(1.1, Crash("n2"))]
    world = in_datacenter(servers(lease_reads=True), *clients)
    run = simulate(world, seed=3, until=2, faults=faults)
    leader = run.world["n1"]
    assert (leader.role, leader.transfer, leader.leases) == (Role.LEADER, None, False)
    assert [call.result for call in run.world.history.of("a2")] == [True]


def test_a_lease_is_shorter_than_any_clock_may_make_an_election_timeout() -> None:
    held = RaftNode("n1", lease_reads=True, clock_drift=0.1).lease_seconds()
    fast, slow = 1.1, 0.9
    # n1's clock is the slowest, and the one of whoever may elect another is the fastest.
    assert held / slow == pytest.approx(0.15 / fast)


def test_a_restarted_server_waits_before_it_votes_for_another() -> None:
    options = PLAIN | {"lease_reads": True, "check_quorum": True, "pre_vote": True}
    world = along(World.of(*servers(current_term=1, **options)), "fire n1")
    assert not any("n1 -> n2 PreVote(term=2" in str(each) for each in world.choices())
    world = along(world, "fire n2")
    assert any("n1 -> n2 PreVote(term=2" in str(each) for each in world.choices())


@pytest.mark.parametrize(
    "options", [{"check_quorum": False}, {"heartbeat_seconds": None}, {"clock_drift": 1.0}]
)
def test_leases_need_what_they_rest_on(options: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError, match="lease_reads needs check_quorum and heartbeats"):
        RaftNode("n1", lease_reads=True, **options)
