"""Faults of a live run: each begins at a time, and can be ended by itself.

A fault is a value that says what befalls whom. `begin` makes it happen and returns how to end it;
the ends are independent of each other, so two partitions that overlap heal one by one. A name left
out is drawn anew each time, where the fault is part of a random process.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import replace
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
