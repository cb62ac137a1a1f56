"""State-based replicated data types: each replica writes alone, and merging makes them agree.

**Source**: Shapiro, Preguiça, Baquero, Zawirski, *A comprehensive study of Convergent and
Commutative Replicated Data Types*, INRIA RR-7506, 2011; for `ORSet`, Bieniusa et al., *An
optimized conflict-free replicated set*, INRIA RR-8083, 2012.

| type | value | two concurrent writes |
|---|---|---|
| `GCounter` | an int that grows | both count |
| `PNCounter` | an int | both count |
| `LWWRegister` | one value | the larger (timestamp, replica id) stays |
| `ORSet` | a set | an add wins over a remove that did not see it |
| `MVRegister` | every value not overwritten | both values stay |

All five share the methods of `happysim.protocols.crdt.replica.Replica`. They are plain Python
values: usable alone, and as fields of a protocol node. `CRDTStore` is such a node: it keeps many of
them by name, and gossips.
"""

from happysim.protocols.crdt.gcounter import GCounter
from happysim.protocols.crdt.hybrid_clock import HybridClock
from happysim.protocols.crdt.lww_register import LWWRegister
from happysim.protocols.crdt.mv_register import MVRegister
from happysim.protocols.crdt.or_set import ORSet
from happysim.protocols.crdt.pncounter import PNCounter
from happysim.protocols.crdt.store import CRDTStore

__all__ = [
    "CRDTStore",
    "GCounter",
    "HybridClock",
    "LWWRegister",
    "MVRegister",
    "ORSet",
    "PNCounter",
]
