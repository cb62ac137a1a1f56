"""Do the properties notice a change of the protocols? python benchmarks/mutation.py [FILE]...

Changes one operator, constant or statement of a protocol's source at a time, and runs the scenarios
and tests of that protocol that reach the changed line, cheapest first, until one fails. A mutant
that none of them notices has survived: the change makes no difference, or a property is missing.
Of each file a sample is drawn, by `--sample` and `--seed`.

Each trial is written to a file in `--state` as it ends. A run goes on from there: what was caught
is not tried again until the source changes, nor what survived until its checks change; with
`--survivors` it is, best with more `--seconds`, so that dearer checks have their turn; but never
what benchmarks/survivors.toml says to be equivalent or harmless. `--report` writes the outcome into
docs/verification.md, with the reasons given there.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tomllib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.evidence.apart import TIME_RAN_OUT, Job, apart
from benchmarks.evidence.bench import Bench
from benchmarks.evidence.checks import TOO_DEAR, Check, Measure, measure
from benchmarks.evidence.mutants import Mutant, mutants, sample
from benchmarks.evidence.page import code, put, table

ROOT = Path(__file__).resolve().parents[1]
PROTOCOLS = ROOT / "happysim" / "protocols"
PAGE = ROOT / "docs" / "verification.md"
REASONS = ROOT / "benchmarks" / "survivors.toml"
PART = "mutants"
NOT_EXPLAINED = "Nobody has looked into it yet."
# Where a protocol is not checked by the files of its own name alone.
CHECKED_BY = {
    "ballot": ("paxos", "multi_paxos"),
    "chain": ("chain", "craq", "requests"),
    "cluster": ("paxos", "multi_paxos", "raft", "election"),
    "lock": ("lock", "replicated_lock"),
    "machine": ("machine", "multi_paxos", "chain", "primary_backup"),
    "multi_paxos": ("multi_paxos", "flexible_paxos", "replicated_lock", "requests"),
    "paxos": ("paxos", "requests"),
    "primary_backup": ("primary_backup", "requests"),
    "raft": ("raft", "replicated_lock", "requests"),
    "rounds": ("machine", "raft", "multi_paxos", "replicated_lock"),
    "requests": ("requests", "raft", "multi_paxos"),
}
# Of processor time, for a process that measures the checks of a file, or starts its trials.
WHOLE_FILE_SECONDS = 900.0


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

    def known(
        self, file: str, mutant: str, source: str, checks: str, why: str, again: bool
    ) -> bool:
        """True where a mutant need not be tried again.

        It was caught, or it is known `why` it cannot be, or no check has changed since, nor is it
        to be tried `again` for longer.
        """
        trial = self.trials.get((file, mutant, source))
        if trial is None or not trial.survived:
            return trial is not None
        return is_let_be(why) or (trial.checks == checks and not again)

    def measures(self, paths: Sequence[str], seconds: float, processes: int) -> list[Measure]:
        """What the checks of some files take and reach; measured where that is not known."""
        found: dict[str, list[Measure]] = {}
        for path in paths:
            kept = self._kept(path)
            read = json.loads(kept.read_text()) if kept.exists() else {}
            if read and read["same"] == digest(path, *read["reached"]):
                made = [Measure(**{**each, "check": Check(**each["check"])}) for each in read["is"]]
                dear = [each.seconds for each in made if (each.fault or "").startswith(TOO_DEAR)]
                if not any(1.5 * each < seconds for each in dear):
                    found[path] = made
        missing = [path for path in paths if path not in found]
        if missing:
            print(f"measuring {', '.join(missing)}", flush=True)
            made = alone(measure, missing, ROOT, PROTOCOLS, seconds, processes)
            for path in missing:
                found[path] = [each for each in made if each.check.path == path]
                self._keep(path, found[path])
        return [each for path in paths for each in found[path]]

    def _kept(self, path: str) -> Path:
        return self.folder / f"measures-{path.replace('/', '-').removesuffix('.py')}.json"

    def _keep(self, path: str, made: Sequence[Measure]) -> None:
        for each in made:
            if each.fault is not None:
                print(f"  not used, with nothing changed: {each.check}: {each.fault}")
        reached = sorted({file for each in made for file in each.lines})
        kept = {"same": digest(path, *reached), "reached": reached, "is": [*map(asdict, made)]}
        self._kept(path).write_text(json.dumps(kept))


def alone(work: Callable[..., Any], *arguments: Any) -> Any:
    """What some work returns, done in a process of its own: this one imports nothing for it."""
    job = Job(None, work, arguments, WHOLE_FILE_SECONDS, quiet=False)
    (ended,) = apart(iter([job]), 1)
    if ended.fault is not None:
        raise RuntimeError(ended.fault)
    return ended.result


# -- what is checked by what -----------------------------------------------------------------------


def protocol_files() -> list[str]:
    """The source files that have mutants."""
    found = [path for path in sorted(PROTOCOLS.rglob("*.py")) if mutants(path.read_text())]
    return [path.relative_to(ROOT).as_posix() for path in found]


def check_files(file: str) -> list[str]:
    """The files of properties and tests of a protocol's source file."""
    stem = Path(file).relative_to("happysim/protocols").parts[0].removesuffix(".py")
    found = set()
    for name in CHECKED_BY.get(stem, (stem,)):
        found |= {*(ROOT / "properties").glob(f"{name}*.py")}
        found |= {*(ROOT / "tests" / "protocols").glob(f"test_{name}*.py")}
        found |= {*(ROOT / "tests" / "protocols" / name).glob("test_*.py")}
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def digest(*paths: str) -> str:
    """A short text that changes where one of these files does."""
    contents = b"\0".join(path.encode() + b"\0" + (ROOT / path).read_bytes() for path in paths)
    return hashlib.sha256(contents).hexdigest()[:12]


