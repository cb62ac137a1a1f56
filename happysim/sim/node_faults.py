"""Faults of one node: its clock is wrong, it is slow, or its disk fails.

Each is a value, as those of `faults`: it begins at a time or at random, and can be ended by itself.
A node left out is drawn. An amount may be a range, `(low, high)`: it is drawn from it each time.

A search knows no time, so it has no clocks and no slowness, and no budget for them: there, any set
timer may fire at any moment, which is what the worst of clocks and the slowest of nodes can do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

from happysim.core.disk import Atlas
from happysim.core.errors import ScenarioError
from happysim.core.prng import Random
from happysim.sim.agenda import ns_of
from happysim.sim.faults import End, Fault, node_named
from happysim.sim.live import LiveNode

if TYPE_CHECKING:
    from happysim.sim.simulation import Simulation

Amount = float | Fraction | tuple[float, float]
# Draws of an amount are multiples of a millionth of its range, so that they are exact.
_GRAINS = 1_000_000


def check_node(simulation: Simulation, name: str, what: object) -> None:
    """Raise `ScenarioError` where a fault names a node that is not there."""
    if name:
        node_named(simulation, name, str(what))


def drawn_node(
    simulation: Simulation,
    random: Random,
    name: str,
    fits: Callable[[LiveNode], bool] = lambda node: True,
) -> str:
    """The node that a fault names, or one of those that fit; empty where none does."""
    names = [name] if name else [each.name for each in simulation.nodes if fits(each)]
    return random.choice(names) if names else ""


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


# -- clocks --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Skew:
    """A node's clock is off by `offset` seconds; the end sets it right again."""

    node: str = ""
    offset: Amount = (-1.0, 1.0)

    def check(self, simulation: Simulation) -> None:
        check_node(simulation, self.node, self)
        check_amount(self.offset, "Skew(offset=...)")

    def drawn(self, simulation: Simulation, random: Random) -> Fault | None:
        name = drawn_node(simulation, random, self.node)
        return replace(self, node=name, offset=drawn_amount(self.offset, random)) if name else None

    def begin(self, simulation: Simulation) -> End:
        jump = round(exactly(self.offset) * 10**9)
        simulation.turn_clock(self.node, jump_ns=jump)
        return lambda: simulation.turn_clock(self.node, jump_ns=-jump)


@dataclass(frozen=True)
class Drift:
    """A node's clock gains `rate` seconds a second (loses, where negative); the end stops that.

    What it has gained by then stays.
    """

    node: str = ""
    rate: Amount = (-0.01, 0.01)

    def check(self, simulation: Simulation) -> None:
        check_node(simulation, self.node, self)
        check_amount(self.rate, "Drift(rate=...)")
        lowest = self.rate[0] if isinstance(self.rate, tuple) else self.rate
        if lowest <= -1:
            raise ScenarioError(
                f"Drift(rate={self.rate!r}): a clock loses less than a second a second; "
                "FreezeClock lets it stand still"
            )

    def drawn(self, simulation: Simulation, random: Random) -> Fault | None:
        name = drawn_node(simulation, random, self.node)
        return replace(self, node=name, rate=drawn_amount(self.rate, random)) if name else None

    def begin(self, simulation: Simulation) -> End:
        rate = exactly(self.rate)
        simulation.turn_clock(self.node, drift_more=rate)
        return lambda: simulation.turn_clock(self.node, drift_more=-rate)


@dataclass(frozen=True)
class Jump:
    """A node's clock jumps by `seconds`, forwards or back. Nothing takes that back."""

    node: str = ""
    seconds: Amount = (-1.0, 1.0)

    def check(self, simulation: Simulation) -> None:
        check_node(simulation, self.node, self)
        check_amount(self.seconds, "Jump(seconds=...)")

    def drawn(self, simulation: Simulation, random: Random) -> Fault | None:
        name = drawn_node(simulation, random, self.node)
        if not name:
            return None
        return replace(self, node=name, seconds=drawn_amount(self.seconds, random))

    def begin(self, simulation: Simulation) -> End:
        simulation.turn_clock(self.node, jump_ns=round(exactly(self.seconds) * 10**9))
        return lambda: None


@dataclass(frozen=True)
class FreezeClock:
    """A node's clock stands still, and its timers with it; the end lets it go on from there."""

    node: str = ""

    def check(self, simulation: Simulation) -> None:
        check_node(simulation, self.node, self)

    def drawn(self, simulation: Simulation, random: Random) -> Fault | None:
        name = drawn_node(simulation, random, self.node)
        return replace(self, node=name) if name else None

    def begin(self, simulation: Simulation) -> End:
        simulation.turn_clock(self.node, stops=1)
        return lambda: simulation.turn_clock(self.node, stops=-1)


# -- slowness ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Slow:
    """Every handler of a node takes `seconds` longer.

    What arrives meanwhile waits in a queue, what a handler sends leaves when it ends, and timers
    ring late but ring. Two of these add up.
    """

    node: str = ""
    seconds: Amount = (0.01, 0.1)

    def check(self, simulation: Simulation) -> None:
        check_node(simulation, self.node, self)
        check_amount(self.seconds, "Slow(seconds=...)", least=0)

    def drawn(self, simulation: Simulation, random: Random) -> Fault | None:
        name = drawn_node(simulation, random, self.node)
        if not name:
            return None
        return replace(self, node=name, seconds=drawn_amount(self.seconds, random))

    def begin(self, simulation: Simulation) -> End:
        lag = ns_of(float(exactly(self.seconds)))
        simulation.slow(self.node, lag)
        return lambda: simulation.slow(self.node, -lag)


