"""The host of a live node: what a handler sends and sets goes on its way at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from happysim.core.describe import describe
from happysim.core.errors import DiskFull
from happysim.core.host import FULL, Host, Site, check_immutable, listed, seconds_pair
from happysim.core.message import freeze_message
from happysim.core.prng import Random
from happysim.core.script import Operation, Response
from happysim.sim.agenda import Agenda, ns_of
from happysim.sim.disk import LiveDisk
from happysim.sim.route import Route
from happysim.sim.values import NOTHING, Check, parcel, stable

if TYPE_CHECKING:
    from happysim.sim.live import LiveNode

_T = TypeVar("_T")
Recorder = Callable[[str, str, Any], None]
_NEVER = object()


class Told(Protocol):
    """Says what a handler draws and reads from its clock, where a run is told and not drawn."""

    def pick(self, options: Sequence[str]) -> int: ...
    def read(self, shown: int) -> int: ...


class LiveHost(Host):
    """One host for one live node; it is open while a handler runs and refuses all use between."""

    __slots__ = (
        "_agenda",
        "_checks",
        "_draw",
        "_known",
        "_last_plans",
        "_live",
        "_met",
        "_plans",
        "_push",
        "_random",
        "_ready",
        "_record",
        "_routes",
        "_ticket",
        "disk",
        "is_open",
        "is_slow",
        "lag",
        "picks",
        "readings",
        "route_of",
        "spent",
        "told",
        "was_used",
    )

    def __init__(
        self,
        site: Site,
        agenda: Agenda,
        routes: dict[str, Route],
        random: Random,
        draw: Callable[[], float],
        record: Recorder,
    ) -> None:
        self._site, self._agenda, self._routes = site, agenda, routes
        self._push, self._ticket = agenda.push, agenda.ticket
        self._random, self._draw, self._record = random, draw, record
        # Set by `bind`, when the node is made.
        self._live: LiveNode = None  # type: ignore[assignment]
        self._sender: str | None = None
        self._operation: Operation | None = None
        self.is_open = False
        # Nanoseconds that this handler has waited, for its disk: what it sends leaves that later.
        self.spent = 0
        # Nanoseconds that every handler takes, and whether anything but such handling takes none.
        self.lag = 0
        self.is_slow = False
        # Its simulated disk; None where no disk of the run can fail, and a sync costs nothing.
        self.disk: LiveDisk | None = None
        # Set where a run is told what happens in it.
        self.told: Told | None = None
        # Finds the route between any two processes; set where the node is made.
        self.route_of: Callable[[str, str], Route]
        # What the handler drew and read from its clock, as a trace keeps it.
        self.picks: list[str] = []
        self.readings: list[int | str] = []
        # Whether a handler has left something in `picks`, `readings` or `spent`.
        self.was_used = False
        # What to do with a message of a class; None where it may be shared as it is. What is known
        # is not looked up while a node is audited: then every message is looked at in full.
        self._known: dict[type, Check | None] = {}
        self._checks = self._known
        # The routes that were used, and those of them on which a message is sent without further
        # thought: none while a node is audited, or takes time.
        self._met: dict[str, Route] = {}
        self._ready = self._met
        self._plans: dict[tuple[str, Any], tuple[int, int]] = {}
        # The last plan of each timer, and what it was made from: most are set the same way again.
        self._last_plans: dict[str, tuple[Any, int, int]] = {}

    # -- for the engine --------------------------------------------------------------------------

    def draw(self) -> float:
        """A float in [0, 1), from the stream of this node's delays."""
        return self._draw()

    def bind(self, live: LiveNode) -> None:
        """Serve this node."""
        self._live = live

    def forget(self) -> None:
        """Forget what the last handler drew, read and waited for."""
        self.picks, self.readings, self.spent, self.was_used = [], [], 0, False

    def forget_plans(self) -> None:
        """Its node has another class now, with other timers."""
        self._plans.clear()
        self._last_plans.clear()

    def audit(self, wanted: bool) -> None:
        """Look at every message of the next handler as a search does, or stop doing so."""
        self._checks = {} if wanted else self._known
        self._hurry()

    def take_time(self, is_slow: bool) -> None:
        """Let handlers take time from now on, or none."""
        self.is_slow = is_slow
        self._hurry()

    def _hurry(self) -> None:
        self._ready = {} if self.is_slow or self._checks is not self._known else self._met

    @property
    def _where(self) -> str:  # type: ignore[override]
        live = self._live
        return f"{live.kind.__name__} {live.name}"

    @property
    def _closed(self) -> bool:  # type: ignore[override]
        return not self.is_open

    # -- messages --------------------------------------------------------------------------------

    def send(self, to: str, message: Any) -> None:
        """Put a message on its way to the node `to`."""
        if not self.is_open:
            self._use("send")
        try:
            route = self._ready[to]
            check = route.checks[type(message)]
        except (KeyError, TypeError):
            self._send_with_care(to, message)
            return
        if check is not None:
            # As in `Check`, in one call less.
            get, look = check
            held = get(message)
            if held is not NOTHING and held is not None:
                message = look(message)
        ease = route.ease
        if ease is not None:
            # As in `Route.send`, in one call less.
            route.sent += 1
            least, slope, draw, arrive, epoch = ease
            at = self._agenda.now + least
            if slope:
                at += int(draw() * slope)
            push, ticket = self._push, self._ticket
            push((at, ticket(), arrive, message, None, epoch))
        else:
            route.send(message, None, self._agenda.now)

    def _send_with_care(self, to: str, message: Any) -> None:
        """A message of a class that was not sent there before, or from a node that takes time."""
        kind = type(message)
        if kind not in self._checks:
            message = self._inspect(message)
        else:
            check = self._checks[kind]
            if check is not None:
                message = check(message)
        try:
            route = self._routes[to]
        except (KeyError, TypeError):
            self._site.check_receiver(to, message, self._use("send"))
            raise
        if route.kinds is None or kind not in route.kinds:
            self._site.check_receiver(to, message, self._use("send"))
            raise AssertionError("a route and a site do not agree")
        route.checks[kind] = self._known[kind]
        self._met[to] = route
        route.send(message, None, self._agenda.now + self.spent + self.lag)

    def _inspect(self, message: Any) -> Any:
        where = self._use("send")
        kind = type(message)
        freeze_message(message, where)
        if kind not in self._known:
            self._known[kind] = parcel(kind)
        check = self._known[kind]
        return message if check is None else check(message)

    def _forge(self, source: str, to: str, message: Any) -> None:
        """For Byzantine nodes: it travels as if the other node had sent it."""
        message = self._inspect(message)
        self._site.check_receiver(to, message, self._use("send"))
        at = self._agenda.now + self.spent + self.lag
        self.route_of(source, to).send(message, None, at)

    def broadcast(self, message: Any, to: Iterable[str] | None = None) -> None:
        """Send a message to each of `to`: by default to all peers, not to this node itself."""
        for name in self._site.peers if to is None else listed(to):
            self.send(name, message)

    def reply(self, message: Any) -> None:
        """Send a message to the sender of the one being handled; a client script is answered."""
        sender = self._sender
        if sender is None or not self.is_open:
            super().reply(message)
        elif self._routes[sender].kinds is None:
            self.respond(message)
        else:
            self.send(sender, message)

    # -- clients ---------------------------------------------------------------------------------

    def respond(self, value: Any, to: Operation | None = None) -> None:
        """Answer a client script."""
        where = self._use("respond")
        target = self._respond_to(to, where)
        check_immutable(value, f"{where}: the answer")
        if target is None:
            return
        answer = Response(target.number, stable(value))
        self._routes[target.client].send(answer, None, self._agenda.now + self.spent + self.lag)

    def invoke(self, operation: Any) -> None:
        """Record in the History that this node, as a client, has asked for `operation`."""
        where = self._use("invoke")
        check_immutable(operation, f"{where}: the operation")
        self._record("invoke", self._site.name, operation)

    def complete(self, result: Any = None) -> None:
        """Record in the History that this node's open operation has returned `result`."""
        where = self._use("complete")
        check_immutable(result, f"{where}: the result")
        self._record("complete", self._site.name, result)

    # -- timers ----------------------------------------------------------------------------------

    def set_timer(self, name: str, seconds: float | tuple[float, float] = 1.0) -> None:
        """Let the timer `name` fire once, after `seconds` of this node's clock."""
        if not self.is_open:
            self._use("set_timer")
        try:
            given, low, span = self._last_plans[name]
        except (KeyError, TypeError):
            given = _NEVER
        if given is not seconds:
            low, span = self._plan(name, seconds)
        live = self._live
        if live.clock is not None or self.is_slow:
            live.set_timer(name, low, span)
            return
        # The usual case, which is that of every heartbeat, in one call less.
        due = self._agenda.now + low
        if span:
            draw = self._draw
            due += int(draw() * span)
        live.deadlines[name] = due
        entries = live.entries
        if name not in entries or due < entries[name]:
            entries[name] = due
            push, ticket = self._push, self._ticket
            push((due, ticket(), live.ring, name, due, None))

    def resume_timer(self, name: str, low: float, high: float) -> None:
        """Set a timer of a world in mid-run: it was set with this delay, and rings within it."""
        least, span = ns_of(low), ns_of(high) - ns_of(low)
        self._live.set_timer(name, least, span)

    def _plan(self, name: str, seconds: Any) -> tuple[int, int]:
        """A delay as its least nanoseconds and the width of its range."""
        try:
            low, span = self._plans[name, seconds]
        except (KeyError, TypeError):
            self._check_timer(name, self._use("set_timer"))
            low, high = map(ns_of, seconds_pair(seconds, self._use("set_timer")))
            span = high - low + 1 if high > low else 0
            self._plans[name, seconds] = low, span
        self._last_plans[name] = seconds, low, span
        return low, span

    @property
    def longest_delay(self) -> int:
        """For the engine: the longest that a timer was set for so far, in nanoseconds; 0: none."""
        return max((low + span for low, span in self._plans.values()), default=0)

    def cancel_timer(self, name: str) -> None:
        """Forget the timer `name`; does nothing where it is not set."""
        if not self.is_open:
            self._use("cancel_timer")
        self._live.deadlines.pop(name, None)

    @property
    def now(self) -> int:
        """What this node's clock shows, in nanoseconds."""
        if not self.is_open:
            self._use("now")
        clock, now = self._live.clock, self._agenda.now + self.spent
        shown = now if clock is None else clock.read(now)
        if self.told is not None:
            shown = self.told.read(shown)
        self.readings.append(shown)
        self.was_used = True
        return shown

    # -- chance ----------------------------------------------------------------------------------

    def choose(self, options: Iterable[_T]) -> _T:
        """One of the options, drawn from this node's own stream; each is equally likely."""
        where = self._use("choose")
        if type(options) is range and len(options) > 1 and self.told is None:
            picked: Any = options[self._random.below(len(options))]
            self.picks.append(str(picked))
            self.was_used = True
            return picked  # type: ignore[no-any-return]
        kept, frozen = self._distinct(options, where)
        if len(kept) == 1:
            return kept[0]
        if self.told is None:
            at = self._random.below(len(kept))
        else:
            at = self.told.pick([describe(each) for each in frozen])
        self.picks.append(describe(frozen[at]))
        self.was_used = True
        return kept[at]

    # -- disk ------------------------------------------------------------------------------------

    def sync(self) -> None:
        """Wait until every durable field is on disk as it is now."""
        if not self.is_open:
            self._use("sync")
        disk = self.disk
        if disk is not None:
            if disk.full:
                self.readings.append(FULL)
                self.was_used = True
                raise DiskFull(f"{self._where}, host.sync: the disk is full")
            self.spent += disk.sync()
            self.was_used = True

    @property
    def _marks(self) -> tuple[Any, ...]:  # type: ignore[override]
        return () if self.disk is None else self.disk.marks
