"""Single-decree Paxos whose value is a register's, written once.

**Source**: Lamport, "Paxos made simple", 2001. **Assumes**: an asynchronous network; no crash.
**Deviates**: a server proposes once, for the first client that asks; once it knows the decision it
answers reads and nothing else.
"""

from __future__ import annotations

from happysim import Host, Node, Register, World, linearizable, message, on
from tests.oracles.models.register import Get, GetOk, Put, PutOk, with_clients

Ballot = tuple[int, int]  # round, id of the server
Proposal = tuple[int, str, str]  # request, client, value


@message
class Prepare:
    ballot: Ballot


@message
class Prepared:
    ballot: Ballot
    accepted: tuple[Ballot, Proposal] | None


@message
class Accept:
    ballot: Ballot
    proposal: Proposal


@message
class Accepted:
    ballot: Ballot


@message
class Decided:
    ballot: Ballot
    proposal: Proposal


class PaxosServer(Node):
    """Proposer, acceptor and learner in one."""

    id: int
    ballot: Ballot = (0, 0)
    proposal: Proposal | None = None
    prepares: set[tuple[str, tuple[Ballot, Proposal] | None]] = set()
    accepts: set[str] = set()
    accepted: tuple[Ballot, Proposal] | None = None
    decided: bool = False

    def _majority(self, host: Host) -> int:
        return (len(host.peers) + 1) // 2 + 1

    @on(Put)
    def put(self, host: Host, sender: str, put: Put) -> None:
        if self.decided or self.proposal is not None:
            return
        self.proposal = (put.request, sender, put.value)
        self.ballot = (self.ballot[0] + 1, self.id)
        # As if it had sent Prepare to itself, and answered.
        self.prepares = {(host.name, self.accepted)}
        self.accepts = set()
        host.broadcast(Prepare(self.ballot))

    @on(Get)
    def get(self, host: Host, sender: str, get: Get) -> None:
        if self.decided:
            assert self.accepted is not None
            _, (_, _, value) = self.accepted
            host.reply(GetOk(get.request, value))

    @on(Prepare)
    def prepare(self, host: Host, sender: str, prepare: Prepare) -> None:
        if not self.decided and self.ballot < prepare.ballot:
            self.ballot = prepare.ballot
            host.reply(Prepared(prepare.ballot, self.accepted))

    @on(Prepared)
    def prepared(self, host: Host, sender: str, prepared: Prepared) -> None:
        if self.decided or prepared.ballot != self.ballot:
            return
        self.prepares.add((sender, prepared.accepted))
        if len(self.prepares) == self._majority(host):
            voted = [accepted for _, accepted in self.prepares if accepted is not None]
            if voted:
                self.proposal = max(voted)[1]
            assert self.proposal is not None
            self.accepted = (self.ballot, self.proposal)
            self.accepts.add(host.name)
            host.broadcast(Accept(self.ballot, self.proposal))

    @on(Accept)
    def accept(self, host: Host, sender: str, accept: Accept) -> None:
        if not self.decided and self.ballot <= accept.ballot:
            self.ballot = accept.ballot
            self.accepted = (accept.ballot, accept.proposal)
            host.reply(Accepted(accept.ballot))

    @on(Accepted)
    def note_accepted(self, host: Host, sender: str, accepted: Accepted) -> None:
        if self.decided or accepted.ballot != self.ballot:
            return
        self.accepts.add(sender)
        if len(self.accepts) == self._majority(host):
            self.decided = True
            assert self.proposal is not None
            host.broadcast(Decided(self.ballot, self.proposal))
            request, client, _ = self.proposal
            host.send(client, PutOk(request))

    @on(Decided)
    def learn(self, host: Host, sender: str, decided: Decided) -> None:
        if not self.decided:
            self.ballot = decided.ballot
            self.accepted = (decided.ballot, decided.proposal)
            self.decided = True


def paxos(servers: int = 3, clients: int = 2) -> World:
    return with_clients(PaxosServer, servers, clients)


paxos_is_atomic = linearizable(paxos, Register(), name="paxos_is_atomic")
