"""Hundreds of random protocols: a solver and an exhaustive search say the same of every one."""

from __future__ import annotations

import sys

import pytest

from happysim import Broken, Verdict, bfs, explore, smt
from tests.smt.random_protocols import all_pairs, properties

NETWORKS = ("unordered", "duplicating")
FIRST = 2_000
# So much work a property: what takes longer is left undecided, on every machine the same.
EFFORT = 10_000_000


def disagreements(seed: int, network: str) -> tuple[list[str], int, int]:
    """Where the two differ, how many properties the solver decides, and how many have a run."""
    judged = (properties if seed % 4 == 0 else all_pairs)(seed, network)
    searched = explore(judged[0].scenario, *judged, by=bfs())
    solved = explore(judged[0].scenario, *judged, by=smt(effort=EFFORT))
    raises = any(v.broken for prop, v in searched.verdicts.items() if prop not in judged)
    wrong, decided, runs = [], 0, 0
    for prop in judged:
        verdict, expected = solved[prop], searched[prop]
        if verdict.unknown or (expected.unknown and raises):
            continue
        decided += 1
        runs += length(verdict) is not None
        if type(verdict) is not type(expected) or is_longer(verdict, expected):
            wrong.append(f"{network} {seed} {prop.name}: {verdict}, and not {expected}")
    return wrong, decided, runs


def length(verdict: Verdict) -> int | None:
    schedule = getattr(verdict, "schedule", None)
    return None if schedule is None else len(schedule)


def is_longer(verdict: Verdict, expected: Verdict) -> bool:
    claims = isinstance(verdict, Broken) and verdict.shortest
    return claims and length(verdict) != length(expected)


def compared(monkeypatch: pytest.MonkeyPatch, seeds: range) -> tuple[int, int]:
    """How much the solver decides of these protocols, and of how many it has a run.

    For each other protocol its formulas of short runs decide, not that of all; and never a search.
    """
    monkeypatch.setattr(sys.modules["happysim.smt.prove"]._Prover, "_searched", lambda *_: None)
    goal = sys.modules["happysim.smt.goal"]
    wrong, decided, runs = [], 0, 0
    for seed in seeds:
        with monkeypatch.context() as patch:
            if seed % 2:
                patch.setattr(goal, "_EFFORT_WHOLE", 1)
                patch.setattr(goal, "_EFFORT_SHORT", 1_000_000)
                patch.setattr(goal, "_FACTOR", 10**8)
            for network in NETWORKS:
                found = disagreements(seed, network)
                wrong, decided, runs = wrong + found[0], decided + found[1], runs + found[2]
    assert wrong == []
    return decided, runs


def test_random_protocols_are_judged_as_by_exhaustive_search(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decided, runs = compared(monkeypatch, range(FIRST + 3, FIRST + 14))
    assert decided >= 70
    assert runs >= 20


@pytest.mark.slow
def test_five_hundred_random_protocols_are_judged_as_by_exhaustive_search(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decided, runs = compared(monkeypatch, range(FIRST, FIRST + 500))
    assert decided >= 3_700
    assert runs >= 1_100
