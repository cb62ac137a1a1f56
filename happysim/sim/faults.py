"""Faults of a live run: each begins at a time, and can be ended by itself.

A fault is a value that says what befalls whom. `begin` makes it happen and returns how to end it;
the ends are independent of each other, so two partitions that overlap heal one by one. A name left
out is drawn anew each time, where the fault is part of a random process.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from happysim.core.errors import ScenarioError
from happysim.core.prng import Random
from happysim.sim.live import LiveNode

if TYPE_CHECKING:
    from happysim.sim.by_hand import ByHand
    from happysim.sim.simulation import Simulation

End = Callable[[], None]


class Fault(Protocol):
    """What can befall a run."""

    def check(self, simulation: Simulation) -> None:
        """Raise `ScenarioError` where it names what is not there."""

    def drawn(self, simulation: Simulation, random: Random) -> Fault | None:
        """The fault with every name left out filled in; None where it can befall nobody now."""

    def begin(self, simulation: Simulation) -> End:
        """Let it happen now; returns what ends it."""

    def spares(self, simulation: Simulation, names: Container[str]) -> bool:
        """True where it leaves these processes, and what they send each other, alone."""


def node_named(simulation: ByHand, name: str, what: str) -> LiveNode:
    """The live node of a name. Raises `ScenarioError` where there is none."""
    found = simulation.processes.get(name)
    if not isinstance(found, LiveNode):
        known = ", ".join(each.name for each in simulation.nodes)
        raise ScenarioError(f"{what}: there is no node {name!r} in this world; it has {known}")
    return found


def aimed(fault: Fault, simulation: Simulation, random: Random, name: str) -> Fault | None:
    """The fault with every name left out filled in so that it befalls this node.

    None where it cannot. A fault that has no say in this is drawn as ever.
    """
    how = getattr(fault, "aimed", None)
    if how is not None:
        made: Fault | None = how(simulation, random, name)
        return made
    if getattr(fault, "node", None) == "":
        fault = replace(fault, node=name)  # type: ignore[type-var]
    return fault.drawn(simulation, random)


def _draw(simulation: Simulation, random: Random, fits: Callable[[LiveNode], bool]) -> str | None:
    names = [each.name for each in simulation.nodes if fits(each)]
    return random.choice(names) if names else None


@dataclass(frozen=True)
class Crash:
    """A node goes down and loses what is not durable; the end restarts it.

    It does not befall a run in which `down_max` nodes are down already.
    """

    node: str = ""
    down_max: float = float("inf")

    def check(self, simulation: Simulation) -> None:
        if self.node:
            node_named(simulation, self.node, str(self))

    def drawn(self, simulation: Simulation, random: Random) -> Fault | None:
        down = sum(not each.is_up for each in simulation.nodes)
        if down >= self.down_max:
            return None
        if self.node:
            return self
        name = _draw(simulation, random, lambda node: node.is_up)
        return replace(self, node=name) if name else None

    def begin(self, simulation: Simulation) -> End:
        simulation.crash(self.node)
        return lambda: simulation.restart(self.node)

    def spares(self, simulation: Simulation, names: Container[str]) -> bool:
        return self.node not in names


@dataclass(frozen=True)
class Pause:
    """A node stands still: what arrives waits, and timers ring late; the end lets it go on."""

    node: str = ""

    def check(self, simulation: Simulation) -> None:
        if self.node:
            node_named(simulation, self.node, str(self))

    def drawn(self, simulation: Simulation, random: Random) -> Fault | None:
        name = self.node or _draw(simulation, random, lambda node: node.gate is None)
        return replace(self, node=name) if name else None

    def begin(self, simulation: Simulation) -> End:
        simulation.pause(self.node)
        return lambda: simulation.resume(self.node)

    def spares(self, simulation: Simulation, names: Container[str]) -> bool:
        return self.node not in names
