"""realise: real delays and clocks with which a schedule happens, or what rules them out.

A search knows no time, so its counterexamples may need a message that takes longer, or a clock that
runs slower, than anything does. Given bounds on both, a schedule is *realised* by moments for its
steps that keep all bounds. Where there are none the answer is the rules that clash: leave out any
one of them, and there would be.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from happysim.core.choice import Choice, Kind
from happysim.core.freeze import describe
from happysim.core.world import World
from happysim.search.schedule import first_world
from happysim.smt.moments import Moments
from happysim.smt.occurrences import (
    Beginning,
    Occurrence,
    Parcel,
    beginning,
    clocks,
    hidden,
    occurrences,
)
from happysim.smt.solver import SolverMissingError, load_z3, why_unknown, z3_error
from happysim.smt.timing import Clockwork, Timing, seconds_text
from happysim.spec.verdict import Broken, Holds

_NS = 10**9
# Steps need not be farther apart than this, in seconds, where there is room.
_GAP_MAX = Fraction(1, 1000)


@dataclass(frozen=True)
class Travel:
    """A message: sent by one step, taken by another (None: never, so it was lost)."""

    source: str
    target: str
    text: str
    sent_by: int
    taken_by: int | None
    ns: int | None

    def __str__(self) -> str:
        way = f"{self.source} -> {self.target} {self.text}, sent by step {self.sent_by}"
        return f"{way}: lost" if self.ns is None else f"{way}: {_shown(self.ns)} s"


@dataclass(frozen=True)
class Delay:
    """A timer, and how long it was to run by its node's clock: as its node asked, where it rang."""

    node: str
    timer: str
    set_by: int
    fired_by: int | None
    ns: int

    def __str__(self) -> str:
        return f"{self.node} {self.timer}, set by step {self.set_by}: {_shown(self.ns)} s"


@dataclass(frozen=True)
class Realised:
    """A timed run: each choice with its nanosecond, and what has to be so for it to happen.

    `rates` are the seconds that a node's clock gains a second, `offsets` what it shows at the
    beginning, in seconds; nodes whose clocks are right are left out.
    """

    steps: tuple[tuple[Choice, int], ...]
    travels: tuple[Travel, ...] = ()
    delays: tuple[Delay, ...] = ()
    rates: dict[str, Fraction] = field(default_factory=dict)
    offsets: dict[str, Fraction] = field(default_factory=dict)

    @property
    def schedule(self) -> tuple[Choice, ...]:
        """The choices with their nanoseconds in them, as a simulation keeps them.

        Before them stands, at 0 s, how clocks run that are not right. `replay_in_time` takes it.
        """
        clocks = (_clock(node, self) for node in dict.fromkeys([*self.offsets, *self.rates]))
        return (*clocks, *(replace(choice, at=ns) for choice, ns in self.steps))

    def __str__(self) -> str:
        lines = [f"{_shown(ns)} {choice}" for choice, ns in self.steps]
        lines += [f"clock of {node}: rate {rate}" for node, rate in self.rates.items()]
        lines += [
            f"clock of {node}: {seconds_text(offset)} s ahead"
            for node, offset in self.offsets.items()
        ]
        return "\n".join(lines)


@dataclass(frozen=True)
class Unrealisable:
    """No delays and clocks within the bounds make it happen: these rules clash (minimal)."""

    clash: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(["cannot happen; these clash:", *(f"  {rule}" for rule in self.clash)])


@dataclass(frozen=True)
class Undecided:
    """Not decided, and why."""

    reason: str

    def __str__(self) -> str:
        return f"undecided: {self.reason}"


Realisation = Realised | Unrealisable | Undecided


def realise(found: Broken | Holds, timing: Timing, *, seconds: float = 60.0) -> Realisation:
    """Times within bounds at which a counterexample, or a witness, happens; or why there are none.

    `found` is a verdict with a schedule. Raises `ValueError` for one without, and `ScheduleError`
    where its scenario does not have that schedule (any more).
    """
    if found.schedule is None:
        raise ValueError(f"{found.of.name} has no schedule: {found}")
    world = first_world(found.of.scenario, found.start)
    return realise_schedule(world, found.schedule, timing, seconds=seconds)


def realise_schedule(
    world: World, schedule: Sequence[Choice | str], timing: Timing, *, seconds: float = 60.0
) -> Realisation:
    """The same for a schedule from a world."""
    for choice in schedule:
        if isinstance(choice, Choice) and choice.kind.is_timed:
            return Undecided(f"{choice} changes how time passes, and has its own time already")
    begin, steps = beginning(world), list(occurrences(world, schedule))
    deadline = time.perf_counter() + seconds
    try:
        return _Realising(load_z3(), world, begin, steps, timing, deadline).run()
    except _UndecidedError as error:
        return Undecided(str(error))
    except SolverMissingError as error:
        return Undecided(str(error))
    except KeyboardInterrupt:
        return Undecided("interrupted")
    except z3_error() as error:
        return Undecided(f"the solver failed: {error}")


