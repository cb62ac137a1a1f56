"""Each client that trusts its clock is caught within seconds, in a search that has none."""

from __future__ import annotations

import pytest

from happysim import Property, check
from properties.broken import lease

# Choices: both ask, are heard and granted, and two rounds of the server's timer between.
CHOICES = {
    lease.one_client_believes_to_have_the_lock: 8,
    lease.one_believes_counting_from_the_grant: 8,
}


def test_every_mistake_has_a_length() -> None:
    listed = [each for each in vars(lease).values() if isinstance(each, Property)]
    assert listed == list(CHOICES)
    assert all(each.must_break for each in listed)


@pytest.mark.parametrize("prop", CHOICES, ids=lambda prop: prop.name)
def test_the_mistake_is_caught(prop: Property) -> None:
    verdict = check(prop, seconds=10)
    assert verdict.broken
    assert len(verdict.schedule) == CHOICES[prop]  # type: ignore[attr-defined]
