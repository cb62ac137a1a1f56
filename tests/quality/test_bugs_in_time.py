"""Wrong protocols under load are caught in virtual time, within a few runs each.

It keeps the long runs honest: what breaks nothing in a thousand runs has something to break.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest

from happysim import explore
from happysim.front.collect import properties_in
from happysim.protocols.phi_accrual import PhiAccrualDetector
from happysim.search.check import group_by_scenario
from happysim.sim.swarm import Swarm
from happysim.spec.property import Sort
from properties import phi_accrual_in_time
from properties.broken import (
    chain,
    craq,
    election,
    multi_leader,
    multi_paxos,
    paxos,
    phi_accrual,
    primary_backup,
    raft_membership,
    raft_snapshots,
    swim,
)
from tests.quality.bugs import variants

NS = phi_accrual_in_time.NS


class WatcherThatGoesBack(phi_accrual_in_time.Watcher):
    """Its detectors take an older heartbeat for the last."""

    def detector(self) -> PhiAccrualDetector:
        return phi_accrual.GoesBack(first_interval=NS // 5, min_deviation=NS // 20, window=10)


# The load under which the wrong variants of a file are looked for, and the argument they are.
LOADS: dict[str, str] = {
    "paxos": "paxos_in_time",
    "multi_paxos": "multi_paxos_in_time",
    "flexible_paxos": "flexible_paxos_in_time",
    "election": "election_in_time",
    "swim": "swim_in_time",
    "primary_backup": "primary_backup_in_time",
    "chain": "chain_in_time",
    "craq": "craq_in_time",
    "multi_leader": "multi_leader_in_time",
    "raft_membership": "raft_changes_under_load",
    "raft_reads": "raft_changes_under_load",
    "raft_snapshots": "raft_changes_under_load",
    "raft_transfer": "raft_changes_under_load",
}
# Runs within which some property catches a mistake; the first that does is the last.
RUNS = 1000
# Those that a few runs catch, one or two of a file; the slow test looks for all the others.
QUICK: list[tuple[str, Any]] = [
    ("paxos", paxos.InsistsOnItsValue),
    ("paxos", paxos.HalfIsEnough),
    ("multi_paxos", multi_paxos.FillsTheNextSlot),
    ("election", election.TakesAnyVictory),
    ("swim", swim.RefutesForOthers),
    ("swim", swim.TakesTheLastWord),
    ("primary_backup", primary_backup.AppliesInOrderOfArrival),
    ("primary_backup", primary_backup.ServesBeforeItsViewIsSettled),
    ("chain", chain.PassesOnWhatACrashCanTake),
    ("chain", chain.AnswersBeforeItHasJoined),
    ("craq", craq.KeepsDirtyKeys),
    ("multi_leader", multi_leader.AnswersFromThePast),
    ("raft_membership", raft_membership.ChangesManyVotes),
    ("raft_snapshots", raft_snapshots.ForgetsWhatItAnswered),
]
# Not looked for so: what they take is rare, or ruled out by the load, and a search finds it.
ELUSIVE = {
    "AcceptsWithoutPromising": "a vote for a ballot never promised, and then a lower one",
    "LeavesGaps": "a slot behind a gap is accepted by a minority whose leader fails",
    "TakesAnyQuorums": "the load has quorums that meet",
    "PingsTheDelegate": "it condemns the living, as rough weather does",
    "MissesItsAcks": "it condemns the living, as rough weather does",
    "BuriesAtOnce": "it condemns the living, as rough weather does",
    "JudgesTooEarly": "it condemns the living, as rough weather does",
    "TrustsItsDisk": "a tail is down, taken out, and back before it is told",
    "SaysWhatItHasHeard": "who is asked is the tail, but for a moment",
    "ListensToAnybody": "who is deposed by a server that was removed leads again soon",
    "ForgetsWhoAsked": "its client asks again, and is answered",
    "CountsAnyAnswer": "a leader is cut off, and one answer from before the read is late",
    "KnowsNothingYet": "a leader that has committed nothing in its term is asked to read",
    "ThrowsAwayItsLog": "a snapshot comes late to a server whose log goes on behind it",
}
# Caught by a search: a load takes servers alone, and these are of masters, view services and
# strategies; or its properties ask a server what only a live one can say.
NOT_LOADED = {
    "TakesAnySealForEnough",
    "TakesTheFirstToAnswer",
    "LeavesNobodyWithTheState",
    "CountsTermsUp",
    "NeverTakesOver",
    "IsContentWithHalf",
    "CountsOldVotes",
    "WaitsForTheDead",
    "ChecksThenReads",
}


def mistakes() -> list[tuple[str, Any]]:
    """Every wrong variant of those files, but for the elusive ones."""
    return [
        (where, each)
        for where in LOADS
        for name, each in variants(import_module(f"properties.broken.{where}")).items()
        if name not in ELUSIVE and name not in NOT_LOADED
    ]


def is_caught(load: str, mistake: Any) -> bool:
    """Whether properties of a load catch a mistake, by the scenarios that have it, in turn."""
    properties = list(properties_in(import_module(f"properties.{load}")))
    for scenario, group in group_by_scenario(properties):
        policy = scenario.bounds.by
        if scenario.arguments or not isinstance(policy, Swarm):
            continue
        wrong = replace(scenario, arguments=(("kind", mistake),))
        judged = [
            replace(each, scenario=wrong) for each in group if each.sort is not Sort.REACHABLE
        ]
        report = explore(wrong, *judged, by=replace(policy, runs=RUNS))
        if any(verdict.broken for verdict in report.verdicts.values()):
            return True
    return False


def test_what_is_passed_over_is_there() -> None:
    modules = [import_module(f"properties.broken.{where}") for where in LOADS]
    assert {*ELUSIVE, *NOT_LOADED} <= {name for each in modules for name in vars(each)}


@pytest.mark.parametrize(("where", "mistake"), QUICK)
def test_a_mistake_is_caught_under_load(where: str, mistake: Any) -> None:
    assert is_caught(LOADS[where], mistake)


def test_a_detector_that_goes_back_is_caught() -> None:
    assert is_caught("phi_accrual_in_time", WatcherThatGoesBack)


@pytest.mark.slow
@pytest.mark.parametrize(("where", "mistake"), [each for each in mistakes() if each not in QUICK])
def test_any_mistake_is_caught_in_a_thousand_runs(where: str, mistake: Any) -> None:
    assert is_caught(LOADS[where], mistake)
