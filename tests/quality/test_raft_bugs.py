"""Each wrong Raft is caught within seconds, by a counterexample of a stated length."""

from __future__ import annotations

import pytest

from happysim import Choice, Kind, Property, World, check
from happysim.search.shrink import shrink
from properties import raft as right
from properties.broken import (
    raft,
    raft_elections,
    raft_membership,
    raft_reads,
    raft_snapshots,
    raft_transfer,
)

# Deliveries between servers, and their timers, from the servers' start to the violation. What the
# clients ask and are told, and crashes, come on top.
STEPS = {
    "same_term_double_vote": 7,  # two stand, one is elected and heard of, its voter votes again
    "stale_tail_counted": 8,  # two elections of three steps, a request and its reply
    "stale_tail_counted_and_lost": 11,  # and a third election
    "late_reply_counted": 26,  # four elections among five servers
    "anothers_result": 10,  # as in stale_tail_counted, and the follower learns what is committed
    "command_dropped": 0,
    "no_timer_after_stepping_down": 5,
    "no_timer_after_a_restart": 1,
    "one_server_never_commits": 1,
    "vote_lost_in_a_crash": 6,  # two stand, and both get the same vote
    "entry_lost_in_a_crash": 5,  # an election, a request and its reply
    "old_entry_committed": 18,  # figure 8: four elections, and a reply that was refused
    "old_entry_applied": 22,
    "pre_vote_begins_a_term": 9,  # an election by pre-vote of five steps, and n3 times out twice
    "a_leader_that_works_is_deposed": 11,  # n1 itself advises n3 to stand
    "another_is_elected_beside_a_leader_that_works": 7,
    "a_command_is_applied_twice": 2,  # the server leads, and leads again
    "confirmed_entries_are_thrown_away": 8,
    "an_older_snapshot_is_taken": 9,
    "majorities_are_disjoint": 19,  # three elections, of 4 and 5 servers
    "a_committed_change_is_lost": 19,
    "an_old_majority_elects_a_leader": 12,
    "two_clusters_decide": 8,  # two elections, and a no-op between
    "who_was_removed_deposes_the_leader": 10,
    "the_old_half_elects_another": 12,
    "the_new_half_goes_on_alone": 14,
    "two_successors_lead": 9,  # n2 by the order, and n3 by the votes of n1 and n3
    "a_deposed_leader_answers": 11,
    "an_old_answer_confirms_a_read": 12,
    "a_new_leader_misses_a_write": 10,
}
MODULES = (raft, raft_elections, raft_snapshots, raft_membership, raft_transfer, raft_reads)
FOUND = {
    name: each
    for module in MODULES
    for name, each in vars(module).items()
    if getattr(each, "must_break", False)
}
# What a variant does not break, so that it is caught for its own mistake.
KEPT = {
    "same_term_double_vote": (right.terms_only_grow, right.who_does_not_lead_will_stand),
    "stale_tail_counted": (right.election_safety, right.log_matching, right.one_vote_a_term),
    "late_reply_counted": (right.election_safety, right.log_matching, right.one_vote_a_term),
    "anothers_result": (right.election_safety, right.leader_completeness, right.log_matching),
    "command_dropped": right.THEOREMS,
    "no_timer_after_stepping_down": (right.election_safety, right.one_vote_a_term),
    "no_timer_after_a_restart": (right.election_safety, right.one_vote_a_term),
    "one_server_never_commits": right.THEOREMS,
    "vote_lost_in_a_crash": (right.log_matching, right.leader_append_only),
    "old_entry_committed": (right.election_safety, right.log_matching, right.one_vote_a_term),
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


def is_step(choice: Choice) -> bool:
    """True for a timer, and for a message between servers."""
    between = choice.source.startswith("n") and choice.node.startswith("n")
    return choice.kind is Kind.FIRE or (choice.kind is Kind.DELIVER and between)


def test_every_mistake_has_a_length() -> None:
    assert list(FOUND) == list(STEPS)


@pytest.mark.parametrize("name", STEPS)
def test_the_mistake_is_caught_and_shrinks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    prop = FOUND[name]
    verdict = check(prop, seconds=10)
    assert verdict.broken, verdict
    schedule = [*begun_with(prop, monkeypatch), *shrink(verdict).schedule]
    assert sum(map(is_step, schedule)) <= STEPS[name], "\n".join(map(str, schedule))


@pytest.mark.parametrize("name", KEPT)
def test_the_variant_makes_no_other_mistake(name: str) -> None:
    for kept in KEPT[name]:
        verdict = check(kept.over(FOUND[name].scenario), max_worlds=10_000)
        assert not verdict.broken, verdict
