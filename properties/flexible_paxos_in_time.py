"""Flexible Paxos under load, in virtual time: Multi-Paxos with quorums that need not be majorities.

The load, the faults and the theorems are those of `properties/multi_paxos_in_time.py`.
"""

from __future__ import annotations

from typing import Any

from happysim import World, bounded, reachable, swarm
from happysim.protocols.flexible_paxos import FlexiblePaxosNode, weights
from happysim.protocols.multi_paxos import MultiPaxosNode
from properties import multi_paxos_in_time as majorities
from properties.counting import Counters
from properties.flexible_paxos import GRID, PAIRS, WEIGHTS
from properties.multi_paxos import servers_of
from properties.multi_paxos_in_time import UNDER_LOAD, servers_and_clerks

NAMES = ("n1", "n2", "n3", "n4")
# What elects, and what chooses. Any three of the four servers can do both.
QUORUMS: dict[str, tuple[Any, Any]] = {
    "sizes": (3, 2),
    "grid": GRID,
    "weights": (weights(WEIGHTS, 3), weights(WEIGHTS, 3)),
    "pairs": PAIRS,
}


@bounded(
    by=swarm(
        runs=10,
        arguments={
            "quorums": tuple(QUORUMS),
            "clients": (1, 2, 3),
            "timeout": (0.2, 0.5, 2.0),
        },
        **UNDER_LOAD,
    ),
    unknown_passes=True,
)
def under_load(
    kind: type[MultiPaxosNode] = FlexiblePaxosNode,
    quorums: str = "sizes",
    clients: int = 2,
    timeout: float = 0.5,
) -> World:
    """Four servers, and clients of which each starts elsewhere."""
    first, second = QUORUMS[quorums]
    servers = [kind(name, machine=Counters(), phase_1=first, phase_2=second) for name in NAMES]
    return servers_and_clerks(NAMES, servers, clients, timeout)


@bounded(
    by=swarm(
        runs=5,
        core="all",
        arguments={"clients": (1, 2, 3), "timeout": (0.2, 0.5, 2.0)},
        **UNDER_LOAD,
    ),
    unknown_passes=True,
)
def one_chooses_under_load(
    kind: type[MultiPaxosNode] = FlexiblePaxosNode, clients: int = 2, timeout: float = 0.5
) -> World:
    """A leader chooses alone, and all four have to elect the next one."""
    servers = [kind(name, machine=Counters(), phase_1=4, phase_2=1) for name in NAMES]
    return servers_and_clerks(NAMES, servers, clients, timeout)


one_command_a_slot = majorities.one_command_a_slot.over(under_load)
accepted_by_a_quorum = majorities.what_is_chosen_was_accepted_by_a_quorum.over(
    under_load, "accepted_by_a_quorum"
)
who_leads_knows_what_was_chosen = majorities.who_leads_knows_what_was_chosen.over(under_load)
counts_are_linearizable = majorities.counts_are_linearizable.over(under_load)
one_leader_a_ballot = majorities.one_leader_a_ballot_in_time.over(under_load)
who_does_not_lead_will_stand = majorities.who_does_not_lead_will_stand_in_time.over(under_load)
who_leads_beats = majorities.who_leads_beats_in_time.over(under_load)
every_client_is_done = majorities.every_client_is_done.over(under_load)
a_majority_keeps_up = majorities.a_majority_follows_one_leader_and_keeps_up.over(
    under_load, "a_majority_keeps_up"
)
the_leader_changes = majorities.the_leader_changes_under_load.over(under_load, "the_leader_changes")

one_command_a_slot_where_one_chooses = majorities.one_command_a_slot.over(
    one_chooses_under_load, "one_command_a_slot_where_one_chooses"
)
who_leads_knows_where_one_chooses = majorities.who_leads_knows_what_was_chosen.over(
    one_chooses_under_load, "who_leads_knows_where_one_chooses"
)
counts_are_linearizable_where_one_chooses = majorities.counts_are_linearizable.over(
    one_chooses_under_load, "counts_are_linearizable_where_one_chooses"
)
every_client_is_done_where_one_chooses = majorities.every_client_is_done.over(
    one_chooses_under_load, "every_client_is_done_where_one_chooses"
)


@reachable(under_load, quorums="sizes")
def two_of_four_choose(world: World) -> bool:
    """The other two have not accepted what is chosen, and are no majority less."""
    servers = servers_of(world)
    most = max(server.chosen for server in servers)
    return most > 0 and sum(server.at(most) is not None for server in servers) == 2
