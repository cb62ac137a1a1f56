"""Several leaders: each takes writes alone, and in the end all have the same.

`node` holds the leader, with the papers it follows, `records` what it keeps of a key, `resolvers`
what becomes of concurrent writes, and `merkle` the tree by which two leaders compare.
"""

from happysim.protocols.multi_leader.messages import (
    Compare,
    Delete,
    Done,
    Equal,
    Found,
    Get,
    Leaf,
    NotYet,
    Push,
    Put,
)
from happysim.protocols.multi_leader.node import MultiLeaderNode
from happysim.protocols.multi_leader.records import Context, Record, Version
from happysim.protocols.multi_leader.resolvers import LastWriterWins, Merged, Resolver, Siblings

__all__ = [
    "Compare",
    "Context",
    "Delete",
    "Done",
    "Equal",
    "Found",
    "Get",
    "LastWriterWins",
    "Leaf",
    "Merged",
    "MultiLeaderNode",
    "NotYet",
    "Push",
    "Put",
    "Record",
    "Resolver",
    "Siblings",
    "Version",
]
