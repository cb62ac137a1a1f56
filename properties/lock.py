"""The lock service: one holder at a time, tokens that only grow, and nobody left waiting.

Each property is stated once. Its sentence is about every world of the scenario that it names; at
the end of the file the same sentences are claimed of further scenarios.
"""

from __future__ import annotations

from happysim import (
    Faults,
    Host,
    Node,
    World,
    action,
    always,
    bounded,
    durable,
    on,
    quiescent,
    reachable,
    step_always,
)
from happysim.protocols.lock import (
    Acquire,
    FencedStore,
    FencedWrite,
    LockGrant,
    LockLost,
    LockServer,
    Release,
    Released,
    Renew,
    Renewed,
    WriteAccepted,
    WriteRefused,
)
from properties.worlds import NETWORKS

# -- clients -------------------------------------------------------------------------------------


class Worker(Node):
    """Takes a lock, writes its name to the store under the grant's token, and lets go."""

    lock: str = "L"
    asks: int = 1  # times that it may send its request
    renewals: int = 0  # times that it may renew its lease
    last_hold: int = durable(default=0)  # the number of a hold is never used again
    holds: set[int] = set()  # asked for, and not let go
    token: int = 0  # of its newest grant
    is_done: bool = False

    @action(when=lambda self: self.asks and not self.is_done)
    def ask(self, host: Host) -> None:
        self.asks -= 1
        if not self.holds:
            self.last_hold += 1
            host.sync()
            self.holds.add(self.last_hold)
        host.send("lock", Acquire(self.lock, self.last_hold))

    @on(LockGrant)
    def work(self, host: Host, sender: str, grant: LockGrant) -> None:
        if grant.hold not in self.holds:  # a late copy of its request was granted
            host.reply(Release(grant.lock, grant.token, grant.hold))
        elif grant.token != self.token:
            self.token = grant.token
            host.send("store", FencedWrite(grant.token, self.name))

    @action(when=lambda self: self.renewals and self.token and self.holds)
    def renew(self, host: Host) -> None:
        self.renewals -= 1
        host.send("lock", Renew(self.lock, self.token))

    @on(Renewed)
    def go_on(self, host: Host, sender: str, answer: Renewed) -> None:
        """The write is on its way."""

    @on(LockLost)
    def give_up(self, host: Host, sender: str, answer: LockLost) -> None:
        if answer.token == self.token:
            self.is_done = True
            self.holds.clear()

    @on(WriteAccepted, WriteRefused)
    def let_go(self, host: Host, sender: str, answer: WriteAccepted | WriteRefused) -> None:
        if answer.token == self.token and self.holds:
            self.is_done = True
            host.send("lock", Release(self.lock, self.token, self.holds.pop()))

    @on(Released)
    def rest(self, host: Host, sender: str, answer: Released) -> None:
        """Nothing is left to do."""


class Nester(Node):
    """Takes lock L twice, an outer and an inner hold, and lets go of the inner one first."""

    holds: set[int] = set()
    token: int = 0
    has_begun: bool = False

    @action(when=lambda self: not self.has_begun)
    def ask_twice(self, host: Host) -> None:
        self.has_begun = True
        self.holds = {1, 2}
        host.send("lock", Acquire("L", hold=1))
        host.send("lock", Acquire("L", hold=2))

    @on(LockGrant)
    def let_go_of_inner(self, host: Host, sender: str, grant: LockGrant) -> None:
        self.token = grant.token
        if grant.hold == 2 and 2 in self.holds:
            self.holds.discard(2)
            host.reply(Release("L", grant.token, hold=2))

    @on(Released)
    def let_go_of_outer(self, host: Host, sender: str, answer: Released) -> None:
        if answer.hold == 2 and 1 in self.holds:
            self.holds.discard(1)
            host.reply(Release("L", self.token, hold=1))


# -- scenarios -----------------------------------------------------------------------------------


def lock_world(
    *clients: Node,
    server: LockServer | None = None,
    store: FencedStore | None = None,
    faults: Faults | None = None,
    network: str = "unordered",
) -> World:
    """A server named lock, a store named store, and clients: by default two workers for lock L."""
    return World.of(
        server or LockServer("lock"),
        store or FencedStore("store"),
        *(clients or (Worker("w1"), Worker("w2"))),
        faults=faults,
        network=NETWORKS[network](),
    )


