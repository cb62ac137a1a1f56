"""The store of replicated values: no update is lost, and in the end all stores agree.

Safety is judged on a duplicating network, where a message may arrive at any time, any number of
times, or never. What holds in the end is judged where each copy of a message arrives once.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Generator, Iterator
from itertools import permutations
from typing import Any

from happysim import (
    Faults,
    Script,
    World,
    always,
    bounded,
    call,
    quiescent,
    reachable,
    step_always,
)
from happysim.protocols.crdt import CRDTStore
from happysim.protocols.crdt.replica import Replica
from happysim.protocols.crdt.store import (
    Add,
    Assign,
    Differs,
    Get,
    Gossip,
    GossipAck,
    Increment,
    Offer,
    Remove,
    Set,
)
from properties.worlds import NETWORKS, no_copy_in_flight

ONE = Increment("n")
READ = Get("counter", "n")


def client(store: str, *requests: Any) -> Generator[Any, Any, None]:
    """Asks one store for one thing after the other."""
    for request in requests:
        yield call(store, request)


def store_world(
    requests: dict[str, tuple[Any, ...]],
    stores: tuple[str, ...] = ("a", "b"),
    kind: type[CRDTStore] = CRDTStore,
    network: str = "unordered",
    faults: Faults | None = None,
    digests: bool = False,
) -> World:
    """Stores, and a client for each store that has requests."""
    scripts = [Script(f"at_{store}", client, store, *asked) for store, asked in requests.items()]
    return World.of(
        *(kind(name, digests=digests) for name in stores),
        *scripts,
        network=NETWORKS[network](),
        faults=faults,
    )


# Gossip is sent until it is acknowledged: without a bound, any number of it may be in flight.


def no_gossip_overtakes(world: World) -> bool:
    """A tighter bound, for three stores: one gossip message on each link."""
    kinds = Gossip | GossipAck | Offer | Differs
    gossip = [each for each in world.in_flight if isinstance(each.message, kinds)]
    links = Counter((each.source, each.target) for each in gossip)
    return all(number == 1 for number in links.values())


# -- scenarios -----------------------------------------------------------------------------------


def counting(network: str = "duplicating") -> World:
    """Three increments at two stores, one of which crashes and loses what it has not synced."""
    faults = Faults(crashes=1, unsynced_loss=True)
    return store_world({"a": (ONE, ONE), "b": (ONE,)}, network=network, faults=faults)


def counting_at_three_stores() -> World:
    return store_world({"a": (ONE,), "b": (ONE,)}, ("a", "b", "c"), network="duplicating")


def counting_and_reading() -> World:
    return store_world({"a": (ONE, READ), "b": (ONE,)}, network="duplicating")


def registers() -> World:
    """Two stores are written, perhaps before they hear of each other."""
    requests = {"a": (Set("r", "x"),), "b": (Set("r", "y"),)}
    return store_world(requests, network="duplicating")


def sets() -> World:
    """1 and "1" are added at a; 1 is removed at b, which may or may not have seen it."""
    requests = {"a": (Add("s", 1), Add("s", "1")), "b": (Remove("s", 1),)}
    return store_world(requests, network="duplicating")


def values() -> World:
    """Two stores are written, perhaps before they hear of each other, and both values are kept."""
    requests = {"a": (Assign("v", "x"), Assign("v", "z")), "b": (Assign("v", "y"),)}
    return store_world(requests, network="duplicating")


@bounded(within=no_copy_in_flight)
def three_increments(network: str = "unordered") -> World:
    return store_world({"a": (ONE, ONE), "b": (ONE,)}, network=network)


@bounded(within=no_copy_in_flight)
def a_message_is_lost() -> World:
    return store_world({"a": (ONE,), "b": (ONE,)}, faults=Faults(drops=1))


@bounded(within=no_copy_in_flight)
def links_are_cut() -> World:
    """The stores are parted, and the links heal."""
    faults = Faults(partitions=1, heals=1, drops=1)
    return store_world({"a": (ONE,), "b": (ONE,)}, faults=faults)


@bounded(within=no_gossip_overtakes)
def by_digests(drops: int = 0, crashes: int = 0, partitions: int = 0) -> World:
    """Gossip begins with digests; and a message is lost, a store restarts, or links are cut."""
    faults = Faults(
        drops=drops, crashes=crashes, unsynced_loss=True, partitions=partitions, heals=partitions
    )
    return store_world({"a": (ONE,), "b": (ONE,)}, faults=faults, digests=True)


@bounded(within=no_copy_in_flight)
def a_store_restarts(network: str = "unordered") -> World:
    faults = Faults(crashes=1, unsynced_loss=True)
    return store_world({"a": (ONE,), "b": (ONE,)}, network=network, faults=faults)


@bounded(within=no_gossip_overtakes)
def a_message_to_two_stores_is_lost() -> World:
    return store_world({"a": (ONE,)}, ("a", "b", "c"), faults=Faults(drops=1))


@bounded(within=no_copy_in_flight)
def two_writes_to_one_register() -> World:
    return store_world({"a": (Set("r", "x"),), "b": (Set("r", "y"),)})


@bounded(within=no_copy_in_flight)
def an_element_returns() -> World:
    return store_world({"a": (Add("s", 1), Remove("s", 1), Add("s", 1))})


# -- what the properties speak of ------------------------------------------------------------------


def stores_of(world: World) -> tuple[Any, ...]:
    return world.nodes(CRDTStore)


def pairs(world: World) -> Iterator[tuple[Replica, Replica]]:
    """One key's replicas at two stores, in both orders, for every key that both have."""
    for one, other in permutations(stores_of(world), 2):
        theirs = other.entries
        yield from ((mine, theirs[key]) for key, mine in one.entries.items() if key in theirs)


