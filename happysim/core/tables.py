"""Tables: everything of a world as a small number, and every local step computed once.

The global states of a protocol are many, its local ones few. So every local state, message and
inbox is numbered on first sight, and every local transition is remembered:

    (process, local state, event) -> (new local state, messages out, history records)

A process's *cell* is its local state together with the messages waiting for it. A world is one
cell number a process, plus a ledger (faults left, partition) and a history number; a step is a few
look-ups. Python code of the protocol runs only on a miss. Relatives: SPIN's COLLAPSE compression,
LTSmin's transition caching, local model checking (Guerraoui & Yabandeh 2011).

Numbers are private to one `Tables` and depend on what was seen first. Nothing that a user sees may
depend on them: every order is by content.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

from happysim.core.choice import Choice, Faults, Kind
from happysim.core.errors import ScenarioError
from happysim.core.freeze import Frozen, describe, thaw
from happysim.core.history import History
from happysim.core.network import Inbox, Network
from happysim.core.process import (
    DOWN,
    UP,
    Event,
    NodeProcess,
    NodeState,
    Outcome,
    Process,
    Raised,
    ScriptProcess,
    is_response,
    response_parts,
)
from happysim.core.script import Operation

# What a move costs: the index of a budget in Faults.budgets, plus one.
FREE, DROP, DUPLICATE, CRASH, RESTART, PARTITION, HEAL = range(7)
_NOWHERE = -1


class Envelope(NamedTuple):
    """A message on its way. `source` and `target` are slots of processes."""

    source: int
    target: int
    message: Frozen
    operation: Operation | None
    text: str


class Move(NamedTuple):
    """One step that a process can take from one cell.

    `cell` is its own next cell (-1: the handler raised), `sends` the (slot, batch) put into other
    inboxes, `record` a batch of history records (0: none), `cost` which budget pays (0: none),
    `source` the slot that a delivery comes from (-1: no delivery). The rest is for people.
    """

    cell: int
    sends: tuple[tuple[int, int], ...]
    record: int
    cost: int
    source: int
    choice: Choice
    raised: Raised | None = None


class Cell(NamedTuple):
    """A process's local state (a number) and its inbox."""

    state: int
    inbox: Inbox


class Ledger(NamedTuple):
    """Faults left, nodes down, and the side of the network that is cut off (empty: none)."""

    budgets: tuple[float, ...]
    down: int = 0
    cut: frozenset[int] = frozenset()


class Numbering:
    """Values numbered in order of first sight."""

    __slots__ = ("_numbers", "values")

    def __init__(self, *first: Any) -> None:
        self.values: list[Any] = []
        self._numbers: dict[Any, int] = {}
        for value in first:
            self.number(value)

    def number(self, value: Any) -> int:
        """The number of a value: the same for equal values."""
        known = self._numbers.get(value)
        if known is None:
            known = self._numbers[value] = len(self.values)
            self.values.append(value)
        return known

    def __len__(self) -> int:
        return len(self.values)


