"""simulate: one run of a scenario in virtual time, from its start to its end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from happysim.core.world import World
from happysim.sim.nemesis import At, Randomly
from happysim.sim.policy import Knobs, check_time, run_once, start_of
from happysim.sim.simulation import Simulation
from happysim.spec.property import Property
from happysim.spec.scenario import Scenario, scenario_of


def simulate(
    scenario: Scenario | World | Callable[..., Any],
    *properties: Property,
    seed: int = 0,
    until: float = 60.0,
    faults: Sequence[At | Randomly] = (),
    calm: float | None = None,
    trace: bool = False,
) -> Simulation:
    """Run a scenario for `until` seconds of virtual time; returns the run, to be looked at.

    Each step is judged by `properties`; the run ends where one is broken, which `broken` tells.
    With `calm`, a phase without faults follows, in which `eventually` properties must come true
    within so many seconds. With `trace`, `schedule` holds every step with its time.

    Raises `ScenarioError` for times that are none and for faults that name nobody, before it runs.
    """
    check_time("until", until)
    if calm is not None:
        check_time("calm", calm)
    _, world = start_of(scenario_of(scenario), 0)
    knobs = Knobs(seed, until, tuple(faults), calm)
    simulation, broken = run_once(world, properties, knobs, trace=trace)
    simulation.broken = broken[0] if broken else None
    return simulation