def merged(one: Replica, other: Replica) -> Replica:
    made = one.copy()
    made.merge(other.state())
    return made


def adds_in(elements: Replica) -> set[Any]:
    """The adds that a set holds (a register: writes), each as (replica id, its number there)."""
    kind, _, kept = elements.state()
    if kind == "MVRegister":
        return {write for write, _ in kept}
    return {add for _, adds in kept for add in adds}


def has_seen(elements: Replica, add: Any) -> bool:
    """Whether a set has ever held an add, removed or not."""
    _, seen, _ = elements.state()
    replica, number = add
    return number <= dict(seen).get(replica, 0)


# -- safety --------------------------------------------------------------------------------------


@always(counting)
def every_increment_served_counts_once(world: World) -> bool:
    """All stores together know of each increment that one of them has served, and of no other."""
    known = [store.entries["counter", "n"] for store in stores_of(world) if store.entries]
    served = sum(sum(store.served.values()) for store in stores_of(world))
    if not known:
        return served == 0
    first, *others = known
    for other in others:
        first = merged(first, other)
    return first.value == served


@step_always(counting)
def stores_only_learn(before: World, after: World) -> bool:
    """Nothing that a store knew, a remove for instance, is ever forgotten, crash or not."""
    return all(
        key in now.entries and entry.leq(now.entries[key])
        for was, now in zip(stores_of(before), stores_of(after), strict=True)
        for key, entry in was.entries.items()
    )


@always(counting)
def every_replica_writes_under_its_own_id(world: World) -> bool:
    """Also one of a key first heard of by gossip: two writers under one id lose updates."""
    return all(
        entry.replica == store.replica_id
        for store in stores_of(world)
        for entry in store.entries.values()
    )


@always(counting)
def what_a_peer_lacks_is_known(world: World) -> bool:
    """Gossip ends only when the peer has everything: no store takes a peer to know more."""
    for store, peer in permutations(stores_of(world), 2):
        for key, entry in store.entries.items():
            theirs = peer.entries.get(key)
            has_all = theirs is not None and entry.leq(theirs)
            if store.is_up and not has_all and (peer.name, key) not in store.lacking:
                return False
    return True


