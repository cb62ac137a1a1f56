"""A told schedule happens at its times: what was recorded happens again, what cannot is refused."""

from __future__ import annotations

import re
from contextlib import nullcontext
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from happysim import (
    Choice,
    Clog,
    Crash,
    Disk,
    Drift,
    FillDisk,
    FreezeClock,
    Host,
    Jump,
    LoseUnsynced,
    LyingSync,
    Misdirect,
    Node,
    Partition,
    Pause,
    Random,
    RollBack,
    Rot,
    ScenarioError,
    ScheduleError,
    Script,
    Simulation,
    Skew,
    Slow,
    SlowDisk,
    TearWrites,
    Upgrade,
    Wipe,
    World,
    always,
    call,
    duplicating,
    eventually,
    on,
    ordered,
    quiescent,
    randomly,
    simulate,
    sleep,
)
from happysim.sim.net_faults import Echo
from happysim.sim.scripted import replay_in_time
from happysim.spec.scenario import scenario_of
from properties.raft_in_time import every_command_gets_through, five_in_time
from tests.oracles.test_naive_agrees import Case, cases
from tests.sim.models import Alarm, Ask, Counter, ticking, wild_run
from tests.sim.test_disk import EVERYTHING, Store
from tests.sim.test_upgrade import Counter2, pair

NS = 10**9


def wild(case: Case, seed: int) -> Simulation:
    """A recorded run with everything at once."""
    random = Random(seed, "faults")
    faults: list[Any] = [
        randomly(Crash(), every=3.0, lasting=1.0),
        randomly(Pause(), every=4.0, lasting=1.0),
        randomly(Clog(), every=3.0, lasting=1.0),
        randomly(Partition(), every=4.0, lasting=0.5),
        randomly(Partition(one_way=True), every=4.0, lasting=0.5),
        randomly(Echo(), every=3.0, lasting=1.0),
        randomly(Skew(), every=3.0, lasting=1.0),
        randomly(Drift(rate=(-0.5, 0.5)), every=3.0, lasting=1.0),
        randomly(FreezeClock(), every=4.0, lasting=1.0),
        randomly(Jump(), every=4.0),
        randomly(Slow(), every=3.0, lasting=1.0),
    ]
    random.shuffle(faults)
    loses = case.faults.unsynced_loss and bool(random.below(2))
    disks = Disk(loses_unsynced=True, sync_seconds=(0.0, 0.1)) if loses else None
    return wild_run(case, seed, faults[: random.below(6)], disks)


def told(simulation: Simulation) -> list[str]:
    return [f"{choice.at} {choice}" for choice in simulation.schedule]


@settings(
    max_examples=80,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)
@given(cases(), st.integers(0, 1000))
def test_a_recorded_run_of_a_random_protocol_happens_again(case: Case, seed: int) -> None:
    """The same schedule, and alike in every field, in what is up, in timers and in the history."""
    run = wild(case, seed)
    judged = [] if run.broken is None else [run.broken[0]]
    again = replay_in_time(case.scenario(), run.schedule, *judged)
    for kind in sorted({choice.kind.value for choice in run.schedule}):
        event(f"{case.network.kind} {kind}")
    assert told(again) == told(run)
    assert [Choice.parse(str(choice), choice.at) for choice in run.schedule] == list(run.schedule)
    assert again.broken == run.broken
    then, now = run.world, again.world
    assert now.history == then.history
    assert [node.is_up for node in now.nodes()] == [node.is_up for node in then.nodes()]
    assert [node.timers for node in now.nodes()] == [node.timers for node in then.nodes()]
    assert now.lines() == then.lines()


def happens_again(run: Simulation, **options: Any) -> Simulation:
    again = replay_in_time(run.first_world, run.schedule, **options)
    assert told(again) == told(run)
    assert again.world.lines() == run.world.lines()
    assert again.world.history == run.world.history
    return again


