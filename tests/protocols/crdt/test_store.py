"""CRDTStore: what clients are answered, how stores come to agree, and when they come to rest."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from happysim import Faults, Host, Node, ProtocolError, Script, World, action, call, on
from happysim.protocols.crdt import CRDTStore, PNCounter
from happysim.protocols.crdt.store import (
    Add,
    Assign,
    Decrement,
    Get,
    Gossip,
    Increment,
    Remove,
    Set,
    Value,
)
from tests.support.hosts import noting


def client(store: str, *requests: Any) -> Generator[Any, Any, None]:
    for request in requests:
        yield call(store, request)


def world_of(faults: Faults | None = None, **requests: tuple[Any, ...]) -> World:
    """Stores a and b, and a client of each that has requests, named after it: at_a, at_b."""
    scripts = [Script(f"at_{store}", client, store, *asked) for store, asked in requests.items()]
    return World.of(CRDTStore("a"), CRDTStore("b"), *scripts, faults=faults)


def take(world: World, *beginnings: str) -> World:
    """Take the first choice with each of these beginnings in turn."""
    for beginning in beginnings:
        found = [each for each in world.choices() if str(each).startswith(beginning)]
        assert found, f"no {beginning} among {world.choices()}"
        world = world.step(found[0])
    return world


def ask(world: World, *stores: str) -> World:
    """Let the client of each store make its next request and hear the answer."""
    for store in stores:
        at = f"at_{store}"
        world = take(world, f"invoke {at}", f"deliver {at} ->", f"deliver {store} -> {at}")
    return world


def answers(world: World, store: str) -> list[Any]:
    return [each.result for each in world.history.of(f"at_{store}")]


TELL_B = ("fire a gossip", "deliver a -> b Gossip", "deliver b -> a GossipAck")


@pytest.mark.parametrize(
    ("updates", "kind", "value"),
    [
        ((), "counter", 0),
        ((Increment("k", 3), Decrement("k")), "counter", 2),
        ((), "register", None),
        ((Set("k", "x"), Set("k", (1, "y"))), "register", (1, "y")),
        ((), "values", ()),
        ((Assign("k", "x"), Assign("k", "y")), "values", ("y",)),
        ((), "set", ()),
        (
            (Add("k", "1"), Add("k", 1), Add("k", 2), Remove("k", 2), Remove("k", 3)),
            "set",
            (1, "1"),
        ),
    ],
)
def test_a_client_reads_what_it_wrote_and_so_does_another_after_gossip(
    updates: tuple[Any, ...], kind: str, value: Any
) -> None:
    world = world_of(a=(*updates, Get(kind, "k")), b=(Get(kind, "k"),))
    world = ask(world, *"a" * (len(updates) + 1))
    assert answers(world, "a") == [None] * len(updates) + [value]
    if updates:
        world = take(world, *TELL_B)
    assert answers(ask(world, "b"), "b") == [value]


def test_a_name_may_be_a_counter_here_and_a_set_there() -> None:
    """Two stores that have not heard of each other cannot be kept from that."""
    world = take(ask(world_of(a=(Increment("k"),), b=(Add("k", 1),)), "a", "b"), *TELL_B)
    assert (world["b"].value("counter", "k"), world["b"].value("set", "k")) == (1, (1,))


def test_gossip_is_sent_until_it_is_acknowledged_and_no_longer() -> None:
    world = ask(world_of(Faults(drops=2), a=(Increment("n"),)), "a")
    world = take(world, "fire a gossip", "drop a -> b Gossip")
    world = take(world, "fire a gossip", "deliver a -> b Gossip", "drop b -> a GossipAck")
    assert world["a"].timers == ("gossip",)
    world = take(world, *TELL_B)
    assert (world["a"].timers, world["b"].timers) == ((), ())
    assert world.is_quiescent


def test_an_acknowledgement_of_an_older_state_does_not_end_the_gossip() -> None:
    world = ask(world_of(a=(Increment("n"), Increment("n"))), "a")
    world = take(world, "fire a gossip", "deliver a -> b Gossip")
    world = ask(world, "a")
    assert [each.target for each in world.in_flight] == ["a"]
    assert not any(str(each).startswith("deliver b -> a") for each in world.choices())
    world = take(world, *TELL_B)
    assert world["b"].value("counter", "n") == 2
    assert world["a"].timers == ()


def test_what_is_new_is_told_to_the_others_and_what_is_known_is_not() -> None:
    counter, key = PNCounter("a"), ("counter", "n")
    store, (host, _) = CRDTStore("b"), noting("a", "c")
    for lacking in ({("c", key)}, set()):
        counter.increment() if lacking else None
        store.hear(host, "a", Gossip(((key, counter.state()),)))
        assert set(store.lacking) == lacking
        store.lacking.clear()


def test_only_who_may_lack_something_is_told() -> None:
    counter, key = PNCounter("a"), ("counter", "n")
    counter.increment()
    store, (host, sent) = CRDTStore("b"), noting("a", "c")
    store.hear(host, "a", Gossip(((key, counter.state()),)))
    sent.clear()
    store.gossip(host)
    assert sent == [("c", Gossip(((key, store.entries[key].state()),)))]


def test_an_acknowledgement_brings_what_the_other_lacks() -> None:
    world = ask(world_of(a=(Increment("n"),), b=(Increment("n", 4),)), "a", "b")
    assert take(world, *TELL_B)["a"].value("counter", "n") == 5


def test_a_key_first_heard_of_by_gossip_is_counted_under_the_id_of_the_receiver() -> None:
    world = ask(world_of(a=(Increment("n"), Increment("n")), b=(Increment("n"),)), "a")
    world = take(world, *TELL_B)
    world = take(ask(world, "a", "b"), *TELL_B)
    assert world["a"].value("counter", "n") == 3
    assert world["b"].entries["counter", "n"].replica == "b"


def test_a_store_writes_under_its_node_id_where_one_is_given() -> None:
    world = World.of(CRDTStore("a", node_id="a.2"), Script("c", client, "a", Increment("n")))
    world = take(world, "invoke c", "deliver c ->")
    assert world["a"].entries["counter", "n"].replica == "a.2"


def test_a_restarted_store_has_every_update_that_it_answered_and_tells_them_again() -> None:
    faults = Faults(crashes=1, crashable=("a",), unsynced_loss=True)
    world = ask(world_of(faults, a=(Increment("n"), Increment("n"))), "a", "a")
    world = take(world, "crash a", "restart a", *TELL_B)
    assert world["b"].value("counter", "n") == 2


def test_a_copy_of_a_request_that_was_served_changes_nothing() -> None:
    world = take(world_of(Faults(duplicates=1), a=(Increment("n"),)), "invoke at_a", "duplicate")
    world = take(world, "deliver at_a -> a")
    assert not any(str(each).startswith("deliver at_a -> a") for each in world.choices())
    assert world["a"].value("counter", "n") == 1


class Reader(Node):
    """A client that is a node."""

    read: tuple[Value, ...] = ()

    @action(when=lambda self: not self.read)
    def ask(self, host: Host) -> None:
        host.send("a", Increment("n"))
        host.send("a", Get("counter", "n"))

    @on(Value)
    def note(self, host: Host, sender: str, answer: Value) -> None:
        self.read = (*self.read, answer)


def test_a_node_is_answered_with_messages_and_to_reads_only() -> None:
    world = take(World.of(CRDTStore("a"), Reader("r")), "act r ask", "deliver r -> a Increment")
    world = take(world, "deliver r -> a Get", "deliver a -> r Value")
    assert world["r"].read == (Value("counter", "n", 1),)


def test_a_read_of_an_unknown_kind_says_which_there_are() -> None:
    world = take(world_of(a=(Get("bag", "k"),)), "invoke at_a")
    with pytest.raises(
        ProtocolError, match=r"'bag'.* kinds are 'counter', 'register', 'values', 'set'"
    ):
        world.choices()


def test_a_store_joins_its_network_and_does_not_keep_it() -> None:
    class Joined(list[Any]):
        join = list.append

    network = Joined()
    store = CRDTStore(name="store", node_id="node-1", network=network)
    assert network == [store]
    assert store.replica_id == "node-1"
    assert "network" not in CRDTStore.happysim_fields


def test_with_digests_only_states_that_differ_travel() -> None:
    a, b = CRDTStore("a", digests=True), CRDTStore("b", digests=True)
    scripts = [Script(f"at_{at}", client, at, Increment("n")) for at in ("a", "b")]
    world = ask(World.of(a, b, *scripts), "a", "b")
    world = take(world, "fire a gossip", "deliver a -> b Offer", "deliver b -> a Differs")
    assert world["a"].value("counter", "n") == 2
    world = take(world, "deliver a -> b Gossip")
    assert world["b"].timers == ()
    # The acknowledgement is late: the next offer finds nothing that differs.
    world = take(world, "fire a gossip", "deliver a -> b Offer", "deliver b -> a Differs(same=(((")
    assert world["a"].timers == ()
