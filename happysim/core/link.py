"""Link: how messages from one node to another fare in simulated time; and profiles of known links.

A link says what happens to each message on its own: how long it travels, whether it is lost, comes
twice, is held back, or arrives damaged. Simulation draws all of it from the link's own stream of
random numbers. A search has no time and looks at no link.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from math import isfinite
from typing import Any

from happysim.core.errors import ScenarioError
from happysim.core.latency import (
    NS_PER_S,
    Latency,
    constant,
    exponential,
    lognormal,
    percentiles,
    uniform_latency,
)

_PROBABILITIES = ("loss", "duplicate", "reorder", "corrupt")


@dataclass(frozen=True)
class Link:
    """One direction of a connection between two nodes.

    - latency: how long a message travels; `jitter` is drawn on top of it.
    - loss, duplicate: the probability that a message never arrives, or arrives once more, after a
      latency of its own.
    - reorder: the probability that a message is held back by an extra draw of `reorder_by`, by
      default of `latency`.
    - corrupt: the probability that a message arrives damaged. Its checksum shows that, so the
      receiver drops it; it is counted apart from loss.
    - bandwidth_bytes_per_s: a message occupies the link for `message_bytes` / bandwidth, and waits
      for those sent before it; None is unlimited. Every message counts as `message_bytes` long.

    Raises `ScenarioError` for what is no probability, no latency or no size.
    """

    latency: Latency
    jitter: Latency | None = None
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    reorder_by: Latency | None = None
    corrupt: float = 0.0
    bandwidth_bytes_per_s: float | None = None
    message_bytes: int = 256
    name: str = "link"

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ScenarioError(f"Link(name={self.name!r}): write a name as text")
        where = f"Link {self.name!r}"
        for field in ("latency", "jitter", "reorder_by"):
            value = getattr(self, field)
            if not isinstance(value, Latency) and (value is not None or field == "latency"):
                seconds = value if isinstance(value, int | float) else 0.01
                raise ScenarioError(
                    f"{where}: {field}={value!r} is no latency; write {field}=constant({seconds})"
                )
        for field in _PROBABILITIES:
            check_probability(getattr(self, field), f"{where}: {field}")
        rate = self.bandwidth_bytes_per_s
        if rate is not None and not (_is_number(rate) and rate > 0):
            raise ScenarioError(
                f"{where}: bandwidth_bytes_per_s={rate!r} is no rate; write a number above 0, or "
                "None for unlimited"
            )
        size = self.message_bytes
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise ScenarioError(
                f"{where}: message_bytes={size!r}; write a whole number such as 256"
            )

    @property
    def held_back(self) -> Latency:
        """What a message that is held back is held back by."""
        return self.latency if self.reorder_by is None else self.reorder_by

    @property
    def occupied_ns(self) -> int:
        """How long one message occupies the link, in nanoseconds; 0 where it is unlimited."""
        rate = self.bandwidth_bytes_per_s
        return 0 if rate is None else round(self.message_bytes * NS_PER_S / rate)

    def with_(self, **changes: Any) -> Link:
        """The same link with some fields changed: `datacenter_network().with_(loss=0.1)`."""
        known = [field.name for field in fields(self)]
        for name in changes:
            if name not in known:
                raise ScenarioError(f"a Link has no field {name!r}; it has {', '.join(known)}")
        return replace(self, **changes)


def check_probability(value: object, what: str) -> None:
    """Raise `ScenarioError` unless `value` is a number from 0 to 1."""
    if not _is_number(value) or not 0 <= value <= 1:  # type: ignore[operator]
        raise ScenarioError(f"{what}={value!r} is no probability; write a number from 0 to 1")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


# What a node sends to itself never leaves the machine.
LOOPBACK = Link(constant(0), name="loopback")


def local_network(name: str = "local") -> Link:
    """Two machines on one switch: 0.1 to 0.5 ms, nothing lost, 1 Gbit/s."""
    # A round trip in one building is put at 0.5 ms in Dean's "Numbers everyone should know" (2009);
    # half of it is one way.
    return Link(uniform_latency(0.000_1, 0.000_5), bandwidth_bytes_per_s=125_000_000, name=name)


def datacenter_network(name: str = "datacenter") -> Link:
    """Two servers of one datacenter: mostly 0.13 ms, one message in a hundred above 0.67 ms."""
    # Guo et al., "Pingmesh", SIGCOMM 2015, section 4.1: round trips between pods of 0.268 ms at the
    # median, 1.34 ms at 99 %, 23.35 ms at 99.9 %; 7.6 of 100,000 packets dropped. One way is half.
    latency = percentiles({0: 0.000_05, 50: 0.000_134, 99: 0.000_67, 99.9: 0.011_7})
    return Link(latency, loss=0.000_076, bandwidth_bytes_per_s=1_250_000_000, name=name)


def cross_region_network(name: str = "cross-region") -> Link:
    """Two regions of one cloud, a continent apart: at least 42 ms, little jitter."""
    # Bailis et al., "Highly Available Transactions", VLDB 2014, table 1: mean round trips between
    # regions of 22 to 363 ms, California to Virginia 84.5 ms. One way is half.
    jitter = exponential(0.002)
    return Link(constant(0.042), jitter, loss=0.000_1, bandwidth_bytes_per_s=125_000_000, name=name)


def internet_network(name: str = "internet") -> Link:
    """Two hosts on the public internet: 40 ms at the median, now and then 100 ms; 0.1 % lost."""
    # ITU-T Y.1541, class 0: mean transfer delay at most 100 ms, 99.9 % of packets within 50 ms of
    # the fastest, loss at most 1 in 1,000, errors at most 1 in 10,000.
    latency = lognormal(0.04, 0.8, minimum=0.03)
    return Link(
        latency,
        loss=0.001,
        duplicate=0.000_1,
        reorder=0.001,
        corrupt=0.000_1,
        bandwidth_bytes_per_s=12_500_000,
        name=name,
    )


def satellite_network(name: str = "satellite") -> Link:
    """Over a geostationary satellite: 260 ms and some, 0.5 % lost, 3 Mbit/s."""
    # ITU-T G.114, annex A: 260 ms between earth stations over a satellite at 36,000 km. The loss
    # stands for fading by rain.
    return Link(
        constant(0.26), exponential(0.01), loss=0.005, bandwidth_bytes_per_s=375_000, name=name
    )


def mobile_3g_network(name: str = "3g") -> Link:
    """A phone on 3G: 150 ms and some, 1 % lost, 1.6 Mbit/s."""
    # WebPageTest's profile "Mobile 3G": a round trip of 300 ms, 1.6 Mbit/s down. The loss and the
    # jitter, which it leaves out, stand for a moving phone.
    return Link(
        constant(0.15), exponential(0.03), loss=0.01, bandwidth_bytes_per_s=200_000, name=name
    )


def mobile_4g_network(name: str = "4g") -> Link:
    """A phone on LTE: 35 ms and some, 0.5 % lost, 12 Mbit/s."""
    # WebPageTest's profile "LTE": a round trip of 70 ms, 12 Mbit/s down; near the medians in Huang
    # et al., "A Close Examination of Performance and Power Characteristics of 4G LTE Networks",
    # MobiSys 2012. Loss and jitter as for 3G, milder.
    return Link(
        constant(0.035), exponential(0.01), loss=0.005, bandwidth_bytes_per_s=1_500_000, name=name
    )


def lossy_network(rate: float, name: str = "lossy") -> Link:
    """A local network that loses each message with the probability `rate`."""
    return local_network(name).with_(loss=rate)


def slow_network(seconds: float, name: str = "slow") -> Link:
    """A network on which every message takes about `seconds`: half to one and a half of it."""
    return Link(uniform_latency(seconds / 2, seconds * 1.5), name=name)
