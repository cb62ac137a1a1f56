"""Each protocol that trusts disks or peers too much is caught, by a run of a stated length."""

from __future__ import annotations

import pytest

from happysim import Property
from properties.broken import bad_disks, byzantine, faults
from tests.quality.bugs import counterexample, listed, steps

# Deliveries and timers of the counterexample.
STEPS = {
    # Three voters hear one candidate, one of them the other too, after it forgot, and so does one
    # more: four votes are asked for, and four arrive.
    faults.two_are_elected_by_votes_that_were_not_synced: 8,
    faults.two_are_elected_by_a_majority_where_a_sync_lied: 8,
    faults.two_are_elected_by_a_majority_where_a_disk_was_wiped: 8,
    faults.two_are_elected_by_a_majority_where_a_disk_was_stale: 8,
    faults.an_entry_that_was_not_synced_is_lost: 3,  # sent, written, acknowledged
    # Sent and torn; sent again, and what is there is acknowledged as if it were the entry.
    faults.a_torn_entry_is_accepted: 6,
    faults.a_damaged_entry_is_accepted: 4,  # sent, written, flushed, acknowledged
    faults.an_entry_that_went_astray_is_missed: 10,  # twice that, then fetched and given
    # As above, with three voters that forget.
    bad_disks.two_are_elected_by_votes_in_memory: 12,
    bad_disks.two_are_elected_by_votes_that_did_not_fit: 12,
    bad_disks.two_are_elected_by_votes_of_two_versions: 12,
    bad_disks.an_entry_is_lost_with_its_disk: 3,  # sent, written, acknowledged
    bad_disks.an_entry_is_lost_that_a_stale_disk_lacks: 5,  # the same, once it has joined
    byzantine.two_values_are_delivered_as_the_source_said: 2,
    byzantine.two_values_are_delivered_by_forged_echoes: 7,
    byzantine.one_silence_stops_all: 14,  # until all is quiet
    byzantine.a_deposit_counts_twice: 3,
}


def test_every_mistake_has_a_length() -> None:
    assert listed(faults, bad_disks, byzantine) == list(STEPS)


@pytest.mark.parametrize("bug", STEPS, ids=lambda bug: bug.name)
def test_the_mistake_is_caught_and_shrinks(bug: Property) -> None:
    found = steps(counterexample(bug, seconds=20))
    assert len(found) == STEPS[bug], found
