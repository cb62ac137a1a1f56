"""HybridClock: never back, near the clock, and effects after their causes."""

from __future__ import annotations

import pytest

from happysim.protocols.crdt import HybridClock, LWWRegister
from happysim.protocols.crdt.hybrid_clock import nanoseconds


def test_timestamps_grow_though_the_clock_stands_or_goes_back() -> None:
    clock = HybridClock()
    stamps = [clock.tick(now) for now in (7, 7, 3, 8)]
    assert stamps == sorted(set(stamps))
    assert [nanoseconds(stamp) for stamp in stamps] == [7, 7, 7, 8]


def test_a_timestamp_is_nanoseconds_above_sixteen_bits_that_count() -> None:
    clock = HybridClock()
    assert [clock.tick(now) for now in (0, 0, 1, 1)] == [1, 2, 65_536, 65_537]


def test_an_effect_is_after_its_cause_on_a_slower_clock() -> None:
    cause = HybridClock().tick(1_000)
    slow = HybridClock()
    assert slow.observe(cause, now=10) > cause
    assert slow.tick(11) > cause


def test_of_two_writers_who_know_nothing_of_each_other_the_later_wins() -> None:
    """A Lamport clock would say that `a`, who wrote twice, is later."""
    early, late = LWWRegister("b"), LWWRegister("a")
    early.set("first", now=100)
    early.set("second", now=101)
    late.set("third", now=102)
    early.merge(late)
    assert early.value == "third"


def test_a_write_is_above_all_that_were_seen_though_the_clock_is_behind() -> None:
    ahead, behind = LWWRegister("a"), LWWRegister("b")
    ahead.set("x", now=1_000)
    behind.merge(ahead)
    assert behind.set("y", now=5)
    assert behind.value == "y"


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"now": 1.5}, TypeError, "now is an int"),
        ({"now": -1}, ValueError, ">= 0"),
        ({"now": 1, "timestamp": 1}, TypeError, "not both"),
    ],
)
def test_a_wrong_time_is_refused(
    arguments: dict[str, int], error: type[Exception], says: str
) -> None:
    register = LWWRegister("a")
    with pytest.raises(error, match=says):
        register.set("x", **arguments)
    assert register == LWWRegister("a")
