"""Flexible Paxos with one mistake each: about its quorums, and those of Multi-Paxos again.

Every class overrides the method of the server that carries the mistake. The ones of Multi-Paxos are
in `properties/broken/multi_paxos.py`; here they run with other quorums than majorities.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from happysim import Cas, Faults, Host, World, Write, bfs, bounded, duplicating, must_break
from happysim.core.quorums import Quorums
from happysim.protocols.multi_paxos import MultiPaxosNode
from properties.broken.multi_paxos import (
    AcceptsAnything,
    CountsAnswers,
    CountsLatePromises,
    FillsTheNextSlot,
    IgnoresReports,
    IgnoresTheSlotOfAnAnswer,
    TrustsWhatItHolds,
)
from properties.flexible_paxos import (
    GRID,
    elections,
    first_leader,
    rivals,
    successor,
    successor_with_weights,
    two_slots,
)
from properties.multi_paxos import (
    chosen_is_on_a_quorum,
    client,
    cluster,
    leaders_know_what_was_chosen,
    one_leader_a_ballot,
    promises_are_kept,
    rounds,
    state_machine_safety,
)
from properties.raft import ask
from properties.worlds import along

# -- quorums --------------------------------------------------------------------------------------


class TakesAnyQuorums(MultiPaxosNode):
    """Quorums that need not meet are accepted."""

    def check_meeting(self, phase_1: Quorums, phase_2: Quorums) -> None:
        pass


@bounded(by=bfs(), within=rounds(2, "n4"))
def servers_with_any_quorums() -> World:
    """Two of four elect, and two choose. Both leaders have a client."""
    other = client("c2", ("n4", Cas(None, 2)))
    return along(first_leader(TakesAnyQuorums, (2, 2), other), "fire n4 election")


chosen_is_not_found = must_break(leaders_know_what_was_chosen.over(servers_with_any_quorums))
two_disjoint_quorums = must_break(state_machine_safety.over(servers_with_any_quorums))


class CountsItsPeersTooEarly(MultiPaxosNode):
    """The size of a quorum is taken from a list of peers that is not set yet: one is enough."""

    def is_quorum(self, host: Host, phase: Any, servers: Collection[str]) -> bool:
        return 2 * len(servers) > len(self.peers or ()) + 1


@bounded(by=bfs(), within=rounds(1))
def servers_that_count_too_early() -> World:
    world = cluster(4, client("c1", ("n1", Write(1))), kind=CountsItsPeersTooEarly, phases=(3, 2))
    return along(world, "fire n1 election")


nobody_is_asked = must_break(chosen_is_on_a_quorum.over(servers_that_count_too_early))


class ElectsByTheSmallerQuorum(MultiPaxosNode):
    """Quorums of phase 2 are used for both phases."""

    def is_quorum(self, host: Host, phase: Any, servers: Collection[str]) -> bool:
        return super().is_quorum(host, self.phase_2, servers)


@bounded(by=bfs(), within=rounds(2, "n4"))
def leaders_elected_by_the_smaller_quorum() -> World:
    return successor(ElectsByTheSmallerQuorum)


elected_by_too_few = must_break(
    leaders_know_what_was_chosen.over(leaders_elected_by_the_smaller_quorum)
)


class CountsServers(MultiPaxosNode):
    """Any two servers are a quorum: two of one row of a grid, or two with one vote each of five."""

    def is_quorum(self, host: Host, phase: Any, servers: Collection[str]) -> bool:
        return len(servers) >= 2


@bounded(by=bfs(), within=rounds(2, "n4"))
def leaders_that_count_servers_of_a_grid() -> World:
    other = client("c2", ("n4", Cas(None, 2)))
    return along(first_leader(CountsServers, GRID, other), "fire n4 election")


a_row_chooses = must_break(chosen_is_on_a_quorum.over(leaders_that_count_servers_of_a_grid))
a_row_chooses_and_another_elects = must_break(
    state_machine_safety.over(leaders_that_count_servers_of_a_grid)
)


@bounded(by=bfs(), within=rounds(2, "n4"))
def leaders_that_count_servers_not_votes() -> World:
    return successor_with_weights(CountsServers)


votes_not_counted = must_break(
    leaders_know_what_was_chosen.over(leaders_that_count_servers_not_votes)
)


# -- the mistakes of Multi-Paxos ------------------------------------------------------------------


@bounded(by=bfs(), within=rounds(1, "n1"))
def leaders_that_count_answers() -> World:
    """Three choose: the leader, and one other that answers twice."""
    faults = Faults(duplicates=1)
    return first_leader(CountsAnswers, (2, 3), faults=faults)


one_answer_counted_twice = must_break(chosen_is_on_a_quorum.over(leaders_that_count_answers))


@bounded(by=bfs(), within=rounds(2, "n4"))
def successors_that_ignore_reports() -> World:
    return successor(IgnoresReports)


reports_ignored = must_break(leaders_know_what_was_chosen.over(successors_that_ignore_reports))


@bounded(by=bfs(), within=rounds(2, "n1", "n2"))
def servers_that_count_late_promises() -> World:
    return elections(CountsLatePromises)


anothers_ballot = must_break(one_leader_a_ballot.over(servers_that_count_late_promises))


@bounded(by=bfs(), within=rounds(1, "n1"))
def servers_that_fill_the_next_slot() -> World:
    return two_slots(FillsTheNextSlot)


stored_in_the_wrong_slot = must_break(state_machine_safety.over(servers_that_fill_the_next_slot))


@bounded(by=bfs(), within=rounds(1, "n1"))
def leaders_that_ignore_the_slot() -> World:
    """Three choose, so that the answers of two others are needed for each slot."""
    clients = [client("c1", ("n1", Write(1))), client("c2", ("n1", Write(2)))]
    world = cluster(4, *clients, kind=IgnoresTheSlotOfAnAnswer, phases=(2, 3))
    world = along(world, "fire n1 election", "deliver n1 -> n2 Prepare", "deliver n2 -> n1 Promise")
    return ask(ask(world, "c1"), "c2")


answer_counted_for_another_slot = must_break(
    chosen_is_on_a_quorum.over(leaders_that_ignore_the_slot)
)


@bounded(by=bfs(), within=rounds(2))
def followers_that_trust_what_they_hold() -> World:
    return rivals(TrustsWhatItHolds, heartbeats=True, network=duplicating())


stale_entry_committed = must_break(state_machine_safety.over(followers_that_trust_what_they_hold))


@bounded(by=bfs(), within=rounds(2, "n4"))
def servers_that_accept_anything() -> World:
    return successor(AcceptsAnything)


promise_broken = must_break(promises_are_kept.over(servers_that_accept_anything))
