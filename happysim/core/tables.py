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

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import combinations
from typing import Any

from happysim.core.choice import DISK_BUDGETS, Choice, Faults, Kind
from happysim.core.disk import Image, Mark, Mishap
from happysim.core.entries import (
    BASE,
    COSTS,
    CRASH,
    CRASHES,
    DAMAGE,
    DROP,
    DUPLICATE,
    FREE,
    HEAL,
    NOWHERE,
    PARTITION,
    RESTART,
    RESTARTS,
    STATUS,
    SYNCED,
    Cell,
    Effect,
    Envelope,
    Ledger,
    Move,
    Numbering,
)
from happysim.core.errors import NoClock, ProtocolError, ScenarioError
from happysim.core.freeze import Frozen, describe, thaw
from happysim.core.history import History
from happysim.core.host import FULL
from happysim.core.local import Local
from happysim.core.local_step import (
    UP,
    Event,
    NodeState,
    Outcome,
    Version,
    is_response,
    response_parts,
)
from happysim.core.network import Delivery, Inbox
from happysim.core.process import NodeProcess, Process
from happysim.core.script import Operation
from happysim.core.script_process import ScriptProcess
from happysim.core.topology import Network


def message_text(message: Frozen, operation: Operation | None) -> str:
    """A message on its way as a trace shows it."""
    if is_response(message):
        number, value = response_parts(message)
        return f"answer {describe(value)} to call {number}"
    call = "" if operation is None else f" as call {operation.number}"
    return describe(message) + call


