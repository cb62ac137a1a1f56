"""Snapshots, one behaviour at a time."""

from __future__ import annotations

from happysim import Faults, World
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
from properties.raft_snapshots import asking, snapshots


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
    mine, waiting = Operation("c1", 1), client("c1", ("n2", "x"))
    kept = Snapshot(2, 2, ("a", "b"), (("c2", 1, 2),))
    servers = [
        RaftNode("n1", current_term=2, snapshot=kept, log=Log([], 2, 2), **PLAIN),
        RaftNode("n2", current_term=1, log=Log([Entry(1, "x", mine, 1)]), **PLAIN),
    ]
    world = along(elect(World.of(*servers, waiting), "n1", "n2"), "invoke c1")
    world = along(
        world,
        "deliver n1 -> n2 AppendEntries(term=3, prev_index=2",
        "deliver n2 -> n1 AppendEntriesRefusal",
        "deliver n1 -> n2 InstallSnapshot",
    )
    server = world["n2"]
    assert (server.log, server.state, server.commit_index) == (Log([], 2, 2), ("a", "b"), 2)
    assert server.pending == {}
    assert along(world, "deliver n2 -> c1").history.of("c1")[0].result == Overwritten()


def test_the_next_snapshot_is_due_so_many_entries_after_the_last() -> None:
    node = RaftNode("n1", snapshot_entries=3)
    node.snapshot = Snapshot(index=4)
    due = []
    for index in range(4, 9):
        node.commit_index = index
        due.append(is_due(node))
    assert due == [False, False, False, True, True]
