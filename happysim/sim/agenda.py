"""The agenda: what will happen, in order of virtual time.

Time is a whole number of nanoseconds since the run began. Two events of one nanosecond happen in
the order in which they were put here, so a run has one order whatever the machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from heapq import heappop, heappush
from itertools import count
from operator import itemgetter
from typing import Any

from happysim.core.codec import native_part

NS = 1_000_000_000
"""Nanoseconds in a second."""

Entry = tuple[int, int, Callable[[Any, Any, Any], None], Any, Any, Any]


class Queue:
    """Entries in order of time. Those of one time leave in order of their tickets.

    The native library has another, which compares faster; the order is the same.
    """

    def __init__(self) -> None:
        self._heap: list[Entry] = []
        # As methods they would take a call more.
        self.push: Callable[[Entry], None] = partial(heappush, self._heap)

    def until(self, limit: int) -> Iterator[Entry]:
        """Take out the entries up to and including `limit`, also those that come meanwhile."""
        heap = self._heap
        while heap and heap[0][0] <= limit:
            yield heappop(heap)

    def first(self) -> Entry | None:
        """The first entry, which stays; None where there is none."""
        return self._heap[0] if self._heap else None

    def entries(self) -> list[Entry]:
        """Every entry, in order."""
        return sorted(self._heap, key=itemgetter(0, 1))

    def __len__(self) -> int:
        return len(self._heap)


class Agenda:
    """A queue of calls to make, each at its time. `now` is the time of the last one made."""

    __slots__ = ("now", "push", "queue", "stopped", "ticket")

    def __init__(self) -> None:
        self.now = 0
        self.queue: Queue = (native_part("Queue") or Queue)()
        self.push = self.queue.push
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
        self.push((time, self.ticket(), run, first, second, third))

    def run_until(self, limit: int) -> None:
        """Make every call up to and including the time `limit`, unless `stopped` is set."""
        coming = self.queue.until(limit)
        for self.now, _, run, first, second, third in coming:
            run(first, second, third)
            if self.stopped:
                return
        self.now = max(self.now, limit)

    def step(self) -> bool:
        """Make the next call; False where there is none."""
        due = self.next_at
        if due is None:
            return False
        self.now, _, run, first, second, third = next(self.queue.until(due))
        run(first, second, third)
        return True

    @property
    def next_at(self) -> int | None:
        """When the next call is made; None where there is none."""
        entry = self.queue.first()
        return None if entry is None else entry[0]


def ns_of(seconds: float) -> int:
    """Seconds as whole nanoseconds, to the nearest."""
    return round(seconds * NS)


def seconds_text(ns: int) -> str:
    """A time as seconds, to the nanosecond and without trailing zeros: `1.5`."""
    sign, ns = ("-", -ns) if ns < 0 else ("", ns)
    whole, part = divmod(ns, NS)
    return f"{sign}{whole}.{part:09d}".rstrip("0").rstrip(".")
