"""CRAQ: every server answers queries, and clients still see one machine.

The scenarios are those of `properties/chain.py`, with queries at every server of the chain.
"""

from __future__ import annotations

from typing import Any

from happysim import Get, Put, World, always, bounded, quiescent, reachable, together
from happysim.protocols.chain import ChainServer, Query, Update
from properties import chain
from properties.chain import (
    READ,
    X1,
    X2,
    a_server_joins,
    chain_of,
    client,
    in_chain,
    no_more_pings,
    reported_is_down,
    servers_of,
)
from properties.worlds import along, ask, no_copy_in_flight

Y1, READ_Y = Update(Put("y", 1)), Query(Get("y"))

# -- scenarios ------------------------------------------------------------------------------------


def two_writes(kind: type[ChainServer] = ChainServer, **options: Any) -> World:
    """The head has two new versions of one key. They are read there, and then at the tail."""
    clients = [
        client("c1", ("n1", X1)),
        client("c2", ("n1", X2)),
        client("c3", ("n1", READ), ("n2", READ)),
    ]
    world = chain_of(2, *clients, kind=kind, reads="any", **options)
    return along(world, *ask("c1", "n1"), *ask("c2", "n1"))


def two_keys(kind: type[ChainServer] = ChainServer, **options: Any) -> World:
    """One key is dirty, another clean."""
    clients = [
        client("c1", ("n1", X1), ("n1", READ_Y)),
        client("c2", ("n1", Y1), ("n1", READ)),
    ]
    return chain_of(2, *clients, kind=kind, reads="any", **options)


def reads_at_three(kind: type[ChainServer] = ChainServer, **options: Any) -> World:
    """One client reads along the chain, from its end and from its beginning."""
    clients = [client("c1", ("n1", X1)), client("c2", ("n3", READ), ("n2", READ), ("n1", READ))]
    return chain_of(3, *clients, kind=kind, reads="any", **options)


def reads_down_the_chain(kind: type[ChainServer] = ChainServer, **options: Any) -> World:
    clients = [client("c1", ("n1", X1)), client("c2", ("n1", READ), ("n2", READ), ("n3", READ))]
    return chain_of(3, *clients, kind=kind, reads="any", **options)


@bounded(within=reported_is_down)
def a_server_fails(victim: str, kind: type[ChainServer] = ChainServer, **options: Any) -> World:
    """One of three, at any time, and does not come back. Those that are left are read."""
    return chain.a_server_fails(victim, kind, reads="any", **options)


def the_head_fails(kind: type[ChainServer] = ChainServer, **options: Any) -> World:
    return chain.the_head_fails(kind, reads="any", **options)


@bounded(within=no_copy_in_flight)
def a_dirty_read_at_the_end(kind: type[ChainServer] = ChainServer, **options: Any) -> World:
    """A query waits for the tail, and one message may be lost."""
    clients = [client("c1", ("n1", X1)), client("c2", ("n1", READ))]
    options = {"network": "unordered", "faults": chain.Faults(drops=1), **options}
    world = chain_of(2, *clients, kind=kind, reads="any", **options)
    return along(world, *ask("c1", "n1"), *ask("c2", "n1"))


# -- safety ---------------------------------------------------------------------------------------


@always(two_writes)
def clean_means_committed_at_the_tail(world: World) -> bool | str:
    """Where a key is clean its value is that after the last update which the tail has."""
    for server in in_chain(world):
        tail = world[world["master"].chain.tail]
        if tail.is_full and server.stable > tail.last:
            return f"{server.name} takes {server.stable} for committed; the tail is at {tail.last}"
        for key in ("x", "y"):
            query = Get(key)
            _, here = server.machine.apply(server.state, query)
            _, committed = server.machine.apply(server.stable_state, query)
            if not server.is_dirty(query) and here != committed:
                return f"{key} is clean at {server.name} as {here}; committed is {committed}"
    return True


@always(two_writes)
def queries_that_wait_are_asked_again(world: World) -> bool | str:
    """No query hangs because of a message between servers."""
    for server in servers_of(world):
        waits = server.is_up and server.is_full and server.asking
        if waits and "resend" not in server.timers:
            return f"{server.name} waits for a version, for ever"
    return True


@quiescent(a_dirty_read_at_the_end)
def no_query_is_left(world: World) -> bool:
    return not any(server.asking for server in servers_of(world))


every_property = together(
    two_writes,
    *chain.THEOREMS,
    clean_means_committed_at_the_tail,
    queries_that_wait_are_asked_again,
)
# At whichever server: no client sees the value go back.
reads_are_linearizable_anywhere = chain.clients_see_one_machine.over(
    two_writes, "reads_are_linearizable_anywhere"
)


# -- honesty --------------------------------------------------------------------------------------


@reachable(two_writes)
def the_head_answers_a_clean_read(world: World) -> bool:
    """c3 has a value from the head, which asked nobody."""
    c3 = world.history.of("c3")
    return bool(c3) and c3[0].done and c3[0].result == 2


@reachable(two_writes)
def a_dirty_read_waits_for_the_tail(world: World) -> bool:
    return bool(world["n1"].asking)


@reachable(two_writes)
def an_older_version_is_answered(world: World) -> bool:
    """The head has both versions; the tail has committed one, and c3 gets that."""
    c3 = world.history.of("c3")
    return bool(c3) and c3[0].done and c3[0].result == 1 and world["n1"].last == 2


@reachable(two_keys)
def a_clean_key_is_read_beside_a_dirty_one(world: World) -> bool:
    """c2 has its answer from the head while y is dirty there."""
    c2 = world.history.of("c2")
    return len(c2) == 2 and c2[1].done and world["n1"].is_dirty(Get("x"))


# -- all of it, elsewhere -------------------------------------------------------------------------

with_two_keys = every_property.over(two_keys, "with_two_keys")
reading_up_the_chain = every_property.over(reads_at_three, "reading_up_the_chain")
reading_down_the_chain = every_property.over(reads_down_the_chain, "reading_down_the_chain")
when_the_head_fails = every_property.over(a_server_fails, "when_the_head_fails", victim="n1")
when_the_middle_fails = every_property.over(a_server_fails, "when_the_middle_fails", victim="n2")
when_the_tail_fails = every_property.over(a_server_fails, "when_the_tail_fails", victim="n3")
when_a_new_head_writes = every_property.over(the_head_fails, "when_a_new_head_writes")


@bounded(within=no_more_pings)
def a_server_joins_the_readers(kind: type[ChainServer] = ChainServer, **options: Any) -> World:
    return a_server_joins(kind, reads="any", **options)


when_a_server_joins = every_property.over(a_server_joins_the_readers, "when_a_server_joins")
