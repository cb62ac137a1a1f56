"""Wrong lock services and stores of `properties/broken/lock.py`, caught by runs in time."""

from __future__ import annotations

from typing import Any

from happysim import World, bounded, must_break
from properties.broken.lock import (
    ForgetsOuterHolds,
    ForgetsTheNewestToken,
    GrantsBeforeSync,
    NeverExpires,
    RepeatsTokens,
    TakesAnyRelease,
    TrustsStaleWriters,
)
from properties.lock_in_time import (
    a_held_lock_has_its_timer_under_load,
    lock_under_load,
    only_time_takes_a_lock_from_its_holder,
    the_store_is_written_in_order_of_tokens,
    tokens_only_grow,
)

# A wrong variant is looked at as the right one is.
like_the_right_one = bounded(by=lock_under_load.happysim_bounds.by)


@like_the_right_one
def leases_never_expire(**load: Any) -> World:
    return lock_under_load(server=NeverExpires, **load)


@like_the_right_one
def outer_holds_are_forgotten(**load: Any) -> World:
    return lock_under_load(server=ForgetsOuterHolds, **load)


@like_the_right_one
def old_releases_count(**load: Any) -> World:
    return lock_under_load(server=TakesAnyRelease, **load)


@like_the_right_one
def tokens_are_in_memory(**load: Any) -> World:
    return lock_under_load(server=RepeatsTokens, **load)


@like_the_right_one
def tokens_are_not_synced(**load: Any) -> World:
    return lock_under_load(server=GrantsBeforeSync, **load)


@like_the_right_one
def stale_writers_are_trusted(**load: Any) -> World:
    return lock_under_load(store=TrustsStaleWriters, **load)


@like_the_right_one
def the_newest_token_is_in_memory(**load: Any) -> World:
    return lock_under_load(store=ForgetsTheNewestToken, **load)


a_lease_has_no_end = must_break(
    a_held_lock_has_its_timer_under_load.over(leases_never_expire, "a_lease_has_no_end")
)
an_inner_release_frees_the_outer_hold = must_break(
    only_time_takes_a_lock_from_its_holder.over(
        outer_holds_are_forgotten, "an_inner_release_frees_the_outer_hold"
    )
)
a_late_release_frees_the_next_holders_lock = must_break(
    only_time_takes_a_lock_from_its_holder.over(
        old_releases_count, "a_late_release_frees_the_next_holders_lock"
    )
)
a_restart_forgets_the_tokens = must_break(
    tokens_only_grow.over(tokens_are_in_memory, "a_restart_forgets_the_tokens")
)
a_crash_takes_an_unsynced_token = must_break(
    tokens_only_grow.over(tokens_are_not_synced, "a_crash_takes_an_unsynced_token")
)
a_stale_writer_is_trusted = must_break(
    the_store_is_written_in_order_of_tokens.over(
        stale_writers_are_trusted, "a_stale_writer_is_trusted"
    )
)
a_restarted_store_trusts_anyone = must_break(
    the_store_is_written_in_order_of_tokens.over(
        the_newest_token_is_in_memory, "a_restarted_store_trusts_anyone"
    )
)
