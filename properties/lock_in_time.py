"""The lock service under load, in virtual time: what stays true at every step, and in the end.

Workers take the lock, some of them twice, write to the store and let go; they ask again when no
answer comes, and sleep past their lease now and then. `properties/lock.py` states the same of every
world that its scenarios can reach; here each sentence is judged along one run, with a memory of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from happysim import Faults, Script, World, bounded, call, eventually, monitor, sleep, swarm
from happysim.protocols.lock import (
    Acquire,
    FencedStore,
    FencedWrite,
    LockGrant,
    LockServer,
    Release,
    Released,
)
from properties.lock import a_held_lock_always_has_its_timer, nobody_waits_for_a_free_lock

# Faults befall the first seconds of a run.
ROUGH_SECONDS = 15.0
LEASE_SECONDS = 0.5

# -- workers, and what they work on ---------------------------------------------------------------


def insist(to: str, request: Any, timeout: float) -> Iterator[Any]:
    """Ask until there is an answer."""
    answer = None
    while not answer:
        answer = yield call(to, request, timeout=timeout)
    return answer


def work(name: str, rounds: int, timeout: float) -> Iterator[Any]:
    """Take the lock, write, and let go, again and again; every other time with a hold in a hold.

    The number of a hold is never used again.
    """
    for number in range(rounds):
        outer, inner = 2 * number, 2 * number + 1
        grant = yield from insist("lock", Acquire("L", outer), timeout)
        if number % 2:
            yield from insist("lock", Acquire("L", inner), timeout)
            yield from insist("lock", Release("L", grant.token, inner), timeout)
        # Now and then for longer than the lease lasts.
        yield sleep((0.0, 1.5 * LEASE_SECONDS))
        yield from insist("store", FencedWrite(grant.token, (name, number)), timeout)
        yield from insist("lock", Release("L", grant.token, outer), timeout)
        yield sleep((0.0, LEASE_SECONDS))


@bounded(
    by=swarm(
        seed=1,
        runs=100,
        until=ROUGH_SECONDS,
        calm=30.0,
        arguments={"workers": (1, 2, 3, 4), "timeout": (0.1, 0.5, 2.0)},
    ),
    unknown_passes=True,
)
def lock_under_load(
    server: type[LockServer] = LockServer,
    store: type[FencedStore] = FencedStore,
    workers: int = 3,
    rounds: int = 8,
    timeout: float = 0.5,
) -> World:
    """A server named lock, a store named store, and workers w1, w2, ... that all want lock L."""
    scripts = [
        Script(f"w{number}", work, f"w{number}", rounds, timeout)
        for number in range(1, workers + 1)
    ]
    return World.of(
        server("lock", lease_seconds=LEASE_SECONDS),
        store("store"),
        *scripts,
        faults=Faults(crashes=1, unsynced_loss=True),
    )


def last_call(world: World, name: str) -> Any:
    """The last call of a client that it has not given up; None where there is none."""
    calls = world.history.of(name)
    return calls[-1] if calls else None


def is_worker(name: str) -> bool:
    return name.startswith("w")


# -- safety ---------------------------------------------------------------------------------------


@monitor(lock_under_load)
class only_time_takes_a_lock_from_its_holder:
    """Mutual exclusion: a lease that has not run out ends when all its holds were let go."""

    def __init__(self) -> None:
        # The lease as it was: its token, its holds, and whether the next round ends it.
        self.lease: tuple[int, frozenset[int], bool] | None = None
        self.let_go: set[tuple[int, int]] = set()

    def __call__(self, world: World, name: str) -> bool | str:
        if is_worker(name):
            self.listen(last_call(world, name))
            return True
        if name != "lock":
            return True
        before, lease = self.lease, world["lock"].leases.get("L")
        self.lease = lease and (lease.token, frozenset(lease.holds), lease.aged)
        if before is None or not world["lock"].is_up:
            return True
        token, holds, aged = before
        goes_on = lease is not None and lease.token == token
        kept = [hold for hold in sorted(holds) if (token, hold) not in self.let_go]
        return goes_on or aged or not kept or f"token {token} was lost to its holder, who holds on"

    def listen(self, last: Any) -> None:
        if last is not None and isinstance(last.operation, Release):
            self.let_go.add((last.operation.token, last.operation.hold))


@monitor(lock_under_load)
class tokens_only_grow:
    """Neither a crash nor an expiry takes the counter back, and each grant has a larger token."""

    def __init__(self) -> None:
        self.newest = 0
        self.holder = ""

    def __call__(self, world: World, name: str) -> bool | str:
        if name != "lock":
            return True
        token, lease = world["lock"].token, world["lock"].leases.get("L")
        if token < self.newest:
            return f"the newest token went back from {self.newest} to {token}"
        if lease is not None and lease.token == self.newest and lease.holder != self.holder:
            return f"{lease.holder} was granted token {token}, which {self.holder} had"
        self.newest = token
        self.holder = self.holder if lease is None else lease.holder
        return True


@monitor(lock_under_load)
class no_two_clients_hold_under_one_token:
    """Whoever was told of a grant, at whatever time, has its token alone."""

    def __init__(self) -> None:
        self.holders: dict[int, str] = {}

    def __call__(self, world: World, name: str) -> bool | str:
        last = last_call(world, name) if is_worker(name) else None
        if last is None or not last.done or not isinstance(last.result, LockGrant):
            return True
        first = self.holders.setdefault(last.result.token, name)
        return first == name or f"{first} and {name} were both granted token {last.result.token}"


@monitor(lock_under_load)
class the_store_is_written_in_order_of_tokens:
    """A write under an older token than one that the store has seen changes nothing."""

    def __init__(self) -> None:
        self.token = 0

    def __call__(self, world: World, name: str) -> bool | str:
        if name != "store":
            return True
        before, self.token = self.token, world["store"].token
        return self.token >= before or f"the store went back from token {before} to {self.token}"


a_held_lock_has_its_timer_under_load = a_held_lock_always_has_its_timer.over(
    lock_under_load, "a_held_lock_has_its_timer_under_load"
)
nobody_waits_for_a_free_lock_under_load = nobody_waits_for_a_free_lock.over(
    lock_under_load, "nobody_waits_for_a_free_lock_under_load"
)

# -- what must come true, once the faults have stopped --------------------------------------------


@eventually(lock_under_load)
def every_worker_gets_done(world: World) -> bool | str:
    """Each worker has let go of its last hold, so it has had the lock each time it wanted it."""
    working = []
    for name, calls in world.history.lanes:
        last = calls[-1]
        if "~" not in name and not (last.done and isinstance(last.result, Released)):
            working.append(name)
    return not working or f"{' '.join(working)} waits"


@eventually(lock_under_load)
def in_the_end_every_lock_is_free(world: World) -> bool:
    """Whatever was lost, and whoever was late: no lock is held and nobody is queued for ever."""
    return not world["lock"].leases and not world["lock"].waiters
