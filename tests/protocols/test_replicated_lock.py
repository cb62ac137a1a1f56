"""The lock kept by consensus: its table command by command, and clusters in virtual time."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any

import pytest

from happysim import (
    ClientRequest,
    Crash,
    Host,
    Network,
    Node,
    Partition,
    Pause,
    ProtocolError,
    Script,
    Simulation,
    TimedOut,
    World,
    at,
    call,
    datacenter_network,
    on,
    simulate,
    sleep,
)
from happysim.core.script import Operation
from happysim.protocols.flexible_paxos import FlexiblePaxosNode
from happysim.protocols.lock import (
    AcquireLock,
    DistributedLock,
    Expire,
    FencedStore,
    FencedWrite,
    Grant,
    LockBusy,
    LockLost,
    LockServer,
    LockTable,
    Released,
    ReleaseLock,
    Renewed,
    RenewLock,
    TryLock,
    WithdrawLock,
    Withdrawn,
    WriteAccepted,
    WriteRefused,
)
from happysim.protocols.machine import Addressed
from happysim.protocols.multi_paxos import MultiPaxosNode
from happysim.protocols.raft import Answered, KeyValue, RaftNode
from properties.replicated_lock import Writer

Kind = Callable[[str], Node]
KINDS = [
    pytest.param(RaftNode, id="Raft"),
    pytest.param(MultiPaxosNode, id="Multi-Paxos"),
    pytest.param(lambda name: FlexiblePaxosNode(name, phase_1=2, phase_2=2), id="Flexible Paxos"),
]

# -- the table -----------------------------------------------------------------------------------


def run(*asked: tuple[str, Any]) -> list[list[tuple[str, Any]]]:
    """Whom each command in turn answers, and what: ("c1", result). Calls are numbered per client.

    An empty name is that of nobody: the leader, or who awaits no answer.
    """
    table = LockTable(("n1",))
    state, numbers, told = table.initial, dict[str, int](), []
    for client, command in asked:
        if client:
            numbers[client] = numbers.get(client, 0) + 1
            command = Addressed(command, Operation(client, numbers[client]))  # noqa: PLW2901
        state, answers = table.apply(state, command)
        told.append([(operation.client, result) for operation, result in answers])
    return told


def grant(token: int, hold: int = 1, lock: str = "L") -> Grant:
    return Grant(lock, token, hold, ("n1",))


ASK, ROUND = AcquireLock("L"), ("", Expire())
OLD = LockLost("L", 1)


@pytest.mark.parametrize(
    ("asked", "last"),
    [
        pytest.param([("c1", ASK)], [("c1", grant(1))], id="a free lock is granted"),
        pytest.param([("c1", ASK), ("c2", ASK)], [], id="one that is held is waited for"),
        pytest.param(
            [("c1", ASK), ("c2", AcquireLock("M"))],
            [("c2", grant(2, lock="M"))],
            id="another lock is another's",
        ),
        pytest.param(
            [("c1", ASK), ("c2", ASK), ("c3", ASK), ("c1", ReleaseLock("L", 1, 1))],
            [("c1", Released("L", 1, 1)), ("c2", grant(2))],
            id="a release lets in who has waited longest",
        ),
        pytest.param(
            [("c1", ASK), ("c2", ASK), ("", ReleaseLock("L", 1, 1))],
            [("c2", grant(2))],
            id="a release that awaits no answer counts as well",
        ),
        pytest.param(
            [("c1", ASK), ("c2", ASK), ROUND], [], id="a lease outlives the round it began in"
        ),
        pytest.param(
            [("c1", ASK), ("c2", ASK), ROUND, ROUND],
            [("c2", grant(2))],
            id="and ends with the next",
        ),
        pytest.param(
            [("c1", ASK), ("c2", ASK), ROUND, ("c1", RenewLock("L", 1)), ROUND],
            [],
            id="unless it was renewed",
        ),
        pytest.param(
            [("c1", ASK), ("c2", ASK), ROUND, ("c1", ASK), ROUND],
            [],
            id="or its holder asked again",
        ),
        pytest.param(
            [("c1", ASK), ("c1", RenewLock("L", 1))],
            [("c1", Renewed("L", 1))],
            id="a renewal is answered",
        ),
        pytest.param(
            [("c1", ASK), ROUND, ROUND, ("c1", RenewLock("L", 1))],
            [("c1", OLD)],
            id="a lease that is over is not renewed",
        ),
        pytest.param(
            [("c1", ASK), ROUND, ROUND, ("c2", ASK), ("c1", ReleaseLock("L", 1, 1))],
            [("c1", OLD)],
            id="an old grant is released without harm, and it says so",
        ),
        pytest.param(
            [("c1", ASK), ("c1", ASK), ("c2", ASK), ("c1", ReleaseLock("L", 1, 2))],
            [("c1", Released("L", 1, 2))],
            id="the inner of two holds is let go, and the lock is still held",
        ),
        pytest.param(
            [("c1", ASK), ("c1", ASK), ("", ReleaseLock("L", 1, 2)), ("", ReleaseLock("L", 1, 2))],
            [],
            id="a copy of a release counts once",
        ),
        pytest.param(
            [("c1", ASK), ("c2", TryLock("L"))],
            [("c2", LockBusy("L"))],
            id="to try is answered at once",
        ),
        pytest.param(
            [("c1", ASK), ("c1", TryLock("L"))],
            [("c1", grant(1, hold=2))],
            id="the holder may try as well",
        ),
        pytest.param(
            [
                ("c1", ASK),
                ("c2", ASK),
                ("c3", ASK),
                ("c2", AcquireLock("L", again=1)),
                ROUND,
                ROUND,
            ],
            [("c2", grant(2, hold=1))],
            id="who asks again keeps its place, and its hold",
        ),
        pytest.param(
            [("c1", ASK), ("c1", AcquireLock("L", again=1)), ("", ReleaseLock("L", 1, 1))],
            [],
            id="who asks again for what it has, has it once",
        ),
        pytest.param(
            [("c1", ASK), ("c2", ASK), ("c2", TryLock("M")), ROUND, ROUND],
            [],
            id="who asks for something else does not wait any more",
        ),
        pytest.param(
            [("c1", ASK), ("c2", ASK), ("c1", WithdrawLock("L"))],
            [("c1", Withdrawn("L")), ("c2", grant(2))],
            id="a grant that was not heard of can be taken back",
        ),
        pytest.param(
            [("c1", ASK), ("c1", TryLock("M")), ("c2", ASK), ("c1", WithdrawLock("L", back=2))],
            [("c1", Withdrawn("L")), ("c2", grant(3))],
            id="and so can one of some calls ago",
        ),
        pytest.param([("", ASK)], [], id="nobody is granted nothing"),
    ],
)
def test_each_command_answers(asked: list[tuple[str, Any]], last: list[tuple[str, Any]]) -> None:
    assert run(*asked)[-1] == last


def test_who_asks_again_stands_in_the_queue_once_and_is_answered_once() -> None:
    table = LockTable()
    state, _ = table.apply(table.initial, Addressed(ASK, Operation("c1", 1)))
    state, _ = table.apply(state, Addressed(ASK, Operation("c2", 7)))
    state, _ = table.apply(state, Addressed(AcquireLock("L", again=1), Operation("c2", 8)))
    assert len(state.waiting) == 1
    _, answers = table.apply(state, ReleaseLock("L", 1, 1))
    assert [(to, result.hold) for to, result in answers] == [(Operation("c2", 8), 7)]


@pytest.mark.parametrize(
    "command",
    [
        AcquireLock("L", 0),
        TryLock("L"),
        ReleaseLock("L", 1, 1),
        RenewLock("L", 1),
        WithdrawLock("L"),
        Expire(),
    ],
    ids=lambda command: type(command).__name__,
)
def test_a_command_is_a_value(command: Any) -> None:
    assert hash(command) == hash(replace(command))
    assert command == replace(command)


def test_a_renewal_that_nobody_awaits_renews() -> None:
    table = LockTable(("n1",))
    state, _ = table.apply(table.initial, Addressed(AcquireLock("L"), Operation("a", 1)))
    old, _ = table.apply(state, Expire())
    assert old != state
    assert table.apply(old, RenewLock("L", 1)) == (state, ())


def test_a_table_refuses_other_commands() -> None:
    with pytest.raises(ProtocolError, match="LockTable does not take 'lock it'; it takes Acquire"):
        LockTable().apply(LockTable.initial, "lock it")


# -- clusters ------------------------------------------------------------------------------------

Told = dict[str, list[Any]]
Client = Callable[[DistributedLock], Generator[Any, Any, None]]


def cluster(kind: Kind, *clients: Client, others: tuple[Node, ...] = ()) -> World:
    """Three servers on a datacenter's network that keep the lock mutex, and a client for each."""
    nodes: Any = [kind(f"n{number}") for number in (1, 2, 3)]
    network = Network(name="cluster")
    network.connect_all(nodes, datacenter_network())
    lock = DistributedLock(name="mutex", nodes=nodes, network=network, lease_seconds=2.0)
    scripts = [Script(f"c{number}", client, lock) for number, client in enumerate(clients, 1)]
    return World.of(*nodes, FencedStore("store"), *others, *scripts, network=network)


