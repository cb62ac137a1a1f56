"""Flexible Paxos: the theorems of Multi-Paxos, with quorums of sizes, grids, weights and lists.

Every scenario has four servers, so that majorities would be three of them. Its quorums of phase 2
are smaller where they can be, and need not meet each other.
"""

from __future__ import annotations

from typing import Any

from happysim import (
    Cas,
    Faults,
    Script,
    World,
    Write,
    bfs,
    bounded,
    reachable,
    uniform,
)
from happysim.protocols.flexible_paxos import FlexiblePaxosNode, grid, listed, weights
from happysim.protocols.multi_paxos import ClientRequest, MultiPaxosNode, Role
from properties import multi_paxos
from properties.clients import insists
from properties.multi_paxos import (
    clients_see_one_machine,
    cluster,
    elect,
    every_theorem,
    leaders_of,
    one_leader_a_ballot,
    promises_are_kept,
    rounds,
    who_does_not_lead_will_stand,
)
from properties.raft import ask, client
from properties.worlds import along

GRID = grid([["n1", "n2"], ["n3", "n4"]])
# n1 counts double: with it two of the others elect, and one chooses.
WEIGHTS = {"n1": 2, "n2": 1, "n3": 1, "n4": 1}
# By name: a pair elects, and one of each pair chooses.
PAIRS = (
    listed(["n1", "n2"], ["n3", "n4"]),
    listed(["n1", "n3"], ["n1", "n4"], ["n2", "n3"], ["n2", "n4"]),
)


def first_leader(
    kind: type[MultiPaxosNode] = FlexiblePaxosNode,
    phases: tuple[Any, Any] = (3, 2),
    *more: Script,
    **options: Any,
) -> World:
    """n1 leads round 1, all have promised, and a client has asked it."""
    clients = [client("c1", ("n1", Write(1))), *more]
    world = along(cluster(4, *clients, kind=kind, phases=phases, **options), "fire n1 election")
    for name in ("n2", "n3", "n4"):
        world = along(world, f"deliver n1 -> {name} Prepare")
    for name in ("n2", "n3", "n4"):
        # Promises beyond the quorum change nothing.
        if world["n1"].role is Role.CANDIDATE:
            world = along(world, f"deliver {name} -> n1 Promise")
    return ask(world, "c1")


# -- scenarios ------------------------------------------------------------------------------------


@bounded(by=bfs(), within=rounds(1, "n1", "n2"))
def elections(kind: type[MultiPaxosNode] = FlexiblePaxosNode) -> World:
    """Two of four servers may stand once; three elect."""
    return cluster(4, kind=kind, phases=(3, 2))


@bounded(by=bfs(), within=rounds(2, "n4"))
def successor(kind: type[MultiPaxosNode] = FlexiblePaxosNode) -> World:
    """Two servers choose; n4 stands against n1, and one of the three that elect it has to know."""
    return along(first_leader(kind), "fire n4 election")


@bounded(by=bfs(), within=rounds(2, "n4"))
def successor_on_a_grid(kind: type[MultiPaxosNode] = FlexiblePaxosNode) -> World:
    """A row elects: n1 and n2, then n3 and n4. One server of each row chooses."""
    return along(first_leader(kind, GRID), "fire n4 election")


@bounded(by=bfs(), within=rounds(2, "n4"))
def successor_with_weights(kind: type[MultiPaxosNode] = FlexiblePaxosNode) -> World:
    """Three of five votes in each phase: n1 and any other, or all the others."""
    phases = (weights(WEIGHTS, 3), weights(WEIGHTS, 3))
    return along(first_leader(kind, phases), "fire n4 election")


@bounded(by=bfs(), within=rounds(2, "n4"))
def successor_by_a_list(kind: type[MultiPaxosNode] = FlexiblePaxosNode) -> World:
    """The same quorums as on the grid, each by name."""
    return along(first_leader(kind, PAIRS), "fire n4 election")


@bounded(by=bfs(), within=rounds(2, "n4"))
def one_chooses(kind: type[MultiPaxosNode] = FlexiblePaxosNode) -> World:
    """A leader chooses alone, and all four have to elect the next one."""
    return along(first_leader(kind, (4, 1)), "fire n4 election")


