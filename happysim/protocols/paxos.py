"""Paxos: nodes that choose one value among those proposed, and never another, through crashes.

**Source**: Lamport, *Paxos made simple*, 2001, section 2; in section 2.4 every node plays all three
roles: proposer, acceptor and learner. Sections named below are that paper's.

**Assumes**: messages may be lost, delayed, reordered and copied. Nodes crash, and restart with what
they have synced to disk. The set of nodes does not change. To be sure to end, a majority has to be
up, its messages have to arrive, and one proposer has to be left alone for a while, to which random
and growing pauses between attempts lead.

**Deviates**:
- A proposer asks all acceptors, not just a majority, and asks itself without a message.
- The proposer is the learner of its own ballots, and tells the others (section 2.3, distinguished
  learner). One that has learnt answers whatever it is asked with the decision.
- A node that has accepted a value and hears no decision makes an attempt of its own, even without a
  value to propose (section 2.3: have a proposer issue a proposal). So a decision does not hang on
  the proposer that brought it about.
- An acceptor that ignores a request says so (`Rejected`; section 2.5 recommends it), so that the
  next attempt is above what it has promised. An attempt is repeated under a new ballot only.
- A copy of a Prepare is answered like the first. It asks for no more than was promised before.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import InitVar
from typing import Any

from happysim.core.errors import ProtocolError
from happysim.core.host import Host
from happysim.core.message import message
from happysim.core.node import Node, durable, on
from happysim.core.script import Operation
from happysim.core.topology import Network
from happysim.protocols.ballot import NO_BALLOT, Ballot
from happysim.protocols.cluster import check_peers
from happysim.protocols.requests import operation_of_script

# After so many attempts the pause before the next one does not grow any more.
_DOUBLINGS_MAX = 6

# -- clients -------------------------------------------------------------------------------------


@message
class Propose:
    """A client script asks to have `value` chosen; the answer is the value that was chosen."""

    value: Any


# -- nodes ---------------------------------------------------------------------------------------


@message
class Proposal:
    """The value of a ballot. There is one a ballot."""

    ballot: Ballot
    value: Any


@message
class Prepare:
    """Phase 1a: accept nothing below `ballot` from now on, and say what you have accepted."""

    ballot: Ballot


@message
class Promise:
    """Phase 1b: the sender will not, and this is the highest proposal that it has accepted."""

    ballot: Ballot
    accepted: Proposal | None


@message
class Accept:
    """Phase 2a: accept this proposal."""

    proposal: Proposal


@message
class Accepted:
    """Phase 2b: the sender has accepted the proposal of this ballot."""

    ballot: Ballot


@message
class Rejected:
    """The answer to a Prepare or Accept below `ballot`, which the sender has promised."""

    ballot: Ballot


@message
class Decided:
    """The value that was chosen."""

    value: Any


@message
class Ask:
    """Has a value been chosen? Answered with `Decided`, or not at all."""


class PaxosNode(Node):
    """A proposer, acceptor and learner. All PaxosNodes of a world choose one value together.

    It proposes `proposal`, if not None, as soon as it starts; or else what its first client brings
    along. `peers` names the other nodes where they are not all of this kind. Times are in seconds:
    an attempt that leads nowhere is repeated after `retry_seconds`, a draw from a range that grows,
    and a node that has learnt nothing asks the others every `catch_up_seconds`. None turns that
    off: a node that took no part may then never learn. An exhaustive search wants it so, except on
    a duplicating network: questions in flight have no bound.

    `network`, where given, is asked to `join(self)`.

    Raises `ProtocolError` where `peers` names this node or one twice.
    """

    proposal: Any = None
    peers: tuple[str, ...] | None = None
    retry_seconds: tuple[float, float] = (0.1, 0.2)
    catch_up_seconds: float | None = 1.0
    network: InitVar[Network | None] = None

    # Acceptor: what it must remember (sections 2.2 and 2.5).
    promised: Ballot = durable(default=NO_BALLOT)
    accepted: Proposal | None = durable(default=None)

    # Learner: the value that was chosen, once this node knows it.
    chosen: Any = durable(default=None)

    # Proposer: its attempt, if any. `value` is None in phase 1; `best` is what promises reported.
    ballot: Ballot = NO_BALLOT
    promised_by: set[str] = set()
    best: Proposal | None = None
    value: Any = None
    accepted_by: set[str] = set()
    round_seen: int = 0
    waiting: list[Operation] = []

    def __post_init__(self, network: Network | None) -> None:
        check_peers(self.name, self.peers)
        if network is not None:
            network.join(self)

    def others(self, host: Host) -> tuple[str, ...]:
        """The rest of the nodes."""
        return host.peers if self.peers is None else self.peers

    def is_quorum(self, host: Host, acceptors: Collection[str]) -> bool:
        """Section 2.2: any two majorities have an acceptor in common."""
        return 2 * len(acceptors) > len(self.others(host)) + 1

    def persist(self, host: Host) -> None:
        """Section 2.5: an acceptor records its response on disk before it sends it."""
        host.sync()

    def send(self, host: Host, to: str, sent: Any) -> None:
        """Send to another node."""
        self.persist(host)
        host.send(to, sent)

    # -- clients -------------------------------------------------------------------------------

    def on_start(self, host: Host) -> None:
        """A node that knows no decision goes on, or goes and asks. So it does after a crash."""
        if self.chosen is not None:
            return
        if self.catch_up_seconds is not None:
            host.set_timer("catch up", self.catch_up_seconds)
        if self.proposal is not None:
            self.prepare(host)
        elif self.accepted is not None:
            self.set_retry_timer(host)

    @on(Propose)
    def take_proposal(self, host: Host, client: str, request: Propose) -> None:
        """A client is answered when this node learns the decision, whoever brought it about."""
        operation = operation_of_script(host, client, request)
        if request.value is None:
            raise ProtocolError(f"{client} proposed None, which is no value; give a value")
        if self.chosen is not None:
            host.respond(self.chosen)
        elif operation not in self.waiting:
            self.waiting.append(operation)
            if self.proposal is None:
                self.proposal = request.value
                self.prepare(host)

    # -- phase 1 (section 2.2) -----------------------------------------------------------------

    @on.timer("retry")
    def prepare(self, host: Host) -> None:
        """Phase 1a: choose a new ballot, and ask the acceptors for it, this node first."""
        self.ballot = self.next_ballot()
        self.promised = self.ballot
        self.promised_by, self.best, self.value, self.accepted_by = set(), None, None, set()
        self.set_retry_timer(host)
        # This acceptor's own word counts too, and so has to be on disk.
        self.persist(host)
        for peer in self.others(host):
            self.send(host, peer, Prepare(self.ballot))
        self.take_promise(host, self.name, Promise(self.ballot, self.accepted))

    def next_ballot(self) -> Ballot:
        """Section 2.5: above all used before, which `promised` has on disk; and above the rest."""
        return Ballot(max(self.promised.round, self.round_seen) + 1, self.name)

    def set_retry_timer(self, host: Host) -> None:
        """Section 2.4: two proposers must not overtake each other for ever."""
        shortest, longest = self.retry_seconds
        attempts = min(self.promised.round - 1, _DOUBLINGS_MAX)
        host.set_timer("retry", (shortest, longest * 2**attempts))

    @on(Prepare)
    def promise(self, host: Host, sender: str, request: Prepare) -> None:
        """Phase 1b: promise to accept nothing lower, and report the highest accepted so far."""
        if self.tells_decision(host, sender):
            return
        if request.ballot < self.promised:
            self.send(host, sender, Rejected(self.promised))
            return
        self.promised = request.ballot
        self.send(host, sender, Promise(request.ballot, self.accepted))

    @on(Promise)
    def take_promise(self, host: Host, sender: str, promise: Promise) -> None:
        """Phase 2a begins once a quorum has promised. What comes later changes nothing."""
        if promise.ballot != self.ballot or self.value is not None:
            return
        self.promised_by.add(sender)
        if promise.accepted is not None:
            self.best = self.higher(self.best, promise.accepted)
        if self.is_quorum(host, self.promised_by):
            self.propose(host, self.proposal if self.best is None else self.best.value)

    def higher(self, best: Proposal | None, other: Proposal) -> Proposal | None:
        """The proposal of the higher ballot."""
        return other if best is None or other.ballot > best.ballot else best

    # -- phase 2 (section 2.2) -----------------------------------------------------------------

    def propose(self, host: Host, value: Any) -> None:
        """Phase 2a: ask to accept the value reported for the highest ballot, or a value at will."""
        self.value = value
        proposal = Proposal(self.ballot, value)
        accepts = self.promised == self.ballot
        if accepts:
            self.accepted = proposal
            self.persist(host)
        for peer in self.others(host):
            self.send(host, peer, Accept(proposal))
        if accepts:
            self.take_accepted(host, self.name, Accepted(self.ballot))

    @on(Accept)
    def accept(self, host: Host, sender: str, request: Accept) -> None:
        """Phase 2b: accept, unless a higher ballot was promised."""
        if self.tells_decision(host, sender):
            return
        proposal = request.proposal
        if self.may_accept(proposal.ballot):
            self.promised, self.accepted = proposal.ballot, proposal
            self.set_retry_timer(host)
            self.send(host, sender, Accepted(proposal.ballot))
        else:
            self.send(host, sender, Rejected(self.promised))

    def may_accept(self, ballot: Ballot) -> bool:
        """P1a: unless this acceptor has responded to a Prepare of a higher ballot."""
        return ballot >= self.promised

    @on(Accepted)
    def take_accepted(self, host: Host, sender: str, accepted: Accepted) -> None:
        """A value is chosen when a quorum has accepted it under one ballot (section 2.3)."""
        if accepted.ballot != self.ballot:
            return
        self.accepted_by.add(sender)
        if self.is_quorum(host, self.accepted_by):
            self.decide(host, self.value)

    @on(Rejected)
    def note_round(self, host: Host, sender: str, rejected: Rejected) -> None:
        """Section 2.5: the next attempt, when the timer fires, is above what others promised.

        The present one is not given up: a quorum may do without the sender.
        """
        if self.ballot != NO_BALLOT:
            self.round_seen = max(self.round_seen, rejected.ballot.round)

    # -- learning (section 2.3) ----------------------------------------------------------------

    def decide(self, host: Host, value: Any) -> None:
        """This node's ballot has chosen a value: tell everyone."""
        self.learn(host, value)
        for peer in self.others(host):
            self.send(host, peer, Decided(value))

    @on(Decided)
    def take_decision(self, host: Host, sender: str, decided: Decided) -> None:
        """Another node knows that this value is chosen."""
        self.learn(host, decided.value)

    def learn(self, host: Host, value: Any) -> None:
        """Keep the decision, end any attempt, and answer every client that waits for it."""
        if self.chosen is not None:
            return
        self.chosen = value
        self.persist(host)
        self.ballot, self.value, self.best = NO_BALLOT, None, None
        self.promised_by, self.accepted_by, self.round_seen = set(), set(), 0
        host.cancel_timer("retry")
        host.cancel_timer("catch up")
        self.answer(host)

    def answer(self, host: Host) -> None:
        """Tell the clients that wait what was chosen, their own value or another."""
        for operation in self.waiting:
            host.respond(self.chosen, to=operation)
        self.waiting = []

    @on.timer("catch up")
    def ask(self, host: Host) -> None:
        """A node that was away, or whose decision got lost, asks for it."""
        for peer in self.others(host):
            self.send(host, peer, Ask())
        host.set_timer("catch up", self.catch_up_seconds or 0)

    @on(Ask)
    def answer_ask(self, host: Host, sender: str, question: Ask) -> None:
        """Only a node that knows a decision has something to say."""
        self.tells_decision(host, sender)

    def tells_decision(self, host: Host, to: str) -> bool:
        """Tell the decision, where this node knows it, instead of what was asked for."""
        if self.chosen is not None:
            self.send(host, to, Decided(self.chosen))
        return self.chosen is not None
