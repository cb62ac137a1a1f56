"""The synod of Paxos, with acceptors and proposers apart, for a solver to judge."""

from __future__ import annotations

from happysim import Faults, Host, Node, World, action, always, durable, message, on

Vote = tuple[int, str]  # ballot, value


@message
class Prepare:
    ballot: int


@message
class Promise:
    ballot: int
    vote: Vote | None


@message
class Accept:
    ballot: int
    value: str


@message
class Accepted:
    ballot: int


class Acceptor(Node):
    """Lamport, "Paxos made simple", 2001, section 2.2: promises, and accepts what it may."""

    promised: int = durable(0)
    vote: Vote | None = durable(None)

    @on(Prepare)
    def promise(self, host: Host, sender: str, prepare: Prepare) -> None:
        if prepare.ballot > self.promised:
            self.promised = prepare.ballot
            host.reply(Promise(prepare.ballot, self.vote))

    @on(Accept)
    def accept(self, host: Host, sender: str, accept: Accept) -> None:
        if accept.ballot >= self.promised:
            self.promised = accept.ballot
            self.vote = (accept.ballot, accept.value)
            host.reply(Accepted(accept.ballot))


class Proposer(Node):
    """Proposes its name in each of its ballots, in turn. `phase1` and `phase2` are quorum sizes."""

    acceptors: tuple[str, ...]
    ballots: tuple[int, ...]
    phase1: int = 2
    phase2: int = 2
    ballot: int = 0
    promises: dict[str, Vote | None] = {}
    value: str | None = None
    accepts: frozenset[str] = frozenset()
    decided: str | None = None

    @action(when=lambda self: self.ballot != self.ballots[-1] and self.decided is None)
    def prepare(self, host: Host) -> None:
        later = [ballot for ballot in self.ballots if ballot > self.ballot]
        self.ballot, self.promises = later[0], {}
        self.value, self.accepts = None, frozenset()
        host.broadcast(Prepare(self.ballot), to=self.acceptors)

    @on(Promise)
    def hear_promise(self, host: Host, sender: str, promise: Promise) -> None:
        if promise.ballot != self.ballot or self.value is not None:
            return
        self.promises = dict(sorted({**self.promises, sender: promise.vote}.items()))
        if len(self.promises) < self.phase1:
            return
        self.value = self.choose()
        host.broadcast(Accept(self.ballot, self.value), to=self.acceptors)
        self.promises = {}

    def choose(self) -> str:
        votes = [vote for vote in self.promises.values() if vote is not None]
        return max(votes)[1] if votes else self.name

    @on(Accepted)
    def hear_accepted(self, host: Host, sender: str, accepted: Accepted) -> None:
        if accepted.ballot != self.ballot or self.decided is not None:
            return
        self.accepts |= {sender}
        if len(self.accepts) >= self.phase2:
            self.decided = self.value


class IgnoresVotes(Proposer):
    """Proposes its own value, whatever the promises report."""

    def choose(self) -> str:
        return self.name


def synod(
    proposers: tuple[tuple[int, ...], ...] = ((1,), (2,)),
    size: int = 3,
    phase1: int = 2,
    phase2: int = 2,
    kind: type[Proposer] = Proposer,
    acceptor: type[Acceptor] = Acceptor,
    faults: Faults | None = None,
) -> World:
    """Acceptors a1, a2, ..., and a proposer for each tuple of ballots."""
    names = tuple(f"a{at}" for at in range(1, size + 1))
    return World.of(
        *map(acceptor, names),
        *(
            kind(f"p{at}", names, ballots, phase1, phase2)
            for at, ballots in enumerate(proposers, 1)
        ),
        faults=faults,
    )


@always(synod)
def agreement(world: World) -> bool:
    decided = {p.decided for p in world.nodes(Proposer)} - {None}
    return len(decided) <= 1
