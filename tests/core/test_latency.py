"""Delays are drawn from the distribution they are named after, in the same way on every machine."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import pytest

from happysim import (
    Latency,
    Random,
    ScenarioError,
    constant,
    exponential,
    lognormal,
    percentiles,
    uniform_latency,
)

SECOND = 1_000_000_000
LATENCIES = [
    constant(0.25),
    uniform_latency(0.5, 1.5),
    exponential(1.0),
    exponential(1.0, minimum=0.25),
    lognormal(1.0, 0.1),
    lognormal(1.0, 1.0),
    lognormal(1.0, 0.5, minimum=0.75),
    percentiles({50: 0.5, 90: 1, 99.9: 4}),
    percentiles({0: 0, 100: 1}),
]


def normal(u: float) -> float:
    return NormalDist().inv_cdf(u)


@pytest.mark.parametrize(
    ("latency", "quantile"),
    [
        (constant(0.25), lambda u: 0.25),
        (uniform_latency(0.5, 1.5), lambda u: 0.5 + u),
        (exponential(1.0), lambda u: -math.log(1 - u)),
        (exponential(1.0, minimum=0.25), lambda u: 0.25 - 0.75 * math.log(1 - u)),
        (lognormal(1.0, 0.1), lambda u: math.exp(0.1 * normal(u))),
        (lognormal(1.0, 1.0), lambda u: math.exp(normal(u))),
        (lognormal(1.0, 0.5, minimum=0.75), lambda u: 0.75 + 0.25 * math.exp(normal(u) / 2)),
        (percentiles({0: 0, 50: 1, 100: 3}), lambda u: 2 * u if u < 0.5 else 4 * u - 1),
    ],
    ids=repr,
)
def test_a_quantile_is_that_of_the_distribution(
    latency: Latency, quantile: Callable[[float], float]
) -> None:
    for u in [0.0001, *(at / 1000 for at in range(1, 1000)), 0.9999]:
        assert latency.ns_at(u) / SECOND == pytest.approx(quantile(u), rel=1e-4, abs=4e-5)


@pytest.mark.parametrize(
    ("latency", "mean"),
    [
        (constant(0.25), 0.25),
        (uniform_latency(0.5, 1.5), 1.0),
        (exponential(1.0), 1.0),
        (exponential(1.0, minimum=0.25), 1.0),
        (lognormal(1.0, 1.0), math.exp(0.5)),
        # A quarter lies between 0 and 1, a quarter at 1, a half between 1 and 3.
        (percentiles({0: 0, 25: 1, 50: 1, 100: 3}), 0.125 + 0.25 + 1.0),
    ],
    ids=repr,
)
def test_the_mean_is_that_of_the_distribution(latency: Latency, mean: float) -> None:
    assert latency.mean_ns / SECOND == pytest.approx(mean, rel=1e-4)


@pytest.mark.parametrize("latency", LATENCIES, ids=repr)
def test_a_quantile_never_falls_and_stays_within_its_bounds(latency: Latency) -> None:
    # Around each breakpoint, where a piece ends and the next begins, and at the ends.
    near = [math.nextafter(share, to) for share in latency.shares for to in (0, 1)]
    places = sorted({*near, *latency.shares, *(at / 997 for at in range(997))} - {1.0})
    found = [latency.ns_at(u) for u in places]
    assert found == sorted(found)
    assert found[0] == latency.min_ns
    assert found[-1] <= latency.max_ns


@pytest.mark.parametrize("latency", LATENCIES, ids=repr)
def test_a_sampler_draws_the_quantiles_at_every_breakpoint_and_beside_it(latency: Latency) -> None:
    steps = [each / 4096 for each in range(4096)]
    numbers = [each for each in (*latency.shares, *steps) if each < 1]
    numbers += [math.nextafter(each, 0) for each in numbers]
    draw = latency.sampler(iter(numbers).__next__)
    if latency.min_ns < latency.max_ns:
        assert [draw() for _ in numbers] == [latency.ns_at(each) for each in numbers]


@pytest.mark.parametrize("latency", LATENCIES, ids=repr)
def test_a_sampler_draws_the_quantiles_of_its_numbers(latency: Latency) -> None:
    numbers, again = Random(7), Random(7)
    draw = latency.sampler(numbers.unit)
    assert [draw() for _ in range(500)] == [latency.ns_at(again.unit()) for _ in range(500)]


def test_the_numbers_are_the_same_on_every_machine() -> None:
    places = (0.0, 0.001, 0.25, 0.5, 0.9, 0.999, 0.9999999)
    found = {
        repr(latency): [latency.ns_at(u) for u in places]
        for latency in (
            exponential(0.01),
            exponential(0.01, 0.005),
            lognormal(0.01, 0.5),
            lognormal(0.04, 2, minimum=0.001),
            percentiles({50: 0.001, 99: 0.02}),
        )
    }
    assert found == GOLDEN


GOLDEN: dict[str, list[int]] = {
    "exponential(0.01)": [0, 10078, 2877116, 6931753, 23026134, 69077659, 124995872],
    "exponential(0.01, 0.005)": [5000000, 5005039, 6438558, 8465876, 16513067, 39538829, 67497936],
    "lognormal(0.01, 0.5)": [1053992, 2132868, 7137332, 10000000, 18979638, 46885257, 94864070],
    "lognormal(0.04, 2, 0.001)": [
        1004813,
        1080709,
        11121024,
        40000000,
        507086743,
        18846660365,
        315845554505,
    ],
    "percentiles({50: 0.001, 99: 0.02})": [
        1000000,
        1000000,
        1000000,
        1000000,
        16510204,
        20000000,
        20000000,
    ],
}


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (lambda: constant(-1), ["constant(-1)", "the delay is -1", "a number of seconds"]),
        (lambda: constant(math.nan), ["constant(nan)", "a number of seconds"]),
        (lambda: constant(math.inf), ["constant(inf)"]),
        (lambda: constant("1"), ["constant('1')"]),
        (lambda: constant(True), ["constant(True)"]),
        (lambda: uniform_latency(2, 1), ["low is above high", "uniform_latency(1, 2)"]),
        (lambda: exponential(1, 2), ["exponential(1, 2)", "the mean", "write mean=3"]),
        (lambda: lognormal(1, 0.5, 2), ["lognormal(1, 0.5, 2)", "the median", "write median=3"]),
        (lambda: lognormal(1, -1), ["sigma is -1", "a standard deviation"]),
        (lambda: lognormal(1, 6), ["sigma above 5"]),
        (lambda: percentiles({}), ["percentiles({})", "percentiles({50: 0.001"]),
        (lambda: percentiles([1, 2]), ["percentiles([1, 2])", "percentiles({50: 0.001"]),
        (lambda: percentiles({101: 1}), ["101 is no percentile", "0 to 100"]),
        (lambda: percentiles({-1: 1}), ["the percentile is -1", "0 to 100"]),
        (lambda: percentiles({90: 1, 50: 2}), ["50 is not above the percentile before it"]),
        (lambda: percentiles({50: 2, 90: 1}), ["the delay at 90 is below the one before it"]),
        (lambda: percentiles({50: -2}), ["at 50", "the delay is -2"]),
    ],
)
def test_what_is_no_distribution_is_refused_with_the_remedy(
    make: Callable[[], Any], parts: list[str]
) -> None:
    with pytest.raises(ScenarioError) as refused:
        make()
    assert [part for part in parts if part not in str(refused.value)] == []
