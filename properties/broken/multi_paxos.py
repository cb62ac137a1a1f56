"""Multi-Paxos with one mistake each. Every class overrides the method that carries the mistake.

Some searches start from a later world of `properties/multi_paxos.py`, where the interesting part
begins.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from happysim import Faults, Host, World, Write, bfs, bounded, duplicating, must_break
from happysim.core.script import Operation
from happysim.protocols.ballot import NO_BALLOT, Ballot
from happysim.protocols.multi_paxos import (
    Accept,
    Accepted,
    Chosen,
    ClientRequest,
    Entry,
    MultiPaxosNode,
    Promise,
    Role,
    learning,
)
from properties.multi_paxos import (
    a_cluster_of_one_chooses_at_once,
    a_repeated_command_has_one_result,
    asked_again,
    chosen_is_on_a_quorum,
    client,
    clients_see_one_machine,
    cluster,
    cluster_of_one,
    elect,
    elections,
    elections_and_a_crash,
    gap,
    in_order,
    leaders_know_what_was_chosen,
    leaders_leave_no_gaps,
    no_command_is_dropped_silently,
    one_leader_a_ballot,
    open_slots_are_replicated,
    promises_are_kept,
    rivals,
    rivals_and_a_crash,
    rounds,
    state_machine_safety,
    successor,
    two_slots,
    who_does_not_lead_will_stand,
)
from properties.raft import ask


class CountsAnswers(MultiPaxosNode):
    """Answers are counted, per slot, without ballot and sender: one server may answer twice."""

    def take_accepted(self, host: Host, sender: str, accepted: Accepted) -> None:
        waiting = self.accepted_by.get(accepted.slot)
        if waiting is not None:
            waiting.add(f"answer {len(waiting)}")
            learning.advance(self, host)


@bounded(by=bfs(), within=rounds(1, "n1"))
def leaders_that_count_answers() -> World:
    """The leader repeats what is not answered yet, so there are two answers without any fault."""
    asking = client("c1", ("n1", Write(1)))
    world = cluster(4, asking, kind=CountsAnswers, heartbeats=True, network=duplicating())
    return ask(elect(world, "n1", "n2", "n3"), "c1")


one_answer_counted_twice = must_break(chosen_is_on_a_quorum.over(leaders_that_count_answers))


class IgnoresReports(MultiPaxosNode):
    """A new leader ignores the accepted entries that promises report."""

    def lead(self, host: Host) -> None:
        self.reported = {}
        super().lead(host)


@bounded(by=bfs(), within=rounds(2, "n2"))
def successors_that_ignore_reports() -> World:
    return successor(IgnoresReports)


reports_ignored = must_break(leaders_know_what_was_chosen.over(successors_that_ignore_reports))
reports_ignored_and_overwritten = must_break(
    state_machine_safety.over(successors_that_ignore_reports)
)


class TrustsTheFirstReport(MultiPaxosNode):
    """Of two entries reported for a slot, the one that was reported first is proposed again."""

    def take_promise(self, host: Host, sender: str, promise: Promise) -> None:
        news = tuple(each for each in promise.entries if each[0] not in self.reported)
        super().take_promise(host, sender, replace(promise, entries=news))


@bounded(by=bfs(), within=rounds(3, "n1"))
def leaders_that_trust_the_first_report() -> World:
    return rivals(TrustsTheFirstReport)


lower_report_adopted = must_break(
    leaders_know_what_was_chosen.over(leaders_that_trust_the_first_report)
)


class CountsLatePromises(MultiPaxosNode):
    """A late promise re-elects a deposed server, under the other's ballot."""

    def take_promise(self, host: Host, sender: str, promise: Promise) -> None:
        if self.role is not Role.LEADER:
            self.promised_by.add(sender)
            if self.is_quorum(host, self.phase_1, self.promised_by):
                self.lead(host)


@bounded(by=bfs(), within=rounds(2, "n1", "n2"))
def servers_that_count_late_promises() -> World:
    return elections(CountsLatePromises)


anothers_ballot = must_break(one_leader_a_ballot.over(servers_that_count_late_promises))


class FillsTheNextSlot(MultiPaxosNode):
    """An Accept for slot 2 that arrives first is stored in slot 1."""

    def accept(self, host: Host, sender: str, request: Accept) -> None:
        slot = min(request.slot, len(self.log) + 1)
        super().accept(host, sender, replace(request, slot=slot))


