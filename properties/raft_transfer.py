"""Raft's leadership transfer: a hint to hold an election, and never more than that.

Section 3.10 of Ongaro, *Consensus: bridging theory and practice*, 2014.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from happysim import Faults, Script, World, Write, always, bfs, bounded, call, reachable, uniform
from happysim.protocols.raft import NotLeader, RaftNode, Role, TransferLeadership, TransferRefused
from properties.raft import (
    ask,
    client,
    clients_see_one_machine,
    cluster,
    elect,
    election_safety,
    every_theorem,
    leaders_of,
    one_vote_a_term,
    servers_of,
    terms,
)


def hands_over(server: str, *successors: str) -> Iterator[Any]:
    """A client that asks `server` to hand over to one after the other."""
    for to in successors:
        yield call(server, TransferLeadership(to))


@bounded(by=bfs(), within=terms(2, "n2"))
def handing_over(kind: type[RaftNode] = RaftNode) -> World:
    """n1 leads and is asked to hand over to n2, which lacks the no-op that n1 has."""
    clients = [Script("a1", hands_over, "n1", "n2")]
    return ask(elect(cluster(3, *clients, kind=kind, no_op=True), "n1", "n2"), "a1")


@bounded(by=bfs(), within=terms(3, "n2", "n3"), max_worlds=60_000, unknown_passes=True)
def late_orders(kind: type[RaftNode] = RaftNode) -> World:
    """n1 is asked for two transfers; the first order may arrive when it is long forgotten."""
    clients = [Script("a1", hands_over, "n1", "n2", "n3"), client("c1", ("n1", Write(1)))]
    return ask(elect(cluster(3, *clients, kind=kind, check_quorum=True), "n1", "n2"), "a1")


@bounded(by=uniform(seed=1, runs=100, steps=80), within=terms(5), unknown_passes=True)
def transfers_in_rough_seas(kind: type[RaftNode] = RaftNode) -> World:
    clients = [
        Script("a1", hands_over, "n1", "n2", "n3"),
        Script("a2", hands_over, "n2", "n1"),
        client("c1", ("n1", Write(1)), ("n2", Write(2))),
    ]
    faults = Faults(crashes=1, unsynced_loss=True)
    options = {"no_op": True, "check_quorum": True, "pre_vote": True, "forward": True}
    return elect(cluster(3, *clients, kind=kind, faults=faults, **options), "n1", "n2")


every_theorem_of_transfers = every_theorem.over(handing_over)
every_theorem_of_late_orders = every_theorem.over(late_orders)
every_theorem_of_transfers_in_rough_seas = every_theorem.over(transfers_in_rough_seas)
one_vote_a_term_in_transfers = one_vote_a_term.over(handing_over)
clients_see_one_machine_through_transfers = clients_see_one_machine.over(late_orders)
election_safety_of_late_orders = election_safety.over(late_orders)


@always(late_orders)
def a_leader_that_hands_over_takes_nothing_on(world: World) -> bool | str:
    """Step 1: else the other server would never be up to date."""
    for leader in leaders_of(world):
        under_way = leader.transfer
        if under_way is None or not under_way.told:
            continue
        if leader.match_index[under_way.to] < leader.log.last_index:
            return f"{leader.name} went on after it told {under_way.to} to stand"
    return True


@always(handing_over)
def who_does_not_lead_hands_nothing_over(world: World) -> bool | str:
    for server in servers_of(world):
        if server.transfer is not None and server.role is not Role.LEADER:
            return f"{server.name} hands over what it has not got"
    return True


@reachable(handing_over)
def the_successor_leads_with_the_whole_log(world: World) -> bool:
    second = world["n2"]
    return second.role is Role.LEADER and second.log.last_index == 2 and second.current_term == 2


@reachable(late_orders)
def a_command_is_refused_during_a_transfer(world: World) -> bool:
    return any(call.result == NotLeader("n2") for call in world.history.of("c1"))


@reachable(handing_over)
def a_transfer_is_given_up(world: World) -> bool:
    given_up = any(isinstance(call.result, TransferRefused) for call in world.history.of("a1"))
    return given_up and world["n1"].role is Role.LEADER and world["n1"].transfer is None


@reachable(late_orders)
def both_successors_stand(world: World) -> bool:
    return world["n2"].role is world["n3"].role is Role.CANDIDATE


@reachable(transfers_in_rough_seas)
def leadership_comes_back(world: World) -> bool:
    return any(leader.name == "n1" and leader.current_term >= 3 for leader in leaders_of(world))
