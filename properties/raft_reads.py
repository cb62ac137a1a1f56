"""Raft's reads outside of the log: as fresh as those in it.

Section 6.4 of Ongaro, *Consensus: bridging theory and practice*, 2014.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from happysim import (
    Faults,
    Read,
    Script,
    World,
    Write,
    always,
    bfs,
    bounded,
    reachable,
    uniform,
)
from happysim.protocols.raft import ClientRequest, NotLeader, RaftNode, ReadRequest, Role
from properties.clients import asks
from properties.raft import (
    client,
    clients_see_one_machine,
    cluster,
    elect,
    election_safety,
    every_theorem,
    leaders_of,
    servers_of,
    terms,
)
from properties.worlds import along

WRITE, READ = ClientRequest(Write(1)), ReadRequest(Read())


def reads(*servers: str) -> Iterator[Any]:
    """A client that reads from one server after the other."""
    return asks(*((server, READ) for server in servers))


@bounded(by=bfs(), within=terms(2, "n2"))
def a_deposed_leader_is_asked(kind: type[RaftNode] = RaftNode) -> World:
    """n1 led term 1, then n2 led term 2 by the vote of n3, of which n1 has not heard.

    One client writes to n2, and then reads from n1.
    """
    reader = Script("c1", asks, ("n2", WRITE), ("n1", READ))
    world = elect(cluster(3, reader, kind=kind, no_op=True), "n1", "n2")
    exchange = ("deliver n1 -> n2 AppendEntries", "deliver n2 -> n1 AppendEntriesReply")
    return elect(along(world, *exchange, "deliver n1 -> n3 AppendEntries"), "n2", "n3")


@bounded(by=bfs(), within=terms(2, "n2"))
def a_new_leader_is_asked(kind: type[RaftNode] = RaftNode) -> World:
    """n1 has answered a write that n2 has and does not know to be committed; n2 may lead next."""
    reader = Script("c1", asks, ("n1", WRITE), ("n2", READ))
    world = along(elect(cluster(3, reader, kind=kind, no_op=True), "n1", "n2"), "invoke c1")
    return along(world, "deliver c1 -> n1")


@bounded(by=uniform(seed=1, runs=80, steps=80), within=terms(4), unknown_passes=True)
def reads_in_rough_seas(kind: type[RaftNode] = RaftNode) -> World:
    """Readers and a writer that ask whoever they know; crashes and a partition."""
    clients = [
        client("c1", ("n1", Write(1)), ("n2", Write(2)), ("n1", Write(3))),
        Script("c2", reads, "n1", "n2", "n1"),
        Script("c3", reads, "n2", "n3", "n2"),
    ]
    faults = Faults(crashes=1, partitions=1, unsynced_loss=True)
    options = {"no_op": True, "pre_vote": True, "pipeline": True, "forward": True}
    return elect(cluster(3, *clients, kind=kind, faults=faults, **options), "n1", "n2")


reads_are_linearizable = clients_see_one_machine.over(a_deposed_leader_is_asked)
reads_of_a_new_leader_are_linearizable = clients_see_one_machine.over(a_new_leader_is_asked)
reads_in_rough_seas_are_linearizable = clients_see_one_machine.over(reads_in_rough_seas)
election_safety_with_reads = election_safety.over(a_deposed_leader_is_asked)
every_theorem_with_reads_in_rough_seas = every_theorem.over(reads_in_rough_seas)


@always(a_deposed_leader_is_asked)
def only_leaders_have_reads_to_answer(world: World) -> bool | str:
    """Who steps down refuses them, so that no client waits for ever."""
    for server in servers_of(world):
        if server.reads and server.role is not Role.LEADER:
            return f"{server.name} does not lead, and clients wait for it"
    return True


@always(a_deposed_leader_is_asked)
def reads_leave_the_log_alone(world: World) -> bool | str:
    for server in servers_of(world):
        if any(isinstance(entry.command, Read) for entry in server.log.entries):
            return f"{server.name} has a read in its log"
    return True


@reachable(a_deposed_leader_is_asked)
def a_read_is_refused_by_a_deposed_leader(world: World) -> bool:
    return any(isinstance(call.result, NotLeader) for call in world.history.of("c1"))


@reachable(a_new_leader_is_asked)
def a_new_leader_answers_a_read(world: World) -> bool:
    calls = world.history.of("c1")
    return [call.result for call in calls if call.done] == [None, 1]


@reachable(a_new_leader_is_asked)
def a_read_waits_for_a_commit(world: World) -> bool:
    """n2 leads, and is not yet sure what is committed."""
    second = world["n2"]
    return bool(second.reads) and second.rounds != {} and second.commit_index < 3


@reachable(reads_in_rough_seas)
def a_read_sees_a_write_of_an_older_leader(world: World) -> bool:
    results = [call.result for name in ("c2", "c3") for call in world.history.of(name) if call.done]
    return 1 in results and any(leader.current_term > 1 for leader in leaders_of(world))
