"""A register served to clients: the client that all its servers share, one server, and ABD.

A client writes once and then reads once, each from the next server in turn, and keeps the history
of what it asked and got. What it does not await changes nothing.
"""

from __future__ import annotations

from typing import Any

from happysim import (
    Host,
    Node,
    Read,
    Register,
    World,
    Write,
    linearizable,
    message,
    on,
)

Seq = tuple[int, int]  # clock, id of the server


@message
class Put:
    request: int
    value: str


@message
class PutOk:
    request: int


@message
class Get:
    request: int


@message
class GetOk:
    request: int
    value: str | None


class Client(Node):
    """Puts, then gets. Its requests are numbered by multiples of its index."""

    index: int
    servers: tuple[str, ...]
    awaited: int | None = None
    asked: int = 0  # operations sent so far

    def on_start(self, host: Host) -> None:
        value = chr(ord("A") + self.index - len(self.servers))
        self.awaited, self.asked = self.index, 1
        host.send(self.servers[self.index % len(self.servers)], Put(self.index, value))
        host.invoke(Write(value))

    @on(PutOk)
    def put_done(self, host: Host, sender: str, answer: PutOk) -> None:
        if answer.request != self.awaited:
            return
        host.complete(None)
        self.awaited = (self.asked + 1) * self.index
        server = self.servers[(self.index + self.asked) % len(self.servers)]
        self.asked += 1
        host.send(server, Get(self.awaited))
        host.invoke(Read())

    @on(GetOk)
    def get_done(self, host: Host, sender: str, answer: GetOk) -> None:
        if answer.request == self.awaited:
            host.complete(answer.value)
            self.awaited = None
            self.asked += 1


def with_clients(kind: type[Node], servers: int, clients: int) -> World:
    """Servers 0 .. S-1 of a kind, and clients S .. S+C-1."""
    names = tuple(f"s{i}" for i in range(servers))
    return World.of(
        *(kind(name, i) for i, name in enumerate(names)),
        *(Client(f"c{i}", i, names) for i in range(servers, servers + clients)),
    )


class SingleCopy(Node):
    """One copy of the register, which knows of no other."""

    id: int
    value: str | None = None

    @on(Put)
    def put(self, host: Host, sender: str, put: Put) -> None:
        self.value = put.value
        host.reply(PutOk(put.request))

    @on(Get)
    def get(self, host: Host, sender: str, get: Get) -> None:
        host.reply(GetOk(get.request, self.value))


@message
class Query:
    request: int


@message
class AckQuery:
    request: int
    seq: Seq
    value: str | None


@message
class Record:
    request: int
    seq: Seq
    value: str | None


@message
class AckRecord:
    request: int


class Abd(Node):
    """A register over a majority of servers.

    **Source**: Attiya, Bar-Noy and Dolev, "Sharing memory robustly in message-passing systems",
    1995; with several writers as in Lynch and Shvartsman, 1997. A server runs one operation at a
    time; what a client asks meanwhile waits in the network.
    """

    id: int
    seq: Seq = (0, 0)
    value: str | None = None
    # (1, request, client, is a write, value to write, answers) while it asks,
    # (2, request, client, is a write, value read, acks) while it records; else None.
    phase: tuple[Any, ...] | None = None

    def on_start(self, host: Host) -> None:
        self.seq = (0, self.id)

    def _majority(self, host: Host) -> int:
        return (len(host.peers) + 1) // 2 + 1

    @on(Put)
    def put(self, host: Host, sender: str, put: Put) -> None:
        self._begin(host, sender, put.request, True, put.value)

    @on(Get)
    def get(self, host: Host, sender: str, get: Get) -> None:
        self._begin(host, sender, get.request, False, None)

    def _begin(
        self, host: Host, client: str, request: int, writes: bool, value: str | None
    ) -> None:
        if self.phase is None:
            host.broadcast(Query(request))
            answers = frozenset({(host.name, self.seq, self.value)})
            self.phase = (1, request, client, writes, value, answers)

    @on(Query)
    def query(self, host: Host, sender: str, query: Query) -> None:
        host.reply(AckQuery(query.request, self.seq, self.value))

    @on(AckQuery)
    def ack_query(self, host: Host, sender: str, ack: AckQuery) -> None:
        if self.phase is None or self.phase[:2] != (1, ack.request):
            return
        _, request, client, writes, written, answers = self.phase
        answers |= {(sender, ack.seq, ack.value)}
        self.phase = (1, request, client, writes, written, answers)
        if len(answers) != self._majority(host):
            return
        _, seq, value = max(answers, key=lambda answer: answer[1])
        read = None if writes else value
        if writes:
            seq, value = (seq[0] + 1, self.id), written
        host.broadcast(Record(request, seq, value))
        self._adopt(seq, value)
        self.phase = (2, request, client, writes, read, frozenset({host.name}))

    def _adopt(self, seq: Seq, value: str | None) -> None:
        if seq > self.seq:
            self.seq, self.value = seq, value

    @on(Record)
    def record(self, host: Host, sender: str, record: Record) -> None:
        host.reply(AckRecord(record.request))
        self._adopt(record.seq, record.value)

    @on(AckRecord)
    def ack_record(self, host: Host, sender: str, ack: AckRecord) -> None:
        if self.phase is None or self.phase[:2] != (2, ack.request) or sender in self.phase[5]:
            return
        _, request, client, writes, read, acks = self.phase
        acks |= {sender}
        self.phase = (2, request, client, writes, read, acks)
        if len(acks) == self._majority(host):
            host.send(client, PutOk(request) if writes else GetOk(request, read))
            self.phase = None


def single_copy(servers: int = 1, clients: int = 2) -> World:
    return with_clients(SingleCopy, servers, clients)


def abd(servers: int = 2, clients: int = 2) -> World:
    return with_clients(Abd, servers, clients)


single_copy_is_atomic = linearizable(single_copy, Register(), name="single_copy_is_atomic")
abd_is_atomic = linearizable(abd, Register(), name="abd_is_atomic")
