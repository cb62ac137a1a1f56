"""The naive search: what a state is made of, and when two states are equal."""

from __future__ import annotations

from collections import Counter, deque
from copy import deepcopy
from dataclasses import dataclass, field, is_dataclass
from enum import Enum
from typing import Any, NamedTuple

from happysim.core.choice import Faults
from happysim.core.freeze import thaw
from happysim.core.history import History
from happysim.core.node import Node
from happysim.core.script import Operation, Post, Request, Script, Sleep

NEW, UP, FAILING, DOWN = "new", "up", "failing", "down"
_ATOMS = frozenset({int, str, bytes, type(None)})
_SHARED = _ATOMS | {bool, float}
BUDGETS = (
    *("drops", "duplicates", "crashes", "restarts", "partitions", "heals"),
    *("wipes", "stales", "tears", "rots", "misdirects", "lies", "fills", "frees"),
)


def content(value: Any) -> Any:
    """A hashable key, equal for equal values of equal types (1, True and 1.0 are three keys)."""
    kind = type(value)
    if kind in _ATOMS:
        return value
    if kind is tuple or kind is list:
        return (kind, *[each if type(each) in _ATOMS else content(each) for each in value])
    if kind is bool or kind is float:
        return kind, repr(value)
    if isinstance(value, (set, frozenset)):
        base = set if isinstance(value, set) else frozenset
        return base, frozenset([content(each) for each in base.__iter__(value)])
    if isinstance(value, dict):
        return (kind, *[(content(key), content(each)) for key, each in value.items()])
    if isinstance(value, (deque, tuple)):
        return (kind, *map(content, value))
    return _content_of_object(kind, value)


def _content_of_object(kind: Any, value: Any) -> Any:
    if isinstance(value, Enum):
        return kind, value.name
    if hasattr(value, "__freeze__"):
        return kind, content(value.__freeze__())
    if is_dataclass(value):
        return (kind, *[content(getattr(value, name)) for name in kind.__dataclass_fields__])
    raise TypeError(f"no content in a {kind.__name__}")


def copied(value: Any) -> Any:
    """A copy to change; what cannot change is shared. The elements of a set are hashable."""
    kind = type(value)
    if kind in _SHARED:
        return value
    if kind is list:
        return [copied(each) for each in value]
    if isinstance(value, set):
        return set(value)
    if kind is dict:
        return {key: copied(each) for key, each in value.items()}
    return value if _cannot_change(kind, value) else deepcopy(value)


def _cannot_change(kind: Any, value: Any) -> bool:
    """True for an enum, and for a tuple, frozen set or frozen dataclass that can be hashed."""
    if isinstance(value, Enum):
        return True
    params = getattr(kind, "__dataclass_params__", None)
    if not isinstance(value, (tuple, frozenset)) and not (params and params.frozen):
        return False
    try:
        hash(value)
    except TypeError:
        return False
    return True


@dataclass(unsafe_hash=True, slots=True)
class Packet:
    """A message in flight. `message` is not compared: `content` stands for it."""

    source: str
    target: str
    content: Any
    operation: Operation | None
    message: Any = field(compare=False)


class Disk(NamedTuple):
    """One version of a node's durable fields: as a key, and as the values."""

    content: Any
    values: dict[str, Any]


class Local:
    """One node at one moment. Nobody changes it any more."""

    __slots__ = ("disk", "full", "key", "node", "status", "timers")

    def __init__(
        self, node: Node, status: str, timers: frozenset[str], disk: list[Disk], full: bool = False
    ) -> None:
        self.node, self.status, self.timers, self.disk, self.full = node, status, timers, disk, full
        values = tuple([content(value) for value in vars(node).values()])
        self.key = (status, values, timers, tuple([version.content for version in disk]), full)


class View:
    """A node as a property reads it: its fields, `is_up` and `timers`."""

    def __init__(self, local: Local) -> None:
        self.is_up = local.status == UP
        self.timers = tuple(sorted(local.timers))
        self._node = local.node

    def __getattr__(self, name: str) -> Any:
        return getattr(self._node, name)