# -- disks ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LoseUnsynced:
    """While it lasts, a crash of the node loses a suffix of the writes since its last sync.

    With `tears`, the first write lost may be half there. How much is lost is drawn at the crash.
    """

    node: str = ""
    tears: bool = False
    needs_disk: ClassVar[bool] = True

    def check(self, simulation: Simulation) -> None:
        check_node(simulation, self.node, self)
        simulation.check_declared("unsynced_loss", str(self))
        if self.tears:
            simulation.check_declared("tears", str(self))

    def drawn(self, simulation: Simulation, random: Random) -> Fault | None:
        name = drawn_node(simulation, random, self.node)
        return replace(self, node=name) if name else None

    def begin(self, simulation: Simulation) -> End:
        def change(by: int) -> None:
            disk = simulation.disk(self.node)
            disk.losing += by
            disk.tearing += by if self.tears else 0
            simulation.tell_disk(self.node, "loses writes" if disk.losing else "keeps writes")

        change(1)
        return lambda: change(-1)


@dataclass(frozen=True)
class LyingSync:
    """While it lasts, syncs of the node only pretend: a later crash loses what they confirmed.

    The first sync after its end writes everything. At most the last few syncs are lost.
    """

    node: str = ""
    needs_disk: ClassVar[bool] = True

    def check(self, simulation: Simulation) -> None:
        check_node(simulation, self.node, self)
        simulation.check_declared("lies", str(self))

    def drawn(self, simulation: Simulation, random: Random) -> Fault | None:
        name = drawn_node(simulation, random, self.node)
        return replace(self, node=name) if name else None

    def begin(self, simulation: Simulation) -> End:
        def change(by: int) -> None:
            disk = simulation.disk(self.node)
            disk.lying += by
            simulation.tell_disk(self.node, "lies" if disk.lying else "is honest")

        change(1)
        return lambda: change(-1)


@dataclass(frozen=True)
class FillDisk:
    """While it lasts, the disk of the node is full: `host.sync()` raises `DiskFull`.

    A node that lets that out goes down. The end makes room, and restarts it where it is down.
    """

    node: str = ""
    needs_disk: ClassVar[bool] = True

    def check(self, simulation: Simulation) -> None:
        check_node(simulation, self.node, self)

    def drawn(self, simulation: Simulation, random: Random) -> Fault | None:
        name = drawn_node(simulation, random, self.node)
        return replace(self, node=name) if name else None

    def begin(self, simulation: Simulation) -> End:
        def change(by: int) -> None:
            disk = simulation.disk(self.node)
            disk.full += by
            simulation.tell_disk(self.node, "full" if disk.full else "has room")

        def end() -> None:
            change(-1)
            simulation.restart(self.node)

        change(1)
        return end


@dataclass(frozen=True)
class SlowDisk:
    """While it lasts, each sync of the node takes `seconds` longer; the node is busy until then."""

    node: str = ""
    seconds: Amount = (0.01, 0.1)
    needs_disk: ClassVar[bool] = True

    def check(self, simulation: Simulation) -> None:
        check_node(simulation, self.node, self)
        check_amount(self.seconds, "SlowDisk(seconds=...)", least=0)

    def drawn(self, simulation: Simulation, random: Random) -> Fault | None:
        name = drawn_node(simulation, random, self.node)
        return replace(self, node=name) if name else None

    def begin(self, simulation: Simulation) -> End:
        ends = self.seconds if isinstance(self.seconds, tuple) else (self.seconds, self.seconds)
        disk = simulation.disk(self.node)
        delay = disk.slow((float(ends[0]), float(ends[1])))

        def end() -> None:
            disk.quicken(delay)
            simulation.tell_disk(self.node, "is quick")

        simulation.tell_disk(self.node, "is slow")
        return end


class _Down:
    """Faults of a disk that show when its node restarts: it goes down, and the end restarts it."""

    node: str
    atlas: Atlas | None
    budget: ClassVar[str]
    needs_disk: ClassVar[bool] = True

    def check(self, simulation: Simulation) -> None:
        check_node(simulation, self.node, self)
        simulation.check_declared(self.budget, str(self))

    def drawn(self, simulation: Simulation, random: Random) -> Fault | None:
        name = drawn_node(simulation, random, self.node, lambda node: node.is_up)
        return replace(self, node=name) if name else None  # type: ignore[type-var]

    def begin(self, simulation: Simulation) -> End:
        simulation.crash(self.node)

        def end() -> None:
            disk = simulation.disk(self.node)
            found = disk.may(self.budget, getattr(self, "address", ""), self.atlas)
            # Where there is nothing to befall, it restarts as it is.
            simulation.restart(self.node, disk.random.choice(found) if found else "")

        return end


@dataclass(frozen=True)
class Wipe(_Down):
    """A node goes down; at its restart its disk holds what the node was made with."""

    node: str = ""
    atlas: Atlas | None = None
    budget: ClassVar[str] = "wipes"


@dataclass(frozen=True)
class RollBack(_Down):
    """A node goes down; at its restart its disk holds what it held before its last sync."""

    node: str = ""
    atlas: Atlas | None = None
    budget: ClassVar[str] = "stales"


@dataclass(frozen=True)
class Rot(_Down):
    """A node goes down; at its restart a record of its disk (`log[1]`, or drawn) is damaged."""

    node: str = ""
    address: str = ""
    atlas: Atlas | None = None
    budget: ClassVar[str] = "rots"


@dataclass(frozen=True)
class Misdirect(_Down):
    """A node goes down; at its restart a record that it synced last lies on another's place."""

    node: str = ""
    address: str = ""
    atlas: Atlas | None = None
    budget: ClassVar[str] = "misdirects"
