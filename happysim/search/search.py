"""One search of a scenario: what is judged, and the report on it, whichever way the search goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from happysim.core.choice import BUDGETS
from happysim.kernel.contract import Exploration
from happysim.search.judge import Finding, PropertyJudge
from happysim.spec.property import Property, Sort, no_handler_raises
from happysim.spec.report import Report
from happysim.spec.scenario import Bounds, Scenario
from happysim.spec.verdict import Broken, Holds, Verdict

Progress = Callable[[Exploration], None]

STOPPED = {
    "worlds": "the budget of worlds ran out",
    "seconds": "the time ran out",
    "memory": "the memory budget ran out",
    "disk full": "the disk is full",
    "disk": "a file could not be written or read",
    "interrupt": "interrupted",
}


@dataclass(eq=False)
class Search:
    """A search to be made. A policy's own class says how: see `explored`.

    That no handler raises is judged too.
    """

    scenario: Scenario
    properties: Sequence[Property]
    bounds: Bounds
    history: bool
    progress: Progress | None

    def __post_init__(self) -> None:
        self.starts = self.scenario.worlds
        self.tables = next(iter(self.starts.values())).tables
        self.properties = [*self.properties, no_handler_raises(self.scenario)]
        # Budgets of faults that may be paid where the search does not look.
        self.hidden: tuple[str, ...] = ()

    @cached_property
    def judge(self) -> PropertyJudge:
        """Who judges the worlds of this search."""
        return self.judge_of(self.properties)

    def judge_of(self, properties: Sequence[Property]) -> PropertyJudge:
        """A judge of some properties in worlds as this search shows them."""
        return PropertyJudge(self.tables, properties, self.bounds.within, self.history)

    def explored(self) -> tuple[Exploration, dict[Property, Verdict]]:
        """Make the search: what was visited, and the verdicts."""
        raise NotImplementedError

    def run(self) -> Report:
        began, misses = time.perf_counter(), self.tables.misses
        exploration, verdicts = self.explored()
        return Report(
            self.scenario,
            verdicts,
            exploration.worlds,
            exploration.steps,
            exploration.depth,
            time.perf_counter() - began,
            exploration.complete,
            exploration.stopped,
            self.tables.misses - misses,
            self.judge.evaluations,
            self.judge.quiescent_worlds,
            self.warnings(exploration),
            self.reduction_text(exploration),
            exploration.in_full,
        )

    def reduction_text(self, exploration: Exploration) -> str:
        """Which worlds were taken together, and what that took; empty where none were."""
        return ""

    def verdict(
        self,
        prop: Property,
        finding: Finding,
        schedule: tuple[Any, ...],
        start: str,
        shortest: bool = False,
    ) -> Verdict:
        if prop.sort is Sort.REACHABLE:
            return Holds(prop, schedule=schedule, start=start)
        return Broken(
            prop,
            reason=finding.reason,
            schedule=schedule,
            start=start,
            shortest=shortest,
            within=self.bounds.within,
        )

    def _fell(self) -> bool:
        """True where some node was ever down. One whose disk is full need not be."""
        return any(ledger.down for ledger in self.tables.ledgers.values)

    def warnings(self, exploration: Exploration) -> tuple[str, ...]:
        """What was vacuous: faults that never happened, properties that had nothing to judge."""
        if not exploration.complete:
            return ()
        found = []
        first = self.tables.faults.budgets
        for at, name in enumerate(BUDGETS):
            if name == "restarts" and self.tables.faults.fills and not self._fell():
                continue
            if first[at] and not self.tables.ledgers.was_paid(at) and name not in self.hidden:
                found.append(f"the faults declare {name}, but none ever happened")
        sorts = {prop.sort for prop in self.properties}
        histories = self.tables.histories.values
        if Sort.LINEARIZABLE in sorts and not any(each.completed for each in histories):
            found.append("no client was ever answered, so any history is linearizable")
        if Sort.STEP_ALWAYS in sorts and not exploration.steps:
            found.append("there is no step, so step_always had nothing to judge")
        return tuple(found)
