"""check and explore: judge the properties of a scenario in one search of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from happysim.core.errors import ScenarioError
from happysim.core.freeze import Frozen, freeze
from happysim.core.world import HistoryNotKept, World
from happysim.search import checkpoint
from happysim.search.exhaustive import Exhaustive
from happysim.search.policy import Bfs, Dfs, Elsewhere, Pct, Policy, Replay, Uniform
from happysim.search.runs import AtRandom, OneRun
from happysim.search.search import Progress, Search
from happysim.spec.property import Property, PropertyError, Sort
from happysim.spec.report import Report
from happysim.spec.scenario import Bounds, Scenario, scenario_of
from happysim.spec.verdict import Verdict


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

    def made(history: bool) -> Search:
        given = (subject, properties, bounds, history, progress)
        policy = bounds.by
        if isinstance(policy, (Bfs, Dfs)):
            return Exhaustive(*given, up_to_symmetry=symmetry, saved=saved)
        if isinstance(policy, (Uniform, Pct)):
            return AtRandom(*given)
        if isinstance(policy, Replay):
            return OneRun(*given)
        raise ScenarioError(
            f"by={policy!r} is no policy; give bfs(), dfs(), uniform(seed), pct(seed) or smt()"
        )

    try:
        return made(keep).run()
    except HistoryNotKept:
        if history is not None:
            raise ScenarioError(
                "history=False, but a property or `within` reads the history; leave it out"
            ) from None
        saved = None  # What was saved knows no histories, and so is of no use.
        return made(True).run()


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
