"""happysim realise: real times for a saved trace, within bounds, in a timed trace of its own.

What is found has to happen before it is believed: it is replayed in time, and must break there what
the untimed trace breaks.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from rich.console import Console

from happysim.core.world import World
from happysim.front.judging import Outcome, keep, replay_command
from happysim.front.options import (
    add_timers,
    check_timers,
    exact,
    exact_range,
    positive,
    range_text,
)
from happysim.front.telling import shown
from happysim.sim.scripted import replay_in_time
from happysim.sim.simulation import Simulation
from happysim.smt.realise import Realisation, Realised, Undecided, Unrealisable, realise_schedule
from happysim.smt.timing import Timing
from happysim.spec.property import Property, PropertyError, Sort
from happysim.spec.verdict import Broken, Holds
from happysim.trace.format import Trace, TraceError, read
from happysim.trace.replay import replay, resolve, start_of


@dataclass(frozen=True)
class RealisedTrace:
    """What became of a trace: `found`, and where that is `Realised`, its run in time."""

    trace: Trace
    prop: Property
    found: Realisation
    run: Simulation | None = None
    reordered: bool = False

    @property
    def verdict(self) -> Broken | Holds | None:
        """The counterexample, or witness, with its times; None where there is none."""
        if not isinstance(self.found, Realised):
            return None
        schedule, start = self.found.schedule, self.trace.start
        if self.prop.sort is Sort.REACHABLE:
            return Holds(self.prop, schedule=schedule, start=start)
        return Broken(self.prop, reason=self.trace.reason, schedule=schedule, start=start)


def realise_trace(
    trace: Trace, root: Path, timing: Timing, *, seconds: float = 60.0, reorder: bool = False
) -> RealisedTrace:
    """Times within bounds at which a saved trace happens, or why there are none: see `realise`.

    Times that the trace has already are left aside. Raises `TraceError` where it does not break its
    property (or reach it) any more, and as `replay` of `happysim.trace.replay`.
    """
    replayed = replay(trace, root)
    if not replayed.broken:
        raise TraceError(
            f"{trace.source}: {replayed.prop.name} is not broken any more: "
            f"{replayed.drift or 'nothing is wrong on this schedule'}"
        )
    world = start_of(trace, replayed.prop)
    found = realise_schedule(world, replayed.run.schedule, timing, seconds=seconds, reorder=reorder)
    if not isinstance(found, Realised):
        return RealisedTrace(trace, replayed.prop, found, reordered=reorder)
    prop = replayed.prop
    try:
        run = replay_in_time(world, found.schedule, prop, timers=_ranges(timing))
    except PropertyError as error:
        said = f"it can happen, but cannot be judged in time: {error}"
        return RealisedTrace(trace, prop, Undecided(said))
    if run.broken is None and prop not in run.reached:
        said = f"it can happen, but in time {prop.name} is whole"
        return RealisedTrace(trace, prop, Undecided(said))
    return RealisedTrace(trace, prop, found, run)


def _ranges(timing: Timing) -> dict[str, Any]:
    return {name: timing.timer(name, (0, 0)) for name in timing.timers}


# -- the command line ----------------------------------------------------------------------------


def add_realise(commands: Any) -> None:
    """The command `realise`."""
    command = commands.add_parser("realise", help="find real times at which a trace happens")
    command.add_argument("traces", nargs=1, type=Path, metavar="TRACE")
    command.add_argument(
        "--latency",
        type=exact_range,
        metavar="LEAST:MOST",
        help="seconds of a message on the way",
    )
    command.add_argument(
        "--network", action="store_true", help="latencies as the links of the world have them"
    )
    command.add_argument(
        "--drift",
        type=exact,
        default=Fraction(0),
        help="seconds that a second of clocks is off",
    )
    command.add_argument(
        "--offset", type=exact_range, metavar="LEAST:MOST", help="what clocks show at the start"
    )
    command.add_argument(
        "--reorder", action="store_true", help="let steps that are independent change places"
    )
    add_timers(command)
    command.add_argument(
        "--seconds", type=positive, default=60.0, metavar="S", help="for the solver"
    )
    command.add_argument("--save", type=Path, metavar="FOLDER", help="keep the timed trace there")
    command.set_defaults(run=_realise)


def _realise(options: argparse.Namespace, console: Console) -> int:
    (path,) = options.traces
    trace = read(path)
    timing = _timing(options, start_of(trace, resolve(trace, Path.cwd())))
    limits = {"seconds": options.seconds, "reorder": options.reorder}
    made = realise_trace(trace, Path.cwd(), timing, **limits)
    console.out(f"{path}: {_said_of(made)}", highlight=False)
    timers = " ".join(f"--timer {name}={range_text(each)}" for name, each in options.timer)
    is_witness = made.prop.sort is Sort.REACHABLE
    console.out(str(made.found), highlight=False)
    if made.verdict is None:
        ruled_out = isinstance(made.found, Unrealisable) and not is_witness
        return Outcome.PASSED.value if ruled_out else Outcome.UNDECIDED.value
    if options.save is not None:
        saved, told = keep(made.verdict, options.save)
        if saved is not None:
            told = f"saved: {shown(saved)}\n{replay_command(saved, f'--in-time {timers}'.strip())}"
        console.out(told, highlight=False)
    return int(not is_witness)


def _timing(options: argparse.Namespace, world: World) -> Timing:
    check_timers(dict(options.timer), world)
    bounds: dict[str, Any] = {"drift": options.drift, "timers": dict(options.timer)}
    for name in ("latency", "offset"):
        if getattr(options, name) is not None:
            bounds[name] = getattr(options, name)
    if not options.network:
        return Timing(**bounds)
    return Timing.of(world, **bounds)


def _said_of(made: RealisedTrace) -> str:
    name = made.prop.name
    if made.run is None:
        orders = "in any order of independent steps" if made.reordered else "on this schedule"
        return f"{name}, {orders} and within these bounds:"
    did = "reached" if made.prop.sort is Sort.REACHABLE else "broken"
    return f"{name} is {did} in time, at {made.run.seconds} s:"
