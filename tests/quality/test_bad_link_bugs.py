"""Each fault of the network has a mistake that it alone shows, and what is right survives it."""

from __future__ import annotations

from typing import Any

import pytest

from happysim import Property
from properties import bad_links
from properties.bad_links import MENU, UNTIL, copying, group, lending
from properties.broken import bad_links as broken
from tests.quality.bugs import broken_by, variants

# How many seeds a fault has to show its mistake, and no other fault may.
SEEDS = range(1, 6)

# Each mistake: its scenario and the argument that is wrong, the property that it breaks, and the
# faults that show it. Those of one row look the same to a protocol: a damaged message is dropped,
# so it is lost; jitter lets messages overtake each other, as reordering does; an echo is copies.
MISTAKES: dict[str, tuple[Any, str, Property, set[str]]] = {
    "CountsWhoIsLeft": (group, "kind", bad_links.no_two_lead_for_long, {"partition"}),
    "TrustsItsOwnSends": (
        group,
        "kind",
        bad_links.no_two_lead_for_long,
        {"one-way cut, nobody hears n1"},
    ),
    "SupportsWhomItHears": (
        group,
        "kind",
        bad_links.somebody_leads,
        {"one-way cut, n1 hears nobody"},
    ),
    "CountsWhomItHears": (group, "kind", bad_links.no_two_lead_for_long, {"bridge"}),
    "WantsToSeeAll": (group, "kind", bad_links.somebody_leads, {"ring"}),
    "TakesOldWrites": (lending, "store", bad_links.writes_are_in_order_of_tokens, {"clog"}),
    "TrustsTheFirstPeerBack": (group, "kind", bad_links.no_version_falls, {"swizzle"}),
    "WantsAnswersAtOnce": (group, "kind", bad_links.somebody_leads, {"latency"}),
    "ResendsAfterSilence": (
        copying,
        "source",
        bad_links.all_is_stored_in_the_end,
        {"loss", "corruption"},
    ),
    "KnowsOnlyItsOwnCopies": (
        copying,
        "shelf",
        bad_links.each_write_counts_once,
        {"duplication", "echo"},
    ),
    "ShowsTheLastToArrive": (
        copying,
        "shelf",
        bad_links.a_shelf_shows_the_newest,
        {"reordering", "jitter"},
    ),
    "ResendsAtOnce": (copying, "source", bad_links.all_is_stored_in_the_end, {"bandwidth"}),
}
THEOREMS = [each for each in vars(bad_links).values() if isinstance(each, Property)]


def said(scenario: Any, fault: str, seed: int, **wrong: Any) -> str:
    """The name of the property that a run under this fault breaks; empty where it breaks none."""
    return broken_by(THEOREMS, scenario, MENU[fault] if fault else (), seed, UNTIL, **wrong)


def seeds_of(mistake: str, fault: str) -> list[int]:
    """The seeds with which this fault shows this mistake."""
    scenario, argument, theorem, _ = MISTAKES[mistake]
    wrong = {argument: getattr(broken, mistake)}
    names = {seed: said(scenario, fault, seed, **wrong) for seed in SEEDS}
    assert {*names.values()} <= {"", theorem.name}
    return [seed for seed, name in names.items() if name]


def test_every_mistake_and_every_fault_is_in_the_table() -> None:
    assert set(variants(broken)) == set(MISTAKES)
    shown = [fault for *_, faults in MISTAKES.values() for fault in sorted(faults)]
    assert sorted(shown) == sorted(MENU)


@pytest.mark.parametrize("scenario", [group, copying, lending], ids=lambda each: each.__name__)
def test_what_is_right_survives_every_fault(scenario: Any) -> None:
    assert [fault for fault in ("", *MENU) if said(scenario, fault, seed=1)] == []


@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_of_its_faults_shows_a_mistake_within_a_few_seeds(mistake: str) -> None:
    scenario, argument, theorem, faults = MISTAKES[mistake]
    for fault in faults:
        runs = (
            said(scenario, fault, seed, **{argument: getattr(broken, mistake)}) for seed in SEEDS
        )
        assert next(filter(None, runs), "") == theorem.name, fault


@pytest.mark.slow
@pytest.mark.parametrize("mistake", MISTAKES)
def test_no_other_fault_shows_a_mistake_with_any_seed(mistake: str) -> None:
    shown = {fault for fault in ("", *MENU) if seeds_of(mistake, fault)}
    assert shown == MISTAKES[mistake][-1]


@pytest.mark.slow
@pytest.mark.parametrize("scenario", [group, copying, lending], ids=lambda each: each.__name__)
def test_what_is_right_survives_every_fault_with_any_seed(scenario: Any) -> None:
    runs = [(fault, seed) for fault in ("", *MENU) for seed in SEEDS]
    assert [run for run in runs if said(scenario, *run)] == []
