"""Symmetry: nodes that may trade names. A question about one is then a question about the other.

Two nodes are symmetric where swapping their names in every local state and message maps each edge
of the closure to an edge. That is checked edge by edge, so nothing is taken on trust: not the
class of the nodes, and not what a name is. The order of a dict is left aside for the comparison.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import combinations
from math import prod
from typing import Any

from happysim.core.local_step import NodeState
from happysim.core.process import NodeProcess
from happysim.smt.boxes import Box, merged
from happysim.smt.closure import RAISED, Closure, Vertex

_IMAGES_MAX = 5_000

# Per slot: where it goes, and what becomes of each of its local states.
Swap = tuple[list[int], list[dict[int, int]]]


def swaps(closure: Closure) -> list[Swap]:
    """Every swap of two nodes under which the closure looks the same."""
    processes = closure.tables.processes
    found = []
    for one, other in combinations(range(len(processes)), 2):
        here, there = processes[one], processes[other]
        if not isinstance(here, NodeProcess) or not isinstance(there, NodeProcess):
            continue
        if here.kind is there.kind and closure.sizes[one] == closure.sizes[other]:
            swap = _swap(closure, one, other)
            if swap is not None:
                found.append(swap)
    return found


def representatives(boxes: Sequence[Box], swapping: Sequence[Swap]) -> list[Box]:
    """Boxes of which every given one is, after some swaps of names, a part."""
    kept: list[Box] = []
    left = list(boxes)
    while left:
        widest = max(merged(left), key=lambda box: prod(map(len, box)))
        kept.append(widest)
        images = [[set(states) for states in image] for image in _images(widest, swapping)]
        left = [box for box in left if not any(_lies_in(box, image) for image in images)]
    return kept


def _lies_in(box: Box, image: list[set[int]]) -> bool:
    return all(wide.issuperset(states) for states, wide in zip(box, image, strict=True))


def _images(box: Box, swapping: Sequence[Swap]) -> list[Box]:
    """What a box becomes under any sequence of swaps."""
    seen = {box: None}
    waiting = [box]
    while waiting and len(seen) < _IMAGES_MAX:
        here = waiting.pop()
        for places, states in swapping:
            made: list[tuple[int, ...]] = [()] * len(here)
            for slot, each in enumerate(here):
                made[places[slot]] = tuple(sorted(states[slot][state] for state in each))
            image = tuple(made)
            if image not in seen:
                seen[image] = None
                waiting.append(image)
    return list(seen)


def _swap(closure: Closure, one: int, other: int) -> Swap | None:
    """The swap of two slots, where it maps the closure to itself."""
    tables = closure.tables
    names = {tables.names[one]: tables.names[other], tables.names[other]: tables.names[one]}
    places = list(range(len(tables.names)))
    places[one], places[other] = other, one
    states = _states(closure, places, names)
    envelopes = _envelopes(closure, places, names)
    if states is None or envelopes is None:
        return None
    if {envelopes.get(e): n for e, n in closure.first.items()} != closure.first:
        return None
    for slot, graph in enumerate(closure.graphs):
        target = closure.graphs[places[slot]]
        index = {vertex: at for at, vertex in enumerate(target.vertices)}
        vertex_map = [
            index.get(_image(vertex, states[slot], envelopes), -2) for vertex in graph.vertices
        ]
        if vertex_map[0] != 0 or -2 in vertex_map:
            return None
        mapped = {
            (
                vertex_map[edge.source],
                RAISED if edge.target == RAISED else vertex_map[edge.target],
                envelopes.get(edge.receives, -1),
                tuple(sorted(envelopes[e] for e in edge.sends)),
                edge.cost,
            )
            for edge in graph.edges
        }
        own = {
            (e.source, e.target, e.receives, tuple(sorted(e.sends)), e.cost) for e in target.edges
        }
        if mapped != own:
            return None
    return places, states


def _image(vertex: Vertex, states: dict[int, int], envelopes: dict[int, int]) -> Vertex:
    taken = tuple(sorted((envelopes[envelope], count) for envelope, count in vertex.taken))
    return Vertex(states[vertex.state], vertex.crashes, taken)


def _states(
    closure: Closure, places: list[int], names: dict[str, str]
) -> list[dict[int, int]] | None:
    """Per slot, the local state that each one becomes; None where that is no bijection."""
    tables = closure.tables
    keys: list[dict[Any, int]] = []
    for slot, states in enumerate(closure.space):
        own = {_key(_content(tables.states[slot].values[s]), {}): s for s in states}
        if len(own) != len(states):
            return None
        keys.append(own)
    made = []
    for slot, states in enumerate(closure.space):
        target = keys[places[slot]]
        images = {
            s: target.get(_key(_content(tables.states[slot].values[s]), names)) for s in states
        }
        if None in images.values() or len(set(images.values())) != len(target):
            return None
        made.append({s: image for s, image in images.items() if image is not None})
    return made


def _envelopes(closure: Closure, places: list[int], names: dict[str, str]) -> dict[int, int] | None:
    """What each message becomes; None where that is no bijection."""
    values = closure.tables.envelopes.values
    used = dict.fromkeys(closure.first)
    for graph in closure.graphs:
        for edge in graph.edges:
            used.update(dict.fromkeys(edge.sends))
    keys = {}
    for number in used:
        of = values[number]
        keys[of.source, of.target, _key(of.message, {}), of.operation] = number
    made = {}
    for number in used:
        of = values[number]
        image = keys.get(
            (places[of.source], places[of.target], _key(of.message, names), of.operation)
        )
        if image is None:
            return None
        made[number] = image
    return made if len(set(made.values())) == len(keys) == len(used) else None


def _content(state: Any) -> Any:
    return tuple(state) if isinstance(state, NodeState) else (type(state), *state)


def _key(frozen: Any, names: dict[str, str]) -> Any:
    """Content to compare: names swapped, sets and dicts without an order."""
    if isinstance(frozen, str):
        return names.get(frozen, frozen)
    if not isinstance(frozen, tuple):
        return frozen
    if frozen and frozen[0] in (dict, OrderedDict):
        items = [_key(each, names) for each in frozen[1:]]
        return frozen[0], frozenset(zip(items[::2], items[1::2], strict=True))
    if frozen and frozen[0] in (set, frozenset):
        return frozen[0], frozenset(_key(each, names) for each in frozen[1:])
    return tuple(_key(each, names) for each in frozen)
