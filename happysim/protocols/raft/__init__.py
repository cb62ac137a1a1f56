"""Raft: one log of commands, kept by a majority of servers through crashes and lost messages.

`messages` holds what clients and servers tell each other, `server` the server itself, with the
paper that it follows, what it assumes and where it deviates.
"""

from happysim.protocols.raft.messages import (
    AppendEntries,
    AppendEntriesReply,
    ClientRequest,
    Entry,
    NewerTerm,
    NotLeader,
    Overwritten,
    RequestVote,
    Vote,
)
from happysim.protocols.raft.server import Journal, Machine, RaftNode, Role

__all__ = [
    "AppendEntries",
    "AppendEntriesReply",
    "ClientRequest",
    "Entry",
    "Journal",
    "Machine",
    "NewerTerm",
    "NotLeader",
    "Overwritten",
    "RaftNode",
    "RequestVote",
    "Role",
    "Vote",
]
