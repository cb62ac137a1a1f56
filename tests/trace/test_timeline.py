"""The picture of a run on its time axis: what it shows, and when it cannot be drawn."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from happysim import Crash, Partition, Pause, Simulation, at
from happysim.search.schedule import Run, follow
from happysim.spec.scenario import scenario_of
from happysim.trace.timeline import PlotError, plot, timeline
from tests.sim.models import ticking


def run() -> Run:
    faults = [
        at(1.5, Crash("n1"), lasting=1.0),
        at(3.5, Pause("n1"), lasting=0.25),
        at(4.5, Partition(["source"], ["n1"])),
    ]
    simulation = Simulation(ticking(), faults=faults, trace=True).run(10)
    (world,) = scenario_of(ticking()).loosened().worlds.values()
    return follow(world, simulation.schedule)


def test_a_timeline_has_messages_and_spans_at_their_times() -> None:
    made = timeline(run())
    assert made.is_timed
    assert [lane.name for lane in made.lanes] == ["source", "n1"]
    assert made.lanes[1].down == [(1.5, 2.5)]
    assert made.lanes[1].still == [(3.5, 3.75)]
    assert made.messages == [(at_, 0, at_ + 0.01, 1) for at_ in (1.0, 3.0, 4.0)]
    assert [time for time, _ in made.environment] == [4.5]


def test_a_run_without_times_is_drawn_by_its_steps() -> None:
    found = follow(ticking(), ["fire source next", "deliver source -> n1 Tick(number=1)"])
    made = timeline(found)
    assert not made.is_timed
    assert made.messages == [(1, 0, 2, 1)]


def test_a_plot_is_the_same_file_each_time(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    for name in ("one.svg", "two.svg"):
        plot(run(), tmp_path / name, title="ticks")
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


def test_what_cannot_be_drawn_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(PlotError, match="pip install matplotlib"):
        plot(run(), tmp_path / "p.png")
    monkeypatch.undo()
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    with pytest.raises(PlotError, match="cannot be drawn"):
        plot(run(), tmp_path / "no" / "p.png")
    with pytest.raises(PlotError, match="cannot be drawn"):
        plot(run(), tmp_path / "p.unknown")
