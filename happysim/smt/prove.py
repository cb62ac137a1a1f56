"""prove: a verdict by a solver, over all interleavings at once. `check(prop, by=smt())` asks it.

For each first world: close the local states, ask the property what it says of every combination of
them, and ask the solver whether a run ends in one that is wrong. `unsat` proves that none does; a
model is replayed, and only the replay is believed. Whatever stands in the way makes the verdict
`Unknown`, with the reason.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from happysim.core.errors import ScenarioError
from happysim.core.world import World
from happysim.search.check import explore
from happysim.search.judge import bound
from happysim.search.policy import Elsewhere, bfs
from happysim.search.schedule import Run, follow
from happysim.smt.asked import Answer, Limits
from happysim.smt.boxes import TooLargeError
from happysim.smt.closure import Closure, close
from happysim.smt.copies import close_counting, counts_copies
from happysim.smt.encoding import CLOCKS
from happysim.smt.judging import proved, report_of, verdict_of
from happysim.smt.question import ask, ask_raises
from happysim.smt.solver import Effort
from happysim.spec.property import Property, Sort, no_handler_raises
from happysim.spec.report import Report
from happysim.spec.scenario import Bounds, Scenario
from happysim.spec.verdict import Broken, Holds, Unknown, Verdict

# How many steps runs may have that are looked for where a whole closure is too large.
_ROUNDS = (3, 5, 7, 8, 9, 10, 11, 12, 14, 16)
_EFFECTS_IN_PART_MAX = 20_000
# How far each way to close is tried before either is given more.
_EFFECTS_AT_FIRST = 10_000
# With more local states than this, short runs are looked for before all are.
_LOCAL_STATES_FEW = 100
_ROUNDS_AT_FIRST = (3, 5)
# What a first turn of the solver does not decide is looked for among so many worlds.
_WORLDS_MAX = 300_000


@dataclass(frozen=True)
class Smt:
    """Prove or refute by z3. Make one with `smt()`."""

    seconds: float = 60.0
    layers_max: int = 4
    steps_max: int = 200_000
    clock: str = "integers"
    least: str = "steps"
    effort: int | None = None

    def explore(
        self,
        scenario: Scenario,
        properties: Sequence[Property],
        bounds: Bounds,
        progress: Callable[[Any], None] | None = None,
    ) -> Report:
        """See `Elsewhere`."""
        judge = _Prover(self, scenario.afresh(), bounds)
        return report_of("smt()", scenario, properties, judge, no_handler_raises(scenario))


def smt(
    *,
    seconds: float = 60.0,
    layers_max: int = 4,
    steps_max: int = 200_000,
    clock: str = "integers",
    least: str = "steps",
    effort: int | None = None,
) -> Elsewhere:
    """Ask a solver about all interleavings at once, rather than visit them.

    For `always`, `step_always` and `reachable` properties that read the fields of nodes. `seconds`
    is the time for one property; `effort` is how much work the solver may do on it, by its own
    count, of which a second has some 10,000,000. What is given up for time depends on how busy a
    machine is, what is given up for effort does not. `layers_max` is how often a run that is looked
    for may come back to a local state, `steps_max` how many local steps the closure may take;
    `clock` is how moments are represented: "bits", "integers" or "reals". A counterexample is made
    as short as any, or with `least="faults"` one of the fewest faults, and of these the shortest;
    `least=""` leaves it as found. The verdict says what of that is proved. Raises `ScenarioError`
    for values that make no sense.
    """
    if clock not in CLOCKS:
        raise ScenarioError(f"smt(clock={clock!r}): give one of {', '.join(map(repr, CLOCKS))}")
    if least not in ("steps", "faults", ""):
        raise ScenarioError(f'smt(least={least!r}): give "steps", "faults" or ""')
    amounts = {"seconds": seconds, "layers_max": layers_max, "steps_max": steps_max}
    for name, value in (amounts | ({} if effort is None else {"effort": effort})).items():
        if not value > 0:
            raise ScenarioError(f"smt({name}={value!r}) allows nothing; give more than 0")
    return Smt(seconds, layers_max, steps_max, clock, least, effort)


def prove(prop: Property, **options: float | int | str | bool) -> Verdict:
    """Judge one property by `smt(**options)`, without the bounds of its scenario but `within`.

    Unlike `check`, it leaves aside whether a handler raises.
    """
    policy = smt(**options)  # type: ignore[arg-type]
    assert isinstance(policy, Smt)
    declared = prop.scenario.bounds
    judge = _Prover(policy, prop.scenario.afresh(), Bounds(within=declared.within))
    return verdict_of("smt()", prop, judge)


class _Prover:
    """All that is asked of one scenario; the closures are made once."""

    def __init__(self, policy: Smt, scenario: Scenario, bounds: Bounds) -> None:
        self.policy, self.scenario, self.bounds = policy, scenario, bounds
        self.seconds = policy.seconds if bounds.seconds is None else bounds.seconds
        self.within = None if bounds.within is None else bound(bounds.within)
        self.closures: dict[str, Closure] = {}
        # Where there is no closure yet: how many steps it was given, and why that was not enough.
        self.tried: dict[str, int] = {}
        self.too_large: dict[str, str] = {}
        self.evaluations = 0
        self.effort = Effort(policy.effort)
        self.searched: dict[Property, Answer | None] = {}

    def judged(self, prop: Property) -> Verdict:
        """See `Judge`."""
        deadline = time.perf_counter() + self.seconds
        self.effort = Effort(self.policy.effort)
        unknown = ""
        notes: list[str] = []
        inside = 0
        for name, start in self.scenario.worlds.items():
            if self.within is not None and self.within(start) is not None:
                continue
            inside += 1
            answer = self._answer(name, start, prop, deadline)
            self.evaluations += answer.evaluations
            notes.append(f"{name or 'start'}: {answer.note}")
            if answer.run is not None:
                return self._found(prop, name, answer, answer.run)
            unknown = unknown or answer.unknown
        if not inside:
            return Unknown(prop, reason="no world lies within the bound `within`")
        if unknown:
            return Unknown(prop, reason=unknown, notes=tuple(notes))
        return self._proved(prop, tuple(notes))

    def _answer(self, name: str, start: World, prop: Property, deadline: float) -> Answer:
        """Where the local states are many, short runs are looked for first.

        A run that is not proved to be the least is kept for where nothing better is found.
        """
        few = min(self.policy.steps_max, _EFFECTS_AT_FIRST)
        short = Answer()
        closure = self._closure(name, start, few, deadline)
        if closure is None or sum(closure.sizes) > _LOCAL_STATES_FEW:
            whole = closure is not None
            short = self._answer_in_part(start, prop, deadline, _ROUNDS_AT_FIRST, whole=whole)
            is_least = short.shortest if self.policy.least == "steps" else not self.policy.least
            if short.run is not None and is_least:
                return short
        if closure is None and self.policy.steps_max > few:
            # The other half of the time is for what can be said without it.
            half = (time.perf_counter() + deadline) / 2
            closure = self._closure(name, start, self.policy.steps_max, half)
        if closure is not None:
            try:
                answer = self._ask(closure, prop, deadline, None if short.run is None else short)
            except TooLargeError as error:
                answer = Answer(unknown=str(error))
        elif short.run is not None:
            return short
        else:
            answer = self._answer_in_part(start, prop, deadline, _ROUNDS)
            if answer.unknown:
                answer = replace(answer, unknown=f"{self.too_large[name]}; {answer.unknown}")
        return short if answer.run is None and short.run is not None else answer

    def _answer_in_part(
        self,
        start: World,
        prop: Property,
        deadline: float,
        every: Sequence[int],
        *,
        whole: bool = False,
    ) -> Answer:
        """Look for short runs, of ever more steps.

        Whether one is the shortest is asked of the `whole` closure, where there is one.
        """
        steps = 0
        for rounds in every:
            answer = self._answer_within(start, prop, deadline, rounds)
            if answer is None or answer.unknown:
                break
            if answer.run is not None:
                if whole and len(answer.run.schedule) > rounds + 1:
                    return replace(answer, shortest=False)
                return self._in_view(start, prop, deadline, answer, rounds)
            steps = rounds
        return Answer(unknown=f"no run of up to {steps} steps is a counterexample")

    def _answer_within(
        self, start: World, prop: Property, deadline: float, rounds: int
    ) -> Answer | None:
        """The answer as far as runs of so many steps go; None where even these are too many."""
        most = min(_EFFECTS_IN_PART_MAX, self.policy.steps_max)
        try:
            closure = close(start, self.within, effects_max=most, deadline=deadline, rounds=rounds)
        except TooLargeError:
            return None
        return self._ask(closure, prop, deadline)

    def _in_view(
        self, start: World, prop: Property, deadline: float, found: Answer, rounds: int
    ) -> Answer:
        """The shortest run, where all that are shorter than the one found can be looked at."""
        assert found.run is not None
        steps = len(found.run.schedule) - 1
        if steps <= rounds:
            return found
        found = replace(found, shortest=False)
        if self.policy.least != "steps":
            return found
        other = self._answer_within(start, prop, deadline, steps)
        if other is None or other.unknown:
            return found
        if other.run is None:
            return replace(found, shortest=True)
        return other if len(other.run.schedule) <= steps + 1 else found

    def _closure(
        self, name: str, start: World, effects_max: int, deadline: float
    ) -> Closure | None:
        """A plain closure or, where that does not seem to end, one that counts copies.

        None where neither ends within `effects_max`; then `too_large` says why.
        """
        if name in self.closures:
            return self.closures[name]
        if self.tried.get(name, 0) >= effects_max:
            return None
        self.tried[name] = effects_max
        depth = self.bounds.max_depth
        rounds = math.inf if depth is None else depth - 1
        counting = depth is None and counts_copies(start)
        # What did not end in few steps may yet, if fewer copies are taken.
        plain_first = effects_max <= _EFFECTS_AT_FIRST or not counting
        ways = [True, False] if plain_first else [False, True]
        for plain in ways if counting else [True]:
            try:
                self.closures[name] = self._closed(plain, start, effects_max, deadline, rounds)
            except TooLargeError as error:
                if plain:
                    self.too_large[name] = str(error)
            else:
                return self.closures[name]
        return None

    def _closed(
        self, plain: bool, start: World, effects_max: int, deadline: float, rounds: float
    ) -> Closure:
        limits: dict[str, Any] = {"effects_max": effects_max, "deadline": deadline}
        if plain:
            return close(start, self.within, rounds=rounds, **limits)
        return close_counting(start, self.within, **limits)

    def _ask(
        self, closure: Closure, prop: Property, deadline: float, best: Answer | None = None
    ) -> Answer:
        limits = Limits(
            deadline,
            self.policy.layers_max,
            self.policy.clock,
            self.policy.least,
            None if self.bounds.max_depth is None else self.bounds.max_depth - 1,
            None if closure.exact else self.within,
            self.effort,
            partial(self._searched, prop, deadline),
        )
        return (ask_raises if prop.sort is Sort.NO_RAISE else ask)(closure, prop, limits, best)

    def _searched(self, prop: Property, deadline: float) -> Answer | None:
        """What a search of the worlds finds, made once, however often a solver is asked."""
        if prop not in self.searched:
            self.searched[prop] = self._search(prop, deadline)
        return self.searched[prop]

    def _search(self, prop: Property, deadline: float) -> Answer | None:
        """A run that a breadth-first search finds among a number of worlds.

        What a solver takes long for is often near the first world. A search judges a property of
        any worlds by itself, so what it finds is as short as any. Raises `KeyboardInterrupt`: it
        takes Ctrl-C for itself, as z3 does.
        """
        if prop.sort is Sort.NO_RAISE or len(self.scenario.worlds) > 1:
            return None
        scenario = self.scenario.afresh()
        seconds = (deadline - time.perf_counter()) / 4
        if seconds <= 0:
            return None
        report = explore(
            scenario,
            prop,
            by=bfs(),
            within=self.bounds.within,
            max_depth=self.bounds.max_depth,
            max_worlds=_WORLDS_MAX,
            seconds=seconds,
        )
        if report.stopped == "interrupt":
            raise KeyboardInterrupt
        found = report[prop]
        if not isinstance(found, (Broken, Holds)) or found.schedule is None:
            return None
        start = next(iter(self.scenario.worlds.values()))
        run = follow(start, found.schedule, prop)
        note = f"found by a search of up to {_WORLDS_MAX:,} worlds, breadth first"
        shortest = isinstance(found, Holds) or found.shortest
        return None if run.wrong is None else Answer(run, shortest=shortest, note=note)

    def _found(self, prop: Property, name: str, answer: Answer, run: Run) -> Verdict:
        notes = ("; ".join(filter(None, (answer.note, answer.faults))),)
        if prop.sort is Sort.REACHABLE:
            return Holds(prop, schedule=run.schedule, start=name, notes=notes)
        alone = len(self.scenario.worlds) == 1
        return Broken(
            prop,
            reason=run.wrong or "",
            schedule=run.schedule,
            start=name,
            shortest=answer.shortest and alone,
            notes=notes,
        )

    def _proved(self, prop: Property, notes: tuple[str, ...]) -> Verdict:
        texts = []
        if self.bounds.max_depth is not None:
            texts.append(f"depth {self.bounds.max_depth}")
        if any(closure.outside for closure in self.closures.values()):
            texts.append("the bound `within`")
        return proved(prop, " and ".join(texts), notes)


__all__ = ["Smt", "prove", "smt"]
