"""Shrinking: what comes out breaks the property, is 1-minimal, and is the same every time.

Minimality is checked by brute force: each single choice is left out in turn, and the rest followed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from itertools import islice, pairwise
from typing import Any

import pytest

from happysim import (
    Broken,
    Choice,
    Faults,
    Host,
    Kind,
    Node,
    Property,
    Read,
    Register,
    Script,
    World,
    Write,
    action,
    always,
    bfs,
    bounded,
    call,
    check,
    durable,
    linearizable,
    message,
    monitor,
    on,
    quiescent,
    reachable,
    replay,
    shrink,
    smt,
    step_always,
    uniform,
)
from happysim.core.prng import Random
from happysim.search.schedule import Run, first_world, follow
from happysim.search.shrink import measure
from happysim.spec.property import no_handler_raises

# -- protocols that can do everything ------------------------------------------------------------


@message
class Ping:
    number: int = 0


class Busy(Node):
    """Does a little of everything, so that long runs are full of noise."""

    boots: int = 0
    kept: int = 0
    mode: str = ""
    ticks: int = 0
    done: int = 0
    pings: int = 0
    backwards: bool = False
    newest: int = 0

    def on_start(self, host: Host) -> None:
        self.mode = host.choose(["fast", "slow"])
        host.set_timer("tick")

    @on.timer("tick")
    def tick(self, host: Host) -> None:
        self.ticks += 1
        host.broadcast(Ping(self.ticks))
        if self.ticks < 5:
            host.set_timer("tick")

    @action(when=lambda self: self.done < 3)
    def work(self, host: Host) -> None:
        self.done += 1

    @on(Ping)
    def ping(self, host: Host, sender: str, ping: Ping) -> None:
        self.pings += 1
        self.backwards = self.backwards or ping.number < self.newest
        self.newest = max(self.newest, ping.number)

    @on(Read)
    def read(self, host: Host, sender: str, request: Read) -> None:
        host.respond(0)

    @on(Write)
    def write(self, host: Host, sender: str, request: Write) -> None:
        if self.ticks > 1:
            raise KeyError(request.value)
        host.respond(None)


def asking(server: str) -> Any:
    yield call(server, Write(1))
    yield call(server, Read())


def busy(script: bool = True) -> World:
    return World.of(
        *[Busy(name) for name in "abc"],
        *[Script("s", asking, "a")] * script,
        faults=Faults(drops=6, duplicates=6, crashes=6, partitions=6),
    )


# For each kind of choice, what can only come about by one of that kind.
NEEDS: dict[Kind, Callable[[World], bool]] = {
    Kind.START: lambda world: world["b"].mode != "",
    Kind.FIRE: lambda world: world["b"].ticks == 3,
    Kind.ACT: lambda world: world["c"].done == 3,
    Kind.DELIVER: lambda world: world["c"].backwards,
    Kind.INVOKE: lambda world: len(world.history.calls) == 2,
    Kind.DROP: lambda world: world.faults_left["drops"] == 4,
    Kind.DUPLICATE: lambda world: world.faults_left["duplicates"] == 4,
    Kind.CRASH: lambda world: world.faults_left["crashes"] == 4,
    Kind.RESTART: lambda world: world.faults_left["restarts"] == 4,
    Kind.PARTITION: lambda world: world.partition == "b c | a",
    Kind.HEAL: lambda world: world.faults_left["heals"] == 4,
}


@cache
def never(kind: Kind) -> Property:
    wanted = NEEDS[kind]
    return always(busy)(lambda world: not wanted(world))


@step_always(busy)
def work_waits_for_a_tick(before: World, after: World) -> bool | str:
    return after["a"].done == before["a"].done or before["a"].ticks > 1 or "worked too early"


@quiescent(busy, script=False)
def everybody_is_pinged(world: World) -> bool:
    return all(node.pings > 2 for node in world.nodes(Busy))


history_fits = linearizable(busy, Register(0))
nothing_raises = no_handler_raises(history_fits.scenario)
SORTS = [work_waits_for_a_tick, everybody_is_pinged, history_fits, nothing_raises]
EVERY = [*(pytest.param(never(kind), id=kind.value) for kind in NEEDS),
         *(pytest.param(prop, id=prop.name) for prop in SORTS)]  # fmt: skip


def wander(prop: Property, seed: int, steps: int) -> Broken | None:
    """A run of random choices up to the first violation, all kinds of choices equally likely."""
    random = Random(seed, "wander")
    first = world = first_world(prop.scenario, "")
    schedule: list[Choice] = []
    for _ in range(steps):
        kinds: dict[Kind, list[Any]] = {}
        for each in world.enabled():
            kinds.setdefault(each[0].kind, []).append(each)
        if not kinds:
            break
        choice, slot, move = random.choice(kinds[random.choice(list(kinds))])
        schedule.append(choice)
        if getattr(move, "raised", None) is not None:
            break
        world = world.take(choice, slot, move)
    run = follow(first, schedule, prop)
    return None if run.wrong is None else Broken(prop, schedule=run.schedule, reason=run.wrong)


@cache
def long_ones(prop: Property, count: int = 1) -> list[Broken]:
    """The longest of the first four random runs that break a property."""
    runs = (wander(prop, seed, steps=120) for seed in range(99))
    found = list(islice((run for run in runs if run is not None), 4))
    return sorted(found, key=lambda each: -len(schedule_of(each)))[:count]


def schedule_of(broken: Broken) -> tuple[Choice, ...]:
    assert broken.schedule is not None
    return broken.schedule


def broken_by(prop: Property, *schedule: str) -> Broken:
    """The verdict of a schedule that breaks a property in its last choice."""
    run = follow(first_world(prop.scenario, ""), schedule, prop)
    assert run.wrong is not None
    assert len(run.schedule) == len(schedule)
    return Broken(prop, schedule=run.schedule, reason=run.wrong)


def breaks(prop: Property, schedule: tuple[Choice, ...]) -> bool:
    world = first_world(prop.scenario, "")
    return follow(world, schedule, prop, skip_missing=True).wrong is not None


def assert_is_minimal(broken: Broken) -> None:
    schedule = schedule_of(broken)
    run = follow(first_world(broken.of.scenario, broken.start), schedule, broken.of)
    assert run.schedule == schedule
    assert run.wrong == broken.reason
    for at in range(len(schedule)):
        assert not breaks(broken.of, schedule[:at] + schedule[at + 1 :]), schedule[at]


# -- what comes out ------------------------------------------------------------------------------


@pytest.mark.parametrize("prop", EVERY)
def test_the_result_breaks_the_property_and_no_choice_can_be_left_out(prop: Property) -> None:
    for broken in long_ones(prop, 2):
        small = shrink(broken, prove_worlds=0)
        assert small.minimal
        assert_is_minimal(small)
        assert measure(schedule_of(small)) < measure(schedule_of(broken))
        assert schedule_of(shrink(small, prove_worlds=0)) == schedule_of(small)


@pytest.mark.parametrize("kind", NEEDS, ids=lambda kind: kind.value)
def test_what_needs_a_kind_of_choice_keeps_it(kind: Kind) -> None:
    (broken,) = long_ones(never(kind))
    small = schedule_of(shrink(broken, prove_worlds=0))
    assert kind in [choice.kind for choice in small]
    assert len(small) < 9


def test_choices_of_one_node_are_moved_together() -> None:
    @always(busy)
    def one_works(world: World) -> bool:
        return world["a"].done < 3 or world["b"].done < 3

    start = [f"start {name} choosing 'fast'" for name in "ab"]
    mixed = broken_by(one_works, *start, *["act a work", "act b work"] * 3)
    together = schedule_of(shrink(mixed, prove_worlds=0))
    assert sum(here.node != there.node for here, there in pairwise(together)) == 1


def test_faults_are_left_out_first() -> None:
    @always(busy)
    def two_pings_and_work(world: World) -> bool:
        return world["c"].pings < 2 or world["b"].done < 3

    # c hears a's first word twice, by a copy, and then its second word as well.
    start = [f"start {name} choosing 'fast'" for name in "abc"]
    copied = ["fire a tick", "duplicate a -> c Ping(number=1)"]
    heard = [*["deliver a -> c Ping(number=1)"] * 2, "fire a tick", "deliver a -> c Ping(number=2)"]
    broken = broken_by(two_pings_and_work, *start, *copied, *heard, *["act b work"] * 3)
    # Ten choices either way; leaving out the second word would keep the copy.
    assert measure(schedule_of(shrink(broken, prove_worlds=0)))[:2] == (0, 10)


def test_the_empty_schedule_is_what_is_broken_from_the_start() -> None:
    @always(busy)
    def never_true(world: World) -> str:
        return "as always"

    some = first_world(never_true.scenario, "").choices()[:2]
    small = shrink(Broken(never_true, schedule=some))
    assert (small.schedule, small.reason, small.shortest) == ((), "as always", True)


class Fails(Busy):
    """Fails in two handlers."""

    @action
    def work(self, host: Host) -> None:
        if not self.ticks:
            raise ValueError("too early")
        self.done = 1

    @on.timer("tick")
    def tick(self, host: Host) -> None:
        host.set_timer("tick")
        self.ticks += 1
        if self.ticks == 3 and self.done:
            raise RuntimeError("three")


def test_what_raises_goes_on_raising_in_the_same_handler() -> None:
    scenario = always(lambda: World.of(Fails("a"), Fails("b")))(bool).scenario
    schedule = ["start b choosing 'fast'", "fire b tick", "act b work", *["fire b tick"] * 2]
    broken = broken_by(no_handler_raises(scenario), "start a choosing 'slow'", *schedule)
    assert broken.reason.startswith("Fails.tick on b raised RuntimeError: three")
    # Without the first tick it would be `work` that raises, and sooner.
    small = shrink(broken)
    assert sorted(map(str, schedule_of(small))) == sorted(schedule)
    assert small.reason == broken.reason


# -- how it gets there ---------------------------------------------------------------------------


@pytest.mark.parametrize("prop", [EVERY[3], EVERY[-2]])
def test_progress_is_told_and_never_gets_worse(prop: Property) -> None:
    told: list[tuple[Choice, ...]] = []
    (broken,) = long_ones(prop)
    small = shrink(broken, progress=told.append)
    measures = [measure(each) for each in (schedule_of(broken), *told)]
    assert measures == sorted(set(measures), reverse=True)
    assert told[-1] == small.schedule
    assert all(breaks(small.of, each) for each in told)


def test_a_shorter_schedule_that_the_search_finds_is_told_too() -> None:
    told: list[tuple[Choice, ...]] = []
    small = shrink(broken_by(is_small, *["act a up"] * 3), progress=told.append)
    assert told == [small.schedule]
    assert len(schedule_of(small)) == 2


SEEDS = """
from tests.search.test_shrink import Kind, long_ones, never, shrink

