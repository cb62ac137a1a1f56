"""Question: whether a run of one closure ends in a world that is wrong; the shortest such run."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from happysim.core.choice import Choice, Kind
from happysim.core.world import World
from happysim.search.schedule import Run
from happysim.smt.boxes import Box, Judged, Reader
from happysim.smt.closure import RAISED, Closure
from happysim.smt.encoding import Encoding, Step
from happysim.smt.reduce import Marks, Reduced, reduce
from happysim.smt.replay import Refused, replayed
from happysim.smt.solver import Effort
from happysim.smt.symmetry import representatives, swaps
from happysim.spec.property import Property, Sort

# Up to so many judgements a property is asked before the solver is; with more, in turns.
_EVALUATIONS_MAX = 100_000
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


class WrongStep(NamedTuple):
    """A local step that is wrong where the other processes are in the box."""

    slot: int
    source: int
    target: int
    box: Box


def ask(closure: Closure, prop: Property, limits: Limits) -> Answer:
    """Whether a run breaks (or reaches) an `always`, `step_always` or `reachable` property.

    Raises `NotCoveredError` where it reads more than local states.
    """
    reader = Reader(closure.tables, prop.judge, limits.deadline)
    if prop.sort is Sort.STEP_ALWAYS:
        answer = _ask_steps(closure, prop, reader, limits)
    else:
        wrong = wrong_boxes(reader.boxes(closure.space))
        if wrong is None:
            answer = _ask_in_turns(closure, prop, reader, limits)
        else:
            answer = _ask_boxes(closure, prop, wrong, limits)
    answer.evaluations = reader.evaluations
    return answer


def wrong_boxes(judgements: Iterator[Judged]) -> list[Box] | None:
    """The boxes that are wrong; None where there are too many judgements to make."""
    wrong = []
    for number, judged in enumerate(judgements):
        if number >= _EVALUATIONS_MAX:
            return None
        if judged.wrong is not None:
            wrong.append(judged.box)
    return wrong


def ask_raises(closure: Closure, prop: Property, limits: Limits) -> Answer:
    """Whether a run leads to a handler that raises."""
    if not any(edge.target == RAISED for graph in closure.graphs for edge in graph.edges):
        return Answer(note="no handler raises in any local state")
    marks: Marks = [[] for _ in closure.graphs]
    reduced = reduce(closure, marks, raising=True)
    return _Search(reduced, prop, limits, lambda encoding: encoding.raises()).run()


def _ask_boxes(closure: Closure, prop: Property, wrong: list[Box], limits: Limits) -> Answer:
    if not wrong:
        return Answer(note="no combination of local states is wrong")
    boxes = representatives(wrong, swaps(closure))
    marks = _marks(closure, boxes)

    def goal(encoding: Encoding) -> Any:
        return encoding.z3.Or([encoding.ends_in(box) for box in boxes])

    return _Search(reduce(closure, marks), prop, limits, goal).run()


def _marks(closure: Closure, boxes: list[Box]) -> Marks:
    """Per process, the sets of local states that the boxes ask about."""
    marks = []
    for slot, every in enumerate(closure.space):
        sets = dict.fromkeys(frozenset(box[slot]) for box in boxes)
        marks.append([each for each in sets if len(each) < len(every)])
    return marks


def _ask_steps(closure: Closure, prop: Property, reader: Reader, limits: Limits) -> Answer:
    twice = Reader(closure.tables, lambda world: reader.ask(world, world), limits.deadline)
    idle = wrong_boxes(twice.boxes(closure.space))
    if idle is None or (idle and not _ask_boxes(closure, prop, idle, limits).is_proof):
        # A drop, for instance, or a delivery that only sends.
        return Answer(unknown="it may be broken by a step that changes no node")
    wrong = wrong_steps(closure, reader)
    if wrong is None:
        return Answer(unknown="it reads too many combinations of local states")
    if not wrong:
        return Answer(note="no local step is wrong")
    marks = [list(each) for each in _marks(closure, [step.box for step in wrong])]
    for step in wrong:
        for state in (step.source, step.target):
            marks[step.slot].append(frozenset({state}))

    def goal(encoding: Encoding) -> Any:
        z3 = encoding.z3
        return z3.Or(
            [
                z3.And(encoding.last_step(s.slot, s.source, s.target), encoding.ends_in(s.box))
                for s in wrong
            ]
        )

    unique = [list(dict.fromkeys(each)) for each in marks]
    return _Search(reduce(closure, unique), prop, limits, goal).run()


def wrong_steps(closure: Closure, reader: Reader) -> list[WrongStep] | None:
    """The local steps that are wrong, and where the others are then; None for too many."""
    wrong: list[WrongStep] = []
    for slot, graph in enumerate(closure.graphs):
        vertices = graph.vertices
        pairs = dict.fromkeys(
            (vertices[edge.source].state, vertices[edge.target].state)
            for edge in graph.edges
            if edge.target != RAISED
        )
        for source, target in pairs:
            if source == target:
                continue
            space = (*closure.space[:slot], (target,), *closure.space[slot + 1 :])
            boxes = wrong_boxes(reader.boxes(space, (slot, source)))
            if boxes is None or reader.evaluations > 2 * _EVALUATIONS_MAX:
                return None
            wrong += [WrongStep(slot, source, target, box) for box in boxes]
    return wrong


def _ask_in_turns(closure: Closure, prop: Property, reader: Reader, limits: Limits) -> Answer:
    """Ask the solver for a run to any combination not judged yet, and the property about it.

    Each judgement rules out every combination that agrees on what was read. That needs a formula in
    which a process ends in one state only, so not the relaxed one. Once there is a counterexample
    only runs that are shorter are asked for.
    """
    marks = [[frozenset({state}) for state in states] for states in closure.space]
    turns = _Turns(_Search(reduce(closure, marks), prop, limits, lambda e: e.z3.BoolVal(True)))
    while limits.seconds > 0:
        steps = turns.solve()
        if steps is None:
            return turns.last()
        if isinstance(steps, str):
            return turns.best or Answer(unknown=steps)
        judged = reader.box_around(closure.space, turns.encoding.ends(steps))
        if judged.wrong is not None:
            # Wrong, so worth a search of its own.
            answer = _ask_boxes(closure, prop, [judged.box], limits)
            if answer.unknown or (answer.run is not None and limits.least != "steps"):
                return turns.best or replace(answer, shortest=False)
            turns.note(answer)
        turns.rule_out(judged.box)
    return turns.best or Answer(
        unknown=f"the time ran out after {reader.evaluations:,} combinations"
    )


class _Turns:
    """The formula of runs to what was not judged yet, and the shortest run that breaks."""

    def __init__(self, search: _Search) -> None:
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
            shorter = [encoding.steps_at_most(_steps(self.best.run) - 1)]
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
        if self.best is None or self.best.run is None or _less(answer.run, self.best.run):
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


class _Search:
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
            best, proved = self.fewer(encoding, answer, _steps, encoding.steps_at_most)
            for exact in self.exact(encoding, best):
                if not proved:
                    best, proved = self.fewer(exact, best, _steps, exact.steps_at_most)
            return replace(best, shortest=proved)
        best, proved = self.fewer(encoding, answer, _faults, encoding.faults_at_most)
        if best.run is None:
            return best
        faults = _faults(best.run)
        best, short = self.fewer(
            encoding,
            best,
            _steps,
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
        steps = 0 if best.run is None else _steps(best.run) - 1
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


def _steps(run: Run) -> int:
    return len(run.schedule)


def _less(one: Run, other: Run) -> bool:
    return _steps(one) < _steps(other)


def _faults(run: Run) -> int:
    return sum(choice.is_fault for choice in run.schedule)
