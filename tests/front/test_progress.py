"""The line that tells how far a search is."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from happysim.front import progress
from happysim.front.progress import Progress
from happysim.kernel.contract import Exploration


class Clock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(progress.time, "perf_counter", made)
    return made


def told(console: Console, clock: Clock, *seconds: float) -> list[str]:
    """What the line says after looking at these times, without repetitions."""
    found: list[str] = []
    with Progress(console, "two_clients()") as line:
        for now in seconds:
            clock.seconds = 100.0 + now
            line(Exploration(worlds=int(1000 * now), steps=int(4000 * now), depth=7))
            text = str(line.status.status) if line.status else ""
            if text not in found:
                found.append(text)
    return found


def test_it_says_nothing_where_the_output_is_no_terminal(clock: Clock) -> None:
    out = io.StringIO()
    assert told(Console(file=out, force_terminal=False), clock, 1, 2) == [""]
    assert out.getvalue() == ""


def test_it_tells_worlds_speed_depth_memory_and_time(clock: Clock) -> None:
    console = Console(file=io.StringIO(), force_terminal=True)
    first, second = told(console, clock, 2, 12)
    assert first.startswith("two_clients(): 2,000 worlds, 4,000 steps/s, depth 7, ")
    assert first.endswith(" MiB, 2 s")
    assert second.startswith("two_clients(): 12,000 worlds, 4,000 steps/s, depth 7, ")


def test_it_is_told_anew_five_times_a_second_at_the_most(clock: Clock) -> None:
    console = Console(file=io.StringIO(), force_terminal=True)
    lines = told(console, clock, 0.1, 0.19, 0.3, 0.4, 0.45, 0.9)
    assert [line.partition(" worlds")[0] for line in lines] == [
        "two_clients()",
        "two_clients(): 300",
        "two_clients(): 900",
    ]
