"""Moments: when the steps of one schedule may happen, as a formula.

A moment a step, in the order of the schedule, such that
- each message arrives within its latency of the step that sent it (where several copies of it were
  sent, of one of them, and no copy arrives twice);
- each timer fires within its delay of the step that set it, by the clock of its node, and none that
  is set is overdue before it fires, is set anew or cancelled, or the schedule ends;
- each clock shows what the schedule says that it was read to show.

All of it is linear, and each rule has a text, so that rules which clash can be told.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from happysim.core.choice import Kind
from happysim.smt.occurrences import Beginning, Occurrence, Parcel
from happysim.smt.precedence import as_it_stands
from happysim.smt.timing import Clockwork, seconds_text


class Copy(NamedTuple):
    """A message once sent: by which step (0: before the first), and when."""

    step: int
    at: Any


class Arrival(NamedTuple):
    """A step that takes a message, and the copies that it may be: each with its condition."""

    step: int
    parcel: Parcel
    copies: tuple[tuple[Copy, Any], ...]


class Wait(NamedTuple):
    """A timer from the step that set it to the one that ended it; `fires` says how."""

    node: str
    timer: str
    set_by: int
    at: Any
    ended_by: int
    fires: bool
    # The least and the most that it takes, where its delay is known.
    least: Any = None
    most: Any = None


class Moments:
    """The formula over `at`, one moment a step; `at[0]` is the beginning, and 0.

    `pairs` are the steps of which one has to come before the other; all are in order without.

    A timer that does not ring is due by `spare` seconds at least after the step that is before it.
    """

    def __init__(
        self,
        clockwork: Clockwork,
        begin: Beginning,
        steps: Sequence[Occurrence],
        at: Sequence[Any],
        *,
        duplicates: bool = False,
        spare: Any = 0,
        pairs: Sequence[tuple[int, int]] | None = None,
    ) -> None:
        self.z3, self.clockwork, self.begin = clockwork.z3, clockwork, begin
        self.steps, self.at, self.duplicates = steps, at, duplicates
        self.spare = spare
        self.pairs = as_it_stands(len(steps)) if pairs is None else pairs
        self._own: list[tuple[Any, str]] = []
        self.arrivals: list[Arrival] = []
        self.waits: list[Wait] = []
        self.sent: dict[Parcel, list[Copy]] = {}
        self.offsets: dict[str, Any] = {}
        self._messages()
        self._timers()
        self._readings()

    @property
    def rules(self) -> list[tuple[Any, str]]:
        """Every rule but the order of the steps, each with its text."""
        return [*self.clockwork.rules, *self._own]

    @property
    def order(self) -> list[Any]:
        """Each step comes no earlier than those that it has to come after."""
        return [self.at[0] == 0, *(self.at[other] >= self.at[one] for one, other in self.pairs)]

    def told(self, number: int) -> str:
        """A step as a rule names it."""
        return "the beginning" if not number else f"step {number} ({self.steps[number - 1].choice})"

    def _rule(self, rule: Any, text: str) -> None:
        self._own.append((rule, text))

    def _before(self, name: str) -> Any:
        """A moment before the schedule, of what is there when it begins."""
        if self.begin.is_fresh:
            return self.at[0]
        moment = self.z3.Real(f"before {name}")
        self._rule(moment <= self.at[0], f"{name} was there at the beginning")
        return moment

    # -- messages --------------------------------------------------------------------------------

    def _messages(self) -> None:
        for number, parcel in enumerate(self.begin.in_flight):
            copy = Copy(0, self._before(f"message {number}"))
            self.sent.setdefault(parcel, []).append(copy)
        copied: dict[Parcel, int] = {}
        for number, step in enumerate(self.steps, 1):
            if step.receives is not None:
                if step.choice.kind is Kind.DUPLICATE:
                    copied[step.receives] = copied.get(step.receives, 0) + 1
                elif step.choice.kind is Kind.DELIVER:
                    self._arrives(number, step.receives)
            for parcel in step.sends:
                self.sent.setdefault(parcel, []).append(Copy(number, self.at[number]))
        if not self.duplicates:
            self._each_once(copied)

    def _arrives(self, number: int, parcel: Parcel) -> None:
        z3, low, high, text = self.z3, *self.clockwork.latency(parcel.source, parcel.target)
        copies = self.sent[parcel]
        chosen = [(copy, z3.Bool(f"{number} is {at}")) for at, copy in enumerate(copies)]
        if len(copies) == 1:
            chosen = [(copies[0], z3.BoolVal(True))]
        self.arrivals.append(Arrival(number, parcel, tuple(chosen)))
        ways = []
        for copy, is_it in chosen:
            within = [self.at[number] - copy.at >= low]
            if high is not None:
                within.append(self.at[number] - copy.at <= high)
            ways.append(z3.And(is_it, *within))
        senders = " or ".join(dict.fromkeys(self.told(copy.step) for copy in copies))
        rule = f"{self.told(number)} arrives {text} after {senders} sent it"
        self._rule(z3.Or(ways) if len(ways) > 1 else ways[0], rule)

    def _each_once(self, copied: dict[Parcel, int]) -> None:
        """No copy of a message arrives twice, but for as many as were made on the way."""
        z3 = self.z3
        taken: dict[tuple[Parcel, int], list[Any]] = {}
        for arrival in self.arrivals:
            for at, (_, is_it) in enumerate(arrival.copies):
                taken.setdefault((arrival.parcel, at), []).append(is_it)
        extra: dict[Parcel, list[Any]] = {}
        for (parcel, _), literals in taken.items():
            if len(literals) > 1:
                more = z3.Sum([z3.If(each, 1, 0) for each in literals]) - 1
                extra.setdefault(parcel, []).append(z3.If(more > 0, more, 0))
        for parcel, each in extra.items():
            text = f"no copy of what {parcel.source} sent to {parcel.target} arrives twice"
            self._rule(z3.Sum(each) <= copied.get(parcel, 0), text)

    # -- timers ----------------------------------------------------------------------------------

    def _timers(self) -> None:
        running: dict[tuple[str, str], Wait] = {}
        for node, timers in self.begin.timers.items():
            for timer, seconds in timers.items():
                at = self._before(f"timer {timer} of {node}")
                running[node, timer] = self._wait(node, timer, 0, at, seconds)
        for number, step in enumerate(self.steps, 1):
            if not step.node:
                continue
            for key in [key for key in running if key[0] == step.node]:
                fires = step.choice.kind is Kind.FIRE and step.choice.what == key[1]
                if fires or key[1] in step.delays or key[1] not in step.timers:
                    self._ends(running.pop(key), number, fires)
            for timer, seconds in step.delays.items():
                wait = self._wait(step.node, timer, number, self.at[number], seconds)
                running[step.node, timer] = wait
        for wait in running.values():
            self._ends(wait, len(self.steps), False)

    def _wait(self, node: str, timer: str, by: int, at: Any, seconds: Any) -> Wait:
        if seconds is None and timer not in self.clockwork.timing.timers:
            return Wait(node, timer, by, at, by, False)
        least, most, _ = self.clockwork.lasts(node, timer, seconds or (0, 0))
        return Wait(node, timer, by, at, by, False, least, most)

    def _ends(self, wait: Wait, number: int, fires: bool) -> None:
        self.waits.append(wait._replace(ended_by=number, fires=fires))
        passed = self.at[number] - wait.at
        set_by = f"{self.told(wait.set_by)} set it"
        if fires and wait.least is not None:
            text = f"{self.told(number)} comes no earlier than its delay after {set_by}"
            self._rule(passed >= wait.least, text)
        if wait.most is not None:
            name = f"timer {wait.timer} of {wait.node}"
            text = f"{name} is not overdue at {self.told(number)}, after {set_by}"
            self._rule(passed <= wait.most if fires else passed + self.spare <= wait.most, text)

    # -- clocks ----------------------------------------------------------------------------------

    def _readings(self) -> None:
        for number, step in enumerate(self.steps, 1):
            for reading in step.readings:
                second, ahead = self.clockwork.second[step.node], self._ahead(step.node)
                shown = 10**9 * (self.at[number] + ahead)
                self._rule(
                    self.z3.And(reading * second <= shown, shown < (reading + 1) * second),
                    f"{step.node}'s clock shows {seconds_text(Fraction(reading, 10**9))} s at "
                    f"{self.told(number)}",
                )

    def _ahead(self, node: str) -> Any:
        """What a clock shows at the beginning, times the length of its second."""
        if node not in self.offsets:
            ahead = self.offsets[node] = self.z3.Real(f"{node} is ahead")
            low, high = self.clockwork.timing.offsets
            second = self.clockwork.second[node]
            self._rule(
                ahead >= self.clockwork.number(low) * second, f"{node}'s clock is not behind"
            )
            if high is not None:
                most = self.clockwork.number(high) * second
                self._rule(ahead <= most, f"{node}'s clock is not farther ahead")
        return self.offsets[node]
