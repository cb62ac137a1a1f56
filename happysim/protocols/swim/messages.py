"""What members of a SWIM group tell each other. Every message can carry updates."""

from __future__ import annotations

from happysim.core.message import message
from happysim.protocols.swim.claims import Update


@message
class Ping:
    """Are you alive? `origin` is who wants to know; its number of the probe is `sequence`."""

    sequence: int
    origin: str
    updates: tuple[Update, ...] = ()


@message
class Ack:
    """`member` is alive. Goes back the way of the ping; a delegate passes it on to `origin`."""

    sequence: int
    origin: str
    member: str
    updates: tuple[Update, ...] = ()


@message
class PingRequest:
    """To a delegate: ping `target` for me."""

    sequence: int
    target: str
    updates: tuple[Update, ...] = ()


@message
class Join:
    """To a member that is known: let me in. Answered with `News` of everyone."""

    incarnation: int


@message
class News:
    updates: tuple[Update, ...]


@message
class Leave:
    """To a member, from a client: leave the group."""
