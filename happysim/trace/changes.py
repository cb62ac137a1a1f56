"""Changes: what a step changed in which node, as text, and which step sent a message.

Texts are those of `World.lines()`, so they are the same on every machine and in every process. The
faults left and the history are no part of a node, and not listed.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from itertools import takewhile, zip_longest
from typing import NamedTuple

from happysim.core.choice import Choice, Kind
from happysim.core.entries import Move
from happysim.core.errors import ScenarioError
from happysim.core.script_process import ScriptProcess
from happysim.core.world import World
from happysim.search.schedule import Run

_Letter = tuple[str, str, str]  # a message in flight: its sender, its receiver, its text
# What stands before an element of a list, a dict or a dataclass.
_OPENERS = frozenset("[({,")


class Change(NamedTuple):
    """One field of one node (or client script), before and after.

    `field` is a declared field, `(status)` (new, up or down), `timers` (those that are set),
    `(damage)` and `(synced)` (what is damaged on its disk, and older images of it, where a disk may
    fail so), `unsynced` (older durable values that a crash may fall back to), or, of a script,
    `answers`.
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
            # Whether a script awaits an answer, its calls and answers say already.
            if was != now and not (field == "waiting" and _is_script(before, slot)):
                found.append(Change(name, field, was, now))
    return tuple(found)


def _is_script(world: World, slot: int) -> bool:
    return isinstance(world.tables.processes[slot], ScriptProcess)


def _texts(world: World, slot: int) -> tuple[tuple[str, str], ...]:
    tables = world.tables
    return tables.state_text(slot, tables.state(slot, world.cells[slot]))


def sent_at(run: Run) -> tuple[int | None, ...]:
    """For each choice, the number of the step that sent its message; None where it has none.

    Steps count from 1; 0 is for what is in flight in the first world. Worlds do not number their
    messages: of equal ones the oldest is taken to come first. In a run of a simulation, where older
    ones were lost and still count as in flight, it is the newest, but on an ordered network.
    """
    kind = run.worlds[0].tables.network.kind
    keeps = kind == "duplicating"
    is_timed = any(choice.at is not None for choice in run.schedule) and kind != "ordered"
    sent: dict[_Letter, deque[int]] = {}
    found: list[int | None] = []
    _match(sent, run.worlds[0], 0)
    for number, choice in enumerate(run.schedule, 1):
        found.append(_take(sent, choice, keeps, is_timed) if choice.source else None)
        if number < len(run.worlds):
            _match(sent, run.worlds[number], number)
    return tuple(found)


def _take(sent: dict[_Letter, deque[int]], choice: Choice, keeps: bool, newest: bool) -> int:
    waiting = sent[choice.source, choice.node, choice.what]
    taken = waiting[-1 if newest else 0]
    if choice.kind is Kind.DUPLICATE:
        (waiting.append if newest else waiting.appendleft)(taken)
    elif choice.kind is Kind.DROP or not keeps:
        if newest:
            waiting.pop()
        else:
            waiting.popleft()
    return taken


def _match(sent: dict[_Letter, deque[int]], world: World, number: int) -> None:
    """Let there be as many as in the world: what is more was sent now, what is less was lost."""
    tables = world.tables
    counts: dict[_Letter, int] = {}
    for slot, name in enumerate(tables.names):
        for envelope, copies in tables.network.waiting(world.read(("inbox", slot))):
            source, _, _, _, text = tables.envelopes.values[envelope]
            letter = (tables.names[source], name, text)
            counts[letter] = counts.get(letter, 0) + copies
    for letter in {**sent, **counts}:
        waiting = sent.setdefault(letter, deque())
        copies = counts.get(letter, 0)
        waiting.extend([number] * (copies - len(waiting)))
        while len(waiting) > copies:
            waiting.popleft()


def raised(run: Run) -> str | None:
    """What the last choice of a run raised; None where every handler came to its end."""
    if len(run.worlds) > len(run.schedule):
        return None
    last = run.schedule[-1]
    for choice, _, move in run.worlds[-1].enabled():
        if choice == last and isinstance(move, Move):
            return str(move.raised)
    raise ScenarioError(f"the last choice of this run is not enabled in its last world: {last}")


def replaced(before: str, after: str, becomes: str = "->", dots: str = "...") -> str:
    """Two texts of one value as the part that differs: `+ 3`, `- 3`, or `...2... -> ...3...`.

    The part is made of whole names, numbers and quoted texts.
    """
    was, now = _tokens(before), _tokens(after)
    head = _common(was, now)
    tail = _common(was[head:][::-1], now[head:][::-1])
    for sign, longer, shorter in (("+", now, was), ("-", was, now)):
        if head + tail == len(shorter):
            return f"{sign} {''.join(longer[head : len(longer) - tail]).strip(', ')}"
    # Back to where the element begins, so that `'n2': 1` is not cut down to `1`.
    while head and was[head - 1] not in _OPENERS:
        head -= 1
    left, right = dots if head else "", dots if tail else ""
    parts = ("".join(text[head : len(text) - tail]).strip() for text in (was, now))
    return f" {becomes} ".join(f"{left}{part}{right}" for part in parts)


def _tokens(text: str) -> list[str]:
    return re.findall(r"'(?:[^'\\]|\\.)*'|\w+|.", text, re.DOTALL)


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    same = takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return sum(1 for _ in same)


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
