"""Each wrong accrual detector is caught within seconds, by a counterexample of a stated length."""

from __future__ import annotations

import pytest

from happysim import Kind, Property, check
from happysim.search.shrink import shrink
from properties.broken import phi_accrual

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
    listed = [each for each in vars(phi_accrual).values() if isinstance(each, Property)]
    assert [each.name for each in listed if each.must_break] == [each.name for each in STEPS]


@pytest.mark.parametrize("prop", STEPS, ids=lambda prop: prop.name)
def test_the_mistake_is_caught_and_shrinks(prop: Property) -> None:
    verdict = check(prop, seconds=10)
    assert verdict.broken
    schedule = shrink(verdict).schedule
    steps = [c for c in schedule if c.kind in (Kind.DELIVER, Kind.ACT)]
    assert len(steps) <= STEPS[prop], "\n".join(map(str, schedule))