# -- trials ----------------------------------------------------------------------------------------


def try_mutants(file: str, state: State, options: argparse.Namespace) -> None:
    """Try those of the sample that are not known yet."""
    source = (ROOT / file).read_text()
    paths = check_files(file)
    same, checks = digest(file), digest(*paths)
    explained = reasons().get(file, {})
    left = {
        each.name: each
        for each in sample(mutants(source), options.sample, options.seed)
        if not state.known(
            file, each.name, same, checks, explained.get(each.name, ""), options.survivors
        )
    }
    if not left:
        return

    def tell(mutant: Mutant, by: str) -> None:
        del left[mutant.name]
        state.add(Trial(file, mutant.name, mutant.line, by, same, checks))
        print(f"{file}:{mutant.line}: {mutant.name}: {by or 'SURVIVED'}", flush=True)

    measures = state.measures(paths, options.seconds / 2, options.processes)
    bench = Bench(file, source, measures, ROOT, options.seconds, options.processes)
    inside = [each for each in left.values() if not each.on_import]
    for mutant, by in alone(bench.caught_in_place, inside, paths) if inside else []:
        tell(mutant, by)
    # What survived might not have, had what is made on import been made with the change.
    for mutant, by in bench.tried_anew(list(left.values())):
        tell(mutant, by)


# -- the report ------------------------------------------------------------------------------------


HEAD = (
    *("file", "mutants", "tried", "of these before the last change"),
    *("caught by a property", "by a test", "out of time"),
    *("survived", "of these harmless", "caught of all tried", "caught of the rest"),
)


def report(state: State, options: argparse.Namespace) -> str:
    """A table of files, and a list of the survivors with their reasons."""
    rows, survivors, untried = [], [], []
    totals: Counter[str] = Counter()
    for file in protocol_files():
        source, explained = (ROOT / file).read_text(), reasons().get(file, {})
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
                counts["let be"] += is_let_be(why)
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


def reasons() -> dict[str, dict[str, str]]:
    """Why mutants survive, by file and name."""
    return tomllib.loads(REASONS.read_text()) if REASONS.exists() else {}


def is_let_be(why: str) -> bool:
    """True of a reason why a mutant need not be caught."""
    return why.startswith(("Equivalent:", "Harmless:"))


def _sort(trial: Trial) -> str:
    if trial.survived:
        return "survived"
    if trial.by == TIME_RAN_OUT:
        return "time"
    return "test" if trial.by.startswith("tests/") else "property"


def _row(name: str, counts: Counter[str]) -> tuple[str, ...]:
    columns = ("mutants", "tried", "older", "property", "test", "time", "survived", "let be")
    caught, tried = counts["tried"] - counts["survived"], counts["tried"]
    rates = (f"{caught / of:.0%}" if of else "" for of in (tried, tried - counts["let be"]))
    return (name, *(str(counts[column]) for column in columns), *rates)


def _short(file: str) -> str:
    return file.removeprefix("happysim/protocols/")


def parser() -> argparse.ArgumentParser:
    """What the command takes."""
    made = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    made.add_argument("files", nargs="*", help="default: all of happysim/protocols/")
    made.add_argument("--sample", type=int, default=40, help="mutants of a file (default 40)")
    made.add_argument("--seed", type=int, default=1, help="of the sample (default 1)")
    made.add_argument("--seconds", type=float, default=5.0, help="of a trial (default 5)")
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
