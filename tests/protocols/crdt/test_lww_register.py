"""LWWRegister: which write wins, and which are refused."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from happysim.protocols.crdt import LWWRegister


def written(replica: str, value: Any, timestamp: int | None = None) -> LWWRegister:
    register = LWWRegister(replica)
    register.set(value, timestamp)
    return register


@pytest.mark.parametrize("timestamp", [None, 5])
def test_equal_timestamps_are_broken_by_replica_id_in_every_order(timestamp: int | None) -> None:
    # The largest value is not that of the largest id, so that comparing values would show.
    states = [written(*write, timestamp).state() for write in (("a", 9), ("b", 3), ("c", 7))]
    for order in permutations(states):
        reader = LWWRegister("d")
        for state in order:
            reader.merge(state)
        assert (reader.value, reader.writer) == (7, "c")


def test_a_write_is_newer_than_everything_seen() -> None:
    a = written("a", "first")
    a.merge(written("b", "second", timestamp=40))
    assert a.timestamp == 40
    assert a.set("third")
    assert (a.value, a.timestamp, a.writer) == ("third", 41, "a")


def test_a_write_with_an_old_timestamp_is_lost_and_says_so() -> None:
    a = written("a", "new", timestamp=10)
    assert not a.set("old", timestamp=9)
    assert (a.value, a.timestamp) == ("new", 10)


def test_one_replica_cannot_write_two_values_at_one_timestamp() -> None:
    a = written("a", 1, timestamp=10)
    with pytest.raises(ValueError, match="'a' writes True and 1, both at timestamp 10"):
        a.set(True, timestamp=10)
    assert a.set(1, timestamp=10)
    assert repr(a.value) == "1"


def test_a_merge_that_shows_two_writers_under_one_id_is_refused_and_changes_nothing() -> None:
    """A register that restarts empty under its old id writes a second value at timestamp 1."""
    before, after = written("a", "before"), written("a", "after")
    reader = LWWRegister.from_state("b", before.state())
    with pytest.raises(ValueError, match="each writer its own replica id"):
        reader.merge(after)
    assert reader.state() == before.state()
    assert not before.leq(after)


def test_a_register_never_written_yields_to_every_write() -> None:
    fresh = LWWRegister("z")
    assert fresh.value is None
    assert fresh.leq(LWWRegister("a", False))
    fresh.merge(LWWRegister("a", False))
    assert fresh.value is False


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ((1, -1), ValueError, "timestamp >= 0, not -1"),
        ((1, True), TypeError, "int timestamp, not True"),
        ((1, 1.5), TypeError, "int timestamp, not 1.5"),
        (([1],), TypeError, r"\[1\] is of type list; .*write a list as a tuple"),
        (((1, {2}),), TypeError, r"\{2\} is of type set"),
    ],
)
def test_a_bad_write_is_refused(
    arguments: tuple[Any, ...], error: type[Exception], says: str
) -> None:
    register = LWWRegister("a")
    with pytest.raises(error, match=says):
        register.set(*arguments)
    assert register == LWWRegister("a")
