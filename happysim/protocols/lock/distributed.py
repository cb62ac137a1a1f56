"""DistributedLock: what a client holds of a lock that a cluster keeps by consensus."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from math import ceil
from typing import Any

from happysim.core.errors import ProtocolError
from happysim.core.script import Request, TimedOut, call
from happysim.core.topology import Network
from happysim.protocols.lock.commands import AcquireLock, TryLock, WithdrawLock
from happysim.protocols.lock.messages import LockGrant
from happysim.protocols.lock.table import LockTable
from happysim.protocols.machine import Journal
from happysim.protocols.multi_paxos.server import MultiPaxosNode
from happysim.protocols.raft.server import RaftNode
from happysim.protocols.requests import ClientRequest

Server = RaftNode | MultiPaxosNode


@dataclass(frozen=True, init=False)
class DistributedLock:
    """A lock of this name, kept by `nodes`: one holder at a time, and tokens that only grow.

    It makes the nodes, before a world is made of them, servers of a `LockTable`, patient ones: a
    request may be given to any of them, also while there is no leader. They join the `network`, if
    they have not. Of the nodes it keeps the names.

    A lease lasts for at least `lease_seconds` since it was asked for, and for at most twice that
    since it was granted or renewed. While nobody leads, it goes on.

    Its methods make the requests that a client script yields:

        grant = yield lock.acquire()
        grant.release()

    `to` names the server that is asked, by default the first. Without a `timeout` a request that is
    lost, on the network or by a server that crashes, is awaited for ever. `acquiring` asks again.

    Raises `ProtocolError` for nodes that cannot keep a lock.
    """

    name: str
    servers: tuple[str, ...]

    def __init__(
        self,
        name: str,
        nodes: Iterable[Server],
        network: Network | None = None,
        *,
        lease_seconds: float = 10.0,
    ) -> None:
        servers = list(nodes)
        for each in servers:
            check_server(name, each)
        if not servers:
            raise ProtocolError(f"DistributedLock {name!r}: give it nodes=[RaftNode('n1'), ...]")
        if network is not None and not isinstance(network, Network):
            raise ProtocolError(f"DistributedLock {name!r}: network={network!r} is no Network")
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "servers", tuple(each.name for each in servers))
        table = LockTable(self.servers, lease_seconds)
        for each in servers:
            # A journal is what nodes replicate that were not told otherwise.
            if each.machine not in (Journal(), table):
                raise ProtocolError(
                    f"DistributedLock {name!r}: {each.name} replicates {each.machine!r} already; "
                    "for further locks of one cluster write lock.named('other')"
                )
            each.machine, each.patient = table, True
            if network is not None and not any(each is known for known in network.members):
                network.join(each)

    def named(self, name: str) -> DistributedLock:
        """Another lock, kept by the same nodes in the same table."""
        other = object.__new__(DistributedLock)
        object.__setattr__(other, "name", name)
        object.__setattr__(other, "servers", self.servers)
        return other

    def acquire(self, timeout: float | None = None, *, to: str | None = None) -> Request:
        """Wait for the lock; the answer is a grant.

        After `timeout` seconds it is `TimedOut()` instead. Whatever the client asks next says that
        it waits no more. It may have been granted the lock, though: `withdraw` gives it back.
        """
        return self.ask(AcquireLock(self.name), timeout, to)

    def try_acquire(self, timeout: float | None = None, *, to: str | None = None) -> Request:
        """Take the lock if it can be had at once; the answer is a grant or `LockBusy`, falsy."""
        return self.ask(TryLock(self.name), timeout, to)

    def withdraw(
        self, timeout: float | None = None, *, to: str | None = None, back: int = 1
    ) -> Request:
        """Take back the call before this one, or `back` calls ago; the answer is `Withdrawn`.

        For an acquire that has timed out: the client then neither waits nor holds by it.
        """
        return self.ask(WithdrawLock(self.name, back), timeout, to)

    def acquiring(
        self, timeout: float | None = None, *, attempt_seconds: float = 1.0
    ) -> Generator[Request, Any, LockGrant | None]:
        """Ask one server after the other until there is a grant, under one place in the queue.

        For scripts: `grant = yield from lock.acquiring(timeout=5.0)`. None once the time is over;
        the request is then taken back.
        """
        attempts = None if timeout is None else max(1, ceil(timeout / attempt_seconds))
        again = 0
        while attempts is None or again < attempts:
            to = self.servers[again % len(self.servers)]
            command = AcquireLock(self.name, again)
            grant: Any = yield self.ask(command, attempt_seconds, to)
            if isinstance(grant, LockGrant):
                return grant
            again += 1
        # The hold is that of the first attempt; each call since, this one included, is one further.
        for back, to in enumerate(self.servers, again):
            if not isinstance((yield self.withdraw(attempt_seconds, to=to, back=back)), TimedOut):
                break
        return None

    def ask(self, command: Any, timeout: float | None, to: str | None) -> Request:
        """The request for a command of the table."""
        if to is not None and to not in self.servers:
            known = ", ".join(self.servers)
            raise ProtocolError(
                f"DistributedLock {self.name!r}: {to!r} is no server; it has {known}"
            )
        return call(to or self.servers[0], ClientRequest(command), timeout)


def check_server(name: str, node: object) -> None:
    """Raise `ProtocolError` for what cannot keep a lock."""
    if not isinstance(node, RaftNode | MultiPaxosNode):
        raise ProtocolError(
            f"DistributedLock {name!r}: {node!r} keeps no replicated log; give it nodes, such as "
            "RaftNode('n1')"
        )
