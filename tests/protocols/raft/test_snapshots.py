"""Snapshots, one behaviour at a time."""

from __future__ import annotations

from happysim import Faults, World, Write
from happysim.core.script import Operation
from happysim.protocols.raft import (
    Configuration,
    Entry,
    InstallSnapshot,
    Log,
    Overwritten,
    RaftNode,
    Role,
    Snapshot,
)
from happysim.protocols.raft.snapshots import is_due
from properties.raft import PLAIN, along, ask, client, elect
from properties.raft_membership import admin, changing
from properties.raft_snapshots import asking, snapshots
from tests.support.hosts import noting


def a_command_applied(*commands: str, **options: int) -> World:
    """n1 leads term 1; the first command is on n2, and applied and discarded on n1."""
    world = ask(elect(snapshots(3, *asking(*commands), **options), "n1", "n2"), "c1")
    return along(
        world,
        "deliver n1 -> n2 AppendEntries(term=1, prev_index=0, prev_term=0, entries=(E",
        "deliver n2 -> n1 AppendEntriesReply(term=1, index=1)",
    )


def test_what_is_applied_is_replaced_by_a_snapshot() -> None:
    server = a_command_applied("a")["n1"]
    first = Configuration(frozenset({"n1", "n2", "n3"}))
    assert server.snapshot == Snapshot(1, 1, ("a",), (("c1", 1, 1),), first)
    assert server.log == Log([], 1, 1)


def test_entries_that_are_behind_the_snapshot_by_less_than_the_trail_are_kept() -> None:
    server = a_command_applied("a", trailing_entries=1)["n1"]
    assert (server.snapshot.index, server.log.offset, server.log.last_index) == (1, 0, 1)


def test_no_snapshot_is_taken_before_its_time() -> None:
    server = a_command_applied("a", snapshot_entries=2)["n1"]
    assert (server.commit_index, server.snapshot) == (1, Snapshot())


def test_a_follower_that_needs_what_is_discarded_gets_the_snapshot_then_the_rest() -> None:
    world = ask(a_command_applied("a", "b"), "c2")
    assert world["n1"].next_index["n3"] == 2
    world = along(world, "deliver n1 -> n3 InstallSnapshot")
    third = world["n3"]
    assert (third.state, third.log, third.commit_index) == (("a",), Log([], 1, 1), 1)
    world = along(world, "deliver n3 -> n1 AppendEntriesReply(term=1, index=1)")
    assert world["n1"].match_index["n3"] == 1


def longest(world: World, beginning: str) -> str:
    """Of the choices that begin so, the one that says most."""
    return max((each for each in map(str, world.choices()) if each.startswith(beginning)), key=len)


def a_late_snapshot() -> World:
    """n3 has two commands, and knows of no commit; the snapshot after the first is on its way."""
    faults = Faults(crashes=1, unsynced_loss=True)
    world = elect(snapshots(3, *asking("a", "b", "c"), faults=faults), "n1", "n2")
    world = ask(world, "c1")
    first = longest(world, "deliver n1 -> n2 AppendEntries")
    world = ask(world, "c2")
    world = along(world, longest(world, "deliver n1 -> n3 AppendEntries"))
    world = along(world, first, "deliver n2 -> n1 AppendEntriesReply(term=1, index=1)")
    return ask(world, "c3")


def test_what_follows_a_snapshot_in_the_log_is_kept_and_nothing_before_it() -> None:
    world = a_late_snapshot()
    log = world["n3"].log
    assert (log.offset, log.last_index) == (0, 2)
    world = along(world, "deliver n1 -> n3 InstallSnapshot")
    assert world["n3"].log == Log(log.entries[1:], 1, 1)
    assert (world["n3"].state, world["n3"].commit_index) == (("a",), 1)
    assert list(world["n3"].pending) == [Operation("c2", 1)]


def test_a_snapshot_that_was_confirmed_cannot_be_lost() -> None:
    world = along(a_late_snapshot(), "deliver n1 -> n3 InstallSnapshot")
    crashes = [str(choice) for choice in world.choices() if "crash" in str(choice)]
    assert crashes == ["crash n1", "crash n2", "crash n3"]


