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

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

from happysim.core.choice import BUDGET_OF, Choice, Faults, Kind
from happysim.core.disk import Mishap
from happysim.core.entries import (
    COSTS,
    CRASH,
    DROP,
    DUPLICATE,
    FAIL,
    FREE,
    NOWHERE,
    RESTART,
    Cell,
    Effect,
    Envelope,
    Move,
    Numbering,
)
from happysim.core.equivariance import Equivariance
from happysim.core.errors import ProtocolError
from happysim.core.freeze import Frozen, thaw
from happysim.core.history import History
from happysim.core.journal import DELIVER, OWN, RECORD, Entry
from happysim.core.ledgers import Ledgers
from happysim.core.local import Local
from happysim.core.local_step import (
    FAILING,
    UP,
    Event,
    NodeState,
    Outcome,
)
from happysim.core.network import Delivery, Inbox
from happysim.core.node import Node
from happysim.core.process import NodeProcess, Process
from happysim.core.script import Operation
from happysim.core.symmetry import Symmetry
from happysim.core.texts import message_text, state_texts
from happysim.core.topology import Network


class Tables:
    """The numbers and remembered transitions of all worlds of one shape.

    A shape is what does not change: the processes, which of them are interchangeable, the kind of
    network and the fault budgets; and for simulation, which alone looks at it, the topology with
    its links.
    """

    def __init__(
        self,
        processes: Sequence[Process],
        network: Delivery,
        faults: Faults,
        topology: Network | None = None,
        symmetric: tuple[tuple[str, ...], ...] = (),
    ) -> None:
        self.processes = tuple(processes)
        self.names = tuple(process.name for process in processes)
        self.slot_of = {name: slot for slot, name in enumerate(self.names)}
        self.network = network
        self.topology = Network(delivery=network) if topology is None else topology
        self.faults = faults
        self.budgets = faults.budgets
        slots = range(len(processes))
        self.states = [Numbering() for _ in slots]
        self.cells = [Numbering() for _ in slots]
        self.envelopes = Numbering()
        self.rank: list[tuple[int, str]] = []
        self.batches = Numbering(())
        self.record_batches = Numbering(())
        self.ledgers = Ledgers(processes, faults)
        # What a kernel asks of them.
        self.pay = self.ledgers.pay
        self.blocked = self.ledgers.blocked
        self.ledger_moves = self.ledgers.moves
        self.histories = Numbering(History())
        self.misses = 0
        # Which steps were computed, in order.
        self.journal: list[Entry] = []
        # The numbers of the world in which everything had just started.
        self.first: tuple[int, ...] = ()
        self._deliveries: list[dict[tuple[int, int], list[Effect]]] = [{} for _ in slots]
        self._own: list[dict[int, tuple[list[Effect], list[Effect]]]] = [{} for _ in slots]
        self._events: list[dict[int, tuple[Event, ...]]] = [{} for _ in slots]
        self._by_event: list[dict[tuple[int, Event], list[Effect]]] = [{} for _ in slots]
        self._moves: list[dict[int, tuple[tuple[Move, ...], tuple[Move, ...]]]] = [
            {} for _ in slots
        ]
        self._texts: dict[tuple[Frozen, Operation | None], str] = {}
        self._by_text: dict[tuple[int, int, str], int] = {}
        self._recorded: dict[tuple[int, int], int] = {}
        self._field_keys: dict[tuple[int, type[Node]], dict[str, tuple[str, int, int]]] = {}
        # Of nodes that never change their class.
        self.fixed_keys = [
            self.field_keys(slot, each.kind)
            if isinstance(each, NodeProcess) and not each.later
            else None
            for slot, each in enumerate(self.processes)
        ]
        self._slots_of: dict[type[Node], tuple[int, ...]] = {}
        self._state_texts: list[dict[int, tuple[tuple[str, str], ...]]] = [{} for _ in slots]
        self.symmetric = symmetric
        self.symmetry = Symmetry(self, symmetric) if symmetric else None
        self.equivariance = None if self.symmetry is None else Equivariance(self, self.symmetry)

    @property
    def local(self) -> Local:
        """For a kernel that keeps inboxes itself."""
        return Local(self)

    def relied_on(self, symmetric: bool) -> AbstractContextManager[None]:
        """While a search relies on declared symmetry: each local step is compared with its images.

        Raises `ScenarioError` where it differs from them.
        """
        if self.equivariance is None or not symmetric:
            return nullcontext()
        return self.equivariance.demanded()

    def field_keys(self, slot: int, kind: type[Node]) -> dict[str, tuple[str, int, int]]:
        """How `World.read` calls the fields of a node that runs a class, by name."""
        known = self._field_keys.get((slot, kind))
        if known is None:
            fields = enumerate(kind.happysim_fields)
            known = self._field_keys[slot, kind] = {
                field: ("field", slot, index) for index, field in fields
            }
        return known

    def slots_of(self, kind: type[Node]) -> tuple[int, ...] | None:
        """The nodes that run a class, or a subclass; None where a node may change its class."""
        known = self._slots_of.get(kind, ())
        if known == ():
            nodes = [(n, p) for n, p in enumerate(self.processes) if isinstance(p, NodeProcess)]
            if any(process.later for _, process in nodes):
                return None
            found = tuple(slot for slot, process in nodes if issubclass(process.kind, kind))
            known = self._slots_of[kind] = found
        return known

    # -- local steps -----------------------------------------------------------------------------

    def moves(self, slot: int, cell: int) -> tuple[tuple[Move, ...], tuple[Move, ...]]:
        """The steps of a process from one cell, in order of content: free ones, and faults."""
        known = self._moves[slot].get(cell)
        if known is None:
            known = self._moves[slot][cell] = self._compute_moves(slot, cell)
        return known

    def crash_effects(self, slot: int, state: int, told: str | None = None) -> list[Effect]:
        """Each way in which a process may crash, if there is a budget for it; or the one told."""
        made: list[Effect] = []
        value = self.states[slot].values[state]
        fails = isinstance(value, NodeState) and value.status == FAILING
        if self.budgets[CRASH - 1] or fails:
            for event in self.processes[slot].crashes(value):
                assert isinstance(event.what, Mishap)
                choice = Choice(Kind.CRASH, self.names[slot], "", event.text)
                if told in (None, event.text):
                    is_free = fails and event.what.budget == "crashes"
                    cost = FAIL if is_free else COSTS[event.what.budget]
                    made += self.effects_of(slot, state, event, choice, cost)
        return made

    def fillings(self, slot: int, value: Any) -> Iterator[tuple[Event, Choice, int]]:
        """That the disk of a process becomes full, or has room again, if there is a budget."""
        process = self.processes[slot]
        if self.faults.fills and isinstance(process, NodeProcess):
            for event in process.fillings(value):
                choice = Choice(Kind(event.kind), self.names[slot])
                yield event, choice, COSTS[BUDGET_OF[choice.kind]]

    def restarts(self, slot: int, value: Any) -> Iterator[tuple[Event, Choice, int]]:
        """Each way in which a process may restart, if there is a budget for restarts."""
        process = self.processes[slot]
        if self.budgets[RESTART - 1] and isinstance(process, NodeProcess):
            for event in process.restarts(value):
                choice = Choice(Kind.RESTART, self.names[slot], "", event.text)
                cost = COSTS[event.what.budget] if isinstance(event.what, Mishap) else RESTART
                yield event, choice, cost

    def mishaps(self, slot: int, cell: int, kind: Kind) -> list[str]:
        """In which ways a process may crash, or restart, as choices tell them."""
        process, value = self.processes[slot], self.states[slot].values[self.state(slot, cell)]
        if not isinstance(process, NodeProcess):
            return []
        ways = process.crashes(value) if kind is Kind.CRASH else process.restarts(value)
        return [event.text for event in ways]

    def _compute_moves(self, slot: int, number: int) -> tuple[tuple[Move, ...], tuple[Move, ...]]:
        state, inbox = self.cells[slot].values[number]
        network = self.network
        free: list[Move] = []
        if self.receives(slot, state):
            known = self._deliveries[slot]
            for envelope in network.heads(inbox):
                effects = known.get((state, envelope))
                if effects is None:
                    effects = self.delivery_effects(slot, state, envelope)
                if effects:
                    source = self.envelopes.values[envelope].source
                    rest = network.take(inbox, envelope, source)
                    free += [self.move(slot, rest, effect, source) for effect in effects]
        own, faults = self.own_effects(slot, state)
        free += [self.move(slot, inbox, effect) for effect in own]
        return tuple(free), tuple(self.faults_of(slot, state, inbox, faults))

    def receives(self, slot: int, state: int) -> bool:
        """True where a process in a local state takes messages: not while it is down."""
        value = self.states[slot].values[state]
        return not isinstance(value, NodeState) or value.status == UP

    def delivery_effects(self, slot: int, state: int, number: int) -> list[Effect]:
        """What the delivery of a message does, where that is a step; remembered."""
        known = self._deliveries[slot].get((state, number))
        if known is None:
            envelope: Envelope = self.envelopes.values[number]
            source = self.names[envelope.source]
            event = Event("deliver", envelope.message, source, envelope.operation)
            choice = Choice(Kind.DELIVER, self.names[slot], source, envelope.text)
            made = self.effects_of(slot, state, event, choice, FREE)
            # A delivery that changes nothing is not a step: the message stays in flight.
            known = [each for each in made if not each.idle or self.network.consumes_no_ops]
            self._deliveries[slot][state, number] = known
            self.journal.append((DELIVER, slot, state, number))
            if self.equivariance is not None:
                self.equivariance.note(slot, state, number)
        return known

    def raising_effects(self, slot: int) -> Iterator[Effect]:
        """The steps of a process in which a handler raised, of those computed so far."""
        known = [*self._deliveries[slot].values(), *(own for own, _ in self._own[slot].values())]
        known += [faults for _, faults in self._own[slot].values()]
        return (effect for effects in known for effect in effects if effect.raised is not None)

    def own_effects(self, slot: int, state: int) -> tuple[list[Effect], list[Effect]]:
        """What a process can do by itself, and what can befall it, such as crashes."""
        known = self._own[slot].get(state)
        if known is None:
            value = self.states[slot].values[state]
            own: list[Effect] = []
            for event in self.events(slot, state):
                own += self.event_effects(slot, state, event)
            faults: list[Effect] = []
            faults += self.crash_effects(slot, state)
            for event, choice, cost in (*self.restarts(slot, value), *self.fillings(slot, value)):
                faults += self.effects_of(slot, state, event, choice, cost)
            known = self._own[slot][state] = own, faults
            self.journal.append((OWN, slot, state, 0))
            if self.equivariance is not None:
                self.equivariance.note(slot, state, None)
        return known

    def events(self, slot: int, state: int) -> tuple[Event, ...]:
        """What a process may do by itself in a local state; remembered."""
        known = self._events[slot].get(state)
        if known is None:
            value = self.states[slot].values[state]
            known = self._events[slot][state] = tuple(self.processes[slot].events(value))
        return known

    def event_effects(self, slot: int, state: int, event: Event) -> list[Effect]:
        """What one of these events does; remembered, whether the others are looked at or not."""
        key = state, event
        known = self._by_event[slot].get(key)
        if known is None:
            what = str(event.what) if event.kind in ("fire", "act") else ""
            choice = Choice(Kind(event.kind), self.names[slot], "", what)
            known = self._by_event[slot][key] = self.effects_of(slot, state, event, choice, FREE)
        return known

    def effects_of(
        self, slot: int, state: int, event: Event, choice: Choice, cost: int
    ) -> list[Effect]:
        """Run the process, and number what it does."""
        self.misses += 1
        before = self.states[slot].values[state]
        made = []
        for outcome in self.processes[slot].run(before, event):
            what = choice.what
            if choice.kind is Kind.INVOKE:
                to, sent, operation = outcome.sends[0]
                what = f"{to} {self._text(sent, operation)}"
            told = choice
            if outcome.choosing or what != choice.what:
                told = replace(choice, what=what, choosing=outcome.choosing)
            quiet = not (outcome.sends or outcome.records or outcome.forged)
            idle = outcome.state == before and quiet
            made.append(self._numbered(slot, outcome, told, cost, idle))
        return made

    def _numbered(
        self, slot: int, outcome: Outcome, choice: Choice, cost: int, idle: bool
    ) -> Effect:
        if outcome.raised is not None:
            return Effect(-1, (), (), 0, cost, choice, outcome.raised, False)
        batches: dict[int, list[int]] = {}
        for to, message, operation in outcome.sends:
            target = self.slot_of[to]
            number = self.envelope(slot, target, message, operation)
            batches.setdefault(target, []).append(number)
        for source, to, message in outcome.forged:
            number = self.envelope(self.slot_of[source], self.slot_of[to], message, None)
            batches.setdefault(self.slot_of[to], []).append(number)
        own = tuple(batches.pop(slot, ()))
        sends = [(target, self.batches.number(tuple(batch))) for target, batch in batches.items()]
        if choice.kind is Kind.CRASH and self.network.kind == "ordered":
            cut = self.batches.number(("cut", slot))
            sends = [(other, cut) for other in range(len(self.names)) if other != slot]
        state = self.states[slot].number(outcome.state)
        record = self.record_batches.number(outcome.records)
        return Effect(state, own, tuple(sends), record, cost, choice, None, idle)

    def move(self, slot: int, inbox: Inbox, effect: Effect, source: int = NOWHERE) -> Move:
        """An effect on one cell. `inbox` is what waits there once the event has happened."""
        if effect.raised is not None:
            return Move(-1, (), 0, effect.cost, source, effect.choice, effect.raised)
        for number in effect.own:
            inbox = self.network.put(inbox, number, slot, self.rank)
        after = self.cells[slot].number(Cell(effect.state, inbox))
        return Move(after, effect.sends, effect.record, effect.cost, source, effect.choice)

    def faults_of(
        self,
        slot: int,
        state: int,
        inbox: Inbox,
        own: list[Effect],
        letters: Iterable[int] | None = None,
    ) -> Iterator[Move]:
        """Drops and duplicates of what waits in a cell, then what befalls its process.

        Where `letters` are given, the messages looked at are these.
        """
        network, cells = self.network, self.cells[slot]
        drops, duplicates = self.budgets[DROP - 1], self.budgets[DUPLICATE - 1]
        letters = network.heads(inbox) if letters is None else letters
        for number in letters if drops or duplicates else ():
            envelope: Envelope = self.envelopes.values[number]
            about = (self.names[slot], self.names[envelope.source], envelope.text)
            if drops:
                rest = network.drop(inbox, number, envelope.source)
                choice = Choice(Kind.DROP, *about)
                yield Move(cells.number(Cell(state, rest)), (), 0, DROP, NOWHERE, choice)
            more = network.copy(inbox, number, envelope.source, self.rank)
            if duplicates and more != inbox:
                choice = Choice(Kind.DUPLICATE, *about)
                yield Move(cells.number(Cell(state, more)), (), 0, DUPLICATE, NOWHERE, choice)
        for effect in own:
            crash = effect.choice.kind is Kind.CRASH
            yield self.move(slot, network.cut(inbox, None) if crash else inbox, effect)

    def envelope(
        self, source: int, target: int, message: Frozen, operation: Operation | None
    ) -> int:
        """The number of a message on its way.

        Raises `ProtocolError` where another message, of another class, reads the same as text.
        """
        text = self._text(message, operation)
        number = self.envelopes.number(Envelope(source, target, message, operation, text))
        if number == len(self.rank):
            self.rank.append((source, text))
            other = self._by_text.setdefault((source, target, text), number)
            if other != number:
                raise ProtocolError(
                    f"two different messages read {text}; give the two classes different names"
                )
        return number

    def envelope_told(self, source: int, target: int, text: str) -> int:
        """The number of a message by its text; `NOWHERE` where none has been sent."""
        return self._by_text.get((source, target, text), NOWHERE)

    def _text(self, message: Frozen, operation: Operation | None) -> str:
        known = self._texts.get((message, operation))
        if known is None:
            known = self._texts[message, operation] = message_text(message, operation)
        return known

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

    def state(self, slot: int, cell: int) -> int:
        """The number of the local state of a cell."""
        found: int = self.cells[slot].values[cell].state
        return found

    def record(self, history: int, batch: int) -> int:
        """The history after a batch of records."""
        known = self._recorded.get((history, batch))
        if known is None:
            value: History = self.histories.values[history]
            for what, client, frozen in self.record_batches.values[batch]:
                if what == "abandon":
                    value = value.abandon(client)
                    continue
                step = value.invoke if what == "invoke" else value.complete
                value = step(client, thaw(frozen))
            known = self._recorded[history, batch] = self.histories.number(value)
            self.journal.append((RECORD, history, batch, 0))
        return known

    # -- states as text --------------------------------------------------------------------------

    def state_text(self, slot: int, state: int) -> tuple[tuple[str, str], ...]:
        """A local state as (field, text) pairs, in order of declaration."""
        known = self._state_texts[slot].get(state)
        if known is None:
            value = self.states[slot].values[state]
            known = self._state_texts[slot][state] = state_texts(self.processes[slot], value)
        return known
