"""Faults of one node: it goes down or stands still, its clock is wrong, it is slow, its disk fails.

Each is a value, as those of `faults`: it begins at a time or at random, and can be ended by itself.
A node left out is drawn. An amount may be a range, `(low, high)`: it is drawn from it each time.

A search knows no time, so it has no clocks and no slowness, and no budget for them: there, any set
timer may fire at any moment, which is what the worst of clocks and the slowest of nodes can do.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

from happysim.core.disk import Atlas
from happysim.core.errors import ScenarioError
from happysim.core.node import Node
from happysim.core.prng import Random
from happysim.sim.agenda import NS
from happysim.sim.faults import End, Fault, node_named
from happysim.sim.live import LiveNode

if TYPE_CHECKING:
    from happysim.sim.simulation import Simulation

Amount = float | Fraction | tuple[float, float]
# Draws of an amount are multiples of a millionth of its range, so that they are exact.
_GRAINS = 1_000_000


def check_amount(amount: object, what: str, least: float | None = None) -> None:
    """Raise `ScenarioError` where an amount is no number and no range of numbers."""
    ends = amount if isinstance(amount, tuple) else (amount, amount)
    numbers = all(
        isinstance(each, int | float | Fraction) and not isinstance(each, bool) for each in ends
    )
    if not numbers or len(ends) != 2 or not -_FAR < ends[0] <= ends[1] < _FAR:
        raise ScenarioError(
            f"{what}: {amount!r} is no amount; give a number, or a range (low, high) to draw from"
        )
    if least is not None and ends[0] < least:
        raise ScenarioError(f"{what}: {amount!r} is less than {least}")


_FAR = 1e12


def exactly(amount: Amount) -> Fraction:
    """An amount as it is written, exactly: 0.1 is a tenth."""
    assert not isinstance(amount, tuple)
    return amount if isinstance(amount, Fraction) else Fraction(repr(amount))


def drawn_amount(amount: Amount, random: Random) -> float | Fraction:
    """The amount, or one drawn from its range."""
    if not isinstance(amount, tuple):
        return amount
    low, high = exactly(amount[0]), exactly(amount[1])
    return low + (high - low) * random.below(_GRAINS + 1) / _GRAINS


class _OfNode:
    """What faults of one node share: a name, and perhaps an amount to draw from a range."""

    node: str
    amount: ClassVar[str] = ""  # the field that holds it
    least: ClassVar[float | None] = None
    draws_once: ClassVar[bool] = True  # else its effects draw from the range one by one
    declared: ClassVar[tuple[str, ...]] = ()  # the fields of Faults that a replay needs

    def check(self, simulation: Simulation) -> None:
        if self.node:
            node_named(simulation, self.node, str(self))
        if self.amount:
            what = f"{type(self).__name__}({self.amount}=...)"
            check_amount(getattr(self, self.amount), what, self.least)
        for budget in self.declared:
            simulation.check_declared(budget, str(self))

    def drawn(self, simulation: Simulation, random: Random) -> Fault | None:
        names = [self.node] if self.node else [n.name for n in simulation.nodes if self.fits(n)]
        if not names:
            return None
        changes: dict[str, Any] = {"node": random.choice(names)}
        if self.amount and self.draws_once:
            changes[self.amount] = drawn_amount(getattr(self, self.amount), random)
        made: Fault = replace(self, **changes)  # type: ignore[type-var]
        return made

    def fits(self, node: LiveNode) -> bool:
        """True where it may befall this node now."""
        return True

    def spares(self, simulation: Simulation, names: Container[str]) -> bool:
        return self.node not in names

    def begin(self, simulation: Simulation) -> End:
        raise NotImplementedError


# -- being down, and standing still ---------------------------------------------------------------


@dataclass(frozen=True)
class Crash(_OfNode):
    """A node goes down and loses what is not durable; the end restarts it.

    It does not befall a run in which `down_max` nodes are down already.
    """

    node: str = ""
    down_max: float = float("inf")

    def drawn(self, simulation: Simulation, random: Random) -> Fault | None:
        down = sum(not each.is_up for each in simulation.nodes)
        return super().drawn(simulation, random) if down < self.down_max else None

    def fits(self, node: LiveNode) -> bool:
        return node.is_up

    def begin(self, simulation: Simulation) -> End:
        simulation.crash(self.node)
        return lambda: simulation.restart(self.node)


@dataclass(frozen=True)
class Pause(_OfNode):
    """A node stands still: what arrives waits, and timers ring late; the end lets it go on."""

    node: str = ""

    def fits(self, node: LiveNode) -> bool:
        return node.gate is None

    def begin(self, simulation: Simulation) -> End:
        simulation.pause(self.node)
        return lambda: simulation.resume(self.node)


# -- clocks --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Skew(_OfNode):
    """A node's clock is off by `offset` seconds; the end sets it right again."""

    node: str = ""
    offset: Amount = (-1.0, 1.0)
    amount: ClassVar[str] = "offset"

    def begin(self, simulation: Simulation) -> End:
        jump = round(exactly(self.offset) * NS)
        simulation.turn_clock(self.node, jump_ns=jump)
        return lambda: simulation.turn_clock(self.node, jump_ns=-jump)


