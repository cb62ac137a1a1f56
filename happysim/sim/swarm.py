"""Swarm: every run is made with other knobs, drawn anew.

A run with every fault at its full rate seldom gets anywhere, and one setting of the rates finds one
sort of mistake. So each run draws which faults there are at all, how often, how lossy and how slow
the network is, and the scenario's arguments that it was given a choice of.

**Source**: Groce, Zhang, Eide, Chen and Regehr, *Swarm testing*, 2012: leaving features out of a
run at random finds more than having them all in each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from happysim.core.errors import ScenarioError
from happysim.core.freeze import describe, freeze
from happysim.core.latency import Latency, lognormal, uniform_latency
from happysim.core.link import Link
from happysim.core.prng import Random
from happysim.sim.faults import Crash, Fault, Pause
from happysim.sim.nemesis import At, Randomly, randomly
from happysim.sim.net_faults import Clog, Partition
from happysim.sim.policy import Knobs, Simulated, check_count, check_time
from happysim.spec.scenario import Scenario

Menu = tuple[tuple[str, Fault], ...]


def usual_faults() -> Menu:
    """The faults that a swarm draws from, by name: what any protocol here has to live with."""
    return (
        ("crashes", Crash(down_max=1)),
        ("pauses", Pause()),
        ("clogs", Clog()),
        ("partitions", Partition()),
        ("one-way cuts", Partition(one_way=True)),
    )


@dataclass(frozen=True)
class Swarm(Simulated):
    """A policy whose every run has knobs of its own; see `swarm`."""

    menu: Menu = field(default_factory=usual_faults)
    arguments: tuple[tuple[str, tuple[Any, ...]], ...] = ()
    loss_max: float = 0.3

    def knobs(self, number: int, scenario: Scenario) -> Knobs:
        """The knobs of run `number`: a function of the seed and that number."""
        random = Random(self.seed, f"knobs of run {number}")
        faults: list[At | Randomly] = list(self.faults)
        told = []
        for name, fault in self.menu:
            every, lasting = _scale(random, 0.5, 10.0), _scale(random, 0.1, 5.0)
            if random.below(2):
                faults.append(randomly(fault, every=every, lasting=lasting))
                told.append(f"{name} every {every:g} s for {lasting:g} s")
        median = _scale(random, 0.0002, 0.1)
        spread = random.below(11) / 10
        rates = {
            "loss": _rate(random, self.loss_max),
            "duplicate": _rate(random, 0.2),
            "reorder": _rate(random, 0.3),
        }
        held_back = _scale(random, 0.02, 2.0)
        told.insert(0, f"latency {median:g} s spread {spread:g}")
        told[1:1] = [f"{name} {rate:g}" for name, rate in rates.items() if rate]
        if rates["reorder"]:
            told.append(f"held back up to {held_back:g} s")
        arguments = tuple((name, random.choice(options)) for name, options in self.arguments)
        told += [f"{name}={describe(freeze(value))}" for name, value in arguments]
        return Knobs(
            self.seed + number,
            self.until,
            tuple(faults),
            self.calm,
            _remake(lognormal(median, spread), uniform_latency(0, held_back), rates, scenario),
            arguments,
            ", ".join(told),
        )


def _scale(random: Random, low: float, high: float) -> float:
    """A draw between two numbers in steps of a factor: as often small as large."""
    steps = 12
    return float(f"{low * (high / low) ** (random.below(steps + 1) / steps):.3g}")


def _rate(random: Random, most: float) -> float:
    """No rate at all half the time, else one up to the most there may be, in eighths."""
    return 0.0 if random.below(2) else float(f"{most * (1 + random.below(8)) / 8:.3g}")


def _remake(
    latency: Latency, held_back: Latency, rates: dict[str, float], scenario: Scenario
) -> Callable[[Link], Link]:
    """How to change a link: the loss of its own and more, and another latency if it is nobody's."""
    own = next(iter(scenario.worlds.values())).tables.topology.name

    def remake(link: Link) -> Link:
        changes: dict[str, Any] = {
            name: max(rate, getattr(link, name)) for name, rate in rates.items()
        }
        changes["reorder_by"] = held_back
        if own == UNNAMED:
            changes["latency"] = latency
        return link.with_(**changes)

    return remake


# The name of the network of a world that was given none: its links are free to be drawn.
UNNAMED = "cluster"


def swarm(  # noqa: PLR0913 - each is a keyword that a user sets alone
    seed: int = 0,
    runs: int = 100,
    *,
    until: float = 30.0,
    calm: float | None = 30.0,
    faults: Sequence[At | Randomly] = (),
    menu: Menu | None = None,
    arguments: Mapping[str, Sequence[Any]] | None = None,
    loss_max: float = 0.3,
    workers: int | None = None,
) -> Swarm:
    """Look at `runs` runs, each with knobs drawn anew: `check(prop, by=swarm(seed=1, runs=200))`.

    Drawn are: which faults of `menu` there are (by default crashes, pauses and partitions), how
    often and for how long; latency, loss (up to `loss_max`), duplication and reordering of links;
    and for each of the scenario's `arguments` one of the values given. `faults` befall every run.
    After `until` seconds of that, `eventually` properties must come true within `calm` seconds.

    The same seed draws the same knobs on the same code; a failing run is told with its knobs, and
    its trace replays without them. Raises `ScenarioError` for counts, times or rates that are none.
    """
    check_count("runs", runs)
    check_time("until", until)
    if calm is not None:
        check_time("calm", calm)
    if not isinstance(loss_max, int | float) or not 0 <= loss_max <= 1:
        raise ScenarioError(f"loss_max={loss_max!r}: give a probability between 0 and 1")
    given = tuple((name, tuple(options)) for name, options in sorted((arguments or {}).items()))
    for name, options in given:
        if not options:
            raise ScenarioError(f"arguments={{{name!r}: ()}}: give at least one value to draw")
    chosen = usual_faults() if menu is None else tuple(menu)
    return Swarm(seed, runs, until, tuple(faults), calm, workers, chosen, given, loss_max)
