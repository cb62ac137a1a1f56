"""Random runs: the walker that specifies them, and the native one where it is built.

Both make the same runs, choice by choice, and find the same schedules.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from happysim.core.choice import Choice
from happysim.core.entries import Move
from happysim.core.prng import Random
from happysim.core.world import World
from happysim.kernel.contract import DONE, LOCAL, OUTSIDE, Exploration
from happysim.kernel.switch import kernel
from happysim.search.judge import PropertyJudge
from happysim.search.pct import Enabled, Priorities, strand
from happysim.search.policy import Pct, Uniform
from happysim.spec.property import Property
from happysim.spec.scenario import Bounds

Schedules = dict[Property, tuple[str, tuple[Choice, ...]]]

_RUNS_A_TICK = 16
_WORD = (1 << 64) - 1


class Walks(Protocol):
    """Random runs, and how far they are."""

    @property
    def worlds(self) -> int: ...
    @property
    def steps(self) -> int: ...
    @property
    def depth(self) -> int: ...
    @property
    def stopped(self) -> str | None: ...

    def run(self, number: int) -> None:
        """Make the run of that number."""


class PlainWalks:
    """The walker in Python. A world is judged anew only if its local states are."""

    def __init__(
        self,
        starts: Sequence[World],
        judge: PropertyJudge,
        policy: Uniform | Pct,
        steps: int,
        note: Callable[[int, list[Choice]], None],
        max_worlds: int | None,
    ) -> None:
        self.starts, self.judge, self.policy, self.most = starts, judge, policy, steps
        self.note, self.max_worlds = note, max_worlds
        self.fine: set[tuple[int, ...]] = set()
        self.worlds = self.steps = self.depth = self.start = 0
        self.stopped: str | None = None
        self.schedule: list[Choice] = []
        self.priorities: Priorities | None = None

    def conclude(self, bits: int) -> None:
        """Keep the schedule of what the judge has just found."""
        self.note(self.start, self.schedule)
        if bits & DONE:
            self.stopped = "done"

    def arrive(self, world: World) -> bool:
        """Judge a world; False where it lies outside the bounds."""
        if self.worlds == self.max_worlds:
            self.stopped = self.stopped or "worlds"
            return False
        tables = world.tables
        local = (*map(tables.state, range(len(world.cells)), world.cells), world.history_number)
        if local in self.fine:
            self.worlds += 1
            return True
        bits = self.judge.world(0, world.numbers)
        if bits & OUTSIDE:
            return False
        self.worlds += 1
        if bits & LOCAL:
            self.fine.add(local)
        self.conclude(bits)
        return True

    def run(self, number: int) -> None:
        """See `Walks.run`. Each run has a stream of its own: none depends on another's length."""
        random = Random(self.policy.seed, f"run {number}")
        self.start = random.below(len(self.starts))
        if isinstance(self.policy, Pct):
            self.priorities = Priorities(random, self.policy.depth, self.most)
        self.schedule = []
        world = self.starts[self.start]
        if not self.arrive(world):
            return
        for taken in range(self.most + 1):
            self.depth = max(self.depth, taken + 1)
            enabled = list(world.enabled())
            moving = any(slot >= 0 and not choice.is_fault for choice, slot, _ in enabled)
            if not moving and self.judge.judges_quiescence:
                self.conclude(self.judge.quiescent(0, world.numbers))
            if self.stopped or taken == self.most:
                return
            after = self.advance(world, enabled, random)
            if after is None:
                return
            world = after

    def advance(self, world: World, enabled: list[Enabled], random: Random) -> World | None:
        """Take one of the choices that stay inside the bounds."""
        while enabled and not self.stopped:
            if self.priorities is None:
                place = random.below(len(enabled))
            else:
                place = self.priorities.pick(enabled)
            choice, slot, move = enabled.pop(place)
            self.schedule.append(choice)
            if isinstance(move, Move) and move.raised is not None:
                self.steps += 1
                self.conclude(self.judge.raised(0, slot, move))
                return None
            after = world.take(choice, slot, move)
            if self.arrive(after):
                self.steps += 1
                if self.priorities is not None:
                    self.priorities.taken(len(self.schedule), strand(slot, move))
                if self.judge.judges_steps:
                    self.conclude(self.judge.step(0, world.numbers, after.numbers))
                return after
            self.schedule.pop()
        return None


def walk(
    starts: Mapping[str, World],
    judge: PropertyJudge,
    policy: Uniform | Pct,
    bounds: Bounds,
    progress: Callable[[Exploration], None] | None,
) -> tuple[Exploration, Schedules]:
    """Make the runs of a policy until every property is decided or a bound is met.

    The exploration's `waiting` is the number of runs made.
    """
    schedules: Schedules = {}
    names, worlds = list(starts), list(starts.values())

    def note(start: int, schedule: list[Choice]) -> None:
        for prop in judge.findings:
            if prop not in schedules:
                schedules[prop] = (names[start], tuple(schedule))

    def note_places(start: int, places: list[int]) -> None:
        if any(prop not in schedules for prop in judge.findings):
            note(start, choices_at(worlds[start], places))

    steps = min(policy.steps, (bounds.max_depth or policy.steps + 1) - 1)
    walks: Walks
    native = getattr(kernel(), "Walks", None)
    if native is None:
        walks = PlainWalks(worlds, judge, policy, steps, note, bounds.max_worlds)
    else:
        walks = native(
            judge.tables,
            [world.numbers for world in worlds],
            judge,
            note_places,
            bool(judge.tables.faults.partitions),
            _words(policy.seed),
            steps,
            policy.depth if isinstance(policy, Pct) else 0,
            bounds.max_worlds,
        )
    found = _make_runs(walks, policy.runs, bounds, progress)
    return found, schedules


def _make_runs(
    walks: Walks, runs: int, bounds: Bounds, progress: Callable[[Exploration], None] | None
) -> Exploration:
    found = Exploration()
    began = time.perf_counter()

    def tell() -> None:
        found.worlds, found.steps, found.depth = walks.worlds, walks.steps, walks.depth
        found.stopped = found.stopped or walks.stopped

    try:
        for number in range(runs):
            walks.run(number)
            found.waiting = number + 1
            if walks.stopped:
                break
            if number % _RUNS_A_TICK == 0:
                if bounds.seconds is not None and time.perf_counter() - began > bounds.seconds:
                    found.stopped = "seconds"
                    break
                if progress is not None:
                    tell()
                    progress(found)
    except KeyboardInterrupt:
        found.stopped = "interrupt"
    tell()
    # Runs are a sample: they are never all the worlds there are.
    found.stopped = found.stopped or "runs"
    return found


def choices_at(world: World, places: Sequence[int]) -> list[Choice]:
    """The choices of a run, each given by its place among those enabled."""
    found = []
    for place in places:
        enabled: list[Any] = list(world.enabled())
        choice, slot, move = enabled[place]
        found.append(choice)
        if not isinstance(move, Move) or move.raised is None:
            world = world.take(choice, slot, move)
    return found


def _words(seed: int) -> list[int]:
    """A seed as `Random` takes it in: words of 64 bits, the lowest first."""
    words, rest = [seed & _WORD], seed >> 64
    while rest not in (0, -1):
        words.append(rest & _WORD)
        rest >>= 64
    return words
