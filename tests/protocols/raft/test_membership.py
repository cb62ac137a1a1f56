"""Changes of membership, one behaviour at a time."""

from __future__ import annotations

from typing import Any

import pytest

from happysim import CasRegister, Faults, Script, World, call
from happysim.protocols.raft import (
    ChangeMembership,
    ChangeRefused,
    Configuration,
    Entry,
    NotLeader,
    RaftNode,
    Role,
    TransferRefused,
)
from happysim.protocols.raft.membership import may_stand
from properties.clients import asks
from properties.raft import PLAIN, along, ask, elect
from properties.raft_membership import admin, changing
from properties.raft_transfer import hands_over
from tests.support.hosts import noting
from tests.support.worlds import answers


def voters(*names: str, learners: tuple[str, ...] = ()) -> Configuration:
    return Configuration(frozenset(names), frozenset(learners))


def longest(world: World, beginning: str) -> str:
    """Of the choices that begin so, the one that says most."""
    return max((each for each in map(str, world.choices()) if each.startswith(beginning)), key=len)


def entries_arrive(world: World, leader: str, follower: str, previous: int = -1) -> World:
    """The longest AppendEntries at hand, or the one behind `previous`, and its reply."""
    term = world[leader].current_term
    which = f"(term={term}, prev_index={previous}," if previous >= 0 else f"(term={term},"
    world = along(world, longest(world, f"deliver {leader} -> {follower} AppendEntries{which}"))
    return along(world, f"deliver {follower} -> {leader} AppendEntriesReply")


def ready(*clients: Any, size: int = 3, joining: int = 0, **options: Any) -> World:
    """n1 leads, and has committed its no-op with n2."""
    world = elect(changing(size, joining, *clients, no_op=True, **options), "n1", "n2")
    return entries_arrive(world, "n1", "n2")


def test_a_configuration_is_used_from_the_moment_it_is_in_the_log() -> None:
    world = ask(ready(admin("a1", "n1", "n1 n2 n3 n4"), joining=1), "a1")
    assert world["n1"].configuration == voters("n1", "n2", "n3", "n4")
    assert sorted(world["n1"].match_index) == ["n2", "n3", "n4"]
    assert world["n2"].configuration == voters("n1", "n2", "n3")
    world = entries_arrive(world, "n1", "n2", 1)
    assert world["n2"].configuration == voters("n1", "n2", "n3", "n4")
    assert world["n1"].commit_index == 1  # two of four
    world = along(world, "deliver n1 -> n4 AppendEntries", "deliver n4 -> n1 AppendEntriesRefusal")
    world = entries_arrive(world, "n1", "n4", 0)
    assert (world["n1"].commit_index, world["n4"].log) == (2, world["n1"].log)
    world = along(world, "deliver n1 -> a1")
    assert answers(world, "a1") == [voters("n1", "n2", "n3", "n4")]


def test_a_configuration_that_is_removed_from_the_log_is_used_no_more() -> None:
    world = ask(ready(admin("a1", "n1", "n1 n2")), "a1")
    assert world["n1"].configuration == voters("n1", "n2")
    world = along(world, "deliver n1 -> n3 RequestVote", "deliver n1 -> n3 AppendEntries")
    world = entries_arrive(elect(world, "n2", "n3"), "n2", "n1")
    assert world["n1"].configuration == voters("n1", "n2", "n3")


def test_a_restarted_server_uses_the_newest_configuration_in_its_log() -> None:
    faults = Faults(crashes=1, unsynced_loss=True)
    world = ask(ready(admin("a1", "n1", "n1 n2"), faults=faults), "a1")
    world = along(world, "crash n1", "restart n1")
    assert world["n1"].configuration == voters("n1", "n2")


