"""Raft's reads by lease in a search, which knows no time: there no lease is safe.

Section 6.4.1 of Ongaro, *Consensus: bridging theory and practice*, 2014. What `RaftNode` does by
its clock (`happysim/protocols/raft/reads.py`) is done by a timer here, so that a search can ask for
all orders, and `realise` which clocks and messages those need.
"""

from __future__ import annotations

from typing import Any

from happysim import Host, Script, World, bfs, bounded, must_break, on
from happysim.protocols.raft import (
    ChangeMembership,
    ClientRequest,
    RaftNode,
    ReadRequest,
    TransferLeadership,
)
from properties.clients import asks
from properties.raft import clients_see_one_machine, cluster, elect, servers_of, terms
from properties.raft_reads import READ, WRITE
from properties.worlds import along


class LeaseByTimer(RaftNode):
    """A question whether it still leads starts a timer; once a quorum has answered, reads need no
    other question until that rings.

    `lease_round` is the round of that question, None while the timer does not run.
    """

    lease_round: int | None = None

    @on(ClientRequest, ReadRequest, ChangeMembership, TransferLeadership)
    def serve(self, host: Host, client: str, request: Any) -> None:
        super().serve(host, client, request)
        if self.reads and self.lease_round is None:
            self.lease_round = self.round
            host.set_timer("lease", seconds=self.lease_seconds())

    @on.timer("lease")
    def expire(self, host: Host) -> None:
        self.lease_round = None

    def is_confirmed(self, number: int) -> bool:
        asked = number if self.lease_round is None else min(number, self.lease_round)
        return super().is_confirmed(asked)

    def become_follower(self, host: Host) -> None:
        super().become_follower(host)
        self.lease_round = None
        host.cancel_timer("lease")


class ForgetsThatClocksDrift(LeaseByTimer):
    """Its lease lasts for the shortest election timeout, as if all clocks ran alike."""

    def lease_seconds(self) -> float:
        return self.election_seconds[0]


def leaders_are_far_apart(world: World) -> bool:
    """n1 hears nothing of term 2, n3 nothing of n1; there are no more questions than reads."""
    first, _, third = servers_of(world)
    asked = max(server.round for server in servers_of(world))
    apart = first.current_term == 1 and third.leader != "n1"
    return apart and asked <= 2 and terms(2, "n2")(world)


@bounded(by=bfs(), within=leaders_are_far_apart)
def reads_by_lease(kind: type[RaftNode] = LeaseByTimer) -> World:
    """n1 leads term 1, and has committed; n2 may lead term 2.

    A client reads from n1, writes to n2, and reads from n1 again. It waits for nothing but answers.
    """
    reader = Script("c1", asks, ("n1", READ), ("n2", WRITE), ("n1", READ))
    world = cluster(3, reader, kind=kind, no_op=True, check_quorum=True)
    exchange = ("deliver n1 -> n2 AppendEntries", "deliver n2 -> n1 AppendEntriesReply")
    return along(elect(world, "n1", "n2"), *exchange)


@bounded(by=bfs(), within=leaders_are_far_apart)
def reads_by_a_lease_without_margin() -> World:
    return reads_by_lease(ForgetsThatClocksDrift)


a_lease_outlasts_a_term = must_break(clients_see_one_machine.over(reads_by_lease))
a_lease_without_margin_is_trusted = must_break(
    clients_see_one_machine.over(reads_by_a_lease_without_margin)
)
