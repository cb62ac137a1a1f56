"""Replaying a trace: take its choices again, and say where and how the run differs now."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

from happysim.core.errors import HappysimError
from happysim.core.world import World
from happysim.search.schedule import Run, first_world, follow
from happysim.spec.property import NO_RAISE, Property, Sort, no_handler_raises
from happysim.spec.scenario import Scenario
from happysim.spec.verdict import Broken, Holds
from happysim.trace.changes import changes, raised
from happysim.trace.format import Step, Trace, TraceError, differences, record


@dataclass(frozen=True)
class Replayed:
    """What a trace does now.

    `run` is the schedule as far as the property stayed whole; `broken` says that it was broken
    (or reached) at its end. `drift` says where the run first differs from what was recorded, and
    `missing` which choices could not be taken; both are empty where nothing has changed.
    """

    trace: Trace
    prop: Property
    run: Run
    drift: str = ""
    missing: tuple[str, ...] = ()

    @property
    def broken(self) -> bool:
        return self.run.wrong is not None

    @property
    def exact(self) -> bool:
        """True where the run is what was recorded, world by world."""
        return not self.drift and not self.missing


def resolve(trace: Trace, root: Path) -> Property:
    """The property that a trace names, over the scenario and arguments that it names.

    Imports the property's module, which must be a file below `root` (or be imported already).
    Raises `TraceError` where the names lead to nothing, or to something that is no property.
    """
    module_name, _, name = trace.prop.partition(":")
    where = trace.source
    if module_name not in sys.modules:
        _check_location(module_name, root, where)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise TraceError(f"{where}: {module_name} cannot be imported: {error}") from error
    prop = _find(module, name, trace)
    if prop.scenario.name != trace.scenario:
        raise TraceError(
            f"{where}: {name} is a property of {prop.scenario.name} now, not of {trace.scenario}"
        )
    try:
        inspect.signature(prop.scenario.function).bind(**dict(trace.arguments))
    except TypeError as error:
        raise TraceError(
            f"{where}: the arguments do not fit the scenario {trace.scenario}: {error}"
        ) from None
    if tuple(prop.scenario.arguments) == trace.arguments and not trace.loose:
        prop.name = name
        return prop
    other = prop.over(Scenario(prop.scenario.function, trace.arguments, trace.loose), name)
    other.must_break = prop.must_break
    return other


def _find(module: ModuleType, name: str, trace: Trace) -> Property:
    stated = {key: each for key, each in vars(module).items() if isinstance(each, Property)}
    if name == NO_RAISE:
        # Every scenario has it; but only what a property is stated over counts as a scenario.
        for each in stated.values():
            if _is_over(each, trace.scenario):
                return no_handler_raises(each.scenario)
        raise TraceError(
            f"{trace.source}: {module.__name__} states no property over {trace.scenario} any more"
        )
    if name not in stated:
        known = ", ".join(sorted(stated)) or "none"
        raise TraceError(
            f"{trace.source}: {module.__name__} has no property {name!r} any more; it has {known}"
        )
    return stated[name]


def _check_location(module_name: str, root: Path, where: str) -> None:
    """Make sure that importing the module would run a file below `root`, and no other."""
    relative = Path(*module_name.split("."))
    candidates = [root / relative.with_suffix(".py"), root / relative / "__init__.py"]
    if not any(path.is_file() for path in candidates):
        raise TraceError(
            f"{where}: there is no module {module_name} below {root}; "
            "replay it in the folder of the project that it belongs to"
        )
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    try:
        spec = importlib.util.find_spec(module_name)
    except Exception as error:
        raise TraceError(f"{where}: {module_name} cannot be imported: {error}") from error
    origin = spec.origin if spec is not None else None
    if origin is None or Path(origin).resolve() not in [path.resolve() for path in candidates]:
        raise TraceError(
            f"{where}: {module_name} is {origin or 'something else'} here, and not a file below "
            f"{root}; rename one of the two"
        )


def replay(trace: Trace, root: Path) -> Replayed:
    """Take a trace's choices again, as far as they are enabled. Errors as `resolve`.

    Raises `TraceError` where the scenario makes no world of the name that the trace starts from.
    """
    prop = resolve(trace, root)
    world = start_of(trace, prop)
    run = _with_times(follow(world, trace.schedule, prop, skip_missing=True), trace)
    taken = [str(choice) for choice in run.schedule]
    ended = run.wrong is not None or len(run.worlds) == len(taken)
    missing, drift = [], _drift_of_first(trace, world)
    at, last = 0, trace.first
    for step in trace.steps:
        if at == len(taken) and ended:
            drift = drift or _drift_of_end(trace, last, run)
            break
        if at == len(taken) or taken[at] != step.choice:
            missing.append(_missing(trace, step, run.worlds[min(at, len(run.worlds) - 1)]))
            drift = drift or missing[-1]
            continue
        at, last = at + 1, step
        if at < len(run.worlds):
            drift = drift or _drift_of_step(trace, step, run.worlds[at - 1], run.worlds[at])
        elif step.digest != "?":
            drift = drift or _drift_of_end(trace, step, run)
    return Replayed(trace, prop, run, drift, tuple(missing))


def start_of(trace: Trace, prop: Property) -> World:
    """The world that a trace starts from. Raises `TraceError` where the scenario makes none."""
    try:
        return first_world(prop.scenario, trace.start)
    except HappysimError as error:
        raise TraceError(f"{trace.source}: {error}") from error
    except Exception as error:
        raise TraceError(
            f"{trace.source}: the scenario {prop.scenario} raised {type(error).__name__}: {error}"
        ) from error


def _with_times(run: Run, trace: Trace) -> Run:
    """The run with the times at which the trace took its choices."""
    steps = iter(trace.steps)
    timed = []
    for choice in run.schedule:
        found = next((step for step in steps if step.choice == str(choice)), None)
        timed.append(choice if found is None else replace(choice, at=found.at))
    return replace(run, schedule=tuple(timed))


def _missing(trace: Trace, step: Step, world: World) -> str:
    enabled = "".join(f"\n    {choice}" for choice in world.choices()) or "\n    (nothing)"
    # A fix often makes a delivery harmless; then it is no choice, and the message stays in flight.
    letter = f"in flight: {step.choice.removeprefix('deliver ')}"
    waits = any(re.sub(r" \(\d+ times\)$", "", line) == letter for line in world.lines())
    why = " (it is in flight, but held back, or would change nothing)" if waits else ""
    return (
        f"{trace.source}, line {step.line}: not enabled any more: {step.choice}{why}\n"
        f"  enabled there:{enabled}"
    )


def _drift_of_end(trace: Trace, last: Step, run: Run) -> str:
    """The run has come to its end, where the trace goes on."""
    why = raised(run) or "the property says so there already"
    return f"{trace.source}, line {last.line}: the run ends after `{last.choice}` now: {why}"


def _drift_of_first(trace: Trace, world: World) -> str:
    if trace.first.digest in ("?", world.digest()[:8]):
        return ""
    now = record(Run((), (world,)), prop="", scenario="").first
    at = f"{trace.source}, line {trace.first.line}: the first world drifted"
    for name, before, after in differences(dict(trace.first.changed), dict(now.changed)):
        return f"{at}: {_field(name, before, after)}"
    return f"{at}: what is in flight, or the faults left, differ"


def _drift_of_step(trace: Trace, step: Step, before: World, after: World) -> str:
    if step.digest in ("?", after.digest()[:8]):
        return ""
    at = f"{trace.source}, line {step.line}: the world after `{step.choice}` drifted"
    now = {f"{each.node}.{each.field}": each.after_text for each in changes(before, after)}
    for name, recorded, found in differences(dict(step.changed), now):
        return f"{at}: {_field(name, recorded, found)}"
    return f"{at}: what is in flight, or the faults left, differ"


def _field(name: str, recorded: str | None, now: str | None) -> str:
    if recorded is None:
        return f"{name} is {now} now, and is not in the trace"
    if now is None:
        return f"{name} was {recorded} in the trace, and is not so now"
    return f"{name} is {now} now, and was {recorded} in the trace"


def home_of(prop: Property) -> str:
    """`module:name` under which a property can be found again.

    A property made by `.over(...)` lives where it was assigned, not where its function was written;
    `no_handler_raises` where some property is stated over the same scenario.
    """
    likely = [prop.scenario.function.__module__, prop.module]
    for module_name in [*likely, *sorted(sys.modules)]:
        known = getattr(sys.modules.get(module_name), "__dict__", {})
        for name, value in list(known.items()):
            if value is prop or _is_loosened(prop, value):
                return f"{module_name}:{name}"
            if prop.sort is Sort.NO_RAISE and _is_over(value, prop.scenario.name):
                return f"{module_name}:{NO_RAISE}"
    return f"{prop.module}:{prop.name}"


def _is_loosened(prop: Property, value: object) -> bool:
    """True for the property that a simulation broke, with its arguments and without budgets."""
    return (
        isinstance(value, Property)
        and prop.scenario.loose
        and value.function is prop.function
        and value.scenario.function is prop.scenario.function
        and all(each in prop.scenario.arguments for each in value.scenario.arguments)
        and value.must_break == prop.must_break
    )


def _is_over(value: object, scenario: str) -> bool:
    return isinstance(value, Property) and value.scenario.name == scenario


def trace_of(verdict: Broken | Holds) -> Trace:
    """The trace of a counterexample, or of a witness. Raises `ValueError` where there is none."""
    if verdict.schedule is None:
        raise ValueError(f"{verdict.of.name}: this verdict has no schedule to record")
    scenario = verdict.of.scenario
    run = follow(first_world(scenario, verdict.start), verdict.schedule, verdict.of)
    found = ""
    if isinstance(verdict, Broken):
        found = "shortest" if verdict.shortest else "1-minimal" if verdict.minimal else ""
    return record(
        run,
        prop=home_of(verdict.of),
        scenario=scenario.name,
        arguments=scenario.arguments,
        start=verdict.start,
        found=found,
        loose=scenario.loose,
    )
