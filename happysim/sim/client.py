"""Live client scripts: a generator that asks, waits for the answer, and asks again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from happysim.core.choice import Kind
from happysim.core.errors import HappysimError
from happysim.core.freeze import thaw
from happysim.core.local_step import ScriptState, raised_by
from happysim.core.message import freeze_message
from happysim.core.script import LiveScript, Operation, Post, Request, Response, Sleep, TimedOut
from happysim.core.script_process import ScriptProcess
from happysim.sim.agenda import Agenda
from happysim.sim.live import Gate, Observer
from happysim.sim.route import Route
from happysim.sim.values import stable


class LiveClient:
    """One client script in virtual time. Its next request follows an answer at once."""

    gate: Gate | None = None
    is_up = True

    def __init__(
        self,
        process: ScriptProcess,
        agenda: Agenda,
        routes: dict[str, Route],
        record: Callable[[str, str, Any], None],
        draw: Callable[[], float],
        slot: int,
    ) -> None:
        self.process, self.slot, self.name = process, slot, process.name
        self.agenda, self.routes, self.record, self.draw = agenda, routes, record, draw
        self.observe: Observer | None = None
        self.raised: Any = None
        self.waiting = False
        self.script = LiveScript(process.script)

    def start(self) -> None:
        """Run the script up to its first request."""
        self.script.start()
        self._follow()

    def resume_as(self, state: ScriptState) -> None:
        """Take on the state of a world in the middle of a run."""
        self.script.start()
        for answer in state.answers:
            self.script.answer(thaw(answer))
        self.waiting = state.waiting
        if self.waiting:
            self._set_timeout()
        else:
            self._follow()

    def _follow(self) -> None:
        """Do what the script asks for next: at once, or after its sleep."""
        request, now = self.script.request, self.agenda.now
        if isinstance(request, Sleep):
            span = request.high_ns - request.low_ns
            delay = request.low_ns + (int(self.draw() * span) if span else 0)
            self.agenda.at(now + delay, self.wake)
        elif request is not None:
            self.agenda.at(now, self.ask)

    def _go_on(self, value: Any) -> bool:
        """Give the script what it waited for; False where it raised."""
        try:
            self.script.answer(value)
        except HappysimError:
            raise
        except Exception as error:
            self.raised = raised_by(f"script {self.name}", error)
            self.agenda.stopped = True
            return False
        for each in self.script.posted:
            self._send(each, None)
        self._follow()
        return True

    def _send(self, request: Request | Post, operation: Operation | None) -> Any:
        about = f"call {operation.number}" if operation else f"a message to {request.to}"
        where = f"script {self.name}, {about}"
        freeze_message(request.message, where)
        self.process.site.check_receiver(request.to, request.message, where)
        message = stable(request.message)
        self.routes[request.to].send(message, operation, self.agenda.now)
        return message

    # -- steps -----------------------------------------------------------------------------------

    def ask(self, *_: Any) -> None:
        """Send the request that the script has made."""
        request = self.script.request
        assert isinstance(request, Request | Post)
        operation = None
        if isinstance(request, Request):
            operation = Operation(self.name, self.script.number)
        message = self._send(request, operation)
        if operation is None:
            self._go_on(None)
        else:
            self.waiting = True
            self.record("invoke", self.name, message)
            self._set_timeout()
        if self.observe is not None:
            self.observe(Kind.INVOKE, self, request.to, message, operation)

    def _set_timeout(self) -> None:
        request = self.script.request
        if isinstance(request, Request) and request.timeout_ns is not None:
            self.agenda.at(self.agenda.now + request.timeout_ns, self.expire, self.script.number)

    def awaits(self, number: int) -> bool:
        """True while the call of that number is open."""
        return self.waiting and self.script.number == number

    def expire(self, number: int, *_: Any) -> None:
        """The time for an answer is over; nothing, where it has come."""
        if not self.awaits(number):
            return
        self.waiting = False
        if self._go_on(TimedOut()):
            self.record("abandon", self.name, None)
        if self.observe is not None:
            self.observe(Kind.FIRE, self, "", "timeout", None)

    def wake(self, *_: Any) -> None:
        """A sleep is over."""
        self._go_on(None)
        if self.observe is not None:
            self.observe(Kind.FIRE, self, "", "sleep", None)

    @staticmethod
    def receive(route: Route, message: Response, operation: Operation | None, epoch: int) -> None:
        """An answer arrives, unless it was cut off on its way; one to an earlier request is old."""
        if epoch != route.epoch:
            route.traffic.severed += 1
            return
        route.delivered += 1
        client: LiveClient = route.target
        if client.awaits(message.number):
            client.waiting = False
            if client._go_on(message.value):
                client.record("complete", client.name, message.value)
        if client.observe is not None:
            client.observe(Kind.DELIVER, client, route.source, message, operation)
