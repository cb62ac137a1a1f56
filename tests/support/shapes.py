"""Classes of each sort that a field may hold a value of."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

Pair = namedtuple("Pair", "left right")


class Colour(Enum):
    RED = "red"


@dataclass
class Box:
    content: Any = None


@dataclass(frozen=True)
class Label:
    text: Any = ""


@dataclass(slots=True)
class Slotted:
    content: Any = None


class Hooked:
    """Says itself how it is frozen."""

    def __init__(self, items: Iterable[Any] = ()) -> None:
        self.items = list(items)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Hooked) and self.items == other.items

    __hash__ = None

    def __freeze__(self) -> tuple[Any, ...]:
        return tuple(self.items)

    @classmethod
    def __thaw__(cls, value: tuple[Any, ...]) -> Hooked:
        return cls(value)