@dataclass(frozen=True)
class Drift(_OfNode):
    """A node's clock gains `rate` seconds a second (loses, where negative); the end stops that.

    What it has gained by then stays.
    """

    node: str = ""
    rate: Amount = (-0.01, 0.01)
    amount: ClassVar[str] = "rate"

    def check(self, simulation: Simulation) -> None:
        super().check(simulation)
        lowest = self.rate[0] if isinstance(self.rate, tuple) else self.rate
        if lowest <= -1:
            raise ScenarioError(
                f"Drift(rate={self.rate!r}): a clock loses less than a second a second; "
                "FreezeClock lets it stand still"
            )

    def begin(self, simulation: Simulation) -> End:
        rate = exactly(self.rate)
        simulation.turn_clock(self.node, drift_more=rate)
        return lambda: simulation.turn_clock(self.node, drift_more=-rate)


@dataclass(frozen=True)
class Jump(_OfNode):
    """A node's clock jumps by `seconds`, forwards or back. Nothing takes that back."""

    node: str = ""
    seconds: Amount = (-1.0, 1.0)
    amount: ClassVar[str] = "seconds"

    def begin(self, simulation: Simulation) -> End:
        simulation.turn_clock(self.node, jump_ns=round(exactly(self.seconds) * NS))
        return lambda: None


@dataclass(frozen=True)
class FreezeClock(_OfNode):
    """A node's clock stands still, and its timers with it; the end lets it go on from there."""

    node: str = ""

    def begin(self, simulation: Simulation) -> End:
        simulation.turn_clock(self.node, stops=1)
        return lambda: simulation.turn_clock(self.node, stops=-1)


# -- slowness ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Slow(_OfNode):
    """Every handler of a node takes `seconds` longer.

    What arrives meanwhile waits in a queue, what a handler sends leaves when it ends, and timers
    ring late but ring. Two of these add up.
    """

    node: str = ""
    seconds: Amount = (0.01, 0.1)
    amount: ClassVar[str] = "seconds"
    least: ClassVar[float | None] = 0

    def begin(self, simulation: Simulation) -> End:
        lag = round(exactly(self.seconds) * NS)
        simulation.slow(self.node, lag)
        return lambda: simulation.slow(self.node, -lag)


# -- disks ---------------------------------------------------------------------------------------


class _OfDisk(_OfNode):
    """What changes how a disk behaves share: a count of those at work, and what is told of it."""

    needs_disk: ClassVar[bool] = True
    counter: ClassVar[str]
    told: ClassVar[tuple[str, str]]  # while any is at work, and once none is

    def begin(self, simulation: Simulation) -> End:
        self._change(simulation, 1)
        return lambda: self._change(simulation, -1)

    def _change(self, simulation: Simulation, by: int) -> None:
        disk = simulation.disk(self.node)
        count = getattr(disk, self.counter) + by
        setattr(disk, self.counter, count)
        simulation.tell_disk(self.node, self.told[0] if count else self.told[1])


@dataclass(frozen=True)
class LoseUnsynced(_OfDisk):
    """While it lasts, a crash of the node loses a suffix of the writes since its last sync.

    How much is lost is drawn at the crash.
    """

    node: str = ""
    declared: ClassVar[tuple[str, ...]] = ("unsynced_loss",)
    counter: ClassVar[str] = "losing"
    told: ClassVar[tuple[str, str]] = ("loses writes", "keeps writes")


@dataclass(frozen=True)
class TearWrites(_OfDisk):
    """While it lasts, a crash of the node may cut an unsynced write short, and lose later ones."""

    node: str = ""
    declared: ClassVar[tuple[str, ...]] = ("tears",)
    counter: ClassVar[str] = "tearing"
    told: ClassVar[tuple[str, str]] = ("tears writes", "tears nothing")


@dataclass(frozen=True)
class LyingSync(_OfDisk):
    """While it lasts, syncs of the node only pretend: a later crash loses what they confirmed.

    The first sync after its end writes everything. At most the last few syncs are lost.
    """

    node: str = ""
    declared: ClassVar[tuple[str, ...]] = ("lies",)
    counter: ClassVar[str] = "lying"
    told: ClassVar[tuple[str, str]] = ("lies", "is honest")


