"""Diagram: a run as a space-time diagram in text, time downwards, a column for each process.

Lamport 1978 ("Time, Clocks, and the Ordering of Events in a Distributed System") draws processes as
lines and messages as arrows between them. Here every choice is one row: the arrow of the message it
is about, or a mark where it happens; then what it is; then what it changed. A message that arrives
after its sender or its receiver has moved on is drawn as a broken line, with the step that sent it:
that is where delay and reordering show.

      in the picture                     the same in ASCII
      ●◄──┤   a message arrives          *<--+
      ●◄╌╌┤   ... late                   *<..+
      │×──┤   a message is dropped       |x--+
      │«══╡   a message is duplicated    |<==+
      ◆       a timer fires              @
      ■       an action or a request     #
      ○       a start or a restart       o
      ╳       a crash, or an exception   X
      ┊       a node that is down        :
      ║       a node that is cut off     !
      ╥   ╨   a partition, a heal        v   ^
"""

from __future__ import annotations

import re
import shutil
import textwrap
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from happysim.core.choice import Choice, Kind
from happysim.core.world import World
from happysim.search.schedule import Run
from happysim.trace.changes import Change, changes, raised

_DEFAULT_WIDTH = 100
# Columns closer than this have no room for an arrow and its head.
_PITCH_MIN, _PITCH_ROOMY, _PITCH_MAX = 3, 8, 14
_TEXT_MIN = 28
# A change longer than this is shown by what was added, taken out or replaced.
_NOTE_MAX = 40

# The only place that knows of colours: ANSI "select graphic rendition" parameters.
_STYLES = {"title": "1", "number": "2", "fault": "33", "late": "35", "note": "36", "wrong": "1;31"}

Span = tuple[str, str]  # a text and its style ("": none)


@dataclass(frozen=True)
class _Glyphs:
    """The characters of a picture. `live`, `cut` and `down` are indexed by a column's state."""

    line: str  # a process, by state: up, cut off, down
    cross: str  # an arrow across it, by state
    twin_cross: str  # the line of a duplicate across it, by state
    tail_right: str  # where an arrow to the right begins, by state
    tail_left: str
    twin_right: str
    twin_left: str
    end: str  # where a process's line ends, by state
    part: str  # where a partition cuts a process off, by the state it has then
    heal: str  # and where it heals, by the state it had
    marks: dict[Kind, str]
    flat: str = "─"
    late: str = "╌"
    twin: str = "═"
    heads: str = "►◄"
    twin_heads: str = "»«"
    lost: str = "×"
    raised: str = "╳"
    wrong: str = "×"
    dots: str = "…"
    becomes: str = "→"


_UNICODE = _Glyphs(
    line="│║┊",
    cross="┼╫┼",
    twin_cross="╪╬╪",
    tail_right="├╟╶",
    tail_left="┤╢╴",
    twin_right="╞╠╶",
    twin_left="╡╣╴",
    end="╵║ ",
    part="┼╥┼",
    heal="┼╨┼",
    marks={
        Kind.DELIVER: "●",
        Kind.FIRE: "◆",
        Kind.ACT: "■",
        Kind.INVOKE: "■",
        Kind.START: "○",
        Kind.RESTART: "○",
        Kind.CRASH: "╳",
    },
)
_ASCII = _Glyphs(
    line="|!:",
    cross="+++",
    twin_cross="+++",
    tail_right="+++",
    tail_left="+++",
    twin_right="+++",
    twin_left="+++",
    end="|! ",
    part="+v+",
    heal="+^+",
    marks={
        Kind.DELIVER: "*",
        Kind.FIRE: "@",
        Kind.ACT: "#",
        Kind.INVOKE: "#",
        Kind.START: "o",
        Kind.RESTART: "o",
        Kind.CRASH: "X",
    },
    flat="-",
    late=".",
    twin="=",
    heads="><",
    twin_heads="><",
    lost="x",
    raised="X",
    wrong="x",
    dots="...",
    becomes="->",
)
_UP, _CUT, _DOWN = range(3)


