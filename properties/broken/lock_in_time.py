"""Wrong lock services and stores of `properties/broken/lock.py`, caught by runs in time."""

from __future__ import annotations

from happysim import must_break
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

a_lease_has_no_end = must_break(
    a_held_lock_has_its_timer_under_load.over(
        lock_under_load, "a_lease_has_no_end", server=NeverExpires
    )
)
an_inner_release_frees_the_outer_hold = must_break(
    only_time_takes_a_lock_from_its_holder.over(
        lock_under_load, "an_inner_release_frees_the_outer_hold", server=ForgetsOuterHolds
    )
)
a_late_release_frees_the_next_holders_lock = must_break(
    only_time_takes_a_lock_from_its_holder.over(
        lock_under_load, "a_late_release_frees_the_next_holders_lock", server=TakesAnyRelease
    )
)
a_restart_forgets_the_tokens = must_break(
    tokens_only_grow.over(lock_under_load, "a_restart_forgets_the_tokens", server=RepeatsTokens)
)
a_crash_takes_an_unsynced_token = must_break(
    tokens_only_grow.over(
        lock_under_load, "a_crash_takes_an_unsynced_token", server=GrantsBeforeSync
    )
)
a_stale_writer_is_trusted = must_break(
    the_store_is_written_in_order_of_tokens.over(
        lock_under_load, "a_stale_writer_is_trusted", store=TrustsStaleWriters
    )
)
a_restarted_store_trusts_anyone = must_break(
    the_store_is_written_in_order_of_tokens.over(
        lock_under_load, "a_restarted_store_trusts_anyone", store=ForgetsTheNewestToken
    )
)
