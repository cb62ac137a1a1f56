"""Leadership transfer: a leader hands over to a server of someone's choice.

**Source**: Ongaro, *Consensus: bridging theory and practice*, 2014, section 3.10.

The leader takes no requests meanwhile, brings the other server up to date and tells it to stand at
once. The others vote although they hear a leader (section 4.2.3). It is an ordinary election, and
so as safe as any.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from happysim.core.host import Host
from happysim.core.script import Operation
from happysim.protocols.raft.messages import TimeoutNow, TransferRefused

if TYPE_CHECKING:
    from happysim.protocols.raft.server import RaftNode


@dataclass(frozen=True)
class Transfer:
    """A transfer under way: to whom, for whom, and whether the server was told to stand."""

    to: str
    operation: Operation
    told: bool = False


def begin(node: RaftNode, host: Host, operation: Operation, to: str) -> None:
    """Steps 1 and 2: stop taking requests, and see to it that the log of `to` is complete."""
    if to == node.name:
        host.respond(True, to=operation)
    elif not node.configuration.has_vote(to):
        host.respond(TransferRefused(f"{to} has no vote"), to=operation)
    else:
        node.transfer = Transfer(to, operation)
        host.set_timer("transfer", seconds=node.election_seconds[1])
        if not hand_over(node, host):
            node.send_entries(host, to)


def hand_over(node: RaftNode, host: Host) -> bool:
    """Step 3: once its log is complete, the other server is told to stand. True where it was."""
    under_way = node.transfer
    if under_way is None or under_way.told:
        return False
    if not node.configuration.has_vote(under_way.to):
        give_up(node, host, f"{under_way.to} has no vote any more")
        return False
    if node.match_index[under_way.to] < node.log.last_index:
        return False
    node.transfer = Transfer(under_way.to, under_way.operation, told=True)
    node.leases = False
    host.send(under_way.to, TimeoutNow(node.current_term))
    host.respond(True, to=under_way.operation)
    return True


def give_up(node: RaftNode, host: Host, reason: str) -> None:
    """The last step: where nothing came of it, go on as before. Its client is told."""
    under_way = node.transfer
    node.transfer = None
    host.cancel_timer("transfer")
    if under_way is not None and not under_way.told:
        host.respond(TransferRefused(reason), to=under_way.operation)