def diagram(
    run: Run,
    *,
    title: str = "",
    width: int | None = None,
    color: bool = False,
    ascii: bool = False,
    ending: str = "broken",
) -> str:
    """A run as a picture: one row a choice, or two where its texts need them.

    No line is wider than `width` characters (by default the terminal, or 100): texts that do not
    fit end in an ellipsis, and only the reason at the end is wrapped. `ending` is the word for what
    the run's last step did to the property that it was followed with: `reached` for a witness.
    Where the run has no `wrong`, nothing is said. A process with no part in the run gets no column
    and is named below. `ascii` keeps to ASCII, `color` adds ANSI colours.
    """
    if width is None:
        width = shutil.get_terminal_size((_DEFAULT_WIDTH, 24)).columns
    picture = _Picture(run, max(width, 1), _ASCII if ascii else _UNICODE)
    rows = picture.rows(title, ending)
    return "\n".join(_render(row, max(width, 1), color, picture.glyphs, ascii) for row in rows)


# -- what happened ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Step:
    """One choice of a run, with what the picture says of it."""

    number: int
    choice: Choice
    event: str  # what happened, without the processes that the arrow connects
    suffix: str  # what must not be cut off: the draw, and when a late message was sent
    notes: tuple[str, ...]  # what changed
    states: tuple[int, ...]  # the columns after the step, of `columns`
    before: tuple[int, ...]
    late: bool


class _Post:
    """When each message in flight was sent: the number of a step, 0 for the first world.

    Worlds do not number messages. Of equal ones the oldest is taken to arrive first.
    """

    def __init__(self, first: World) -> None:
        self._copies = first.tables.network.kind != "duplicating"
        self._sent: dict[tuple[str, str, str], deque[int]] = {}
        self._moved: dict[str, int] = {}
        self._match(first, 0)

    def take(self, number: int, choice: Choice, after: World | None) -> int | None:
        """When the message of a choice was sent, if it came late. Call once a step, in order.

        Late is what had something else happen at its sender or its receiver in the meantime: no
        other delivery could as well have followed its sending at once.
        """
        sent = None
        if choice.source:
            sent = self._open(choice)
        late = sent is not None and max(
            self._moved.get(choice.source, 0), self._moved.get(choice.node, 0)
        ) > sent
        if choice.kind not in (Kind.DROP, Kind.DUPLICATE):
            self._moved[choice.node] = number
        if after is not None:
            self._match(after, number)
        return sent if late else None

    def _open(self, choice: Choice) -> int:
        key = (choice.source, choice.node, choice.what)
        waiting = self._sent[key]
        sent = waiting[0]
        if choice.kind is Kind.DUPLICATE:
            waiting.appendleft(sent)
        elif self._copies or choice.kind is Kind.DROP:
            waiting.popleft()
        return sent

    def _match(self, world: World, number: int) -> None:
        """Let the counts be those of the world: what is new was sent now."""
        counts = _in_flight(world)
        for key, copies in counts.items():
            waiting = self._sent.setdefault(key, deque())
            waiting.extend([number] * (copies - len(waiting)))
        for key, waiting in self._sent.items():
            while len(waiting) > counts.get(key, 0):
                waiting.popleft()


def _in_flight(world: World) -> dict[tuple[str, str, str], int]:
    """How often each message, by sender, receiver and text, is in flight."""
    tables = world.tables
    counts: dict[tuple[str, str, str], int] = {}
    for slot, name in enumerate(tables.names):
        for number, copies in tables.network.waiting(world.read(("inbox", slot))):
            envelope = tables.envelopes.values[number]
            key = (tables.names[envelope.source], name, envelope.text)
            counts[key] = counts.get(key, 0) + copies
    return counts


def _steps(run: Run, columns: Sequence[str], glyphs: _Glyphs) -> list[_Step]:
    post = _Post(run.worlds[0])
    made = []
    for number, choice in enumerate(run.schedule, 1):
        before = run.worlds[number - 1]
        after = run.worlds[number] if number < len(run.worlds) else None
        sent = post.take(number, choice, after)
        suffix = f", choosing {choice.choosing}" if choice.choosing else ""
        if sent is not None:
            suffix += f", sent at {sent}" if sent else ", sent at the start"
        shown = changes(before, after) if after is not None else ()
        step = _Step(
            number,
            choice,
            _event(choice),
            suffix,
            tuple(_notes(choice, shown, glyphs)),
            _states(after or before, columns),
            _states(before, columns),
            sent is not None,
        )
        made.append(step)
    return made


def _event(choice: Choice) -> str:
    if choice.kind is Kind.DELIVER:
        return choice.what + (" to itself" if choice.source == choice.node else "")
    return f"{choice.kind.value} {choice.what}".strip()


