"""The command line: happysim check | replay | realise | shrink | show | list | doctor.

Exit codes: 0 all holds, 1 something is broken, 2 bad usage or bad input, 3 something is unknown.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from happysim.core.choice import Choice
from happysim.core.errors import HappysimError
from happysim.front.collect import FOLDER, files_of, gather, import_file, target
from happysim.front.doctor import report as examination
from happysim.front.hazards import hazards_in, show_hazards
from happysim.front.in_time import add_timers, replay_traces
from happysim.front.judging import Judged, Outcome, is_timed, judge, keep, picture, small
from happysim.front.progress import Progress
from happysim.front.realising import add_realise
from happysim.front.telling import shown, tell
from happysim.kernel.switch import kernel
from happysim.search.check import explore, group_by_scenario
from happysim.search.policy import Memory, Policy, bfs, dfs, pct, uniform
from happysim.sim.policy import simulated
from happysim.sim.swarm import swarm
from happysim.smt.prove import smt
from happysim.spec.property import Property, Sort
from happysim.spec.report import Report
from happysim.spec.verdict import Broken, Holds
from happysim.trace.changes import table
from happysim.trace.diagram import diagram
from happysim.trace.format import Trace, read, save
from happysim.trace.replay import Replayed, replay, trace_of
from happysim.trace.timeline import plot

BAD_INPUT = 2
# Where the output goes to a file or a pipe, lines are cut at no terminal's width.
_WIDTH_OF_FILES = 160


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    console = _Console(highlight=False)
    if not console.is_terminal:
        console = _Console(highlight=False, width=_WIDTH_OF_FILES)
    try:
        code: int = options.run(options, console)
    except KeyboardInterrupt:
        print("happysim: interrupted", file=sys.stderr)
        return Outcome.UNDECIDED.value
    except BrokenPipeError:
        console.on_broken_pipe()
        return BAD_INPUT
    except Exception as error:
        # Never 1, which would say that something is broken.
        print(f"happysim: {tell(error)}", file=sys.stderr)
        return BAD_INPUT
    return code


class UsageError(HappysimError):
    """Options that do not go together."""


class _Console(Console):
    """A console whose reader may leave early (`| head`): the rest is not printed."""

    def on_broken_pipe(self) -> None:
        """Say no more; the exit code stays that of the command."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="happysim",
        description="Deterministic model checking of distributed protocols in ordinary Python.",
        epilog="Exit codes: 0 holds, 1 broken, 2 bad usage or input, 3 unknown.",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    check = commands.add_parser("check", help="judge properties")
    check.add_argument("targets", nargs="*", default=[FOLDER], metavar="FILE[::PROPERTY]")
    check.add_argument("--by", choices=("bfs", "dfs", "smt", *_RANDOM), help="how to search")
    check.add_argument("--seed", type=int, help="of random runs (default 1)")
    check.add_argument("--runs", type=_count, help="how many random runs")
    check.add_argument("--steps", type=_count, help="of a run of --by uniform or pct (default 100)")
    check.add_argument(
        "--depth", type=_count, help="of the bugs that --by pct is after (default 3)"
    )
    check.add_argument("--until", type=_positive, metavar="S", help="seconds of a run in time")
    check.add_argument("--calm", type=_positive, metavar="S", help="seconds to get things done")
    check.add_argument("--workers", type=_count, metavar="N", help="processes for runs in time")
    check.add_argument("--max-depth", type=_count, metavar="N", help="the first world is 1")
    check.add_argument("--max-worlds", type=_count, metavar="N")
    check.add_argument("--seconds", type=_positive, metavar="S", help="for each scenario")
    check.add_argument("--memory", choices=get_args(Memory), help="what --by bfs or dfs keeps")
    check.add_argument("--memory-mib", type=_positive, metavar="M", help="of this process")
    check.add_argument("--show", action="store_true", help="draw what had to break, too")
    check.add_argument("--save", type=Path, metavar="FOLDER", help="keep counterexamples there")
    check.add_argument("--strict", action="store_true", help="a vacuous run does not hold")
    check.set_defaults(run=_check)

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
            command.add_argument("--table", action="store_true", help="what each step changed")
            command.add_argument("--plot", type=Path, metavar="FILE", help="draw on a time axis")
        if name == "shrink":
            command.add_argument("--save", type=Path, metavar="FOLDER", help="default: its own")

    add_realise(commands)

    listing = commands.add_parser("list", help="list properties by scenario")
    listing.add_argument("targets", nargs="*", default=[FOLDER], metavar="FILE")
    listing.add_argument(
        "--hazards", action="store_true", help="known mistakes, and what catches each"
    )
    listing.set_defaults(run=_list)

    doctor = commands.add_parser("doctor", help="what is installed, what is missing, how to get it")
    doctor.set_defaults(run=_doctor)
    return parser


def _count(text: str) -> int:
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return number


# -- check ---------------------------------------------------------------------------------------


