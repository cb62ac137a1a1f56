"""What the servers and the master of a chain do, along schedules made by hand."""

from __future__ import annotations

from typing import Any, cast

import pytest

from happysim import Faults, Get, Host, KeyValue, ProtocolError, Put
from happysim.core.script import Operation
from happysim.protocols.chain import (
    Chain,
    ChainMaster,
    ChainServer,
    CurrentChain,
    Failed,
    Forward,
    Joined,
    Reads,
    Redirect,
    Snapshot,
    first_chain,
)
from happysim.protocols.chain.messages import Entry
from happysim.protocols.machine import Journal
from properties.chain import (
    READ,
    X1,
    X2,
    Watchdog,
    a_server_joins,
    a_tail_returns,
    chain_of,
    client,
)
from properties.worlds import along, ask
from tests.support.hosts import Noting, noting
from tests.support.worlds import answers


def test_an_update_is_answered_by_the_tail_and_acknowledged_up_the_chain() -> None:
    world = along(chain_of(3, client("c1", ("n1", X1)), network="unordered"), *ask("c1", "n1"))
    world = along(world, "deliver n1 -> n2 Forward", "deliver n2 -> n3 Forward")
    assert answers(along(world, "deliver n3 -> c1"), "c1") == [None]
    assert (world["n3"].stable, world["n2"].stable, world["n1"].stable) == (1, 0, 0)
    world = along(world, "deliver n3 -> n2 Ack", "deliver n2 -> n1 Ack(epoch=1, last=1, stable=1)")
    assert world["n1"].sent == []
    assert world["n1"].timers == ()


def test_updates_that_overtake_each_other_are_taken_in_order() -> None:
    clients = [client("c1", ("n1", X1)), client("c2", ("n1", X2))]
    world = along(chain_of(2, *clients, network="unordered"), *ask("c1", "n1"), *ask("c2", "n1"))
    both = tuple(world["n1"].sent)
    world = along(world, "deliver n1 -> n2 Forward(epoch=1, previous=1")
    assert world["n2"].last == 0
    world = along(world, "fire n1 resend", f"deliver n1 -> n2 {Forward(1, 0, both)}")
    assert (world["n2"].last, world["n2"].state) == (2, (("x", 2),))


def test_requests_are_sent_to_where_they_are_served() -> None:
    world = chain_of(2, client("c1", ("n2", X1), ("n1", READ)))
    for server in ("n2", "n1"):
        world = along(world, *ask("c1", server), f"deliver {server} -> c1")
    assert answers(world, "c1") == [Redirect("n1"), Redirect("n2")]


@pytest.mark.parametrize(
    ("machine", "dirty"),
    [(KeyValue(), {"x": True, "y": False}), (Journal(), {"x": True, "y": True})],
)
def test_a_key_is_dirty_by_its_own_versions_and_where_there_are_no_keys_by_any(
    machine: Any, dirty: dict[str, bool]
) -> None:
    server = ChainServer("n1", first_chain("n1", "n2"), Reads.ANY, machine=machine)
    assert not any(server.is_dirty(Get(key)) for key in dirty)
    server.sent = [Entry(1, Put("x", 1), Operation("c1", 1))]
    assert {key: server.is_dirty(Get(key)) for key in dirty} == dirty


@pytest.mark.parametrize(("dirty", "asked"), [(False, 0), (True, 1)])
def test_craq_answers_a_clean_key_alone_and_asks_the_tail_of_a_dirty_one(
    dirty: bool, asked: int
) -> None:
    clients = [client("c1", ("n1", X1)), client("c2", ("n1", READ))]
    world = chain_of(2, *clients, reads="any", network="unordered")
    world = along(world, *(ask("c1", "n1") if dirty else ()), *ask("c2", "n1"))
    assert len(world["n1"].asking) == asked
    if dirty:
        world = along(world, "deliver n1 -> n2 AskVersion", "deliver n2 -> n1 Version(number=0")
    assert answers(along(world, "deliver n1 -> c2"), "c2") == [None]


