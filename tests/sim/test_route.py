"""Routes: delay, loss, copies, order, bandwidth, partitions and clogs."""

from __future__ import annotations

from typing import Any

import pytest

from happysim import (
    Clog,
    Link,
    Network,
    Partition,
    ScenarioError,
    Simulation,
    World,
    at,
    constant,
    exponential,
    ordered,
    uniform_latency,
    unordered,
)
from happysim.sim.agenda import NS
from tests.sim.models import Counter, Source, ticking


def seen(world: World, seconds: float = 60.0, **options: Any) -> list[int]:
    """What the counter was sent, in order of arrival."""
    simulation = Simulation(world, **options).run(seconds)
    found: list[int] = simulation.world["n1"].seen
    return found


def test_a_message_takes_as_long_as_its_link_says() -> None:
    simulation = Simulation(ticking(Link(constant(0.25)), count=1))
    simulation.run_until(1.2499)
    assert simulation.world["n1"].seen == []
    simulation.run_until(1.25)
    assert simulation.world["n1"].seen == [1]


def test_links_differ_from_each_other_and_the_default_routes() -> None:
    network = Network("star", default=Link(constant(0.5)))
    network.add_link("source", "n1", Link(constant(0.1)))
    world = World.of(
        Source("source", ("n1", "n2"), 1), Counter("n1"), Counter("n2"), network=network
    )
    simulation = Simulation(world)
    simulation.run_until(1.2)
    assert [len(simulation.world[name].seen) for name in ("n1", "n2")] == [1, 0]
    simulation.run_until(1.5)
    assert len(simulation.world["n2"].seen) == 1


def test_without_a_route_nothing_arrives_and_that_is_counted() -> None:
    world = World.of(
        Source("source", ("n1",), 3), Counter("n1"), network=Network("none", default=None)
    )
    simulation = Simulation(world).run(10)
    assert simulation.world["n1"].seen == []
    assert simulation.summary().links["source", "n1"].severed == 3


@pytest.mark.parametrize(
    ("link", "counted", "low", "high"),
    [
        pytest.param({"loss": 0.3}, "lost", 230, 370, id="loss"),
        pytest.param({"corrupt": 0.3}, "corrupted", 230, 370, id="corruption"),
        pytest.param({"duplicate": 0.3}, "duplicated", 230, 370, id="duplication"),
    ],
)
def test_rates_are_kept(link: dict[str, float], counted: str, low: int, high: int) -> None:
    """1,000 draws at 0.3: 300 expected, standard deviation 14.5; within five of them."""
    simulation = Simulation(ticking(Link(constant(0.01), **link), count=1000)).run(1100)
    traffic = simulation.summary().traffic
    assert low < getattr(traffic, counted) < high
    lost = traffic.lost + traffic.corrupted
    assert traffic.delivered == 1000 - lost + traffic.duplicated == len(simulation.world["n1"].seen)


@pytest.mark.parametrize(("delivery", "in_order"), [(unordered(), False), (ordered(), True)])
def test_jitter_reorders_but_not_on_an_ordered_network(delivery: Any, in_order: bool) -> None:
    link = Link(constant(0.01), jitter=uniform_latency(0, 3))
    found = seen(ticking(link, 40, delivery), seed=3)
    assert sorted(found) == list(range(1, 41))
    assert (found == sorted(found)) is in_order


def test_a_message_held_back_is_overtaken() -> None:
    link = Link(constant(0.01), reorder=0.2, reorder_by=constant(2.5))
    found = seen(ticking(link, 40), seed=1)
    late = [
        number for at, number in enumerate(found) if any(other > number for other in found[:at])
    ]
    assert late
    assert sorted(found) == list(range(1, 41))


def test_messages_queue_for_bandwidth() -> None:
    """Messages of 1,000 bytes at 1,000 bytes a second leave a second after each other."""

    class Burst(Source):
        def on_start(self, host: Any) -> None:
            for _ in range(3):
                self.next(host)
            host.cancel_timer("next")

    link = Link(constant(0.1), bandwidth_bytes_per_s=1000, message_bytes=1000)
    world = World.of(
        Burst("source", ("n1",), 3), Counter("n1"), network=Network("thin", default=link)
    )
    simulation = Simulation(world)
    arrivals = []
    while len(arrivals) < 3:
        count = len(arrivals) + 1
        simulation.run_until(lambda world, count=count: len(world["n1"].seen) == count)
        arrivals.append(simulation.now)
    assert arrivals == [int(1.1 * NS), int(2.1 * NS), int(3.1 * NS)]
    assert simulation.summary().links["source", "n1"].queued_ns == 3 * NS