def results(run: Simulation, name: str) -> list[Any]:
    """What a client's calls returned, in order."""
    return [each.result for each in run.world.history.of(name) if each.done]


def leader_of(run: Simulation) -> str:
    return next(node.name for node in run.world.nodes(Node) if getattr(node, "is_leader", False))


def takes_and_releases(lock: DistributedLock) -> Generator[Any, Any, None]:
    grant = yield lock.acquire()
    yield sleep(0.5)
    grant.release()


def keeps(lock: DistributedLock) -> Generator[Any, Any, None]:
    yield from lock.acquiring()


@pytest.mark.parametrize("kind", KINDS)
def test_requests_wait_for_a_leader(kind: Kind) -> None:
    """Three clients ask in the first moment, when nobody leads. The lock goes from hand to hand."""
    run = simulate(cluster(kind, *[takes_and_releases] * 3), seed=1, until=5.0)
    granted = [results(run, f"c{number}")[0] for number in (1, 2, 3)]
    assert sorted(grant.token for grant in granted) == [1, 2, 3]
    assert run.world["n1"].state.held == ()


@pytest.mark.parametrize("kind", KINDS)
def test_a_dead_holders_lock_is_granted_to_who_waits(kind: Kind) -> None:
    def waits(lock: DistributedLock) -> Generator[Any, Any, None]:
        yield sleep(1.0)
        yield lock.acquire()

    run = Simulation(cluster(kind, keeps, waits), seed=1)
    run.run_until(2.0)
    assert results(run, "c2") == []
    assert run.run_until(lambda world: bool(world.history.of("c2")[0].done))
    assert 2.0 < run.now / 10**9 < 5.0  # the lease lasts for 2 to 4 seconds
    assert results(run, "c2")[0].token == 2


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_and_waiters_outlive_the_leader(kind: Kind) -> None:
    """The leader that knew who waits, and which token is next, dies; its successor knows it too."""

    def waits(lock: DistributedLock) -> Generator[Any, Any, None]:
        yield sleep(1.0)
        grant = yield lock.acquire(to="n2")
        yield grant.release(to="n2")
        yield lock.acquire(to="n2")

    run = Simulation(cluster(kind, keeps, waits), seed=3)
    run.run_until(1.5)
    dead = leader_of(run)
    assert dead != "n2"  # of this seed: n2 is who c2 talks to
    run.crash(dead)
    run.run_until(10.0)
    assert leader_of(run) != dead
    assert [each.token for each in results(run, "c2") if isinstance(each, Grant)] == [2, 3]


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_outlive_a_restart_of_all(kind: Kind) -> None:
    def again(lock: DistributedLock) -> Generator[Any, Any, None]:
        for _ in range(2):
            grant = yield lock.acquire()
            yield grant.release()
            yield sleep(3.0)

    faults = [at(1.5, Crash(f"n{number}"), lasting=0.5) for number in (1, 2, 3)]
    run = simulate(cluster(kind, again), seed=1, until=10.0, faults=faults)
    assert [each.token for each in results(run, "c1") if isinstance(each, Grant)] == [1, 2]


