"""What a lock kept by consensus answers, and what a client script can do with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from happysim.core.message import message
from happysim.core.script import Request, call
from happysim.protocols.lock.commands import ReleaseLock, RenewLock
from happysim.protocols.lock.messages import LockGrant
from happysim.protocols.requests import ClientRequest


@message
class LockBusy:
    """Another client holds the lock. It is falsy."""

    lock: str

    def __bool__(self) -> bool:
        return False


@message
class Withdrawn:
    """The client neither waits for the lock nor has it by the call that it took back."""

    lock: str


@message
class Grant(LockGrant):
    """A `LockGrant` that can be released and renewed at any of the `servers`.

    A client script gets it as a `HeldLock`.
    """

    servers: tuple[str, ...]

    def __bind__(self, outbox: list[Any]) -> HeldLock:
        return HeldLock(self.lock, self.token, self.hold, self.servers, outbox)


@dataclass(frozen=True)
class HeldLock(LockGrant):
    """A grant in the hands of a client script.

    Its requests go to one of the servers, `to` or the first. `grant.release()` sends one and goes
    on; `yield grant.release()` awaits the answer.
    """

    servers: tuple[str, ...]
    outbox: list[Any] = field(repr=False, compare=False)

    def release(self, *, timeout: float | None = None, to: str | None = None) -> Request:
        """Let go. Answered with `Released`; or with `LockLost`, where the grant was over."""
        return self.ask(ReleaseLock(self.lock, self.token, self.hold), timeout, to)

    def renew(self, *, timeout: float | None = None, to: str | None = None) -> Request:
        """Let the lease begin anew. Answered with `Renewed`, or `LockLost`, which is falsy."""
        return self.ask(RenewLock(self.lock, self.token), timeout, to)

    def ask(self, command: Any, timeout: float | None, to: str | None) -> Request:
        """A request that is sent also where the script does not yield it."""
        request = call(to or self.servers[0], ClientRequest(command), timeout)
        self.outbox.append(request)
        return request
