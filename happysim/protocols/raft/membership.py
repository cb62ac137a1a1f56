"""Membership: servers are added and removed while the cluster works.

**Source**: Ongaro, *Consensus: bridging theory and practice*, 2014, sections 4.1 (one vote at a
time), 4.2 and 4.3 (any voters after any others, by way of both); and its author's later correction
(*bug in single-server membership changes*, raft-dev, 2015): a leader that has not committed an
entry of its own term may not change the configuration yet.

A configuration is an entry of the log. A server uses the newest that is in its log, committed or
not, and goes back to the one before when it is removed again.

**Deviates**: section 4.2.1 brings a new server up to date in rounds before it has a vote. Here it
is added as a learner first, by a change of its own, and is refused a vote until it holds all that
is committed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from happysim.core.host import Host
from happysim.core.script import Operation
from happysim.protocols.raft.configuration import Configuration
from happysim.protocols.raft.messages import ChangeMembership, ChangeRefused, Entry

if TYPE_CHECKING:
    from happysim.protocols.raft.server import RaftNode


def first_configuration(node: RaftNode, host: Host) -> Configuration:
    """Section 4.4: what each server of a new cluster starts with."""
    if node.joins:
        return Configuration()
    others = host.peers if node.peers is None else node.peers
    return Configuration(frozenset((node.name, *others)))


def configuration_at(node: RaftNode, host: Host, index: int) -> tuple[int, Configuration]:
    """Section 4.1: the newest configuration up to `index`, and its own index.

    The index is 0 where it is not in the log any more, or never was.
    """
    for at in range(min(index, node.log.last_index), node.log.offset, -1):
        command = node.log.entry(at).command
        if isinstance(command, Configuration):
            return at, command
    if node.snapshot.configuration is not None:
        return 0, node.snapshot.configuration
    return 0, first_configuration(node, host)


def committed(node: RaftNode, host: Host) -> Configuration:
    """The newest configuration that this server knows to be committed."""
    if node.configuration_index <= node.commit_index:
        return node.configuration
    return configuration_at(node, host, node.commit_index)[1]


def adopt(node: RaftNode, index: int, configuration: Configuration) -> None:
    """Section 4.1: a configuration is in use from now on; a leader looks after its new members."""
    node.configuration, node.configuration_index = configuration, index
    if node.is_leader:
        members = configuration.members - {node.name}
        node.next_index = {
            each: node.next_index.get(each, node.log.last_index) for each in sorted(members)
        }
        node.match_index = {each: node.match_index.get(each, 0) for each in sorted(members)}
        node.probing &= members


def may_stand(node: RaftNode, host: Host) -> bool:
    """Section 4.2.2: a server without a vote still stands until it knows that it has none.

    It may be the only one with the entry that takes its vote away.
    """
    if node.configuration.has_vote(node.name):
        return True
    if node.configuration_index <= node.commit_index:
        return False
    return configuration_at(node, host, node.configuration_index - 1)[1].has_vote(node.name)


def change(node: RaftNode, host: Host, operation: Operation, entry: Entry) -> None:
    """Section 4.1: append the configuration that a client asks for, or say why not."""
    target: Configuration = entry.command
    if target == node.configuration and node.configuration_index <= node.commit_index:
        host.respond(target, to=operation)
        return
    reason = objection(node, host, target)
    if reason is None:
        node.append(host, replace(entry, command=node.next_step(target)))
    else:
        host.respond(ChangeRefused(reason), to=operation)


def settle(node: RaftNode, host: Host) -> None:
    """What a leader does once the configuration in use is committed.

    Section 4.3: from a joint one it goes on to the new one, whose client then is answered.
    Section 4.2.2: where it has no vote in it, it steps down.
    """
    index = node.configuration_index
    if index > node.commit_index:
        return
    if node.configuration.is_joint:
        if node.has_committed_in_term():
            # It is still in the log (see `snapshots.is_due`), and says who asked for the change.
            asked = node.log.entry(index)
            settled = replace(asked, term=node.current_term, command=node.configuration.settled)
            node.append(host, settled)
    elif not node.configuration.has_vote(node.name):
        node.become_follower(host)


def objection(node: RaftNode, host: Host, target: Configuration) -> str | None:
    """Why this leader may not change to `target` now; None where it may."""
    if not node.has_committed_in_term():
        return f"{node.name} has committed nothing in term {node.current_term} yet; ask again"
    if node.configuration_index > node.commit_index:
        return f"the change at index {node.configuration_index} is not committed yet; ask again"
    unknown = sorted(target.members - {node.name, *host.peers})
    if unknown:
        return f"there is no server {', '.join(unknown)}"
    reason = node.configuration.objection_to(target, node.joint_consensus)
    if reason is None and node.learners_first:
        late = sorted(each for each in target.voters if not has_caught_up(node, each))
        if late:
            reason = (
                f"{', '.join(late)} must hold what is committed before having a vote; "
                "make it a learner and ask again"
            )
    return reason


def has_caught_up(node: RaftNode, server: str) -> bool:
    """Section 4.2.1: a new voter that has yet to get the log would hold up the cluster."""
    if node.configuration.has_vote(server):
        return True
    return node.match_index.get(server, -1) >= node.commit_index


def target_of(request: ChangeMembership) -> Configuration:
    """The configuration that a request asks for."""
    return Configuration(frozenset(request.voters), frozenset(request.learners))
