"""Each wrong leader election is caught within seconds, by a counterexample of a stated length."""

from __future__ import annotations

import pytest

from happysim import Property
from properties.broken import election
from tests.quality.bugs import counterexample, listed, steps

# Deliveries and timers of the counterexample. What a demand waited for in vain is not shrunk.
STEPS = {
    election.a_dead_bully_is_never_missed: 2,  # the most senior stands, and is heard of
    election.a_dead_leader_on_the_ring_is_never_missed: 4,  # a token skips two, and is heard of
    election.a_dead_bully_is_never_replaced: 40,
    election.a_dead_leader_on_the_ring_is_never_replaced: 50,
    election.nobody_is_ever_elected: 1,  # two that have voted for themselves are left
    election.nobody_is_elected_in_time: 250,
    election.an_old_victory_replaces_a_newer_leader: 7,
    election.a_victory_of_another_term: 1,
    election.elections_without_end: 0,
    election.a_term_is_forgotten: 1,
    election.a_vote_is_lost_in_a_crash: 6,  # two stand, and both get the same vote
    election.two_bullies_win_one_term: 3,
    election.a_senior_follows_a_junior: 3,
    election.two_halves_elect_two_leaders: 6,
    election.an_old_vote_elects_a_second_leader: 7,
    election.a_token_waits_at_a_dead_member: 2,
}


def test_every_mistake_has_a_length() -> None:
    assert listed(election) == list(STEPS)


@pytest.mark.parametrize("bug", STEPS, ids=lambda bug: bug.name)
def test_the_mistake_is_caught_and_shrinks(bug: Property) -> None:
    found = steps(counterexample(bug))
    assert len(found) <= STEPS[bug], found
