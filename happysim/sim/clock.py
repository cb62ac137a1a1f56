"""Clocks of nodes: each may be off, run fast or slow, jump, or stand still.

A node reads its own clock and sets its timers by it. True time is the agenda's. Both are whole
nanoseconds, and rates are fractions, so that no rounding depends on how often a clock was read.
"""

from __future__ import annotations

from fractions import Fraction


class Clock:
    """One node's clock: `local = local_base + (true - true_base) * rate`, rounded down."""

    __slots__ = ("_local_base", "_rate", "_true_base", "frozen")

    def __init__(self, offset_ns: int | Fraction = 0, drift: Fraction | float = 0) -> None:
        """A clock that starts `offset_ns` ahead and gains `drift` seconds a second."""
        self._true_base = 0
        # A whole number once the clock has been changed.
        self._local_base: int | Fraction = offset_ns
        self._rate = rate_of(drift)
        self.frozen = False

    @property
    def drift(self) -> Fraction:
        """Seconds gained a second."""
        return self._rate - 1

    def read(self, true: int) -> int:
        """What the clock shows at a true time."""
        if self.frozen:
            return int(self._local_base)
        passed = true - self._true_base
        rate = self._rate
        below = rate.denominator
        return int((self._local_base * below + passed * rate.numerator) // below)

    def when(self, local: int, true: int) -> int | None:
        """The first true time, not before `true`, at which the clock shows `local` or later.

        None while the clock stands still and does not show it yet.
        """
        if self.read(true) >= local:
            return true
        if self.frozen:
            return None
        wanted = local - self._local_base
        rate = self._rate
        return self._true_base - int(-wanted * rate.denominator // rate.numerator)

    def set(
        self,
        true: int,
        *,
        jump_ns: int = 0,
        drift: Fraction | float | None = None,
        frozen: bool | None = None,
    ) -> None:
        """Change the clock at a true time: jump, run at another rate, stop or go on."""
        self._local_base = self.read(true) + jump_ns
        self._true_base = true
        if drift is not None:
            self._rate = rate_of(drift)
        if frozen is not None:
            self.frozen = frozen


def rate_of(drift: Fraction | float) -> Fraction:
    """Local seconds a true second, exactly, for a drift; a float counts as it is written."""
    return 1 + (drift if isinstance(drift, Fraction) else Fraction(repr(drift)))
