"""margin: how far a bound on time may go before a property can break.

Leave one bound open, say the drift of clocks, and ask over all schedules at once for a value with
which some run within the bounds breaks the property. A run that is found is replayed; for its
schedule alone the least such value is a linear program, and exact. Then ask again below that value,
until there is none: the value is the margin, and its run shows what happens there.

Rules of time allow for ties, so the least value is attained, by two steps at one moment. Below it
the property holds. Where more is safer, as with the length of a lease, the greatest value is asked
for instead.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from happysim.core.choice import Choice
from happysim.core.errors import ScenarioError, ScheduleError
from happysim.core.world import World
from happysim.search.judge import bound
from happysim.search.schedule import Run, follow
from happysim.smt.boxes import NotCoveredError, Reader, TooLargeError, merged
from happysim.smt.closure import Closure, close
from happysim.smt.copies import close_counting, counts_copies
from happysim.smt.encoding import Step
from happysim.smt.moments import Moments
from happysim.smt.occurrences import beginning, clocks, occurrences
from happysim.smt.question import wrong_boxes
from happysim.smt.replay import Refused, schedule_of
from happysim.smt.solver import Effort, SolverMissingError, fresh_z3, z3_error
from happysim.smt.timed import NotTimedError, TimedEncoding
from happysim.smt.timing import Clockwork, Parameter, Timing
from happysim.spec.property import Property, Sort
from happysim.spec.verdict import Broken


@dataclass(frozen=True)
class Margin:
    """How far a bound may go: the property holds while it is below (or above) `value`.

    Without a value it always holds; with an infinite one, or with 0 below which there is nothing,
    it never does. `broken` is a counterexample that happens at `value`. `bounds` names the bounds
    on the search.
    """

    parameter: str
    value: Fraction | float | None
    broken: Broken | None = None
    safe: str = "below"
    bounds: str = ""

    def __str__(self) -> str:
        within = f" within {self.bounds}" if self.bounds else ""
        if self.value is None:
            return f"{self.parameter}: safe whatever it is{within}"
        if self.value == (0 if self.safe == "below" else math.inf):
            return f"{self.parameter}: never safe"
        return f"{self.parameter}: safe {self.safe} {self.value}{within}"


@dataclass(frozen=True)
class NoMargin:
    """Not found, and why."""

    parameter: str
    reason: str

    def __str__(self) -> str:
        return f"{self.parameter}: unknown ({self.reason})"


class _NotKnown(Exception):
    """Why there is no margin."""


def margin(
    prop: Property,
    parameter: str,
    timing: Timing | None = None,
    *,
    safe: str = "below",
    within: Callable[[World], bool] | None = None,
    seconds: float = 60.0,
    steps_max: int = 200_000,
) -> Margin | NoMargin:
    """The least value of a bound at which an `always` property can break; below it, it holds.

    `parameter` is "drift", "latency" (the most that a message travels) or "timer NAME" (its
    seconds); what `timing` says of that is left aside, but for single nodes and links. Exact, as a
    fraction. With `safe="above"` it is the greatest value at which the property can break: for what
    is safer the more there is of it. `within` and `steps_max` are as for `smt()`. Raises
    `ScenarioError` for a parameter that there is not.
    """
    opened = Parameter.of(parameter)
    if safe not in ("below", "above"):
        raise ScenarioError(f'margin(safe={safe!r}): give "below" or "above"')
    deadline = time.perf_counter() + seconds
    try:
        search = _Search(prop, opened, timing or Timing(), safe, within, deadline, steps_max)
        return search.run()
    except (_NotKnown, SolverMissingError, TooLargeError, NotTimedError) as error:
        return NoMargin(parameter, str(error))
    except NotCoveredError as error:
        return NoMargin(parameter, f"it reads {error}, and only local states are covered")
    except KeyboardInterrupt:
        return NoMargin(parameter, "interrupted")
    except z3_error() as error:
        return NoMargin(parameter, f"the solver failed: {error}")


class _Search:
    def __init__(
        self,
        prop: Property,
        parameter: Parameter,
        timing: Timing,
        safe: str,
        within: Callable[[World], bool] | None,
        deadline: float,
        steps_max: int,
    ) -> None:
        self.prop, self.parameter, self.timing = prop, parameter, timing
        self.safe = safe
        declared = within or prop.scenario.bounds.within
        self.within = None if declared is None else bound(declared)
        self.deadline, self.steps_max = deadline, steps_max
        self.z3 = fresh_z3()
        self.best: tuple[Fraction | float, Broken] | None = None
        self.outside = False

    @property
    def seconds(self) -> float:
        return self.deadline - time.perf_counter()

    def run(self) -> Margin:
        if self.prop.sort is not Sort.ALWAYS:
            raise _NotKnown(f"{self.prop.sort.value} properties have no margin; state an @always")
        for name, start in self.prop.scenario.afresh().worlds.items():
            if self.within is None or self.within(start) is None:
                self._world(name, start)
        bounds = "the bound `within`" if self.outside else ""
        if self.best is None:
            return Margin(str(self.parameter), None, None, self.safe, bounds)
        return Margin(str(self.parameter), *self.best, self.safe, bounds)

    def _closure(self, start: World) -> Closure:
        how = close_counting if counts_copies(start) else close
        made = how(start, self.within, effects_max=self.steps_max, deadline=self.deadline)
        if not made.exact:
            raise _NotKnown("the bound `within` judges several processes together")
        self.outside = self.outside or made.outside
        return made

    def _world(self, name: str, start: World) -> None:
        closure = self._closure(start)
        self._check_parameter(closure)
        reader = Reader(closure.tables, self.prop.judge, self.deadline)
        boxes = wrong_boxes(reader.boxes(closure.space))
        if boxes is None:
            raise _NotKnown("it reads too many combinations of local states")
        if not boxes:
            return
        z3 = self.z3
        clockwork = Clockwork(z3, clocks(start), self.timing, self.parameter)
        encoding = TimedEncoding(closure, clockwork, beginning(start))
        goal = z3.Or([encoding.ends_in(box) for box in merged(boxes)])
        while True:
            if self.best is not None and math.isinf(self.best[0]):
                return
            steps = encoding.solve([goal, *self._better(clockwork)], self.seconds)
            if steps is None:
                return
            if isinstance(steps, str):
                raise _NotKnown(steps)
            self._take(name, start, encoding, steps)

    def _better(self, clockwork: Clockwork) -> list[Any]:
        """The value lies beyond the best so far."""
        if self.best is None:
            return []
        best = clockwork.number(Fraction(self.best[0]))
        return [clockwork.open < best if self.safe == "below" else clockwork.open > best]

    def _take(self, name: str, start: World, encoding: TimedEncoding, steps: list[Step]) -> None:
        """Replay a model, and keep the least value at which its schedule happens."""
        choices = schedule_of(encoding.closure, steps)
        if isinstance(choices, Refused):
            if not sum(encoding.count(envelope) for envelope in choices.short_of):
                raise _NotKnown("a run needs more copies of a message than are sent")
            return
        try:
            run = follow(start, choices, self.prop)
        except ScheduleError:
            raise _NotKnown("a run of the formula could not be replayed") from None
        if run.wrong is None:
            raise _NotKnown("a run of the formula breaks nothing when replayed")
        value = self._extreme(start, run)
        sign = 1 if self.safe == "below" else -1
        if self.best is not None and sign * value >= sign * self.best[0]:
            raise _NotKnown("the formula and the schedule do not agree on time")
        broken = Broken(self.prop, reason=run.wrong, schedule=run.schedule, start=name)
        self.best = value, broken

    def _extreme(self, start: World, run: Run) -> Fraction | float:
        """The least value, or the greatest, at which one schedule happens."""
        z3 = self.z3
        schedule: tuple[Choice, ...] = run.schedule
        clockwork = Clockwork(z3, clocks(start), self.timing, self.parameter)
        at = [z3.Real(f"t{number}") for number in range(len(schedule) + 1)]
        moments = Moments(
            clockwork,
            beginning(start),
            list(occurrences(start, schedule)),
            at,
            duplicates=start.tables.network.kind == "duplicating",
        )
        optimize = z3.Optimize()
        optimize.add(*moments.order, *(rule for rule, _ in moments.rules))
        below = self.safe == "below"
        goal = (optimize.minimize if below else optimize.maximize)(clockwork.open)
        found = Effort().ask(optimize, self.seconds)
        if isinstance(found, str):
            raise _NotKnown(found)
        if not found:
            raise _NotKnown("the formula and the schedule do not agree on time")
        value = str(goal.lower() if below else goal.upper())
        return math.inf if "oo" in value else Fraction(value)

    def _check_parameter(self, closure: Closure) -> None:
        """A timer in question must be alone on its node, where that node's clock drifts."""
        if self.parameter.kind != "timer":
            return
        for slot, graph in enumerate(closure.graphs):
            name = closure.tables.names[slot]
            timers = {
                timer
                for vertex in graph.vertices
                for timer in getattr(closure.tables.states[slot].values[vertex.state], "timers", ())
            }
            if self.parameter.name in timers and len(timers) > 1 and self.timing.drift_of(name):
                others = ", ".join(sorted(timers - {self.parameter.name}))
                raise _NotKnown(f"{name} has other timers ({others}) on a clock that drifts")
