"""Each client that trusts its clock is caught within seconds, in a search that has none."""

from __future__ import annotations

import pytest

from happysim import Property
from properties.broken import lease
from tests.quality.bugs import counterexample, listed

# Choices: both ask, are heard and granted, and two rounds of the server's timer between.
CHOICES = {
    lease.one_client_believes_to_have_the_lock: 8,
    lease.one_believes_counting_from_the_grant: 8,
}


def test_every_mistake_has_a_length() -> None:
    assert listed(lease) == list(CHOICES)


@pytest.mark.parametrize("bug", CHOICES, ids=lambda bug: bug.name)
def test_the_mistake_is_caught(bug: Property) -> None:
    assert len(counterexample(bug)) == CHOICES[bug]