def _check(options: argparse.Namespace, console: Console) -> int:
    budgets = _budgets(options)
    found = gather([target(text) for text in options.targets], Path.cwd())
    homes = {id(prop): path for path, prop in found}
    verdicts = _Table(console)
    broken: dict[int, Broken] = {}
    codes = set()
    errors = []
    interrupted = False
    wanted = options.show or options.save is not None
    for scenario, properties in group_by_scenario([prop for _, prop in found]):
        try:
            with Progress(console, f"{scenario}") as progress:
                report = explore(scenario, *properties, progress=progress, **budgets)
        except Exception as error:
            # The others are judged all the same.
            errors.append(f"{homes[id(properties[0])]}, {scenario}: {tell(error)}")
            continue
        for prop in properties:
            judged = judge(prop, report, strict=options.strict)
            codes.add(judged.outcome.value)
            verdicts.add(homes[id(prop)], judged, report)
            if isinstance(judged.verdict, Broken) and (wanted or not prop.must_break):
                # A handler that raised breaks several properties at once, and is shown once.
                broken[id(judged.verdict)] = judged.verdict
        interrupted = report.stopped == "interrupt"
        if interrupted:
            break
    verdicts.show(len(errors), interrupted)
    for verdict in broken.values():
        _tell_broken(console, verdict, options.save)
    for text in errors:
        print(f"\nhappysim: {text}", file=sys.stderr)
    if errors:
        codes.add(BAD_INPUT)
    if interrupted:
        codes.add(Outcome.UNDECIDED.value)
    return next((code for code in (1, BAD_INPUT, 3) if code in codes), 0)


def _tell_broken(console: Console, verdict: Broken, folder: Path | None) -> None:
    """Shrink a counterexample and show it; keep it, and the run in time that it comes from."""
    best = _smallest(verdict, console)
    before, after = len(verdict.schedule or ()), len(best.schedule or ())
    if after < before:
        console.out(f"\n{best.of.name}: found in {before} choices, shrunk to {after}")
    for note in verdict.notes:
        console.out(f"{best.of.name}: {note}", highlight=False)
    _tell(console, best, folder)
    if folder is not None and best is not verdict and is_timed(verdict):
        console.out(f"with its times, {keep(verdict, folder)[1]}", highlight=False)


def _budgets(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "by": _policy(options),
        "max_depth": options.max_depth,
        "max_worlds": options.max_worlds,
        "seconds": options.seconds,
        "memory_mib": options.memory_mib,
    }


def _doctor(options: argparse.Namespace, console: Console) -> int:
    told, well = examination()
    console.out(told, highlight=False)
    return Outcome.PASSED.value if well else BAD_INPUT


# Policies of random runs, each with the options that it takes.
_RANDOM: dict[str, tuple[Callable[..., Policy], tuple[str, ...]]] = {
    "uniform": (uniform, ("seed", "runs", "steps")),
    "pct": (pct, ("seed", "runs", "depth", "steps")),
    "simulated": (simulated, ("seed", "runs", "until", "calm", "workers")),
    "swarm": (swarm, ("seed", "runs", "until", "calm", "workers")),
}


def _policy(options: argparse.Namespace) -> Policy | None:
    names = dict.fromkeys(name for _, takes in _RANDOM.values() for name in takes)
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    make, takes = _RANDOM.get(options.by, (None, ()))
    for name in given:
        if name not in takes:
            fitting = " or ".join(by for by, (_, has) in _RANDOM.items() if name in has)
            raise UsageError(f"--{name} is of random runs; add --by {fitting}")
    if make is not None:
        return make(**{"seed": 1, **given})
    if options.memory is not None:
        if options.by not in (None, "bfs", "dfs"):
            raise UsageError("--memory is of exhaustive searches; add --by bfs or dfs")
        return (dfs if options.by == "dfs" else bfs)(options.memory)
    others: dict[str, Callable[[], Policy]] = {"bfs": bfs, "dfs": dfs, "smt": smt}
    return others[options.by]() if options.by else None


def _tell(console: Console, verdict: Broken | Holds, folder: Path | None) -> None:
    console.out(f"\n{picture(verdict, **_look(console))}", highlight=False)
    if folder is not None:
        _, told = keep(verdict, folder)
        console.out(told, highlight=False)


def _look(console: Console) -> dict[str, Any]:
    return {
        "width": console.width if console.is_terminal else None,
        "color": console.is_terminal and not console.no_color,
    }


