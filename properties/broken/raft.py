"""Raft with one mistake each. Every class overrides the method that carries the mistake.

Some searches start from a world of `properties/raft.py` where the interesting part begins. Where
that is so, "in all" says how many choices lead from the servers' start to the violation.
"""

from __future__ import annotations

from typing import Any

from happysim import Faults, Host, World, Write, bfs, bounded, duplicating, must_break, ordered
from happysim.core.script import Operation
from happysim.protocols.raft import (
    AppendEntries,
    AppendEntriesReply,
    Entry,
    RaftNode,
    Role,
    snapshots,
)
from properties.raft import (
    a_cluster_of_one_commits_at_once,
    client,
    clients_see_one_machine,
    cluster,
    committed_entries_are_on_a_majority,
    election_safety,
    figure_8,
    first_leader,
    late_reply,
    leader_completeness,
    no_command_is_dropped_silently,
    rivals,
    state_machine_safety,
    terms,
    who_does_not_lead_will_stand,
)


class ForgetsItsVote(RaftNode):
    """AppendEntries of the *same* term clears voted_for, so a second vote is cast in that term."""

    def follow(self, host: Host, leader: str) -> None:
        super().follow(host, leader)
        self.voted_for = None


@bounded(by=bfs(), within=terms(2))
def servers_that_forget_their_vote() -> World:
    return cluster(3, kind=ForgetsItsVote, faults=Faults(drops=2, crashes=1))


same_term_double_vote = must_break(election_safety.over(servers_that_forget_their_vote))


class ConfirmsItsWholeLog(RaftNode):
    """A follower answers with its last index, where the leader knows less of its log."""

    def matched_index(self, request: AppendEntries) -> int:
        return self.log.last_index


@bounded(by=bfs(), within=terms(2, "n2"))
def followers_that_confirm_too_much() -> World:
    return first_leader(ConfirmsItsWholeLog)


@bounded(by=bfs(), within=terms(3, "n1"))
def followers_that_confirmed_too_much() -> World:
    return rivals(ConfirmsItsWholeLog)


# In all 12: 8 steps of the protocol, and two commands asked and delivered. Then a third election.
stale_tail_counted = must_break(
    committed_entries_are_on_a_majority.over(followers_that_confirm_too_much)
)
stale_tail_counted_and_lost = must_break(
    leader_completeness.over(followers_that_confirmed_too_much)
)


class CountsLateReplies(RaftNode):
    """A response of an older term is counted; the follower has another entry there by now."""

    def take_reply(self, host: Host, sender: str, reply: AppendEntriesReply) -> None:
        self.observe_term(host, reply.term)
        if self.role is Role.LEADER:
            self.note_progress(host, sender, reply.index)


@bounded(by=bfs(), within=terms(4, "n2"))
def leaders_that_count_late_replies() -> World:
    return late_reply(CountsLateReplies)


# In all 28: 27 steps of the protocol, and a command asked.
late_reply_counted = must_break(leader_completeness.over(leaders_that_count_late_replies))


class AnswersByIndex(RaftNode):
    """Who waits for an answer is kept by index, even when another leader's entry lands there."""

    asking: dict[int, Operation] = {}

    def append(self, host: Host, entry: Entry) -> None:
        if entry.operation is not None:
            self.asking[self.log.last_index + 1] = entry.operation
        super().append(host, entry)

    def answer(self, host: Host, index: int, operation: Operation, result: Any) -> None:
        if index in self.asking:
            host.respond(result, to=self.asking.pop(index))


@bounded(by=bfs(), within=terms(2, "n2"))
def servers_that_answer_by_index() -> World:
    return first_leader(AnswersByIndex, heartbeats=True, network=duplicating())


anothers_result = must_break(clients_see_one_machine.over(servers_that_answer_by_index))


class SaysNothing(RaftNode):
    """A command given to a follower is neither forwarded, redirected nor refused."""

    def refuse(self, host: Host, operation: Operation) -> None:
        pass


@bounded(by=bfs(), within=terms(1))
def followers_that_say_nothing() -> World:
    asking = client("c1", ("n1", Write(1)))
    return cluster(3, asking, kind=SaysNothing, network=ordered())


command_dropped = must_break(no_command_is_dropped_silently.over(followers_that_say_nothing))


class StepsDownForGood(RaftNode):
    """The election timer is set where a vote is granted, and not where a leader steps down."""

    def become_follower(self, host: Host) -> None:
        self.role, self.leader = Role.FOLLOWER, None
        self.votes, self.probing, self.heard = set(), set(), set()
        self.next_index, self.match_index = {}, {}
        host.cancel_timer("heartbeat")
        host.cancel_timer("quorum")


@bounded(by=bfs(), within=terms(2))
def leaders_that_step_down_for_good() -> World:
    return cluster(3, kind=StepsDownForGood, no_op=True)


no_timer_after_stepping_down = must_break(
    who_does_not_lead_will_stand.over(leaders_that_step_down_for_good)
)


class WaitsAfterARestart(RaftNode):
    """The election timer is set when the server first starts, and not when it restarts."""

    def on_start(self, host: Host) -> None:
        snapshots.restore(self, host)
        disk_is_fresh = self.current_term == 0
        if disk_is_fresh:
            self.set_election_timer(host)


@bounded(by=bfs(), within=terms(1))
def servers_that_wait_after_a_restart() -> World:
    return cluster(3, kind=WaitsAfterARestart, faults=Faults(crashes=1))


no_timer_after_a_restart = must_break(
    who_does_not_lead_will_stand.over(servers_that_wait_after_a_restart)
)


class CommitsOnRepliesOnly(RaftNode):
    """The commit index moves when a follower replies; a cluster of one has no followers."""

    def append(self, host: Host, entry: Entry) -> None:
        self.record(host, entry)
        self.persist(host)
        self.replicate(host)


@bounded(by=bfs(), within=terms(1))
def one_server_that_waits_for_replies() -> World:
    return cluster(1, client("c1", ("n1", Write(1))), kind=CommitsOnRepliesOnly)


one_server_never_commits = must_break(
    a_cluster_of_one_commits_at_once.over(one_server_that_waits_for_replies)
)


class AnswersBeforeItIsOnDisk(RaftNode):
    """Replies leave before term, vote and log are durable."""

    def persist(self, host: Host) -> None:
        pass


@bounded(by=bfs(), within=terms(1))
def servers_that_forget_in_a_crash() -> World:
    faults = Faults(crashes=1, unsynced_loss=True)
    return cluster(3, kind=AnswersBeforeItIsOnDisk, no_op=True, faults=faults)


vote_lost_in_a_crash = must_break(election_safety.over(servers_that_forget_in_a_crash))
entry_lost_in_a_crash = must_break(
    committed_entries_are_on_a_majority.over(servers_that_forget_in_a_crash)
)


class CommitsByCountingAlone(RaftNode):
    """An entry of an older term is committed because a majority of servers holds it: figure 8."""

    def may_commit(self, index: int) -> bool:
        return True


@bounded(by=bfs(), within=terms(4, "n2"))
def leaders_that_count_alone() -> World:
    return figure_8(CommitsByCountingAlone)


# In all 22, and then n2 brings back its own entry and counts that, too.
old_entry_committed = must_break(leader_completeness.over(leaders_that_count_alone))
old_entry_applied = must_break(state_machine_safety.over(leaders_that_count_alone))