@bounded(by=bfs(), within=rounds(2))
def rivals(kind: type[MultiPaxosNode] = FlexiblePaxosNode, **options: Any) -> World:
    """n4 led round 2 by the promises of n2 and n3, and has a command of its own."""
    other = client("c2", ("n4", Cas(None, 2)))
    world = first_leader(kind, (3, 2), other, **options)
    return ask(elect(world, "n4", "n2", "n3"), "c2")


@bounded(by=bfs(), within=rounds(1, "n1"))
def two_slots(kind: type[MultiPaxosNode] = FlexiblePaxosNode) -> World:
    """n1 leads, and two clients ask it at once."""
    clients = [client("c1", ("n1", Write(1))), client("c2", ("n1", Cas(None, 2)))]
    world = cluster(4, *clients, kind=kind, phases=(3, 2))
    return elect(world, "n1", "n2", "n3")


@bounded(by=uniform(seed=1, runs=30, steps=80), within=rounds(4), unknown_passes=True)
def rough_seas(kind: type[MultiPaxosNode] = FlexiblePaxosNode) -> World:
    """n1 leads at first; clients try one server after the other; crashes and a partition."""
    clients = [
        Script("c1", insists, ClientRequest(Write(1)), "n1", "n2", "n3"),
        Script("c2", insists, ClientRequest(Cas(1, 2)), "n4", "n1", "n3"),
    ]
    faults = Faults(crashes=2, partitions=1, unsynced_loss=True)
    world = cluster(4, *clients, kind=kind, phases=GRID, faults=faults)
    return elect(world, "n1", "n2")


# -- the theorems ---------------------------------------------------------------------------------

one_leader_a_ballot_of_four = one_leader_a_ballot.over(elections)
who_does_not_lead_will_stand_of_four = who_does_not_lead_will_stand.over(elections)

every_theorem_of_sizes = every_theorem.over(successor)
every_theorem_of_a_grid = every_theorem.over(successor_on_a_grid)
every_theorem_of_weights = every_theorem.over(successor_with_weights)
every_theorem_of_a_list = every_theorem.over(successor_by_a_list)
every_theorem_where_one_chooses = every_theorem.over(one_chooses)
every_theorem_of_rivals = every_theorem.over(rivals)
every_theorem_of_two_slots = every_theorem.over(two_slots)
every_theorem_in_rough_seas = every_theorem.over(rough_seas)

promises_are_kept_with_sizes = promises_are_kept.over(successor)
promises_are_kept_by_rivals = promises_are_kept.over(rivals)
promises_are_kept_in_rough_seas = promises_are_kept.over(rough_seas)
chosen_is_stable = multi_paxos.chosen_is_stable.over(rivals)

clients_see_one_machine_with_sizes = clients_see_one_machine.over(successor)
clients_see_one_machine_on_a_grid = clients_see_one_machine.over(successor_on_a_grid)
clients_see_one_machine_with_two_slots = clients_see_one_machine.over(two_slots)
clients_see_one_machine_in_rough_seas = clients_see_one_machine.over(rough_seas)


# -- what can happen, so that the above has something to judge ------------------------------------


@reachable(successor)
def two_quorums_of_phase_2_choose(world: World) -> bool:
    """n1 and n2 have chosen slot 1, and so have n3 and n4, under another ballot."""
    first, other = world["n2"].at(1), world["n3"].at(1)
    both = world["n1"].chosen == world["n4"].chosen == 1
    return both and bool(first and other) and first.ballot != other.ballot


@reachable(successor_on_a_grid)
def disjoint_rows_elect(world: World) -> bool:
    """Two leaders at once, by quorums without a server in common: in two ballots."""
    return len(leaders_of(world)) == 2


@reachable(successor_on_a_grid)
def the_other_row_finds_the_command(world: World) -> bool:
    return world["n4"].role is Role.LEADER and len(world["n4"].log) == 1


@reachable(one_chooses)
def one_server_chooses_alone(world: World) -> bool:
    return world["n1"].chosen == 1 and all(not world[name].log for name in ("n2", "n3", "n4"))


@reachable(rough_seas)
def a_client_is_answered_in_rough_seas(world: World) -> bool:
    return any(call.result is None for call in world.history.of("c1") if call.done)
