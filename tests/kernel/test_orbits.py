"""A search up to symmetry visits one world of each orbit. Orbits are counted the slow way here."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import pytest

from happysim import Report, World, always, bfs, dfs, explore, quiescent, reachable, step_always
from happysim.search.policy import Policy
from happysim.search.schedule import follow
from happysim.spec.property import Property
from tests.oracles.models.members import Member, renamings, some_world, told

WORLDS_MAX = 40
CASES = 12


class Slow(NamedTuple):
    """What a breadth-first search without any of the engine's symmetry finds, to some depth."""

    worlds: int
    orbits: int
    steps: int  # of one world of each orbit
    depth: int
    whole: bool


@functools.cache
def slowly(seed: int) -> Slow:
    """Visit every world, and put them into orbits."""
    start, sets = some_world(seed)
    names = list(renamings(sets))
    met, level, depth = {start.numbers}, [start], 1
    orbits: dict[Any, int] = {}
    met_of: dict[Any, Any] = {}
    worlds = 0
    whole = True
    while level:
        following = []
        last = len(met) > WORLDS_MAX
        for world in level:
            worlds += 1
            choices = world.choices()
            images = frozenset(told(world, each) for each in names)
            assert met_of.setdefault(told(world, {}), images) == images
            orbits.setdefault(images, 0 if last else len(choices))
            whole = whole and not (last and choices)
            for _, after in world.steps() if not last else ():
                if after.numbers not in met:
                    met.add(after.numbers)
                    following.append(after)
        level = following
        depth += bool(following)
    return Slow(worlds, len(orbits), sum(orbits.values()), depth, whole)


def judged(start: World) -> list[Property]:
    """Properties that tell no node from another."""

    def scenario() -> World:
        return start

    @always(scenario)
    def few_are_in_state_2(world: World) -> bool:
        return sum(node.state == 2 for node in world.nodes(Member)) < 2

    @reachable(scenario)
    def friends(world: World) -> bool:
        return any(
            node.friend in world.tables.slot_of and world[node.friend].friend == node.name
            for node in world.nodes(Member)
            if node.friend is not None
        )

    @step_always(scenario)
    def logs_grow(before: World, after: World) -> bool:
        pairs = zip(before.nodes(Member), after.nodes(Member), strict=True)
        return all(len(one.log) <= len(two.log) + 1 for one, two in pairs)

    @quiescent(scenario)
    def somebody_ends_in_state_2(world: World) -> bool:
        return any(node.state == 2 for node in world.nodes(Member))

    return [few_are_in_state_2, friends, logs_grow, somebody_ends_in_state_2]


def verdicts(report: Report, by: Policy) -> list[str]:
    """The sort of each verdict, and how long a way it tells, where that is the shortest."""
    return [
        f"{type(each).__name__} {by == bfs() and len(getattr(each, 'schedule', None) or ())}"
        for each in report.verdicts.values()
    ]


@pytest.mark.parametrize("seed", range(CASES))
def test_one_world_of_each_orbit_is_visited_whatever_the_order(seed: int, kernel: str) -> None:
    start, _ = some_world(seed)
    slow = slowly(seed)
    policies: list[Policy] = [bfs(), dfs()] if slow.whole else [bfs(), dfs(deepening=True)]
    for by in policies:
        found = explore(start, by=by, max_depth=None if slow.whole else slow.depth, history=True)
        assert (found.worlds, found.in_full) == (slow.orbits, slow.worlds)
        if by == bfs() or slow.whole:
            assert (found.steps, found.complete) == (slow.steps, slow.whole)
        if by == bfs():
            assert found.depth == slow.depth


@pytest.mark.parametrize("seed", range(CASES))
def test_verdicts_are_those_of_a_search_without_symmetry(seed: int, kernel: str) -> None:
    start, _ = some_world(seed)
    properties = judged(start)
    for by in (bfs(), dfs()):
        reduced = explore(start, *properties, by=by, max_depth=5)
        full = explore(start, *properties, by=by, max_depth=5, symmetry=False)
        assert verdicts(reduced, by) == verdicts(full, by)
        for prop, verdict in reduced.verdicts.items():
            if verdict.broken and verdict.schedule is not None:
                assert follow(start, verdict.schedule, prop).wrong is not None
