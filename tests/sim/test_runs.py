"""Many runs: the same results in the same order, however many processes make them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from happysim import Broken, HappysimError, Property, Unknown, explore, simulated, swarm
from happysim.sim.runs import results
from properties.broken.lock import TakesAnyRelease
from properties.lock_in_time import (
    every_worker_gets_done,
    lock_under_load,
    only_time_takes_a_lock_from_its_holder,
)
from tests.sim.clubs import a_majority_meets, club, nobody_greets_for_ever, nobody_greets_long

ROOT = Path(__file__).parents[2]


def told(workers: int) -> list[Any]:
    """All that a swarm says of a lock service with a mistake."""
    caught: Property = only_time_takes_a_lock_from_its_holder.over(
        lock_under_load, server=TakesAnyRelease
    )
    other = every_worker_gets_done.over(lock_under_load, server=TakesAnyRelease)
    policy = swarm(seed=4, runs=20, until=15.0, workers=workers, arguments={"workers": (1, 2, 3)})
    report = explore(caught.scenario, caught, other, by=policy)
    verdict = report[caught]
    assert isinstance(verdict, Broken)
    assert verdict.schedule is not None
    steps = [f"{choice} at {choice.at}" for choice in verdict.schedule]
    counts = [report.depth, report.handler_calls, report.evaluations]
    return [*steps, verdict.reason, *verdict.notes, str(report[other]), *counts]


def test_the_number_of_workers_changes_no_result() -> None:
    assert told(1) == told(2) == told(4)


def test_the_hash_seed_changes_no_result() -> None:
    program = "from tests.sim.test_runs import told; print(*told(1), sep='\\n')"
    said = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert said == {"\n".join(map(str, told(2))) + "\n"}


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_the_first_failure_is_the_last_run(workers: int) -> None:
    policy = simulated(runs=40, until=5.0, workers=workers)
    report = explore(club, nobody_greets_long, nobody_greets_for_ever, by=policy)
    assert report.depth == 1
    assert report[nobody_greets_long].broken
    unknown = report[nobody_greets_for_ever]
    assert isinstance(unknown, Unknown)
    assert unknown.reason == "no violation in 1 simulated run; nobody_greets_long was broken then"


@pytest.mark.parametrize("workers", [1, 2])
def test_who_keeps_going_learns_the_first_run_of_each_failure(workers: int) -> None:
    policy = swarm(runs=9, until=1.0, calm=1.0, workers=workers, keep_going=True, menu=())
    impossible = a_majority_meets.over(club, name="impossible", needed=3)
    again = a_majority_meets.over(club, name="again", needed=3)
    report = explore(impossible.scenario, impossible, again, by=policy)
    assert report.depth == 9
    for prop in (impossible, again):
        verdict = report[prop]
        assert isinstance(verdict, Broken)
        assert verdict.notes[0].startswith("run 0, seed 0")


@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupt_gives_the_verdict_of_the_runs_so_far(workers: int) -> None:
    def interrupt(so_far: Any) -> None:
        if so_far.depth == 3:
            os.kill(os.getpid(), signal.SIGINT)

    policy = simulated(runs=400, until=1.0, workers=workers)
    report = explore(club, nobody_greets_long, by=policy, progress=interrupt)
    verdict = report[nobody_greets_long]
    assert isinstance(verdict, Unknown)
    assert verdict.reason == "no violation in 3 simulated runs; interrupted"
    assert (report.depth, report.stopped) == (3, "interrupt")


def test_what_a_run_raises_is_raised_in_its_turn() -> None:
    def job(number: int) -> int:
        if number == 5:
            raise ZeroDivisionError(f"run {number}")
        return number

    for workers in (1, 2):
        with results(job, 9, workers) as found:
            assert [next(found) for _ in range(5)] == [0, 1, 2, 3, 4]
            with pytest.raises(ZeroDivisionError, match="run 5"):
                next(found)


def test_a_worker_that_was_killed_is_an_error_of_ours() -> None:
    parent = os.getpid()

    def job(number: int) -> int:
        if number == 4 and os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    with pytest.raises(HappysimError, match="run 4 was killed"), results(job, 9, 2) as found:
        list(found)
