"""Random runs: at each step every enabled choice is equally likely."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from happysim.core.choice import Choice
from happysim.core.entries import Move
from happysim.core.prng import Random
from happysim.core.world import World
from happysim.kernel.contract import DONE, LOCAL, OUTSIDE, Exploration
from happysim.search.judge import PropertyJudge
from happysim.search.policy import Uniform
from happysim.spec.property import Property
from happysim.spec.scenario import Bounds

Schedules = dict[Property, tuple[str, tuple[Choice, ...]]]

_RUNS_A_TICK = 16


class _Walk:
    """The state of a random search. A world is judged anew only if its local states are."""

    def __init__(self, judge: PropertyJudge, max_worlds: int | None) -> None:
        self.judge, self.max_worlds = judge, max_worlds
        self.fine: set[tuple[int, ...]] = set()
        self.schedules: Schedules = {}
        self.found = Exploration()
        self.start = ""
        self.schedule: list[Choice] = []

    def note(self, bits: int) -> None:
        """Keep the schedule of what the judge has just found."""
        for prop in self.judge.findings:
            if prop not in self.schedules:
                self.schedules[prop] = (self.start, tuple(self.schedule))
        if bits & DONE:
            self.found.stopped = "done"

    def arrive(self, world: World) -> bool:
        """Judge a world; False where it lies outside the bounds."""
        if self.found.worlds == self.max_worlds:
            self.found.stopped = self.found.stopped or "worlds"
            return False
        tables = world.tables
        local = (*map(tables.state, range(len(world.cells)), world.cells), world.history_number)
        if local in self.fine:
            self.found.worlds += 1
            return True
        bits = self.judge.world(0, world.numbers)
        if bits & OUTSIDE:
            return False
        self.found.worlds += 1
        if bits & LOCAL:
            self.fine.add(local)
        self.note(bits)
        return True

    def run(self, world: World, random: Random, steps: int) -> None:
        """One random run of at most so many steps."""
        self.schedule = []
        if not self.arrive(world):
            return
        for taken in range(steps + 1):
            self.found.depth = max(self.found.depth, taken + 1)
            enabled = list(world.enabled())
            moving = any(slot >= 0 and not choice.is_fault for choice, slot, _ in enabled)
            if not moving and self.judge.judges_quiescence:
                self.note(self.judge.quiescent(0, world.numbers))
            if not enabled or self.found.stopped or taken == steps:
                return
            after = self.advance(world, enabled, random)
            if after is None:
                return
            world = after

    def advance(
        self, world: World, enabled: list[tuple[Choice, int, Move | int]], random: Random
    ) -> World | None:
        """Take one of the choices that stay inside the bounds, each equally likely."""
        while enabled and not self.found.stopped:
            choice, slot, move = enabled.pop(random.below(len(enabled)))
            self.schedule.append(choice)
            if isinstance(move, Move) and move.raised is not None:
                self.found.steps += 1
                self.note(self.judge.raised(0, slot, move))
                return None
            after = world.take(choice, slot, move)
            if self.arrive(after):
                self.found.steps += 1
                if self.judge.judges_steps:
                    self.note(self.judge.step(0, world.numbers, after.numbers))
                return after
            self.schedule.pop()
        return None


def walk(
    starts: Mapping[str, World],
    judge: PropertyJudge,
    policy: Uniform,
    bounds: Bounds,
    progress: Callable[[Exploration], None] | None,
) -> tuple[Exploration, Schedules]:
    """Make the runs of a policy until every property is decided or a bound is met.

    Each run has a stream of its own, so run 17 does not depend on how long run 16 was. The
    exploration's `waiting` is the number of runs made.
    """
    state = _Walk(judge, bounds.max_worlds)
    steps = min(policy.steps, (bounds.max_depth or policy.steps + 1) - 1)
    began = time.perf_counter()
    names = list(starts)
    try:
        for number in range(policy.runs):
            random = Random(policy.seed, f"run {number}")
            state.start = names[random.below(len(names))]
            state.run(starts[state.start], random, steps)
            state.found.waiting = number + 1
            if state.found.stopped:
                break
            if number % _RUNS_A_TICK == 0:
                if bounds.seconds is not None and time.perf_counter() - began > bounds.seconds:
                    state.found.stopped = "seconds"
                    break
                if progress is not None:
                    progress(state.found)
    except KeyboardInterrupt:
        state.found.stopped = "interrupt"
    # Runs are a sample: they are never all the worlds there are.
    state.found.stopped = state.found.stopped or "runs"
    return state.found, state.schedules