def test_a_leader_that_removes_itself_leads_until_that_is_committed_without_it() -> None:
    world = ask(ready(admin("a1", "n1", "n2 n3")), "a1")
    world = entries_arrive(world, "n1", "n2", 1)
    assert (world["n1"].role, world["n1"].commit_index) == (Role.LEADER, 1)
    world = entries_arrive(world, "n1", "n3")
    assert (world["n1"].role, world["n1"].commit_index) == (Role.FOLLOWER, 2)
    world = along(world, "deliver n1 -> a1")
    assert answers(world, "a1") == [voters("n2", "n3")]
    # It knows that it has left, so it stands no more.
    assert along(world, "fire n1")["n1"].role is Role.FOLLOWER


def test_a_server_that_was_not_told_so_still_stands() -> None:
    """Section 4.2.2: it may be the only one whose log has what is needed."""
    world = ask(ready(admin("a1", "n1", "n2 n3")), "a1")
    world = along(world, "fire n2", "fire n2", "deliver n2 -> n1 RequestVote(term=3")
    assert not world["n1"].configuration.has_vote("n1")
    world = along(world, "fire n1")
    assert world["n1"].role is Role.CANDIDATE


def test_who_was_added_and_removed_at_once_stands_until_that_is_committed() -> None:
    node, (host, _) = RaftNode("n4", joins=True), noting("n1", "n2", "n3")
    node.log.entries += [Entry(1, voters("n1", "n2", "n3", "n4")), Entry(1, voters("n1", "n2"))]
    node.configure(host)
    stands = []
    for node.commit_index in (0, 1, 2):
        stands.append(may_stand(node, host))
    assert stands == [True, True, False]


def test_a_server_that_joins_waits_until_it_is_told_who_belongs_to_the_cluster() -> None:
    world = changing(2, 1)
    assert world["n3"].configuration == Configuration()
    assert world["n3"].timers == ("election",)
    assert along(world, "fire n3")["n3"].role is Role.FOLLOWER


def test_a_learner_gets_the_log_and_does_not_count() -> None:
    def learner() -> Any:
        yield call("n1", ChangeMembership(("n1", "n2"), ("n3",)))

    world = ask(ready(Script("a1", learner), size=2, joining=1), "a1")
    assert world["n1"].configuration == voters("n1", "n2", learners=("n3",))
    world = along(world, "deliver n1 -> n3 AppendEntries", "deliver n3 -> n1 AppendEntriesRefusal")
    world = entries_arrive(world, "n1", "n3", 0)
    assert (world["n1"].match_index["n3"], world["n1"].commit_index) == (2, 1)
    assert along(world, "fire n3")["n3"].role is Role.FOLLOWER
    assert entries_arrive(world, "n1", "n2", 1)["n1"].commit_index == 2


def test_a_learner_gets_its_vote_once_it_holds_what_is_committed() -> None:
    def joins() -> Any:
        for target in ((("n1", "n2", "n3"), ()), (("n1", "n2"), ("n3",))):
            yield call("n1", ChangeMembership(*target))
        for _ in range(2):
            yield call("n1", ChangeMembership(("n1", "n2", "n3")))

    world = ready(Script("a1", joins), size=2, joining=1, learners_first=True)
    world = along(ask(world, "a1"), "deliver n1 -> a1")
    world = along(entries_arrive(ask(world, "a1"), "n1", "n2", 1), "deliver n1 -> a1")
    world = along(ask(world, "a1"), "deliver n1 -> a1")
    late = ChangeRefused(
        "n3 must hold what is committed before having a vote; make it a learner and ask again"
    )
    assert answers(world, "a1") == [late, voters("n1", "n2", learners=("n3",)), late]
    world = along(world, "deliver n1 -> n3 AppendEntries", "deliver n3 -> n1 AppendEntriesRefusal")
    world = ask(entries_arrive(world, "n1", "n3", 0), "a1")
    assert world["n1"].configuration == voters("n1", "n2", "n3")


@pytest.mark.parametrize(
    ("targets", "reason"),
    [
        (["n1 n2"] * 1, None),
        (["n1"], "it changes the votes of n2, n3; change one at a time"),
        (["n1 n2 n3 n9"], "there is no server n9"),
        ([""], "a cluster needs a voter"),
    ],
)
def test_a_change_that_is_not_made_is_refused_with_the_reason(
    targets: list[str], reason: str | None
) -> None:
    world = ask(ready(admin("a1", "n1", *targets)), "a1")
    coming = [each.message.value for each in world.in_flight if each.target == "a1"]
    assert coming == ([] if reason is None else [ChangeRefused(reason)])


