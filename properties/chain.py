"""Chain replication: each server has a prefix of what its predecessor has; clients see one machine.

Safety is judged on a duplicating network, where a message may arrive at any time, any number of
times, or never. What holds in the end is judged where each copy of a message arrives once.

Servers are fail-stop: a watchdog may report a server only once it is down. In these scenarios that
is a bound, `reported_is_down`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from happysim import (
    Faults,
    Get,
    Host,
    KeyValue,
    Node,
    NodeView,
    Put,
    Script,
    World,
    action,
    always,
    bounded,
    call,
    quiescent,
    reachable,
    step_always,
    together,
    uniform,
)
from happysim.protocols.chain import (
    ChainMaster,
    ChainServer,
    Failed,
    Query,
    Reads,
    Redirect,
    Snapshot,
    Update,
    first_chain,
)
from properties.clients import asks, see_one_machine
from properties.worlds import NETWORKS, along, ask, no_copy_in_flight

X1, X2 = Update(Put("x", 1)), Update(Put("x", 2))
READ = Query(Get("x"))

# -- chains, clients, and how to get to an interesting world --------------------------------------


def insists(*requests: Any, servers: tuple[str, ...] = ("n1", "n2", "n3")) -> Iterator[Any]:
    """A client that goes where it is sent, until it is answered or sent for the fourth time."""
    for request in requests:
        server = servers[0]
        for _ in range(4):
            answer = yield call(server, request)
            if not isinstance(answer, Redirect):
                break
            server = answer.server


def client(name: str, *plan: tuple[str, Any]) -> Script:
    return Script(name, asks, *plan)


class Watchdog(Node):
    """Tells the master, once, that a server is down. It is right: see `reported_is_down`."""

    victim: str
    has_reported: bool = False

    @action(when=lambda self: not self.has_reported)
    def report(self, host: Host) -> None:
        self.has_reported = True
        host.send("master", Failed(self.victim))


def reported_is_down(world: World) -> bool:
    """A bound: the servers are fail-stop."""
    dogs = world.nodes(Watchdog)
    return not any(dog.has_reported and world[dog.victim].is_up for dog in dogs)


def chain_of(  # noqa: PLR0913
    size: int,
    *others: Script | Node,
    kind: type[ChainServer] = ChainServer,
    master: type[ChainMaster] = ChainMaster,
    reads: str = "tail",
    spares: tuple[str, ...] = (),
    pings: bool = False,
    faults: Faults | None = None,
    network: str = "duplicating",
) -> World:
    """Servers n1 (the head), n2, ..., spares that are in no chain yet, and the master."""
    names = tuple(f"n{number}" for number in range(1, size + 1))
    servers = [
        kind(name, first_chain(*names), Reads(reads), machine=KeyValue())
        for name in (*names, *spares)
    ]
    return World.of(
        *servers,
        master("master", names, spares, check_seconds=1.0 if pings else None),
        *others,
        faults=faults,
        network=NETWORKS[network](),
    )


def quiet(world: World) -> bool:
    """Both bounds."""
    return no_copy_in_flight(world) and reported_is_down(world)


def no_more_pings(world: World) -> bool:
    """A bound: the master has made its second chain, and has nothing more to do."""
    master = world["master"]
    return master.chain.epoch <= 2 and not (master.chain.epoch == 1 and not master.heard)


def servers_of(world: World) -> tuple[NodeView, ...]:
    return world.nodes(ChainServer)


# -- scenarios ------------------------------------------------------------------------------------


def two_servers(kind: type[ChainServer] = ChainServer, **options: Any) -> World:
    """No failures. Two clients write at the head, and one of them reads at the tail."""
    clients = [client("c1", ("n1", X1), ("n2", READ)), client("c2", ("n1", X2))]
    return chain_of(2, *clients, kind=kind, **options)


def three_servers(kind: type[ChainServer] = ChainServer, **options: Any) -> World:
    """No failures. One client writes at the head, and another reads at the tail, twice."""
    clients = [client("c1", ("n1", X1)), client("c2", ("n3", READ), ("n3", READ))]
    return chain_of(3, *clients, kind=kind, **options)


@bounded(within=reported_is_down)
def a_server_fails(victim: str, kind: type[ChainServer] = ChainServer, **options: Any) -> World:
    """One of three, at any time, and does not come back."""
    readers = {"n1": "n3", "n2": "n3", "n3": "n2"}
    clients = [client("c1", ("n1", X1)), client("c2", (readers[victim], READ))]
    faults = Faults(crashes=1, restarts=0, crashable=(victim,))
    return chain_of(3, *clients, Watchdog("dog", victim), kind=kind, faults=faults, **options)


def the_head_fails(kind: type[ChainServer] = ChainServer, **options: Any) -> World:
    """n1 has a write that it told n2 of, and a second write is made at n2 when n1 has failed."""
    clients = [client("c1", ("n1", X1)), client("c2", ("n2", X2)), client("c3", ("n3", READ))]
    faults = Faults(crashes=1, restarts=0, crashable=("n1",))
    world = chain_of(3, *clients, Watchdog("dog", "n1"), kind=kind, faults=faults, **options)
    return along(world, *ask("c1", "n1"), "crash n1", "act dog report", "deliver dog -> master")


def a_tail_returns(kind: type[ChainServer] = ChainServer, **options: Any) -> World:
    """n2 was the tail when it failed, and comes back. n1 goes on without it."""
    clients = [client("c1", ("n1", X1)), client("c2", ("n2", READ), ("n1", READ))]
    faults = Faults(crashes=1, restarts=1, crashable=("n2",))
    world = chain_of(2, *clients, Watchdog("dog", "n2"), kind=kind, faults=faults, **options)
    return along(world, "crash n2", "act dog report", "deliver dog -> master")


@bounded(within=lambda world: world["master"].chain.epoch <= 2)
def a_server_restarts(kind: type[ChainServer] = ChainServer, **options: Any) -> World:
    """One of two crashes, losing what it had not synced, and comes back in time."""
    clients = [client("c1", ("n1", X1)), client("c2", ("n2", READ))]
    faults = Faults(crashes=1, crashable=("n1", "n2"), unsynced_loss=True)
    return chain_of(2, *clients, kind=kind, faults=faults, **options)


def joining(kind: type[ChainServer] = ChainServer, **options: Any) -> World:
    """n2 has just been appended to a chain of one, which holds a write."""
    clients = [client("c1", ("n1", X1), ("n1", X2)), client("c2", ("n2", READ))]
    world = chain_of(1, *clients, kind=kind, spares=("n2",), pings=True, **options)
    return along(
        world,
        *ask("c1", "n1"),
        "fire master check",
        "deliver master -> n1 Cu",
        "deliver master -> n2 Cu",
        "deliver n1 -> master Here",
        "deliver n2 -> master Here",
        "fire master check",
    )


@bounded(within=no_more_pings)
def a_server_joins(kind: type[ChainServer] = ChainServer, **options: Any) -> World:
    """And there are no failures until it has got the state."""
    return joining(kind, **options)


def only_n1_fails(world: World) -> bool:
    """A bound: the master takes out n1, and that when it is down."""
    chain = world["master"].chain
    return chain.epoch <= 2 or (chain.servers == ("n2",) and not world["n1"].is_up)


@bounded(within=only_n1_fails)
def the_only_full_server_fails(kind: type[ChainServer] = ChainServer, **options: Any) -> World:
    """n1 fails before n2 has got the state, or after. No ping is answered any more."""
    faults = Faults(crashes=1, restarts=0, crashable=("n1",))
    return joining(kind, faults=faults, **options)


@bounded(within=quiet)
def a_message_is_lost(
    kind: type[ChainServer] = ChainServer, network: str = "unordered", **options: Any
) -> World:
    clients = [client("c1", ("n1", X1)), client("c2", ("n1", X2))]
    faults = Faults(drops=1)
    return chain_of(2, *clients, kind=kind, faults=faults, network=network, **options)


@bounded(within=quiet)
def the_middle_fails(kind: type[ChainServer] = ChainServer, **options: Any) -> World:
    """n2 takes with it what it was to pass on; nothing else is lost."""
    faults = Faults(crashes=1, restarts=0, crashable=("n2",))
    world = chain_of(
        3,
        client("c1", ("n1", X1)),
        Watchdog("dog", "n2"),
        kind=kind,
        faults=faults,
        network="unordered",
        **options,
    )
    return along(world, *ask("c1", "n1"), "crash n2", "act dog report", "deliver dog -> master")


@bounded(by=uniform(seed=1, runs=60, steps=80), within=reported_is_down, unknown_passes=True)
def rough_seas(kind: type[ChainServer] = ChainServer, **options: Any) -> World:
    """Four servers, of which n2 may fail for good, and others restart; clients that insist."""
    clients = [
        Script("c1", insists, X1, READ),
        Script("c2", insists, X2, READ),
        client("c3", ("n4", READ), ("n3", READ)),
    ]
    faults = Faults(crashes=3, restarts=2, unsynced_loss=True)
    options = {"network": "unordered", **options}
    return chain_of(4, *clients, Watchdog("dog", "n2"), kind=kind, faults=faults, **options)


# -- safety ---------------------------------------------------------------------------------------


def in_chain(world: World) -> list[NodeView]:
    """The servers that have all of the state, head first, as far as they know of the newest chain.

    One that is down has it on its disk.
    """
    chain = world["master"].chain
    known = [world[name] for name in chain.servers]
    return [each for each in known if each.is_full and each.chain.epoch == chain.epoch]


@always(two_servers)
def update_propagation_invariant(world: World) -> bool | str:
    """What a server has is a prefix of what its predecessor has."""
    for before, after in pairwise(in_chain(world)):
        if after.last > before.last:
            return f"{after.name} is at {after.last}, before {before.name} at {before.last}"
        if before.stable <= after.last and before.state_at(after.last) != after.state:
            return f"{after.name} is at {after.last}, in another state than {before.name} was"
        if after.last == before.last and after.sessions != before.sessions:
            return f"{after.name} and {before.name} are at {after.last} by other updates"
    return True


@always(two_servers)
def states_are_what_sent_leads_to(world: World) -> bool | str:
    """A server's updates have the numbers from the stable one on, none twice and none left out."""
    for server in servers_of(world):
        numbers = [entry.number for entry in server.sent]
        is_whole = numbers == list(range(server.stable + 1, server.last + 1))
        if server.last < server.stable or not is_whole:
            return f"{server.name} has {numbers} between {server.stable} and {server.last}"
        if server.state_at(server.last) != server.state:
            return f"{server.name} is not in the state that its updates lead to"
    return True


