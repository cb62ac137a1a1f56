"""What the texts of a schedule tell: choices from their text, and what befell clocks and links."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from happysim.core.choice import Choice, Kind
from happysim.core.errors import ScenarioError, ScheduleError
from happysim.core.process import NodeProcess
from happysim.core.world import World
from happysim.sim.agenda import NS
from happysim.sim.clock import Clock
from happysim.sim.net_faults import Bridge, Partition, Ring
from happysim.sim.node_faults import exactly

Seconds = int | float | Fraction
# The least and the most nanoseconds of a timer; None: no most.
Span = tuple[int, int | None]

# Kinds whose text is about a message between two processes, and those that name one process.
OF_MESSAGES = frozenset({Kind.DELIVER, Kind.DROP, Kind.DUPLICATE})
_OF_PROCESSES = frozenset(
    {
        Kind.FIRE,
        Kind.ACT,
        Kind.START,
        Kind.CRASH,
        Kind.RESTART,
        Kind.PAUSE,
        Kind.RESUME,
        Kind.SLOW,
        Kind.CLOCK,
        Kind.DISK,
    }
)
_KINDS = {kind.value: kind for kind in Kind}
# Text in quotes is passed over: a message may hold anything.
_QUOTED = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_READING = re.compile(_QUOTED + r"| reading (?P<told>(?:-?\d+|full)(?:, (?:-?\d+|full))*)$")
_CHOOSING = re.compile(_QUOTED + r"| choosing (?P<told>.*)$")


def choice_of(text: str, at: int | None = None) -> Choice | None:
    """The choice of that text, at a nanosecond; None where it is the text of none."""
    word, _, body = text.partition(" ")
    kind = _KINDS.get(word)
    if kind is None:
        return None
    choosing = reading = ""
    if not kind.is_timed:
        body, reading = _split(body, _READING)
        body, choosing = _split(body, _CHOOSING)
    source, arrow, behind = body.partition(" -> ")
    if kind in OF_MESSAGES:
        node, _, what = behind.partition(" ")
        return Choice(kind, node, source, what, choosing, reading, at) if what else None
    if kind is Kind.INVOKE:
        return Choice(kind, source, "", behind, choosing, reading, at) if arrow else None
    if kind in _OF_PROCESSES:
        node, _, what = body.partition(" ")
        return Choice(kind, node, "", what, choosing, reading, at)
    return Choice(kind, "", "", body, at=at)


def _split(text: str, mark: re.Pattern[str]) -> tuple[str, str]:
    """A text up to a mark that stands in no quotes, and what the mark says."""
    found = next((each for each in mark.finditer(text) if each["told"] is not None), None)
    return (text, "") if found is None else (text[: found.start()], found["told"])


# -- clocks --------------------------------------------------------------------------------------


class ClockTold(NamedTuple):
    """What `clock n1 by 0.5 s drifting 1/100 stopped` says: seconds ahead of true time, and so on.

    A clock that `starts` so has been so from the beginning.
    """

    starts: bool
    ahead: Fraction
    drift: Fraction
    stopped: bool


_CLOCK = re.compile(r"(starts )?by (\S+) s(?: drifting (\S+))?( stopped)?")


def clock_told(what: str) -> ClockTold | None:
    """What a choice says of a clock; None where it cannot be read."""
    match = _CLOCK.fullmatch(what)
    if match is None:
        return None
    try:
        ahead, drift = Fraction(match[2]), Fraction(match[3] or 0)
    except (ValueError, ZeroDivisionError):
        return None
    return ClockTold(bool(match[1]), ahead, drift, bool(match[4])) if drift > -1 else None


def clocks_told(
    world: World,
    schedule: Sequence[Choice],
    rates: Mapping[str, Seconds],
    offsets: Mapping[str, Seconds],
) -> dict[str, Clock]:
    """The clocks that are not right from the beginning, as given or as the schedule says."""
    nodes = [each.name for each in world.tables.processes if isinstance(each, NodeProcess)]
    right = ClockTold(True, Fraction(0), Fraction(0), False)
    told = {name: right._replace(ahead=exactly(each)) for name, each in offsets.items()}
    for name, rate in rates.items():
        if exactly(rate) <= 0:
            wrong = "a clock gains more than 0 seconds a second"
            raise ScenarioError(f"rates={{{name!r}: {rate!r}}}: {wrong}")
        told[name] = told.get(name, right)._replace(drift=exactly(rate) - 1)
    for choice in schedule:
        found = clock_told(choice.what) if choice.kind is Kind.CLOCK else None
        if found is not None and found.starts:
            if choice.at:
                raise ScheduleError(f"{choice}: a clock starts at 0 s, not later")
            told[choice.node] = found
    for name in told:
        if name not in nodes:
            raise ScenarioError(f"no node {name!r} has a clock; the nodes are {', '.join(nodes)}")
    return {name: Clock(each.ahead * NS, each.drift) for name, each in told.items()}


def span_told(name: str, given: tuple[Seconds, Seconds | None]) -> Span:
    """The range of a timer in nanoseconds."""
    least, most = given
    low, high = exactly(least), None if most is None else exactly(most)
    if low < 0 or (high is not None and high < low):
        wrong = "the least is below 0, or above the most"
        raise ScenarioError(f"timers={{{name!r}: {given!r}}}: {wrong}")
    return round(low * NS), None if high is None else round(high * NS)


# -- links ---------------------------------------------------------------------------------------


def pairs_told(
    what: str, nodes: Collection[str], clients: Collection[str]
) -> list[tuple[str, str]]:
    """The senders and receivers that a cut keeps apart, by its text: what faults call themselves.

    Nothing where the text is another: a cut made by hand may be called anything.
    """
    told, but, core = what.partition(", but for ")
    try:
        pairs = _pairs(told)
    except ScenarioError:
        return []
    if any(name not in nodes and name not in clients for pair in pairs for name in pair):
        return []
    spared = {*core.split(" "), *clients} if but else set()
    return [pair for pair in pairs if not spared.issuperset(pair)]


def _pairs(told: str) -> Sequence[tuple[str, str]]:
    sides, bridged, bridge = told.partition(" but for ")
    if told.startswith("ring "):
        return Ring(tuple(told.split(" ")[1:])).pairs()
    if bridged:
        return Bridge(bridge, *_sides(sides, " | ")).pairs()
    if " | " in told:
        return Partition(*_sides(told, " | ")).pairs()
    if " -> " in told:
        return Partition(*_sides(told, " -> "), one_way=True).pairs()
    return []


def _sides(told: str, between: str) -> list[list[str]]:
    return [side.split(" ") for side in told.split(between)]
