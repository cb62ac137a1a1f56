"""What the tables of bugs share: each is caught in time, by a counterexample of a stated length."""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType
from typing import Any

from happysim import Choice, Kind, Property, check, simulate
from happysim.search.shrink import shrink
from happysim.spec.property import Sort


def listed(*modules: ModuleType) -> list[Property]:
    """The properties of these modules that must break, in the order of their definition."""
    found = [each for module in modules for each in vars(module).values()]
    return [each for each in found if isinstance(each, Property) and each.must_break]


def variants(*modules: ModuleType) -> dict[str, type]:
    """The classes that these modules define, by name: each has one mistake."""
    found = [(module.__name__, each) for module in modules for each in vars(module).values()]
    classes = [each for home, each in found if isinstance(each, type) and each.__module__ == home]
    return {each.__name__: each for each in classes}


def scenario_name(prop: Property) -> str:
    """What tells apart bugs that break one theorem: the function of the scenario."""
    return prop.scenario.function.__name__


def counterexample(prop: Property, seconds: float = 10) -> tuple[Choice, ...]:
    """The shortest that a search of so many seconds and shrinking find.

    What a demand on runs in time waited for in vain is not shrunk.
    """
    verdict = check(prop, seconds=seconds)
    assert verdict.broken, verdict
    shrunk = verdict if prop.sort is Sort.EVENTUALLY else shrink(verdict)
    return tuple(shrunk.schedule)


def steps(schedule: Iterable[Choice]) -> list[Choice]:
    """The deliveries and timers of a schedule: faults, and what clients ask, are no steps."""
    return [choice for choice in schedule if choice.kind in (Kind.DELIVER, Kind.FIRE)]


def assert_keeps(bug: Property, theorems: Iterable[Property]) -> None:
    """A bug breaks none of these, as far as a short search sees: it is caught for its own sake."""
    for theorem in theorems:
        verdict = check(theorem.over(bug.scenario), max_worlds=10_000)
        assert not verdict.broken, verdict


def broken_by(
    theorems: Iterable[Property], scenario: Any, faults: Any, seed: int, until: float, **wrong: Any
) -> str:
    """The name of the theorem that one run in time breaks; empty where it breaks none.

    Those of the scenario are judged; `wrong` are its arguments.
    """
    asked = [
        each.over(scenario, each.name, **wrong)
        for each in theorems
        if each.scenario.function is scenario
    ]
    run = simulate(asked[0].scenario, *asked, seed=seed, until=until, faults=faults)
    return "" if run.broken is None else run.broken[0].name
