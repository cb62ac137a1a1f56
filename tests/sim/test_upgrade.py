"""Rolling upgrades: a node restarts as another class, in a search and in a simulation."""

from __future__ import annotations

from typing import Any

import pytest

from happysim.core.choice import Faults, unlimited
from happysim.core.errors import ProtocolError, ScenarioError
from happysim.core.freeze import freeze
from happysim.core.host import Host
from happysim.core.message import message
from happysim.core.node import Node, durable, on
from happysim.core.world import World
from happysim.search.check import check, explore
from happysim.search.schedule import follow
from happysim.sim.disk import Disk
from happysim.sim.nemesis import at, randomly
from happysim.sim.node_faults import Upgrade
from happysim.sim.simulation import Simulation
from happysim.spec.property import always
from happysim.spec.verdict import Broken


@message
class Add:
    amount: int


@message
class AddMany:
    amounts: tuple[int, ...]


class Counter(Node):
    """Adds what it is sent and passes it on."""

    total: int = durable(0)
    gone: int = durable(7)
    limit: int = 100
    seen: int = 0

    def on_start(self, host: Host) -> None:
        host.set_timer("beat", seconds=1)

    @on.timer("beat")
    def beat(self, host: Host) -> None:
        host.broadcast(Add(1))
        host.set_timer("beat", seconds=1)

    @on(Add)
    def add(self, host: Host, sender: str, add: Add) -> None:
        self.total += add.amount
        self.seen += 1


class Counter2(Counter):
    """Sends several amounts at once, and counts how often."""

    batches: int = durable(0)

    @on.timer("beat")
    def beat(self, host: Host) -> None:
        host.broadcast(AddMany((1, 1)))
        host.set_timer("beat", seconds=1)

    @on(AddMany)
    def add_many(self, host: Host, sender: str, many: AddMany) -> None:
        self.total += sum(many.amounts)
        self.batches += 1


