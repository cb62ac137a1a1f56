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
    swim,
)

NS = phi_accrual_in_time.NS


class WatcherThatGoesBack(phi_accrual_in_time.Watcher):
    """Its detectors take an older heartbeat for the last."""

    def detector(self) -> PhiAccrualDetector:
        return phi_accrual.GoesBack(first_interval=NS // 5, min_deviation=NS // 20, window=10)


# Runs within which some property catches the mistake; the first that does is the last.
RUNS = 60
# The load, and the mistake.
CAUGHT: list[tuple[str, Any]] = [
    ("paxos", paxos.InsistsOnItsValue),
    ("paxos", paxos.HalfIsEnough),
    ("multi_paxos", multi_paxos.IgnoresReports),
    ("multi_paxos", multi_paxos.FillsTheNextSlot),
    ("election", election.TakesAnyVictory),
    ("swim", swim.RefutesForOthers),
    ("swim", swim.TakesTheLastWord),
    ("phi_accrual", WatcherThatGoesBack),
    ("primary_backup", primary_backup.AppliesInOrderOfArrival),
    ("primary_backup", primary_backup.ServesBeforeItsViewIsSettled),
    ("chain", chain.PassesOnWhatACrashCanTake),
    ("chain", chain.AnswersBeforeItHasJoined),
    ("craq", craq.KeepsDirtyKeys),
    ("multi_leader", multi_leader.WritesInMemory),
    ("multi_leader", multi_leader.AnswersFromThePast),
]


@pytest.mark.parametrize(("load", "mistake"), CAUGHT)
def test_a_mistake_is_caught_under_load(load: str, mistake: Any) -> None:
    properties = list(properties_in(import_module(f"properties.{load}_in_time")))
    scenario = replace(properties[0].scenario, arguments=(("kind", mistake),))
    judged = [
        replace(each, scenario=scenario)
        for each in properties
        if each.scenario == properties[0].scenario
    ]
    report = explore(scenario, *judged, by=replace(scenario.bounds.by, runs=RUNS))
    assert any(verdict.broken for verdict in report.verdicts.values())
