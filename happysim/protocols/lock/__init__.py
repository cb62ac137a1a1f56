"""Locks: one holder at a time, leases, and tokens by which a store fences off holders of before.

`server` is a lock server that stands alone, `store` the store. `table` is the state machine of a
lock that a cluster keeps by consensus, and `distributed` what its clients hold in their hands.
"""

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

__all__ = [
    "Acquire",
    "FencedStore",
    "FencedWrite",
    "Lease",
    "LockGrant",
    "LockLost",
    "LockServer",
    "Release",
    "Released",
    "Renew",
    "Renewed",
    "Waiter",
    "WriteAccepted",
    "WriteRefused",
]
