"""Occurrences: the steps of a schedule, with what timing has to know of each.

A schedule says what happens and in which order. Here each choice is taken in its world once more,
to learn what it sent, which message it took, and which timers it set and for how long.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from itertools import product
from types import MappingProxyType
from typing import Any, NamedTuple

from happysim.core.choice import Choice, Kind
from happysim.core.entries import Cell, Envelope
from happysim.core.errors import HappysimError, ScheduleError
from happysim.core.freeze import Frozen
from happysim.core.local_step import UP, NodeState, Outcome, ScriptState
from happysim.core.local_step import Event as LocalEvent
from happysim.core.process import NodeProcess
from happysim.core.script import Operation
from happysim.core.script_process import ScriptProcess
from happysim.core.tables import Tables
from happysim.core.told import event_of, find, is_idle, not_enabled
from happysim.core.world import World


class Parcel(NamedTuple):
    """A message by content: copies of one are equal."""

    source: str
    target: str
    message: Frozen
    operation: Operation | None


class Occurrence(NamedTuple):
    """One step. `delays` are the timers that it sets, `timers` those that are set after it.

    `records` is true where the history tells of it.
    """

    choice: Choice
    node: str = ""
    receives: Parcel | None = None
    sends: tuple[Parcel, ...] = ()
    delays: Mapping[str, tuple[Any, Any]] = MappingProxyType({})
    timers: tuple[str, ...] = ()
    readings: tuple[int, ...] = ()
    records: bool = False


class Beginning(NamedTuple):
    """What there is before the first step. `is_fresh`: everything has just started."""

    is_fresh: bool
    in_flight: tuple[Parcel, ...]
    # Per node: timers that are set, with their delays where these are known.
    timers: dict[str, dict[str, tuple[Any, Any] | None]]


def clocks(world: World) -> list[str]:
    """The names of the nodes: each has a clock of its own."""
    processes = world.tables.processes
    return [each.name for each in processes if isinstance(each, NodeProcess)]


def beginning(world: World) -> Beginning:
    """What is in flight, and which timers are set, in the world that a schedule starts from."""
    tables = world.tables
    in_flight: list[Parcel] = []
    timers: dict[str, dict[str, tuple[Any, Any] | None]] = {}
    for slot, number in enumerate(world.cells):
        cell: Cell = tables.cells[slot].values[number]
        for envelope, copies in tables.network.waiting(cell.inbox):
            in_flight += [_parcel(world, tables.envelopes.values[envelope])] * copies
        state, process = tables.states[slot].values[cell.state], tables.processes[slot]
        name = tables.names[slot]
        if isinstance(process, ScriptProcess):
            waits = script_delays(process, state)
            timers[name] = dict(waits)
        elif state.timers:
            timers[name] = {timer: process.site.delays.get(timer) for timer in state.timers}
    is_fresh = tables.first == world.numbers
    if is_fresh:
        timers = {name: _at_start(world, name, each) for name, each in timers.items()}
    return Beginning(is_fresh, tuple(in_flight), timers)


def _at_start(
    world: World, name: str, timers: dict[str, tuple[Any, Any] | None]
) -> dict[str, tuple[Any, Any] | None]:
    """The delays that `on_start` has set them with."""
    process = world.tables.processes[world.tables.slot_of[name]]
    if isinstance(process, ScriptProcess):
        return timers
    outcomes = process.run(process.initial(), LocalEvent("start"))
    told = delays_of(outcomes[0]) if len(outcomes) == 1 else {}
    return {timer: told.get(timer) for timer in timers}


def occurrences(world: World, schedule: Iterable[Choice | str]) -> Iterator[Occurrence]:
    """The steps of a schedule. A delivery that changes nothing is none of them.

    Raises `ScheduleError` where a choice is not enabled.
    """
    for number, wanted in enumerate(schedule, 1):
        found = find(world, wanted)
        if found is None and is_idle(world, wanted):
            continue
        if found is None:
            raise ScheduleError(f"choice {number}: {not_enabled(str(wanted), world.choices())}")
        choice, slot, move = found
        after = world.take(choice, slot, move)
        yield _occurrence(world, after, choice, slot)
        world = after


def hidden(
    world: World, schedule: Iterable[Choice | str], *, in_any_order: bool = False
) -> set[tuple[str, str]]:
    """The (node, timer) that a delivery which changes nothing else would set anew on the way.

    Such a delivery is no choice, so that no schedule holds it; and yet it takes place in time. With
    `in_any_order` any message of the run may arrive in any state that its receiver is in.
    """
    found, taken = set(), set()
    states: dict[int, set[int]] = {}
    envelopes: dict[int, set[int]] = {}
    for wanted in [*schedule, None]:
        for slot, number in enumerate(world.cells):
            cell: Cell = world.tables.cells[slot].values[number]
            waiting = {envelope for envelope, _ in world.tables.network.waiting(cell.inbox)}
            states.setdefault(slot, set()).add(cell.state)
            envelopes.setdefault(slot, set()).update(waiting)
            taken |= {(slot, cell.state, envelope) for envelope in waiting}
        step = None if wanted is None else find(world, wanted)
        if step is not None:
            world = world.take(*step)
    if in_any_order:
        taken = {
            (slot, *each) for slot in states for each in product(states[slot], envelopes[slot])
        }
    for each in sorted(taken):
        found |= set(hidden_timers(world.tables, *each))
    return found


def hidden_timers(
    tables: Tables, slot: int, state: int, envelope: int
) -> Iterator[tuple[str, str]]:
    """The timers that a delivery sets anew where it changes nothing else, each with its node."""
    value = tables.states[slot].values[state]
    if not isinstance(value, NodeState) or value.status != UP or not value.timers:
        return
    of: Envelope = tables.envelopes.values[envelope]
    event = LocalEvent("deliver", of.message, tables.names[of.source], of.operation)
    try:
        outcomes = tables.processes[slot].run(value, event)  # type: ignore[arg-type]
    except HappysimError:
        return
    for outcome in outcomes:
        if outcome.state == value and not outcome.sends:
            yield from ((tables.names[slot], timer) for timer, _, _ in outcome.delays)


def _occurrence(world: World, after: World, choice: Choice, slot: int) -> Occurrence:
    if slot < 0 or choice.kind in (Kind.DROP, Kind.DUPLICATE):
        about = _find(world, choice, slot) if slot >= 0 else None
        return Occurrence(choice, receives=None if about is None else _parcel(world, about))
    tables = world.tables
    envelope = _find(world, choice, slot) if choice.kind is Kind.DELIVER else None
    state = tables.states[slot].values[world.state_number(slot)]
    process = tables.processes[slot]
    event = event_of(process, state, choice, envelope)
    outcome = outcome_of(process.run(state, event), choice)
    left = tables.states[slot].values[after.state_number(slot)]
    if isinstance(process, ScriptProcess):
        delays = script_delays(process, left)
        timers = tuple(delays)
    else:
        delays, timers = delays_of(outcome), left.timers
    return Occurrence(
        choice,
        tables.names[slot],
        None if envelope is None else _parcel(world, envelope),
        tuple(Parcel(tables.names[slot], *sent) for sent in outcome.sends),
        delays,
        timers,
        tuple(each for each in event.readings if isinstance(each, int)),
        after.history_number != world.history_number,
    )


def script_delays(process: ScriptProcess, state: ScriptState) -> dict[str, tuple[Any, Any]]:
    """What a client script waits for: the end of its patience with a call, or of a sleep."""
    waits = process.waits_ns(state)
    if waits is None:
        return {}
    low, high = (Fraction(ns, 10**9) for ns in waits)
    return {"timeout" if state.waiting else "sleep": (low, high)}


def outcome_of(outcomes: list[Outcome], choice: Choice) -> Outcome:
    """The outcome that the choice names."""
    return next(each for each in outcomes if each.choosing == choice.choosing)


def delays_of(outcome: Outcome) -> dict[str, tuple[Any, Any]]:
    """The timers that an outcome sets, each with its range of seconds."""
    return {timer: (low, high) for timer, low, high in outcome.delays}


def _find(world: World, choice: Choice, slot: int) -> Envelope:
    """The message in flight that a choice is about."""
    tables = world.tables
    cell: Cell = tables.cells[slot].values[world.cells[slot]]
    for number, _ in tables.network.waiting(cell.inbox):
        envelope: Envelope = tables.envelopes.values[number]
        if (tables.names[envelope.source], envelope.text) == (choice.source, choice.what):
            return envelope
    raise AssertionError(f"{choice} is about a message that is not there")


def _parcel(world: World, envelope: Envelope) -> Parcel:
    names = world.tables.names
    return Parcel(
        names[envelope.source], names[envelope.target], envelope.message, envelope.operation
    )
