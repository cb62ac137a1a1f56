"""What has been verified, and how far: python benchmarks/verification.py [FILE]...

Searches every scenario of properties/ (or of the files given) as it asks to be searched, and writes
the outcome into docs/verification.md: a row a scenario. All but the seconds is the same on every
machine; they are processor time, of all cores. `--check` writes nothing: it tells what differs.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import multiprocessing
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.evidence.page import code, put, table
from happysim import Faults, Property, explore
from happysim.core.choice import BUDGETS, unlimited
from happysim.front.collect import import_file, properties_in
from happysim.front.judging import Outcome, judge
from happysim.search.check import group_by_scenario
from happysim.sim.policy import Simulated
from happysim.sim.swarm import Swarm
from happysim.spec.report import Report
from happysim.spec.scenario import Scenario
from happysim.spec.verdict import Broken, Holds

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "verification.md"
PART = "verdicts"
HEAD = ("scenario", "faults, network", "bounds", "worlds", "depth", "verdict", "seconds")
Row = tuple[str, ...]


def files() -> list[Path]:
    """The files of properties, those of wrong variants after those of what they are variants of."""
    found = [path.relative_to(ROOT) for path in (ROOT / "properties").rglob("[a-z]*.py")]
    return sorted(found, key=lambda path: (path.stem, len(path.parts)))


def scenarios(path: Path) -> list[tuple[Scenario, list[Property]]]:
    """The scenarios of a file, in the order of first mention, each with its properties."""
    return group_by_scenario(list(properties_in(import_file(ROOT / path, ROOT))))


def title(scenario: Scenario) -> str:
    """A scenario with its arguments: values as one writes them, classes and functions by name."""
    given = ", ".join(
        f"{name}={getattr(value, '__qualname__', None) or repr(value)}"
        for name, value in scenario.arguments
    )
    return f"{scenario.function.__qualname__}({given})" if given else scenario.function.__qualname__


def surroundings(scenario: Scenario) -> str:
    """What may go wrong: the budgets of faults, and the network where it is not unordered."""
    tables = next(iter(scenario.worlds.values())).tables
    faults: Faults = tables.faults
    kind = tables.network.kind
    said = [
        f"unlimited {name}" if budget == unlimited else f"{name} {budget:g}"
        for name, budget in zip(BUDGETS, faults.budgets, strict=True)
        if budget
    ]
    said += ["what is not synced may be lost"] * faults.unsynced_loss
    return ", ".join([*said, *[kind] * (kind != "unordered")])


def bounds(scenario: Scenario) -> str:
    """What `@bounded` was given: word by word, but for runs in time, which are told in short.

    Nothing where the search had no bound.
    """
    if not hasattr(scenario.function, "happysim_bounds"):
        return ""
    by = scenario.bounds.by
    told = [in_short(by)] if isinstance(by, Simulated) else []
    tree = ast.parse(textwrap.dedent(inspect.getsource(scenario.function)))
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "bounded":
            given = [each for each in call.keywords if ast.unparse(each) != "by=bfs()"]
            passed_over = {"unknown_passes", *["by"] * bool(told)}
            told += [ast.unparse(each) for each in given if each.arg not in passed_over]
            return code(", ".join(told))
    return code(", ".join(told) or repr(scenario.bounds))


def in_short(by: Simulated) -> str:
    """How many runs in time, how long, and what a swarm draws for each of them."""
    name = type(by).__name__.lower()
    calm = f", calm={by.calm:g}" if by.calm is not None else ""
    drawn = ", ".join(each for each, _ in by.arguments) if isinstance(by, Swarm) else ""
    return f"by={name}(seed={by.seed}, runs={by.runs}, until={by.until:g}{calm})" + (
        f", drawn: {drawn}" * bool(drawn)
    )


def fared(prop: Property, report: Report) -> str:
    """How a property fared, as a key of `OUTCOMES`."""
    judged = judge(prop, report)
    verdict = judged.verdict
    if judged.outcome is Outcome.FAILED:
        return "broken"
    if judged.outcome is Outcome.UNDECIDED:
        return "unknown"
    if prop.must_break:
        return "caught"
    if not isinstance(verdict, Holds):
        return "sampled"
    if verdict.schedule is not None:
        return "reached"
    if verdict.proved:
        return "proved" if verdict.exhaustive else "proved within"
    return "exhaustive" if verdict.exhaustive else "within"


OUTCOMES = {
    "exhaustive": "hold exhaustively",
    "proved": "proved",
    "within": "hold within bounds",
    "proved within": "proved within bounds",
    "reached": "reached",
    "sampled": "unknown, a sample broke none",
    "caught": "must break and do",
    "unknown": "**unknown**",
    "broken": "**broken**",
}


def verdicts(properties: Sequence[Property], report: Report) -> str:
    """How many properties fared how; of what must break, in how many choices it does."""
    counts = Counter(fared(prop, report) for prop in properties)
    said = [f"{counts[key]} {text}" for key, text in OUTCOMES.items() if counts[key]]
    broken = [report[prop] for prop in properties if prop.must_break]
    lengths = [len(each.schedule or ()) for each in broken if isinstance(each, Broken)]
    if any(lengths):
        said.append(f"in {', '.join(map(str, lengths))} choices")
    return ", ".join(said)


def row(scenario: Scenario, properties: Sequence[Property]) -> Row:
    """Search a scenario; its row of the table."""
    began = time.process_time()
    report = explore(scenario, *properties)
    seconds = time.process_time() - began
    return (
        code(title(scenario)),
        surroundings(scenario),
        bounds(scenario),
        f"{report.worlds:,}",
        str(report.depth),
        verdicts(properties, report),
        f"{seconds:.1f}",
    )


def section(path: Path) -> str:
    """The table of a file; empty where it has no properties."""
    rows = [row(*each) for each in scenarios(path)]
    heading = f"### {path.as_posix()}"
    return f"{heading}\n\n{table(HEAD, rows, numbers=(3, 4, 6))}" if rows else ""


def sections(page: Path) -> dict[str, str]:
    """The tables that the page has now, by file."""
    text = page.read_text(encoding="utf-8")
    inside = text.partition(f"<!-- begin {PART} -->")[2].partition(f"<!-- end {PART} -->")[0]
    parts = inside.split("### ")[1:]
    return {part.partition("\n")[0].strip(): f"### {part.strip()}" for part in parts}


def without_seconds(text: str) -> list[str]:
    """The lines of a table, less their last column."""
    return [line.rstrip("| ").rpartition("|")[0] for line in text.splitlines()]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("files", nargs="*", type=Path, help="default: all of properties/")
    parser.add_argument("--check", action="store_true", help="tell what differs; write nothing")
    options = parser.parse_args()
    known, wanted = sections(PAGE), {path.as_posix() for path in options.files}
    if unknown := wanted - {path.as_posix() for path in files()}:
        parser.error(f"no files of properties: {', '.join(sorted(unknown))}")
    differ = 0
    for path in files():
        name = path.as_posix()
        if wanted and name not in wanted:
            continue
        # A process for each file: its searches leave no memory behind.
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            made = pool.apply(section, (path,))
        if not made:
            continue
        print(made, flush=True)
        if options.check:
            differ += without_seconds(made) != without_seconds(known.get(name, ""))
            continue
        known = {**sections(PAGE), name: made}
        ordered = [known[each.as_posix()] for each in files() if each.as_posix() in known]
        put(PAGE, PART, "\n\n".join(ordered))
    if differ:
        print(f"\n{differ} tables differ from those of {PAGE.relative_to(ROOT)}")
    return int(differ > 0)


if __name__ == "__main__":
    sys.exit(main())