class _UndecidedError(Exception):
    """The solver does not know."""


class _Realising:
    def __init__(
        self,
        z3: Any,
        world: World,
        begin: Beginning,
        steps: Sequence[Occurrence],
        timing: Timing,
        deadline: float,
    ) -> None:
        self.z3, self.world, self.begin, self.steps = z3, world, begin, steps
        self.timing, self.deadline = timing, deadline

    def run(self) -> Realisation:
        z3, count = self.z3, len(self.steps)
        reals = [z3.Real(f"t{number}") for number in range(count + 1)]
        moments = self._moments(reals)
        clash = self._clash(moments)
        if clash is not None:
            return self._refused(clash)
        right = self._right_clocks(moments)
        gap = self._widest_gap(reals, right)
        return self._in_nanoseconds(right, gap)

    def _refused(self, clash: tuple[str, ...]) -> Realisation:
        """That rules clash, unless a timer in them may be set anew by what is no step."""
        anew = hidden(self.world, [step.choice for step in self.steps])
        for node, timer in sorted(anew):
            if any(rule.startswith(f"timer {timer} of {node} is not overdue") for rule in clash):
                return Undecided(
                    f"a delivery that changes nothing else may set timer {timer} of {node} anew"
                )
        return Unrealisable(clash)

    def _moments(self, at: Sequence[Any], spare: Any = 0) -> Moments:
        clockwork = Clockwork(self.z3, clocks(self.world), self.timing)
        duplicates = self.world.tables.network.kind == "duplicating"
        return Moments(clockwork, self.begin, self.steps, at, duplicates=duplicates, spare=spare)

    # -- asking ----------------------------------------------------------------------------------

    def _check(self, solver: Any, *assumed: Any) -> bool:
        z3, left = self.z3, self.deadline - time.perf_counter()
        if left <= 0:
            raise _UndecidedError("the time ran out")
        solver.set("timeout", max(1, min(int(left * 1000), 2**31 - 1)))
        found = solver.check(*assumed)
        if found == z3.unknown:
            raise _UndecidedError(why_unknown(solver.reason_unknown()))
        return bool(found == z3.sat)

    def _clash(self, moments: Moments) -> tuple[str, ...] | None:
        """Rules that cannot all be kept, of which none can be spared; None where all can."""
        solver = self.z3.Solver()
        solver.add(*moments.order)
        rules = [(self.z3.Bool(f"rule {at}"), *rule) for at, rule in enumerate(moments.rules)]
        for flag, rule, _ in rules:
            solver.add(self.z3.Implies(flag, rule))
        if self._check(solver, *(flag for flag, _, _ in rules)):
            return None
        core = {str(flag) for flag in solver.unsat_core()}
        kept = [rule for rule in rules if str(rule[0]) in core]
        at = 0
        while at < len(kept):
            rest = [*kept[:at], *kept[at + 1 :]]
            if self._check(solver, *(flag for flag, _, _ in rest)):
                at += 1
            else:
                kept = rest
        return tuple(text for _, _, text in kept)

    def _right_clocks(self, moments: Moments) -> list[tuple[str, Fraction]]:
        """Clocks that can be right: each node's in turn, as long as the run stays possible."""
        solver = self.z3.Solver()
        solver.add(*moments.order, *(rule for rule, _ in moments.rules))
        right = []
        for node, second in moments.clockwork.second.items():
            solver.push()
            solver.add(second == 1)
            if self._check(solver):
                right.append((node, Fraction(1)))
            else:
                solver.pop()
        return right

    def _fixed(self, moments: Moments, right: Sequence[tuple[str, Fraction]]) -> list[Any]:
        seconds = moments.clockwork.second
        return [seconds[node] == moments.clockwork.number(value) for node, value in right]

    def _widest_gap(self, at: Sequence[Any], right: Sequence[tuple[str, Fraction]]) -> Fraction:
        """How far apart steps can be at the least, in seconds, up to a limit that is plenty."""
        optimize = self.z3.Optimize()
        gap = self.z3.Real("gap")
        moments = self._moments(at, gap)
        optimize.add(*moments.order, *(rule for rule, _ in moments.rules))
        optimize.add(*self._fixed(moments, right))
        optimize.add(gap >= 0, gap <= moments.clockwork.number(_GAP_MAX))
        optimize.add(*self._apart(moments.at, gap))
        optimize.maximize(gap)
        self._check(optimize)
        return _fraction(optimize.model().eval(gap, model_completion=True))

    def _apart(self, at: Sequence[Any], gap: Any) -> list[Any]:
        return [at[number] - at[number - 1] >= gap for number in range(1, len(at))]

    # -- the run ---------------------------------------------------------------------------------

    def _in_nanoseconds(self, right: Sequence[tuple[str, Fraction]], gap: Fraction) -> Realisation:
        """Whole nanoseconds for the steps, as early as each can be."""
        z3 = self.z3
        whole = [z3.Int(f"ns{number}") for number in range(len(self.steps) + 1)]
        # Half of what there is leaves room to round.
        least = int(gap * _NS / 2)
        moments = self._moments([z3.ToReal(each) / _NS for each in whole], _in_seconds(z3, least))
        optimize = z3.Optimize()
        optimize.add(whole[0] == 0, *(rule for rule, _ in moments.rules))
        optimize.add(*self._fixed(moments, right))
        optimize.add(*self._apart(whole, least))
        optimize.minimize(z3.Sum(whole))
        if not self._check(optimize):
            raise _UndecidedError("it can happen, but not at whole nanoseconds")
        return _Reading(optimize.model(), moments, [*whole]).realised()


