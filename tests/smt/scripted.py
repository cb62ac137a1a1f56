"""A simulation in which every delay is given: what `realise` found, in virtual time."""

from __future__ import annotations

from collections import deque
from typing import Any

from happysim import Property, World
from happysim.sim.clock import Clock
from happysim.sim.simulation import Simulation
from happysim.smt.realise import Realised

_NEVER = 10**18


def simulated(world: World, found: Realised, prop: Property) -> Simulation:
    """The run of a world with the latencies, delays and clocks of a realised schedule."""
    travels: dict[tuple[str, str], deque[int]] = {}
    for travel in found.travels:
        ns = _NEVER if travel.ns is None else travel.ns
        travels.setdefault((travel.source, travel.target), deque()).append(ns)
    delays: dict[tuple[str, str], deque[int]] = {}
    for delay in found.delays:
        delays.setdefault((delay.node, delay.timer), deque()).append(delay.ns)
    simulation = Simulation(world, properties=[prop], trace=True)
    for live in simulation.nodes:
        if live.name in found.rates or live.name in found.offsets:
            offset = round(found.offsets.get(live.name, 0) * 10**9)
            live.clock = Clock(offset, found.rates.get(live.name, 1) - 1)
        _set_as_told(live, delays)
        for other in simulation.nodes:
            route = simulation.route(live.name, other.name)
            queue = travels.get((live.name, other.name), deque())
            route.link = None  # not plain: every message is sent with care
            route._settle()
            route.send = _sender(route, queue)
    simulation.run(found.steps[-1][1] / 10**9)
    return simulation
