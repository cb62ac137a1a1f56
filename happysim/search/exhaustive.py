"""Exhaustive search: every world there is, in memory or on disk, at once or from a checkpoint."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryFile
from types import MappingProxyType

from happysim.core.collector import rare_collection
from happysim.core.errors import CheckpointError, ScenarioError
from happysim.kernel.contract import Exploration, Numbers, Plan, Unfit
from happysim.kernel.memory import machine_mib
from happysim.kernel.switch import kernel, kernel_for
from happysim.search import checkpoint
from happysim.search.dead import Lean
from happysim.search.judge import Finding, PropertyJudge
from happysim.search.policy import Bfs, Dfs
from happysim.search.schedule import choices_along, raising_here
from happysim.search.search import STOPPED, Progress, Search
from happysim.spec.property import Property, PropertyError, Sort
from happysim.spec.verdict import Broken, Holds, Unknown, Verdict

# Tables only grow, and looking for cycles in them takes a third of a short search.
_OBJECTS_A_COLLECTION = 200_000
# Where no budget is given, a search ends here rather than bring the machine down.
_SHARE_OF_MEMORY = 0.7
# And of that, what is kept of worlds goes to the disk from here on, where there is one.
_SHARE_TO_SPILL = 0.5

# What ends a search that will be made no more.
_BROKEN_OFF = ("seconds", "memory", "disk full", "disk", "interrupt")


@dataclass(eq=False)
class Exhaustive(Search):
    """Breadth or depth first, as `bounds.by` says; `saved` is the checkpoint to go on from."""

    up_to_symmetry: bool
    saved: checkpoint.Saved | None

    def __post_init__(self) -> None:
        super().__post_init__()
        policy = self.bounds.by
        assert isinstance(policy, (Bfs, Dfs))
        self.policy: Bfs | Dfs = policy
        self.keeper: checkpoint.Keeper | None = None
        self.lean = self.leaning() if policy.reduce else None
        # One reduction at a time.
        is_folded = self.up_to_symmetry and self.lean is None
        self.symmetry = self.tables.symmetry if is_folded else None
        # Whether what a search with `reduce` left out is known to be dead; worlds of all searches.
        self.settled, self.worlds_in_all = True, 0
        if self.lean is not None:
            # There may have been worlds in which a dead message was lost.
            self.hidden = ("drops", "duplicates")

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

    def explored(self) -> tuple[Exploration, dict[Property, Verdict]]:
        bounds, policy = self.bounds, self.policy
        depth_first = isinstance(policy, Dfs)
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

    def undisturbed(self, prop: Property, exploration: Exploration) -> Verdict:
        """The verdict on a property that was neither broken nor reached."""
        if exploration.stopped is not None and exploration.stopped != "done":
            why = STOPPED[exploration.stopped]
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

    def warnings(self, exploration: Exploration) -> tuple[str, ...]:
        found = []
        if self.keeper is not None and self.keeper.trouble:
            found.append(f"no checkpoint could be written: {self.keeper.trouble}")
        policy = self.bounds.by
        if isinstance(policy, Bfs) and policy.disk is not None and kernel().name != "native":
            found.append(
                "bfs(disk=...): the reference kernel keeps all worlds in memory; "
                "`happysim doctor` says why the native one is not in use"
            )
        return (*found, *super().warnings(exploration))


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


def _fingerprints(worlds: int, bits: int) -> str:
    """What it means that worlds were told apart by so many bits: the birthday bound."""
    omission = min(1.0, worlds**2 / 2 ** (bits + 1))
    return (
        f"{bits}-bit fingerprints (some world of {worlds:,} left out: probability {omission:.1e})"
    )
