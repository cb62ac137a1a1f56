"""Multi-Paxos under load, in virtual time: what stays true at every step, and what must come true.

Clients count, are refused, wait, give up, and ask another server, while servers crash, clocks go
wrong, and messages get lost, copied and delayed. The theorems are those of
`properties/multi_paxos.py`; here each is a monitor of one run, with a memory of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from happysim import Faults, World, bounded, eventually, monitor, reachable, swarm
from happysim.protocols.multi_paxos import ClientRequest, Entry, MultiPaxosNode, Role
from happysim.protocols.multi_paxos.phases import quorums_of
from properties.counting import (
    CALM_SECONDS,
    Counters,
    CountsAreLinearizable,
    all_clerks_are_done,
    clerks,
    faults_and_clocks,
)
from properties.multi_paxos import (
    command_of,
    leaders_of,
    one_leader_a_ballot,
    servers_of,
    who_does_not_lead_will_stand,
    who_leads_beats,
)

# Faults befall the first seconds of a run.
ROUGH_SECONDS = 5.0


def servers_and_clerks(
    names: tuple[str, ...], servers: list[MultiPaxosNode], clients: int, timeout: float
) -> World:
    """Servers, clients c1, c2, ... that count, and one that begins late."""
    asks = (ClientRequest, ClientRequest)
    counting = clerks(asks, names, clients, timeout, ROUGH_SECONDS, rounds_late=2)
    faults = Faults(crashes=1, unsynced_loss=True)
    return World.of(*servers, *counting, faults=faults)


UNDER_LOAD = {
    "seed": 1,
    "until": ROUGH_SECONDS,
    "calm": CALM_SECONDS,
    "menu": faults_and_clocks(),
}


@bounded(
    by=swarm(
        runs=10,
        arguments={
            "size": (1, 3, 3, 3, 4, 5),
            "clients": (1, 2, 3),
            "timeout": (0.2, 0.5, 2.0),
        },
        **UNDER_LOAD,
    ),
    unknown_passes=True,
)
def under_load(
    kind: type[MultiPaxosNode] = MultiPaxosNode,
    size: int = 3,
    clients: int = 2,
    timeout: float = 0.5,
) -> World:
    """Servers n1, n2, ..., and clients of which each starts elsewhere."""
    names = tuple(f"n{number}" for number in range(1, size + 1))
    servers = [kind(name, machine=Counters()) for name in names]
    return servers_and_clerks(names, servers, clients, timeout)


def is_server(name: str) -> bool:
    return name.startswith("n")


class Chosen:
    """The entries that were chosen, in order of slots, as they become known."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.known: dict[str, int] = {}

    def look(self, server: Any) -> Iterator[tuple[int, Entry, bool]]:
        """What a server has newly taken for chosen: slot, entry, and whether it is the first to."""
        begin, end = min(self.known.get(server.name, 0), server.chosen), server.chosen
        self.known[server.name] = end
        for slot in range(begin + 1, end + 1):
            entry = server.at(slot)
            first = slot > len(self.entries)
            if first:
                self.entries.append(entry)
            yield slot, entry, first


# -- what is promised -----------------------------------------------------------------------------


@monitor(under_load)
class one_command_a_slot:
    """State machine safety: no two servers ever apply different commands in one slot."""

    def __init__(self) -> None:
        self.chosen = Chosen()

    def __call__(self, world: World, name: str) -> bool | str:
        for slot, entry, _ in self.chosen.look(world[name]) if is_server(name) else ():
            first = self.chosen.entries[slot - 1]
            if command_of(entry) != command_of(first):
                return f"{name} applied {entry} in slot {slot}, and another server {first}"
        return True


@monitor(under_load)
class what_is_chosen_was_accepted_by_a_quorum:
    """At the time when some server first knows it."""

    def __init__(self) -> None:
        self.chosen = Chosen()

    def __call__(self, world: World, name: str) -> bool | str:
        for slot, entry, first in self.chosen.look(world[name]) if is_server(name) else ():
            if not first:
                continue
            servers = servers_of(world)
            quorums = quorums_of(world[name].phase_2, tuple(each.name for each in servers))
            wanted = command_of(entry)
            holders = [each.name for each in servers if command_of(each.at(slot)) == wanted]
            if not quorums.holds(holders):
                names = " and ".join(holders)
                return f"{name} took slot {slot} for chosen, which only {names} accepted"
        return True


@monitor(under_load)
class who_leads_knows_what_was_chosen:
    """S3: the leader of a ballot has all that was chosen under lower ones."""

    def __init__(self) -> None:
        self.chosen = Chosen()
        self.led: dict[str, Any] = {}

    def __call__(self, world: World, name: str) -> bool | str:
        if not is_server(name):
            return True
        fresh = [slot for slot, _, first in self.chosen.look(world[name]) if first]
        server = world[name]
        if server.role is Role.LEADER and self.led.get(name) != server.ballot:
            self.led[name] = server.ballot
            said = self.lacks(server, list(range(1, len(self.chosen.entries) + 1)))
            if said:
                return said
        for leader in leaders_of(world) if fresh else ():
            said = self.lacks(leader, fresh)
            if said:
                return said
        return True

    def lacks(self, leader: Any, slots: list[int]) -> str:
        for slot in slots:
            entry = self.chosen.entries[slot - 1]
            if entry.ballot <= leader.ballot and command_of(leader.at(slot)) != command_of(entry):
                return f"{leader.name} leads without what was chosen for slot {slot}"
        return ""


@monitor(under_load)
class counts_are_linearizable(CountsAreLinearizable):
    """Clients see one machine."""


one_leader_a_ballot_in_time = one_leader_a_ballot.over(under_load, "one_leader_a_ballot_in_time")
who_does_not_lead_will_stand_in_time = who_does_not_lead_will_stand.over(
    under_load, "who_does_not_lead_will_stand_in_time"
)
who_leads_beats_in_time = who_leads_beats.over(under_load, "who_leads_beats_in_time")

# -- what must come true, once the faults have stopped --------------------------------------------


@eventually(under_load)
def every_client_is_done(world: World) -> bool | str:
    return all_clerks_are_done(world)


@eventually(under_load)
def a_majority_follows_one_leader_and_keeps_up(world: World) -> bool | str:
    """Whoever is cut off or down may lag, and think what it likes."""
    servers = servers_of(world)
    for leader in leaders_of(world):
        followers = [
            each
            for each in servers
            if each.is_up and (each.leader, each.chosen) == (leader.name, leader.chosen)
        ]
        if 2 * len(followers) > len(servers) and leader.chosen == len(leader.log):
            return True
    return ", ".join(f"{each.name}: {each.leader} {each.chosen}" for each in servers)


# -- what can happen, so that the above has something to judge ------------------------------------


@reachable(under_load)
def the_leader_changes_under_load(world: World) -> bool:
    """Commands of clients were chosen under two ballots."""
    entries = [e for server in servers_of(world) for e in server.log[: server.chosen] if e]
    return len({entry.ballot for entry in entries if entry.operation is not None}) > 1