class _Table:
    """The verdict table: a row a property, under a line for each file."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.table = Table(box=None, pad_edge=False, header_style="bold")
        self.table.add_column("property", no_wrap=True)
        self.table.add_column("verdict")
        for column in ("worlds", "steps", "depth", "seconds"):
            self.table.add_column(column, justify="right", no_wrap=True)
        self.path: Path | None = None
        self.counts = dict.fromkeys(Outcome, 0)

    def add(self, path: Path, judged: Judged, report: Report) -> None:
        if path != self.path:
            self.table.add_row(f"[bold]{escape(str(path))}[/bold]")
            self.path = path
        self.counts[judged.outcome] += 1
        colors = {Outcome.PASSED: "green", Outcome.FAILED: "red", Outcome.UNDECIDED: "yellow"}
        color = colors[judged.outcome]
        # Of a long reason the first line; the picture of the run has it in full.
        text = judged.text.partition("\n")[0]
        self.table.add_row(
            f"  {judged.prop.name}",
            f"[{color}]{escape(text)}[/{color}]",
            f"{report.worlds:,}",
            f"{report.steps:,}",
            str(report.depth),
            f"{report.seconds:.1f}",
        )

    def show(self, errors: int, interrupted: bool) -> None:
        if self.path is not None:
            self.console.print(self.table)
        passed, failed, undecided = (self.counts[each] for each in Outcome)
        summary = f"{passed} hold or are caught, {failed} broken, {undecided} unknown"
        stop = f"; {errors} not searched, see below" if errors else ""
        stop += "; interrupted, the rest was not judged" if interrupted else ""
        self.console.print(f"\n{summary}{stop} ({kernel().name} kernel)")


# -- traces --------------------------------------------------------------------------------------


def _replay(options: argparse.Namespace, console: Console) -> int:
    if options.in_time:
        return replay_traces(options, console)
    if options.timer:
        raise UsageError("--timer is of runs in time; add --in-time")
    codes = set()
    for path in options.traces:
        replayed = replay(read(path), Path.cwd())
        console.out(f"{path}: {said_of(replayed)}", highlight=False)
        if replayed.drift:
            console.out(replayed.drift, highlight=False)
        if replayed.broken:
            _tell(console, _verdict(replayed), None)
        if replayed.prop.sort is Sort.REACHABLE:
            # A witness that leads nowhere proves nothing: another run may still reach it.
            codes.add(0 if replayed.broken else Outcome.UNDECIDED.value)
        else:
            codes.add(int(replayed.broken))
    return 1 if 1 in codes else max(codes)


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


def _shrink(options: argparse.Namespace, console: Console) -> int:
    (path,) = options.traces
    trace = read(path)
    replayed = replay(trace, Path.cwd())
    verdict = _verdict(replayed)
    if not replayed.broken or not isinstance(verdict, Broken):
        console.out(f"{path}: {said_of(replayed)}; there is nothing to shrink", highlight=False)
        return BAD_INPUT
    best = _smallest(replace(verdict, shortest=False, minimal=False), console)
    _tell(console, best, None)
    saved = save(trace_of(best), options.save or _folder_of(path, trace))
    before, after = len(trace.steps), len(best.schedule or ())
    console.out(f"\n{before} choices before, {after} now; saved: {shown(saved)}", highlight=False)
    return 0


def _smallest(verdict: Broken, console: Console) -> Broken:
    """The verdict, shrunk; after Ctrl-C as small as it got."""
    best: list[tuple[Choice, ...]] = [verdict.schedule or ()]
    try:
        with Progress(console, f"shrinking {verdict.of.name}"):
            return small(verdict, best.append)
    except KeyboardInterrupt:
        console.out("interrupted; this is the smallest so far", highlight=False)
        return replace(verdict, schedule=best[-1])


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
        _tell(console, _verdict(replayed), None)
    else:
        drawn = diagram(replayed.run, title=said_of(replayed), **_look(console))
        console.out(f"\n{drawn}", highlight=False)
    return 0


def _list(options: argparse.Namespace, console: Console) -> int:
    if options.hazards:
        return _list_hazards(options, console)
    found = gather([target(text) for text in options.targets], Path.cwd())
    homes: dict[int, Path] = {id(prop): path for path, prop in found}
    for scenario, properties in group_by_scenario([prop for _, prop in found]):
        console.out(f"{homes[id(properties[0])]}  {scenario}", highlight=False)
        for prop in properties:
            console.out(f"    {_line(prop)}", highlight=False)
    return 0


def _list_hazards(options: argparse.Namespace, console: Console) -> int:
    targets, root = [target(text) for text in options.targets], Path.cwd()
    properties = [prop for _, prop in gather(targets, root)]
    modules = [import_file(path, root) for each in targets for path in files_of(each.path)]
    hazards = hazards_in(modules)
    if not hazards:
        raise UsageError("no hazards are listed there; list them as happysim.Hazard values")
    complete = show_hazards(console, hazards, properties, root)
    return 0 if complete else Outcome.FAILED.value


def _line(prop: Property) -> str:
    kind = f"must break: {prop.sort.value}" if prop.must_break else prop.sort.value
    promise = (prop.__doc__ or "").strip().partition("\n")[0]
    return f"{prop.name} ({kind})" + (f": {promise}" if promise else "")


if __name__ == "__main__":
    sys.exit(main())
