"""Clients: a request is answered by the leader, and a command takes effect once.

**Source**: Ongaro, *Consensus: bridging theory and practice*, 2014, sections 6.2 and 6.3.

**Deviates**: sessions are not opened and do not expire: a client is known by its name, and of each
the last command is kept. An operation that is in the log already is not appended again. A patient
server keeps what it cannot serve, and passes it on to each leader that it hears of, until it has
applied it; the dissertation leaves it to the client to ask again. A client that awaits no answer
has no number, so its command may take effect more than once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from happysim.core.host import Host
from happysim.core.script import Operation
from happysim.protocols import requests
from happysim.protocols.machine import recall
from happysim.protocols.raft import membership, reads, transfer
from happysim.protocols.raft.configuration import Configuration
from happysim.protocols.raft.messages import (
    ChangeMembership,
    Entry,
    ReadRequest,
    TransferLeadership,
)
from happysim.protocols.requests import (
    ClientRequest,
    Forwarded,
    Overwritten,
    answer,
    operation_of,
    operation_of_script,
)

if TYPE_CHECKING:
    from happysim.protocols.raft.server import RaftNode

Asked = ClientRequest | ReadRequest | ChangeMembership | TransferLeadership


def hear(node: RaftNode, host: Host, client: str, request: Asked) -> None:
    """A client asks this server."""
    if isinstance(request, ClientRequest):
        take(node, host, operation_of(host, client, request), request, hops=0)
        return
    take(node, host, operation_of_script(host, client, request), request, hops=0)


def take(
    node: RaftNode, host: Host, operation: Operation | None, request: Asked, hops: int
) -> None:
    """Section 6.2: a leader serves a request; another server passes it on, once, or refuses it."""
    entry = entry_for(node, operation, request)
    if entry is not None and not is_first(node, host, entry):
        return
    if node.is_leader and node.transfer is None:
        serve(node, host, operation, request, entry)
    elif node.patient and isinstance(request, ClientRequest):
        keep(node, host, Forwarded(operation, request))
    elif node.forward and hops == 0 and node.leader not in (None, node.name):
        host.send(node.leader, Forwarded(operation, request))
    elif operation is not None:
        node.refuse(host, operation)


def serve(
    node: RaftNode, host: Host, operation: Operation | None, request: Asked, entry: Entry | None
) -> None:
    """What a leader does about each kind of request."""
    match request:
        case ReadRequest(command) if operation is not None:
            reads.begin(node, host, operation, command)
        case TransferLeadership(to) if operation is not None:
            transfer.begin(node, host, operation, to)
        case ChangeMembership() if entry is not None and operation is not None:
            membership.change(node, host, operation, entry)
        case ClientRequest() if entry is not None:
            node.append(host, entry)


def entry_for(node: RaftNode, operation: Operation | None, request: Asked) -> Entry | None:
    """The entry that a request asks for, if it does."""
    if isinstance(request, ReadRequest | TransferLeadership):
        return None
    if operation is None:
        command = request.command if isinstance(request, ClientRequest) else None
        return Entry(node.current_term, command)
    serial = operation.number if request.serial is None else request.serial
    if isinstance(request, ChangeMembership):
        return Entry(node.current_term, membership.target_of(request), operation, serial)
    return Entry(node.current_term, request.command, operation, serial)


def is_first(node: RaftNode, host: Host, entry: Entry) -> bool:
    """Section 6.3: False for a command that is in the log, or was applied and is answered."""
    operation = entry.operation
    if operation is None:
        return True
    if operation in node.pending:
        return False  # A copy; whoever commits the entry will answer.
    is_new, answers = recall(node.sessions, operation, entry.serial)
    for asked, result in answers:
        answer(host, result, asked)
    return is_new


# -- patient servers -----------------------------------------------------------------------------


def keep(node: RaftNode, host: Host, asked: Forwarded) -> None:
    """Pass a request on, if there is a leader, and to later ones until it is applied here."""
    leader = None if node.leader == node.name else node.leader
    requests.keep(node.kept, asked, leader)
    if leader is not None:
        host.send(leader, asked)


def pass_on(node: RaftNode, host: Host) -> None:
    """There is a new leader: it is told what others did not bring to an end."""
    kept, node.kept = node.kept, []
    for each in kept:
        take(node, host, each.operation, each.request, hops=1)


def forget(node: RaftNode, applied: Operation) -> None:
    """An operation is applied, and so its client awaits none of before."""
    if node.kept:
        node.kept = requests.still_open(node.kept, applied)


def overwrite(node: RaftNode, host: Host, entry: Entry) -> None:
    """An entry is removed from this log: its client is told, or a patient server tries again."""
    if entry.operation is None:
        return
    if node.patient and not isinstance(entry.command, Configuration):
        request = ClientRequest(entry.command, entry.serial)
        keep(node, host, Forwarded(entry.operation, request))
    else:
        answer(host, Overwritten(), entry.operation)
