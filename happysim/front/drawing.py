"""A verdict on the terminal: its run shrunk, drawn, and kept as a trace."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from happysim.core.choice import Choice
from happysim.front.judging import is_timed, keep, picture, small
from happysim.front.progress import Progress
from happysim.spec.verdict import Broken, Holds


def draw(console: Console, verdict: Broken | Holds, folder: Path | None) -> None:
    """Draw a verdict's run; with a folder, keep its trace there."""
    console.out(f"\n{picture(verdict, **look(console))}", highlight=False)
    if folder is not None:
        _, told = keep(verdict, folder)
        console.out(told, highlight=False)


def look(console: Console) -> dict[str, Any]:
    """How wide a picture may be there, and whether it has colors."""
    return {
        "width": console.width if console.is_terminal else None,
        "color": console.is_terminal and not console.no_color,
    }


def draw_smallest(console: Console, verdict: Broken, folder: Path | None) -> None:
    """Shrink a counterexample and show it; keep it, and the run in time that it comes from."""
    best = smallest(verdict, console)
    before, after = len(verdict.schedule or ()), len(best.schedule or ())
    if after < before:
        console.out(f"\n{best.of.name}: found in {before} choices, shrunk to {after}")
    for note in verdict.notes:
        console.out(f"{best.of.name}: {note}", highlight=False)
    draw(console, best, folder)
    if folder is not None and best is not verdict and is_timed(verdict):
        console.out(f"with its times, {keep(verdict, folder)[1]}", highlight=False)


def smallest(verdict: Broken, console: Console) -> Broken:
    """The verdict, shrunk; after Ctrl-C as small as it got."""
    best: list[tuple[Choice, ...]] = [verdict.schedule or ()]
    try:
        with Progress(console, f"shrinking {verdict.of.name}"):
            return small(verdict, best.append)
    except KeyboardInterrupt:
        console.out("interrupted; this is the smallest so far", highlight=False)
        return replace(verdict, schedule=best[-1])
