"""Small protocols that the tests of the simulation share."""

from __future__ import annotations

from typing import Any

from happysim import (
    Disk,
    Host,
    Link,
    Network,
    Node,
    Random,
    Script,
    Simulation,
    World,
    call,
    constant,
    durable,
    exponential,
    message,
    on,
    ordered,
    unordered,
)
from happysim.core.network import Delivery
from happysim.spec.property import no_handler_raises
from happysim.spec.scenario import scenario_of
from tests.oracles.test_naive_agrees import Case


@message
class Tick:
    number: int


@message
class Ask:
    pass


class Counter(Node):
    """Counts what it is sent, keeps the order, and answers clients."""

    seen: list[int] = []
    total: int = durable(default=0)
    rang: list[int] = []

    @on(Tick)
    def tick(self, host: Host, sender: str, tick: Tick) -> None:
        self.seen.append(tick.number)
        self.total += 1

    @on(Ask)
    def ask(self, host: Host, sender: str, ask: Ask) -> None:
        host.reply(len(self.seen))

    @on.timer("ring")
    def ring(self, host: Host) -> None:
        self.rang.append(host.now)


class Source(Node):
    """Sends numbered ticks to each peer of the other kind, one every second."""

    to: tuple[str, ...] = ("n1",)
    count: int = 5
    sent: int = 0

    def on_start(self, host: Host) -> None:
        host.set_timer("next", seconds=1)

    @on.timer("next")
    def next(self, host: Host) -> None:
        self.sent += 1
        for name in self.to:
            host.send(name, Tick(self.sent))
        if self.sent < self.count:
            host.set_timer("next", seconds=1)


class Alarm(Node):
    """Rings a second after it starts, and notes its clock."""

    rang: list[int] = []

    def on_start(self, host: Host) -> None:
        host.set_timer("ring", seconds=1)

    @on.timer("ring")
    def ring(self, host: Host) -> None:
        self.rang.append(host.now)


def ticking(
    link: Link | None = None,
    count: int = 5,
    delivery: Delivery | None = None,
    to: tuple[str, ...] = ("n1",),
) -> World:
    """One source, and the counters that it sends to."""
    link = Link(constant(0.01)) if link is None else link
    network = Network("ticking", default=link, delivery=delivery or unordered())
    counters = [Counter(name) for name in to]
    return World.of(Source("source", to, count), *counters, network=network)


def asking(times: int = 2) -> World:
    """A client that asks a counter."""

    def ask(times: int) -> Any:
        for _ in range(times):
            yield call("n1", Ask())

    network = Network("asking", default=Link(constant(0.25)), delivery=ordered())
    return World.of(Counter("n1"), Script("c1", ask, times), network=network)


def wild_run(case: Case, seed: int, faults: list[Any], disks: Disk | None = None) -> Simulation:
    """A recorded run of a random protocol, on a network that does all that networks do."""
    mean = 0.01 * (1 + Random(seed, "wild").below(100))

    def wildly(link: Link) -> Link:
        return link.with_(latency=exponential(mean), loss=0.1, duplicate=0.2, reorder=0.2)

    return Simulation(
        case.scenario(),
        seed=seed,
        properties=[no_handler_raises(scenario_of(case.scenario))],
        faults=faults,
        disks=disks,
        link=wildly,
        trace=True,
    ).run(8.0)