def test_one_change_at_a_time_and_none_before_the_leaders_term_has_a_commit() -> None:
    world = elect(changing(3, 0, admin("a1", "n1", *["n1 n2"] * 2), no_op=True), "n1", "n2")
    world = along(ask(world, "a1"), "deliver n1 -> a1")
    assert answers(world, "a1") == [
        ChangeRefused("n1 has committed nothing in term 1 yet; ask again")
    ]
    world = ready(admin("a1", "n1", "n1 n2"), admin("a2", "n1", "n1 n3"))
    world = along(ask(ask(world, "a1"), "a2"), "deliver n1 -> a2")
    assert answers(world, "a2") == [
        ChangeRefused("the change at index 2 is not committed yet; ask again")
    ]


def test_what_is_so_already_is_answered_at_once_and_who_does_not_lead_says_who_does() -> None:
    world = ready(admin("a1", "n1", "n1 n2 n3"), admin("a2", "n2", "n1 n2"))
    world = along(ask(ask(world, "a1"), "a2"), "deliver n1 -> a1", "deliver n2 -> a2")
    assert answers(world, "a1") == [voters("n1", "n2", "n3")]
    assert answers(world, "a2") == [NotLeader("n1")]


def test_what_was_changed_to_last_is_not_changed_to_again() -> None:
    world = ask(ready(admin("a1", "n1", "n1 n2", "n1 n2")), "a1")
    world = along(entries_arrive(world, "n1", "n2", 1), "deliver n1 -> a1")
    world = along(ask(world, "a1"), "deliver n1 -> a1")
    assert answers(world, "a1") == [voters("n1", "n2")] * 2
    assert (world["n1"].log.last_index, world["n1"].commit_index) == (2, 2)
    assert not any(each.target == "a1" for each in world.in_flight)


def test_a_joint_change_stays_in_the_log_until_it_is_finished_and_answered() -> None:
    """A snapshot would not say who asked for it."""
    options = PLAIN | {"heartbeat_seconds": None, "max_entries": 1, "machine": CasRegister()}
    # n1 takes no snapshots, so that n3 gets entries from it.
    every = {"n1": None, "n2": 1, "n3": 1}
    servers = [RaftNode(name, **options | {"snapshot_entries": n}) for name, n in every.items()]
    asking = Script("a1", asks, ("n1", ChangeMembership(("n2",), ("n3",))))
    world = elect(World.of(*servers, asking), "n1", "n2")
    world = ask(entries_arrive(world, "n1", "n2"), "a1")
    world = entries_arrive(world, "n1", "n2", 1)
    assert (world["n1"].commit_index, world["n1"].log.last_index) == (2, 3)
    # n3 is told of the joint configuration, and that it is committed, but not of what follows.
    world = entries_arrive(world, "n1", "n3", 0)
    world = along(world, longest(world, "deliver n1 -> n3 AppendEntries(term=1, prev_index=1"))
    third = world["n3"]
    assert (third.snapshot.index, third.log.offset, third.commit_index) == (0, 0, 2)
    world = elect(world, "n3", "n2")
    world = entries_arrive(world, "n3", "n2", 2)
    assert world["n3"].configuration == voters("n2", learners=("n3",))
    world = entries_arrive(world, "n3", "n2", 3)
    third = world["n3"]
    assert (third.role, third.commit_index, third.snapshot.index) == (Role.FOLLOWER, 4, 4)
    assert third.snapshot.sessions == (("a1", 1, voters("n2", learners=("n3",))),)
    assert answers(along(world, "deliver n3 -> a1"), "a1") == [voters("n2", learners=("n3",))]