def _states(world: World, columns: Sequence[str]) -> tuple[int, ...]:
    tables = world.tables
    cut: set[str] = set()
    if world.partition is not None:
        sides = [side.split() for side in world.partition.split(" | ")]
        cut = set(min(reversed(sides), key=len))
    states = []
    for name in columns:
        slot = tables.slot_of[name]
        status = dict(tables.state_text(slot, tables.state(slot, world.cells[slot])))
        down = status.get("status", "up") != "up"
        states.append(_DOWN if down else _CUT if name in cut else _UP)
    return tuple(states)


def _notes(choice: Choice, shown: Iterable[Change], glyphs: _Glyphs) -> Iterable[str]:
    """The changes in short, without what the row's mark and text say already."""
    for change in shown:
        prefix = "" if change.node == choice.node else f"{change.node}."
        if change.field == "timers":
            yield from _timer_notes(choice, change)
        elif change.field not in ("status", "answers", "unsynced"):
            yield prefix + _shorten(change, glyphs)


def _timer_notes(choice: Choice, change: Change) -> Iterable[str]:
    before, after = _names(change.before_text), _names(change.after_text)
    yield from (f"+timer {name}" for name in after if name not in before)
    if choice.kind is not Kind.CRASH:
        gone = choice.what if choice.kind is Kind.FIRE else None
        yield from (f"-timer {name}" for name in before if name not in after and name != gone)


def _names(text: str) -> list[str]:
    return re.findall(r"'([^']*)'", text)


def _shorten(change: Change, glyphs: _Glyphs) -> str:
    """A change as text; of long values only the part that differs."""
    field, before, after = change.field, change.before_text, change.after_text
    whole = f"{field}: {before} {glyphs.becomes} {after}"
    if len(whole) <= _NOTE_MAX:
        return whole
    was, now = _tokens(before), _tokens(after)
    head = _common(was, now)
    tail = _common(was[head:][::-1], now[head:][::-1])
    if head + tail == len(was) or head + tail == len(now):
        sign, longer = ("+", now) if head + tail == len(was) else ("-", was)
        piece = "".join(longer[head : len(longer) - tail]).strip(", ")
        return f"{field}: {sign} {piece}"
    # Back to the beginning of the element, so that `'n2': 1` is not cut down to `1`.
    while head and was[head - 1] not in ("[", "(", "{", ","):
        head -= 1
    gone = "".join(was[head : len(was) - tail]).strip()
    come = "".join(now[head : len(now) - tail]).strip()
    left, right = glyphs.dots if head else "", glyphs.dots if tail else ""
    return f"{field}: {left}{gone}{right} {glyphs.becomes} {left}{come}{right}"


def _tokens(text: str) -> list[str]:
    return re.findall(r"'(?:[^'\\]|\\.)*'|\w+|.", text, re.DOTALL)


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    same = takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return sum(1 for _ in same)


# -- how it looks ----------------------------------------------------------------------------------


