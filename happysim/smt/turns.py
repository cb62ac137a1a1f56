"""Turns: the solver proposes runs to what was not judged yet, where judgements are too many.

Once there is a counterexample only runs that are shorter are proposed.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

from happysim.smt.boxes import Box
from happysim.smt.encoding import Step
from happysim.smt.goal import Answer, Search, steps_of


class Turns:
    """The formula of runs to what was not judged yet, and the shortest run that breaks."""

    def __init__(self, search: Search) -> None:
        self.search, limits = search, search.limits
        self.encoding = search.encoding(1)
        if self.encoding.layers_needed > 1:
            layers = min(self.encoding.layers_needed, limits.layers_max)
            self.encoding = search.encoding(layers)
        self.judged: list[Box] = []
        self.best: Answer | None = None
        self.all_least = True

    def solve(self) -> list[Step] | str | None:
        """A run to be judged, shorter than the best; None where there is none, else why not."""
        found = self._solve()
        if found is None and self.best is not None and not self.encoding.is_complete:
            for exact in itertools.islice(self.search.exact(self.encoding, self.best), 1):
                self.encoding = exact
                for box in self.judged:
                    exact.solver.add(exact.z3.Not(exact.ends_in(box)))
                found = self._solve()
        return found

    def _solve(self) -> list[Step] | str | None:
        encoding, limits = self.encoding, self.search.limits
        shorter = []
        if self.best is not None and self.best.run is not None:
            shorter = [encoding.steps_at_most(steps_of(self.best.run) - 1)]
        return encoding.solve(shorter, limits.seconds, limits.effort)

    def rule_out(self, box: Box) -> None:
        """It was judged."""
        self.judged.append(box)
        self.encoding.solver.add(self.encoding.z3.Not(self.encoding.ends_in(box)))

    def note(self, answer: Answer) -> None:
        """A counterexample, or that there is none to what was judged."""
        if answer.run is None:
            return
        self.all_least &= answer.shortest
        best = None if self.best is None else self.best.run
        if best is None or steps_of(answer.run) < steps_of(best):
            self.best = replace(answer, shortest=False)

    def last(self) -> Answer:
        """What there is to say when nothing is left to be judged."""
        if self.best is not None:
            return replace(self.best, shortest=self.all_least and self.encoding.is_complete)
        if self.encoding.is_complete:
            return Answer(note=self.search.note)
        return Answer(
            unknown="its many judgements need longer walks in cycles", note=self.search.note
        )
