"""One server of named locks, each with one holder at a time and a token that only grows.

**Source**: Burrows, *The Chubby lock service for loosely-coupled distributed systems*, OSDI 2006,
section 2.4 (the sequencer: a number that grows with every change of holder, which whoever is asked
to act under the lock can check); Kleppmann, *How to do distributed locking*, 2016, where that
number is called a fencing token; Gray and Cheriton, *Leases*, SOSP 1989.

**Assumes**: messages may be lost, delayed, reordered and copied. Nodes may crash and restart with
what they have synced to disk. A client never uses the number of a hold twice, not even after a
restart. No clock is trusted: how long a client takes a lock to be its own is its guess, for it
cannot tell which copy of its request was answered. Its token is what the store goes by.

**Deviates**:
- One server. Chubby's is replicated by consensus (here: `DistributedLock`); this lock is not to be
  had while the server is down.
- Leases are not on disk, and a restarted server grants at once, though a lease of before may still
  run in its holder's eyes. Gray and Cheriton wait one lease there. Tokens make it safe: they are on
  disk, so the new holder's is larger, and the store refuses the old one from then on.
- One timer ages all leases, in two rounds. A lease lasts at least `lease_seconds` and at most
  twice that, and the server reads no clock.
- No lock-delay (section 2.4): it protects stores that cannot check a token.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from happysim.core.host import Host
from happysim.core.node import Node, durable, on
from happysim.core.script import Operation
from happysim.protocols.lock.messages import (
    Acquire,
    LockGrant,
    LockLost,
    Release,
    Released,
    Renew,
    Renewed,
)


@dataclass
class Lease:
    """Who holds a lock, under which token, and by which holds. `aged`: the next round ends it."""

    token: int
    holder: str
    holds: set[int]
    aged: bool = False


@dataclass(frozen=True)
class Waiter:
    """An acquire that is not answered yet. `operation` is the address of a client script."""

    lock: str
    client: str
    hold: int
    operation: Operation | None = None


class LockServer(Node):
    """Grants each lock to one client at a time, in order of asking, with a token that only grows.

    The lease timer is set exactly while some lock is held. So a lock is free again, or its next
    waiter's, at most two rounds of it after the holder was last heard of.
    """

    lease_seconds: float = 10.0
    token: int = durable(default=0)  # newest token granted, for any lock
    leases: dict[str, Lease] = {}  # by lock; a lock that is free has none
    waiters: list[Waiter] = []  # longest waiting first

    @on(Acquire)
    def acquire(self, host: Host, sender: str, request: Acquire) -> None:
        asking = Waiter(request.lock, sender, request.hold, host.operation)
        lease = self.leases.get(request.lock)
        if lease is not None and lease.holder == sender:
            # A set and not a count: a copy of an acquire must not need a release of its own.
            lease.holds.add(request.hold)
            lease.aged = False
            _answer(host, asking, LockGrant(request.lock, lease.token, request.hold))
            return
        if asking not in self.waiters:
            self.waiters.append(asking)
        if lease is None:
            self._grant_next(host, request.lock)

    @on(Renew)
    def renew(self, host: Host, sender: str, request: Renew) -> None:
        lease = self._lease(sender, request.lock, request.token)
        if lease is None:
            host.reply(LockLost(request.lock, request.token))
            return
        lease.aged = False
        host.reply(Renewed(request.lock, request.token))

    @on(Release)
    def release(self, host: Host, sender: str, request: Release) -> None:
        lease = self._lease(sender, request.lock, request.token)
        if lease is not None and self._let_go(lease, request.hold):
            self._end(host, request.lock)
        host.reply(Released(request.lock, request.token, request.hold))

    @on.timer("lease")
    def age(self, host: Host) -> None:
        """One round: leases not renewed since the one before are over."""
        over = [lock for lock, lease in self.leases.items() if lease.aged]
        for lease in self.leases.values():
            lease.aged = True
        for lock in over:
            self._end(host, lock)
        if self.leases:
            self._start_round(host)

    def _lease(self, client: str, lock: str, token: int) -> Lease | None:
        """The lease a request is about; None for one of a grant that is over."""
        lease = self.leases.get(lock)
        return lease if lease and (lease.holder, lease.token) == (client, token) else None

    def _let_go(self, lease: Lease, hold: int) -> bool:
        """Take one hold out of a lease; whether that was the last."""
        lease.holds.discard(hold)
        return not lease.holds

    def _end(self, host: Host, lock: str) -> None:
        """A lease is over: whoever has waited longest is next."""
        del self.leases[lock]
        self._grant_next(host, lock)
        if not self.leases:
            host.cancel_timer("lease")

    def _grant_next(self, host: Host, lock: str) -> None:
        queue = [waiter for waiter in self.waiters if waiter.lock == lock]
        if not queue:
            return
        # All that this client waits for: else a second hold of its would wait for the first.
        granted = [waiter for waiter in queue if waiter.client == queue[0].client]
        self.waiters = [waiter for waiter in self.waiters if waiter not in granted]
        token = self._next_token(host)
        if not self.leases:
            self._start_round(host)
        lease = Lease(token, queue[0].client, {waiter.hold for waiter in granted})
        # By name: in which order locks were granted is no part of the state.
        self.leases = dict(sorted({**self.leases, lock: lease}.items()))
        for waiter in granted:
            _answer(host, waiter, LockGrant(lock, token, waiter.hold))

    def _next_token(self, host: Host) -> int:
        """A token larger than all before it, on disk before anyone hears of it."""
        self.token += 1
        host.sync()
        return self.token

    def _start_round(self, host: Host) -> None:
        # Never while a round runs: set anew by every grant, it would not come to an end.
        host.set_timer("lease", self.lease_seconds)


def _answer(host: Host, waiter: Waiter, said: Any) -> None:
    if waiter.operation is None:
        host.send(waiter.client, said)
    else:
        host.respond(said, to=waiter.operation)
