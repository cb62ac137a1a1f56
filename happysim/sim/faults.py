"""Faults of a live run: each begins at a time, and can be ended by itself.

A fault is a value that says what befalls whom. `begin` makes it happen and returns how to end it;
the ends are independent of each other, so two partitions that overlap heal one by one. A name left
out is drawn anew each time, where the fault is part of a random process.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from happysim.core.errors import ScenarioError
from happysim.core.prng import Random
from happysim.sim.live import LiveNode

if TYPE_CHECKING:
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


def node_named(simulation: Simulation, name: str, what: str) -> LiveNode:
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


def _check_process(simulation: Simulation, name: str, what: object) -> None:
    if name not in simulation.processes:
        known = ", ".join(simulation.processes)
        raise ScenarioError(f"{what}: there is no {name!r} in this world; it has {known}")


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


@dataclass(frozen=True)
class _Route:
    """Befalls what one process sends another."""

    source: str = ""
    target: str = ""

    def check(self, simulation: Simulation) -> None:
        if self.source or self.target:
            for name in (self.source, self.target):
                _check_process(simulation, name, self)

    def drawn(self, simulation: Simulation, random: Random) -> Fault | None:
        if self.source:
            return self
        names = [each.name for each in simulation.nodes]
        return self.aimed(simulation, random, random.choice(names)) if names else None

    def aimed(self, simulation: Simulation, random: Random, name: str) -> Fault | None:
        if self.source:
            return self
        others = [each.name for each in simulation.nodes if each.name != name]
        if not others:
            return None
        ends = name, random.choice(others)
        source, target = ends if random.below(2) else ends[::-1]
        return replace(self, source=source, target=target)

    def begin(self, simulation: Simulation) -> End:
        raise NotImplementedError

    def spares(self, simulation: Simulation, names: Container[str]) -> bool:
        return not (self.source in names and self.target in names)


@dataclass(frozen=True)
class Clog(_Route):
    """What one process sends another is held back; the end releases it, in its order.

    A message that comes late is worse for many protocols than one that never comes.
    """

    def begin(self, simulation: Simulation) -> End:
        simulation.clog(self.source, self.target)
        return lambda: simulation.release(self.source, self.target)


@dataclass(frozen=True)
class Echo(_Route):
    """What one process sends another is recorded; the end lets all of it come again, as copies.

    An old message that comes a second time finds a receiver that has long gone on. Links that keep
    their order make no copies, so there it does nothing.
    """

    def begin(self, simulation: Simulation) -> End:
        simulation.echo(self.source, self.target)
        return lambda: simulation.replay(self.source, self.target)


@dataclass(frozen=True)
class Partition:
    """Messages do not cross between sides: `Partition(["n1"], ["n2", "n3"])`.

    With `one_way`, only what the first side sends to the others is lost. Processes that no side
    names reach everyone. With no sides, two are drawn: a random split of the nodes.
    """

    sides: tuple[tuple[str, ...], ...] = ()
    one_way: bool = False

    def __init__(self, *sides: Iterable[str], one_way: bool = False) -> None:
        for side in sides:
            if isinstance(side, str):
                raise ScenarioError(
                    f"Partition({side!r}): a side is a list of names; write Partition([{side!r}], "
                    "[...])"
                )
        object.__setattr__(self, "sides", tuple(tuple(side) for side in sides))
        object.__setattr__(self, "one_way", one_way)
        named = [name for side in self.sides for name in side]
        if self.sides and (len(self.sides) < 2 or not all(self.sides)):
            raise ScenarioError(f"{self}: a partition names at least two sides, none of them empty")
        for name in named:
            if named.count(name) > 1:
                raise ScenarioError(f"{self}: {name!r} stands on two sides")

    def check(self, simulation: Simulation) -> None:
        for side in self.sides:
            for name in side:
                _check_process(simulation, name, self)

    def drawn(self, simulation: Simulation, random: Random) -> Fault | None:
        if self.sides:
            return self
        names = [each.name for each in simulation.nodes]
        if len(names) < 2:
            return None
        random.shuffle(names)
        at = 1 + random.below(len(names) - 1)
        return Partition(sorted(names[:at]), sorted(names[at:]), one_way=self.one_way)

    def aimed(self, simulation: Simulation, random: Random, name: str) -> Fault | None:
        """It cuts one node off from the others; one way, nobody hears it, or it hears nobody."""
        others = [each.name for each in simulation.nodes if each.name != name]
        if self.sides or not others:
            return self if self.sides else None
        sides = [name], others
        first, second = sides if random.below(2) else sides[::-1]
        return Partition(first, second, one_way=self.one_way)

    def begin(self, simulation: Simulation) -> End:
        pairs = list(self.pairs())
        simulation.cut(pairs, str(self))
        return lambda: simulation.mend(pairs, str(self))

    def spares(self, simulation: Simulation, names: Container[str]) -> bool:
        return not any(one in names and two in names for one, two in self.pairs())

    def pairs(self) -> Iterable[tuple[str, str]]:
        """Senders and receivers that it keeps apart."""
        for at, side in enumerate(self.sides):
            for other in self.sides[at + 1 :]:
                for one in side:
                    for two in other:
                        if not self.one_way or at == 0:
                            yield one, two
                        if not self.one_way:
                            yield two, one

    def __str__(self) -> str:
        arrow = " -> " if self.one_way else " | "
        return arrow.join(" ".join(side) for side in self.sides)
