"""A counter that goes both ways: every increment and decrement is counted once.

**Source**: Shapiro et al. 2011, section 3.1, the state-based PN-Counter.
**Assumes**: one writer per replica id (see `replica.py`).
**Deviates**: maps in place of arrays, as in `gcounter.py`. There is no lower bound: a rule such as
"never below zero" cannot be kept without coordination (same section, the non-negative counter).
"""

from __future__ import annotations

from typing import ClassVar, Self

from happysim.protocols.crdt import version_vector
from happysim.protocols.crdt.gcounter import add_count
from happysim.protocols.crdt.replica import Replica, State
from happysim.protocols.crdt.version_vector import VersionVector


class PNCounter(Replica):
    """Two grow-only counters, one subtracted from the other.

    State: `("PNCounter", increments, decrements)`, each as the counts of a `GCounter`. One signed
    count per replica would not do: the maximum of two merged counts would forget a decrement.
    """

    KIND: ClassVar[str] = "PNCounter"
    PARTS: ClassVar[tuple[str, ...]] = ("increments", "decrements")

    def __init__(self, replica: str) -> None:
        super().__init__(replica)
        self._increments: VersionVector = {}
        self._decrements: VersionVector = {}

    @property
    def value(self) -> int:
        """The increments less the decrements known here; it may be negative."""
        return sum(self._increments.values()) - sum(self._decrements.values())

    def increment(self, amount: int = 1) -> None:
        """Count `amount` up. Raises: as `GCounter.increment`."""
        add_count(self._increments, self.replica, amount, "PNCounter.increment")

    def decrement(self, amount: int = 1) -> None:
        """Count `amount` down. Raises: as `GCounter.increment`."""
        add_count(self._decrements, self.replica, amount, "PNCounter.decrement")

    def increment_delta(self, amount: int = 1) -> State:
        """`increment`, and what changed, for `merge_delta`. Raises: as `increment`."""
        return self._changed_by(lambda: self.increment(amount))

    def decrement_delta(self, amount: int = 1) -> State:
        """`decrement`, and what changed, for `merge_delta`. Raises: as `decrement`."""
        return self._changed_by(lambda: self.decrement(amount))

    def _delta(self, before: Self) -> State:
        up = version_vector.above(self._increments, before._increments)
        down = version_vector.above(self._decrements, before._decrements)
        return (version_vector.pack(up), version_vector.pack(down))

    def _parts(self) -> State:
        return (version_vector.pack(self._increments), version_vector.pack(self._decrements))

    def _load(self, parts: State) -> None:
        self._increments = version_vector.unpack(parts[0], "increments of a PNCounter state")
        self._decrements = version_vector.unpack(parts[1], "decrements of a PNCounter state")

    def _join(self, other: Self) -> None:
        version_vector.join(self._increments, other._increments)
        version_vector.join(self._decrements, other._decrements)

    def _leq(self, other: Self) -> bool:
        return version_vector.leq(self._increments, other._increments) and version_vector.leq(
            self._decrements, other._decrements
        )
