"""GCounter and PNCounter: what they count, and what they refuse."""

from __future__ import annotations

from typing import Any

import pytest

from happysim.protocols.crdt import GCounter, PNCounter


def test_concurrent_increments_all_count_once() -> None:
    a, b = GCounter("a"), GCounter("b")
    a.increment()
    b.increment(2)
    a.merge(b)
    a.merge(b.state())
    assert a.value == 3
    assert a.state() == ("GCounter", (("a", 1), ("b", 2)))


def test_a_decrement_survives_a_merge_with_a_state_that_is_older() -> None:
    a = PNCounter("a")
    a.increment(5)
    older = a.state()
    a.decrement(7)
    a.merge(older)
    assert a.value == -2


@pytest.mark.parametrize("kind", [GCounter, PNCounter])
def test_a_count_is_of_one_where_nothing_else_is_said(kind: Any) -> None:
    a, b = kind("a"), kind("b")
    a.increment()
    b.merge_delta(a.increment_delta())
    assert a.value == 2
    if kind is PNCounter:
        a.decrement()
        assert a.value == 1
        b.merge_delta(a.decrement_delta())
        assert a.value == b.value == 0


def test_incrementing_by_zero_leaves_the_state_as_it_was() -> None:
    counter = GCounter("a")
    counter.increment(0)
    assert counter == GCounter("a")


@pytest.mark.parametrize(
    "method", [GCounter("a").increment, PNCounter("a").increment, PNCounter("a").decrement]
)
@pytest.mark.parametrize(
    ("amount", "error", "says"),
    [
        (-1, ValueError, "amount >= 0, not -1; .* use a PNCounter"),
        (True, TypeError, "takes an int, not True"),
        (1.0, TypeError, "takes an int, not 1.0"),
        ("1", TypeError, "takes an int, not '1'"),
    ],
)
def test_an_amount_that_is_no_natural_number_is_refused(
    method: Any, amount: Any, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        method(amount)
    assert method.__self__.value == 0


def test_a_counter_learnt_by_gossip_counts_under_the_id_of_its_receiver() -> None:
    """Three increments at two nodes count three: one before the gossip, one at each node after."""
    at_a = GCounter("a")
    at_a.increment()
    at_b = GCounter.from_state("b", at_a.state())
    at_a.increment()
    at_b.increment()
    at_a.merge(at_b.state())
    at_b.merge(at_a.state())
    assert (at_a.value, at_b.value) == (3, 3)


def test_known_limit_two_writers_under_one_id_lose_an_increment_and_nothing_shows_it() -> None:
    """What the test above avoids. A count says how many, not which: both writers reach a = 2."""
    at_a = GCounter("a")
    at_a.increment()
    at_b = at_a.copy()
    at_a.increment()
    at_b.increment()
    at_a.merge(at_b)
    assert at_a.value == 2