@pytest.mark.parametrize("seed", range(8))
def test_what_befell_disks_befalls_them_again(seed: int) -> None:
    faults: list[Any] = [
        randomly(Crash(), every=6.0, lasting=0.7),
        randomly(LoseUnsynced(), every=5.0, lasting=9.0),
        randomly(TearWrites(), every=5.0, lasting=9.0),
        randomly(LyingSync(), every=7.0, lasting=5.0),
        randomly(FillDisk(), every=9.0, lasting=1.0),
        randomly(SlowDisk(), every=9.0, lasting=5.0),
        randomly(Wipe(), every=30.0, lasting=0.5),
        randomly(RollBack(), every=20.0, lasting=0.5),
        randomly(Rot(), every=20.0, lasting=0.5),
        randomly(Misdirect(), every=20.0, lasting=0.5),
    ]
    world = World.of(Store("n", catches=False), Store("m"), faults=EVERYTHING)
    policy = Disk(sync_seconds=(0.0, 0.02))
    run = Simulation(world, seed=seed, faults=faults, disks=policy, trace=True).run(60.0)
    happens_again(run)
    said = " ".join(told(run))
    assert [word for word in ("losing", "tearing", "rotten", "full") if word not in said] == []


def test_a_node_that_was_upgraded_is_upgraded_again() -> None:
    world = pair(limit=1000, ignores_unknown=True)
    faults = [randomly(Upgrade(to=Counter2), every=3.0, lasting=1.0)]
    run = Simulation(world, seed=1, faults=faults, trace=True).run(20.0)
    assert any("as Counter2" in str(choice) for choice in run.schedule)
    happens_again(run)


def test_a_run_of_raft_happens_again_with_its_calm_phase() -> None:
    policy: Any = scenario_of(five_in_time).bounds.by
    run = simulate(
        five_in_time,
        every_command_gets_through,
        seed=3,
        until=3.0,
        calm=6.0,
        faults=policy.faults,
        trace=True,
    )
    assert run.broken is None
    again = happens_again(run)
    assert again.summary().handled == run.summary().handled


# -- what cannot happen ---------------------------------------------------------------------------


def at_(seconds: float, text: str) -> Choice:
    choice = Choice.parse(text, round(seconds * NS))
    assert choice is not None
    return choice


def replayed(world: World, *steps: tuple[float, str], **options: Any) -> Simulation:
    return replay_in_time(world, [at_(*step) for step in steps], **options)


TICK = "deliver source -> n1 Tick(number=1)"
NEXT = "fire source next"


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ([(0.9, NEXT)], "choice 1 at 0.9 s, fire source next, cannot happen: timer next has 0.1 s"),
        ([(1.1, NEXT)], "timer next of source must ring by 1.000000001 s"),
        ([(1, NEXT), (2.1, TICK)], "timer next of source must ring by 2.000000001 s"),
        ([(0.5, TICK)], "no such message is on its way from source to n1"),
        ([(1, NEXT), (0.5, TICK)], "it is 1 s already; time only goes on"),
        ([(1, NEXT), (1, TICK), (1, TICK)], "no such message"),
        ([(1, NEXT), (1, "clog source -> n1"), (2, NEXT), (2, TICK.replace("1)", "2)"))], "clog"),
        ([(0, "cut source | n1"), (1, NEXT), (1, TICK)], "no such message"),
        ([(1, NEXT), (1, "cut source -> n1"), (1.5, TICK)], "no such message"),
        ([(1, NEXT), (1.1, "partition source | n1"), (1.2, TICK)], "a partition holds it back"),
        ([(1, NEXT), (1, "crash n1"), (1.5, TICK)], "n1 is down"),
        ([(1, NEXT), (1, "pause n1"), (1.5, TICK)], "n1 stands still"),
        ([(0, "slow source 0.5 s"), (1, NEXT), (1.2, "fire source next")], "source is busy"),
        ([(0, "crash n1"), (0, "crash n1")], "n1 is down"),
        ([(0, "crash n1 losing 7")], "there may be, of its disk: "),
        ([(0, "crash n1"), (1, "restart n1 wiped backwards")], "there may be, of its disk: "),
        ([(0, "fill n1"), (0, "fill n1")], "n1 is not up, or its disk is full already"),
        ([(0, "free n1")], "the disk of n1 is not full"),
        ([(0, "restart n1")], "n1 is not down"),
        ([(0, "resume n1")], "n1 does not stand still"),
        ([(0, "start n1")], "n1 has started already"),
        ([(0, "act n1 dance")], "it has no action 'dance' whose guard holds"),
        ([(0, "fire n9 tick")], "there is no 'n9' in this world; it has source, n1"),
        ([(0, "invoke n1 -> source Tick()")], "n1 asks for nothing now"),
        ([(0, "mend source | n1")], "cut are no links"),
        ([(0, "release source -> n1")], "nothing is held back there"),
        ([(0, "clock n1 is wrong")], "write `clock n1 by"),
        ([(0, "slow n1 very")], "write `slow n1 0.01 s`"),
        ([(2, "clock n1 starts by 1 s")], "a clock starts at 0 s, not later"),
        ([(0.5, "clock source by 1 s"), (0.6, "crash n1")], "must ring by 0.5"),
    ],
)
def test_what_cannot_happen_is_refused_and_why(steps: list[tuple[float, str]], why: str) -> None:
    with pytest.raises(ScheduleError, match=re.escape(why)):
        replayed(ticking(), *steps)


