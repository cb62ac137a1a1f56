"""Goal: a run of one closure that ends where a formula says; the shortest, where it is proved."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from happysim.core.choice import Choice, Kind
from happysim.core.world import World
from happysim.search.schedule import Run
from happysim.smt.encoding import Encoding, Step
from happysim.smt.reduce import Reduced
from happysim.smt.replay import Refused, replayed
from happysim.smt.solver import Effort
from happysim.spec.property import Property

# In so many arcs, unrolled, a shorter run than the one at hand is looked for.
_ARCS_MAX = 20_000


class Limits(NamedTuple):
    """How far to go.

    `least` says what a run has to have least of: "steps", "faults" or "" for neither. `steps_max`
    bounds runs, and `within` is a bound that every world of a replay has to keep to. `effort` is
    what is left of the solver's, and becomes less.
    """

    deadline: float
    layers_max: int
    clock: str
    least: str
    steps_max: int | None
    within: Callable[[World], str | None] | None
    effort: Effort

    @property
    def seconds(self) -> float:
        """What is left of the time."""
        return self.deadline - time.perf_counter()


@dataclass
class Answer:
    """A run, a reason for not knowing, or neither: proved. `shortest` is proved too."""

    run: Run | None = None
    unknown: str = ""
    shortest: bool = False
    note: str = ""
    evaluations: int = 0

    @property
    def is_proof(self) -> bool:
        """True where no run does it."""
        return self.run is None and not self.unknown


# What is asked: the goal as a formula over an encoding.
Goal = Callable[[Encoding], Any]


class Search:
    """One goal over one reduced closure: relaxed first, then in ever more layers."""

    def __init__(self, reduced: Reduced, prop: Property, limits: Limits, goal: Goal) -> None:
        self.reduced, self.prop, self.limits, self.goal = reduced, prop, limits, goal
        sizes = "+".join(str(size) for size in reduced.full.sizes)
        small = "+".join(str(size) for size in reduced.closure.sizes)
        # The newest formula, and the goal in its terms.
        self.asked: tuple[Encoding | None, Any] = None, None
        self.note = f"{sizes} local states, {small} after reduction"

    def encoding(self, layers: int) -> Encoding:
        """The formula in so many layers (0: relaxed), within the bound on steps."""
        made = Encoding(self.reduced.closure, layers=layers, clock=self.limits.clock)
        if self.limits.steps_max is not None:
            made.solver.add(made.steps_at_most(self.limits.steps_max))
        return made

    def run(self) -> Answer:
        encoding = self.encoding(1)
        needed = encoding.layers_needed
        if needed > 1:
            relaxed = self.encoding(0)
            answer = self.ask(relaxed)
            if answer.is_proof:
                return answer
        answer = Answer(unknown="not asked")
        for layers in range(1, min(needed, self.limits.layers_max) + 1):
            if layers > 1:
                encoding = self.encoding(layers)
            answer = self.ask(encoding)
            if answer.run is not None:
                if layers < needed <= self.limits.layers_max:
                    # Only all layers can prove that a run is the least.
                    encoding = self.encoding(needed)
                return self.least(encoding, answer) if self.limits.least else answer
            if answer.unknown:
                return answer
            if encoding.is_complete:
                return answer
        times = min(needed, self.limits.layers_max)
        return Answer(
            unknown=f"nothing found with at most {times} visits to each local state; "
            f"{needed} might be needed",
            note=self.note,
        )

    def ask(self, encoding: Encoding, *more: Any) -> Answer:
        """Solve, replay, and count copies where the replay was short of some."""
        if encoding is not self.asked[0]:
            self.asked = encoding, self.goal(encoding)
        goal = self.asked[1]
        while True:
            steps = encoding.solve([goal, *more], self.limits.seconds, self.limits.effort)
            if steps is None:
                if encoding.counts_exactly:
                    return Answer(note=self.note)
                return Answer(
                    unknown="a violation needs copies of messages; whether a cycle of local "
                    "steps can send as many was not decided",
                    note=self.note,
                )
            if isinstance(steps, str):
                return Answer(unknown=steps, note=self.note)
            outcome = self.replay(steps)
            if isinstance(outcome, Run):
                return Answer(outcome, note=self.note)
            if isinstance(outcome, str):
                return Answer(unknown=outcome, note=self.note)
            if not outcome.short_of:
                return Answer(unknown=self.refusal(encoding), note=self.note)
            counted = sum(encoding.count(envelope) for envelope in outcome.short_of)
            if not counted:
                return Answer(unknown=self.refusal(encoding), note=self.note)

    def replay(self, steps: list[Step]) -> Run | Refused | str:
        outcome = replayed(self.reduced.full, self.reduced, steps, self.prop)
        within = self.limits.within
        if not isinstance(outcome, Run) or within is None:
            return outcome
        if any(within(world) is not None for world in outcome.worlds):
            return "the bound `within` judges several processes together"
        return outcome

    def refusal(self, encoding: Encoding) -> str:
        if encoding.relaxed:
            return "the model walks a cycle in a way that is no run"
        kind = self.reduced.full.tables.network.kind
        return f"a run that a copying network has could not be replayed on an {kind} one"

    def least(self, encoding: Encoding, answer: Answer) -> Answer:
        """The same answer with a run that has the least of what counts; says where it is proved."""
        if self.limits.least == "steps":
            best, proved = self.fewer(encoding, answer, steps_of, encoding.steps_at_most)
            for exact in self.exact(encoding, best):
                if not proved:
                    best, proved = self.fewer(exact, best, steps_of, exact.steps_at_most)
            return replace(best, shortest=proved)
        best, proved = self.fewer(encoding, answer, faults_of, encoding.faults_at_most)
        if best.run is None:
            return best
        faults = faults_of(best.run)
        best, short = self.fewer(
            encoding,
            best,
            steps_of,
            lambda most: encoding.z3.And(
                encoding.steps_at_most(most), encoding.faults_at_most(faults)
            ),
        )
        said = "no run has fewer faults (proved)" if proved else "fewer faults may be enough"
        also = ", or with as many is shorter (proved)" if proved and short else ""
        return replace(best, note=f"{best.note}; {said}{also}")

    def exact(self, encoding: Encoding, best: Answer) -> Iterator[Encoding]:
        """Formulas in which every run that is shorter has a place, where they are not too large.

        That may be in more layers than were allowed: but they are of bounded walks.
        """
        steps = 0 if best.run is None else steps_of(best.run) - 1
        arcs = sum(len(graph.edges) for graph in self.reduced.closure.graphs)
        if encoding.layers_needed <= steps and not encoding.is_complete:
            yield self.encoding(encoding.layers_needed)
        if 0 < steps <= _ARCS_MAX / arcs - 1:
            yield Encoding(self.reduced.closure, steps=steps, clock=self.limits.clock)

    def fewer(
        self,
        encoding: Encoding,
        best: Answer,
        measure: Callable[[Run], int],
        at_most: Callable[[int], Any],
    ) -> tuple[Answer, bool]:
        """A run of the least measure, as far as the time goes, and whether that is proved."""
        while best.run is not None:
            most = measure(best.run) - 1
            other = self.ask(encoding, at_most(most))
            if other.run is None:
                return best, other.is_proof and encoding.is_complete
            if measure(other.run) <= most:
                best = other
            elif not self.count_copies(encoding, other.run):
                break
        return best, False

    def count_copies(self, encoding: Encoding, run: Run) -> bool:
        """Count the messages of which a run has copies made, as these are steps too."""
        tables = self.reduced.full.tables
        copied = {str(choice) for choice in run.schedule if choice.kind is Kind.DUPLICATE}
        counted = False
        for envelope in sorted(encoding.useful):
            of = tables.envelopes.values[envelope]
            route = tables.names[of.source], tables.names[of.target]
            choice = Choice(Kind.DUPLICATE, route[1], route[0], of.text)
            counted |= str(choice) in copied and encoding.count(envelope)
        return counted


def steps_of(run: Run) -> int:
    """How many steps a run has."""
    return len(run.schedule)


def faults_of(run: Run) -> int:
    """How many of them are faults."""
    return sum(choice.is_fault for choice in run.schedule)
