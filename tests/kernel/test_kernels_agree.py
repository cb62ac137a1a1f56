"""The native kernel agrees with the reference in everything that a user can see.

Both search the same random protocols, each in tables of its own: counts, verdicts, schedules, and
the way to every world are compared, for any bounds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import comb
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from happysim import (
    Faults,
    Host,
    Node,
    ScenarioError,
    World,
    action,
    bfs,
    dfs,
    explore,
    ordered,
    step_always,
    uniform,
    unordered,
)
from happysim.kernel import contract, reference
from happysim.kernel.contract import Exploration, Numbers, Plan
from happysim.kernel.switch import VARIABLE, kernel
from happysim.search.judge import PropertyJudge
from happysim.search.policy import Policy, pct
from happysim.spec.property import Property, Sort
from tests.kernel.test_reference import start
from tests.oracles.test_naive_agrees import Case, cases, properties
from tests.support.kernels import needs_native

pytestmark = needs_native

WORLDS_MAX = 300


@pytest.fixture(name="kernel", scope="module", autouse=True)
def both_kernels() -> None:
    """These tests name their kernels themselves."""


@dataclass(frozen=True)
class Options:
    """How to search."""

    depth_first: bool
    max_depth: int | None
    max_worlds: int
    history: bool | None
    within: str
    starts: int
    # Where no property is of steps, a kernel need not look at each: see `native/src/sleep.rs`.
    judges_steps: bool

    def properties(self, case: Case) -> list[Property]:
        """What is judged of a case."""
        found = properties(case)
        return [each for each in found if self.judges_steps or each.sort is not Sort.STEP_ALWAYS]


def some_options() -> st.SearchStrategy[Options]:
    return st.builds(
        Options,
        st.booleans(),
        st.none() | st.integers(1, 9),
        st.integers(1, WORLDS_MAX) | st.just(WORLDS_MAX),
        st.sampled_from([None, True]),
        st.sampled_from(["", "", "states", "messages", "ledger", "all"]),
        st.integers(1, 3),
        st.booleans(),
    )


BOUNDS = {
    "": None,
    "states": lambda world: world["n1"].state != 1 or world["n2"].state != 1,
    "messages": lambda world: len(world.in_flight) < 3,
    "ledger": lambda world: world.partition is None,
    "all": lambda world: len(world.choices()) != 3,
}


def starts_of(case: Case, wanted: int) -> dict[str, World]:
    """Several first worlds: one, and some that follow it."""
    first = case.scenario()
    following = [after for _, after in first.steps()][: wanted - 1]
    return {f"start {number}": world for number, world in enumerate([first, *following])}


def seen_by_a_user(case: Case, options: Options, policy: Policy | None = None) -> Any:
    """All that a search tells, as text; or random runs, if these are the policy."""
    told = []

    def scenario() -> dict[str, World]:
        return starts_of(case, options.starts)

    def progress(found: Exploration) -> None:
        told.append((found.worlds, found.steps, found.depth, found.waiting))

    try:
        report = explore(
            scenario,
            *(each.over(scenario) for each in options.properties(case)),
            by=policy or (dfs() if options.depth_first else bfs()),
            max_depth=options.max_depth,
            max_worlds=options.max_worlds,
            history=options.history,
            within=BOUNDS[options.within],
            progress=progress,
        )
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    verdicts = [
        (prop.name, str(each), getattr(each, "schedule", None), getattr(each, "start", None))
        for prop, each in report.verdicts.items()
    ]
    counts = (report.worlds, report.steps, report.depth, report.complete, report.stopped)
    effort = (report.handler_calls, report.evaluations, report.quiescent_worlds)
    return verdicts, counts, effort, report.warnings, told


def on(name: str, monkeypatch: pytest.MonkeyPatch, *of: Any) -> Any:
    monkeypatch.setenv(VARIABLE, name)
    return seen_by_a_user(*of)


def drawn(examples: int) -> settings:
    # Without the phase that explains a failure: it runs for a minute.
    return settings(
        max_examples=examples,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    )


FEW_AND_MANY = [80, pytest.param(4000, marks=pytest.mark.slow)]


@pytest.mark.parametrize("examples", FEW_AND_MANY)
def test_verdicts_schedules_and_counts_are_the_same(
    monkeypatch: pytest.MonkeyPatch, examples: int
) -> None:
    @drawn(examples)
    @given(cases(), some_options())
    def judged(case: Case, options: Options) -> None:
        wanted = on("reference", monkeypatch, case, options)
        assert on("native", monkeypatch, case, options) == wanted

    judged()


def some_runs() -> st.SearchStrategy[Policy]:
    seeds = st.integers(-(2**70), 2**70)
    few, steps = st.integers(1, 40), st.integers(1, 12)
    return st.builds(uniform, seeds, few, steps) | st.builds(
        pct, seeds, few, st.integers(1, 4), steps
    )


@pytest.mark.parametrize("examples", [100, pytest.param(3000, marks=pytest.mark.slow)])
def test_random_runs_are_the_same_choice_by_choice(
    monkeypatch: pytest.MonkeyPatch, examples: int
) -> None:
    @drawn(examples)
    @given(cases(), some_options(), some_runs())
    def ran(case: Case, options: Options, policy: Policy) -> None:
        wanted = on("reference", monkeypatch, case, options, policy)
        assert on("native", monkeypatch, case, options, policy) == wanted

    ran()


class Recorder(PropertyJudge):
    """A judge that keeps what it is told of, in order, but for what a kernel may remember."""

    def __init__(self, *of: Any) -> None:
        super().__init__(*of)
        self.told: list[tuple[Any, ...]] = []
        self.start: Numbers = ()

    def quiescent(self, index: int, numbers: Numbers) -> int:
        self.told.append(("quiescent", index, numbers))
        return super().quiescent(index, numbers)

    def raised(self, index: int, slot: int, move: Any) -> int:
        self.told.append(("raised", index, str(move.choice), self.start))
        return super().raised(index, slot, move)


def worlds_found(explorer: Any, case: Case, options: Options, **how: Any) -> Any:
    """Each world by its number, with the way to it, what the judge was told, and what was wrong."""
    first = next(iter(starts_of(case, 1).values()))
    judged = [each for each in options.properties(case) if each.name in ("ends", "steps")]
    judge = Recorder(first.tables, judged, BOUNDS[options.within], case.history)
    judge.start = first.numbers
    plan = Plan(
        options.depth_first,
        bool(case.faults.partitions),
        case.history,
        options.max_depth,
        options.max_worlds,
        **how,
    )
    found = explorer.explore(first.tables, [first.numbers], judge, plan)
    contents: dict[Numbers, str] = {}

    def content(numbers: Numbers) -> str:
        if numbers not in contents:
            contents[numbers] = f"{judge.world_of(numbers)}\n{numbers[-1]}"
        return contents[numbers]

    paths = [[content(world) for world in found.path(at)] for at in range(found.worlds)]
    told = [(*what, content(numbers)) for *what, numbers in judge.told]
    flags = (found.steps, found.depth, found.waiting, found.outside, found.depth_limited)
    wrong = [
        (prop.name, each.at, each.reason, each.after and content(each.after))
        for prop, each in judge.findings.items()
    ]
    return paths, flags, found.stopped, told, wrong


@pytest.mark.parametrize("examples", FEW_AND_MANY)
def test_a_world_has_the_same_number_and_path_whatever_the_number_of_threads(examples: int) -> None:
    native = kernel_named("native")

    @drawn(examples)
    @given(cases(), some_options())
    def found(case: Case, options: Options) -> None:
        try:
            wanted = worlds_found(reference, case, options)
        except ScenarioError:
            return
        for threads in (1, 3):
            assert worlds_found(native, case, options, threads=threads) == wanted

    found()


class Switch(Node):
    on: bool = False

    @action
    def turn(self, host: Host) -> None:
        self.on = not self.on


def test_a_step_to_a_world_met_before_is_judged_whatever_the_number_of_threads() -> None:
    names = "abcdefgh"

    def found(explorer: Any, threads: int | None = None) -> Any:
        first = World.of(*map(Switch, names))

        @step_always(first)
        def none_is_turned_off_where_five_are_on(before: World, after: World) -> bool:
            on = [sum(world[name].on for name in names) for world in (before, after)]
            return on != [5, 4]

        judge = PropertyJudge(first.tables, [none_is_turned_off_where_five_are_on], None, False)
        plan = Plan(histories=False, threads=threads)
        made = explorer.explore(first.tables, [first.numbers], judge, plan)
        return made.worlds, made.steps, [each.at for each in judge.findings.values()]

    # The worlds with five on come after all with fewer.
    wanted = found(reference)
    assert wanted[2] == [sum(comb(8, on) for on in range(5))]
    for threads in (1, 3):
        assert found(kernel_named("native"), threads) == wanted


@pytest.mark.parametrize("examples", [40, pytest.param(3000, marks=pytest.mark.slow)])
def test_worlds_on_a_disk_have_the_same_numbers_and_paths(examples: int, tmp_path: Path) -> None:
    native = kernel_named("native")

    @drawn(examples)
    @given(cases(), some_options(), st.sampled_from([0, 8_000]), st.booleans())
    def found(case: Case, options: Options, spill_bytes: int, fingerprints: bool) -> None:
        breadth_first = replace(options, depth_first=False)
        try:
            wanted = worlds_found(reference, case, breadth_first)
        except ScenarioError:
            return
        disk = {"disk": str(tmp_path), "spill_bytes": spill_bytes, "fingerprints": fingerprints}
        assert worlds_found(native, case, breadth_first, **disk) == wanted
        assert not list(tmp_path.iterdir())

    found()


@pytest.mark.parametrize("depth", range(4, 10))
def test_a_world_met_again_nearer_to_the_start_takes_the_shorter_path(depth: int) -> None:
    def paths(explorer: Any) -> Any:
        first = start(unordered, Faults(crashes=1, crashable=("a",)))
        judge = PropertyJudge(first.tables, [], None, False)
        plan = Plan(depth_first=True, histories=False, depth=depth)
        found = explorer.explore(first.tables, [(*first.numbers[:-1], 0)], judge, plan)
        ways = [found.path(at) for at in range(found.worlds)]
        return found.steps, [[str(judge.world_of(world)) for world in way] for way in ways]

    assert paths(kernel_named("native")) == paths(reference)


def kernel_named(name: str) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, name)
        return kernel()


def test_the_built_kernel_is_of_this_version() -> None:
    assert kernel_named("native").CONTRACT == contract.VERSION


@settings(max_examples=20, suppress_health_check=list(HealthCheck))
@given(cases(), st.booleans(), st.none() | st.integers(1, 9))
def test_both_kernels_leave_out_the_same_dead_messages(
    case: Case, depth_first: bool, max_depth: int | None
) -> None:
    def told(name: str) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(VARIABLE, name)
            by = dfs(reduce=True) if depth_first else bfs(reduce=True)
            found = explore(
                case.scenario,
                by=by,
                max_depth=max_depth,
                max_worlds=WORLDS_MAX,
                history=case.history,
            )
        return found.worlds, found.steps, found.depth, found.complete, found.reduction

    if case.network != ordered():
        assert told("native") == told("reference")
