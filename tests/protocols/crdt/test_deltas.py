"""Deltas by hand: what one holds, and that it waits for those before it."""

from __future__ import annotations

from typing import Any

import pytest

from happysim.protocols.crdt import GCounter, MVRegister, ORSet, PNCounter


def change(replica: Any, value: str) -> Any:
    """The delta of one more value."""
    return replica.add_delta(value) if isinstance(replica, ORSet) else replica.set_delta(value)


@pytest.mark.parametrize("kind", [ORSet, MVRegister])
def test_a_delta_waits_for_those_of_its_writer_before_it(kind: Any) -> None:
    writer, reader = kind("a"), kind("b")
    deltas = [change(writer, value) for value in ("x", "y", "z")]
    # The second value of a register says that the first is gone, and so needs no delta before it.
    early = deltas[1:] if kind is ORSet else deltas[2:]
    assert not any(reader.merge_delta(delta) for delta in early)
    assert reader == kind("b")
    assert all(reader.merge_delta(delta) for delta in deltas)
    assert reader.state() == writer.state()


@pytest.mark.parametrize("kind", [ORSet, MVRegister])
def test_a_delta_that_comes_again_changes_nothing(kind: Any) -> None:
    writer, reader = kind("a"), kind("b")
    deltas = [change(writer, value) for value in ("x", "y")]
    assert all(reader.merge_delta(delta) for delta in (*deltas, *deltas))
    assert reader.state() == writer.state()


def test_an_element_that_was_removed_does_not_return_with_an_old_delta() -> None:
    writer, reader = ORSet("a"), ORSet("b")
    added = writer.add_delta("x")
    assert reader.merge_delta(added)
    reader.remove("x")
    assert reader.merge_delta(added)
    assert reader.value == frozenset()


def test_a_delta_of_a_counter_holds_the_counts_that_grew() -> None:
    counter, other = PNCounter("a"), PNCounter("b")
    other.increment(5)
    other.decrement(6)
    counter.merge(other)
    before = counter.state()
    counter.increment(2)
    assert counter.delta_since(before) == ("PNCounterDelta", (("a", 2),), ())
    counter.decrement(3)
    assert counter.delta_since(before) == ("PNCounterDelta", (("a", 2),), (("a", 3),))
    assert GCounter("c").merge_delta(("GCounterDelta", (("a", 2),)))


@pytest.mark.parametrize(
    ("counts", "says"),
    [
        ((("b", 1), ("a", 1)), "not a GCounter state in canonical form"),
        ((("a", 1), ("a", 1)), "not a GCounter state in canonical form"),
        ((("a", 0),), "count >= 1"),
        ((("a", True),), "count >= 1"),
    ],
)
def test_counts_in_no_state_are_refused(counts: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        GCounter("c").merge(("GCounter", counts))
