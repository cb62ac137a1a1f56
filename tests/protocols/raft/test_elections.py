"""Pre-vote and check-quorum, one behaviour at a time; and that nobody is locked out by them."""

from __future__ import annotations

from happysim import World
from happysim.protocols.raft import Entry, Log, NewerTerm, PreVote, PreVoteGranted, RaftNode, Role
from properties.raft import along, cluster, elect
from properties.raft_elections import CAREFUL


def sent(world: World) -> list[tuple[str, str, object]]:
    return [(each.source, each.target, each.message) for each in world.in_flight]


def steady() -> World:
    """n1 leads term 1, and n2 and n3 hear it."""
    world = elect(cluster(3, no_op=True, heartbeats=True, **CAREFUL), "n1", "n2")
    return along(world, *(f"deliver n1 -> n{number} AppendEntries" for number in (2, 3)))


def test_who_asks_around_begins_no_term_and_casts_no_vote() -> None:
    world = along(cluster(3, pre_vote=True), "fire n1")
    asking = world["n1"]
    assert (asking.role, asking.current_term, asking.voted_for) == (Role.PRE_CANDIDATE, 0, None)
    assert asking.timers == ("election",)
    assert ("n1", "n2", PreVote(1, 0, 0)) in sent(world)


def test_a_majority_of_pre_votes_makes_a_candidate() -> None:
    world = along(cluster(3, pre_vote=True), "fire n1", "deliver n1 -> n2 PreVote")
    assert (world["n2"].current_term, world["n2"].voted_for) == (0, None)
    world = along(world, "deliver n2 -> n1 PreVoteGranted(term=1)")
    assert (world["n1"].role, world["n1"].current_term) == (Role.CANDIDATE, 1)


def test_a_server_that_hears_a_leader_gives_no_pre_vote_until_its_own_timer_fires() -> None:
    world = along(steady(), "fire n3 election")
    assert not any("-> n2 PreVote" in str(choice) for choice in world.choices())
    assert not any("-> n1 PreVote" in str(choice) for choice in world.choices())
    world = along(world, "fire n2 election", "deliver n3 -> n2 PreVote(")
    world = along(world, "deliver n2 -> n3 PreVoteGranted")
    assert world["n3"].role is Role.CANDIDATE


def test_pre_votes_for_a_server_that_follows_again_are_too_late() -> None:
    world = elect(cluster(3, pre_vote=True, heartbeats=True), "n2", "n3")
    world = along(world, "deliver n2 -> n1 AppendEntries", "fire n1")
    for voter in ("n2", "n3"):
        world = along(world, f"deliver n1 -> {voter} PreVote(term=2")
    world = along(world, "fire n2 heartbeat", "deliver n2 -> n1 AppendEntries(term=1")
    assert world["n1"].role is Role.FOLLOWER
    assert [each.source for each in world.in_flight if each.message == PreVoteGranted(2)] == [
        "n2",
        "n3",
    ]
    # They change nothing, which is no choice.
    assert not any("PreVoteGranted(term=2)" in str(choice) for choice in world.choices())


def test_a_shorter_log_gets_no_pre_vote() -> None:
    world = elect(cluster(3, no_op=True, pre_vote=True), "n1", "n2")
    world = along(world, "deliver n1 -> n3 PreVote", "fire n3", "deliver n3 -> n1 PreVote")
    world = along(world, "deliver n1 -> n3 NewerTerm", "fire n3")
    assert not any("n3 -> n1 PreVote" in str(choice) for choice in world.choices())


def test_a_leader_that_a_majority_answers_stays_and_one_that_nobody_answers_steps_down() -> None:
    world = along(steady(), "deliver n2 -> n1 AppendEntriesReply", "fire n1 quorum")
    assert (world["n1"].role, world["n1"].heard) == (Role.LEADER, set())
    assert world["n1"].timers == ("heartbeat", "quorum")
    world = along(world, "fire n1 quorum")
    assert (world["n1"].role, world["n1"].current_term) == (Role.FOLLOWER, 1)
    assert world["n1"].timers == ("election",)


def test_a_cluster_of_one_needs_nobody_to_answer() -> None:
    world = along(cluster(1, **CAREFUL), "fire n1 election", "fire n1 quorum")
    assert (world["n1"].role, world["n1"].timers) == (Role.LEADER, ("quorum",))


def pair(longer: RaftNode, shorter: RaftNode) -> World:
    """Two of three servers, of which the third is gone."""
    for each, other in ((longer, shorter), (shorter, longer)):
        each.peers = (other.name, "n1")
        each.heartbeat_seconds = None
    gone = RaftNode("n1", peers=(longer.name, shorter.name))
    return World.of(longer, shorter, gone)


def test_a_longer_log_is_not_locked_out_by_a_server_in_a_newer_term() -> None:
    """n3 cannot win with its log, and n2 has to hear of n3's term before it can."""
    two, three = RaftNode("n2", log=Log([Entry(1)])), RaftNode("n3", current_term=7)
    two.current_term = 1
    world = along(pair(two, three), "fire n2 election", "deliver n2 -> n3 PreVote(term=2,")
    assert ("n3", "n2", NewerTerm(7)) in sent(world)
    world = elect(along(world, "deliver n3 -> n2 NewerTerm(term=7)"), "n2", "n3")
    assert (world["n2"].role, world["n2"].current_term) == (Role.LEADER, 8)


def test_a_longer_log_is_not_locked_out_by_a_vote_in_the_term_it_asks_for() -> None:
    """n3 has voted for itself in term 2 already, so it has no vote for n2 in that term."""
    two = RaftNode("n2", log=Log([Entry(1)]), current_term=1)
    three = RaftNode("n3", current_term=2, voted_for="n3")
    world = along(pair(two, three), "fire n2 election", "deliver n2 -> n3 PreVote(term=2,")
    world = elect(along(world, "deliver n3 -> n2 NewerTerm(term=2)"), "n2", "n3")
    assert (world["n2"].role, world["n2"].current_term) == (Role.LEADER, 3)


def test_a_leader_of_an_older_term_is_told_by_whom_it_cannot_lead() -> None:
    """Without pre-vote n3 went on alone; n1 gives way, else n3 could never be led again."""
    world = elect(cluster(3, heartbeats=True, check_quorum=True), "n1", "n2")
    world = along(world, "fire n3", "fire n3", "deliver n1 -> n3 AppendEntries(term=1")
    world = along(world, "deliver n3 -> n1 NewerTerm(term=2)")
    assert (world["n1"].role, world["n1"].current_term) == (Role.FOLLOWER, 2)