def two_workers(network: str = "unordered") -> World:
    return lock_world(network=network)


def anyone_crashes_once(network: str = "unordered") -> World:
    """One of the four crashes, losing what it has not synced, and may come back."""
    return lock_world(faults=Faults(crashes=1, unsynced_loss=True), network=network)


def a_worker_dies() -> World:
    return lock_world(faults=Faults(crashes=1, restarts=0, crashable=("w1", "w2")))


def the_server_restarts() -> World:
    """A worker that gets no answer from the server may ask it again, once."""
    faults = Faults(crashes=1, crashable=("lock",), unsynced_loss=True)
    return lock_world(Worker("w1", asks=2), Worker("w2"), faults=faults)


def a_message_is_lost_and_one_is_copied() -> World:
    return lock_world(faults=Faults(drops=1, duplicates=1))


@bounded(within=lambda world: world["lock"].token <= 3)
def messages_come_again_for_ever() -> World:
    """An old request that comes again is granted anew, so the search ends at three grants."""
    return lock_world(network="duplicating")


def three_workers() -> World:
    """Enough for two to wait at once."""
    return lock_world(Worker("w1"), Worker("w2"), Worker("w3"))


def two_locks_and_renewals() -> World:
    return lock_world(Worker("w1", "L", renewals=1), Worker("w2", "L"), Worker("w3", "M"))


def a_nested_hold() -> World:
    return lock_world(Nester("nester"), Worker("w1"))


# -- safety --------------------------------------------------------------------------------------


@step_always(anyone_crashes_once)
def only_time_takes_a_lock_from_its_holder(before: World, after: World) -> bool:
    """Mutual exclusion: a lease that has not run out ends only when its holds are let go."""
    if not after["lock"].is_up:
        return True
    now = after["lock"].leases
    for lock, lease in before["lock"].leases.items():
        goes_on = lock in now and now[lock].token == lease.token
        is_wanted = lease.holds & before[lease.holder].holds
        if not goes_on and is_wanted and not lease.aged:
            return False
    return True


@always(anyone_crashes_once)
def no_two_clients_hold_under_one_token(world: World) -> bool:
    clients = (*world.nodes(Worker), *world.nodes(Nester))
    tokens = [client.token for client in clients if client.holds and client.token]
    return len(set(tokens)) == len(tokens)


@step_always(anyone_crashes_once)
def tokens_only_grow(before: World, after: World) -> bool:
    """Neither a crash nor an expiry takes the counter back, and each grant has a larger token."""
    newest = before["lock"].token
    known = [lease.token for lease in before["lock"].leases.values()]
    granted = [lease.token for lease in after["lock"].leases.values()]
    return after["lock"].token >= newest and all(
        token > newest for token in granted if token not in known
    )


@step_always(anyone_crashes_once)
def the_store_is_written_in_order_of_tokens(before: World, after: World) -> bool:
    return after["store"].token >= before["store"].token


@step_always(three_workers)
def who_waits_longest_is_next(before: World, after: World) -> bool:
    for lock, lease in after["lock"].leases.items():
        waiting = [each.client for each in before["lock"].waiters if each.lock == lock]
        if lease.token > before["lock"].token and waiting and lease.holder != waiting[0]:
            return False
    return True


@always(anyone_crashes_once)
def a_held_lock_always_has_its_timer(world: World) -> bool:
    """So nobody keeps a lock by dying: a timer that is set fires, at some time."""
    return ("lease" in world["lock"].timers) == bool(world["lock"].leases)


@always(anyone_crashes_once)
def nobody_waits_for_a_free_lock(world: World) -> bool:
    return all(waiter.lock in world["lock"].leases for waiter in world["lock"].waiters)


# -- liveness ------------------------------------------------------------------------------------


@quiescent(a_worker_dies)
def every_worker_gets_its_turn(world: World) -> bool:
    """As long as no message is lost: each worker that lives has had an answer to its write."""
    return all(worker.is_done for worker in world.nodes(Worker) if worker.is_up)


