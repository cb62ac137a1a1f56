"""What a Raft server does, one behaviour at a time, along schedules made by hand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from happysim import Cas, Faults, Host, NodeView, ProtocolError, Read, Script, World, Write, call
from happysim.protocols.raft import (
    AppendEntries,
    AppendEntriesRefusal,
    AppendEntriesReply,
    ClientRequest,
    Entry,
    Log,
    NotLeader,
    Overwritten,
    RaftNode,
    Role,
)
from happysim.protocols.raft.replication import common_index, refusal
from properties.raft import along, ask, client, cluster, elect, first_leader
from tests.support.worlds import answers

# How the rest of an AppendEntries begins that brings something for the first place of the log.
FIRST_ENTRY = ", prev_index=0, prev_term=0, entries=(E"
# What the leader of term 1 sends when it has its no-op, and a command behind it.
NO_OP = f"AppendEntries(term=1, prev_index=0, prev_term=0, entries=({Entry(1)!r},)"
BOTH = f"AppendEntries(term=1, prev_index=0, prev_term=0, entries=({Entry(1)!r}, E"


def terms_in(server: NodeView) -> list[int]:
    return [entry.term for entry in server.log.entries]


def replicate(
    world: World, leader: str, follower: str, which: str = "", answer: str = "Reply"
) -> World:
    """One AppendEntries arrives, and its reply (or its refusal)."""
    term = world[leader].current_term
    return along(
        world,
        f"deliver {leader} -> {follower} AppendEntries(term={term}{which}",
        f"deliver {follower} -> {leader} AppendEntries{answer}(term={term},",
    )


# -- elections ------------------------------------------------------------------------------------


def test_votes_of_a_majority_make_a_leader() -> None:
    world = along(cluster(3, heartbeats=True), "fire n1 election")
    assert (world["n1"].role, world["n1"].voted_for) == (Role.CANDIDATE, "n1")
    world = along(world, "deliver n1 -> n2 RequestVote", "deliver n2 -> n1 Vote")
    assert (world["n1"].role, world["n1"].leader) == (Role.LEADER, "n1")
    assert world["n1"].timers == ("heartbeat",)
    assert (world["n2"].voted_for, world["n2"].timers) == ("n1", ("election",))


def test_half_of_the_servers_is_no_majority() -> None:
    assert elect(cluster(4), "n1", "n2")["n1"].role is Role.CANDIDATE
    assert elect(cluster(4), "n1", "n2", "n3")["n1"].role is Role.LEADER


def test_a_second_candidate_of_a_term_gets_no_vote() -> None:
    world = along(cluster(3), "fire n1", "fire n3", "deliver n1 -> n2 RequestVote")
    assert not any("n3 -> n2" in str(choice) for choice in world.choices())


def test_a_vote_of_an_older_term_does_not_count() -> None:
    world = along(cluster(3), "fire n1", "deliver n1 -> n2 RequestVote", "fire n1")
    assert not any("Vote(term=1)" in str(choice) for choice in world.choices())


def test_a_candidate_with_a_shorter_log_gets_no_vote() -> None:
    world = replicate(elect(cluster(3, no_op=True), "n1", "n2"), "n1", "n2")
    world = along(world, "fire n3", "fire n3", "deliver n3 -> n2 RequestVote(term=2")
    assert (world["n2"].current_term, world["n2"].voted_for) == (2, None)
    assert world["n2"].timers == ("election",)


def test_who_hears_of_a_newer_term_steps_down() -> None:
    world = elect(cluster(3, heartbeats=True), "n1", "n2")
    world = along(world, "fire n3", "fire n3", "deliver n1 -> n3 AppendEntries(term=1")
    world = along(world, "deliver n3 -> n1 NewerTerm(term=2)")
    assert (world["n1"].role, world["n1"].current_term) == (Role.FOLLOWER, 2)
    assert world["n1"].timers == ("election",)


def test_a_candidate_follows_the_leader_of_its_term() -> None:
    world = along(elect(cluster(3), "n1", "n2"), "fire n3", "deliver n1 -> n3 AppendEntries")
    assert (world["n3"].role, world["n3"].leader) == (Role.FOLLOWER, "n1")
    assert world["n3"].votes == set()


# -- replication ----------------------------------------------------------------------------------


def test_a_command_on_a_majority_is_committed_and_answered() -> None:
    world = elect(cluster(3, client("c1", ("n1", Write(1)), ("n1", Read()))), "n1", "n2")
    world = ask(world, "c1")
    assert world["n1"].commit_index == 0
    world = along(replicate(world, "n1", "n3", FIRST_ENTRY), "deliver n1 -> c1")
    assert (world["n1"].commit_index, world["n1"].state, answers(world, "c1")) == (1, 1, [None])


def test_followers_learn_what_is_committed_from_the_next_heartbeat() -> None:
    world = elect(cluster(3, no_op=True, heartbeats=True), "n1", "n2")
    world = along(replicate(world, "n1", "n2"), "fire n1 heartbeat")
    assert world["n2"].commit_index == 0
    world = along(world, "deliver n1 -> n2 AppendEntries(term=1, prev_index=1")
    assert world["n2"].commit_index == 1


def test_a_log_that_contradicts_the_leaders_is_repaired_and_its_client_told() -> None:
    world = ask(elect(first_leader(), "n2", "n3"), "c2")
    world = replicate(world, "n2", "n1", FIRST_ENTRY)
    assert world["n1"].log == world["n2"].log
    world = along(world, "deliver n1 -> c1")
    assert answers(world, "c1") == [Overwritten()]


def test_a_leader_steps_back_to_where_the_logs_agree() -> None:
    world = replicate(elect(cluster(3, no_op=True), "n1", "n2"), "n1", "n2")
    world = elect(along(world, "fire n3"), "n2", "n3")
    assert terms_in(world["n2"]) == [1, 2]
    world = replicate(world, "n2", "n3", ", prev_index=1", "Refusal")
    assert (world["n2"].next_index["n3"], terms_in(world["n3"])) == (1, [])
    world = replicate(world, "n2", "n3", ", prev_index=0")
    assert (world["n2"].next_index["n3"], terms_in(world["n3"])) == (3, [1, 2])


def test_a_late_request_does_not_shorten_a_log_and_vouches_for_its_own_part_only() -> None:
    world = ask(elect(cluster(3, client("c1", ("n1", Write(1))), no_op=True), "n1", "n2"), "c1")
    world = along(world, f"deliver n1 -> n2 {BOTH}", f"deliver n1 -> n2 {NO_OP}")
    assert terms_in(world["n2"]) == [1, 1]
    replies = [sent.message for sent in world.in_flight if sent.target == "n1"]
    assert replies == [AppendEntriesReply(1, 1), AppendEntriesReply(1, 2)]


def test_a_refusal_for_an_old_term_says_nothing_of_the_log() -> None:
    """n1 leads term 3 when it hears that a request of its own came too late in term 1."""
    world = elect(cluster(3), "n1", "n2")
    world = along(world, "fire n3", "fire n3", "deliver n3 -> n1 RequestVote(term=2")
    world = along(elect(world, "n1", "n2"), "deliver n1 -> n2 AppendEntries(term=1")
    assert any("NewerTerm(term=3)" in repr(sent) for sent in world.in_flight)
    assert not any("NewerTerm" in str(choice) for choice in world.choices())


def test_an_entry_of_an_older_term_is_committed_by_one_of_its_own() -> None:
    """Section 5.4.2: by its replicas alone it is not."""
    clients = [client("c1", ("n1", Write(1))), client("c2", ("n1", Read()))]
    world = ask(elect(cluster(3, *clients), "n1", "n2"), "c1")
    world = elect(along(world, "fire n2", "deliver n2 -> n1 RequestVote(term=2"), "n1", "n2")
    world = replicate(world, "n1", "n2", ", prev_index=1", "Refusal")
    world = replicate(world, "n1", "n2", FIRST_ENTRY)
    assert (world["n1"].match_index["n2"], world["n1"].commit_index) == (1, 0)
    world = replicate(ask(world, "c2"), "n1", "n2", ", prev_index=1")
    assert (world["n1"].match_index["n2"], world["n1"].commit_index) == (2, 2)


def five_entries(**options: Any) -> World:
    """n1 leads term 1 with five commands in its log, and n2 has heard of none."""
    clients = [client(f"c{number}", ("n1", Write(number))) for number in range(1, 6)]
    world = elect(cluster(3, *clients, **options), "n1", "n2")
    for each in clients:
        world = ask(world, each.name)
    return world


def sent_to(world: World, follower: str) -> list[tuple[int, int]]:
    """Where each AppendEntries on its way begins, and how many entries it has."""
    found = [sent.message for sent in world.in_flight if sent.target == follower]
    requests = [each for each in found if isinstance(each, AppendEntries) and each.entries]
    return sorted((each.prev_index, len(each.entries)) for each in requests)


def test_a_request_carries_no_more_entries_than_it_may() -> None:
    world = five_entries(max_entries=2)
    assert {count for _, count in sent_to(world, "n2")} == {1, 2}
    for previous in (0, 2, 4):
        entries = f"AppendEntries(term=1, prev_index={previous}, prev_term={min(previous, 1)}"
        both = f", entries=({world['n1'].log.entry(previous + 1)!r},"
        along_all = [str(choice) for choice in world.choices() if "n1 -> n2" in str(choice)]
        fitting = [text for text in along_all if entries in text and both in text]
        world = along(world, max(fitting, key=len).partition(" (")[0])
        world = along(
            world, f"deliver n2 -> n1 AppendEntriesReply(term=1, index={min(previous + 2, 5)})"
        )
    assert world["n2"].log == world["n1"].log


def test_a_pipeline_sends_each_entry_once() -> None:
    assert sent_to(five_entries(pipeline=True), "n2") == [(at, 1) for at in range(5)]
    assert sent_to(five_entries(), "n2") == [(0, count) for count in range(1, 6)]


def test_what_a_pipeline_lost_is_refused_behind_the_gap_and_sent_again() -> None:
    world = five_entries(pipeline=True)
    world = replicate(world, "n1", "n2", ", prev_index=3", "Refusal")
    assert (world["n1"].probing, world["n1"].next_index["n2"]) == ({"n2"}, 1)
    assert (0, 5) in sent_to(world, "n2")
    late = along(world, "deliver n1 -> n2 AppendEntries(term=1, prev_index=4")
    assert not any(str(each).startswith("deliver n2 -> n1") for each in late.choices())
    all_five = [str(choice) for choice in world.choices() if "n1 -> n2" in str(choice)]
    world = along(
        world, max(all_five, key=len), "deliver n2 -> n1 AppendEntriesReply(term=1, index=5"
    )
    assert (world["n1"].probing, world["n1"].next_index["n2"]) == (set(), 6)
    assert world["n2"].log == world["n1"].log


def test_a_refusal_passes_over_a_whole_term() -> None:
    """End of section 5.3: n1 led terms 1 and 3, n2 term 2 alone; their logs share one entry."""
    theirs = Log([Entry(1), *[Entry(2)] * 9])
    said = refusal(theirs, 3, 8)
    assert said == AppendEntriesRefusal(3, 8, conflict_term=2, first_index=2)
    assert common_index(Log([Entry(1), *[Entry(3)] * 9]), said) == 1
    # Where the leader has that term too, it tries behind its own last entry of it.
    assert common_index(Log([Entry(1), *[Entry(2)] * 3, Entry(3)]), said) == 4
    assert refusal(theirs, 3, 11) == AppendEntriesRefusal(3, 11, conflict_term=0, first_index=11)
    # The place that was refused is not where they agree, whatever else was said.
    assert common_index(Log([Entry(1), Entry(2)]), AppendEntriesRefusal(3, 1, 2, 1)) == 0


def test_a_late_reply_takes_nothing_back() -> None:
    world = five_entries(pipeline=True)
    for place in ("prev_index=0, prev_term=0", "prev_index=1, prev_term=1"):
        world = along(world, f"deliver n1 -> n2 AppendEntries(term=1, {place}, entries=(E")
    world = along(world, "deliver n2 -> n1 AppendEntriesReply(term=1, index=2")
    assert world["n1"].match_index["n2"] == 2
    assert not any("AppendEntriesReply(term=1, index=1" in str(each) for each in world.choices())


def test_nothing_is_sent_again_once_all_is_confirmed() -> None:
    world = elect(cluster(3, no_op=True), "n1", "n2")
    before = len(along(world, "deliver n1 -> n2 AppendEntries").in_flight)
    assert len(replicate(world, "n1", "n2").in_flight) == before - 1


class CountsItsSyncs(RaftNode):
    syncs: int = 0

    def persist(self, host: Host) -> None:
        self.syncs += 1


def test_a_heartbeat_writes_nothing_to_disk() -> None:
    world = elect(cluster(3, kind=CountsItsSyncs, no_op=True, heartbeats=True), "n1", "n2")
    world = replicate(world, "n1", "n2")
    before = [server.syncs for server in world.nodes(RaftNode)]
    assert before[:2] == [2, 3]  # a term with its vote, an entry; a term, a vote, an entry
    world = along(world, "fire n1", "deliver n1 -> n2 AppendEntries(term=1, prev_index=1")
    assert world["n2"].commit_index == 1
    assert [server.syncs for server in world.nodes(RaftNode)] == before


# -- clients --------------------------------------------------------------------------------------


def test_who_does_not_lead_refuses_and_names_the_leader() -> None:
    world = ask(cluster(3, client("c1", ("n2", Read()), ("n2", Read()))), "c1")
    world = elect(along(world, "deliver n2 -> c1"), "n1", "n3")
    world = ask(along(world, "deliver n1 -> n2 AppendEntries"), "c1")
    world = along(world, "deliver n2 -> c1")
    assert answers(world, "c1") == [NotLeader(None), NotLeader("n1")]
    assert world["n2"].log == Log()


def test_a_copy_of_a_request_is_not_appended_again_and_gets_the_same_answer() -> None:
    world = cluster(3, client("c1", ("n1", Cas(None, 1))), faults=Faults(duplicates=2))
    world = along(elect(world, "n1", "n2"), "invoke c1")
    world = along(world, "duplicate c1 -> n1", "duplicate c1 -> n1", "deliver c1 -> n1")
    assert not any(str(choice).startswith("deliver c1") for choice in world.choices())
    world = along(replicate(world, "n1", "n2", FIRST_ENTRY), "deliver c1 -> n1")
    assert world["n1"].log.last_index == 1
    coming = [sent.message.value for sent in world.in_flight if sent.target == "c1"]
    assert coming == [True, True]


def test_a_command_that_is_repeated_is_applied_once() -> None:
    """Section 6.3 of the dissertation: the client numbers it, and gets the one result there is."""

    def repeats() -> Iterator[Any]:
        for number, command in ((1, "a"), (1, "a"), (2, "b")):
            yield call("n1", ClientRequest(command, number))

    world = World.of(RaftNode("n1", heartbeat_seconds=None), Script("c1", repeats))
    world = along(world, "fire n1")
    for _ in range(3):
        world = along(ask(world, "c1"), "deliver n1 -> c1")
    assert answers(world, "c1") == [1, 1, 2]
    assert world["n1"].state == ("a", "b")


def test_the_next_leader_answers_what_it_commits() -> None:
    world = ask(elect(cluster(3, client("c1", ("n1", Write(1))), no_op=True), "n1", "n2"), "c1")
    world = elect(along(world, f"deliver n1 -> n2 {BOTH}"), "n2", "n3")
    assert terms_in(world["n2"]) == [1, 1, 2]
    world = replicate(world, "n2", "n3", ", prev_index=2", "Refusal")
    world = replicate(world, "n2", "n3", FIRST_ENTRY)
    world = along(world, "deliver n2 -> c1")
    assert answers(world, "c1") == [None]


def test_the_journal_answers_with_the_place_of_a_command() -> None:
    asking = client("c1", ("n1", "a"), ("n1", "b"))
    world = along(World.of(RaftNode("n1", heartbeat_seconds=None), asking), "fire n1")
    for _ in range(2):
        world = along(ask(world, "c1"), "deliver n1 -> c1")
    assert answers(world, "c1") == [1, 2]
    assert world["n1"].state == ("a", "b")


# -- crashes --------------------------------------------------------------------------------------


def test_a_restarted_server_has_its_log_and_its_vote_and_waits_for_a_leader() -> None:
    faults = Faults(crashes=1, unsynced_loss=True)
    world = replicate(elect(cluster(3, no_op=True, faults=faults), "n1", "n2"), "n1", "n2")
    world = along(world, "crash n2", "restart n2")
    server = world["n2"]
    assert (server.current_term, server.voted_for, terms_in(server)) == (1, "n1", [1])
    assert (server.role, server.leader, server.commit_index) == (Role.FOLLOWER, None, 0)
    assert server.timers == ("election",)


def test_nothing_that_was_answered_can_be_lost() -> None:
    faults = Faults(crashes=1, unsynced_loss=True)
    world = replicate(elect(cluster(3, no_op=True, faults=faults), "n1", "n2"), "n1", "n2")
    crashes = [str(choice) for choice in world.choices() if "crash" in str(choice)]
    assert crashes == ["crash n1", "crash n2", "crash n3"]


def test_a_restarted_leader_applies_its_log_again_in_its_next_term() -> None:
    asking = client("c1", ("n1", Write(1)), ("n1", Read()))
    faults = Faults(crashes=1, unsynced_loss=True)
    world = along(cluster(1, asking, no_op=True, faults=faults), "fire n1")
    world = along(ask(world, "c1"), "deliver n1 -> c1", "crash n1", "restart n1")
    assert world["n1"].state is None
    world = along(world, "fire n1")
    assert (terms_in(world["n1"]), world["n1"].commit_index, world["n1"].state) == ([1, 1, 2], 3, 1)
    world = along(ask(world, "c1"), "deliver n1 -> c1 answer 1")
    assert answers(world, "c1") == [None, 1]


# -- making a cluster -----------------------------------------------------------------------------


def test_a_cluster_of_one_elects_itself_and_commits_at_once() -> None:
    world = ask(along(cluster(1, client("c1", ("n1", Write(1)))), "fire n1"), "c1")
    assert (world["n1"].role, world["n1"].commit_index) == (Role.LEADER, 1)


def test_peers_divide_a_world_into_clusters() -> None:
    pairs = {"a1": ("a2",), "a2": ("a1",), "b1": ("b2",), "b2": ("b1",)}
    world = World.of(*(RaftNode(name, peers=peers) for name, peers in pairs.items()))
    world = elect(elect(world, "a1", "a2"), "b1", "b2")
    assert [server.role for server in world.nodes(RaftNode)] == ["leader", "follower"] * 2


PAGE = Path(__file__).parents[3] / "docs" / "protocols" / "raft.md"


def test_the_settings_of_a_server_are_those_that_its_page_lists() -> None:
    listed: dict[str, Any] = {}
    for names, values in re.findall(r"^\| (`.*?`) \| (`.*?`) \| ", PAGE.read_text(), flags=re.M):
        defaults = re.findall(r"`(.+?)`", values)
        listed |= zip(re.findall(r"`(\w+)`", names), defaults, strict=True)
    assert len(listed) == 17
    assert {name: repr(getattr(RaftNode("n1"), name)) for name in listed} == listed


@pytest.mark.parametrize("peers", [("n1", "n2"), ("n2", "n2")])
def test_peers_that_are_no_others_are_refused(peers: tuple[str, ...]) -> None:
    with pytest.raises(ProtocolError, match=r"n1: peers=.* each of the others, once"):
        RaftNode("n1", peers=peers)


def test_heartbeats_slower_than_elections_are_refused() -> None:
    with pytest.raises(ProtocolError, match=r"less than the 0\.15 of election_seconds"):
        RaftNode("n1", heartbeat_seconds=0.2)
