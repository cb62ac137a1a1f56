"""The two models that every engine of this benchmark runs: ping-pong, and a cluster of Raft."""

from __future__ import annotations

from typing import Any

from happysim import (
    Host,
    Link,
    Network,
    Node,
    Script,
    TimedOut,
    World,
    call,
    constant,
    datacenter_network,
    message,
    on,
    sleep,
    uniform_latency,
)
from happysim.protocols.raft import KeyValue, RaftNode, Set
from happysim.protocols.requests import ClientRequest, NotLeader

LATENCY_S = 0.001
EVEN_S = (0.00015, 0.00035)
EVEN = Link(uniform_latency(*EVEN_S), name="even")
SERVERS = tuple(f"n{number}" for number in range(1, 6))


@message
class Ping:
    number: int


@message
class Pong:
    number: int


class Pinger(Node):
    """Sends a Ping, and another for each Pong."""

    count: int = 0

    def on_start(self, host: Host) -> None:
        host.send("ponger", Ping(0))

    @on(Pong)
    def again(self, host: Host, sender: str, pong: Pong) -> None:
        self.count = pong.number + 1
        host.send(sender, Ping(self.count))


class Ponger(Node):
    """Answers each Ping."""

    @on(Ping)
    def answer(self, host: Host, sender: str, ping: Ping) -> None:
        host.send(sender, Pong(ping.number))


def ping_pong() -> World:
    """Two nodes and one message, for ever on its way."""
    network = Network("ping-pong", default=Link(constant(LATENCY_S)))
    return World.of(Pinger("pinger"), Ponger("ponger"), network=network)


def load(first: int) -> Any:
    """A client that sets a key about once a second, wherever the leader is."""
    at, number = first, 0
    while True:
        number += 1
        answer = yield call(SERVERS[at], ClientRequest(Set("key", number)), timeout=1.0)
        if isinstance(answer, NotLeader) and answer.leader:
            at = SERVERS.index(answer.leader)
        elif isinstance(answer, NotLeader | TimedOut):
            at = (at + 1) % len(SERVERS)
        yield sleep(1.0)


def servers(beat: float = 0.05) -> list[RaftNode]:
    """Five servers of one cluster. Nothing is thrown away: what is judged is the whole log."""
    patience = (3 * beat, 6 * beat)
    return [
        RaftNode(
            name,
            machine=KeyValue(),
            heartbeat_seconds=beat,
            election_seconds=patience,
            snapshot_entries=None,
        )
        for name in SERVERS
    ]


def cluster(beat: float = 0.05, link: Link = EVEN) -> World:
    """Five servers of Raft and two clients, by default on the link that every engine has."""
    network = Network("cluster-in-time", default=link)
    clients = [Script(f"c{number}", load, number) for number in (0, 1)]
    return World.of(*servers(beat), *clients, network=network)


def quick() -> World:
    """The same, in one data center."""
    return cluster(link=datacenter_network())


def steady() -> World:
    """The same, whose leader beats twice a second."""
    return cluster(0.5, datacenter_network())
