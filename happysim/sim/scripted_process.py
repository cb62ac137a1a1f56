"""Live processes that are told what happens: timers ring, clients ask and handlers pick as told.

What is told must be possible. A timer rings no earlier than it was set for by its node's clock, and
no later while its node is free to run it; a client is as patient as it says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from happysim.core.choice import Kind
from happysim.core.errors import HappysimError
from happysim.core.local_step import ScriptState
from happysim.core.script import Post, Request, Sleep
from happysim.sim.agenda import seconds_text
from happysim.sim.client import LiveClient
from happysim.sim.live import LiveNode
from happysim.sim.told import Span


class Impossible(HappysimError):
    """Why what is told cannot happen now."""


class ScriptedNode(LiveNode):
    """A node that is told when its timers ring, and what its handlers draw and read."""

    def __init__(self, *surroundings: Any) -> None:
        # By name of timer: how long it runs, whatever its handlers say.
        self.spans: Mapping[str, Span] = {}
        # Its timers may be late where its disk takes time to sync, which nobody tells, and where
        # not all deliveries are told.
        self.may_be_late = False
        self._picks, self._readings = "", list[str]()
        # Per timer: what its clock shows when it must have rung, and the true time of that.
        self._dues: dict[str, int | None] = {}
        self._latest: dict[str, int | None] = {}
        super().__init__(*surroundings)
        self.host.told = self

    def tell(self, choosing: str, reading: str) -> None:
        """What the handler that comes next draws, and finds on its clock."""
        self._picks, self._readings = choosing, reading.split(", ") if reading else []

    def pick(self, options: Sequence[str]) -> int:
        """The option that the text of the choice names next. Raises `Impossible`."""
        rest = self._picks
        fits = [at for at, each in enumerate(options) if f"{rest}, ".startswith(f"{each}, ")]
        if not rest or not fits:
            told = f"not {rest}" if rest else f"add `choosing {options[0]}`, or another"
            raise Impossible(f"its handler chooses from {', '.join(options)}: {told}")
        at = max(fits, key=lambda at: len(options[at]))
        self._picks = rest[len(options[at]) + 2 :]
        return at

    def read(self, shown: int) -> int:
        """What the text says that its clock shows; as it shows, where that is silent."""
        if not self._readings:
            return shown
        told = self._readings.pop(0)
        disk = self.host.disk
        waited = self.may_be_late and disk is not None and disk.is_syncing
        if told.lstrip("-").isdecimal() and (int(told) == shown or (waited and int(told) > shown)):
            return int(told)
        raise Impossible(f"its clock shows {seconds_text(shown)} s, and not `reading {told}`")

    # -- timers ----------------------------------------------------------------------------------

    def set_timer(self, name: str, low: int, span: int = 0) -> None:
        """Let a timer ring when it is told to."""
        least, most = self.spans.get(name, (low, low + span))
        local = self._local()
        # Of a timer that a world in mid-run holds nobody knows since when.
        self.deadlines[name] = local + least if self.host.is_open else local
        # A clock's time is rounded down to a nanosecond, here and there.
        self._dues[name] = None if most is None else local + most + 1
        self._wind(name)

    def _local(self) -> int:
        now = self.agenda.now
        return now if self.clock is None else self.clock.read(now)

    def _wind(self, name: str) -> None:
        due, now = self._dues[name], self.agenda.now
        if due is not None and self.clock is not None:
            due = self.clock.when(due, now)
        self._latest[name] = None if due is None else max(due, now)

    def wind(self) -> None:
        """The clock has changed."""
        for name in self.deadlines:
            self._wind(name)

    def fire(self, name: str) -> None:
        """A timer rings. Raises `Impossible` where it is not set, or it is too early."""
        if name not in self.deadlines:
            raise Impossible(f"timer {name} is not set")
        left = self.deadlines[name] - self._local()
        if left > 0:
            raise Impossible(f"timer {name} has {seconds_text(left)} s left, by its node's clock")
        del self.deadlines[name]
        self.run(Kind.FIRE, name, self.timer_handlers[name])

    def overdue(self, now: int) -> str:
        """A timer that must have rung before now; empty where there is none."""
        if self.gate is not None or self.may_be_late:
            return ""
        for name in self.deadlines:
            latest = self._latest[name]
            if latest is not None and latest < now:
                return f"timer {name} of {self.name} must ring by {seconds_text(latest)} s"
        return ""

    def _serve(self) -> None:
        super()._serve()
        if self.gate is None:
            # What rang while the node stood still, or was busy, rings now.
            for name, latest in self._latest.items():
                if latest is not None:
                    self._latest[name] = max(latest, self.agenda.now)

    # -- actions ---------------------------------------------------------------------------------

    def _plan_actions(self) -> None:
        """An action happens when it is told to."""

    def enabled(self) -> list[str]:
        """The actions whose guards hold."""
        return [name for name, holds in self.guards.items() if holds is None or holds(self.node)]


class ScriptedClient(LiveClient):
    """A client script that is told when it asks, gives up and wakes."""

    # When what it waits for began; None where that was before the run.
    since: int | None = None

    def resume_as(self, state: ScriptState) -> None:
        """Take on the state of a world in the middle of a run."""
        super().resume_as(state)
        self.since = None

    def _follow(self) -> None:
        self.since = self.agenda.now

    def _set_timeout(self) -> None:
        self.since = self.agenda.now

    @property
    def waits(self) -> tuple[str, Span] | None:
        """What it waits for besides an answer: the end of its patience, or of a sleep."""
        request = self.script.request
        if isinstance(request, Sleep):
            return "sleep", (request.low_ns, request.high_ns)
        if self.waiting and isinstance(request, Request) and request.timeout_ns is not None:
            return "timeout", (request.timeout_ns, request.timeout_ns)
        return None

    @property
    def asks(self) -> Request | Post | None:
        """The request that it makes next; None where it waits, or is done."""
        request = self.script.request
        return None if self.waiting or isinstance(request, Sleep) else request

    def fire(self, what: str) -> None:
        """It gives up, or wakes. Raises `Impossible` where it does not wait so, or so long."""
        if self.waits is None or self.waits[0] != what:
            raise Impossible(f"{self.name} is in no {what}")
        (least, _), now = self.waits[1], self.agenda.now
        if self.since is not None and now < self.since + least:
            left = seconds_text(self.since + least - now)
            raise Impossible(f"its {what} lasts for {left} s more")
        if what == "sleep":
            self.wake()
        else:
            self.expire(self.script.number)

    def overdue(self, now: int) -> str:
        """What must have ended before now; empty where nothing must."""
        if self.waits is None:
            return ""
        what, (_, most) = self.waits
        latest = (self.since or 0) + (most or 0)
        return f"{what} of {self.name} ends by {seconds_text(latest)} s" if latest < now else ""