class Client:
    """A client script at one moment: the answers it got, and what it asks next, if anything.

    `calls` counts its calls up to what it asks now, `posted` is what it sent unasked since the
    answer before.
    """

    __slots__ = ("answers", "asks", "calls", "key", "posted", "script", "waiting")

    def __init__(self, script: Script, answers: tuple[Any, ...], waiting: bool) -> None:
        self.script, self.answers, self.waiting = script, answers, waiting
        self.key = (waiting, content(answers))
        generator = script.function(*thaw(script.arguments))
        self.asks: Request | Post | Sleep | None = None
        self.calls = 0
        outbox: list[Any] = []
        try:
            asked = next(generator)
            for answer in answers:
                self.calls += isinstance(asked, Request)
                outbox.clear()
                # One list for all: a bound answer may be used later than it came.
                bound = answer.__bind__(outbox) if hasattr(answer, "__bind__") else answer
                asked = generator.send(bound)
            self.asks = asked
        except StopIteration:
            pass
        self.calls += isinstance(self.asks, Request)
        self.posted = [each for each in outbox if each is not self.asks]


@dataclass(frozen=True)
class Setup:
    """What no step changes."""

    names: tuple[str, ...]
    made: dict[str, Node | Script]
    peers: dict[str, tuple[str, ...]]
    faults: Faults
    network: str
    splits: tuple[frozenset[str], ...]


@dataclass(eq=False, slots=True)
class State:
    """One global state. It can be read like a World: `state["n1"].field`, `state.in_flight`."""

    setup: Setup
    locals: tuple[Local | Client, ...]
    flight: tuple[Packet, ...]
    budgets: tuple[float, ...]
    cut: frozenset[str] = frozenset()
    history: History = field(default_factory=History)
    history_key: Any = ()  # the history's content; made anew only where it changes

    def local(self, name: str) -> Any:
        return self.locals[self.setup.names.index(name)]

    def __getitem__(self, name: str) -> View:
        return View(self.local(name))

    def nodes(self, kind: type[Node] = Node) -> tuple[View, ...]:
        nodes = [each for each in self.locals if isinstance(each, Local)]
        return tuple(View(each) for each in nodes if isinstance(each.node, kind))

    @property
    def in_flight(self) -> tuple[Packet, ...]:
        return self.flight

    def key(self, histories: bool) -> Any:
        """What two states must share to be one."""
        nodes = tuple([each.key for each in self.locals])
        history = self.history_key if histories else ()
        return nodes, self.flight_key(), self.budgets, self.cut, history

    def flight_key(self) -> Any:
        """What is in flight: a queue for each link, a multiset, or a set."""
        if self.setup.network == "ordered":
            links: dict[tuple[str, str], list[Packet]] = {}
            for packet in self.flight:
                links.setdefault((packet.source, packet.target), []).append(packet)
            return frozenset((link, tuple(queue)) for link, queue in links.items())
        distinct = frozenset(self.flight)
        if len(distinct) == len(self.flight):
            return distinct
        return frozenset(Counter(self.flight).items())

    def heads(self) -> list[Packet]:
        """What may arrive next, each message once."""
        if self.setup.network == "ordered":
            first: dict[tuple[str, str], Packet] = {}
            for packet in self.flight:
                first.setdefault((packet.source, packet.target), packet)
            return list(first.values())
        return list(dict.fromkeys(self.flight))

    def without(self, packet: Packet) -> tuple[Packet, ...]:
        """The messages in flight, one copy of `packet` less."""
        at = self.flight.index(packet)
        return self.flight[:at] + self.flight[at + 1 :]

    def with_sent(self, flight: tuple[Packet, ...], sent: list[Packet]) -> tuple[Packet, ...]:
        if self.setup.network == "duplicating":
            return tuple(dict.fromkeys((*flight, *sent)))
        return (*flight, *sent)

    def can_pay(self, budget: str) -> bool:
        return self.budgets[BUDGETS.index(budget)] > 0
