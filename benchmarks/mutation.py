"""Do the properties notice a change of the protocols? python benchmarks/mutation.py [FILE]...

Changes one operator, constant or statement of a protocol's source at a time, and runs the scenarios
and tests of that protocol that reach the changed line, cheapest first, until one fails. A mutant
that none of them notices has survived: the change makes no difference, or a property is missing.
Of each file a sample is drawn, by `--sample` and `--seed`.

Each trial is written to a file in `--state` as it ends. A run goes on from there: what was caught
is not tried again until the source changes, nor what survived until its checks change; with
`--survivors` it is, best with more `--seconds`, so that dearer checks have their turn. `--report`
writes the outcome into docs/verification.md, with the reasons given in benchmarks/survivors.toml.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.evidence.mutants import Mutant, mutants, sample
from benchmarks.evidence.page import code, put, table
from benchmarks.evidence.trial import (
    TIME_RAN_OUT,
    TOO_DEAR,
    Check,
    Ended,
    Job,
    Measure,
    apart,
    attempt,
    measure,
)

ROOT = Path(__file__).resolve().parents[1]
PROTOCOLS = ROOT / "happysim" / "protocols"
PAGE = ROOT / "docs" / "verification.md"
REASONS = ROOT / "benchmarks" / "survivors.toml"
PART = "mutants"
NOT_EXPLAINED = "Nobody has looked into it yet."
# Where a protocol is not checked by the files of its own name alone.
CHECKED_BY = {
    "ballot": ("paxos", "multi_paxos"),
    "chain": ("chain", "craq"),
    "lock": ("lock", "replicated_lock"),
    "machine": ("machine", "multi_paxos", "chain", "primary_backup"),
    "multi_paxos": ("multi_paxos", "flexible_paxos", "replicated_lock"),
    "raft": ("raft", "replicated_lock"),
    "requests": ("requests", "raft", "multi_paxos"),
}
# Long runs in virtual time: more than a trial has time for.
DEAR = ("_in_time", "_under_load")
MEASURING_SECONDS = 900.0


@dataclass(frozen=True)
class Trial:
    """The outcome for one mutant: `by` says what caught it, or is empty where it survived."""

    file: str
    mutant: str
    line: int
    by: str
    source: str
    checks: str

    @property
    def survived(self) -> bool:
        return not self.by


class State:
    """The trials made so far, and what checks take, in a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.path = folder / "trials.jsonl"
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        trials = [Trial(**json.loads(line)) for line in lines]
        self.trials = {(each.file, each.mutant, each.source): each for each in trials}

    def add(self, trial: Trial) -> None:
        # The newest is the last.
        self.trials.pop((trial.file, trial.mutant, trial.source), None)
        self.trials[trial.file, trial.mutant, trial.source] = trial
        with self.path.open("a") as out:
            out.write(json.dumps(asdict(trial)) + "\n")

    def newest(self, file: str, mutant: str) -> Trial | None:
        """The last trial of a mutant, perhaps of an older text of its file."""
        found = [
            each for each in self.trials.values() if (each.file, each.mutant) == (file, mutant)
        ]
        return found[-1] if found else None

    def known(self, file: str, mutant: str, source: str, checks: str) -> Trial | None:
        """A trial that need not be made again."""
        trial = self.trials.get((file, mutant, source))
        return None if trial and trial.survived and trial.checks != checks else trial

    def measures(self, path: str, seconds: float) -> list[Measure]:
        """What the checks of a file take and reach; measured where that is not known."""
        key = digest(path, *protocol_files())
        kept = self.folder / f"measures-{Path(path).stem}-{key}.json"
        if kept.exists():
            read = json.loads(kept.read_text())
            known = [Measure(**{**each, "check": Check(**each["check"])}) for each in read]
            dear = [
                each.seconds for each in known if each.fault and each.fault.startswith(TOO_DEAR)
            ]
            if not any(1.5 * each < seconds for each in dear):
                return known
        print(f"measuring {path}", flush=True)
        job = Job(path, measure, (path, ROOT, PROTOCOLS, seconds), MEASURING_SECONDS)
        (ended,) = apart(iter([job]), 1)
        if ended.fault is not None:
            raise RuntimeError(f"{path}, with nothing changed: {ended.fault}")
        found: list[Measure] = ended.result
        for each in found:
            if each.fault is not None:
                print(f"  not used, with nothing changed: {each.check}: {each.fault}")
        kept.write_text(json.dumps([asdict(each) for each in found]))
        return found


