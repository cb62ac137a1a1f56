"""Each wrong Multi-Paxos is caught within seconds, by a counterexample of a stated length."""

from __future__ import annotations

import pytest

from happysim import Property
from properties import multi_paxos as right
from properties.broken import multi_paxos
from tests.quality.bugs import assert_keeps, counterexample, listed, scenario_name, steps

# Deliveries and timers of the counterexample, from where its scenario starts. Messages between a
# client and a server count too.
STEPS = {
    multi_paxos.one_answer_counted_twice: 3,
    multi_paxos.reports_ignored: 5,
    multi_paxos.reports_ignored_and_overwritten: 9,
    multi_paxos.lower_report_adopted: 6,
    multi_paxos.anothers_ballot: 7,
    multi_paxos.stored_in_the_wrong_slot: 5,
    multi_paxos.answer_counted_for_another_slot: 4,
    multi_paxos.stale_entry_committed: 4,
    multi_paxos.leader_deposes_itself: 3,
    multi_paxos.command_never_replicated: 0,
    multi_paxos.nobody_stands_again: 1,
    multi_paxos.command_dropped: 1,
    multi_paxos.one_server_never_chooses: 2,
    multi_paxos.gap_never_filled: 3,
    multi_paxos.promise_broken: 4,
    multi_paxos.lower_ballot_accepted: 9,
    multi_paxos.promise_lost_in_a_crash: 1,
    multi_paxos.entry_lost_in_a_crash: 2,
    multi_paxos.promise_forgotten: 9,
    multi_paxos.news_of_another_slot: 12,
    multi_paxos.command_applied_twice: 4,
    multi_paxos.chosen_not_applied_again: 6,
    multi_paxos.accepted_entry_forgotten: 2,
}
# What a variant does not break, so that it is caught for its own mistake.
KEPT = {
    multi_paxos.reports_ignored: (right.one_leader_a_ballot, right.promises_are_kept),
    multi_paxos.stale_entry_committed: (right.one_leader_a_ballot, right.promises_are_kept),
    multi_paxos.answer_counted_for_another_slot: (right.one_command_a_ballot_and_slot,),
    multi_paxos.leader_deposes_itself: (right.one_leader_a_ballot, right.state_machine_safety),
    multi_paxos.gap_never_filled: (right.state_machine_safety, right.leaders_know_what_was_chosen),
    multi_paxos.command_applied_twice: (right.state_machine_safety,),
}


def test_every_mistake_has_a_length() -> None:
    assert listed(multi_paxos) == list(STEPS)


@pytest.mark.parametrize("bug", STEPS, ids=scenario_name)
def test_the_mistake_is_caught_and_shrinks(bug: Property) -> None:
    found = steps(counterexample(bug))
    assert len(found) <= STEPS[bug], found


@pytest.mark.parametrize("bug", KEPT, ids=scenario_name)
def test_the_variant_makes_no_other_mistake(bug: Property) -> None:
    assert_keeps(bug, KEPT[bug])