@pytest.mark.parametrize(
    "steps",
    [
        [(1, "clog source -> n1"), (1, NEXT), (1.5, "release source -> n1"), (1.6, TICK)],
        [(1, NEXT), (1, "clog source -> n1"), (1.6, TICK)],
        [(0, "cut source | n1"), (0.9, "mend source | n1"), (1, NEXT), (1.6, TICK)],
        [(0, "cut n1 -> source"), (1, NEXT), (1.6, TICK)],
        [(0, "cut source | n1, but for source n1"), (1, NEXT), (1.6, TICK)],
        [(0, "partition source | n1"), (1, NEXT), (1.5, "heal"), (1.6, TICK)],
        [(0, "cut what a person called it"), (1, NEXT), (1.6, TICK)],
        [(0, "clock source by 0.5 s"), (0.5, NEXT), (0.6, TICK)],
        [(0, "clock source by 0 s drifting 1"), (0.5, NEXT), (0.6, TICK)],
        [(0, "clock source by 0 s stopped"), (9, "clock source by -9 s"), (10, NEXT), (10, TICK)],
        [(0, "slow source 0.5 s"), (1, NEXT), (1.5, "pause source"), (1.6, TICK)],
        [(0, "link source -> n1 is bad"), (1, NEXT), (1.6, TICK)],
    ],
)
def test_what_befell_links_and_clocks_is_heeded(steps: list[tuple[float, str]]) -> None:
    run = replayed(ticking(), *steps)
    assert run.world["n1"].seen == [1]
    assert told(run) == [f"{round(seconds * NS)} {text}" for seconds, text in steps]


def test_a_refusal_says_what_could_have_happened() -> None:
    with pytest.raises(ScheduleError) as error:
        replayed(ticking(), (1, NEXT), (1.5, "fire n1 ring"))
    assert str(error.value) == (
        "choice 2 at 1.5 s, fire n1 ring, cannot happen: timer ring is not set\n"
        "  possible were:\n"
        "    fire source next\n"
        "    deliver source -> n1 Tick(number=1)"
    )


def test_a_choice_without_a_time_is_refused() -> None:
    with pytest.raises(ScheduleError, match=r"choice 1, fire source next, has no time: give it"):
        replay_in_time(ticking(), [replace(at_(1, NEXT), at=None)])


