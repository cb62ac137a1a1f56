"""Realised schedules keep every bound and happen in a simulation; what clashes cannot be spared."""

from __future__ import annotations

import sys
from fractions import Fraction
from typing import Any

import pytest

from happysim import (
    Broken,
    Choice,
    Faults,
    Host,
    Kind,
    Link,
    Network,
    Node,
    ScenarioError,
    Script,
    World,
    always,
    call,
    check,
    constant,
    duplicating,
    durable,
    message,
    on,
    reachable,
    sleep,
    uniform_latency,
)
from happysim.search.schedule import first_world
from happysim.sim.scripted import replay_in_time
from happysim.smt.realise import (
    Realised,
    Undecided,
    Unrealisable,
    _Realising,
    realise,
    realise_schedule,
)
from happysim.smt.solver import SolverMissingError
from happysim.smt.timing import Timing
from properties import raft
from properties.broken.lock import a_stale_write_is_accepted
from properties.broken.raft import same_term_double_vote
from tests.smt.random_protocols import protocol, walk

NS = 10**9


def found(prop: Any, **options: Any) -> Any:
    verdict = check(prop, **options)
    assert isinstance(verdict, Broken)
    return verdict


def keeps(run: Realised, timing: Timing, delays: dict[str, tuple[Any, Any]]) -> None:
    """Every bound is kept, by plain arithmetic over what the run says of itself."""
    times = [0, *(ns for _, ns in run.steps)]
    assert times == sorted(times)
    for travel in run.travels:
        if travel.ns is not None and travel.taken_by is not None:
            low, high = timing.latency_of(travel.source, travel.target)
            assert times[travel.taken_by] - times[travel.sent_by] == travel.ns
            assert low * NS <= travel.ns
            assert high is None or travel.ns <= high * NS
    for delay in run.delays:
        low, high = timing.timer(delay.timer, delays.get(delay.timer, (0, 10**6)))
        assert low * NS - 1 <= delay.ns <= (high or 10**6) * NS + 1
        second = 1 / run.rates.get(delay.node, Fraction(1))
        due = times[delay.set_by] + delay.ns * second
        if delay.fired_by is None:
            last = [d for d in run.delays if (d.node, d.timer) == (delay.node, delay.timer)][-1]
            assert delay is not last or due >= times[-1] - 2
        else:
            assert abs(due - times[delay.fired_by]) < 2
    for node, rate in run.rates.items():
        assert abs(1 / rate - 1) <= timing.drift_of(node)


ELECTION = {"election": ("0.15", "0.3")}


@pytest.mark.parametrize(
    "timing",
    [
        Timing(latency=("0.001", "0.05")),
        Timing(latency=(0, None), drift="0.1"),
        Timing(latency=("0.001", "0.05"), timers={"election": ("0.2", "0.2")}, drift="0.01"),
        Timing(latency=("0.02", "0.02"), links={("n2", "n3"): ("0.001", "0.002")}),
    ],
)
def test_a_realised_counterexample_happens_so_in_a_simulation(timing: Timing) -> None:
    verdict = found(same_term_double_vote)
    run = realise(verdict, timing)
    assert isinstance(run, Realised)
    keeps(run, timing, ELECTION)
    world = first_world(verdict.of.scenario, verdict.start)
    simulation = replay_in_time(world, run.schedule, verdict.of)
    assert simulation.broken == (verdict.of, verdict.reason)
    assert [str(choice) for choice in simulation.schedule] == [str(c) for c in run.schedule]
    assert [choice.at for choice in simulation.schedule] == [c.at for c in run.schedule]


@pytest.mark.parametrize("drift", [0, "0.2"])
def test_any_run_of_a_random_protocol_happens_where_little_is_bounded(drift: Any) -> None:
    kinds = set()
    timing = Timing(latency=("0.001", None), timers={"tick": ("0.5", None)}, drift=drift)
    for seed in range(80):
        world = protocol(seed, "unordered")
        taken, _ = walk(world, seed, 12)
        run = realise_schedule(world, taken, timing)
        assert isinstance(run, Realised), (seed, str(run))
        keeps(run, timing, {})
        timers = {"tick": (0.5, None)}
        simulation = replay_in_time(world, run.schedule, timers=timers)
        steps = [str(choice) for choice in simulation.schedule if choice.kind is not Kind.CLOCK]
        assert steps == [str(choice) for choice in taken], seed
        kinds |= {choice.kind.value for choice in taken}
    assert {"act", "crash", "deliver", "drop", "duplicate", "fire", "invoke", "restart"} <= kinds


