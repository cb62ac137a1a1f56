"""Disks of live nodes: what each fault does, that runs replay without time, and who survives."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from happysim.core.choice import Faults, Kind, unlimited
from happysim.core.disk import Atlas
from happysim.core.errors import DiskFull, ScenarioError
from happysim.core.freeze import freeze
from happysim.core.host import Host
from happysim.core.latency import uniform_latency
from happysim.core.link import Link
from happysim.core.message import message
from happysim.core.network import ordered, unordered
from happysim.core.node import Node, durable, on
from happysim.core.rehome import loosened, rehome
from happysim.core.topology import Network
from happysim.core.world import World
from happysim.search.check import check
from happysim.search.policy import bfs
from happysim.search.schedule import follow
from happysim.search.shrink import shrink
from happysim.sim.disk import Disk
from happysim.sim.faults import Fault
from happysim.sim.nemesis import at, randomly
from happysim.sim.node_faults import (
    Crash,
    FillDisk,
    LoseUnsynced,
    LyingSync,
    Misdirect,
    RollBack,
    Rot,
    SlowDisk,
    TearWrites,
    Wipe,
)
from happysim.sim.policy import simulated
from happysim.sim.simulation import Simulation
from happysim.spec.property import always
from happysim.spec.verdict import Broken
from properties import faults as protocols
from properties.broken import faults as broken

EVERYTHING = Faults(
    crashes=unlimited,
    unsynced_loss=True,
    wipes=unlimited,
    stales=unlimited,
    tears=unlimited,
    rots=unlimited,
    misdirects=unlimited,
    lies=unlimited,
)


@message
class Put:
    value: int


class Store(Node):
    """Appends what it is sent once a second, and syncs every third time; notes what it is told."""

    log: list[int] = durable([])
    count: int = durable(0)
    peak: dict[str, int] = durable({"count": 0})
    told: list[tuple[str, ...]] = []
    errors: int = 0
    synced_ns: int = 0
    catches: bool = True

    def on_start(self, host: Host) -> None:
        self.told.append(host.torn)
        self.told.append(host.damaged)
        host.set_timer("beat", seconds=1)

    @on.timer("beat")
    def beat(self, host: Host) -> None:
        self.count += 1
        self.log.append(10 * self.count)
        if self.count % 5 == 0:
            del self.log[:1]
            self.peak["count"] = self.count
        if self.count % 3 == 0:
            try:
                host.sync()
                self.synced_ns = host.now
            except DiskFull:
                self.errors += 1
                if not self.catches:
                    raise
        for peer in host.peers:
            host.send(peer, Put(self.count))
        host.set_timer("beat", seconds=1)

    @on(Put)
    def put(self, host: Host, sender: str, put: Put) -> None:
        if host.choose([True, False]):
            self.log.append(put.value)
            self.log[0] = put.value


def one(*faults: Any, seconds: float = 10.5, catches: bool = True, **more: Any) -> Simulation:
    world = World.of(Store("n", catches=catches), faults=EVERYTHING)
    return Simulation(world, faults=faults, trace=True, **more).run(seconds)


def texts(simulation: Simulation, *kinds: Kind) -> list[str]:
    return [str(each) for each in simulation.schedule if each.kind in kinds]


# -- what each fault does ------------------------------------------------------------------------


def test_without_disk_faults_nodes_have_no_simulated_disk_and_a_crash_loses_no_write() -> None:
    simulation = one(at(5.5, Crash("n"), lasting=1))
    assert simulation.nodes[0].host.disk is None
    assert simulation.world["n"].count == 9


@pytest.mark.parametrize("how", ["policy", "fault"])
def test_a_crash_loses_a_drawn_suffix_of_the_writes_since_the_last_sync(how: str) -> None:
    counts = set()
    for seed in range(12):
        crash = at(5.5, Crash("n"), lasting=1)
        if how == "policy":
            run = one(crash, seconds=6, seed=seed, disks=Disk(loses_unsynced=True))
        else:
            run = one(crash, at(1, LoseUnsynced("n")), seconds=6, seed=seed)
        counts.add(run.world["n"].count)
    # The third write was synced.
    assert counts == {3, 4, 5}


def test_a_policy_may_be_of_one_node() -> None:
    world = World.of(Store("n1"), Store("n2"), faults=EVERYTHING)
    crashes = [at(5.5, Crash(name), lasting=1) for name in ("n1", "n2")]
    lossy = {"n1": Disk(loses_unsynced=True)}
    counts = {
        name: {
            Simulation(world, seed=seed, faults=crashes, disks=lossy).run(6).world[name].count
            for seed in range(12)
        }
        for name in ("n1", "n2")
    }
    assert (min(counts["n1"]), counts["n2"]) == (3, {5})


def test_a_write_that_is_lost_may_be_torn_and_is_told_so() -> None:
    torn = [
        one(at(2.5, Crash("n"), lasting=1), seconds=4, seed=seed, disks=Disk(tears=True))
        for seed in range(12)
    ]
    told = {str(run.world["n"].told) for run in torn}
    assert "[(), ()]" in told
    assert "[('log[0]',), ()]" in told or "[('log[1]',), ()]" in told


def test_a_sync_that_lied_is_lost_by_a_later_crash_and_an_honest_one_ends_the_lie() -> None:
    crash = at(7.5, Crash("n"), lasting=1)
    # The sixth write was synced by a lie, so the disk holds the third.
    assert one(at(4, LyingSync("n")), crash, seconds=8.6).world["n"].count == 3
    assert one(at(4, LyingSync("n"), lasting=1), crash, seconds=8.6).world["n"].count == 7
    ended = one(at(2, LyingSync("n"), lasting=2), crash, seconds=8.6)
    assert ended.world["n"].count == 7


def test_a_handler_may_catch_that_the_disk_is_full() -> None:
    run = one(at(2.5, FillDisk("n"), lasting=2))
    assert (run.world["n"].errors, run.world["n"].count) == (1, 10)
    assert [text for text in texts(run, Kind.FIRE) if "full" in text] == [
        "fire n beat reading full"
    ]


def test_one_that_lets_it_out_crashes_its_node_without_the_write_and_that_is_no_violation() -> None:
    run = one(at(2.5, FillDisk("n"), lasting=2), catches=False)
    assert texts(run, Kind.CRASH, Kind.RESTART) == ["crash n", "restart n"]
    # Two writes are there, the third was undone; after the restart at 4.5 s it beats six times.
    assert (run.world["n"].count, run.broken) == (8, None)


def test_a_slow_disk_keeps_its_node_busy_and_what_a_handler_sends_waits_for_it() -> None:
    class Syncer(Node):
        @on(Put)
        def put(self, host: Host, sender: str, put: Put) -> None:
            host.send(sender, Put(put.value))
            host.sync()
            host.send(sender, Put(put.value + 1))

    class Asker(Node):
        answers: list[tuple[int, int]] = []

        def on_start(self, host: Host) -> None:
            host.set_timer("ask", seconds=1)

        @on.timer("ask")
        def ask(self, host: Host) -> None:
            host.send("syncer", Put(10))
            host.send("syncer", Put(20))

        @on(Put)
        def answered(self, host: Host, sender: str, put: Put) -> None:
            self.answers.append((host.now // 100_000_000, put.value))

    world = World.of(Syncer("syncer"), Asker("asker"))
    run = Simulation(world, faults=[at(0, SlowDisk("syncer", 0.5))]).run(5)
    first, second = (10, 20) if run.world["asker"].answers[0][1] == 10 else (20, 10)
    # The second message is handled, and what follows a sync leaves, when the first sync is done.
    assert sorted(run.world["asker"].answers) == sorted(
        [(10, first), (15, first + 1), (15, second), (20, second + 1)]
    )
    slow = one(disks=Disk(sync_seconds=0.25), seconds=5)
    assert slow.world["n"].synced_ns == 3_250_000_000
    # The third beat syncs, and sets its timer afterwards.
    fired = [each.at for each in slow.schedule if each.kind is Kind.FIRE]
    assert fired == [1_000_000_000, 2_000_000_000, 3_000_000_000, 4_250_000_000]


@pytest.mark.parametrize(
    ("fault", "restart", "log"),
    [
        (Wipe("n"), "restart n wiped", []),
        (RollBack("n"), "restart n stale", [10, 20, 30]),
        (Rot("n", "log[1]"), "restart n rotten log[1]", [10, 21, 30, 40]),
        (Rot("n", "count"), "restart n rotten count", [10, 20, 30, 40]),
        (Misdirect("n", "log[3]"), "restart n misdirected log[3] to ", None),
    ],
)
def test_a_disk_fault_at_a_restart_is_the_choice_of_a_search(
    fault: Fault, restart: str, log: list[int] | None
) -> None:
    run = one(at(4.5, fault, lasting=0.2), seconds=5)
    assert texts(run, Kind.RESTART)[0].startswith(restart)
    if log is None:
        assert run.world["n"].log[:4].count(40) == 1
        assert len(run.world["n"].told[1]) == 1
    else:
        assert run.world["n"].log == log
        damaged = tuple(restart.split()[3:])
        assert run.world["n"].told == [(), damaged]


def test_a_disk_can_be_spoilt_by_hand() -> None:
    run = one(disks=Disk(), seconds=4.5)
    run.crash("n")
    with pytest.raises(ScenarioError, match="there may be\n    wiped\n    stale\n    rotten log"):
        run.restart("n", "melted")
    run.restart("n", "rotten log[0]")
    assert run.world["n"].log == [11, 20, 30, 40]
    bare = one(seconds=4.5)
    bare.crash("n")
    with pytest.raises(ScenarioError, match=r"make it with Simulation\(..., disks=Disk\(\)\)"):
        bare.restart("n", "wiped")


def test_an_atlas_keeps_a_quorum_of_copies_of_each_record_whole() -> None:
    world = World.of(*(Store(f"n{at}") for at in (1, 2, 3)), faults=EVERYTHING)
    rots = [randomly(Rot(atlas=Atlas(2)), every=1, lasting=0.5)]
    run = Simulation(world, faults=rots, trace=True).run(300)
    damaged: dict[str, set[str]] = {}
    for text in texts(run, Kind.RESTART):
        if "rotten" in text:
            _, name, _, address = text.split()
            damaged.setdefault(address, set()).add(name)
    assert len(damaged) > 3
    assert {len(names) for names in damaged.values()} == {1}
    assert len(set.union(*damaged.values())) == 3


# -- as without time -----------------------------------------------------------------------------

ALL = [
    randomly(LoseUnsynced(), every=5, lasting=20),
    randomly(TearWrites(), every=5, lasting=20),
    randomly(LyingSync(), every=20, lasting=5),
    randomly(FillDisk(), every=20, lasting=2),
    randomly(SlowDisk(), every=20, lasting=20),
    randomly(Crash(), every=5, lasting=2),
    randomly(Wipe(), every=60, lasting=1),
    randomly(RollBack(), every=20, lasting=1),
    randomly(Rot(), every=10, lasting=1),
    randomly(Misdirect(), every=10, lasting=1),
]


@pytest.mark.parametrize("network", [unordered, ordered])
@pytest.mark.parametrize("seed", range(8))
def test_a_run_under_disk_faults_replays_without_time_to_the_same_fields(
    seed: int, network: Any
) -> None:
    stores = [Store(f"n{number}", catches=number == 1) for number in (1, 2)]
    world = World.of(*stores, faults=EVERYTHING, network=network())
    run = Simulation(world, seed=seed, faults=ALL, trace=True).run(100)
    assert len(run.schedule) > 150

    again = follow(rehome(world, loosened(world.tables), loose=True), run.schedule).worlds[-1]
    for live in run.nodes:
        view = again[live.name]
        assert (view.is_up, view.timers) == (live.is_up, tuple(sorted(live.deadlines)))
        for name in live.kind.happysim_fields:
            assert freeze(getattr(view, name)) == freeze(live.values[name]), name


def test_every_kind_of_disk_fault_takes_part_in_those_runs() -> None:
    world = World.of(Store("n1"), Store("n2", catches=False), faults=EVERYTHING)
    said = " ".join(
        text
        for seed in range(8)
        for text in texts(
            Simulation(world, seed=seed, faults=ALL, trace=True).run(200),
            Kind.CRASH,
            Kind.RESTART,
            Kind.FIRE,
        )
    )
    for word in ("losing 2", "tearing log", "synced", "wiped", "stale", "rotten", "misdirected"):
        assert word in said
    assert "reading full" in said


@pytest.mark.parametrize(
    ("fault", "wanted"),
    [
        (Rot(), "rots=1"),
        (LoseUnsynced(), "unsynced_loss=True"),
        (LyingSync(), "lies=1"),
        (Wipe(), "wipes=1"),
    ],
)
def test_a_recorded_run_says_which_disk_faults_its_world_must_declare(
    fault: Fault, wanted: str
) -> None:
    world = World.of(Store("n"))
    with pytest.raises(ScenarioError, match=f"faults=Faults\\(crashes=1, {wanted}\\)"):
        Simulation(world, faults=[at(1, fault)], trace=True)
    Simulation(world, faults=[at(1, fault)]).run(2)  # what is not recorded need not


# -- who survives --------------------------------------------------------------------------------


def breaks(scenario: Any, faults: Any, prop: Any = None, seeds: int = 40) -> int:
    """In how many runs the property is broken."""
    prop = protocols.at_most_one_is_elected if prop is None else prop
    runs = [
        Simulation(scenario, seed=seed, properties=[prop], faults=faults).run(2)
        for seed in range(seeds)
    ]
    return sum(run.broken is not None for run in runs)


def test_a_vote_that_is_not_synced_is_cast_twice_and_one_that_is_synced_is_not() -> None:
    crashes = [at(t / 10_000, Crash(f"v{1 + t % 3}"), lasting=0.0001) for t in range(1, 30)]
    lossy = [at(0, LoseUnsynced(name)) for name in protocols.VOTERS]
    assert breaks(broken.votes_are_not_synced(), [*lossy, *crashes])
    assert not breaks(protocols.writes_may_be_lost(), [*lossy, *crashes])


@pytest.mark.parametrize("scenario", [protocols.syncs_may_lie, protocols.a_disk_may_be_wiped])
def test_a_majority_does_not_survive_a_voter_that_forgets_and_all_voters_do(
    scenario: Any,
) -> None:
    slow = Network(default=Link(latency=uniform_latency(0.001, 0.1)))
    victim = (
        [at(0, LyingSync("v1")), at(0.05, Crash("v1"), lasting=0.001)]
        if scenario is protocols.syncs_may_lie
        else [at(0.05, Wipe("v1"), lasting=0.001)]
    )
    worlds = [protocols.election(needs, faults=EVERYTHING, network=slow) for needs in (2, 3)]
    assert [breaks(world, victim) > 0 for world in worlds] == [True, False]


@message
class Order:
    number: int


@message
class Done:
    number: int


class Clerk(Node):
    """Confirms an order once it is on disk; while the disk is full it refuses."""

    book: list[int] = durable([])

    @on(Order)
    def order(self, host: Host, sender: str, order: Order) -> None:
        self.book.append(order.number)
        try:
            host.sync()
        except DiskFull:
            self.book.pop()
            return
        host.send(sender, Done(order.number))


class ConfirmsAnyway(Clerk):
    @on(Order)
    def order(self, host: Host, sender: str, order: Order) -> None:
        self.book.append(order.number)
        with suppress(DiskFull):  # surely there will be room for the next one
            host.sync()
        host.send(sender, Done(order.number))


class Buyer(Node):
    number: int = 0
    done: list[int] = []

    def on_start(self, host: Host) -> None:
        host.set_timer("next", seconds=0.1)

    @on.timer("next")
    def next(self, host: Host) -> None:
        self.number += 1
        host.send("clerk", Order(self.number))
        host.set_timer("next", seconds=0.1)

    @on(Done)
    def confirmed(self, host: Host, sender: str, done: Done) -> None:
        self.done.append(done.number)


def shop(kind: type[Clerk] = Clerk) -> World:
    faults = Faults(crashes=unlimited, unsynced_loss=True)
    return World.of(kind("clerk"), Buyer("buyer"), faults=faults)


@always(shop)
def what_is_confirmed_is_in_the_book(world: World) -> bool:
    return set(world["buyer"].done) <= set(world["clerk"].book)


@pytest.mark.parametrize(("kind", "survives"), [(Clerk, True), (ConfirmsAnyway, False)])
def test_one_that_ignores_a_full_disk_loses_what_it_confirmed(
    kind: type[Clerk], survives: bool
) -> None:
    faults = [
        at(0, LoseUnsynced("clerk")),
        at(1, FillDisk("clerk"), lasting=1),
        randomly(Crash("clerk"), every=0.7, lasting=0.1),
    ]
    assert (breaks(shop(kind), faults, what_is_confirmed_is_in_the_book) == 0) == survives


@pytest.mark.parametrize(
    ("prop", "fault", "word"),
    [
        (broken.a_damaged_entry_is_accepted, Rot("copy"), "rotten"),
        (broken.a_torn_entry_is_accepted, TearWrites("copy"), "tearing"),
    ],
)
def test_what_a_disk_fault_breaks_in_a_simulation_shrinks_to_the_shortest_run(
    prop: Any, fault: Fault, word: str
) -> None:
    faults = [randomly(fault, every=0.02, lasting=0.01)]
    if word == "tearing":
        faults.append(randomly(Crash("copy"), every=0.02, lasting=0.005))
    found = check(prop, by=simulated(7, runs=300, until=0.2, faults=faults))
    assert isinstance(found, Broken)
    small = shrink(found)
    assert small.shortest
    assert small.schedule is not None
    assert sum(word in str(choice) for choice in small.schedule) == 1
    assert len(small.schedule) == len(check(prop, by=bfs()).schedule)  # type: ignore[union-attr]