@bounded(by=bfs(), within=rounds(1, "n1"))
def servers_that_fill_the_next_slot() -> World:
    return two_slots(FillsTheNextSlot)


stored_in_the_wrong_slot = must_break(state_machine_safety.over(servers_that_fill_the_next_slot))


class IgnoresTheSlotOfAnAnswer(MultiPaxosNode):
    """An Accepted of one slot counts for another."""

    def take_accepted(self, host: Host, sender: str, accepted: Accepted) -> None:
        super().take_accepted(host, sender, replace(accepted, slot=self.chosen + 1))


@bounded(by=bfs(), within=rounds(1, "n1"))
def leaders_that_ignore_the_slot() -> World:
    return two_slots(IgnoresTheSlotOfAnAnswer)


answer_counted_for_another_slot = must_break(
    chosen_is_on_a_quorum.over(leaders_that_ignore_the_slot)
)


class TrustsWhatItHolds(MultiPaxosNode):
    """A heartbeat's index commits whatever stale entry the follower holds there."""

    def is_of(self, slot: int, ballot: Ballot) -> bool:
        return self.at(slot) is not None


@bounded(by=bfs(), within=rounds(2))
def followers_that_trust_what_they_hold() -> World:
    return rivals(TrustsWhatItHolds)


stale_entry_committed = must_break(state_machine_safety.over(followers_that_trust_what_they_hold))


class DeposesItself(MultiPaxosNode):
    """A leader's election timer goes on, and there is nobody who would set it anew."""

    def lead(self, host: Host) -> None:
        super().lead(host)
        self.set_election_timer(host)


@bounded(by=bfs(), within=rounds(1))
def leaders_that_depose_themselves() -> World:
    return elections(DeposesItself)


leader_deposes_itself = must_break(
    who_does_not_lead_will_stand.over(leaders_that_depose_themselves)
)


class KeepsItToItself(MultiPaxosNode):
    """A stable leader's commands are never replicated: only what a new one finds is."""

    def serve(self, host: Host, client: str, request: ClientRequest) -> None:
        if self.role is not Role.LEADER or host.operation is None:
            super().serve(host, client, request)
            return
        slot, number = len(self.log) + 1, host.operation.number
        self.keep(host, slot, Entry(self.ballot, request.command, host.operation, number))
        self.accepted_by[slot] = {host.name}


@bounded(by=bfs(), within=rounds(1, "n1"))
def leaders_that_keep_it_to_themselves() -> World:
    return in_order(KeepsItToItself)


command_never_replicated = must_break(
    open_slots_are_replicated.over(leaders_that_keep_it_to_themselves)
)


class TrustsItsLeader(MultiPaxosNode):
    """Who has heard of a leader never stands again, even when it dies."""

    def obey(self, host: Host, sender: str, ballot: Ballot) -> bool:
        obeys = super().obey(host, sender, ballot)
        if obeys:
            host.cancel_timer("election")
        return obeys


@bounded(by=bfs(), within=rounds(1, "n1"))
def followers_that_trust_their_leader() -> World:
    return successor(TrustsItsLeader)


nobody_stands_again = must_break(
    who_does_not_lead_will_stand.over(followers_that_trust_their_leader)
)


class SaysNothing(MultiPaxosNode):
    """A command given to a server that does not lead is neither forwarded nor refused."""

    def refuse(self, host: Host, operation: Operation) -> None:
        pass


@bounded(by=bfs(), within=rounds(1, "n1"))
def followers_that_say_nothing() -> World:
    return in_order(SaysNothing)


command_dropped = must_break(no_command_is_dropped_silently.over(followers_that_say_nothing))


class ChoosesOnAnswersOnly(MultiPaxosNode):
    """What is chosen is looked at when an answer arrives; a cluster of one gets none."""

    def propose(self, host: Host, slot: int, entry: Entry) -> None:
        self.keep(host, slot, entry)
        self.accepted_by[slot] = {host.name}
        self.send_all(host, Accept(slot, entry, self.chosen))


@bounded(by=bfs(), within=rounds(1))
def one_server_that_waits_for_answers() -> World:
    return cluster_of_one(ChoosesOnAnswersOnly)


one_server_never_chooses = must_break(
    a_cluster_of_one_chooses_at_once.over(one_server_that_waits_for_answers)
)


class LeavesGaps(MultiPaxosNode):
    """A new leader proposes again what was reported, and nothing for the slots between."""

    def propose(self, host: Host, slot: int, entry: Entry) -> None:
        if entry.operation is not None:
            super().propose(host, slot, entry)