class Halves(Node):
    """Keeps its total in two halves; it was written anew and shares no code."""

    low: int = durable(0)
    high: int = durable(0)

    @classmethod
    def migrate(cls, fields: dict[str, Any]) -> dict[str, Any]:
        return {"low": fields["total"] % 10, "high": fields["total"] // 10}


BOTH = (("a", Counter2), ("b", Counter2))


def pair(*upgrades: tuple[str, type], limit: int = 5, **more: Any) -> World:
    faults = Faults(crashes=2, upgrades=upgrades or BOTH, **more)
    return World.of(Counter("a", limit=limit), Counter("b"), faults=faults)


def test_nodes_are_listed_by_the_class_that_they_run_now() -> None:
    world = pair().after("crash a", "restart a as Counter2")
    for seen in (world, Simulation(world).world):
        assert [node.name for node in seen.nodes(Counter2)] == ["a"]
        assert [node.name for node in seen.nodes(Counter)] == ["a", "b"]


def test_an_upgrade_is_a_restart_and_carries_durable_fields_over_by_name() -> None:
    world = pair().after("fire b beat", "deliver b -> a Add(amount=1)", "crash a")
    restarts = [str(each) for each in world.choices() if str(each).startswith("restart")]
    assert restarts == ["restart a", "restart a as Counter2"]
    new = world.step("restart a as Counter2")["a"]
    # What is new begins as declared, what is volatile as the old node was made.
    assert (new.total, new.gone, new.batches, new.limit, new.seen) == (1, 7, 0, 5, 0)
    assert new.timers == ("beat",)


def test_the_new_class_runs_from_then_on_and_there_is_no_way_back() -> None:
    world = pair(ignores_unknown=True).after("crash a", "restart a as Counter2", "crash a")
    assert [str(each) for each in world.choices() if "restart" in str(each)] == ["restart a"]
    again = world.after("restart a", "fire a beat")
    assert [str(each.message) for each in again.in_flight] == ["AddMany(amounts=(1, 1))"]


def test_a_class_may_say_how_fields_are_converted() -> None:
    world = World.of(Counter("a", total=42), faults=Faults(crashes=1, upgrades=(("a", Halves),)))
    new = world.after("crash a", "restart a as Halves")["a"]
    assert (new.low, new.high) == (2, 4)
    assert "a.low = 2" in world.after("crash a", "restart a as Halves").lines()


def test_what_migrate_has_no_place_for_is_an_error() -> None:
    class Careless(Node):
        @classmethod
        def migrate(cls, fields: dict[str, Any]) -> dict[str, Any]:
            return fields

    world = pair(("a", Careless))
    with pytest.raises(ProtocolError, match="it gave gone, total; the durable fields of Careless"):
        world.after("crash a", "restart a as Careless")


def test_a_message_that_a_node_does_not_handle_is_an_error_or_dropped() -> None:
    steps = ["crash a", "restart a as Counter2", "fire a beat"]
    unknown = "deliver a -> b AddMany(amounts=(1, 1))"
    with pytest.raises(ProtocolError, match="b runs Counter, which does not handle AddMany"):
        pair().after(*steps).step(unknown)
    world = pair(ignores_unknown=True).after(*steps)
    assert unknown not in [str(each) for each in world.choices()]
    after = world.after("crash b", "restart b as Counter2", unknown)
    assert after["b"].total == 2


@pytest.mark.parametrize(
    ("upgrades", "complaint"),
    [
        ((("z", Counter2),), "'z' is no node of this world"),
        ((("a", int),), "<class 'int'> is no class of nodes"),
    ],
)
def test_upgrades_that_make_no_sense_are_refused(upgrades: Any, complaint: str) -> None:
    with pytest.raises(ScenarioError, match=complaint):
        pair(*upgrades)


def test_a_search_tries_every_order_of_a_rolling_upgrade() -> None:
    class Plain(Node):
        made: int = durable(1)

    class Plain2(Plain): ...

    upgrades = tuple((name, Plain2) for name in "abc")
    faults = Faults(crashes=unlimited, down_max=1, upgrades=upgrades)
    report = explore(World.of(*(Plain(name) for name in "abc"), faults=faults))
    # 2^3 ways to have upgraded some, and in each all are up or one of three is down.
    assert report.worlds == 8 * 4


# -- in virtual time -----------------------------------------------------------------------------


@pytest.mark.parametrize("disks", [None, Disk()])
def test_a_node_is_upgraded_in_a_simulation_and_the_run_replays_without_time(disks: Any) -> None:
    world = pair(ignores_unknown=True)
    faults = [at(2.5, Upgrade("a", Counter2), lasting=1), at(7.2, Upgrade("b", Counter2), 1)]
    run = Simulation(world, faults=faults, disks=disks, trace=True).run(12)
    new, other = run.world["a"], run.world["b"]
    assert (new.limit, new.batches > 0, other.batches > 0) == (5, True, True)
    assert [str(c) for c in run.schedule if "as " in str(c)] == [
        "restart a as Counter2",
        "restart b as Counter2",
    ]
    again = follow(world, run.schedule).worlds[-1]
    for name in "ab":
        assert freeze(again[name].total) == freeze(run.world[name].total)
        assert again[name].batches == run.world[name].batches


def test_upgrades_are_drawn_until_every_node_has_had_its_own() -> None:
    world = pair(ignores_unknown=True)
    run = Simulation(world, faults=[randomly(Upgrade(to=Counter2), every=2, lasting=1)]).run(60)
    assert [live.kind for live in run.nodes] == [Counter2, Counter2]


def test_an_unknown_message_stops_a_simulation_that_does_not_drop_it() -> None:
    with pytest.raises(ProtocolError, match="b runs Counter, which does not handle AddMany"):
        Simulation(pair(), faults=[at(2.5, Upgrade("a", Counter2), lasting=1)]).run(12)


def test_a_simulation_asks_for_upgrades_that_its_world_does_not_declare() -> None:
    bare = World.of(Counter("a"))
    with pytest.raises(ScenarioError, match=r"upgrades=\(\('a', Counter2\),\)"):
        Simulation(bare, faults=[at(1, Upgrade("a", Counter2))])


# -- a variant that only an upgrade breaks -------------------------------------------------------


@message
class Reserve:
    seat: int


class Desk(Node):
    """Sells a seat once."""

    sold: set[int] = durable(set())
    tickets: int = durable(0)

    @on(Reserve)
    def reserve(self, host: Host, sender: str, reserve: Reserve) -> None:
        if reserve.seat not in self.sold:
            self.sold.add(reserve.seat)
            self.tickets += 1


class Desk2(Node):
    """Calls its seats otherwise, and takes over what was sold under the old name."""

    taken: set[int] = durable(set())
    tickets: int = durable(0)

    @classmethod
    def migrate(cls, fields: dict[str, Any]) -> dict[str, Any]:
        return {"taken": fields["sold"], "tickets": fields["tickets"]}

    @on(Reserve)
    def reserve(self, host: Host, sender: str, reserve: Reserve) -> None:
        if reserve.seat not in self.taken:
            self.taken.add(reserve.seat)
            self.tickets += 1


class ForgetsTheOldName(Desk2):
    @classmethod
    def migrate(cls, fields: dict[str, Any]) -> dict[str, Any]:
        return {"tickets": fields["tickets"]}


class Guest(Node):
    def on_start(self, host: Host) -> None:
        host.send("desk", Reserve(1))
        host.set_timer("again", seconds=3)

    @on.timer("again")
    def again(self, host: Host) -> None:
        host.send("desk", Reserve(1))


def sale(kind: type[Node]) -> World:
    faults = Faults(crashes=1, crashable=("desk",), upgrades=(("desk", kind),))
    return World.of(Desk("desk"), Guest("guest"), faults=faults)


@pytest.mark.parametrize(("kind", "broken"), [(Desk2, False), (ForgetsTheOldName, True)])
def test_an_upgrade_that_forgets_a_renamed_field_sells_a_seat_twice(
    kind: type[Node], broken: bool
) -> None:
    @always(sale, kind=kind)
    def a_seat_is_sold_once(world: World) -> bool:
        return world["desk"].tickets <= 1

    found = check(a_seat_is_sold_once)
    assert found.broken == broken
    assert not isinstance(found, Broken) or len(found.schedule or ()) == 5
    run = Simulation(
        sale(kind),
        properties=[a_seat_is_sold_once],
        faults=[at(1, Upgrade("desk", kind), lasting=1)],
    ).run(10)
    assert (run.broken is not None) == broken
