"""A node that notes what its clock shows at each beat, for tests of clocks and of slow nodes."""

from __future__ import annotations

from happysim.core.choice import Kind
from happysim.core.host import Host
from happysim.core.node import Node, on
from happysim.core.world import World
from happysim.sim.agenda import NS
from happysim.sim.simulation import Simulation


class Watch(Node):
    """Notes what its clock shows at each beat of a timer of one second."""

    seen: list[int] = []

    def on_start(self, host: Host) -> None:
        host.set_timer("beat", seconds=1)

    @on.timer("beat")
    def beat(self, host: Host) -> None:
        self.seen.append(host.now)
        host.set_timer("beat", seconds=1)


def beats(*faults: object, seconds: float = 6) -> tuple[list[float], list[float]]:
    """What the clock showed at each beat, and when that was, in seconds."""
    simulation = Simulation(World.of(Watch("n1")), faults=faults, trace=True)  # type: ignore[arg-type]
    simulation.run(seconds)
    times = [(each.at or 0) / NS for each in simulation.schedule if each.kind is Kind.FIRE]
    return [shown / NS for shown in simulation.world["n1"].seen], times
