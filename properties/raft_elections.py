"""Raft's elections with pre-vote and a leader that counts who hears it: who may not disturb whom.

Sections are those of Ongaro, *Consensus: bridging theory and practice*, 2014: 4.2.3 and 6.2 (what
is called check-quorum elsewhere) and 9.6 (pre-vote).
"""

from __future__ import annotations

from happysim import World, always, bfs, bounded, duplicating, reachable, uniform
from happysim.protocols.raft import RaftNode, Role
from properties.raft import (
    cluster,
    elect,
    election_safety,
    leaders_of,
    one_vote_a_term,
    servers_of,
    terms,
    who_does_not_lead_will_stand,
)
from properties.worlds import along

CAREFUL = {"pre_vote": True, "check_quorum": True}


@bounded(by=bfs(), within=terms(1, "n1", "n2"))
def two_rivals(kind: type[RaftNode] = RaftNode) -> World:
    """n1 and n2 may stand in term 1, as often as they like, by asking around first."""
    return cluster(3, kind=kind, network=duplicating(), pre_vote=True)


@bounded(by=bfs(), within=terms(2))
def leader_and_follower_lose_touch(kind: type[RaftNode] = RaftNode) -> World:
    """Any leader may find that nobody answers, and step down."""
    return cluster(3, kind=kind, network=duplicating(), check_quorum=True)


@bounded(by=uniform(seed=1, runs=60, steps=80), within=terms(4), unknown_passes=True)
def many_elections(kind: type[RaftNode] = RaftNode) -> World:
    """Any server may stand at any time, and any leader lose touch."""
    return cluster(3, kind=kind, no_op=True, heartbeats=True, network=duplicating(), **CAREFUL)


def n1_works(world: World) -> bool:
    """n1 leads, and n2 hears it; no term is beyond the third."""
    return leads(world, "n1") and bool(world["n2"].hears_leader) and terms(3)(world)


def leads(world: World, name: str) -> bool:
    return world[name].role is Role.LEADER


@bounded(by=bfs(), within=n1_works)
def one_server_hears_nobody(kind: type[RaftNode] = RaftNode, pre_vote: bool = True) -> World:
    """n1 leads and n2 hears it. n3 does not, but all hear n3, again and again."""
    options = CAREFUL | {"pre_vote": pre_vote}
    world = cluster(3, kind=kind, network=duplicating(), **options)
    world = along(elect(world, "n1", "n2"), "deliver n1 -> n2 AppendEntries")
    return along(world, "fire n3 election")


@always(one_server_hears_nobody)
def no_term_begins_while_a_leader_works(world: World) -> bool | str:
    """Section 9.6: a server that hears nobody does not make the others change terms."""
    term = world["n1"].current_term
    for server in servers_of(world):
        if server.current_term > term:
            return f"{server.name} is in term {server.current_term}; n1 leads {term}, and works"
    return True


@always(one_server_hears_nobody, pre_vote=False)
def who_follows_a_leader_elects_no_other(world: World) -> bool | str:
    """Section 4.2.3: without pre-vote n3 goes on to term 2, but it goes alone."""
    if world["n2"].current_term > 1:
        return "n2 followed n3 into another term, though it hears n1"
    return not leads(world, "n3")


election_safety_of_rivals = election_safety.over(two_rivals)
one_vote_a_term_of_rivals = one_vote_a_term.over(two_rivals)
who_asked_around_will_stand = who_does_not_lead_will_stand.over(two_rivals)
election_safety_out_of_touch = election_safety.over(leader_and_follower_lose_touch)
who_lost_touch_will_stand = who_does_not_lead_will_stand.over(leader_and_follower_lose_touch)
election_safety_in_many_elections = election_safety.over(many_elections)
one_vote_a_term_in_many_elections = one_vote_a_term.over(many_elections)


@reachable(two_rivals)
def a_pre_vote_ends_in_a_leader(world: World) -> bool:
    return leads(world, "n2") and world["n3"].voted_for == "n2"


@reachable(two_rivals)
def both_rivals_stand(world: World) -> bool:
    """A pre-vote promises nothing: n3 has granted one to both."""
    return world["n1"].role is world["n2"].role is Role.CANDIDATE


@reachable(leader_and_follower_lose_touch)
def a_leader_that_nobody_answers_steps_down(world: World) -> bool:
    return world["n1"].voted_for == "n1" and not leads(world, "n1") and world["n2"].hears_leader


@reachable(one_server_hears_nobody)
def the_one_that_hears_nobody_asks_for_pre_votes(world: World) -> bool:
    return world["n3"].role is Role.PRE_CANDIDATE and n1_works(world)


@reachable(one_server_hears_nobody, pre_vote=False)
def the_one_that_hears_nobody_stands_in_vain(world: World) -> bool:
    return world["n3"].current_term == 2 and n1_works(world)


@reachable(many_elections)
def a_second_leader_is_elected(world: World) -> bool:
    return any(leader.current_term >= 2 and leader.commit_index for leader in leaders_of(world))
