"""Clocks that are off, drift, jump or stop, the timers that follow them, and what trusts them."""

from __future__ import annotations

from fractions import Fraction

import pytest

from happysim.core.host import Host
from happysim.core.message import message
from happysim.core.node import Node, on
from happysim.core.world import World
from happysim.sim.agenda import NS
from happysim.sim.clock import Clock
from happysim.sim.nemesis import at, randomly
from happysim.sim.node_faults import Drift, FreezeClock, Jump, Skew
from happysim.sim.simulation import Simulation
from happysim.spec.property import always
from tests.support.watch import Watch, beats

# -- one clock -----------------------------------------------------------------------------------


def test_a_clock_reads_true_time_times_its_rate_rounded_down() -> None:
    clock = Clock(offset_ns=5, drift=Fraction(1, 3))
    assert [clock.read(true) for true in range(5)] == [5, 6, 7, 9, 10]


@pytest.mark.parametrize("drift", [Fraction(0), Fraction(1, 3), Fraction(-2, 7), 0.1, -0.5])
def test_when_is_the_first_moment_at_which_the_clock_shows_a_time(drift: Fraction | float) -> None:
    clock = Clock(offset_ns=3, drift=drift)
    for local in range(3, 60):
        true = clock.when(local, 0)
        assert true is not None
        assert clock.read(true) >= local
        assert true == 0 or clock.read(true - 1) < local


def test_how_often_a_clock_is_set_rounds_it_by_less_than_a_nanosecond_each_time() -> None:
    once, often = Clock(drift=0.3), Clock(drift=0.3)
    for true in range(0, 1000, 10):
        often.set(true)
    assert 0 <= once.read(1000) - often.read(1000) <= 100
    assert Clock(drift=0.1).read(10 * NS) == 11 * NS  # a tenth, not the float next to it


def test_a_clock_that_stands_still_shows_one_time_and_goes_on_from_there() -> None:
    clock = Clock()
    clock.set(10, frozen=True)
    assert (clock.read(50), clock.when(11, 50), clock.when(10, 50)) == (10, None, 50)
    clock.set(50, frozen=False)
    assert (clock.read(60), clock.when(11, 50)) == (20, 51)


# -- the clock of a node -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "shown", "times"),
    [
        # The timer that is set at 2 s for 3 s by the clock: 10 s have passed by it at 2.5 s.
        (at(2.5, Skew("n1", 10.0)), [1, 2, 12.5, 13.5, 14.5, 15.5], [1, 2, 2.5, 3.5, 4.5, 5.5]),
        (at(2.5, Skew("n1", -2.0)), [1, 2, 3, 4], [1, 2, 5, 6]),
        (at(2.5, Skew("n1", -2.0), lasting=1), [1, 2, 3.5, 4.5, 5.5], [1, 2, 3.5, 4.5, 5.5]),
        (at(2.0, Drift("n1", 1)), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], None),
        (at(2.0, Drift("n1", -0.5)), [1, 2, 3, 4], [1, 2, 4, 6]),
        (at(2.0, Drift("n1", 1), lasting=1), [1, 2, 3, 4, 5, 6, 7], [1, 2, 2.5, 3, 4, 5, 6]),
        (at(2.5, Jump("n1", 0.25), lasting=1), [1, 2, 3, 4, 5, 6], None),
        (at(2.5, FreezeClock("n1"), lasting=3), [1, 2, 3], [1, 2, 6]),
        (at(2.5, FreezeClock("n1")), [1, 2], [1, 2]),
    ],
)
def test_timers_and_readings_follow_the_nodes_own_clock(
    fault: object, shown: list[float], times: list[float] | None
) -> None:
    seen, fired = beats(fault)
    assert seen == shown
    assert times is None or fired == times


def test_faults_of_one_clock_end_independently() -> None:
    both = at(1.5, Drift("n1", 1), lasting=3), at(2.5, Drift("n1", 1), lasting=1)
    clock = Simulation(World.of(Watch("n1")), faults=both).run(9).nodes[0].clock
    assert clock is not None
    # 1.5 s at rate 1, 1 s at 2, 1 s at 3, 1 s at 2, and 4.5 s at 1 again.
    assert (clock.drift, clock.read(9 * NS)) == (0, int(13 * NS))


def test_two_stops_of_one_clock_must_both_end() -> None:
    stops = at(1.5, FreezeClock("n1"), lasting=3), at(2.0, FreezeClock("n1"), lasting=1)
    assert beats(*stops)[1] == [1, 5, 6]


# -- a lease that trusts its clock ---------------------------------------------------------------

LEASE_S, DELAY_MAX_S, DRIFT_MAX = 10.0, 0.5, Fraction(1, 20)


@message
class Ask: ...


@message
class Lease: ...


class Granter(Node):
    """Gives a lease to one node at a time, and to the next when it has run out by this clock."""

    asking: list[str] = []
    holder: str | None = None

    @on(Ask)
    def asked(self, host: Host, sender: str, ask: Ask) -> None:
        self.asking.append(sender)
        self.give(host)

    @on.timer("lease")
    def over(self, host: Host) -> None:
        self.holder = None
        self.give(host)

    def give(self, host: Host) -> None:
        if self.holder is None and self.asking:
            self.holder = self.asking.pop(0)
            host.send(self.holder, Lease())
            host.set_timer("lease", seconds=LEASE_S)


class Holder(Node):
    """Serves while it holds the lease. Both clocks may drift, so it stops earlier than it must."""

    is_serving: bool = False

    def on_start(self, host: Host) -> None:
        host.send("granter", Ask())

    def seconds(self) -> float:
        # Its clock may lose while the granter's gains, and the grant was on its way for a while.
        return LEASE_S * float((1 - DRIFT_MAX) / (1 + DRIFT_MAX)) - DELAY_MAX_S

    @on(Lease)
    def granted(self, host: Host, sender: str, lease: Lease) -> None:
        self.is_serving = True
        host.set_timer("stop", seconds=self.seconds())

    @on.timer("stop")
    def stop(self, host: Host) -> None:
        self.is_serving = False
        host.send("granter", Ask())


class TrustsItsClock(Holder):
    def seconds(self) -> float:
        return LEASE_S - DELAY_MAX_S


def holders(kind: type[Holder]) -> World:
    return World.of(Granter("granter"), kind("a"), kind("b"))


@always(lambda: holders(Holder))
def one_serves_at_a_time(world: World) -> bool:
    return sum(node.is_serving for node in world.nodes(Holder)) <= 1


DRIFTING = randomly(Drift(rate=(-float(DRIFT_MAX) / 2, float(DRIFT_MAX) / 2)), every=20, lasting=20)
SLOWEST = at(0, Drift("a", -DRIFT_MAX)), at(0, Drift("b", -DRIFT_MAX))


@pytest.mark.parametrize(
    ("kind", "faults", "broken"),
    [
        (TrustsItsClock, (), False),
        (TrustsItsClock, (*SLOWEST, at(0, Drift("granter", DRIFT_MAX))), True),
        (Holder, (*SLOWEST, at(0, Drift("granter", DRIFT_MAX))), False),
        (Holder, (DRIFTING,), False),
        (Holder, (at(0, Skew("a", -5.0)), at(0, Skew("granter", 100.0))), False),
    ],
)
def test_a_lease_without_a_margin_for_drift_is_held_by_two(
    kind: type[Holder], faults: tuple[object, ...], broken: bool
) -> None:
    simulation = Simulation(
        holders(kind),
        seed=1,
        properties=[one_serves_at_a_time],
        faults=faults,  # type: ignore[arg-type]
    ).run(300)
    assert (simulation.broken is not None) == broken
