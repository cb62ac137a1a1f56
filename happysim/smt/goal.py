"""Goal: a run of one closure that ends where a formula says; the shortest, where it is proved."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, NamedTuple

from happysim.core.choice import Choice, Kind
from happysim.search.schedule import Run
from happysim.smt.asked import Answer, Asked, Limits
from happysim.smt.closure import Closure
from happysim.smt.encoding import Encoding, Step, pairs_to_count
from happysim.smt.reach import least_steps, unroll_reach, within_reach
from happysim.smt.reduce import Reduced, reduce
from happysim.smt.replay import Refused, replayed
from happysim.smt.solver import LATE, SPENT, Effort
from happysim.smt.unroll import layers_needed
from happysim.spec.property import Property

# A formula of short runs may have so many arcs, unrolled.
_ARCS_MAX = 20_000
# The solver's effort, in turns: for a formula of all runs, and for those of ever longer runs. The
# one has most of the proofs, the others most counterexamples, and nobody knows which it will be.
_EFFORT_WHOLE, _EFFORT_SHORT, _FACTOR = 60_000_000, 20_000_000, 4
# To make a formula of short runs is work as well: about so much for each edge that is looked at,
# for each arc that it has, and for each two of its steps of which one has to know of the other,
# since they send or take a message that is counted. A second has about so much of it.
_EFFORT_EDGE, _EFFORT_ARC, _EFFORT_PAIR, _EFFORT_SECOND = 2_000, 7_000, 300, 10_000_000
# Where the formula of all runs has said what it can, short runs are looked for in so much more.
_EFFORT_AFTER = 20_000_000


class Formula(NamedTuple):
    """An encoding, the reduced closure that it is of, and the goal in its terms."""

    encoding: Encoding
    reduced: Reduced
    goal: Any


class Search:
    """One question about one closure: of all runs, and of ever longer ones, in turns.

    All runs at once: relaxed first, then in ever more layers. `best` is a run that is known; then
    only shorter ones are looked for.
    """

    def __init__(
        self,
        closure: Closure,
        prop: Property,
        limits: Limits,
        asked: Asked,
        best: Answer | None = None,
    ) -> None:
        self.reduced = reduce(closure, asked.marks, raising=asked.raising)
        self.prop, self.limits, self.asked, self.best = prop, limits, asked, best
        sizes = "+".join(str(size) for size in closure.sizes)
        small = "+".join(str(size) for size in self.reduced.closure.sizes)
        self.note = f"{sizes} local states, {small} after reduction"
        self.layers_needed = layers_needed(self.reduced.closure.graphs)
        # The formulas of all runs that are still to be asked: relaxed (0), and in so many layers.
        self.layers = [*([0] if self.layers_needed > 1 else []), *range(1, self.layers_most + 1)]
        self.formula: Formula | None = None
        self.short: tuple[int, Formula] | None = None
        # How large the last formula of short runs was.
        self.arcs = 0
        # The messages whose copies some model had too many of, so that they are counted at once.
        self.counted: dict[int, None] = {}
        # No run of so many steps, or fewer, does it: proved.
        self.excluded = -1.0

    @property
    def is_whole(self) -> bool:
        """True where the closure holds every run that is asked about, however long."""
        steps_max = self.limits.steps_max
        return self.reduced.full.rounds >= (math.inf if steps_max is None else steps_max)

    @property
    def layers_most(self) -> int:
        """The most layers that are needed, or allowed."""
        return min(self.layers_needed, self.limits.layers_max)

    # -- formulas --------------------------------------------------------------------------------

    def all_runs(self, layers: int) -> Formula:
        """The formula of all runs in so many layers (0: relaxed), within the bound on steps."""
        made = Encoding(self.reduced.closure, layers=layers, clock=self.limits.clock)
        if self.limits.steps_max is not None:
            made.solver.add(made.steps_at_most(self.limits.steps_max))
        return Formula(made, self.reduced, self.asked.goal(made))

    def runs_of(self, most: int, effort: Effort) -> Formula | str | None:
        """The formula of runs of so many steps; None where there is none.

        A text says that it is too large for the effort, for the time, or for any.
        """
        if self.short is not None and self.short[0] == most:
            return self.short[1]
        reduced, asked = self.reduced, self.asked
        edges = math.inf
        while (left := sum(len(graph.edges) for graph in reduced.closure.graphs)) < edges:
            edges = left
            kept = within_reach(reduced.closure, asked.ends_of(reduced.closure), most)
            if kept is None:
                return None
            reduced = reduced.without(kept, asked.marks, raising=asked.raising)
        reach = unroll_reach(reduced.closure, asked.ends_of(reduced.closure), most)
        if reach is None:
            return None
        arcs = [arc for each in reach for arc in each.arcs]
        self.arcs = len(arcs)
        if self.arcs > _ARCS_MAX:
            return f"runs of {most} steps are too many"
        pairs = sum(pairs_to_count(arcs, envelope) for envelope in self.counted)
        if why := self.too_much(_EFFORT_ARC * self.arcs + _EFFORT_PAIR * pairs, effort):
            return why
        made = Encoding(reduced.closure, reach=reach, clock=self.limits.clock)
        for envelope in self.counted:
            made.count(envelope)
        formula = Formula(made, reduced, asked.goal(made))
        self.short = most, formula
        return formula

    def too_much(self, work: int, effort: Effort) -> str:
        """Take work off the effort; why it is not to be done, or nothing."""
        effort.spend(work)
        if effort.is_spent:
            return SPENT
        return LATE if work > _EFFORT_SECOND * self.limits.seconds else ""

    # -- the search ------------------------------------------------------------------------------

    def run(self) -> Answer:
        """The answer. A run is the shortest, or has the fewest faults, as `least` has it."""
        answer = self.best or self.first()
        if answer.run is None or not self.limits.least:
            return answer
        if self.limits.least == "faults":
            return self.gentlest(answer)
        return answer if answer.shortest else self.shortest(answer)

    def first(self) -> Answer:
        """A run, a proof that there is none, or why neither."""
        whole, short = _EFFORT_WHOLE, _EFFORT_SHORT
        while True:
            answer = self.ask_all_runs(self.limits.effort.portion(whole))
            if answer.run is not None or answer.is_proof:
                return answer
            is_spent = answer.unknown == SPENT
            effort = short if is_spent else _EFFORT_AFTER
            other = self.ask_ever_longer(self.limits.effort.portion(effort))
            if other.run is not None or other.is_proof:
                return other
            if self.limits.effort.is_spent or self.limits.seconds <= 0:
                return answer
            if whole == _EFFORT_WHOLE and (searched := self.limits.search()) is not None:
                return searched
            if not is_spent:
                return answer
            whole, short = _FACTOR * whole, _FACTOR * short

    def ask_all_runs(self, effort: Effort) -> Answer:
        """What the formulas of all runs say, from where the last portion of effort was spent."""
        for layers in list(self.layers):
            formula = self.formula_in(layers)
            encoding = formula.encoding
            answer = self.ask(formula, effort)
            if answer.unknown == SPENT or self.limits.seconds <= 0:
                return answer
            if answer.run is not None or (answer.unknown and layers):
                return answer
            if answer.is_proof and (encoding.is_complete or encoding.relaxed):
                return answer
            if layers < self.layers[-1]:
                self.layers.remove(layers)
        return Answer(
            unknown=f"nothing found with at most {self.layers[-1]} visits to each local state; "
            f"{self.layers_needed} might be needed",
            note=self.note,
        )

    def formula_in(self, layers: int) -> Formula:
        """The formula of all runs in so many layers, made once."""
        formula = self.formula
        if formula is None or formula.encoding.layers != layers:
            formula = self.formula = self.all_runs(layers)
        return formula

    def ask_ever_longer(self, effort: Effort) -> Answer:
        """A run of the fewest steps, as all shorter ones are excluded before."""
        if self.excluded < 0:
            closure = self.reduced.closure
            self.excluded = least_steps(closure, self.asked.ends_of(closure)) - 1
        steps_max = self.limits.steps_max
        while self.excluded < (math.inf if steps_max is None else steps_max):
            most = int(self.excluded) + 1
            # The next one will be larger than the last.
            if effort.left is not None and _EFFORT_ARC * self.arcs >= effort.left:
                return Answer(unknown=SPENT, note=self.note)
            answer = self.ask_up_to(most, effort)
            if answer.run is not None:
                return replace(answer, shortest=True)
            if not answer.is_proof:
                return answer
            self.excluded = most
        return Answer(note=self.note)

    def ask_up_to(self, most: int, effort: Effort) -> Answer:
        """A run of at most so many steps, or that there is none."""
        if self.limits.seconds <= 0:
            return Answer(unknown=LATE, note=self.note)
        effort.spend(_EFFORT_EDGE * sum(len(g.edges) for g in self.reduced.closure.graphs))
        formula = self.runs_of(most, effort)
        if formula is None:
            return Answer(note=self.note)
        if isinstance(formula, str):
            return Answer(unknown=formula, note=self.note)
        return self.ask(formula, effort, steps_of, most)

    def ask(
        self,
        formula: Formula,
        effort: Effort,
        measure: Callable[[Run], int] | None = None,
        most: int = 0,
        *more: Any,
    ) -> Answer:
        """Solve, replay, and count copies where the replay was short of some.

        With `measure` a run has at most so many steps, or faults; copies that the network makes are
        both, so they are counted as well.
        """
        encoding = formula.encoding
        measures = [(measure, most)] if measure is not None else []
        if self.limits.steps_max is not None:
            measures.append((steps_of, self.limits.steps_max))
        while True:
            bounds = [
                (encoding.steps_at_most if each is steps_of else encoding.faults_at_most)(bound)
                for each, bound in measures
            ]
            steps = encoding.solve([formula.goal, *bounds, *more], self.limits.seconds, effort)
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
            outcome = self.replay(formula, steps)
            if isinstance(outcome, str):
                return Answer(unknown=outcome, note=self.note)
            if isinstance(outcome, Run):
                if all(each(outcome) <= bound for each, bound in measures):
                    return Answer(outcome, note=self.note)
                outcome = Refused(self.copied(encoding, outcome))
                why = "its copies are more steps"
            else:
                why = self.refusal(encoding)
            if why := self.count(encoding, outcome.short_of, effort, why):
                return Answer(unknown=why, note=self.note)

    def count(
        self, encoding: Encoding, envelopes: Iterable[int], effort: Effort, known: str
    ) -> str:
        """Count the copies of some messages; why that is of no use, or nothing.

        `known` says it where all of them were counted before.
        """
        counted = False
        arcs = [taken.arc for taken in encoding.takes]
        for envelope in envelopes:
            if why := self.too_much(_EFFORT_PAIR * pairs_to_count(arcs, envelope), effort):
                return why
            self.counted[envelope] = None
            counted |= encoding.count(envelope)
        return "" if counted else known

    def replay(self, formula: Formula, steps: list[Step]) -> Run | Refused | str:
        reduced, within = formula.reduced, self.limits.within
        outcome = replayed(reduced.full, reduced, steps, self.prop)
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

    # -- the least -------------------------------------------------------------------------------

    def shortest(self, best: Answer) -> Answer:
        """A run of the fewest steps, as far as the time goes; says whether that is proved."""
        while best.run is not None:
            most = steps_of(best.run) - 1
            if most <= self.excluded:
                return replace(best, shortest=True)
            other = self.ask_up_to(most, self.limits.effort)
            if other.run is None:
                return replace(best, shortest=other.is_proof)
            best = other
        return best

    def gentlest(self, best: Answer) -> Answer:
        """A run of the fewest faults, and of these the shortest, as far as that is proved."""
        formula = self.formula_in(self.layers_most)
        best, proved = self.fewer(formula, best, faults_of)
        if best.run is None:
            return best
        encoding = formula.encoding
        also = encoding.faults_at_most(faults_of(best.run))
        best, short = self.fewer(formula, best, steps_of, also)
        said = "no run has fewer faults (proved)" if proved else "fewer faults may be enough"
        more = ", or with as many is shorter (proved)" if proved and short else ""
        return replace(best, faults=f"{said}{more}", shortest=False)

    def fewer(
        self, formula: Formula, best: Answer, measure: Callable[[Run], int], *more: Any
    ) -> tuple[Answer, bool]:
        """A run of the least measure, as far as the time goes, and whether that is proved."""
        while best.run is not None:
            most = measure(best.run) - 1
            other = self.ask(formula, self.limits.effort, measure, most, *more)
            if other.run is None:
                is_complete = self.is_whole and formula.encoding.is_complete
                return best, other.is_proof and is_complete
            best = other
        return best, False

    def copied(self, encoding: Encoding, run: Run) -> tuple[int, ...]:
        """The messages of which a run has copies made."""
        tables = self.reduced.full.tables
        copied = {str(choice) for choice in run.schedule if choice.kind is Kind.DUPLICATE}
        found = []
        for envelope in encoding.received:
            of = tables.envelopes.values[envelope]
            route = tables.names[of.source], tables.names[of.target]
            choice = Choice(Kind.DUPLICATE, route[1], route[0], of.text)
            if str(choice) in copied:
                found.append(envelope)
        return tuple(found)


def steps_of(run: Run) -> int:
    """How many steps a run has."""
    return len(run.schedule)


def faults_of(run: Run) -> int:
    """How many of them are faults."""
    return sum(choice.is_fault for choice in run.schedule)
