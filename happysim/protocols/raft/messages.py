"""What the clients and servers of Raft tell each other. Indices count from 1, as in the paper."""

from __future__ import annotations

from typing import Any

from happysim.core.message import message
from happysim.core.script import Operation
from happysim.protocols.raft.configuration import Configuration

# -- clients -------------------------------------------------------------------------------------


@message
class ReadRequest:
    """A client script asks for the result of a command that changes nothing.

    The answer is the result, or NotLeader. It costs no place in the log and no write to disk.
    """

    command: Any


@message
class ChangeMembership:
    """A client script asks for these voters and learners, and for no others.

    The answer is the Configuration, once it is committed, or ChangeRefused, NotLeader, Overwritten.
    `serial` is as in ClientRequest.
    """

    voters: tuple[str, ...]
    learners: tuple[str, ...] = ()
    serial: int | None = None


@message
class ChangeRefused:
    """The answer to a change of membership that this leader does not make, and why not."""

    reason: str


@message
class TransferLeadership:
    """A client script asks the leader to hand over to the server `to`.

    The answer is True once that server was told to stand; or TransferRefused, or NotLeader.
    """

    to: str


@message
class TransferRefused:
    """The answer to a transfer that does not take place, and why not."""

    reason: str


# -- servers (figure 2) --------------------------------------------------------------------------


@message
class Entry:
    """One place of the log: a command, whom to answer, and which of that client's commands it is.

    Without an `operation` nobody awaits an answer; without a command either it is a no-op, a
    leader's first entry. Where the command is a Configuration, it is that of the cluster from here
    on.
    """

    term: int
    command: Any = None
    operation: Operation | None = None
    serial: int = 0


@message
class RequestVote:
    """The sender stands for leader of `term`; its log ends in this entry (0, 0 where empty)."""

    term: int
    last_index: int
    last_term: int


@message
class RequestVoteAtOnce:
    """A RequestVote of a server that its leader has told to stand: no reason to wait for that one.

    (Dissertation, sections 3.10 and 4.2.3.)
    """

    term: int
    last_index: int
    last_term: int


@message
class TimeoutNow:
    """The leader of `term` hands over: the receiver is to stand without waiting."""

    term: int


@message
class Vote:
    """The sender's vote in `term` is the receiver's."""

    term: int


@message
class PreVote:
    """The sender would stand for leader of `term`, which it is not in yet: would this vote for it?

    Its log ends in this entry, as in RequestVote. (Dissertation, section 9.6.)
    """

    term: int
    last_index: int
    last_term: int


@message
class PreVoteGranted:
    """The sender would vote for the receiver in `term`."""

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
    """The sender's log equals the leader's up to `index`."""

    term: int
    index: int


@message
class AppendEntriesRefusal:
    """The sender's log does not fit at `index`, the prev_index of the request.

    Its entry there has the term `conflict_term`, whose first entry it has at `first_index`. Where
    its log is too short, they are 0 and the index behind its last entry.
    """

    term: int
    index: int
    conflict_term: int
    first_index: int


@message
class Snapshot:
    """What stands for the entries up to `index`, the last of which has this `term` (section 5).

    `state` is that of the machine; `sessions` has (client, number of its last command, result), so
    that a command is still applied once. `configuration` is the newest up to `index`.
    """

    index: int = 0
    term: int = 0
    state: Any = None
    sessions: tuple[tuple[str, int, Any], ...] = ()
    configuration: Configuration | None = None


@message
class InstallSnapshot:
    """The leader of `term` has discarded what the receiver lacks, and sends this instead."""

    term: int
    snapshot: Snapshot


@message
class Probe:
    """The leader of `term` asks whether it still is; this is its question of that number."""

    term: int
    round: int


@message
class ProbeReply:
    """In the sender's view the receiver led `term` when its question of that number came."""

    term: int
    round: int


@message
class NewerTerm:
    """The answer to a request between servers whose sender is in an older term."""

    term: int
