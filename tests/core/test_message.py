"""A message is a frozen dataclass, told apart by class and by content."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import pytest

from happysim import ProtocolError, message
from happysim.core.message import freeze_message


@message
class One:
    value: Any = 0


@message
class Other:
    value: Any = 0


@dataclass(frozen=True)
class Plain:
    value: Any = 0


@dataclass
class Loose:
    value: int = 0


def test_a_message_is_frozen_hashable_and_made_by_position() -> None:
    sent = One(3)

    assert (sent.value, sent, hash(sent)) == (3, One(3), hash(One(3)))
    with pytest.raises(dataclasses.FrozenInstanceError):
        sent.value = 4


def test_messages_of_two_classes_with_equal_fields_differ() -> None:
    assert freeze_message(One(1), "x") != freeze_message(Other(1), "x")
    assert freeze_message(One(1), "x") != freeze_message(One(True), "x")
    assert freeze_message(One(1), "x") == freeze_message(One(1), "y")


def test_any_frozen_dataclass_will_do() -> None:
    assert freeze_message(Plain((1, frozenset({2}))), "x") == (
        Plain,
        (tuple, 1, (frozenset, 2)),
    )


@pytest.mark.parametrize(
    ("sent", "parts"),
    [
        (One, ["One class", "instance", "@message"]),
        (3, ["int object", "@message"]),
        (None, ["NoneType object", "@message"]),
        (Loose(), ["Loose object", "@message"]),
        (One([]), ["One", "mutable", "tuple for a list"]),
        (One({}), ["One", "mutable", "tuple of pairs for a dict"]),
        (One((1, {2})), ["One", "mutable", "frozenset for a set"]),
        (One(Loose()), ["One", "mutable", "Loose"]),
        (One((1, print)), ["One.value[1]", "builtin_function", "plain data"]),
    ],
    ids=str,
)
def test_what_is_no_message_is_refused_with_the_remedy(sent: Any, parts: list[str]) -> None:
    with pytest.raises(ProtocolError) as refused:
        freeze_message(sent, "here")
    assert [part for part in ["here", *parts] if part not in str(refused.value)] == []