class _Reading:
    """What a model says."""

    def __init__(self, model: Any, moments: Moments, whole: Sequence[Any]) -> None:
        self.model, self.moments = model, moments
        self.ns = [int(self._value(each)) for each in whole]

    def _value(self, term: Any) -> Fraction:
        return _fraction(self.model.eval(term, model_completion=True))

    def realised(self) -> Realised:
        moments = self.moments
        seconds = {node: self._value(each) for node, each in moments.clockwork.second.items()}
        offsets = {
            node: self._value(ahead) / seconds[node] for node, ahead in moments.offsets.items()
        }
        return Realised(
            tuple((step.choice, ns) for step, ns in zip(moments.steps, self.ns[1:], strict=True)),
            tuple(self._travels()),
            tuple(self._delays(seconds)),
            {node: 1 / second for node, second in seconds.items() if second != 1},
            {node: offset for node, offset in offsets.items() if offset},
        )

    def _travels(self) -> list[Travel]:
        """Every message, in order of sending."""
        taken: dict[tuple[Parcel, int], list[int]] = {}
        for arrival in self.moments.arrivals:
            for at, (_, is_it) in enumerate(arrival.copies):
                if self._is_true(is_it):
                    taken.setdefault((arrival.parcel, at), []).append(arrival.step)
                    break
        made = []
        told: dict[Parcel, int] = {}
        sends = [self.moments.begin.in_flight, *(step.sends for step in self.moments.steps)]
        for number, parcels in enumerate(sends):
            for parcel in parcels:
                at = told[parcel] = told.get(parcel, -1) + 1
                sent = self._value(self.moments.sent[parcel][at].at) * _NS
                steps = taken.get((parcel, at), [])
                made += [
                    _travel(parcel, number, step, self.ns[step] - round(sent)) for step in steps
                ] or [_travel(parcel, number, None, None)]
        return made

    def _is_true(self, literal: Any) -> bool:
        return str(self.model.eval(literal, model_completion=True)) == "True"

    def _delays(self, seconds: dict[str, Fraction]) -> list[Delay]:
        made = []
        for wait in self.moments.waits:
            second = seconds.get(wait.node, Fraction(1))
            passed = Fraction(self.ns[wait.ended_by], _NS) - self._value(wait.at)
            if not wait.fires and wait.most is not None:
                passed = self._value(wait.most)
            elif not wait.fires and wait.least is not None:
                # It may take as long as it likes, so longer than it is looked at.
                passed = max(passed + 1, self._value(wait.least))
            elif not wait.fires:
                continue
            ns = round(passed / second * _NS)
            fired = wait.ended_by if wait.fires else None
            made.append(Delay(wait.node, wait.timer, wait.set_by, fired, ns))
        return sorted(made, key=lambda delay: (delay.set_by, delay.node, delay.timer))


def _clock(node: str, run: Realised) -> Choice:
    """How a clock is that is not right from the beginning."""
    ahead, drift = run.offsets.get(node, Fraction(0)), run.rates.get(node, Fraction(1)) - 1
    told = f"starts by {seconds_text(ahead)} s" + (f" drifting {drift}" if drift else "")
    return Choice(Kind.CLOCK, node, what=told, at=0)


def _travel(parcel: Parcel, sent_by: int, taken_by: int | None, ns: int | None) -> Travel:
    text = describe(parcel.message)
    return Travel(parcel.source, parcel.target, text, sent_by, taken_by, ns)


def _fraction(value: Any) -> Fraction:
    return Fraction(str(value))


def _in_seconds(z3: Any, ns: int) -> Any:
    return z3.RealVal(str(Fraction(ns, _NS)))


def _shown(ns: int) -> str:
    return seconds_text(Fraction(ns, _NS))
