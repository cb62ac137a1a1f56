"""Node: one process, written as a class with typed fields and handlers.

What lives here: how a class declares its fields (`durable` or not) and its handlers (`on`,
`on.timer`, `action`). What this file does not know: when a handler runs, and what a world is.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, dataclass_transform, get_origin

from happysim.core.errors import ProtocolError
from happysim.core.freeze import freeze, refuse_kind, thaw

if TYPE_CHECKING:
    from happysim.core.host import Host

_F = TypeVar("_F", bound=Callable[..., Any])
_TAKEN = {
    "name": "every node has this field already; drop it",
    "timers": "a world shows a node's set timers under this name; give the field some other name",
    "unsynced": "a world shows unsynced writes under this name; give the field some other name",
    "is_up": "a world says under this name whether a node is up; give the field some other name",
}
_MUTABLE = (list, dict, set, deque, bytearray)


def durable(default: Any = dataclasses.MISSING, *, factory: Any = dataclasses.MISSING) -> Any:
    """Declare a field that survives a crash: `term: int = durable(0)`.

    `default` may be a list, dict or set: every node gets a copy of its own. `factory` is called
    with nothing for each node instead. With neither, the constructor must be given the value.
    """
    if default is not dataclasses.MISSING and factory is not dataclasses.MISSING:
        raise ProtocolError("durable() takes a default or a factory, not both")
    if factory is not dataclasses.MISSING:
        return field(default_factory=factory, metadata={"durable": True})
    if isinstance(default, _MUTABLE):
        return field(default_factory=_copier(default), metadata={"durable": True})
    return field(default=default, metadata={"durable": True})


def _copier(default: Any) -> Callable[[], Any]:
    frozen = freeze(default, "a field's default")
    return lambda: thaw(frozen)


class _On:
    """`@on(Message)` marks the handler of a message, `@on.timer(name)` that of a timer."""

    def __call__(self, *messages: type) -> Callable[[_F], _F]:
        """The method below handles these messages: `handler(self, host, sender, message)`."""
        for kind in messages:
            if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
                shown = getattr(kind, "__name__", repr(kind))
                raise ProtocolError(
                    f"@on({shown}): not a message class; decorate the class with @message first"
                )
        if not messages:
            raise ProtocolError("@on() names no message class; write @on(SomeMessage)")
        return _marker("message", messages)

    def timer(self, *names: str) -> Callable[[_F], _F]:
        """The method below runs when a timer of that name fires: `handler(self, host)`."""
        if not names or not all(isinstance(n, str) and n.isprintable() and n for n in names):
            raise ProtocolError('@on.timer takes names of timers: @on.timer("election")')
        return _marker("timer", names)


on = _On()


def action(method: Any = None, *, when: Callable[[Any], bool] | None = None) -> Any:
    """Mark a method that may run at any moment at which `when(self)` holds: `method(self, host)`.

    `@action` alone may always run. An action is how a node acts by itself: a client's next request,
    an internal step, a transition of a raw transition system.
    """
    mark = _marker("action", (when,))
    return mark if method is None else mark(method)


def _marker(kind: str, what: tuple[Any, ...]) -> Callable[[_F], _F]:
    def mark(method: _F) -> _F:
        handles = [*getattr(method, "_happysim_handles", ()), (kind, what)]
        method._happysim_handles = handles  # type: ignore[attr-defined]
        return method

    return mark


@dataclass(frozen=True)
class Handlers:
    """What a class reacts to: names of methods, so that an override in a subclass is found."""

    messages: dict[type, str]
    timers: dict[str, str]
    actions: dict[str, Callable[[Any], bool] | None]


@dataclass_transform(field_specifiers=(durable, field))
class Node:
    """One process of a protocol: typed fields and handlers; deterministic; no I/O of its own.

    A subclass is a dataclass whose first field is `name`. Fields declared with `durable(...)`
    survive a crash; every other field returns to the value it was made with. Handlers change
    `self` and speak through the `Host` they are given, and through nothing else.

    Fields hold ordinary values: numbers, text, lists, dicts, sets, deques, dataclasses, nested.
    The engine keeps their content and hands every handler fresh copies.
    """

    name: str

    happysim_handlers: ClassVar[Handlers] = Handlers({}, {}, {})
    happysim_fields: ClassVar[tuple[str, ...]] = ()
    happysim_durable: ClassVar[tuple[bool, ...]] = ()
    happysim_family: ClassVar[type]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        refuse_kind(cls, "a node's state is its own, so keep the other node's name")
        for taken in sorted(_TAKEN.keys() & inspect.get_annotations(cls).keys()):
            raise ProtocolError(f"{cls.__name__}.{taken}: {_TAKEN[taken]}")
        _own_defaults(cls)
        dataclass(eq=False)(cls)
        declared = dataclasses.fields(cls)  # type: ignore[arg-type]
        cls.happysim_fields = tuple(each.name for each in declared if each.name != "name")
        cls.happysim_durable = tuple(
            bool(each.metadata.get("durable")) for each in declared if each.name != "name"
        )
        # Peers are nodes of one protocol; a broken variant still is a peer of the correct class.
        if Node in cls.__bases__:
            cls.happysim_family = cls
        cls.happysim_handlers = _handlers_of(cls)

    def on_start(self, host: Host) -> None:
        """Run once when the node starts, and again after each restart. Does nothing here."""


dataclass(eq=False)(Node)


def _own_defaults(cls: type) -> None:
    """Turn a mutable default into one copy a node, as the author means it."""
    inherited = {name for base in cls.__mro__[1:] for name in _declared(base)}
    for name in sorted(inherited & cls.__dict__.keys() - _declared(cls)):
        raise ProtocolError(
            f"{cls.__name__}.{name} is a field of its base class, and keeps the default it has "
            f"there unless it has a type here too: `{name}: ... = ...`"
        )
    for name in _declared(cls):
        default = cls.__dict__.get(name)
        if isinstance(default, _MUTABLE):
            setattr(cls, name, field(default_factory=_copier(default)))


def _declared(cls: type) -> set[str]:
    """The names that a class itself declares with a type, but for ClassVars."""
    annotations = inspect.get_annotations(cls)
    return {name for name, kind in annotations.items() if not _is_class_var(kind)}


def _is_class_var(kind: Any) -> bool:
    if isinstance(kind, str):
        return kind.removeprefix("typing.").startswith("ClassVar")
    return kind is ClassVar or get_origin(kind) is ClassVar


def _handlers_of(cls: type) -> Handlers:
    found = Handlers({}, {}, {})
    for base in reversed(cls.__mro__):
        for name, method in base.__dict__.items():
            for kind, what in getattr(method, "_happysim_handles", ()):
                _register(found, cls, name, kind, what)
    return found


def _register(found: Handlers, cls: type, name: str, kind: str, what: tuple[Any, ...]) -> None:
    if kind == "action":
        found.actions[name] = what[0]
        return
    table: dict[Any, str] = found.messages if kind == "message" else found.timers
    for key in what:
        other = table.get(key, name)
        if other != name and other in cls.__dict__ and name in cls.__dict__:
            shown = key if isinstance(key, str) else key.__name__
            raise ProtocolError(
                f"{cls.__name__}: both {other} and {name} handle {shown}; keep one of them"
            )
        table[key] = name
