"""A world in virtual time, to read: what a property or a predicate is given during a simulation.

It reads as `happysim.World` does, but what it shows is alive: the same object shows the next moment
once time has moved on. What is read of it can be noted, so that a property need not be judged again
before any of it has changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from happysim.core.describe import describe
from happysim.core.errors import ScenarioError
from happysim.core.freeze import freeze
from happysim.core.history import History
from happysim.core.local_step import UP
from happysim.core.node import Node
from happysim.core.view import Message, of_class, refuse_assignment
from happysim.sim.keeper import STATUS, TIMERS
from happysim.sim.live import LiveNode
from happysim.spec.property import PropertyError

if TYPE_CHECKING:
    from happysim.sim.simulation import Simulation

# What is read of a world besides fields of nodes. The status of a node counts as a field of it.
HISTORY, WIDE = "(history)", "(wide)"
Reads = set[tuple[int, str]]


class LiveView:
    """A node in virtual time, to read: its fields, and the properties and methods of its class."""

    __slots__ = ("_live", "_slot", "_values", "_world")

    def __init__(self, world: LiveWorld, live: LiveNode, values: dict[str, Any]) -> None:
        set_ = object.__setattr__
        set_(self, "_world", world)
        set_(self, "_live", live)
        set_(self, "_slot", live.slot)
        set_(self, "_values", values)

    @property
    def name(self) -> str:
        name: str = self._live.name
        return name

    @property
    def is_up(self) -> bool:
        """False while the node is crashed (or has not started)."""
        if self._world.reads is not None:
            self._world.reads.add((self._slot, STATUS))
        if self._is_past:
            return bool(self._values[STATUS] == UP)
        up: bool = self._live.is_up
        return up

    @property
    def timers(self) -> tuple[str, ...]:
        """Names of the timers that are set, sorted."""
        if self._world.reads is not None:
            self._world.reads.add((self._slot, TIMERS))
        if self._is_past:
            timers: tuple[str, ...] = self._values[TIMERS]
            return timers
        return tuple(sorted(self._live.deadlines))

    @property
    def _is_past(self) -> bool:
        """True for a node as it was before a step."""
        return self._values is not self._live.values

    def __getattr__(self, name: str) -> Any:
        return self._read(name)

    def _read(self, name: str) -> Any:
        """A field, noted as read where somebody wants to know."""
        values = self._values
        if name in values:
            reads = self._world.reads
            if reads is not None:
                reads.add((self._slot, name))
            return values[name]
        return of_class(self, self._live.kind, name)

    def __setattr__(self, name: str, value: object) -> None:
        refuse_assignment(self, name)

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value!r}" for name, value in self._values.items())
        return f"<{values}>"


def view_of(kind: type[Node]) -> type[LiveView]:
    """The class of views of nodes of a class.

    Its fields are properties: `__getattr__` is only asked once Python has looked everywhere else.
    """
    known = _VIEWS.get(kind)
    if known is None:
        names = [name for name in kind.happysim_fields if not hasattr(LiveView, name)]
        fields = {name: _field(name) for name in names}
        known = _VIEWS[kind] = type("LiveView", (LiveView,), {"__slots__": (), **fields})
    return known


_VIEWS: dict[type[Node], type[LiveView]] = {}


def _field(name: str) -> property:
    def read(view: LiveView) -> Any:
        # As in `_read`, in one call less.
        reads = view._world.reads
        if reads is not None:
            reads.add((view._slot, name))
        try:
            return view._values[name]
        except KeyError:
            return view._read(name)

    return property(read)


class LiveWorld:
    """The world of a simulation at its present moment."""

    def __init__(self, simulation: Simulation, values: dict[int, dict[str, Any]] | None = None):
        """`values` replaces the fields of some nodes: for the moment before a step."""
        self._simulation = simulation
        self.reads: Reads | None = None
        self._views: dict[str, LiveView] = {}
        self._instead = values or {}

    def __getitem__(self, name: str) -> LiveView:
        """The node of that name, to read. Raises `ScenarioError` for an unknown name."""
        view = self._views.get(name)
        # A node of another class than before has other values.
        if view is None or (
            view._values is not view._live.values and view._slot not in self._instead
        ):
            live = self._simulation.processes.get(name)
            if not isinstance(live, LiveNode):
                raise ScenarioError(self._unknown(name))
            values = self._instead.get(live.slot, live.values)
            view = self._views[name] = view_of(live.kind)(self, live, values)
        return view

    def _unknown(self, name: str) -> str:
        if name in self._simulation.processes:
            return f"{name} is a client script; read world.history instead"
        known = ", ".join(self._simulation.processes)
        return f"there is no node {name!r} in this world; it has {known}"

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all nodes and client scripts."""
        return tuple(self._simulation.processes)

    def nodes(self, kind: type[Node] = Node) -> tuple[LiveView, ...]:
        """The nodes of a class, in the order the world lists them."""
        return tuple(
            self[name]
            for name, live in self._simulation.processes.items()
            if isinstance(live, LiveNode) and issubclass(live.kind, kind)
        )

    def _note(self, what: str) -> None:
        if self.reads is not None:
            self.reads.add((-1, what))

    @property
    def now(self) -> int:
        """Nanoseconds since the run began."""
        self._note(WIDE)
        return self._simulation.now

    @property
    def history(self) -> History:
        """What clients invoked and got back so far."""
        self._note(HISTORY)
        return self._simulation.records.history()

    @property
    def in_flight(self) -> tuple[Message, ...]:
        """Every message on its way, each copy, by receiver, in order of arrival."""
        self._note(WIDE)
        if self._instead:
            raise PropertyError(
                "in_flight of the world before a step is gone in a simulation; keep what you need "
                "in a @monitor"
            )
        found = [
            Message(route.source, route.target.name, freeze(message))
            for route, message in self._simulation.on_their_way()
        ]
        order = {name: at for at, name in enumerate(self._simulation.processes)}
        return tuple(sorted(found, key=lambda message: order[message.target]))

    @property
    def is_quiescent(self) -> bool:
        """True where nothing is left to happen, and no client script awaits an answer."""
        self._note(WIDE)
        return self._simulation.is_quiescent

    @property
    def partition(self) -> str | None:
        """The partitions in force, as text, or None."""
        self._note(WIDE)
        return self._simulation.cuts_text() or None

    def lines(self) -> list[str]:
        """The fields of every node as text, a line each, as `World.lines` has them."""
        found = []
        for live in self._simulation.processes.values():
            if isinstance(live, LiveNode):
                texts = zip(live.kind.happysim_fields, live.fields(), strict=True)
                found += [f"{live.name}.{name} = {describe(value)}" for name, value in texts]
        return found
