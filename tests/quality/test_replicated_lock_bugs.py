"""Each wrong replicated lock is caught within seconds, by a counterexample of a stated length."""

from __future__ import annotations

import pytest

from happysim import Property
from properties.broken import replicated_lock as broken
from tests.quality.bugs import counterexample, listed, steps

# Deliveries and timers of the counterexample. A copy of the protocol needs so many to go wrong.
STEPS = {
    broken.a_lease_lasts_for_ever: 1,
    broken.an_inner_release_frees_the_outer_hold: 5,  # two requests, two grants, a release
    # Both ask, two rounds between, each is granted, and the writes arrive in wrong order.
    broken.a_stale_write_is_accepted: 8,
    broken.a_client_that_overslept_writes: 33,  # with the election, on three servers
    broken.a_new_leader_repeats_a_token: 15,  # an election and three commits on two servers
    broken.tokens_begin_anew: 16,
    broken.servers_differ_by_their_clocks: 7,
    broken.a_lease_ends_before_its_time: 2,
    broken.a_waiter_is_granted_twice: 4,
    broken.a_late_comer_overtakes: 5,
    broken.an_old_release_frees_the_next_holders_lock: 8,
    broken.a_client_waits_that_has_gone: 5,
}
# What must come true in the end has no counterexample that could be shorter.
ENDLESS = [broken.a_dead_holder_keeps_its_lock]


def test_every_mistake_has_a_length() -> None:
    assert set(listed(broken)) == {*STEPS, *ENDLESS}


@pytest.mark.parametrize("bug", STEPS, ids=lambda bug: bug.name)
def test_the_mistake_is_caught_and_shrinks(bug: Property) -> None:
    found = steps(counterexample(bug))
    assert len(found) <= STEPS[bug], found
