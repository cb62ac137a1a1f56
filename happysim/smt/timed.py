"""Timed: the formula of a closure with real moments, so that it holds of all schedules at once.

To the order of `encoding.py` each moment adds a real time that never runs against it. Then
- a message arrives within its latency of a step that sent it;
- a process carries for each of its timers when it is due, at the earliest and at the latest, from
  the step that sets it on; it fires in between, and no step of the process comes later, nor the end
  of the run, while it is set.

Without cycles in the graphs this is exact but for what `encoding.py` leaves out: what adds runs.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

from happysim.core.choice import Kind
from happysim.core.errors import HappysimError
from happysim.core.script_process import ScriptProcess
from happysim.core.told import event_of
from happysim.smt.closure import RAISED, Closure, Edge
from happysim.smt.encoding import Encoding, Step
from happysim.smt.occurrences import (
    Beginning,
    delays_of,
    hidden_timers,
    outcome_of,
    script_delays,
)
from happysim.smt.timing import Clockwork
from happysim.smt.unroll import components

Delays = dict[str, tuple[Any, Any]]


class NotTimedError(Exception):
    """Time cannot be told of this closure; the message says why."""


class _Moment(NamedTuple):
    """A place in the order of all steps, and a time that is never earlier for a later place."""

    order: Any
    time: Any


class TimedEncoding(Encoding):
    """The timed formula of a closure without cycles. Raises `NotTimedError`."""

    def __init__(self, closure: Closure, clockwork: Clockwork, begin: Beginning) -> None:
        check_acyclic(closure)
        check_hidden(closure)
        self.clockwork, self.begin = clockwork, begin
        super().__init__(closure, layers=1, clock="integers", simple=False, z3=clockwork.z3)
        self.delays = [
            [_delays(closure, slot, arc.edge) for arc in graph.arcs]
            for slot, graph in enumerate(self.graphs)
        ]
        self.end = self.z3.Real("end")
        for taken in self.takes:
            self.solver.add(self.z3.Implies(taken.on, taken.at.time <= self.end))
        self._latencies()
        first = 0
        for slot, graph in enumerate(self.graphs):
            self._timers(slot, self.takes[first : first + len(graph.arcs)])
            first += len(graph.arcs)
        for rule, _ in clockwork.rules:
            self.solver.add(rule)

    # -- moments ---------------------------------------------------------------------------------

    def _number(self, value: int) -> Any:
        return _Moment(self.z3.IntVal(value), self.z3.RealVal(value))

    def _time(self, name: str) -> Any:
        return _Moment(self.z3.Int(name), self.z3.Real(f"time {name}"))

    def before(self, one: Any, other: Any) -> Any:
        return self.z3.And(one.order < other.order, one.time <= other.time)

    def _by(self, one: Any, other: Any) -> Any:
        return self.z3.And(one.order <= other.order, one.time <= other.time)

    def was_before(self, one: Any, other: Any) -> Any:
        z3 = self.z3
        tied = z3.And(one.time == other.time, one.order < other.order)
        return z3.Or(one.time < other.time, tied)

    # -- messages --------------------------------------------------------------------------------

    def _latencies(self) -> None:
        z3, add, names = self.z3, self.solver.add, self.closure.tables.names
        for taken in self.takes:
            number = taken.arc.edge.receives
            if number < 0:
                continue
            envelope = self.closure.tables.envelopes.values[number]
            low, high, _ = self.clockwork.latency(names[envelope.source], names[envelope.target])
            ways = []
            for giver in self.takes:
                if number not in giver.arc.edge.sends:
                    continue
                way = [giver.on, taken.at.time - giver.at.time >= low]
                # A loop may be taken again later, so nothing is known of its last time.
                if high is not None and not giver.arc.is_loop:
                    way.append(taken.at.time - giver.at.time <= high)
                ways.append(z3.And(way))
            if number in self.closure.first:
                way = [taken.at.time >= low] if self.begin.is_fresh else []
                if high is not None:
                    way.append(taken.at.time <= high)
                ways.append(z3.And(way))
            add(z3.Implies(taken.on, z3.Or(ways)))

    # -- timers ----------------------------------------------------------------------------------

    def _timers(self, slot: int, takes: list[Any]) -> None:
        """When each timer is due at each place of a process, and that it is not overdue."""
        z3, add = self.z3, self.solver.add
        name = self.closure.tables.names[slot]
        due: list[dict[str, tuple[Any, Any]]] = []
        for copy, vertex in enumerate(self.graphs[slot].vertex):
            timers = _timers_of(self.closure, slot, vertex)
            due.append(
                {
                    timer: (
                        z3.Real(f"due {slot}.{copy} {timer}"),
                        z3.Real(f"by {slot}.{copy} {timer}"),
                    )
                    for timer in timers
                }
            )
            for _, latest in due[copy].values():
                add(z3.Implies(self.finals[slot][copy], self.end <= latest))
        self._first_timers(slot, due[0])
        for taken, delays in zip(takes, self.delays[slot], strict=True):
            arc, choice = taken.arc, taken.arc.edge.choice
            fired = choice.what if choice.kind is Kind.FIRE else None
            if arc.is_loop:
                if delays or fired is not None:
                    raise NotTimedError(
                        f"{choice} leaves {name} as it was but for its timers; "
                        "let it count in a field"
                    )
                continue
            for timer, (earliest, latest) in due[arc.source].items():
                add(z3.Implies(taken.on, taken.at.time <= latest))
                if timer == fired:
                    add(z3.Implies(taken.on, taken.at.time >= earliest))
            if arc.target == RAISED:
                continue
            for timer, (earliest, latest) in due[arc.target].items():
                if timer in delays:
                    least, most, _ = self.clockwork.lasts(name, timer, delays[timer])
                    rules = [earliest == taken.at.time + least]
                    rules += [] if most is None else [latest == taken.at.time + most]
                elif timer in due[arc.source]:
                    was = due[arc.source][timer]
                    rules = [earliest == was[0], latest == was[1]]
                else:
                    continue
                add(z3.Implies(taken.on, z3.And(rules)))

    def _first_timers(self, slot: int, due: dict[str, tuple[Any, Any]]) -> None:
        """Timers that are set in the first world."""
        name = self.closure.tables.names[slot]
        for timer, seconds in self.begin.timers.get(name, {}).items():
            if seconds is None:
                continue
            earliest, latest = due[timer]
            least, most, _ = self.clockwork.lasts(name, timer, seconds)
            # In a world in mid-run they may have been set long ago.
            self.solver.add(earliest == least if self.begin.is_fresh else earliest <= least)
            if most is not None:
                self.solver.add(latest == most if self.begin.is_fresh else latest <= most)

    # -- models ----------------------------------------------------------------------------------

    def _steps(self, model: Any) -> list[Step]:
        moments = []
        for taken in self.takes:
            if self.z3.is_true(model.eval(taken.on, model_completion=True)):
                time = Fraction(str(model.eval(taken.at.time, model_completion=True)))
                order = model.eval(taken.at.order, model_completion=True).as_long()
                moments.append((time, order, taken.slot, taken.arc.edge))
        moments.sort(key=lambda each: (*each[:3], str(each[3].choice)))
        return [Step(float(rank), slot, edge) for rank, (_, _, slot, edge) in enumerate(moments)]


def check_acyclic(closure: Closure) -> None:
    """Raises `NotTimedError` where a process may come back to a local state."""
    for graph in closure.graphs:
        component = components(graph)
        if len(set(component)) != len(component):
            raise NotTimedError(
                f"{graph.name} may come back to a local state that it has left; "
                "bound how often with within=..."
            )


def check_hidden(closure: Closure) -> None:
    """Raises `NotTimedError` where a step that changes nothing but a timer is not in the graphs."""
    tables = closure.tables
    sent = dict.fromkeys(closure.first)
    for graph in closure.graphs:
        for edge in graph.edges:
            sent.update(dict.fromkeys(edge.sends))
    for slot, graph in enumerate(closure.graphs):
        mine = [each for each in sent if tables.envelopes.values[each].target == slot]
        for number, vertex in enumerate(graph.vertices):
            timers = _timers_of(closure, slot, number)
            for effect in tables.own_effects(slot, vertex.state)[0] if timers else ():
                if effect.state == vertex.state and not effect.own and not effect.sends:
                    raise NotTimedError(
                        f"{effect.choice} leaves {graph.name} as it was but for its timers; "
                        "let it count in a field"
                    )
            for envelope in mine if timers else ():
                if closure.copies and vertex.took(envelope) >= closure.copies(envelope):
                    continue
                for _, timer in hidden_timers(tables, slot, vertex.state, envelope):
                    of = tables.envelopes.values[envelope]
                    raise NotTimedError(
                        f"{of.text} sets timer {timer} of {graph.name} anew and changes nothing "
                        "else; let it count in a field"
                    )


def _timers_of(closure: Closure, slot: int, vertex: int) -> tuple[str, ...]:
    process = closure.tables.processes[slot]
    value = _state(closure, slot, vertex)
    if isinstance(process, ScriptProcess):
        return tuple(script_delays(process, value))
    return value.timers  # type: ignore[no-any-return]


def _state(closure: Closure, slot: int, vertex: int) -> Any:
    return closure.tables.states[slot].values[closure.graphs[slot].vertices[vertex].state]


def _delays(closure: Closure, slot: int, edge: Edge) -> Delays:
    """The timers that a step sets, each with its range of seconds."""
    tables, process = closure.tables, closure.tables.processes[slot]
    if edge.target == RAISED or edge.choice.kind is Kind.CRASH:
        return {}
    if isinstance(process, ScriptProcess):
        return script_delays(process, _state(closure, slot, edge.target))
    envelope = None if edge.receives < 0 else tables.envelopes.values[edge.receives]
    try:
        state = _state(closure, slot, edge.source)
        outcomes = process.run(state, event_of(process, state, edge.choice, envelope))
    except HappysimError as error:
        raise NotTimedError(str(error)) from None
    return delays_of(outcome_of(outcomes, edge.choice))
