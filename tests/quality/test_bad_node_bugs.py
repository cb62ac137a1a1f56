"""Each fault of a node or a clock has a mistake that it alone shows; what is right survives."""

from __future__ import annotations

from typing import Any

import pytest

from happysim import Property, simulate
from properties import bad_nodes
from properties.bad_nodes import (
    MENU,
    UNTIL,
    asking,
    buffering,
    logging,
    reading,
    stamping,
    watching,
)
from properties.broken import bad_nodes as broken

SEEDS = range(1, 4)

# Each mistake: its scenario and the argument that is wrong, the property that it breaks, and the
# fault that shows it.
MISTAKES: dict[str, tuple[Any, str, Property, str]] = {
    "TrustsItsTimer": (reading, "holder", bad_nodes.no_read_is_stale, "pause"),
    "ReadsTheLendersClock": (reading, "holder", bad_nodes.no_read_is_stale, "clock offset"),
    "KeepsAFixedMargin": (reading, "holder", bad_nodes.no_read_is_stale, "clock drift"),
    "BreaksTiesOnly": (stamping, "author", bad_nodes.the_last_write_wins, "clock jumps back"),
    "FlushesByTheClock": (
        buffering,
        "buffer",
        bad_nodes.no_buffer_grows_too_large,
        "clock stops",
    ),
    "ReadsTimeoutsOffTheClock": (
        watching,
        "watcher",
        bad_nodes.nobody_who_beats_is_suspected,
        "clock jumps ahead",
    ),
    "AsksAllAgain": (asking, "asker", bad_nodes.questions_are_answered_in_the_end, "slow node"),
    "SyncsEachEntry": (logging, "log", bad_nodes.entries_are_stored_in_the_end, "slow disk"),
    "KeepsItInMemory": (logging, "log", bad_nodes.what_is_acknowledged_is_in_the_log, "crash"),
}
SCENARIOS = [reading, stamping, buffering, watching, asking, logging]
# What a right protocol says that it does not survive, and so no variant of it does.
OUTSIDE = {reading: ["clock stops"]}
THEOREMS = [each for each in vars(bad_nodes).values() if isinstance(each, Property)]


def said(scenario: Any, fault: str, seed: int, **wrong: Any) -> str:
    """The name of the property that a run under this fault breaks; empty where it breaks none."""
    asked = [
        each.over(scenario, each.name, **wrong)
        for each in THEOREMS
        if each.scenario.function is scenario
    ]
    faults = MENU[fault] if fault else []
    run = simulate(asked[0].scenario, *asked, seed=seed, until=UNTIL, faults=faults)
    return "" if run.broken is None else run.broken[0].name


def test_every_mistake_and_every_fault_is_in_the_table() -> None:
    kinds = [each for each in vars(broken).values() if isinstance(each, type)]
    made = {each.__name__ for each in kinds if each.__module__ == broken.__name__}
    assert made == set(MISTAKES)
    assert sorted(fault for *_, fault in MISTAKES.values()) == sorted(MENU)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.__name__)
def test_what_is_right_survives_every_fault_but_what_it_says(scenario: Any) -> None:
    shown = {fault for fault in ("", *MENU) for seed in SEEDS if said(scenario, fault, seed)}
    assert shown == {*OUTSIDE.get(scenario, [])}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_one_fault_shows_a_mistake_with_every_seed_and_no_other_fault_with_any(
    mistake: str,
) -> None:
    scenario, argument, theorem, shows = MISTAKES[mistake]
    wrong = {argument: getattr(broken, mistake)}
    for fault in ("", *MENU):
        if fault not in OUTSIDE.get(scenario, []):
            names = [said(scenario, fault, seed, **wrong) for seed in SEEDS]
            assert names == [theorem.name if fault == shows else ""] * len(SEEDS), fault
