"""Raft's snapshots: what was discarded is gone from the log, and from nothing else.

Sections are those of Ongaro, *Consensus: bridging theory and practice*, 2014. The machine is a
journal, so that a state shows every command that was applied, in order.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

from happysim import (
    Faults,
    Script,
    World,
    always,
    bfs,
    bounded,
    duplicating,
    reachable,
    step_always,
    together,
    uniform,
)
from happysim.protocols.raft import ClientRequest, Journal, RaftNode, Role
from properties.clients import insists
from properties.raft import (
    THEOREMS,
    ask,
    client,
    cluster,
    commit_index_only_grows,
    elect,
    every_theorem,
    leader_append_only,
    leaders_of,
    servers_of,
    terms,
)


def snapshots(
    size: int, *clients: Script, kind: type[RaftNode] = RaftNode, **options: Any
) -> World:
    """Servers that take a snapshot whenever they have applied an entry."""
    options = {"snapshot_entries": 1} | options
    return cluster(size, *clients, kind=kind, machine=Journal(), **options)


def asking(*commands: str) -> list[Script]:
    """For each command a client that gives it to n1."""
    return [client(f"c{number}", ("n1", each)) for number, each in enumerate(commands, 1)]


@bounded(by=bfs(), within=terms(2, "n2"))
def left_behind(kind: type[RaftNode] = RaftNode) -> World:
    """n1 leads term 1 and has a command; n2 may lead term 2, and then has a no-op behind it."""
    return ask(elect(snapshots(3, *asking("a"), kind=kind, no_op=True), "n1", "n2"), "c1")


@bounded(by=bfs(), within=terms(1))
def late_snapshots(kind: type[RaftNode] = RaftNode, commands: str = "abc") -> World:
    """n1 leads; snapshots and entries overtake each other on their way to n2 and n3."""
    world = elect(snapshots(3, *asking(*commands), kind=kind), "n1", "n2")
    return ask(ask(world, "c1"), "c2")


@bounded(by=bfs(), within=terms(2))
def one_server_and_a_crash(kind: type[RaftNode] = RaftNode) -> World:
    """One server that may crash, and a network that copies the requests of its client."""
    faults = Faults(crashes=1, unsynced_loss=True)
    plan = client("c1", ("n1", "a"), ("n1", "b"))
    return snapshots(1, plan, kind=kind, no_op=True, faults=faults, network=duplicating())


@bounded(by=uniform(seed=1, runs=150, steps=100), within=terms(4), unknown_passes=True)
def snapshots_in_rough_seas(kind: type[RaftNode] = RaftNode, every: int = 1) -> World:
    """Three servers, of which one may be down; one client goes from server to server."""
    clients = [*asking("a", "b"), Script("c3", insists, ClientRequest("c"), "n2", "n3", "n1")]
    faults = Faults(crashes=2, unsynced_loss=True)
    options: dict[str, Any] = {"no_op": True, "pipeline": True, "max_entries": 2}
    made = snapshots(3, *clients, kind=kind, faults=faults, snapshot_entries=every, **options)
    return elect(made, "n1", "n2")


@always(left_behind)
def a_snapshot_is_the_applied_prefix(world: World) -> bool | str:
    """Section 5: it stands for the entries up to its index, as every server has applied them."""
    for one in servers_of(world):
        kept = one.snapshot
        for other in servers_of(world):
            shared = len(kept.state or ())
            if other.is_up and other.commit_index >= kept.index and kept.index:
                if other.state[:shared] != kept.state:
                    return f"the snapshot of {one.name} is not what {other.name} has applied"
                if other.commit_index == kept.index and other.state != kept.state:
                    return f"the snapshot of {one.name} lacks what {other.name} has applied"
    return True


@always(left_behind)
def snapshots_of_one_index_are_equal(world: World) -> bool | str:
    """Section 5: servers take them independently, and may use each other's."""
    for one, other in combinations(servers_of(world), 2):
        if one.snapshot.index == other.snapshot.index and one.snapshot != other.snapshot:
            return f"{one.name} and {other.name} have different snapshots at {one.snapshot.index}"
    return True


