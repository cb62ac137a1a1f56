"""Diagram: a run as a space-time diagram in text, time downwards, a column for each process.

Lamport 1978 ("Time, Clocks, and the Ordering of Events in a Distributed System") draws processes as
lines and messages as arrows between them. Here every choice is one row: the arrow of its message,
or a mark where it happens; then what it is; then what it changed. A message that arrives after its
sender or its receiver has moved on has a broken line and says which step sent it: that is where
delay and reordering show.

      ●◄──┤   *<--+   a message arrives
      ●◄╌╌┤   *<..+   ... late
      │×──┤   |x--+   a message is dropped
      │«══╡   |<==+   a message is duplicated
      ◆       @       a timer fires
      ■       #       an action, or the request of a client script
      ○       o       a start, or a restart
      ╳       X       a crash, or a handler that raises
      ┊       :       a node that is down
      ║       !       a node on the smaller side of a partition
      ╥ ╨     v ^     a partition, a heal
"""  # noqa: RUF002

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from happysim.core.choice import Kind
from happysim.search.schedule import Run
from happysim.trace.changes import raised
from happysim.trace.rows import STRAY, Step, states_of, steps_of

_WIDTH = 100
# Distances between columns: what an arrow and its head need, what a reader needs, what looks good.
_PITCH_MIN, _PITCH_TIGHT, _PITCH_ROOMY, _PITCH_MAX = 3, 6, 9, 14
_TEXT_MIN, _EVENT_MIN = 28, 8
_SPLIT = (Kind.PARTITION, Kind.HEAL)

# The one place that knows of colours: ANSI "select graphic rendition" parameters.
_STYLES = {"title": "1", "dim": "2", "fault": "33", "late": "35", "note": "36", "wrong": "1;31"}

Span = tuple[str, str]  # a text and its style ("": none)


@dataclass(frozen=True)
class _Stroke:
    """How a message is drawn. Texts of three are indexed by the state of the column there."""

    flat: str
    cross: str
    tail_right: str
    tail_left: str
    heads: str  # to the right, to the left


@dataclass(frozen=True)
class _Glyphs:
    """The characters of a picture. Texts of three are indexed by a column's state."""

    line: str
    end: str
    split: str
    heal: str
    gap: str
    message: _Stroke
    late: _Stroke
    twin: _Stroke
    lost: str
    marks: dict[Kind, str]
    flags: dict[bool, str]  # of the last step: broken or not
    dots: str
    becomes: str


def _marks(deliver: str, fire: str, act: str, start: str, crash: str) -> dict[Kind, str]:
    return {
        Kind.DELIVER: deliver,
        Kind.FIRE: fire,
        Kind.ACT: act,
        Kind.INVOKE: act,
        Kind.START: start,
        Kind.RESTART: start,
        Kind.CRASH: crash,
        Kind.FILL: crash,
        Kind.FREE: start,
    }


