"""A counter that grows: every increment at any replica is counted once.

**Source**: Shapiro et al. 2011, section 3.1, the state-based increment-only counter.
**Assumes**: one writer per replica id (see `replica.py`).
**Deviates**: a map from ids to counts in place of an array, so replicas need not be known ahead.
"""

from __future__ import annotations

from reprlib import repr as short
from typing import ClassVar, Self

from happysim.protocols.crdt import version_vector
from happysim.protocols.crdt.replica import Replica, State
from happysim.protocols.crdt.version_vector import VersionVector


class GCounter(Replica):
    """A grow-only counter. State: `("GCounter", ((replica id, count), ...))`."""

    KIND: ClassVar[str] = "GCounter"
    PARTS: ClassVar[tuple[str, ...]] = ("counts",)

    def __init__(self, replica: str) -> None:
        super().__init__(replica)
        self._counts: VersionVector = {}

    @property
    def value(self) -> int:
        """The sum of all increments known here."""
        return sum(self._counts.values())

    def increment(self, amount: int = 1) -> None:
        """Count `amount` more; zero changes nothing.

        Raises:
            TypeError: `amount` is not an int (a bool is not).
            ValueError: it is negative.
        """
        add_count(self._counts, self.replica, amount, "GCounter.increment")

    def increment_delta(self, amount: int = 1) -> State:
        """`increment`, and what changed, for `merge_delta`. Raises: as `increment`."""
        return self._changed_by(lambda: self.increment(amount))

    def _delta(self, before: Self) -> State:
        return (version_vector.pack(version_vector.above(self._counts, before._counts)),)

    def _parts(self) -> State:
        return (version_vector.pack(self._counts),)

    def _load(self, parts: State) -> None:
        self._counts = version_vector.unpack(parts[0], "counts of a GCounter state")

    def _join(self, other: Self) -> None:
        version_vector.join(self._counts, other._counts)

    def _leq(self, other: Self) -> bool:
        return version_vector.leq(self._counts, other._counts)


def add_count(counts: VersionVector, replica: str, amount: int, method: str) -> None:
    """Add `amount` to the count of `replica`; `method` names the caller for the error.

    Raises: as `GCounter.increment`.
    """
    if type(amount) is not int:
        raise TypeError(f"{method} takes an int, not {short(amount)}")
    if amount < 0:
        raise ValueError(
            f"{method} takes an amount >= 0, not {amount}; to count both ways use a PNCounter"
            " with increment and decrement"
        )
    if amount:
        counts[replica] = counts.get(replica, 0) + amount
