"""Each wrong Flexible Paxos is caught within seconds, by a counterexample of a stated length."""

from __future__ import annotations

import pytest

from happysim import Property
from properties.broken import flexible_paxos
from tests.quality.bugs import counterexample, listed, scenario_name, steps

# Deliveries and timers of the counterexample, from where its scenario starts. Messages between a
# client and a server count too.
STEPS = {
    flexible_paxos.chosen_is_not_found: 4,
    flexible_paxos.two_disjoint_quorums: 7,
    flexible_paxos.nobody_is_asked: 1,
    flexible_paxos.elected_by_too_few: 4,
    flexible_paxos.a_row_chooses: 2,
    flexible_paxos.a_row_chooses_and_another_elects: 7,
    flexible_paxos.votes_not_counted: 4,
    flexible_paxos.one_answer_counted_twice: 3,
    flexible_paxos.reports_ignored: 6,
    flexible_paxos.anothers_ballot: 9,
    flexible_paxos.stored_in_the_wrong_slot: 5,
    flexible_paxos.answer_counted_for_another_slot: 4,
    flexible_paxos.stale_entry_committed: 4,
    flexible_paxos.promise_broken: 5,
}


def test_every_mistake_has_a_length() -> None:
    assert listed(flexible_paxos) == list(STEPS)


@pytest.mark.parametrize("bug", STEPS, ids=scenario_name)
def test_the_mistake_is_caught_and_shrinks(bug: Property) -> None:
    found = steps(counterexample(bug))
    assert len(found) <= STEPS[bug], found
