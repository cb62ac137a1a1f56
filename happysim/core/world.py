"""World: one global state of a protocol, as an immutable value with `choices()` and `step(choice)`.

This file holds the theory that everything else searches, times, shrinks and draws:

1. A step runs one handler to its end, on one node. The handler sees its own fields, its message and
   its host, and nothing else.
2. What may happen next is a *choice*: deliver a message, fire a timer that is set, let a client
   ask, run an action whose guard holds, or, while its budget lasts, a fault. There is nothing else.
3. Delay is not a choice. Not choosing a message is its delay, never choosing it is its loss.
4. A delivery that leaves its node as it was, and has no effect, is not a choice on an unordered or
   duplicating network: the message stays in flight. On an ordered one it is a step: it makes way.
5. A crash takes the fields that are not durable, and the timers. What was sent to a node that is
   down waits for it, but on an ordered network a crash breaks the node's links and empties them.
   A restart runs `on_start` again.
6. A partition keeps nodes on its two sides from receiving from each other until it heals.
7. Nothing is random and nothing takes time: a run is its list of choices, its schedule.

A world is what its nodes hold, what is in flight, the faults left, and the history of its clients.
Two worlds with the same content are equal, whatever led to them.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any, Protocol

from happysim.core.assembly import tables_of
from happysim.core.choice import BUDGETS, NAMED_BUDGETS, Choice, Faults
from happysim.core.describe import digest
from happysim.core.entries import Cell, Envelope, Ledger, Move
from happysim.core.errors import HandlerRaised, ScenarioError, ScheduleError
from happysim.core.freeze import Frozen
from happysim.core.history import History
from happysim.core.local_step import NEW, NodeState
from happysim.core.network import Delivery
from happysim.core.node import Node
from happysim.core.process import NodeProcess
from happysim.core.script import Operation, Script
from happysim.core.script_process import ScriptProcess
from happysim.core.tables import Tables
from happysim.core.told import find, not_enabled
from happysim.core.topology import Network
from happysim.core.view import Message, NodeView


class Log(Protocol):
    """Receives (key, value) for each part of a world that is read."""

    def append(self, entry: tuple[tuple[Any, ...], Any], /) -> None: ...


class World:
    """One global state. Make the first with `World.of(...)`, others with `step` and `after`."""

    __slots__ = ("_log", "cells", "history_number", "ledger", "tables")

    def __init__(
        self,
        tables: Tables,
        cells: tuple[int, ...],
        ledger: int = 0,
        history_number: int = 0,
        reads: Log | None = None,
    ) -> None:
        """For the engine: a world by its numbers in `tables`."""
        self.tables = tables
        self.cells = cells
        self.ledger = ledger
        self.history_number = history_number
        self._log = reads

    @classmethod
    def of(
        cls,
        *processes: Node | Script,
        faults: Faults | None = None,
        network: Network | Delivery | None = None,
        symmetric: Iterable[str | Iterable[str]] = (),
    ) -> World:
        """The world in which these nodes and client scripts have just started.

        Each node's `on_start` has run, in the order given; where it chooses, starting it is left
        as a first choice. `network` is `unordered()` (default), `ordered()`, `duplicating()`, or a
        `Network` with links: what joined it is added, and a copy of it is kept. A search knows no
        time: it uses the kind of delivery alone, and leaves the links to simulation.

        `symmetric=("n1", "n2", "n3")` declares nodes interchangeable, several tuples several sets
        of them: an exhaustive search then visits one world of all those that differ only by which
        is which. That they are is checked as the search goes on. A dict keyed by their names is in
        order of these names then, as a set is. Raises `ScenarioError` where they start unalike.
        """
        tables = tables_of(processes, faults, network, symmetric)
        cells = tuple(
            tables.cells[slot].number(Cell(tables.states[slot].number(each.initial()), ()))
            for slot, each in enumerate(tables.processes)
        )
        world = _started(cls(tables, cells))
        tables.first = world.numbers
        if tables.symmetry is not None:
            tables.symmetry.check_first(world.numbers)
        return world

    # -- what may happen -------------------------------------------------------------------------

    def choices(self) -> tuple[Choice, ...]:
        """Everything that may happen next: by node, then faults, each in order of content."""
        self._read_all()
        return tuple(choice for choice, _, _ in self.enabled())

    def step(self, choice: Choice | str) -> World:
        """The world after a choice, given as such or as its text.

        Raises `ScheduleError` where it is not enabled, `HandlerRaised` where the handler raises.
        """
        self._read(("history",))
        self._read_all()
        found = find(self, choice)
        if found is None:
            raise ScheduleError(not_enabled(str(choice), self.choices()))
        return self.take(*found)

    def after(self, *schedule: Choice | str) -> World:
        """The world after several choices: a scenario may start from an interesting one."""
        world = self
        for number, choice in enumerate(schedule, 1):
            try:
                world = world.step(choice)
            except (ScheduleError, HandlerRaised) as error:
                error.add_note(f"at choice {number} of {len(schedule)}")
                raise
        return world

    def steps(self) -> Iterator[tuple[Choice, World]]:
        """Each choice with the world after it; a handler that raises is left out."""
        self._read(("history",))
        self._read_all()
        for choice, slot, move in self.enabled():
            if not isinstance(move, Move) or move.raised is None:
                yield choice, self.take(choice, slot, move)

    def enabled(self) -> Iterator[tuple[Choice, int, Move | int]]:
        """For the engine: each choice, the slot that moves (-1: none), and its move or ledger."""
        tables = self.tables
        costly = []
        for slot, cell in enumerate(self.cells):
            free, faults = tables.moves(slot, cell)
            for move in free:
                if not tables.blocked(self.ledger, move.source, slot):
                    yield move.choice, slot, move
            costly += [(slot, move) for move in faults]
        for slot, move in costly:
            if tables.pay(self.ledger, move.cost) >= 0:
                yield move.choice, slot, move
        for ledger, choice in tables.ledgers.network_faults(self.ledger):
            yield choice, -1, ledger

    def arriving(self, name: str) -> Iterator[tuple[str, str]]:
        """For the engine: sender and text of each message in flight to a process, by content."""
        slot = self.tables.slot_of.get(name, -1)
        for envelope, _ in self._waiting(slot) if slot >= 0 else ():
            yield self.tables.names[envelope.source], envelope.text

    def _waiting(self, slot: int) -> Iterator[tuple[Envelope, int]]:
        for number, copies in self.tables.network.waiting(self._cell(slot).inbox):
            yield self.tables.envelopes.values[number], copies

    def waiting(self) -> Iterator[tuple[str, str, Frozen, Operation | None]]:
        """For the engine: each message in flight: sender, receiver, content and operation."""
        names = self.tables.names
        for slot, name in enumerate(names):
            for envelope, copies in self._waiting(slot):
                for _ in range(copies):
                    yield names[envelope.source], name, envelope.message, envelope.operation

    def state_number(self, slot: int) -> int:
        """For the engine: the number of a process's local state."""
        return self._cell(slot).state

    def take(self, choice: Choice, slot: int, move: Move | int) -> World:
        """For the engine: the world after an enabled choice."""
        tables = self.tables
        if not isinstance(move, Move):
            return World(tables, self.cells, move, self.history_number)
        if move.raised is not None:
            raise HandlerRaised(f"{choice}: {move.raised}")
        cells = list(self.cells)
        cells[slot] = move.cell
        for target, batch in move.sends:
            cells[target] = tables.put(target, cells[target], batch)
        ledger = tables.pay(self.ledger, move.cost) if move.cost else self.ledger
        history = self.history_number
        if move.record and history >= 0:
            history = tables.record(history, move.record)
        return World(tables, tuple(cells), ledger, history)

    # -- what there is ---------------------------------------------------------------------------

    def __getitem__(self, name: str) -> NodeView:
        """The node of that name, to read. Raises `ScenarioError` for an unknown name."""
        slot = self.tables.slot_of.get(name)
        if slot is None:
            known = ", ".join(self.tables.names)
            raise ScenarioError(f"there is no node {name!r} in this world; it has {known}")
        if isinstance(self.tables.processes[slot], ScriptProcess):
            raise ScenarioError(f"{name} is a client script; read world.history instead")
        return NodeView(self, slot)

    def nodes(self, kind: type[Node] = Node) -> tuple[NodeView, ...]:
        """The nodes that run a class now, or a subclass of it, in the order of the world."""
        fixed = self.tables.slots_of(kind)
        if fixed is not None:
            return tuple([NodeView(self, slot) for slot in fixed])
        slots = (
            slot for slot, each in enumerate(self.tables.processes) if isinstance(each, NodeProcess)
        )
        views = (NodeView(self, slot) for slot in slots)
        return tuple(view for view in views if issubclass(view._kind, kind))

    @property
    def in_flight(self) -> tuple[Message, ...]:
        """Every message sent and not yet delivered or dropped, each copy, by receiver."""
        found = []
        for slot in range(len(self.cells)):
            self._read(("inbox", slot))
            for envelope, copies in self._waiting(slot):
                source, target = self.tables.names[envelope.source], self.tables.names[slot]
                found += [Message(source, target, envelope.message)] * copies
        return tuple(found)

    @property
    def history(self) -> History:
        """What clients invoked and got back so far."""
        history: History = self._read(("history",))
        return history

    @property
    def network(self) -> Network:
        """The links between the nodes, as they were when the world was made; not to be changed."""
        return self.tables.topology

    @property
    def faults_left(self) -> dict[str, float]:
        """The budget left of each kind of fault."""
        ledger: Ledger = self._read(("ledger",))
        return dict(zip(BUDGETS, ledger.budgets, strict=True))

    @property
    def partition(self) -> str | None:
        """The partition in force, as `n1 | n2 n3`, or None."""
        ledger: Ledger = self._read(("ledger",))
        return self.tables.ledgers.cut_text(ledger.cut) if ledger.cut else None

    @property
    def is_quiescent(self) -> bool:
        """True where nothing but faults can happen and no client script awaits an answer.

        A message whose delivery would change nothing may still be in flight. What a partition
        holds back is in flight too; what was sent to a node that is down is lost with it.
        """
        self._read_all()
        if any(self.tables.moves(slot, cell)[0] for slot, cell in enumerate(self.cells)):
            return False
        return not any(
            getattr(self.tables.states[slot].values[self._cell(slot).state], "waiting", False)
            for slot in range(len(self.cells))
        )

    # -- as content ------------------------------------------------------------------------------

    def lines(self) -> list[str]:
        """The world as text, a line for each fact, in a fixed order. The history is not in it."""
        self._read_all()
        found = []
        for slot, name in enumerate(self.tables.names):
            for field, text in self.tables.state_text(slot, self._cell(slot).state):
                found.append(f"{name}.{field} = {text}")
        for slot, name in enumerate(self.tables.names):
            for envelope, copies in self._waiting(slot):
                times = f" ({copies} times)" if copies > 1 else ""
                found.append(
                    f"in flight: {self.tables.names[envelope.source]} -> {name} "
                    f"{envelope.text}{times}"
                )
        ledger: Ledger = self.tables.ledgers.values[self.ledger]
        found.append(f"faults left: {self._budgets_text(ledger.budgets)}")
        if ledger.cut:
            found.append(f"partition: {self.tables.ledgers.cut_text(ledger.cut)}")
        return found

    def _budgets_text(self, left: tuple[float, ...]) -> str:
        """The budgets in their order; later ones by name, and only where there were any."""
        first = self.tables.faults.budgets
        told = [
            f"{name} {budget}" if name in NAMED_BUDGETS else str(budget)
            for name, budget, at_first in zip(BUDGETS, left, first, strict=True)
            if at_first or name not in NAMED_BUDGETS
        ]
        return " ".join(told)

    def digest(self) -> str:
        """A digest of the content, 32 hexadecimal digits: the same on every machine."""
        return digest("\n".join(self.lines()))

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def __repr__(self) -> str:
        return f"<World {self.digest()[:8]} of {', '.join(self.tables.names)}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, World):
            return NotImplemented
        self._read(("history",))
        self._read_all()
        if other.tables is self.tables:
            return self.numbers == other.numbers
        return self.lines() == other.lines() and self.history == other.history

    def __hash__(self) -> int:
        return hash(self.digest())

    @property
    def numbers(self) -> tuple[int, ...]:
        """For the engine: the world as numbers of its tables: cells, the ledger, the history."""
        return (*self.cells, self.ledger, self.history_number)

    # -- for the engine --------------------------------------------------------------------------

    def _cell(self, slot: int) -> Cell:
        cell: Cell = self.tables.cells[slot].values[self.cells[slot]]
        return cell

    def read(self, key: tuple[Any, ...]) -> Any:
        """For the engine: one part of the world by its key, as frozen content.

        Keys: ("field", slot, index), ("status", slot), ("timers", slot), ("inbox", slot),
        ("ledger",), ("history",), ("quiescent",). A property is remembered by the parts it read.
        """
        what = key[0]
        tables = self.tables
        if what == "field":
            slot = key[1]
            number = tables.cells[slot].values[self.cells[slot]].state
            return tables.states[slot].values[number].fields[key[2]]
        if what == "history":
            if self.history_number < 0:
                raise HistoryNotKept
            return tables.histories.values[self.history_number]
        if what == "ledger":
            return tables.ledgers.values[self.ledger]
        cell = self._cell(key[1])
        if what == "inbox":
            return cell.inbox
        state: NodeState = tables.states[key[1]].values[cell.state]
        return state.timers if what == "timers" else state.status

    def mark(self, key: Sequence[Any]) -> Hashable:
        """For the engine: what `read(key)` returns, or a number that stands for it."""
        what = key[0]
        if what == "field":
            tables, slot = self.tables, key[1]
            state = tables.cells[slot].values[self.cells[slot]].state
            field: Hashable = tables.states[slot].values[state].fields[key[2]]
            return field
        if what == "history":
            if self.history_number < 0:
                raise HistoryNotKept
            return self.history_number
        if what == "ledger":
            return self.ledger
        if what == "all":
            return (*self.cells, self.ledger)
        if what == "state":
            return self._cell(key[1]).state
        value: Hashable = self.read(tuple(key))
        return value

    def watched(self, log: Log) -> World:
        """For the engine: the same world, which tells `log` what is read of it."""
        return World(self.tables, self.cells, self.ledger, self.history_number, log)

    def _read_state(self, slot: int) -> int:
        """The number of a local state; noted as read."""
        if self._log is not None:
            self._log.append((("state", slot), None))
        return self._cell(slot).state

    def _read_all(self) -> None:
        """Note that the whole world but its history was read."""
        if self._log is not None:
            self._log.append((("all",), None))

    def _read_field(self, key: tuple[str, int, int]) -> Frozen:
        """As `_read`, of a field."""
        _, slot, index = key
        tables = self.tables
        state = tables.cells[slot].values[self.cells[slot]].state
        value: Frozen = tables.states[slot].values[state].fields[index]
        if self._log is not None:
            self._log.append((key, value))
        return value

    def _read(self, key: tuple[Any, ...]) -> Any:
        value = self.read(key)
        if self._log is not None:
            self._log.append((key, value))
        return value


class HistoryNotKept(BaseException):
    """For the engine: a property reads the history in a search that does not keep it.

    Not an Exception, so that no property swallows it: the search starts again and keeps it.
    """


def _started(world: World) -> World:
    """Run every `on_start` that makes no choice; one that does is left as a choice."""
    for slot in range(len(world.cells)):
        state = world.tables.states[slot].values[world._cell(slot).state]
        if not isinstance(state, NodeState) or state.status != NEW:
            continue
        free, _ = world.tables.moves(slot, world.cells[slot])
        if len(free) == 1:
            world = world.take(free[0].choice, slot, free[0])
    return world
