"""A history keeps what real time means to clients, and nothing more."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from happysim.core.errors import FreezeError
from happysim.core.history import Call, History, HistoryError

# An event is a client and its operation, or the same client and operation again for the return.
Event = tuple[str, str]


def record(events: list[Event]) -> History:
    """The history of a run; a client's events alternate between invoking and returning."""
    history = History()
    for client, operation in events:
        if client in history.open:
            history = history.complete(client, operation.upper())
        else:
            history = history.invoke(client, operation)
    return history


def precedence(events: list[Event]) -> set[tuple[Event, Event]]:
    """Which call returned before which was invoked, from the places of the events."""
    places: dict[Event, list[int]] = {}
    for place, event in enumerate(events):
        places.setdefault(event, []).append(place)
    return {
        (earlier, later)
        for earlier, later in product(places, places)
        if len(places[earlier]) == 2 and places[earlier][1] < places[later][0]
    }


@st.composite
def runs(draw: st.DrawFn) -> list[Event]:
    order = draw(st.lists(st.sampled_from("abc"), max_size=10))
    return [(client, f"{client}{order[:at].count(client) // 2}") for at, client in enumerate(order)]


def test_a_call_comes_after_the_last_completed_call_of_every_other_client() -> None:
    history = record(
        [("a", "w"), ("b", "r"), ("a", "w"), ("a", "x"), ("a", "x"), ("c", "q"), ("b", "r")]
    )

    assert history.lanes == (
        ("a", (Call("a", "w", (), True, "W"), Call("a", "x", (), True, "X"))),
        ("b", (Call("b", "r", (), True, "R"),)),
        ("c", (Call("c", "q", (("a", 1),)),)),
    )


def test_an_open_call_hides_no_earlier_one_of_its_client() -> None:
    history = record([("a", "w"), ("a", "w"), ("a", "x"), ("b", "r")])

    assert history.of("b") == (Call("b", "r", (("a", 0),)),)


@given(runs(), st.lists(st.integers(0, 8), max_size=6))
def test_two_runs_are_one_history_exactly_if_they_have_one_precedence(
    events: list[Event], swaps: list[int]
) -> None:
    other = list(events)
    for at in swaps:
        if at + 1 < len(other) and other[at][0] != other[at + 1][0]:
            other[at], other[at + 1] = other[at + 1], other[at]

    assert (record(events) == record(other)) == (precedence(events) == precedence(other))
    if record(events) == record(other):
        assert hash(record(events)) == hash(record(other))


@given(runs())
def test_spans_are_an_order_of_events_that_makes_the_history_again(events: list[Event]) -> None:
    history = record(events)

    places = {}
    for span in history.spans():
        assert history.of(span.call.client)[span.index] is span.call
        places[span.invoked] = places[span.returned] = (span.call.client, span.call.operation)
    places.pop(None, None)

    assert sorted(places) == list(range(len(events)))
    assert record([event for _, event in sorted(places.items())]) == history


@pytest.mark.parametrize(
    "lanes",
    [
        pytest.param(
            (("a", (Call("a", "w"), Call("a", "x"))),), id="a second call while one is open"
        ),
        pytest.param(
            (("a", (Call("a", "w"),)), ("b", (Call("b", "r", (("a", 0),)),))),
            id="after a call that is open",
        ),
        pytest.param(
            (("b", (Call("b", "r", (("a", 0),)),)),), id="after a client that is not there"
        ),
        pytest.param(
            (
                ("a", (Call("a", "w", (("b", 0),), True, "W"),)),
                ("b", (Call("b", "r", (("a", 0),), True, "R"),)),
            ),
            id="each after the other",
        ),
        pytest.param(
            (
                ("a", (Call("a", "w", (), True, "W"),)),
                ("b", (Call("b", "r", (("a", 0),), True, "R"), Call("b", "s"))),
            ),
            id="after less than the call before it",
        ),
    ],
)
def test_a_history_that_no_run_makes_has_no_spans(
    lanes: tuple[tuple[str, tuple[Call, ...]]],
) -> None:
    with pytest.raises(HistoryError, match=r"no order of events .* invoke\(\) and complete\(\)"):
        History(lanes).spans()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, True),
        (1, 1.0),
        (0.0, -0.0),
        ((1, (2,)), (1, (2.0,))),
        (frozenset({1}), frozenset({True})),
    ],
)
def test_values_of_different_types_make_different_histories(one: object, other: object) -> None:
    asked = History().invoke("a", "read")

    assert asked.complete("a", one) == asked.complete("a", one)
    assert asked.complete("a", one) != asked.complete("a", other)
    assert History().invoke("a", one) != History().invoke("a", other)


OPEN = History().invoke("a", "write")


@pytest.mark.parametrize(
    ("act", "error", "message"),
    [
        (
            lambda: OPEN.invoke("a", "read"),
            HistoryError,
            "'a' invoked 'read' while its 'write' is open",
        ),
        (lambda: OPEN.complete("b", None), HistoryError, "'b' got None but has no open call"),
        (
            lambda: OPEN.complete("a", None).complete("a", None),
            HistoryError,
            "'a' got None but has no open call",
        ),
        (
            lambda: OPEN.invoke("b", ["write"]),
            HistoryError,
            "operation of client 'b' cannot be hashed",
        ),
        (lambda: OPEN.complete("a", {}), HistoryError, "result of client 'a' cannot be hashed"),
        (lambda: OPEN.invoke("b", (1, len)), FreezeError, r"operation of client 'b'\[1\] holds"),
    ],
)
def test_what_a_client_cannot_do_is_an_error(act, error, message) -> None:
    with pytest.raises(error, match=message):
        act()


def test_the_open_call_of_a_client_that_crashed_stays_open_in_a_lane_of_its_own() -> None:
    crashed = record([("a", "w"), ("a", "w"), ("a", "x")]).abandon("a")
    again = crashed.invoke("a", "y").abandon("a").invoke("a", "z")

    assert crashed.lanes == (
        ("a", (Call("a", "w", (), True, "W"),)),
        ("a~1", (Call("a~1", "x", (("a", 0),)),)),
    )
    assert again.open == ("a", "a~1", "a~2")
    assert [span.call.operation for span in again.spans()] == ["w", "z", "x", "y"]
    assert again.abandon("nobody") is again


def test_calls_are_found_by_client_and_by_whether_they_returned() -> None:
    history = record([("b", "r"), ("a", "w"), ("b", "r"), ("b", "s")])
    read, again = history.of("b")
    (write,) = history.of("a")

    assert history.of("nobody") == ()
    assert history.calls == (write, read, again)
    assert history.completed == (read,)
    assert history.open == ("a", "b")


def test_a_history_prints_a_call_a_line_with_what_is_new_before_it() -> None:
    history = record([("a", "w"), ("a", "w"), ("b", "r"), ("b", "r"), ("b", "s"), ("a", "x")])

    assert str(history) == (
        "a[0] 'w' -> 'W'\na[1] 'x' (open)  after b[0]\nb[0] 'r' -> 'R'  after a[0]\nb[1] 's' (open)"
    )
