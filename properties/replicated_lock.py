"""A lock kept by consensus: one holder at a time, tokens that only grow, and nobody left waiting.

The searches look at small clusters, where what is lost is never delivered and a round may end at
any moment: so a lease may be over as soon as it began. The runs in time look at what has to happen
at last, and at a client that sleeps past its lease.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

from happysim import (
    Faults,
    Host,
    Link,
    Network,
    Node,
    NodeView,
    Pause,
    Script,
    World,
    always,
    at,
    bfs,
    bounded,
    call,
    durable,
    eventually,
    lognormal,
    on,
    reachable,
    simulated,
    sleep,
    step_always,
    swarm,
    uniform,
)
from happysim.protocols.lock import (
    AcquireLock,
    DistributedLock,
    Expire,
    FencedStore,
    FencedWrite,
    Grant,
    HeldLock,
    Locks,
    LockTable,
    ReleaseLock,
    WithdrawLock,
    WriteAccepted,
    WriteRefused,
)
from happysim.protocols.raft import Answered, ClientRequest, Entry, RaftNode, Role
from properties.counting import faults_and_clocks
from properties.raft import PLAIN, elect, terms

# -- clients -------------------------------------------------------------------------------------


def visits(lock: DistributedLock, server: str, times: int = 1) -> Iterator[Any]:
    """Take the lock, write under its token, and let go."""
    for _ in range(times):
        grant = yield lock.acquire(to=server)
        yield call("store", FencedWrite(grant.token, grant.token))
        yield grant.release(to=server)


def nests(lock: DistributedLock, server: str) -> Iterator[Any]:
    """An outer and an inner hold; the inner one is let go first."""
    outer = yield lock.acquire(to=server)
    inner = yield lock.acquire(to=server)
    yield inner.release(to=server)
    yield outer.release(to=server)


def gives_up(lock: DistributedLock, server: str) -> Iterator[Any]:
    """Waits for so long, takes it back, and tries to have it at once; releases twice."""
    grant = yield lock.acquire(timeout=1.0, to=server)
    if not isinstance(grant, HeldLock):
        yield lock.withdraw(to=server)
        grant = yield lock.try_acquire(to=server)
    if grant:
        grant.release(to=server)
        yield grant.release(to=server)


def dies(lock: DistributedLock) -> Iterator[Any]:
    """Takes the lock, and is not heard of any more."""
    yield from lock.acquiring()


VISITS = 3


def insists(lock: DistributedLock) -> Iterator[Any]:
    """A client as one would write it: asks again where no answer comes, and lets go in the end."""
    for _ in range(VISITS):
        grant = yield from lock.acquiring(attempt_seconds=0.5)
        yield call("store", FencedWrite(grant.token, grant.token), timeout=0.5)
        yield sleep((0.0, 0.5))
        grant.release()


class Writer(Node):
    """A client that works for a while under the lock before it writes; what it is told, it keeps.

    It asks again, under the same number, while it has no grant.
    """

    servers: tuple[str, ...] = ("n1", "n2", "n3")
    starts_seconds: float = 0.0
    work_seconds: float = 1.0
    attempts: int = durable(default=0)
    grant: Grant | None = None
    said: list[Any] = []

    def on_start(self, host: Host) -> None:
        host.set_timer("ask", seconds=self.starts_seconds)

    @on.timer("ask")
    def ask(self, host: Host) -> None:
        if self.grant is None:
            server = self.servers[self.attempts % len(self.servers)]
            self.attempts += 1
            host.send(server, ClientRequest(AcquireLock("mutex"), serial=1))
            host.set_timer("ask", seconds=1.0)

    @on(Answered)
    def work(self, host: Host, sender: str, answer: Answered) -> None:
        if isinstance(answer.result, Grant) and self.grant is None:
            self.grant = answer.result
            host.set_timer("work", seconds=self.work_seconds)

    @on.timer("work")
    def write(self, host: Host) -> None:
        if self.grant is not None:
            host.send("store", FencedWrite(self.grant.token, host.name))

    @on(WriteAccepted, WriteRefused)
    def let_go(self, host: Host, sender: str, answer: WriteAccepted | WriteRefused) -> None:
        self.said.append(answer)
        if self.grant is not None:
            release = ReleaseLock("mutex", self.grant.token, self.grant.hold)
            host.send(self.servers[0], ClientRequest(release))


# -- clusters ------------------------------------------------------------------------------------

Clients = Callable[[DistributedLock], list[Script]]


def locked(
    size: int,
    clients: Clients,
    kind: type[RaftNode] = RaftNode,
    table: type[LockTable] = LockTable,
    store: type[FencedStore] = FencedStore,
    faults: Faults | None = None,
    network: Network | None = None,
    **options: Any,
) -> World:
    """Servers n1, n2, ... that keep a lock, a store, and clients of both."""
    servers = [kind(f"n{number}", **options) for number in range(1, size + 1)]
    lock = DistributedLock("mutex", servers, lease_seconds=2.0)
    for each in servers:
        each.machine = table(lock.servers, 2.0)
    return World.of(*servers, store("store"), *clients(lock), faults=faults, network=network)


def searched(size: int, clients: Clients, *voters: str, **options: Any) -> World:
    """A plain cluster, as a search wants it, that n1 leads in term 1."""
    plain = {"no_op": False, "heartbeat_seconds": None} | PLAIN
    return elect(locked(size, clients, **(plain | options)), "n1", *voters)


def servers_of(world: World) -> tuple[NodeView, ...]:
    return world.nodes(RaftNode)


def tables_of(world: World) -> Iterator[tuple[NodeView, Locks]]:
    """The table of each server that has one."""
    for server in servers_of(world):
        if isinstance(server.state, Locks):
            yield server, server.state


def grants_of(world: World) -> Iterator[tuple[str, Grant]]:
    """What clients were granted, and which."""
    for name, calls in world.history.lanes:
        for each in calls:
            if isinstance(each.result, Grant):
                yield name, each.result


# -- scenarios -----------------------------------------------------------------------------------


@bounded(by=bfs(), within=terms(1))
def two_clients(**kinds: Any) -> World:
    """One server: what there is to be said of the table, with leases that end at any moment."""
    return searched(
        1, lambda lock: [Script(name, visits, lock, "n1") for name in ("c1", "c2")], **kinds
    )


@bounded(by=bfs(), within=terms(1))
def three_clients(**kinds: Any) -> World:
    """Two may wait at once. Only one of them lets go; the others' leases end."""

    def clients(lock: DistributedLock) -> list[Script]:
        waiting = [Script(name, takes, lock, "n1") for name in ("c2", "c3")]
        return [Script("c1", asks_only, lock), *waiting]

    return searched(1, clients, **kinds)


