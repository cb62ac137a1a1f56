"""Judging a run: at every step, but only where something has changed; and what the verdicts are."""

from __future__ import annotations

from typing import Any

import pytest

from happysim import (
    Crash,
    Host,
    Node,
    PropertyError,
    Register,
    Script,
    Simulation,
    World,
    always,
    at,
    bfs,
    bounded,
    call,
    check,
    durable,
    eventually,
    linearizable,
    monitor,
    on,
    quiescent,
    reachable,
    shrink,
    simulated,
    step_always,
)
from tests.sim.models import Ask, Counter, Tick, asking, ticking

ASKED: list[int] = []


@always(ticking)
def few(world: World) -> bool:
    ASKED.append(len(world["n1"].seen))
    return len(world["n1"].seen) < 4


def test_a_run_ends_with_the_step_that_breaks_a_property() -> None:
    simulation = Simulation(ticking(), properties=[few], trace=True).run(60)
    assert simulation.broken == (few, "")
    assert simulation.seconds == "4.01"
    assert str(simulation.schedule[-1]) == "deliver source -> n1 Tick(number=4)"


def test_a_property_is_asked_again_only_where_what_it_read_has_changed() -> None:
    ASKED.clear()
    Simulation(ticking(count=3), properties=[few]).run(60).finish()
    # Of the first world, of each tick that arrived, and once more at the end; not of each timer.
    assert ASKED == [0, 1, 2, 3, 3]


class Deep(Node):
    """Changes what lies deep inside its fields, in place."""

    nested: dict[str, list[int]] = {"a": []}
    anything: Any = None
    pairs: list[tuple[int, int]] = []
    count: int = durable(default=0)

    def on_start(self, host: Host) -> None:
        self.anything = [[0]]
        host.set_timer("go")

    @on.timer("go")
    def go(self, host: Host) -> None:
        self.count += 1
        match self.count:
            case 1:
                self.nested["a"].append(1)
            case 2:
                self.anything[0][0] = 1
            case 3:
                self.pairs.append((1, 2))
            case 4:
                self.pairs[0] = (1, 3)
        if self.count < 4:
            host.set_timer("go")


def deep() -> World:
    return World.of(Deep("d"))


@pytest.mark.parametrize(
    ("read", "seconds"),
    [
        (lambda world: world["d"].nested["a"] == [], "1"),
        (lambda world: world["d"].anything == [[0]], "2"),
        (lambda world: world["d"].pairs == [], "3"),
        (lambda world: world["d"].pairs in ([], [(1, 2)]), "4"),
        (lambda world: world["d"].timers == ("go",), "4"),
        (lambda world: world["d"].is_up, "5"),
    ],
)
def test_a_change_in_place_is_noticed_at_its_step(read: Any, seconds: str) -> None:
    prop = always(deep)(read)
    simulation = Simulation(deep(), properties=[prop], faults=[at(5, Crash("d"))]).run(60)
    assert simulation.broken is not None
    assert simulation.seconds == seconds


@pytest.mark.parametrize(
    ("scenario", "read", "seconds"),
    [
        # What is on its way is no field of any node, nor is what clients have asked for.
        (ticking, lambda world: Tick(2) not in [sent.message for sent in world.in_flight], "2"),
        (asking, lambda world: not world.history.of("c1"), "0"),
        (asking, lambda world: not any(each.done for each in world.history.of("c1")), "0.5"),
        # Another field is read once the first has changed, and then the first no more.
        (ticking, lambda world: not world["n1"].seen or world["source"].sent < 3, "3"),
    ],
)
def test_whatever_a_property_reads_is_noticed_at_its_step(
    scenario: Any, read: Any, seconds: str
) -> None:
    prop = always(scenario)(read)
    simulation = Simulation(scenario(), properties=[prop]).run(60)
    assert simulation.broken is not None
    assert simulation.seconds == seconds


def test_a_property_of_steps_sees_what_was_before() -> None:
    found = []

    @step_always(ticking)
    def notes(before: Any, after: Any) -> bool:
        found.append((before["n1"].seen, list(after["n1"].seen), before["n1"].is_up))
        return True

    Simulation(ticking(count=2), properties=[notes], faults=[at(5, Crash("n1"))]).run(60)
    assert ([], [1], True) in found
    assert ([1], [1, 2], True) in found
    assert ([1, 2], [], True) in found


