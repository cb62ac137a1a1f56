"""Replaying a timed trace in time: its choices happen in a simulation, each at its own time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from happysim.core.choice import Choice
from happysim.core.errors import ScheduleError
from happysim.sim.scripted import replay_in_time
from happysim.sim.simulation import Simulation
from happysim.sim.told import Seconds
from happysim.spec.property import Property, Sort
from happysim.trace.format import Step, Trace, TraceError
from happysim.trace.replay import resolve, start_of


@dataclass(frozen=True)
class ReplayedInTime:
    """What a timed trace does now, in time: the run, up to where the property is broken."""

    trace: Trace
    prop: Property
    run: Simulation

    @property
    def broken(self) -> bool:
        """True where the property is broken; where a `reachable` one is reached."""
        if self.prop.sort is Sort.REACHABLE:
            return self.prop in self.run.reached
        return self.run.broken is not None

    @property
    def reason(self) -> str:
        """What the property said; empty where it is not broken."""
        return "" if self.run.broken is None else self.run.broken[1]


def replay_trace(
    trace: Trace,
    root: Path,
    *,
    timers: Mapping[str, tuple[Seconds, Seconds | None]] | None = None,
) -> ReplayedInTime:
    """Let the choices of a timed trace happen at their times: see `replay_in_time`.

    An `eventually` property is judged at the end. A trace lacks deliveries that change nothing, so
    no timer is overdue in it. Raises `TraceError` for a trace that holds no
    times, for one whose choices cannot happen then, and as `resolve` of `happysim.trace.replay`.
    """
    schedule = tuple(_choice(trace, step) for step in trace.steps)
    prop = resolve(trace, root)
    world = start_of(trace, prop)
    try:
        run = replay_in_time(world, schedule, prop, timers=timers, complete=False)
    except ScheduleError as error:
        raise TraceError(f"{trace.source}: {error}") from error
    return ReplayedInTime(trace, prop, run)


def _choice(trace: Trace, step: Step) -> Choice:
    where = f"{trace.source}, line {step.line}"
    if step.at is None:
        raise TraceError(
            f"{where}: `{step.choice}` has no time, and so cannot be replayed in time; "
            "`happysim realise` finds times for an untimed trace"
        )
    choice = Choice.parse(step.choice, step.at)
    if choice is None:
        raise TraceError(f"{where}: `{step.choice}` is no choice")
    return choice
