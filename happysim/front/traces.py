"""The commands on saved traces: happysim replay | shrink | show."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from happysim.front.drawing import draw, look, smallest
from happysim.front.judging import Outcome
from happysim.front.options import BAD_INPUT, Range, UsageError, add_timers, check_timers
from happysim.front.telling import shown
from happysim.spec.property import Sort
from happysim.spec.verdict import Broken, Holds
from happysim.trace.changes import table
from happysim.trace.diagram import diagram
from happysim.trace.format import Trace, read, save
from happysim.trace.in_time import ReplayedInTime, replay_trace
from happysim.trace.replay import Replayed, replay, resolve, start_of, trace_of
from happysim.trace.timeline import plot


def add_traces(commands: Any) -> None:
    """The commands `replay`, `shrink` and `show`."""
    for name, run, text in (
        ("replay", _replay, "take the choices of traces again"),
        ("shrink", _shrink, "make a trace smaller, in a file of its own"),
        ("show", _show, "draw a trace"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("traces", nargs="+" if name == "replay" else 1, type=Path)
        command.set_defaults(run=run)
        if name == "replay":
            told = "let each choice of timed traces happen at its time"
            command.add_argument("--in-time", action="store_true", help=told)
            add_timers(command)
        if name == "show":
            how = command.add_mutually_exclusive_group()
            how.add_argument("--table", action="store_true", help="what each step changed")
            how.add_argument("--plot", type=Path, metavar="FILE", help="draw on a time axis")
        if name == "shrink":
            command.add_argument("--save", type=Path, metavar="FOLDER", help="default: its own")


# -- replay ---------------------------------------------------------------------------------------


def _replay(options: argparse.Namespace, console: Console) -> int:
    if options.timer and not options.in_time:
        raise UsageError("--timer is of runs in time; add --in-time")
    codes = set()
    for path in options.traces:
        replayed: Replayed | ReplayedInTime
        if options.in_time:
            replayed = _replay_in_time(path, dict(options.timer), console)
        else:
            replayed = _replay_by_choice(path, console)
        if replayed.prop.sort is Sort.REACHABLE:
            # A witness that leads nowhere proves nothing: another run may still reach it.
            codes.add(0 if replayed.broken else Outcome.UNDECIDED.value)
        else:
            codes.add(int(replayed.broken))
    return 1 if 1 in codes else max(codes)


def _replay_by_choice(path: Path, console: Console) -> Replayed:
    replayed = replay(read(path), Path.cwd())
    console.out(f"{path}: {said_of(replayed)}", highlight=False)
    if replayed.drift:
        console.out(replayed.drift, highlight=False)
    if replayed.broken:
        draw(console, _verdict(replayed), None)
    return replayed


def _replay_in_time(path: Path, timers: dict[str, Range], console: Console) -> ReplayedInTime:
    trace = read(path)
    check_timers(timers, start_of(trace, resolve(trace, Path.cwd())))
    replayed = replay_trace(trace, Path.cwd(), timers=timers)
    console.out(f"{path}: {_said_in_time(replayed)}", highlight=False)
    if replayed.broken:
        draw(console, _verdict_in_time(replayed), None)
    return replayed


def said_of(replayed: Replayed) -> str:
    """The outcome of a replay in a line."""
    name, choices = replayed.prop.name, len(replayed.run.schedule)
    did = "reached" if replayed.prop.sort is Sort.REACHABLE else "broken"
    if replayed.broken:
        same = "as recorded" if replayed.exact else "though the run has drifted"
        return f"{name} is {did} in {choices} choices, {same}"
    why = ", though every world is as recorded" if replayed.exact else ""
    return f"{name} is not {did} any more on this schedule{why}"


def _verdict(replayed: Replayed) -> Broken | Holds:
    prop, found = replayed.prop, replayed.trace.found
    schedule, start = replayed.run.schedule, replayed.trace.start
    if prop.sort is Sort.REACHABLE:
        return Holds(prop, schedule=schedule, start=start)
    return Broken(
        prop,
        reason=replayed.run.wrong or "",
        schedule=schedule,
        start=start,
        shortest=replayed.exact and found == "shortest",
        minimal=replayed.exact and found != "",
    )


def _said_in_time(replayed: ReplayedInTime) -> str:
    name, run = replayed.prop.name, replayed.run
    did = "reached" if replayed.prop.sort is Sort.REACHABLE else "broken"
    if replayed.broken:
        return f"{name} is {did} in {len(run.schedule)} choices, at {run.seconds} s"
    return f"{name} is not {did} in time: nothing is wrong up to {run.seconds} s"


def _verdict_in_time(replayed: ReplayedInTime) -> Broken | Holds:
    prop, start, schedule = replayed.prop, replayed.trace.start, replayed.run.schedule
    if prop.sort is Sort.REACHABLE:
        return Holds(prop, schedule=schedule, start=start)
    return Broken(prop, reason=replayed.reason, schedule=schedule, start=start)


# -- shrink, show ----------------------------------------------------------------------------------


def _shrink(options: argparse.Namespace, console: Console) -> int:
    (path,) = options.traces
    trace = read(path)
    replayed = replay(trace, Path.cwd())
    verdict = _verdict(replayed)
    if not replayed.broken or not isinstance(verdict, Broken):
        console.out(f"{path}: {said_of(replayed)}; there is nothing to shrink", highlight=False)
        return BAD_INPUT
    best = smallest(replace(verdict, shortest=False, minimal=False), console)
    draw(console, best, None)
    saved = save(trace_of(best), options.save or _folder_of(path, trace))
    before, after = len(trace.steps), len(best.schedule or ())
    console.out(f"\n{before} choices before, {after} now; saved: {shown(saved)}", highlight=False)
    return 0


def _folder_of(path: Path, trace: Trace) -> Path:
    """The folder of traces that a trace lies in: <folder>/<protocol>/<name>.trace."""
    folder = path.resolve().parent
    return folder.parent if folder.name == Path(trace.name).parent.name else folder


def _show(options: argparse.Namespace, console: Console) -> int:
    (path,) = options.traces
    replayed = replay(read(path), Path.cwd())
    if replayed.drift:
        console.out(replayed.drift, highlight=False)
    if options.plot is not None:
        plot(replayed.run, options.plot, title=said_of(replayed))
        console.out(f"drawn: {shown(options.plot)}", highlight=False)
    elif options.table:
        console.out(table(replayed.run), highlight=False)
    elif replayed.broken:
        draw(console, _verdict(replayed), None)
    else:
        drawn = diagram(replayed.run, title=said_of(replayed), **look(console))
        console.out(f"\n{drawn}", highlight=False)
    return 0
