"""What the servers of a cluster may be made with, whichever protocol they follow."""

from __future__ import annotations

from happysim.core.errors import ProtocolError


def check_peers(name: str, peers: tuple[str, ...] | None) -> None:
    """Raise `ProtocolError` where `peers` names the server itself, or one of the others twice."""
    named = peers or ()
    if name in named or len(set(named)) < len(named):
        raise ProtocolError(f"{name}: peers={named!r} has to name each of the others, once")


def check_heartbeats(name: str, beat: float | None, patience: float, setting: str) -> None:
    """Raise `ProtocolError` where a leader would be missed between two heartbeats.

    All is in seconds: `beat` (None: there are none) and the shortest `patience` of the others,
    which stands in the `setting` of that name.
    """
    if beat is not None and beat >= patience:
        raise ProtocolError(
            f"{name}: heartbeat_seconds={beat} lets others take the leader for dead; "
            f"make it less than the {patience} of {setting}"
        )
