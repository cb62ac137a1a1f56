"""Induction: a property from an invariant that no step leaves.

An invariant is a judgement on one world. Where it holds at the start, where no local step leads out
of it, and where it implies the property, the property holds of every run, however long. Nothing is
followed from step to step, so no unrolling and no order of messages is needed.

A step is one of the closure (`closure.py`), taken from any combination of local states in which the
invariant holds. A message may be received at any time once its sender is in a local state that lies
behind a step that sends it: that much is known of messages without saying it in the invariant.

A step out of an invariant need not be one of any run: then the invariant says too little. So a
failure is `Unknown` with the step, and never `Broken`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from happysim.core.errors import ScenarioError
from happysim.core.world import World
from happysim.search.judge import bound
from happysim.search.policy import Elsewhere
from happysim.smt.boxes import Box, Reader, merged
from happysim.smt.closure import Closure, close
from happysim.smt.combinations import Combinations, Found
from happysim.smt.judging import proved, report_of
from happysim.smt.question import wrong_boxes, wrong_steps
from happysim.spec.property import Property, Sort
from happysim.spec.report import Report
from happysim.spec.scenario import Bounds, Scenario
from happysim.spec.verdict import Broken, Unknown, Verdict

Invariant = Callable[[World], bool | str]


@dataclass(frozen=True)
class Induction:
    """Prove by an invariant. Make one with `induction()`."""

    invariants: tuple[Invariant, ...]
    seconds: float = 60.0
    steps_max: int = 200_000

    def explore(
        self,
        scenario: Scenario,
        properties: Sequence[Property],
        bounds: Bounds,
        progress: Callable[[Any], None] | None = None,
    ) -> Report:
        """See `Elsewhere`."""
        judge = _Proof(self, scenario, bounds)
        return report_of("induction()", scenario, properties, judge)


def induction(*invariants: Invariant, seconds: float = 60.0, steps_max: int = 200_000) -> Elsewhere:
    """Prove properties from invariants: functions of a world, of which all hold in every world.

    They read the fields, timers and status of nodes, and return True, False or a text, as
    properties do. With none, the property is to be an invariant itself. The verdict is
    `Holds (proved)`, or `Unknown` with the step that leaves the invariants, or the world in which
    they hold and the property does not; its notes show the local states. `seconds` is the time for
    one property, `steps_max` how many local steps the closure may take. Raises `ScenarioError` for
    values that make no sense.
    """
    for invariant in invariants:
        if not callable(invariant):
            raise ScenarioError(
                f"induction({invariant!r}): give functions of a world, as for @always"
            )
    for name, value in (("seconds", seconds), ("steps_max", steps_max)):
        if not value > 0:
            raise ScenarioError(f"induction({name}={value!r}) allows nothing; give more than 0")
    return Induction(invariants, seconds, steps_max)


class _NotProved(Exception):
    """Why there is no proof, and the local states that show it."""

    def __init__(self, reason: str, notes: Sequence[str] = ()) -> None:
        super().__init__(reason)
        self.notes = tuple(notes)


class _Proof:
    """All that is proved of one scenario; the closures are made once."""

    def __init__(self, policy: Induction, scenario: Scenario, bounds: Bounds) -> None:
        self.policy, self.scenario = policy, scenario.afresh()
        self.seconds = policy.seconds if bounds.seconds is None else bounds.seconds
        self.within = None if bounds.within is None else bound(bounds.within)
        self.closures: dict[str, Closure] = {}
        self.evaluations = 0
        self.deadline = math.inf

    def judged(self, prop: Property) -> Verdict:
        """See `Judge`."""
        self.deadline = time.perf_counter() + self.seconds
        try:
            return self._verdict(prop)
        except _NotProved as error:
            return Unknown(prop, reason=str(error), notes=error.notes)

    def _verdict(self, prop: Property) -> Verdict:
        inside = 0
        for name, start in self.scenario.worlds.items():
            if self.within is not None and self.within(start) is not None:
                continue
            inside += 1
            if prop.sort is Sort.ALWAYS and (wrong := prop.judge(start)) is not None:
                return Broken(prop, reason=wrong, schedule=(), start=name, shortest=True)
            if name not in self.closures:
                self.closures[name] = close(
                    start, self.within, effects_max=self.policy.steps_max, deadline=self.deadline
                )
            self._prove(self.closures[name], prop)
        if not inside:
            return Unknown(prop, reason="no world lies within the bound `within`")
        outside = any(closure.outside for closure in self.closures.values())
        return proved(prop, "the bound `within`" if outside else "")

    # -- the three questions ---------------------------------------------------------------------

    def _prove(self, closure: Closure, prop: Property) -> None:
        """Initiation, consecution and implication, from one first world. Raises `_NotProved`."""
        made = [Property(Sort.ALWAYS, self.scenario, each) for each in self.policy.invariants]
        if not made and prop.sort is Sort.ALWAYS:
            made = [prop]
        for invariant in made:
            wrong = invariant.judge(closure.start)
            if wrong is not None:
                said = f": {wrong}" if wrong else ""
                raise _NotProved(f"{invariant.name} does not hold in the first world{said}")
        question = Combinations(closure, self.deadline)
        wrongs = {invariant: self._wrong(closure, invariant) for invariant in made}
        for boxes in wrongs.values():
            question.exclude(boxes)
        for invariant, boxes in wrongs.items():
            found = question.step_into(boxes)
            if found is not None:
                self._refuse(closure, invariant, found)
        found = question.raising()
        if found is not None:
            assert found.edge is not None
            raise _NotProved(
                f"a handler may raise where the invariants hold: {found.edge.choice}",
                _shown(closure, found),
            )
        if prop not in made:
            self._implied(closure, prop, question)

    def _implied(self, closure: Closure, prop: Property, question: Combinations) -> None:
        if prop.sort is Sort.NO_RAISE:
            return
        if prop.sort is Sort.STEP_ALWAYS:
            reader = Reader(closure.tables, prop.judge, self.deadline)
            twice = Reader(closure.tables, lambda world: prop.judge(world, world), self.deadline)
            idle, wrong = wrong_boxes(twice.boxes(closure.space)), wrong_steps(closure, reader)
            self.evaluations += reader.evaluations + twice.evaluations
            if idle is None or wrong is None:
                raise _NotProved("it reads too many combinations of local states")
            found = question.world_in(idle) or question.step_of(wrong)
        else:
            found = question.world_in(self._wrong(closure, prop))
        if found is not None:
            step = "" if found.edge is None else f" in the step {found.edge.choice}"
            raise _NotProved(
                f"the invariants do not imply {prop.name}{step}", _shown(closure, found)
            )

    def _wrong(self, closure: Closure, prop: Property) -> list[Box]:
        reader = Reader(closure.tables, prop.judge, self.deadline)
        boxes = wrong_boxes(reader.boxes(closure.space))
        self.evaluations += reader.evaluations
        if boxes is None:
            raise _NotProved(
                f"{prop.name} reads too many combinations of local states; say it in smaller parts"
            )
        return merged(boxes)

    def _refuse(self, closure: Closure, invariant: Property, found: Found) -> None:
        assert found.edge is not None
        changed = "; ".join(_changes(closure, found))
        raise _NotProved(
            f"{invariant.name} is not inductive: {found.edge.choice} leaves it ({changed})",
            _shown(closure, found),
        )


def _changes(closure: Closure, found: Found) -> list[str]:
    """The fields that the step changes, before and after."""
    assert found.after is not None
    before = dict(closure.tables.state_text(found.slot, found.states[found.slot]))
    after = dict(closure.tables.state_text(found.slot, found.after))
    name = closure.tables.names[found.slot]
    return [
        f"{name}.{field}: {before.get(field, '-')} becomes {text}"
        for field, text in after.items()
        if before.get(field) != text
    ]


def _shown(closure: Closure, found: Found) -> list[str]:
    """The local states before the step, a line for each process, and that of the actor after it."""
    tables = closure.tables

    def text(slot: int, state: int) -> str:
        return ", ".join(f"{field}={value}" for field, value in tables.state_text(slot, state))

    lines = [
        f"before: {name}: {text(slot, found.states[slot])}"
        for slot, name in enumerate(tables.names)
    ]
    if found.edge is not None:
        lines.append(f"step: {found.edge.choice}")
    if found.after is not None:
        lines.append(f"after: {tables.names[found.slot]}: {text(found.slot, found.after)}")
    return lines
