"""The command line: happysim check | replay | shrink | show | list.

Exit codes: 0 all holds, 1 something is broken, 2 bad usage or bad input, 3 something is unknown.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from happysim.core.errors import HappysimError
from happysim.front.collect import gather, target
from happysim.front.judging import Judged, Outcome, judge, keep, picture, small
from happysim.front.progress import Progress
from happysim.kernel import reference
from happysim.search.check import explore, group_by_scenario
from happysim.search.policy import Policy, bfs, dfs, uniform
from happysim.search.report import Report
from happysim.spec.property import Property
from happysim.spec.verdict import Broken, Holds
from happysim.trace.changes import table
from happysim.trace.format import read, save
from happysim.trace.replay import Replayed, replay, trace_of

BAD_INPUT = 2
# Where the output goes to a file or a pipe, lines are cut at no terminal's width.
_WIDTH_OF_FILES = 160


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDTH_OF_FILES)
    try:
        code: int = options.run(options, console)
    except HappysimError as error:
        print(f"happysim: {error}", file=sys.stderr)
        for note in getattr(error, "__notes__", ()):
            print(f"  {note}", file=sys.stderr)
        return BAD_INPUT
    except BrokenPipeError:
        return BAD_INPUT
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="happysim",
        description="Deterministic model checking of distributed protocols in ordinary Python.",
        epilog="Exit codes: 0 holds, 1 broken, 2 bad usage or input, 3 unknown.",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    check = commands.add_parser("check", help="judge properties")
    check.add_argument("targets", nargs="+", metavar="FILE[::PROPERTY]")
    check.add_argument("--by", choices=("bfs", "dfs", "uniform"), help="how to search")
    check.add_argument("--seed", type=int, default=1, help="of --by uniform (default 1)")
    check.add_argument("--runs", type=_count, default=1000, help="of --by uniform (default 1000)")
    check.add_argument("--steps", type=_count, default=100, help="of a run (default 100)")
    check.add_argument("--max-depth", type=_count, metavar="N", help="the first world is 1")
    check.add_argument("--max-worlds", type=_count, metavar="N")
    check.add_argument("--seconds", type=_positive, metavar="S", help="for each scenario")
    check.add_argument("--memory-mib", type=_positive, metavar="M", help="of this process")
    check.add_argument("--show", action="store_true", help="draw what was caught, too")
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
        if name == "show":
            command.add_argument("--table", action="store_true", help="what each step changed")
        if name == "shrink":
            command.add_argument("--save", type=Path, metavar="FOLDER", help="default: its own")

    listing = commands.add_parser("list", help="list properties by scenario")
    listing.add_argument("targets", nargs="*", default=["properties"], metavar="FILE")
    listing.set_defaults(run=_list)
    return parser


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return number


# -- check ---------------------------------------------------------------------------------------


def _check(options: argparse.Namespace, console: Console) -> int:
    root = Path.cwd()
    found = gather([target(text) for text in options.targets], root)
    homes = {id(prop): path for path, prop in found}
    verdicts = _Table(console)
    broken: list[Judged] = []
    codes = set()
    interrupted = False
    for scenario, properties in group_by_scenario([prop for _, prop in found]):
        with Progress(console, f"{scenario}") as progress:
            report = explore(scenario, *properties, progress=progress, **_budgets(options))
        for prop in properties:
            judged = judge(prop, report, strict=options.strict)
            codes.add(judged.outcome.value)
            verdicts.add(homes[id(prop)], judged, report)
            if isinstance(judged.verdict, Broken) and (options.show or not prop.must_break):
                broken.append(judged)
        interrupted = report.stopped == "interrupt"
        if interrupted:
            break
    verdicts.show(interrupted)
    folder = options.save
    for judged in broken:
        assert isinstance(judged.verdict, Broken)
        _tell(console, small(judged.verdict), folder)
    if interrupted:
        codes.add(Outcome.UNDECIDED.value)
    return 1 if 1 in codes else max(codes, default=0)


def _budgets(options: argparse.Namespace) -> dict[str, Any]:
    policies: dict[str, Policy] = {
        "bfs": bfs(),
        "dfs": dfs(),
        "uniform": uniform(options.seed, options.runs, options.steps),
    }
    return {
        "by": policies.get(options.by),
        "max_depth": options.max_depth,
        "max_worlds": options.max_worlds,
        "seconds": options.seconds,
        "memory_mib": options.memory_mib,
    }


def _tell(console: Console, verdict: Broken | Holds, folder: Path | None) -> None:
    width = console.width if console.is_terminal else None
    color = console.is_terminal and not console.no_color
    console.out("")
    console.out(picture(verdict, width=width, color=color), highlight=False)
    if folder is not None:
        _, told = keep(verdict, folder)
        console.out(told, highlight=False)


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
            self.table.add_row(f"[bold]{path}[/bold]")
            self.path = path
        self.counts[judged.outcome] += 1
        colors = {Outcome.PASSED: "green", Outcome.FAILED: "red", Outcome.UNDECIDED: "yellow"}
        color = colors[judged.outcome]
        self.table.add_row(
            f"  {judged.prop.name}",
            f"[{color}]{_escape(judged.text)}[/{color}]",
            f"{report.worlds:,}",
            f"{report.steps:,}",
            str(report.depth),
            f"{report.seconds:.1f}",
        )

    def show(self, interrupted: bool) -> None:
        self.console.print(self.table)
        passed, failed, undecided = (self.counts[each] for each in Outcome)
        summary = f"{passed} hold or are caught, {failed} broken, {undecided} unknown"
        stop = "; interrupted, the rest was not judged" if interrupted else ""
        self.console.print(f"\n{summary}{stop} ({reference.name} kernel)")


def _escape(text: str) -> str:
    return text.replace("[", "\\[")


# -- traces --------------------------------------------------------------------------------------


def _replay(options: argparse.Namespace, console: Console) -> int:
    code = 0
    for path in options.traces:
        replayed = replay(read(path), Path.cwd())
        console.out(f"{path}: {said_of(replayed)}", highlight=False)
        if replayed.drift:
            console.out(replayed.drift, highlight=False)
        if replayed.broken:
            code = 1
            _tell(console, _verdict(replayed), None)
    return code


def said_of(replayed: Replayed) -> str:
    """The outcome of a replay in a line."""
    name, choices = replayed.prop.name, len(replayed.run.schedule)
    if replayed.broken:
        same = "as recorded" if replayed.exact else "though the run has drifted"
        return f"{name} is broken in {choices} choices, {same}"
    return f"{name} is not broken any more on this schedule"


def _verdict(replayed: Replayed) -> Broken:
    found = replayed.trace.found
    return Broken(
        replayed.prop,
        reason=replayed.run.wrong or "",
        schedule=replayed.run.schedule,
        start=replayed.trace.start,
        shortest=replayed.exact and found == "shortest",
        minimal=replayed.exact and found != "",
    )


def _shrink(options: argparse.Namespace, console: Console) -> int:
    (path,) = options.traces
    replayed = replay(read(path), Path.cwd())
    if not replayed.broken:
        console.out(f"{path}: {said_of(replayed)}; there is nothing to shrink", highlight=False)
        return BAD_INPUT
    verdict = replace(_verdict(replayed), shortest=False)
    with Progress(console, f"shrinking {replayed.prop.name}"):
        best = small(verdict)
    _tell(console, best, None)
    made = trace_of(best)
    # Beside the old one: <folder>/<protocol>/<name>.trace.
    saved = save(made, options.save or path.resolve().parent.parent)
    before, after = len(verdict.schedule or ()), len(best.schedule or ())
    console.out(f"\n{before} choices before, {after} now; saved: {saved}", highlight=False)
    return 0


def _show(options: argparse.Namespace, console: Console) -> int:
    (path,) = options.traces
    replayed = replay(read(path), Path.cwd())
    if replayed.drift:
        console.out(replayed.drift, highlight=False)
    if options.table:
        console.out(table(replayed.run), highlight=False)
    else:
        _tell(console, _verdict(replayed), None)
    return 0


def _list(options: argparse.Namespace, console: Console) -> int:
    found = gather([target(text) for text in options.targets], Path.cwd())
    homes: dict[int, Path] = {id(prop): path for path, prop in found}
    for scenario, properties in group_by_scenario([prop for _, prop in found]):
        console.out(f"{homes[id(properties[0])]}  {scenario}", highlight=False)
        for prop in properties:
            console.out(f"    {_line(prop)}", highlight=False)
    return 0


def _line(prop: Property) -> str:
    kind = f"must break: {prop.sort.value}" if prop.must_break else prop.sort.value
    promise = (prop.__doc__ or "").strip().partition("\n")[0]
    return f"{prop.name} ({kind})" + (f": {promise}" if promise else "")


if __name__ == "__main__":
    sys.exit(main())
