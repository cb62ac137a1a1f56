"""Faults of the network: partitions of all kinds, links that hold messages back, links gone bad.

A partition loses what is on its way across it, and what is sent across it later. Several may lie
across one link; it works again when the last of them has healed.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain, permutations, product
from typing import TYPE_CHECKING, Any

from happysim.core.errors import ScenarioError
from happysim.core.link import Link
from happysim.core.prng import Random
from happysim.sim.agenda import ns_of
from happysim.sim.faults import End, Fault

if TYPE_CHECKING:
    from happysim.sim.simulation import Simulation

Pairs = list[tuple[str, str]]


def check_names(simulation: Simulation, names: Iterable[str], what: str) -> None:
    """Raise `ScenarioError` where a name is that of no process."""
    for name in names:
        if name not in simulation.processes:
            known = ", ".join(simulation.processes)
            raise ScenarioError(f"{what}: there is no {name!r} in this world; it has {known}")


def _shuffled(simulation: Simulation, random: Random) -> list[str]:
    names = [each.name for each in simulation.nodes]
    random.shuffle(names)
    return names


@dataclass(frozen=True)
class _Route:
    """Befalls what one process sends another."""

    source: str = ""
    target: str = ""

    def check(self, simulation: Simulation) -> None:
        if self.source or self.target:
            check_names(simulation, [self.source, self.target], str(self))

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


class _Cut:
    """What keeps processes apart shares: who is kept from whom says all of it."""

    def begin(self, simulation: Simulation) -> End:
        pairs, told = self.pairs(), str(self)
        simulation.cut(pairs, told)
        return lambda: simulation.mend(pairs, told)

    def spares(self, simulation: Simulation, names: Container[str]) -> bool:
        return not any(one in names and two in names for one, two in self.pairs())

    def pairs(self) -> Pairs:
        """Senders and receivers that it keeps apart."""
        raise NotImplementedError


@dataclass(frozen=True)
class Partition(_Cut):
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
        check_names(simulation, [name for side in self.sides for name in side], str(self))

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

    def pairs(self) -> Pairs:
        """Senders and receivers that it keeps apart."""
        found: Pairs = []
        for at, side in enumerate(self.sides):
            for one, two in product(side, chain(*self.sides[at + 1 :])):
                if not self.one_way:
                    found += [(one, two), (two, one)]
                elif at == 0:
                    found.append((one, two))
        return found

    def __str__(self) -> str:
        arrow = " -> " if self.one_way else " | "
        return arrow.join(" ".join(side) for side in self.sides)


@dataclass(frozen=True)
class Bridge(_Cut):
    """Two sides that reach each other through one node alone: `Bridge("n3", ["n1"], ["n2"])`.

    Every node of a side still talks to the bridge, so both may see a majority. With no names, the
    bridge and the sides are drawn.
    """

    bridge: str = ""
    sides: tuple[tuple[str, ...], ...] = ()

    def __init__(self, bridge: str = "", *sides: Iterable[str]) -> None:
        object.__setattr__(self, "bridge", bridge)
        object.__setattr__(self, "sides", Partition(*sides).sides)
        if bool(bridge) != bool(self.sides) or any(bridge in side for side in self.sides):
            raise ScenarioError(f"{self}: name the bridge, and two sides that it is not part of")

    def check(self, simulation: Simulation) -> None:
        names = [name for side in self.sides for name in side]
        check_names(simulation, [*names, *([self.bridge] if self.bridge else [])], str(self))

    def drawn(self, simulation: Simulation, random: Random) -> Fault | None:
        if self.bridge:
            return self
        names = _shuffled(simulation, random)
        if len(names) < 3:
            return None
        half = (len(names) + 1) // 2
        return Bridge(names[0], sorted(names[1:half]), sorted(names[half:]))

    def pairs(self) -> Pairs:
        """Senders and receivers that it keeps apart."""
        return Partition(*self.sides).pairs()

    def __str__(self) -> str:
        return f"{' | '.join(' '.join(side) for side in self.sides)} but for {self.bridge}"


@dataclass(frozen=True)
class Ring(_Cut):
    """Every node reaches a majority, and no two reach the same: the nodes stand in a ring.

    Each reaches its nearest neighbours on either side, and they reach it. The order is that of
    `order`, or drawn. Source: the majorities-ring nemesis of Jepsen.
    """

    order: tuple[str, ...] = ()

    def check(self, simulation: Simulation) -> None:
        if isinstance(self.order, str) or len(set(self.order)) < len(self.order):
            raise ScenarioError(f"Ring(order={self.order!r}): give the names in a tuple, each once")
        check_names(simulation, self.order, str(self))

    def drawn(self, simulation: Simulation, random: Random) -> Fault | None:
        order = self.order or tuple(_shuffled(simulation, random))
        # Of fewer than four, every two are neighbours.
        return Ring(order) if len(order) > 3 else None

    def pairs(self) -> Pairs:
        """Senders and receivers that it keeps apart."""
        count = len(self.order)
        # A majority of n holds n // 2 others; half of them on either side, at the least.
        reach = max(1, (count // 2 + 1) // 2)
        place = {name: at for at, name in enumerate(self.order)}
        return [
            (one, two)
            for one, two in permutations(self.order, 2)
            if min((place[one] - place[two]) % count, (place[two] - place[one]) % count) > reach
        ]

    def __str__(self) -> str:
        return f"ring {' '.join(self.order)}".strip()


@dataclass(frozen=True)
class Swizzle:
    """All links of some nodes clog one node after another, and open again in another order.

    `every` seconds lie between one and the next. With no names, a random part of the nodes is
    drawn. Source: swizzle-clogging, of FoundationDB's simulation.
    """

    nodes: tuple[str, ...] = ()
    every: float = 0.5

    def check(self, simulation: Simulation) -> None:
        if isinstance(self.nodes, str):
            raise ScenarioError(f"Swizzle({self.nodes!r}): give the names in a tuple")
        if not 0 < self.every < float("inf"):
            raise ScenarioError(f"Swizzle(every={self.every!r}): give seconds, more than 0")
        check_names(simulation, self.nodes, "Swizzle")

    def drawn(self, simulation: Simulation, random: Random) -> Fault | None:
        names = list(self.nodes) or _shuffled(simulation, random)
        if not self.nodes:
            names = names[: 1 + random.below(len(names))]
        random.shuffle(names)
        return Swizzle(tuple(names), self.every)

    def begin(self, simulation: Simulation) -> End:
        state = _Swizzled(simulation, self.nodes)
        state.go_on(ns_of(self.every))
        return state.end

    def spares(self, simulation: Simulation, names: Container[str]) -> bool:
        return not any(name in names for name in self.nodes)


class _Swizzled:
    """One swizzle on its way: which nodes are clogged now."""

    def __init__(self, simulation: Simulation, nodes: Sequence[str]) -> None:
        self.simulation = simulation
        self.to_clog = list(nodes)
        # In another order than they were clogged: every second one first.
        self.to_open = [*nodes[1::2], *nodes[::2]]
        self.clogged: set[str] = set()

    def go_on(self, every: int, *_: Any) -> None:
        """Clog the next node, or open one again."""
        if self.to_clog:
            name = self.to_clog.pop(0)
            self.clogged.add(name)
            for source, target in self._links(name):
                self.simulation.clog(source, target)
        elif self.to_open:
            self._open(self.to_open.pop(0))
        if self.to_clog or self.to_open:
            agenda = self.simulation.agenda
            agenda.at(agenda.now + every, self.go_on, every)

    def _links(self, name: str) -> Pairs:
        others = [each for each in self.simulation.processes if each != name]
        return [pair for other in others for pair in ((name, other), (other, name))]

    def _open(self, name: str) -> None:
        if name in self.clogged:
            self.clogged.remove(name)
            for source, target in self._links(name):
                self.simulation.release(source, target)

    def end(self) -> None:
        """Open whatever is clogged."""
        self.to_clog, self.to_open = [], []
        for name in sorted(self.clogged):
            self._open(name)


@dataclass(frozen=True)
class Degrade:
    """A link goes bad: it behaves as `link` says until the end. With no names, one is drawn.

    Only one Degrade may have hold of a link at a time; another passes it by.
    """

    link: Link
    source: str = ""
    target: str = ""

    def check(self, simulation: Simulation) -> None:
        if not isinstance(self.link, Link):
            raise ScenarioError(f"Degrade({self.link!r}): give a Link, such as lossy_network(0.5)")
        if self.source or self.target:
            check_names(simulation, [self.source, self.target], f"Degrade({self.link.name})")

    def drawn(self, simulation: Simulation, random: Random) -> Fault | None:
        names = _shuffled(simulation, random)
        if not self.source and len(names) < 2:
            return None
        chosen = self if self.source else Degrade(self.link, names[0], names[1])
        return None if (chosen.source, chosen.target) in simulation.degraded else chosen

    def begin(self, simulation: Simulation) -> End:
        simulation.degrade(self.source, self.target, self.link)
        return lambda: simulation.restore(self.source, self.target)

    def spares(self, simulation: Simulation, names: Container[str]) -> bool:
        return not (self.source in names and self.target in names)
