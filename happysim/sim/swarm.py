"""Swarm: every run is made with other knobs, drawn anew.

A run with every fault at its full rate seldom gets anywhere, and one setting of the rates finds one
sort of mistake. So each run draws which faults there are at all, how often, how lossy and how slow
the network is, and the scenario's arguments that it was given a choice of.

**Source**: Groce, Zhang, Eide, Chen and Regehr, *Swarm testing*, 2012: leaving features out of a
run at random finds more than having them all in each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from happysim.core.describe import describe
from happysim.core.errors import HandlerRaised, ScenarioError
from happysim.core.freeze import freeze
from happysim.core.latency import Latency, lognormal, uniform_latency
from happysim.core.link import Link
from happysim.core.prng import Random
from happysim.core.world import World
from happysim.sim.agenda import NS
from happysim.sim.calm import check_core
from happysim.sim.disk import Disk
from happysim.sim.faults import Fault
from happysim.sim.nemesis import At, Randomly, randomly
from happysim.sim.net_faults import Clog, Echo, Partition
from happysim.sim.node_faults import Crash, Pause
from happysim.sim.policy import Knobs, Simulated, check_count, check_time
from happysim.sim.simulation import Simulation
from happysim.spec.scenario import Scenario

Menu = tuple[tuple[str, Fault], ...]

# Seeds of runs lie below this: they seldom meet, and can be typed.
SEEDS = 10**9


def usual_faults() -> Menu:
    """The faults that a swarm draws from, by name: what any protocol here has to live with."""
    return (
        ("crashes", Crash(down_max=1)),
        ("pauses", Pause()),
        ("clogs", Clog()),
        ("echoes", Echo()),
        ("partitions", Partition()),
        ("one-way cuts", Partition(one_way=True)),
    )


@dataclass(frozen=True)
class Swarm(Simulated):
    """A policy whose every run has knobs of its own; see `swarm`."""

    menu: Menu = field(default_factory=usual_faults)
    arguments: tuple[tuple[str, tuple[Any, ...]], ...] = ()
    loss_max: float = 0.3

    def drawer(self, scenario: Scenario) -> Callable[[int], Knobs]:
        """How to draw the knobs of each run: a function of the seed and its number."""
        first = next(iter(scenario.worlds.values()))
        pace = pace_of(first)
        is_free = first.tables.topology.name == UNNAMED
        forgets = first.tables.faults.unsynced_loss
        return lambda number: self.drawn(number, pace, is_free, forgets)

    def seed_of(self, number: int) -> int:
        """The seed of one run, of which all that it draws depends.

        The first run has that of the swarm: so each of them is the first run of another swarm.
        """
        return Random(self.seed, f"run {number}").below(SEEDS) if number else self.seed

    def drawn(self, number: int, pace: float, is_free: bool, forgets: bool) -> Knobs:
        """The knobs of one run. `pace` is the unit of time; `is_free` lets latencies be drawn.

        Where it `forgets`, disks may lose in a crash what was not synced.
        """
        seed = self.seed_of(number)
        random = Random(seed, "knobs")
        weather = random.choice((*WEATHERS, CUT_OFF))
        faults, told = self._faults(random, pace, weather)
        link, of_links = self._link(random, pace, weather, is_free)
        arguments = tuple((name, random.choice(options)) for name, options in self.arguments)
        loses = not random.below(3) and forgets
        told = [weather, *of_links, *told, *["disks lose unsynced writes"] * loses]
        told += [f"{name}={describe(freeze(value))}" for name, value in arguments]
        return Knobs(
            seed=seed,
            until=self.until,
            faults=(*self.faults, *faults),
            calm=self.calm,
            core=self.core,
            link=link,
            disks=Disk(loses_unsynced=True) if loses else None,
            arguments=arguments,
            told=", ".join(told),
        )

    def _faults(
        self, random: Random, pace: float, weather: str
    ) -> tuple[list[At | Randomly], list[str]]:
        """Which faults there are, and how often; and the same in words."""
        tempo = _scale(random, pace, 10 * pace)
        only = random.below(len(self.menu)) if self.menu else 0
        found: list[At | Randomly] = []
        told = []
        for at, (name, fault) in enumerate(self.menu):
            every = _round(tempo * _scale(random, 0.5, 2.0))
            lasting = _round(tempo * _scale(random, 0.2, 2.0))
            at_work, is_drawn = bool(random.below(2)), not random.below(3)
            in_turn = weather in (ONE_AT_A_TIME, CUT_OFF)
            if in_turn:
                # No time between two of them: one thing is always wrong, and then another.
                every, lasting = _round(lasting / 20), _round(pace * _scale(random, 1.0, 4.0))
                at_work = bool(random.below(4)) or weather == CUT_OFF
            if weather in (ONE_FAULT, ONE_AT_A_TIME):
                is_drawn = at == only
            if weather == CUT_OFF:
                is_drawn = fault == Partition()
            if is_drawn and weather != NO_FAULTS:
                found.append(
                    randomly(fault, every=every, lasting=lasting, at_work=at_work, in_turn=in_turn)
                )
                told.append(
                    f"{name} every {every:g} s for {lasting:g} s"
                    + " of who is at work" * at_work
                    + " in turn" * in_turn
                )
        return found, told

    def _link(
        self, random: Random, pace: float, weather: str, is_free: bool
    ) -> tuple[Callable[[Link], Link], list[str]]:
        """How links are changed: their own losses and more; and the same in words."""
        median = _scale(random, 0.002 * pace, 0.2 * pace)
        spread = random.below(13) / 10
        rates = {
            "loss": _rate(random, self.loss_max),
            "duplicate": _rate(random, 0.2),
            "reorder": _rate(random, 0.3),
        }
        held_back = _scale(random, 0.1 * pace, 10 * pace)
        is_still = weather in (ONE_AT_A_TIME, CUT_OFF) and random.below(2)
        if weather == STILL_NETWORK or is_still:
            rates = dict.fromkeys(rates, 0.0)
        told = [f"latency {median:g} s spread {spread:g}"] if is_free else []
        told += [f"{name} {rate:g}" for name, rate in rates.items() if rate]
        if rates["reorder"]:
            told.append(f"held back up to {held_back:g} s")
        latency = lognormal(median, spread) if is_free else None
        return _remake(latency, uniform_latency(0, held_back), rates), told


# The weather of a run: what else is drawn is drawn within it. Most mistakes need one thing to go
# wrong at the right time, and a second one only gets in its way.
ANYTHING, NO_FAULTS, STILL_NETWORK, ONE_FAULT, ONE_AT_A_TIME, CUT_OFF = WEATHERS = (
    "anything goes",
    "wild network",
    "still network",
    "one sort of fault",
    "one fault at a time",
    "one node cut off at a time",
)

# The name of the network of a world that was given none: its links are free to be drawn.
UNNAMED = "cluster"
_WARM_UP_SECONDS = 5.0


def pace_of(world: World) -> float:
    """How fast a protocol lives: the longest delay of its timers in a calm start, in seconds.

    A second where no node has set one. Faults that come much more often than that let nothing get
    done, and those that come much less often seldom meet anything half done.
    """
    simulation = Simulation(world)
    with suppress(HandlerRaised):  # a run will say so
        simulation.run(_WARM_UP_SECONDS)
    longest = max((live.host.longest_delay for live in simulation.nodes), default=0)
    return longest / NS if longest else 1.0


def _round(number: float) -> float:
    return float(f"{number:.3g}")


def _scale(random: Random, low: float, high: float) -> float:
    """A draw between two numbers in steps of a factor: as often small as large."""
    steps = 12
    return _round(low * (high / low) ** (random.below(steps + 1) / steps))


def _rate(random: Random, most: float) -> float:
    """No rate at all half the time, else one up to the most there may be, in eighths."""
    return 0.0 if random.below(2) else _round(most * (1 + random.below(8)) / 8)


def _remake(
    latency: Latency | None, held_back: Latency, rates: dict[str, float]
) -> Callable[[Link], Link]:
    """How to change a link: the rates of its own or more, and another latency if one is given."""

    def remake(link: Link) -> Link:
        changes: dict[str, Any] = {
            name: max(rate, getattr(link, name)) for name, rate in rates.items()
        }
        changes["reorder_by"] = held_back
        if latency is not None:
            changes["latency"] = latency
        return link.with_(**changes)

    return remake


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
    core: str = "quorum",
    keep_going: bool = False,
    workers: int | None = None,
) -> Swarm:
    """Look at `runs` runs, each with knobs drawn anew: `check(prop, by=swarm(seed=1, runs=200))`.

    Drawn are: which faults of `menu` there are (see `usual_faults`), how often, for how long, and
    whether they befall nodes at any time or right after a step; latency, loss (up to `loss_max`),
    duplication and reordering of links; and for each of the scenario's `arguments` one of the
    values given. Times are in proportion to the protocol's own timers. Where the world's `Faults`
    say `unsynced_loss`, a third of the runs have disks that lose what was not synced. `faults`
    befall every run.

    After `until` seconds of that, `eventually` properties must come true within `calm` seconds,
    while a `core` of the nodes is healthy: "quorum" or "all". The first run that breaks a property
    is the last, unless `keep_going`: then each property has the first run that breaks it.

    The same seed draws the same knobs on the same code. A failing run is told with its knobs and
    its own seed: `swarm(seed=THAT, runs=1)` makes it again. Its trace replays without either.
    Raises `ScenarioError` for counts, times or rates that are none.
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
    return Swarm(
        seed=seed,
        runs=runs,
        until=until,
        faults=tuple(faults),
        calm=calm,
        core=check_core(core),
        keep_going=keep_going,
        workers=workers,
        menu=chosen,
        arguments=given,
        loss_max=loss_max,
    )
