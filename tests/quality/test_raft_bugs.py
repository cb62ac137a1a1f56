"""Each wrong Raft is caught within seconds, by a counterexample of a stated length."""

from __future__ import annotations

import pytest

from happysim import Choice, Kind, Property, World
from properties import raft as right
from properties.broken import (
    raft,
    raft_elections,
    raft_membership,
    raft_reads,
    raft_snapshots,
    raft_transfer,
)
from tests.quality.bugs import assert_keeps, counterexample, listed, scenario_name, steps

# Deliveries between servers, and their timers, from the servers' start to the violation. What the
# clients ask and are told, and crashes, come on top.
STEPS = {
    raft.same_term_double_vote: 7,  # two stand, one is elected and heard of, its voter votes again
    raft.stale_tail_counted: 8,  # two elections of three steps, a request and its reply
    raft.stale_tail_counted_and_lost: 11,  # and a third election
    raft.late_reply_counted: 26,  # four elections among five servers
    raft.anothers_result: 10,  # as in stale_tail_counted, and the follower learns what is committed
    raft.command_dropped: 0,
    raft.no_timer_after_stepping_down: 5,
    raft.no_timer_after_a_restart: 1,
    raft.one_server_never_commits: 1,
    raft.vote_lost_in_a_crash: 6,  # two stand, and both get the same vote
    raft.entry_lost_in_a_crash: 5,  # an election, a request and its reply
    raft.old_entry_committed: 18,  # figure 8: four elections, and a reply that was refused
    raft.old_entry_applied: 22,
    # An election by pre-vote of five steps, and n3 times out twice.
    raft_elections.pre_vote_begins_a_term: 9,
    raft_elections.a_leader_that_works_is_deposed: 11,  # n1 itself advises n3 to stand
    raft_elections.another_is_elected_beside_a_leader_that_works: 7,
    raft_snapshots.a_command_is_applied_twice: 2,  # the server leads, and leads again
    raft_snapshots.confirmed_entries_are_thrown_away: 8,
    raft_snapshots.an_older_snapshot_is_taken: 9,
    raft_membership.majorities_are_disjoint: 19,  # three elections, of 4 and 5 servers
    raft_membership.a_committed_change_is_lost: 19,
    raft_membership.an_old_majority_elects_a_leader: 12,
    raft_membership.two_clusters_decide: 8,  # two elections, and a no-op between
    raft_membership.who_was_removed_deposes_the_leader: 10,
    raft_membership.who_asked_for_a_change_waits_for_ever: 16,  # two elections
    raft_membership.the_old_half_elects_another: 12,
    raft_membership.the_new_half_goes_on_alone: 14,
    raft_transfer.two_successors_lead: 9,  # n2 by the order, and n3 by the votes of n1 and n3
    raft_reads.a_deposed_leader_answers: 11,
    raft_reads.an_old_answer_confirms_a_read: 12,
    raft_reads.a_new_leader_misses_a_write: 10,
}
MODULES = (raft, raft_elections, raft_snapshots, raft_membership, raft_transfer, raft_reads)
# What a variant does not break, so that it is caught for its own mistake.
KEPT = {
    raft.same_term_double_vote: (right.terms_only_grow, right.who_does_not_lead_will_stand),
    raft.stale_tail_counted: (right.election_safety, right.log_matching, right.one_vote_a_term),
    raft.late_reply_counted: (right.election_safety, right.log_matching, right.one_vote_a_term),
    raft.anothers_result: (right.election_safety, right.leader_completeness, right.log_matching),
    raft.command_dropped: right.THEOREMS,
    raft.no_timer_after_stepping_down: (right.election_safety, right.one_vote_a_term),
    raft.no_timer_after_a_restart: (right.election_safety, right.one_vote_a_term),
    raft.one_server_never_commits: right.THEOREMS,
    raft_membership.who_asked_for_a_change_waits_for_ever: (
        right.election_safety,
        right.log_matching,
    ),
    raft.vote_lost_in_a_crash: (right.log_matching, right.leader_append_only),
    raft.old_entry_committed: (right.election_safety, right.log_matching, right.one_vote_a_term),
}


def begun_with(prop: Property, monkeypatch: pytest.MonkeyPatch) -> list[Choice]:
    """The choices that the scenario itself takes, from the servers' start."""
    taken: list[Choice] = []
    step = World.step

    def noted(world: World, choice: Choice) -> World:
        taken.append(choice)
        return step(world, choice)

    with monkeypatch.context() as patched:
        patched.setattr(World, "step", noted)
        prop.scenario.function()
    return taken


def is_between_servers(step: Choice) -> bool:
    """True for a timer, and for a message between servers."""
    return step.kind is Kind.FIRE or (step.source.startswith("n") and step.node.startswith("n"))


def test_every_mistake_has_a_length() -> None:
    assert listed(*MODULES) == list(STEPS)


@pytest.mark.parametrize("bug", STEPS, ids=scenario_name)
def test_the_mistake_is_caught_and_shrinks(bug: Property, monkeypatch: pytest.MonkeyPatch) -> None:
    schedule = [*begun_with(bug, monkeypatch), *counterexample(bug)]
    found = [choice for choice in steps(schedule) if is_between_servers(choice)]
    assert len(found) <= STEPS[bug], found


@pytest.mark.parametrize("bug", KEPT, ids=scenario_name)
def test_the_variant_makes_no_other_mistake(bug: Property) -> None:
    assert_keeps(bug, KEPT[bug])
