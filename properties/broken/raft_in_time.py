"""Raft with one mistake each, that takes clocks to show."""

from __future__ import annotations

from happysim import World, bounded, must_break
from happysim.protocols.raft import RaftNode
from properties.raft import clients_see_one_machine
from properties.raft_in_time import CUT_OFF, leases_in_time


class HoldsItsLeaseTooLong(RaftNode):
    """A lease outlasts the time for which those that granted it elect nobody."""

    def lease_seconds(self) -> float:
        return 4 * self.election_seconds[1]


@bounded(by=CUT_OFF)
def leases_that_last_too_long() -> World:
    return leases_in_time(HoldsItsLeaseTooLong)


a_read_by_lease_is_stale = must_break(clients_see_one_machine.over(leases_that_last_too_long))
