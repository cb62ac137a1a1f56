"""A network says who is connected by which link; a world keeps a copy and a search ignores it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from happysim import (
    Host,
    Link,
    Network,
    Node,
    ScenarioError,
    Script,
    World,
    bounded,
    call,
    constant,
    explore,
    local_network,
    on,
    ordered,
    satellite_network,
    slow_network,
    unordered,
)
from happysim.core.link import LOOPBACK
from tests.support.nodes import Ping

FAST, SLOW = Link(constant(0.001), name="fast"), slow_network(1)


class Sink(Node):
    """Answers each request."""

    @on(Ping)
    def ping(self, host: Host, sender: str, ping: Ping) -> None:
        host.respond(ping.value)


def asks(to: str) -> Any:
    yield call(to, Ping())


def test_a_link_set_comes_before_the_default_and_goes_one_way() -> None:
    network = Network(default=FAST)
    network.add_link("a", "b", SLOW)
    assert (network.link("a", "b"), network.link("b", "a")) == (SLOW, FAST)
    network.add_bidirectional_link(Sink("c"), "a", SLOW)
    assert (network.link("c", "a"), network.link("a", Sink("c"))) == (SLOW, SLOW)


def test_connecting_all_sets_each_link_both_ways_and_none_to_itself() -> None:
    network = Network(default=None)
    network.connect_all(["b", Sink("a"), "b", "c"], FAST)
    every = [(one, other) for one in "abc" for other in "abc" if one != other]
    assert network.links == dict.fromkeys(every, FAST)
    assert list(network.links) == every


def test_without_a_default_there_is_no_route_but_to_oneself() -> None:
    network = Network(default=None)
    assert network.link("a", "b") is None
    assert network.link("a", "a") is LOOPBACK
    assert (LOOPBACK.latency.max_ns, LOOPBACK.loss) == (0, 0)


def test_the_default_is_a_local_network_that_does_not_keep_order() -> None:
    network = Network()
    assert (network.name, network.default, network.delivery) == (
        "cluster",
        local_network(),
        unordered(),
    )
    bare = World.of(Sink("a"), network=ordered()).network
    assert (bare.default, bare.delivery, bare.links) == (local_network(), ordered(), {})


def test_what_joined_is_added_to_a_world_in_order_of_joining() -> None:
    network = Network(delivery=ordered())
    c = network.join(Sink("c"))
    network.join(Script("b", asks, "c"))
    network.join(Sink("d"))
    assert [each.name for each in network.members] == ["c", "b", "d"]
    assert World.of(network=network).tables.names == ("c", "b", "d")
    world = World.of(Sink("z"), c, network=network)
    assert world.tables.names == ("z", "c", "b", "d")
    assert world.tables.network is ordered()


def test_a_world_keeps_the_links_it_was_made_with() -> None:
    network = Network(default=FAST)
    world = World.of(Sink("a"), Sink("b"), network=network)
    network.add_link("a", "b", SLOW)
    network.join(Sink("c"))
    after = World.of(Sink("a"), Sink("b"), network=network)
    assert (world.network.link("a", "b"), after.network.link("a", "b")) == (FAST, SLOW)
    assert (world.tables.names, after.tables.names) == (("a", "b"), ("a", "b", "c"))
    for change in (
        lambda: world.network.add_link("a", "b", SLOW),
        lambda: world.network.join(Sink("c")),
    ):
        with pytest.raises(ScenarioError, match="that of a world and does not change"):
            change()


def test_a_search_ignores_links_and_a_world_is_equal_whatever_they_are() -> None:
    nodes = Sink("a"), Script("c", asks, "a")
    cut = World.of(*nodes, network=Network(default=None))
    free = World.of(*nodes)
    assert cut == free
    assert explore(cut).worlds == explore(free).worlds > 1


def test_worlds_of_one_scenario_share_their_links() -> None:
    @bounded()
    def two() -> dict[str, World]:
        return {
            "near": World.of(Sink("a"), network=Network(default=FAST)),
            "far": World.of(Sink("a"), network=Network(default=satellite_network())),
        }

    with pytest.raises(ScenarioError, match="same nodes, classes, network, links and faults"):
        explore(two)


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (lambda: Network(3), ["Network(3)", "as text"]),
        (lambda: Network(default=0.1), ["Network 'cluster': default is 0.1", "Link(constant("]),
        (lambda: Network(delivery="fifo"), ["delivery='fifo'", "ordered()"]),
        (lambda: Network().join("a"), ["nodes and client scripts join it, not 'a'"]),
        (lambda: Network().join(Sink), ["nodes and client scripts join it"]),
        (lambda: Network().add_link("a", "b", 0.1), ["from a to b is 0.1", "Link(constant("]),
        (lambda: Network().add_link("a", "a", FAST), ["a needs no link to itself"]),
        (lambda: Network().add_link(Sink, "a", FAST), ["is no node", "a node or its name"]),
        (lambda: Network().connect_all("abc", FAST), ["connect_all('abc')", "a list"]),
    ],
)
def test_what_is_no_node_or_no_link_is_refused_with_the_remedy(
    make: Callable[[], Any], parts: list[str]
) -> None:
    with pytest.raises(ScenarioError) as refused:
        make()
    assert [part for part in parts if part not in str(refused.value)] == []


def test_two_of_one_name_do_not_join() -> None:
    network = Network("east")
    network.join(Sink("a"))
    with pytest.raises(ScenarioError, match=r"'east'.*named 'a' has joined it already"):
        network.join(Script("a", asks, "b"))


def test_a_link_to_a_node_that_is_not_there_is_refused_before_anything_runs() -> None:
    network = Network("east")
    network.add_link("a", "z", FAST)
    with pytest.raises(ScenarioError, match=r"'east'.*from a to z names 'z'.*it has a, b"):
        World.of(Sink("a"), Sink("b"), network=network)


def test_no_node_at_all_is_refused() -> None:
    with pytest.raises(ScenarioError, match="holds no node"):
        World.of(network=Network())