# -- what is checked by what -----------------------------------------------------------------------


def protocol_files() -> list[str]:
    """The source files that have mutants."""
    found = [path for path in sorted(PROTOCOLS.rglob("*.py")) if mutants(path.read_text())]
    return [path.relative_to(ROOT).as_posix() for path in found]


def check_files(file: str) -> list[str]:
    """The files of properties and tests of a protocol's source file, but for the dearest."""
    stem = Path(file).relative_to("happysim/protocols").parts[0].removesuffix(".py")
    found = set()
    for name in CHECKED_BY.get(stem, (stem,)):
        found |= {*(ROOT / "properties").glob(f"{name}*.py")}
        found |= {*(ROOT / "tests" / "protocols").glob(f"test_{name}*.py")}
        found |= {*(ROOT / "tests" / "protocols" / name).glob("test_*.py")}
    cheap = [path for path in found if not path.stem.endswith(DEAR)]
    return sorted(path.relative_to(ROOT).as_posix() for path in cheap)


def digest(*paths: str) -> str:
    """A short text that changes where one of these files does."""
    contents = b"\0".join(path.encode() + b"\0" + (ROOT / path).read_bytes() for path in paths)
    return hashlib.sha256(contents).hexdigest()[:12]


def affordable(
    file: str, lines: range | None, measures: Sequence[Measure], seconds: float
) -> list[Check]:
    """The checks that reach these lines of a file, cheapest first, as far as there is time.

    None are the lines that run on import: every check is taken to reach them.
    """
    found = []
    for each in sorted(measures, key=lambda each: each.seconds):
        reached = each.lines.get(file, [])
        reaches = lines is None or not set(lines).isdisjoint(reached)
        if each.fault is None and reaches and each.seconds <= seconds:
            found.append(each.check)
            seconds -= each.seconds
    return found


# -- trials ----------------------------------------------------------------------------------------


def try_mutants(file: str, state: State, options: argparse.Namespace) -> None:
    """Try those of the sample that are not known yet."""
    source = (ROOT / file).read_text()
    paths = check_files(file)
    same, checks = digest(file), digest(*paths)
    wanted = [
        each
        for each in sample(mutants(source), options.sample, options.seed)
        if not is_known(state.known(file, each.name, same, checks), options)
    ]
    if not wanted:
        return
    measures = [each for path in paths for each in state.measures(path, options.seconds / 2)]
    for mutant, by in tried(file, source, wanted, measures, options):
        state.add(Trial(file, mutant.name, mutant.line, by, same, checks))
        print(f"{file}:{mutant.line}: {mutant.name}: {by or 'SURVIVED'}", flush=True)


def is_known(trial: Trial | None, options: argparse.Namespace) -> bool:
    """True where a mutant need not be tried again."""
    return trial is not None and not (trial.survived and options.survivors)


def tried(
    file: str,
    source: str,
    wanted: Sequence[Mutant],
    measures: Sequence[Measure],
    options: argparse.Namespace,
) -> Iterator[tuple[Mutant, str]]:
    """Each mutant with what caught it, or an empty text."""
    module = ".".join(Path(file).with_suffix("").parts)
    # First the file as it is: were it caught too, being caught would mean nothing.
    whole = range(1, len(source.splitlines()) + 1)
    half = options.seconds / 2
    chosen = [
        (each, affordable(file, None if each.on_import else each.lines, measures, half))
        for each in wanted
    ]
    control = affordable(file, whole, measures, options.seconds / 10)

    def jobs() -> Iterator[Job]:
        arguments = (module, source, str(ROOT / file), control, ROOT)
        yield Job(None, attempt, arguments, options.seconds)
        for mutant, checks in chosen:
            arguments = (module, mutant.source(source), str(ROOT / file), checks, ROOT)
            if checks:
                yield Job(mutant, attempt, arguments, options.seconds)

    for ended in apart(jobs(), options.processes):
        by = caught(ended)
        if ended.job.key is not None:
            yield ended.job.key, by
        elif by:
            raise RuntimeError(f"{file} is caught with nothing changed: {by}")
    for mutant, checks in chosen:
        if not checks:
            yield mutant, ""


