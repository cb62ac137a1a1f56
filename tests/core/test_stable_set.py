"""The sets that a handler finds in its fields and messages iterate in order of content."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from happysim.core.freeze import freeze, thaw
from happysim.core.stable_set import StableFrozenSet, StableSet

# Enough text that a set in order of hashes is next to never in order of content.
WORDS = [f"word{number:02}" for number in range(20)]


@pytest.mark.parametrize("kind", [set, frozenset])
@pytest.mark.parametrize(
    ("elements", "ordered"),
    [
        (WORDS, WORDS),
        ([10, 9, 2], [2, 9, 10]),
        ([b"b", b"a"], [b"a", b"b"]),
        ([(2, "a"), (1, "b")], [(1, "b"), (2, "a")]),
        (["a", 1, None], ["a", 1, None]),
    ],
)
def test_a_thawed_set_iterates_in_order_of_content(
    kind: type, elements: list[Any], ordered: list[Any]
) -> None:
    thawed = thaw(freeze(kind(elements)))

    assert list(thawed) == ordered
    assert thawed == kind(elements)
    assert isinstance(thawed, kind)


@pytest.mark.parametrize("kind", [StableSet, StableFrozenSet])
def test_a_copy_is_of_the_same_kind_and_in_order(kind: Any) -> None:
    looked_at, fresh = kind(WORDS), kind(WORDS)
    assert list(looked_at) == WORDS

    for made in (copy.deepcopy(looked_at), pickle.loads(pickle.dumps(fresh))):
        assert type(made) is kind
        assert list(made) == WORDS
    assert pickle.dumps(looked_at) == pickle.dumps(fresh)


@pytest.mark.parametrize("kind", [StableSet, StableFrozenSet])
@pytest.mark.parametrize(
    "combine",
    [
        lambda mine, other: mine | other,
        lambda mine, other: other | mine,
        lambda mine, other: mine & other,
        lambda mine, other: mine - other,
        lambda mine, other: mine ^ other,
        lambda mine, other: mine.union(other),
        lambda mine, other: mine.intersection(other),
        lambda mine, other: mine.difference(other),
        lambda mine, other: mine.symmetric_difference(other),
        lambda mine, other: mine.copy(),
    ],
    ids=["or", "ror", "and", "sub", "xor", "union", "inter", "diff", "symmetric", "copy"],
)
def test_what_is_made_of_a_stable_set_is_stable(
    kind: type, combine: Callable[[Any, Any], Any]
) -> None:
    plain = set if kind is StableSet else frozenset
    made = combine(kind(WORDS), plain(WORDS[5:8]))

    assert isinstance(made, kind)
    assert list(made) == sorted(made)


def test_changing_a_stable_set_in_place_keeps_it_stable() -> None:
    held = made = StableSet(WORDS)
    made |= {"another"}
    made -= {"word00"}
    made ^= {"word01", "zebra"}

    assert made is held
    assert list(made) == sorted({"another", "zebra", *WORDS} - {"word00", "word01"})


def test_a_stable_set_pops_its_first_element_and_complains_like_a_set() -> None:
    small = StableSet({"b", "a"})

    assert [small.pop(), small.pop()] == ["a", "b"]
    with pytest.raises(KeyError):
        small.pop()


def test_a_stable_set_prints_in_order() -> None:
    assert repr(StableSet({"b", "a"})) == "{'a', 'b'}"
    assert repr(StableSet()) == "set()"
    assert repr(StableFrozenSet({2, 1})) == "frozenset({1, 2})"
    assert repr(StableFrozenSet()) == "frozenset()"


def test_a_stable_frozenset_is_a_key_like_the_frozenset_it_equals() -> None:
    assert {frozenset({1, 2}): "found"}[StableFrozenSet({2, 1})] == "found"


def test_known_limit_a_plain_set_minus_a_stable_one_is_a_plain_set() -> None:
    # `set.__sub__` of the left operand answers; iterating the result depends on the hash seed.
    assert type({"a"} - StableSet({"b"})) is set
