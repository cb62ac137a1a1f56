"""Which servers are enough for a phase: quorums of phase 1 have to meet those of phase 2.

**Source**: Howard, Malkhi and Spiegelman, *Flexible Paxos: quorum intersection revisited*, OPODIS
2016.
"""

from __future__ import annotations

from typing import TypeAlias

from happysim.core.errors import ProtocolError
from happysim.core.quorums import Quorums, disjoint, majority, sizes

# A quorum system, or any so many servers; None is a majority.
Phase: TypeAlias = Quorums | int | None


def quorums_of(phase: Phase, servers: tuple[str, ...]) -> Quorums:
    """What a phase's quorums are in a cluster of these servers."""
    if isinstance(phase, Quorums):
        return phase
    return majority(*servers) if phase is None else sizes(servers, phase)


def check_names(name: str, systems: tuple[Quorums, Quorums], servers: tuple[str, ...]) -> None:
    """Raise `ProtocolError` where a quorum system names who is not in the cluster."""
    for number, system in enumerate(systems, 1):
        strangers = [each for each in system.nodes if each not in servers]
        if strangers:
            raise ProtocolError(
                f"{name}: phase_{number} names {', '.join(strangers)}, not in the "
                f"cluster of {', '.join(sorted(servers))}"
            )


def check_meeting(name: str, phase_1: Quorums, phase_2: Quorums) -> None:
    """Raise `ProtocolError` with two quorums that do not meet."""
    found = disjoint(phase_1, phase_2)
    if found is not None:
        one, other = ("{" + ", ".join(quorum) + "}" for quorum in found)
        raise ProtocolError(
            f"{name}: a new leader elected by {one} may not hear what {other} chose; "
            "make every quorum of phase_1 meet every quorum of phase_2"
        )
