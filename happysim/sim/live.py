"""Live processes: nodes and client scripts as objects that stay alive from one handler to the next.

A live node runs the handlers of the same class as a search does, on its own fields, one at a time.
Its host puts messages on routes and timers on the agenda at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from happysim.core.choice import Kind
from happysim.core.errors import DiskFull, HappysimError, ProtocolError, ScenarioError
from happysim.core.freeze import Frozen, thaw, thaw_attributes
from happysim.core.local_step import DOWN, FAILING, NEW, UP, NodeState, raised_by
from happysim.core.node import Node
from happysim.core.process import NodeProcess, check_fields, freeze_fields, unknown_message
from happysim.core.script import Operation
from happysim.sim.agenda import NS, Agenda
from happysim.sim.clock import Clock
from happysim.sim.host import LiveHost
from happysim.sim.route import Route
from happysim.sim.settle import Risks

# Receives each step once it is done: what kind, of whom, from whom, about what.
Observer = Callable[[Kind, Any, str, Any, Operation | None], None]
# Asked before a message is taken: False where it is not taken now.
Gate = Callable[[Route, Any, Operation | None, int], bool]
_NONE = Fraction(0)
# A member of an enum takes longer to look up than most handlers take to send.
_DELIVER, _FIRE = Kind.DELIVER, Kind.FIRE


class LiveNode:
    """One node in virtual time."""

    __slots__ = (
        "_audit_at",
        "_risks",
        "_settler",
        "actions",
        "agenda",
        "calls",
        "clock",
        "clock_stops",
        "deadlines",
        "entries",
        "fail",
        "first_process",
        "gate",
        "guards",
        "handlers",
        "host",
        "is_busy",
        "is_held",
        "kind",
        "life",
        "name",
        "node",
        "observe",
        "process",
        "raised",
        "slot",
        "status",
        "timer_handlers",
        "values",
        "version",
        "waiting",
    )

    def __init__(
        self, process: NodeProcess, agenda: Agenda, host: LiveHost, slot: int, risks: Risks
    ) -> None:
        self.process, self.slot, self.name = process, slot, process.name
        self._risks = risks
        # The process of its first class, which knows what upgrades there may be.
        self.first_process = process
        self.agenda, self.host = agenda, host
        self.status, self.version = NEW, 0
        self.clock: Clock | None = None
        self.gate: Gate | None = self._is_down
        self.observe: Observer | None = None
        self.raised: Any = None
        # What crashes this node, where it lets out that its disk is full.
        self.fail: Callable[[str], None] | None = None
        # Per timer: when it is due by this node's clock, and the entry on the agenda that sees to
        # it. A timer that is set again and again costs one entry: it moves on when it comes up.
        self.deadlines: dict[str, int] = {}
        self.entries: dict[str, int] = {}
        self.calls = 0
        self._audit_at = 1
        # Actions on the agenda.
        self.actions: set[str] = set()
        # What waits at the gate of a node that stands still or is busy: calls, in order.
        self.waiting: deque[tuple[Callable[[Any, Any, Any], None], Any, Any, Any]] = deque()
        self.is_held = self.is_busy = False
        # Raised by each crash, so that what was begun before it does not end after it.
        self.life = 0
        # How many faults keep its clock still.
        self.clock_stops = 0
        self.become(process.kind, process.made_with)

    def become(self, kind: type[Node], fields: tuple[Frozen, ...]) -> None:
        """Be a node of a class with these fields."""
        self.kind = kind
        node = object.__new__(kind)
        self.node, self.values = node, vars(node)
        self.values["name"] = self.name
        self.set_fields(fields)
        handlers = kind.happysim_handlers
        self.handlers: dict[type, Callable[[Any, str, Any], Any]] = {
            each: getattr(node, name) for each, name in handlers.messages.items()
        }
        self.timer_handlers = {each: getattr(node, name) for each, name in handlers.timers.items()}
        self.guards = dict(handlers.actions)
        self._settler = self._risks.settler(kind, self.values)

    def set_fields(self, fields: tuple[Frozen, ...]) -> None:
        """Give every field a fresh value."""
        thaw_attributes(self.values, self.kind.happysim_fields, fields)

    def fields(self) -> tuple[Frozen, ...]:
        """The content of the fields, as a search keeps it."""
        return freeze_fields(self.node, self.name, self.name)

    @property
    def is_up(self) -> bool:
        return self.status == UP

    # -- steps -----------------------------------------------------------------------------------

    def _is_down(self, route: Route, message: Any, operation: Operation | None, epoch: int) -> bool:
        """The gate of a node that is down: what arrives is lost."""
        route.traffic.missed += 1
        if route.ordered and route.log is not None:
            route.log.missed(route)
        return False

    @staticmethod
    def receive(route: Route, message: Any, operation: Operation | None, epoch: int) -> None:
        """What a route has brought arrives, unless it was cut off on its way: it is handled.

        Most of a run is spent between here and a handler, so there is no call in between.
        """
        live: LiveNode = route.target
        if epoch != route.epoch:
            route.traffic.severed += 1
            return
        if live.gate is not None and not live.gate(route, message, operation, epoch):
            return
        route.delivered += 1
        kind = type(message)
        try:
            handler = live.handlers[kind]
        except KeyError:
            handler = live._handler_of_unknown(kind)
        host, source = live.host, route.source
        host._sender, host._operation, host.is_open = source, operation, True
        if host.was_used:
            host.forget()
        try:
            said = handler(host, source, message)
        except Exception as error:
            live._raise(error, live.kind.happysim_handlers.messages.get(kind, ""))
            said = None
        host.is_open = False
        live.calls = calls = live.calls + 1
        if said is not None or calls == live._audit_at:
            live._audit(said)
        settler = live._settler
        if settler is not None:
            settle = settler.settle
            settle()
        if live.guards or host.is_slow or live.observe is not None:
            live._follow(_DELIVER, source, message, operation)

    def _handler_of_unknown(self, message: type) -> Callable[[Any, str, Any], Any]:
        """One that only a later class knows is unknown to this one."""
        if self.process.faults.ignores_unknown:
            return lambda host, sender, message: None
        raise unknown_message(self.kind, self.name, message)

    def run(self, kind: Kind, what: str, call: Callable[[Any], Any]) -> None:
        """Run a handler that no message brings: of a timer or an action, or `on_start`."""
        host = self.host
        host._sender, host._operation, host.is_open = None, None, True
        if host.was_used:
            host.forget()
        try:
            said = call(host)
        except Exception as error:
            self._raise(error, call.__name__)
            said = None
        # As in `receive`.
        host.is_open = False
        self.calls = calls = self.calls + 1
        if said is not None or calls == self._audit_at:
            self._audit(said)
        settler = self._settler
        if settler is not None:
            settle = settler.settle
            settle()
        if self.guards or host.is_slow or self.observe is not None:
            self._follow(kind, "", what, None)

    def _follow(self, kind: Kind, source: str, what: Any, operation: Operation | None) -> None:
        """What follows from a handler: actions whose guards hold now, time, and judgement."""
        if self.guards:
            self._plan_actions()
        if self.host.is_slow:
            self._take_time()
        if self.observe is not None:
            self.observe(kind, self, source, what, operation)

    def _plan_actions(self) -> None:
        """Put each action whose guard holds on the agenda, at some moment of the next second."""
        for name, guard in self.guards.items():
            if name not in self.actions and (guard is None or guard(self.node)):
                self.actions.add(name)
                delay = 1 + int(self.host.draw() * NS)
                self.agenda.at(self.agenda.now + delay, self.act, name, self.life)

    def act(self, name: str, life: int, _: None) -> None:
        """An action comes up; it is taken if its guard still holds."""
        if life != self.life or name not in self.actions:
            return
        if self.gate is not None:
            # Paused or busy: it is tried again when the node goes on.
            self.actions.discard(name)
            return
        self.actions.discard(name)
        guard = self.guards[name]
        if guard is None or guard(self.node):
            self.run(Kind.ACT, name, getattr(self.node, name))
        else:
            self._plan_actions()

    def _raise(self, error: Exception, name: str) -> None:
        if isinstance(error, DiskFull) and self.host.disk is not None:
            # A crash follows at once; until then nothing else happens here.
            self.host.disk.undo()
            self._await_crash()
            return
        if isinstance(error, HappysimError):
            raise error
        where = f"{self.kind.__name__}.{name} on {self.name}"
        self.raised = raised_by(where, error, getattr(self.kind, name))
        self.agenda.stopped = True

    def _audit(self, said: Any) -> None:
        """Check what a search checks at every step; here now and then, for it takes time."""
        where = f"{self.kind.__name__} {self.name}, after {self.calls} handler calls"
        if said is not None:
            raise ProtocolError(
                f"{where}: a handler returned a {type(said).__name__}; it returns nothing "
                "(it must not be a generator or a coroutine either)"
            )
        self._audit_at *= 2
        if self.raised is None:
            check_fields(self.node, self.name, where)
        if self._settler is not None:
            self._settler.settle_all()
        self.host.audit(self.calls + 1 == self._audit_at)

    # -- life ------------------------------------------------------------------------------------

    def start(self, kind: Kind = Kind.START, what: str = "") -> None:
        """Come up, and run `on_start`; `what` has befallen its disk."""
        self.status = UP
        self.gate = None
        self.run(kind, what, self.node.on_start)

    def resume_as(self, state: NodeState) -> None:
        """Take on the state of a world in the middle of a run."""
        if state.version:
            self.upgrade(state.version)
        self.set_fields(state.fields)
        self.status = state.status
        self.gate = None if state.status == UP else self._is_down
        if state.status == FAILING:
            self._await_crash()

    def resume_actions(self) -> None:
        """Plan what this node may do by itself, in a world in mid-run."""
        if self.guards and self.gate is None:
            self._plan_actions()

    def crash(self) -> None:
        """Go down: lose the timers and every field that is not durable."""
        self.status = DOWN
        self.gate = self._is_down
        self.deadlines.clear()
        # An entry may wait at the gate instead of on the agenda, and is gone with it.
        self.entries.clear()
        self.actions.clear()
        self.waiting.clear()
        self.is_held = self.is_busy = False
        self.life += 1
        made = self.process.made_with if self.kind is self.process.kind else None
        for at, name in enumerate(self.kind.happysim_fields):
            if not self.kind.happysim_durable[at] and made is not None:
                self.values[name] = thaw(made[at])

    # -- standing still, and being busy ----------------------------------------------------------

    @property
    def upgrades_left(self) -> tuple[NodeProcess, ...]:
        """The classes, as processes, that it may still become."""
        return self.first_process.later[self.version :]

    def upgrade(self, number: int) -> None:
        """Be a node of another class, while it is down."""
        process = self.first_process
        state = NodeState(DOWN, self.fields(), version=self.version)
        after = process.upgraded(state, number)
        self.version, self.process = number, process.later[number - 1]
        self.host._site = self.process.site
        self.host.forget_plans()
        self.become(self.process.kind, after.fields)
        if self.host.disk is not None:
            self.host.disk.meet()
            self.host.disk.adopt(after)

    def hold(self) -> None:
        """Stand still: what arrives waits at the gate, and no timer rings."""
        self.is_held = True
        self.gate = self._wait

    def go_on(self) -> None:
        """Take what has arrived meanwhile and ring what was due, all in its order."""
        self.is_held = False
        self._serve()

    def _await_crash(self) -> None:
        self.gate = self._wait
        self.agenda.at(self.agenda.now, self._fail, self.life)

    def _fail(self, life: int, *_: Any) -> None:
        if life == self.life and self.fail is not None:
            self.fail(self.name)

    def _take_time(self) -> None:
        """The handler that has just run has taken time: nothing else runs until that is over."""
        if self.host.disk is not None and self.raised is None:
            self.host.disk.written()
        busy = self.host.spent + self.host.lag
        if busy and self.status == UP:
            self.is_busy = True
            self.gate = self._wait
            self.agenda.at(self.agenda.now + busy, self._is_done, self.life)

    def _is_done(self, life: int, *_: Any) -> None:
        if life == self.life:
            self.is_busy = False
            self._serve()

    def _wait(self, route: Route, message: Any, operation: Operation | None, epoch: int) -> bool:
        """The gate of a node that stands still or is busy."""
        self.waiting.append((route.arrive, message, operation, epoch))
        return False

    def _serve(self) -> None:
        """Let in what waits, one after another, for as long as nothing else keeps the gate shut."""
        if self.is_held or self.is_busy or self.status != UP:
            return
        self.gate = None
        while self.waiting and self.gate is None and not self.agenda.stopped:
            call, first, second, third = self.waiting.popleft()
            call(first, second, third)
        if self.guards and self.gate is None:
            self._plan_actions()

    # -- timers ----------------------------------------------------------------------------------

    def set_timer(self, name: str, low: int, span: int = 0) -> None:
        """Let a timer fire once this node's clock has gained `low` nanoseconds.

        Where `span` is not 0, a draw from so many is added.
        """
        host = self.host
        delay = low + int(host.draw() * span) if span else low
        now = self.agenda.now
        if host.is_slow:
            now += host.spent
        clock = self.clock
        if clock is None:
            due = deadline = now + delay
        else:
            deadline = clock.read(now) + delay
            when = clock.when(deadline, now)
            if when is None:
                # The clock stands still; whoever sets it going winds the timers.
                self.deadlines[name] = deadline
                self.entries.pop(name, None)
                return
            due = when
        self.deadlines[name] = deadline
        known = self.entries.get(name)
        if known is None or due < known:
            self.entries[name] = due
            agenda = self.agenda
            agenda.at(due, self.ring, name, due)

    def ring(self, name: str, entry: int, _: None) -> None:
        """An entry of a timer comes up: fire, or move on to where the timer is set now."""
        entries = self.entries
        if entries.get(name) != entry:
            return
        if self.gate is not None and self.status == UP:
            # Paused or busy: it rings late, behind what came before it.
            self.waiting.append((self.ring, name, entry, None))
            return
        del entries[name]
        deadlines = self.deadlines
        deadline = deadlines.get(name)
        if deadline is None:
            return
        agenda, clock = self.agenda, self.clock
        due = deadline if clock is None else clock.when(deadline, agenda.now)
        if due is None:
            return
        if due > agenda.now:
            entries[name] = due
            push, ticket = agenda.push, agenda.ticket
            push((due, ticket(), self.ring, name, due, None))
        else:
            del deadlines[name]
            self.run(_FIRE, name, self.timer_handlers[name])

    def wind(self) -> None:
        """Put every timer on the agenda anew: the clock has changed."""
        now = self.agenda.now
        self.entries.clear()
        for name, deadline in self.deadlines.items():
            due = deadline if self.clock is None else self.clock.when(deadline, now)
            if due is not None:
                due = max(due, now)
                self.entries[name] = due
                self.agenda.at(due, self.ring, name, due)

    def turn_clock(self, *, jump_ns: int = 0, drift_more: Fraction = _NONE, stops: int = 0) -> None:
        """Change this node's clock now: by a jump, by so much drift more, by stops more or fewer.

        Raises `ScenarioError` where it would run backwards.
        """
        clock = Clock() if self.clock is None else self.clock
        drift = clock.drift + drift_more
        if drift <= -1:
            raise ScenarioError(
                f"the clock of {self.name} would gain {drift} seconds a second: a clock may lose "
                "less than a second a second; FreezeClock lets it stand still"
            )
        self.clock = clock
        self.clock_stops += stops
        clock.set(self.agenda.now, jump_ns=jump_ns, drift=drift, frozen=self.clock_stops > 0)
        self.wind()