@bounded(by=bfs(), within=rounds(2, "n3"))
def leaders_that_leave_gaps() -> World:
    return gap(LeavesGaps)


gap_never_filled = must_break(leaders_leave_no_gaps.over(leaders_that_leave_gaps))


class AcceptsAnything(MultiPaxosNode):
    """A server accepts below what it has promised."""

    def obey(self, host: Host, sender: str, ballot: Ballot) -> bool:
        super().obey(host, sender, ballot)
        return True


@bounded(by=bfs(), within=rounds(2, "n2"))
def servers_that_accept_anything() -> World:
    return successor(AcceptsAnything)


promise_broken = must_break(promises_are_kept.over(servers_that_accept_anything))
lower_ballot_accepted = must_break(state_machine_safety.over(servers_that_accept_anything))


class AnswersBeforeItIsOnDisk(MultiPaxosNode):
    """Answers leave before ballot and log are on disk."""

    def persist(self, host: Host) -> None:
        pass


@bounded(by=bfs(), within=rounds(1))
def servers_that_answer_too_early() -> World:
    return elections_and_a_crash(AnswersBeforeItIsOnDisk)


@bounded(by=bfs(), within=rounds(2))
def servers_that_lose_what_they_accepted() -> World:
    return rivals_and_a_crash(AnswersBeforeItIsOnDisk)


promise_lost_in_a_crash = must_break(promises_are_kept.over(servers_that_answer_too_early))
entry_lost_in_a_crash = must_break(chosen_is_on_a_quorum.over(servers_that_lose_what_they_accepted))


class ForgetsItsPromise(MultiPaxosNode):
    """The ballot is in memory only: a restarted server stands in a round that it used before."""

    ballot: Ballot = NO_BALLOT


@bounded(by=bfs(), within=rounds(2, "n2"))
def servers_that_forget_their_promise() -> World:
    faults = Faults(crashes=1, crashable=("n3",))
    asking = [client("c1", ("n1", Write(1))), client("c2", ("n2", Write(2)))]
    return ask(elect(cluster(3, *asking, kind=ForgetsItsPromise, faults=faults), "n1", "n3"), "c1")


promise_forgotten = must_break(state_machine_safety.over(servers_that_forget_their_promise))


class TakesOverAnything(MultiPaxosNode):
    """What others say was chosen is put into the next slot, whichever it was chosen for."""

    def catch_up(self, host: Host, sender: str, news: Chosen) -> None:
        super().catch_up(host, sender, replace(news, first=self.chosen + 1))


@bounded(by=bfs(), within=rounds(1, "n1"))
def followers_that_take_over_anything() -> World:
    clients = [client("c1", ("n1", Write(1)), ("n1", Write(2)))]
    world = cluster(3, *clients, kind=TakesOverAnything, heartbeats=True, network=duplicating())
    return elect(world, "n1", "n2")


news_of_another_slot = must_break(state_machine_safety.over(followers_that_take_over_anything))


class AppliesAgain(MultiPaxosNode):
    """A command that its client repeats is a new one."""

    def serve(self, host: Host, client: str, request: ClientRequest) -> None:
        self.sessions.pop(client, None)
        super().serve(host, client, request)


@bounded(by=bfs(), within=rounds(2))
def servers_that_apply_again() -> World:
    return asked_again(AppliesAgain)


command_applied_twice = must_break(a_repeated_command_has_one_result.over(servers_that_apply_again))


class RestartsEmpty(MultiPaxosNode):
    """What was known to be chosen is remembered as a number, and not applied again."""

    def on_start(self, host: Host) -> None:
        self.state = self.machine.initial
        self.set_election_timer(host)


@bounded(by=bfs(), within=rounds(2))
def servers_that_restart_empty() -> World:
    return cluster_of_one(RestartsEmpty)


chosen_not_applied_again = must_break(clients_see_one_machine.over(servers_that_restart_empty))


class ForgetsInACrash(MultiPaxosNode):
    """The log is in memory only."""

    log: list[Any] = []
    chosen: int = 0


@bounded(by=bfs(), within=rounds(2))
def servers_that_forget_in_a_crash() -> World:
    return rivals_and_a_crash(ForgetsInACrash)


accepted_entry_forgotten = must_break(chosen_is_on_a_quorum.over(servers_that_forget_in_a_crash))
