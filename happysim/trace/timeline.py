"""Timeline: a run on its time axis, as a picture file. Needs matplotlib.

A lane a node, time to the right. A message is a line from where it was sent to where it arrived. A
node that is down is grey, one that stands still purple; one that leads, where the class has a field
`role` or a property `is_leader`, is golden. A run without times is drawn by its steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from happysim.core.choice import Choice, Kind
from happysim.core.errors import HappysimError
from happysim.core.world import World
from happysim.search.schedule import Run
from happysim.sim.agenda import NS
from happysim.trace.changes import sent_at

_INCHES_A_LANE, _WIDTH = 0.6, 12.0
# Beyond so many messages they are drawn thin.
_MANY = 300


class PlotError(HappysimError):
    """A picture that cannot be made; the message says why, and what to do."""


@dataclass
class Lane:
    """What one process did: spans of being down, still or leading, and moments by kind."""

    name: str
    down: list[tuple[float, float]] = field(default_factory=list)
    still: list[tuple[float, float]] = field(default_factory=list)
    leads: list[tuple[float, float]] = field(default_factory=list)
    moments: dict[Kind, list[float]] = field(default_factory=dict)


@dataclass
class Timeline:
    """A run as lanes, messages (time and lane of both ends) and what befell the network."""

    lanes: list[Lane]
    messages: list[tuple[float, int, float, int]]
    environment: list[tuple[float, str]]
    end: float
    is_timed: bool


def timeline(run: Run) -> Timeline:
    """What a picture of a run shows."""
    first = run.worlds[0]
    names = list(first.tables.names)
    lanes = [Lane(name) for name in names]
    is_timed = any(choice.at is not None for choice in run.schedule)
    times = _times(run.schedule, is_timed)
    end = max(times[-1] if times else 0.0, 1e-9)
    made = Timeline(lanes, [], [], end, is_timed)
    places = {name: at for at, name in enumerate(names)}
    for number, (choice, sent) in enumerate(zip(run.schedule, sent_at(run), strict=True)):
        time = times[number]
        lane = places.get(choice.node)
        if lane is None:
            made.environment.append((time, str(choice)))
            continue
        if choice.kind is Kind.DELIVER and choice.source in places:
            begin = 0.0 if not sent else times[sent - 1]
            made.messages.append((begin, places[choice.source], time, lane))
        elif choice.kind is not Kind.DELIVER:
            lanes[lane].moments.setdefault(choice.kind, []).append(time)
    for at, name in enumerate(names):
        lanes[at].down = _spans(run, times, end, lambda world, name=name: _is_down(world, name))
        lanes[at].leads = _spans(run, times, end, lambda world, name=name: _leads(world, name))
        lanes[at].still = _still(run.schedule, times, end, name)
    return made


def _times(schedule: Sequence[Choice], is_timed: bool) -> list[float]:
    times: list[float] = []
    for number, choice in enumerate(schedule, 1):
        last = times[-1] if times else 0.0
        times.append((choice.at / NS if choice.at is not None else last) if is_timed else number)
    return times


def _spans(run: Run, times: list[float], end: float, holds: Any) -> list[tuple[float, float]]:
    """From when to when something holds of the worlds of a run."""
    found: list[tuple[float, float]] = []
    since: float | None = 0.0 if holds(run.worlds[0]) else None
    for time, world in zip(times, run.worlds[1:], strict=False):
        now = holds(world)
        if now and since is None:
            since = time
        elif not now and since is not None:
            found.append((since, time))
            since = None
    return found if since is None else [*found, (since, end)]


def _is_down(world: World, name: str) -> bool:
    return any(node.name == name and not node.is_up for node in world.nodes())


def _leads(world: World, name: str) -> bool:
    for node in world.nodes():
        if node.name == name and node.is_up:
            if hasattr(node, "is_leader"):
                return bool(node.is_leader)
            return str(getattr(node, "role", "")) in ("leader", "Role.LEADER")
    return False


def _still(
    schedule: Sequence[Choice], times: list[float], end: float, name: str
) -> list[tuple[float, float]]:
    found, since = [], None
    for choice, time in zip(schedule, times, strict=True):
        if choice.node == name and choice.kind is Kind.PAUSE:
            since = time
        elif choice.node == name and choice.kind in (Kind.RESUME, Kind.CRASH) and since is not None:
            found.append((since, time))
            since = None
    return found if since is None else [*found, (since, end)]


_MARKS = {
    Kind.FIRE: ("D", "tab:blue"),
    Kind.ACT: ("s", "tab:blue"),
    Kind.INVOKE: ("s", "tab:green"),
    Kind.CRASH: ("X", "tab:red"),
    Kind.RESTART: ("o", "tab:orange"),
}


def plot(run: Run, path: Path, *, title: str = "") -> None:
    """Draw a run into a file; its suffix says the format (`.png`, `.svg`, `.pdf`).

    Raises `PlotError` where matplotlib is missing or the file cannot be written.
    """
    try:
        import matplotlib  # noqa: PLC0415 - optional

        matplotlib.use("Agg")
        from matplotlib import pyplot  # noqa: PLC0415 - optional
    except ImportError:
        raise PlotError("a plot needs matplotlib: pip install matplotlib") from None
    made = timeline(run)
    height = 1.2 + _INCHES_A_LANE * len(made.lanes)
    # The same bytes for the same run: no dates, and numbers in place of random names.
    with matplotlib.rc_context({"svg.hashsalt": "happysim"}):
        figure, axes = pyplot.subplots(figsize=(_WIDTH, height))
        try:
            _draw(axes, made)
            axes.set_title(title, loc="left", fontsize=10)
            figure.tight_layout()
            metadata = {"Date": None} if path.suffix == ".svg" else {}
            figure.savefig(path, metadata=metadata)
        except (OSError, ValueError) as error:
            raise PlotError(f"{path}: cannot be drawn: {error}") from None
        finally:
            pyplot.close(figure)


def _draw(axes: Any, made: Timeline) -> None:
    for at, lane in enumerate(made.lanes):
        axes.hlines(at, 0, made.end, color="0.75", linewidth=1, zorder=1)
        for spans, style in (
            (lane.leads, {"color": "gold", "linewidth": 7, "zorder": 2}),
            (lane.down, {"color": "0.35", "linewidth": 9, "zorder": 3}),
            (lane.still, {"color": "tab:purple", "linewidth": 5, "zorder": 3}),
        ):
            for begin, end in spans:
                axes.hlines(at, begin, end, **style)
        for kind, (mark, color) in _MARKS.items():
            moments = lane.moments.get(kind, [])
            axes.scatter(moments, [at] * len(moments), marker=mark, color=color, s=22, zorder=5)
    width = 0.8 if len(made.messages) < _MANY else 0.25
    for begin, source, end, target in made.messages:
        axes.plot([begin, end], [source, target], color="tab:gray", linewidth=width, zorder=4)
    for time, _ in made.environment:
        axes.axvline(time, color="tab:red", linewidth=0.8, linestyle=":", zorder=0)
    axes.set_yticks(range(len(made.lanes)), [lane.name for lane in made.lanes])
    axes.invert_yaxis()
    axes.set_xlabel("seconds" if made.is_timed else "steps")
    axes.set_xlim(0, made.end * 1.01)
