"""The accrual detector: what it says of a process, and that its arithmetic holds far out."""

from __future__ import annotations

import math
from decimal import Decimal, getcontext
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from happysim import ProtocolError
from happysim.core.freeze import freeze, thaw
from happysim.protocols.phi_accrual import PhiAccrualDetector, mean_and_deviation, suspicion

SECOND = 1_000_000_000
# times that floats hold exactly, so that a shift of the clock changes nothing
TIMES = st.lists(st.integers(0, 10_000), min_size=1, max_size=30)


def heard(times: list[int], **options: float) -> PhiAccrualDetector:
    made = PhiAccrualDetector(first_interval=100, min_deviation=10, **options)  # type: ignore[arg-type]
    for time in times:
        made.heartbeat(time)
    return made


def regular(beats: int = 20, unit: int | float = 1.0) -> PhiAccrualDetector:
    made = PhiAccrualDetector(first_interval=unit, min_deviation=unit / 10)
    for beat in range(beats):
        made.heartbeat(beat * unit)
    return made


# -- the tail of the normal distribution ----------------------------------------------------------


def tail(x: int, digits: int = 60) -> Decimal:
    """Q(x) by Laplace's continued fraction x + 1/(x + 2/(x + 3/(x + ...))), in long decimals."""
    getcontext().prec = digits
    fraction = Decimal(x)
    for step in range(2000, 0, -1):
        fraction = x + Decimal(step) / fraction
    root = (2 * Decimal("3.14159265358979323846264338327950288419716939937510582097494")).sqrt()
    return (-Decimal(x * x) / 2).exp() / (root * fraction)


@pytest.mark.parametrize("lateness", [4, 8, 20, 25, 26, 27, 40, 100, 1000])
def test_suspicion_is_the_logarithm_of_the_tail(lateness: int) -> None:
    assert suspicion(lateness) == pytest.approx(float(-tail(lateness).log10()), rel=1e-13)


def test_suspicion_is_known_at_the_mean_and_one_deviation_around_it() -> None:
    assert suspicion(0) == -math.log10(0.5)
    assert 10 ** -suspicion(1) == pytest.approx(0.15865525393145705)
    assert 10 ** -suspicion(-1) == pytest.approx(1 - 0.15865525393145705)


@given(st.floats(0, 1e300), st.floats(0, 1e300))
def test_suspicion_never_falls_and_is_finite(one: float, other: float) -> None:
    low, high = sorted((suspicion(min(one, other)), suspicion(max(one, other))))
    assert (low, high) == (suspicion(min(one, other)), suspicion(max(one, other)))
    assert 0 <= low <= high < math.inf


def test_suspicion_is_smooth_where_the_expansion_takes_over() -> None:
    steps = [suspicion(26 + step * 1e-6) for step in range(-5, 6)]
    rises = [after - before for before, after in pairwise(steps)]
    assert max(rises) - min(rises) < 1e-11


# -- what it says ---------------------------------------------------------------------------------


def test_nothing_is_suspected_before_the_first_heartbeat() -> None:
    assert PhiAccrualDetector().phi(10**9) == 0


def test_one_heartbeat_alone_is_enough_for_a_suspicion() -> None:
    detector = PhiAccrualDetector(first_interval=2.0)
    detector.heartbeat(100.0)
    assert detector.is_available(102.5)
    assert not detector.is_available(105.0)


def test_a_regular_process_is_available_until_a_beat_is_overdue() -> None:
    detector = regular()
    assert detector.is_available(20.2)
    assert not detector.is_available(22.0)


def test_an_acceptable_pause_is_waited_for_on_top() -> None:
    patient = regular()
    patient.acceptable_pause = 5.0
    assert patient.phi(26.0) == pytest.approx(regular().phi(21.0))


def test_a_dead_process_is_suspected_ever_more() -> None:
    phis = [regular().phi(20 * 10**power) for power in range(6)]
    assert phis == sorted(set(phis))
    assert phis[-1] > 1e12


def test_the_window_forgets_what_came_before_it() -> None:
    detector = PhiAccrualDetector(window=5)
    for time in (0, 100, 200, 201, 202, 203, 204, 205):
        detector.heartbeat(time)
    assert detector.intervals == [1] * 5


def test_seconds_and_nanoseconds_tell_the_same() -> None:
    assert regular(unit=SECOND).phi(21 * SECOND) == pytest.approx(regular().phi(21.0))


def test_nanoseconds_since_the_epoch_stay_exact() -> None:
    """A float would round them to 256 ns."""
    start = 1_700_000_000_000_000_000
    detector = PhiAccrualDetector(first_interval=100, min_deviation=1)
    for beat in range(1, 4):
        detector.heartbeat(start + beat * 101)
    assert detector.intervals[2:] == [101, 101]


@given(TIMES, st.integers(0, 20_000))
def test_last_heard_is_the_newest_whatever_the_order(times: list[int], now: int) -> None:
    detector = heard(times)
    assert detector.last_heard == max(times)
    assert 0 <= detector.phi(now) < math.inf


@given(TIMES, st.data())
def test_a_heartbeat_that_is_not_newer_changes_nothing(
    times: list[int], data: st.DataObject
) -> None:
    detector = heard(times)
    kept = freeze(detector)
    detector.heartbeat(data.draw(st.integers(0, max(times))))
    assert freeze(detector) == kept


@given(TIMES, st.integers(0, 20_000), st.integers(0, 20_000))
def test_phi_never_falls_in_silence(times: list[int], one: int, other: int) -> None:
    detector = heard(times)
    assert detector.phi(min(one, other)) <= detector.phi(max(one, other))


@given(TIMES, st.integers(0, 20_000), st.integers(0, 10**18))
def test_only_differences_of_times_count(times: list[int], now: int, shift: int) -> None:
    moved = heard([time + shift for time in times])
    assert moved.phi(now + shift) == heard(times).phi(now)


@given(st.permutations([3, 1, 4, 1, 5, 9, 2, 6]))
def test_an_estimate_does_not_depend_on_the_order(intervals: list[int]) -> None:
    assert mean_and_deviation(intervals) == mean_and_deviation(sorted(intervals))


def test_a_detector_is_plain_content_for_a_node() -> None:
    detector = regular()
    assert thaw(freeze(detector)) == detector


@pytest.mark.parametrize(
    "wrong",
    [
        {"threshold": 0},
        {"window": 1},
        {"window": 2.5},
        {"min_deviation": 0.0},
        {"first_interval": -1.0},
        {"first_interval": math.inf},
        {"acceptable_pause": -0.1},
    ],
)
def test_parameters_that_cannot_be_meant_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ProtocolError, match=f"PhiAccrualDetector.*{next(iter(wrong))}="):
        PhiAccrualDetector(**wrong)  # type: ignore[arg-type]


def test_times_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ProtocolError, match="timestamp=nan: give a finite number"):
        PhiAccrualDetector().heartbeat(math.nan)


def test_after_one_heartbeat_the_next_is_expected_after_the_first_interval() -> None:
    assert heard([0]).estimate() == (100.0, 25.0)


def test_at_the_threshold_a_process_counts_as_gone() -> None:
    made = regular()
    for threshold, is_available in ((made.phi(20.5), False), (made.phi(20.5) + 1e-9, True)):
        made.threshold = threshold
        assert made.is_available(20.5) is is_available


@pytest.mark.parametrize("now", [math.nan, math.inf])
def test_a_time_that_is_none_is_refused_also_before_the_first_heartbeat(now: float) -> None:
    with pytest.raises(ProtocolError, match="now="):
        PhiAccrualDetector().phi(now)
