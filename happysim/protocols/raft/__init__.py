"""Raft: one log of commands, kept by a majority of servers through crashes and lost messages.

`server` is the server itself: figure 2 of the paper that it follows, what it assumes and where it
deviates. `messages` holds what clients and servers tell each other; `log` and
`configuration` are the values that a server keeps, and `machine` is a map for it to drive. What it
does at more length, or beyond figure 2, is in `elections`, `replication`, `applying`, `clients`,
`snapshots`, `membership`, `transfer` and `reads`.
"""

from happysim.protocols.machine import Journal, Machine
from happysim.protocols.raft.configuration import Configuration
from happysim.protocols.raft.elections import Role
from happysim.protocols.raft.log import Log
from happysim.protocols.raft.machine import Cas, Delete, Get, KeyValue, Set
from happysim.protocols.raft.messages import (
    AppendEntries,
    AppendEntriesRefusal,
    AppendEntriesReply,
    ChangeMembership,
    ChangeRefused,
    Entry,
    InstallSnapshot,
    NewerTerm,
    PreVote,
    PreVoteGranted,
    Probe,
    ProbeReply,
    ReadRequest,
    RequestVote,
    RequestVoteAtOnce,
    Snapshot,
    TimeoutNow,
    TransferLeadership,
    TransferRefused,
    Vote,
)
from happysim.protocols.raft.server import RaftNode
from happysim.protocols.requests import Answered, ClientRequest, Forwarded, NotLeader, Overwritten

__all__ = [
    "Answered",
    "AppendEntries",
    "AppendEntriesRefusal",
    "AppendEntriesReply",
    "Cas",
    "ChangeMembership",
    "ChangeRefused",
    "ClientRequest",
    "Configuration",
    "Delete",
    "Entry",
    "Forwarded",
    "Get",
    "InstallSnapshot",
    "Journal",
    "KeyValue",
    "Log",
    "Machine",
    "NewerTerm",
    "NotLeader",
    "Overwritten",
    "PreVote",
    "PreVoteGranted",
    "Probe",
    "ProbeReply",
    "RaftNode",
    "ReadRequest",
    "RequestVote",
    "RequestVoteAtOnce",
    "Role",
    "Set",
    "Snapshot",
    "TimeoutNow",
    "TransferLeadership",
    "TransferRefused",
    "Vote",
]
