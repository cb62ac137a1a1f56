"""Wrong lock services and stores, each with one mistake, and the properties that catch it."""

from __future__ import annotations

from happysim import Faults, Host, World, must_break
from happysim.protocols.lock import FencedStore, Lease, LockServer
from properties import lock
from properties.lock import Nester, Worker, lock_world


class NeverExpires(LockServer):
    """Leases have no timer: a holder that dies keeps its lock."""

    def _start_round(self, host: Host) -> None:
        pass


class ForgetsOuterHolds(LockServer):
    """Holds are not counted: letting go of the inner one frees the lock."""

    def _let_go(self, lease: Lease, hold: int) -> bool:
        return True


class TakesAnyRelease(LockServer):
    """A release counts whatever its token: a late one frees the lock of the next holder."""

    def _lease(self, client: str, lock: str, token: int) -> Lease | None:
        return self.leases.get(lock)


class RepeatsTokens(LockServer):
    """The counter of tokens is in memory only."""

    token: int = 0


class GrantsBeforeSync(LockServer):
    """A token leaves before it is on disk."""

    def _next_token(self, host: Host) -> int:
        self.token += 1
        return self.token


class TrustsStaleWriters(FencedStore):
    """Writes whatever it is sent, as a store without fencing does."""

    def _is_stale(self, token: int) -> bool:
        return False


class ForgetsTheNewestToken(FencedStore):
    """The newest token seen is in memory only: after a restart any writer will do."""

    token: int = 0


def leases_never_expire() -> World:
    faults = Faults(crashes=1, restarts=0, crashable=("w1",))
    return lock_world(server=NeverExpires("lock"), faults=faults)


def outer_holds_are_forgotten() -> World:
    return lock_world(Nester("nester"), Worker("w1"), server=ForgetsOuterHolds("lock"))


def old_releases_count() -> World:
    return lock_world(server=TakesAnyRelease("lock"))


def tokens_are_in_memory() -> World:
    return lock_world(server=RepeatsTokens("lock"), faults=Faults(crashes=1, crashable=("lock",)))


def tokens_are_not_synced() -> World:
    faults = Faults(crashes=1, crashable=("lock",), unsynced_loss=True)
    return lock_world(server=GrantsBeforeSync("lock"), faults=faults)


def stale_writers_are_trusted() -> World:
    return lock_world(store=TrustsStaleWriters("store"))


def the_newest_token_is_in_memory() -> World:
    faults = Faults(crashes=1, crashable=("store",))
    return lock_world(store=ForgetsTheNewestToken("store"), faults=faults)


a_lock_is_held_without_a_timer = must_break(
    lock.a_held_lock_always_has_its_timer.over(
        leases_never_expire, "a_lock_is_held_without_a_timer"
    )
)
a_waiter_waits_for_ever = must_break(
    lock.in_the_end_every_lock_is_free.over(leases_never_expire, "a_waiter_waits_for_ever")
)
an_inner_release_frees_the_outer_hold = must_break(
    lock.only_time_takes_a_lock_from_its_holder.over(
        outer_holds_are_forgotten, "an_inner_release_frees_the_outer_hold"
    )
)
an_old_release_frees_the_next_holders_lock = must_break(
    lock.only_time_takes_a_lock_from_its_holder.over(
        old_releases_count, "an_old_release_frees_the_next_holders_lock"
    )
)
a_stale_write_is_accepted = must_break(
    lock.the_store_is_written_in_order_of_tokens.over(
        stale_writers_are_trusted, "a_stale_write_is_accepted"
    )
)
the_newest_token_is_forgotten = must_break(
    lock.the_store_is_written_in_order_of_tokens.over(
        the_newest_token_is_in_memory, "the_newest_token_is_forgotten"
    )
)
two_clients_hold_under_one_token = must_break(
    lock.no_two_clients_hold_under_one_token.over(
        tokens_are_in_memory, "two_clients_hold_under_one_token"
    )
)
tokens_are_repeated_after_a_restart = must_break(
    lock.tokens_only_grow.over(tokens_are_in_memory, "tokens_are_repeated_after_a_restart")
)
an_unsynced_token_is_lost = must_break(
    lock.tokens_only_grow.over(tokens_are_not_synced, "an_unsynced_token_is_lost")
)