def test_a_partition_loses_what_is_on_its_way() -> None:
    """Sent at 1 s and under way for 0.5 s; the partition lasts from 1.2 to 1.3 s."""
    fault = at(1.2, Partition(["source"], ["n1"]), lasting=0.1)
    simulation = Simulation(ticking(Link(constant(0.5)), count=2), faults=[fault]).run(10)
    assert simulation.world["n1"].seen == [2]
    assert simulation.summary().links["source", "n1"].severed == 1


def test_partitions_that_overlap_heal_one_by_one() -> None:
    """From 0 to 2.5 s, and from 1.5 to 4.5 s: ticks of 1 to 4 s are lost, that of 5 s is not."""
    faults = [
        at(0, Partition(["source"], ["n1"]), lasting=2.5),
        at(1.5, Partition(["n1"], ["source"]), lasting=3.0),
    ]
    assert seen(ticking(), faults=faults) == [5]


@pytest.mark.parametrize(("first", "lost"), [("source", True), ("n1", False)])
def test_a_one_way_partition_loses_what_goes_that_way(first: str, lost: bool) -> None:
    other = "n1" if first == "source" else "source"
    fault = at(0, Partition([first], [other], one_way=True))
    assert seen(ticking(), faults=[fault]) == ([] if lost else [1, 2, 3, 4, 5])


def test_a_clog_holds_messages_back_and_releases_them_in_order() -> None:
    simulation = Simulation(ticking(), faults=[at(1.5, Clog("source", "n1"), lasting=3.0)])
    simulation.run_until(4.4)
    assert simulation.world["n1"].seen == [1]
    simulation.run_until(4.52)
    assert simulation.world["n1"].seen == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Partition(["n1"]), "at least two sides"),
        (lambda: Partition(["n1"], []), "none of them empty"),
        (lambda: Partition("n1", ["n2"]), "a side is a list of names"),
        (lambda: Partition(["n1"], ["n1"]), "two sides"),
        (lambda: Simulation(ticking(), faults=[at(1, Partition(["n1"], ["n9"]))]), "no 'n9'"),
        (lambda: Simulation(ticking(), faults=[at(1, Clog("n1", "x"))]), "no 'x'"),
        (lambda: at(-1, Clog()), "no time"),
        (lambda: at(float("nan"), Clog()), "no time"),
    ],
)
def test_what_makes_no_fault_is_refused_before_the_run(make: Any, says: str) -> None:
    with pytest.raises(ScenarioError, match=says):
        make()


@pytest.mark.parametrize(
    ("link", "is_even"),
    [
        (Link(constant(0.1)), True),
        (Link(uniform_latency(0.1, 0.2)), True),
        (Link(exponential(0.1)), False),
        (Link(constant(0.1), loss=0.1), False),
        (Link(constant(0.1), jitter=constant(0.1)), False),
        (Link(constant(0.1), duplicate=0.1), False),
        (Link(constant(0.1), reorder=0.1), False),
        (Link(constant(0.1), corrupt=0.1), False),
        (Link(constant(0.1), bandwidth_bytes_per_s=1_000.0), False),
    ],
)
def test_where_a_delay_alone_befalls_messages_they_take_the_short_way(
    link: Link, is_even: bool
) -> None:
    simulation = Simulation(ticking(link, count=1))
    route = simulation.route("source", "n1")
    assert (route.ease is not None) == is_even
    for change, back in ("cut", "mend"), ("clog", "release"), ("echo", "replay"):
        getattr(route, change)()
        assert route.ease is None
        getattr(route, back)()
        assert (route.ease is not None) == is_even


@pytest.mark.parametrize("seed", range(3))
def test_the_short_way_takes_as_long_as_the_long_one(seed: int) -> None:
    def arrivals(short: bool) -> list[Any]:
        world = ticking(Link(uniform_latency(0.1, 5.0)), count=20)
        simulation = Simulation(world, seed=seed, trace=True)
        if not short:
            simulation.route("source", "n1").ease = None
        return [(each.at, each.what) for each in simulation.run(60).schedule]

    assert arrivals(short=True) == arrivals(short=False)


def test_what_was_sent_the_short_way_before_a_cut_is_lost_with_it() -> None:
    simulation = Simulation(ticking(Link(constant(0.5)), count=2))
    simulation.run_until(1.25)
    route = simulation.route("source", "n1")
    route.cut()
    route.mend()
    simulation.run_until(10)
    assert simulation.world["n1"].seen == [2]