def test_a_snapshot_tells_who_belongs_to_the_cluster() -> None:
    options = {"snapshot_entries": 1, "joining": 1}
    world = ready(admin("a1", "n1", "n1 n2 n3 n4"), **options)
    assert world["n1"].snapshot.configuration == voters("n1", "n2", "n3")
    world = along(ask(world, "a1"), "deliver n1 -> n4 AppendEntries")
    world = along(world, "deliver n4 -> n1 AppendEntriesRefusal", "deliver n1 -> n4 Install")
    assert world["n4"].configuration == voters("n1", "n2", "n3")


def test_a_joint_change_takes_two_entries_and_is_answered_once() -> None:
    world = ready(admin("a1", "n1", "n1 n4"), joining=1, joint_consensus=True)
    world = ask(world, "a1")
    joint = Configuration(frozenset({"n1", "n4"}), old_voters=frozenset({"n1", "n2", "n3"}))
    assert world["n1"].configuration == joint
    world = along(world, "deliver n1 -> n4 AppendEntries", "deliver n4 -> n1 AppendEntriesRefusal")
    world = entries_arrive(world, "n1", "n4", 0)
    assert world["n1"].commit_index == 1  # of the old voters n1 alone has it
    world = entries_arrive(world, "n1", "n2", 1)
    assert (world["n1"].commit_index, world["n1"].configuration) == (2, voters("n1", "n4"))
    assert not any(each.target == "a1" for each in world.in_flight)
    world = along(entries_arrive(world, "n1", "n4", 2), "deliver n1 -> a1")
    assert answers(world, "a1") == [voters("n1", "n4")]
    assert sorted(world["n1"].match_index) == ["n4"]


def test_the_next_leader_finishes_a_joint_change_and_answers() -> None:
    world = ask(ready(admin("a1", "n1", "n2"), joint_consensus=True), "a1")
    world = entries_arrive(world, "n1", "n2", 1)
    world = along(elect(along(world, "deliver n1 -> n3 RequestVote"), "n2", "n3"))
    assert world["n2"].configuration.is_joint
    refused = "deliver n3 -> n2 AppendEntriesRefusal"
    world = along(world, "deliver n2 -> n3 AppendEntries", refused)
    world = entries_arrive(world, "n2", "n3", 0)
    assert world["n2"].configuration == voters("n2")
    assert (world["n2"].commit_index, world["n2"].log.last_index) == (4, 4)
    assert answers(along(world, "deliver n2 -> a1"), "a1") == [voters("n2")]


def test_who_leaves_may_be_the_one_whose_answer_commits_that() -> None:
    options = {"joining": 1, "joint_consensus": True, "pipeline": True}
    world = ask(ready(admin("a1", "n1", "n1 n4"), **options), "a1")
    world = along(world, "deliver n1 -> n4 AppendEntries", "deliver n4 -> n1 AppendEntriesRefusal")
    world = entries_arrive(world, "n1", "n4", 0)
    world = entries_arrive(world, "n1", "n2", 1)
    assert world["n1"].configuration == voters("n1", "n4")
    assert sorted(world["n1"].next_index) == ["n4"]


def test_a_transfer_ends_where_a_change_under_way_takes_the_successors_vote() -> None:
    clients = admin("a1", "n1", "n1 n2 n3"), Script("a2", hands_over, "n1", "n5")
    world = changing(5, 0, *clients, no_op=True, joint_consensus=True)
    world = elect(world, "n1", "n2", "n3")
    world = entries_arrive(entries_arrive(world, "n1", "n2"), "n1", "n3")
    world = ask(ask(world, "a1"), "a2")
    world = entries_arrive(world, "n1", "n2", 1)
    assert world["n1"].transfer.to == "n5"
    world = entries_arrive(world, "n1", "n3", 1)
    assert world["n1"].configuration == voters("n1", "n2", "n3")
    assert (world["n1"].transfer, "transfer" in world["n1"].timers) == (None, False)
    world = along(world, "deliver n1 -> a2")
    assert answers(world, "a2") == [TransferRefused("n5 has no vote any more")]