@always(counting)
def a_store_gossips_while_a_peer_may_lack_something(world: World) -> bool:
    return all(("gossip" in store.timers) == bool(store.lacking) for store in stores_of(world))


@always(registers)
def any_two_stores_would_agree(world: World) -> bool:
    """Convergence, seen early: who merges whom makes no difference."""
    return all(merged(a, b).state() == merged(b, a).state() for a, b in pairs(world))


@always(sets)
def a_remove_takes_what_it_saw_and_nothing_else(world: World) -> bool:
    """Whatever one store has seen and removed stays away; what it has not seen comes."""
    for mine, theirs in pairs(world):
        kept = adds_in(merged(mine, theirs))
        for add in adds_in(theirs):
            was_removed_here = has_seen(mine, add) and add not in adds_in(mine)
            if (add in kept) == was_removed_here:
                return False
    return True


@always(sets)
def values_survive_a_round_trip(world: World) -> bool:
    """Through JSON and back a set is the same: 1 is not "1"."""
    return all(
        type(entry).from_dict(json.loads(json.dumps(entry.to_dict()))) == entry
        for store in stores_of(world)
        for entry in store.entries.values()
    )


@always(counting_and_reading)
def a_client_reads_its_own_increments(world: World) -> bool:
    increments = 0
    for each in world.history.of("at_a"):
        increments += each.operation == ONE
        if each.operation == READ and each.done and each.result < increments:
            return False
    return True


# -- in the end ----------------------------------------------------------------------------------


@quiescent(three_increments)
def all_stores_agree_in_the_end(world: World) -> bool:
    """Stores that are up; what only a dead one knows waits on its disk."""
    states = [
        [(key, entry.state()) for key, entry in store.entries.items()]
        for store in stores_of(world)
        if store.is_up
    ]
    return all(state == states[0] for state in states)


@quiescent(links_are_cut)
def stores_agree_once_links_heal(world: World) -> bool:
    """As long as they are cut, what one side knows it keeps."""
    counts = {store.value("counter", "n") for store in stores_of(world)}
    return world.partition is not None or counts == {2}


@quiescent(three_increments)
def three_increments_count_three(world: World) -> bool:
    return all(store.value("counter", "n") == 3 for store in stores_of(world))


@quiescent(a_store_restarts)
def two_increments_count_two_where_all_are_up(world: World) -> bool:
    counts = {store.value("counter", "n") for store in stores_of(world)}
    return counts == {2} or not all(store.is_up for store in stores_of(world))


@quiescent(two_writes_to_one_register)
def one_of_two_writes_stays(world: World) -> bool:
    """The later of the two in the order of (timestamp, store); on all stores the same."""
    values = {store.value("register", "r") for store in stores_of(world)}
    return values in ({"x"}, {"y"})


@quiescent(an_element_returns)
def an_element_added_again_is_in(world: World) -> bool:
    return all(store.value("set", "s") == (1,) for store in stores_of(world))


# -- honesty -------------------------------------------------------------------------------------


@reachable(counting)
def stores_disagree_for_a_while(world: World) -> bool:
    return world["a"].value("counter", "n") == 2 != world["b"].value("counter", "n") == 1


@reachable(sets)
def two_elements_look_alike(world: World) -> bool:
    return world["b"].value("set", "s") == (1, "1")


@reachable(sets)
def an_unseen_add_survives_a_remove(world: World) -> bool:
    """The client at b has had its answer, and 1 came later."""
    return world["b"].served == {"at_b": 1} and 1 in world["b"].value("set", "s")


@reachable(values)
def two_values_stand_side_by_side(world: World) -> bool:
    return world["b"].value("values", "v") == ("x", "y")


