"""Primary-backup, chains and leaders in virtual time: what fails is noticed, and they go on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from happysim import (
    Get,
    KeyValue,
    Link,
    Network,
    Partition,
    Put,
    Script,
    Simulation,
    Skew,
    TimedOut,
    World,
    at,
    call,
    lossy_network,
    sleep,
)
from happysim.protocols import chain, multi_leader, primary_backup
from happysim.protocols.crdt import CRDTStore
from happysim.protocols.crdt.store import Increment

LOSSY: Link = lossy_network(0.1)


def insists(servers: tuple[str, ...], *requests: Any) -> Iterator[Any]:
    """Asks one server after the other, until one has answered."""
    refusals = TimedOut | primary_backup.NotPrimary | chain.Redirect
    for request in requests:
        turn = 0
        while isinstance((yield call(servers[turn], request, timeout=2.0)), refusals):
            turn = (turn + 1) % len(servers)
            yield sleep(0.2)


def answers(world: World) -> list[Any]:
    return [each.result for each in world.history.of("c") if each.done][-1:]


def simulated(*processes: Any, **options: Any) -> Simulation:
    world = World.of(*processes, network=Network("net", default=LOSSY))
    return Simulation(world, **options)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("mode", ["sync", "semi-sync"])
def test_a_primary_that_dies_is_replaced_and_its_answered_writes_are_read(
    mode: str, seed: int
) -> None:
    names = ("n1", "n2", "n3")
    first = primary_backup.first_view(*names)
    group = {"mode": primary_backup.Mode(mode)}
    put = primary_backup.ClientRequest(Put("x", 1))
    get = primary_backup.ClientRequest(Get("x"))
    simulation = simulated(
        *(primary_backup.PrimaryBackupServer(n, first, machine=KeyValue(), **group) for n in names),
        primary_backup.ViewService("views", names, **group),
        Script("c", insists, names, put, get),
        seed=seed,
    )
    assert simulation.run_until(lambda world: world["n1"].answered >= 1, within=30)
    simulation.crash("n1")
    assert simulation.run_until(lambda world: answers(world) == [1], within=60)
    simulation.restart("n1")
    assert simulation.run_until(
        lambda world: (
            len(world["views"].settled.members) == 3
            and len({str(world[name].state) for name in names}) == 1
        ),
        within=120,
    )


@pytest.mark.parametrize("victim", ["n1", "n2", "n3"])
def test_a_chain_closes_over_a_dead_server_and_takes_it_back(victim: str) -> None:
    names = ("n1", "n2", "n3")
    link = chain.first_chain(*names)
    simulation = simulated(
        *(chain.ChainServer(name, link, machine=KeyValue()) for name in names),
        chain.ChainMaster("master", names, check_seconds=1.0),
        Script("c", insists, names, chain.Update(Put("x", 1)), chain.Query(Get("x"))),
        seed=1,
    )
    simulation.crash(victim)
    assert simulation.run_until(lambda world: answers(world) == [1], within=60)
    simulation.restart(victim)
    assert simulation.run_until(
        lambda world: (
            len(world["master"].chain.servers) == 3
            and not world["master"].chain.joining
            and {world[name].state for name in names} == {(("x", 1),)}
        ),
        within=120,
    )


def keeps_asking(server: str, request: Any) -> Iterator[Any]:
    """Asks again, and is not put off: sooner than what was lost would be sent again."""
    while True:
        yield call(server, request, timeout=0.2)


@pytest.mark.parametrize("protocol", ["chain", "primary-backup"])
def test_an_impatient_client_does_not_keep_a_server_from_sending_again(protocol: str) -> None:
    """Each request is a new update. The timer to resend must fire all the same."""
    names = ("n1", "n2")
    if protocol == "chain":
        servers = [chain.ChainServer(name, chain.first_chain(*names)) for name in names]
        others: list[Any] = [*servers, chain.ChainMaster("master", names)]
        request: Any = chain.Update("x")
    else:
        first = primary_backup.first_view(*names)
        others = [primary_backup.PrimaryBackupServer(name, first) for name in names]
        others.append(primary_backup.ViewService("views", names, check_seconds=None))
        request = primary_backup.ClientRequest("x")
    client = Script("c", keeps_asking, "n1", request)
    parted = at(0.0, Partition(["n1"], ["n2"]), lasting=1.0)
    simulation = Simulation(World.of(*others, client), seed=1, faults=[parted])
    assert simulation.run_until(lambda world: bool(answers(world)), within=5)


def test_leaders_agree_after_a_partition_of_a_lossy_network() -> None:
    names = ("a", "b", "c1", "d", "e")
    # They have read nothing, so all that they write stays. A write asked again is another write.
    puts = {name: [multi_leader.Put(f"k{n}", name, context=()) for n in range(4)] for name in names}
    writers = [Script(f"at_{name}", insists, (name,), *puts[name]) for name in names]
    leaders = [multi_leader.MultiLeaderNode(name, hybrid=True) for name in names]
    parted = at(0.0, Partition(["a", "b"], ["c1", "d", "e"]), lasting=20.0)
    simulation = simulated(*leaders, *writers, seed=3, faults=[parted])

    def agree(world: World) -> bool:
        records = [world[name].records for name in names]
        values = [{each.value for each in record.versions} for record in records[0].values()]
        return values == [{*names}] * 4 and all(each == records[0] for each in records)

    simulation.run(15.0)
    assert not agree(simulation.world)
    assert simulation.run_until(agree, within=60)


def test_a_clock_from_before_its_origin_stops_no_leader() -> None:
    """With `hybrid` timestamps follow the clock, where it goes on, and else count."""
    leaders = [multi_leader.MultiLeaderNode(name, hybrid=True) for name in ("a", "b")]
    client = Script("c", insists, ("a",), multi_leader.Put("k", 1), multi_leader.Put("k", 2))
    skewed = at(0.0, Skew("a", offset=-60.0))
    simulation = simulated(*leaders, client, seed=1, faults=[skewed])
    assert simulation.run_until(lambda world: len(answers(world)) > 0, within=30)
    assert simulation.world["a"].clock > 0


@pytest.mark.parametrize("digests", [False, True])
def test_stores_count_every_increment_after_a_partition(digests: bool) -> None:
    names = ("a", "b", "c1")
    writers = [Script(f"at_{name}", insists, (name,), Increment("n", 2)) for name in names]
    stores = [CRDTStore(name, digests=digests) for name in names]
    parted = at(0.0, Partition(["a"], ["b", "c1"]), lasting=10.0)
    simulation = simulated(*stores, *writers, seed=3, faults=[parted])

    def agree(world: World) -> bool:
        return all(world[name].value("counter", "n") >= 6 for name in names)

    assert not simulation.run_until(agree, within=10)
    assert simulation.run_until(agree, within=60)
