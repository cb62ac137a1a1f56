"""A register in which the last writer wins, for a total order of writes on which all agree.

**Source**: Shapiro et al. 2011, section 3.2, the state-based LWW-Register.
**Assumes**: one writer per replica id (see `replica.py`).
**Deviates**: timestamps are a Lamport clock, or a hybrid logical clock (see `hybrid_clock.py`),
unless the caller gives them, and ties are broken by replica id. With timestamps alone two equal
ones keep whichever came first, and replicas diverge.
"""

from __future__ import annotations

from reprlib import repr as short
from typing import Any, ClassVar, Self

from happysim.protocols.crdt.codec import Tagged, Value, decode, encode
from happysim.protocols.crdt.hybrid_clock import after
from happysim.protocols.crdt.replica import Replica, State

NOBODY = ""  # writer of the value that every register holds before the first write


class LWWRegister(Replica):
    """One value of the types that `codec.Value` lists; concurrent writes: one of them is lost.

    State: `("LWWRegister", timestamp, writer, tagged value)`. A register never written holds None
    at timestamp 0, below every write. An initial `value` other than None is a write of this
    replica at timestamp 0.
    """

    KIND: ClassVar[str] = "LWWRegister"
    PARTS: ClassVar[tuple[str, ...]] = ("timestamp", "writer", "value")

    def __init__(self, replica: str, value: Value = None) -> None:
        super().__init__(replica)
        self._timestamp = 0
        self._writer = NOBODY
        self._tagged: Tagged = encode(None)
        if value is not None:
            self.set(value, timestamp=0)

    @property
    def value(self) -> Any:
        """The value of the newest write known here; None before the first."""
        return decode(self._tagged)

    @property
    def timestamp(self) -> int:
        """The timestamp of that write: the largest seen here."""
        return self._timestamp

    @property
    def writer(self) -> str:
        """The replica id of that write; empty before the first."""
        return self._writer

    def set(self, value: Value, timestamp: int | None = None, *, now: int | None = None) -> bool:
        """Write `value`; returns whether it is now what the register holds.

        Without a `timestamp` the write is newer than all that were seen here, so it always is.
        With one, in any unit, the write may be older than what is held: then it is lost, as it
        would be wherever else it arrived late. With `now`, nanoseconds of a clock such as
        `host.now`, the timestamp is that of a hybrid logical clock: newer than all seen here, and
        near the clock, so that of two writers who have not heard of each other the later wins.

        Raises:
            TypeError: `value` is not a `codec.Value`, `timestamp` or `now` is not an int, or both
                are given.
            ValueError: one of them is negative, or this replica has written another value at it.
        """
        tagged = encode(value)
        if now is not None:
            if timestamp is not None:
                raise TypeError("LWWRegister.set takes a timestamp or now, not both")
            timestamp = after(self._timestamp, now)
        elif timestamp is None:
            timestamp = self._timestamp + 1
        if type(timestamp) is not int:
            raise TypeError(f"LWWRegister.set takes an int timestamp, not {short(timestamp)}")
        if timestamp < 0:
            raise ValueError(f"LWWRegister.set takes a timestamp >= 0, not {timestamp}")
        self._keep_newest(timestamp, self.replica, tagged)
        return (timestamp, self.replica) == (self._timestamp, self._writer)

    def set_delta(
        self, value: Value, timestamp: int | None = None, *, now: int | None = None
    ) -> State:
        """`set`, and the state, which is all there is, for `merge_delta`. Raises: as `set`."""
        return self._changed_by(lambda: self.set(value, timestamp, now=now))

    def _keep_newest(self, timestamp: int, writer: str, tagged: Tagged) -> None:
        mine, theirs = (self._timestamp, self._writer), (timestamp, writer)
        if mine == theirs and self._tagged != tagged:
            raise ValueError(
                f"replica {writer!r} writes {short(decode(tagged))} and"
                f" {short(self.value)}, both at timestamp {timestamp}: replicas could never agree;"
                " give each write its own timestamp, and each writer its own replica id"
            )
        if mine < theirs:
            self._timestamp, self._writer, self._tagged = timestamp, writer, tagged

    def _parts(self) -> State:
        return (self._timestamp, self._writer, self._tagged)

    def _load(self, parts: State) -> None:
        timestamp, writer, tagged = parts
        if type(timestamp) is not int or timestamp < 0:
            raise ValueError(
                f"timestamp of an LWWRegister state is an int >= 0, not {short(timestamp)}"
            )
        if type(writer) is not str:
            raise ValueError(f"writer of an LWWRegister state is a str, not {short(writer)}")
        decode(tagged)
        if writer == NOBODY and (timestamp, tagged) != (0, encode(None)):
            raise ValueError("an LWWRegister state without a writer holds None at timestamp 0")
        self._timestamp, self._writer, self._tagged = timestamp, writer, tagged

    def _join(self, other: Self) -> None:
        self._keep_newest(other._timestamp, other._writer, other._tagged)

    def _leq(self, other: Self) -> bool:
        mine, theirs = (self._timestamp, self._writer), (other._timestamp, other._writer)
        return mine < theirs or (mine == theirs and self._tagged == other._tagged)

    def __repr__(self) -> str:
        stamp = f"timestamp={self._timestamp}, writer={self._writer!r}"
        return f"{type(self).__name__}({self.replica!r}, value={self.value!r}, {stamp})"
