"""Scenario: an ordinary function that returns a World, and arguments; a trace can name both."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

from happysim.core.errors import ScenarioError
from happysim.core.rehome import loosened, rehome
from happysim.core.world import World

_F = TypeVar("_F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Bounds:
    """How a scenario asks to be searched; see `bounded`. None is no bound."""

    max_depth: int | None = None
    max_worlds: int | None = None
    seconds: float | None = None
    memory_mib: float | None = None
    within: Callable[[World], bool] | None = None
    by: Any = None
    unknown_passes: bool = False


def bounded(
    *,
    by: Any = None,
    max_depth: int | None = None,
    max_worlds: int | None = None,
    seconds: float | None = None,
    memory_mib: float | None = None,
    within: Callable[[World], bool] | None = None,
    unknown_passes: bool = False,
) -> Callable[[_F], _F]:
    """Say on a scenario how it is searched by default.

    `by` is a policy such as `bfs()` or `uniform(seed=1)`. `max_depth` counts the first world as 1.
    Worlds for which `within(world)` is False are neither counted nor expanded. A verdict reached
    within `max_depth` or `within` is `Holds` and says so. The budgets `max_worlds`, `seconds`,
    `memory_mib`, and a random policy, end in `Unknown` where nothing was found; that fails a test,
    unless `unknown_passes` says that looking so far is what this scenario is for.
    """
    bounds = Bounds(max_depth, max_worlds, seconds, memory_mib, within, by, unknown_passes)

    def mark(function: _F) -> _F:
        function.happysim_bounds = bounds  # type: ignore[attr-defined]
        return function

    return mark


@dataclass(frozen=True)
class Scenario:
    """A function that makes the world a run starts from, and the arguments to call it with.

    The function returns a World, or a dict of worlds by name for several to start from. With
    `loose`, faults cost nothing, whatever budgets the function gives them.
    """

    function: Callable[..., World | Mapping[str, World]]
    arguments: tuple[tuple[str, Any], ...] = field(default=())
    loose: bool = False

    def loosened(self) -> Scenario:
        """The same scenario with an unlimited budget of each fault, as a simulation has it."""
        return replace(self, loose=True)

    def afresh(self) -> Scenario:
        """The same scenario, its worlds made anew: nothing is known of what was searched before."""
        return replace(self)

    @property
    def name(self) -> str:
        """The function's name: `properties.lock:two_clients`, without its arguments."""
        return f"{self.function.__module__}:{self.function.__qualname__}"

    def __str__(self) -> str:
        arguments = ", ".join(f"{key}={value!r}" for key, value in self.arguments)
        return f"{self.function.__qualname__}({arguments})"

    @property
    def bounds(self) -> Bounds:
        """The bounds that `@bounded` set on the function."""
        bounds: Bounds = getattr(self.function, "happysim_bounds", Bounds())
        return bounds

    @cached_property
    def worlds(self) -> dict[str, World]:
        """The worlds to start from, by name; one world alone has the name "".

        Raises `ScenarioError` where the function returns something else.
        """
        made = self.function(**dict(self.arguments))
        worlds = made if isinstance(made, Mapping) else {"": made}
        for world in worlds.values():
            if not isinstance(world, World):
                raise ScenarioError(
                    f"{self} returned a {type(world).__name__}, not a World; "
                    "end it with `return World.of(...)`"
                )
        if not worlds:
            raise ScenarioError(f"{self} returned no world at all; return at least one")
        first = next(iter(worlds.values()))
        names = [str(name) for name in worlds]
        for name in names:
            if names.count(name) > 1:
                raise ScenarioError(f"{self} names {name!r} twice; a world's name is a text")
        tables = loosened(first.tables) if self.loose else first.tables
        return {
            str(name): world if world.tables is tables else rehome(world, tables, self.loose)
            for name, world in worlds.items()
        }


def scenario_of(what: object, arguments: Mapping[str, Any] | None = None) -> Scenario:
    """A scenario from a function, a World, or a Scenario."""
    if isinstance(what, Scenario):
        if not arguments:
            return what
        merged = {**dict(what.arguments), **arguments}
        return Scenario(what.function, tuple(sorted(merged.items())))
    if isinstance(what, World):
        world = what
        if arguments:
            names = ", ".join(arguments)
            raise ScenarioError(f"a World takes no arguments ({names}); pass a function instead")

        def given() -> World:
            return world

        given.__qualname__ = "world"
        return Scenario(given)
    if callable(what):
        if not hasattr(what, "__qualname__"):
            raise ScenarioError(
                f"a scenario needs a name, which a {type(what).__name__} has not; write a def, and "
                "pass its arguments to the property: @always(scenario, key=value)"
            )
        made = Scenario(what, tuple(sorted((arguments or {}).items())))
        # Without arguments there is nothing to get wrong here, and the search calls it soon enough.
        if made.arguments:
            try:
                inspect.signature(what).bind(**dict(made.arguments))
            except TypeError as error:
                raise ScenarioError(f"{made}: the scenario cannot be called so: {error}") from None
        return made
    raise ScenarioError(
        f"a scenario is a function that returns a World, not a {type(what).__name__}"
    )


def load(name: str, arguments: Mapping[str, Any]) -> Scenario:
    """The scenario that a trace names. Imports its module, and runs nothing else."""
    module_name, _, function_name = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ScenarioError(f"no module {module_name} for the scenario {name}: {error}") from None
    function = getattr(module, function_name, None)
    if not callable(function):
        raise ScenarioError(f"{module_name} has no scenario {function_name} any more")
    return Scenario(function, tuple(sorted(arguments.items())))
