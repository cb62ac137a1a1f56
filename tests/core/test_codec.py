"""The native codec makes what Python makes, or leaves the value to it."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from happysim import FreezeError
from happysim.core import describe as texts
from happysim.core import freeze as module
from happysim.core.freeze import freeze, freeze_attributes, have_content, thaw, thaw_attributes
from happysim.core.stable_set import StableFrozenSet, StableSet
from tests.support.shapes import Box, Colour, Hooked, Label, Pair, Slotted

pytestmark = pytest.mark.skipif(module._CODEC is None, reason="there is no native library")

atoms = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=3),
    st.binary(max_size=2),
)
hashables = st.recursive(
    atoms | st.just(Colour.RED) | st.just(StableFrozenSet({"a", 'b"'})),
    lambda inner: st.one_of(
        st.tuples(inner, inner),
        st.frozensets(inner, max_size=3),
        st.builds(Label, inner),
        st.builds(Pair, inner, inner),
    ),
    max_leaves=6,
)
values = st.recursive(
    hashables,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(hashables, inner, max_size=3),
        st.sets(hashables, max_size=3),
        st.builds(StableSet, st.sets(hashables, max_size=3)),
        st.builds(Box, inner),
        st.builds(Slotted, inner),
        st.builds(Pair, inner, inner),
        st.lists(inner, max_size=2).map(deque),
        st.lists(inner, max_size=2).map(lambda items: deque(items, maxlen=2)),
        st.builds(Hooked, st.lists(atoms, max_size=2)),
        st.floats(allow_nan=False),
    ),
    max_leaves=8,
)


def in_python(function: Any, *arguments: Any) -> Any:
    codec, module._CODEC = module._CODEC, None
    try:
        return function(*arguments)
    finally:
        module._CODEC = codec


@given(values)
def test_both_freeze_and_thaw_alike(value: Any) -> None:
    frozen = freeze(value)

    assert frozen == in_python(freeze, value)
    assert repr(frozen) == repr(in_python(freeze, value))
    thawed, other = thaw(frozen), in_python(thaw, frozen)
    assert thawed == other
    assert freeze(thawed) == in_python(freeze, other) == frozen


@given(values | st.text())
def test_both_tell_values_alike(value: Any) -> None:
    frozen = freeze(value)

    assert texts.describe(frozen) == texts.in_python(frozen)


@pytest.mark.parametrize("text", ["it's", "\\", "\n", "\x7f", "\ud800", '"', "\u00e9", ""])
def test_text_is_told_as_ascii_does(text: str) -> None:
    assert texts.describe((list, text, 2**70)) == ascii([text, 2**70])


@given(st.tuples(values, values))
def test_both_freeze_and_thaw_the_fields_of_a_node_alike(pair: tuple[Any, Any]) -> None:
    fields = {"left": pair[0], "right": pair[1]}
    names = ("right", "left")
    frozen = freeze_attributes(fields, names)

    assert frozen == in_python(freeze_attributes, fields, names)
    known = module._CODEC.freeze_fields(fields, names) is not NotImplemented
    assert module._CODEC.can_freeze_fields(fields, names) == known
    assert have_content(fields, names) == (frozen is not None)
    if frozen is not None:
        made: dict[str, Any] = {}
        thaw_attributes(made, names, frozen)
        assert made == fields


def deep(levels: int) -> Any:
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


def test_values_too_deep_for_it_are_left_to_python() -> None:
    frozen = freeze(deep(150))

    assert freeze(thaw(frozen)) == frozen
    assert texts.describe(frozen) == texts.in_python(frozen)


def test_what_python_refuses_it_leaves_to_python() -> None:
    shared: list[int] = []
    extra = Box()
    extra.more = 1  # type: ignore[attr-defined]
    deleted = Box()
    del deleted.content
    for value in ([shared, shared], [lambda: None], [extra], [deleted], Box([shared, shared])):
        assert module._CODEC.freeze(value) is NotImplemented
        assert not module._CODEC.can_freeze_fields({"a": value}, ("a",))
        with pytest.raises(FreezeError):
            freeze(value)
    assert freeze_attributes({"a": shared, "b": shared}, ("a", "b")) is None
    assert not have_content({"a": shared, "b": shared}, ("a", "b"))


def test_it_does_the_common_kinds_by_itself() -> None:
    for value in (
        [1],
        {"a": {1}},
        (True, b"", -0.0, float("inf")),
        Box(1),
        Label(1),
        Slotted([1]),
        Pair(1, 2),
        0.5,
        deque([1]),
        Hooked([1]),
    ):
        assert module._CODEC.freeze(value) == in_python(freeze, value)
        assert module._CODEC.thaw(freeze(value)) == value
