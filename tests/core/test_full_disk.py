"""A full disk as a choice: syncs fail until it has room, and who lets that out crashes."""

from __future__ import annotations

from typing import Any

import pytest

from happysim import (
    Choice,
    DiskFull,
    Faults,
    Host,
    Network,
    Node,
    World,
    action,
    check,
    durable,
    explore,
    message,
    on,
    ordered,
    quiescent,
    uniform,
)
from happysim.sim.scripted import replay_in_time
from happysim.sim.simulation import Simulation


@message
class Put:
    value: int


class Store(Node):
    """Writes what it is sent, syncs, and answers; `catches` says whether it minds a full disk."""

    log: list[int] = durable([])
    seen: int = 0
    refused: int = 0
    catches: bool = False

    def on_start(self, host: Host) -> None:
        host.set_timer("idle")

    @on.timer("idle")
    def idle(self, host: Host) -> None:
        """Nothing is due."""

    @on(Put)
    def put(self, host: Host, sender: str, put: Put) -> None:
        self.seen += 1
        self.log.append(put.value)
        host.reply(put)
        try:
            host.sync()
        except DiskFull:
            self.refused += 1
            if not self.catches:
                raise
        host.reply(put)


class Asker(Node):
    heard: int = 0

    def on_start(self, host: Host) -> None:
        host.send("s", Put(1))

    @on(Put)
    def answered(self, host: Host, sender: str, put: Put) -> None:
        self.heard += 1


ARRIVES = "deliver a -> s Put(value=1)"


def pair(catches: bool = False, network: Any = None, **faults: Any) -> World:
    declared = Faults(**{"fills": 1, "crashable": ("s",), **faults})
    return World.of(Store("s", catches=catches), Asker("a"), faults=declared, network=network)


def texts(world: World) -> list[str]:
    return [str(each) for each in world.choices()]


def test_the_disk_of_a_node_that_may_crash_fills_once_and_has_room_again() -> None:
    assert "fill s" in texts(pair())
    assert "fill a" not in texts(pair())
    full = pair().step("fill s")
    assert [each for each in texts(full) if "fill" in each or "free" in each] == ["free s"]
    assert "s.(disk) = full" in full.lines()
    assert (full.faults_left["fills"], full.faults_left["frees"]) == (0, 1)
    assert "fill s" not in texts(pair(crashes=1).step("crash s"))
    stored = full.after("free s", ARRIVES)["s"]
    assert (stored.log, stored.refused) == ([1], 0)


def test_who_lets_it_out_has_done_nothing_since_its_last_sync_and_can_only_crash() -> None:
    failing = pair().after("fill s", ARRIVES)
    store = failing["s"]
    assert (store.is_up, store.log, store.seen, store.timers) == (False, [], 0, ())
    # What it had sent before is on its way.
    assert len(failing.in_flight) == 1
    assert [each for each in texts(failing) if " s" in each and "deliver" not in each] == [
        "crash s",
        "free s",
    ]
    down = failing.step("crash s")
    assert [each for each in texts(down) if "restart" in each] == ["restart s"]
    assert down.after("restart s", "free s")["s"].is_up


class Busy(Store):
    @action
    def work(self, host: Host) -> None:
        self.seen += 1


def test_who_is_failing_does_nothing_of_its_own() -> None:
    world = World.of(Busy("s"), Asker("a"), faults=Faults(fills=1)).step("fill s")
    assert "act s work" in texts(world)
    assert "act s work" not in texts(world.step(ARRIVES))


def test_who_is_told_of_a_full_disk_fails_where_no_fault_fills_it() -> None:
    # So a step of a simulation is followed in a search, whoever may crash there.
    failing = pair(fills=0, crashable=("a",)).step(f"{ARRIVES} reading full")
    assert failing.step("crash s")["s"].log == []


def test_an_upgrade_makes_no_room() -> None:
    declared = Faults(fills=1, crashes=1, crashable=("s",), upgrades=(("s", Busy),))
    world = World.of(Store("s"), Asker("a"), faults=declared).after("fill s", "crash s")
    upgraded = world.step(next(each for each in world.choices() if "Busy" in str(each)))
    assert "s.(disk) = full" in upgraded.lines()
    assert upgraded.step(ARRIVES)["s"].is_up is False


