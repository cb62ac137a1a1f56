"""Locks: one holder at a time, leases, and tokens by which a store fences off holders of before.

`server` is a lock server that stands alone, `store` the store. `table` is the state machine of a
lock that a cluster keeps by consensus, `commands` what its log holds, `distributed` and `grant`
what its clients hold in their hands.
"""

from happysim.protocols.lock.commands import (
    AcquireLock,
    Expire,
    ReleaseLock,
    RenewLock,
    TryLock,
    WithdrawLock,
)
from happysim.protocols.lock.distributed import DistributedLock
from happysim.protocols.lock.grant import Grant, HeldLock, LockBusy, Withdrawn
from happysim.protocols.lock.messages import (
    Acquire,
    FencedWrite,
    LockGrant,
    LockLost,
    Release,
    Released,
    Renew,
    Renewed,
    WriteAccepted,
    WriteRefused,
)
from happysim.protocols.lock.server import Lease, LockServer, Waiter
from happysim.protocols.lock.store import FencedStore
from happysim.protocols.lock.table import Held, Locks, LockTable, Waiting

__all__ = [
    "Acquire",
    "AcquireLock",
    "DistributedLock",
    "Expire",
    "FencedStore",
    "FencedWrite",
    "Grant",
    "Held",
    "HeldLock",
    "Lease",
    "LockBusy",
    "LockGrant",
    "LockLost",
    "LockServer",
    "LockTable",
    "Locks",
    "Release",
    "ReleaseLock",
    "Released",
    "Renew",
    "RenewLock",
    "Renewed",
    "TryLock",
    "Waiter",
    "Waiting",
    "WithdrawLock",
    "Withdrawn",
    "WriteAccepted",
    "WriteRefused",
]
