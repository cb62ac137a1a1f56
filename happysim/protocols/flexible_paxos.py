"""Flexible Paxos: Multi-Paxos in which each phase has quorums of its own.

**Source**: Howard, Malkhi and Spiegelman, *Flexible Paxos: quorum intersection revisited*, OPODIS
2016: Paxos is safe as long as every quorum that elects a leader (phase 1) meets every quorum that
chooses a command (phase 2). Quorums of one phase need not meet each other. So commands may be
chosen by few servers, if more of them are asked when the leader changes.

**Assumes** and **Deviates**: as Multi-Paxos does (`multi_paxos.server`), which is all of the
algorithm. What its quorums are is a parameter there.
"""

from __future__ import annotations

from happysim.core.errors import ProtocolError
from happysim.core.quorums import Quorums, grid, hierarchy, listed, majority, sizes, weights
from happysim.core.topology import Network
from happysim.protocols.multi_paxos import MultiPaxosNode

__all__ = [
    "FlexiblePaxosNode",
    "Quorums",
    "grid",
    "hierarchy",
    "listed",
    "majority",
    "sizes",
    "weights",
]


class FlexiblePaxosNode(MultiPaxosNode):
    """A server of Multi-Paxos with `phase_1` and `phase_2` quorums, which have to be given.

    Either is a number, for any so many servers, or a quorum system by name of the functions here:
    `phase_1, phase_2 = grid([["n1", "n2"], ["n3", "n4"]])`. All servers have to have the same.

    Raises `ProtocolError` with two disjoint quorums where they need not meet: when the server is
    made if both are given by name or `peers` is, else when its world is.
    """

    def __post_init__(self, network: Network | None) -> None:
        if self.phase_1 is None or self.phase_2 is None:
            raise ProtocolError(
                f"{self.name}: phase_1={self.phase_1!r}, phase_2={self.phase_2!r}; give both, as "
                "numbers of servers or quorum systems, or use MultiPaxosNode for majorities"
            )
        super().__post_init__(network)
