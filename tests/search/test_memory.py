"""A copy of what a monitor remembers shares nothing with it that may change."""

from __future__ import annotations

import enum
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import Any

import pytest

from happysim.core.names import Name
from happysim.core.stable_set import StableSet
from happysim.search.memory import NoCopyError, copy_of


class Colour(enum.Enum):
    RED = 1


@dataclass(frozen=True)
class Fixed:
    number: int
    parts: tuple[Any, ...] = ()


class Growth:
    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.cut = False


class Memory:
    def __init__(self) -> None:
        self.growth = {"a": Growth()}
        self.same = self.growth["a"]
        self.places: dict[Any, int] = {("c1", 1): 1, Fixed(1): 2, Colour.RED: 3}
        self.waiting = deque([Fixed(1), [1]], maxlen=3)
        self.names = {"a", "b"}
        self.stable = StableSet(["b", "a"])
        self.counts: defaultdict[str, list[int]] = defaultdict(list)


@dataclass
class Slotted:
    __slots__ = ("number",)
    number: int


@dataclass
class Loose:
    inner: list[int] = field(default_factory=list)


@dataclass
class Mixed(Slotted):
    """A field of it lies in a __dict__, and one in a slot."""

    more: int = 0


class Words(dict[str, int]):
    """More than a dict, perhaps."""


def test_a_copy_holds_the_same_and_goes_its_own_way() -> None:
    memory = Memory()
    entry = Fixed(7, (1, "a", Name("n1")))
    memory.growth["a"].seen.append(entry)
    copy = copy_of(memory)
    assert type(copy) is Memory
    assert copy.same is copy.growth["a"]
    assert copy.same.seen[0] is entry
    assert (copy.places, copy.names, copy.waiting) == (memory.places, memory.names, memory.waiting)
    assert (copy.waiting.maxlen, type(copy.stable), list(copy.stable)) == (3, StableSet, ["a", "b"])

    memory.same.seen.append(1)
    memory.same.cut = True
    memory.places["x"] = 1
    memory.waiting[1].append(2)
    memory.names.add("c")
    memory.stable.add("c")
    memory.counts["x"].append(1)
    assert (copy.same.seen, copy.same.cut, "x" in copy.places) == ([entry], False, False)
    assert (list(copy.waiting), copy.names) == ([Fixed(1), [1]], {"a", "b"})
    assert (list(copy.stable), copy.counts["x"]) == (["a", "b"], [])


def test_what_holds_itself_is_copied_once() -> None:
    ring: list[Any] = [1]
    ring.append(ring)
    copy = copy_of(ring)
    assert copy is not ring
    assert copy[1] is copy
    loop: tuple[list[Any]] = ([],)
    loop[0].append(loop)
    copied = copy_of(loop)
    assert copied[0] is not loop[0]
    assert copied[0][0] is copied


def test_a_mutable_part_of_something_fixed_is_copied() -> None:
    value = (1, [2], Fixed(1, ([3],)), Loose([4]))
    copy = copy_of(value)
    value[1].append(5)
    value[2].parts[0].append(5)
    value[3].inner.append(5)
    assert copy == (1, [2], Fixed(1, ([3],)), Loose([4]))


def nested(levels: int) -> Any:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        nested(100_000),
        iter([1]),
        [Slotted(1)],
        [Mixed(1)],
        {"a": Words(a=1)},
        {Growth(): 1},
        {Growth()},
        (each for each in ()),
        lambda: None,
        defaultdict(lambda: 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_of_what_is_not_known_there_is_no_copy(value: Any) -> None:
    with pytest.raises(NoCopyError):
        copy_of(value)
