"""What is within reach: no run of so many steps takes a step that was left out."""

from __future__ import annotations

import operator
import sys
from typing import NamedTuple

import pytest

from happysim import Choice, Host, Node, Random, World, action, on
from happysim.core.choice import Kind
from happysim.smt.ahead import Bound, Ends
from happysim.smt.closure import RAISED, Closure, close
from happysim.smt.reach import least_steps, unroll_reach, within_reach
from happysim.smt.unroll import Unrolled
from tests.smt.random_protocols import lively, walk
from tests.support.nodes import Ping

SEEDS = range(15)


class LocalStep(NamedTuple):
    """Of a process, from one local state to another, by their numbers."""

    slot: int
    source: int
    target: int


def ends_at(closure: Closure, states: list[int]) -> Ends:
    return tuple(
        frozenset(v for v, vertex in enumerate(graph.vertices) if vertex.state == state)
        for graph, state in zip(closure.graphs, states, strict=True)
    )


def local_steps(world: World, schedule: list[Choice]) -> tuple[list[LocalStep], World]:
    """What each choice does to its process, and the world at the end."""
    made = []
    for choice in schedule:
        world, before = world.step(choice), world
        if choice.kind in (Kind.DROP, Kind.DUPLICATE):
            continue
        slot = world.tables.names.index(choice.node)
        made.append(LocalStep(slot, before.state_number(slot), world.state_number(slot)))
    return made, world


def is_there(closure: Closure, slot: int, unrolled: Unrolled, taken: list[LocalStep]) -> bool:
    """Whether a process's steps of a run are a path, with no more steps at its arcs than taken.

    A step that changes no state need not be one of the closure.
    """
    counts = [sum(step.slot == each for step in taken) for each in range(len(closure.graphs))]
    states = [closure.graphs[slot].vertices[vertex].state for vertex in unrolled.vertex]
    leaving: dict[int, list[int]] = {}
    for arc, floor in zip(unrolled.arcs, unrolled.floors, strict=True):
        if arc.target != RAISED and all(map(operator.le, floor, counts)):
            leaving.setdefault(arc.source, []).append(arc.target)
    at = {0}
    for step in taken:
        if step.slot == slot:
            reached = {there for here in at for there in leaving.get(here, ())}
            stayed = at if step.source == step.target else set()
            at = stayed | {copy for copy in reached if states[copy] == step.target}
    return bool(at)


@pytest.mark.parametrize("vectors", [1, 6])
def test_every_random_run_is_within_its_reach(
    vectors: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where its end is one of several, and where bounds are made coarse."""
    monkeypatch.setattr(sys.modules["happysim.smt.ahead"], "_VECTORS_MAX", vectors)
    steps_seen = left_out = 0
    for seed in SEEDS:
        start = lively(seed, "unordered")
        slots = range(len(start.cells))
        closure = close(start)
        schedule, _ = walk(start, seed, 9)
        taken, world = local_steps(start, schedule)
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
            pairs = {
                (vertices[edge.source].state, vertices[edge.target].state)
                for edge in kept[slot]
                if edge.target != RAISED
            }
            changes = {step[1:] for step in taken if step.slot == slot}
            assert {pair for pair in changes if pair[0] != pair[1]} <= pairs, seed
            assert is_there(closure, slot, unrolled[slot], taken), seed
            left_out += len(kept[slot]) < len(closure.graphs[slot].edges)
        steps_seen += len(taken)
    assert steps_seen > 50
    assert left_out > 10


class Walker(Node):
    """Comes to its fifth place at once, or on a long way, on the last step of which it speaks."""

    place: int = 0

    @action(when=lambda self: self.place == 0)
    def jump(self, host: Host) -> None:
        self.place = 5

    @action(when=lambda self: self.place < 6)
    def go(self, host: Host) -> None:
        self.place += 1
        if self.place == 4:
            host.send("ear", Ping())


SAID = "Ping(value=0)"


class Ear(Node):
    heard: bool = False

    @on(Ping)
    def hear(self, host: Host, sender: str, ping: Ping) -> None:
        self.heard = True


def test_a_step_may_come_later_than_it_could() -> None:
    """The shortest way to the last step is of two, the way on which the other can hear of six."""
    start = World.of(Walker("walker"), Ear("ear"))
    act, hear = Choice(Kind.ACT, "walker", what="go"), Choice(Kind.DELIVER, "ear", "walker", SAID)
    schedule = [*[act] * 6, hear]
    taken, world = local_steps(start, schedule)
    closure = close(start)
    ends = [ends_at(closure, [world.state_number(slot) for slot in range(2)])]
    assert unroll_reach(closure, ends, 6) is None
    unrolled = unroll_reach(closure, ends, 7)
    assert unrolled is not None
    assert all(is_there(closure, slot, unrolled[slot], taken) for slot in range(2))


def test_a_bound_stays_below_all_that_was_added() -> None:
    random = Random(1)
    for _ in range(100):
        bound, added = Bound(), []
        for _ in range(30):
            vector = tuple(random.below(5) for _ in range(4))
            added.append(vector)
            bound.add(vector)
        for vector in added:
            assert any(
                all(a <= b for a, b in zip(each, vector, strict=True)) for each in bound.vectors
            )
        assert len(bound.vectors) <= 6
