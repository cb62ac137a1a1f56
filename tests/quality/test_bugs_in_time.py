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


# The load, the mistake, and the runs within which some property catches it.
CAUGHT: list[tuple[str, Any, int]] = [
    ("paxos", paxos.InsistsOnItsValue, 5),
    ("paxos", paxos.HalfIsEnough, 17),
    ("multi_paxos", multi_paxos.IgnoresReports, 25),
    ("multi_paxos", multi_paxos.FillsTheNextSlot, 25),
    ("election", election.TakesAnyVictory, 4),
    ("swim", swim.RefutesForOthers, 8),
    ("swim", swim.TakesTheLastWord, 2),
    ("phi_accrual", WatcherThatGoesBack, 8),
    ("primary_backup", primary_backup.AppliesInOrderOfArrival, 1),
    ("primary_backup", primary_backup.ServesBeforeItsViewIsSettled, 60),
    ("chain", chain.PassesOnWhatACrashCanTake, 21),
    ("chain", chain.AnswersBeforeItHasJoined, 6),
    ("craq", craq.KeepsDirtyKeys, 3),
    ("multi_leader", multi_leader.WritesInMemory, 8),
    ("multi_leader", multi_leader.AnswersFromThePast, 11),
]


@pytest.mark.parametrize(("load", "mistake", "runs"), CAUGHT)
def test_a_mistake_is_caught_under_load(load: str, mistake: Any, runs: int) -> None:
    properties = list(properties_in(import_module(f"properties.{load}_in_time")))
    scenario = replace(properties[0].scenario, arguments=(("kind", mistake),))
    judged = [
        replace(each, scenario=scenario)
        for each in properties
        if each.scenario == properties[0].scenario
    ]
    report = explore(scenario, *judged, by=replace(scenario.bounds.by, runs=runs))
    assert any(verdict.broken for verdict in report.verdicts.values())