class _Picture:
    """A run laid out: where the columns stand, where the texts begin, and the rows."""

    def __init__(self, run: Run, width: int, glyphs: _Glyphs) -> None:
        self.run, self.width, self.glyphs = run, width, glyphs
        names = run.worlds[0].tables.names
        present = {name for choice in run.schedule for name in (choice.node, choice.source)}
        self.columns = tuple(name for name in names if name in present) or names
        self.absent = tuple(name for name in names if name not in self.columns)
        self.steps = _steps(run, self.columns, glyphs)
        self.digits = len(str(len(self.steps)))
        self.error = raised(run)
        self._place_columns()
        self._place_notes()

    def _place_columns(self) -> None:
        """As far apart as lets every row keep one line, but neither cramped nor sprawling."""
        gutter = self.digits + 3
        count, longest = len(self.columns), max(map(len, self.columns))
        wanted = max((self._event_length(step) for step in self.steps), default=0)
        wanted += max((self._notes_length(step) for step in self.steps), default=0) + 2
        free = self.width - gutter - 2
        roomy = min(max(longest + 2, _PITCH_ROOMY), _PITCH_MAX)
        tight = min(longest + 1, roomy)
        pitch = min(max((free - wanted) // count, tight), roomy)
        # Text comes before roomy columns, columns with an arrow between them before text.
        pitch = max(min(pitch, (free - _TEXT_MIN) // count), _PITCH_MIN)
        self.names = [_clip(name, max(pitch - 1, 1), self.glyphs.dots) for name in self.columns]
        first = gutter + (len(self.names[0]) - 1) // 2
        self.at = [first + pitch * index for index in range(count)]
        self.text = self.at[-1] + max(len(self.names[-1]) // 2, 0) + 3
        self.room = self.width - self.text

    def _event_length(self, step: _Step) -> int:
        return len(step.event) + len(step.suffix)

    def _notes_length(self, step: _Step) -> int:
        return len(", ".join(step.notes))

    def _place_notes(self) -> None:
        """Where the notes begin: at the place that lets the most rows keep one line."""
        self.note = 2
        best = -1
        for place in sorted({self._event_length(step) + 2 for step in self.steps}):
            fit = sum(self._fits(step, place) for step in self.steps)
            if fit > best:
                best, self.note = fit, place

    def _fits(self, step: _Step, place: int) -> bool:
        if not step.notes:
            return self._event_length(step) <= self.room
        return (
            self._event_length(step) + 2 <= place
            and place + self._notes_length(step) <= self.room
        )

    def rows(self, title: str, ending: str) -> list[list[Span]]:
        rows: list[list[Span]] = []
        if title:
            rows += [[(title, "title")], []]
        rows.append([(self._header(), "")])
        states = _states(self.run.worlds[0], self.columns)
        rows.append([(self._bare(self.glyphs.line, states), "")])
        for step in self.steps:
            rows += self._step_rows(step)
            states = step.states
        rows.append([(self._bare(self.glyphs.end, states), "")])
        if self.absent:
            rows.append([(f"No part in this run: {', '.join(self.absent)}", "number")])
        return rows + self._conclusion(ending)

    def _header(self) -> str:
        line = ""
        for name, at in zip(self.names, self.at, strict=True):
            line = line.ljust(at - (len(name) - 1) // 2) + name
        return line

    def _bare(self, glyphs: str, states: Sequence[int]) -> str:
        cells = [" "] * (self.at[-1] + 1)
        for at, state in zip(self.at, states, strict=True):
            cells[at] = glyphs[state]
        return "".join(cells)

    def _step_rows(self, step: _Step) -> list[list[Span]]:
        is_last = step.number == len(self.steps)
        is_wrong = is_last and (self.run.wrong is not None or self.error is not None)
        flag = self.glyphs.wrong if is_wrong else " "
        style = "wrong" if is_wrong else "fault" if step.choice.is_fault else ""
        suffix_style = style or ("late" if step.late else "")
        gutter = f"{flag} {step.number:>{self.digits}} "
        drawn = self._drawn(step)[len(gutter) :].ljust(self.text - len(gutter))
        event = _clip(step.event, self.room - len(step.suffix), self.glyphs.dots)
        row: list[Span] = [
            (gutter, style or "number"),
            (drawn, style),
            (event, style),
            (step.suffix, suffix_style),
        ]
        if not step.notes:
            return [row]
        if self._fits(step, self.note):
            pad = " " * (self.note - self._event_length(step))
            return [[*row, (pad, ""), (", ".join(step.notes), "note")]]
        return [row, self._note_row(step)]

    def _note_row(self, step: _Step) -> list[Span]:
        lines = self._bare(self.glyphs.line, step.states).ljust(self.text)
        whole = self._notes_length(step)
        place = self.note if self.note + whole <= self.room else 2
        return [(lines + " " * place, ""), (self._fit_notes(step, self.room - place), "note")]

    def _fit_notes(self, step: _Step, room: int) -> str:
        """As many notes as fit, and how many more there are."""
        for kept in range(len(step.notes), 0, -1):
            rest = len(step.notes) - kept
            text = ", ".join(step.notes[:kept])
            more = f" (+{rest} more)" if rest else ""
            if len(text) + len(more) <= room:
                return text + more
        return _clip(step.notes[0], room - len(more), self.glyphs.dots) + more

    def _drawn(self, step: _Step) -> str:
        """The row of a step without its texts."""
        choice, glyphs = step.choice, self.glyphs
        cells = list(self._bare(glyphs.line, step.states))
        if choice.kind in (Kind.PARTITION, Kind.HEAL):
            parted = choice.kind is Kind.PARTITION
            states = step.states if parted else step.before
            knots = glyphs.part if parted else glyphs.heal
            self._stroke(cells, self.at[0], self.at[-1] + 1, glyphs.late, knots, states)
            return "".join(cells)
        target = self.at[self.columns.index(choice.node)]
        source = self.at[self.columns.index(choice.source)] if choice.source else target
        fails = self.error is not None and step.number == len(self.steps)
        if choice.kind in (Kind.DROP, Kind.DUPLICATE):
            self._draw_stray(cells, step, source, target)
        else:
            self._draw_arrow(cells, step, source, target)
            cells[target] = glyphs.raised if fails else glyphs.marks[choice.kind]
        return "".join(cells)

    def _draw_arrow(self, cells: list[str], step: _Step, source: int, target: int) -> None:
        if source == target:
            return
        glyphs, left = self.glyphs, target < source
        flat = glyphs.late if step.late else glyphs.flat
        self._stroke(cells, source, target, flat, glyphs.cross, step.states)
        state = step.states[self.at.index(source)]
        cells[source] = (glyphs.tail_left if left else glyphs.tail_right)[state]
        cells[target + 1 if left else target - 1] = glyphs.heads[left]

    def _draw_stray(self, cells: list[str], step: _Step, source: int, target: int) -> None:
        """A message that a fault touches: its line ends short of the receiver."""
        glyphs, left = self.glyphs, target < source
        twin = step.choice.kind is Kind.DUPLICATE
        head = glyphs.twin_heads[left] if twin else glyphs.lost
        if source == target:
            cells[target] = head
            return
        flat = glyphs.twin if twin else glyphs.late if step.late else glyphs.flat
        crossing = glyphs.twin_cross if twin else glyphs.cross
        self._stroke(cells, source, target, flat, crossing, step.states)
        tails = (glyphs.twin_left, glyphs.twin_right) if twin else (
            glyphs.tail_left,
            glyphs.tail_right,
        )
        cells[source] = tails[not left][step.states[self.at.index(source)]]
        cells[target + 1 if left else target - 1] = head

    def _stroke(
        self,
        cells: list[str],
        start: int,
        stop: int,
        flat: str,
        crossing: str,
        states: Sequence[int],
    ) -> None:
        """A horizontal line from `start` to just before `stop`, in either direction."""
        for at in range(start, stop, 1 if stop > start else -1):
            column = self.at.index(at) if at in self.at else None
            cells[at] = flat if column is None else crossing[states[column]]

    def _conclusion(self, ending: str) -> list[list[Span]]:
        """What was wrong in the end, wrapped."""
        reason = self.run.wrong if self.run.wrong is not None else self.error
        if reason is None:
            return []
        word = ending if self.run.wrong is not None else "raised"
        lead = f"{self.glyphs.wrong} {word}" + (": " if reason else "")
        rows: list[list[Span]] = []
        for number, line in enumerate(reason.splitlines() or [""]):
            start = lead if number == 0 else "  "
            wrapped = textwrap.wrap(
                start + line, max(self.width, 8), subsequent_indent="    ", drop_whitespace=True
            )
            rows += [[(text, "wrong")] for text in wrapped or [start]]
        return rows


def _clip(text: str, room: int, dots: str) -> str:
    """A text of at most `room` characters; what was cut off leaves an ellipsis."""
    if len(text) <= room:
        return text
    return text[: max(room - len(dots), 0)] + dots[: max(room, 0)]


def _render(row: list[Span], width: int, color: bool, glyphs: _Glyphs, ascii: bool) -> str:
    """A row as a line. Nothing it holds can move the cursor or make it wider than `width`."""
    plain = [(_printable(text, ascii), style) for text, style in row if text]
    total = sum(len(text) for text, _ in plain)
    line, used = "", 0
    for text, style in plain:
        left = width - used
        shown = text
        if total > width and used + len(text) >= width - len(glyphs.dots):
            shown = _clip(text + " " * (total - used - len(text)), left, glyphs.dots)
        used += len(shown)
        painted = color and style and shown.strip()
        line += f"\x1b[{_STYLES[style]}m{shown}\x1b[0m" if painted else shown
        if used >= width:
            break
    return line.rstrip()


def _printable(text: str, ascii: bool) -> str:
    if ascii:
        text = text.encode("ascii", "backslashreplace").decode("ascii")
    return "".join(each if each.isprintable() else "?" for each in text)
