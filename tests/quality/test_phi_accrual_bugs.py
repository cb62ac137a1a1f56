"""Each wrong accrual detector is caught within seconds, by a counterexample of a stated length."""

from __future__ import annotations

import pytest

from happysim import Kind, Property
from properties.broken import phi_accrual
from tests.quality.bugs import counterexample, listed

# Heartbeats sent and heard, and ticks of the watcher's clock.
STEPS = {
    phi_accrual.last_heard_goes_back: 4,
    phi_accrual.a_live_process_is_suspected: 5,
    phi_accrual.one_heartbeat_is_not_enough: 12,  # one heartbeat, and ten intervals of silence
    phi_accrual.phi_is_infinite: 6,
    phi_accrual.silence_is_taken_for_a_habit: 12,
    phi_accrual.a_copy_shortens_the_expectation: 4,
}


def test_every_mistake_has_a_length() -> None:
    assert listed(phi_accrual) == list(STEPS)


@pytest.mark.parametrize("bug", STEPS, ids=lambda bug: bug.name)
def test_the_mistake_is_caught_and_shrinks(bug: Property) -> None:
    schedule = counterexample(bug)
    found = [choice for choice in schedule if choice.kind in (Kind.DELIVER, Kind.ACT)]
    assert len(found) <= STEPS[bug], found
