"""What a verdict means: passed, failed or not decided, and what a person is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from happysim import (
    Broken,
    Faults,
    Holds,
    Host,
    Node,
    Property,
    World,
    action,
    always,
    bounded,
    check,
    explore,
    must_break,
    quiescent,
    reachable,
    uniform,
)
from happysim.front.judging import Judged, Outcome, judge, keep, picture, replay_command, small


class Counter(Node):
    n: int = 0

    @action(when=lambda self: self.n < 3)
    def go(self, host: Host) -> None:
        self.n += 1


class Raiser(Counter):
    @action(when=lambda self: self.n < 3)
    def go(self, host: Host) -> None:
        if self.n == 2:
            raise KeyError("two")
        self.n += 1


def counting(kind: type[Counter] = Counter, faults: Faults | None = None) -> World:
    return World.of(kind("a"), faults=faults)


@bounded(by=uniform(seed=1, runs=3, steps=9), unknown_passes=True)
def looking() -> World:
    return counting()


@always(counting)
def below_four(world: World) -> bool:
    return world["a"].n < 4


@always(counting)
def below_two(world: World) -> bool | str:
    return world["a"].n < 2 or f"n is {world['a'].n}"


@reachable(counting)
def three(world: World) -> bool:
    return world["a"].n == 3


@reachable(counting)
def nine(world: World) -> bool:
    return world["a"].n == 9


@quiescent(counting)
def ends_at_three(world: World) -> bool:
    return world["a"].n == 3


def judged(prop: Property, strict: bool = False, **bounds: Any) -> Judged:
    return judge(prop, explore(prop.scenario, prop, **bounds), strict=strict)


def interrupt(_: object) -> None:
    raise KeyboardInterrupt


MEANS = {
    "holds": (below_four, {}, Outcome.PASSED, "Holds (exhaustive)"),
    "holds within a bound": (
        below_four, {"max_depth": 2}, Outcome.PASSED, "Holds (exhaustive within depth 2)"
    ),
    "is reached": (three, {}, Outcome.PASSED, "Holds (reached in 3 choices)"),
    "is broken": (below_two, {}, Outcome.FAILED, "Broken (in 2 choices, shortest): n is 2"),
    "is never reached": (nine, {}, Outcome.FAILED, "Broken (no world of 4 satisfies it)"),
    "ran out": (below_four, {"max_worlds": 2}, Outcome.UNDECIDED,
                "Unknown (the budget of worlds ran out after 2 worlds)"),
    "not reached so far": (nine, {"max_depth": 2}, Outcome.UNDECIDED,
                           "Unknown (not reached within depth 2)"),
    "looked at random": (below_four, {"by": uniform(1, runs=2)}, Outcome.UNDECIDED,
                         "Unknown (no violation in 2 random runs)"),
    "looked at random, as agreed": (below_four.over(looking), {}, Outcome.PASSED,
                                    "Unknown (no violation in 3 random runs)"),
    "interrupted, though agreed": (
        below_four.over(looking), {"by": uniform(1, runs=999), "progress": interrupt},
        Outcome.UNDECIDED, "Unknown (no violation in 1 random runs; interrupted)",
    ),
    "a witness that is not found, as agreed": (
        nine.over(looking), {}, Outcome.UNDECIDED, "Unknown (not reached in 3 random runs)"
    ),
    "a mistake is caught": (must_break(below_two.over(counting)), {}, Outcome.PASSED,
                            "caught: Broken (in 2 choices, shortest): n is 2"),
    "a mistake is not caught": (must_break(below_four.over(counting)), {}, Outcome.FAILED,
                                "should be broken, but: Holds (exhaustive)"),
    "a mistake is not caught in time": (
        must_break(below_two.over(counting)), {"max_worlds": 1}, Outcome.UNDECIDED,
        "should be broken, but: Unknown (the budget of worlds ran out after 1 worlds)",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("prop", "bounds", "outcome", "text"), MEANS.values(), ids=MEANS)
def test_a_verdict_means_one_of_three_outcomes(
    prop: Property, bounds: dict[str, Any], outcome: Outcome, text: str
) -> None:
    found = judged(prop, **bounds)
    assert (found.outcome, found.text) == (outcome, text)


@pytest.mark.parametrize("prop", [below_four, three, ends_at_three, must_break(nine.over(looking))])
def test_a_handler_that_raises_fails_what_is_not_broken_itself(prop: Property) -> None:
    found = judged(prop.over(counting, kind=Raiser))
    assert found.outcome is Outcome.FAILED
    assert "Raiser.go on a raised KeyError: 'two'" in found.text


def test_a_handler_that_raises_does_not_hide_what_is_broken_before() -> None:
    broken, other = (prop.over(counting, kind=Raiser) for prop in (below_two, below_four))
    report = explore(broken.scenario, broken, other)
    assert judge(broken, report).text == "Broken (in 2 choices, shortest): n is 2"
    assert judge(other, report).verdict.of.name == "no_handler_raises"


def test_a_mistake_behind_a_handler_that_raises_is_not_caught_and_says_why() -> None:
    found = judged(must_break(ends_at_three.over(counting, kind=Raiser)))
    assert found.outcome is not Outcome.PASSED
    assert found.text.startswith("should be broken, but: Broken (in 3 choices, shortest): Raiser")


def test_a_fault_that_never_happened_is_vacuous_where_strict() -> None:
    prop = below_four.over(counting, faults=Faults(drops=1))
    assert judged(prop).outcome is Outcome.PASSED
    found = judged(prop, strict=True)
    assert (found.outcome, found.text) == (
        Outcome.UNDECIDED,
        "Holds (exhaustive), but the faults declare drops, but none ever happened",
    )
    assert judged(below_four, strict=True).outcome is Outcome.PASSED


# -- what a person is told -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prop", "first", "last"),
    [
        (below_two, "below_two: Broken (in 2 choices, shortest)", "broken: n is 2"),
        (three, "three: Holds (reached in 3 choices)", "reached"),
        (nine, "nine: Broken (no world of 4 satisfies it)", "satisfies it)"),
    ],
)
def test_a_picture_has_the_verdict_above_and_the_reason_below(
    prop: Property, first: str, last: str
) -> None:
    verdict = check(prop)
    assert isinstance(verdict, (Broken, Holds))
    lines = picture(verdict, width=80).splitlines()
    assert lines[0] == first
    assert lines[-1].endswith(last)


def test_what_is_kept_is_told_with_the_command_that_replays_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    verdict = check(below_two)
    assert isinstance(verdict, Broken)
    path, told = keep(small(verdict), Path("kept"))
    assert told == f"saved: {path}\nreplay: happysim replay {path}"
    assert path == next(Path("kept").rglob("*.trace"))
    assert keep(small(verdict), tmp_path / "kept")[1] == told
    assert replay_command(tmp_path / "a b.trace") == "replay: happysim replay 'a b.trace'"


def test_what_no_schedule_breaks_cannot_be_kept(tmp_path: Path) -> None:
    verdict = check(nine)
    assert isinstance(verdict, Broken)
    assert small(verdict) is verdict
    assert keep(verdict, tmp_path) == (None, "")


def test_what_a_trace_cannot_hold_is_told_and_not_kept(tmp_path: Path) -> None:
    verdict = check(below_two.over(counting, kind=Counter))
    assert isinstance(verdict, Broken)
    path, told = keep(verdict, tmp_path)
    assert path is None
    assert told.startswith("not saved: argument kind of the scenario is <class ")
    assert not list(tmp_path.iterdir())
