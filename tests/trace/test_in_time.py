"""A timed trace happens in time as it was recorded; another says why it cannot."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from happysim import Broken, check, swarm
from happysim.spec.property import Sort
from happysim.trace.format import Trace, TraceError, dumps, loads, read
from happysim.trace.in_time import replay_trace
from happysim.trace.replay import trace_of
from properties.broken.primary_backup import two_copies_differ
from properties.broken.raft import same_term_double_vote
from properties.broken.raft_in_time import a_read_by_lease_is_stale

ROOT = Path(__file__).resolve().parents[2]


def timed() -> list[Path]:
    """The saved traces in which every choice has its time."""
    found = []
    for path in sorted(ROOT.glob("traces/*/*.trace")):
        steps = read(path).steps
        if steps and all(step.at is not None for step in steps):
            found.append(path)
    return found


# In these the network itself is wrong: what happened cannot happen on one that is right.
IMPOSSIBLE = {"a_message_crosses_a_partition", "one_end_heals_another_partition"}


@pytest.mark.parametrize("path", timed(), ids=lambda path: path.stem)
def test_a_saved_trace_happens_in_time(path: Path) -> None:
    trace = read(path)
    if trace.prop.partition(":")[2] in IMPOSSIBLE:
        with pytest.raises(TraceError, match="no such message is on its way from sender to"):
            replay_trace(trace, ROOT)
        return
    replayed = replay_trace(trace, ROOT)
    assert replayed.broken
    assert [str(choice) for choice in replayed.run.schedule] == list(trace.schedule)
    if replayed.prop.sort is not Sort.EVENTUALLY:
        assert replayed.reason.split() == trace.reason.split()


def test_both_sorts_of_saved_traces_are_there() -> None:
    sorts = {replay_trace(read(path), ROOT).prop.sort for path in timed() if "elect" in str(path)}
    assert Sort.EVENTUALLY in sorts
    assert any(path.stem.partition("--")[0] in IMPOSSIBLE for path in timed())


def recorded(prop: Any, **options: Any) -> Trace:
    verdict = check(prop, **options)
    assert isinstance(verdict, Broken)
    return loads(dumps(trace_of(verdict)))


@pytest.mark.parametrize(
    ("prop", "options"),
    [
        (a_read_by_lease_is_stale, {}),
        (same_term_double_vote, {"by": swarm(seed=1, runs=30, until=8.0)}),
        (two_copies_differ, {"by": swarm(seed=1, runs=30, until=8.0)}),
    ],
)
def test_what_a_simulation_found_happens_in_time(prop: Any, options: Any) -> None:
    trace = recorded(prop, **options)
    replayed = replay_trace(trace, ROOT)
    assert replayed.broken
    assert replayed.reason.split() == trace.reason.split()
    assert replayed.run.now == trace.steps[-1].at


def test_a_trace_without_times_says_so_by_line() -> None:
    path = next(iter(sorted(ROOT.glob("traces/lock/a_stale_write*"))))
    with pytest.raises(TraceError, match=r"line 27: `act w1 ask` has no time.*happysim realise"):
        replay_trace(read(path), ROOT)


def test_a_choice_that_cannot_happen_then_is_told_with_its_trace() -> None:
    trace = next(read(path) for path in timed() if "nothing_arrives" in path.name)
    steps = list(trace.steps)
    steps[1] = replace(steps[1], at=steps[0].at + 7)
    early = replace(trace, steps=tuple(steps), source="early.trace")
    with pytest.raises(TraceError, match=r"early\.trace: choice 2 at 1\.000000007 s, .* left"):
        replay_trace(early, ROOT)
    assert replay_trace(early, ROOT, timers={"tick": (0, None)}).run.schedule[1].at == steps[1].at
    dance = replace(trace, steps=(replace(steps[0], choice="dance n1"), *steps[1:]))
    with pytest.raises(TraceError, match="`dance n1` is no choice"):
        replay_trace(dance, ROOT)
