"""realise: real delays and clocks with which a schedule happens, or what rules them out.

A search knows no time, so its counterexamples may need a message that takes longer, or a clock that
runs slower, than anything does. Given bounds on both, a schedule is *realised* by moments for its
steps that keep all bounds. Where there are none the answer is the rules that clash: leave out any
one of them, and there would be.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from happysim.core.choice import Choice
from happysim.core.world import World
from happysim.search.schedule import first_world
from happysim.smt.moments import Moments
from happysim.smt.occurrences import (
    Beginning,
    Occurrence,
    beginning,
    clocks,
    hidden,
    occurrences,
)
from happysim.smt.precedence import precedence
from happysim.smt.solver import Effort, SolverMissingError, fresh_z3, z3_error
from happysim.smt.timed_run import Reading, Realised, fraction_of
from happysim.smt.timing import Clockwork, Timing
from happysim.spec.verdict import Broken, Holds

_NS = 10**9
# Steps need not be farther apart than this, in seconds, where there is room.
_GAP_MAX = Fraction(1, 1000)


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


def realise(
    found: Broken | Holds, timing: Timing, *, seconds: float = 60.0, reorder: bool = False
) -> Realisation:
    """Times within bounds at which a counterexample, or a witness, happens; or why there are none.

    `found` is a verdict with a schedule. Its steps keep their order. With `reorder` those of
    different processes may change places, as far as the run ends in the same world, with the same
    history (`happysim.smt.precedence`); then rules that clash do so in all these orders.

    Raises `ValueError` for a verdict without a schedule, and `ScheduleError` where its scenario
    does not have that schedule (any more).
    """
    if found.schedule is None:
        raise ValueError(f"{found.of.name} has no schedule: {found}")
    world = first_world(found.of.scenario, found.start)
    return realise_schedule(world, found.schedule, timing, seconds=seconds, reorder=reorder)


def realise_schedule(
    world: World,
    schedule: Sequence[Choice | str],
    timing: Timing,
    *,
    seconds: float = 60.0,
    reorder: bool = False,
) -> Realisation:
    """The same for a schedule from a world."""
    for choice in schedule:
        if isinstance(choice, Choice) and choice.kind.is_timed:
            return Undecided(f"{choice} changes how time passes, and has its own time already")
    begin, steps = beginning(world), list(occurrences(world, schedule))
    deadline = time.perf_counter() + seconds
    try:
        asked = _Realising(fresh_z3(), world, begin, steps, timing, deadline)
        return asked.in_any_order() if reorder else asked.run()
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

    def in_any_order(self) -> Realisation:
        """The same for all schedules that differ from this one where nobody can tell."""
        reals = [self.z3.Real(f"t{number}") for number in range(len(self.steps) + 1)]
        pairs = precedence(self.world, self.steps)
        moments = self._moments(reals, pairs=pairs)
        clash = self._clash(moments)
        if clash is not None:
            return self._refused(clash, in_any_order=True)
        schedule = [self.steps[number - 1].choice for number in self._roomiest(reals, pairs)]
        self.steps = list(occurrences(self.world, schedule))
        return self.run()

    def _roomiest(self, at: Sequence[Any], pairs: Sequence[tuple[int, int]]) -> list[int]:
        """The steps in an order that leaves as much as can be between those that have one."""
        optimize, gap = self.z3.Optimize(), self.z3.Real("gap")
        moments = self._moments(at, gap, pairs)
        optimize.add(*moments.order, *(rule for rule, _ in moments.rules))
        optimize.add(gap >= 0, gap <= moments.clockwork.number(_GAP_MAX))
        optimize.add(*(at[other] - at[one] >= gap for one, other in pairs))
        optimize.maximize(gap)
        self._check(optimize)
        model = optimize.model()
        moment = [fraction_of(model.eval(each, model_completion=True)) for each in at]
        return sorted(range(1, len(at)), key=lambda number: (moment[number], number))

    def _refused(self, clash: tuple[str, ...], *, in_any_order: bool = False) -> Realisation:
        """That rules clash, unless a timer in them may be set anew by what is no step."""
        choices = [step.choice for step in self.steps]
        anew = hidden(self.world, choices, in_any_order=in_any_order)
        for node, timer in sorted(anew):
            if any(rule.startswith(f"timer {timer} of {node} is not overdue") for rule in clash):
                return Undecided(
                    f"a delivery that changes nothing else may set timer {timer} of {node} anew"
                )
        return Unrealisable(clash)

    def _moments(
        self, at: Sequence[Any], spare: Any = 0, pairs: Sequence[tuple[int, int]] | None = None
    ) -> Moments:
        return Moments(
            Clockwork(self.z3, clocks(self.world), self.timing),
            self.begin,
            self.steps,
            at,
            duplicates=self.world.tables.network.kind == "duplicating",
            spare=spare,
            pairs=pairs,
        )

    # -- asking ----------------------------------------------------------------------------------

    def _check(self, solver: Any, *assumed: Any) -> bool:
        found = Effort().ask(solver, self.deadline - time.perf_counter(), *assumed)
        if isinstance(found, str):
            raise _UndecidedError(found)
        return found

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
        return fraction_of(optimize.model().eval(gap, model_completion=True))

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
        return Reading(optimize.model(), moments, [*whole]).realised()


def _in_seconds(z3: Any, ns: int) -> Any:
    return z3.RealVal(str(Fraction(ns, _NS)))


__all__ = ["Realisation", "Realised", "Undecided", "Unrealisable", "realise", "realise_schedule"]
