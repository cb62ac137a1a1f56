"""Closure: every local state of every process, whatever the network does in between.

The network is dropped: a message that any process can ever send may reach its receiver at any time,
any number of times. So each process is closed over all of them by itself, and what is left of the
protocol is one finite graph of local steps a process. Local model checking (Guerraoui and Yabandeh
2011) explores so too. A real run is a path in each graph; the converse is the solver's question.

A vertex is a local state, together with how often the process has crashed where crashes are
counted. That keeps graphs without cycles where a process only moves forward between crashes. Where
copies are counted (`copies.py`) it also says which messages the process has taken, and how often.

What cannot happen may be in a closure: a handler may even raise there. Such a step is an edge to
`RAISED`, and the solver is asked about it as about anything else.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from happysim.core.choice import Choice, Kind
from happysim.core.entries import COSTS, CRASHES, Cell, Effect, Ledger
from happysim.core.errors import HappysimError
from happysim.core.local_step import DOWN, UP, NodeState
from happysim.core.tables import Tables
from happysim.core.world import World
from happysim.smt.boxes import Box, Reader, TooLargeError

RAISED = -1
# How many combinations `within` may be judged on before it counts as too wide.
_WITHIN_EVALUATIONS_MAX = 20_000
# What faults cost that are counted. A crash for want of room follows on one that is.
COUNTED = CRASHES | {COSTS["fills"]}


def counted_max(ledger: Ledger) -> float:
    """How many of the faults that are counted there may be."""
    return ledger.budgets[COSTS["crashes"] - 1] + ledger.budgets[COSTS["fills"] - 1]


class Vertex(NamedTuple):
    """A local state by its number, and the faults, and copies of messages, counted so far.

    Faults that lead back to where a process was: crashes, and disks that become full.
    """

    state: int
    crashes: int = 0
    taken: tuple[tuple[int, int], ...] = ()

    def took(self, envelope: int) -> int:
        """How many copies of a message were taken so far."""
        return dict(self.taken).get(envelope, 0)

    def taking(self, envelope: int) -> tuple[tuple[int, int], ...]:
        """What is taken after one more copy of a message."""
        return tuple(sorted({**dict(self.taken), envelope: self.took(envelope) + 1}.items()))


class Edge(NamedTuple):
    """One local step: from a vertex to another, both by index; `target` may be `RAISED`.

    `receives` is the envelope that it takes (-1: none), `sends` those that it puts in flight,
    several copies of one counted, `cost` the fault budget that pays for it (0: none).
    """

    source: int
    target: int
    receives: int
    sends: tuple[int, ...]
    cost: int
    choice: Choice
    error: str = ""


@dataclass
class Graph:
    """The local steps of one process. Vertex 0 is where it starts."""

    name: str
    vertices: list[Vertex] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)

    def states(self) -> tuple[int, ...]:
        """The local states, each once, in order of discovery."""
        return tuple(dict.fromkeys(vertex.state for vertex in self.vertices))

    def is_down(self, tables: Tables, slot: int, vertex: int) -> bool:
        """True for a node that has crashed and not restarted."""
        value = tables.states[slot].values[self.vertices[vertex].state]
        return isinstance(value, NodeState) and value.status == DOWN


@dataclass
class Closure:
    """The graphs of all processes from one first world, and what may ever be in flight.

    `first` maps each envelope in flight in the first world to its copies. `outside` says that
    the bound `within` cut the closure; `exact` that it judges each process by itself, so that a
    world is inside where all its local states are. `rounds` is infinite for a whole closure; else
    it holds every run of so many steps, and perhaps not the longer ones. `copies` says how many
    copies of a message a process takes, where that is counted.
    """

    start: World
    graphs: list[Graph]
    first: dict[int, int]
    ledger: Ledger
    outside: bool = False
    exact: bool = True
    rounds: float = math.inf
    seconds: float = 0.0
    copies: Callable[[int], float] | None = None

    @property
    def tables(self) -> Tables:
        return self.start.tables

    @property
    def space(self) -> Box:
        """The local states of every process."""
        return tuple(graph.states() for graph in self.graphs)

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many vertices each graph has."""
        return tuple(len(graph.vertices) for graph in self.graphs)


