"""Unrolling: a graph with cycles as one without, in which a walk is a path.

A vertex in a cycle is copied into layers, and a walk may move up one layer at a step after which
something new is in flight. Between two such steps a walk that goes round in a circle has gained
nothing, so it may as well be simple. Hence as many layers as the strongly connected component has
messages to send, and one more, lose no walk: that number is the component's `layers_needed`.

A step that leaves its vertex as it was, and sends, is a *loop*. It needs no copy: it can be taken
while the process is there.

Where the copies of messages count, a circle may gain by sending the same once more. That has no end
here; for runs of a bounded number of steps `reach.py` has one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from happysim.smt.closure import RAISED, Edge, Graph


class Arc(NamedTuple):
    """An edge between two copies; a loop where they are one, and `target` may be `RAISED`."""

    edge: Edge
    source: int
    target: int

    @property
    def is_loop(self) -> bool:
        return self.source == self.target


@dataclass
class Unrolled:
    """One process's graph in layers. `vertex[copy]` is the vertex that a copy is of,
    `component[copy]` that vertex's strongly connected component.

    `is_complete` says that no walk is lost. `repeatable` holds the envelopes that the process can
    send any number of times, because a step in a cycle or a loop sends them.
    """

    vertex: list[int] = field(default_factory=list)
    component: list[int] = field(default_factory=list)
    arcs: list[Arc] = field(default_factory=list)
    layers_needed: int = 1
    is_complete: bool = True
    repeatable: set[int] = field(default_factory=set)
    # For each arc, where known: how many steps every process takes in a run with it, at the least.
    floors: list[tuple[int, ...]] = field(default_factory=list)


def unroll(graph: Graph, useful: frozenset[int], layers: int) -> Unrolled:
    """The graph in at most so many layers. `useful` are the envelopes that some step receives."""
    return _Unrolling(graph, useful, layers).run()


def layers_needed(graphs: Sequence[Graph]) -> int:
    """How many layers lose no walk of any process."""
    useful = frozenset(edge.receives for graph in graphs for edge in graph.edges) - {-1}
    return max(unroll(graph, useful, 1).layers_needed for graph in graphs)


class _Unrolling:
    def __init__(self, graph: Graph, useful: frozenset[int], layers: int) -> None:
        self.graph, self.useful, self.layers = graph, useful, layers
        self.component = components(graph)
        self.made = Unrolled()
        self.copies: dict[tuple[int, int], int] = {}
        loops = [edge for edge in graph.edges if edge.source == edge.target]
        # Vertices at which something may be sent without leaving them.
        self.talks = {edge.source for edge in loops if useful & set(edge.sends)}

    def run(self) -> Unrolled:
        made, height = self.made, self._heights()
        made.layers_needed = max(height.values(), default=1)
        made.is_complete = made.layers_needed <= self.layers
        for vertex in range(len(self.graph.vertices)):
            for layer in range(min(self.layers, height.get(self.component[vertex], 1))):
                self.copies[vertex, layer] = len(made.vertex)
                made.vertex.append(vertex)
                made.component.append(self.component[vertex])
        leaving: dict[int, list[Edge]] = {}
        for edge in self.graph.edges:
            leaving.setdefault(edge.source, []).append(edge)
        for (vertex, layer), copy in self.copies.items():
            for edge in leaving.get(vertex, ()):
                self._arcs(edge, layer, copy)
        return made

    def _heights(self) -> dict[int, int]:
        """How many layers each component needs."""
        inner: dict[int, list[Edge]] = {}
        for edge in self.graph.edges:
            if self._stays(edge):
                inner.setdefault(self.component[edge.source], []).append(edge)
                self.made.repeatable.update(edge.sends)
        height = {}
        for which, edges in inner.items():
            sent = {envelope for edge in edges for envelope in edge.sends} & self.useful
            turns = any(edge.source != edge.target for edge in edges)
            height[which] = 1 + len(sent) if turns else 1
        return height

    def _stays(self, edge: Edge) -> bool:
        component = self.component
        return edge.target != RAISED and component[edge.source] == component[edge.target]

    def _arcs(self, edge: Edge, layer: int, copy: int) -> None:
        arcs, stays = self.made.arcs, self._stays(edge)
        if edge.target == RAISED:
            arcs.append(Arc(edge, copy, RAISED))
            return
        arc = Arc(edge, copy, self.copies[edge.target, layer if stays else 0])
        arcs.append(arc)
        above = self.copies.get((edge.target, layer + 1))
        gains = bool(self.useful & set(edge.sends)) or edge.source in self.talks
        if stays and gains and above is not None and edge.source != edge.target:
            arcs.append(Arc(edge, copy, above))


def components(graph: Graph) -> list[int]:  # noqa: PLR0912 - one algorithm, as published
    """For each vertex the number of its strongly connected component (Tarjan 1972)."""
    after: list[list[int]] = [[] for _ in graph.vertices]
    for edge in graph.edges:
        if edge.target != RAISED:
            after[edge.source].append(edge.target)
    order: dict[int, int] = {}
    low: list[int] = [0] * len(after)
    component = [-1] * len(after)
    path: list[int] = []
    found = 0
    for root in range(len(after)):
        if root in order:
            continue
        stack = [(root, 0)]
        while stack:
            here, at = stack.pop()
            if at == 0:
                order[here] = low[here] = len(order)
                path.append(here)
            else:
                low[here] = min(low[here], low[after[here][at - 1]])
            while at < len(after[here]):
                there = after[here][at]
                at += 1
                if there not in order:
                    stack += [(here, at), (there, 0)]
                    break
                if component[there] < 0:
                    low[here] = min(low[here], order[there])
            else:
                if low[here] == order[here]:
                    while component[here] < 0:
                        component[path.pop()] = found
                    found += 1
    return component