def test_what_was_in_flight_before_a_step_cannot_be_asked() -> None:
    @step_always(ticking)
    def asks(before: Any, after: Any) -> bool:
        return bool(len(before["n1"].seen) == 0 or before.in_flight == ())

    with pytest.raises(PropertyError, match="monitor"):
        Simulation(ticking(), properties=[asks]).run(60)


@monitor(ticking)
class InOrder:
    """Ticks arrive in order."""

    def __init__(self) -> None:
        self.moved: list[str] = []

    def __call__(self, world: World, moved: str) -> bool | str:
        self.moved.append(moved)
        if moved == "n1" and len(world["n1"].seen) == 2:
            return f"moved: {' '.join(self.moved)}"
        return True


def test_a_monitor_watches_one_run_from_its_first_world() -> None:
    simulation = Simulation(ticking(), properties=[InOrder]).run(60)
    assert simulation.broken == (InOrder, "moved: source n1 source n1 source n1")


@bounded(by=simulated(until=3.0))
def ticking_for_a_while() -> World:
    return ticking()


def test_a_monitor_and_a_demand_are_refused_by_a_search() -> None:
    in_time = (InOrder.over(ticking_for_a_while), in_the_end.over(ticking_for_a_while))
    for prop in (InOrder, in_the_end, *in_time):
        with pytest.raises(PropertyError, match="by=simulated"):
            check(prop, by=bfs())


@eventually(ticking)
def in_the_end(world: World) -> bool | str:
    return len(world["n1"].seen) == 5 or f"only {len(world['n1'].seen)} ticks"


@pytest.mark.parametrize(("until", "calm", "met"), [(3.0, 3.0, True), (2.0, 1.0, False)])
def test_a_demand_must_be_met_within_its_time(until: float, calm: float, met: bool) -> None:
    verdict = check(in_the_end, by=simulated(until=until, calm=calm))
    assert verdict.broken is not met
    if not met:
        assert verdict.reason == "only 2 ticks; still so 1 s after the last fault"  # type: ignore[attr-defined]


def asks_and_waits() -> World:
    def ask() -> Any:
        yield call("n1", Ask())

    return World.of(Counter("n1"), Script("c1", ask))


def test_quiescence_and_histories_are_judged_at_the_end() -> None:
    @quiescent(asks_and_waits)
    def nothing_left(world: World) -> bool:
        return len(world.history.completed) == 0

    simulation = Simulation(asks_and_waits(), properties=[nothing_left]).run(60)
    assert simulation.broken is None
    simulation.finish()
    assert simulation.broken == (nothing_left, "")
    assert check(nothing_left, by=simulated(until=60)).broken

    @quiescent(asks_and_waits)
    def something_left(world: World) -> bool:
        return len(world.history.completed) == 1

    assert check(something_left, by=simulated(until=60)).unknown
    # Ask is no operation of a register, so no register explains the history.
    judged = linearizable(asks_and_waits, Register())
    with pytest.raises(PropertyError):
        Simulation(asks_and_waits(), properties=[judged]).run(60).finish()


def test_what_is_reached_is_told_with_a_run_that_reaches_it() -> None:
    @reachable(ticking)
    def three(world: World) -> bool:
        return len(world["n1"].seen) == 3

    verdict = check(three, by=simulated(until=60))
    assert verdict.holds
    assert str(verdict.schedule[-1]) == "deliver source -> n1 Tick(number=3)"  # type: ignore[attr-defined]


def test_a_verdict_of_runs_is_unknown_where_nothing_was_found() -> None:
    verdict = check(few, by=simulated(runs=3, until=2))
    assert verdict.unknown
    assert str(verdict) == "Unknown (no violation in 3 simulated runs)"


def test_a_broken_run_is_shrunk_to_what_matters() -> None:
    verdict = check(few, by=simulated(until=60, faults=[at(0.5, Crash("n1"), lasting=0.1)]))
    from_run = len(verdict.schedule)  # type: ignore[attr-defined]
    best = shrink(verdict)  # type: ignore[arg-type]
    assert from_run > 8
    assert sorted(choice.kind for choice in best.schedule) == ["deliver"] * 4 + ["fire"] * 4
    assert best.shortest
