"""Combinations: questions about all local states at once, and about one step from them.

One boolean a vertex, of which exactly one holds a process. No path and no time: any combination may
be asked about, reachable or not, but for those that are excluded.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from happysim.smt.boxes import Box, TooLargeError
from happysim.smt.closure import RAISED, Closure, Edge, counted_max
from happysim.smt.question import WrongStep
from happysim.smt.solver import Effort, fresh_z3


class Found(NamedTuple):
    """Local states, one a process, and a step from there: by `slot`, to the local state `after`.

    `edge` is None where only a world was asked for, `after` where the step raises.
    """

    states: tuple[int, ...]
    slot: int = -1
    edge: Edge | None = None
    after: int | None = None


class Combinations:
    """The solver for one closure. Raises `TooLargeError` where the time runs out."""

    def __init__(self, closure: Closure, deadline: float) -> None:
        self.closure, self.deadline = closure, deadline
        self.z3 = z3 = fresh_z3()
        self.solver = z3.SimpleSolver()
        self.at = [
            [z3.Bool(f"v{slot}.{vertex}") for vertex in range(len(graph.vertices))]
            for slot, graph in enumerate(closure.graphs)
        ]
        for vertices in self.at:
            self.solver.add(z3.Or(vertices))
            if len(vertices) > 1:
                self.solver.add(z3.AtMost(*vertices, 1))
        self._inside: dict[tuple[int, tuple[int, ...]], Any] = {}
        self._sent: dict[int, frozenset[int] | None] = {}
        self._budget()

    def _budget(self) -> None:
        """No more crashes, and full disks, in all than there is budget for."""
        budget = counted_max(self.closure.ledger)
        counted = [
            (at, vertex.crashes)
            for slot, graph in enumerate(self.closure.graphs)
            for at, vertex in zip(self.at[slot], graph.vertices, strict=True)
            if vertex.crashes
        ]
        if counted and not math.isinf(budget):
            self.solver.add(self.z3.PbLe(counted, int(budget)))

    # -- parts of a formula ----------------------------------------------------------------------

    def _in(self, slot: int, states: tuple[int, ...]) -> Any:
        """The process is in one of these local states; None where that is no condition."""
        key = slot, states
        if key not in self._inside:
            wanted = set(states)
            vertices = self.closure.graphs[slot].vertices
            ways = [
                at
                for at, vertex in zip(self.at[slot], vertices, strict=True)
                if vertex.state in wanted
            ]
            self._inside[key] = None if len(ways) == len(vertices) else self._named(ways)
        return self._inside[key]

    def _named(self, ways: Sequence[Any]) -> Any:
        name = self.z3.FreshBool()
        self.solver.add(name == self.z3.Or(ways))
        return name

    def _conditions(self, box: Box, but: int = -1) -> list[Any]:
        conditions = [self._in(slot, states) for slot, states in enumerate(box) if slot != but]
        return [each for each in conditions if each is not None]

    def exclude(self, boxes: Iterable[Box]) -> None:
        """Leave these combinations out of every question."""
        z3 = self.z3
        for box in boxes:
            self.solver.add(z3.Or([z3.Not(each) for each in self._conditions(box)]))

    def _behind_sending(self, envelope: int) -> frozenset[int] | None:
        """The vertices of its sender behind a step that sends a message; None: in flight at first.

        A sender never leaves them, for they are closed under its steps.
        """
        if envelope not in self._sent:
            closure = self.closure
            graph = closure.graphs[closure.tables.envelopes.values[envelope].source]
            waiting = [e.target for e in graph.edges if envelope in e.sends and e.target != RAISED]
            after: dict[int, list[int]] = {}
            for edge in graph.edges:
                if edge.target != RAISED:
                    after.setdefault(edge.source, []).append(edge.target)
            behind = set(waiting)
            while waiting:
                for target in after.get(waiting.pop(), ()):
                    if target not in behind:
                        behind.add(target)
                        waiting.append(target)
            self._sent[envelope] = None if envelope in closure.first else frozenset(behind)
        return self._sent[envelope]

    def _enabled(self, slot: int, edge: Edge) -> Any:
        """A step may be taken here; None where it never may."""
        z3, here = self.z3, self.at[slot][edge.source]
        if edge.receives < 0:
            return here
        behind = self._behind_sending(edge.receives)
        if behind is None:
            return here
        sender = self.closure.tables.envelopes.values[edge.receives].source
        if sender == slot:
            return here if edge.source in behind else None
        key = sender, (-1, edge.receives)
        if key not in self._inside:
            self._inside[key] = self._named([self.at[sender][v] for v in sorted(behind)])
        return z3.And(here, self._inside[key])

    # -- questions -------------------------------------------------------------------------------

    def world_in(self, boxes: Sequence[Box]) -> Found | None:
        """A combination in one of the boxes."""
        z3 = self.z3
        model = self._solve([z3.And(self._conditions(box)) for box in boxes])
        return None if model is None else Found(self._states(model))

    def step_into(self, boxes: Sequence[Box]) -> Found | None:
        """A step from a combination that is not excluded to one in the boxes, which are."""
        ways = []
        for slot, graph in enumerate(self.closure.graphs):
            states = [vertex.state for vertex in graph.vertices]
            entering: dict[tuple[int, ...], list[Edge]] = {}
            for box in boxes:
                inside = set(box[slot])
                if box[slot] not in entering:
                    # From inside, the combination before the step would lie in the box as well.
                    entering[box[slot]] = [
                        edge
                        for edge in graph.edges
                        if edge.target != RAISED
                        and states[edge.target] in inside
                        and states[edge.source] not in inside
                    ]
                if entering[box[slot]]:
                    ways.append((slot, entering[box[slot]], self._conditions(box, slot)))
        return self._step(ways)

    def step_of(self, steps: Sequence[WrongStep]) -> Found | None:
        """A step from one given local state to another, with the others in the box."""
        ways = []
        for wrong in steps:
            graph = self.closure.graphs[wrong.slot]
            states = [vertex.state for vertex in graph.vertices]
            edges = [
                edge
                for edge in graph.edges
                if edge.target != RAISED
                and (states[edge.source], states[edge.target]) == (wrong.source, wrong.target)
            ]
            ways.append((wrong.slot, edges, self._conditions(wrong.box, wrong.slot)))
        return self._step(ways)

    def raising(self) -> Found | None:
        """A step that raises."""
        ways: list[tuple[int, list[Edge], list[Any]]] = [
            (slot, [edge for edge in graph.edges if edge.target == RAISED], [])
            for slot, graph in enumerate(self.closure.graphs)
        ]
        return self._step(ways)

    def _step(self, ways: Sequence[tuple[int, list[Edge], list[Any]]]) -> Found | None:
        z3 = self.z3
        named: dict[tuple[int, tuple[Edge, ...]], Any] = {}
        choices = []
        for slot, edges, conditions in ways:
            key = slot, tuple(edges)
            if key not in named:
                enabled = [self._enabled(slot, edge) for edge in edges]
                named[key] = self._named([each for each in enabled if each is not None])
            choices.append(z3.And(named[key], *conditions))
        model = self._solve(choices)
        if model is None:
            return None
        for (slot, edges, _), choice in zip(ways, choices, strict=True):
            if not z3.is_true(model.eval(choice, model_completion=True)):
                continue
            for edge in edges:
                enabled = self._enabled(slot, edge)
                if enabled is not None and z3.is_true(model.eval(enabled, model_completion=True)):
                    return self._found(model, slot, edge)
        raise AssertionError("a model of a step takes none")

    def _found(self, model: Any, slot: int, edge: Edge) -> Found:
        vertices = self.closure.graphs[slot].vertices
        after = None if edge.target == RAISED else vertices[edge.target].state
        return Found(self._states(model), slot, edge, after)

    def _states(self, model: Any) -> tuple[int, ...]:
        z3 = self.z3
        return tuple(
            next(
                vertex.state
                for at, vertex in zip(self.at[slot], graph.vertices, strict=True)
                if z3.is_true(model.eval(at, model_completion=True))
            )
            for slot, graph in enumerate(self.closure.graphs)
        )

    def _solve(self, ways: Sequence[Any]) -> Any:
        """A model in which one of the ways is true; None where there is none."""
        if not ways:
            return None
        self.solver.push()
        try:
            self.solver.add(self.z3.Or(ways))
            found = Effort().ask(self.solver, self.deadline - time.perf_counter())
            if isinstance(found, str):
                raise TooLargeError(found)
            if not found:
                return None
            return self.solver.model()
        finally:
            self.solver.pop()