def asks_only(lock: DistributedLock) -> Iterator[Any]:
    grant = yield lock.acquire()
    yield grant.release()


@bounded(by=bfs(), within=terms(1))
def a_nested_hold(**kinds: Any) -> World:
    return searched(
        1, lambda lock: [Script("c1", nests, lock, "n1"), Script("c2", takes, lock, "n1")], **kinds
    )


@bounded(by=bfs(), within=terms(1))
def a_client_gives_up(**kinds: Any) -> World:
    return searched(
        1,
        lambda lock: [Script("c1", gives_up, lock, "n1"), Script("c2", takes, lock, "n1")],
        **kinds,
    )


@bounded(by=bfs(), within=terms(1, "n1"))
def three_servers(**kinds: Any) -> World:
    """n1 leads, and the client asks n2, which passes it on."""
    return searched(3, lambda lock: [Script("c2", takes, lock, "n2")], "n2", **kinds)


def takes(lock: DistributedLock, server: str) -> Iterator[Any]:
    yield lock.acquire(to=server)


@bounded(by=bfs(), within=terms(2, "n2"))
def a_new_leader(**kinds: Any) -> World:
    """n1 leads two servers, and n2 may take over; c1 asks n1, and c2 asks n2."""

    def clients(lock: DistributedLock) -> list[Script]:
        return [Script("c1", takes, lock, "n1"), Script("c2", takes, lock, "n2")]

    return searched(2, clients, "n2", **kinds)


@bounded(by=uniform(seed=1, runs=25, steps=120), within=terms(4), unknown_passes=True)
def rough_seas(**kinds: Any) -> World:
    def clients(lock: DistributedLock) -> list[Script]:
        return [Script(f"c{number}", visits, lock, f"n{number}", 2) for number in (1, 2, 3)]

    faults = Faults(crashes=2, drops=2, duplicates=2, down_max=1, unsynced_loss=True)
    options = {"no_op": True, "pre_vote": True, "snapshot_entries": 3}
    return searched(3, clients, "n2", faults=faults, **(options | kinds))


