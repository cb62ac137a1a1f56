"""What the clients and servers of Raft tell each other. Indices count from 1, as in the paper."""

from __future__ import annotations

from typing import Any

from happysim.core.message import message
from happysim.core.script import Operation

# -- clients -------------------------------------------------------------------------------------


@message
class ClientRequest:
    """A client script asks for `command`; the answer is its result, or one of the next two."""

    command: Any


@message
class NotLeader:
    """The answer to a request that was refused. It had no effect; `leader` may know better.

    On a network that copies messages this is said of one copy of the request only.
    """

    leader: str | None


@message
class Overwritten:
    """The answer to a request whose entry a newer leader has removed from some server's log.

    It may still take effect, through a copy of the entry on another server, or never will.
    """


# -- servers (figure 2) --------------------------------------------------------------------------


@message
class Entry:
    """One place of the log: a command, and which one of which client it is.

    Without an `operation` it is a no-op, a leader's first entry.
    """

    term: int
    command: Any = None
    operation: Operation | None = None


@message
class RequestVote:
    """The sender stands for leader of `term`; its log ends in this entry (0, 0 where empty)."""

    term: int
    last_index: int
    last_term: int


@message
class Vote:
    """The sender's vote in `term` is the receiver's."""

    term: int


@message
class AppendEntries:
    """The leader of `term` wants `entries` right behind the entry (prev_index, prev_term)."""

    term: int
    prev_index: int
    prev_term: int
    entries: tuple[Entry, ...]
    commit_index: int


@message
class AppendEntriesReply:
    """The sender's log equals the leader's up to `index`; without success, not even at `index`."""

    term: int
    success: bool
    index: int


@message
class NewerTerm:
    """The answer to a RequestVote or AppendEntries of an older term."""

    term: int
