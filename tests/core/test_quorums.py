"""Quorum systems that need not meet are found out, by the same verdict as trying all sets."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import pytest

from happysim import Random
from happysim.core.quorums import (
    QuorumError,
    Quorums,
    disjoint,
    grid,
    hierarchy,
    listed,
    majority,
    sizes,
    weights,
)

NODES = ("a", "b", "c", "d", "e", "f")


def subsets(nodes: tuple[str, ...]) -> Iterator[frozenset[str]]:
    for size in range(len(nodes) + 1):
        yield from map(frozenset, combinations(nodes, size))


def meets_always(one: Quorums, other: Quorums) -> bool:
    """By trying all pairs of sets."""
    here = [each for each in subsets(NODES) if one.holds(each)]
    there = [each for each in subsets(NODES) if other.holds(each)]
    return all(first & second for first in here for second in there)


def drawn(random: Random, depth: int = 2) -> Quorums:
    """A random quorum system over some of the nodes."""
    if depth == 0 or random.below(3) == 0:
        votes = {"a": 1, **{name: random.below(3) for name in NODES[1:]}}
        return weights(votes, 1 + random.below(sum(votes.values())))
    parts = [drawn(random, depth - 1) for _ in range(1 + random.below(3))]
    return hierarchy(parts, 1 + random.below(len(parts)))


@pytest.mark.parametrize("seed", range(60))
def test_disjoint_agrees_with_trying_all_sets(seed: int) -> None:
    random = Random(seed)
    one, other = drawn(random), drawn(random)
    found = disjoint(one, other)
    assert (found is None) is meets_always(one, other)
    if found is not None:
        here, there = found
        assert one.holds(here)
        assert other.holds(there)
        assert not set(here) & set(there)
        assert not any(one.holds(set(here) - {name}) for name in here)
        assert not any(other.holds(set(there) - {name}) for name in there)


@pytest.mark.parametrize(
    ("phase_1", "phase_2", "meets"), [(4, 2, False), (5, 2, True), (6, 1, True), (3, 3, False)]
)
def test_sizes_meet_where_they_add_up_to_more_than_all(
    phase_1: int, phase_2: int, meets: bool
) -> None:
    found = disjoint(sizes(NODES, phase_1), sizes(NODES, phase_2))
    assert (found is None) is meets


def test_many_equal_votes_are_counted_and_not_tried() -> None:
    many = [f"n{number}" for number in range(200)]
    assert disjoint(majority(*many), majority(*many)) is None
    assert disjoint(sizes(many, 100), sizes(many, 100)) == (tuple(many[:100]), tuple(many[100:]))


def test_the_quorums_of_a_grid_meet_each_other_and_not_themselves() -> None:
    rows, cover = grid([["a", "b", "c"], ["d", "e", "f"]])
    assert disjoint(rows, cover) is None
    assert disjoint(rows, rows) == (("a", "b", "c"), ("d", "e", "f"))


def test_quorums_may_be_listed() -> None:
    one, other = (
        listed(["a", "b"], ["c", "d"]),
        listed(["a", "c"], ["a", "d"], ["b", "c"], ["b", "d"]),
    )
    assert disjoint(one, other) is None
    assert disjoint(one, listed(["a", "c"], ["a"])) == (("c", "d"), ("a",))
    assert one.holds(["c", "d", "e"])
    assert not one.holds(["a", "d", "e"])


def test_an_empty_list_of_quorums_is_refused() -> None:
    with pytest.raises(QuorumError, match="give at least one"):
        listed()