def test_clocks_are_right_where_they_can_be() -> None:
    timing = Timing(latency=("0.001", "0.05"), drift="0.01")
    run = realise(found(same_term_double_vote), timing)
    assert isinstance(run, Realised)
    assert run.rates == {}


def test_bounds_that_clash_are_told_and_none_of_them_can_be_spared() -> None:
    verdict = found(a_stale_write_is_accepted)
    clash = realise(verdict, Timing(latency=("0.001", "0.05")))
    assert isinstance(clash, Unrealisable)
    assert clash.clash == (
        "step 5 (deliver lock -> w1 LockGrant(lock='L', token=1, hold=1)) arrives 0.001 to 0.05 s "
        "after step 2 (deliver w1 -> lock Acquire(lock='L', hold=1)) sent it",
        "step 4 (fire lock lease) comes no earlier than its delay after step 3 (fire lock lease) "
        "set it",
    )
    # Lease rounds are 10 s: the grant has to travel for one of them, and half of it is not enough.
    for most, kind in ((5, Unrealisable), (19, Unrealisable), (20, Realised)):
        assert isinstance(realise(verdict, Timing(latency=("0.001", most))), kind), most
    assert isinstance(realise(verdict, Timing(timers={"lease": ("0.01", 10)})), Realised)


# -- messages, timers and clocks, one rule at a time ----------------------------------------------


@message
class Tick:
    number: int = 0


class Sender(Node):
    """Sends the same message after 1 second, and again 2 to 3 seconds later."""

    left: int = 2

    def on_start(self, host: Host) -> None:
        host.set_timer("tick", 1)

    @on.timer("tick")
    def tick(self, host: Host) -> None:
        self.left -= 1
        host.send("ear", Tick())
        if self.left:
            host.set_timer("tick", (2, 3))


class Ear(Node):
    heard: int = 0

    @on(Tick)
    def hear(self, host: Host, sender: str, tick: Tick) -> None:
        self.heard += 1


def two_ticks(network: Any = None, faults: Faults | None = None) -> World:
    return World.of(Sender("sender"), Ear("ear"), network=network, faults=faults)


FIRE, HEAR = "fire sender tick", "deliver sender -> ear Tick(number=0)"


@pytest.mark.parametrize(
    ("schedule", "latency", "happens"),
    [
        ([FIRE, HEAR, FIRE, HEAR], (1, 1), True),
        ([FIRE, FIRE, HEAR, HEAR], (1, 1), False),  # the first is due before the second tick
        ([FIRE, FIRE, HEAR, HEAR], (1, 2), True),
        ([FIRE, FIRE, HEAR, HEAR], (2, 3), True),
        ([FIRE, FIRE, HEAR], (0, 1), True),  # the first one was lost
        ([FIRE, HEAR], (0, 3), True),
        ([FIRE, HEAR], (4, 5), False),  # the second tick is overdue by then
        ([FIRE, FIRE, HEAR], (4, 5), True),
    ],
)
def test_a_message_is_one_of_the_copies_sent_and_a_timer_is_never_overdue(
    schedule: list[str], latency: tuple[int, int], happens: bool
) -> None:
    timing = Timing(latency=latency)
    run = realise_schedule(two_ticks(), schedule, timing)
    assert isinstance(run, Realised if happens else Unrealisable)
    if isinstance(run, Realised):
        keeps(run, timing, {})
        heard = [travel.sent_by for travel in run.travels if travel.taken_by is not None]
        assert len(set(heard)) == len(heard)


def test_a_copy_arrives_twice_only_where_the_network_makes_copies() -> None:
    schedule = [FIRE, HEAR, HEAR]
    timing = Timing(latency=(0, "0.5"))
    assert isinstance(realise_schedule(two_ticks(duplicating()), schedule, timing), Realised)
    copied = [FIRE, "duplicate sender -> ear Tick(number=0)", HEAR, HEAR, FIRE]
    world = two_ticks(faults=Faults(duplicates=1))
    assert isinstance(realise_schedule(world, copied, timing), Realised)
    # Two were sent and both arrive after the second, so not both can be the first.
    both = [FIRE, FIRE, HEAR, HEAR]
    assert isinstance(realise_schedule(two_ticks(), both, timing), Unrealisable)
    assert isinstance(realise_schedule(two_ticks(duplicating()), both, timing), Realised)


