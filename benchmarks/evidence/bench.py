"""Where the mutants of a file are tried: first in place, then what is left with imports anew."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.evidence.apart import Ended, Job, apart
from benchmarks.evidence.checks import Check, Collected, Measure, collected
from benchmarks.evidence.mutants import Mutant
from benchmarks.evidence.trial import attempt, first_notice, functions_of, swap

# A mutant, and what has caught it, or an empty text.
Noticed = tuple[Mutant, str]
# To collect and import everything with a change, on top of the time for its checks.
_IMPORT_SECONDS = 5.0


@dataclass(frozen=True)
class Bench:
    """Where the mutants of a file are tried, for so many `seconds` of processor time each.

    Half of them are for the checks: with a change they may take longer.
    """

    file: str
    source: str
    measures: Sequence[Measure]
    root: Path
    seconds: float
    processes: int

    def checks(self, lines: range | None, seconds: float) -> list[Check]:
        """What is run, for that many seconds, where these lines are changed."""
        return affordable(self.file, lines, self.measures, seconds)

    def caught_in_place(self, wanted: Sequence[Mutant], paths: Sequence[str]) -> list[Noticed]:
        """Those that are noticed, with everything collected once and changed in each process."""
        return collected(paths, self.root, lambda found: list(self._in_place(found, wanted)))

    def _in_place(self, found: Collected, wanted: Sequence[Mutant]) -> Iterator[Noticed]:
        file = str(self.root / self.file)
        functions = functions_of(file)
        gc.freeze()  # a collection in a child would copy all there is

        def attempt_in_place(changed: str | None, checks: Sequence[Check]) -> str | None:
            done = changed is None or swap(functions, self.source, changed, file)
            return first_notice(found, checks) if done else None

        def job(mutant: Mutant | None) -> Job:
            arguments = (
                (mutant.source(self.source), self.checks(mutant.lines, self.seconds / 2))
                if mutant
                else (None, self.control())
            )
            return Job(mutant, attempt_in_place, arguments, self.seconds)

        for mutant, by in self._outcomes(job, wanted):
            if by:
                yield mutant, by

    def tried_anew(self, wanted: Sequence[Mutant]) -> Iterator[Noticed]:
        """Each mutant with what caught it, or an empty text; all is imported with the change."""
        module = ".".join(Path(self.file).with_suffix("").parts)

        def job(mutant: Mutant | None) -> Job:
            checks, changed = self.control(), self.source
            if mutant:
                lines = None if mutant.on_import else mutant.lines
                checks = self.checks(lines, self.seconds / 2)
                changed = mutant.source(self.source)
            arguments = (module, changed, str(self.root / self.file), checks, self.root)
            return Job(mutant, attempt, arguments, self.seconds + _IMPORT_SECONDS)

        yield from self._outcomes(job, wanted)

    def control(self) -> list[Check]:
        """What is run with nothing changed: were that caught, being caught would mean nothing."""
        return self.checks(None, self.seconds / 10)

    def _outcomes(
        self, job: Callable[[Mutant | None], Job], wanted: Sequence[Mutant]
    ) -> Iterator[Noticed]:
        jobs = map(job, [None, *wanted] if wanted else [])
        for ended in apart(jobs, self.processes):
            by = caught(ended)
            if ended.job.key is not None:
                yield ended.job.key, by
            elif by:
                raise RuntimeError(f"{self.file} is caught with nothing changed: {by}")


def affordable(
    file: str, lines: range | None, measures: Sequence[Measure], seconds: float
) -> list[Check]:
    """The checks that reach these lines of a file, cheapest first, as far as there is time.

    Those named after the file come before the others. None are the lines that run on import: every
    check is taken to reach them.
    """
    found, stem = [], Path(file).stem
    for each in sorted(measures, key=lambda each: (stem not in each.check.path, each.seconds)):
        reached = each.lines.get(file, [])
        reaches = lines is None or not set(lines).isdisjoint(reached)
        if each.fault is None and reaches and each.seconds <= seconds:
            found.append(each.check)
            seconds -= each.seconds
    return found


def caught(ended: Ended) -> str:
    """What caught a mutant; empty where it survived."""
    return ended.fault or ended.result or ""
