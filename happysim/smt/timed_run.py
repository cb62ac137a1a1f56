"""A timed run: what is said of a schedule that was realised, and how a model says it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from happysim.core.choice import Choice, Kind
from happysim.core.describe import describe
from happysim.smt.moments import Moments
from happysim.smt.occurrences import Parcel
from happysim.smt.timing import seconds_text

_NS = 10**9


@dataclass(frozen=True)
class Travel:
    """A message: sent by one step, taken by another (None: never, so it was lost)."""

    source: str
    target: str
    text: str
    sent_by: int
    taken_by: int | None
    ns: int | None

    def __str__(self) -> str:
        way = f"{self.source} -> {self.target} {self.text}, sent by step {self.sent_by}"
        return f"{way}: lost" if self.ns is None else f"{way}: {_shown(self.ns)} s"


@dataclass(frozen=True)
class Delay:
    """A timer, and how long it was to run by its node's clock: as its node asked, where it rang."""

    node: str
    timer: str
    set_by: int
    fired_by: int | None
    ns: int

    def __str__(self) -> str:
        return f"{self.node} {self.timer}, set by step {self.set_by}: {_shown(self.ns)} s"


@dataclass(frozen=True)
class Realised:
    """A timed run: each choice with its nanosecond, and what has to be so for it to happen.

    `rates` are the seconds that a node's clock gains a second, `offsets` what it shows at the
    beginning, in seconds; nodes whose clocks are right are left out.
    """

    steps: tuple[tuple[Choice, int], ...]
    travels: tuple[Travel, ...] = ()
    delays: tuple[Delay, ...] = ()
    rates: dict[str, Fraction] = field(default_factory=dict)
    offsets: dict[str, Fraction] = field(default_factory=dict)

    @property
    def schedule(self) -> tuple[Choice, ...]:
        """The choices with their nanoseconds in them, as a simulation keeps them.

        Before them stands, at 0 s, how clocks run that are not right. `replay_in_time` takes it.
        """
        clocks = (_clock(node, self) for node in dict.fromkeys([*self.offsets, *self.rates]))
        return (*clocks, *(replace(choice, at=ns) for choice, ns in self.steps))

    def __str__(self) -> str:
        lines = [f"{_shown(ns)} {choice}" for choice, ns in self.steps]
        lines += [f"clock of {node}: rate {rate}" for node, rate in self.rates.items()]
        lines += [
            f"clock of {node}: {seconds_text(offset)} s ahead"
            for node, offset in self.offsets.items()
        ]
        return "\n".join(lines)


class Reading:
    """What a model says."""

    def __init__(self, model: Any, moments: Moments, whole: Sequence[Any]) -> None:
        self.model, self.moments = model, moments
        self.ns = [int(self._value(each)) for each in whole]

    def _value(self, term: Any) -> Fraction:
        return fraction_of(self.model.eval(term, model_completion=True))

    def realised(self) -> Realised:
        moments = self.moments
        seconds = {node: self._value(each) for node, each in moments.clockwork.second.items()}
        offsets = {
            node: self._value(ahead) / seconds[node] for node, ahead in moments.offsets.items()
        }
        return Realised(
            tuple((step.choice, ns) for step, ns in zip(moments.steps, self.ns[1:], strict=True)),
            tuple(self._travels()),
            tuple(self._delays(seconds)),
            {node: 1 / second for node, second in seconds.items() if second != 1},
            {node: offset for node, offset in offsets.items() if offset},
        )

    def _travels(self) -> list[Travel]:
        """Every message, in order of sending."""
        taken: dict[tuple[Parcel, int], list[int]] = {}
        for arrival in self.moments.arrivals:
            for at, (_, is_it) in enumerate(arrival.copies):
                if self._is_true(is_it):
                    taken.setdefault((arrival.parcel, at), []).append(arrival.step)
                    break
        made = []
        told: dict[Parcel, int] = {}
        sends = [self.moments.begin.in_flight, *(step.sends for step in self.moments.steps)]
        for number, parcels in enumerate(sends):
            for parcel in parcels:
                at = told[parcel] = told.get(parcel, -1) + 1
                sent = self._value(self.moments.sent[parcel][at].at) * _NS
                steps = taken.get((parcel, at), [])
                made += [
                    _travel(parcel, number, step, self.ns[step] - round(sent)) for step in steps
                ] or [_travel(parcel, number, None, None)]
        return made

    def _is_true(self, literal: Any) -> bool:
        return str(self.model.eval(literal, model_completion=True)) == "True"

    def _delays(self, seconds: dict[str, Fraction]) -> list[Delay]:
        made = []
        for wait in self.moments.waits:
            second = seconds.get(wait.node, Fraction(1))
            passed = Fraction(self.ns[wait.ended_by], _NS) - self._value(wait.at)
            if not wait.fires and wait.most is not None:
                passed = self._value(wait.most)
            elif not wait.fires and wait.least is not None:
                # It may take as long as it likes, so longer than it is looked at.
                passed = max(passed + 1, self._value(wait.least))
            elif not wait.fires:
                continue
            ns = round(passed / second * _NS)
            fired = wait.ended_by if wait.fires else None
            made.append(Delay(wait.node, wait.timer, wait.set_by, fired, ns))
        return sorted(made, key=lambda delay: (delay.set_by, delay.node, delay.timer))


def fraction_of(value: Any) -> Fraction:
    """A number of z3, exactly."""
    return Fraction(str(value))


def _clock(node: str, run: Realised) -> Choice:
    """How a clock is that is not right from the beginning."""
    ahead, drift = run.offsets.get(node, Fraction(0)), run.rates.get(node, Fraction(1)) - 1
    told = f"starts by {seconds_text(ahead)} s" + (f" drifting {drift}" if drift else "")
    return Choice(Kind.CLOCK, node, what=told, at=0)


def _travel(parcel: Parcel, sent_by: int, taken_by: int | None, ns: int | None) -> Travel:
    text = describe(parcel.message)
    return Travel(parcel.source, parcel.target, text, sent_by, taken_by, ns)


def _shown(ns: int) -> str:
    return seconds_text(Fraction(ns, _NS))
