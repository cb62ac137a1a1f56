"""Multi-Paxos: a log of commands, each slot chosen by Paxos, under one leader at a time.

`messages` holds what clients and servers tell each other, `server` the server itself, with the
papers that it follows, what it assumes and where it deviates. What it does at more length is in
`elections`, `learning`, `clients` and `phases`.
"""

from happysim.protocols.multi_paxos.elections import Role
from happysim.protocols.multi_paxos.messages import (
    Accept,
    Accepted,
    Chosen,
    Entry,
    Heartbeat,
    Missing,
    Prepare,
    Promise,
    Rejected,
)
from happysim.protocols.multi_paxos.server import MultiPaxosNode
from happysim.protocols.requests import Answered, ClientRequest, Forwarded, NotLeader, Overwritten

__all__ = [
    "Accept",
    "Accepted",
    "Answered",
    "Chosen",
    "ClientRequest",
    "Entry",
    "Forwarded",
    "Heartbeat",
    "Missing",
    "MultiPaxosNode",
    "NotLeader",
    "Overwritten",
    "Prepare",
    "Promise",
    "Rejected",
    "Role",
]
