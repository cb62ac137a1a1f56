"""The same models on nothing: a heap and a loop, and hosts that do the least that a handler needs.

The handlers are those of the library, so what differs is what stands between them. Nothing is
checked here: neither messages nor fields, no faults, no links with loss, no clocks of their own.
"""

from __future__ import annotations

import random  # noqa: TID251 - what its users would take
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from typing import Any

from benchmarks.timed.models import EVEN_S, SERVERS, load, servers
from happysim.core.script import Operation, TimedOut
from happysim.protocols.raft import RaftNode


@dataclass
class Counts:
    """What happened: handler calls, and messages that arrived."""

    calls: int = 0
    messages: int = 0


def ping_pong(seconds: float, latency: float) -> int:
    """Messages handled in so much virtual time."""
    heap: list[tuple[int, int, int, int]] = []
    ticket = count().__next__
    latency_ns, limit = round(latency * 1e9), round(seconds * 1e9)
    heappush(heap, (latency_ns, ticket(), 1, 0))
    handled = 0
    while heap and heap[0][0] <= limit:
        now, _, to, number = heappop(heap)
        handled += 1
        heappush(heap, (now + latency_ns, ticket(), 1 - to, number + to))
    return handled


class Host:
    """The least of a host: it sends, sets timers and answers."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster, self.name = cluster, name
        self.peers = tuple(other for other in cluster.names if other != name)
        self.operation: Operation | None = None
        self.timers: dict[str, int] = {}

    def send(self, to: str, message: Any) -> None:
        cluster = self.cluster
        cluster.carry(cluster.latency(), to, (self.name, message, None))

    def broadcast(self, message: Any, to: Iterable[str] | None = None) -> None:
        for name in self.peers if to is None else to:
            self.send(name, message)

    def respond(self, value: Any, to: Operation | None = None) -> None:
        operation = to or self.operation
        if operation is not None:
            self.cluster.answer(operation, value)

    def reply(self, message: Any) -> None:
        self.respond(message)

    def set_timer(self, name: str, seconds: float | tuple[float, float] = 1.0) -> None:
        if isinstance(seconds, tuple):
            low, high = seconds
            seconds = low + self.cluster.draw() * (high - low)
        number = self.timers.get(name, 0) + 1
        self.timers[name] = number
        cluster = self.cluster
        cluster.later(round(seconds * 1e9), lambda: cluster.fire(self.name, name, number))

    def cancel_timer(self, name: str) -> None:
        self.timers[name] = self.timers.get(name, 0) + 1

    def sync(self) -> None:
        pass


class Cluster:
    """Five servers and two clients, over whatever calls `later`."""

    def __init__(
        self,
        seed: int,
        now: Callable[[], int],
        later: Callable[[int, Callable[[], None]], Any],
    ) -> None:
        self.names = SERVERS
        self.now, self.later = now, later
        self.draw = random.Random(seed).random
        self.counts = Counts()
        self.nodes: dict[str, RaftNode] = {node.name: node for node in servers()}
        self.hosts = {name: Host(self, name) for name in self.names}
        self.clients = {f"c{number}": load(number) for number in (0, 1)}
        self.open: dict[str, int] = {}
        self.carry: Callable[[int, str, Any], Any] = self._carry

    def _carry(self, delay_ns: int, to: str, letter: Any) -> None:
        self.later(delay_ns, lambda: self.deliver(to, *letter))

    def latency(self) -> int:
        """Evenly spread, as in every engine."""
        low, high = EVEN_S
        return int((low + (high - low) * self.draw()) * 1e9)

    def start(self) -> None:
        for name, node in self.nodes.items():
            node.on_start(self.hosts[name])  # type: ignore[arg-type]
        for name, client in self.clients.items():
            self.ask(name, 1, next(client))

    def deliver(self, to: str, source: str, message: Any, operation: Operation | None) -> None:
        self.counts.calls += 1
        self.counts.messages += 1
        node, host = self.nodes[to], self.hosts[to]
        host.operation = operation
        handler = node.happysim_handlers.messages[type(message)]
        getattr(node, handler)(host, source, message)

    def fire(self, name: str, timer: str, number: int) -> None:
        if self.hosts[name].timers.get(timer) == number:
            self.counts.calls += 1
            node = self.nodes[name]
            getattr(node, node.happysim_handlers.timers[timer])(self.hosts[name])

    # -- clients ---------------------------------------------------------------------------------

    def ask(self, name: str, number: int, request: Any) -> None:
        if hasattr(request, "message"):
            self.open[name] = number
            letter = (name, request.message, Operation(name, number))
            self.carry(self.latency(), request.to, letter)
            self.later(
                request.timeout_ns, lambda: self.received(Operation(name, number), TimedOut())
            )
        else:
            self.later(request.low_ns, lambda: self.follow(name, number + 1, None))

    def answer(self, operation: Operation, value: Any) -> None:
        self.later(self.latency(), lambda: self.received(operation, value))

    def received(self, operation: Operation, value: Any) -> None:
        if self.open.get(operation.client) == operation.number:
            del self.open[operation.client]
            self.follow(operation.client, operation.number + 1, value)

    def follow(self, name: str, number: int, value: Any) -> None:
        self.ask(name, number, self.clients[name].send(value))


def cluster(seconds: float, seed: int) -> Counts:
    """The servers over a heap and a loop."""
    heap: list[Any] = []
    ticket = count().__next__
    now = 0

    def later(delay_ns: int, run: Callable[[], None]) -> None:
        heappush(heap, (now + delay_ns, ticket(), run))

    made = Cluster(seed, lambda: now, later)
    made.start()
    limit = round(seconds * 1e9)
    while heap and heap[0][0] <= limit:
        now, _, run = heappop(heap)
        run()
    return made.counts
