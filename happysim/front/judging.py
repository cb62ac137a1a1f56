"""What a verdict means to a test and to a command: passed, failed, or not decided; and in words."""

from __future__ import annotations

import enum
import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from happysim.core.choice import Choice
from happysim.front.telling import shown
from happysim.search.schedule import Run, first_world, follow
from happysim.search.shrink import shrink
from happysim.smt.prove import smt
from happysim.spec.property import Property, Sort
from happysim.spec.report import Report
from happysim.spec.verdict import Broken, Holds, Unknown, Verdict
from happysim.trace.diagram import diagram
from happysim.trace.format import TraceError, save
from happysim.trace.replay import trace_of

# Asked whether a run is as short as any, where a search is too long.
_PROVES = smt(seconds=5.0)


class Outcome(enum.Enum):
    """How a property fared. The value is its exit code on the command line."""

    PASSED = 0
    FAILED = 1
    UNDECIDED = 3


@dataclass(frozen=True)
class Judged:
    """A property, its verdict, and what that means."""

    prop: Property
    verdict: Verdict
    outcome: Outcome
    text: str


def judge(prop: Property, report: Report, *, strict: bool = False) -> Judged:
    """What a report means for one of its properties.

    A handler that raised fails every property of its scenario. `strict` makes a vacuous run (a
    declared fault that never happened) undecided.
    """
    verdict = report[prop]
    raised = next((v for p, v in report.verdicts.items() if p.sort is Sort.NO_RAISE), None)
    if prop.must_break:
        if isinstance(verdict, Broken):
            return Judged(prop, verdict, Outcome.PASSED, f"caught: {verdict}")
        outcome = Outcome.UNDECIDED if isinstance(verdict, Unknown) else Outcome.FAILED
        why = raised if isinstance(raised, Broken) else verdict
        return Judged(prop, verdict, outcome, f"should be broken, but: {why}")
    if isinstance(raised, Broken) and not isinstance(verdict, Broken):
        return Judged(prop, raised, Outcome.FAILED, str(raised))
    if isinstance(verdict, Broken):
        return Judged(prop, verdict, Outcome.FAILED, str(verdict))
    if isinstance(verdict, Unknown):
        passes = prop.scenario.bounds.unknown_passes and prop.sort is not Sort.REACHABLE
        passes = passes and report.stopped != "interrupt"
        outcome = Outcome.PASSED if passes else Outcome.UNDECIDED
        return Judged(prop, verdict, outcome, str(verdict))
    if strict and report.warnings:
        return Judged(prop, verdict, Outcome.UNDECIDED, f"{verdict}, but {report.warnings[0]}")
    return Judged(prop, verdict, Outcome.PASSED, str(verdict))


# A picture shows no more choices than that.
_LONG = 200


def small(verdict: Broken, progress: Callable[[tuple[Choice, ...]], None] | None = None) -> Broken:
    """The verdict, shrunk where it has a schedule; `progress` hears of each smaller one."""
    if verdict.schedule is None or verdict.of.sort is Sort.EVENTUALLY:
        # What did not happen in time is shown by all of the time in which it did not.
        return verdict
    return shrink(verdict, progress=progress, prove_by=_PROVES)


def picture(verdict: Broken | Holds, *, width: int | None = None, color: bool = False) -> str:
    """A verdict's run as a diagram, with its reason."""
    if verdict.schedule is None:
        return f"{verdict.of.name}: {verdict}"
    world = first_world(verdict.of.scenario, verdict.start)
    run = follow(world, verdict.schedule, verdict.of)
    if len(run.schedule) > _LONG:
        run = Run(run.schedule[-_LONG:], run.worlds[-_LONG - 1 :], run.wrong)
        heading_note = f" (the last {_LONG} choices)"
    else:
        heading_note = ""
    # The reason stands below the run, in full.
    heading = replace(verdict, reason="") if isinstance(verdict, Broken) else verdict
    return diagram(
        run,
        title=f"{verdict.of.name}: {heading}{heading_note}",
        width=width,
        color=color,
        ending="broken" if isinstance(verdict, Broken) else "reached",
    )


def keep(verdict: Broken | Holds, folder: Path) -> tuple[Path | None, str]:
    """Save a verdict's trace; the path, and what to tell a person."""
    if verdict.schedule is None:
        return None, ""
    try:
        path = save(trace_of(verdict), folder)
    except TraceError as error:
        return None, f"not saved: {error}"
    return path, f"saved: {shown(path)}\n{replay_command(path)}"


def is_timed(verdict: Broken | Holds) -> bool:
    """True where a simulation took the choices, each at its time."""
    return any(choice.at is not None for choice in verdict.schedule or ())


def replay_command(path: Path, how: str = "") -> str:
    """The line that tells how to replay a trace; `how` are options of the command."""
    words = ["happysim", "replay", *([how] if how else []), shlex.quote(shown(path))]
    return f"replay: {' '.join(words)}"