@pytest.mark.parametrize("kind", KINDS)
def test_a_client_that_overslept_is_fenced_off(kind: Kind) -> None:
    """Kleppmann's scenario: c1 stands still while it has the lock, and writes when it wakes."""
    c1 = Writer("c1", starts_seconds=0.5, work_seconds=3.0)
    c2 = Writer("c2", starts_seconds=1.5, work_seconds=0.5)
    world = cluster(kind, others=(c1, c2))
    run = simulate(world, seed=1, until=20.0, faults=[at(2.0, Pause("c1"), lasting=10.0)])
    assert run.world["c2"].said == [WriteAccepted(2)]
    assert run.world["c1"].said == [WriteRefused(1, 2)]
    assert run.world["store"].value == "c2"


@pytest.mark.parametrize("kind", KINDS)
def test_a_request_outlives_the_leader_that_it_was_passed_on_to(kind: Kind) -> None:
    """c1 asks n2, which passes it on to a leader that has crashed; n2 tells the next one."""

    def waits(lock: DistributedLock) -> Generator[Any, Any, None]:
        yield sleep(2.0)
        yield lock.acquire(to="n2")

    run = Simulation(cluster(kind, waits), seed=3)
    run.run_until(1.9)
    old = leader_of(run)
    assert old != "n2"
    run.run_until(1.99)
    run.crash(old)
    run.run_until(4.0)
    assert [each.token for each in results(run, "c1")] == [1]