def test_a_tail_that_restarts_asks_for_the_newest_chain_before_it_answers() -> None:
    world = along(a_tail_returns(), "restart n2", *ask("c1", "n1"))
    world = along(world, *ask("c2", "n2"), "deliver n2 -> c2")
    assert answers(world, "c2") == [Redirect("n2")]
    news = CurrentChain(Chain(2, ("n1",)), life=2)
    world = along(world, "deliver n2 -> master Hello(life=2)", f"deliver master -> n2 {news}")
    assert world["n2"].chain == Chain(2, ("n1",))
    assert world["n2"].is_sure


def test_a_server_that_joins_is_full_once_it_has_the_state() -> None:
    world = a_server_joins(network="unordered")
    chain = world["master"].chain
    assert chain == Chain(2, ("n1", "n2"), (("n2", 2),))
    world = along(world, "deliver master -> n2 CurrentChain(chain=Chain(epoch=2")
    assert not world["n2"].is_full
    world = along(
        world, "deliver master -> n1 CurrentChain(chain=Chain(epoch=2", "deliver n1 -> n2 Snapshot"
    )
    assert world["n2"].is_full
    assert world["n2"].state == world["n1"].state == (("x", 1),)
    world = along(world, "deliver n2 -> master Joined(since=2)")
    assert world["master"].chain == Chain(2, ("n1", "n2"))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (first_chain, "name each server"),
        (lambda: first_chain("n1", "n1"), "once"),
        (lambda: ChainMaster("m", ["n1"]), "a tuple of names"),
        (lambda: ChainMaster("m", ("n1",), spares=("n1",)), "are in servers, too"),
    ],
)
def test_a_wrong_chain_is_refused(make: Any, says: str) -> None:
    with pytest.raises(ProtocolError, match=says):
        make()


@pytest.mark.parametrize(("sender", "epoch"), [("n3", 1), ("n9", 1), ("n1", 0), ("n1", 2)], ids=str)
def test_updates_are_taken_from_the_predecessor_in_this_epoch_alone(
    sender: str, epoch: int
) -> None:
    server = ChainServer("n2", first_chain("n1", "n2", "n3"))
    update = Entry(1, "x", Operation("c1", 1))
    server.take_updates(cast(Host, None), sender, Forward(epoch, 0, (update,)))
    assert (server.last, server.sent) == (0, [])


class Network:
    """A host that sends nothing."""

    def sync(self) -> None:
        """Nothing gets lost."""

    def broadcast(self, sent: object, to: object) -> None:
        """Nobody is there."""


def test_a_server_that_is_reported_dead_does_not_count_as_heard_of() -> None:
    master, host = ChainMaster("master", ("n1", "n2")), cast(Host, Network())
    master.heard = {"n1", "n2"}
    master.take_report(host, "n1", Failed("n2"))
    assert (master.chain, master.heard) == (Chain(2, ("n1",)), {"n1"})
    assert not master.is_back("n2")


def test_a_server_that_fails_while_it_joins_leaves_the_place_to_another() -> None:
    master, host = ChainMaster("master", ("n1",), spares=("n2", "n3")), cast(Host, Network())
    master.append(host, "n2")
    assert master.chain == Chain(2, ("n1", "n2"), (("n2", 2),))
    master.heard = {"n1", "n3"}
    assert not master.is_back("n3")
    master.take_out(host, "n2")
    assert master.chain == Chain(3, ("n1",))
    assert master.is_back("n3")


def test_who_does_not_answer_a_ping_is_out_with_the_next_and_back_when_it_answers_again() -> None:
    world = along(chain_of(3, pings=True, network="unordered"), "fire master")
    for server in ("n1", "n3"):
        world = along(world, f"deliver master -> {server} CurrentChain", f"deliver {server}")
    world = along(world, "fire master")
    assert world["master"].chain == Chain(2, ("n1", "n3"))
    assert world["master"].timers == ("check",)
    for server, epoch in (("n1", 2), ("n2", 1), ("n3", 2)):
        ping = f"deliver master -> {server} CurrentChain(chain=Chain(epoch={epoch}"
        world = along(world, ping, f"deliver {server} -> master Here")
    world = along(world, "fire master")
    assert world["master"].chain == Chain(3, ("n1", "n3", "n2"), (("n2", 3),))


