"""A server of a chain: updates enter at the head, pass along, and are answered at the tail.

**Source**: van Renesse and Schneider, *Chain replication for supporting high throughput and
availability*, OSDI 2004; with `Reads.ANY`, Terrace and Freedman, *Object storage on CRAQ*, USENIX
2009. Sections named below are of the first, unless said otherwise.

**Assumes**: messages may be lost, delayed, reordered and copied. Servers crash, and restart with
what they have synced to disk. Servers are fail-stop (section 2): one that the master has taken out
of the chain answers no more queries, because it has stopped or has heard of it. A live tail that is
taken for dead, and does not know, answers from the past; updates stay safe even then, for its old
predecessor is in a newer epoch. The master is one node with a disk (section 3: a Paxos group).

**Deviates**:
- Links lose, reorder and copy. Numbers make up for that: a server takes updates in order of their
  numbers, says how far it is, and is sent the rest again by a timer.
- Every message along the chain carries its epoch, and one of another epoch is ignored.
- A server that joins becomes the tail at once, and answers when it has got the state. In the paper
  the old tail goes on until then (section 3.2).
- Hist is not kept: a server keeps the state after its last update, the state after the last one
  that the tail has, and the updates between, which are the paper's Sent.
- A version (CRAQ) is the number of an update. What an object is, the machine says by `key`.

Update Propagation Invariant: what a server has is a prefix of what its predecessor has. So a server
that fails takes nothing with it that was answered, and its neighbours can be joined.
"""

from __future__ import annotations

from typing import Any

from happysim.core.host import Host
from happysim.core.node import Node, durable, on
from happysim.core.script import Operation
from happysim.protocols.chain.messages import (
    Ack,
    AskVersion,
    Chain,
    CurrentChain,
    Entry,
    Forward,
    Hello,
    Here,
    Joined,
    Query,
    Reads,
    Redirect,
    Session,
    Snapshot,
    Update,
    Version,
)
from happysim.protocols.machine import Journal, KeyedMachine
from happysim.protocols.requests import operation_of_script

UNKNOWN = -1


