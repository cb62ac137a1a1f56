"""Turns: the solver proposes runs to what was not judged yet, where judgements are too many.

Once there is a counterexample only runs that are shorter are proposed.
"""

from __future__ import annotations

from dataclasses import replace

from happysim.smt.asked import Answer
from happysim.smt.boxes import Box
from happysim.smt.encoding import Step
from happysim.smt.goal import Formula, Search, steps_of


class Turns:
    """The formula of runs to what was not judged yet, and the shortest run that breaks."""

    def __init__(self, search: Search, best: Answer | None = None) -> None:
        self.search = search
        self.encoding = search.all_runs(search.layers_most).encoding
        # Whether it holds every run that is shorter than the best.
        self.is_complete = self.encoding.is_complete
        self.judged: list[Box] = []
        self.best = best
        self.all_least = True

    def solve(self) -> list[Step] | str | None:
        """A run to be judged, shorter than the best; None where there is none, else why not."""
        found = self._solve()
        if found is not None or self.is_complete or self.best is None or self.best.run is None:
            return found
        most, effort = steps_of(self.best.run) - 1, self.search.limits.effort
        shorter = self.search.runs_of(most, effort)
        self.is_complete = not isinstance(shorter, str)
        if isinstance(shorter, Formula):
            self.encoding = shorter.encoding
            for box in self.judged:
                self._leave_out(box)
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
        self._leave_out(box)

    def _leave_out(self, box: Box) -> None:
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
            return replace(self.best, shortest=self.all_least and self.is_complete)
        if self.is_complete:
            return Answer(note=self.search.note)
        return Answer(
            unknown="its many judgements need longer walks in cycles", note=self.search.note
        )
