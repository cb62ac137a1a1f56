"""What clients, servers and the master of a chain tell each other. Numbers count from 1."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

from happysim.core.errors import ProtocolError
from happysim.core.message import message
from happysim.core.script import Operation


class Reads(enum.StrEnum):
    """Who answers queries: the tail alone, or any server (CRAQ)."""

    TAIL = "tail"
    ANY = "any"


@dataclass(frozen=True)
class Chain:
    """The servers of one epoch, head first. Every epoch has at most one chain.

    `joining` names those that may not have all of the state yet, and since which epoch.
    """

    epoch: int
    servers: tuple[str, ...]
    joining: tuple[tuple[str, int], ...] = ()

    @property
    def head(self) -> str:
        """Who takes updates."""
        return self.servers[0]

    @property
    def tail(self) -> str:
        """Who answers them."""
        return self.servers[-1]

    def before(self, server: str) -> str | None:
        """The predecessor of a server; None for the head, and for one that is not in the chain."""
        at = self.servers.index(server) if server in self.servers else 0
        return self.servers[at - 1] if at else None

    def after(self, server: str) -> str | None:
        """The successor of a server; None for the tail, and for one that is not in the chain."""
        at = self.servers.index(server) + 1 if server in self.servers else len(self.servers)
        return self.servers[at] if at < len(self.servers) else None

    def since(self, server: str) -> int:
        """The epoch in which a server that is joining was added; 0 for one that is not."""
        return dict(self.joining).get(server, 0)


def first_chain(*servers: str) -> Chain:
    """The chain of epoch 1, head first.

    Raises `ProtocolError` where there is no server, or one twice.
    """
    if not servers or len(set(servers)) < len(servers):
        raise ProtocolError(f"first_chain{servers!r}: name each server of the chain, once")
    return Chain(1, servers)


# -- clients -------------------------------------------------------------------------------------


@message
class Update:
    """A client script asks the head for a command; the tail answers with its result."""

    command: Any


@message
class Query:
    """A client script asks the tail (CRAQ: any server) for a command that changes nothing."""

    command: Any


@message
class Redirect:
    """The answer of a server that does not serve such requests; `server` may.

    On a network that copies messages this is said of one copy of the request only.
    """

    server: str


# -- along the chain -----------------------------------------------------------------------------


@message
class Entry:
    """An update, its number in the order of the head, and which one of which client it is."""

    number: int
    command: Any
    operation: Operation


@dataclass(frozen=True)
class Session:
    """A client's last update: which of the client's, its number in the order, and its result."""

    operation: int
    number: int
    result: Any


@message
class Forward:
    """To the successor: the updates after number `previous`. None of them asks where it is."""

    epoch: int
    previous: int
    entries: tuple[Entry, ...]


@message
class Ack:
    """To the predecessor: the sender has all up to `last`, and the tail all up to `stable`."""

    epoch: int
    last: int
    stable: int


@message
class Snapshot:
    """To a successor that is joining: the state at number `last`."""

    epoch: int
    last: int
    stable: int
    state: Any
    sessions: tuple[tuple[str, Session], ...]


# -- apportioned queries (CRAQ) ------------------------------------------------------------------


@message
class AskVersion:
    """To the tail: what is the newest version? For a query whose key is dirty at the sender."""

    command: Any
    operation: Operation


@message
class Version:
    """From the tail: all up to `number` is committed."""

    number: int
    command: Any
    operation: Operation


# -- the master ----------------------------------------------------------------------------------


@message
class CurrentChain:
    """The newest chain. Answered with `Here`. `life` is that of the `Hello` it answers, or 0."""

    chain: Chain
    life: int = 0


@message
class Hello:
    """The sender has restarted, and begins its life of that number."""

    life: int


@message
class Here:
    """The sender is up."""


@message
class Joined:
    """The sender, which was added in epoch `since`, has all of the state."""

    since: int


@message
class Failed:
    """To the master: `server` has stopped. Who says so vouches for it."""

    server: str
