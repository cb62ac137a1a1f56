"""Replication: what each follower gets next, what it makes of it, and what its answers say.

**Source**: Ongaro and Ousterhout, *In search of an understandable consensus algorithm (extended
version)*, 2014, section 5.3; Ongaro, *Consensus: bridging theory and practice*, 2014, section
10.2.2 (pipelining).

While a leader trusts a follower, next_index is past what is on its way: what was sent is taken to
arrive. When a request is refused, it probes: next_index is where the rest of the log begins, and
moves when the follower answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from happysim.core.host import Host
from happysim.protocols.raft import applying, clients, snapshots, transfer
from happysim.protocols.raft.log import Log
from happysim.protocols.raft.messages import AppendEntries, AppendEntriesRefusal

if TYPE_CHECKING:
    from happysim.protocols.raft.server import RaftNode


def send_entries(node: RaftNode, host: Host, peer: str) -> None:
    """Figure 2, leaders: send a follower the entries from its next_index on; perhaps none."""
    log, previous = node.log, node.next_index[peer] - 1
    if previous < log.offset:
        snapshots.send(node, host, peer)
        return
    term, entries = log.term_at(previous), log.behind(previous, node.max_entries)
    host.send(peer, AppendEntries(node.current_term, previous, term, entries, node.commit_index))
    if trusts(node, peer):
        node.next_index[peer] += len(entries)


def trusts(node: RaftNode, peer: str) -> bool:
    """True while what was sent to `peer` is taken to arrive."""
    return node.pipeline and peer not in node.probing


def note_success(node: RaftNode, host: Host, peer: str, index: int) -> None:
    """Figure 2, leaders: success moves both indices up; what is still unsent follows."""
    following = node.next_index[peer]
    unsent = following if trusts(node, peer) else following + node.max_entries
    more = unsent <= node.log.last_index
    node.probing.discard(peer)
    node.next_index[peer] = max(following, index + 1)
    if index > node.match_index[peer]:
        node.match_index[peer] = index
        applying.advance(node, host)
        # What was committed may have been that the peer leaves, or this server.
        if node.transfer is not None:
            transfer.hand_over(node, host)
    if more and peer in node.next_index:
        node.send_entries(host, peer)


def note_refusal(node: RaftNode, host: Host, peer: str, refusal: AppendEntriesRefusal) -> None:
    """Figure 2, leaders: where the logs do not agree, next_index moves down; try again."""
    if is_news(node, peer, refusal.index):
        if node.pipeline:
            node.probing.add(peer)
        node.next_index[peer] = common_index(node.log, refusal) + 1
        node.send_entries(host, peer)


def is_news(node: RaftNode, peer: str, index: int) -> bool:
    """False for a refusal that is late or a copy: next_index has moved since."""
    if trusts(node, peer):
        return index > node.match_index[peer]
    return node.next_index[peer] == index + 1


def common_index(log: Log, refusal: AppendEntriesRefusal) -> int:
    """End of section 5.3: the last index at which the two logs may agree, by what was said.

    Each refusal passes over a whole term.
    """
    shared = log.last_of_term(refusal.conflict_term) if refusal.conflict_term else 0
    return min(shared or refusal.first_index - 1, refusal.index - 1)


# -- a follower's part ----------------------------------------------------------------------------


def merge(node: RaftNode, host: Host, request: AppendEntries) -> None:
    """Rules 3 and 4. A late request must not shorten a log that it does not contradict."""
    changed = False
    for index, entry in enumerate(request.entries, request.prev_index + 1):
        if node.log.agrees(index, entry.term):
            continue
        if index <= node.log.last_index:
            truncate(node, host, index)
        node.record(host, entry)
        changed = True
    if changed:
        node.persist(host)


def truncate(node: RaftNode, host: Host, index: int) -> None:
    """Rule 3: delete the entry at `index` and all that follow, and tell their clients."""
    for entry in node.log.truncate(index):
        if entry.operation is not None:
            node.pending.pop(entry.operation, None)
            clients.overwrite(node, host, entry)
    if node.configuration_index >= index:
        node.configure(host)


def refusal(log: Log, term: int, index: int) -> AppendEntriesRefusal:
    """Rule 2: where in its log the term begins that contradicts the leader."""
    conflict_term, first_index = 0, log.last_index + 1
    if index < first_index:
        conflict_term, first_index = log.term_at(index), log.first_of_same_term(index)
    return AppendEntriesRefusal(term, index, conflict_term, first_index)