def caught(ended: Ended) -> str:
    """What caught a mutant; empty where it survived."""
    return ended.fault or ended.result or ""


# -- the report ------------------------------------------------------------------------------------


HEAD = (
    *("file", "mutants", "tried", "of these before the last change"),
    *("caught by a property", "by a test", "out of time"),
    *("survived", "of these harmless", "caught of the rest"),
)


def report(state: State, options: argparse.Namespace) -> str:
    """A table of files, and a list of the survivors with their reasons."""
    reasons = tomllib.loads(REASONS.read_text()) if REASONS.exists() else {}
    rows, survivors, untried = [], [], []
    totals: Counter[str] = Counter()
    for file in protocol_files():
        source, explained = (ROOT / file).read_text(), reasons.get(file, {})
        found = mutants(source)
        drawn = sample(found, options.sample, options.seed)
        known = [state.newest(file, each.name) for each in drawn]
        counts = Counter(mutants=len(found))
        for mutant, trial in zip(drawn, known, strict=True):
            if trial is None:
                continue
            counts.update(["tried", _sort(trial)])
            counts["older"] += trial.source != digest(file)
            if trial.survived:
                why = explained.get(trial.mutant, NOT_EXPLAINED)
                counts["let be"] += why.startswith(("Equivalent:", "Harmless:"))
                place = f"`{_short(file)}`, line {mutant.line}"
                if mutant.is_of_constant:
                    place += f", `{source.splitlines()[mutant.line - 1].strip()}`"
                survivors.append(f"- {place}, {code(trial.mutant)}. {why}")
        if counts["tried"]:
            totals += counts
            rows.append(_row(code(_short(file)), counts))
        else:
            untried.append(code(_short(file)))
    rows.append(_row("together", totals))
    told = [
        f"Drawn with `--sample {options.sample} --seed {options.seed}`.",
        table(HEAD, rows, numbers=range(1, len(HEAD))),
    ]
    if untried:
        told.append(f"Not tried: {', '.join(untried)}.")
    return "\n\n".join([*told, "Survivors:", "\n".join(survivors or ["none."])])


def _sort(trial: Trial) -> str:
    if trial.survived:
        return "survived"
    if trial.by == TIME_RAN_OUT:
        return "time"
    return "test" if trial.by.startswith("tests/") else "property"


def _row(name: str, counts: Counter[str]) -> tuple[str, ...]:
    columns = ("mutants", "tried", "older", "property", "test", "time", "survived", "let be")
    rest = counts["tried"] - counts["let be"]
    rate = f"{(counts['tried'] - counts['survived']) / rest:.0%}" if rest else ""
    return (name, *(str(counts[column]) for column in columns), rate)


def _short(file: str) -> str:
    return file.removeprefix("happysim/protocols/")


def parser() -> argparse.ArgumentParser:
    """What the command takes."""
    made = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    made.add_argument("files", nargs="*", help="default: all of happysim/protocols/")
    made.add_argument("--sample", type=int, default=20, help="mutants of a file (default 20)")
    made.add_argument("--seed", type=int, default=1, help="of the sample (default 1)")
    made.add_argument("--seconds", type=float, default=10.0, help="of a trial (default 10)")
    made.add_argument("--processes", type=int, default=2)
    made.add_argument("--state", type=Path, default=ROOT / "build" / "mutation")
    made.add_argument("--survivors", action="store_true", help="try again what has survived")
    made.add_argument("--report", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    return made


def main() -> int:
    options = parser().parse_args()
    wanted = options.files or protocol_files()
    if unknown := set(wanted) - set(protocol_files()):
        parser().error(f"no protocols with mutants: {', '.join(sorted(unknown))}")
    state = State(options.state)
    for file in wanted:
        try_mutants(file, state, options)
    text = report(state, options)
    if options.report:
        put(PAGE, PART, text)
    print(text)
    return int(NOT_EXPLAINED in text)


if __name__ == "__main__":
    sys.exit(main())
