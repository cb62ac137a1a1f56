"""What the words after an option mean: counts, seconds, ranges of seconds, timers."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from fractions import Fraction

from happysim.core.errors import HappysimError
from happysim.core.world import World

# The exit code of what cannot be done: never 1, which says that something is broken.
BAD_INPUT = 2

Range = tuple[Fraction, Fraction | None]


class UsageError(HappysimError):
    """Options that do not go together, or that name what is not there."""


def count(text: str) -> int:
    """A whole number of at least 1."""
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def positive(text: str) -> float:
    """A finite number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return number


def exact(text: str) -> Fraction:
    """A number of seconds, as it is written."""
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of seconds: write 0.001 or 1/3"
        ) from None


def exact_range(text: str) -> Range:
    """`LEAST:MOST` in seconds, `LEAST:` without a most, or one number for both."""
    least, colon, most = text.partition(":")
    low = exact(least)
    high = (exact(most) if most else None) if colon else low
    if high is not None and high < low:
        raise argparse.ArgumentTypeError(f"{text!r}: the least is above the most")
    return low, high


def range_text(given: Range) -> str:
    """A range of seconds as `exact_range` takes it."""
    least, most = given
    return f"{least}:{'' if most is None else most}"


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


def _named_range(text: str) -> tuple[str, Range]:
    name, equals, seconds = text.rpartition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r}: write NAME=LEAST:MOST, in seconds")
    return name, exact_range(seconds)


def check_timers(names: Iterable[str], world: World) -> None:
    """Raise `UsageError` for the name of a timer that no node of a world handles."""
    processes = world.tables.processes
    known = sorted({timer for process in processes for timer in process.site.timers})
    for name in names:
        if name not in known:
            there = ", ".join(known) or "none"
            raise UsageError(f"--timer {name}: no node has such a timer; those here are: {there}")