@always(two_servers)
def what_is_stable_is_on_every_server(world: World) -> bool | str:
    """Only what all servers of the chain have is answered, or taken for answered."""
    for server in servers_of(world):
        for other in in_chain(world):
            if server.is_full and server.stable > other.last:
                return f"{server.name} takes {server.stable} for stable; {other.name} lacks it"
    return True


@always(two_servers)
def answered_updates_survive(world: World) -> bool | str:
    """Some server of the newest chain has all of the state that a client was told of."""
    chain = world["master"].chain
    full = [world[name] for name in chain.servers if world[name].is_full]
    for name, calls in world.history.lanes:
        for number, each in enumerate(calls, 1):
            told = each.done and isinstance(each.operation, Update)
            if not told or isinstance(each.result, Redirect):
                continue
            sessions = [server.sessions.get(name) for server in full]
            if not any(found and found.operation >= number for found in sessions):
                return f"update {number} of {name} was answered, and is gone"
    return True


@step_always(two_servers)
def numbers_only_grow(before: World, after: World) -> bool | str:
    """What a server has taken on stays, as long as it is in the chain, crash or not."""
    for server in servers_of(before):
        now = after[server.name]
        if server.joined == now.joined and now.last < server.last:
            return f"{server.name} went back from {server.last} to {now.last}"
    return True