class ChainServer(Node):
    """A server of the newest `chain` that it has heard of; `first_chain` makes one.

    All servers have one `reads` and one `machine`. The resend timer is set exactly while the
    successor or the tail lacks something, or a query waits for the tail.
    """

    chain: Chain = durable()
    reads: Reads = Reads.TAIL
    machine: KeyedMachine = Journal()
    master: str = "master"
    resend_seconds: float = 0.5

    # `last`: the newest update here, `stable`: the newest that the tail is known to have; with the
    # states after each. `sent`: the updates between.
    last: int = durable(default=0)
    state: Any = durable(default=None)
    stable: int = durable(default=0)
    stable_state: Any = durable(default=None)
    sent: list[Entry] = durable(default=[])
    sessions: dict[str, Session] = durable(factory=dict)
    joined: int = durable(default=0)  # as one that was added in this epoch it has got the state
    life: int = durable(default=0)  # one more with each restart

    is_sure: bool = True  # whether the chain is not one from before a crash
    acked: int = UNKNOWN  # what the successor has
    asking: dict[Operation, Any] = {}  # queries that wait for the tail
    is_resending: bool = False  # whether the resend timer is set

    def __post_init__(self) -> None:
        if self.state is None:
            self.state = self.stable_state = self.machine.initial

    @property
    def is_head(self) -> bool:
        """Whether updates enter here."""
        return self.chain.head == self.name

    @property
    def is_tail(self) -> bool:
        """Whether updates are answered here."""
        return self.chain.tail == self.name

    @property
    def may_answer(self) -> bool:
        """Whether queries may be answered from here."""
        return self.is_full and self.is_sure

    @property
    def is_full(self) -> bool:
        """Whether this server is in the chain, and has got the state if it was added to it."""
        is_joined = self.chain.since(self.name) in (0, self.joined)
        return self.name in self.chain.servers and is_joined

    def on_start(self, host: Host) -> None:
        """In a new chain the successor has nothing. After a restart, ask it and the master."""
        self.life += 1
        host.sync()
        if self.life == 1:
            self.acked = 0
        else:
            self.is_sure = self.trusts_its_disk()
            self.say_hello(host)
            self.link(host)

    def trusts_its_disk(self) -> bool:
        """It may have been taken out of the chain while it was down, and others put in."""
        return False

    def say_hello(self, host: Host) -> None:
        """Ask for the newest chain."""
        if not self.is_sure:
            host.send(self.master, Hello(self.life))

    # -- section 3.1: updates --------------------------------------------------------------------

    @on(Update)
    def update(self, host: Host, client: str, request: Update) -> None:
        """The head puts updates in order, each once."""
        asked = operation_of_script(host, client, request)
        session = self.sessions.get(asked.client)
        if not (self.is_head and self.is_full):
            host.respond(Redirect(self.chain.head))
        elif session is None or session.operation < asked.number:
            self.apply(Entry(self.last + 1, request.command, asked))
            self.pass_on(host, self.last - 1)
            self.advance(host)
        elif session.operation == asked.number and session.number <= self.stable:
            host.respond(session.result)

    def apply(self, entry: Entry) -> None:
        """Take the next update on."""
        self.state, result = self.machine.apply(self.state, entry.command)
        session = Session(entry.operation.number, entry.number, result)
        # By client: in which order clients came first is no part of the state.
        self.sessions = dict(sorted({**self.sessions, entry.operation.client: session}.items()))
        self.last = entry.number
        self.sent.append(entry)

    def pass_on(self, host: Host, previous: int) -> None:
        """Send the successor the updates after a number, once they are on disk here."""
        successor = self.chain.after(self.name)
        self.persist(host)
        if successor is not None:
            entries = tuple(entry for entry in self.sent if entry.number > previous)
            host.send(successor, Forward(self.chain.epoch, previous, entries))

    def persist(self, host: Host) -> None:
        """A successor must not have what a crash could take from its predecessor."""
        host.sync()

    @on(Forward)
    def take_updates(self, host: Host, sender: str, request: Forward) -> None:
        """Apply what comes next, pass it on, and say how far this server is."""
        if not self.is_from(sender, self.chain.before(self.name), request.epoch):
            return
        before = self.last
        if self.is_full:
            for entry in self.next_of(request):
                self.apply(entry)
        if self.last > before:
            self.pass_on(host, before)
        self.advance(host)
        self.acknowledge(host)

    def next_of(self, request: Forward) -> tuple[Entry, ...]:
        """Those that come right behind the last one here: none where there is a gap."""
        if request.previous > self.last:
            return ()
        return tuple(entry for entry in request.entries if entry.number > self.last)

    def is_from(self, sender: str, neighbour: str | None, epoch: int) -> bool:
        """Whether a message is from that neighbour, and of this epoch."""
        return sender == neighbour and epoch == self.chain.epoch

    # -- section 3.1: answers --------------------------------------------------------------------

    def advance(self, host: Host) -> None:
        """What the tail has is stable; have the timer set exactly while there is more."""
        if self.is_tail and self.is_full:
            self.settle(host, self.last)
        lacks = self.chain.after(self.name) and (self.acked < self.last or self.stable < self.last)
        self.keep_resending(
            host, bool((self.is_full and (lacks or self.asking)) or not self.is_sure)
        )

    def keep_resending(self, host: Host, is_wanted: bool) -> None:
        """Have the timer set or not. Set anew by every update, it would never fire."""
        if is_wanted and not self.is_resending:
            host.set_timer("resend", seconds=self.resend_seconds)
        elif not is_wanted:
            host.cancel_timer("resend")
        self.is_resending = is_wanted

    def settle(self, host: Host, number: int) -> None:
        """The tail has all up to `number`. If this is the tail, it answers what it has not yet."""
        answers = [
            (Operation(client, session.operation), session.result)
            for client, session in self.sessions.items()
            if self.stable < session.number <= number
        ]
        while self.sent and self.sent[0].number <= number:
            entry = self.sent.pop(0)
            self.stable_state, _ = self.machine.apply(self.stable_state, entry.command)
        self.stable = max(self.stable, number)
        self.persist(host)
        for operation, result in answers if self.is_tail else ():
            host.respond(result, to=operation)

    def acknowledge(self, host: Host) -> None:
        """Tell the predecessor how far this server and the tail are."""
        predecessor = self.chain.before(self.name)
        self.persist(host)
        if predecessor is not None and self.is_full:
            host.send(predecessor, Ack(self.chain.epoch, self.last, self.stable))

    @on(Ack)
    def take_ack(self, host: Host, sender: str, ack: Ack) -> None:
        """Remove from Sent what the tail has, and pass the word on."""
        if not self.is_from(sender, self.chain.after(self.name), ack.epoch) or not self.is_full:
            return
        is_new = self.acked == UNKNOWN
        self.acked = max(self.acked, ack.last)
        if ack.stable > self.stable:
            self.settle(host, ack.stable)
            self.acknowledge(host)
        if is_new and self.acked < self.last:
            self.catch_up(host)
        self.advance(host)

    @on.timer("resend")
    def resend(self, host: Host) -> None:
        """Whatever was lost: send it again."""
        self.is_resending = False
        self.say_hello(host)
        if self.acked < self.last or self.stable < self.last:
            self.catch_up(host)
        for operation, command in self.asking.items():
            host.send(self.chain.tail, AskVersion(command, operation))
        self.advance(host)

    def catch_up(self, host: Host) -> None:
        """Send the successor what it lacks; ask one that was not heard of yet where it is."""
        successor = self.chain.after(self.name)
        if successor is None:
            return
        if self.acked == UNKNOWN and not self.chain.since(successor):
            self.pass_on(host, self.last)
        elif self.acked < self.stable or self.acked == UNKNOWN:
            self.persist(host)
            sessions = tuple(self.sessions.items())
            epoch, state = self.chain.epoch, self.state
            host.send(successor, Snapshot(epoch, self.last, self.stable, state, sessions))
        else:
            self.pass_on(host, self.acked)

    # -- section 3.2: failures, and servers that join --------------------------------------------

    @on(CurrentChain)
    def take_chain(self, host: Host, master: str, news: CurrentChain) -> None:
        """Take the place that the newest chain gives to this server."""
        is_new = news.chain.epoch > self.chain.epoch
        if is_new:
            self.chain = news.chain
            self.acked = UNKNOWN
        if news.life == self.life:
            self.is_sure = True
        host.sync()
        host.send(master, Here())
        if self.is_full and self.chain.since(self.name):
            host.send(master, Joined(self.joined))
        if is_new:
            self.link(host)
        else:
            self.advance(host)

    def link(self, host: Host) -> None:
        """Ask a new successor where it is, and answer what a tail before this one may not have."""
        if self.is_full:
            self.catch_up(host)
        self.advance(host)

    @on(Snapshot)
    def take_snapshot(self, host: Host, sender: str, snapshot: Snapshot) -> None:
        """Take over the state, once. What this server had from before it was added is no good."""
        if not self.is_from(sender, self.chain.before(self.name), snapshot.epoch):
            return
        if not self.is_full:
            self.last, self.state = snapshot.last, snapshot.state
            self.stable, self.stable_state = snapshot.stable, snapshot.state
            self.sent, self.sessions = [], dict(snapshot.sessions)
            self.joined = self.chain.since(self.name)
            host.sync()
            host.send(self.master, Joined(self.joined))
        self.advance(host)
        self.acknowledge(host)

    # -- queries (CRAQ: section 2.3) -------------------------------------------------------------

    @on(Query)
    def query(self, host: Host, client: str, request: Query) -> None:
        """The tail answers from its state. CRAQ: so does any server where the key is clean."""
        asked = operation_of_script(host, client, request)
        if not self.may_answer or not (self.is_tail or self.reads is Reads.ANY):
            host.respond(Redirect(self.chain.tail))
        elif self.is_tail or not self.is_dirty(request.command):
            self.answer_clean(host, asked, request.command)
        else:
            self.asking[asked] = request.command
            host.send(self.chain.tail, AskVersion(request.command, asked))
            self.advance(host)

    def answer_clean(self, host: Host, asked: Operation, command: Any) -> None:
        """Answer with the newest version: the tail has it."""
        host.respond(self.machine.apply(self.state, command)[1], to=asked)

    def is_dirty(self, command: Any) -> bool:
        """CRAQ: whether there is a version here that the tail is not known to have."""
        key = self.machine.key(command)
        return any(key is None or self.machine.key(each.command) == key for each in self.sent)

    @on(AskVersion)
    def tell_version(self, host: Host, server: str, request: AskVersion) -> None:
        """CRAQ: the tail commits what it takes on, so its newest version is the last committed."""
        if self.is_tail and self.may_answer:
            self.persist(host)
            host.reply(Version(self.last, request.command, request.operation))

    @on(Version)
    def answer_version(self, host: Host, tail: str, version: Version) -> None:
        """CRAQ: answer with the version that the tail named, or a newer one that it has by now."""
        if self.asking.pop(version.operation, None) is not None:
            _, result = self.machine.apply(self.state_at(version.number), version.command)
            host.respond(result, to=version.operation)
            self.advance(host)

    def state_at(self, number: int) -> Any:
        """The state after an update; after the last stable one, where that is newer."""
        state = self.stable_state
        for entry in self.sent:
            if entry.number <= number:
                state, _ = self.machine.apply(state, entry.command)
        return state
