"""What happened in a live run, step by step, as choices with their times.

A step is kept as it happened and becomes a choice, with its text, when someone asks. The choices
are those of a search: a schedule found in time replays without it. What a network in time does by
itself and a search does not need (a message that is never delivered is lost already) is left out.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from happysim.core.choice import Choice, Kind
from happysim.core.freeze import freeze
from happysim.core.script import Operation, Response
from happysim.core.texts import message_text
from happysim.sim.agenda import Agenda
from happysim.sim.live import LiveNode
from happysim.sim.route import Route

# Steps in which a handler ran. The host still has what the last one drew.
_HANDLED = frozenset({Kind.DELIVER, Kind.FIRE, Kind.ACT, Kind.START, Kind.RESTART})


class Recorder:
    """Collects the steps of a run. `delivery` is the kind of network of its world."""

    def __init__(self, agenda: Agenda, delivery: str) -> None:
        self.agenda = agenda
        self.delivery = delivery
        self._steps: list[tuple[Any, ...]] = []
        # Copies made and messages lost during a step; told after it.
        self._after: list[tuple[Any, ...]] = []
        # Of each ordered route: what is on its way and what was lost, in order of sending.
        self._queues: dict[tuple[str, str], deque[tuple[bool, tuple[Any, ...]]]] = {}

    def step(
        self, kind: Kind, process: Any, source: str, what: Any, operation: Operation | None
    ) -> None:
        """A step was taken."""
        node = process.name
        picks: tuple[str, ...] = ()
        readings: tuple[int | str, ...] = ()
        if isinstance(process, LiveNode) and kind in _HANDLED:
            host = process.host
            if host.picks or host.readings:
                picks, readings = tuple(host.picks), tuple(host.readings)
        if kind is Kind.DELIVER and self._queues:
            self._drop_before(source, node)
        # A start that draws nothing is no choice: the first world has taken it already.
        if kind is not Kind.START or picks:
            self._steps.append(
                (self.agenda.now, kind, node, source, what, operation, picks, readings)
            )
        if self._after:
            self._steps += self._after
            self._after = []

    def note(self, kind: Kind, node: str = "", what: str = "") -> None:
        """Something of the environment: a fault, or its end."""
        self._steps.append((self.agenda.now, kind, node, "", what, None, (), ()))

    def lost_or_copied(
        self, kind: Kind, route: Route, message: Any, operation: Operation | None
    ) -> None:
        """A message on its way is lost, or copied, by choice."""
        self._steps.append((self.agenda.now, *_about(kind, route, message, operation)))

    def last(self) -> Choice | None:
        """The latest step, as a choice."""
        return _choice(self._steps[-1]) if self._steps else None

    # -- told by routes --------------------------------------------------------------------------

    def copied(self, route: Route, message: Any, operation: Operation | None) -> None:
        """A route has made a copy. A duplicating network has it already."""
        if self.delivery != "duplicating":
            self._after.append(
                (self.agenda.now, *_about(Kind.DUPLICATE, route, message, operation))
            )

    def queued(self, route: Route, message: Any, operation: Operation | None, lost: bool) -> None:
        """An ordered route has taken a message on, or lost it: those behind must get past it."""
        step = _about(Kind.DROP, route, message, operation)
        self._queues.setdefault((route.source, route.target.name), deque()).append((lost, step))

    def missed(self, route: Route) -> None:
        """What an ordered route has brought found its receiver down: it is lost, as the first."""
        queue = self._queues.get((route.source, route.target.name), deque())
        for at, (lost, step) in enumerate(queue):
            if not lost:
                queue[at] = (True, step)
                return

    def severed(self, route: Route) -> None:
        """An ordered route has lost all that was on its way."""
        for _, step in self._queues.pop((route.source, route.target.name), ()):
            self._steps.append((self.agenda.now, *step))

    def broken(self, route: Route) -> None:
        """A crash has emptied an ordered route, as it does in a search."""
        self._queues.pop((route.source, route.target.name), None)

    def _drop_before(self, source: str, node: str) -> None:
        queue = self._queues.get((source, node))
        while queue:
            lost, step = queue.popleft()
            if not lost:
                return
            self._steps.append((self.agenda.now, *step))

    @property
    def schedule(self) -> tuple[Choice, ...]:
        """The steps as choices, each with its time."""
        return tuple(_choice(step) for step in self._steps)

    def __len__(self) -> int:
        return len(self._steps)


def _about(kind: Kind, route: Route, message: Any, operation: Operation | None) -> tuple[Any, ...]:
    return kind, route.target.name, route.source, message, operation, (), ()


def _choice(step: tuple[Any, ...]) -> Choice:
    """A step as it was kept, as a choice with its text."""
    at, kind, node, source, what, operation, picks, readings = step
    choosing, reading = ", ".join(picks), ", ".join(map(str, readings))
    if kind is Kind.INVOKE:
        text = f"{source} {message_text(freeze(what), operation)}"
        return Choice(kind, node, "", text, choosing, reading, at)
    if kind in (Kind.DELIVER, Kind.DUPLICATE, Kind.DROP):
        shown = None if isinstance(what, Response) else operation
        what = message_text(freeze(what), shown)
    return Choice(kind, node, source, what, choosing, reading, at)
