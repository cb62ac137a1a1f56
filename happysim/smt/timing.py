"""Timing: bounds on how long things take, and what they are in a formula.

A clock runs at a constant rate: one second of it lasts at least 1 - drift and at most 1 + drift
seconds. So what a timer of `s` seconds lasts is `s * w`, where `w` is that second, and every bound
is linear in the moments of a run and in the seconds of the clocks. Numbers are exact: a float
counts as it is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from happysim.core.errors import ScenarioError
from happysim.core.latency import NS_PER_S
from happysim.core.link import Link
from happysim.core.world import World

Seconds = int | float | str | Fraction
Range = tuple[Seconds, Seconds | None]


@dataclass(frozen=True)
class Timing:
    """How long things may take, in seconds.

    `latency` is the least and the most that a message travels (None: no most); `links` says so for
    a (sender, receiver). A message that does not arrive was lost. `drift` bounds how fast or slow
    clocks run, `drifts` those of single nodes; `offset` bounds what a clock shows at the start.
    Timers run as long as their handlers say, on the clock of their node; `timers` says otherwise
    by a timer's name. What clients and actions wait for is not bounded.

    Raises `ScenarioError` for bounds that make no sense.
    """

    latency: Range = (0, None)
    links: Mapping[tuple[str, str], Range] = field(default_factory=dict)
    drift: Seconds = 0
    drifts: Mapping[str, Seconds] = field(default_factory=dict)
    offset: Range = (0, 0)
    timers: Mapping[str, Range] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_range("latency", self.latency)
        _check_range("offset", self.offset, negative=True)
        for route, latency in self.links.items():
            _check_range(f"links={{{route!r}: ...}}", latency)
        for timer, seconds in self.timers.items():
            _check_range(f"timers={{{timer!r}: ...}}", seconds)
        for where, drift in (("drift", self.drift), *self.drifts.items()):
            if not 0 <= exact(drift, where) < 1:
                raise ScenarioError(
                    f"Timing: the drift {drift} ({where}) is not in 0 .. 1; "
                    "a clock that gains or loses 1 second in 10,000 has drift='0.0001'"
                )

    @classmethod
    def of(cls, world: World, **others: Any) -> Timing:
        """The latencies that the links of a world's network can have; `others` are further bounds.

        Two that have no link, or one whose bandwidth lets messages queue, have no longest latency.
        """
        names = world.tables.names
        routes = [(source, target) for source in names for target in names]
        links = {route: _latencies(world.tables.topology.link(*route)) for route in routes}
        return cls(links={**links, **others.pop("links", {})}, **others)

    def latency_of(self, source: str, target: str) -> tuple[Fraction, Fraction | None]:
        """The least and the most that a message travels there."""
        return _exact_range(self.links.get((source, target), self.latency))

    @property
    def offsets(self) -> tuple[Fraction, Fraction | None]:
        """What a clock shows at the start: the least and the most."""
        return _exact_range(self.offset)

    def drift_of(self, node: str) -> Fraction:
        """How much a second of a node's clock may be off."""
        return exact(self.drifts.get(node, self.drift), "drift")

    def timer(self, name: str, seconds: tuple[Any, Any]) -> tuple[Fraction, Fraction | None]:
        """The range of a timer's delay, by its node's clock, that was set with `seconds`."""
        return _exact_range(self.timers.get(name, seconds))


def _latencies(link: Link | None) -> Range:
    """The least and the most that a link takes for a message."""
    if link is None:
        return 0, None
    parts = [link.latency]
    parts += [] if link.jitter is None else [link.jitter]
    most = sum(part.max_ns for part in parts)
    if link.reorder:
        most += (link.reorder_by or link.latency).max_ns
    low = Fraction(sum(part.min_ns for part in parts), NS_PER_S)
    return low, None if link.bandwidth_bytes_per_s else Fraction(most, NS_PER_S)


def exact(value: Seconds, where: str) -> Fraction:
    """A number as it is written. Raises `ScenarioError` where it is none."""
    try:
        if isinstance(value, bool):
            raise ValueError
        return Fraction(repr(value) if isinstance(value, float) else value)
    except (ValueError, TypeError, ZeroDivisionError):
        raise ScenarioError(
            f"Timing: {where} has {value!r}; give a number of seconds, a Fraction, or a text as "
            "'0.001' or '1/3'"
        ) from None


def _exact_range(given: Range) -> tuple[Fraction, Fraction | None]:
    low, high = given
    return exact(low, "a bound"), None if high is None else exact(high, "a bound")


def _check_range(where: str, given: object, *, negative: bool = False) -> None:
    if not isinstance(given, tuple) or len(given) != 2:
        raise ScenarioError(
            f"Timing({where}={given!r}): give the least and the most, as ('0.001', '0.05')"
        )
    low = exact(given[0], where)
    high = None if given[1] is None else exact(given[1], where)
    if (low < 0 and not negative) or (high is not None and high < low):
        raise ScenarioError(
            f"Timing({where}=({given[0]}, {given[1]})): the least is below 0, or above the most"
        )


