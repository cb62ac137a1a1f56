"""Chain replication under load, in virtual time: what stays true at every step, and in the end.

Clients count and read, are sent elsewhere, wait, give up, and ask again, while servers crash,
clocks go wrong, and messages get lost, copied and delayed. The theorems are those of
`properties/chain.py`.

Where the master pings, it takes live servers for dead: whom it cannot reach, or what is slow. So
the servers are not fail-stop, as queries need them to be, and only updates are owed. Where nobody
is taken out, queries are, too: a chain waits for who is down.
"""

from __future__ import annotations

from typing import Any

from happysim import Faults, World, bounded, eventually, monitor, reachable, swarm
from happysim.protocols.chain import ChainMaster, ChainServer, Query, Reads, Update, first_chain
from properties.chain import (
    answered_updates_survive,
    in_chain,
    numbers_only_grow,
    servers_of,
    states_are_what_sent_leads_to,
    update_propagation_invariant,
    what_is_not_stable_is_sent_again,
    what_is_stable_is_on_every_server,
)
from properties.counting import (
    CALM_SECONDS,
    Add,
    Counters,
    CountsAreLinearizable,
    all_clerks_are_done,
    clerks,
    faults_and_clocks,
)

# Faults befall the first seconds of a run.
ROUGH_SECONDS = 12.0

UNDER_LOAD = swarm(
    seed=1,
    runs=20,
    until=ROUGH_SECONDS,
    calm=CALM_SECONDS,
    menu=faults_and_clocks(),
    # What only a server has that is down for ever nobody can go on from.
    core="all",
    arguments={
        "size": (1, 2, 3, 3, 4),
        "spares": (0, 0, 1),
        "pings": (True, False),
        "clients": (1, 2, 3),
        "timeout": (0.3, 1.0, 3.0),
    },
)


@bounded(by=UNDER_LOAD, unknown_passes=True)
def under_load(
    kind: type[ChainServer] = ChainServer,
    reads: Reads = Reads.TAIL,
    size: int = 3,
    spares: int = 0,
    pings: bool = True,
    clients: int = 2,
    timeout: float = 1.0,
) -> World:
    """Servers n1 (the head), n2, ..., spares s1, ..., the master, and clients.

    `reads` says who answers queries: the tail.
    """
    names = tuple(f"n{number}" for number in range(1, size + 1))
    others = tuple(f"s{number}" for number in range(1, spares + 1))
    first = first_chain(*names)
    servers = [kind(name, first, reads, machine=Counters()) for name in (*names, *others)]
    master = ChainMaster("master", names, others, check_seconds=1.0 if pings else None)
    counting = clerks((Update, Query), (*names, *others), clients, timeout, ROUGH_SECONDS)
    faults = Faults(crashes=1, unsynced_loss=True)
    return World.of(*servers, master, *counting, faults=faults)


# -- what is promised -----------------------------------------------------------------------------


@monitor(under_load)
class counts_are_linearizable(CountsAreLinearizable):
    """Clients see one machine; of queries that is owed where servers are fail-stop."""

    def is_owed(self, world: World, command: Any) -> bool:
        return isinstance(command, Add) or world["master"].check_seconds is None


@monitor(under_load)
class epochs_and_lives_only_grow:
    """Through crashes too: what was told of an epoch is on disk."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[int, int]] = {}

    def __call__(self, world: World, name: str) -> bool | str:
        if name[0] not in "ns":
            return True
        server = world[name]
        now, before = (server.chain.epoch, server.life), self.known.get(name, (0, 0))
        self.known[name] = now
        grows = all(new >= old for new, old in zip(now, before, strict=True))
        return grows or f"{name} went back from {before} to {now}"


prefixes_under_load = update_propagation_invariant.over(under_load, "prefixes_under_load")
states_under_load = states_are_what_sent_leads_to.over(under_load, "states_under_load")
stable_under_load = what_is_stable_is_on_every_server.over(under_load, "stable_under_load")
answers_survive_under_load = answered_updates_survive.over(under_load, "answers_survive_under_load")
resending_under_load = what_is_not_stable_is_sent_again.over(under_load, "resending_under_load")
numbers_only_grow_under_load = numbers_only_grow.over(under_load, "numbers_only_grow_under_load")

# -- what must come true, once the faults have stopped --------------------------------------------


@eventually(under_load)
def every_client_is_done(world: World) -> bool | str:
    return all_clerks_are_done(world)


@eventually(under_load)
def the_whole_chain_agrees(world: World) -> bool | str:
    """All servers are in the chain again, and have the same, and know that all have."""
    master, servers = world["master"], servers_of(world)
    if master.check_seconds is not None and set(master.chain.servers) != {s.name for s in servers}:
        return f"the chain is {master.chain}"
    full = in_chain(world)
    if len(full) < len(master.chain.servers):
        return f"only {' '.join(each.name for each in full)} have the state"
    ends = {(each.last, each.stable, each.state) for each in full}
    return (len(ends) == 1 and all(last == stable for last, stable, _ in ends)) or f"ends: {ends}"


# -- what can happen, so that the above has something to judge ------------------------------------


@reachable(under_load)
def another_head_takes_updates(world: World) -> bool:
    """Not n1 any more, and clients were answered before and since."""
    chain = world["master"].chain
    return chain.head != "n1" and world[chain.head].stable > 3


@reachable(under_load)
def a_server_comes_back_to_the_chain(world: World) -> bool:
    chain = world["master"].chain
    return not chain.joining and any(world[name].joined for name in chain.servers)