def test_who_has_yet_to_get_the_state_stays_so_when_another_fails() -> None:
    master, host = ChainMaster("master", ("n1", "n2"), spares=("n3",)), cast(Host, Network())
    master.append(host, "n3")
    master.take_out(host, "n1")
    assert master.chain == Chain(3, ("n2", "n3"), (("n3", 2),))
    master.take_out(host, "n2")
    assert master.chain.epoch == 3  # n3 alone would have nothing


def test_only_the_joining_that_is_under_way_comes_to_an_end() -> None:
    master = ChainMaster(
        "master", ("n1",), spares=("n2",), chain=Chain(5, ("n1", "n2"), (("n2", 5),))
    )
    host, _ = noting()
    master.take_joined(host, "n2", Joined(3))
    assert master.chain.joining == (("n2", 5),)
    master.take_joined(host, "n2", Joined(5))
    assert master.chain == Chain(5, ("n1", "n2"))


def test_what_the_master_decides_is_on_its_disk_before_anybody_hears_of_it() -> None:
    master, host = ChainMaster("master", ("n1", "n2")), Noting()
    master.take_report(cast(Host, host), "n1", Failed("n2"))
    assert (host.syncs, len(host.sent)) == (1, 2)
    master.append(cast(Host, host), "n2")
    master.take_joined(cast(Host, host), "n2", Joined(3))
    assert (master.chain.joining, host.syncs) == ((), 2)


def test_a_server_has_its_life_and_the_newest_chain_on_its_disk() -> None:
    server, host = ChainServer("n2", first_chain("n1", "n2")), Noting()
    server.on_start(cast(Host, host))
    assert (server.life, host.syncs) == (1, 1)
    server.take_chain(cast(Host, host), "master", CurrentChain(Chain(2, ("n1",))))
    assert (server.chain.epoch, host.syncs) == (2, 2)


def test_a_copy_of_an_update_is_answered_again_by_the_head_and_not_applied_again() -> None:
    world = chain_of(1, client("c1", ("n1", X1)), faults=Faults(duplicates=1), network="unordered")
    world = along(world, "invoke c1", "duplicate c1 -> n1 Update", "deliver c1 -> n1 Update")
    world = along(world, "deliver c1 -> n1 Update")
    assert [each.target for each in world.in_flight] == ["c1", "c1"]
    assert world["n1"].last == 1


def test_a_new_successor_is_asked_how_far_it_is_and_sent_no_more_than_it_lacks() -> None:
    world = chain_of(3, client("c1", ("n1", X1)), Watchdog("dog", "n2"), network="unordered")
    world = along(world, *ask("c1", "n1"), "act dog", "deliver dog -> master")
    world = along(world, "deliver master -> n1 CurrentChain", "deliver master -> n3 CurrentChain")
    assert f"deliver n1 -> n3 {Forward(2, 1, ())}" in map(str, world.choices())
    assert not any(isinstance(each.message, Snapshot) for each in world.in_flight)
    world = along(world, f"deliver n1 -> n3 {Forward(2, 1, ())}", "deliver n3 -> n1 Ack(epoch=2")
    assert f"deliver n1 -> n3 {Forward(2, 0, tuple(world['n1'].sent))}" in map(str, world.choices())


def test_only_a_tail_that_may_answer_names_a_version() -> None:
    """n1 takes n2, which has been the tail, and has forgotten whether it is, for the tail."""
    clients = [client("c1", ("n1", X1)), client("c2", ("n1", READ))]
    faults = Faults(crashes=1, restarts=1, crashable=("n2",))
    world = chain_of(2, *clients, reads="any", faults=faults, network="unordered")
    world = along(world, *ask("c1", "n1"), *ask("c2", "n1"), "crash n2", "restart n2")
    before = len(world.in_flight)
    assert not any(str(each).startswith("deliver n1 -> n2 AskV") for each in world.choices())
    assert len(world.in_flight) == before


def test_neighbours_in_a_chain() -> None:
    chain = first_chain("a", "b", "c")
    assert (chain.before("a"), chain.before("c"), chain.before("x")) == (None, "b", None)
    assert (chain.after("a"), chain.after("c"), chain.after("x")) == ("b", None, None)