@always(two_servers)
def clients_see_one_machine(world: World) -> bool | str:
    """Linearizable: each command takes effect once, between its request and its answer."""
    return see_one_machine(world, KeyValue())


# -- liveness -------------------------------------------------------------------------------------


@always(a_message_is_lost)
def what_is_not_stable_is_sent_again(world: World) -> bool | str:
    """A server that is up and knows of more than the tail has its timer set."""
    for server in servers_of(world):
        lacks = server.is_full and not server.is_tail and server.stable < server.last
        if server.is_up and lacks and "resend" not in server.timers:
            return f"{server.name} waits for an acknowledgement, for ever"
    return True


@quiescent(a_message_is_lost)
def the_chain_agrees_in_the_end(world: World) -> bool | str:
    """Every server of the newest chain that is up has everything, and knows that all have."""
    servers = [world[name] for name in world["master"].chain.servers]
    ends = {(each.last, each.stable): each.state for each in servers if each.is_up}
    agreed = len(ends) == 1 and all(last == stable for last, stable in ends)
    return agreed or f"the chain ends at {ends}"


THEOREMS = (
    update_propagation_invariant,
    states_are_what_sent_leads_to,
    what_is_stable_is_on_every_server,
    answered_updates_survive,
    clients_see_one_machine,
    what_is_not_stable_is_sent_again,
)
every_property = together(a_message_is_lost, *THEOREMS)


