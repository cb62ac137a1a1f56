"""Committing and applying: what a majority holds is applied, in order, and its clients answered.

**Source**: Ongaro and Ousterhout, *In search of an understandable consensus algorithm (extended
version)*, 2014, figure 2 and sections 5.3 and 5.4; Ongaro, *Consensus: bridging theory and
practice*, 2014, section 6.3 (a command that is repeated is applied once).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from happysim.core.host import Host
from happysim.protocols import machine
from happysim.protocols.raft import clients, membership, reads, snapshots
from happysim.protocols.raft.configuration import Configuration, quorum_index

if TYPE_CHECKING:
    from happysim.protocols.raft.server import RaftNode


def advance(node: RaftNode, host: Host) -> None:
    """Figure 2, leaders, last rule: commit what a majority of servers holds."""
    held = {**node.match_index, node.name: node.log.last_index}
    index = quorum_index(node.electorates(), held)
    if index > node.commit_index and node.may_commit(index):
        node.commit(host, index)
        if node.reads:
            reads.serve(node, host)


def commit(node: RaftNode, host: Host, index: int) -> None:
    """Figure 2, all servers: what is committed is applied, in order."""
    before = node.commit_index
    while node.commit_index < index:
        node.commit_index += 1
        apply(node, host, node.commit_index)
    if before < node.commit_index and node.is_leader:
        membership.settle(node, host)
    if snapshots.is_due(node, host):
        snapshots.compact(node, host)


def apply(node: RaftNode, host: Host, index: int) -> None:
    """Apply one entry to the state machine, and answer its client.

    Section 6.3 of the dissertation: a command that its client has repeated is applied once.
    """
    entry = node.log.entry(index)
    operation = entry.operation
    if operation is None:
        if entry.command is not None:
            execute(node, host, index)
        return
    node.pending.pop(operation, None)
    clients.forget(node, operation)
    if isinstance(entry.command, Configuration) and entry.command.is_joint:
        return  # Its client is answered when the new voters are on their own.
    is_new, answers = machine.recall(node.sessions, operation, entry.serial)
    if is_new:
        execute(node, host, index)
    for asked, result in answers:
        node.answer(host, index, asked, result)


def execute(node: RaftNode, host: Host, index: int) -> None:
    """Apply a command for the first time, and answer whom that answers."""
    entry = node.log.entry(index)
    if isinstance(entry.command, Configuration):
        if entry.operation is not None:
            node.sessions[entry.operation.client] = (entry.serial, entry.command)
            node.answer(host, index, entry.operation, entry.command)
        return
    node.state, answers = machine.execute(
        node.machine, node.state, node.sessions, entry.command, entry.operation, entry.serial
    )
    for operation, result in answers:
        node.answer(host, index, operation, result)
