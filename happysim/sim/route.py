"""Routes: how what one process sends travels to another, in virtual time.

There is one route for each sender and receiver. It draws a delay for each message from a stream of
its own, and puts the arrival on the agenda. What was on its way when a partition began is lost with
it, as is what was on its way to or from a node whose connections broke.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MethodType
from typing import TYPE_CHECKING, Any, Protocol

from happysim.core.link import Link
from happysim.core.script import Operation
from happysim.sim.agenda import Agenda
from happysim.sim.values import Check

if TYPE_CHECKING:
    from happysim.sim.client import LiveClient
    from happysim.sim.live import LiveNode


@dataclass
class Traffic:
    """What became of the messages of one route. `queued_ns` is time spent waiting for bandwidth."""

    sent: int = 0
    delivered: int = 0
    lost: int = 0
    corrupted: int = 0
    severed: int = 0
    missed: int = 0
    duplicated: int = 0
    bytes: int = 0
    queued_ns: int = 0


# A least delay and a slope, what draws, what takes the message when it arrives, and the epoch.
Ease = tuple[int, float, Callable[[], float], Callable[[Any, Any, Any], None], int]


class Log(Protocol):
    """Is told what a route does with messages, where a trace is kept."""

    def copied(self, route: Route, message: Any, operation: Operation | None) -> None: ...
    def queued(
        self, route: Route, message: Any, operation: Operation | None, lost: bool
    ) -> None: ...
    def missed(self, route: Route) -> None: ...
    def severed(self, route: Route) -> None: ...
    def broken(self, route: Route) -> None: ...


class Route:
    """From one process to another. `kinds` are the classes of message that the receiver takes."""

    __slots__ = (
        "_agenda",
        "_echoed",
        "_free_at",
        "_held",
        "_last_at",
        "_least",
        "_loss",
        "_occupied_ns",
        "_plain",
        "_push",
        "_sample",
        "_sample_jitter",
        "_sample_reorder",
        "_slope",
        "_ticket",
        "arrive",
        "checks",
        "clogs",
        "cuts",
        "delivered",
        "draw",
        "ease",
        "echoes",
        "epoch",
        "kinds",
        "link",
        "log",
        "ordered",
        "sent",
        "source",
        "target",
        "traffic",
    )

    def __init__(
        self,
        agenda: Agenda,
        source: str,
        target: LiveNode | LiveClient,
        kinds: Any,
        link: Link | None,
        draw: Callable[[], float],
        *,
        ordered: bool,
    ) -> None:
        self._agenda, self._push, self._ticket = agenda, agenda.push, agenda.ticket
        self.source, self.kinds = source, kinds
        self.target: Any = target
        self.ordered = ordered
        # What the sender does with a message of each class that was sent here already.
        self.checks: dict[type, Check | None] = {}
        self.draw = draw
        # Hands a message to its receiver, unless it was cut off on its way.
        self.arrive: Callable[[Any, Any, Any], None] = MethodType(target.receive, self)
        # Of a delay that is evenly spread.
        self._least, self._slope = 0, 0.0
        # Where nothing but such a delay befalls a message: all that is needed to send it.
        self.ease: Ease | None = None
        self._free_at = self._last_at = self._occupied_ns = 0
        self._loss = 0.0
        self._sample_jitter: Callable[[], int] | None = None
        self._held: list[tuple[Any, Operation | None]] = []
        # Copies of what was sent since the oldest echo began; each echo begins somewhere in it.
        self._echoed: list[tuple[Any, Operation | None]] = []
        # Raised whenever what is on its way is lost: an arrival of an older epoch does not happen.
        self.epoch = 0
        self.cuts = 0
        self.clogs = 0
        self.echoes = 0
        self.sent = self.delivered = 0
        self.traffic = Traffic()
        self.log: Log | None = None
        self.use(link)

    def use(self, link: Link | None) -> None:
        """Behave as `link` says from now on; None is no way through."""
        self.link = link
        if link is not None:
            self._sample = link.latency.sampler(self.draw)
            self._least, self._slope = link.latency.line or (0, 0.0)
            self._sample_jitter = None if link.jitter is None else link.jitter.sampler(self.draw)
            held_back = link.reorder_by or link.latency
            self._sample_reorder = held_back.sampler(self.draw) if link.reorder else None
            self._occupied_ns, self._loss = link.occupied_ns, link.loss
        self._settle()

    def _settle(self) -> None:
        """Note whether anything but a delay and plain loss can befall a message."""
        link = self.link
        self._plain = not (
            link is None
            or self.cuts
            or self.clogs
            or self.echoes
            or self.ordered
            or link.duplicate
            or link.reorder
            or link.corrupt
        )
        is_even = self._plain and not (self._loss or self._occupied_ns or self._sample_jitter)
        line = link.latency.line if link is not None and is_even else None
        self.ease = None if line is None else (*line, self.draw, self.arrive, self.epoch)

    # -- the way of a message --------------------------------------------------------------------

    def send(self, message: Any, operation: Operation | None, now: int) -> None:
        """Put a message on its way at a time that is now or later."""
        self.sent += 1
        if not self._plain:
            self._send_with_care(message, operation, now)
            return
        # Called by a name of its own, a function in a slot takes less time.
        draw = self.draw
        if self._loss and draw() < self._loss:
            self.traffic.lost += 1
            return
        slope, sample = self._slope, self._sample
        at = now + (self._least + int(draw() * slope) if slope else sample())
        if self._occupied_ns:
            at += self._queue(now)
        if self._sample_jitter is not None:
            at += self._sample_jitter()
        push, ticket = self._push, self._ticket
        push((at, ticket(), self.arrive, message, operation, self.epoch))

    def _send_with_care(self, message: Any, operation: Operation | None, now: int) -> None:
        link, draw, traffic = self.link, self.draw, self.traffic
        if link is None or self.cuts:
            traffic.severed += 1
            self._lose(message, operation)
            return
        if self.clogs:
            self._held.append((message, operation))
            return
        if link.loss and draw() < link.loss:
            traffic.lost += 1
            self._lose(message, operation)
            return
        if link.corrupt and draw() < link.corrupt:
            traffic.corrupted += 1
            self._lose(message, operation)
            return
        if self._occupied_ns:
            now += self._queue(now)
        self._depart(message, operation, now + self._delay())
        if self.echoes:
            self._copied(message, operation)
            self._echoed.append((message, operation))
        if link.duplicate and not self.ordered and draw() < link.duplicate:
            self._copied(message, operation)
            self._depart(message, operation, now + self._delay())

    def _copied(self, message: Any, operation: Operation | None) -> None:
        self.traffic.duplicated += 1
        if self.log is not None:
            self.log.copied(self, message, operation)

    def _delay(self) -> int:
        delay = self._sample()
        if self._sample_jitter is not None:
            delay += self._sample_jitter()
        if self._sample_reorder is not None and self.draw() < self.link.reorder:  # type: ignore[union-attr]
            delay += self._sample_reorder()
        return delay

    def _queue(self, now: int) -> int:
        """How long until the last byte of a message has left, behind what was sent before it."""
        waits = self._free_at - now
        if waits > 0:
            self.traffic.queued_ns += waits
            self._free_at += self._occupied_ns
            return waits + self._occupied_ns
        self._free_at = now + self._occupied_ns
        return self._occupied_ns

    def _depart(self, message: Any, operation: Operation | None, at: int) -> None:
        if self.ordered:
            at = self._last_at = max(at, self._last_at)
            if self.log is not None:
                self.log.queued(self, message, operation, False)
        push, ticket = self._push, self._ticket
        push((at, ticket(), self.arrive, message, operation, self.epoch))

    def _lose(self, message: Any, operation: Operation | None) -> None:
        if self.ordered and self.log is not None:
            self.log.queued(self, message, operation, True)

    # -- faults ----------------------------------------------------------------------------------

    def sever(self) -> None:
        """Lose what is on its way."""
        self._lose_all()
        if self.ordered and self.log is not None:
            self.log.severed(self)

    def reset(self) -> None:
        """Lose what is on its way because one end has crashed."""
        self._lose_all()
        if self.log is not None:
            self.log.broken(self)

    def _lose_all(self) -> None:
        self.epoch += 1
        self.traffic.severed += len(self._held) + len(self._echoed)
        self._held.clear()
        self._echoed.clear()
        self._settle()

    def cut(self) -> None:
        """One more partition lies across this route; what is on its way is lost."""
        self.cuts += 1
        self.sever()
        self._settle()

    def mend(self) -> None:
        """One of the partitions across this route has healed; others may still be there."""
        self.cuts -= 1
        self._settle()

    def clog(self) -> None:
        """Hold back what is sent from now on."""
        self.clogs += 1
        self._settle()

    def release(self) -> None:
        """One reason to hold back is gone; with the last, let go of what was held, in its order."""
        self.clogs -= 1
        self._settle()
        if self.clogs:
            return
        held, self._held = self._held, []
        for message, operation in held:
            self.sent -= 1
            self.send(message, operation, self._agenda.now)

    def echo(self) -> None:
        """Keep a copy of what is sent from now on. An ordered route has no copies."""
        self.echoes += not self.ordered
        self._settle()

    def replay(self) -> None:
        """One echo is over; with the last, let the copies travel, in their order."""
        self.echoes -= not self.ordered
        self._settle()
        if not self.echoes and self.link is not None:
            echoed, self._echoed = self._echoed, []
            for message, operation in echoed:
                self._depart(message, operation, self._agenda.now + self._delay())

    def counts(self) -> Traffic:
        """What became of the messages so far."""
        traffic = self.traffic
        traffic.sent, traffic.delivered = self.sent, self.delivered
        if self.link is not None:
            traffic.bytes = self.sent * self.link.message_bytes
        return self.traffic


class Routes(dict[str, Route]):
    """The routes from one process, each made when it is first used."""

    def __init__(self, names: Sequence[str], make: Callable[[str], Route]) -> None:
        self._names, self._make = frozenset(names), make

    def __missing__(self, to: str) -> Route:
        if to not in self._names:
            raise KeyError(to)
        route = self[to] = self._make(to)
        return route
