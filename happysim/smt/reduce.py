"""Reduce: smaller graphs that answer the same questions.

Two reductions, each exact for the questions asked:
- a step is left out where nothing that matters can come of it: no message that some remaining step
  receives, and no local state that is asked about;
- local states that no question tells apart, and that take the same steps to such states again, are
  one (bisimulation, Paige and Tarjan 1987), so that a field nobody acts on costs nothing.

A path of a reduced graph is one of the full graph: `lift` finds it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from happysim.core.choice import Kind
from happysim.smt.closure import RAISED, Closure, Edge, Graph

# Per process: the sets of local states that are asked about. States that are in the same ones may
# become one.
Marks = Sequence[Sequence[frozenset[int]]]


@dataclass
class Reduced:
    """A closure of fewer vertices, and which of them each full vertex became (-1: none)."""

    closure: Closure
    full: Closure
    became: list[list[int]]

    def __post_init__(self) -> None:
        self._leaving: list[dict[int, list[Edge]]] = []
        for graph in self.full.graphs:
            leaving: dict[int, list[Edge]] = {}
            for edge in graph.edges:
                leaving.setdefault(edge.source, []).append(edge)
            self._leaving.append(leaving)

    def without(
        self, kept: Sequence[list[Edge]], marks: Marks, *, raising: bool = False
    ) -> Reduced:
        """The same with those edges alone, and reduced again, for the same questions.

        A path in it is still one of the full graph: vertices that became one take the same steps
        that were kept, and each of these is a step of every full vertex that they stand for.
        """
        graphs = [
            replace(graph, edges=edges)
            for graph, edges in zip(self.closure.graphs, kept, strict=True)
        ]
        again = reduce(replace(self.closure, graphs=graphs), marks, raising=raising)
        became = [
            [classes[vertex] for vertex in own]
            for classes, own in zip(again.became, self.became, strict=True)
        ]
        return Reduced(again.closure, self.full, became)

    def lift(self, slot: int, at: int, edge: Edge) -> Edge:
        """The step of the full graph, from full vertex `at`, that a reduced edge stands for."""
        became = self.became[slot]
        for full in self._leaving[slot].get(at, ()):
            target = full.target if full.target == RAISED else became[full.target]
            same = (full.receives, full.cost) == (edge.receives, edge.cost)
            if same and target == edge.target and not Counter(edge.sends) - Counter(full.sends):
                return full
        raise AssertionError("a reduced graph has a step that its full graph does not have")


def reduce(closure: Closure, marks: Marks, *, raising: bool = False) -> Reduced:
    """The closure reduced to what decides whether marked states, or (`raising`) errors, occur."""
    kept = [list(graph.edges) for graph in closure.graphs]
    before = -1
    while before != sum(map(len, kept)):
        before = sum(map(len, kept))
        useful = {edge.receives for edges in kept for edge in edges} - {-1}
        kept = [
            _pruned(
                graph, edges, useful, marks[slot], raising, graph.is_down(closure.tables, slot, 0)
            )
            for slot, (graph, edges) in enumerate(zip(closure.graphs, kept, strict=True))
        ]
    graphs, became = [], []
    for slot, (graph, edges) in enumerate(zip(closure.graphs, kept, strict=True)):
        made, classes = _quotient(closure, slot, graph, edges, useful, marks[slot])
        graphs.append(made)
        became.append(classes)
    return Reduced(replace(closure, graphs=graphs), closure, became)


def _pruned(
    graph: Graph,
    edges: list[Edge],
    useful: set[int],
    marked: Sequence[frozenset[int]],
    raising: bool,
    is_down: bool,
) -> list[Edge]:
    """The edges from which something that matters can still come.

    Where a process is down at first (`is_down`), that it restarts may be what lets others crash.
    """
    into: dict[int, list[int]] = {}
    for edge in edges:
        into.setdefault(edge.target, []).append(edge.source)
    matters = {
        v for v, vertex in enumerate(graph.vertices) if any(vertex.state in m for m in marked)
    }
    if is_down:
        matters |= {edge.target for edge in edges if edge.choice.kind is Kind.RESTART}
    for edge in edges:
        if not useful.isdisjoint(edge.sends) or (raising and edge.target == RAISED):
            matters.add(edge.source)
    waiting = list(matters)
    while waiting:
        for source in into.get(waiting.pop(), ()):
            if source not in matters:
                matters.add(source)
                waiting.append(source)
    return [
        edge
        for edge in edges
        if not useful.isdisjoint(edge.sends)
        or (edge.target in matters and edge.source != edge.target)
        or (raising and edge.target == RAISED)
    ]


def _quotient(
    closure: Closure,
    slot: int,
    graph: Graph,
    edges: list[Edge],
    useful: set[int],
    marked: Sequence[frozenset[int]],
) -> tuple[Graph, list[int]]:
    """Vertices that no question tells apart become one, the first of them in its place."""
    steps: list[list[tuple[int, tuple[int, ...], int, int]]] = [[] for _ in graph.vertices]
    for edge in edges:
        sends = tuple(sorted(e for e in edge.sends if e in useful))
        steps[edge.source].append((edge.receives, sends, edge.cost, edge.target))
    labels: list[Any] = [
        (graph.is_down(closure.tables, slot, at), tuple(vertex.state in mark for mark in marked))
        for at, vertex in enumerate(graph.vertices)
    ]
    classes, count = _numbered(labels)
    while True:
        signatures = []
        for at, own in enumerate(classes):
            told = set()
            for receives, sends, cost, target in steps[at]:
                to = target if target == RAISED else classes[target]
                if sends or cost or to != own:
                    told.add((receives, sends, cost, to))
            signatures.append((own, frozenset(told)))
        classes, more = _numbered(signatures)
        if more == count:
            break
        count = more
    return _of_classes(graph, edges, useful, classes), classes


def _numbered(values: list[Any]) -> tuple[list[int], int]:
    """Numbers for values, equal for equal ones, in order of first sight."""
    numbers: dict[Any, int] = {}
    return [numbers.setdefault(value, len(numbers)) for value in values], len(numbers)


def _of_classes(graph: Graph, edges: list[Edge], useful: set[int], classes: list[int]) -> Graph:
    made = Graph(graph.name)
    for at, vertex in enumerate(graph.vertices):
        if classes[at] == len(made.vertices):
            made.vertices.append(vertex)
    seen: dict[tuple[Any, ...], None] = {}
    for edge in edges:
        source = classes[edge.source]
        target = RAISED if edge.target == RAISED else classes[edge.target]
        sends = tuple(sorted(e for e in edge.sends if e in useful))
        key = source, target, edge.receives, sends, edge.cost
        if key in seen or (source == target and not sends and not edge.cost):
            continue
        seen[key] = None
        made.edges.append(edge._replace(source=source, target=target, sends=sends))
    _drop_unreachable(made)
    return made


def _drop_unreachable(graph: Graph) -> None:
    """Leave out edges that start where no path leads."""
    after: dict[int, list[int]] = {}
    for edge in graph.edges:
        after.setdefault(edge.source, []).append(edge.target)
    reached, waiting = {0}, [0]
    while waiting:
        for target in after.get(waiting.pop(), ()):
            if target not in reached:
                reached.add(target)
                waiting.append(target)
    graph.edges[:] = [edge for edge in graph.edges if edge.source in reached]
