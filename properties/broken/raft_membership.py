"""Raft with one mistake each, in its changes of membership."""

from __future__ import annotations

from dataclasses import replace

from happysim import Host, World, bfs, bounded, must_break
from happysim.protocols.raft import Configuration, Entry, RaftNode
from happysim.protocols.raft.membership import adopt, configuration_at
from properties.raft import ask, elect, leader_completeness, terms
from properties.raft_membership import (
    a_change_that_is_made_is_answered,
    a_joint_change,
    a_joint_change_and_snapshots,
    admin,
    changing,
    configurations_in_force_intersect,
    n1_and_n2_work,
    one_was_removed,
    two_changes,
    two_leaders_change_it,
    who_was_removed_disrupts_nobody,
)
from properties.worlds import along


class ChangesAtOnce(RaftNode):
    """A new leader changes the configuration before it has committed anything in its term.

    So the dissertation had it, until its author found the mistake.
    """

    def has_committed_in_term(self) -> bool:
        return True


@bounded(by=bfs(), within=terms(3, "n1"))
def leaders_that_change_it_at_once() -> World:
    return two_leaders_change_it(ChangesAtOnce, no_op=False)


majorities_are_disjoint = must_break(
    configurations_in_force_intersect.over(leaders_that_change_it_at_once)
)
a_committed_change_is_lost = must_break(leader_completeness.over(leaders_that_change_it_at_once))


class WaitsForTheCommit(RaftNode):
    """A configuration is used when it is committed, and not when it is in the log."""

    def configure(self, host: Host) -> None:
        adopt(self, *configuration_at(self, host, self.commit_index))

    def commit(self, host: Host, index: int) -> None:
        super().commit(host, index)
        self.configure(host)


@bounded(by=bfs(), within=terms(2, "n2"))
def servers_that_wait_for_the_commit() -> World:
    return two_changes(WaitsForTheCommit)


an_old_majority_elects_a_leader = must_break(
    leader_completeness.over(servers_that_wait_for_the_commit)
)


class ChangesManyVotes(RaftNode):
    """Any set of voters may follow any other."""

    def next_step(self, target: Configuration) -> Configuration:
        return target


@bounded(by=bfs(), within=terms(2, "n2"))
def leaders_that_change_many_votes() -> World:
    """n1 lets two of three go at once."""
    options = {"no_op": True, "joint_consensus": True}
    world = changing(3, 0, admin("a1", "n1", "n1"), kind=ChangesManyVotes, **options)
    world = elect(world, "n1", "n2")
    world = along(world, "deliver n1 -> n2 AppendEntries", "deliver n2 -> n1 AppendEntriesReply")
    return ask(world, "a1")


two_clusters_decide = must_break(
    configurations_in_force_intersect.over(leaders_that_change_many_votes)
)


class ListensToAnybody(RaftNode):
    """A server that hears a leader votes against it all the same."""

    def has_leader(self) -> bool:
        return False


@bounded(by=bfs(), within=n1_and_n2_work)
def servers_that_listen_to_anybody() -> World:
    return one_was_removed(ListensToAnybody)


who_was_removed_deposes_the_leader = must_break(
    who_was_removed_disrupts_nobody.over(servers_that_listen_to_anybody)
)


class ForgetsWhoAsked(RaftNode):
    """A leader that finishes a joint change of another does it for itself: it answers nobody."""

    def append(self, host: Host, entry: Entry) -> None:
        if isinstance(entry.command, Configuration) and self.configuration.is_joint:
            begun = self.log.term_at(self.configuration_index)
            entry = entry if begun == entry.term else replace(entry, operation=None, serial=0)
        super().append(host, entry)


@bounded(by=bfs(), within=terms(2, "n2"))
def leaders_that_forget_who_asked() -> World:
    return a_joint_change_and_snapshots(ForgetsWhoAsked)


who_asked_for_a_change_waits_for_ever = must_break(
    a_change_that_is_made_is_answered.over(leaders_that_forget_who_asked)
)


class CountsTheNewHalf(RaftNode):
    """On the way from old voters to new ones the new ones alone decide."""

    def electorates(self) -> tuple[frozenset[str], ...]:
        return super().electorates()[:1]


@bounded(by=bfs(), within=terms(2, "n2"))
def servers_that_count_the_new_half() -> World:
    return a_joint_change(CountsTheNewHalf)


the_old_half_elects_another = must_break(leader_completeness.over(servers_that_count_the_new_half))


class CountsTheOldHalf(RaftNode):
    """On the way from old voters to new ones the old ones alone decide."""

    def electorates(self) -> tuple[frozenset[str], ...]:
        return super().electorates()[-1:]


@bounded(by=bfs(), within=terms(2, "n2"))
def servers_that_count_the_old_half() -> World:
    return a_joint_change(CountsTheOldHalf)


the_new_half_goes_on_alone = must_break(leader_completeness.over(servers_that_count_the_old_half))