class Asker(Node):
    """Asks for the lock under one number, again and again, until it is answered."""

    heard: list[Any] = []

    def on_start(self, host: Host) -> None:
        host.set_timer("ask", seconds=1.0)

    @on.timer("ask")
    def ask(self, host: Host) -> None:
        if not self.heard:
            host.send("n1", ClientRequest(AcquireLock("mutex"), serial=1))
            host.set_timer("ask", seconds=0.3)

    @on(Answered)
    def hear(self, host: Host, sender: str, answer: Answered) -> None:
        self.heard.append(answer.result)


SERVERS = ["n1", "n2", "n3"]
DEAF = Partition(SERVERS, ["c1"], one_way=True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_node_that_repeats_its_request_is_answered_once_there_is_an_answer(kind: Kind) -> None:
    run = Simulation(cluster(kind, keeps, others=(Asker("a"),)), seed=1)
    run.run_until(2.0)
    assert run.world["a"].heard == []
    run.run_until(8.0)
    assert [type(each) for each in run.world["a"].heard] == [Grant]


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_that_was_lost_is_given_again(kind: Kind) -> None:
    deaf = at(0.5, Partition(SERVERS, ["a"], one_way=True), lasting=2.0)
    run = simulate(cluster(kind, others=(Asker("a"),)), seed=1, until=4.0, faults=[deaf])
    assert [each.token for each in run.world["a"].heard] == [1]


@pytest.mark.parametrize("kind", KINDS)
def test_who_gives_up_without_having_heard_of_its_grant_gives_it_back(kind: Kind) -> None:
    def impatient(lock: DistributedLock) -> Generator[Any, Any, None]:
        yield sleep(1.0)
        assert (yield from lock.acquiring(timeout=0.5, attempt_seconds=0.25)) is None

    run = Simulation(cluster(kind, impatient), seed=1, faults=[at(0.9, DEAF, lasting=0.5)])
    assert run.run_until(lambda world: bool(world["n1"].state.held))
    run.run_until(1.9)  # before the lease ends
    assert run.world["n1"].state.held == ()


def test_without_heartbeats_a_server_serves_what_it_was_asked_before_it_led() -> None:
    """Else its client would wait for ever: nothing else happens there that could remind it."""
    node = RaftNode("n1", heartbeat_seconds=None)
    lock = DistributedLock("mutex", [node])

    def asks() -> Generator[Any, Any, None]:
        yield lock.acquire()

    world = World.of(node, Script("c1", asks))
    asked = "c1 -> n1 ClientRequest(command=AcquireLock(lock='mutex', again=0), serial=None)"
    world = world.after(f"invoke {asked} as call 1", f"deliver {asked} as call 1")
    assert world.in_flight == ()
    world = world.step("fire n1 election")
    assert world["n1"].state.holding("mutex").session == "c1"


def test_one_who_waited_too_long_is_told_and_stands_in_nobodys_way() -> None:
    def impatient(lock: DistributedLock) -> Generator[Any, Any, None]:
        yield sleep(1.0)
        timed_out = yield lock.acquire(timeout=0.25)
        assert isinstance(timed_out, TimedOut)
        yield lock.withdraw()
        assert (yield from lock.acquiring(timeout=0.5, attempt_seconds=0.25)) is None
        yield lock.try_acquire()

    run = simulate(cluster(RaftNode, keeps, impatient), seed=1, until=3.0)
    assert results(run, "c2") == [Withdrawn("mutex"), Withdrawn("mutex"), LockBusy("mutex")]
    assert run.world["n1"].state.waiting == ()


def test_a_renewed_lease_goes_on_and_an_old_grant_is_known_to_be_old() -> None:
    def renews(lock: DistributedLock) -> Generator[Any, Any, None]:
        grant = yield lock.acquire()
        for _ in range(5):
            yield sleep(1.5)
            assert (yield grant.renew())
        yield sleep(5.0)
        assert not (yield grant.renew())
        yield grant.release()

    run = simulate(cluster(RaftNode, renews), seed=1, until=20.0)
    _, *renewed, late, released = results(run, "c1")
    assert renewed == [Renewed("mutex", 1)] * 5
    assert late == released == LockLost("mutex", 1)


def test_a_lock_of_another_name_is_another_lock() -> None:
    def both(lock: DistributedLock) -> Generator[Any, Any, None]:
        yield lock.acquire()
        yield lock.named("other").acquire()

    run = simulate(cluster(RaftNode, both), seed=1, until=3.0)
    assert [each.lock for each in results(run, "c1")] == ["mutex", "other"]


def test_a_stale_leader_grants_nothing() -> None:
    """Cut off, it still thinks that it leads. What it is asked waits until the cut is mended."""

    def asks(lock: DistributedLock) -> Generator[Any, Any, None]:
        yield sleep(2.0)
        grant = yield lock.acquire(to=leader)
        yield call("store", FencedWrite(grant.token, "x"))

    leader = leader_of(simulate(cluster(RaftNode), seed=1, until=1.9))
    rest = [name for name in ("n1", "n2", "n3") if name != leader]
    cut = at(1.95, Partition([leader, "c1"], rest), lasting=4.0)
    run = Simulation(cluster(RaftNode, asks), seed=1, faults=[cut])
    run.run_until(5.9)
    assert results(run, "c1") == []
    run.run_until(9.0)
    assert [type(each) for each in results(run, "c1")] == [Grant, WriteAccepted]


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        pytest.param([], r"give it nodes=\[RaftNode", id="none"),
        pytest.param([LockServer("n1")], "keeps no replicated log", id="other nodes"),
        pytest.param(["n1"], "'n1' keeps no replicated log", id="names"),
        pytest.param(
            [RaftNode("n1", machine=KeyValue())], r"write lock\.named\('other'\)", id="in use"
        ),
    ],
)
def test_nodes_that_cannot_keep_a_lock_are_refused(nodes: list[Any], said: str) -> None:
    with pytest.raises(ProtocolError, match=said):
        DistributedLock("mutex", nodes)


