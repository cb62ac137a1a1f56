"""Each wrong member of a SWIM group is caught within seconds, by a short counterexample."""

from __future__ import annotations

import pytest

from happysim import Property
from properties.broken import swim
from tests.quality.bugs import counterexample, listed, steps

# Deliveries and timers of the counterexample. At 0 the property itself plays calm rounds.
# What a demand waited for in vain is not shrunk.
STEPS = {
    swim.suspects_are_never_buried: 3,  # a ping, no ack, no indirect ack
    swim.a_member_never_heard_of_stays_alive: 0,
    swim.an_indirect_probe_is_a_plain_ping: 2,
    swim.a_cut_link_condemns_two: 1,
    swim.a_refutation_does_not_override: 0,
    swim.healthy_members_stay_buried: 0,
    swim.nobody_fails_and_all_are_suspected: 0,
    swim.an_update_is_told_once: 3,
    swim.an_update_is_not_passed_on: 4,  # a suspicion, and a message that carries it
    swim.a_member_dies_unsuspected: 3,
    swim.a_member_is_suspected_unprobed: 2,
    swim.a_delegate_vouches_for_the_dead: 3,
    swim.an_incarnation_is_made_up: 5,
    swim.an_old_claim_comes_back: 5,
    swim.an_incarnation_is_forgotten: 0,  # a crash
    swim.two_sides_never_meet_again: 0,
    swim.one_member_misses_the_answer: 0,
    swim.healthy_members_stay_buried_in_time: 2000,
    swim.two_sides_never_meet_again_in_time: 1700,
}


def test_every_mistake_has_a_length() -> None:
    assert listed(swim) == list(STEPS)


@pytest.mark.parametrize("bug", STEPS, ids=lambda bug: bug.name)
def test_the_mistake_is_caught_and_shrinks(bug: Property) -> None:
    found = steps(counterexample(bug))
    assert len(found) <= STEPS[bug], found
