"""Paxos with one mistake each. Every class overrides the method that carries the mistake.

Where a search starts from a later world of `properties/paxos.py`, "in all" says how many choices
lead from the start of the nodes to the violation.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from happysim import Faults, Host, World, bfs, bounded, must_break
from happysim.protocols.ballot import Ballot
from happysim.protocols.paxos import (
    Accept,
    Accepted,
    Decided,
    PaxosNode,
    Promise,
    Proposal,
)
from properties.paxos import (
    a_node_alone_decides_at_once,
    acceptor_crashes,
    agreement,
    client,
    cluster,
    duel,
    four_nodes,
    learned_is_chosen,
    one_value_a_ballot,
    promises_are_kept,
    rounds,
    second_attempt,
    validity,
    who_learns_answers,
    who_wants_a_decision_tries_again,
)
from properties.worlds import along


class ProposesAgain(PaxosNode):
    """A promise beyond the quorum starts phase 2 again: same ballot, other value."""

    def take_promise(self, host: Host, sender: str, promise: Promise) -> None:
        self.value = None
        super().take_promise(host, sender, promise)


@bounded(by=bfs(), within=rounds(1, n1=2))
def proposers_that_propose_again() -> World:
    return second_attempt(ProposesAgain)


@bounded(by=bfs(), within=rounds(1, n1=2, n3=3))
def a_proposer_that_proposed_again() -> World:
    """Of n1's second ballot there is one value from before n2's report, and one from after it."""
    return along(
        second_attempt(ProposesAgain),
        "fire n1 retry",
        "deliver n1 -> n3 Prepare(ballot=Ballot(2,",
        "deliver n3 -> n1 Promise",
        "deliver n1 -> n2 Prepare(ballot=Ballot(2,",
        "deliver n2 -> n1 Promise",
    )


two_values_in_a_ballot = must_break(one_value_a_ballot.over(proposers_that_propose_again))
# In all 15. The last seven: n3 accepts the one value, n1 counts it for the other, and n3 goes on.
two_values_of_a_ballot_chosen = must_break(agreement.over(a_proposer_that_proposed_again))


class CountsLateAnswers(PaxosNode):
    """An Accepted of an earlier ballot completes the present one, which has no value yet: None."""

    def take_accepted(self, host: Host, sender: str, accepted: Accepted) -> None:
        self.accepted_by.add(sender)
        if self.is_quorum(host, self.accepted_by):
            self.decide(host, self.value)


@bounded(by=bfs(), within=rounds(2))
def proposers_that_count_late_answers() -> World:
    return cluster(3, client("c1", ("n1", "x")), kind=CountsLateAnswers)


nothing_is_decided = must_break(validity.over(proposers_that_count_late_answers))


class KeepsItToItself(PaxosNode):
    """A proposer that learns the decision from another never answers its client."""

    def take_decision(self, host: Host, sender: str, decided: Decided) -> None:
        waiting, self.waiting = self.waiting, []
        super().take_decision(host, sender, decided)
        self.waiting = waiting


@bounded(by=bfs(), within=rounds(1))
def proposers_that_keep_it_to_themselves() -> World:
    clients = [client("c1", ("n1", "x")), client("c2", ("n2", "y"))]
    return cluster(3, *clients, kind=KeepsItToItself)


client_never_answered = must_break(who_learns_answers.over(proposers_that_keep_it_to_themselves))


class WaitsForOthers(PaxosNode):
    """Answers are counted as they arrive; a node alone gets none, and never decides."""

    def take_promise(self, host: Host, sender: str, promise: Promise) -> None:
        if sender == self.name:
            self.promised_by.add(sender)
        else:
            super().take_promise(host, sender, promise)


@bounded(by=bfs(), within=rounds(1))
def one_node_that_waits_for_others() -> World:
    return cluster(1, client("c1", ("n1", "x")), kind=WaitsForOthers)


one_node_never_decides = must_break(
    a_node_alone_decides_at_once.over(one_node_that_waits_for_others)
)


class TriesOnce(PaxosNode):
    """A lost message is never made up for."""

    def set_retry_timer(self, host: Host) -> None:
        pass


@bounded(by=bfs(), within=rounds(1))
def proposers_that_try_once() -> World:
    return duel(TriesOnce)


attempt_never_repeated = must_break(who_wants_a_decision_tries_again.over(proposers_that_try_once))


class CountsAnswers(PaxosNode):
    """Answers are counted instead of answerers: own and one other, twice, make three of four."""

    answers: int = 0

    def propose(self, host: Host, value: Any) -> None:
        self.answers = 0
        super().propose(host, value)

    def take_accepted(self, host: Host, sender: str, accepted: Accepted) -> None:
        if accepted.ballot == self.ballot:
            self.answers += 1
            if 2 * self.answers > len(self.others(host)) + 1:
                self.decide(host, self.value)


@bounded(by=bfs(), within=rounds(1))
def proposers_that_count_answers() -> World:
    return cluster(4, kind=CountsAnswers, proposals=("x",), faults=Faults(duplicates=1))


one_answer_counted_twice = must_break(learned_is_chosen.over(proposers_that_count_answers))


class ForgetsInACrash(PaxosNode):
    """What an acceptor has promised and accepted is in memory only."""

    promised: Ballot = Ballot(0, "")
    accepted: Proposal | None = None


@bounded(by=bfs(), within=rounds(1))
def acceptors_that_forget_in_a_crash() -> World:
    return acceptor_crashes(ForgetsInACrash)


promise_forgotten = must_break(promises_are_kept.over(acceptors_that_forget_in_a_crash))
accepted_value_forgotten = must_break(agreement.over(acceptors_that_forget_in_a_crash))


class AnswersBeforeItIsOnDisk(PaxosNode):
    """Answers leave before promise and proposal are on disk."""

    def persist(self, host: Host) -> None:
        pass


@bounded(by=bfs(), within=rounds(1))
def acceptors_that_answer_too_early() -> World:
    return acceptor_crashes(AnswersBeforeItIsOnDisk)


accepted_value_lost_in_a_crash = must_break(agreement.over(acceptors_that_answer_too_early))


class ForgetsWhatWasDecided(PaxosNode):
    """Once it knows the decision, an acceptor drops its proposal; and the decision is not durable.

    After a restart it promises as if nothing had happened.
    """

    chosen: Any = None

    def learn(self, host: Host, value: Any) -> None:
        self.accepted = None
        super().learn(host, value)


@bounded(by=bfs(), within=rounds(1))
def acceptors_that_forget_the_decision() -> World:
    return acceptor_crashes(ForgetsWhatWasDecided)


decision_forgotten = must_break(agreement.over(acceptors_that_forget_the_decision))


class SharesBallots(PaxosNode):
    """Ballots are plain numbers: two proposers use the same one, and both get promises for it."""

    def next_ballot(self) -> Ballot:
        return super().next_ballot()._replace(name="")


@bounded(by=bfs(), within=rounds(1))
def proposers_that_share_ballots() -> World:
    return duel(SharesBallots)


equal_ballot_promised = must_break(agreement.over(proposers_that_share_ballots))


class AcceptsAnything(PaxosNode):
    """An acceptor accepts below what it has promised."""

    def may_accept(self, ballot: Ballot) -> bool:
        return True


@bounded(by=bfs(), within=rounds(1))
def acceptors_that_accept_anything() -> World:
    return duel(AcceptsAnything)


promise_broken = must_break(promises_are_kept.over(acceptors_that_accept_anything))
lower_ballot_accepted = must_break(agreement.over(acceptors_that_accept_anything))


class AcceptsWithoutPromising(PaxosNode):
    """To accept a ballot does not promise it, so a lower one is accepted afterwards."""

    def accept(self, host: Host, sender: str, request: Accept) -> None:
        promised = self.promised
        super().accept(host, sender, request)
        self.promised = promised


@bounded(by=bfs(), within=rounds(1, n3=2))
def acceptors_that_accept_without_promising() -> World:
    return duel(AcceptsWithoutPromising)


accepted_value_overwritten = must_break(agreement.over(acceptors_that_accept_without_promising))


class InsistsOnItsValue(PaxosNode):
    """What promises report is ignored."""

    def higher(self, best: Proposal | None, other: Proposal) -> Proposal | None:
        return best


@bounded(by=bfs(), within=rounds(1))
def proposers_that_insist() -> World:
    return duel(InsistsOnItsValue)


reports_ignored = must_break(agreement.over(proposers_that_insist))


class TrustsTheLastReport(PaxosNode):
    """Of two proposals reported, the one that was reported last is adopted."""

    def higher(self, best: Proposal | None, other: Proposal) -> Proposal | None:
        return other


@bounded(by=bfs(), within=rounds(1, n3=2))
def proposers_that_trust_the_last_report() -> World:
    return duel(TrustsTheLastReport)


lower_report_adopted = must_break(agreement.over(proposers_that_trust_the_last_report))


class HalfIsEnough(PaxosNode):
    """Half of an even number of acceptors is taken for a majority."""

    def is_quorum(self, host: Host, acceptors: Collection[str]) -> bool:
        return 2 * len(acceptors) >= len(self.others(host)) + 1


@bounded(by=bfs(), within=rounds(1))
def half_of_four_nodes() -> World:
    return four_nodes(HalfIsEnough)


two_halves_decide = must_break(agreement.over(half_of_four_nodes))


@bounded(by=bfs(), within=rounds(1))
def a_node_of_the_old_configuration() -> World:
    """n1 has not heard that n3, n4 and n5 have joined, and takes two of two for a majority."""
    others = {
        name: tuple(f"n{k}" for k in range(1, 6) if f"n{k}" != name)
        for name in ("n2", "n3", "n4", "n5")
    }
    values = {"n3": "y"}
    return World.of(
        PaxosNode("n1", proposal="x", peers=("n2",), catch_up_seconds=None),
        *(
            PaxosNode(name, proposal=values.get(name), peers=peers, catch_up_seconds=None)
            for name, peers in others.items()
        ),
    )


old_configuration_decides = must_break(agreement.over(a_node_of_the_old_configuration))
