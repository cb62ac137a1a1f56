"""A simulation in which every delay is given: what `realise` found, in virtual time."""

from __future__ import annotations

from collections import deque
from typing import Any

from happysim import Choice, Kind, Property, World
from happysim.core.latency import constant
from happysim.core.link import Link
from happysim.sim.clock import Clock
from happysim.sim.live import LiveNode
from happysim.sim.simulation import Simulation
from happysim.smt.realise import Realised

_NEVER = 10**18


class Scripted(Simulation):
    """A run with the latencies, delays and clocks of a realised schedule, up to its last step."""

    def __init__(self, world: World, found: Realised, prop: Property) -> None:
        self.found = found
        super().__init__(world, properties=[prop], trace=True)
        for choice, ns in found.steps:
            if choice.kind is Kind.ACT:
                self.agenda.at(ns, self._act, choice)
        self.run_until(found.steps[-1][1] / 10**9)

    def _act(self, choice: Choice, *_: Any) -> None:
        live = self.processes[choice.node]
        assert isinstance(live, LiveNode)
        live.run(Kind.ACT, choice.what, getattr(live.node, choice.what))

    def _live(self, process: Any, slot: int) -> Any:
        live = super()._live(process, slot)
        if isinstance(live, LiveNode):
            name, found = live.name, self.found
            if name in found.rates or name in found.offsets:
                offset = round(found.offsets.get(name, 0) * 10**9)
                live.clock = Clock(offset, found.rates.get(name, 1) - 1)
            live._plan_actions = lambda: None  # type: ignore[method-assign]
            live.set_timer = self._told(live)  # type: ignore[method-assign]
        return live

    def _told(self, live: LiveNode) -> Any:
        set_timer = live.set_timer
        delays: dict[str, deque[int]] = {}
        for delay in self.found.delays:
            if delay.node == live.name:
                delays.setdefault(delay.timer, deque()).append(delay.ns)
        # A handler that sets a timer twice means it once.
        told: dict[tuple[str, int], int] = {}

        def set_as_told(timer: str, _: int) -> None:
            key = timer, live.calls
            if key not in told:
                told[key] = delays[timer].popleft()
            set_timer(timer, told[key])

        return set_as_told

    def _route(self, source: str, to: str) -> Any:
        route = super()._route(source, to)
        route.use(Link(latency=constant(0)))
        travels = deque(
            _NEVER if travel.ns is None else travel.ns
            for travel in self.found.travels
            if (travel.source, travel.target) == (source, to)
        )
        route._sample = travels.popleft
        return route
