"""Shrinking: from a schedule that breaks a property to a small one.

The schedule is the single truth of a run, so shrinking edits schedules alone. A candidate is
replayed from the scenario's world. Choices that are no longer enabled, or that lead outside the
bound that the search kept to, are left out, and the run ends at the first violation. What was
really taken is the candidate's schedule, so each candidate that breaks the property is a
counterexample as it stands.

Why it ends, and always in the same place: candidates are tried in a fixed order, and one is kept
only if its measure (faults, choices, switches between nodes) is smaller in that order. The measure
is a tuple of whole numbers, so it cannot fall for ever. The best so far is never given up.

The result is 1-minimal: leaving out any single choice, and whatever that disables, breaks nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from typing import Any

from happysim.core.choice import BUDGETS, Choice
from happysim.core.disk import LIES_KEPT
from happysim.core.errors import NoClock
from happysim.core.rehome import rehome, with_faults
from happysim.core.world import World
from happysim.search.check import explore
from happysim.search.policy import Bfs, Elsewhere
from happysim.search.schedule import Judge, Remembering, Run, first_world, follow
from happysim.spec.property import Property, Sort
from happysim.spec.scenario import Scenario
from happysim.spec.verdict import Broken

Measure = tuple[int, int, int]
# Schedules no longer than this are short enough for the passes that leave out what is gone.
_LONG = 40
# Those that are longer lose whole processes first.
_VERY_LONG = 200
_PARTS = 32
_COARSE = 8
# How many choices are replayed for no more than another order.
_REORDERING_MAX = 40_000


class _SpentError(Exception):
    """As many choices have been replayed as there may be."""


def measure(schedule: tuple[Choice, ...]) -> Measure:
    """Faults, choices, and switches between nodes: what shrinking makes smaller, in that order."""
    nodes = [choice.node for choice in schedule if choice.node]
    switches = sum(here != there for here, there in pairwise(nodes))
    return sum(choice.is_fault for choice in schedule), len(schedule), switches


def shrink(
    broken: Broken,
    *,
    progress: Callable[[tuple[Choice, ...]], None] | None = None,
    prove_worlds: int = 20_000,
    prove_by: Elsewhere | None = None,
    effort_max: int = 2_000_000,
) -> Broken:
    """The same verdict with a 1-minimal schedule, deterministically.

    At most `effort_max` choices are replayed; where that is not enough, the best schedule found by
    then is returned, and the verdict's `minimal` is False.

    Then up to `prove_worlds` worlds are searched breadth first for a shorter one with no more
    faults; the verdict's `shortest` says whether that search was exhaustive. Where it was not,
    `prove_by` is asked instead, for instance `smt()`. `progress` is told each better schedule.
    Raises `ValueError` for a verdict without a schedule, or whose schedule does not break the
    property (any more).
    """
    if broken.schedule is None:
        raise ValueError(f"{broken.of.name} is broken for want of a world; there is no schedule")
    if broken.of.sort is Sort.EVENTUALLY:
        raise ValueError(
            f"{broken.of.name} demands that something happens in time; a shorter run would show "
            "nothing, so there is nothing to shrink"
        )
    search = _Shrinker(broken, progress, effort_max)
    with suppress(_SpentError):
        search.run()
    best = replace(
        broken,
        schedule=search.best.schedule,
        reason=search.best.wrong or "",
        minimal=search.effort < effort_max,
    )
    if not best.minimal:
        return best
    if best.shortest and len(search.best.schedule) == len(broken.schedule):
        return best
    return _prove(best, search, prove_worlds, prove_by)


class _Shrinker:
    def __init__(
        self,
        broken: Broken,
        progress: Callable[[tuple[Choice, ...]], None] | None,
        effort_max: int,
    ) -> None:
        self.prop: Property = broken.of
        self.world: World = first_world(broken.of.scenario, broken.start)
        self.progress = progress
        self.tried: set[tuple[Choice, ...]] = set()
        # Choices replayed, so far and at the most.
        self.effort, self.effort_max = 0, effort_max
        self.reordering = 0  # so many of them for no more than another order
        # Whether choices that are gone have others of their sort take their place.
        self.similar = False
        # A schedule that raises must go on raising in the same handler.
        self.handler = broken.reason.split(" raised ")[0]
        assert broken.schedule is not None
        # A run in time ends when its time is over, and knows no other bound.
        in_time = broken.of.scenario.loose
        self.within = broken.within or (None if in_time else broken.of.scenario.bounds.within)
        # Once a choice is left out, the times of a simulation are true no more.
        untimed = [replace(each, at=None) for each in broken.schedule if not each.kind.is_timed]
        # What a monitor remembers of the best after so many choices.
        self.kept: dict[int, Any] = {}
        judge = self.judge(0)
        self.best = self.follow(self.world, untimed, judge)
        self.kept = judge.kept if judge is not None else {}
        if not self.breaks(self.best):
            raise ValueError(
                f"the schedule does not break {self.prop.name}; has the protocol changed?"
            )

    def follow(self, world: World, schedule: Sequence[Choice], judge: Judge | None) -> Run:
        """What a candidate does, inside the bound that the search kept to."""
        run = follow(
            world,
            schedule,
            self.prop,
            skip_missing=True,
            similar=self.similar,
            within=self.within,
            judge=judge,
        )
        self.effort += len(run.schedule)
        return run

    def judge(self, same: int) -> Remembering | None:
        """What judges a candidate that shares so many first choices with the best.

        A monitor remembers the run, so it begins where a copy of it was kept, perhaps sooner.
        """
        if self.prop.sort is not Sort.MONITOR:
            return None
        at = max((at for at in self.kept if at <= same), default=0)
        return Remembering(self.prop, at, self.kept.get(at))

    def breaks(self, run: Run) -> bool:
        if run.wrong is None:
            return False
        return self.prop.sort is not Sort.NO_RAISE or run.wrong.startswith(self.handler)

    def run(self) -> None:
        """Apply every pass until none finds anything."""
        self.shorten()
        improved = True
        while improved:
            improved = self.delete_faults() or self.delete() or self.reorder()

    def shorten(self) -> None:
        """Get a schedule down fast that is long although runs of choices have been left out.

        What follows on a step that was left out differs in content: a term, an index. So here
        choices that are gone are replaced by others of their sort. Each try replays what is left,
        so whole processes come first, then long runs of choices: one in 32, not one by one.
        """
        self.delete_faults()
        if len(self.best.schedule) > _VERY_LONG:
            self.similar = True
            while self.delete_processes():
                pass
            self.similar = False
        self.delete(least=max(_COARSE, len(self.best.schedule) // _PARTS))
        self.similar = improved = True
        while improved and len(self.best.schedule) > _LONG:
            improved = self.delete_processes() or self.delete_faults() or self.delete()
        self.similar = False
        self.tried.clear()

    def delete_processes(self) -> bool:
        """Leave out all that a process does, and all that it sends."""
        schedule = self.best.schedule
        names = sorted({name for choice in schedule for name in (choice.node, choice.source)})
        improved = [self.delete_process(name) for name in names if name]
        return any(improved)

    def delete_process(self, name: str) -> bool:
        kept = [c for c in self.best.schedule if name not in (c.node, c.source)]
        return self.attempt(0, kept)

    # -- passes ----------------------------------------------------------------------------------

    def delete_faults(self) -> bool:
        """Leave out faults: all, then ever fewer at a time."""
        improved = False
        size = sum(choice.is_fault for choice in self.best.schedule)
        while size:
            at = 0
            while True:
                faults = [i for i, c in enumerate(self.best.schedule) if c.is_fault]
                if at >= len(faults):
                    break
                doomed = set(faults[at : at + size])
                kept = [c for i, c in enumerate(self.best.schedule) if i not in doomed]
                if self.attempt(min(doomed), kept):
                    improved = True
                else:
                    at += size
            size //= 2
        return improved

    def delete(self, least: int = 1) -> bool:
        """Leave out runs of choices, long ones first, the last ones first."""
        improved = False
        size = len(self.best.schedule) // 2 or 1
        while size >= least:
            end = len(self.best.schedule)
            while end > 0:
                begin = max(0, end - size)
                schedule = self.best.schedule
                if self.attempt(begin, [*schedule[:begin], *schedule[end:]]):
                    improved = True
                    end = min(begin + size, len(self.best.schedule))
                    if begin == 0:
                        break
                else:
                    end = begin
            size //= 2
        return improved

    def reorder(self) -> bool:
        """Move choices next to others of the same node, so that the run is easier to read.

        Of a long run nobody reads every line, so there is an end to it.
        """
        improved = False
        while self.reordering < _REORDERING_MAX:
            before = self.effort
            moved = sum(self.move(here) for here in range(len(self.best.schedule)))
            self.reordering += self.effort - before
            if not moved:
                break
            improved = True
        return improved

    def move(self, here: int) -> bool:
        """Move one choice to where that leaves fewer switches between nodes."""
        for there in self.places(here):
            schedule = list(self.best.schedule)
            schedule.insert(there, schedule.pop(here))
            # Only a run as planned can be expected, so replay none that would be no better.
            if measure(tuple(schedule)) < measure(self.best.schedule) and self.attempt(
                min(here, there), schedule
            ):
                return True
        return False

    def places(self, here: int) -> Iterator[int]:
        """Right behind an earlier choice of the same node, or right before a later one."""
        nodes = [choice.node for choice in self.best.schedule]
        if here < len(nodes):
            yield from (there + 1 for there in range(here - 1) if nodes[there] == nodes[here])
            later = range(here + 2, len(nodes))
            yield from (there - 1 for there in later if nodes[there] == nodes[here])

    # -- one candidate ---------------------------------------------------------------------------

    def attempt(self, same: int, schedule: list[Choice]) -> bool:
        """Replay a candidate that shares `same` first choices with the best; keep it if better."""
        if tuple(schedule) in self.tried:
            return False
        if self.effort >= self.effort_max:
            raise _SpentError
        self.tried.add(tuple(schedule))
        # The prefix breaks nothing, or the best would be shorter; start behind it.
        judge = self.judge(same)
        same = same if judge is None else judge.seen
        tail = self.follow(self.best.worlds[same], schedule[same:], judge)
        run = Run(
            (*self.best.schedule[:same], *tail.schedule),
            (*self.best.worlds[:same], *tail.worlds),
            tail.wrong,
        )
        if not self.breaks(run) or measure(run.schedule) >= measure(self.best.schedule):
            return False
        self.best = run
        if judge is not None:
            self.kept = {at: each for at, each in self.kept.items() if at <= same} | judge.kept
        if self.progress is not None:
            self.progress(run.schedule)
        return True


def _is_of_one_run(prop: Property) -> bool:
    """True where an exhaustive search could not tell."""
    return prop.sort in (Sort.NO_RAISE, Sort.MONITOR)


def _within_its_faults(scenario: Scenario, schedule: tuple[Choice, ...]) -> Scenario:
    """A scenario in which faults cost nothing, held to as many of each kind as a schedule has."""
    if not scenario.loose:
        return scenario
    first = next(iter(scenario.worlds.values())).tables
    used: dict[str, Any] = dict.fromkeys(BUDGETS, 0)
    for choice in schedule:
        for name in choice.budgets:
            used[name] += 1
    # How much one lie may take depends on how many may be told.
    used["lies"] *= LIES_KEPT
    tables = with_faults(first, replace(first.faults, **used))
    worlds = {name: rehome(world, tables, True) for name, world in scenario.worlds.items()}
    return Scenario(lambda: worlds)


def _prove(best: Broken, search: _Shrinker, worlds: int, by: Elsewhere | None) -> Broken:
    """Look for a shorter schedule exhaustively; say so where there is none."""
    schedule = search.best.schedule
    if len(schedule) <= 1 or worlds <= 0 or _is_of_one_run(best.of):
        return replace(best, shortest=len(schedule) <= 1)
    # A schedule of n choices ends at depth n + 1; look for one of n - 1 at the most.
    scenario, depth = _within_its_faults(best.of.scenario, schedule), len(schedule)
    try:
        report = explore(
            scenario, best.of, by=Bfs(), max_depth=depth, max_worlds=worlds, within=search.within
        )
    except NoClock:
        # A handler reads its clock: only a run in time says what it finds there.
        return best
    found, exhausted = report[best.of], report.stopped is None
    if by is not None and not exhausted and not found.broken:
        found = explore(scenario, best.of, by=by, max_depth=depth, within=search.within)[best.of]
        exhausted = found.holds
    if isinstance(found, Broken) and found.schedule is not None:
        if measure(found.schedule) >= measure(schedule):
            return best
        if search.progress is not None:
            search.progress(found.schedule)
        # A breadth-first search finds a shortest one; another way says whether it did.
        found = replace(found, shortest=found.shortest or report[best.of].broken)
        return shrink(found, progress=search.progress, prove_worlds=0)
    return replace(best, shortest=exhausted)
