"""A search up to symmetry visits one world of each orbit. Orbits are counted the slow way here."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from happysim import (
    Broken,
    PropertyError,
    Report,
    ScenarioError,
    World,
    always,
    bfs,
    check,
    dfs,
    explore,
    quiescent,
    reachable,
    replay,
    shrink,
    step_always,
)
from happysim.kernel.contract import Plan
from happysim.kernel.switch import kernel_for
from happysim.search.judge import PropertyJudge
from happysim.search.policy import Policy
from happysim.search.schedule import follow
from happysim.spec.property import Property
from tests.oracles.models import two_phase
from tests.oracles.models.members import Member, renamings, some_world, told

WORLDS_MAX = 25
CASES = 10


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


@pytest.mark.parametrize("seed", [1, 2])
def test_neither_threads_nor_what_was_searched_before_change_a_count(seed: int) -> None:
    start, _ = some_world(seed)
    counts = set()
    for plan in (Plan(depth=5), Plan(depth=5, threads=2), Plan(depth=5, fingerprints=True)):
        for by_itself in (True, False):
            world = some_world(seed)[0] if by_itself else start
            judge = PropertyJudge(world.tables, [], None, symmetric=True)
            symmetric = replace(plan, symmetric=True)
            with world.tables.relied_on(True):
                explored = kernel_for(symmetric).explore(
                    world.tables, [world.numbers], judge, symmetric
                )
            found = explored.worlds, explored.steps, explored.in_full, explored.depth
            counts.add(found)
    assert len(counts) == 1


def two_phase_commit(managers: int) -> World:
    return two_phase.messages(managers, symmetric=True)


@pytest.mark.parametrize(
    ("managers", "orbits", "worlds", "depth"),
    [(3, 80, 288, 11), (4, 166, 1_568, 14), (5, 314, 8_832, 17), (6, 553, 50_816, 20)],
)
def test_two_phase_commit_has_as_many_orbits_as_others_count(
    managers: int, orbits: int, worlds: int, depth: int
) -> None:
    start = two_phase_commit(managers)
    for by in (bfs(), dfs(), bfs("fingerprint"), bfs("fingerprint without traces")):
        if managers == 6 and by != bfs():
            continue
        found = explore(start, by=by)
        assert (found.worlds, found.in_full) == (orbits, worlds)
        assert by != bfs() or found.depth == depth


def test_a_search_from_a_world_that_tells_nodes_apart_finds_the_same() -> None:
    start = two_phase_commit(4).after("act rm2 prepare", "deliver rm2 -> tm Prepared()")
    reduced, full = explore(start), explore(start, symmetry=False)
    assert (reduced.in_full, reduced.depth) == (None, full.depth)
    assert reduced.worlds < full.worlds


def test_a_counterexample_is_found_shrunk_and_replayed_as_any_other() -> None:
    def commit(managers: int = 4) -> World:
        return two_phase_commit(managers)

    @always(commit)
    def at_most_one_gives_up(world: World) -> bool:
        return sum(each.state == "aborted" for each in world.nodes(two_phase.Manager)) < 2

    for by in (bfs(), dfs(), dfs(deepening=True)):
        found = check(at_most_one_gives_up, by=by)
        assert isinstance(found, Broken)
        small = shrink(found)
        assert len(small.schedule or ()) == 2
        assert check(at_most_one_gives_up, by=replay(small.schedule or ())).broken


@pytest.mark.parametrize("by", [bfs(), dfs()], ids=["bfs", "dfs"])
def test_a_property_that_tells_nodes_apart_is_refused(by: Policy) -> None:
    def commit() -> World:
        return two_phase_commit(4)

    @always(commit)
    def the_last_is_not_the_only_one_to_give_up(world: World) -> bool:
        states = [each.state for each in world.nodes(two_phase.Manager)]
        return states != ["prepared", "prepared", "prepared", "aborted"]

    with pytest.raises(PropertyError, match="tells symmetric nodes apart"):
        check(the_last_is_not_the_only_one_to_give_up, by=by)
    assert check(the_last_is_not_the_only_one_to_give_up, by=by, symmetry=False).broken
    with pytest.raises(PropertyError, match="within tells symmetric nodes apart"):
        explore(commit, within=lambda world: world["rm1"].state != "aborted", by=by)


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


def test_worlds_on_a_disk_are_refused(tmp_path: Path) -> None:
    anything = always(two_phase.messages, symmetric=True)(lambda world: True)
    with pytest.raises(ScenarioError, match="keeps its worlds in memory; write symmetry=False"):
        check(anything, by=bfs(disk=tmp_path))
