"""Raft with one mistake each, in leadership transfer."""

from __future__ import annotations

from happysim import Host, World, bfs, bounded, must_break
from happysim.protocols.raft import RaftNode, TimeoutNow, elections
from properties.raft import election_safety, terms
from properties.raft_transfer import late_orders


class LeadsByDecree(RaftNode):
    """A server that is told to take over leads the next term without any vote but its own."""

    def take_over(self, host: Host, sender: str, order: TimeoutNow) -> None:
        if order.term == self.current_term:
            elections.stand(self, host)
            elections.lead(self, host)


@bounded(by=bfs(), within=terms(3, "n2", "n3"))
def servers_that_lead_by_decree() -> World:
    return late_orders(LeadsByDecree)


two_successors_lead = must_break(election_safety.over(servers_that_lead_by_decree))
