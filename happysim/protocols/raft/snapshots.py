"""Snapshots: what a server keeps instead of the beginning of its log.

**Source**: Ongaro, *Consensus: bridging theory and practice*, 2014, section 5, figure 5.3.

**Deviates**: a snapshot travels as one message, not in chunks. It is answered as an AppendEntries
is. Some entries are kept behind it, for followers that are a little late. None is taken halfway
through a joint change of membership.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from happysim.core.host import Host
from happysim.protocols.raft import clients, membership
from happysim.protocols.raft.log import Log
from happysim.protocols.raft.messages import InstallSnapshot, Snapshot

if TYPE_CHECKING:
    from happysim.protocols.raft.server import RaftNode


def make(node: RaftNode, host: Host) -> Snapshot:
    """Section 5.1: all that was applied, and what tells a repeated command from a new one."""
    sessions = tuple((client, *last) for client, last in sorted(node.sessions.items()))
    index = node.commit_index
    configuration = membership.committed(node, host)
    return Snapshot(index, node.log.term_at(index), node.state, sessions, configuration)


def is_due(node: RaftNode, host: Host) -> bool:
    """True once so many entries are applied that a snapshot is worth its while.

    Not while the configuration is a joint one. Whoever leads next may have to finish that change,
    and the log alone says who awaits the answer. It is not for long: a leader appends what follows
    as soon as it knows that a joint configuration is committed.
    """
    every = node.snapshot_entries
    if every is None or node.commit_index - node.snapshot.index < every:
        return False
    return not membership.committed(node, host).is_joint


def compact(node: RaftNode, host: Host) -> None:
    """Section 5.1: write a snapshot, then discard what it stands for."""
    node.snapshot = node.make_snapshot(host)
    node.log.discard(node.commit_index - node.trailing_entries)
    node.persist(host)


def send(node: RaftNode, host: Host, peer: str) -> None:
    """Section 5.3: the entries that a follower needs next are gone, so it gets the snapshot.

    Then come those behind it. If the snapshot is lost, they will be refused.
    """
    host.send(peer, InstallSnapshot(node.current_term, node.snapshot))
    node.next_index[peer] = node.snapshot.index + 1


def install(node: RaftNode, host: Host, snapshot: Snapshot) -> None:
    """Figure 5.3, rules 5 to 8. Rule 6: what follows the snapshot in the log may be needed yet."""
    if node.keeps_suffix(snapshot):
        node.log.discard(snapshot.index)
    else:
        applied = {client: number for client, number, _ in snapshot.sessions}
        for entry in node.log.entries:
            operation = entry.operation
            if operation is not None and entry.serial > applied.get(operation.client, 0):
                clients.overwrite(node, host, entry)
        node.log = Log([], snapshot.index, snapshot.term)
    node.snapshot = snapshot
    restore(node, host)
    node.persist(host)


def restore(node: RaftNode, host: Host) -> None:
    """What is not durable follows from what is; only the snapshot is known to be committed."""
    snapshot = node.snapshot
    node.state = snapshot.state if snapshot.index else node.machine.initial
    node.sessions = {client: (number, result) for client, number, result in snapshot.sessions}
    node.commit_index = snapshot.index
    node.configure(host)
    node.pending = {}
    for index, entry in enumerate(node.log.behind(snapshot.index), snapshot.index + 1):
        if entry.operation is not None:
            node.pending[entry.operation] = index
