"""Every protocol of the library, many runs in virtual time: crashes, cuts, losses, wrong clocks.

The scenarios under load are in `properties/<protocol>_in_time.py`, and in those named after loads;
each file's own test makes few runs of them. Here are a thousand of each, under `make soak`; the
environment variable SOAK_RUNS says how many. `pytest -m slow -s tests/quality/test_soak.py` shows
what was done.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from importlib import import_module

import pytest

from happysim import Report, explore
from happysim.front.collect import properties_in
from happysim.search.check import group_by_scenario
from happysim.sim.swarm import Swarm

RUNS = int(os.environ.get("SOAK_RUNS", "1000"))

# Protocols by the file that has them under load.
LOADS = {
    "paxos": "paxos_in_time",
    "multi-paxos": "multi_paxos_in_time",
    "flexible paxos": "flexible_paxos_in_time",
    "raft": "raft_under_load",
    "raft in full": "raft_changes_under_load",
    "election": "election_in_time",
    "lock": "lock_in_time",
    "replicated lock": "replicated_lock",
    "swim": "swim_in_time",
    "phi accrual": "phi_accrual_in_time",
    "primary-backup": "primary_backup_in_time",
    "chain": "chain_in_time",
    "craq": "craq_in_time",
    "multi-leader": "multi_leader_in_time",
    "crdt": "crdt_in_time",
}


def soak(protocol: str, runs: int) -> list[Report]:
    """So many runs of each scenario of a protocol that is drawn from a swarm."""
    properties = list(properties_in(import_module(f"properties.{LOADS[protocol]}")))
    reports = []
    for scenario, group in group_by_scenario(properties):
        policy = scenario.bounds.by
        # A scenario with arguments given is there for a `reachable` of its own.
        if isinstance(policy, Swarm) and not scenario.arguments:
            by = replace(policy, runs=runs, keep_going=True)
            reports.append(explore(scenario, *group, by=by))
    return reports


def broken(reports: list[Report]) -> list[str]:
    """What went wrong: the property, what it said, and in which run."""
    return [
        f"{prop.name}: {verdict.reason} ({' '.join(verdict.notes)})"
        for report in reports
        for prop, verdict in report.verdicts.items()
        if verdict.broken
    ]


@pytest.mark.slow
@pytest.mark.parametrize("protocol", LOADS)
def test_a_thousand_runs_break_nothing(protocol: str) -> None:
    reports = soak(protocol, RUNS)
    for report in reports:
        sys.stdout.write(
            f"{protocol}, {report.scenario}: {report.depth:,} runs, "
            f"{report.handler_calls:,} handler calls, {report.seconds:,.0f} s\n"
        )
    assert broken(reports) == []
    assert all(report.warnings == () for report in reports)


@pytest.mark.parametrize("protocol", LOADS)
def test_a_few_runs_break_nothing_and_judge_everything(protocol: str) -> None:
    reports = soak(protocol, 4)
    assert reports
    assert broken(reports) == []
    assert all(report.handler_calls > 0 and report.warnings == () for report in reports)
