"""Each wrong primary, chain and leader is caught within seconds, in a stated number of steps."""

from __future__ import annotations

import pytest

from happysim import Property
from properties.broken import chain, craq, multi_leader, primary_backup
from tests.quality.bugs import counterexample, listed, steps

# Deliveries and timers of the counterexample, from where its scenario begins.
STEPS = {
    primary_backup.a_backup_applies_out_of_order: 3,
    primary_backup.two_copies_differ: 3,
    primary_backup.a_backup_skips_entries: 4,
    primary_backup.a_confirmed_entry_is_taken_back: 10,
    primary_backup.a_sync_write_is_on_no_backup: 1,
    primary_backup.a_copied_request_is_answered_too_early: 10,
    primary_backup.a_confirmed_entry_is_lost_in_a_crash: 3,
    primary_backup.one_lost_message_diverges_for_ever: 5,
    primary_backup.one_lost_message_hangs_the_client: 1,
    primary_backup.a_deposed_primary_still_answers: 2,
    primary_backup.a_view_that_nobody_knows_of_answers: 7,
    primary_backup.a_view_of_too_few_forgets_an_answer: 3,
    primary_backup.an_old_log_leads: 5,
    chain.a_link_reorders_two_updates: 4,
    chain.a_server_is_no_prefix_of_its_predecessor: 3,
    chain.a_crash_puts_a_server_behind_its_successor: 2,
    chain.the_head_answers_with_what_may_be_lost: 5,
    chain.a_new_tail_answers_from_nothing: 4,
    chain.a_restarted_tail_answers_from_the_past: 5,
    chain.what_the_middle_had_is_lost: 1,
    chain.one_lost_message_stops_the_chain: 2,
    chain.an_answered_update_is_on_no_server: 3,
    craq.the_first_commit_cleans_two_versions: 2,
    craq.a_read_goes_back_behind_two_writes: 7,
    craq.a_clean_check_comes_too_early: 7,
    craq.a_dirty_version_is_answered: 6,
    craq.a_middle_server_speaks_for_the_tail: 10,
    craq.a_lost_question_hangs_a_read: 3,
    multi_leader.a_late_write_undoes_another: 4,
    multi_leader.a_leader_takes_its_own_write_back: 4,
    multi_leader.an_unread_write_is_lost: 4,
    multi_leader.a_deleted_key_comes_back: 3,
    multi_leader.a_write_is_lost_in_a_crash: 2,
    multi_leader.two_writes_of_one_timestamp_undo_each_other: 14,
    multi_leader.a_client_does_not_read_its_write: 4,
    multi_leader.trees_that_differ_have_one_root: 8,
    multi_leader.one_lost_push_diverges_for_ever: 5,
    multi_leader.a_leader_does_not_know_that_another_differs: 1,
}


def test_every_mistake_has_a_length() -> None:
    assert listed(primary_backup, chain, craq, multi_leader) == list(STEPS)


@pytest.mark.parametrize("bug", STEPS, ids=lambda bug: bug.name)
def test_the_mistake_is_caught_and_shrinks(bug: Property) -> None:
    found = steps(counterexample(bug))
    assert len(found) <= STEPS[bug], found