def test_who_catches_it_goes_on_and_a_crash_may_take_what_is_not_synced() -> None:
    world = pair(catches=True, crashes=1, unsynced_loss=True).after("fill s", ARRIVES)
    assert (world["s"].log, world["s"].refused, len(world.in_flight)) == ([1], 1, 2)
    assert world.step("crash s losing 1")["s"].log == []
    assert world.step("crash s")["s"].log == [1]


def test_a_crash_for_want_of_room_costs_nothing_and_counts_as_down() -> None:
    # With this bound no node may crash by itself.
    world = pair(crashes=1, restarts=1, down_max=0).after("fill s", ARRIVES, "crash s")
    assert world.faults_left["crashes"] == 1
    again = world.step("restart s")
    assert not any(each.startswith("crash") for each in texts(again))
    both = World.of(Store("s"), Asker("a"), faults=Faults(fills=1, crashes=1, down_max=1)).after(
        "fill s", ARRIVES, "crash s"
    )
    assert "crash a" not in texts(both)
    assert "crash a" in texts(both.step("restart s"))


def test_a_disk_that_is_still_full_at_a_restart_is_full() -> None:
    class Syncs(Store):
        def on_start(self, host: Host) -> None:
            host.sync()

    world = World.of(Syncs("s"), Asker("a"), faults=Faults(fills=1, crashes=1, crashable=("s",)))
    down = world.after("fill s", "crash s")
    assert not down.step("restart s")["s"].is_up
    assert down.after("free s", "restart s")["s"].is_up


def test_on_an_ordered_network_its_crash_empties_its_links() -> None:
    failing = pair(network=ordered()).after("fill s", ARRIVES)
    assert len(failing.in_flight) == 1
    assert len(failing.step("crash s").in_flight) == 0


def test_nothing_but_faults_can_happen_to_a_node_that_is_failing() -> None:
    failing = pair().after("fill s", ARRIVES, "deliver s -> a Put(value=1)")
    assert failing.is_quiescent


@pytest.mark.parametrize("network", [None, ordered()])
def test_every_order_is_searched(network: Any) -> None:
    @quiescent(pair, network=network)
    def the_store_has_answered_twice(world: World) -> bool:
        return world["a"].heard == 2 or not world["s"].is_up

    # Filled, answered in part, freed, crashed and restarted: the second answer never comes.
    found = check(the_store_has_answered_twice)
    assert found.broken
    assert [str(each) for each in found.schedule if each.kind.is_fault] == [
        "fill s",
        "crash s",
        "restart s",
    ]
    by_runs = check(the_store_has_answered_twice, by=uniform(1, runs=200, steps=20))
    assert by_runs.broken


def test_a_budget_that_is_never_used_is_told() -> None:
    # That it may restart is no promise: nobody lets out that the disk is full here.
    lonely = World.of(Store("s"), faults=Faults(fills=1, frees=0))
    assert not explore(lonely).warnings
    unused = World.of(Store("s"), faults=Faults(fills=0, frees=1))
    assert explore(unused).warnings == ("the faults declare frees, but none ever happened",)


# -- in virtual time -----------------------------------------------------------------------------


def timed(world: World, *schedule: str) -> Simulation:
    """The run in which these choices happen, a tenth of a second apart."""
    moments = enumerate(schedule, 1)
    choices = [Choice.parse(each, at=number * 10**8) for number, each in moments]
    return replay_in_time(world, [each for each in choices if each is not None])


def test_a_schedule_of_a_search_runs_in_time() -> None:
    schedule = ["fill s", ARRIVES, "crash s", "free s", "restart s"]
    world = pair(network=Network("n"))
    run = timed(world, *schedule)
    assert [str(each).split(" reading")[0] for each in run.schedule] == schedule
    assert run.world["s"].is_up


@pytest.mark.parametrize("steps", [("fill s",), ("fill s", ARRIVES)], ids=["full", "failing"])
def test_a_world_with_a_full_disk_goes_on_in_time(steps: tuple[str, ...]) -> None:
    world = pair(network=Network("n"))
    for step in steps:
        world = world.step(step)
    run = Simulation(world, trace=True).run(1)
    assert "crash s" in [str(each) for each in run.schedule]
    assert run.world["s"].log == []
