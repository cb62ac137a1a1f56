"""Policies that look at runs in virtual time: `simulated`, with knobs that a person sets."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from happysim.core.errors import ScenarioError
from happysim.core.link import Link
from happysim.core.prng import Random
from happysim.core.world import World
from happysim.sim.calm import calm_down, check_core, core_of, demand
from happysim.sim.disk import Disk
from happysim.sim.nemesis import At, Randomly
from happysim.sim.runs import results
from happysim.sim.simulation import Simulation
from happysim.spec.property import Property, Sort, no_handler_raises
from happysim.spec.report import Report
from happysim.spec.scenario import Bounds, Scenario
from happysim.spec.verdict import Broken, Holds, Unknown, Verdict

Plans = tuple[At | Randomly, ...]
# Why a search stops before its last run, in words.
_STOPPED = {"interrupt": "interrupted", "seconds": "the budget of seconds was used up"}


@dataclass(frozen=True)
class Knobs:
    """What one run is made with. `told` says it in words; empty where a person set it all."""

    seed: int
    until: float
    faults: Plans = ()
    calm: float | None = None
    core: str = "quorum"
    link: Callable[[Link], Link] | None = None
    disks: Disk | None = None
    arguments: tuple[tuple[str, Any], ...] = ()
    told: str = ""


@dataclass(frozen=True)
class RunResult:
    """What came of one run: indices of properties, so that it travels between processes.

    `broken` holds those that were broken, each with what it said.
    """

    broken: tuple[tuple[int, str], ...]
    handled: int
    faults: int
    reached: tuple[int, ...]
    judged: tuple[int, ...]


@dataclass(frozen=True)
class Simulated:
    """Runs in virtual time, each with its own seed: that of the first, plus its number."""

    seed: int = 0
    runs: int = 1
    until: float = 60.0
    faults: Plans = ()
    calm: float | None = None
    core: str = "quorum"
    keep_going: bool = False
    workers: int | None = field(default=None, compare=False)

    def drawer(self, scenario: Scenario) -> Callable[[int], Knobs]:
        """What each run is made with, by its number."""
        return lambda number: Knobs(
            self.seed + number, self.until, self.faults, self.calm, self.core
        )

    def explore(
        self,
        scenario: Scenario,
        properties: Sequence[Property],
        bounds: Bounds,
        progress: Callable[[Any], None] | None = None,
    ) -> Report:
        """The verdicts of these runs; the first that breaks a property is the last.

        With `keep_going` all are made, and each property has the first run that breaks it.
        """
        return _Runs(self, scenario, properties, bounds, progress).report()


def simulated(  # noqa: PLR0913 - each is a keyword that a user sets alone
    seed: int = 0,
    runs: int = 1,
    *,
    until: float = 60.0,
    faults: Sequence[At | Randomly] = (),
    calm: float | None = None,
    core: str = "quorum",
    keep_going: bool = False,
    workers: int | None = None,
) -> Simulated:
    """Look at `runs` runs of `until` seconds of virtual time each: `check(prop, by=simulated())`.

    `faults` befall each run. With `calm`, a second phase follows in which a healthy core is left in
    peace, and `eventually` properties must come true within `calm` seconds. The `core` is "quorum",
    a majority of the nodes of each protocol, or "all". The first run that breaks a property is the
    last, unless `keep_going`: then each property has the first run that breaks it.

    Run number `n` has the seed `seed + n`. `workers` processes share the runs (default: one a
    processor); their number changes no result. Raises `ScenarioError` for a count below 1, a time
    that is none or an unknown core.
    """
    check_count("runs", runs)
    check_time("until", until)
    if calm is not None:
        check_time("calm", calm)
    core = check_core(core)
    return Simulated(seed, runs, until, tuple(faults), calm, core, keep_going, workers)


def check_count(name: str, count: object) -> None:
    """Raise `ScenarioError` for what is no whole number of at least 1."""
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise ScenarioError(f"{name}={count!r}: give a whole number of at least 1")


def check_time(name: str, seconds: object) -> None:
    """Raise `ScenarioError` for what is no finite number of seconds above 0."""
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not number or not 0 < seconds < float("inf"):  # type: ignore[operator]
        raise ScenarioError(f"{name}={seconds!r}: give a finite number of seconds above 0")


def start_of(scenario: Scenario, number: int) -> tuple[str, World]:
    """The world that a run of that number, or seed, starts from: the scenario's worlds in turn."""
    worlds: Mapping[str, World] = scenario.worlds
    names = list(worlds)
    name = names[number % len(names)]
    return name, worlds[name]


def run_once(
    world: World, properties: Sequence[Property], knobs: Knobs, *, trace: bool = False
) -> tuple[Simulation, list[tuple[Property, str]]]:
    """One run with these knobs, and the properties that were broken in it, with what they said."""
    simulation = Simulation(
        world,
        seed=knobs.seed,
        properties=properties,
        faults=knobs.faults,
        link=knobs.link,
        disks=knobs.disks,
        trace=trace,
    )
    simulation.run(knobs.until)
    demands = [each for each in properties if each.sort is Sort.EVENTUALLY]
    unmet = []
    if demands and simulation.broken is None:
        if knobs.calm is not None:
            random = Random(knobs.seed, "core")
            calm_down(simulation, core_of(simulation, random, knobs.core))
        unmet = demand(simulation, demands, knobs.calm or 0.0)
    simulation.finish()
    return simulation, unmet if simulation.broken is None else [simulation.broken]


