"""The encoding: one path a process, and an order in time that lets every message be sent first.

Over the closure of a protocol a run is
- for each process a path from its first vertex (booleans: vertex visited, arc taken);
- a time for each visited vertex, at which it was entered, growing along the path;
- for each message received a time by which some taken arc had sent it.
Any such choice is a run on a network that copies, reorders and loses, and the other way round: the
interleavings never appear. What the formula leaves out only adds runs: on a network that does not
copy a message may be received too often, and partitions and links in order are not there at all. So
`unsat` is a proof, and a model is a suggestion: put in order of time it is a schedule to replay.

Numbers of copies are added for the messages that a replay has missed (`count`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import Any, NamedTuple

from happysim.core.entries import BASE, COSTS, CRASH, CRASHES, RESTART
from happysim.smt.boxes import Box
from happysim.smt.closure import RAISED, Closure, Edge, counted_max
from happysim.smt.copies import taken_at_most
from happysim.smt.solver import Effort, fresh_z3
from happysim.smt.unroll import Arc, Unrolled, unroll

# How times are represented. All give the same verdicts; docs/smt.md says which is fast.
CLOCKS = ("integers", "reals", "bits")


class Step(NamedTuple):
    """A step of a model: when, by which process, and along which edge."""

    time: float
    slot: int
    edge: Edge


class _Taken(NamedTuple):
    """An arc with its variables: whether it is taken, and when."""

    slot: int
    arc: Arc
    on: Any
    at: Any


def pairs_to_count(arcs: Iterable[Arc], envelope: int) -> int:
    """How many pairs of steps a formula speaks of, once it counts the copies of a message."""
    takers = givers = 0
    for arc in arcs:
        takers += arc.edge.receives == envelope
        givers += envelope in arc.edge.sends
    return takers * (takers + givers)


class Encoding:
    """The formula of a closure in a solver of its own, unrolled to at most `layers`.

    With `reach` (`reach.py`) it is of the runs of at most so many steps: then it is complete, and
    counts exactly, as far as those go.

    With `layers=0` it is *relaxed* instead: in a cycle of its graph a process may take any step
    whose source it has visited. That adds runs and loses none, however often the cycle is walked.
    """

    def __init__(
        self,
        closure: Closure,
        *,
        layers: int = 0,
        reach: list[Unrolled] | None = None,
        clock: str = "integers",
        simple: bool = True,
        z3: Any = None,
    ) -> None:
        self.closure, self.clock, self.layers = closure, clock, layers
        self.relaxed = not layers and reach is None
        self.z3 = z3 = z3 or fresh_z3()
        edges = [edge for graph in closure.graphs for edge in graph.edges]
        # The messages that some step receives.
        self.received = tuple(dict.fromkeys(e.receives for e in edges if e.receives >= 0))
        useful = frozenset(self.received)
        self.graphs = reach or [unroll(graph, useful, layers or 1) for graph in closure.graphs]
        self.is_complete = all(each.is_complete for each in self.graphs)
        self.repeatable = {e for each in self.graphs for e in each.repeatable}
        events = sum(len(each.vertex) + len(each.arcs) for each in self.graphs)
        self._width = max(2, (events + 2).bit_length())
        self.solver = z3.SimpleSolver() if simple else z3.Solver()
        self.zero = self._number(0)
        self.takes: list[_Taken] = []
        self.finals: list[list[Any]] = []
        self.visits: list[list[tuple[Any, Any]]] = []
        for slot, graph in enumerate(self.graphs):
            self._path(slot, graph)
        self._messages()
        self._supplies()
        self._budgets()
        self._lengths = self._ladders() if reach else []
        self._ends: dict[tuple[int, tuple[int, ...]], Any] = {}
        self._counted: set[int] = set()
        self.extra: dict[int, Any] = {}
        # The steps that are not edges: copies made by the network.
        self.duplicates = closure.ledger.budgets[1]

    # -- times -----------------------------------------------------------------------------------

    def _number(self, value: int) -> Any:
        z3 = self.z3
        if self.clock == "integers":
            return z3.IntVal(value)
        return z3.RealVal(value) if self.clock == "reals" else z3.BitVecVal(value, self._width)

    def _time(self, name: str) -> Any:
        z3 = self.z3
        if self.clock == "integers":
            return z3.Int(name)
        return z3.Real(name) if self.clock == "reals" else z3.BitVec(name, self._width)

    def before(self, one: Any, other: Any) -> Any:
        """One moment is earlier than another."""
        return self.z3.ULT(one, other) if self.clock == "bits" else one < other

    def _by(self, one: Any, other: Any) -> Any:
        return self.z3.ULE(one, other) if self.clock == "bits" else one <= other

    def was_before(self, one: Any, other: Any) -> Any:
        """The same, where not being earlier has to mean being as late or later."""
        return self.before(one, other)

    # -- paths -----------------------------------------------------------------------------------

    def _path(self, slot: int, graph: Unrolled) -> None:
        """A path from copy 0, in time.

        A *place* is where a process is at one time: a copy or, where the formula is relaxed, a
        strongly connected component, in which any arc may be taken once its source was visited.
        """
        z3, add = self.z3, self.solver.add
        copies = range(len(graph.vertex))
        place = graph.component if self.relaxed else list(copies)
        visited = [z3.BoolVal(True), *(z3.Bool(f"v{slot}.{copy}") for copy in copies[1:])]
        entered = [self.zero, *(self._time(f"t{slot}.{copy}") for copy in copies[1:])]
        left = {where: self._time(f"o{slot}.{where}") for where in place}
        leaving: dict[int, list[Any]] = {where: [] for where in place}
        coming: dict[int, list[Any]] = {where: [] for where in place}
        ways: list[list[Any]] = [[] for _ in copies]
        for number, arc in enumerate(graph.arcs):
            on, source = z3.Bool(f"x{slot}.{number}"), place[arc.source]
            stays = arc.target != RAISED and place[arc.target] == source
            at = self._time(f"l{slot}.{number}") if stays else entered[arc.target]
            if arc.target == RAISED:
                at = self._time(f"l{slot}.{number}")
            self.takes.append(_Taken(slot, arc, on, at))
            add(z3.Implies(on, z3.And(visited[arc.source], self.before(entered[arc.source], at))))
            if stays:
                add(z3.Implies(on, self.before(at, left[source])))
                if not arc.is_loop:
                    ways[arc.target].append(z3.And(on, self._by(at, entered[arc.target])))
                continue
            leaving[source].append(on)
            add(z3.Implies(on, self._by(left[source], at)))
            if arc.target != RAISED:
                ways[arc.target].append(on)
                coming[place[arc.target]].append(on)
                add(z3.Implies(on, visited[arc.target]))
        for copy in copies[1:]:
            add(z3.Implies(visited[copy], z3.Or(ways[copy])))
        coming[place[0]].append(z3.BoolVal(True))
        for arcs in (*coming.values(), *leaving.values()):
            self._at_most_one(arcs)
        self.finals.append(
            [z3.And(visited[copy], z3.Not(z3.Or(leaving[place[copy]]))) for copy in copies]
        )
        self.visits.append(list(zip(visited, entered, strict=True)))

    def _at_most_one(self, literals: list[Any]) -> None:
        if len(literals) > 1:
            self.solver.add(self.z3.AtMost(*literals, 1))

    # -- causality -------------------------------------------------------------------------------

    def _messages(self) -> None:
        """A message is received after some taken arc has sent it: one earliest time a message."""
        z3, add = self.z3, self.solver.add
        senders: dict[int, list[_Taken]] = {}
        for taken in self.takes:
            for envelope in dict.fromkeys(taken.arc.edge.sends):
                senders.setdefault(envelope, []).append(taken)
        sent: dict[int, tuple[Any, Any]] = {}
        for taken in self.takes:
            envelope = taken.arc.edge.receives
            if envelope < 0 or envelope in self.closure.first:
                continue
            if envelope not in sent:
                known, when = z3.Bool(f"s{envelope}"), self._time(f"m{envelope}")
                sent[envelope] = known, when
                ways = [z3.And(each.on, self._by(each.at, when)) for each in senders[envelope]]
                add(z3.Implies(known, z3.Or(ways)))
            known, when = sent[envelope]
            add(z3.Implies(taken.on, z3.And(known, self.before(when, taken.at))))

    def _supplies(self) -> None:
        """No message is taken more often than any run can send it.

        Where that is once, no more has to be said of its copies.
        """
        takers: dict[int, list[Any]] = {}
        for taken in self.takes:
            takers.setdefault(taken.arc.edge.receives, []).append(taken.on)
        self._once = set()
        for envelope, most in taken_at_most(self.closure).items():
            arcs = takers.get(envelope, [])
            if most <= 1:
                self._once.add(envelope)
            if len(arcs) > most:
                self.solver.add(self.z3.AtMost(*arcs, int(most)))

    # -- faults ----------------------------------------------------------------------------------

    def _budgets(self) -> None:
        z3, ledger = self.z3, self.closure.ledger
        for cost in (CRASH, RESTART, *BASE, COSTS["fills"], COSTS["frees"]):
            # What befalls a disk is paid for, and so is the crash or the restart it happens in.
            paid = [
                t.on for t in self.takes if cost in (t.arc.edge.cost, BASE.get(t.arc.edge.cost))
            ]
            budget = ledger.budgets[cost - 1]
            if len(paid) > budget:
                self.solver.add(z3.AtMost(*paid, int(budget)))
        down_max = self.closure.tables.faults.down_max
        crashes = counted_max(ledger) + ledger.down
        if crashes > down_max and not math.isinf(down_max):
            self._down_at_once(int(down_max))

    def _down_at_once(self, most: int) -> None:
        """At each crash, fewer than `most` other processes are down."""
        z3, closure = self.z3, self.closure
        falls: list[list[tuple[Any, Any, list[_Taken]]]] = []
        for slot, graph in enumerate(self.graphs):
            # A restart; or there is room on its disk again, and it is down in another state.
            leaving = [t for t in self.takes if t.slot == slot]
            downs = [
                (known, when, [up for up in leaving if up.arc.source == copy])
                for copy, (known, when) in enumerate(self.visits[slot])
                if closure.graphs[slot].is_down(closure.tables, slot, graph.vertex[copy])
            ]
            falls.append(downs)
        crashes = [taken for taken in self.takes if taken.arc.edge.cost in CRASHES]
        for number, crash in enumerate(crashes):
            down = []
            for slot, downs in enumerate(falls):
                if slot == crash.slot or not downs:
                    continue
                is_down = z3.Bool(f"d{number}.{slot}")
                for known, when, ups in downs:
                    again = [z3.And(up.on, self.was_before(up.at, crash.at)) for up in ups]
                    # Crashes at one moment have an order too, so each would be the later one.
                    fallen = z3.Not(self.was_before(crash.at, when))
                    was = z3.And(known, fallen, z3.Not(z3.Or(again)))
                    self.solver.add(z3.Implies(z3.And(crash.on, was), is_down))
                down.append(is_down)
            if len(down) >= most:
                fewer = z3.AtMost(*down, most - 1) if down and most else z3.BoolVal(most > 0)
                self.solver.add(z3.Implies(crash.on, fewer))

    # -- numbers of steps ------------------------------------------------------------------------

    def _ladders(self) -> list[Any]:
        """For each process and number: whether it takes so many steps. Each implies the one below.

        An arc says so of its own process, whose steps before it are the copies on its path, and of
        all others that it cannot do without.
        """
        z3, add = self.z3, self.solver.add
        most = max((max(f) for each in self.graphs for f in each.floors), default=0)
        slots = range(len(self.graphs))
        ladders = [[z3.Bool(f"g{slot}.{n}") for n in range(1, most + 1)] for slot in slots]
        for ladder in ladders:
            for lower, upper in pairwise(ladder):
                add(z3.Implies(upper, lower))
        floors = (floor for each in self.graphs for floor in each.floors)
        for taken, floor in zip(self.takes, floors, strict=True):
            for slot, least in enumerate(floor):
                if least:
                    add(z3.Implies(taken.on, ladders[slot][least - 1]))
        return [each for ladder in ladders for each in ladder]

    # -- numbers of copies -----------------------------------------------------------------------

    def count(self, envelope: int) -> bool:
        """Ask for as many copies of a message as are received; False where that was done before.

        Not needed where the network duplicates. Exact where no step can be repeated that sends it.
        """
        if envelope in self._counted or envelope in self._once:
            return False
        self._counted.add(envelope)
        z3 = self.z3
        takers = [t for t in self.takes if t.arc.edge.receives == envelope]
        givers = [t for t in self.takes if envelope in t.arc.edge.sends]
        supply_more = []
        if self.duplicates:
            more = self.extra[envelope] = z3.Int(f"c{envelope}")
            self.solver.add(more >= 0)
            if not math.isinf(self.duplicates):
                self.solver.add(z3.Sum(list(self.extra.values())) <= int(self.duplicates))
            supply_more.append(more)
        free = self.closure.first.get(envelope, 0)
        for taker in takers:
            supply = [
                z3.If(
                    z3.And(giver.on, self.was_before(giver.at, taker.at)),
                    giver.arc.edge.sends.count(envelope),
                    0,
                )
                for giver in givers
            ]
            demand = [
                z3.If(z3.And(other.on, z3.Not(self.was_before(taker.at, other.at))), 1, 0)
                for other in takers
            ]
            enough = z3.Sum([*supply, *supply_more, z3.IntVal(free)]) >= z3.Sum(demand)
            self.solver.add(z3.Implies(taker.on, enough))
        return True

    @property
    def counts_exactly(self) -> bool:
        """True where no message that is counted can be sent again and again by one step."""
        return not self._counted & self.repeatable

    # -- questions -------------------------------------------------------------------------------

    def ends_in(self, box: Box) -> Any:
        """Every process ends in one of its local states of the box."""
        return self.z3.And([self._end(slot, states) for slot, states in enumerate(box)])

    def _end(self, slot: int, states: tuple[int, ...]) -> Any:
        known = self._ends.get((slot, states))
        if known is None:
            z3, wanted = self.z3, set(states)
            vertices = self.closure.graphs[slot].vertices
            if all(vertex.state in wanted for vertex in vertices):
                return z3.BoolVal(True)
            copies = self.graphs[slot].vertex
            ways = [
                final
                for copy, final in enumerate(self.finals[slot])
                if vertices[copies[copy]].state in wanted
            ]
            known = self._ends[slot, states] = z3.Bool(f"e{slot}.{len(self._ends)}")
            self.solver.add(known == z3.Or(ways))
        return known

    def raises(self) -> Any:
        """Some step raises."""
        return self.z3.Or([t.on for t in self.takes if t.arc.target == RAISED])

    def last_step(self, slot: int, source: int, target: int) -> Any:
        """The very last step leads a process from one local state to another, by number."""
        z3 = self.z3
        vertices, copies = self.closure.graphs[slot].vertices, self.graphs[slot].vertex
        ways = []
        for taken in self.takes:
            arc = taken.arc
            if taken.slot != slot or arc.is_loop or arc.target == RAISED:
                continue
            here, there = vertices[copies[arc.source]].state, vertices[copies[arc.target]].state
            if (here, there) == (source, target):
                ends = self.finals[slot][arc.target]
                ways.append(z3.And(taken.on, ends, self._nothing_follows(taken)))
        return z3.Or(ways)

    def _nothing_follows(self, last: _Taken) -> Any:
        """Every other step of a process is earlier: what it sends stays in flight."""
        z3 = self.z3
        follows = [
            z3.Implies(t.on, self.before(t.at, last.at))
            for t in self.takes
            if t.slot != last.slot or t.arc.is_loop
        ]
        return z3.And(follows)

    def steps_at_most(self, most: int) -> Any:
        """No more than so many steps in all."""
        return self._at_most(self._lengths or [t.on for t in self.takes], most)

    def faults_at_most(self, most: int) -> Any:
        """No more than so many faults: crashes, restarts and copies."""
        return self._at_most([t.on for t in self.takes if t.arc.edge.cost], most)

    def _at_most(self, literals: list[Any], most: int) -> Any:
        z3 = self.z3
        if most < 0:
            return z3.BoolVal(False)
        if not self.extra:
            return z3.AtMost(*literals, most) if len(literals) > most else z3.BoolVal(True)
        ones = [z3.If(literal, 1, 0) for literal in literals]
        return z3.Sum([*ones, *self.extra.values()]) <= most

    def solve(
        self, asked: Iterable[Any], seconds: float, effort: Effort | None = None
    ) -> list[Step] | str | None:
        """The steps of a model in order of time; None where there is none, else why not known."""
        solver = self.solver
        solver.push()
        try:
            solver.add(*asked)
            found = (effort or Effort()).ask(solver, seconds)
            if isinstance(found, str):
                return found
            return self._steps(solver.model()) if found else None
        finally:
            solver.pop()

    def _steps(self, model: Any) -> list[Step]:
        steps = [
            Step(self._moment(model.eval(t.at, model_completion=True)), t.slot, t.arc.edge)
            for t in self.takes
            if self.z3.is_true(model.eval(t.on, model_completion=True))
        ]
        return sorted(steps, key=lambda step: (step.time, step.slot, str(step.edge.choice)))

    def ends(self, model_steps: list[Step]) -> list[int]:
        """The local state in which each process ends after the steps of a model."""
        at = [0] * len(self.graphs)
        for step in model_steps:
            at[step.slot] = step.edge.target
        return [self.closure.graphs[slot].vertices[v].state for slot, v in enumerate(at)]

    def _moment(self, value: Any) -> float:
        return float(value.as_fraction()) if self.clock == "reals" else int(value.as_long())