class Racer(Node):
    """Rings once after its seconds."""

    seconds: float = 1.0
    rang: bool = durable(False)

    def on_start(self, host: Host) -> None:
        if not self.rang:
            host.set_timer("ring", self.seconds)

    @on.timer("ring")
    def ring(self, host: Host) -> None:
        self.rang = True


def race() -> World:
    return World.of(
        Racer("hare", seconds=1.0), Racer("tortoise", seconds=1.1), faults=Faults(crashes=1)
    )


@pytest.mark.parametrize(
    ("drift", "kind"), [("0.0476", Unrealisable), ("1/21", Undecided), ("0.0477", Realised)]
)
def test_a_slow_clock_lets_the_longer_timer_ring_first(drift: str, kind: type) -> None:
    """1.1 (1 - d) <= 1 + d, so d >= 1/21: there both ring at 22/21 s, no whole nanosecond."""
    run = realise_schedule(race(), ["fire tortoise ring", "fire hare ring"], Timing(drift=drift))
    assert isinstance(run, kind)
    if isinstance(run, Realised):
        keeps(run, Timing(drift=drift), {})
        assert set(run.rates) == {"hare", "tortoise"}
    elif isinstance(run, Unrealisable):
        assert any("a second of hare's clock lasts 1 - 0.0476" in rule for rule in run.clash)


def test_a_crash_ends_a_timer_and_a_restart_sets_it_anew() -> None:
    late = ["crash hare", "fire tortoise ring", "restart hare", "fire hare ring"]
    assert isinstance(realise_schedule(race(), late, Timing()), Realised)
    early = ["crash hare", "restart hare", "fire tortoise ring", "fire hare ring"]
    assert isinstance(realise_schedule(race(), early, Timing()), Realised)
    wrong = ["fire tortoise ring", "crash hare", "restart hare", "fire hare ring"]
    assert isinstance(realise_schedule(race(), wrong, Timing()), Unrealisable)


def test_a_world_in_mid_run_says_nothing_of_when_it_began() -> None:
    """The timer may be due at once, and no later than a second from then."""
    world = two_ticks().after(FIRE)
    run = realise_schedule(world, [FIRE], Timing())
    assert isinstance(run, Realised)
    [(_, ns)] = run.steps
    assert ns <= 3 * NS
    late = realise_schedule(world, [HEAR], Timing(latency=(0, 1)))
    assert isinstance(late, Realised)


class Watch(Node):
    """Shows what its clock reads when it rings."""

    shown: int = 0

    def on_start(self, host: Host) -> None:
        host.set_timer("ring", 1)

    @on.timer("ring")
    def ring(self, host: Host) -> None:
        self.shown = host.now


@pytest.mark.parametrize(
    ("reading", "timing", "happens"),
    [
        (NS, Timing(), True),
        (2 * NS, Timing(), False),
        (2 * NS, Timing(drift="0.4", offset=(0, "0.5")), False),
        (2 * NS, Timing(offset=(1, 1)), True),
    ],
)
def test_what_a_clock_was_read_to_show_is_kept(reading: int, timing: Timing, happens: bool) -> None:
    choice = Choice(Kind.FIRE, "watch", what="ring", reading=str(reading))
    run = realise_schedule(World.of(Watch("watch")), [choice], timing)
    assert isinstance(run, Realised if happens else Unrealisable)
    if isinstance(run, Realised) and timing.offset != (0, 0):
        assert run.offsets == {"watch": 1}


def test_a_witness_is_realised_too() -> None:
    witness = check(reachable(race)(lambda world: world["hare"].rang))
    assert isinstance(realise(witness, Timing()), Realised)  # type: ignore[arg-type]


class Snoozer(Racer):
    """Waits for another second when it is told to, and does nothing else."""

    @on(Tick)
    def snooze(self, host: Host, sender: str, tick: Tick) -> None:
        if not self.rang:
            host.set_timer("ring", self.seconds)


def snoozing() -> World:
    return World.of(Sender("sender"), Snoozer("ear", seconds=1.5))


def test_a_timer_that_no_step_sets_anew_is_not_held_against_a_schedule() -> None:
    """The first tick may put the ringing off until after the second, and is no choice."""
    late = [FIRE, FIRE, "fire ear ring"]
    said = realise_schedule(snoozing(), late, Timing())
    assert said == Undecided("a delivery that changes nothing else may set timer ring of ear anew")
    early = ["fire ear ring", FIRE]
    clash = realise_schedule(snoozing(), early, Timing())
    assert isinstance(clash, Unrealisable)


