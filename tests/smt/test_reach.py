"""What is within reach: no run of so many steps takes a step that was left out."""

from __future__ import annotations

import sys

import pytest

from happysim import Random
from happysim.core.choice import Kind
from happysim.smt.closure import RAISED, Closure, close
from happysim.smt.reach import Ends, _Bound, least_steps, unroll_reach, within_reach
from tests.smt.random_protocols import lively, walk

SEEDS = range(30)


def ends_at(closure: Closure, states: list[int]) -> Ends:
    return tuple(
        frozenset(v for v, vertex in enumerate(graph.vertices) if vertex.state == state)
        for graph, state in zip(closure.graphs, states, strict=True)
    )


@pytest.mark.parametrize("vectors", [1, 6])
def test_every_step_of_a_random_run_is_within_its_reach(
    vectors: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where its end is one of several, and where bounds are made coarse."""
    monkeypatch.setattr(sys.modules["happysim.smt.reach"], "_VECTORS_MAX", vectors)
    steps_seen = left_out = 0
    for seed in SEEDS:
        start = lively(seed, "unordered")
        slots = range(len(start.cells))
        closure = close(start)
        schedule, _ = walk(start, seed, 9)
        taken, world = [], start
        for choice in schedule:
            world, before = world.step(choice), world
            if choice.kind in (Kind.DROP, Kind.DUPLICATE):
                continue
            for slot in slots:
                pair = before.state_number(slot), world.state_number(slot)
                if pair[0] != pair[1]:
                    taken.append((slot, *pair))
        most = len(schedule)
        states = [world.state_number(slot) for slot in slots]
        random = Random(seed)
        # With one process at the same end, so that its bounds are of both.
        other = [random.choice(list(space)) for space in closure.space]
        other[seed % len(other)] = states[seed % len(other)]
        ends = [ends_at(closure, other), ends_at(closure, states)]
        assert least_steps(closure, ends[1:]) <= most
        kept = within_reach(closure, ends, most)
        unrolled = unroll_reach(closure, ends, most)
        assert kept is not None, seed
        assert unrolled is not None, seed
        for slot in slots:
            vertices = closure.graphs[slot].vertices
            for edges in (kept[slot], [arc.edge for arc in unrolled[slot].arcs]):
                pairs = {
                    (slot, vertices[edge.source].state, vertices[edge.target].state)
                    for edge in edges
                    if edge.target != RAISED
                }
                assert {each for each in taken if each[0] == slot} <= pairs, seed
            left_out += len(kept[slot]) < len(closure.graphs[slot].edges)
        steps_seen += len(taken)
    assert steps_seen > 50
    assert left_out > 10


def test_a_bound_stays_below_all_that_was_added() -> None:
    random = Random(1)
    for _ in range(100):
        bound, added = _Bound(), []
        for _ in range(30):
            vector = tuple(random.below(5) for _ in range(4))
            added.append(vector)
            bound.add(vector)
        for vector in added:
            assert any(
                all(a <= b for a, b in zip(each, vector, strict=True)) for each in bound.vectors
            )
        assert len(bound.vectors) <= 6
