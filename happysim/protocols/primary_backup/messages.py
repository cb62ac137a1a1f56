"""What clients, servers and the view service tell each other. Numbers and epochs count from 1."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, TypeAlias

from happysim.core.errors import ProtocolError
from happysim.core.message import message
from happysim.core.script import Operation

# (epoch, number) of an entry; (0, 0) before the first. Entries of one place are one entry, and what
# comes before it is the same everywhere.
Place: TypeAlias = tuple[int, int]


class Mode(enum.StrEnum):
    """How many backups must have a command before its client is answered.

    | mode | answered once it is on | survives |
    |---|---|---|
    | `SYNC` | every backup of the view | as long as one server of the view is left |
    | `SEMI_SYNC` | one backup of the view | as long as the primary or all backups are left |
    | `ASYNC` | the primary | as long as the primary is left |
    """

    SYNC = "sync"
    SEMI_SYNC = "semi-sync"
    ASYNC = "async"

    def backups_needed(self, backups: int) -> int:
        """How many of that many backups must have a command before its client is answered."""
        return {Mode.SYNC: backups, Mode.SEMI_SYNC: min(1, backups), Mode.ASYNC: 0}[self]


@dataclass(frozen=True)
class View:
    """Who is who in one epoch. Every epoch has at most one view, and so one primary."""

    epoch: int
    primary: str
    backups: tuple[str, ...] = ()

    @property
    def members(self) -> tuple[str, ...]:
        """The primary, and its backups."""
        return (self.primary, *self.backups)


def first_view(*servers: str) -> View:
    """The view of epoch 1, in which the first server is the primary.

    Raises `ProtocolError` where there is no server, or one twice.
    """
    if not servers or len(set(servers)) < len(servers):
        raise ProtocolError(f"first_view{servers!r}: name each server of the view, once")
    return View(1, servers[0], servers[1:])


# -- clients -------------------------------------------------------------------------------------


@message
class ClientRequest:
    """A client script asks for `command`; the answer is its result, or `NotPrimary`."""

    command: Any


@message
class NotPrimary:
    """The answer of a server that is no primary; `primary` may be one.

    On a network that copies messages this is said of one copy of the request only.
    """

    primary: str | None


# -- the primary and its backups -----------------------------------------------------------------


@message
class Entry:
    """A command, its place, and which one of which client it is."""

    place: Place
    command: Any
    operation: Operation


@dataclass(frozen=True)
class Session:
    """A client's last command: which of the client's, at which number of the log, and its result.

    The result is the client's to know once the entry is on enough backups.
    """

    operation: int
    number: int
    result: Any


@message
class Replicate:
    """The primary of `epoch` wants `entries` right behind the entry at `previous`."""

    epoch: int
    previous: Place
    entries: tuple[Entry, ...]


@message
class Confirm:
    """The sender's log ends at `last`, and it obeys the primary of `epoch`."""

    epoch: int
    last: Place


@message
class Snapshot:
    """The primary's state at `last`, in the place of whatever the receiver has."""

    epoch: int
    last: Place
    state: Any
    sessions: tuple[tuple[str, Session], ...]


@message
class Retired:
    """The answer to a message of an older epoch: its sender is no primary any more."""

    epoch: int


# -- the view service ----------------------------------------------------------------------------


@message
class CurrentView:
    """The newest view, and whether it has begun to answer clients. Answered with `Here`."""

    view: View
    is_settled: bool


@message
class Here:
    """The sender is up."""


@message
class Seal:
    """The receiver shall obey no primary of an epoch before this one. Answered with `Sealed`."""

    epoch: int


@message
class Sealed:
    """So it is, and the sender's log ends at `last`."""

    epoch: int
    last: Place


@message
class Settled:
    """The log with which the primary of `epoch` began is on enough of its backups."""

    epoch: int
