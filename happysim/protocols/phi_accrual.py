"""A failure detector that says how sure it is: a suspicion that grows while heartbeats stay away.

**Source**: Hayashibara, Defago, Yared and Katayama, *The phi accrual failure detector*, SRDS 2004,
section 4: phi(t) = -log10 P(a heartbeat is still to come | none for t), with the intervals between
heartbeats taken to be normally distributed, and estimated from a window of the latest ones.

**Assumes**: heartbeats carry, or are stamped on arrival with, a time of one clock. They may be
lost, copied and reordered. With the threshold 1 about one suspicion in ten of a live process is
wrong, with 2 one in a hundred, and so on, as far as intervals are what they have been so far.

**Deviates**:
- The window starts with two guesses around `first_interval`, so that a process that sends a single
  heartbeat and dies is suspected; the paper has nothing to say before the window has filled.
- A deviation smaller than `min_deviation` counts as that: heartbeats that came like clockwork would
  make the first late one an outrage.
- `acceptable_pause` is a further delay that raises no suspicion, for pauses seen too seldom to be
  in the window.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from happysim.core.errors import ProtocolError

Time = int | float


@dataclass
class PhiAccrualDetector:
    """Watches one process: tell it of `heartbeat`s, and ask for `phi` or `is_available`.

    Times are integers or floats, **in a unit of the caller's**, and the intervals `min_deviation`,
    `first_interval` and `acceptable_pause` are in that same unit. The defaults suit seconds; with
    a clock in nanoseconds write `first_interval=1_000_000_000, min_deviation=100_000_000`.
    Integers stay exact however large the clock is.

    `threshold`: the phi from which the process counts as gone. `window`: how many intervals the
    estimate rests on. The result depends on what it was told alone, so it may be a field of a node.

    Raises `ProtocolError` for parameters or times that are not what they are said to be here.
    """

    threshold: float = 8.0
    window: int = 200
    min_deviation: Time = 0.1
    first_interval: Time = 1.0
    acceptable_pause: Time = 0

    last_heard: Time | None = None
    intervals: list[Time] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in ("threshold", "min_deviation", "first_interval"):
            self._check(name, getattr(self, name), "more than 0", getattr(self, name) > 0)
        self._check(
            "acceptable_pause", self.acceptable_pause, "0 or more", self.acceptable_pause >= 0
        )
        if not isinstance(self.window, int) or self.window < 2:
            raise ProtocolError(
                f"PhiAccrualDetector(window={self.window!r}): give at least 2 intervals, "
                "or there is no deviation to estimate"
            )

    def _check(self, name: str, value: Time, wanted: str, fits: bool = True) -> None:
        if not fits or not math.isfinite(value):
            raise ProtocolError(
                f"PhiAccrualDetector, {name}={value!r}: give a finite number, {wanted}"
            )

    def heartbeat(self, timestamp: Time) -> None:
        """The process was alive at `timestamp`.

        One that is not later than the last is a copy, or was overtaken: it says nothing new, and
        "last heard" never goes back for it.
        """
        self._check("timestamp", timestamp, "in the unit of first_interval")
        if self.last_heard is None:
            # As if two intervals had been seen: mean `first_interval`, deviation a quarter of it.
            spread = self.first_interval / 4
            self.intervals = [self.first_interval - spread, self.first_interval + spread]
            self.last_heard = timestamp
        elif timestamp > self.last_heard:
            self.intervals = [*self.intervals, timestamp - self.last_heard][-self.window :]
            self.last_heard = timestamp

    def phi(self, now: Time) -> float:
        """The suspicion at `now`: 0 or more, finite, and never falls while nothing is heard.

        It is 0 before the first heartbeat: report one when you begin to watch.
        """
        self._check("now", now, "in the unit of first_interval")
        if self.last_heard is None:
            return 0.0
        mean, deviation = self.estimate()
        return suspicion((max(now - self.last_heard, 0) - mean) / deviation)

    def is_available(self, now: Time) -> bool:
        """True while the suspicion at `now` is below the threshold."""
        return self.phi(now) < self.threshold

    def estimate(self) -> tuple[float, float]:
        """How long after a heartbeat the next is expected, and the deviation of that."""
        mean, deviation = mean_and_deviation(self.intervals)
        return mean + self.acceptable_pause, max(deviation, float(self.min_deviation))


def mean_and_deviation(intervals: Sequence[Time]) -> tuple[float, float]:
    """The mean and the standard deviation of intervals, the same in whichever order they come."""
    # Summed anew each time, without rounding: a running sum of floats would drift.
    mean = math.fsum(intervals) / len(intervals)
    variance = math.fsum((each - mean) ** 2 for each in intervals) / len(intervals)
    return mean, math.sqrt(variance)


# From here on the tail of the normal distribution comes from its expansion; erfc, which ends in 0
# near 38, is still exact here.
_FAR_OUT = 26.0


def suspicion(lateness: float) -> float:
    """-log10 of the chance that a standard normal variable exceeds `lateness`; finite.

    1 minus a distribution function is 0 from 8.3 deviations on, and its logarithm no number.
    """
    if lateness < 0:
        return max(0.0, -math.log1p(-math.erfc(-lateness / math.sqrt(2)) / 2) / math.log(10))
    if lateness < _FAR_OUT:
        return -math.log10(math.erfc(lateness / math.sqrt(2)) / 2)
    # Q(x) = exp(-x^2 / 2) / (x sqrt(2 pi)) * (1 - 1/x^2 + 1*3/x^4 - 1*3*5/x^6 + ...); at 26 the
    # terms left out are below 1e-14.
    series, term = 1.0, 1.0
    for odd in (1, 3, 5, 7, 9, 11):
        term *= -odd / lateness / lateness
        series += term
    halves = lateness * (lateness / 2) / math.log(10)
    rest = math.log10(lateness) + math.log10(2 * math.pi) / 2 - math.log10(series)
    return min(halves + rest, sys.float_info.max)
