"""Learning: what was chosen is applied, in order of slots, and whoever lacks some of it asks.

**Source**: Lamport, *Paxos made simple*, 2001, section 3 (S3); van Renesse and Altinbuken, *Paxos
made moderately complex*, 2015 (commands applied once).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from happysim.core.host import Host
from happysim.protocols.ballot import Ballot
from happysim.protocols.machine import Answers, execute, recall
from happysim.protocols.multi_paxos import clients
from happysim.protocols.multi_paxos.messages import Chosen, Missing

if TYPE_CHECKING:
    from happysim.protocols.multi_paxos.server import MultiPaxosNode


def advance(node: MultiPaxosNode, host: Host) -> None:
    """Apply what is chosen, in order of slots; what is chosen behind a gap waits for it."""
    before = node.chosen
    while node.is_quorum(host, node.phase_2, node.accepted_by.get(node.chosen + 1, ())):
        commit(node, host)
    if node.chosen > before:
        node.set_progress_timer(host)


def learn(node: MultiPaxosNode, host: Host, ballot: Ballot, chosen: int) -> None:
    """Commit what the leader knows to be chosen, as far as this server has the same entries.

    They are if they are of its ballot. An older one may have given way to another.
    """
    while node.chosen < chosen and node.is_of(node.chosen + 1, ballot):
        commit(node, host)
    if node.chosen < chosen:
        node.send(host, ballot.name, Missing(node.chosen))


def tell(node: MultiPaxosNode, host: Host, sender: str, question: Missing) -> None:
    """Tell what was chosen behind what the sender knows of."""
    if question.chosen < node.chosen:
        entries = tuple(entry for entry in node.log[question.chosen : node.chosen] if entry)
        node.send(host, sender, Chosen(question.chosen + 1, entries))


def catch_up(node: MultiPaxosNode, host: Host, news: Chosen) -> None:
    """Take over what was chosen. An entry of a higher ballot is the same command already."""
    for slot, entry in enumerate(news.entries, news.first):
        if slot == node.chosen + 1:
            mine = node.at(slot)
            if mine is None or mine.ballot < entry.ballot:
                node.keep(host, slot, entry)
            commit(node, host)
    # In a leader's log that may have been the gap.
    advance(node, host)


def commit(node: MultiPaxosNode, host: Host) -> None:
    """The next slot is chosen: apply its command, and, as the leader, answer its client."""
    node.chosen += 1
    node.accepted_by.pop(node.chosen, None)
    answers = apply(node, node.chosen)
    if node.is_leader:
        for operation, result in answers:
            node.answer(host, operation, result)


def apply(node: MultiPaxosNode, slot: int) -> Answers:
    """Apply one slot's command to the machine, unless it was applied in an earlier slot.

    Returns whom that answers, and what.
    """
    entry = node.at(slot)
    if entry is None or entry.operation is entry.command is None:
        return ()
    operation = entry.operation
    if operation is not None:
        clients.forget(node, operation)
        is_new, answers = recall(node.sessions, operation, entry.serial)
        if not is_new:
            return answers
    node.state, answers = execute(
        node.machine, node.state, node.sessions, entry.command, operation, entry.serial
    )
    return answers
