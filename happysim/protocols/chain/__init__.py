"""Chain replication, and CRAQ: updates pass along a chain of servers, and are answered at its end.

`messages` holds what clients, servers and the master tell each other, `server` the servers, and
`master` who takes failed ones out. CRAQ is `ChainServer(..., reads=Reads.ANY)`.
"""

from happysim.protocols.chain.master import ChainMaster
from happysim.protocols.chain.messages import (
    Ack,
    AskVersion,
    Chain,
    CurrentChain,
    Entry,
    Failed,
    Forward,
    Hello,
    Here,
    Joined,
    Query,
    Reads,
    Redirect,
    Session,
    Snapshot,
    Update,
    Version,
    first_chain,
)
from happysim.protocols.chain.server import ChainServer
from happysim.protocols.machine import Journal, KeyedMachine

__all__ = [
    "Ack",
    "AskVersion",
    "Chain",
    "ChainMaster",
    "ChainServer",
    "CurrentChain",
    "Entry",
    "Failed",
    "Forward",
    "Hello",
    "Here",
    "Joined",
    "Journal",
    "KeyedMachine",
    "Query",
    "Reads",
    "Redirect",
    "Session",
    "Snapshot",
    "Update",
    "Version",
    "first_chain",
]