for prop in [never(Kind.DELIVER), never(Kind.HEAL), never(Kind.CRASH)]:
    (broken,) = long_ones(prop)
    small = shrink(broken, prove_worlds=200)
    print(len(broken.schedule), small.shortest, *small.schedule, sep="; ")
"""


def test_the_result_is_the_same_in_every_process() -> None:
    outs = [
        subprocess.run(
            [sys.executable, "-c", SEEDS],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": "."},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert outs[0] == outs[1]
    assert len(outs[0].splitlines()) == 3


# -- what it says of the result ------------------------------------------------------------------


class Count(Node):
    n: int = 0

    @action(when=lambda self: self.n < 4)
    def up(self, host: Host) -> None:
        self.n += 1

    @action(when=lambda self: self.n < 4)
    def twice(self, host: Host) -> None:
        self.n += 2


def counting() -> World:
    return World.of(Count("a"), Count("b"), faults=Faults(crashes=1))


@always(counting)
def is_small(world: World) -> bool:
    return world["a"].n < 3


@always(counting)
def is_small_and_up(world: World) -> bool:
    return world["a"].n < 3 and world["a"].is_up


@pytest.mark.parametrize("seed", range(4))
def test_what_is_said_to_be_shortest_is_as_short_as_bfs_finds(seed: int) -> None:
    best = check(is_small, by=bfs())
    found = check(is_small, by=uniform(seed, runs=50, steps=30))
    assert isinstance(best, Broken)
    assert isinstance(found, Broken)
    small = shrink(found)
    assert small.shortest
    assert len(schedule_of(small)) == len(schedule_of(best)) == 2
    assert_is_minimal(small)


def test_one_minimal_may_be_longer_than_shortest_and_says_so() -> None:
    by_ones = broken_by(is_small, *["act a up"] * 3)
    small = shrink(by_ones, prove_worlds=0)
    assert (len(schedule_of(small)), small.minimal, small.shortest) == (3, True, False)


def test_a_search_that_was_cut_short_proves_nothing() -> None:
    (broken,) = long_ones(never(Kind.DELIVER))
    small = shrink(broken, prove_worlds=50)
    assert (small.minimal, small.shortest) == (True, False)


def test_a_shorter_one_with_more_faults_does_not_replace_it_but_takes_away_shortest() -> None:
    assert schedule_of(checked(is_small_and_up))[0].kind is Kind.CRASH
    small = shrink(broken_by(is_small_and_up, "act a up", "act a twice"))
    assert list(map(str, schedule_of(small))) == ["act a up", "act a twice"]
    assert (small.minimal, small.shortest) == (True, False)


def checked(prop: Property) -> Broken:
    verdict = check(prop, by=bfs())
    assert isinstance(verdict, Broken)
    return verdict


@pytest.mark.parametrize("prop", [is_small, is_small_and_up, never(Kind.FIRE), never(Kind.HEAL)])
def test_a_schedule_of_bfs_stays_shortest_without_another_search(prop: Property) -> None:
    verdict = checked(prop)
    small = shrink(verdict, prove_worlds=0)
    assert small.shortest
    assert len(schedule_of(small)) == len(schedule_of(verdict))
    assert_is_minimal(small)


# -- what cannot be shrunk -----------------------------------------------------------------------


def test_a_schedule_that_breaks_nothing_is_refused() -> None:
    harmless = follow(first_world(is_small.scenario, ""), ["act a up"]).schedule
    with pytest.raises(ValueError, match=r"the schedule does not break is_small; has the protocol"):
        shrink(Broken(is_small, schedule=harmless))


def test_what_is_broken_without_a_schedule_is_refused() -> None:
    @reachable(counting)
    def nine(world: World) -> bool:
        return world["a"].n == 9

    verdict = check(nine)
    assert isinstance(verdict, Broken)
    with pytest.raises(ValueError, match=r"nine is broken for want of a world; there is no sched"):
        shrink(verdict)


class Pair(Node):
    """Two counters that go up by themselves."""

    a: int = 0
    b: int = 0

    @action(when=lambda self: self.a < 3)
    def raise_a(self, host: Host) -> None:
        self.a += 1

    @action(when=lambda self: self.b < 3)
    def raise_b(self, host: Host) -> None:
        self.b += 1


def a_follows_b(world: World) -> bool:
    return bool(world["n"].a <= world["n"].b)


@bounded(within=a_follows_b)
def bounded_pair() -> World:
    return World.of(Pair("n"))


@always(bounded_pair)
def a_stays_below_two(world: World) -> bool:
    return bool(world["n"].a < 2)


@always(lambda: World.of(Pair("n")))
def a_stays_below_two_anywhere(world: World) -> bool:
    return bool(world["n"].a < 2)


@pytest.mark.parametrize(
    ("prop", "options"),
    [(a_stays_below_two, {}), (a_stays_below_two_anywhere, {"within": a_follows_b})],
    ids=["declared", "given"],
)
def test_shrinking_stays_inside_the_bound_of_the_search(prop: Any, options: Any) -> None:
    found = check(prop, by=uniform(1, runs=50, steps=20), **options)
    shrunk = shrink(found)  # type: ignore[arg-type]

    # Without the bound two steps would do.
    assert len(shrunk.schedule or ()) == 4
    assert shrunk.shortest
    assert len(check(prop, **options).schedule) == 4  # type: ignore[attr-defined]


class TwoWays(Node):
    """Is wrong after three small steps, or after one large one."""

    step: int = 0

    @action(when=lambda self: self.step < 3)
    def small(self, host: Host) -> None:
        self.step += 1

    @action(when=lambda self: self.step == 0)
    def large(self, host: Host) -> None:
        self.step = 3


def two_ways() -> World:
    return World.of(TwoWays("n"))


@pytest.mark.parametrize(
    ("prove_by", "length", "shortest"),
    [(None, 3, False), (smt(), 1, True), (smt(seconds=1e-9), 3, False)],
)
def test_where_too_many_worlds_are_in_the_way_another_policy_is_asked(
    prove_by: Any, length: int, shortest: bool
) -> None:
    prop = always(two_ways)(lambda world: world["n"].step < 3)
    long = follow(two_ways(), ["act n small"] * 3).schedule
    best = shrink(Broken(prop, schedule=long), prove_worlds=1, prove_by=prove_by)
    assert (len(best.schedule or ()), best.shortest) == (length, shortest)


# -- long runs -----------------------------------------------------------------------------------


def test_with_little_effort_the_best_so_far_is_returned_and_says_that_it_is_not_minimal() -> None:
    (broken,) = long_ones(never(Kind.DELIVER))
    told: list[tuple[Choice, ...]] = []
    some = shrink(broken, progress=told.append, effort_max=400)
    assert not some.minimal
    assert not some.shortest
    assert some.schedule == told[-1]
    assert breaks(some.of, schedule_of(some))
    assert len(schedule_of(shrink(broken, prove_worlds=0))) < len(schedule_of(some))


class Diary(Node):
    """Writes and never syncs, so that a crash may lose as many writes as were made."""

    pages: int = durable(0)

    @action(when=lambda self: self.pages < 60)
    def write(self, host: Host) -> None:
        self.pages += 1


def test_a_crash_that_loses_fewer_writes_stands_in_for_one_that_loses_more() -> None:
    faults = Faults(crashes=1, unsynced_loss=True)

    @step_always(World.of(Diary("d"), faults=faults))
    def nothing_is_lost(before: World, after: World) -> bool:
        return after["d"].pages >= before["d"].pages

    broken = broken_by(nothing_is_lost, *["act d write"] * 60, "crash d losing 60")
    small = shrink(broken, prove_worlds=0)
    assert list(map(str, schedule_of(small))) == ["act d write", "crash d losing 1"]


class Tick(Node):
    """Counts, as often as it likes."""

    ticks: int = 0

    @on.timer("tick")
    def tick(self, host: Host) -> None:
        self.ticks += 1
        host.set_timer("tick")

    def on_start(self, host: Host) -> None:
        host.set_timer("tick")


def two_clocks() -> World:
    return World.of(Tick("a"), Tick("b"))


@monitor(two_clocks)
class never_ten_turns:
    """It is not ten times that the other clock ticks than the one before."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, world: World, name: str) -> bool:
        self.seen.append(name)
        return sum(here != there for here, there in pairwise(self.seen)) < 10