@bounded(
    by=swarm(
        seed=1,
        runs=12,
        until=12.0,
        calm=200.0,
        menu=faults_and_clocks(),
        arguments={"latency": (0.0005, 0.005, 0.03)},
    ),
    unknown_passes=True,
)
def in_time(latency: float = 0.005, **kinds: Any) -> World:
    """Real leases of 2 to 4 seconds; one client dies with the lock in its hands.

    The network is quick beside elections, which are quick beside leases.
    """

    def clients(lock: DistributedLock) -> list[Script]:
        names = [f"c{number}" for number in (1, 2, 3)]
        return [Script("c0", dies, lock), *(Script(name, insists, lock) for name in names)]

    network = Network("lan", default=Link(lognormal(latency, 0.5)))
    return locked(3, clients, network=network, **kinds)


KLEPPMANN = (at(2.0, Pause("c1"), lasting=10.0),)


@bounded(by=simulated(seed=1, runs=1, until=20.0, faults=KLEPPMANN), unknown_passes=True)
def a_client_oversleeps(**kinds: Any) -> World:
    """Kleppmann's scenario: c1 has the lock, and stands still from second 2 to second 12."""
    servers = [kinds.get("kind", RaftNode)(f"n{number}") for number in (1, 2, 3)]
    DistributedLock("mutex", servers, lease_seconds=2.0)
    store = kinds.get("store", FencedStore)("store")
    c1 = Writer("c1", starts_seconds=0.5, work_seconds=3.0)
    c2 = Writer("c2", starts_seconds=1.5, work_seconds=0.5)
    return World.of(*servers, store, c1, c2)


# -- mutual exclusion, by tokens -----------------------------------------------------------------


@always(a_new_leader)
def one_holder_at_a_time(world: World) -> bool | str:
    """In no table two hold one lock, and no token is of two clients, whichever server gave it."""
    owners: dict[int, str] = {}
    found = list(grants_of(world))
    for server, table in tables_of(world):
        locks = [held.lock for held in table.held]
        if len(set(locks)) < len(locks):
            return f"two hold one lock, says {server.name}"
    for client, grant in found:
        if owners.setdefault(grant.token, client) != client:
            return f"{client} and {owners[grant.token]} have the token {grant.token}"
    for server, table in tables_of(world):
        for held in table.held:
            if owners.setdefault(held.token, held.session) != held.session:
                return f"the token {held.token} is of another client, says {server.name}"
    return True


@step_always(a_nested_hold)
def only_time_or_its_holder_takes_a_lock(before: World, after: World) -> bool | str:
    """A grant ends once all its holds are let go, or with the second round that goes by."""
    for server, entries in applied(before, after):
        now = {held.token: held for held in after[server.name].state.held}
        commands = [entry.command for entry in entries]
        for held in server.state.held:
            rounds = sum(isinstance(command, Expire) for command in commands) + held.aged
            let_go = {
                each.hold
                for each in commands
                if isinstance(each, ReleaseLock) and each.token == held.token
            }
            let_go |= {
                entry.operation.number - entry.command.back
                for entry in entries
                if isinstance(entry.command, WithdrawLock)
                and entry.operation is not None
                and entry.operation.client == held.session
            }
            goes_on = held.token in now
            if not goes_on and rounds < 2 and set(held.holds) - let_go:
                return f"{held.session} has lost its lock before its time, says {server.name}"
            if goes_on and set(held.holds) & let_go & set(now[held.token].holds):
                return f"a hold that {held.session} let go is still counted, says {server.name}"
    return True


def applied(before: World, after: World) -> Iterator[tuple[NodeView, list[Entry]]]:
    """The servers, as they were, that have applied something in this step, and what."""
    for server in servers_of(before):
        now = after[server.name]
        first, last = server.commit_index, now.commit_index
        tables = isinstance(server.state, Locks) and isinstance(now.state, Locks)
        if tables and first < last and first >= now.log.offset:
            yield server, now.log.behind(first, last - first)


@always(a_new_leader)
def tables_agree(world: World) -> bool | str:
    """What has been applied alone says who holds what: no server's clock, and not who leads."""
    for (one, mine), (other, yours) in combinations(tables_of(world), 2):
        if one.commit_index == other.commit_index and mine != yours:
            return f"{one.name} and {other.name} have applied the same, and differ"
    return True


