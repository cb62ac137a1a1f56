"""Reads that are not put in the log: a leader answers them when it knows that it still leads.

**Source**: Ongaro, *Consensus: bridging theory and practice*, 2014, section 6.4 (the read index)
and 6.4.1 (leases).

The leader must have committed an entry of its own term, so that its state has all that was
committed before. Then it asks a quorum whether it is still the leader, in a round of its own:
answers to what was sent before the read came say nothing of the time since.

With leases it asks with each heartbeat, and for a while after a quorum has answered it answers
reads at once: those that answered elect nobody before their election timers fire. This rests on
clocks: no clock's rate may be off by more than the fraction `clock_drift`.

**Deviates**: rounds have messages of their own, so that an AppendEntries need not carry a number.
They count as heartbeats. Followers do not serve reads; they refuse them or pass them on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from happysim.core.errors import ProtocolError
from happysim.core.host import Host
from happysim.core.script import Operation
from happysim.protocols.raft.configuration import quorum_index
from happysim.protocols.raft.messages import Probe
from happysim.protocols.requests import NotLeader

if TYPE_CHECKING:
    from happysim.protocols.raft.server import RaftNode


@dataclass(frozen=True)
class PendingRead:
    """A read that waits for its round to be confirmed."""

    operation: Operation
    command: Any
    round: int


def begin(node: RaftNode, host: Host, operation: Operation, command: Any) -> None:
    """Steps 2 and 3: note the read, and ask who still follows. With a lease there is no need to."""
    if has_lease(node, host) and node.has_committed_in_term():
        host.respond(result_of(node, command), to=operation)
        return
    if any(read.operation == operation for read in node.reads):
        return  # A copy of the request.
    next_round(node, host)
    node.reads.append(PendingRead(operation, command, node.round))
    serve(node, host)


def next_round(node: RaftNode, host: Host) -> None:
    """Step 3: ask who still follows; a lease counts from when it was asked."""
    node.round += 1
    if node.leases:
        node.asked_at[node.round] = host.now
    probe(node, host)


def beat(node: RaftNode, host: Host) -> None:
    """With each heartbeat: prolong the lease, or ask again for reads that wait."""
    if node.leases:
        next_round(node, host)
    elif node.reads:
        probe(node, host)


def take(node: RaftNode, host: Host, sender: str, number: int) -> None:
    """A voter has answered the round of that number."""
    node.rounds[sender] = max(node.rounds.get(sender, 0), number)
    if node.leases:
        prolong(node)
    serve(node, host)


def prolong(node: RaftNode) -> None:
    """Section 6.4.1: a lease lasts for the shortest election timeout, as any clock may see it.

    It counts from the question, since those that answered may have waited since it came.
    """
    newest = confirmed(node)
    span = int(node.lease_seconds() * 10**9)
    for number in [each for each in node.asked_at if each <= newest]:
        until = node.asked_at.pop(number) + span
        node.lease_until = until if node.lease_until is None else max(node.lease_until, until)


def has_lease(node: RaftNode, host: Host) -> bool:
    """True while nobody else can have been elected.

    Not so before a round is confirmed, whatever the clock shows: it may be far behind. Nor once a
    server was told to take over in this term, even where that was given up: the order may be late,
    and those that vote for it do not wait.
    """
    return node.leases and node.lease_until is not None and host.now < node.lease_until


def probe(node: RaftNode, host: Host) -> None:
    """Step 3: one more round of heartbeats."""
    host.broadcast(Probe(node.current_term, node.round), to=node.rivals())


def serve(node: RaftNode, host: Host) -> None:
    """Steps 1 and 4: answer each read whose round a quorum has confirmed, from the state as it is.

    The state has all that was committed when the read came: it is applied as it is committed.
    """
    while node.reads and node.has_committed_in_term() and node.is_confirmed(node.reads[0].round):
        read = node.reads.pop(0)
        host.respond(result_of(node, read.command), to=read.operation)


def confirmed(node: RaftNode) -> int:
    """The newest round that a quorum has answered."""
    return quorum_index(node.electorates(), {**node.rounds, node.name: node.round})


def result_of(node: RaftNode, command: Any) -> Any:
    """What the machine says to a command that only reads. Raises `ProtocolError` for another."""
    after, result = node.machine.apply(node.state, command)
    if after is not node.state and after != node.state:
        raise ProtocolError(
            f"{node.name}: {command!r} changes the state, so it is no read; "
            "send it in a ClientRequest"
        )
    return result


def refuse_all(node: RaftNode, host: Host) -> None:
    """Who leads no more cannot answer; reads have no effect, so they may be asked again."""
    for read in node.reads:
        host.respond(NotLeader(None), to=read.operation)
    node.reads, node.rounds, node.round = [], {}, 0
    node.leases, node.asked_at, node.lease_until = False, {}, None
