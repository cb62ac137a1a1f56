"""Each fault of a disk has a mistake that it alone shows, and what is right survives them all.

All of it is searched exhaustively: no run under another fault shows the mistake.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from happysim import Property, check
from properties import bad_disks
from properties.bad_disks import MENU, copying, electing, rejoining
from properties.broken import bad_disks as broken
from properties.broken import faults as broken_too
from tests.quality.bugs import variants

THEOREMS: dict[Any, Property] = {
    electing: bad_disks.one_is_elected_at_the_most,
    copying: bad_disks.a_trusted_copy_holds_what_it_acknowledged,
    rejoining: bad_disks.a_copy_that_rejoined_holds_what_it_acknowledged,
}
# What a right protocol says that it does not survive, and so no variant of it does.
OUTSIDE = {copying: {"lying sync", "wiped disk", "stale disk"}}

# Each mistake: its scenario, what is wrong in it, and the faults that show it. Those of one row
# look the same to a protocol: a lying sync shows as an older disk, and what a full disk does not
# take is not synced. What a crash alone shows, all that comes with crashes shows.
MISTAKES: dict[str, tuple[Any, dict[str, Any], set[str]]] = {
    "VotesInMemory": (electing, {"voter": broken.VotesInMemory}, set(MENU)),
    "VotesBeforeSync": (
        electing,
        {"voter": broken_too.VotesBeforeSync},
        {"unsynced loss", "full disk"},
    ),
    "VotesThoughTheDiskIsFull": (
        electing,
        {"voter": broken.VotesThoughTheDiskIsFull},
        {"full disk"},
    ),
    "needs=2": (electing, {"needs": 2}, {"lying sync", "wiped disk", "stale disk"}),
    "ForgetsWhatWasRenamed": (electing, {"later": broken.ForgetsWhatWasRenamed}, {"upgrade"}),
    "AcknowledgesBeforeSync": (
        copying,
        {"copy": broken_too.AcknowledgesBeforeSync},
        {"unsynced loss", "torn write", "full disk"},
    ),
    "KeepsTornRecords": (copying, {"copy": broken_too.KeepsTornRecords}, {"torn write"}),
    "TrustsDamagedRecords": (
        copying,
        {"copy": broken_too.TrustsDamagedRecords},
        {"bit rot", "misdirected write"},
    ),
    "RepairsOnlyWhatIsDamaged": (
        copying,
        {"copy": broken_too.RepairsOnlyWhatIsDamaged},
        {"misdirected write"},
    ),
    "TakesAnEmptyDiskForANewOne": (
        rejoining,
        {"copy": broken.TakesAnEmptyDiskForANewOne},
        {"wiped disk"},
    ),
    "TrustsADiskThatReadsWell": (
        rejoining,
        {"copy": broken.TrustsADiskThatReadsWell},
        {"stale disk", "lying sync"},
    ),
}


def shown(scenario: Any, faults: Iterable[str], **wrong: Any) -> set[str]:
    """Those of the faults under which some run breaks the property."""
    theorem, found = THEOREMS[scenario], set()
    for fault in faults:
        verdict = check(theorem.over(scenario, theorem.name, fault=fault, **wrong))
        assert not verdict.unknown, verdict
        if verdict.broken:
            found.add(fault)
    return found


def test_every_mistake_and_every_fault_is_in_the_table() -> None:
    assert set(variants(broken, broken_too)) == {name for name in MISTAKES if "=" not in name}
    assert set.union(*(faults for *_, faults in MISTAKES.values())) == set(MENU)


@pytest.mark.parametrize("scenario", THEOREMS, ids=lambda each: each.__name__)
def test_what_is_right_survives_every_fault_but_what_it_says(scenario: Any) -> None:
    assert shown(scenario, ("", *MENU)) == OUTSIDE.get(scenario, set())


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_fault_of_its_row_shows_a_mistake_and_a_run_without_faults_does_not(
    mistake: str,
) -> None:
    scenario, wrong, faults = MISTAKES[mistake]
    first = next(fault for fault in MENU if fault in faults)
    assert shown(scenario, ("", first), **wrong) == {first}


@pytest.mark.slow
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_shown_by_its_faults_alone(mistake: str) -> None:
    scenario, wrong, faults = MISTAKES[mistake]
    assert shown(scenario, ("", *MENU), **wrong) - OUTSIDE.get(scenario, set()) == faults
