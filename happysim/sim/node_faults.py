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
from typing import TYPE_CHECKING

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
