"""A register that keeps every value that no other has overwritten, for its reader to choose from.

**Source**: Shapiro et al. 2011, section 3.2, the multi-value register; DeCandia et al., *Dynamo*,
SOSP 2007, section 4.4 (the shopping cart).
**Assumes**: one writer per replica id (see `replica.py`).
**Deviates**: dots in place of a version vector for each value, as in `ORSet`: a write has seen what
it overwrites, so one vector will do.
"""

from __future__ import annotations

from reprlib import repr as short
from typing import Any, ClassVar, Self

from happysim.protocols.crdt import dots, version_vector
from happysim.protocols.crdt.codec import Value, decode, encode
from happysim.protocols.crdt.dots import Dots
from happysim.protocols.crdt.replica import Replica, State
from happysim.protocols.crdt.version_vector import VersionVector


class MVRegister(Replica):
    """The values of all writes that no known write has seen.

    State: `("MVRegister", version vector, ((dot, tagged value), ...))`.
    """

    KIND: ClassVar[str] = "MVRegister"
    PARTS: ClassVar[tuple[str, ...]] = ("seen", "values")

    def __init__(self, replica: str) -> None:
        super().__init__(replica)
        self._seen: VersionVector = {}
        self._dots: Dots = {}

    @property
    def value(self) -> tuple[Any, ...]:
        """The concurrent values, each once, by type name and then by value; one if all is told."""
        return tuple(decode(tagged) for tagged in sorted(set(self._dots.values())))

    def set(self, value: Value) -> None:
        """Write `value` over all values seen here.

        Raises:
            TypeError: `value` is not a `codec.Value`.
        """
        tagged = encode(value)
        self._dots = {dots.new_dot(self._seen, self.replica): tagged}

    def set_delta(self, value: Value) -> State:
        """`set`, and what changed, for `merge_delta`. Raises: as `set`."""
        return self._changed_by(lambda: self.set(value))

    def _parts(self) -> State:
        return (version_vector.pack(self._seen), dots.pack(self._dots))

    def _load(self, parts: State) -> None:
        self._seen = version_vector.unpack(parts[0], "seen of an MVRegister state")
        self._dots = dots.unpack(parts[1], "values of an MVRegister state")
        for dot in sorted(self._dots):
            if not dots.covers(self._seen, dot):
                raise ValueError(f"dot {short(dot)} of an MVRegister state is not in seen")

    def _join(self, other: Self) -> None:
        self._dots = dots.join(self._dots, self._seen, other._dots, other._seen)
        version_vector.join(self._seen, other._seen)

    def _leq(self, other: Self) -> bool:
        return dots.leq(self._dots, self._seen, other._dots, other._seen)

    def _delta(self, before: Self) -> State:
        return dots.delta(before._dots, before._seen, self._dots, self._seen)

    def _join_delta(self, parts: State) -> bool:
        joined = dots.join_delta(self._dots, self._seen, *parts)
        if joined is None:
            return False
        self._dots = joined
        return True
