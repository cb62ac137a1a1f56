"""Client scripts as processes: how a generator takes one local step, on frozen values.

A script's state is the tuple of answers sent into it; it is rebuilt by running it again on them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from happysim.core.determinism import shifted_surroundings
from happysim.core.errors import DeterminismError, HappysimError, ProtocolError
from happysim.core.freeze import Frozen, freeze, thaw
from happysim.core.host import Site
from happysim.core.local_step import ADVICE, Event, Outcome, ScriptState, raised_by, response_parts
from happysim.core.message import freeze_message
from happysim.core.script import (
    LiveScript,
    Operation,
    Post,
    Request,
    Script,
    Sleep,
    TimedOut,
)

_TIMED_OUT = freeze(TimedOut())


class Step(NamedTuple):
    """What a script does after some answers: what it asks next, its calls so far, what it posts."""

    asked: Request | Post | Sleep | None
    number: int
    posted: tuple[Request | Post, ...]


@dataclass
class ScriptProcess:
    """One client script."""

    script: Script
    site: Site

    def __post_init__(self) -> None:
        self._steps: dict[tuple[Frozen, ...], Step] = {}

    @property
    def name(self) -> str:
        return self.site.name

    def initial(self) -> ScriptState:
        return ScriptState()

    def events(self, state: ScriptState) -> Iterable[Event]:
        """The next request, the end of a sleep, or the end of the wait for an answer."""
        step = self._checked_step(state.answers)
        if state.waiting:
            timed = isinstance(step.asked, Request) and step.asked.timeout_ns is not None
            return [Event("fire", "timeout")] if timed else []
        if isinstance(step.asked, Sleep):
            return [Event("fire", "sleep")]
        return [] if step.asked is None else [Event("invoke")]

    def waits_ns(self, state: ScriptState) -> tuple[int, int] | None:
        """The least and the most that a sleep, or the patience with a call, lasts from here."""
        asked = self._step(state.answers).asked
        if isinstance(asked, Sleep):
            return asked.low_ns, asked.high_ns
        if state.waiting and isinstance(asked, Request) and asked.timeout_ns is not None:
            return asked.timeout_ns, asked.timeout_ns
        return None

    def _checked_step(self, answers: tuple[Frozen, ...]) -> Step:
        where = f"script {self.name}, after {len(answers)} answers"
        try:
            step = self._step(answers)
            with shifted_surroundings():
                again = self._replay(answers)
        except HappysimError:
            raise
        except Exception as error:
            raise ProtocolError(f"{where}: raised {type(error).__name__}: {error}") from error
        if self._content(step) != self._content(again):
            raise DeterminismError(f"{where}: it asks two things in two equal runs; {ADVICE}")
        return step

    def _step(self, answers: tuple[Frozen, ...]) -> Step:
        known = self._steps.get(answers)
        if known is None:
            known = self._steps[answers] = self._replay(answers)
        return known

    def _replay(self, answers: tuple[Frozen, ...]) -> Step:
        live = LiveScript(self.script)
        try:
            live.start()
            for answer in answers:
                live.answer(thaw(answer))
            return Step(live.request, live.number, live.posted)
        finally:
            live.close()

    def _content(self, step: Step) -> Frozen:
        """A step as content: its messages need not have an `==` of their own."""
        asked = step.asked
        if asked is None or isinstance(asked, Sleep):
            return asked, *map(self._sent, step.posted)
        timeout = asked.timeout_ns if isinstance(asked, Request) else None
        return self._sent(asked, step.number), timeout, *map(self._sent, step.posted)

    def _sent(
        self, asked: Request | Post, number: int | None = None
    ) -> tuple[str, Frozen, Operation | None]:
        """A request as an entry of `Outcome.sends`; one without a number is one-way."""
        if number is None or isinstance(asked, Post):
            where, operation = f"script {self.name}, a message to {asked.to}", None
        else:
            where, operation = f"script {self.name}, call {number}", Operation(self.name, number)
        sent = freeze_message(asked.message, where)
        self.site.check_receiver(asked.to, asked.message, where)
        return asked.to, sent, operation

    def crashes(self, state: ScriptState) -> Iterable[Event]:
        return []

    def run(self, state: ScriptState, event: Event) -> list[Outcome]:
        if event.kind == "invoke":
            step = self._step(state.answers)
            assert isinstance(step.asked, Request | Post)
            sent = self._sent(step.asked, step.number)
            if isinstance(step.asked, Post):
                return [self._answered(state, None, sends=(sent,))]
            waiting = ScriptState(state.answers, True)
            return [Outcome(waiting, (sent,), (("invoke", self.name, sent[1]),))]
        if event.kind == "fire":
            if event.what == "sleep":
                return [self._answered(state, None)]
            # The call may still take effect, but this client will not hear of it.
            return [self._answered(state, _TIMED_OUT, records=(("abandon", self.name, None),))]
        number, value = response_parts(event.what)
        if not state.waiting or number != self._step(state.answers).number:
            return [Outcome(state)]
        return [self._answered(state, value, records=(("complete", self.name, value),))]

    def _answered(
        self,
        state: ScriptState,
        value: Frozen,
        sends: tuple[tuple[str, Frozen, Operation | None], ...] = (),
        records: tuple[tuple[str, str, Frozen], ...] = (),
    ) -> Outcome:
        """The script goes on with `value`; what its code posts is sent in the same step."""
        answers = (*state.answers, value)
        try:
            posted = self._step(answers).posted
        except HappysimError:
            raise
        except Exception as error:
            return Outcome(None, sends, raised=raised_by(f"script {self.name}", error))
        return Outcome(ScriptState(answers, False), (*sends, *map(self._sent, posted)), records)