# -- tokens --------------------------------------------------------------------------------------


@always(a_new_leader)
def tokens_only_grow(world: World) -> bool | str:
    """A grant that was asked for when another was known has a larger token, whoever leads."""
    for name, calls in world.history.lanes:
        for place, each in enumerate(calls):
            if not isinstance(each.result, Grant):
                continue
            own = calls[:place]
            others = [
                known
                for other, last in each.after
                if other != name
                for known in world.history.of(other)[: last + 1]
            ]
            for known in (*own, *others):
                earlier = known.result
                if not isinstance(earlier, Grant) or earlier.lock != each.result.lock:
                    continue
                if earlier.token > each.result.token - (known in others):
                    return f"{name} got {each.result.token} after {earlier.token}"
    return True


@step_always(two_clients)
def the_store_is_written_in_order_of_tokens(before: World, after: World) -> bool:
    """Whoever oversleeps its lease is refused. A store whose disk fails is another story."""
    return after["store"].token >= before["store"].token


# -- who waits -----------------------------------------------------------------------------------


@step_always(three_clients)
def who_waits_longest_is_next(before: World, after: World) -> bool | str:
    """First come, first served: but for who has given up."""
    for server, entries in applied(before, after):
        if len(entries) != 1:
            continue  # They may also be applied one by one, in some other step.
        asked_by = entries[0].operation.client if entries[0].operation else ""
        for held in after[server.name].state.held:
            queue = [
                each.operation.client
                for each in server.state.queue(held.lock)
                if each.operation.client != asked_by
            ]
            is_new = held.token > server.state.token
            if is_new and queue and held.session != queue[0]:
                return f"{held.session} overtook {queue[0]}"
    return True


@always(three_clients)
def nobody_waits_in_vain(world: World) -> bool | str:
    """Who waits, waits once, for what another holds, and has asked for nothing else since."""
    for server, table in tables_of(world):
        waiting = [each.operation.client for each in table.waiting]
        if len(set(waiting)) < len(waiting):
            return f"a client waits twice, says {server.name}"
        for each in table.waiting:
            held = table.holding(each.lock)
            if held is None:
                return f"{each.operation.client} waits for a free lock, says {server.name}"
            if server.sessions[each.operation.client][0] != each.operation.number:
                return f"{each.operation.client} does not wait any more, but {server.name} says so"
            if held.session == each.operation.client:
                return f"{held.session} waits for what it holds, says {server.name}"
    return True


@always(two_clients)
def no_lease_lasts_for_ever(world: World) -> bool | str:
    """A leader has a timer that ends rounds, nobody else has, and two rounds end a lease.

    So nobody keeps a lock by dying.
    """
    for server, table in tables_of(world):
        if (server.role is Role.LEADER) != ("round" in server.timers):
            return f"{server.name} ends rounds, or does not, and is a {server.role}"
        for held in table.held:
            later = table
            for _ in range(2):
                command = server.machine.round_over(later)
                later = later if command is None else server.machine.apply(later, command)[0]
            now = later.holding(held.lock)
            if now is not None and now.token == held.token:
                return f"{held.session} keeps its lock whatever happens, says {server.name}"
    return True


@eventually(in_time)
def everyone_gets_the_lock(world: World) -> bool | str:
    """Also those who wait for one that has died: each gets it as often as it insists."""
    for name in ("c1", "c2", "c3"):
        grants = [grant for client, grant in grants_of(world) if client == name]
        if len(grants) < VISITS:
            return f"{name} has had {len(grants)} of {VISITS} grants"
    return True


# -- honesty: a lock that grants nothing would have all of the above -----------------------------


@reachable(two_clients)
def both_write(world: World) -> bool:
    return world["store"].token == 2 and len({client for client, _ in grants_of(world)}) == 2


@reachable(two_clients)
def a_stale_write_is_refused(world: World) -> bool:
    """A client sleeps past its lease, and its write comes after that of the next holder."""
    return any(
        isinstance(each.result, WriteRefused)
        for name in ("c1", "c2")
        for each in world.history.of(name)
    )


@reachable(three_clients)
def two_wait_at_once(world: World) -> bool:
    return any(len(table.waiting) == 2 for _, table in tables_of(world))


@reachable(a_nested_hold)
def the_inner_hold_is_let_go_before_the_outer(world: World) -> bool:
    calls = world.history.of("c1")
    inner = len(calls) >= 3 and bool(calls[2].result)
    return inner and any(held.holds == (1,) for _, table in tables_of(world) for held in table.held)


