"""Report: what one search of one scenario found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from happysim.spec.property import Property
from happysim.spec.scenario import Scenario
from happysim.spec.verdict import Verdict


@dataclass(frozen=True)
class Report:
    """The verdicts of one search, and its measure.

    `worlds` were visited, `steps` taken (a step back to a known world counts), the farthest world
    lay at `depth` (the first has depth 1). `handler_calls` says how often Python code of the
    protocol had to run, `evaluations` that of the properties. `warnings` name what was vacuous.
    `reduction` tells which worlds were taken together; empty where each was visited. `in_full` is
    how many worlds there are where one was visited of those that differ only by which of some
    symmetric nodes is which; None in any other search, and where it cannot be told.
    """

    scenario: Scenario
    verdicts: Mapping[Property, Verdict]
    worlds: int
    steps: int
    depth: int
    seconds: float
    complete: bool
    stopped: str | None = None
    handler_calls: int = 0
    evaluations: int = 0
    quiescent_worlds: int = 0
    warnings: tuple[str, ...] = ()
    reduction: str = ""
    in_full: int | None = None

    def __getitem__(self, prop: Property) -> Verdict:
        return self.verdicts[prop]

    @property
    def generated(self) -> int:
        """Worlds generated, as other tools count: the first ones, and one for each step."""
        return self.steps + len(self.scenario.worlds)
