"""Changes: which field of which node a step changed, as text.

Texts are those of `World.lines()`, so they are the same on every machine and in every process. What
is in flight, the faults left and the history are no fields of a node and not listed here.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import NamedTuple

from happysim.core.errors import ScenarioError
from happysim.core.tables import Move
from happysim.core.world import World
from happysim.search.schedule import Run

# Whether a script awaits an answer: its calls and answers say so already.
_NOISE = frozenset({"waiting"})


class Change(NamedTuple):
    """One field of one node (or client script), before and after.

    `field` is a declared field; `status` (new, up or down); `timers` (those that are set); `unsynced`
    (older durable values that a crash may fall back to); or `answers` (what a script has got back).
    """

    node: str
    field: str
    before_text: str
    after_text: str

    def __str__(self) -> str:
        return f"{self.node}.{self.field}: {self.before_text} -> {self.after_text}"


def changes(before: World, after: World) -> tuple[Change, ...]:
    """What differs between two worlds of the same nodes: nodes in order, fields as declared.

    Raises `ScenarioError` where the worlds have different nodes.
    """
    if before.tables.names != after.tables.names:
        raise ScenarioError(
            "changes(before, after) compares two worlds of the same nodes, not of "
            f"{', '.join(before.tables.names)} and of {', '.join(after.tables.names)}"
        )
    found: list[Change] = []
    for slot, name in enumerate(before.tables.names):
        # In worlds of one run most cells are the same number, and nothing has to be compared.
        if before.tables is after.tables and before.cells[slot] == after.cells[slot]:
            continue
        # By position and not by name: a node may declare a field called `status` of its own. Only
        # `unsynced` may be missing, and it comes last.
        pairs = zip_longest(_texts(before, slot), _texts(after, slot), fillvalue=("unsynced", "[]"))
        for (field, was), (_, now) in pairs:
            if was != now and field not in _NOISE:
                found.append(Change(name, field, was, now))
    return tuple(found)


def _texts(world: World, slot: int) -> tuple[tuple[str, str], ...]:
    tables = world.tables
    return tables.state_text(slot, tables.state(slot, world.cells[slot]))


def raised(run: Run) -> str | None:
    """What the last choice of a run raised; None where every handler came to its end."""
    if len(run.worlds) > len(run.schedule):
        return None
    last = run.schedule[-1]
    for choice, _, move in run.worlds[-1].enabled():
        if choice == last and isinstance(move, Move):
            return str(move.raised)
    raise ScenarioError(f"the last choice of this run is not enabled in its last world: {last}")


def table(run: Run) -> str:
    """Every step of a run with all it changed, nothing shortened: the long form of `diagram`.

    One line a choice, numbered from 1 and in its own words, then one line a change.
    """
    steps = [changes(*pair) for pair in zip(run.worlds, run.worlds[1:], strict=False)]
    widest = max((len(f"{one.node}.{one.field}") for step in steps for one in step), default=0)
    digits = len(str(len(run.schedule)))
    indent = " " * (digits + 6)
    lines: list[str] = []
    for number, choice in enumerate(run.schedule, 1):
        lines.append(f"{number:>{digits}}  {choice}")
        for one in steps[number - 1] if number <= len(steps) else ():
            field = f"{one.node}.{one.field}"
            lines.append(f"{indent}{field:<{widest}}  {one.before_text} -> {one.after_text}")
    error = raised(run)
    if error is not None:
        lines.append(f"{indent}raised: {error}")
    if run.wrong and run.wrong != error:
        lines += [f"{indent}{line}" for line in f"wrong: {run.wrong}".splitlines()]
    return "\n".join(lines)