@reachable(a_client_gives_up)
def a_request_is_taken_back(world: World) -> bool:
    """It was withdrawn while it waited, and so the lock goes to nobody in the end."""
    commands = [entry.command for entry in world["n1"].log.entries]
    return any(isinstance(each, WithdrawLock) for each in commands) and not world["n1"].state.held


@reachable(a_client_gives_up)
def an_old_grant_is_released_without_harm(world: World) -> bool:
    return any(
        isinstance(each.operation, ClientRequest) and each.result is not None and not each.result
        for each in world.history.of("c1")
        if isinstance(each.operation.command, ReleaseLock)
    )


@reachable(three_servers)
def a_request_is_passed_on_and_granted(world: World) -> bool:
    return any(client == "c2" for client, _ in grants_of(world))


@reachable(a_new_leader)
def a_new_leader_grants_what_another_was_asked(world: World) -> bool:
    """c1 asked the old leader, and waits; the new one lets the lease end, and grants it."""
    granted = dict(grants_of(world))
    return "c2" in granted and "c1" in granted and granted["c2"].token < granted["c1"].token


def leaders_have_changed(world: World) -> bool:
    return any(
        server.role is Role.LEADER and server.current_term > 1 for server in servers_of(world)
    )


@reachable(rough_seas)
def grants_go_on_in_rough_seas(world: World) -> bool:
    tokens = {grant.token for _, grant in grants_of(world)}
    return leaders_have_changed(world) and len(tokens) > 2


@reachable(in_time)
def grants_go_on_in_time(world: World) -> bool:
    tokens = {grant.token for _, grant in grants_of(world)}
    return leaders_have_changed(world) and len(tokens) > 2


@reachable(a_client_oversleeps)
def a_late_write_is_refused(world: World) -> bool:
    """Kleppmann: c1 writes when c2 has written under a larger token, and is refused."""
    said = world["c1"].said
    return bool(said) and isinstance(said[0], WriteRefused) and world["store"].value == "c2"


# -- the same sentences of further scenarios -----------------------------------------------------

one_holder_of_two = one_holder_at_a_time.over(two_clients)
one_holder_of_three = one_holder_at_a_time.over(three_clients)
one_holder_in_rough_seas = one_holder_at_a_time.over(rough_seas)
one_holder_in_time = one_holder_at_a_time.over(in_time)
one_holder_though_one_gives_up = one_holder_at_a_time.over(a_client_gives_up)

holders_stay = only_time_or_its_holder_takes_a_lock.over(two_clients)
holders_stay_though_one_gives_up = only_time_or_its_holder_takes_a_lock.over(a_client_gives_up)
holders_stay_under_a_new_leader = only_time_or_its_holder_takes_a_lock.over(a_new_leader)
holders_stay_in_rough_seas = only_time_or_its_holder_takes_a_lock.over(rough_seas)

tables_of_three_servers_agree = tables_agree.over(three_servers)
tables_agree_in_rough_seas = tables_agree.over(rough_seas)
tables_agree_in_time = tables_agree.over(in_time)

tokens_grow_for_two = tokens_only_grow.over(two_clients)
tokens_grow_in_rough_seas = tokens_only_grow.over(rough_seas)
tokens_grow_in_time = tokens_only_grow.over(in_time)

the_store_keeps_order_in_rough_seas = the_store_is_written_in_order_of_tokens.over(rough_seas)
the_store_keeps_order_in_time = the_store_is_written_in_order_of_tokens.over(in_time)
the_store_keeps_order_if_one_oversleeps = the_store_is_written_in_order_of_tokens.over(
    a_client_oversleeps
)

queues_keep_order_under_a_new_leader = who_waits_longest_is_next.over(a_new_leader)
queues_keep_order_though_one_gives_up = who_waits_longest_is_next.over(a_client_gives_up)
nobody_waits_in_vain_though_one_gives_up = nobody_waits_in_vain.over(a_client_gives_up)
nobody_waits_in_vain_under_a_new_leader = nobody_waits_in_vain.over(a_new_leader)
nobody_waits_in_vain_in_rough_seas = nobody_waits_in_vain.over(rough_seas)
no_lease_lasts_for_ever_under_a_new_leader = no_lease_lasts_for_ever.over(a_new_leader)
