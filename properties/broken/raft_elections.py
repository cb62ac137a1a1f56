"""Raft with one mistake each, in pre-vote and in who may disturb a leader."""

from __future__ import annotations

from happysim import Host, World, bfs, bounded, must_break
from happysim.protocols.raft import RaftNode
from properties.raft_elections import (
    n1_works,
    no_term_begins_while_a_leader_works,
    one_server_hears_nobody,
    who_follows_a_leader_elects_no_other,
)


class BeginsTheTermItAsksFor(RaftNode):
    """A server moves to the next term before it asks who would vote for it there."""

    def ask_around(self, host: Host) -> None:
        self.current_term += 1
        self.persist(host)
        super().ask_around(host)


@bounded(by=bfs(), within=n1_works)
def servers_that_begin_the_term_they_ask_for() -> World:
    return one_server_hears_nobody(BeginsTheTermItAsksFor)


pre_vote_begins_a_term = must_break(
    no_term_begins_while_a_leader_works.over(servers_that_begin_the_term_they_ask_for)
)


class AdvisesAgainstItsLeader(RaftNode):
    """A server tells who would win by its log, whether it hears from a leader or not."""

    def has_leader(self) -> bool:
        return False


@bounded(by=bfs(), within=n1_works)
def servers_that_advise_against_their_leader() -> World:
    return one_server_hears_nobody(AdvisesAgainstItsLeader)


a_leader_that_works_is_deposed = must_break(
    no_term_begins_while_a_leader_works.over(servers_that_advise_against_their_leader)
)


@bounded(by=bfs(), within=n1_works)
def servers_that_vote_against_their_leader() -> World:
    return one_server_hears_nobody(AdvisesAgainstItsLeader, pre_vote=False)


another_is_elected_beside_a_leader_that_works = must_break(
    who_follows_a_leader_elects_no_other.over(servers_that_vote_against_their_leader)
)
