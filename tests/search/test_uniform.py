"""A random search is its seed; it stays inside its bounds, and never claims to have seen all."""

from __future__ import annotations

from typing import Any

import pytest

from happysim import (
    Faults,
    Host,
    Node,
    ScenarioError,
    World,
    action,
    always,
    check,
    explore,
    on,
    quiescent,
    reachable,
    step_always,
    uniform,
)
from tests.support.nodes import Ping, chain, fork, ring


class Chatter(Node):
    """Nodes that send to each other what they draw."""

    heard: tuple[int, ...] = ()

    @action(when=lambda self: len(self.heard) < 2)
    def talk(self, host: Host) -> None:
        host.broadcast(Ping(host.choose([1, 2])))

    @on(Ping)
    def ping(self, host: Host, sender: str, ping: Ping) -> None:
        self.heard = (*self.heard, ping.value)[-3:]


def chatter() -> World:
    return World.of(Chatter("a"), Chatter("b"), faults=Faults(crashes=1, drops=1))


@reachable(chatter)
def two_twos_and_a_one(world: World) -> bool:
    return bool(world["a"].heard == (2, 2, 1))


def found(seed: int) -> list[str]:
    verdict = check(two_twos_and_a_one, by=uniform(seed, runs=2000, steps=30))
    return [str(choice) for choice in verdict.schedule]  # type: ignore[attr-defined]


def test_a_seed_finds_the_same_schedule_again_and_another_seed_another() -> None:
    assert found(1) == found(1)
    assert found(1) != found(2)


def test_what_a_random_run_found_replays() -> None:
    assert chatter().after(*found(1))["a"].heard == (2, 2, 1)


def test_nothing_found_is_unknown_and_never_complete() -> None:
    @always(fork)
    def fine(world: World) -> bool:
        return True

    report = explore(fork, fine, by=uniform(1, runs=200))
    assert report[fine].unknown
    assert "200 random runs" in str(report[fine])
    assert not report.complete


@pytest.mark.parametrize(
    ("sort", "judge"),
    [
        (always, lambda world: world["n"].at != "bad"),
        (reachable, lambda world: world["n"].at == "bad"),
        (quiescent, lambda world: world["n"].at != "bad"),
        (step_always, lambda before, after: after["n"].at != "bad"),
    ],
    ids=["always", "reachable", "quiescent", "step_always"],
)
@pytest.mark.parametrize("steps", [2, 3])
def test_every_sort_of_property_is_judged_up_to_the_last_step(
    sort: Any, judge: Any, steps: int
) -> None:
    verdict = check(sort(fork)(judge), by=uniform(1, runs=100, steps=steps))

    assert [str(choice) for choice in verdict.schedule] == [  # type: ignore[attr-defined]
        "act n take_middle",
        "act n take_bad",
    ]


def test_a_run_takes_no_more_steps_than_it_may() -> None:
    report = explore(ring, by=uniform(1, runs=10, steps=7))
    assert report.steps == 70
    assert report.depth == 8


def test_a_depth_bounds_random_runs_too() -> None:
    report = explore(lambda: chain(100), by=uniform(1, runs=10, steps=50), max_depth=5)
    assert report.depth == 5


def test_a_budget_of_worlds_bounds_random_runs_too() -> None:
    report = explore(ring, by=uniform(1, runs=100, steps=50), max_worlds=300)
    assert report.worlds <= 300
    assert report.stopped == "worlds"


def test_a_bound_ends_a_run() -> None:
    report = explore(
        lambda: chain(100),
        by=uniform(1, runs=10, steps=50),
        within=lambda world: world["n"].count < 5,
    )
    assert report.depth == 5


def test_no_step_that_leads_out_of_the_bound_is_judged() -> None:
    @step_always(fork)
    def never_to_bad(before: World, after: World) -> bool:
        return bool(after["n"].at != "bad")

    verdict = check(
        never_to_bad, by=uniform(1, runs=50), within=lambda world: world["n"].at != "bad"
    )
    assert verdict.unknown


def test_the_first_world_has_depth_1() -> None:
    assert explore(lambda: chain(0), by=uniform(1, runs=3)).depth == 1


def test_a_handler_that_raises_in_a_random_run_is_found() -> None:
    class Fragile(Node):
        @action
        def act(self, host: Host) -> None:
            assert host.choose([1, 2, 3]) != 3, "three"

    @always(lambda: World.of(Fragile("n")))
    def fine(world: World) -> bool:
        return True

    verdict = check(fine, by=uniform(1, runs=50, steps=10))
    assert verdict.broken
    assert "three" in verdict.reason  # type: ignore[attr-defined]
    assert str(verdict.schedule[-1]) == "act n act choosing 3"  # type: ignore[attr-defined]


def test_ctrl_c_and_time_end_a_random_search() -> None:
    @always(ring)
    def fine(world: World) -> bool:
        return True

    def interrupt(_: Any) -> None:
        raise KeyboardInterrupt

    assert "interrupted" in str(check(fine, by=uniform(1, runs=99), progress=interrupt))
    assert "time ran out" in str(check(fine, by=uniform(1, runs=99), seconds=1e-9))


@pytest.mark.parametrize("bad", [{"runs": 0}, {"steps": 0}, {"runs": -1}, {"runs": 1.5}], ids=str)
def test_a_policy_that_makes_no_run_is_refused(bad: dict[str, Any]) -> None:
    ((name, value),) = bad.items()
    with pytest.raises(ScenarioError) as refused:
        uniform(1, **bad)
    assert f"{name}={value}" in str(refused.value)
