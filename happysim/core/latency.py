"""How long a message travels: distributions of delay, each a piecewise linear quantile function.

A delay is drawn by inversion: the quantile function applied to one number in [0, 1). One class
serves all distributions; what differs is where its breakpoints lie. Seconds come in, integer
nanoseconds go out.

A draw is the same on every machine. Only +, -, * and / of floats are used, which IEEE 754 rounds in
one way, and exp from `decimal`, which rounds correctly; no exp or log of the C library, whose last
bits differ.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Context, Decimal
from functools import cache, cached_property
from itertools import pairwise
from math import ceil, isfinite, pi, sqrt

from happysim.core.errors import ScenarioError

NS_PER_S = 1_000_000_000

# Breakpoints of the exponential lie at equal steps of its value, up to 12.5 means; those of the
# lognormal at equal steps of the underlying normal, up to 4.5 standard deviations. A chord then
# errs by at most step**2 / 8 (exponential, in means; lognormal, times sigma * (sigma + z)).
_EXPONENTIAL_STEPS, _EXPONENTIAL_MAX = 800, 12.5
_NORMAL_STEPS, _NORMAL_MAX = 450, 4.5
_SIGMA_MAX = 5
# A draw finds its piece by the first bits of its number. A power of two, so that this is exact.
_BUCKETS = 4096
_DECIMAL = Context(prec=24)


@dataclass(frozen=True, repr=False)
class Latency:
    """A distribution of delays. `ns_at` is its quantile function, linear between breakpoints.

    `text` says how it was made, `shares` are the breakpoints, from 0.0 up to 1.0, and `ns` the
    delay in nanoseconds at each.
    """

    text: str
    shares: tuple[float, ...]
    ns: tuple[int, ...]
    _slopes: tuple[float, ...] = field(init=False, compare=False)
    # What a draw looks up: for each piece the shares at its ends, the delay at its beginning, and
    # its slope. One place for nothing at the front, so that bisect's answer fits.
    _pieces: tuple[tuple[float, float, int, float], ...] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        pieces = zip(pairwise(self.ns), pairwise(self.shares), strict=True)
        slopes = [(high - low) / (right - left) for (low, high), (left, right) in pieces]
        object.__setattr__(self, "_slopes", tuple(slopes))
        lines = zip(self.shares, self.shares[1:], self.ns, slopes, strict=False)
        object.__setattr__(self, "_pieces", ((0.0, 0.0, 0, 0.0), *lines))

    def __repr__(self) -> str:
        return self.text

    @property
    def min_ns(self) -> int:
        """The shortest delay, in nanoseconds."""
        return self.ns[0]

    @property
    def max_ns(self) -> int:
        """The delay, in nanoseconds, that no draw exceeds."""
        return self.ns[-1]

    @property
    def mean_ns(self) -> int:
        """The mean delay, in nanoseconds."""
        pieces = zip(pairwise(self.ns), pairwise(self.shares), strict=True)
        return round(
            sum((low + high) * (right - left) for (low, high), (left, right) in pieces) / 2
        )

    def ns_at(self, u: float) -> int:
        """The quantile of `u` in [0, 1), in nanoseconds; never falls as `u` grows."""
        at = bisect_right(self.shares, u) - 1
        return self.ns[at] + int((u - self.shares[at]) * self._slopes[at])

    def sampler(self, random_float: Callable[[], float]) -> Callable[[], int]:
        """A function that draws a delay: `ns_at` of the next of `random_float`, made fast.

        `random_float` returns numbers in [0, 1). A constant delay draws none.
        """
        shares, ns, slopes = self.shares, self.ns, self._slopes
        low = ns[0]
        if low == ns[-1]:
            return lambda: low
        if len(ns) == 2:
            slope = slopes[0]
            return lambda: low + int(random_float() * slope)

        pieces, buckets, count = self._pieces, self._buckets, _BUCKETS

        def draw() -> int:
            u = random_float()
            left, right, base, slope = buckets[int(u * count)]
            if u >= right:
                left, right, base, slope = pieces[bisect_right(shares, u)]
            return base + int((u - left) * slope)

        return draw

    @property
    def line(self) -> tuple[int, float] | None:
        """The least delay and the slope, where a draw is one number on one line; else None.

        The slope of a constant delay is 0, and it draws none.
        """
        return (self.ns[0], self._slopes[0]) if len(self.ns) == 2 else None

    @cached_property
    def _buckets(self) -> list[tuple[float, float, int, float]]:
        """The piece on which each of equally many numbers in [0, 1) lies."""
        found: list[tuple[float, float, int, float]] = []
        for piece in self._pieces[1:]:
            found += [piece] * (ceil(piece[1] * _BUCKETS) - len(found))
        return found


def constant(seconds: float) -> Latency:
    """Always the same delay."""
    text = f"constant({seconds!r})"
    ns = nanoseconds(seconds, text)
    return Latency(text, (0.0, 1.0), (ns, ns))


def uniform_latency(low: float, high: float) -> Latency:
    """Any delay between `low` and `high` seconds, each equally likely."""
    text = f"uniform_latency({low!r}, {high!r})"
    ns = nanoseconds(low, text), nanoseconds(high, text)
    if ns[0] > ns[1]:
        raise ScenarioError(f"{text}: low is above high; write uniform_latency({high!r}, {low!r})")
    return Latency(text, (0.0, 1.0), ns)


def exponential(mean: float, minimum: float = 0) -> Latency:
    """`minimum` seconds plus an exponentially distributed delay; `mean` is that of the sum.

    The tail is cut at 12.5 times the mean of the exponential part (4 draws in a million).
    """
    text = f"exponential({mean!r}{_and_minimum(minimum)})"
    base, spread = _above(mean, minimum, "mean", text)
    step = spread * (_EXPONENTIAL_MAX / _EXPONENTIAL_STEPS)
    shares = _exponential_shares()
    return Latency(text, shares, tuple(base + round(at * step) for at in range(len(shares))))


def lognormal(median: float, sigma: float, minimum: float = 0) -> Latency:
    """`minimum` seconds plus a lognormally distributed delay; `median` is that of the sum.

    `sigma` is the standard deviation of the logarithm: about 0.1 for a steady link, 1 for one with
    a heavy tail. Both tails are cut at 4.5 sigma (3 draws in a million each).
    """
    text = f"lognormal({median!r}, {sigma!r}{_and_minimum(minimum)})"
    base, spread = _above(median, minimum, "median", text)
    _check_number(sigma, f"{text}: sigma", "write a standard deviation such as 0.5")
    if sigma > _SIGMA_MAX:
        raise ScenarioError(f"{text}: sigma above {_SIGMA_MAX} gives delays of no network")
    step = _DECIMAL.multiply(Decimal(sigma), Decimal(_NORMAL_MAX / _NORMAL_STEPS))
    powers = _powers(_DECIMAL.exp(step), _NORMAL_STEPS)
    below = [base + round(spread / power) for power in reversed(powers[1:])]
    above = [base + round(spread * power) for power in powers]
    return Latency(text, _normal_shares(), (*below, *above))


def percentiles(given: Mapping[float, float]) -> Latency:
    """An empirical distribution: seconds by percentile, as `percentiles({50: 0.001, 99: 0.02})`.

    Linear between the given percentiles. Below the lowest and above the highest given one the delay
    is the same as there: give 0 and 100 to say otherwise.
    """
    example = "write percentiles({50: 0.001, 99: 0.02})"
    if not isinstance(given, Mapping) or not given:
        raise ScenarioError(f"percentiles({given!r}): give seconds by percentile; {example}")
    text = f"percentiles({dict(given)!r})"
    points: list[tuple[float, int]] = []
    for percent, seconds in given.items():
        _check_number(percent, f"{text}: the percentile", "write a number from 0 to 100")
        ns = nanoseconds(seconds, f"{text}: at {percent!r}")
        if percent > 100:
            raise ScenarioError(f"{text}: {percent!r} is no percentile; write one from 0 to 100")
        if points and percent / 100 <= points[-1][0]:
            raise ScenarioError(f"{text}: {percent!r} is not above the percentile before it; sort")
        if points and ns < points[-1][1]:
            raise ScenarioError(
                f"{text}: the delay at {percent!r} is below the one before it; delays may not fall "
                "as percentiles rise"
            )
        points.append((percent / 100, ns))
    if points[0][0] > 0:
        points.insert(0, (0.0, points[0][1]))
    if points[-1][0] < 1:
        points.append((1.0, points[-1][1]))
    shares, ns_at = zip(*points, strict=True)
    return Latency(text, shares, ns_at)


def nanoseconds(seconds: float, where: str) -> int:
    """Seconds as a whole number of nanoseconds. Raises `ScenarioError` unless >= 0 and finite."""
    _check_number(seconds, f"{where}: the delay", "write a number of seconds such as 0.05")
    return round(seconds * NS_PER_S)


def _and_minimum(minimum: float) -> str:
    return f", {minimum!r}" if minimum != 0 else ""


def _check_number(value: object, what: str, instead: str) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not isfinite(value) or value < 0:  # type: ignore[arg-type,operator]
        raise ScenarioError(f"{what} is {value!r}, not a number of at least 0; {instead}")


def _above(middle: float, minimum: float, name: str, text: str) -> tuple[int, int]:
    """The minimum, and how far the mean or median lies above it, in nanoseconds."""
    base, whole = nanoseconds(minimum, text), nanoseconds(middle, text)
    if base > whole:
        raise ScenarioError(
            f"{text}: the {name} counts the minimum too, so it cannot be less; "
            f"write {name}={minimum + middle!r}"
        )
    return base, whole - base


def _powers(base: Decimal, count: int) -> list[float]:
    """The powers of `base` from 0 to `count`."""
    power, found = Decimal(1), [1.0]
    for _ in range(count):
        power = _DECIMAL.multiply(power, base)
        found.append(float(power))
    return found


@cache
def _exponential_shares() -> tuple[float, ...]:
    """How much of the unit exponential lies below each breakpoint; the last closes the range."""
    ratio = _DECIMAL.exp(Decimal(-_EXPONENTIAL_MAX / _EXPONENTIAL_STEPS))
    return (*(1 - left for left in _powers(ratio, _EXPONENTIAL_STEPS)[:-1]), 1.0)


@cache
def _normal_shares() -> tuple[float, ...]:
    """How much of the standard normal lies below each breakpoint; the ends close the range."""
    step = _NORMAL_MAX / _NORMAL_STEPS
    halves = [_normal_above_middle(at * step) for at in range(1, _NORMAL_STEPS)]
    below = [0.5 - half for half in reversed(halves)]
    return (0.0, *below, 0.5, *(0.5 + half for half in halves), 1.0)


def _normal_above_middle(z: float) -> float:
    """The share of the standard normal between 0 and `z`: its density times a convergent series.

    Abramowitz & Stegun, 26.2.11: density(z) * (z + z**3 / 3 + z**5 / (3 * 5) + ...).
    """
    density = float(_DECIMAL.exp(Decimal(-z * z / 2))) / sqrt(2 * pi)
    term, total, odd = z, 0.0, 1
    while total + term != total:
        total += term
        odd += 2
        term *= z * z / odd
    return density * total
