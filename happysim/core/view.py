"""What a world shows of its nodes and of the messages in flight: to read, never to change."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, NoReturn

from happysim.core.describe import describe
from happysim.core.freeze import Frozen, thaw
from happysim.core.local_step import UP
from happysim.core.node import Node
from happysim.core.process import NodeProcess

if TYPE_CHECKING:
    from happysim.core.world import World


class Message:
    """A message in flight, to read: `source`, `target`, and `message`, a copy of what was sent."""

    __slots__ = ("_frozen", "source", "target")

    def __init__(self, source: str, target: str, frozen: Frozen) -> None:
        self.source = source
        self.target = target
        self._frozen = frozen

    @property
    def message(self) -> Any:
        return thaw(self._frozen)

    def __repr__(self) -> str:
        return f"<{self.source} -> {self.target} {describe(self._frozen)}>"


class NodeView:
    """A node of a world, to read: its fields, and the properties and methods of its class.

    A mutable field is a fresh copy each time it is read. Assigning raises.
    """

    __slots__ = ("_slot", "_world")

    def __init__(self, world: World, slot: int) -> None:
        _set_world(self, world)
        _set_slot(self, slot)

    @property
    def name(self) -> str:
        name: str = self._world.tables.names[self._slot]
        return name

    @property
    def is_up(self) -> bool:
        """False while the node is crashed (or has not started)."""
        up: bool = self._world._read(("status", self._slot)) == UP
        return up

    @property
    def timers(self) -> tuple[str, ...]:
        """Names of the timers that are set, sorted."""
        timers: tuple[str, ...] = self._world._read(("timers", self._slot))
        return timers

    @property
    def _kind(self) -> type[Node]:
        """The class that the node runs now."""
        process = self._world.tables.processes[self._slot]
        assert isinstance(process, NodeProcess)
        if not process.later:
            return process.kind
        states = self._world.tables.states[self._slot].values
        return process.at(states[self._world._read_state(self._slot)]).kind

    def __getattr__(self, name: str) -> Any:
        world, slot = self._world, self._slot
        keys = world.tables.fixed_keys[slot]
        key = (world.tables.field_keys(slot, self._kind) if keys is None else keys).get(name)
        if key is not None:
            frozen = world._read_field(key)
            return thaw(frozen) if type(frozen) is tuple else frozen
        if name.startswith("__"):
            raise AttributeError(name)
        return of_class(self, self._kind, name)

    def __setattr__(self, name: str, value: object) -> None:
        refuse_assignment(self, name)

    def __repr__(self) -> str:
        state = self._world._read_state(self._slot)
        texts = self._world.tables.state_text(self._slot, state)
        return f"<{self.name}: {', '.join(f'{field}={text}' for field, text in texts)}>"


# The slots of a view, which refuses assignments.
_set_world: Callable[[NodeView, World], None] = NodeView._world.__set__  # type: ignore[attr-defined]
_set_slot: Callable[[NodeView, int], None] = NodeView._slot.__set__  # type: ignore[attr-defined]


def of_class(view: Any, kind: type[Node], name: str) -> Any:
    """What a view of a node shows beside its fields: a property, method or constant of its class.

    Properties and methods run on the view, so that what they read is read of its world. Raises
    `AttributeError` where the class has nothing of that name.
    """
    try:
        found = inspect.getattr_static(kind, name)
    except AttributeError:
        fields = ", ".join(kind.happysim_fields)
        raise AttributeError(
            f"{view.name} ({kind.__name__}) has no field {name!r}; its fields are {fields}"
        ) from None
    if isinstance(found, property) and found.fget is not None:
        return found.fget(view)
    if isinstance(found, FunctionType):
        return MethodType(found, view)
    return getattr(kind, name)


def refuse_assignment(view: Any, name: str) -> NoReturn:
    """Raise `AttributeError`: a view is to read."""
    raise AttributeError(f"{view.name}.{name}: a world is read-only; only handlers change it")