@dataclass(frozen=True)
class FillDisk(_OfDisk):
    """While it lasts, the disk of the node is full: `host.sync()` raises `DiskFull`.

    A node that lets that out goes down. The end makes room, and restarts it where it is down.
    """

    node: str = ""
    counter: ClassVar[str] = "full"
    told: ClassVar[tuple[str, str]] = ("full", "has room")

    def begin(self, simulation: Simulation) -> End:
        make_room = super().begin(simulation)

        def end() -> None:
            make_room()
            simulation.restart(self.node)

        return end


@dataclass(frozen=True)
class SlowDisk(_OfNode):
    """While it lasts, each sync of the node takes `seconds` longer; the node is busy until then.

    Of a range, each sync draws anew.
    """

    node: str = ""
    seconds: Amount = (0.01, 0.1)
    needs_disk: ClassVar[bool] = True
    amount: ClassVar[str] = "seconds"
    least: ClassVar[float | None] = 0
    draws_once: ClassVar[bool] = False

    def begin(self, simulation: Simulation) -> End:
        ends = self.seconds if isinstance(self.seconds, tuple) else (self.seconds, self.seconds)
        disk = simulation.disk(self.node)
        delay = disk.slow((float(ends[0]), float(ends[1])))

        def end() -> None:
            disk.quicken(delay)
            simulation.tell_disk(self.node, "is slow" if disk.delays else "is quick")

        simulation.tell_disk(self.node, "is slow")
        return end


# -- disks that show at a restart ----------------------------------------------------------------


class _AtRestart(_OfNode):
    """Crashes a node; the end restarts it, with what may befall its disk: if nothing, as it is."""

    address: str = ""
    atlas: Atlas | None
    needs_disk: ClassVar[bool] = True

    def fits(self, node: LiveNode) -> bool:
        return node.is_up

    def begin(self, simulation: Simulation) -> End:
        simulation.crash(self.node)

        def end() -> None:
            disk = simulation.disk(self.node)
            found = disk.may(self.declared[0], self.address, self.atlas)
            simulation.restart(self.node, disk.random.choice(found) if found else "")

        return end


@dataclass(frozen=True)
class Wipe(_AtRestart):
    """A node goes down; at its restart its disk holds what the node was made with."""

    node: str = ""
    atlas: Atlas | None = None
    declared: ClassVar[tuple[str, ...]] = ("wipes",)


@dataclass(frozen=True)
class RollBack(_AtRestart):
    """A node goes down; at its restart its disk holds what it held before its last sync."""

    node: str = ""
    atlas: Atlas | None = None
    declared: ClassVar[tuple[str, ...]] = ("stales",)


@dataclass(frozen=True)
class Rot(_AtRestart):
    """A node goes down; at its restart a record of its disk (`log[1]`, or drawn) is damaged."""

    node: str = ""
    address: str = ""
    atlas: Atlas | None = None
    declared: ClassVar[tuple[str, ...]] = ("rots",)


@dataclass(frozen=True)
class Misdirect(_AtRestart):
    """A node goes down; at its restart a record that it synced last lies on another's place."""

    node: str = ""
    address: str = ""
    atlas: Atlas | None = None
    declared: ClassVar[tuple[str, ...]] = ("misdirects",)


# -- rolling upgrades ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Upgrade(_OfNode):
    """A node goes down; the end restarts it as a node of the class `to`, with its durable fields.

    The world says which upgrades there may be: `Faults(crashes=1, upgrades=(("n1", RaftV2),))`.
    """

    node: str = ""
    to: type[Node] = Node

    def check(self, simulation: Simulation) -> None:
        super().check(simulation)
        nodes = [node_named(simulation, self.node, "Upgrade")] if self.node else simulation.nodes
        if not any(self.fits(node) for node in nodes):
            raise ScenarioError(
                f"Upgrade(to={self.to.__name__}): give the world of this run "
                f"Faults(crashes=1, upgrades=(({nodes[0].name!r}, {self.to.__name__}),))"
            )

    def fits(self, node: LiveNode) -> bool:
        """True where this upgrade still lies before the node."""
        return node.is_up and any(each.kind is self.to for each in node.upgrades_left)

    def begin(self, simulation: Simulation) -> End:
        simulation.crash(self.node)

        def end() -> None:
            live = node_named(simulation, self.node, "Upgrade")
            if any(each.kind is self.to for each in live.upgrades_left):
                simulation.upgrade(self.node, self.to)
            else:
                simulation.restart(self.node)

        return end
