"""A link says how messages fare in simulated time; profiles are links with published figures."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from happysim import (
    Link,
    ScenarioError,
    constant,
    cross_region_network,
    datacenter_network,
    exponential,
    internet_network,
    local_network,
    lossy_network,
    mobile_3g_network,
    mobile_4g_network,
    satellite_network,
    slow_network,
    uniform_latency,
)

MS = 1_000_000


@pytest.mark.parametrize(
    ("link", "median_ms", "at_least_ms", "occupied_ns"),
    [
        # 256 bytes at the bandwidth of each.
        (local_network(), 0.3, 0.1, 2_048),
        (datacenter_network(), 0.134, 0.05, 205),
        (cross_region_network(), 42, 42, 2_048),
        (internet_network(), 40, 30, 20_480),
        (satellite_network(), 260, 260, 682_667),
        (mobile_3g_network(), 150, 150, 1_280_000),
        (mobile_4g_network(), 35, 35, 170_667),
        (lossy_network(0.3), 0.3, 0.1, 2_048),
        (slow_network(2), 2_000, 1_000, 0),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_profile_has_the_figures_that_it_is_named_for(
    link: Link, median_ms: float, at_least_ms: float, occupied_ns: int
) -> None:
    assert link.latency.ns_at(0.5) == pytest.approx(median_ms * MS, rel=0.001)
    # The lognormal of the internet comes near its minimum without reaching it.
    assert link.latency.min_ns == pytest.approx(at_least_ms * MS, rel=0.02)
    assert link.occupied_ns == occupied_ns


@pytest.mark.parametrize(
    ("profile", "name"),
    [
        (local_network, "local"),
        (datacenter_network, "datacenter"),
        (cross_region_network, "cross-region"),
        (internet_network, "internet"),
        (satellite_network, "satellite"),
        (mobile_3g_network, "3g"),
        (mobile_4g_network, "4g"),
        (lambda **name: lossy_network(0.3, **name), "lossy"),
        (lambda **name: slow_network(2, **name), "slow"),
    ],
)
def test_a_profile_takes_a_name_and_is_otherwise_one_value(
    profile: Callable[..., Link], name: str
) -> None:
    assert profile().name == name
    assert profile() == profile() == profile(name="mine").with_(name=name)


def test_a_link_changed_with_keeps_the_rest() -> None:
    link = datacenter_network()
    changed = link.with_(loss=0.5, jitter=exponential(0.01))
    assert (changed.loss, changed.jitter) == (0.5, exponential(0.01))
    assert changed.with_(loss=link.loss, jitter=None) == link


def test_a_message_is_held_back_by_the_latency_where_nothing_else_is_said() -> None:
    link = Link(constant(1), reorder=0.5)
    assert link.held_back == constant(1)
    assert link.with_(reorder_by=uniform_latency(0, 1)).held_back == uniform_latency(0, 1)


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"latency": 0.02}, ["latency=0.02 is no latency", "latency=constant(0.02)"]),
        ({"latency": None}, ["latency=None", "latency=constant("]),
        ({"jitter": "much"}, ["jitter='much'", "jitter=constant("]),
        ({"reorder_by": 3}, ["reorder_by=constant(3)"]),
        ({"loss": 1.5}, ["loss=1.5 is no probability", "from 0 to 1"]),
        ({"duplicate": -0.1}, ["duplicate=-0.1"]),
        ({"reorder": math.nan}, ["reorder=nan"]),
        ({"corrupt": True}, ["corrupt=True"]),
        ({"bandwidth_bytes_per_s": 0}, ["bandwidth_bytes_per_s=0", "None for unlimited"]),
        ({"bandwidth_bytes_per_s": math.inf}, ["bandwidth_bytes_per_s=inf"]),
        ({"message_bytes": 1.5}, ["message_bytes=1.5", "such as 256"]),
        ({"name": ""}, ["name=''"]),
        ({"lost": 0.1}, ["no field 'lost'", "it has latency, jitter, loss"]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_a_field_that_makes_no_sense_is_refused_with_the_remedy(
    change: dict[str, Any], parts: list[str]
) -> None:
    with pytest.raises(ScenarioError) as refused:
        local_network().with_(**change)
    assert [part for part in parts if part not in str(refused.value)] == []
