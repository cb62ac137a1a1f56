"""The agenda: what will happen, in order of virtual time.

Time is a whole number of nanoseconds since the run began. Two events of one nanosecond happen in
the order in which they were put here, so a run has one order whatever the machine.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Any

NS = 1_000_000_000
"""Nanoseconds in a second."""

Entry = tuple[int, int, Callable[[Any, Any, Any], None], Any, Any, Any]


class Agenda:
    """A queue of calls to make, each at its time. `now` is the time of the last one made."""

    __slots__ = ("heap", "now", "stopped", "ticket")

    def __init__(self) -> None:
        self.now = 0
        self.heap: list[Entry] = []
        # Entries of one time leave in order of their tickets, and never compare what they call.
        self.ticket = count().__next__
        self.stopped = False

    def at(
        self,
        time: int,
        run: Callable[[Any, Any, Any], None],
        first: Any = None,
        second: Any = None,
        third: Any = None,
    ) -> None:
        """Call `run(first, second, third)` at a time."""
        heappush(self.heap, (time, self.ticket(), run, first, second, third))

    def run_until(self, limit: int) -> None:
        """Make every call up to and including the time `limit`, unless `stopped` is set."""
        heap = self.heap
        while heap:
            entry = heappop(heap)
            now, _, run, first, second, third = entry
            if now > limit:
                heappush(heap, entry)
                break
            self.now = now
            run(first, second, third)
            if self.stopped:
                return
        self.now = max(self.now, limit)

    def step(self) -> bool:
        """Make the next call; False where there is none."""
        if not self.heap:
            return False
        self.now, _, run, first, second, third = heappop(self.heap)
        run(first, second, third)
        return True


def ns_of(seconds: float) -> int:
    """Seconds as whole nanoseconds, to the nearest."""
    return round(seconds * NS)


def seconds_text(ns: int) -> str:
    """A time as seconds, to the nanosecond and without trailing zeros: `1.5`."""
    sign, ns = ("-", -ns) if ns < 0 else ("", ns)
    whole, part = divmod(ns, NS)
    return f"{sign}{whole}.{part:09d}".rstrip("0").rstrip(".")
