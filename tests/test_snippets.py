"""The public snippets of each protocol run as they are written, importing from `happysimulator`.

What a snippet leaves out (nodes, clients, the run) stands around it; what it promises is asserted.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

pytest.importorskip(
    "happysimulator", reason="the alias package is there once happysim is installed"
)

from happysimulator import (
    BullyStrategy,
    ClientRequest,
    CRDTStore,
    DistributedLock,
    FlexiblePaxosNode,
    GCounter,
    LeaderElection,
    LWWRegister,
    MembershipProtocol,
    MultiPaxosNode,
    Network,
    ORSet,
    PaxosNode,
    PhiAccrualDetector,
    PNCounter,
    Propose,
    RaftNode,
    RandomizedStrategy,
    RingStrategy,
    Script,
    Simulation,
    World,
    call,
    datacenter_network,
    simulate,
    sleep,
)

from happysim.protocols.crdt.store import Get, Increment
from happysim.protocols.swim import Status


def test_a_raft_cluster_elects_a_leader() -> None:
    network = Network(name="cluster")
    nodes = [RaftNode(name=f"node-{number}", network=network) for number in range(5)]
    network.connect_all(nodes, datacenter_network())

    simulation = Simulation(World.of(network=network), seed=1)
    assert simulation.run_until(lambda world: any(node.is_leader for node in world.nodes(RaftNode)))
    assert simulation.now < 2 * 10**9


def ask(server: str, request: Any) -> Generator[Any, Any, None]:
    yield call(server, request)


@pytest.mark.parametrize(
    "nodes",
    [
        pytest.param([RaftNode(f"n{number}") for number in range(3)], id="Raft"),
        pytest.param([MultiPaxosNode(f"n{number}") for number in range(3)], id="Multi-Paxos"),
        pytest.param(
            [FlexiblePaxosNode(f"n{number}", phase_1=4, phase_2=2) for number in range(5)],
            id="Flexible Paxos",
        ),
    ],
)
def test_a_replicated_log_takes_a_command(nodes: list[Any]) -> None:
    network = Network(name="cluster")
    network.connect_all(nodes, datacenter_network())

    client = Script("client", insist, [node.name for node in nodes])
    run = simulate(World.of(*nodes, client, network=network), seed=1, until=10.0)
    assert run.world.history.of("client")[-1].result == 1
    assert [node.is_leader for node in run.world.nodes(type(nodes[0]))].count(True) == 1


def insist(servers: list[str]) -> Generator[Any, Any, None]:
    """Ask one server after the other until one takes the command."""
    while True:
        for server in servers:
            if (yield call(server, ClientRequest("x"), timeout=0.5)) == 1:
                return


def test_paxos_decides_a_value() -> None:
    network = Network(name="cluster")
    nodes = [PaxosNode(name=f"node-{number}", network=network) for number in range(3)]
    network.connect_all(nodes, datacenter_network())

    client = Script("client", ask, "node-0", Propose("x"))
    run = simulate(World.of(client, network=network), seed=1, until=5.0)
    assert run.world.history.of("client")[0].done
    assert {node.chosen for node in run.world.nodes(PaxosNode)} == {"x"}


@pytest.mark.parametrize("strategy", [BullyStrategy(), RingStrategy(), RandomizedStrategy()])
def test_an_election_has_one_winner(strategy: Any) -> None:
    network = Network(name="cluster")
    election = LeaderElection(name="election", strategy=strategy, network=network)
    for number in (1, 2):
        LeaderElection(name=f"other-{number}", strategy=strategy, network=network)

    run = simulate(World.of(network=network), seed=1, until=5.0)
    leaders = {member.current_leader for member in run.world.nodes(LeaderElection)}
    assert len(leaders) == 1
    assert None not in leaders
    assert election.name == "election"


@pytest.mark.parametrize("kind", [RaftNode, MultiPaxosNode])
def test_a_distributed_lock_is_granted_and_released(kind: Any) -> None:
    network = Network(name="cluster")
    nodes = [kind(name=f"node-{number}") for number in range(3)]
    network.connect_all(nodes, datacenter_network())
    tokens = []

    lock = DistributedLock(name="mutex", nodes=nodes, network=network)

    def client() -> Generator[Any, Any, None]:
        grant = yield lock.acquire()
        tokens.append(grant.token)
        grant.release()

    scripts = [Script(f"client-{number}", client) for number in range(2)]
    run = simulate(World.of(*nodes, *scripts, network=network), seed=1, until=5.0)
    assert sorted(tokens[-2:]) == [1, 2]
    assert run.world["node-0"].state.held == ()


def test_a_detector_suspects_who_is_silent() -> None:
    detector = PhiAccrualDetector()
    for second in range(10):
        detector.heartbeat(float(second))
    assert detector.phi(9.5) < 1
    assert detector.is_available(9.5)
    assert detector.phi(60.0) > 8
    assert not detector.is_available(60.0)


def test_a_member_knows_the_others() -> None:
    network = Network(name="cluster")
    nodes = [MembershipProtocol(name=f"node-{number}", network=network) for number in range(3)]

    swim = MembershipProtocol(name="swim", nodes=nodes, network=network)

    run = simulate(World.of(network=network), seed=1, until=10.0)
    everyone = {"node-0", "node-1", "node-2", swim.name}
    for member in run.world.nodes(MembershipProtocol):
        alive = {name for name, each in member.claims.items() if each.status is Status.ALIVE}
        assert alive == everyone


def test_counters_merge() -> None:
    counter, other = GCounter("node-1"), GCounter("node-2")
    counter.increment(5)
    other.increment(3)
    counter.merge(other)
    assert counter.value == 8

    balance = PNCounter("node-1")
    balance.increment(10)
    balance.decrement(4)
    assert balance.value == 6


def test_registers_and_sets_merge() -> None:
    register, later = LWWRegister("node-1"), LWWRegister("node-2")
    register.set("old", timestamp=1)
    later.set("new", timestamp=2)
    register.merge(later)
    assert register.value == "new"

    one, other = ORSet("node-1"), ORSet("node-2")
    one.add("x")
    other.merge(one)
    other.remove("x")
    one.merge(other)
    assert "x" not in one


def test_stores_gossip() -> None:
    network = Network(name="cluster")
    store = CRDTStore(name="store", node_id="node-1", network=network)
    CRDTStore(name="store-2", node_id="node-2", network=network)

    def writer_and_reader() -> Generator[Any, Any, None]:
        yield call(store.name, Increment("visits", 3))
        yield sleep(5.0)
        yield call("store-2", Get("counter", "visits"))

    client = Script("client", writer_and_reader)
    run = simulate(World.of(client, network=network), seed=1, until=10.0)
    assert [each.result for each in run.world.history.of("client")] == [None, 3]