_UNICODE = _Glyphs(
    line="│║┊",
    end="╵║ ",
    split="┼╥┊",
    heal="┼╨┊",
    gap="·",
    message=_Stroke("─", "┼╫─", "├╟╶", "┤╢╴", "►◄"),
    late=_Stroke("╌", "┼╫╌", "├╟╶", "┤╢╴", "►◄"),
    twin=_Stroke("═", "╪╬═", "╞╠╶", "╡╣╴", "»«"),
    lost="×",  # noqa: RUF001
    marks=_marks("●", "◆", "■", "○", "╳"),  # noqa: RUF001
    flags={True: "×", False: "●"},  # noqa: RUF001
    dots="…",
    becomes="→",
)
_ASCII = _Glyphs(
    line="|!:",
    end="|! ",
    split="+v:",
    heal="+^:",
    gap="~",
    message=_Stroke("-", "++-", "+++", "+++", "><"),
    late=_Stroke(".", "++.", "+++", "+++", "><"),
    twin=_Stroke("=", "++=", "+++", "+++", "><"),
    lost="x",
    marks=_marks("*", "@", "#", "o", "X"),
    flags={True: "x", False: "*"},
    dots="...",
    becomes="->",
)


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

    No line is wider than `width` characters (by default the terminal, or 100): a text that does not
    fit ends in an ellipsis, and only the reason at the end is wrapped. `ending` is the word for
    what the last step did to the property that the run was followed with, `reached` for a witness;
    a run without `wrong` ends without it. A process that has no part in the run gets no column and
    is named below. `ascii` keeps to ASCII, `color` adds ANSI colours.
    """
    if width is None:
        width = shutil.get_terminal_size((_WIDTH, 24)).columns
    width, glyphs = max(width, 1), _ASCII if ascii else _UNICODE
    rows = _Picture(run, width, glyphs, ending).rows(title)
    if ascii:
        rows = [[(_in_ascii(text), style) for text, style in row] for row in rows]
    return "\n".join(_render(row, width, color, glyphs.dots) for row in rows)


class _Picture:
    """A run laid out: where the columns stand, where the texts begin, and the rows."""

    def __init__(self, run: Run, width: int, glyphs: _Glyphs, ending: str) -> None:
        self.run, self.width, self.glyphs, self.ending = run, width, glyphs, ending
        first = run.worlds[0]
        names = first.tables.names
        present = {name for choice in run.schedule for name in (choice.node, choice.source)}
        self.columns = tuple(name for name in names if name in present) or names
        self.absent = tuple(name for name in names if name not in self.columns)
        self.nodes = {node.name for node in first.nodes()}
        self.steps = tuple(steps_of(run, self.columns, glyphs.becomes, glyphs.dots))
        self.lengths = sorted(step.lengths for step in self.steps)
        self.digits = len(str(len(self.steps)))
        self.error = raised(run)
        self._place_columns()

    def _place_columns(self) -> None:
        """As far apart as leaves the texts room, but neither cramped nor sprawling."""
        count, longest = len(self.columns), max(map(len, self.columns))
        roomy = min(max(longest + 2, _PITCH_ROOMY), _PITCH_MAX)
        # A narrow page takes its room from the columns first.
        most = max((self.width - self.digits - 6 - _TEXT_MIN) // count, _PITCH_MIN)
        pitches = range(min(_PITCH_TIGHT, most), min(roomy, most) + 1)
        self._place(max(pitches, key=self._quality))

    def _quality(self, pitch: int) -> tuple[bool, int, int]:
        """How good a distance of columns is: one row a step, no text cut short, long arrows."""
        self._place(pitch)
        one_row = all(self._fits(event, notes, self.note) for event, notes, _ in self.lengths)
        whole = sum(max(event, brief + 2) <= self.room for event, _, brief in self.lengths)
        return one_row, whole, pitch

    def _place(self, pitch: int) -> None:
        """Set the places of columns and texts for columns that far apart."""
        first = self.digits + 3 + min(len(self.columns[0]) - 1, pitch) // 2
        self.at = [first + pitch * index for index in range(len(self.columns))]
        self.text = self.at[-1] + 4
        self.room = self.width - self.text
        # The notes begin where the most steps keep one row.
        places = sorted({event + 2 for event, _, _ in self.lengths}) or [2]
        self.note = max(places, key=self._rows_kept)

    def _rows_kept(self, place: int) -> int:
        return sum(self._fits(event, notes, place) for event, notes, _ in self.lengths)

    def _fits(self, event: int, notes: int, place: int) -> bool:
        """True where an event and notes of these lengths share a row, with the notes at `place`."""
        if not notes:
            return event <= self.room
        return event + 2 <= place and place + notes <= self.room

    def rows(self, title: str) -> list[list[Span]]:
        """The whole picture."""
        states = states_of(self.run.worlds[0], self.columns)
        gutter = f"  {0:>{self.digits}} "
        lines = self._bare(self.glyphs.line, states)[len(gutter) :]
        rows: list[list[Span]] = [[(names, "title")] for names in self._header()]
        rows.append([(gutter, "dim"), (lines, "")])
        if title:
            rows = [[(title, "title")], [], *rows]
        for step in self.steps:
            rows += self._step_rows(step)
            states = step.states
        rows.append([(self._bare(self.glyphs.end, states), "")])
        if self.absent:
            rows.append([(f"  No part in this run: {', '.join(self.absent)}", "dim")])
        return rows + self._conclusion()

    def _header(self) -> list[str]:
        """The names above their columns, in as many rows as keep them apart."""
        rows = [""]
        for name, at in zip(self.columns, self.at, strict=True):
            start = max(at - (len(name) - 1) // 2, self.digits + 3)
            row = next((row for row, text in enumerate(rows) if len(text) < start), len(rows))
            rows += [""] * (row == len(rows))
            rows[row] = rows[row].ljust(start) + name
        return rows

    def _bare(self, glyphs: str, states: Sequence[int]) -> str:
        """A row in which nothing happens."""
        cells = [" "] * (self.at[-1] + 1)
        for at, state in zip(self.at, states, strict=True):
            cells[at] = glyphs[state]
        return "".join(cells)

    def _step_rows(self, step: Step) -> list[list[Span]]:
        kind = step.choice.kind
        style, flag = "fault" if kind.is_fault or kind.is_timed else "", " "
        if step.number == len(self.steps) and (self.run.wrong is not None or self.error):
            style, flag = self._end_style, self.glyphs.flags[self._is_bad]
        gutter = f"{flag} {step.number:>{self.digits}} "
        row: list[Span] = [
            (gutter, style or "dim"),
            (self._drawn(step)[len(gutter) :].ljust(self.text - len(gutter)), style),
            (_clip(step.event, self._event_room(step), self.glyphs.dots), style),
            (step.suffix, "late" if step.late and not style else style),
        ]
        event, notes, _ = step.lengths
        if not notes:
            return [row]
        if self._fits(event, notes, self.note):
            return [[*row, (" " * (self.note - event), ""), (", ".join(step.notes), "note")]]
        lines = self._bare(self.glyphs.line, step.states).ljust(self.text)
        place = self.note if self.note + notes <= self.room else 2
        text = self._fit_notes(step, self.room - place)
        return [row, [(lines + " " * place, ""), (text, "note")]]

    def _event_room(self, step: Step) -> int:
        """What a narrow page leaves to the event: first its end goes, then all that follows it."""
        return max(self.room - len(step.suffix), min(self.room, _EVENT_MIN))

    def _fit_notes(self, step: Step, room: int) -> str:
        """The notes whole, or brief, or as many of them as fit and how many more there are."""
        whole, more = ", ".join(step.notes), ""
        if len(whole) <= room:
            return whole
        for kept in range(len(step.brief), 0, -1):
            rest = len(step.brief) - kept
            more = f" (+{rest} more)" if rest else ""
            text = ", ".join(step.brief[:kept]) + more
            if len(text) <= room:
                return text
        return _clip(step.brief[0], room - len(more), self.glyphs.dots) + more

    def _drawn(self, step: Step) -> str:
        """The row of a step without its texts."""
        choice, glyphs = step.choice, self.glyphs
        cells = list(self._bare(glyphs.line, step.states))
        if choice.kind.is_timed:
            if choice.node in self.columns:
                cells[self.at[self.columns.index(choice.node)]] = glyphs.marks[Kind.ACT]
            return "".join(cells)
        if choice.kind in _SPLIT:
            self._draw_split(cells, step)
            return "".join(cells)
        target = self.columns.index(choice.node)
        source = self.columns.index(choice.source) if choice.source else target
        stroke = glyphs.late if step.late else glyphs.message
        if choice.kind is Kind.DUPLICATE:
            stroke = glyphs.twin
        left = target < source
        head = glyphs.lost if choice.kind is Kind.DROP else stroke.heads[left]
        if source != target:
            self._draw_line(cells, (source, target), stroke.flat, stroke.cross, step.states)
            tails = stroke.tail_left if left else stroke.tail_right
            cells[self.at[source]] = tails[step.states[source]]
            cells[self.at[target] + (1 if left else -1)] = head
        if choice.kind not in STRAY:
            fails = self.error is not None and step.number == len(self.steps)
            cells[self.at[target]] = glyphs.marks[Kind.CRASH if fails else choice.kind]
        elif source == target:
            cells[self.at[target]] = head
        return "".join(cells)

    def _draw_split(self, cells: list[str], step: Step) -> None:
        """A partition or a heal: a line across all nodes. It does not touch client scripts."""
        among = [index for index, name in enumerate(self.columns) if name in self.nodes]
        if not among:
            return
        parts = step.choice.kind is Kind.PARTITION
        knots = self.glyphs.split if parts else self.glyphs.heal
        states = step.states if parts else step.before
        scripts = [(at, cells[at]) for at in self.at if at not in [self.at[i] for i in among]]
        self._draw_line(cells, (among[0], among[-1]), self.glyphs.gap, knots, states)
        for index in among:
            cells[self.at[index]] = knots[states[index]]
        for at, script in scripts:
            cells[at] = script

    def _draw_line(
        self,
        cells: list[str],
        ends: tuple[int, int],
        flat: str,
        cross: str,
        states: Sequence[int],
    ) -> None:
        """A horizontal line between two columns, across those in between."""
        low, high = min(ends), max(ends)
        for at in range(self.at[low] + 1, self.at[high]):
            cells[at] = flat
        for index in range(low + 1, high):
            cells[self.at[index]] = cross[states[index]]

    @property
    def _is_bad(self) -> bool:
        return self.run.wrong is None or self.ending == "broken"

    @property
    def _end_style(self) -> str:
        return "wrong" if self._is_bad else "title"

    def _conclusion(self) -> list[list[Span]]:
        """What was wrong in the end, wrapped."""
        reason = self.error if self.run.wrong is None else self.run.wrong
        if reason is None:
            return []
        word = "raised" if self.run.wrong is None else self.ending
        flag = self.glyphs.flags[self._is_bad]
        first, *others = reason.splitlines() or [""]
        lines = [f"{flag} {word}: {first}" if first else f"{flag} {word}"]
        rows: list[list[Span]] = []
        for line in [*lines, *(f"  {other}" for other in others)]:
            wrapped = textwrap.wrap(line, max(self.width, 8), subsequent_indent="    ")
            rows += [[(text, self._end_style)] for text in wrapped]
        return rows


# -- text ------------------------------------------------------------------------------------------


def _clip(text: str, room: int, dots: str) -> str:
    """At most `room` characters of a text; an ellipsis stands for what was cut off."""
    if len(text) <= room:
        return text
    return text[: max(room - len(dots), 0)] + dots[: max(room, 0)]


def _in_ascii(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode("ascii")


def _render(row: list[Span], width: int, color: bool, dots: str) -> str:
    """A row as a line of at most `width` characters, none of which moves the cursor."""
    if sum(len(text) for text, _ in row) > width:
        row = _cut(row, width, dots)
    return "".join(_paint(text, style if color else "") for text, style in row).rstrip()


def _cut(row: list[Span], width: int, dots: str) -> list[Span]:
    kept: list[Span] = []
    left = max(width - len(dots), 0)
    for text, style in row:
        kept.append((text[:left], style))
        left -= len(kept[-1][0])
    return [*kept, (dots[:width], "")]


def _paint(text: str, style: str) -> str:
    shown = "".join(each if each.isprintable() else "?" for each in text)
    return f"\x1b[{_STYLES[style]}m{shown}\x1b[0m" if style and shown.strip() else shown