class Server(Node):
    asked: int = 0

    @on(Tick)
    def answer(self, host: Host, sender: str, tick: Tick) -> None:
        self.asked += 1
        host.respond(self.asked)


def impatient() -> Any:
    yield sleep(0.5)
    yield call("server", Tick(), timeout=1.0)
    yield call("server", Tick())


def a_client() -> World:
    return World.of(Server("server"), Script("c", impatient))


ASK, ASKED = (
    [f"{how} Tick(number=0) as call {number}" for number in (1, 2)]
    for how in ("invoke c -> server", "deliver c -> server")
)


@pytest.mark.parametrize(("most", "kind"), [("0.9", Unrealisable), ("1", Realised)])
def test_a_client_waits_as_long_as_it_says(most: str, kind: type) -> None:
    """The first request comes after the second only where it travels for a second or more."""
    late = ["fire c sleep", ASK[0], "fire c timeout", ASK[1], ASKED[1], ASKED[0]]
    run = realise_schedule(a_client(), late, Timing(latency=(0, most), drift="0.1"))
    assert isinstance(run, kind)
    if isinstance(run, Realised):
        assert run.steps[0][1] == NS // 2
        assert run.steps[2][1] - run.steps[1][1] == NS


def test_the_links_of_a_network_bound_its_messages() -> None:
    network = Network("n", default=Link(uniform_latency(0.001, 0.002), jitter=constant(0.001)))
    network.add_link("sender", "ear", Link(constant(2.0), reorder=0.1))
    slow = Link(constant(0.1), bandwidth_bytes_per_s=1000)
    network.add_link("ear", "sender", slow)
    world = World.of(Sender("sender"), Ear("ear"), network=network)
    timing = Timing.of(world, drift="0.01", links={("ear", "ear"): (1, 2)})
    assert timing.latency_of("sender", "ear") == (2, 4)
    assert timing.latency_of("ear", "sender") == (Fraction("0.1"), None)
    assert timing.latency_of("ear", "ear") == (1, 2)
    assert timing.latency_of("sender", "sender") == (0, 0)
    assert timing.drift_of("ear") == Fraction("0.01")
    assert isinstance(realise_schedule(world, [FIRE, HEAR], timing), Realised)
    assert isinstance(realise_schedule(world, [FIRE, FIRE, HEAR, HEAR], timing), Realised)
    at_once = Timing(links={**timing.links, ("sender", "ear"): (0, "0.5")})
    assert isinstance(realise_schedule(world, [FIRE, FIRE, HEAR, HEAR], at_once), Unrealisable)


# -- what is said where there is no answer --------------------------------------------------------


def test_a_verdict_without_a_schedule_is_refused() -> None:
    verdict = check(always(race)(lambda world: True))
    with pytest.raises(ValueError, match="has no schedule"):
        realise(verdict, Timing())  # type: ignore[arg-type]


def test_without_a_solver_or_time_nothing_is_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = found(raft.election_safety.over(same_term_double_vote.scenario))
    assert realise(verdict, Timing(), seconds=0) == Undecided("the time ran out")

    def missing() -> Any:
        raise SolverMissingError("z3 cannot be loaded; install the package z3-solver")

    monkeypatch.setattr(sys.modules["happysim.smt.realise"], "fresh_z3", missing)
    said = realise(verdict, Timing())
    assert str(said) == "undecided: z3 cannot be loaded; install the package z3-solver"


def test_an_interrupted_solve_is_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(_Realising, "run", stopped)
    assert realise(found(same_term_double_vote), Timing()) == Undecided("interrupted")


def test_what_changes_how_time_passes_is_left_alone() -> None:
    said = realise_schedule(race(), [Choice(Kind.PAUSE, "hare")], Timing())
    assert str(said).startswith("undecided: pause hare changes how time passes")


@pytest.mark.parametrize(
    "wrong",
    [
        {"latency": (2, 1)},
        {"latency": (-1, 1)},
        {"latency": 1},
        {"drift": 1},
        {"drift": "fast"},
        {"drifts": {"n": -0.1}},
        {"links": {("a", "b"): (1, 0)}},
        {"timers": {"t": 3}},
        {"offset": (1, 0)},
    ],
)
def test_bounds_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ScenarioError, match="Timing"):
        Timing(**wrong)
