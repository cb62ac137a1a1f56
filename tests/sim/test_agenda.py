"""The agenda: calls in order of time, and of putting where the times are the same."""

from __future__ import annotations

import pytest

from happysim.core.prng import Random
from happysim.sim.agenda import Agenda, ns_of, seconds_text
from tests.support.kernels import kernel

__all__ = ["kernel"]


def test_calls_are_made_in_order_of_time_and_then_of_putting() -> None:
    agenda, made = Agenda(), []
    for time, name in ((5, "b"), (3, "a"), (5, "c"), (9, "late")):
        agenda.at(time, lambda name, *_: made.append((agenda.now, name)), name)
    agenda.run_until(8)
    assert made == [(3, "a"), (5, "b"), (5, "c")]
    assert agenda.now == 8
    assert agenda.step()
    assert made[-1] == (9, "late")
    assert not agenda.step()


def test_a_run_stops_where_a_call_says_so_and_time_with_it() -> None:
    agenda = Agenda()

    def stop(*_: object) -> None:
        agenda.stopped = True

    agenda.at(2, stop)
    agenda.at(4, stop)
    agenda.run_until(10)
    assert agenda.now == 2
    assert len(agenda.queue) == 1


def test_many_calls_come_in_the_order_in_which_sorting_would_put_them() -> None:
    random, agenda = Random(1), Agenda()
    made: list[int] = []
    times = [random.below(50) << random.below(80) for _ in range(2_000)]
    for number, time in enumerate(times):
        agenda.at(time, lambda number, *_: made.append(number), number)
    wanted = sorted(range(len(times)), key=times.__getitem__)
    assert [entry[3] for entry in agenda.queue.entries()] == wanted
    while agenda.step():
        assert agenda.now == times[made[-1]]
    assert made == wanted


def test_a_time_that_never_comes_is_no_trouble() -> None:
    agenda = Agenda()
    never = 10**300
    agenda.at(never, lambda *_: None)
    agenda.run_until(2**70)
    assert (agenda.now, agenda.next_at, len(agenda.queue)) == (2**70, never, 1)


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0"),
        (1, "0.000000001"),
        (1_500_000_000, "1.5"),
        (60 * 10**9, "60"),
        (-5, "-0.000000005"),
    ],
)
def test_times_are_told_exactly(ns: int, text: str) -> None:
    assert seconds_text(ns) == text
    assert ns_of(float(text)) == ns