def test_on_an_ordered_link_the_first_message_comes_first_or_is_dropped() -> None:
    steps = [(1, NEXT), (2, NEXT)]
    second = TICK.replace("1)", "2)")
    with pytest.raises(ScheduleError, match=r"before it comes Tick\(number=1\)"):
        replayed(ticking(delivery=ordered()), *steps, (2, second))
    dropped = (2, TICK.replace("deliver", "drop"))
    run = replayed(ticking(delivery=ordered()), *steps, dropped, (2, second))
    assert run.world["n1"].seen == [2]


def test_a_message_is_copied_on_a_network_that_copies_and_by_a_fault() -> None:
    run = replayed(ticking(delivery=duplicating()), (1, NEXT), (1, TICK), (1.5, TICK))
    assert run.world["n1"].seen == [1, 1]
    copied = TICK.replace("deliver", "duplicate")
    assert replayed(ticking(), (1, NEXT), (1, copied), (1, TICK), (2, TICK)).world["n1"].total == 2


# -- clocks, timers and clients -------------------------------------------------------------------


def test_a_node_reads_its_own_clock_and_its_timers_go_by_it() -> None:
    world = World.of(Alarm("n"))
    rates, offsets = {"n": Fraction(4, 5)}, {"n": Fraction(1, 2)}
    run = replayed(world, (1.25, "fire n ring"), rates=rates, offsets=offsets)
    assert run.world["n"].rang == [NS * 3 // 2]
    assert str(run.schedule[0]) == "fire n ring reading 1500000000"
    starts = (0, "clock n starts by 1/2 s drifting -1/5")
    again = replayed(world, starts, (1.25, "fire n ring reading 1500000000"))
    assert again.world["n"].rang == run.world["n"].rang
    with pytest.raises(ScheduleError, match=r"its clock shows 1.5 s, and not `reading 7`"):
        replayed(world, starts, (1.25, "fire n ring reading 7"))
    with pytest.raises(ScheduleError, match=r"timer ring has 0.2 s left, by its node's clock"):
        replayed(world, (1, "fire n ring"), rates=rates)


@pytest.mark.parametrize(
    ("timers", "seconds", "why"),
    [
        ({"ring": (2, 3)}, 2.5, ""),
        ({"ring": (2, 3)}, 3.5, "must ring by"),
        ({"ring": (2, None)}, 100, ""),
        ({"ring": (2, None)}, 1, "has 1 s left"),
    ],
)
def test_timers_run_as_long_as_a_caller_says(timers: Any, seconds: float, why: str) -> None:
    with pytest.raises(ScheduleError, match=why) if why else nullcontext():
        replayed(World.of(Alarm("n")), (seconds, "fire n ring"), timers=timers)


def test_a_timer_that_was_due_while_its_node_stood_still_rings_then() -> None:
    pause, resume = (0.5, "pause source"), (3, "resume source")
    assert replayed(ticking(), pause, resume, (3, NEXT)).world["source"].sent == 1
    with pytest.raises(ScheduleError, match=r"timer next of source must ring by 3 s"):
        replayed(ticking(), pause, resume, (3.5, NEXT))


def test_no_timer_is_overdue_where_deliveries_may_be_missing() -> None:
    """A delivery that only sets a timer anew is no step of a search, and no trace holds it."""
    late = replayed(ticking(), (7, NEXT), complete=False)
    assert late.world["source"].sent == 1
    with pytest.raises(ScheduleError, match=r"timer next has 0\.1 s left"):
        replayed(ticking(), (0.9, NEXT), complete=False)


def impatient() -> Any:
    yield sleep((0.5, 1.0))
    first = yield call("n1", Ask(), timeout=1.0)
    if not first:
        yield call("n1", Ask())


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ([(0.4, "fire c1 sleep")], "its sleep lasts for 0.1 s more"),
        ([(1.1, "fire c1 sleep")], "sleep of c1 ends by 1 s"),
        ([(0, "fire c1 timeout")], "c1 is in no timeout"),
        ([(0, "crash c1")], "c1 is a client script"),
        ([(0, "invoke c1 -> n1 Ask() as call 1")], "c1 asks for nothing now"),
        ([(0.5, "fire c1 sleep"), (0.5, "fire c1 sleep")], "c1 is in no sleep"),
        ([(1, "fire c1 sleep"), (1, "invoke c1 -> n1 Ask() as call 2")], "Ask() as call 1 now"),
        (
            [
                (1, "fire c1 sleep"),
                (1, "invoke c1 -> n1 Ask() as call 1"),
                (1.5, "fire c1 timeout"),
            ],
            "its timeout lasts for 0.5 s more",
        ),
    ],
)
def test_a_client_is_as_patient_as_it_says(steps: list[tuple[float, str]], why: str) -> None:
    world = World.of(Counter("n1"), Script("c1", impatient))
    with pytest.raises(ScheduleError, match=re.escape(why)):
        replayed(world, *steps)


