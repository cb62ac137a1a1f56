"""Freezing keeps content, all of it, and tells types apart; what has no content is refused."""

from __future__ import annotations

import enum
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from happysim import FreezeError
from happysim.core.describe import describe
from happysim.core.freeze import freeze, thaw
from tests.support.shapes import Box, Colour, Hooked, Label, Pair, Slotted


class Level(enum.IntEnum):
    LOW = 1


class Right(enum.Flag):
    READ = 1
    WRITE = 2


@dataclass
class Mixed(Slotted):
    """Its own field lies in a __dict__, the one of its base in a slot."""

    more: int = 0


class HookedDict(dict[Any, Any]):
    def __freeze__(self) -> tuple[Any, ...]:
        return tuple(self.items())

    @classmethod
    def __thaw__(cls, value: tuple[Any, ...]) -> HookedDict:
        return cls(value)


VALUES = [
    None,
    True,
    0,
    -(2**70),
    1.5,
    -0.0,
    float("inf"),
    "text",
    b"bytes",
    bytearray(b"bytes"),
    (),
    (1,),
    (1, (2, "x")),
    [],
    [1, [2, {3: "x"}]],
    deque([1, 2], maxlen=3),
    deque([1]),
    {},
    {"b": 1, "a": [2]},
    OrderedDict(a=1),
    Counter("aab"),
    defaultdict(list, {"a": [1]}),
    defaultdict(None, {"a": 1}),
    set(),
    {3, 1, 2},
    frozenset(),
    frozenset({"a", (1, 2)}),
    Pair(1, [2]),
    Colour.RED,
    Level.LOW,
    Right.READ,
    Box([1]),
    Label("x"),
    Slotted({1}),
    Mixed({1}, 2),
    Hooked((1, 2)),
    HookedDict({"a": 1, 2: None}),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_thawing_gives_back_an_equal_value_of_the_same_kind(value: Any) -> None:
    frozen = freeze(value)
    thawed = thaw(frozen)

    assert thawed == value
    assert isinstance(thawed, type(value))
    assert freeze(thawed) == frozen
    assert hash(frozen) == hash(freeze(thawed))


@pytest.mark.parametrize("value", [Right.READ | Right.WRITE, Right(0)], ids=repr)
def test_a_combination_of_flags_is_a_value_like_any_other(value: Right) -> None:
    assert thaw(freeze(value)) == value
    assert "Right" in describe(freeze(value))


def test_no_two_of_many_different_values_share_a_key_or_a_text() -> None:
    values = [*VALUES, 1, 1.0, "1", b"1", 0.0, [1], [(1,)], {1: 2}, "None", "True", Box(1), Label()]
    keys = {freeze(value) for value in values}

    assert len(keys) == len(values)
    assert len({describe(key) for key in keys}) == len(values)


@pytest.mark.parametrize(
    ("one", "other"), [(0.0, -0.0), (1, True), (1, 1.0), ([], ()), ("a", b"a"), (Box(), Label())]
)
def test_what_python_may_call_equal_or_not_has_two_keys_if_it_is_two_values(
    one: Any, other: Any
) -> None:
    assert freeze([one]) != freeze([other])
    assert describe(freeze(one)) != describe(freeze(other))


def test_the_insertion_order_of_a_dict_is_content_and_that_of_a_set_is_not() -> None:
    assert freeze({"a": 1, "b": 2}) != freeze({"b": 2, "a": 1})
    assert freeze({"a", "b"}) == freeze({"b", "a"})


@pytest.mark.parametrize("value", [[1], {"a": [1]}, {1}, deque([1]), Box([1]), Hooked((1,))])
def test_thawed_copies_share_no_mutable_part(value: Any) -> None:
    frozen = freeze([value])
    first, second = thaw(frozen), thaw(frozen)

    assert first[0] is not second[0]
    assert first == second


def cyclic_list() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


def cyclic_box() -> Any:
    value = Box()
    value.content = value
    return value


def twice(value: Any) -> Any:
    return [value, value]


def deep() -> Any:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    return value


def undeclared() -> Any:
    value = Box()
    value.extra = 1  # type: ignore[attr-defined]
    return value


def unset() -> Any:
    value = Box()
    del value.content
    return value


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (lambda: {"a": [1, print]}, ["n.f['a'][1]", "builtin_function", "plain data"]),
        (lambda: {"k": lambda: 0}, ["n.f['k']", "function"]),
        (lambda: Box((1, iter([]))), ["n.f.content[1]", "list_iterator"]),
        (lambda: {object()}, ["an element of n.f", "object"]),
        (lambda: {int: 1}, ["a key of n.f", "type"]),
        (lambda: [defaultdict(lambda: 0)], ["n.f[0]", "default factory", "int or list"]),
        (lambda: twice([]), ["n.f[1]", "same list", "n.f[0]", "copy"]),
        (lambda: twice({1}), ["n.f[1]", "same set", "n.f[0]"]),
        (lambda: twice(Box()), ["n.f[1]", "same Box", "n.f[0]", "copy"]),
        (lambda: twice(bytearray(b"x")), ["n.f[1]", "same bytearray", "n.f[0]"]),
        (cyclic_list, ["n.f[0]", "same list"]),
        (cyclic_box, ["n.f.content", "same Box"]),
        (undeclared, ["n.f.extra", "not a field of Box"]),
        (unset, ["n.f.content"]),
        (deep, ["n.f"]),
    ],
)
def test_what_cannot_be_frozen_is_refused_by_its_path(
    make: Callable[[], Any], parts: list[str]
) -> None:
    with pytest.raises(FreezeError) as refused:
        freeze(make(), "n.f")

    assert [part for part in parts if part not in str(refused.value)] == []


def test_one_immutable_object_may_be_held_twice() -> None:
    assert thaw(freeze(twice(Label("x")))) == [Label("x"), Label("x")]


def test_text_is_ascii_so_that_no_table_of_characters_can_change_it() -> None:
    assert describe(freeze(["\u00e9\U0001f600"])) == "['\\xe9\\U0001f600']"
