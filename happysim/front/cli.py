"""The command line: happysim check | replay | realise | shrink | show | list | doctor.

Exit codes: 0 all holds, 1 something is broken, 2 bad usage or bad input, 3 something is unknown.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from happysim.front.collect import FOLDER, files_of, gather, import_file, target
from happysim.front.doctor import report as examination
from happysim.front.drawing import draw_smallest
from happysim.front.hazards import hazards_in, show_hazards
from happysim.front.judging import Judged, Outcome, judge
from happysim.front.options import BAD_INPUT, UsageError
from happysim.front.policies import add_search, search_of
from happysim.front.progress import Progress
from happysim.front.realising import add_realise
from happysim.front.telling import tell
from happysim.front.traces import add_traces
from happysim.kernel.switch import kernel
from happysim.search.check import explore, group_by_scenario
from happysim.search.policy import Bfs
from happysim.spec.property import Property
from happysim.spec.report import Report
from happysim.spec.verdict import Broken

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
        print(f"happysim: {tell(error)}", file=sys.stderr)
        return BAD_INPUT
    return code


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
    add_search(check)
    check.add_argument("--show", action="store_true", help="draw what had to break, too")
    check.add_argument("--save", type=Path, metavar="FOLDER", help="keep counterexamples there")
    check.add_argument("--strict", action="store_true", help="a vacuous run does not hold")
    check.set_defaults(run=_check)

    add_traces(commands)
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


# -- check ---------------------------------------------------------------------------------------


def _check(options: argparse.Namespace, console: Console) -> int:
    budgets = search_of(options)
    errors: list[str] = []
    found = gather(
        [target(text) for text in options.targets],
        Path.cwd(),
        unread=lambda error: errors.append(tell(error)),
    )
    homes = {id(prop): path for path, prop in found}
    verdicts = _Table(console)
    broken: dict[int, Broken] = {}
    codes = set()
    interrupted = False
    wanted = options.show or options.save is not None
    groups = group_by_scenario([prop for _, prop in found], budgets["by"])
    if len(groups) > 1 and isinstance(budgets["by"], Bfs) and budgets["by"].checkpoint:
        raise UsageError(
            f"a checkpoint is of one search, and these are {len(groups)}; name one property: "
            "FILE::PROPERTY"
        )
    for scenario, properties in groups:
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
        draw_smallest(console, verdict, options.save)
    for text in errors:
        print(f"\nhappysim: {text}", file=sys.stderr)
    if errors:
        codes.add(BAD_INPUT)
    if interrupted:
        codes.add(Outcome.UNDECIDED.value)
    return next((code for code in (1, BAD_INPUT, 3) if code in codes), 0)


def _doctor(options: argparse.Namespace, console: Console) -> int:
    told, well = examination()
    console.out(told, highlight=False)
    return Outcome.PASSED.value if well else BAD_INPUT


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