class Tables:
    """The numbers and remembered transitions of all worlds of one shape.

    A shape is what does not change: the processes, the kind of network and the fault budgets; and
    for simulation, which alone looks at it, the topology with its links.
    """

    def __init__(
        self,
        processes: Sequence[Process],
        network: Delivery,
        faults: Faults,
        topology: Network | None = None,
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
        self.ledgers = Numbering(Ledger(self.budgets))
        self.histories = Numbering(History())
        self.splits = self._splits()
        self._spoils = any(getattr(faults, name) for name in DISK_BUDGETS)
        self.misses = 0
        # The numbers of the world in which everything had just started.
        self.first: tuple[int, ...] = ()
        self._deliveries: list[dict[tuple[int, int], list[Effect]]] = [{} for _ in slots]
        self._own: list[dict[int, tuple[list[Effect], list[Effect]]]] = [{} for _ in slots]
        self._moves: list[dict[int, tuple[tuple[Move, ...], tuple[Move, ...]]]] = [
            {} for _ in slots
        ]
        self._texts: dict[tuple[Frozen, Operation | None], str] = {}
        self._by_text: dict[tuple[int, int, str], int] = {}
        self._paid: dict[tuple[int, int], int] = {}
        self._ledger_moves: dict[int, tuple[int, ...]] = {}
        self._recorded: dict[tuple[int, int], int] = {}
        self._state_texts: list[dict[int, tuple[tuple[str, str], ...]]] = [{} for _ in slots]

    @property
    def local(self) -> Local:
        """For a kernel that keeps inboxes itself."""
        return Local(self)

    # -- local steps -----------------------------------------------------------------------------

    def moves(self, slot: int, cell: int) -> tuple[tuple[Move, ...], tuple[Move, ...]]:
        """The steps of a process from one cell, in order of content: free ones, and faults."""
        known = self._moves[slot].get(cell)
        if known is None:
            known = self._moves[slot][cell] = self._compute_moves(slot, cell)
        return known

    def moves_told(self, slot: int, cell: int, told: Choice) -> Sequence[Move]:
        """The moves from a cell among which a choice is, if it is enabled.

        One that says what its handler reads from a clock is run on that.
        """
        # What may befall a disk is much; only what the choice names is worked out.
        spoils = self._spoils and isinstance(self.processes[slot], NodeProcess)
        if not told.reading and not spoils:
            # Where another step of this node reads its clock, this one need not.
            with suppress(NoClock):
                free, faults = self.moves(slot, cell)
                return (*free, *faults)
        try:
            return tuple(self._steps_told(slot, cell, told))
        except NoClock:
            # Its handler looks more often than the choice says: it cannot have been this step.
            return ()

    def _steps_told(self, slot: int, cell: int, told: Choice) -> Iterator[Move]:
        """The steps that a choice may be, with a clock that shows the times that it tells."""
        state, inbox = self.cells[slot].values[cell]
        if told.kind in (Kind.CRASH, Kind.DROP, Kind.DUPLICATE):
            crashes = self._crash_effects(slot, state, told.what)
            yield from self._faults(slot, state, inbox, crashes)
            return
        for effects, rest, source in self._effects_told(slot, state, inbox, told):
            for effect in effects:
                choice = replace(effect.choice, reading=told.reading)
                yield self._move(slot, rest, effect._replace(choice=choice), source)

    def _effects_told(
        self, slot: int, state: int, inbox: Inbox, told: Choice
    ) -> Iterator[tuple[list[Effect], Inbox, int]]:
        """What a choice may do, with the inbox that it leaves, and who sent what it delivers."""
        bare = replace(told, choosing="", reading="", at=None)
        shown = told.reading.split(", ") if told.reading else ()
        readings = tuple(each if each == FULL else int(each) for each in shown)
        value = self.states[slot].values[state]
        if told.kind is Kind.DELIVER and self.receives(slot, state):
            for number in self.network.heads(inbox):
                envelope: Envelope = self.envelopes.values[number]
                source = envelope.source
                if (self.names[source], envelope.text) != (told.source, told.what):
                    continue
                rest = self.network.take(inbox, number, source)
                if not readings:
                    yield self.delivery_effects(slot, state, number), rest, source
                    continue
                event = Event(
                    "deliver", envelope.message, told.source, envelope.operation, readings
                )
                yield self._effects(slot, state, event, bare, FREE), rest, source
        elif told.kind in (Kind.FIRE, Kind.ACT, Kind.START):
            event = Event(told.kind.value, told.what or None)
            if event in self.processes[slot].events(value):
                event = event._replace(readings=readings)
                yield self._effects(slot, state, event, bare, FREE), inbox, NOWHERE
        elif told.kind is Kind.RESTART:
            for event, choice, cost in self._restarts(slot, value):
                if choice == bare:
                    told_event = event._replace(readings=readings)
                    yield self._effects(slot, state, told_event, bare, cost), inbox, NOWHERE

    def _crash_effects(self, slot: int, state: int, told: str | None = None) -> list[Effect]:
        """Each way in which a process may crash, if there is a budget for it; or the one told."""
        made: list[Effect] = []
        if self.faults.budgets[CRASH - 1]:
            for event in self.processes[slot].crashes(self.states[slot].values[state]):
                losing = f"losing {event.what}" if event.what else ""
                what = event.what.text if isinstance(event.what, Mishap) else losing
                choice = Choice(Kind.CRASH, self.names[slot], "", what)
                if told in (None, what):
                    made += self._effects(slot, state, event, choice, _cost(event.what, CRASH))
        return made

    def _restarts(self, slot: int, value: Any) -> Iterator[tuple[Event, Choice, int]]:
        """Each way in which a process may restart, if there is a budget for restarts."""
        process = self.processes[slot]
        if self.faults.budgets[RESTART - 1] and isinstance(process, NodeProcess):
            for event in process.restarts(value):
                what = event.what.text if isinstance(event.what, Mishap | Version) else ""
                choice = Choice(Kind.RESTART, self.names[slot], "", what)
                yield event, choice, _cost(event.what, RESTART)

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
                    free += [self._move(slot, rest, effect, source) for effect in effects]
        own, faults = self.own_effects(slot, state)
        free += [self._move(slot, inbox, effect) for effect in own]
        return tuple(free), tuple(self._faults(slot, state, inbox, faults))

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
            made = self._effects(slot, state, event, choice, FREE)
            # A delivery that changes nothing is not a step: the message stays in flight.
            known = [each for each in made if not each.idle or self.network.consumes_no_ops]
            self._deliveries[slot][state, number] = known
        return known

    def own_effects(self, slot: int, state: int) -> tuple[list[Effect], list[Effect]]:
        """What a process can do by itself, and the crashes and restarts that can befall it."""
        known = self._own[slot].get(state)
        if known is None:
            process, value = self.processes[slot], self.states[slot].values[state]
            own: list[Effect] = []
            for event in process.events(value):
                what = str(event.what) if event.kind in ("fire", "act") else ""
                choice = Choice(Kind(event.kind), self.names[slot], "", what)
                own += self._effects(slot, state, event, choice, FREE)
            faults: list[Effect] = []
            faults += self._crash_effects(slot, state)
            for event, choice, cost in self._restarts(slot, value):
                faults += self._effects(slot, state, event, choice, cost)
            known = self._own[slot][state] = own, faults
        return known

    def _effects(
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

    def _move(self, slot: int, inbox: Inbox, effect: Effect, source: int = NOWHERE) -> Move:
        """An effect on one cell. `inbox` is what waits there once the event has happened."""
        if effect.raised is not None:
            return Move(-1, (), 0, effect.cost, source, effect.choice, effect.raised)
        for number in effect.own:
            inbox = self.network.put(inbox, number, slot, self.rank)
        after = self.cells[slot].number(Cell(effect.state, inbox))
        return Move(after, effect.sends, effect.record, effect.cost, source, effect.choice)

    def _faults(self, slot: int, state: int, inbox: Inbox, own: list[Effect]) -> Iterator[Move]:
        """Drops and duplicates of what waits in a cell, then the crashes and restarts."""
        network, cells = self.network, self.cells[slot]
        drops, duplicates = self.budgets[DROP - 1], self.budgets[DUPLICATE - 1]
        for number in network.heads(inbox) if drops or duplicates else ():
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
            yield self._move(slot, network.cut(inbox, None) if crash else inbox, effect)

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

    def pay(self, ledger: int, cost: int) -> int:
        """The ledger after a fault was paid for; -1 where there is no budget for it."""
        known = self._paid.get((ledger, cost))
        if known is None:
            known = self._paid[ledger, cost] = self._pay(self.ledgers.values[ledger], cost)
        return known

    def _pay(self, ledger: Ledger, cost: int) -> int:
        down = ledger.down + (cost in CRASHES) - (cost in RESTARTS)
        if not ledger.budgets[cost - 1] or down > max(self.faults.down_max, ledger.down):
            return -1
        budgets = _less(ledger.budgets, cost)
        if cost in BASE:
            if not budgets[BASE[cost] - 1]:
                return -1
            budgets = _less(budgets, BASE[cost])
        return self.ledgers.number(ledger._replace(budgets=budgets, down=down))

    def was_paid(self, budget: int) -> bool:
        """True where some fault of that index in `Faults.budgets` was ever taken."""
        return any(
            budget + 1 in (cost, BASE.get(cost)) and after >= 0
            for (_, cost), after in self._paid.items()
        ) or (
            budget + 1 in (PARTITION, HEAL)
            and any(
                ledger.budgets[budget] != self.budgets[budget] for ledger in self.ledgers.values
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
        if not cut or source == NOWHERE:
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
                if what == "abandon":
                    value = value.abandon(client)
                    continue
                step = value.invoke if what == "invoke" else value.complete
                value = step(client, thaw(frozen))
            known = self._recorded[history, batch] = self.histories.number(value)
        return known

    def _node_slots(self) -> list[int]:
        return [slot for slot, each in enumerate(self.processes) if isinstance(each, NodeProcess)]

    def _splits(self) -> list[frozenset[int]]:
        """One side of each partition to try, each partition once."""
        nodes = self._node_slots()
        if not self.faults.partitions:
            return []
        if self.faults.splits:
            sides = [self._named_side(names, nodes) for names in self.faults.splits]
        elif not self.faults.partitions:
            sides = []
        else:
            # The first node is always on the far side, so each split is listed once.
            rest = nodes[1:]
            sizes = range(1, len(nodes))
            sides = [frozenset(side) for size in sizes for side in combinations(rest, size)]
        once: dict[frozenset[frozenset[int]], frozenset[int]] = {}
        for side in sides:
            once.setdefault(frozenset({side, frozenset(nodes) - side}), side)
        return list(once.values())

    def _named_side(self, names: tuple[str, ...], nodes: list[int]) -> frozenset[int]:
        side = frozenset(self.slot_of.get(name, NOWHERE) for name in names)
        for name in names:
            if self.slot_of.get(name) not in nodes:
                raise ScenarioError(f"Faults(splits=...): {name!r} is no node of this world")
        if not side or side == set(nodes):
            where = "names nobody" if not side else "leaves nobody on the other side"
            raise ScenarioError(f"Faults(splits=...): the side {names!r} {where}")
        return side

    # -- states as text --------------------------------------------------------------------------

    def state_text(self, slot: int, state: int) -> tuple[tuple[str, str], ...]:
        """A local state as (field, text) pairs, in order of declaration."""
        known = self._state_texts[slot].get(state)
        if known is None:
            value = self.states[slot].values[state]
            known = self._state_texts[slot][state] = _texts(self.processes[slot], value)
        return known


def _cost(what: Frozen, base: int) -> int:
    """What a crash or a restart costs, with what befalls the disk in it."""
    return COSTS[what.budget] if isinstance(what, Mishap) else base


def _marks_text(marks: tuple[Mark, ...]) -> str:
    return ", ".join(f"{mark.address} {mark.what}" for mark in marks) or "none"


def _images_text(images: tuple[Image, ...]) -> str:
    """Images of a disk as text: the values of each, and what is damaged of them."""
    told = [
        describe((tuple, *image.values))
        + (f" with {_marks_text(image.marks)}" if image.marks else "")
        for image in images
    ]
    return f"[{', '.join(told)}]"


def _less(budgets: tuple[float, ...], cost: int) -> tuple[float, ...]:
    return tuple(budget - (at == cost - 1) for at, budget in enumerate(budgets))


def _texts(process: Process, value: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, NodeState):
        answers = [("answers", describe((list, *value.answers)))]
        return (*answers, ("waiting", str(value.waiting)))
    assert isinstance(process, NodeProcess)
    process = process.at(value)
    fields = zip(process.kind.happysim_fields, value.fields, strict=True)
    texts = [(name, describe(frozen)) for name, frozen in fields]
    texts.append(("timers", describe((list, *value.timers))))
    if process.faults.damages:
        texts.append((DAMAGE, _marks_text(value.marks)))
    if process.faults.images_kept:
        texts.append((SYNCED, _images_text(value.synced)))
    if value.unsynced:
        texts.append(("unsynced", _images_text(value.unsynced)))
    return ((STATUS, value.status), *texts)