def test_a_world_in_mid_run_goes_on() -> None:
    """Nobody knows since when its timer has been set, but it rings within its second."""
    world = ticking().after(NEXT)
    assert replayed(world, (0.3, TICK), (0.4, NEXT)).world["n1"].seen == [1]
    with pytest.raises(ScheduleError, match=r"must ring by 1\.000000001 s"):
        replayed(world, (1.2, TICK))


def test_properties_are_judged_at_every_step_and_what_must_come_true_at_the_end() -> None:
    @always(ticking)
    def few(world: World) -> bool:
        return len(world["n1"].seen) < 1

    @eventually(ticking)
    def two(world: World) -> bool | str:
        return len(world["n1"].seen) > 1 or "not two"

    first, second = [(1, NEXT), (1.5, TICK)], [(2, NEXT), (2, TICK.replace("1)", "2)"))]
    schedule = [at_(*step) for step in first + second]
    run = replay_in_time(ticking, schedule, few)
    assert run.broken == (few, "")
    assert run.seconds == "1.5"
    assert replay_in_time(ticking, schedule, two).broken is None
    assert replay_in_time(ticking, schedule[:2], two).broken == (two, "not two")


class Sayer(Node):
    def on_start(self, host: Host) -> None:
        host.set_timer("say", 1)

    @on.timer("say")
    def say(self, host: Host) -> None:
        host.send("deaf", Ask())


class Deaf(Node):
    @on(Ask)
    def hear(self, host: Host, sender: str, ask: Ask) -> None:
        pass


def test_a_run_is_quiescent_where_a_world_is() -> None:
    """What is in flight may still arrive, unless that would change nothing."""

    @quiescent(ticking)
    def nothing_was_heard(world: World) -> bool:
        return not world["n1"].seen

    def broken(count: int, *steps: tuple[float, str]) -> bool:
        schedule = [at_(*step) for step in steps]
        return replay_in_time(ticking(count=count), schedule, nothing_was_heard).broken is not None

    assert broken(1, (1, NEXT), (1.5, TICK))
    assert not broken(2, (1, NEXT), (1.5, TICK))  # a timer is set
    copied = TICK.replace("deliver", "duplicate")
    assert not broken(1, (1, NEXT), (1.5, copied), (1.6, TICK))  # a copy may arrive

    run = replayed(World.of(Sayer("sayer"), Deaf("deaf")), (1, "fire sayer say"))
    assert [str(each.message) for each in run.world.in_flight] == ["Ask()"]
    assert run.is_quiescent


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"rates": {"n1": 0}}, "a clock gains more than 0 seconds a second"),
        ({"offsets": {"n9": 1}}, "no node 'n9' has a clock; the nodes are source, n1"),
        ({"timers": {"next": (2, 1)}}, "the least is below 0, or above the most"),
    ],
)
def test_clocks_and_timers_that_make_no_sense_are_refused(options: Any, why: str) -> None:
    with pytest.raises(ScenarioError, match=re.escape(why)):
        replay_in_time(ticking(), [], **options)
