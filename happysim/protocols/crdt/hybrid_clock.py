"""A clock that never goes back, is near the time of day, and puts effects after their causes.

**Source**: Kulkarni, Demirbas, Madappa, Avva, Leone, *Logical physical clocks*, OPODIS 2014: the
hybrid logical clock, in the compact form of section 6, one integer.

**Deviates**: 16 bits below the nanoseconds count the events that one reading of the clock has to
tell apart. A counter that overflows borrows from the nanoseconds, so the order is right even then.
"""

from __future__ import annotations

from dataclasses import dataclass
from reprlib import repr as short

LOGICAL_BITS = 16


def after(seen: int, now: int) -> int:
    """The timestamp of an event: above `seen`, the largest seen before, and not below `now`, in ns.

    Raises:
        TypeError: `now` is not an int.
        ValueError: it is negative.
    """
    if type(now) is not int:
        raise TypeError(f"now is an int, nanoseconds of a clock, not {short(now)}")
    if now < 0:
        raise ValueError(f"now is nanoseconds of a clock, and >= 0, not {now}")
    return max(seen + 1, now << LOGICAL_BITS)


def nanoseconds(timestamp: int) -> int:
    """The reading of a clock that a timestamp was made from, or a later one."""
    return timestamp >> LOGICAL_BITS


@dataclass
class HybridClock:
    """The clock of one node. `latest` is the newest timestamp that it has given or heard of.

    It is a plain value, usable as a field of a node; `durable`, or it may go back in a crash.
    """

    latest: int = 0

    def tick(self, now: int) -> int:
        """The timestamp of a local event, or of a message to send. Raises: as `after`."""
        self.latest = after(self.latest, now)
        return self.latest

    def observe(self, timestamp: int, now: int) -> int:
        """The timestamp of the receipt of a message that carried one. Raises: as `after`."""
        self.latest = after(max(self.latest, timestamp), now)
        return self.latest
