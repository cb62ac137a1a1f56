"""Each wrong lock service is caught within seconds, by a counterexample of a stated length."""

from __future__ import annotations

import pytest

from happysim import Property
from properties.broken import lock
from tests.quality.bugs import counterexample, listed, steps

# Deliveries and timers of the counterexample. A copy of the protocol needs so many to go wrong.
STEPS = {
    lock.a_lock_is_held_without_a_timer: 1,
    lock.a_waiter_waits_for_ever: 2,  # both requests arrive, and the holder dies
    lock.an_inner_release_frees_the_outer_hold: 4,  # two requests, a grant, a release
    lock.an_old_release_frees_the_next_holders_lock: 8,
    # Each worker asks and is granted, two rounds between, and the writes arrive in wrong order.
    lock.a_stale_write_is_accepted: 8,
    lock.the_newest_token_is_forgotten: 3,
    lock.two_clients_hold_under_one_token: 4,  # two requests, two grants, a restart between
    lock.tokens_are_repeated_after_a_restart: 1,
    lock.an_unsynced_token_is_lost: 1,
}


def test_every_mistake_has_a_length() -> None:
    assert listed(lock) == list(STEPS)


@pytest.mark.parametrize("bug", STEPS, ids=lambda bug: bug.name)
def test_the_mistake_is_caught_and_shrinks(bug: Property) -> None:
    found = steps(counterexample(bug))
    assert len(found) <= STEPS[bug], found
