"""Raft in virtual time, with the settings it has by default: real links, crashes, partitions.

What is promised is that of the other files. Here also: it makes progress once it is left in peace,
and reads by lease, which rest on clocks, are as fresh as any.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from happysim import (
    Cas,
    CasRegister,
    Crash,
    Drift,
    Network,
    Partition,
    Read,
    Script,
    Skew,
    World,
    Write,
    at,
    bounded,
    call,
    datacenter_network,
    eventually,
    randomly,
    simulated,
    sleep,
)
from happysim.core.script import TimedOut
from happysim.protocols.raft import (
    ClientRequest,
    Configuration,
    NotLeader,
    Overwritten,
    RaftNode,
    ReadRequest,
    TransferLeadership,
)
from properties.raft import clients_see_one_machine, every_theorem, leaders_of, servers_of
from properties.raft_membership import changes, every_theorem_of_changes

COMMANDS = 12
NAMES = ("n1", "n2", "n3", "n4", "n5")


def writes_on(wait: float, size: int, first: str, *commands: Any) -> Iterator[Any]:
    """A client that gives one command after the other, and repeats each until it has a result."""
    yield sleep(wait)
    server, pause = first, 0.01
    for serial, command in enumerate(commands, 1):
        while True:
            answer = yield call(server, ClientRequest(command, serial), timeout=0.1)
            if not isinstance(answer, NotLeader | Overwritten | TimedOut):
                break
            known = answer.leader if isinstance(answer, NotLeader) else None
            server = known or NAMES[(NAMES.index(server) + 1) % size]
            yield sleep(pause)
        yield sleep(pause)


def reads_on(wait: float, server: str, times: int) -> Iterator[Any]:
    """A client that stays with one server, whatever that says."""
    yield sleep(wait)
    for _ in range(times):
        yield call(server, ReadRequest(Read()), timeout=0.1)
        yield sleep(0.02)


def in_datacenter(servers: list[RaftNode], *clients: Script) -> World:
    return World.of(*servers, *clients, network=Network("lan", default=datacenter_network()))


@bounded(
    by=simulated(
        seed=1,
        runs=6,
        until=6.0,
        calm=6.0,
        faults=[
            randomly(Crash(down_max=2), every=1.0, lasting=0.5),
            randomly(Partition(), every=1.5, lasting=0.7),
        ],
    ),
    unknown_passes=True,
)
def five_in_time(kind: type[RaftNode] = RaftNode) -> World:
    """Five servers whose logs are replaced by snapshots now and then."""
    servers = [
        kind(name, machine=CasRegister(), snapshot_entries=8, trailing_entries=2) for name in NAMES
    ]
    clients = [
        Script("c1", writes_on, 0.0, 5, "n1", *map(Write, range(1, COMMANDS + 1))),
        Script(
            "c2", writes_on, 0.0, 5, "n2", *[Cas(value, -value) for value in range(1, COMMANDS + 1)]
        ),
        Script("c3", reads_on, 0.0, "n3", 20),
    ]
    return in_datacenter(servers, *clients)


@bounded(
    by=simulated(
        seed=1,
        runs=6,
        until=6.0,
        calm=6.0,
        faults=[
            randomly(Crash(down_max=1), every=1.0, lasting=0.3),
            randomly(Partition(), every=2.0, lasting=0.5),
        ],
    ),
    unknown_passes=True,
)
def members_in_time(kind: type[RaftNode] = RaftNode) -> World:
    """n1, n2 and n3 take in n4 and n5 as learners, then with a vote, and then let n1 and n2 go."""
    options = {"machine": CasRegister(), "snapshot_entries": 8, "trailing_entries": 2}
    first = NAMES[:3]
    servers = [
        kind(name, peers=tuple(each for each in first if each != name), **options) for name in first
    ]
    servers += [kind(name, joins=True, **options) for name in NAMES[3:]]
    clients = [
        Script("a1", changes, NAMES, ((first, NAMES[3:]), (NAMES, ()), (NAMES[2:], ()))),
        Script("c1", writes_on, 0.0, 5, "n1", *map(Write, range(1, COMMANDS + 1))),
        Script("c2", reads_on, 0.0, "n3", 20),
    ]
    return in_datacenter(servers, *clients)


CUT_OFF = simulated(
    seed=1,
    runs=6,
    until=3.0,
    faults=[
        at(1.2, Partition(["n1"], ["n2", "n3"]), lasting=1.5),
        # As far off as `clock_drift` allows: n1 holds its leases the longest, the others wait the
        # shortest.
        at(0.0, Drift("n1", -0.01)),
        at(0.0, Drift("n2", 0.01)),
        at(0.0, Drift("n3", 0.01)),
    ],
)


@bounded(by=CUT_OFF, unknown_passes=True)
def leases_in_time(kind: type[RaftNode] = RaftNode) -> World:
    """n1 leads, and is cut off from the others, but not from a client that reads from it."""
    return cut_off(kind)


@bounded(
    by=simulated(
        seed=1,
        runs=1,
        until=2.5,
        faults=[
            at(1.2, Partition(["n1"], ["n2", "n3"]), lasting=1.2),
            at(0.0, Skew("n1", -60.0)),
        ],
    ),
    unknown_passes=True,
)
def leases_of_a_clock_that_is_behind(kind: type[RaftNode] = RaftNode) -> World:
    """The clock of n1 shows a time before its origin: of clocks only the rates are assumed."""
    return cut_off(kind)


def cut_off(kind: type[RaftNode]) -> World:
    """n1 is made the leader; a client reads from it, and another writes wherever it can."""
    names = NAMES[:3]
    servers = [kind(name, machine=CasRegister(), lease_reads=True) for name in names]
    clients = [
        Script("a1", makes_lead, 0.8, "n1", *names),
        Script("r1", reads_on, 1.1, "n1", 60),
        Script("w1", writes_on, 1.1, 3, "n1", *map(Write, range(1, 31))),
    ]
    return in_datacenter(servers, *clients)


def makes_lead(wait: float, to: str, *servers: str) -> Iterator[Any]:
    """A client that asks every server to hand over to one; the leader does."""
    yield sleep(wait)
    for server in servers:
        yield call(server, TransferLeadership(to), timeout=0.05)


every_theorem_of_members_in_time = every_theorem_of_changes.over(members_in_time)
clients_see_one_machine_of_members_in_time = clients_see_one_machine.over(members_in_time)
every_theorem_in_time = every_theorem.over(five_in_time)
clients_see_one_machine_in_time = clients_see_one_machine.over(five_in_time)
reads_by_lease_are_linearizable = clients_see_one_machine.over(leases_in_time)
reads_by_a_clock_that_is_behind_are_linearizable = clients_see_one_machine.over(
    leases_of_a_clock_that_is_behind
)


@eventually(five_in_time)
def every_command_gets_through(world: World) -> bool:
    """Whatever happened before: in peace a leader is found, and a majority follows it."""
    for leader in leaders_of(world):
        done = {name: leader.sessions.get(name, (0, None))[0] for name in ("c1", "c2")}
        followers = [each for each in servers_of(world) if each.commit_index == leader.commit_index]
        if done == {"c1": COMMANDS, "c2": COMMANDS} and len(followers) > len(NAMES) // 2:
            return True
    return False


@eventually(members_in_time)
def the_last_change_gets_through(world: World) -> bool:
    """The cluster ends up with three members of five, and with one of them as its leader."""
    wanted = Configuration(frozenset(NAMES[2:]))
    return any(
        leader.configuration == wanted and leader.configuration_index <= leader.commit_index
        for leader in leaders_of(world)
    )
