"""The command line in time: happysim replay --in-time, and happysim realise."""

from __future__ import annotations

import argparse
from fractions import Fraction
from pathlib import Path

from rich.console import Console

from happysim.front.judging import Outcome, picture
from happysim.spec.property import Sort
from happysim.spec.verdict import Broken, Holds
from happysim.trace.format import read
from happysim.trace.in_time import ReplayedInTime, replay_trace

Range = tuple[Fraction, Fraction | None]


def add_timers(command: argparse.ArgumentParser) -> None:
    """The option that says how long timers run, whatever their handlers say."""
    command.add_argument(
        "--timer",
        action="append",
        default=[],
        type=_named_range,
        metavar="NAME=LEAST:MOST",
        help="seconds that a timer runs, whatever its handlers say",
    )


def _number(text: str) -> Fraction:
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of seconds: write 0.001 or 1/3"
        ) from None


def seconds_range(text: str) -> Range:
    """`LEAST:MOST` in seconds, `LEAST:` without a most, or one number for both."""
    least, colon, most = text.partition(":")
    low = _number(least)
    return low, (_number(most) if most else None) if colon else low


def _named_range(text: str) -> tuple[str, Range]:
    name, equals, seconds = text.rpartition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r}: write NAME=LEAST:MOST, in seconds")
    return name, seconds_range(seconds)


def replay_traces(options: argparse.Namespace, console: Console) -> int:
    """Run `happysim replay --in-time`; returns the exit code."""
    codes = set()
    for path in options.traces:
        replayed = replay_trace(read(path), Path.cwd(), timers=dict(options.timer))
        console.out(f"{path}: {_said_of(replayed)}", highlight=False)
        if replayed.broken:
            console.out(f"\n{picture(_verdict(replayed))}", highlight=False)
        if replayed.prop.sort is Sort.REACHABLE:
            codes.add(0 if replayed.broken else Outcome.UNDECIDED.value)
        else:
            codes.add(int(replayed.broken))
    return 1 if 1 in codes else max(codes)


def _said_of(replayed: ReplayedInTime) -> str:
    name, run = replayed.prop.name, replayed.run
    did = "reached" if replayed.prop.sort is Sort.REACHABLE else "broken"
    if replayed.broken:
        return f"{name} is {did} in {len(run.schedule)} choices, at {run.seconds} s"
    return f"{name} is not {did} in time: nothing is wrong up to {run.seconds} s"


def _verdict(replayed: ReplayedInTime) -> Broken | Holds:
    prop, start, schedule = replayed.prop, replayed.trace.start, replayed.run.schedule
    if prop.sort is Sort.REACHABLE:
        return Holds(prop, schedule=schedule, start=start)
    return Broken(prop, reason=replayed.reason, schedule=schedule, start=start)