class Tables:
    """The numbers and remembered transitions of all worlds of one shape.

    A shape is what does not change: the processes, the kind of network and the fault budgets.
    """

    def __init__(self, processes: Sequence[Process], network: Network, faults: Faults) -> None:
        self.processes = tuple(processes)
        self.names = tuple(process.name for process in processes)
        self.slot_of = {name: slot for slot, name in enumerate(self.names)}
        self.network = network
        self.faults = faults
        slots = range(len(processes))
        self.states = [Numbering() for _ in slots]
        self.cells = [Numbering() for _ in slots]
        self.envelopes = Numbering()
        self.rank: list[tuple[int, str]] = []
        self.batches = Numbering(())
        self.record_batches = Numbering(())
        self.ledgers = Numbering(Ledger(faults.budgets))
        self.histories = Numbering(History())
        self.splits = self._splits()
        self.misses = 0
        self._outcomes: list[dict[tuple[int, Event], list[Outcome]]] = [{} for _ in slots]
        self._events: list[dict[int, tuple[Event, ...]]] = [{} for _ in slots]
        self._moves: list[dict[int, tuple[tuple[Move, ...], tuple[Move, ...]]]] = [
            {} for _ in slots
        ]
        self._paid: dict[tuple[int, int], int] = {}
        self._ledger_moves: dict[int, tuple[int, ...]] = {}
        self._recorded: dict[tuple[int, int], int] = {}
        self._state_texts: list[dict[int, tuple[tuple[str, str], ...]]] = [{} for _ in slots]

    # -- local steps -----------------------------------------------------------------------------

    def outcomes(self, slot: int, state: int, event: Event) -> list[Outcome]:
        """What `event` does to a process: computed on first use, then remembered."""
        known = self._outcomes[slot].get((state, event))
        if known is None:
            self.misses += 1
            known = self.processes[slot].run(self.states[slot].values[state], event)
            self._outcomes[slot][state, event] = known
        return known

    def moves(self, slot: int, cell: int) -> tuple[tuple[Move, ...], tuple[Move, ...]]:
        """The steps of a process from one cell, in order of content: free ones, and faults."""
        known = self._moves[slot].get(cell)
        if known is None:
            known = self._moves[slot][cell] = self._compute_moves(slot, cell)
        return known

    def _compute_moves(self, slot: int, number: int) -> tuple[tuple[Move, ...], tuple[Move, ...]]:
        cell: Cell = self.cells[slot].values[number]
        free: list[Move] = []
        if self._receives(slot, cell.state):
            for envelope in self.network.heads(cell.inbox):
                free += self._deliveries(slot, cell, envelope)
        for event in self._own_events(slot, cell.state):
            free += self._local_moves(slot, cell, event, FREE)
        return tuple(free), tuple(self._faults(slot, cell))

    def _own_events(self, slot: int, state: int) -> tuple[Event, ...]:
        known = self._events[slot].get(state)
        if known is None:
            known = tuple(self.processes[slot].events(self.states[slot].values[state]))
            self._events[slot][state] = known
        return known

    def _receives(self, slot: int, state: int) -> bool:
        value = self.states[slot].values[state]
        return not isinstance(value, NodeState) or value.status == UP

    def _deliveries(self, slot: int, cell: Cell, number: int) -> list[Move]:
        envelope: Envelope = self.envelopes.values[number]
        event = Event("deliver", envelope.message, self.names[envelope.source], envelope.operation)
        rest = self.network.take(cell.inbox, number, envelope.source)
        made = []
        for outcome in self.outcomes(slot, cell.state, event):
            unchanged = (
                outcome.state == self.states[slot].values[cell.state]
                and not outcome.sends
                and not outcome.records
            )
            # A delivery that changes nothing is not a step: the message stays in flight.
            if unchanged and not self.network.consumes_no_ops:
                continue
            choice = Choice(
                Kind.DELIVER, self.names[slot], event.source, envelope.text, outcome.choosing
            )
            made.append(self._move(slot, rest, outcome, choice, FREE, envelope.source))
        return made

    def _local_moves(self, slot: int, cell: Cell, event: Event, cost: int) -> list[Move]:
        kind = Kind(event.kind)
        what = str(event.what) if kind in (Kind.FIRE, Kind.ACT) else ""
        made = []
        for outcome in self.outcomes(slot, cell.state, event):
            if kind is Kind.INVOKE and outcome.raised is None:
                to, sent, operation = outcome.sends[0]
                what = f"{to} {self._text(sent, operation)}"
            choice = Choice(kind, self.names[slot], "", what, outcome.choosing)
            made.append(self._move(slot, cell.inbox, outcome, choice, cost, _NOWHERE))
        return made

    def _faults(self, slot: int, cell: Cell) -> list[Move]:
        made: list[Move] = []
        name, network, budgets = self.names[slot], self.network, self.faults.budgets
        for number in network.heads(cell.inbox):
            envelope: Envelope = self.envelopes.values[number]
            about = (name, self.names[envelope.source], envelope.text)
            if budgets[DROP - 1]:
                inbox = network.drop(cell.inbox, number, envelope.source)
                after = self.cells[slot].number(Cell(cell.state, inbox))
                made.append(Move(after, (), 0, DROP, _NOWHERE, Choice(Kind.DROP, *about)))
            if budgets[DUPLICATE - 1]:
                inbox = network.copy(cell.inbox, number, envelope.source, self.rank)
                after = self.cells[slot].number(Cell(cell.state, inbox))
                if inbox != cell.inbox:
                    choice = Choice(Kind.DUPLICATE, *about)
                    made.append(Move(after, (), 0, DUPLICATE, _NOWHERE, choice))
        if budgets[CRASH - 1]:
            made += self._crashes(slot, cell)
        state = self.states[slot].values[cell.state]
        if budgets[RESTART - 1] and isinstance(state, NodeState) and state.status == DOWN:
            made += self._local_moves(slot, cell, Event("restart"), RESTART)
        return made

    def _crashes(self, slot: int, cell: Cell) -> list[Move]:
        process = self.processes[slot]
        inbox = self.network.cut(cell.inbox, None)
        cuts: tuple[tuple[int, int], ...] = ()
        if self.network.kind == "ordered":
            batch = self.batches.number(("cut", slot))
            cuts = tuple((other, batch) for other in range(len(self.names)) if other != slot)
        made = []
        for event in process.crashes(self.states[slot].values[cell.state]):
            (outcome,) = self.outcomes(slot, cell.state, event)
            after = Cell(self.states[slot].number(outcome.state), inbox)
            what = f"losing {event.what}" if event.what else ""
            choice = Choice(Kind.CRASH, self.names[slot], "", what)
            number = self.cells[slot].number(after)
            made.append(Move(number, cuts, 0, CRASH, _NOWHERE, choice))
        return made

    def _move(
        self, slot: int, inbox: Inbox, outcome: Outcome, choice: Choice, cost: int, source: int
    ) -> Move:
        if outcome.raised is not None:
            return Move(-1, (), 0, cost, source, choice, outcome.raised)
        batches: dict[int, list[int]] = {}
        for to, message, operation in outcome.sends:
            target = self.slot_of[to]
            number = self.envelope(slot, target, message, operation)
            batches.setdefault(target, []).append(number)
        for number in batches.pop(slot, ()):
            inbox = self.network.put(inbox, number, slot, self.rank)
        after = Cell(self.states[slot].number(outcome.state), inbox)
        sends = tuple(
            (target, self.batches.number(tuple(batch))) for target, batch in batches.items()
        )
        record = self.record_batches.number(outcome.records)
        return Move(self.cells[slot].number(after), sends, record, cost, source, choice)

    def envelope(
        self, source: int, target: int, message: Frozen, operation: Operation | None
    ) -> int:
        """The number of a message on its way."""
        text = self._text(message, operation)
        number = self.envelopes.number(Envelope(source, target, message, operation, text))
        if number == len(self.rank):
            self.rank.append((source, text))
        return number

    def _text(self, message: Frozen, operation: Operation | None) -> str:
        if is_response(message):
            number, value = response_parts(message)
            return f"answer {describe(value)} to call {number}"
        call = "" if operation is None else f" as call {operation.number}"
        return describe(message) + call

    # -- the rest of a world ---------------------------------------------------------------------

    def put(self, slot: int, cell: int, batch: int) -> int:
        """The cell of a process after a batch of messages was put into its inbox."""
        state, inbox = self.cells[slot].values[cell]
        numbers = self.batches.values[batch]
        if numbers and numbers[0] == "cut":
            return self.cells[slot].number(Cell(state, self.network.cut(inbox, numbers[1])))
        for number in numbers:
            source = self.envelopes.values[number].source
            inbox = self.network.put(inbox, number, source, self.rank)
        return self.cells[slot].number(Cell(state, inbox))

    def pay(self, ledger: int, cost: int) -> int:
        """The ledger after a fault was paid for; -1 where there is no budget for it."""
        known = self._paid.get((ledger, cost))
        if known is None:
            known = self._paid[ledger, cost] = self._pay(self.ledgers.values[ledger], cost)
        return known

    def _pay(self, ledger: Ledger, cost: int) -> int:
        down = ledger.down + (cost == CRASH) - (cost == RESTART)
        if not ledger.budgets[cost - 1] or down > max(self.faults.down_max, ledger.down):
            return -1
        return self.ledgers.number(ledger._replace(budgets=_less(ledger.budgets, cost), down=down))

    def was_paid(self, budget: int) -> bool:
        """True where some fault of that index in `Faults.budgets` was ever taken."""
        return any(
            cost == budget + 1 and after >= 0 for (_, cost), after in self._paid.items()
        ) or (
            budget + 1 in (PARTITION, HEAL)
            and any(
                ledger.budgets[budget] != self.faults.budgets[budget]
                for ledger in self.ledgers.values
            )
        )

    def network_faults(self, ledger: int) -> list[tuple[int, Choice]]:
        """Partitions and heals possible now: the ledger after each, and its choice."""
        value: Ledger = self.ledgers.values[ledger]
        made = []
        if value.budgets[PARTITION - 1] and not value.cut:
            for side in self.splits:
                after = Ledger(_less(value.budgets, PARTITION), value.down, side)
                choice = Choice(Kind.PARTITION, what=self.cut_text(side))
                made.append((self.ledgers.number(after), choice))
        if value.budgets[HEAL - 1] and value.cut:
            after = Ledger(_less(value.budgets, HEAL), value.down)
            made.append((self.ledgers.number(after), Choice(Kind.HEAL)))
        return made

    def ledger_moves(self, ledger: int) -> tuple[int, ...]:
        """The ledgers that a partition or a heal leads to now."""
        known = self._ledger_moves.get(ledger)
        if known is None:
            known = tuple(after for after, _ in self.network_faults(ledger))
            self._ledger_moves[ledger] = known
        return known

    def state(self, slot: int, cell: int) -> int:
        """The number of the local state of a cell."""
        found: int = self.cells[slot].values[cell].state
        return found

    def cut_text(self, side: frozenset[int]) -> str:
        """A split as text: the names on each side."""
        nodes = self._node_slots()
        here = " ".join(self.names[slot] for slot in nodes if slot in side)
        there = " ".join(self.names[slot] for slot in nodes if slot not in side)
        return f"{here} | {there}"

    def blocked(self, ledger: int, source: int, target: int) -> bool:
        """True where a partition keeps messages of `source` from `target`."""
        cut = self.ledgers.values[ledger].cut
        if not cut or source == _NOWHERE:
            return False
        scripts = isinstance(self.processes[source], ScriptProcess) or isinstance(
            self.processes[target], ScriptProcess
        )
        return not scripts and (source in cut) != (target in cut)

    def record(self, history: int, batch: int) -> int:
        """The history after a batch of records."""
        known = self._recorded.get((history, batch))
        if known is None:
            value: History = self.histories.values[history]
            for what, client, frozen in self.record_batches.values[batch]:
                step = value.invoke if what == "invoke" else value.complete
                value = step(client, thaw(frozen))
            known = self._recorded[history, batch] = self.histories.number(value)
        return known

    def _node_slots(self) -> list[int]:
        return [slot for slot, each in enumerate(self.processes) if isinstance(each, NodeProcess)]

    def _splits(self) -> list[frozenset[int]]:
        nodes = self._node_slots()
        if self.faults.splits:
            return [self._named_side(names) for names in self.faults.splits]
        # The first node is always on the far side, so each split is listed once.
        rest = nodes[1:]
        return [
            frozenset(side) for size in range(1, len(nodes)) for side in combinations(rest, size)
        ]

    def _named_side(self, names: tuple[str, ...]) -> frozenset[int]:
        unknown = [name for name in names if name not in self.slot_of]
        if unknown or not names:
            raise ScenarioError(
                f"Faults(splits=...): {unknown[0]!r} is no node of this world"
                if unknown
                else "Faults(splits=...): a side that names nobody splits nothing"
            )
        return frozenset(self.slot_of[name] for name in names)

    # -- states as text --------------------------------------------------------------------------

    def state_text(self, slot: int, state: int) -> tuple[tuple[str, str], ...]:
        """A local state as (field, text) pairs, in order of declaration."""
        known = self._state_texts[slot].get(state)
        if known is None:
            value = self.states[slot].values[state]
            known = self._state_texts[slot][state] = _texts(self.processes[slot], value)
        return known


def _less(budgets: tuple[float, ...], cost: int) -> tuple[float, ...]:
    return tuple(budget - (at == cost - 1) for at, budget in enumerate(budgets))


def _texts(process: Process, value: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, NodeState):
        answers = [("answers", describe((list, *value.answers)))]
        return (*answers, ("waiting", str(value.waiting)))
    assert isinstance(process, NodeProcess)
    fields = zip(process.kind.happysim_fields, value.fields, strict=True)
    texts = [(name, describe(frozen)) for name, frozen in fields]
    texts.append(("timers", describe((list, *value.timers))))
    if value.unsynced:
        versions = [describe((tuple, *version)) for version in value.unsynced]
        texts.append(("unsynced", f"[{', '.join(versions)}]"))
    return (("status", value.status), *texts)
