"""Clients: a request is answered by the leader, and a command takes effect once.

**Source**: Ongaro, *Consensus: bridging theory and practice*, 2014, sections 6.2 and 6.3.

**Deviates**: sessions are not opened and do not expire: a client is known by its name, and of each
the last command is kept. An operation that is in the log already is not appended again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from happysim.core.host import Host
from happysim.core.script import Operation
from happysim.protocols.raft import membership, reads, transfer
from happysim.protocols.raft.messages import (
    ChangeMembership,
    ClientRequest,
    Entry,
    Forwarded,
    ReadRequest,
    TransferLeadership,
)

if TYPE_CHECKING:
    from happysim.protocols.raft.server import RaftNode

Asked = ClientRequest | ReadRequest | ChangeMembership | TransferLeadership


def take(node: RaftNode, host: Host, operation: Operation, request: Asked, hops: int) -> None:
    """Section 6.2: a leader serves a request; another server passes it on, once, or refuses it."""
    entry = entry_for(node, operation, request)
    if entry is not None and not is_first(node, host, entry):
        return
    if node.is_leader and node.transfer is None:
        serve(node, host, operation, request, entry)
    elif node.forward and hops == 0 and node.leader not in (None, node.name):
        host.send(node.leader, Forwarded(operation, request))
    else:
        node.refuse(host, operation)


def serve(
    node: RaftNode, host: Host, operation: Operation, request: Asked, entry: Entry | None
) -> None:
    """What a leader does about each kind of request."""
    match request:
        case ReadRequest(command):
            reads.begin(node, host, operation, command)
        case TransferLeadership(to):
            transfer.begin(node, host, operation, to)
        case ChangeMembership() if entry is not None:
            membership.change(node, host, operation, entry)
        case ClientRequest() if entry is not None:
            node.append(host, entry)


def entry_for(node: RaftNode, operation: Operation, request: Asked) -> Entry | None:
    """The entry that a request asks for, if it does."""
    if isinstance(request, ReadRequest | TransferLeadership):
        return None
    serial = operation.number if request.serial is None else request.serial
    if isinstance(request, ChangeMembership):
        return Entry(node.current_term, membership.target_of(request), operation, serial)
    return Entry(node.current_term, request.command, operation, serial)


def is_first(node: RaftNode, host: Host, entry: Entry) -> bool:
    """Section 6.3: False for a command that is in the log, or was applied and is answered."""
    operation = entry.operation
    if operation is None or operation in node.pending:
        return False  # A copy; whoever commits the entry will answer.
    last, result = node.sessions.get(operation.client, (0, None))
    if entry.serial == last:
        host.respond(result, to=operation)
    # One before the last needs no answer: its client has had one, or does not wait for it.
    return entry.serial > last
