"""What a picture of a run says of each choice: what happened, what it changed, how the nodes were.

How that is drawn is the business of `diagram.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from happysim.core.choice import Choice, Kind
from happysim.core.entries import DISK, STATUS, SYNCED
from happysim.core.world import World
from happysim.search.schedule import Run
from happysim.sim.agenda import NS
from happysim.trace.changes import Change, changes, replaced, sent_at

# A change longer than this is shown by what was added, taken out or replaced.
_NOTE_MAX = 40
# These happen to a message and not to its receiver.
STRAY = (Kind.DROP, Kind.DUPLICATE)
# How a node is: up, on the smaller side of a partition, or down.
UP, CUT, DOWN = range(3)


@dataclass(frozen=True)
class Step:
    """One choice of a run, and what the picture says of it."""

    number: int
    choice: Choice
    event: str  # what happened, without the processes that the arrow connects
    suffix: str  # what follows it and must not be cut off
    notes: tuple[str, ...]  # what changed
    brief: tuple[str, ...]  # the same without the values before
    before: tuple[int, ...]  # the state of each column
    states: tuple[int, ...]  # and after the step
    late: bool

    @property
    def lengths(self) -> tuple[int, int, int]:
        """Of the event, and of the notes, whole and brief (0: there are none)."""
        notes, brief = ", ".join(self.notes), ", ".join(self.brief)
        return len(self.event) + len(self.suffix), len(notes), len(brief)


def steps_of(run: Run, columns: Sequence[str], becomes: str, dots: str) -> Iterator[Step]:
    """Each choice of a run with what a row says of it; `becomes` and `dots` are its signs."""
    moved: dict[str, int] = {}  # the last step of each process
    for number, (choice, sent) in enumerate(zip(run.schedule, sent_at(run), strict=True), 1):
        before = run.worlds[number - 1]
        after = run.worlds[number] if number < len(run.worlds) else None
        # Had neither end moved in between, the message could as well have arrived at once.
        late = sent is not None and sent < max(
            moved.get(choice.source, 0), moved.get(choice.node, 0)
        )
        if choice.kind not in STRAY:
            moved[choice.node] = number
        drawn = f", choosing {choice.choosing}" if choice.choosing else ""
        drawn += f", reading {choice.reading}" if choice.reading else ""
        found = changes(before, after) if after is not None else ()
        yield Step(
            number,
            choice,
            _event(choice),
            f"{drawn}, sent at {sent}" if late else drawn,
            tuple(_notes(choice, found, becomes, dots)),
            tuple(_notes(choice, found, becomes, dots, brief=True)),
            states_of(before, columns),
            states_of(after or before, columns),
            late,
        )


def _event(choice: Choice) -> str:
    time = "" if choice.at is None else f"{choice.at / NS:.6f} "
    if choice.kind is Kind.DELIVER:
        return time + choice.what + (" to itself" if choice.source == choice.node else "")
    return f"{time}{choice.kind.value} {choice.what}".rstrip()


def states_of(world: World, columns: Sequence[str]) -> tuple[int, ...]:
    """How the node of each column is."""
    sides = [side.split() for side in (world.partition or "").split(" | ")]
    cut = min(sides, key=len)
    down = {node.name for node in world.nodes() if not node.is_up}
    return tuple(DOWN if each in down else CUT if each in cut else UP for each in columns)


def _notes(
    choice: Choice, found: Iterable[Change], becomes: str, dots: str, *, brief: bool = False
) -> Iterator[str]:
    """The changes in short, without what the row's mark and event say already."""
    for node, field, before, after in found:
        if field == "timers":
            yield from _timer_notes(choice, _quoted(before), _quoted(after))
        elif field not in (STATUS, SYNCED, DISK, "answers", "unsynced"):
            name = field if node == choice.node else f"{node}.{field}"
            whole = f"{name}: {before} {becomes} {after}"
            if len(whole) > _NOTE_MAX:
                yield f"{name}: {replaced(before, after, becomes, dots)}"
            else:
                yield f"{name} {becomes} {after}" if brief else whole


def _timer_notes(choice: Choice, before: list[str], after: list[str]) -> Iterator[str]:
    yield from (f"{timer} set" for timer in after if timer not in before)
    if choice.kind is not Kind.CRASH:
        fired = choice.what if choice.kind is Kind.FIRE else None
        gone = [timer for timer in before if timer not in after and timer != fired]
        yield from (f"{timer} cancelled" for timer in gone)


def _quoted(text: str) -> list[str]:
    return re.findall(r"'([^']*)'", text)