def close(
    start: World,
    within: Callable[[World], str | None] | None = None,
    *,
    effects_max: int = 200_000,
    deadline: float = math.inf,
    rounds: float = math.inf,
    copies: Callable[[int], float] | None = None,
) -> Closure:
    """The closure from one world, or what `rounds` of it find; `within` answers None inside it.

    With `copies`, no process takes more copies of a message than that says.

    Raises `TooLargeError` where it takes more than `effects_max` local steps, or is not done at
    `deadline` (of `time.perf_counter`), and `NotCoveredError` where `within` reads more than local
    states.
    """
    return _Closing(start, within, effects_max, deadline, copies).run(rounds)


class _Closing:
    def __init__(
        self,
        start: World,
        within: Callable[[World], str | None] | None,
        effects_max: int,
        deadline: float,
        copies: Callable[[int], float] | None,
    ) -> None:
        self.start, self.tables, self.copies = start, start.tables, copies
        self.effects_max, self.deadline = effects_max, deadline
        self.began = time.perf_counter()
        self.effects = 0
        self.within = None if within is None else Reader(self.tables, within, deadline)
        cells = [self.tables.cells[slot].values[cell] for slot, cell in enumerate(start.cells)]
        slots = range(len(cells))
        self.graphs = [Graph(name) for name in self.tables.names]
        self.index: list[dict[Vertex, int]] = [{} for _ in slots]
        # What each process may receive, in order of discovery.
        self.envelopes: list[dict[int, None]] = [{} for _ in slots]
        # Per process: states known to be inside, and steps that lead to other ones.
        self.inside: list[dict[int, None]] = [{cell.state: None} for cell in cells]
        self.held: list[list[tuple[int, Edge, Vertex]]] = [[] for _ in slots]
        self.todo: list[tuple[int, int, int]] = []
        ledger: Ledger = self.tables.ledgers.values[start.ledger]
        self.faults_max = counted_max(ledger)
        self.closure = Closure(start, self.graphs, self._in_flight(cells), ledger, copies=copies)

    def _in_flight(self, cells: list[Cell]) -> dict[int, int]:
        network = self.tables.network
        return {
            envelope: copies for cell in cells for envelope, copies in network.waiting(cell.inbox)
        }

    def run(self, rounds: float) -> Closure:
        for envelope in self.closure.first:
            self._offer(envelope)
        for slot, inside in enumerate(self.inside):
            self._vertex(slot, Vertex(next(iter(inside))))
        done = 0
        while self.todo and done < rounds:
            # One step of each run: what it leads to is for the next round.
            now, self.todo = self.todo, []
            for slot, vertex, envelope in now:
                self._expand(slot, vertex, envelope)
            done += 1
            # What the states of this round let in may be taken in the next one.
            self._release()
        closure = self.closure
        closure.rounds = done if self.todo else math.inf
        closure.outside = any(self.held)
        closure.exact = self.within is None or self._separable()
        closure.seconds = time.perf_counter() - self.began
        return closure

    # -- growing ---------------------------------------------------------------------------------

    def _vertex(self, slot: int, vertex: Vertex) -> int:
        known = self.index[slot].get(vertex)
        if known is None:
            graph = self.graphs[slot]
            known = self.index[slot][vertex] = len(graph.vertices)
            graph.vertices.append(vertex)
            self.todo.append((slot, known, -1))
            self.todo += [(slot, known, envelope) for envelope in self.envelopes[slot]]
        return known

    def _offer(self, envelope: int) -> None:
        """A message that may be sent: every local state of its receiver may get it."""
        slot = self.tables.envelopes.values[envelope].target
        if envelope not in self.envelopes[slot]:
            self.envelopes[slot][envelope] = None
            known = range(len(self.graphs[slot].vertices))
            self.todo += [(slot, vertex, envelope) for vertex in known]

    def _expand(self, slot: int, source: int, envelope: int) -> None:
        """Take every step of a vertex: on receipt of a message, or (-1) by itself."""
        vertex = self.graphs[slot].vertices[source]
        taken = vertex.taken
        if self.copies is not None and envelope >= 0:
            most = self.copies(envelope)
            if vertex.took(envelope) >= most:
                return
            taken = taken if math.isinf(most) else vertex.taking(envelope)
        # A message that changes nothing has to be tried too, and that takes as long.
        self._spend()
        for effect in self._effects(slot, vertex.state, envelope):
            if isinstance(effect, Edge):
                self.graphs[slot].edges.append(effect._replace(source=source))
                continue
            edge = self._edge(effect, source, envelope)
            if effect.state < 0:
                error = str(effect.raised)
                self.graphs[slot].edges.append(edge._replace(target=RAISED, error=error))
                continue
            is_counted = effect.cost in COUNTED and 0 < self.faults_max < math.inf
            counted = vertex.crashes + is_counted
            if counted > self.faults_max:
                continue
            if effect.state == vertex.state and counted == vertex.crashes and not edge.sends:
                continue
            self._lead(slot, edge, Vertex(effect.state, counted, taken))

    def _edge(self, effect: Effect, source: int, envelope: int) -> Edge:
        sends = list(effect.own)
        for _, batch in effect.sends:
            numbers = self.tables.batches.values[batch]
            # On an ordered network a crash also cuts links, which takes from what is in flight.
            if numbers and numbers[0] != "cut":
                sends += numbers
        return Edge(source, RAISED, envelope, tuple(sends), effect.cost, effect.choice)

    def _effects(self, slot: int, state: int, envelope: int) -> Iterator[Effect | Edge]:
        """The effects of one event. An error of the protocol is an edge that raises."""
        tables = self.tables
        try:
            if envelope < 0:
                own, faults = tables.own_effects(slot, state)
                yield from (*own, *faults)
            else:
                value = tables.states[slot].values[state]
                if not isinstance(value, NodeState) or value.status == UP:
                    yield from tables.delivery_effects(slot, state, envelope)
        except HappysimError as error:
            # In a state that cannot be, code may do anything: the solver says whether it can.
            choice = Choice(Kind.ACT, tables.names[slot])
            yield Edge(0, RAISED, envelope, (), 0, choice, str(error))

    def _lead(self, slot: int, edge: Edge, target: Vertex) -> None:
        """Take in an edge where it leads inside the bound; hold it back where it does not yet."""
        if self.within is not None and not self._is_inside(slot, target.state):
            self.held[slot].append((slot, edge, target))
            return
        self.graphs[slot].edges.append(edge._replace(target=self._vertex(slot, target)))
        for envelope in dict.fromkeys(edge.sends):
            self._offer(envelope)

    def _spend(self) -> None:
        self.effects += 1
        vertices = sum(len(graph.vertices) for graph in self.graphs)
        if self.effects > self.effects_max:
            raise TooLargeError(
                f"the local states are too many: {vertices:,} and growing "
                f"after {self.effects_max:,} local steps"
            )
        if not self.effects % 256 and time.perf_counter() > self.deadline:
            raise TooLargeError(
                f"the time ran out at {vertices:,} local states, and more were to come"
            )

    # -- the bound -------------------------------------------------------------------------------

    def _is_inside(self, slot: int, state: int) -> bool:
        """True where some world of known local states that holds this one is inside.

        By induction along a run, no local state of a world that a bounded search visits is left
        out: the world itself is such a world, of states known by then.
        """
        if state in self.inside[slot]:
            return True
        assert self.within is not None
        space = tuple(
            (state,) if other == slot else tuple(states) for other, states in enumerate(self.inside)
        )
        for at, judged in enumerate(self.within.boxes(space)):
            # Where it raises nothing is known, so the state is kept.
            if judged.wrong is None or judged.raised:
                self.inside[slot][state] = None
                return True
            if at > _WITHIN_EVALUATIONS_MAX:
                raise TooLargeError("the bound `within` reads too many combinations of states")
        return False

    def _release(self) -> None:
        """Take in the steps held back whose states are inside by now."""
        for slot, held in enumerate(self.held):
            waiting, self.held[slot] = held, []
            for _, edge, target in waiting:
                self._lead(slot, edge, target)

    def _separable(self) -> bool:
        """True where every combination of the local states kept is inside."""
        assert self.within is not None
        for at, judged in enumerate(self.within.boxes(self.closure.space)):
            if judged.wrong is not None or at > _WITHIN_EVALUATIONS_MAX:
                return False
        return True