@monitor(two_clocks)
class never_ten_turns_of_an_iterator:
    """The same, by something of which there is no copy."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.turns = iter(range(1_000))
        self.count = 0

    def __call__(self, world: World, name: str) -> bool:
        if self.seen and self.seen[-1] != name:
            self.count = next(self.turns) + 1
        self.seen.append(name)
        return self.count < 10


@pytest.mark.parametrize("every", [1, 7])
def test_a_monitor_that_can_be_copied_shrinks_to_the_same_with_less_effort(
    monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    random = Random(1)
    schedule = [Choice(Kind.FIRE, random.choice("ab"), what="tick") for _ in range(120)]
    made: list[Run] = []

    def counted(*arguments: Any, **options: Any) -> Run:
        made.append(follow(*arguments, **options))
        return made[-1]

    monkeypatch.setattr("happysim.search.schedule.KEPT_EVERY", every)
    monkeypatch.setattr("happysim.search.shrink.follow", counted)
    found = []
    for prop in (never_ten_turns_of_an_iterator, never_ten_turns):
        made.clear()
        broken = check(prop, by=replay(follow(two_clocks(), schedule, prop).schedule))
        small = shrink(broken, prove_worlds=0)
        found.append((small.schedule, sum(len(run.schedule) for run in made)))
    (slow, most), (fast, less) = found
    assert fast == slow
    # A monitor is told of each node of the first world, and that was the first turn.
    assert len(slow) == 9
    assert less < 0.8 * most
