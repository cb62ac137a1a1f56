"""Wrong locks kept by consensus, each with one mistake, and the properties that catch it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from happysim import Host, Pause, World, at, bfs, bounded, must_break, on, simulated, swarm
from happysim.core.script import Operation
from happysim.protocols import rounds
from happysim.protocols.lock import Expire, FencedStore, Grant, Held, Locks, LockTable
from happysim.protocols.machine import Addressed, Answers
from happysim.protocols.raft import RaftNode
from properties import replicated_lock as lock
from properties.raft import terms

# -- hazards 23 to 25 ----------------------------------------------------------------------------


class NeverExpires(LockTable):
    """No round changes anything: a holder that dies keeps its lock."""

    def round_over(self, state: Locks) -> None:
        return None


class ForgetsOuterHolds(LockTable):
    """Holds are not counted: letting go of the inner one frees the lock."""

    def without(self, state: Locks, held: Held, hold: int) -> tuple[Locks, Answers]:
        return self.free(state, held.lock)


class TrustsStaleWriters(FencedStore):
    """Writes whatever it is sent, as a store without fencing does."""

    def _is_stale(self, token: int) -> bool:
        return False


class CountsTokensAlone(RaftNode):
    """Tokens are counted by whoever leads, and not in the log: the next leader begins anew."""

    tokens: int = 0

    def answer(self, host: Host, index: int, operation: Operation, result: Any) -> None:
        if self.is_leader and isinstance(result, Grant):
            self.tokens += 1
            result = replace(result, token=self.tokens)
        super().answer(host, index, operation, result)


@bounded(by=bfs(), within=terms(1))
def leases_never_expire() -> World:
    return lock.two_clients(table=NeverExpires)


@bounded(by=swarm(seed=1, runs=2, until=2.0, calm=20.0), unknown_passes=True)
def leases_never_expire_in_time() -> World:
    return lock.in_time(table=NeverExpires)


@bounded(by=bfs(), within=terms(1))
def outer_holds_are_forgotten() -> World:
    return lock.a_nested_hold(table=ForgetsOuterHolds)


@bounded(by=bfs(), within=terms(1))
def stale_writers_are_trusted() -> World:
    return lock.two_clients(store=TrustsStaleWriters)


OVERSLEEPS = simulated(seed=1, runs=1, until=20.0, faults=(at(2.0, Pause("c1"), lasting=10.0),))


@bounded(by=OVERSLEEPS, unknown_passes=True)
def stale_writers_are_trusted_in_time() -> World:
    return lock.a_client_oversleeps(store=TrustsStaleWriters)


@bounded(by=bfs(), within=terms(2, "n2"))
def tokens_are_counted_by_leaders() -> World:
    return lock.a_new_leader(kind=CountsTokensAlone)


a_lease_lasts_for_ever = must_break(lock.no_lease_lasts_for_ever.over(leases_never_expire))
a_dead_holder_keeps_its_lock = must_break(
    lock.everyone_gets_the_lock.over(leases_never_expire_in_time)
)
an_inner_release_frees_the_outer_hold = must_break(
    lock.only_time_or_its_holder_takes_a_lock.over(outer_holds_are_forgotten)
)
a_stale_write_is_accepted = must_break(
    lock.the_store_is_written_in_order_of_tokens.over(stale_writers_are_trusted)
)
a_client_that_overslept_writes = must_break(
    lock.the_store_is_written_in_order_of_tokens.over(stale_writers_are_trusted_in_time)
)
a_new_leader_repeats_a_token = must_break(
    lock.one_holder_at_a_time.over(tokens_are_counted_by_leaders)
)
tokens_begin_anew = must_break(lock.tokens_only_grow.over(tokens_are_counted_by_leaders))


# -- leases --------------------------------------------------------------------------------------


class TrustsItsOwnClock(RaftNode):
    """Each server ends leases by its own clock, and not by what the log says."""

    @on.timer("round")
    def end_round(self, host: Host) -> None:
        self.state, _ = self.machine.apply(self.state, Expire())
        rounds.begin(host, self.machine)


class AgesAtOnce(LockTable):
    """One round is enough: a lease that began just before its end is over."""

    def expire(self, state: Locks) -> tuple[Locks, Answers]:
        return super().expire(replace(state, held=tuple(map(_aged, state.held))))


def _aged(held: Held) -> Held:
    return replace(held, aged=True)


@bounded(by=bfs(), within=terms(2, "n2"))
def servers_trust_their_clocks() -> World:
    return lock.a_new_leader(kind=TrustsItsOwnClock)


@bounded(by=bfs(), within=terms(1))
def leases_end_with_any_round() -> World:
    return lock.two_clients(table=AgesAtOnce)


servers_differ_by_their_clocks = must_break(lock.tables_agree.over(servers_trust_their_clocks))
a_lease_ends_before_its_time = must_break(
    lock.only_time_or_its_holder_takes_a_lock.over(leases_end_with_any_round)
)


# -- who is next, and whose release counts -------------------------------------------------------


class LeavesWaitersInTheQueue(LockTable):
    """Who is granted the lock waits on, and is granted it again."""

    def free(self, state: Locks, lock: str) -> tuple[Locks, Answers]:
        freed, answers = super().free(state, lock)
        return replace(freed, waiting=state.waiting), answers


class LastComeFirstServed(LockTable):
    """The newest waiter is next."""

    def free(self, state: Locks, lock: str) -> tuple[Locks, Answers]:
        turned = replace(state, waiting=state.waiting[::-1])
        freed, answers = super().free(turned, lock)
        return replace(freed, waiting=freed.waiting[::-1]), answers


class TakesAnyRelease(LockTable):
    """A release counts whatever its token: that of an old grant frees the next holder's lock."""

    def current(self, state: Locks, lock: str, token: int) -> Held | None:
        return state.holding(lock)

    def without(self, state: Locks, held: Held, hold: int) -> tuple[Locks, Answers]:
        return self.free(state, held.lock)


class WaitsForEver(LockTable):
    """Who has given up, and asks for something else, still stands in the queue."""

    def given_up(self, state: Locks, asked: Addressed) -> Locks:
        return state


@bounded(by=bfs(), within=terms(1))
def waiters_stay_in_the_queue() -> World:
    return lock.two_clients(table=LeavesWaitersInTheQueue)


@bounded(by=bfs(), within=terms(1))
def the_last_is_first() -> World:
    return lock.three_clients(table=LastComeFirstServed)


@bounded(by=bfs(), within=terms(1))
def old_releases_count() -> World:
    return lock.two_clients(table=TakesAnyRelease)


@bounded(by=bfs(), within=terms(1))
def nobody_gives_up() -> World:
    return lock.a_client_gives_up(table=WaitsForEver)


a_waiter_is_granted_twice = must_break(lock.nobody_waits_in_vain.over(waiters_stay_in_the_queue))
a_late_comer_overtakes = must_break(lock.who_waits_longest_is_next.over(the_last_is_first))
an_old_release_frees_the_next_holders_lock = must_break(
    lock.only_time_or_its_holder_takes_a_lock.over(old_releases_count)
)
a_client_waits_that_has_gone = must_break(lock.nobody_waits_in_vain.over(nobody_gives_up))
