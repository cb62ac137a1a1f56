"""What the clients and servers of Multi-Paxos tell each other. Slots count from 1."""

from __future__ import annotations

from typing import Any

from happysim.core.message import message
from happysim.core.script import Operation
from happysim.protocols.ballot import Ballot


@message
class Entry:
    """What a leader proposed for a slot: a command, whom to answer, and which of that client's.

    Without an `operation` nobody awaits an answer; without a command either it is a no-op, which
    fills a gap.
    """

    ballot: Ballot
    command: Any = None
    operation: Operation | None = None
    serial: int = 0


@message
class Prepare:
    """Phase 1a, for all slots at once: the sender stands for leader of `ballot`.

    It knows what is chosen below the slot `first`.
    """

    ballot: Ballot
    first: int


@message
class Promise:
    """Phase 1b: nothing below `ballot` any more. `entries`: (slot, what the sender accepted)."""

    ballot: Ballot
    entries: tuple[tuple[int, Entry], ...]


@message
class Accept:
    """Phase 2a: accept `entry` for `slot`. All slots up to `chosen` are, as the leader knows."""

    slot: int
    entry: Entry
    chosen: int


@message
class Accepted:
    """Phase 2b: the sender has accepted what the leader of `ballot` proposed for `slot`."""

    ballot: Ballot
    slot: int


@message
class Rejected:
    """The answer to what is below `ballot`, which the sender has promised."""

    ballot: Ballot


@message
class Heartbeat:
    """The leader of `ballot` is there, and knows that all slots up to `chosen` are chosen."""

    ballot: Ballot
    chosen: int


@message
class Missing:
    """The sender does not know what was chosen for the slots after `chosen`, and asks."""

    chosen: int


@message
class Chosen:
    """These entries were chosen, for the slots from `first` on."""

    first: int
    entries: tuple[Entry, ...]
