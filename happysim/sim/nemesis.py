"""Nemesis: when faults happen. By the clock, or at random with a mean time between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from happysim.core.errors import ScenarioError
from happysim.core.latency import Latency, exponential
from happysim.core.prng import Random
from happysim.sim.agenda import ns_of, seconds_text
from happysim.sim.faults import End, Fault, aimed
from happysim.sim.streams import floats

if TYPE_CHECKING:
    from happysim.sim.simulation import Simulation


@dataclass(frozen=True)
class At:
    """A fault at a time, in seconds since the run began; it ends `lasting` seconds later, or never.

    Write `at(5.0, Crash("n1"), lasting=2.0)`.
    """

    seconds: float
    fault: Fault
    lasting: float | None = None

    def __post_init__(self) -> None:
        _check_seconds(self.seconds, "at")
        if self.lasting is not None:
            _check_seconds(self.lasting, "at(lasting=...)")


@dataclass(frozen=True)
class Randomly:
    """A fault again and again: exponential times between, with mean `every` seconds.

    Each lasts an exponential time with mean `lasting` seconds, or for ever where that is None.
    Where `at_work`, it waits for the next step of a node and befalls that node, right after it: its
    messages have just left, and a node that does much is hit often. Where `in_turn`, `every` counts
    from the end of the one before, so there is one at a time. Write
    `randomly(Crash(down_max=2), every=10, lasting=3)`.
    """

    fault: Fault
    every: float
    lasting: float | None = None
    at_work: bool = False
    in_turn: bool = False

    def __post_init__(self) -> None:
        for name in ("every", "lasting"):
            seconds = getattr(self, name)
            if seconds is not None:
                _check_seconds(seconds, f"randomly({name}=...)")
        if not self.every:
            raise ScenarioError("randomly(every=0): give a mean time between faults, in seconds")


def at(seconds: float, fault: Fault, lasting: float | None = None) -> At:
    """A fault at a time, ended `lasting` seconds later, or never."""
    return At(seconds, fault, lasting)


def randomly(
    fault: Fault,
    *,
    every: float,
    lasting: float | None = None,
    at_work: bool = False,
    in_turn: bool = False,
) -> Randomly:
    """A fault again and again, at random: mean times between, and until repair, in seconds.

    With `at_work` it befalls a node that has just taken a step, right after it. With `in_turn`
    there is one at a time, and `every` is the mean time from the end of one to the next.
    """
    return Randomly(fault, every, lasting, at_work, in_turn)


def _check_seconds(seconds: object, what: str) -> None:
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not number or not 0 <= seconds < float("inf"):  # type: ignore[operator]
        raise ScenarioError(f"{what}: {seconds!r} is no time; give a finite number of seconds")


class Nemesis:
    """Sees to the faults of one run. `active` holds those that have begun and not ended."""

    def __init__(self, simulation: Simulation, plans: Sequence[At | Randomly]) -> None:
        self.simulation = simulation
        self.active: list[tuple[Fault, End]] = []
        self.count = 0
        self._stopped = False
        # Faults that wait for the next step of a node, in order.
        self._lurking: list[tuple[Fault, Random, int | None]] = []
        self.watches_steps = any(isinstance(each, Randomly) and each.at_work for each in plans)
        for plan in plans:
            if not isinstance(plan, At | Randomly):
                raise ScenarioError(
                    f"faults=[{plan!r}]: write at(seconds, fault), or randomly(fault, every=...)"
                )
            plan.fault.check(simulation)
        for number, plan in enumerate(plans):
            stream = f"fault {number}"
            random = Random(simulation.seed, stream)
            if isinstance(plan, At):
                lasting = None if plan.lasting is None else ns_of(plan.lasting)
                time = ns_of(plan.seconds)
                if time < simulation.now:
                    raise ScenarioError(
                        f"at({plan.seconds}): it is {seconds_text(simulation.now)} s already"
                    )
                simulation.agenda.at(time, self._begin, plan.fault, random, lasting)
            else:
                draw = floats(simulation.seed, stream)
                gap = exponential(plan.every).sampler(draw)
                spell = None
                if plan.lasting is not None:
                    lasts: Latency = exponential(plan.lasting)
                    spell = lasts.sampler(draw)
                simulation.agenda.at(
                    simulation.now + gap(), self._again, plan, (gap, spell), random
                )

    def _again(self, plan: Randomly, draws: Any, random: Random) -> None:
        gap, spell = draws
        lasting = None if spell is None else spell()
        if plan.at_work and not self._stopped:
            self._lurking.append((plan.fault, random, lasting))
        else:
            self._begin(plan.fault, random, lasting)
        if not self._stopped:
            agenda = self.simulation.agenda
            wait = gap() + (lasting or 0 if plan.in_turn else 0)
            agenda.at(agenda.now + wait, self._again, plan, draws, random)

    def after_step(self, name: str) -> None:
        """A node has taken a step: what lurks befalls it, in this nanosecond."""
        if self._lurking:
            lurking, self._lurking = self._lurking, []
            agenda = self.simulation.agenda
            for each in lurking:
                agenda.at(agenda.now, self._pounce, each, name)

    def _pounce(self, lurking: tuple[Fault, Random, int | None], name: str, _: None) -> None:
        fault, random, lasting = lurking
        self._begin(fault, random, lasting, name)

    def _begin(self, fault: Fault, random: Random, lasting: int | None, at: str = "") -> None:
        if self._stopped:
            return
        simulation = self.simulation
        drawn = aimed(fault, simulation, random, at) if at else fault.drawn(simulation, random)
        if drawn is None:
            return
        end = drawn.begin(self.simulation)
        self.count += 1
        entry = (drawn, end)
        self.active.append(entry)
        if lasting is not None:
            agenda = self.simulation.agenda
            agenda.at(agenda.now + lasting, self._expire, entry)

    def _expire(self, entry: tuple[Fault, End], *_: Any) -> None:
        if not self._stopped:
            self._end(entry)

    def _end(self, entry: tuple[Fault, End]) -> None:
        if any(each is entry for each in self.active):
            self.active = [each for each in self.active if each is not entry]
            entry[1]()

    def stop(self) -> None:
        """Begin no more faults; those that are active last until someone ends them by hand."""
        self._stopped = True

    def end_where(self, wanted: Callable[[Fault], bool]) -> None:
        """End the active faults for which `wanted(fault)` is true, the last first."""
        for entry in reversed(list(self.active)):
            if wanted(entry[0]):
                self._end(entry)
