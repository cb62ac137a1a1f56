"""Each wrong replicated type and store is caught, by a counterexample of a stated length."""

from __future__ import annotations

import pytest

from happysim import Property
from properties.broken import crdt
from tests.quality.bugs import counterexample, listed, steps

# Deliveries and timers of the counterexample; an update takes one delivery, telling it takes two.
STEPS = {
    crdt.a_removed_element_would_come_back: 4,  # an add, told to the other, who removes it
    crdt.a_number_comes_back_as_text: 1,
    crdt.a_replica_writes_under_the_id_of_another: 3,  # an increment, told to the other
    crdt.three_increments_count_as_two: 6,
    crdt.three_increments_count_as_two_in_the_end: 11,
    crdt.who_merges_whom_makes_a_difference: 2,  # two writes
    crdt.registers_differ_for_ever: 7,
    crdt.a_restarted_store_loses_increments: 1,
    crdt.a_copied_increment_counts_twice: 2,
    crdt.a_lost_message_is_never_made_up_for: 3,
    crdt.a_peer_is_taken_to_know_what_it_does_not: 2,
    crdt.an_element_added_again_is_lost: 9,
    crdt.a_store_forgets_what_it_removed: 5,
    crdt.equal_counts_are_taken_for_the_same: 5,  # two increments, an offer and its answer
    crdt.two_increments_count_as_one: 9,
    crdt.a_concurrent_value_is_dropped: 2,
}


def test_every_mistake_has_a_length() -> None:
    assert listed(crdt) == list(STEPS)


@pytest.mark.parametrize("bug", STEPS, ids=lambda bug: bug.name)
def test_the_mistake_is_caught_and_shrinks(bug: Property) -> None:
    found = steps(counterexample(bug))
    assert len(found) <= STEPS[bug], found