def test_two_handles_of_one_cluster_are_of_one_table() -> None:
    nodes = [RaftNode(f"n{number}") for number in (1, 2, 3)]
    one, other = DistributedLock("L", nodes), DistributedLock("M", nodes)
    assert other == one.named("M")
    with pytest.raises(ProtocolError, match="'n4' is no server; it has n1, n2, n3"):
        one.acquire(to="n4")


def test_a_lock_has_its_nodes_join_the_network_that_it_is_given() -> None:
    network = Network("cluster")
    nodes = [RaftNode(f"n{number}") for number in (1, 2, 3)]
    network.join(nodes[1])
    for name in ("L", "M"):
        DistributedLock(name, nodes, network)
    assert [each.name for each in network.members] == ["n2", "n1", "n3"]


# -- what a client script makes of it ------------------------------------------------------------

LOCK = DistributedLock("L", [RaftNode(f"n{number}") for number in (1, 2, 3)])


def test_a_client_takes_back_the_call_before_and_asks_the_first_server() -> None:
    assert LOCK.withdraw() == call("n1", ClientRequest(WithdrawLock("L", 1)))


@pytest.mark.parametrize(("timeout", "attempts"), [(0.1, 1), (1.0, 1), (2.5, 3)])
def test_acquiring_asks_as_often_as_there_is_time_for_and_once_at_least(
    timeout: float, attempts: int
) -> None:
    acquiring = LOCK.acquiring(timeout)
    asked = [next(acquiring)]
    asked += [acquiring.send(TimedOut()) for _ in range(attempts)]
    servers = ("n1", "n2", "n3")[:attempts]
    wanted = [ClientRequest(AcquireLock("L", again)) for again in range(attempts)]
    *attempted, withdrawal = asked
    assert attempted == [
        call(to, each, timeout=1.0) for to, each in zip(servers, wanted, strict=True)
    ]
    assert withdrawal == call("n1", ClientRequest(WithdrawLock("L", attempts)), timeout=1.0)


def test_a_grant_in_the_hands_of_a_script_sends_and_is_what_it_was_granted() -> None:
    sent: list[Any] = []
    held = Grant("L", 7, 1, ("n1", "n2")).__bind__(sent)
    assert held.release() == call("n1", ClientRequest(ReleaseLock("L", 7, 1)))
    assert held.renew(to="n2") == call("n2", ClientRequest(RenewLock("L", 7)))
    assert len(sent) == 2
    assert held == Grant("L", 7, 1, ("n1", "n2")).__bind__([])
    assert hash(LOCK) == hash(LOCK.named("L"))
    assert repr(held) == "HeldLock(lock='L', token=7, hold=1, servers=('n1', 'n2'))"
    assert not LockBusy("L")
