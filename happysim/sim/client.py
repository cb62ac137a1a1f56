"""Live client scripts: a generator that asks, waits for the answer, and asks again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from happysim.core.choice import Kind
from happysim.core.errors import HappysimError
from happysim.core.freeze import thaw
from happysim.core.message import freeze_message
from happysim.core.process import ScriptProcess, ScriptState, raised_by
from happysim.core.script import Operation, Response
from happysim.sim.agenda import Agenda
from happysim.sim.live import Gate, Observer
from happysim.sim.route import Route
from happysim.sim.values import stable


class _Running:
    """A script's generator as it runs."""

    def __init__(self, script: Any) -> None:
        self._generator = script.function(*thaw(script.arguments))

    def start(self) -> Any:
        return next(self._generator, None)

    def answer(self, value: Any) -> Any:
        try:
            return self._generator.send(value)
        except StopIteration:
            return None


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
        slot: int,
    ) -> None:
        self.process, self.slot, self.name = process, slot, process.name
        self.agenda, self.routes, self.record = agenda, routes, record
        self.observe: Observer | None = None
        self.raised: Any = None
        self.number = 1
        self.waiting = False
        self.script: Any = None
        self.request: Any = None

    def start(self) -> None:
        """Run the script up to its first request."""
        self.script = _Running(self.process.script)
        self._follow(self.script.start())

    def resume_as(self, state: ScriptState) -> None:
        """Take on the state of a world in the middle of a run."""
        self.script = _Running(self.process.script)
        request = self.script.start()
        for answer in state.answers:
            request = self.script.answer(thaw(answer))
        self.number = len(state.answers) + 1
        self.waiting = state.waiting
        self.request = request
        if not state.waiting:
            self._follow(request)

    def _follow(self, request: Any) -> None:
        self.request = request
        if request is not None:
            self.agenda.at(self.agenda.now, self.ask)

    def ask(self, *_: Any) -> None:
        """Send the request that the script has made."""
        request = self.request
        where = f"script {self.name}, call {self.number}"
        freeze_message(request.message, where)
        self.process.site.check_receiver(request.to, request.message, where)
        operation = Operation(self.name, self.number)
        message = stable(request.message)
        self.waiting = True
        self.record("invoke", self.name, message)
        self.routes[request.to].send(message, operation, self.agenda.now)
        if self.observe is not None:
            self.observe(Kind.INVOKE, self, request.to, message, operation)

    def take(self, source: str, message: Response, operation: Operation | None) -> None:
        """An answer arrives; one to an earlier request is ignored."""
        if self.waiting and message.number == self.number:
            self.waiting = False
            self.number += 1
            try:
                request = self.script.answer(message.value)
            except HappysimError:
                raise
            except Exception as error:
                self.raised = raised_by(f"script {self.name}", error)
                self.agenda.stopped = True
                request = None
            if self.raised is None:
                self.record("complete", self.name, message.value)
                self._follow(request)
        if self.observe is not None:
            self.observe(Kind.DELIVER, self, source, message, operation)
