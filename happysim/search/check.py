"""check and explore: judge the properties of a scenario in one search of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryFile
from types import MappingProxyType
from typing import Any

from happysim.core.choice import BUDGETS
from happysim.core.collector import rare_collection
from happysim.core.errors import CheckpointError, ScenarioError
from happysim.core.freeze import Frozen, freeze
from happysim.core.world import HistoryNotKept, World
from happysim.kernel.contract import Exploration, Numbers, Plan, Unfit
from happysim.kernel.memory import machine_mib
from happysim.kernel.switch import kernel, kernel_for
from happysim.search import checkpoint
from happysim.search.dead import Lean
from happysim.search.judge import Finding, PropertyJudge
from happysim.search.policy import Bfs, Dfs, Elsewhere, Pct, Policy, Replay, Uniform
from happysim.search.schedule import choices_along, first_world, follow, raising_here
from happysim.search.walk import walk
from happysim.spec.property import Property, PropertyError, Sort, no_handler_raises
from happysim.spec.report import Report
from happysim.spec.scenario import Bounds, Scenario, scenario_of
from happysim.spec.verdict import Broken, Holds, Unknown, Verdict

Progress = Callable[[Exploration], None]

# Tables only grow, and looking for cycles in them takes a third of a short search.
_OBJECTS_A_COLLECTION = 200_000
# Where no budget is given, a search ends here rather than bring the machine down.
_SHARE_OF_MEMORY = 0.7
# And of that, what is kept of worlds goes to the disk from here on, where there is one.
_SHARE_TO_SPILL = 0.5

# What ends a search that will be made no more.
_BROKEN_OFF = ("seconds", "memory", "disk full", "disk", "interrupt")

_STOPPED = {
    "worlds": "the budget of worlds ran out",
    "seconds": "the time ran out",
    "memory": "the memory budget ran out",
    "disk full": "the disk is full",
    "disk": "a file could not be written or read",
    "interrupt": "interrupted",
}


def check(prop: Property, **options: Any) -> Verdict:
    """Judge one property; options as for `explore`. Raises what a wrong protocol or property does.

    A handler that raises breaks every property: the verdict then says so.
    """
    _check_property(prop)
    report = explore(prop.scenario, prop, **options)
    verdict = report[prop]
    if not verdict.broken:
        for other, found in report.verdicts.items():
            if other.sort is Sort.NO_RAISE and found.broken:
                return found
    return replace(verdict, notes=(*verdict.notes, *report.warnings))


def group_by_scenario(
    properties: Sequence[Property], by: Policy | None = None
) -> list[tuple[Scenario, list[Property]]]:
    """Properties by scenario, in order of first mention: each group needs one search.

    What `by`, or else the scenario's own policy, refuses to judge has a group of its own.
    """
    groups: dict[Frozen, tuple[Scenario, list[Property]]] = {}
    for prop in properties:
        scenario = prop.scenario
        arguments = freeze(scenario.arguments, "the arguments of a scenario")
        key = (scenario.function, arguments, _needs_time(prop, by))
        groups.setdefault(key, (scenario, []))[1].append(prop)
    return list(groups.values())


def explore(  # noqa: PLR0913 - each is a keyword that a user sets alone
    scenario: Scenario | World | Callable[..., Any],
    *properties: Property,
    by: Policy | None = None,
    max_depth: int | None = None,
    max_worlds: int | None = None,
    seconds: float | None = None,
    memory_mib: float | None = None,
    within: Callable[[World], bool] | None = None,
    history: bool | None = None,
    symmetry: bool = True,
    progress: Progress | None = None,
) -> Report:
    """Search a scenario once and judge properties of it; without any, only count its worlds.

    Options not given are those of `@bounded`; the policy is `bfs()` by default. `history` says
    whether the clients' history is part of a world: by default only where some property reads it.
    An exhaustive search visits one world of those that differ only by which of some `symmetric`
    nodes is which, unless `symmetry` is False. Ctrl-C ends it with what is known so far; so does
    using most of the machine's memory, where `memory_mib` sets no other budget.
    """
    for prop in properties:
        _check_property(prop)
    subject = scenario_of(scenario)
    declared = subject.bounds
    bounds = Bounds(
        max_depth if max_depth is not None else declared.max_depth,
        max_worlds if max_worlds is not None else declared.max_worlds,
        seconds if seconds is not None else declared.seconds,
        memory_mib if memory_mib is not None else declared.memory_mib,
        within if within is not None else declared.within,
        by if by is not None else declared.by or Bfs(),
    )
    _check_bounds(bounds)
    for prop in properties:
        if _needs_time(prop, bounds.by):
            raise PropertyError(
                f"{prop.name} is judged along one run, with time passing; write by=simulated() or "
                "by=swarm(seed), or declare it: @bounded(by=swarm(seed=1))"
            )
    if isinstance(bounds.by, Elsewhere):
        return bounds.by.explore(subject, properties, bounds, progress)
    keep = (
        any(prop.sort is Sort.LINEARIZABLE for prop in properties) if history is None else history
    )
    saved = None
    if isinstance(bounds.by, Bfs) and bounds.by.resume is not None:
        saved = checkpoint.read(bounds.by.resume)
        keep = saved.history if history is None else history
    try:
        return _Search(subject, properties, bounds, keep, symmetry, progress, saved).run()
    except HistoryNotKept:
        if history is not None:
            raise ScenarioError(
                "history=False, but a property or `within` reads the history; leave it out"
            ) from None
        return _Search(subject, properties, bounds, True, symmetry, progress).run()


def _needs_time(prop: Property, by: Policy | None) -> bool:
    """True for what is judged along one run as it unfolds, where `by` is a search of many."""
    policy = by if by is not None else prop.scenario.bounds.by
    return prop.sort.is_of_runs and not isinstance(policy, (Elsewhere, Replay))


def _check_property(prop: object) -> None:
    if not isinstance(prop, Property):
        raise PropertyError(
            f"a {type(prop).__name__} is no property; decorate the function with "
            "@always(scenario), @reachable(scenario) or another sort of property"
        )


def _check_bounds(bounds: Bounds) -> None:
    for name in ("max_depth", "max_worlds", "seconds", "memory_mib"):
        value = getattr(bounds, name)
        if value is None:
            continue
        if name.startswith("max") and not isinstance(value, int):
            raise ScenarioError(f"{name}={value!r}: give a whole number of at least 1")
        if isinstance(value, bool) or not value > 0:
            raise ScenarioError(
                f"{name}={value!r} allows nothing; give more than 0, or leave it out"
            )


def _fingerprints(worlds: int, bits: int) -> str:
    """What it means that worlds were told apart by so many bits: the birthday bound."""
    omission = min(1.0, worlds**2 / 2 ** (bits + 1))
    return (
        f"{bits}-bit fingerprints (some world of {worlds:,} left out: probability {omission:.1e})"
    )


def _with_disk(plan: Plan, disk: str, spill_mib: float | None) -> Plan:
    """The plan with a folder for worlds. Raises `ScenarioError` where none can be made there."""
    try:
        Path(disk).mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=disk):
            pass
    except OSError as error:
        raise ScenarioError(
            f"bfs(disk={disk!r}): no file can be made there ({error.strerror}); "
            "name a folder on a disk with room"
        ) from None
    if spill_mib is None:
        assert plan.memory_mib is not None
        spill_mib = min(_SHARE_TO_SPILL * plan.memory_mib, 2.0**40)
    return replace(plan, disk=str(Path(disk).resolve()), spill_bytes=int(spill_mib * 2**20))


class _Search:
    def __init__(
        self,
        scenario: Scenario,
        properties: Sequence[Property],
        bounds: Bounds,
        history: bool,
        symmetry: bool,
        progress: Progress | None,
        saved: checkpoint.Saved | None = None,
    ) -> None:
        self.scenario, self.bounds, self.history = scenario, bounds, history
        self.progress, self.saved = progress, saved
        self.keeper: checkpoint.Keeper | None = None
        self.starts = scenario.worlds
        self.tables = next(iter(self.starts.values())).tables
        self.properties = [*properties, no_handler_raises(scenario)]
        exhaustive = isinstance(bounds.by, (Bfs, Dfs))
        self.lean = self.leaning() if exhaustive and bounds.by.reduce else None
        # One reduction at a time.
        relies = symmetry and exhaustive and self.lean is None
        self.symmetry = self.tables.symmetry if relies else None
        # Whether what a search with `reduce` left out is known to be dead; worlds of all searches.
        self.settled, self.worlds_in_all = True, 0
        self.judge = self.judge_of(self.properties)

    def judge_of(self, properties: Sequence[Property]) -> PropertyJudge:
        lean, symmetric = self.lean is not None, self.symmetry is not None
        return PropertyJudge(
            self.tables, properties, self.bounds.within, self.history, lean, symmetric
        )

    def leaning(self) -> Lean:
        """The tables for a search with `reduce`; raises where that would not be sound."""
        if self.tables.network.kind == "ordered":
            raise ScenarioError(
                f"{self.scenario}: reduce=True leaves messages out that do nothing, but on an "
                "ordered network such a message keeps others waiting; search without reduce, or "
                "write network=unordered()"
            )
        lossy = self.tables.faults.drops or self.tables.faults.duplicates
        for prop in self.properties:
            if prop.sort is Sort.STEP_ALWAYS and lossy:
                raise PropertyError(
                    f"{prop.name} is of every step, and with reduce=True the steps that drop or "
                    "duplicate a dead message are left out; search without reduce, or declare "
                    "neither drops nor duplicates"
                )
        return Lean(self.tables)

    def run(self) -> Report:
        began, misses = time.perf_counter(), self.tables.misses
        policy = self.bounds.by
        if isinstance(policy, (Bfs, Dfs)):
            found = self.exhaustive(policy)
        elif isinstance(policy, (Uniform, Pct)):
            found = self.random(policy)
        elif isinstance(policy, Replay):
            found = self.replayed(policy)
        else:
            raise ScenarioError(
                f"by={policy!r} is no policy; give bfs(), dfs(), uniform(seed), pct(seed) or smt()"
            )
        exploration, verdicts = found
        return Report(
            self.scenario,
            verdicts,
            exploration.worlds,
            exploration.steps,
            exploration.depth,
            time.perf_counter() - began,
            exploration.complete,
            exploration.stopped,
            self.tables.misses - misses,
            self.judge.evaluations,
            self.judge.quiescent_worlds,
            self.warnings(exploration),
            self.reduction_text(exploration),
            exploration.in_full,
        )

    def exhaustive(self, policy: Bfs | Dfs) -> tuple[Exploration, dict[Property, Verdict]]:
        bounds, depth_first = self.bounds, isinstance(policy, Dfs)
        plan = Plan(
            depth_first,
            bool(self.tables.faults.partitions),
            self.history,
            bounds.max_depth,
            bounds.max_worlds,
            bounds.seconds,
            bounds.memory_mib or _SHARE_OF_MEMORY * machine_mib(),
            fingerprints=policy.memory != "exact",
            traces=policy.memory != "fingerprint without traces",
            symmetric=self.symmetry is not None,
        )
        if isinstance(policy, Bfs) and policy.disk is not None:
            if self.symmetry is not None:
                raise ScenarioError(
                    "bfs(disk=...): a search up to symmetry keeps its worlds in memory; write "
                    "symmetry=False, or leave symmetric=... out of World.of"
                )
            plan = _with_disk(plan, policy.disk, policy.spill_mib)
        if isinstance(policy, Dfs) and policy.deepening:
            return self.deepening(plan)
        kept = self.with_checkpoint(plan, policy) if isinstance(policy, Bfs) else plan
        try:
            exploration = self.visit(self.judge, kept, self.progress)
        except Unfit:
            assert self.saved is not None
            raise CheckpointError(f"{self.saved.path}: its parts do not fit together") from None
        nearest = not depth_first and self.settled
        return exploration, self.verdicts(exploration, plan, nearest)

    def with_checkpoint(self, plan: Plan, policy: Bfs) -> Plan:
        """The plan with the checkpoint to write, and the one to go on from.

        Raises `CheckpointError` where that is of another search.
        """
        if policy.checkpoint is None:
            return plan
        if self.symmetry is not None:
            raise ScenarioError(
                "bfs(checkpoint=...): a search up to symmetry writes no checkpoints; write "
                "symmetry=False, or leave symmetric=... out of World.of"
            )
        if kernel().name != "native":
            raise ScenarioError(
                "bfs(checkpoint=...): only the native kernel writes and reads checkpoints; "
                "`happysim doctor` says why it is not in use"
            )
        search = checkpoint.Search(
            self.scenario,
            self.properties,
            self.bounds.within,
            self.bounds.max_depth,
            policy.memory,
            self.history,
        )
        resume = None
        if self.saved is not None:
            self.saved.restore(search, self.judge, self.tables)
            resume = self.saved.path, self.saved.start
        path = str(Path(policy.checkpoint).resolve())
        keeper = checkpoint.Keeper(path, policy.every, search, self.judge, self.tables)
        self.keeper = keeper
        return replace(plan, keeper=keeper, resume=resume)

    def deepening(self, plan: Plan) -> tuple[Exploration, dict[Property, Verdict]]:
        """Search to depth 1, 2, 3 and so on, until nothing is left out or a bound is met."""
        began, depth = time.perf_counter(), 0
        decided: dict[Property, Verdict] = {}
        while True:
            depth += 1
            left = plan.seconds and max(1e-9, plan.seconds - (time.perf_counter() - began))
            cut = replace(plan, depth=depth, seconds=left)
            self.judge.quiescent_worlds = 0
            exploration = self.visit(self.judge, cut, self.progress)
            told = self.verdicts(exploration, cut, self.settled, decided)
            decided = {prop: told[prop] for prop in self.judge.findings}
            if exploration.stopped or not exploration.depth_limited or depth == plan.depth:
                return exploration, told

    def verdicts(
        self,
        exploration: Exploration,
        plan: Plan,
        nearest: bool,
        decided: Mapping[Property, Verdict] = MappingProxyType({}),
    ) -> dict[Property, Verdict]:
        """What a search said of each property; `nearest` where no world has a shorter path.

        `decided` is what an earlier search found: the places it found it at mean nothing here.
        """
        # An interrupt may come between judging a world and taking it in.
        found = {
            prop: finding
            for prop, finding in self.judge.findings.items()
            if finding.at < exploration.worlds and prop not in decided
        }
        if found and not plan.traces:
            last = max(finding.at for finding in found.values())
            exploration.path = self.visit_again(plan, last).path
        verdicts: dict[Property, Verdict] = {}
        for prop in self.properties:
            if prop in decided:
                verdicts[prop] = decided[prop]
            elif prop in found:
                verdicts[prop] = self.found(prop, found[prop], exploration, nearest)
            else:
                verdicts[prop] = self.undisturbed(prop, exploration)
        return verdicts

    def visit(
        self, judge: PropertyJudge, plan: Plan, progress: Progress | None = None
    ) -> Exploration:
        """Search as planned; with `reduce`, until nothing speaks against what was left out.

        Where there is no time for that, what was found is real but may not be the nearest; an end
        may be none, for a message that was left out may lead on.
        """
        if self.lean is None:
            return self.visit_once(judge, plan, progress)
        began, found = time.perf_counter(), dict(judge.findings)
        while True:
            self.lean.begin()
            left = plan.seconds and max(1e-9, plan.seconds - (time.perf_counter() - began))
            explored = self.visit_once(judge, replace(plan, seconds=left), progress)
            self.worlds_in_all += explored.worlds
            self.settled = self.lean.learn()
            if self.settled:
                return explored
            if explored.stopped in _BROKEN_OFF:
                judge.forget(Sort.QUIESCENT)
                return explored
            judge.reopen(found)

    def visit_once(
        self, judge: PropertyJudge, plan: Plan, progress: Progress | None = None
    ) -> Exploration:
        """One search. Without `reduce`, the only one."""
        model = self.tables if self.lean is None else self.lean
        starts = [self.shown(world.numbers) for world in self.starts.values()]
        with rare_collection(_OBJECTS_A_COLLECTION), self.tables.relied_on(plan.symmetric):
            explored: Exploration = kernel_for(plan).explore(model, starts, judge, plan, progress)
        if self.symmetry is not None and not self.symmetry.is_closed(starts):
            # From a first world that has no image among them only some of an orbit are reached.
            explored.in_full = None
        return explored

    def shown(self, numbers: Numbers) -> Numbers:
        """What a kernel is shown of a world."""
        return numbers if self.lean is None else self.lean.numbers(numbers)

    def visit_again(self, plan: Plan, last: int) -> Exploration:
        """The same search up to the world at `last`, this time with the ways to its worlds."""
        again = replace(plan, traces=True, worlds=last + 1, seconds=None, memory_mib=None)
        return self.visit_once(self.judge_of([]), again)

    def found(
        self, prop: Property, finding: Finding, exploration: Exploration, nearest: bool
    ) -> Verdict:
        """The verdict on a property that was broken or reached."""
        path = exploration.path(finding.at)
        if finding.after is not None:
            path.append(finding.after)
        end = None if self.history else -1
        start, world = next(
            (name, world)
            for name, world in self.starts.items()
            if self.shown(world.numbers)[:end] == path[0][:end]
        )
        schedule = choices_along(world, path, self.history, self.shown)
        if finding.raising is not None:
            end_of_path = world.after(*schedule)
            schedule.append(raising_here(end_of_path, finding.raising[1].choice))
        return self.verdict(prop, finding, tuple(schedule), start, shortest=nearest)

    def verdict(
        self,
        prop: Property,
        finding: Finding,
        schedule: tuple[Any, ...],
        start: str,
        shortest: bool = False,
    ) -> Verdict:
        if prop.sort is Sort.REACHABLE:
            return Holds(prop, schedule=schedule, start=start)
        return Broken(
            prop,
            reason=finding.reason,
            schedule=schedule,
            start=start,
            shortest=shortest,
            within=self.bounds.within,
        )

    def undisturbed(self, prop: Property, exploration: Exploration) -> Verdict:
        """The verdict on a property that was neither broken nor reached."""
        if exploration.stopped is not None and exploration.stopped != "done":
            why = _STOPPED[exploration.stopped]
            reason = f"{why} after {exploration.worlds:,} worlds"
            if exploration.trouble:
                reason += f": {exploration.trouble}"
            if exploration.stopped == "memory" and self.bounds.memory_mib is None:
                reason += "; a scenario without end needs @bounded(within=...) or max_depth"
            return Unknown(prop, reason=reason)
        if exploration.stopped == "done":
            return Unknown(prop, reason="the search ended when every other property was decided")
        raised = self.judge.raised_property
        if prop is not raised and raised in self.judge.findings:
            return Unknown(prop, reason="a handler raised, so part of the worlds is missing")
        if not exploration.worlds:
            return Unknown(prop, reason="no world lies within the bound `within`")
        if prop.sort is Sort.REACHABLE:
            if exploration.depth_limited or exploration.outside:
                return Unknown(prop, reason=f"not reached within {self.limits_text(exploration)}")
            reason = f"no world of {exploration.worlds:,} satisfies it"
            within = self.limits_text(exploration)
            return Broken(prop, reason=f"{reason}, within {within}" if within else reason)
        if prop.sort is Sort.QUIESCENT and not self.judge.quiescent_worlds:
            return Unknown(prop, reason="no world is quiescent, so there was nothing to judge")
        bounds, reduction = self.limits_text(exploration), self.reduction_text(exploration)
        return Holds(prop, bounds=bounds, reduction=reduction)

    def reduction_text(self, exploration: Exploration) -> str:
        """Which worlds were taken together, and what that took; empty where none were."""
        if self.symmetry is not None:
            full = "" if exploration.in_full is None else f" of {exploration.in_full:,}"
            return f"up to symmetry of {self.symmetry}: {exploration.worlds:,} worlds{full}"
        if self.lean is None:
            return ""
        text = f"without dead messages: {exploration.worlds:,} worlds"
        if self.lean.searches == 1:
            return text
        return f"{text} ({self.worlds_in_all:,} in {self.lean.searches} searches)"

    def limits_text(self, exploration: Exploration) -> str:
        """The bounds that left worlds out; empty where none did."""
        texts = []
        if exploration.depth_limited:
            texts.append(f"depth {self.bounds.max_depth}")
        if exploration.outside:
            texts.append("the bound `within`")
        if exploration.fingerprint_bits is not None:
            texts.append(_fingerprints(exploration.worlds, exploration.fingerprint_bits))
        return " and ".join(texts)

    def random(self, policy: Uniform | Pct) -> tuple[Exploration, dict[Property, Verdict]]:
        exploration, schedules = walk(self.starts, self.judge, policy, self.bounds, self.progress)
        verdicts: dict[Property, Verdict] = {}
        for prop in self.properties:
            finding = self.judge.findings.get(prop)
            if finding is not None:
                start, schedule = schedules[prop]
                verdicts[prop] = self.verdict(prop, finding, schedule, start)
            else:
                runs = f"{exploration.waiting:,} random runs"
                said = "not reached" if prop.sort is Sort.REACHABLE else "no violation"
                stopped = _STOPPED.get(exploration.stopped or "")
                why = f"; {stopped}" if stopped else ""
                verdicts[prop] = Unknown(prop, reason=f"{said} in {runs}{why}")
        return exploration, verdicts

    def replayed(self, policy: Replay) -> tuple[Exploration, dict[Property, Verdict]]:
        start = next(iter(self.starts)) if policy.start is None else policy.start
        world = first_world(self.scenario, start)
        verdicts: dict[Property, Verdict] = {}
        longest = 0
        for prop in self.properties:
            run = follow(world, policy.schedule, prop)
            longest = max(longest, len(run.worlds))
            if run.wrong is None:
                verdicts[prop] = Unknown(prop, reason="not broken on this schedule")
            else:
                finding = Finding(0, run.wrong)
                verdicts[prop] = self.verdict(prop, finding, run.schedule, start)
        exploration = Exploration(
            worlds=longest, steps=longest - 1, depth=longest, stopped="schedule"
        )
        return exploration, verdicts

    def warnings(self, exploration: Exploration) -> tuple[str, ...]:
        """What was vacuous: faults that never happened, properties that had nothing to judge."""
        found = []
        if self.keeper is not None and self.keeper.trouble:
            found.append(f"no checkpoint could be written: {self.keeper.trouble}")
        if not exploration.complete:
            return tuple(found)
        first = self.tables.faults.budgets
        for at, name in enumerate(BUDGETS):
            if self.lean is not None and name in ("drops", "duplicates"):
                continue  # There may have been worlds in which a dead message was lost.
            if first[at] and not self.tables.ledgers.was_paid(at):
                found.append(f"the faults declare {name}, but none ever happened")
        sorts = {prop.sort for prop in self.properties}
        histories = self.tables.histories.values
        if Sort.LINEARIZABLE in sorts and not any(each.completed for each in histories):
            found.append("no client was ever answered, so any history is linearizable")
        if Sort.STEP_ALWAYS in sorts and not exploration.steps:
            found.append("there is no step, so step_always had nothing to judge")
        return tuple(found)