@always(left_behind)
def nothing_is_missing_between_snapshot_and_log(world: World) -> bool | str:
    """Section 5.1: what is discarded is in the snapshot, and what is in the snapshot is applied."""
    for server in servers_of(world):
        log, index = server.log, server.snapshot.index
        if not log.offset <= index <= log.last_index:
            return f"{server.name} has a snapshot up to {index} and a log behind {log.offset}"
        if index and log.term_at(index) != server.snapshot.term:
            return f"{server.name} has a snapshot of another term than its log at {index}"
        if server.is_up and server.commit_index < index:
            return f"{server.name} has a snapshot of what it has not applied"
    return True


@step_always(left_behind)
def snapshots_only_grow(before: World, after: World) -> bool | str:
    """Figure 5.3, rule 5: an older one does not replace a newer one."""
    for server in servers_of(before):
        if after[server.name].snapshot.index < server.snapshot.index:
            return f"{server.name} went back from its snapshot at {server.snapshot.index}"
    return True


@always(one_server_and_a_crash)
def a_command_is_applied_once(world: World) -> bool | str:
    """Section 6.3: however often a client's command arrives, also behind a snapshot."""
    for server in servers_of(world):
        commands = server.state or ()
        if len(set(commands)) < len(commands):
            return f"{server.name} has applied {', '.join(commands)}"
    return True


every_theorem_of_snapshots = together(
    snapshots_in_rough_seas,
    *THEOREMS,
    a_snapshot_is_the_applied_prefix,
    snapshots_of_one_index_are_equal,
    nothing_is_missing_between_snapshot_and_log,
    a_command_is_applied_once,
)

every_theorem_when_left_behind = every_theorem_of_snapshots.over(left_behind)
every_theorem_with_late_snapshots = every_theorem_of_snapshots.over(late_snapshots)
every_theorem_of_one_with_snapshots = every_theorem.over(one_server_and_a_crash)
every_theorem_with_rare_snapshots = every_theorem_of_snapshots.over(
    snapshots_in_rough_seas, every=2
)
leader_append_only_with_snapshots = leader_append_only.over(left_behind)
commit_index_only_grows_with_snapshots = commit_index_only_grows.over(late_snapshots)
snapshots_only_grow_when_late = snapshots_only_grow.over(late_snapshots)
snapshots_only_grow_in_rough_seas = snapshots_only_grow.over(snapshots_in_rough_seas)


@reachable(left_behind)
def the_next_leader_works_from_a_snapshot(world: World) -> bool:
    second = world["n2"]
    return second.role is Role.LEADER and bool(second.snapshot.index)


@reachable(late_snapshots)
def a_server_is_brought_up_by_a_snapshot(world: World) -> bool:
    """n3 had nothing, and has all that was applied without a single entry."""
    third = world["n3"]
    heard = [each.message for each in world.in_flight if each.target == "n3"]
    never = not any(getattr(each, "commit_index", 0) for each in heard)
    return third.state == ("a", "b") and third.snapshot.index == 2 and never


@reachable(late_snapshots)
def entries_behind_a_snapshot_are_kept(world: World) -> bool:
    """n3 has entries that are not applied when a snapshot comes that ends before them."""
    third = world["n3"]
    return third.snapshot.index == third.commit_index == 1 and third.log.last_index == 3


@reachable(one_server_and_a_crash)
def a_restarted_server_goes_on_from_its_snapshot(world: World) -> bool:
    restarted = world.faults_left["restarts"] == 0
    return restarted and world["n1"].state == ("a", "b") and not world["n1"].log.entries


@reachable(snapshots_in_rough_seas)
def a_later_leader_has_snapshots(world: World) -> bool:
    return any(each.current_term > 1 and each.snapshot.index > 1 for each in leaders_of(world))