@reachable(values)
def a_write_that_has_seen_both_replaces_them(world: World) -> bool:
    return world["b"].value("values", "v") == ("z",) and world["b"].served == {"at_b": 1}


@reachable(links_are_cut)
def stores_are_parted(world: World) -> bool:
    counts = [store.value("counter", "n") for store in stores_of(world)]
    return world.partition is not None and counts == [1, 1]


@reachable(registers)
def two_writes_have_one_timestamp(world: World) -> bool:
    written = [store.entries["register", "r"] for store in stores_of(world) if store.entries]
    return [(each.writer, each.timestamp) for each in written] == [("a", 1), ("b", 1)]


# -- the same sentences of further scenarios -----------------------------------------------------

increments_at_three_stores_count_once = every_increment_served_counts_once.over(
    counting_at_three_stores, "increments_at_three_stores_count_once"
)
what_two_peers_lack_is_known = what_a_peer_lacks_is_known.over(
    counting_at_three_stores, "what_two_peers_lack_is_known"
)
any_two_of_three_stores_would_agree = any_two_stores_would_agree.over(
    counting_at_three_stores, "any_two_of_three_stores_would_agree"
)
registers_only_learn = stores_only_learn.over(registers, "registers_only_learn")
sets_only_learn = stores_only_learn.over(sets, "sets_only_learn")
any_two_sets_would_agree = any_two_stores_would_agree.over(sets, "any_two_sets_would_agree")

a_write_takes_what_it_saw_and_nothing_else = a_remove_takes_what_it_saw_and_nothing_else.over(
    values, "a_write_takes_what_it_saw_and_nothing_else"
)
values_only_learn = stores_only_learn.over(values, "values_only_learn")
any_two_registers_of_values_would_agree = any_two_stores_would_agree.over(
    values, "any_two_registers_of_values_would_agree"
)
values_of_a_register_survive_a_round_trip = values_survive_a_round_trip.over(
    values, "values_of_a_register_survive_a_round_trip"
)

stores_agree_by_digests = all_stores_agree_in_the_end.over(
    by_digests, "stores_agree_by_digests", drops=1
)
two_increments_count_two_by_digests = two_increments_count_two_where_all_are_up.over(
    by_digests, "two_increments_count_two_by_digests", drops=1
)
what_a_peer_lacks_is_known_by_digests = what_a_peer_lacks_is_known.over(
    by_digests, "what_a_peer_lacks_is_known_by_digests", crashes=1
)
stores_agree_by_digests_though_one_restarts = two_increments_count_two_where_all_are_up.over(
    by_digests, "stores_agree_by_digests_though_one_restarts", crashes=1
)
stores_agree_by_digests_once_links_heal = stores_agree_once_links_heal.over(
    by_digests, "stores_agree_by_digests_once_links_heal", partitions=1
)
stores_agree_though_a_message_is_lost = all_stores_agree_in_the_end.over(
    a_message_is_lost, "stores_agree_though_a_message_is_lost"
)
two_increments_count_though_a_message_is_lost = two_increments_count_two_where_all_are_up.over(
    a_message_is_lost, "two_increments_count_though_a_message_is_lost"
)
stores_agree_though_one_restarts = all_stores_agree_in_the_end.over(
    a_store_restarts, "stores_agree_though_one_restarts"
)
stores_agree_though_links_break = all_stores_agree_in_the_end.over(
    a_store_restarts, "stores_agree_though_links_break", network="ordered"
)
three_increments_count_three_in_order = three_increments_count_three.over(
    three_increments, "three_increments_count_three_in_order", network="ordered"
)
three_stores_agree_though_a_message_is_lost = all_stores_agree_in_the_end.over(
    a_message_to_two_stores_is_lost, "three_stores_agree_though_a_message_is_lost"
)
registers_agree_in_the_end = all_stores_agree_in_the_end.over(
    two_writes_to_one_register, "registers_agree_in_the_end"
)