def seconds_text(value: Fraction) -> str:
    """A number of seconds: a decimal where it is one of up to nine places, else a fraction."""
    if 10**9 % value.denominator == 0:
        whole, rest = divmod(abs(value), 1)
        text = f"{whole}.{int(rest * 10**9):09d}".rstrip("0").rstrip(".")
        return f"-{text}" if value < 0 else text
    return str(value)


# -- in a formula --------------------------------------------------------------------------------

KINDS = ("drift", "latency", "timer")


@dataclass(frozen=True)
class Parameter:
    """A bound that is left open: "drift", "latency" (the most), or "timer NAME"."""

    kind: str
    name: str = ""

    @classmethod
    def of(cls, text: str) -> Parameter:
        """Raises `ScenarioError` where the text names none."""
        kind, _, name = text.partition(" ") if isinstance(text, str) else ("", "", "")
        if kind not in KINDS or bool(name) != (kind == "timer"):
            raise ScenarioError(f'{text!r} is no bound; give "drift", "latency" or "timer NAME"')
        return cls(kind, name)

    def __str__(self) -> str:
        return f"{self.kind} {self.name}".rstrip()


class Clockwork:
    """The bounds as terms of z3. `rules` are what holds of its variables, each with its text.

    With a `parameter` that bound is the variable `open`, and overrules what `timing` says of it.
    Processes that are no `nodes`, the clients, have clocks that are right.
    """

    def __init__(
        self, z3: Any, nodes: Sequence[str], timing: Timing, parameter: Parameter | None = None
    ) -> None:
        self.z3, self.timing, self.parameter = z3, timing, parameter
        self.rules: list[tuple[Any, str]] = []
        self.open = z3.Real("open")
        self._lasting: dict[str, Any] = {}
        if parameter is not None:
            self.rules.append((self.open >= 0, f"{parameter} is not negative"))
        if parameter is not None and parameter.kind == "drift":
            self.rules.append((self.open < 1, "drift is less than 1"))
        # How long a second of each clock lasts.
        self.second: dict[str, Any] = {node: self._second(node) for node in nodes}

    def _kind(self, kind: str) -> bool:
        return self.parameter is not None and self.parameter.kind == kind

    def _second(self, node: str) -> Any:
        timing = self.timing
        opened = self._kind("drift") and node not in timing.drifts
        drift = self.open if opened else self.number(timing.drift_of(node))
        if not opened and not timing.drift_of(node):
            return self.number(Fraction(1))
        second = self.z3.Real(f"second of {node}")
        shown = "drift" if opened else seconds_text(timing.drift_of(node))
        text = f"a second of {node}'s clock lasts 1 - {shown} to 1 + {shown} s"
        self.rules.append((self.z3.And(second >= 1 - drift, second <= 1 + drift), text))
        return second

    def number(self, value: Fraction) -> Any:
        """A constant."""
        return self.z3.RealVal(str(value))

    def latency(self, source: str, target: str) -> tuple[Any, Any | None, str]:
        """The least and the most that a message travels there, and the bounds as text."""
        low, high = self.timing.latency_of(source, target)
        if self._kind("latency") and (source, target) not in self.timing.links:
            text = f"{seconds_text(low)} s to the latency in question"
            return self.number(low), self.open, text
        return self.number(low), None if high is None else self.number(high), _range_text(low, high)

    def lasts(self, node: str, timer: str, seconds: tuple[Any, Any]) -> tuple[Any, Any | None, str]:
        """The least and the most that a timer takes, and its bounds by its clock as text."""
        if self._kind("timer") and self.parameter is not None and self.parameter.name == timer:
            lasting = self._open_timer(node)
            return lasting, lasting, "the seconds in question"
        low, high = self.timing.timer(timer, seconds)
        second = self.second.get(node, self.number(Fraction(1)))
        most = None if high is None else self.number(high) * second
        return self.number(low) * second, most, _range_text(low, high)

    def _open_timer(self, node: str) -> Any:
        """What `open` seconds of a node's clock last: their product, with the clock left open.

        Exact where no other timer of the node depends on its clock; else it adds runs.
        """
        if node not in self._lasting:
            lasting = self._lasting[node] = self.z3.Real(f"timer of {node}")
            drift = self.timing.drift_of(node) if node in self.second else Fraction(0)
            least, most = self.number(1 - drift), self.number(1 + drift)
            rule = self.z3.And(lasting >= least * self.open, lasting <= most * self.open)
            self.rules.append((rule, f"{self.parameter} runs on {node}'s clock"))
        return self._lasting[node]


def _range_text(low: Fraction, high: Fraction | None) -> str:
    if high is None:
        return f"at least {seconds_text(low)} s"
    if low == high:
        return f"{seconds_text(low)} s"
    return f"{seconds_text(low)} to {seconds_text(high)} s"
