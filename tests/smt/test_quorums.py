"""Quorum systems: z3 and brute force over all sets of nodes agree."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import pytest

from happysim import Random
from happysim.smt.quorums import (
    QuorumError,
    Quorums,
    dissemination,
    grid,
    hierarchy,
    intersect,
    majority,
    masking,
    reconfigure,
    sizes,
    tolerance,
    weights,
)

NODES = ("a", "b", "c", "d", "e", "f")


def subsets(nodes: tuple[str, ...]) -> Iterator[frozenset[str]]:
    for size in range(len(nodes) + 1):
        yield from map(frozenset, combinations(nodes, size))


def least_common(one: Quorums, other: Quorums) -> int:
    """The fewest nodes that a quorum of each have in common, by trying them all."""
    nodes = tuple(dict.fromkeys((*one.nodes, *other.nodes)))
    here = [each for each in subsets(nodes) if one.holds(each)]
    there = [each for each in subsets(nodes) if other.holds(each)]
    return min(len(first & second) for first in here for second in there)


def drawn(random: Random, depth: int = 2) -> Quorums:
    """A monotone expression over some of the nodes."""
    parts: list[tuple[str | Quorums, int]] = []
    for _ in range(2 + random.below(3)):
        part = drawn(random, depth - 1) if depth and not random.below(3) else random.choice(NODES)
        parts.append((part, 1 + random.below(2)))
    return Quorums(1 + random.below(sum(weight for _, weight in parts)), tuple(parts))


@pytest.mark.parametrize("seed", range(40))
def test_any_two_systems_are_judged_as_by_brute_force(seed: int) -> None:
    random = Random(seed)
    one, other = drawn(random), drawn(random)
    least = least_common(one, other)
    for common in (1, 2, 3):
        found = intersect(one, other, common=common)
        assert found.proved == (least >= common)
        if found.disjoint is not None:
            first, second = found.disjoint
            assert one.holds(first)
            assert other.holds(second)
            assert len(set(first) & set(second)) == len(found.common) < common
            assert not any(one.holds(set(first) - {name}) for name in first)
    fatal = [down for down in subsets(one.nodes) if not one.holds(set(one.nodes) - down)]
    assert tolerance(one).crashes == min(map(len, fatal)) - 1
    assert not one.holds(set(one.nodes) - set(tolerance(one).fatal))


@pytest.mark.parametrize(
    ("phase1", "phase2", "said"),
    [
        (majority(*"abcde"), majority(*"abcde"), "proved: every two quorums meet"),
        (
            sizes(["a", "b", "c", "d"], 3),
            sizes(["a", "b", "c", "d"], 2),
            "proved: every two quorums meet",
        ),
        (sizes(["a", "b"], 1), sizes(["a", "b"], 1), "{b} and {a} are disjoint"),
        (*grid([["a", "b"], ["c", "d"]]), "proved: every two quorums meet"),
        (weights({"a": 3, "b": 1, "c": 1}, 3), sizes(["a"], 1), "proved: every two quorums meet"),
    ],
)
def test_flexible_paxos_needs_only_its_two_phases_to_meet(
    phase1: Quorums, phase2: Quorums, said: str
) -> None:
    found = intersect(phase1, phase2)
    assert found.proved == said.startswith("proved")
    if found.proved:
        assert str(found) == said
    else:
        assert str(found) in (said, "{a} and {b} are disjoint")


def test_rows_of_a_grid_do_not_meet_each_other() -> None:
    row, cover = grid([["a", "b"], ["c", "d"]])
    assert not intersect(row).proved
    assert not intersect(cover).proved
    assert tolerance(row, cover).crashes == 1


def test_a_majority_of_majorities_meets() -> None:
    groups = [majority("a", "b", "c"), majority("d", "e", "f"), majority("g", "h", "i")]
    system = hierarchy(groups, 2)
    assert intersect(system).proved
    assert tolerance(system).crashes == 3
    assert not intersect(hierarchy(groups, 1)).proved


def test_membership_may_change_by_one_server_and_not_by_two() -> None:
    three, four, five = majority(*"abc"), majority(*"abcd"), majority(*"abcde")
    assert reconfigure({"three": three}, {"four": four}).proved
    assert reconfigure({"four": four}, {"three": three, "five": five}).proved
    changed = reconfigure({"three": three}, {"five": five})
    [(before, after, found)] = changed.unsafe
    assert (before, after) == ("three", "five")
    assert found.disjoint is not None
    joint = three & five
    assert reconfigure({"three": three, "joint": joint}, {"joint": joint}).proved


@pytest.mark.parametrize(("count", "byzantine"), [(4, 1), (5, 1), (7, 2), (9, 2)])
def test_byzantine_quorums_need_3f_and_4f_more(count: int, byzantine: int) -> None:
    """Malkhi and Reiter 1998: of n nodes, ceil((n+f+1)/2) and ceil((n+2f+1)/2) are enough."""
    nodes = [f"n{i}" for i in range(count)]
    enough = -(-(count + byzantine + 1) // 2)
    assert dissemination(sizes(nodes, enough), byzantine).proved
    assert not dissemination(sizes(nodes, enough - 1), byzantine).proved
    mask = -(-(count + 2 * byzantine + 1) // 2)
    assert masking(sizes(nodes, mask), byzantine).proved
    assert not masking(sizes(nodes, mask - 1), byzantine).proved
    # A quorum must be left when the liars say nothing: n > 3f, and n > 4f.
    assert (tolerance(sizes(nodes, mask)).crashes >= byzantine) == (count > 4 * byzantine)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: sizes(["a", "a"], 1),
        lambda: sizes(["a"], 2),
        lambda: sizes("abc", 2),
        lambda: weights({"a": -1}, 1),
        lambda: hierarchy([], 1),
        lambda: intersect(majority("a"), common=0),
        lambda: masking(majority("a"), -1),
    ],
)
def test_a_system_that_makes_no_sense_is_refused(wrong: object) -> None:
    with pytest.raises(QuorumError, match="give"):
        wrong()  # type: ignore[operator]
