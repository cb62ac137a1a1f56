"""Clients: the leader gives each command a slot, and a patient server waits for a leader.

**Source**: Lamport, *Paxos made simple*, 2001, section 3; Ongaro, *Consensus: bridging theory and
practice*, 2014, sections 6.2 and 6.3 (requests passed on, commands applied once).

**Deviates**: a patient server keeps what it cannot propose, and passes it on to each leader that it
hears of, until it has applied it. A client that awaits no answer has no number, so its command may
take effect more than once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from happysim.core.host import Host
from happysim.core.script import Operation
from happysim.protocols import requests
from happysim.protocols.machine import recall
from happysim.protocols.multi_paxos.messages import Entry
from happysim.protocols.requests import ClientRequest, Forwarded, Overwritten, answer

if TYPE_CHECKING:
    from happysim.protocols.multi_paxos.server import MultiPaxosNode


def take(
    node: MultiPaxosNode, host: Host, operation: Operation | None, request: ClientRequest
) -> None:
    """The leader proposes a command that is new; another server passes it on, or refuses it."""
    serial = 0
    if operation is not None:
        serial = operation.number if request.serial is None else request.serial
        if not is_first(node, host, operation, serial):
            return
    if node.is_leader:
        # A copy of what is in the log; what is chosen is applied, and so is no first any more.
        still_open = node.log[node.chosen :]
        if operation is None or not any(e and e.operation == operation for e in still_open):
            entry = Entry(node.ballot, request.command, operation, serial)
            node.propose(host, len(node.log) + 1, entry)
    elif node.patient:
        hold(node, host, Forwarded(operation, request))
    elif operation is not None:
        node.refuse(host, operation)


def is_first(node: MultiPaxosNode, host: Host, operation: Operation, serial: int) -> bool:
    """False for a command that was applied; its answer is given again, if it is the last."""
    is_new, answers = recall(node.sessions, operation, serial)
    for asked, result in answers:
        answer(host, result, asked)
    return is_new


def hold(node: MultiPaxosNode, host: Host, asked: Forwarded) -> None:
    """Pass a request on, if there is a leader, and to later ones until it is applied here."""
    leader = None if node.leader == node.name else node.leader
    requests.keep(node.held, asked, leader)
    if leader is not None:
        node.send(host, leader, asked)


def pass_on(node: MultiPaxosNode, host: Host) -> None:
    """There is a new leader: it is told what others did not bring to an end."""
    held, node.held = node.held, []
    for each in held:
        take(node, host, each.operation, each.request)


def forget(node: MultiPaxosNode, applied: Operation) -> None:
    """An operation is applied, and so its client awaits none of before."""
    if node.held:
        node.held = requests.still_open(node.held, applied)


def overwrite(node: MultiPaxosNode, host: Host, entry: Entry) -> None:
    """An entry gives way: its client is told, or a patient server tries again."""
    if entry.operation is None:
        return
    if node.patient:
        hold(node, host, Forwarded(entry.operation, ClientRequest(entry.command, entry.serial)))
    else:
        answer(host, Overwritten(), entry.operation)
