"""Margins: as algebra gives them by hand, and as all schedules one by one do."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest

from happysim import (
    Choice,
    Faults,
    Host,
    Node,
    Operation,
    Property,
    ScenarioError,
    Script,
    TimedOut,
    World,
    action,
    always,
    call,
    message,
    on,
    step_always,
)
from happysim.sim.scripted import replay_in_time
from happysim.smt.margin import Margin, NoMargin, _Search, margin
from happysim.smt.realise import Realised, Unrealisable, realise, realise_schedule
from happysim.smt.solver import SolverMissingError
from happysim.smt.timing import Timing
from properties.broken.lease import (
    one_believes_counting_from_the_grant,
    one_client_believes_to_have_the_lock,
    two_clients,
)

TRUST = one_client_believes_to_have_the_lock
LATE = one_believes_counting_from_the_grant
LEASE, HOLD = 10, 9  # two rounds of 5 s, and what the client takes the lock for


def value(found: Margin | NoMargin) -> Any:
    assert isinstance(found, Margin), found
    return found.value


@pytest.mark.parametrize(
    ("prop", "parameter", "timing", "by_hand"),
    [
        # lease (1 - d) = hold (1 + d): nothing travels faster than at once.
        (TRUST, "drift", Timing(), Fraction(LEASE - HOLD, LEASE + HOLD)),
        # A request and a grant that take a millisecond each are two milliseconds more.
        (TRUST, "drift", Timing(latency=("0.001", "0.05")), Fraction(1002, 19000)),
        # hold (1 + d) = lease (1 - d), for the length of the hold.
        (TRUST, "timer hold", Timing(drift="0.01"), LEASE * Fraction(99, 101)),
        (TRUST, "timer hold", Timing(), LEASE),
        (TRUST, "latency", Timing(drift="0.01"), None),
        # From the grant on, its way counts against the lease: way + hold (1 + d) = lease (1 - d).
        (LATE, "latency", Timing(drift="0.01"), Fraction(81, 100)),
        (LATE, "drift", Timing(latency=("0.001", "0.05")), Fraction(951, 19000)),
        (LATE, "drift", Timing(latency=("0.001", 2)), 0),
        (LATE, "drift", Timing(latency=("0.001", 2), links={("lock", "c1"): (0, 0)}), 0),
        # Where only the server's clock drifts: hold = lease (1 - d).
        (TRUST, "drift", Timing(drifts={"c1": 0, "c2": 0}), Fraction(1, 10)),
    ],
)
def test_the_margin_of_a_lease_is_what_algebra_gives(
    prop: Property, parameter: str, timing: Timing, by_hand: Any
) -> None:
    assert value(margin(prop, parameter, timing)) == by_hand


def test_the_shortest_lease_that_is_safe() -> None:
    """2 round (1 - d) = hold (1 + d)."""
    found = margin(TRUST, "timer lease", Timing(drift="0.01"), safe="above")
    assert value(found) == HOLD * Fraction(101, 99) / 2
    assert str(found) == "timer lease: safe above 101/22"
    assert str(margin(LATE, "timer lease", safe="above")) == "timer lease: never safe"


def test_a_run_at_the_edge_happens_beyond_the_margin_and_not_below() -> None:
    found = margin(TRUST, "drift")
    assert isinstance(found, Margin)
    assert found.value is not None
    assert found.broken is not None
    edge, little = Fraction(found.value), Fraction(1, 10**6)
    assert isinstance(realise(found.broken, Timing(drift=edge - little)), Unrealisable)
    run = realise(found.broken, Timing(drift=edge + little))
    assert isinstance(run, Realised)
    simulation = replay_in_time(two_clients(), run.schedule, TRUST)
    assert simulation.broken is not None
    assert simulation.broken[0] is TRUST
    assert [str(choice) for choice in simulation.schedule] == [str(c) for c in run.schedule]


# -- against all schedules, one by one ------------------------------------------------------------


def breaking(world: World, prop: Property, depth: int) -> Iterator[tuple[Choice, ...]]:
    """Every schedule of so many choices at most that breaks the property at its end."""
    waiting: list[tuple[World, tuple[Choice, ...]]] = [(world, ())]
    while waiting:
        here, taken = waiting.pop()
        if prop.judge(here) is not None:
            yield taken
        elif len(taken) < depth:
            waiting += [(after, (*taken, choice)) for choice, after in here.steps()]


@pytest.mark.parametrize(
    ("prop", "timing", "edge"),
    [
        (TRUST, Timing(latency=("0.001", "0.05")), Fraction(1002, 19000)),
        (LATE, Timing(latency=("0.001", "0.05")), Fraction(951, 19000)),
    ],
)
@pytest.mark.slow
def test_no_schedule_alone_has_a_smaller_margin(
    prop: Property, timing: Timing, edge: Fraction
) -> None:
    world = next(iter(prop.scenario.worlds.values()))
    below = Timing(latency=timing.latency, drift=edge - Fraction(1, 10**9))
    at = Timing(latency=timing.latency, drift=edge)
    schedules = list(breaking(world, prop, 8))
    assert len(schedules) > 50
    happen = 0
    for schedule in schedules:
        assert isinstance(realise_schedule(world, schedule, below), Unrealisable)
        happen += not isinstance(realise_schedule(world, schedule, at), Unrealisable)
    assert happen > 0


# -- timers that end in other ways ----------------------------------------------------------------


class Guarded(Node):
    """Sets two timers; the short one cancels the long one, which must then never ring."""

    short: float = 2.0
    long: float = 3.0
    rang: tuple[str, ...] = ()

    def on_start(self, host: Host) -> None:
        host.set_timer("short", self.short)
        host.set_timer("long", self.long)

    @on.timer("short")
    def stop(self, host: Host) -> None:
        self.rang += ("short",)
        host.cancel_timer("long")

    @on.timer("long")
    def ring(self, host: Host) -> None:
        self.rang += ("long",)


def guarded() -> World:
    return World.of(Guarded("n"), faults=Faults(crashes=1, restarts=0))


@always(guarded)
def the_long_timer_never_rings(world: World) -> bool:
    return "long" not in world["n"].rang


def test_timers_of_one_clock_keep_their_order() -> None:
    """They drift together, so no drift lets the longer one ring first."""
    assert str(margin(the_long_timer_never_rings, "drift")) == "drift: safe whatever it is"
    assert value(margin(the_long_timer_never_rings, "timer long")) == 0
    longest = margin(the_long_timer_never_rings, "timer long", safe="above")
    assert value(longest) == 2
    said = margin(the_long_timer_never_rings, "timer long", Timing(drift="0.1"), safe="above")
    assert str(said) == "timer long: unknown (n has other timers (short) on a clock that drifts)"


@message
class Ask: ...


class Slow(Node):
    """Answers a client after a second of its clock."""

    asked: Operation | None = None

    @on(Ask)
    def think(self, host: Host, sender: str, ask: Ask) -> None:
        if self.asked is None:
            self.asked = host.operation
            host.set_timer("answer", 1)

    @on.timer("answer")
    def answer(self, host: Host) -> None:
        host.respond("here", to=self.asked)


def asks(patience: float) -> Any:
    answer = yield call("slow", Ask(), timeout=patience)
    if isinstance(answer, TimedOut):
        yield call("judge", Ask())


class Judge(Node):
    complaints: int = 0

    @on(Ask)
    def hear(self, host: Host, sender: str, ask: Ask) -> None:
        self.complaints = 1


def patient(patience: float = 1.5) -> World:
    return World.of(Slow("slow"), Judge("judge"), Script("c", asks, patience))


@always(patient)
def who_complains_was_not_heard_or_is_answered(world: World) -> bool:
    slow = world["slow"]
    return not (world["judge"].complaints and slow.asked and "answer" in slow.timers)


def test_the_patience_of_a_client_is_a_timer_too() -> None:
    """A request on its way for 0.5 s, and a second of the server's: as long as the client waits."""
    prop = who_complains_was_not_heard_or_is_answered
    assert value(margin(prop, "latency")) == Fraction(1, 2)
    assert value(margin(prop, "drift", Timing(latency=(0, "0.4")))) == Fraction(1, 10)
    wait = margin(prop, "timer timeout", Timing(latency=("0.1", "0.4")), safe="above")
    # The complaint takes a tenth as well, so the client may be that much less patient.
    assert value(wait) == Fraction(13, 10)