@quiescent(anyone_crashes_once)
def in_the_end_every_lock_is_free(world: World) -> bool:
    """Whatever is lost, and whoever dies: no lock is held and nobody is queued for ever."""
    return not world["lock"].leases and not world["lock"].waiters


# -- honesty: a lock that grants nothing would have all of the above -----------------------------


@reachable(two_workers)
def both_workers_write(world: World) -> bool:
    return world["store"].token == 2 and all(worker.is_done for worker in world.nodes(Worker))


@reachable(two_workers)
def a_stale_write_is_refused(world: World) -> bool:
    """A worker sleeps past its lease, and its write comes after that of the next holder."""
    return any(isinstance(each.message, WriteRefused) for each in world.in_flight)


@reachable(a_worker_dies)
def a_waiter_gets_the_lock_of_a_dead_holder(world: World) -> bool:
    w1, w2 = world["w1"], world["w2"]
    return not w1.is_up and w1.last_hold == 1 and w2.is_done and w2.token == 2


@reachable(the_server_restarts)
def known_limit_a_lease_outlives_the_server(world: World) -> bool:
    """What fencing is for: two workers believe that they hold, one by a lease that is forgotten."""
    return all(worker.holds and worker.token for worker in world.nodes(Worker))


@reachable(three_workers)
def two_wait_at_once(world: World) -> bool:
    return len(world["lock"].waiters) == 2


@reachable(two_locks_and_renewals)
def two_locks_are_held_at_once(world: World) -> bool:
    return len(world["lock"].leases) == 2


@reachable(a_nested_hold)
def the_inner_hold_is_let_go_before_the_outer(world: World) -> bool:
    lease = world["lock"].leases.get("L")
    return lease is not None and lease.holds == world["nester"].holds == {1}


# -- the same sentences of further scenarios -----------------------------------------------------

tokens_grow_on_an_ordered_network = tokens_only_grow.over(
    anyone_crashes_once, "tokens_grow_on_an_ordered_network", network="ordered"
)
all_are_served_on_an_ordered_network = every_worker_gets_its_turn.over(
    two_workers, "all_are_served_on_an_ordered_network", network="ordered"
)

holders_stay_if_a_message_is_copied = only_time_takes_a_lock_from_its_holder.over(
    a_message_is_lost_and_one_is_copied, "holders_stay_if_a_message_is_copied"
)
every_lock_is_free_if_a_message_is_lost = in_the_end_every_lock_is_free.over(
    a_message_is_lost_and_one_is_copied, "every_lock_is_free_if_a_message_is_lost"
)

holders_stay_if_messages_come_again = only_time_takes_a_lock_from_its_holder.over(
    messages_come_again_for_ever, "holders_stay_if_messages_come_again"
)
the_store_keeps_order_if_messages_come_again = the_store_is_written_in_order_of_tokens.over(
    messages_come_again_for_ever, "the_store_keeps_order_if_messages_come_again"
)

tokens_stay_apart_if_the_server_restarts = no_two_clients_hold_under_one_token.over(
    the_server_restarts, "tokens_stay_apart_if_the_server_restarts"
)
tokens_grow_if_the_server_restarts = tokens_only_grow.over(
    the_server_restarts, "tokens_grow_if_the_server_restarts"
)

holders_stay_though_a_lock_has_several_holds = only_time_takes_a_lock_from_its_holder.over(
    a_nested_hold, "holders_stay_though_a_lock_has_several_holds"
)
several_holds_come_to_an_end = in_the_end_every_lock_is_free.over(
    a_nested_hold, "several_holds_come_to_an_end"
)

holders_of_several_locks_stay = only_time_takes_a_lock_from_its_holder.over(
    two_locks_and_renewals, "holders_of_several_locks_stay"
)
one_timer_serves_several_locks = a_held_lock_always_has_its_timer.over(
    two_locks_and_renewals, "one_timer_serves_several_locks"
)
queues_of_several_locks_keep_order = who_waits_longest_is_next.over(
    two_locks_and_renewals, "queues_of_several_locks_keep_order"
)
all_are_served_by_several_locks = every_worker_gets_its_turn.over(
    two_locks_and_renewals, "all_are_served_by_several_locks"
)
