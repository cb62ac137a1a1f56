"""A run in time takes the steps of a search: its schedule, followed without a clock, ends alike."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from happysim import (
    Clog,
    Crash,
    Partition,
    Pause,
    Simulation,
    World,
    randomly,
)
from happysim.kernel.switch import VARIABLE
from happysim.search.schedule import follow
from happysim.spec.scenario import scenario_of
from tests.oracles.test_naive_agrees import Case, cases
from tests.sim.models import wild_run
from tests.support.kernels import needs_native


def run(case: Case, seed: int) -> Simulation:
    """A run with some of the faults that there are without time."""
    faults = [
        randomly(Crash(), every=3.0, lasting=1.0),
        randomly(Pause(), every=4.0, lasting=1.0),
        randomly(Clog(), every=3.0, lasting=1.0),
        randomly(Partition(), every=4.0, lasting=0.5),
    ]
    return wild_run(case, seed, faults[: seed % 5])


def loosened(world: World) -> World:
    (found,) = scenario_of(world).loosened().worlds.values()
    return found


@settings(
    max_examples=80,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)
@given(cases(), st.integers(0, 1000))
def test_a_run_of_a_random_protocol_is_a_run_of_its_world(case: Case, seed: int) -> None:
    """Alike in every field, in what is up and which timers are set, and in the history."""
    simulation = run(case, seed)
    judged = None if simulation.broken is None else simulation.broken[0]
    found = follow(loosened(case.scenario()), simulation.schedule, judged)
    for kind in sorted({choice.kind.value for choice in found.schedule}):
        event(f"{case.network.kind} {kind}")
    if simulation.broken is not None:
        event("a handler raised")
        assert found.wrong == simulation.broken[1]
        return
    last = found.worlds[-1]
    live = simulation.world
    assert last.history == live.history
    assert [node.is_up for node in last.nodes()] == [node.is_up for node in live.nodes()]
    assert [node.timers for node in last.nodes()] == [node.timers for node in live.nodes()]
    lines = live.lines()
    assert [line for line in last.lines() if line in lines] == lines


@settings(max_examples=20, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
@given(cases(), st.integers(0, 1000))
def test_the_same_seed_gives_the_same_run(case: Case, seed: int) -> None:
    def told() -> list[str]:
        return [f"{choice.at} {choice}" for choice in run(case, seed).schedule]

    assert told() == told()


@needs_native
@settings(
    max_examples=30,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)
@given(cases(), st.integers(0, 1000))
def test_both_kernels_take_the_same_steps_at_the_same_times(case: Case, seed: int) -> None:
    runs = []
    for kernel in ("reference", "native"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(VARIABLE, kernel)
            runs.append(run(case, seed))
    one, other = runs
    assert type(one.agenda.queue) is not type(other.agenda.queue)
    assert one.schedule == other.schedule
    assert one.world.lines() == other.world.lines()
    assert one.summary() == other.summary()