class Periodic(Node):
    """Rings for ever, and stays as it is."""

    def on_start(self, host: Host) -> None:
        host.set_timer("ring", 1)

    @on.timer("ring")
    def ring(self, host: Host) -> None:
        host.set_timer("ring", 1)


class Swinging(Node):
    left: bool = True

    @action
    def swing(self, host: Host) -> None:
        self.left = not self.left


@step_always(two_clients)
def no_step(before: World, after: World) -> bool:
    return True


def periodic() -> World:
    return World.of(Periodic("p"), Swinging("s"))


def ringing() -> World:
    return World.of(Periodic("p"), Guarded("n"))


@message
class Again: ...


class Reset(Guarded):
    """Waits once more when it is told to."""

    @on(Again)
    def again(self, host: Host, sender: str, again: Again) -> None:
        if not self.rang:
            host.set_timer("long", self.long)


class Teller(Node):
    told: bool = False

    @action(when=lambda self: not self.told)
    def tell(self, host: Host) -> None:
        self.told = True
        host.send("n", Again())


def reset() -> World:
    return World.of(Reset("n"), Teller("teller"))


@pytest.mark.parametrize(
    ("prop", "options", "reason"),
    [
        (
            always(periodic)(lambda world: world["s"].left),
            {},
            "s may come back to a local state that it has left",
        ),
        (
            always(ringing)(lambda world: not world["n"].rang),
            {},
            "fire p ring leaves p as it was but for its timers",
        ),
        (
            always(reset)(lambda world: not world["n"].rang),
            {},
            "Again() sets timer long of n anew and changes nothing else",
        ),
        (no_step, {}, "step_always properties have no margin"),
        (always(two_clients)(lambda world: not world.in_flight), {}, "what is in flight"),
        (TRUST, {"steps_max": 10}, "the local states are too many"),
        (TRUST, {"seconds": 1e-9}, "the time ran out"),
    ],
)
def test_what_is_not_covered_has_no_margin_and_says_why(
    prop: Property, options: dict[str, Any], reason: str
) -> None:
    found = margin(prop, "drift", **options)
    assert isinstance(found, NoMargin)
    assert reason in str(found)


def test_a_bound_is_named() -> None:
    found = margin(TRUST, "drift", within=lambda world: world["lock"].token <= 2)
    assert str(found) == "drift: safe below 1/19"
    found = margin(TRUST, "drift", within=lambda world: world["lock"].token <= 1)
    assert str(found) == "drift: safe whatever it is within the bound `within`"


def test_without_a_solver_there_is_no_margin(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Any:
        raise SolverMissingError("z3 cannot be loaded; install the package z3-solver")

    monkeypatch.setattr(sys.modules["happysim.smt.margin"], "fresh_z3", missing)
    assert "install the package z3-solver" in str(margin(TRUST, "drift"))


def test_an_interrupted_search_has_no_margin(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(_Search, "run", stopped)
    assert str(margin(TRUST, "drift")) == "drift: unknown (interrupted)"


@pytest.mark.parametrize(
    "options", [{"parameter": "luck"}, {"parameter": "timer"}, {"parameter": "drift", "safe": "up"}]
)
def test_a_parameter_that_there_is_not_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ScenarioError, match="give"):
        margin(TRUST, **options)
