"""Elections: how a server comes to lead a term, and when it finds that it leads no more.

**Source**: Ongaro and Ousterhout, *In search of an understandable consensus algorithm (extended
version)*, 2014, figure 2 and section 5.2; Ongaro, *Consensus: bridging theory and practice*, 2014,
sections 4.2.3 and 6.2 (who hears a leader wants no other, and who is not heard steps down) and 9.6
(pre-votes).

**Deviates**: a vote that is not granted is not answered, unless the sender's term is out of date.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from happysim.core.host import Host
from happysim.protocols import rounds
from happysim.protocols.raft import clients, membership
from happysim.protocols.raft.messages import (
    Entry,
    NewerTerm,
    PreVote,
    PreVoteGranted,
    RequestVote,
    RequestVoteAtOnce,
    Vote,
)

if TYPE_CHECKING:
    from happysim.protocols.raft.server import RaftNode

AnyVote = RequestVote | RequestVoteAtOnce


class Role(enum.StrEnum):
    """What a server is at present."""

    FOLLOWER = "follower"
    PRE_CANDIDATE = "pre_candidate"
    CANDIDATE = "candidate"
    LEADER = "leader"


def begin(node: RaftNode, host: Host) -> None:
    """Figure 2, followers and candidates: on election timeout, start an election."""
    node.hears_leader = False
    if not membership.may_stand(node, host):
        node.set_election_timer(host)
    elif node.pre_vote:
        node.ask_around(host)
    else:
        stand(node, host)


def ask_around(node: RaftNode, host: Host) -> None:
    """Dissertation, section 9.6: would a majority vote for this server in the next term?"""
    node.role, node.leader = Role.PRE_CANDIDATE, None
    node.votes = {node.name}
    node.set_election_timer(host)
    request = PreVote(node.current_term + 1, node.log.last_index, node.log.last_term)
    host.broadcast(request, to=node.rivals())
    count(node, host)


def advise(node: RaftNode, host: Host, sender: str, request: PreVote) -> None:
    """Dissertation, section 9.6: the answer that RequestVote would get; nothing changes here.

    A sender in an older term, or one that would stand in a term in which others stand already, is
    told. It could not win the term it asks for, and would ask for it for ever.
    """
    if request.term <= node.current_term:
        host.send(sender, NewerTerm(node.current_term))
    elif not node.has_leader() and is_up_to_date(node, request):
        host.send(sender, PreVoteGranted(request.term))


def stand(node: RaftNode, host: Host, at_once: bool = False) -> None:
    """Figure 2, candidates: a new term, a vote for itself, and requests for all others'."""
    node.current_term += 1
    node.voted_for = node.name
    node.role, node.leader = Role.CANDIDATE, None
    node.votes = {node.name}
    node.persist(host)
    node.set_election_timer(host)
    kind = RequestVoteAtOnce if at_once else RequestVote
    request = kind(node.current_term, node.log.last_index, node.log.last_term)
    host.broadcast(request, to=node.rivals())
    count(node, host)


def consider(node: RaftNode, host: Host, sender: str, request: AnyVote) -> None:
    """Figure 2, RequestVote: one vote a term, for a log that is at least as up to date."""
    node.observe_term(host, request.term)
    if request.term < node.current_term:
        host.send(sender, NewerTerm(node.current_term))
    elif node.voted_for in (None, sender) and is_up_to_date(node, request):
        node.voted_for = sender
        node.persist(host)
        node.set_election_timer(host)
        host.send(sender, Vote(node.current_term))


def is_up_to_date(node: RaftNode, request: AnyVote | PreVote) -> bool:
    """Section 5.4.1: the later last term wins; in equal terms, the longer log."""
    mine = (node.log.last_term, node.log.last_index)
    return (request.last_term, request.last_index) >= mine


def take_pre_vote(node: RaftNode, host: Host, sender: str, vote: PreVoteGranted) -> None:
    """Dissertation, section 9.6: one more would vote for this server, in the term it asked for."""
    if node.role is Role.PRE_CANDIDATE and vote.term == node.current_term + 1:
        node.votes.add(sender)
        count(node, host)


def take_vote(node: RaftNode, host: Host, sender: str, vote: Vote) -> None:
    """Figure 2, candidates: one more votes for this server, in its term."""
    if node.role is Role.CANDIDATE and vote.term == node.current_term:
        node.votes.add(sender)
        count(node, host)


def count(node: RaftNode, host: Host) -> None:
    """Figure 2, candidates: with the votes of a majority, go on to what they are for."""
    if node.is_quorum(node.votes):
        if node.role is Role.PRE_CANDIDATE:
            stand(node, host)
        else:
            lead(node, host)


def lead(node: RaftNode, host: Host) -> None:
    """Figure 2, leaders: upon election, tell everyone. Section 8: commit a no-op first."""
    node.role, node.leader, node.votes = Role.LEADER, node.name, set()
    others = sorted(node.configuration.members - {node.name})
    node.next_index = dict.fromkeys(others, node.log.last_index + 1)
    node.match_index = dict.fromkeys(others, 0)
    host.cancel_timer("election")
    if node.no_op:
        node.append(host, Entry(node.current_term))
    else:
        node.replicate(host)
    node.set_heartbeat_timer(host)
    node.leases = node.lease_reads
    if node.check_quorum:
        set_quorum_timer(node, host)
    rounds.begin(host, node.machine)
    clients.pass_on(node, host)


def set_quorum_timer(node: RaftNode, host: Host) -> None:
    """The longest that a follower waits before it stands."""
    host.set_timer("quorum", seconds=node.election_seconds[1])


def count_heard(node: RaftNode, host: Host) -> None:
    """Dissertation, section 6.2: a leader that a majority does not answer steps down."""
    if node.is_quorum({*node.heard, node.name}):
        node.heard = set()
        set_quorum_timer(node, host)
    else:
        node.become_follower(host)
