"""The simulated network itself: what a link, a partition and its end promise to every protocol.

Runs in virtual time; each scenario declares the faults that befall it.
"""

from __future__ import annotations

from itertools import pairwise

from happysim import (
    Host,
    Link,
    Network,
    Node,
    Partition,
    World,
    always,
    at,
    bounded,
    constant,
    eventually,
    message,
    on,
    reachable,
    simulated,
)
from happysim.sim.faults import Fault

SECOND = 1_000_000_000


@message
class Tick:
    number: int


class Sender(Node):
    """Sends a numbered tick every second, `burst` at a time."""

    burst: int = 1
    sent: int = 0

    def on_start(self, host: Host) -> None:
        host.set_timer("tick", seconds=1)

    @on.timer("tick")
    def tick(self, host: Host) -> None:
        for _ in range(self.burst):
            self.sent += 1
            host.send("receiver", Tick(self.sent))
        if self.sent < 5:
            host.set_timer("tick", seconds=1)


class Receiver(Node):
    """Writes down which ticks it was sent, and when."""

    seen: dict[int, int] = {}

    @on(Tick)
    def take(self, host: Host, sender: str, tick: Tick) -> None:
        self.seen[tick.number] = host.now


def pair(link: Link | None, burst: int = 1) -> World:
    network = Network("pair", default=link)
    return World.of(Sender("sender", burst), Receiver("receiver"), network=network)


# -- routing and bandwidth ------------------------------------------------------------------------


@bounded(by=simulated(until=1, calm=10), unknown_passes=True)
def over_the_default_link() -> World:
    return pair(Link(constant(0.25)))


@eventually(over_the_default_link)
def everything_has_arrived_in_the_end(world: World) -> bool:
    """A default link routes."""
    return len(world["receiver"].seen) == 5


@reachable(over_the_default_link)
def every_tick_arrives(world: World) -> bool:
    return len(world["receiver"].seen) == 5


@bounded(by=simulated(until=20), unknown_passes=True)
def over_a_narrow_link() -> World:
    """A message takes a second to leave; five are sent at once."""
    link = Link(constant(0.25), bandwidth_bytes_per_s=1000, message_bytes=1000)
    return pair(link, burst=5)


@always(over_a_narrow_link)
def messages_queue_for_bandwidth(world: World) -> bool | str:
    """Two that were sent together arrive at least as far apart as the second takes to leave."""
    times = sorted(world["receiver"].seen.values())
    for one, two in pairwise(times):
        if two - one < SECOND:
            return f"{two - one} ns lie between two messages"
    return True


@reachable(over_a_narrow_link)
def the_last_of_the_queue_arrives(world: World) -> bool:
    return 5 in world["receiver"].seen


# -- partitions -----------------------------------------------------------------------------------


def during_its_way(fault: Fault) -> list[object]:
    """Tick 1 is on its way from 1 s to 1.5 s; the fault lasts from 1.2 s to 1.3 s."""
    return [at(1.2, fault, lasting=0.1)]


@bounded(
    by=simulated(until=10, faults=during_its_way(Partition(["sender"], ["receiver"]))),  # type: ignore[arg-type]
    unknown_passes=True,
)
def a_partition_while_a_message_is_on_its_way() -> World:
    return pair(Link(constant(0.5)))


@always(a_partition_while_a_message_is_on_its_way)
def nothing_crosses_a_partition(world: World) -> bool:
    """Not even what was sent before it."""
    return 1 not in world["receiver"].seen


@reachable(a_partition_while_a_message_is_on_its_way)
def what_is_sent_after_it_arrives(world: World) -> bool:
    return 2 in world["receiver"].seen


def two_that_overlap(first: Fault, second: Fault) -> list[object]:
    """One from 0.5 s to 2.5 s, the other from 1.5 s to 4.5 s."""
    return [at(0.5, first, lasting=2.0), at(1.5, second, lasting=3.0)]


@bounded(
    by=simulated(
        until=10,
        faults=two_that_overlap(  # type: ignore[arg-type]
            Partition(["sender"], ["receiver"]), Partition(["receiver"], ["sender"])
        ),
    ),
    unknown_passes=True,
)
def partitions_that_overlap() -> World:
    return pair(Link(constant(0.01)))


@always(partitions_that_overlap)
def a_partition_lasts_until_its_own_end(world: World) -> bool | str:
    """Whatever else ends before."""
    early = [number for number in world["receiver"].seen if number < 5]
    return not early or f"{early} crossed a partition that had not ended"


@reachable(partitions_that_overlap)
def when_both_have_ended_messages_pass(world: World) -> bool:
    return 5 in world["receiver"].seen
