"""Each fault of a node or a clock has a mistake that it alone shows; what is right survives."""

from __future__ import annotations

from typing import Any

import pytest

from happysim import Property
from properties import bad_clocks, bad_nodes
from properties.bad_clocks import buffering, reading, stamping, watching
from properties.bad_nodes import MENU, UNTIL, asking, logging
from properties.broken import bad_nodes as broken
from tests.quality.bugs import broken_by, variants

SEEDS = range(1, 4)

# Each mistake: its scenario and the argument that is wrong, the property that it breaks, and the
# fault that shows it.
MISTAKES: dict[str, tuple[Any, str, Property, str]] = {
    "TrustsItsTimer": (reading, "holder", bad_clocks.no_read_is_stale, "pause"),
    "ReadsTheLendersClock": (reading, "holder", bad_clocks.no_read_is_stale, "clock offset"),
    "KeepsAFixedMargin": (reading, "holder", bad_clocks.no_read_is_stale, "clock drift"),
    "BreaksTiesOnly": (stamping, "author", bad_clocks.the_last_write_wins, "clock jumps back"),
    "FlushesByTheClock": (
        buffering,
        "buffer",
        bad_clocks.no_buffer_grows_too_large,
        "clock stops",
    ),
    "ReadsTimeoutsOffTheClock": (
        watching,
        "watcher",
        bad_clocks.nobody_who_beats_is_suspected,
        "clock jumps ahead",
    ),
    "AsksAllAgain": (asking, "asker", bad_nodes.questions_are_answered_in_the_end, "slow node"),
    "SyncsEachEntry": (logging, "log", bad_nodes.entries_are_stored_in_the_end, "slow disk"),
    "KeepsItInMemory": (logging, "log", bad_nodes.what_is_acknowledged_is_in_the_log, "crash"),
}
SCENARIOS = [reading, stamping, buffering, watching, asking, logging]
# What a right protocol says that it does not survive, and so no variant of it does.
OUTSIDE = {reading: ["clock stops"]}
THEOREMS = [
    each
    for module in (bad_nodes, bad_clocks)
    for each in vars(module).values()
    if isinstance(each, Property)
]


def said(scenario: Any, fault: str, seed: int, **wrong: Any) -> str:
    """The name of the property that a run under this fault breaks; empty where it breaks none."""
    return broken_by(THEOREMS, scenario, MENU[fault] if fault else (), seed, UNTIL, **wrong)


def test_every_mistake_and_every_fault_is_in_the_table() -> None:
    assert set(variants(broken)) == set(MISTAKES)
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