# -- honesty --------------------------------------------------------------------------------------


@reachable(three_servers)
def a_write_passes_along(world: World) -> bool:
    """The tail has answered it, and the head does not know yet."""
    return world["n3"].stable == 1 and world["n1"].stable == 0


@reachable(a_server_fails, victim="n3")
def a_new_tail_answers(world: World) -> bool:
    """c1 got its answer though n3 never had the write."""
    return world["n3"].last == 0 and any(each.done for each in world.history.of("c1"))


@reachable(a_server_fails, victim="n2")
def the_neighbours_of_a_failed_server_meet(world: World) -> bool:
    """n1 has told n3 what n2 had not passed on."""
    return world["n2"].last == 0 and world["n3"].last == 1


@reachable(the_head_fails)
def a_new_head_goes_on(world: World) -> bool:
    return any(each.done and each.result is None for each in world.history.of("c2"))


@reachable(a_server_joins)
def a_new_tail_gets_the_state(world: World) -> bool:
    """n2 has a snapshot and an update on top of it, and has answered c2 with it."""
    return any(each.result == 2 for each in world.history.of("c2") if each.done)


@reachable(a_server_joins)
def a_snapshot_is_copied(world: World) -> bool:
    """Snapshots come late, too."""
    sent = [each for each in world.in_flight if isinstance(each.message, Snapshot)]
    return world["n2"].last == 2 and bool(sent)


@reachable(the_only_full_server_fails)
def a_server_that_has_joined_takes_over(world: World) -> bool:
    return world["master"].chain.servers == ("n2",) and world["n2"].is_full


@reachable(a_tail_returns)
def a_tail_that_was_taken_out_learns_of_it(world: World) -> bool:
    return world["n2"].is_up and world["n2"].chain.epoch == 2


@bounded(within=lambda world: world["master"].chain.epoch <= 2)
def a_live_tail_is_taken_for_dead() -> World:
    """The watchdog is wrong: n2 is up."""
    clients = [client("c1", ("n1", X1)), client("c2", ("n1", READ), ("n2", READ))]
    world = chain_of(2, *clients, Watchdog("dog", "n2"))
    return along(world, "act dog report", "deliver dog -> master")


@reachable(a_live_tail_is_taken_for_dead)
def known_limit_a_live_tail_taken_for_dead_answers_from_the_past(world: World) -> bool:
    """What fail-stop is assumed for: c2 reads 1, and then nothing."""
    return clients_see_one_machine(world) is not True


updates_survive_even_then = answered_updates_survive.over(
    a_live_tail_is_taken_for_dead, "updates_survive_even_then"
)

# -- all of it, elsewhere -------------------------------------------------------------------------

with_two_servers = every_property.over(two_servers, "with_two_servers")
with_three_servers = every_property.over(three_servers, "with_three_servers")
when_the_head_fails = every_property.over(a_server_fails, "when_the_head_fails", victim="n1")
when_the_middle_fails = every_property.over(a_server_fails, "when_the_middle_fails", victim="n2")
when_the_tail_fails = every_property.over(a_server_fails, "when_the_tail_fails", victim="n3")
when_a_new_head_writes = every_property.over(the_head_fails, "when_a_new_head_writes")
when_a_tail_returns = every_property.over(a_tail_returns, "when_a_tail_returns")
when_a_server_restarts = every_property.over(a_server_restarts, "when_a_server_restarts")
when_a_server_joins = every_property.over(a_server_joins, "when_a_server_joins")
when_the_only_full_server_fails = every_property.over(
    the_only_full_server_fails, "when_the_only_full_server_fails"
)
in_rough_seas = every_property.over(rough_seas, "in_rough_seas")
numbers_grow_through_a_restart = numbers_only_grow.over(
    a_server_restarts, "numbers_grow_through_a_restart"
)
the_chain_agrees_on_ordered_links = the_chain_agrees_in_the_end.over(
    a_message_is_lost, "the_chain_agrees_on_ordered_links", network="ordered"
)
the_chain_agrees_without_its_middle = the_chain_agrees_in_the_end.over(
    the_middle_fails, "the_chain_agrees_without_its_middle"
)
