"""Judging: what the policies that ask a solver, smt() and induction(), have in common.

A property is judged by itself; whatever stands in the way of its verdict makes it `Unknown`, with
the reason. Ctrl-C ends it all: what was not judged by then says so.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

from happysim.smt.boxes import NotCoveredError, TooLargeError
from happysim.smt.solver import SolverMissingError, load_z3, z3_error
from happysim.spec.property import Property, Sort
from happysim.spec.report import Report
from happysim.spec.scenario import Scenario
from happysim.spec.verdict import Broken, Holds, Unknown, Verdict

_COVERED = (Sort.ALWAYS, Sort.STEP_ALWAYS, Sort.REACHABLE, Sort.NO_RAISE)
_INTERRUPTED = "interrupted"


class Judge(Protocol):
    """What judges the properties of one scenario."""

    # How often the code of a property ran.
    evaluations: int

    def judged(self, prop: Property) -> Verdict:
        """The verdict. May raise what `verdict_of` makes `Unknown` of."""


def verdict_of(name: str, prop: Property, judge: Judge) -> Verdict:
    """What a judge says of a property of local states; `name` is that of its policy."""
    if prop.sort not in _COVERED:
        what = f"{prop.sort.value} properties are not; bfs() judges them"
        if prop.sort.is_of_runs:
            what = f"{prop.sort.value} properties are not; simulated() and swarm() judge them"
        return Unknown(prop, reason=f"{name} judges what holds of local states, and {what}")
    try:
        load_z3()
        return judge.judged(prop)
    except (SolverMissingError, TooLargeError) as error:
        return Unknown(prop, reason=str(error))
    except NotCoveredError as error:
        return Unknown(prop, reason=f"it reads {error}, and {name} covers local states only")
    except KeyboardInterrupt:
        return Unknown(prop, reason=_INTERRUPTED)
    except z3_error() as error:
        return Unknown(prop, reason=f"the solver failed: {error}")


def report_of(
    name: str,
    scenario: Scenario,
    properties: Sequence[Property],
    judge: Judge,
    last: Property | None = None,
) -> Report:
    """A verdict for each property; `last` is judged, too, where no verdict is `Unknown`."""
    began = time.perf_counter()
    tables = next(iter(scenario.worlds.values())).tables
    known = tables.misses
    verdicts: dict[Property, Verdict] = {}
    interrupted = False
    for prop in properties:
        if interrupted:
            verdicts[prop] = Unknown(prop, reason=_INTERRUPTED)
            continue
        verdict = verdicts[prop] = verdict_of(name, prop, judge)
        interrupted = isinstance(verdict, Unknown) and verdict.reason == _INTERRUPTED
    if last is not None and not any(verdict.unknown for verdict in verdicts.values()):
        verdicts[last] = verdict_of(name, last, judge)
    return Report(
        scenario,
        verdicts,
        worlds=0,
        steps=0,
        depth=0,
        seconds=time.perf_counter() - began,
        complete=True,
        stopped="interrupt" if interrupted else None,
        handler_calls=tables.misses - known,
        evaluations=judge.evaluations,
    )


def proved(prop: Property, bounds: str, notes: tuple[str, ...] = ()) -> Verdict:
    """The verdict where no run, within bounds, ends in a world that a property tells apart."""
    if prop.sort is not Sort.REACHABLE:
        return Holds(prop, bounds=bounds, proved=True, notes=notes)
    if bounds:
        return Unknown(prop, reason=f"not reached within {bounds}", notes=notes)
    return Broken(prop, reason="no world satisfies it (proved)", notes=notes)