def test_a_snapshot_holds_the_configuration_of_its_place() -> None:
    """n1 has let n3 go, at index 3, and has applied what comes before that."""
    clients = client("c1", ("n1", Write(1))), admin("a1", "n1", "n1 n2")
    world = elect(changing(3, 0, *clients, no_op=True, snapshot_entries=1), "n1", "n2")
    world = along(world, "deliver n1 -> n2 AppendEntries", "deliver n2 -> n1 AppendEntriesReply")
    world = ask(world, "c1")
    command = longest(world, "deliver n1 -> n2 AppendEntries(term=1, prev_index=1")
    world = along(ask(world, "a1"), command, "deliver n2 -> n1 AppendEntriesReply(term=1, index=2")
    assert (world["n1"].configuration_index, world["n1"].commit_index) == (3, 2)
    assert world["n1"].configuration.voters == {"n1", "n2"}
    assert world["n1"].snapshot.configuration == Configuration(frozenset({"n1", "n2", "n3"}))


def test_a_snapshot_that_is_lost_is_sent_again() -> None:
    world = ask(a_command_applied("a", "b", "c"), "c2")
    world = ask(world, "c3")  # sent behind a snapshot that n3 has not got
    behind = "AppendEntries(term=1, prev_index=1"
    world = along(world, f"deliver n1 -> n3 {behind}", "deliver n3 -> n1 AppendEntriesRefusal")
    kept = [each.message for each in world.in_flight if each.target == "n3"]
    assert sum(isinstance(each, InstallSnapshot) for each in kept) == 2


def test_a_restarted_server_has_what_its_snapshot_says() -> None:
    faults = Faults(crashes=1, unsynced_loss=True)
    world = ask(along(snapshots(1, *asking("a"), faults=faults), "fire n1"), "c1")
    world = along(world, "crash n1", "restart n1")
    server = world["n1"]
    assert (server.state, server.commit_index, server.sessions) == (("a",), 1, {"c1": (1, 1)})
    assert server.role is Role.FOLLOWER


def test_a_log_that_contradicts_a_snapshot_goes_as_a_whole_and_its_clients_are_told() -> None:
    mine, theirs = Operation("c1", 1), Operation("c2", 1)
    waiting = client("c1", ("n2", "x")), client("c2", ("n2", "b"))
    kept = Snapshot(2, 2, ("a", "b"), (("c2", 1, 2),))
    # c2 gave its command to another server as well, where it was applied.
    given_up = Log([Entry(1, "x", mine, 1), Entry(1, "b", theirs, 1)])
    servers = [
        RaftNode("n1", current_term=2, snapshot=kept, log=Log([], 2, 2), **PLAIN),
        RaftNode("n2", current_term=1, log=given_up, **PLAIN),
    ]
    world = along(elect(World.of(*servers, *waiting), "n1", "n2"), "invoke c1", "invoke c2")
    world = along(
        world,
        "deliver n1 -> n2 AppendEntries(term=3, prev_index=2",
        "deliver n2 -> n1 AppendEntriesRefusal",
        "deliver n1 -> n2 InstallSnapshot",
    )
    server = world["n2"]
    assert (server.log, server.state, server.commit_index) == (Log([], 2, 2), ("a", "b"), 2)
    assert server.pending == {}
    assert [each.target for each in world.in_flight if each.source == "n2"] == ["n1", "c1"]
    assert along(world, "deliver n2 -> c1").history.of("c1")[0].result == Overwritten()


def test_the_next_snapshot_is_due_so_many_entries_after_the_last() -> None:
    node, (host, _) = RaftNode("n1", snapshot_entries=3), noting("n2", "n3")
    node.snapshot = Snapshot(index=4)
    due = []
    for index in range(4, 9):
        node.commit_index = index
        due.append(is_due(node, host))
    assert due == [False, False, False, True, True]
