"""CRAQ under load, in virtual time: any server of a chain answers queries.

The load, the faults and the theorems are those of `properties/chain_in_time.py`.
"""

from __future__ import annotations

from typing import Any

from happysim import World, always, bounded, eventually, reachable
from happysim.protocols.chain import Reads
from properties import chain_in_time as chain
from properties.chain import servers_of
from properties.chain_in_time import UNDER_LOAD
from properties.counting import KEYS, Total
from properties.craq import queries_that_wait_are_asked_again


@bounded(by=UNDER_LOAD, unknown_passes=True)
def under_load(**load: Any) -> World:
    """A chain of which each server answers queries."""
    return chain.under_load(reads=Reads.ANY, **load)


@always(under_load)
def clean_means_committed(world: World) -> bool | str:
    """Where a key is clean, what a server has of it is what the tail is known to have."""
    for server in servers_of(world):
        for key in KEYS:
            query = Total(key, ("", 0), 0)
            if server.is_full and not server.is_dirty(query):
                here = server.machine.apply(server.state, query)[1]
                committed = server.machine.apply(server.stable_state, query)[1]
                if here != committed:
                    return f"{key} is clean at {server.name} as {here}; committed is {committed}"
    return True


counts_are_linearizable = chain.counts_are_linearizable.over(under_load)
prefixes = chain.prefixes_under_load.over(under_load, "prefixes")
states = chain.states_under_load.over(under_load, "states")
stable = chain.stable_under_load.over(under_load, "stable")
answers_survive = chain.answers_survive_under_load.over(under_load, "answers_survive")
queries_that_wait_are_asked_again_under_load = queries_that_wait_are_asked_again.over(
    under_load, "queries_that_wait_are_asked_again_under_load"
)
every_client_is_done = chain.every_client_is_done.over(under_load)
the_whole_chain_agrees = chain.the_whole_chain_agrees.over(under_load)


@eventually(under_load)
def no_query_is_left(world: World) -> bool:
    return not any(server.asking for server in servers_of(world))


@reachable(under_load)
def a_dirty_read_waits_for_the_tail(world: World) -> bool:
    return any(server.asking for server in servers_of(world))
