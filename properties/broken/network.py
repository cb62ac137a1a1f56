"""Networks with one mistake each, which every protocol on them would have to live with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from happysim import Link, Partition, World, bounded, constant, must_break, simulated
from properties.network import (
    a_partition_lasts_until_its_own_end,
    during_its_way,
    everything_has_arrived_in_the_end,
    messages_queue_for_bandwidth,
    nothing_crosses_a_partition,
    pair,
    two_that_overlap,
)


class LetsThrough(Partition):
    """Nothing that is sent crosses; what was on its way does."""

    def begin(self, simulation: Any) -> Any:
        end = super().begin(simulation)
        for route in simulation.routes():
            route.epoch = 0
        return end


@bounded(by=simulated(until=10, faults=during_its_way(LetsThrough(["sender"], ["receiver"]))))  # type: ignore[arg-type]
def a_partition_that_lets_through() -> World:
    return pair(Link(constant(0.5)))


a_message_crosses_a_partition = must_break(
    nothing_crosses_a_partition.over(a_partition_that_lets_through)
)


class HealsAll(Partition):
    """Its end is the end of every other, too."""

    def begin(self, simulation: Any) -> Any:
        super().begin(simulation)

        def end() -> None:
            for route in simulation.routes():
                while route.cuts:
                    route.mend()

        return end


@bounded(
    by=simulated(
        until=10,
        faults=two_that_overlap(  # type: ignore[arg-type]
            HealsAll(["sender"], ["receiver"]), Partition(["receiver"], ["sender"])
        ),
    )
)
def an_end_that_ends_all() -> World:
    return pair(Link(constant(0.01)))


one_end_heals_another_partition = must_break(
    a_partition_lasts_until_its_own_end.over(an_end_that_ends_all)
)


@dataclass(frozen=True)
class Bottomless(Link):
    """However much was sent before, a message leaves at once."""

    @property
    def occupied_ns(self) -> int:
        return 0


@bounded(by=simulated(until=20))
def a_link_without_a_queue() -> World:
    link = Bottomless(constant(0.25), bandwidth_bytes_per_s=1000, message_bytes=1000)
    return pair(link, burst=5)


messages_do_not_queue = must_break(messages_queue_for_bandwidth.over(a_link_without_a_queue))


@bounded(by=simulated(until=1, calm=10))
def no_link_routes() -> World:
    return pair(None)


nothing_arrives = must_break(everything_has_arrived_in_the_end.over(no_link_routes))
