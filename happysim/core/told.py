"""The step that a choice tells of, found without working out all others.

A choice may say what its handler reads from a clock: it is then run on that. So a schedule that was
found where time passes can be followed where none does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from happysim.core.choice import Choice, Kind
from happysim.core.entries import FREE, NOWHERE, Effect, Envelope, Move
from happysim.core.errors import NoClock
from happysim.core.host import FULL
from happysim.core.local_step import Event, NodeState, ScriptState
from happysim.core.network import Inbox
from happysim.core.process import NodeProcess, Process
from happysim.core.tables import Tables

if TYPE_CHECKING:
    from happysim.core.world import World


def find(world: World, wanted: Choice | str) -> tuple[Choice, int, Move | int] | None:
    """For the engine: an enabled choice by its text, as `World.enabled` gives it; else None.

    Only the moves of the node that it names are looked at.
    """
    told = wanted if isinstance(wanted, Choice) else Choice.parse(wanted)
    if told is None:
        return None
    text, tables = str(told), world.tables
    if told.kind in (Kind.PARTITION, Kind.HEAL):
        network = ((each, -1, after) for after, each in tables.ledgers.network_faults(world.ledger))
        return next((found for found in network if str(found[0]) == text), None)
    slot = tables.slot_of.get(told.node, -1)
    for move in _moves_told(tables, slot, world.cells[slot], told) if slot >= 0 else ():
        if str(move.choice) == text:
            if move.cost:
                allowed = tables.pay(world.ledger, move.cost) >= 0
            else:
                allowed = not tables.blocked(world.ledger, move.source, slot)
            return (move.choice, slot, move) if allowed else None
    return None


def is_idle(world: World, wanted: Choice | str) -> bool:
    """True for a delivery that would change nothing, and so is no choice."""
    told = wanted if isinstance(wanted, Choice) else Choice.parse(wanted)
    if told is None or told.kind is not Kind.DELIVER:
        return False
    slot, source = (world.tables.slot_of.get(name, -1) for name in (told.node, told.source))
    return (
        (told.source, told.what) in world.arriving(told.node)
        and world.tables.receives(slot, world.state_number(slot))
        and not world.tables.blocked(world.ledger, source, slot)
    )


def not_enabled(text: str, choices: Iterable[Choice]) -> str:
    """The message for a choice that is not there."""
    enabled = "".join(f"\n    {choice}" for choice in choices) or "\n    (nothing)"
    return f"not enabled here: {text}\n  enabled are:{enabled}"


def _moves_told(tables: Tables, slot: int, cell: int, told: Choice) -> Sequence[Move]:
    """The moves from a cell among which a choice is, if it is enabled."""
    try:
        return tuple(_steps(tables, slot, cell, told))
    except NoClock:
        # Its handler looks more often than the choice says: it cannot have been this step.
        return ()


def _steps(tables: Tables, slot: int, cell: int, told: Choice) -> Iterator[Move]:
    """The steps that a choice may be, with a clock that shows the times that it tells."""
    state, inbox = tables.cells[slot].values[cell]
    if told.kind is Kind.CRASH:
        crashes = tables.crash_effects(slot, state, told.what)
        yield from tables.faults_of(slot, state, inbox, crashes, ())
    elif told.kind in (Kind.DROP, Kind.DUPLICATE):
        yield from tables.faults_of(slot, state, inbox, [], _letters(tables, slot, inbox, told))
    else:
        for effects, rest, source in _effects(tables, slot, state, inbox, told):
            for effect in effects:
                choice = effect.choice
                if told.reading:
                    choice = replace(choice, reading=told.reading)
                yield tables.move(slot, rest, effect._replace(choice=choice), source)


def _letters(tables: Tables, slot: int, inbox: Inbox, told: Choice) -> tuple[int, ...]:
    """The message that a choice is about, where it may be the next to arrive."""
    number = tables.envelope_told(tables.slot_of.get(told.source, NOWHERE), slot, told.what)
    return (number,) if number in tables.network.heads(inbox) else ()


def _effects(
    tables: Tables, slot: int, state: int, inbox: Inbox, told: Choice
) -> Iterator[tuple[list[Effect], Inbox, int]]:
    """What a choice may do, with the inbox that it leaves, and who sent what it delivers."""
    bare = replace(told, choosing="", reading="", at=None)
    process, value = tables.processes[slot], tables.states[slot].values[state]
    if told.kind is Kind.DELIVER and tables.receives(slot, state):
        for number in _letters(tables, slot, inbox, told):
            envelope: Envelope = tables.envelopes.values[number]
            source = envelope.source
            rest = tables.network.take(inbox, number, source)
            if not told.reading:
                yield tables.delivery_effects(slot, state, number), rest, source
                continue
            event = event_of(process, value, told, envelope)
            yield tables.effects_of(slot, state, event, bare, FREE), rest, source
    elif told.kind in (Kind.FIRE, Kind.ACT, Kind.START, Kind.INVOKE):
        event = event_of(process, value, told)
        if event._replace(readings=()) in tables.events(slot, state):
            yield tables.event_effects(slot, state, event), inbox, NOWHERE
    elif told.kind in (Kind.RESTART, Kind.FILL, Kind.FREE):
        ways = tables.restarts if told.kind is Kind.RESTART else tables.fillings
        for event, choice, cost in ways(slot, value):
            if choice == bare:
                told_event = event._replace(readings=_readings(told))
                yield tables.effects_of(slot, state, told_event, bare, cost), inbox, NOWHERE


def event_of(
    process: Process, state: NodeState | ScriptState, told: Choice, envelope: Envelope | None = None
) -> Event:
    """What a choice does to its process, in a state in which it is enabled.

    A delivery is that of the message in `envelope`.
    """
    readings = _readings(told)
    if envelope is not None:
        return Event("deliver", envelope.message, told.source, envelope.operation, readings)
    if told.kind in (Kind.CRASH, Kind.RESTART):
        assert isinstance(process, NodeProcess)
        assert isinstance(state, NodeState)
        ways = process.crashes(state) if told.kind is Kind.CRASH else process.restarts(state)
        event = next(each for each in ways if each.text == told.what)
        return event._replace(readings=readings)
    what = None if told.kind is Kind.INVOKE else told.what or None
    return Event(told.kind.value, what, readings=readings)


def _readings(told: Choice) -> tuple[int | str, ...]:
    shown = told.reading.split(", ") if told.reading else ()
    return tuple(each if each == FULL else int(each) for each in shown)
