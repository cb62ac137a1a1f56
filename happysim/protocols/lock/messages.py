"""What the clients, servers and stores of locks tell each other."""

from __future__ import annotations

from typing import Any

from happysim.core.message import message

# -- clients and the one server -------------------------------------------------------------------


@message
class Acquire:
    """Ask for a lock; answered with `LockGrant`, once it is free.

    The holder may ask again, for a further hold. `hold` is the number of this one, so that a copy
    of the request counts once. Unanswered, ask again under the same number.
    """

    lock: str
    hold: int


@message
class LockGrant:
    """The lock is the receiver's. A hold that it does not want any more it releases.

    `token` is the same for all holds of one grant, and larger than that of every earlier grant.
    """

    lock: str
    token: int
    hold: int


@message
class Release:
    """Let go of one hold; always answered with `Released`. The last hold let go frees the lock."""

    lock: str
    token: int
    hold: int


@message
class Released:
    """The receiver does not have this hold, whether or not it had it before."""

    lock: str
    token: int
    hold: int


@message
class Renew:
    """Ask for a fresh lease under the same token; answered with `Renewed` or `LockLost`."""

    lock: str
    token: int


@message
class Renewed:
    lock: str
    token: int


@message
class LockLost:
    """The grant of this token is over. It is falsy."""

    lock: str
    token: int

    def __bool__(self) -> bool:
        return False


# -- writers and the store ------------------------------------------------------------------------


@message
class FencedWrite:
    """Set the store to `value`, an immutable one, under the token of the writer's grant."""

    token: int
    value: Any


@message
class WriteAccepted:
    token: int


@message
class WriteRefused:
    """The write was under `token`, and the store has seen the larger token `newest`."""

    token: int
    newest: int
