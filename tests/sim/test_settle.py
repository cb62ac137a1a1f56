"""After a handler no built-in set is left in a node's fields, wherever it was put."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from happysim import Host, Node, Simulation, World, message, on
from happysim.core.codec import native_part
from happysim.core.prng import Random
from happysim.core.stable_set import StableFrozenSet, StableSet
from happysim.sim.settle import Risks, Settler
from happysim.sim.values import SHARED, is_set_free, looked_at, promise_of
from tests.support.kernels import kernel

__all__ = ["kernel"]


@message
class Item:
    term: int
    command: Any = None


@dataclass(frozen=True)
class Noted:
    """Equal to another whatever its note is."""

    term: int
    note: Any = field(default=None, compare=False)


@dataclass
class Journal:
    items: list[Item] = field(default_factory=list)
    offset: int = 0


@dataclass
class Loose:
    inner: Any = None
    members: set[str] = field(default_factory=set)


class Holder(Node):
    """A field of every sort."""

    one: set[str] = {"a"}
    other: set[str] = set()
    few: frozenset[str] = frozenset({"a"})
    item: Item = Item(1)
    noted: Noted = Noted(1)
    anything: Any = None
    flat: dict[str, tuple[int, Any]] = {}
    keyed: dict[Any, Any] = {}
    listed: list[Item] = []
    journal: Journal = field(default_factory=Journal)
    loose: Loose = field(default_factory=Loose)
    nested: dict[str, set[str]] = {}


def built_in_sets(value: Any) -> list[Any]:
    """Every built-in set in a value, found by looking everywhere."""
    if type(value) in (set, frozenset):
        return [value]
    if isinstance(value, dict):
        parts = [*value, *value.values()]
    elif isinstance(value, list | tuple | set | frozenset):
        parts = list(value)
    elif dataclasses.is_dataclass(value):
        parts = list(vars(value).values())
    else:
        parts = []
    return [found for part in parts for found in built_in_sets(part)]


def held() -> tuple[Settler, Any, dict[str, Any]]:
    """A node whose fields have been settled, as after its first handler, and what settles them."""
    node = Holder(name="h")
    made = Risks().settler(Holder, vars(node))
    assert made is not None
    node.journal.items += [Item(1, "a"), Item(1, StableFrozenSet({"b"})), Item(2)]
    node.listed += [Item(1), Item(2)]
    node.flat["x"] = (1, "a")
    node.nested["x"] = {"a"}
    node.keyed[frozenset({"k"})] = 1
    made.settle_all()
    made.settle()
    assert built_in_sets(tuple(vars(node).values())) == []
    return made, node, vars(node)


def swap(holder: Any, name: str, value: Any) -> None:
    setattr(holder, name, value)


def swap_key(values: dict[Any, Any], key: Any) -> None:
    values[key] = values.pop(key)


CHANGES: dict[str, Callable[[Any], Any]] = {
    "a set by an equal one": lambda node: swap(node, "one", {"a"}),
    "an empty set by an empty one": lambda node: swap(node, "other", set()),
    "a frozenset by an equal one": lambda node: swap(node, "few", frozenset({"a"})),
    "a set by a frozenset": lambda node: swap(node, "one", frozenset({"a"})),
    "None by a set": lambda node: swap(node, "anything", {"a"}),
    "None by a tuple with a set": lambda node: swap(node, "anything", (1, frozenset({"a"}))),
    "a field of a frozen dataclass": lambda node: swap(node, "item", Item(1, frozenset({"a"}))),
    "a field that is not compared": lambda node: swap(node, "noted", Noted(1, frozenset({"a"}))),
    "a value of a flat dict": lambda node: node.flat.update(x=(1, frozenset({"a"}))),
    "a new value of a flat dict": lambda node: node.flat.update(y=(1, frozenset({"a"}))),
    "a flat dict by another": lambda node: swap(node, "flat", {"x": (1, frozenset({"a"}))}),
    "a key of a dict": lambda node: node.keyed.update({frozenset({"a"}): 1}),
    "a key of a dict by an equal one": lambda node: swap_key(node.keyed, frozenset({"k"})),
    "an item of a list": lambda node: node.listed.__setitem__(0, Item(1, frozenset({"a"}))),
    "a new item of a list": lambda node: node.listed.append(Item(1, frozenset({"a"}))),
    "a new entry of a log": lambda node: node.journal.items.append(Item(1, frozenset({"a"}))),
    "an entry put before the last of a log": lambda node: node.journal.items.insert(
        -1, Item(1, frozenset({"a"}))
    ),
    "the last entry of a log": lambda node: node.journal.items.__setitem__(
        -1, Item(2, frozenset({"a"}))
    ),
    "the entries of a log": lambda node: swap(
        node.journal, "items", [Item(1), Item(1, frozenset({"b"})), node.journal.items[-1]]
    ),
    "a log by a shorter one": lambda node: swap(
        node, "journal", Journal([Item(1, frozenset({"a"}))])
    ),
    "a log by an equal one": lambda node: swap(
        node,
        "journal",
        Journal([Item(1, "a"), Item(1, frozenset({"b"})), node.journal.items[-1]]),
    ),
    "a log by a set as long": lambda node: swap(node.journal, "items", {1, 2, 3}),
    "a set in a mutable dataclass": lambda node: swap(node.loose, "members", set()),
    "a list with a set in one": lambda node: swap(node.loose, "inner", [{"a"}]),
    "a mutable dataclass by another": lambda node: swap(node, "loose", Loose([{"a"}], {"a"})),
    "a set in a dict": lambda node: node.nested.update(x={"a"}),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_no_built_in_set_is_left_after_replacing(change: Callable[[Any], Any]) -> None:
    made, node, values = held()
    change(node)
    assert built_in_sets(tuple(values.values()))
    made.settle()
    assert built_in_sets(tuple(values.values())) == []


def test_no_built_in_set_is_left_after_any_sequence_of_changes() -> None:
    """Each way of being compared follows each other. All but for the known limit below."""
    random = Random(1)
    changes = [change for name, change in CHANGES.items() if name != "an item of a list"]
    made, node, values = held()
    for _ in range(3_000):
        if not random.below(10):
            made, node, values = held()
        for _ in range(1 + random.below(3)):
            # What an earlier change has put there cannot always be changed so.
            with suppress(AttributeError, TypeError, IndexError):
                changes[random.below(len(changes))](node)
        made.settle()
        assert built_in_sets(tuple(values.values())) == []


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_an_audit_leaves_no_built_in_set_either(change: Callable[[Any], Any]) -> None:
    made, node, values = held()
    change(node)
    made.settle_all()
    assert built_in_sets(tuple(values.values())) == []


def test_a_log_that_grows_is_looked_at_from_its_old_end_on() -> None:
    made, node, values = held()
    for number in range(5):
        node.journal.items += [Item(number), Item(number, frozenset({"a"})), Item(number)]
        made.settle()
        assert built_in_sets(values["journal"]) == []
        node.journal.items.append(Item(number))
        made.settle()
    del node.journal.items[3:]
    node.journal.items += [Item(9, frozenset({"b"}))] * 20
    made.settle()
    assert built_in_sets(values["journal"]) == []


def test_what_has_not_changed_stays_the_same_object() -> None:
    made, _, values = held()
    before = dict(values)
    made.settle()
    assert all(values[name] is before[name] for name in before)


def test_a_stable_set_that_grows_stays_as_it_is() -> None:
    made, node, _ = held()
    before = node.one
    node.one.add("b")
    made.settle()
    assert node.one is before
    assert type(node.one) is StableSet


def test_an_entry_whose_command_can_change_is_looked_at_each_time() -> None:
    made, node, values = held()
    command: list[Any] = [1]
    node.journal.items.insert(0, Item(1, command))
    node.journal.items.append(Item(2))
    made.settle()
    command.append({"a"})
    made.settle()
    assert built_in_sets(tuple(values.values())) == []


class Rewriting(Node):
    """Replaces an entry in the middle of its log once, and goes on."""

    journal: Journal = field(default_factory=lambda: Journal([Item(1)] * 3))
    rounds: int = 0

    def on_start(self, host: Host) -> None:
        host.set_timer("go")

    @on.timer("go")
    def go(self, host: Host) -> None:
        self.rounds += 1
        if self.rounds == 4:
            self.journal.items[1] = Item(1, frozenset({"a", "b"}))
        host.set_timer("go")


def test_known_limit_an_entry_replaced_in_the_middle_of_a_log_waits_for_the_next_audit() -> None:
    simulation = Simulation(World.of(Rewriting(name="r")))
    (live,) = simulation.nodes
    simulation.run_until(5)
    assert built_in_sets(live.values["journal"])
    simulation.run_until(8)
    assert not built_in_sets(live.values["journal"])


@dataclass(frozen=True)
class Plain:
    number: int


@dataclass(frozen=True)
class PlainToo(Plain):
    text: str = ""


@dataclass(frozen=True)
class Base:
    number: int


@dataclass(frozen=True)
class WithSet(Base):
    names: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Opaque:
    number: int


class OpaqueToo(Opaque):
    names: Any = None


@pytest.mark.parametrize(("kind", "safe"), [(Plain, True), (Base, False), (Opaque, False)])
def test_a_class_promises_no_more_than_its_subclasses(kind: type, safe: bool) -> None:
    assert (promise_of(kind) == SHARED) == safe


@dataclass(frozen=True)
class Vague:
    part: Any
    number: int = 0


@dataclass(frozen=True)
class Vaguer:
    part: Any
    whole: Any


@pytest.mark.parametrize(
    ("value", "free"),
    [
        (1, True),
        ((1, ("a", None)), True),
        (Vague((1, Vague("a"))), True),
        (Vaguer(Plain(1), Vague(None)), True),
        ([1], False),
        ((1, (frozenset(),)), False),
        (Vague((1, Vague(frozenset()))), False),
        (Vaguer(1, Vague([])), False),
        (Noted(1), False),
        (StableSet(), False),
    ],
)
def test_what_holds_no_set_and_cannot_change_is_known_by_looking(value: Any, free: bool) -> None:
    looks = native_part("Looks")
    look = looks(looked_at, StableSet, StableFrozenSet).is_set_free if looks else is_set_free
    assert look(value) == free


@dataclass(frozen=True)
class Early:
    number: int


class OfEarly(Node):
    held: Early = Early(1)


@dataclass(frozen=True)
class EarlyToo:
    number: int


class OfEarlyToo(Node):
    held: EarlyToo = EarlyToo(1)


def test_a_class_made_between_two_runs_counts_in_the_second(kernel: str) -> None:
    # Once made it is there, so each kernel has a pair of its own.
    early, holder = {"reference": (Early, OfEarly), "native": (EarlyToo, OfEarlyToo)}[kernel]
    assert Risks().settler(holder, vars(holder(name="h"))) is None

    @dataclass(frozen=True)
    class Late(early):  # type: ignore[valid-type,misc]
        names: frozenset[str] = frozenset()

    node = holder(name="h")
    made = Risks().settler(holder, vars(node))
    assert made is not None
    node.held = Late(1, frozenset({"a"}))
    made.settle()
    assert built_in_sets(node.held) == []


def test_a_field_that_holds_another_sort_of_value_is_compared_otherwise_from_then_on() -> None:
    made, node, values = held()
    for value in (None, {"x": 1}, [1], {"x": {"a"}}, (1, 2), {"a"}, Item(1)):
        node.anything = value
        made.settle()
        assert built_in_sets(values["anything"]) == []
        if isinstance(value, dict):
            value["x"] = {"b"}
        elif isinstance(value, list):
            value.append({"b"})
        made.settle()
        assert built_in_sets(values["anything"]) == []