class _Runs:
    def __init__(
        self,
        policy: Simulated,
        scenario: Scenario,
        properties: Sequence[Property],
        bounds: Bounds,
        progress: Callable[[Any], None] | None,
    ) -> None:
        self.policy, self.scenario, self.bounds = policy, scenario, bounds
        self.knobs = policy.drawer(scenario)
        self.properties = [*properties, no_handler_raises(scenario)]
        self.progress = progress
        self.made = self.handled = self.faults = 0
        self.reached: dict[int, int] = {}
        self.judged = [0] * len(self.properties)
        # By property: the first run that broke it, and what it said then.
        self.broken: dict[int, tuple[int, str]] = {}
        self.stopped: str | None = None

    def job(self, number: int) -> RunResult:
        """Make run `number`."""
        knobs = self.knobs(number)
        _, world = start_of(self._scenario(knobs), knobs.seed)
        simulation, broken = run_once(world, self.properties, knobs)
        return RunResult(
            tuple((self.properties.index(prop), said) for prop, said in broken),
            simulation.handled,
            simulation.nemesis.count,
            tuple(sorted(self.properties.index(each) for each in simulation.reached)),
            tuple(simulation.judged.get(each, 0) for each in self.properties),
        )

    def _scenario(self, knobs: Knobs) -> Scenario:
        if not knobs.arguments:
            return self.scenario
        arguments = {**dict(self.scenario.arguments), **dict(knobs.arguments)}
        return replace(self.scenario, arguments=tuple(sorted(arguments.items())))

    def report(self) -> Report:
        began = time.perf_counter()
        try:
            with results(self.job, self.policy.runs, self.policy.workers) as found:
                for number, result in enumerate(found):
                    self.take(number, result)
                    if self.broken and not self.policy.keep_going:
                        break
                    seconds = time.perf_counter() - began
                    if self.bounds.seconds is not None and seconds > self.bounds.seconds:
                        self.stopped = "seconds"
                        break
        except KeyboardInterrupt:
            self.stopped = "interrupt"
        verdicts = {prop: self.verdict(at, prop) for at, prop in enumerate(self.properties)}
        return Report(
            self.scenario,
            verdicts,
            worlds=self.handled,
            steps=self.handled,
            depth=self.made,
            seconds=time.perf_counter() - began,
            complete=False,
            stopped=self.stopped or "runs",
            handler_calls=self.handled,
            evaluations=sum(self.judged),
            warnings=self.warnings(),
        )

    def take(self, number: int, result: RunResult) -> None:
        """Count a run in, in order of number."""
        self.made += 1
        self.handled += result.handled
        self.faults += result.faults
        for at in result.reached:
            self.reached.setdefault(at, number)
        self.judged = [one + other for one, other in zip(self.judged, result.judged, strict=True)]
        for at, said in result.broken:
            self.broken.setdefault(at, (number, said))
        if self.progress is not None:
            self.progress(RunsSoFar(self.handled, self.handled, self.made))

    def verdict(self, at: int, prop: Property) -> Verdict:
        if at in self.broken:
            return self.failure(prop, *self.broken[at])
        if prop.sort is Sort.REACHABLE and at in self.reached:
            return self.witness(prop, self.reached[at])
        said = "not reached" if prop.sort is Sort.REACHABLE else "no violation"
        runs = f"{self.made:,} simulated run{'s' * (self.made != 1)}"
        others = ", ".join(self.properties[each].name for each in sorted(self.broken))
        why = f"; {_STOPPED[self.stopped]}" if self.stopped else ""
        if self.broken and not self.policy.keep_going:
            why += f"; {others} was broken then"
        return Unknown(prop, reason=f"{said} in {runs}{why}")

    def failure(self, prop: Property, number: int, reason: str) -> Broken:
        """The same run again, with a trace this time."""
        knobs = self.knobs(number)
        start, world = start_of(self._scenario(knobs), knobs.seed)
        simulation, _ = run_once(world, self.properties, knobs, trace=True)
        of = replace(prop, scenario=self._scenario(knobs).loosened())
        notes = (f"run {number}, seed {knobs.seed}" + (f": {knobs.told}" * bool(knobs.told)),)
        return Broken(of, reason=reason, schedule=simulation.schedule, start=start, notes=notes)

    def witness(self, prop: Property, number: int) -> Holds:
        """A run that reaches what was wanted: the same run again, up to there."""
        knobs = self.knobs(number)
        start, world = start_of(self._scenario(knobs), knobs.seed)
        # A run ends where a property is broken: so "not yet" is one, in the place of this.
        not_yet = Property(Sort.ALWAYS, prop.scenario, lambda now: prop.judge(now) is None)
        judged = [not_yet if each is prop else each for each in self.properties]
        simulation, _ = run_once(world, judged, knobs, trace=True)
        of = replace(prop, scenario=self._scenario(knobs).loosened())
        return Holds(of, schedule=simulation.schedule, start=start)

    def warnings(self) -> tuple[str, ...]:
        """What was vacuous."""
        if self.broken:
            return ()
        found = [
            f"{prop.name} had nothing to judge"
            for at, prop in enumerate(self.properties)
            if prop.sort in (Sort.MONITOR, Sort.ALWAYS) and not self.judged[at] and self.made
        ]
        if self.policy.faults and not self.faults:
            found.append("no fault ever happened, though some were asked for")
        return tuple(found)


@dataclass(frozen=True)
class RunsSoFar:
    """How far a series of runs is: what a progress line shows."""

    worlds: int
    steps: int
    depth: int = 0
