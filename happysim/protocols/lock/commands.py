"""The commands of a lock that a cluster keeps by consensus: what its log holds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AcquireLock:
    """Ask for a lock; answered with a `Grant`, once it is free. The holder may ask again.

    Each such hold has a number, that of the operation. `again`: this is a repetition of the
    client's call of so many calls ago, so it asks for that hold, and keeps its place in the queue.
    """

    lock: str
    again: int = 0


@dataclass(frozen=True)
class TryLock:
    """Ask for a lock; answered at once, with a `Grant` or `LockBusy`."""

    lock: str


@dataclass(frozen=True)
class ReleaseLock:
    """Let go of one hold; answered with `Released`, or with `LockLost` where the grant is over."""

    lock: str
    token: int
    hold: int


@dataclass(frozen=True)
class RenewLock:
    """Ask for a fresh lease under the same token; answered with `Renewed` or `LockLost`."""

    lock: str
    token: int


@dataclass(frozen=True)
class WithdrawLock:
    """Take back what the client asked so many calls ago, granted or not: it waits no more."""

    lock: str
    back: int = 1


@dataclass(frozen=True)
class Expire:
    """A round is over: leases that were not renewed since the one before are over, too."""
