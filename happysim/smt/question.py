"""Question: whether a run of one closure ends in a world that is wrong, as a property has it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from happysim.smt.asked import Answer, Asked, Limits
from happysim.smt.boxes import Box, Judged, Reader
from happysim.smt.closure import RAISED, Closure, Graph
from happysim.smt.encoding import Encoding
from happysim.smt.goal import Search
from happysim.smt.reduce import Marks
from happysim.smt.symmetry import representatives, swaps
from happysim.smt.turns import Turns
from happysim.smt.unroll import components
from happysim.spec.property import Property, Sort

# Up to so many judgements a property is asked before the solver is; with more, in turns.
_EVALUATIONS_MAX = 100_000


class WrongStep(NamedTuple):
    """A local step that is wrong where the other processes are in the box."""

    slot: int
    source: int
    target: int
    box: Box


def ask(closure: Closure, prop: Property, limits: Limits, best: Answer | None = None) -> Answer:
    """Whether a run breaks (or reaches) an `always`, `step_always` or `reachable` property.

    `best` has a run that does, and may not be the shortest.
    Raises `NotCoveredError` where it reads more than local states.
    """
    reader = Reader(closure.tables, prop.judge, limits.deadline)
    if prop.sort is Sort.STEP_ALWAYS:
        answer = _ask_steps(closure, prop, reader, limits, best)
    else:
        wrong = wrong_boxes(reader.boxes(closure.space))
        if wrong is None:
            answer = _ask_in_turns(closure, prop, reader, limits, best)
        else:
            answer = _ask_boxes(closure, prop, wrong, limits, best)
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


def ask_raises(
    closure: Closure, prop: Property, limits: Limits, best: Answer | None = None
) -> Answer:
    """Whether a run leads to a handler that raises."""
    if not any(edge.target == RAISED for graph in closure.graphs for edge in graph.edges):
        return Answer(note="no handler raises in any local state")
    marks: Marks = [[] for _ in closure.graphs]
    asked = Asked(lambda encoding: encoding.raises(), marks, raising=True)
    return Search(closure, prop, limits, asked, best).run()


def _ask_boxes(
    closure: Closure, prop: Property, wrong: list[Box], limits: Limits, best: Answer | None = None
) -> Answer:
    if not wrong:
        return Answer(note="no combination of local states is wrong")
    boxes = representatives(wrong, swaps(closure))
    marks = _marks(closure, boxes)

    def goal(encoding: Encoding) -> Any:
        return encoding.z3.Or([encoding.ends_in(box) for box in boxes])

    return Search(closure, prop, limits, Asked(goal, marks, boxes), best).run()


def _marks(closure: Closure, boxes: list[Box]) -> Marks:
    """Per process, the sets of local states that the boxes ask about."""
    marks = []
    for slot, every in enumerate(closure.space):
        sets = dict.fromkeys(frozenset(box[slot]) for box in boxes)
        marks.append([each for each in sets if len(each) < len(every)])
    return marks


def _ask_steps(
    closure: Closure, prop: Property, reader: Reader, limits: Limits, best: Answer | None
) -> Answer:
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
    asked = Asked(goal, unique, [step.box for step in wrong])
    return Search(_with_ends(closure, wrong), prop, limits, asked, best).run()


def _with_ends(closure: Closure, wrong: list[WrongStep]) -> Closure:
    """The closure in which a walk may end with a wrong step, also with one that it took before.

    Walks are unrolled as far as their ends and what they send need it, and for these no walk has to
    come back to where it was. So a step in a cycle leads to a vertex of its own as well, which has
    no steps.
    """
    graphs = []
    for slot, graph in enumerate(closure.graphs):
        steps = {(step.source, step.target) for step in wrong if step.slot == slot}
        made = Graph(graph.name, list(graph.vertices), list(graph.edges))
        component = components(graph)
        for edge in graph.edges:
            if edge.target == RAISED or component[edge.source] != component[edge.target]:
                continue
            source, target = graph.vertices[edge.source], graph.vertices[edge.target]
            if (source.state, target.state) in steps:
                made.edges.append(edge._replace(target=len(made.vertices)))
                made.vertices.append(target)
        graphs.append(made)
    return replace(closure, graphs=graphs)


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


def _ask_in_turns(
    closure: Closure, prop: Property, reader: Reader, limits: Limits, best: Answer | None
) -> Answer:
    """Ask the solver for a run to any combination not judged yet, and the property about it.

    Each judgement rules out every combination that agrees on what was read. That needs a formula in
    which a process ends in one state only, so not the relaxed one. Once there is a counterexample
    only runs that are shorter are asked for.
    """
    marks = [[frozenset({state}) for state in states] for states in closure.space]
    turns = Turns(Search(closure, prop, limits, Asked(lambda e: e.z3.BoolVal(True), marks)), best)
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
                # What is said of its faults was asked of these combinations alone.
                return turns.best or replace(answer, shortest=False, faults="")
            turns.note(answer)
        turns.rule_out(judged.box)
    return turns.best or Answer(
        unknown=f"the time ran out after {reader.evaluations:,} combinations"
    )
