"""PCT keeps the odds that its paper promises, where uniform chance has worse ones."""

from __future__ import annotations

from typing import Any

import pytest

from happysim import Host, Node, ScenarioError, World, action, check, on, reachable, uniform
from happysim.search.policy import Policy, pct
from tests.support.nodes import Ping

STEPS = 9
RUNS = 600


class Walker(Node):
    """Takes nine steps; a message that comes right after the eighth one finds it there."""

    at: int = 0
    met_at: int | None = None

    @action(when=lambda self: self.at < STEPS)
    def step(self, host: Host) -> None:
        self.at += 1

    @on(Ping)
    def met(self, host: Host, sender: str, ping: Ping) -> None:
        self.met_at = self.at


class Sender(Node):
    def on_start(self, host: Host) -> None:
        host.send("walker", Ping())


def meeting() -> World:
    return World.of(Walker("walker"), Sender("sender"))


@reachable(meeting)
def met_after_eight_steps(world: World) -> bool:
    return bool(world["walker"].met_at == STEPS - 1)


def hits(policy: Any) -> int:
    return sum(check(met_after_eight_steps, by=policy(seed)).holds for seed in range(RUNS))


def test_a_bug_of_depth_two_is_found_as_often_as_the_paper_says() -> None:
    # Two strands of 10 steps in all. The walker's comes first in 1/2 of all runs, and it falls
    # behind right after its eighth step in 1/10 of those: 1 / (n k^(d-1)) = 1/20, 30 of 600.
    # The standard deviation is 5.3.
    found = hits(lambda seed: pct(seed, runs=1, depth=2, steps=STEPS + 1))
    assert 14 <= found <= 46
    # Uniform chance must prefer the step to the message 8 times, and then the message: 1/512.
    assert hits(lambda seed: uniform(seed, runs=1, steps=STEPS + 1)) <= 5


def test_a_run_without_changes_keeps_to_its_priorities() -> None:
    # Depth 1: the message comes before the first step or after the last.
    assert hits(lambda seed: pct(seed, runs=1, depth=1, steps=STEPS + 1)) == 0


def test_a_run_that_is_bound_to_its_first_world_has_nothing_to_change() -> None:
    verdict = check(met_after_eight_steps, by=pct(1, runs=2, depth=3), max_depth=1)
    assert str(verdict) == "Unknown (not reached in 2 random runs)"


@pytest.mark.parametrize("counts", [{"runs": 0}, {"depth": 0}, {"steps": -1}, {"runs": 1.5}])
def test_a_count_below_one_is_refused(counts: Any) -> None:
    with pytest.raises(ScenarioError, match="give a whole number of at least 1"):
        pct(1, **counts)


@pytest.mark.parametrize("policy", [uniform, pct])
@pytest.mark.parametrize("seed", ["7", 1.5, None])
def test_a_seed_that_is_no_whole_number_is_refused(policy: Any, seed: Any) -> None:
    with pytest.raises(ScenarioError, match=f"seed={seed!r}.: give a whole number"):
        policy(seed)


@pytest.mark.parametrize("policy", [uniform(7, 50), pct(7, 50)])
def test_a_seed_makes_the_same_runs_again(policy: Policy) -> None:
    first, again = (check(met_after_eight_steps, by=policy) for _ in range(2))
    assert first == again
