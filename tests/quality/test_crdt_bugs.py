"""Each wrong replicated type and store is caught, by a counterexample of a stated length."""

from __future__ import annotations

import pytest

from happysim import Kind, Property, check
from happysim.search.shrink import shrink
from properties.broken import crdt

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
    listed = [each for each in vars(crdt).values() if isinstance(each, Property)]
    assert [each.name for each in listed if each.must_break] == [each.name for each in STEPS]


@pytest.mark.parametrize("prop", STEPS, ids=lambda prop: prop.name)
def test_the_mistake_is_caught_and_shrinks(prop: Property) -> None:
    verdict = check(prop, seconds=10)
    assert verdict.broken
    schedule = shrink(verdict).schedule
    steps = [choice for choice in schedule if choice.kind in (Kind.DELIVER, Kind.FIRE)]
    assert len(steps) <= STEPS[prop], "\n".join(map(str, schedule))
