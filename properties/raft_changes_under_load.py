"""Raft whose members, leaders and logs change, under load, in virtual time.

This is what the dissertation adds to Raft, at once: servers join as learners, get votes and lose
them, one at a time or many together; logs give way to snapshots; leadership is handed over; reads
are not put in the log, and where clocks can be trusted they are answered by lease. Meanwhile
servers crash, clocks go wrong, and messages get lost, copied and delayed.

Clients count. One of them repeats a command, under the same number, until it has an answer.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from happysim import (
    Drift,
    Faults,
    Script,
    World,
    always,
    bounded,
    call,
    eventually,
    monitor,
    reachable,
    sleep,
    swarm,
)
from happysim.protocols.raft import (
    ClientRequest,
    Configuration,
    Entry,
    RaftNode,
    ReadRequest,
    Role,
    TransferLeadership,
)
from happysim.sim.swarm import usual_faults
from properties.counting import (
    CALM_SECONDS,
    KEYS,
    Add,
    CountsAreLinearizable,
    Total,
    all_clerks_are_done,
    clerks,
    faults_and_clocks,
)
from properties.raft import leaders_of, servers_of, who_does_not_lead_will_stand
from properties.raft_membership import (
    Targets,
    a_leader_that_has_left_leads_no_more,
    changes,
    configurations_in_force_intersect,
    the_newest_configuration_in_the_log_is_used,
)
from properties.raft_under_load import election_safety, is_server

# Faults befall the first seconds of a run.
ROUGH_SECONDS = 8.0
# How far the rate of a clock may be off where leases are held.
DRIFT_MAX = 0.3

# -- the machine ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ledger:
    """Counters by key, and by client the number of the last command that was counted.

    What comes again, or behind a later one of its client, is entered under "again".
    """

    initial: ClassVar[tuple[tuple[str, Any], ...]] = ()

    def apply(self, state: Any, command: Any) -> tuple[Any, Any]:
        """The next state, and what the counter stands at in it."""
        entries = dict(state)
        count = entries.get(command.key, 0)
        if isinstance(command, Total):
            return state, count
        client, number = command.who
        if number <= entries.get(client, 0):
            entries["again"] = command.who
        entries[client] = number
        entries[command.key] = count + 1
        return tuple(sorted(entries.items())), count + 1

    def key(self, command: Any) -> Hashable:
        return command.key


# -- clients, and the cluster that serves them ----------------------------------------------------


def repeats(name: str, servers: tuple[str, ...], rounds: int, timeout: float) -> Iterator[Any]:
    """Add again and again; each command is asked for, of one server after the other, until done."""
    at = 0
    for number in range(1, rounds + 1):
        command = Add(KEYS[number % len(KEYS)], (name, number), rounds - number)
        while True:
            request = ClientRequest(command, number)
            answer = yield call(servers[at % len(servers)], request, timeout=timeout)
            if isinstance(answer, int):
                break
            at += 1
            yield sleep((0.0, timeout / 4))
        yield sleep((0.0, 1.0))


def targets_of(first: tuple[str, ...], spare: tuple[str, ...], many: bool) -> Targets:
    """The spare servers learn, then as many others go, and come back."""
    count = min(len(spare), len(first))
    old, kept = first[:count], first[count:]
    if many:
        return (
            (first, spare),
            (kept + spare, ()),
            (kept + spare, old),
            (first + spare, ()),
            (first, spare),
        )
    targets: list[tuple[tuple[str, ...], tuple[str, ...]]] = []
    voters = first
    for leaves, joins in [*zip(old, spare, strict=False), *zip(spare, old, strict=False)]:
        stay = tuple(each for each in voters if each != leaves)
        targets += [(voters, (joins,)), ((*voters, joins), ()), ((*stay, joins), ())]
        voters = (*stay, joins)
    return tuple(targets)


def hands_over(names: tuple[str, ...]) -> Iterator[Any]:
    """Ask one server after the other to let another lead, while there are faults."""
    for number in range(12):
        yield sleep((0.1, 1.0))
        to = names[(2 * number + 1) % len(names)]
        yield call(names[number % len(names)], TransferLeadership(to), timeout=0.2)


# How a log grows, and when its beginning is discarded.
LOGS: dict[str, dict[str, Any]] = {
    "whole": {"snapshot_entries": None},
    "one entry a message": {"snapshot_entries": 8, "trailing_entries": 2, "max_entries": 1},
    "short": {"snapshot_entries": 3, "trailing_entries": 0},
    "short and careful": {"snapshot_entries": 3, "trailing_entries": 2, "pipeline": False},
    "none": {"snapshot_entries": 1, "trailing_entries": 0},
}
# What a server does with a request that it cannot serve.
WHO_IS_ASKED: dict[str, dict[str, Any]] = {
    "the leader": {},
    "anyone, who passes it on": {"forward": True},
    "anyone, who keeps it": {"patient": True},
}

UNDER_LOAD: dict[str, Any] = {
    "seed": 1,
    "runs": 20,
    "until": ROUGH_SECONDS,
    "calm": CALM_SECONDS,
    # A majority of all servers need not be one of those that have votes.
    "core": "all",
    "arguments": {
        # How many servers there are at first, and how many are to join.
        "members": ((1, 1), (1, 2), (2, 1), (3, 0), (3, 1), (3, 2), (3, 2), (4, 1)),
        "clients": (1, 2, 3),
        "timeout": (0.3, 1.0),
        "many": (True, False),
        "log": tuple(LOGS),
        "asked": tuple(WHO_IS_ASKED),
    },
}


@bounded(by=swarm(menu=faults_and_clocks(), **UNDER_LOAD), unknown_passes=True)
def changes_under_load(
    kind: type[RaftNode] = RaftNode,
    members: tuple[int, int] = (3, 2),
    clients: int = 2,
    timeout: float = 1.0,
    many: bool = True,
    log: str = "short",
    asked: str = "the leader",
    **options: Any,
) -> World:
    """Servers n1, n2, ... of which the last few have yet to join, and those who ask them.

    Where `many` votes may change at once, they do.
    """
    names = tuple(f"n{number}" for number in range(1, sum(members) + 1))
    first, spare = names[: members[0]], names[members[0] :]
    options |= {"machine": Ledger(), "joint_consensus": many, **LOGS[log], **WHO_IS_ASKED[asked]}
    servers = [
        kind(name, peers=tuple(each for each in first if each != name), **options) for name in first
    ]
    servers += [kind(name, joins=True, **options) for name in spare]
    asking = [
        *clerks((ClientRequest, ReadRequest), names, clients, timeout, ROUGH_SECONDS),
        Script("r1", repeats, "r1", names, 6, timeout),
        Script("a1", changes, names, targets_of(first, spare, many)),
        Script("t1", hands_over, names),
    ]
    return World.of(*servers, *asking, faults=Faults(crashes=1, unsynced_loss=True))


@bounded(
    by=swarm(menu=(*usual_faults(), ("drifts", Drift(rate=(-DRIFT_MAX, DRIFT_MAX)))), **UNDER_LOAD),
    unknown_passes=True,
)
def leases_under_load(**load: Any) -> World:
    """Reads are answered by lease. Clocks drift, but not beyond what servers reckon with."""
    return changes_under_load(lease_reads=True, clock_drift=DRIFT_MAX, **load)


def is_clerk(name: str) -> bool:
    return name.startswith(("c", "r", "late"))


# -- the theorems, of logs whose beginnings are gone ----------------------------------------------


@monitor(changes_under_load)
class log_matching:
    """Logs that agree on the term at an index are the same up to that index."""

    def __init__(self) -> None:
        # By server: what its log was at the last look, from which index on.
        self.seen: dict[str, tuple[int, tuple[Entry, ...]]] = {}
        # By index and term: the entry there, and the term of the one before.
        self.known: dict[tuple[int, int], tuple[Entry, int]] = {}

    def __call__(self, world: World, name: str) -> bool | str:
        if not is_server(name):
            return True
        log = world[name].log
        last = (log.offset, tuple(log.entries))
        if self.seen.get(name) == last:
            return True
        self.seen[name] = last
        term = log.offset_term
        for index, entry in enumerate(log.entries, log.offset + 1):
            known = self.known.setdefault((index, entry.term), (entry, term))
            if known != (entry, term):
                return f"{name} has another entry of term {entry.term} at {index}, or before it"
            term = entry.term
        return True


@monitor(changes_under_load)
class state_machine_safety:
    """Servers that have applied as much are in the same state, and so are their sessions."""

    def __init__(self) -> None:
        self.states: dict[int, tuple[Any, Any]] = {}

    def __call__(self, world: World, name: str) -> bool | str:
        server = world[name] if is_server(name) else None
        if server is None or not server.is_up or not server.commit_index:
            return True
        here = (server.state, dict(server.sessions))
        first = self.states.setdefault(server.commit_index, here)
        return first == here or f"{name} is in another state at {server.commit_index}"


@monitor(changes_under_load)
class leader_completeness:
    """What is committed in a term is in the logs of the leaders of all later terms."""

    def __init__(self) -> None:
        # The last index that was committed, the term of its entry, and that in which it was known.
        self.newest: list[tuple[int, int, int]] = []

    def __call__(self, world: World, name: str) -> bool | str:
        if not is_server(name) or not world[name].is_up:
            return True
        server = world[name]
        index, log = server.commit_index, server.log
        # Who has discarded what it has not committed is told by `what_is_committed_stays_so`.
        known = self.newest[-1][0] if self.newest else 0
        if index > known and index >= log.offset:
            self.newest.append((index, log.term_at(index), server.current_term))
        for leader in world.nodes(RaftNode):
            if leader.is_up and leader.role is Role.LEADER:
                said = self.lacks(leader)
                if said:
                    return said
        return True

    def lacks(self, leader: Any) -> str:
        for index, term, known in reversed(self.newest):
            if known < leader.current_term:
                if leader.log.agrees(index, term):
                    return ""
                return (
                    f"{leader.name} leads term {leader.current_term} without what was committed at "
                    f"{index} in term {known}"
                )
        return ""


@monitor(changes_under_load)
class what_is_committed_stays_so:
    """A server that is up takes nothing back, and nobody discards what is not committed."""

    def __init__(self) -> None:
        self.most: dict[str, int] = {}

    def __call__(self, world: World, name: str) -> bool | str:
        if not is_server(name):
            return True
        server = world[name]
        if not server.is_up:
            self.most[name] = 0
            return True
        before, self.most[name] = self.most.get(name, 0), server.commit_index
        if server.commit_index < before:
            return f"{name} went back from {before} to {server.commit_index}"
        if server.log.offset > server.commit_index:
            return f"{name} discards up to {server.log.offset}, committed to {server.commit_index}"
        return True


@always(changes_under_load)
def a_command_counts_once(world: World) -> bool | str:
    """However often it was asked for, and never behind a later one of its client."""
    for server in servers_of(world):
        again = dict(server.state or ()).get("again")
        if again is not None:
            return f"{again[0]} is counted again for its command {again[1]}"
    return True


@monitor(changes_under_load)
class counts_are_linearizable(CountsAreLinearizable):
    """Clients see one machine, whether what they ask is in the log or not."""

    def __call__(self, world: World, name: str) -> bool | str:
        return not is_clerk(name) or super().__call__(world, name)


# -- what must come true, once the faults have stopped --------------------------------------------


@eventually(changes_under_load)
def every_client_is_done(world: World) -> bool | str:
    return all_clerks_are_done(world, is_clerk)


@eventually(changes_under_load)
def every_change_is_made(world: World) -> bool | str:
    """The client who asks for them has been answered, and a leader uses the last of them."""
    servers = servers_of(world)
    first = tuple(each.name for each in servers if not each.joins)
    spare = tuple(each.name for each in servers if each.joins)
    targets = targets_of(first, spare, servers[0].joint_consensus)
    calls = [each for each in world.history.of("a1") if isinstance(each.result, Configuration)]
    made = calls[-1].operation.serial if calls else 0
    voters, learners = targets[-1] if targets else (first, ())
    wanted = Configuration(frozenset(voters), frozenset(learners))
    found = any(leader.configuration == wanted for leader in leaders_of(world))
    return (made == len(targets) and found) or f"{made} of {len(targets)} changes are made"


# -- what can happen, so that the above has something to judge ------------------------------------


@reachable(changes_under_load)
def a_server_is_sent_a_snapshot(world: World) -> bool:
    """One that has joined holds nothing of what came before."""
    return any(each.joins and each.snapshot.index and each.log.offset for each in servers_of(world))


@reachable(changes_under_load)
def two_majorities_decide_together(world: World) -> bool:
    return any(leader.configuration.is_joint for leader in leaders_of(world))


@reachable(changes_under_load)
def a_server_that_was_removed_votes_again(world: World) -> bool:
    """After the last change. Where a server joins, n1 is the first to go, and comes back."""
    was_removed = any(each.joins for each in servers_of(world))
    return was_removed and every_change_is_made(world) is True and world["n1"].current_term > 2


@reachable(changes_under_load)
def a_command_is_in_two_places_of_the_log(world: World) -> bool:
    """Its client has repeated it, and it will be passed over the second time."""
    for server in servers_of(world):
        commands = [entry.command for entry in server.log.entries if isinstance(entry.command, Add)]
        if len(commands) > len(set(commands)):
            return True
    return False


@reachable(leases_under_load)
def a_leader_that_may_be_deposed_holds_a_lease(world: World) -> bool:
    """It answers reads by itself, and another stands already."""
    return any(
        leader.lease_until is not None
        and any(each.role is Role.CANDIDATE for each in servers_of(world))
        for leader in leaders_of(world)
    )


configurations_in_force_intersect_under_load = configurations_in_force_intersect.over(
    changes_under_load, "configurations_in_force_intersect_under_load"
)
the_newest_configuration_is_used_under_load = the_newest_configuration_in_the_log_is_used.over(
    changes_under_load, "the_newest_configuration_is_used_under_load"
)
a_leader_that_has_left_leads_no_more_under_load = a_leader_that_has_left_leads_no_more.over(
    changes_under_load, "a_leader_that_has_left_leads_no_more_under_load"
)
who_does_not_lead_will_stand_under_changes = who_does_not_lead_will_stand.over(
    changes_under_load, "who_does_not_lead_will_stand_under_changes"
)
election_safety_under_changes = election_safety.over(
    changes_under_load, "election_safety_under_changes"
)

# -- the same where reads are answered by lease ---------------------------------------------------

counts_are_linearizable_by_lease = counts_are_linearizable.over(
    leases_under_load, "counts_are_linearizable_by_lease"
)
state_machine_safety_by_lease = state_machine_safety.over(
    leases_under_load, "state_machine_safety_by_lease"
)
every_client_is_done_by_lease = every_client_is_done.over(
    leases_under_load, "every_client_is_done_by_lease"
)
