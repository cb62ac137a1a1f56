"""Phase 1, for all slots at once: how a server comes to lead a ballot.

**Source**: Lamport, *Paxos made simple*, 2001, section 3 (S3).
"""

from __future__ import annotations

import enum
from dataclasses import replace
from typing import TYPE_CHECKING

from happysim.core.host import Host
from happysim.protocols import rounds
from happysim.protocols.ballot import Ballot
from happysim.protocols.multi_paxos import clients
from happysim.protocols.multi_paxos.messages import Entry, Prepare, Promise, Rejected

if TYPE_CHECKING:
    from happysim.protocols.multi_paxos.server import MultiPaxosNode


class Role(enum.StrEnum):
    """What a server is at present."""

    FOLLOWER = "follower"
    CANDIDATE = "candidate"
    LEADER = "leader"


def stand(node: MultiPaxosNode, host: Host) -> None:
    """Phase 1a: ask for a ballot of one's own, and what was accepted."""
    node.ballot = Ballot(node.ballot.round + 1, host.name)
    node.role, node.leader = Role.CANDIDATE, None
    node.promised_by, node.reported = set(), {}
    node.attempts += 1
    node.set_election_timer(host)
    # This server's own word counts too, and so has to be on disk.
    node.persist(host)
    node.send_all(host, Prepare(node.ballot, node.chosen + 1))
    node.take_promise(host, host.name, promise_from(node, node.chosen + 1))


def promise(node: MultiPaxosNode, host: Host, sender: str, request: Prepare) -> None:
    """Phase 1b: promise, and report what was accepted for the slots asked for."""
    if node.observe(host, request.ballot):
        node.send(host, sender, promise_from(node, request.first))
    else:
        node.send(host, sender, Rejected(node.ballot))


def promise_from(node: MultiPaxosNode, first: int) -> Promise:
    """The promise of the present ballot, with all that was accepted from the slot on."""
    slots = range(first, len(node.log) + 1)
    held = [(slot, entry) for slot in slots if (entry := node.at(slot)) is not None]
    return Promise(node.ballot, tuple(held))


def take_promise(node: MultiPaxosNode, host: Host, sender: str, promised: Promise) -> None:
    """A quorum of promises of its present ballot makes a candidate the leader, once."""
    if node.role is not Role.CANDIDATE or promised.ballot != node.ballot:
        return
    node.promised_by.add(sender)
    for slot, entry in promised.entries:
        known = node.reported.get(slot)
        if known is None or entry.ballot > known.ballot:
            node.reported[slot] = entry
    # By slot: in which order they were reported is no part of the state.
    node.reported = dict(sorted(node.reported.items()))
    if node.is_quorum(host, node.phase_1, node.promised_by):
        node.lead(host)


def lead(node: MultiPaxosNode, host: Host) -> None:
    """S3: propose again what was reported, under the new ballot, and no-ops in the gaps."""
    reported, node.reported, node.promised_by = node.reported, {}, set()
    node.role, node.leader, node.attempts = Role.LEADER, host.name, 0
    host.cancel_timer("election")
    for slot in range(node.chosen + 1, max(reported, default=0) + 1):
        entry = reported.get(slot, Entry(node.ballot))
        node.propose(host, slot, replace(entry, ballot=node.ballot))
    clients.pass_on(node, host)
    rounds.begin(host, node.machine)
    if node.heartbeat_seconds is not None:
        node.beat(host)
