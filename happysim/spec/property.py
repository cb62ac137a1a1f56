"""Property: a named judgement over a scenario.

A property is a function of one world (`always`, `reachable`, `quiescent`), of two (`step_always`),
a sequential object that the history must fit (`linearizable`), or several properties at once
(`together`). It returns True where all is well, False or a text that says what is wrong where not.
It reads worlds and nothing else, and a search calls it once for each combination of what it has
read.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

from happysim.core.errors import HappysimError
from happysim.core.world import World
from happysim.spec.frontier import Frontiers
from happysim.spec.linearizability import Outcome, linearize
from happysim.spec.objects import SequentialObject
from happysim.spec.scenario import Scenario, scenario_of

NO_RAISE = "no_handler_raises"


class PropertyError(HappysimError):
    """A property raised, or returned something that is no judgement."""


class Sort(enum.Enum):
    """When a property is judged."""

    ALWAYS = "always"
    STEP_ALWAYS = "step_always"
    REACHABLE = "reachable"
    QUIESCENT = "quiescent"
    LINEARIZABLE = "linearizable"
    NO_RAISE = "no_raise"
    MONITOR = "monitor"
    EVENTUALLY = "eventually"

    @property
    def is_of_runs(self) -> bool:
        """True for what is judged of one run as it unfolds, and so by no exhaustive search."""
        return self in (Sort.MONITOR, Sort.EVENTUALLY)


@dataclass(eq=False)
class Property:
    """A named judgement over a scenario. Make one with the decorators of this file."""

    sort: Sort
    scenario: Scenario
    function: Callable[..., Any]
    name: str = ""
    object: SequentialObject | None = field(default=None)
    must_break: bool = False

    def __post_init__(self) -> None:
        self.name = self.name or getattr(self.function, "__name__", "property")
        self.__doc__ = self.function.__doc__

    def __call__(self, *worlds: World) -> Any:
        return self.function(*worlds)

    def over(self, scenario: Any, name: str = "", **arguments: Any) -> Property:
        """The same judgement over another scenario, for instance one with a broken variant."""
        made = scenario_of(scenario, arguments)
        return Property(self.sort, made, self.function, name or self.name, self.object)

    @property
    def module(self) -> str:
        """The module that defines the property."""
        return str(getattr(self.function, "__module__", ""))

    def __repr__(self) -> str:
        return f"<{self.sort.value} {self.name} over {self.scenario}>"

    def judge(self, *worlds: World) -> str | None:
        """None where all is well, else what is wrong (perhaps an empty text).

        For `reachable`: None where the world is *not* the wanted one. Raises `PropertyError`.
        """
        return self.ask(self.function, *worlds)

    def ask(self, function: Callable[..., Any], *arguments: Any) -> str | None:
        """What a function that judges for this property says, as `judge` returns it."""
        try:
            said = function(*arguments)
        except Exception as error:
            self.blame(error)
        return self.meaning(said)

    def blame(self, error: Exception) -> NoReturn:
        """Raise `PropertyError`: a function that judges for this property has raised."""
        if isinstance(error, PropertyError):
            raise error  # One of several that are judged together: it has said whose it is.
        raise PropertyError(
            f"property {self.name} raised {type(error).__name__}: {error}; "
            "a property returns True, False or a text that says what is wrong"
        ) from error

    def meaning(self, said: Any) -> str | None:
        """What it means that a function said this, as `judge` returns it."""
        if said is True or said is False:
            wrong = said if self.sort is Sort.REACHABLE else not said
            return "" if wrong else None
        if isinstance(said, str) and said and self.sort is not Sort.REACHABLE:
            return said
        forgot = " (is a `return` missing?)" if said is None else ""
        wanted = "True, False or a text that says what is wrong"
        if self.sort is Sort.REACHABLE:
            wanted = "True or False"
        raise PropertyError(f"property {self.name} returned {said!r:.60}{forgot}; return {wanted}")


def _decorator(
    sort: Sort, scenario: Any, arguments: dict[str, Any]
) -> Callable[[Callable[..., Any]], Property]:
    made = scenario_of(scenario, arguments)
    return lambda function: Property(sort, made, function)


def always(scenario: Any, **arguments: Any) -> Callable[[Callable[[World], Any]], Property]:
    """`@always(scenario)`: the function below is true of every world.

    Keyword arguments are passed to the scenario.
    """
    return _decorator(Sort.ALWAYS, scenario, arguments)


def step_always(
    scenario: Any, **arguments: Any
) -> Callable[[Callable[[World, World], Any]], Property]:
    """`@step_always(scenario)`: `function(before, after)` is true of every single step."""
    return _decorator(Sort.STEP_ALWAYS, scenario, arguments)


def reachable(scenario: Any, **arguments: Any) -> Callable[[Callable[[World], bool]], Property]:
    """`@reachable(scenario)`: some world satisfies the function. Keeps other properties honest."""
    return _decorator(Sort.REACHABLE, scenario, arguments)


def quiescent(scenario: Any, **arguments: Any) -> Callable[[Callable[[World], Any]], Property]:
    """`@quiescent(scenario)`: true of every world in which nothing is left to happen.

    That is: no message in flight that would change anything, no timer set or action enabled, and
    no client script awaiting an answer; only faults could lead on. Convergence is stated so.
    """
    return _decorator(Sort.QUIESCENT, scenario, arguments)


def eventually(scenario: Any, **arguments: Any) -> Callable[[Callable[[World], Any]], Property]:
    """`@eventually(scenario)`: becomes true, and is found true, once faults have stopped.

    A demand on liveness. A simulation judges it, after a quorum was healed and left alone; an
    untimed search cannot, for it may put off any step for ever.
    """
    return _decorator(Sort.EVENTUALLY, scenario, arguments)


def monitor(scenario: Any, **arguments: Any) -> Callable[[type], Property]:
    """`@monitor(scenario)` on a class: its instances watch one run each, with a memory.

    An instance is made without arguments where a run begins. It is then called after each step as
    `watch(world, name)` with the name of the process that moved, and for each process in the first
    world. It returns True, False or a text that says what is wrong. A monitor costs little even
    where logs are long: it looks at what is new. A search, which has no one run, does not judge it.
    """
    return _decorator(Sort.MONITOR, scenario, arguments)


def linearizable(
    scenario: Any, object: SequentialObject, name: str = "", **arguments: Any
) -> Property:
    """The history of the scenario's clients is linearizable with respect to a sequential object.

    `answers_are_atomic = linearizable(two_clients, Register())`. Herlihy and Wing 1990: each
    completed operation takes effect at one moment between its call and its answer; an open one
    takes effect at some later moment, or never.
    """

    frontiers = Frontiers(object)

    def fits(world: World) -> bool | str:
        history = world.history
        if frontiers.fit(history):
            return True
        found = linearize(history, object)
        if found.outcome is Outcome.LINEARIZABLE:
            return True
        return str(found.explanation)

    fits.__name__ = name or f"linearizable_{type(object).__name__}"
    fits.__doc__ = f"Every history fits a sequential {type(object).__name__}."
    fits.__module__ = getattr(scenario, "__module__", "")
    return Property(
        Sort.LINEARIZABLE, scenario_of(scenario, arguments), fits, fits.__name__, object
    )


def together(scenario: Any, *props: Property, name: str = "", **arguments: Any) -> Property:
    """Several properties as one, which is broken where one of them is, and says which.

    `every_theorem = together(rough_seas, agreement, validity)`. They are judged in this order over
    `scenario`, whatever they were stated over. Raises `PropertyError` unless all are `always`, or
    all `step_always`.
    """
    sorts = {each.sort if isinstance(each, Property) else None for each in props}
    if sorts not in ({Sort.ALWAYS}, {Sort.STEP_ALWAYS}):
        raise PropertyError(
            f"together(..., {', '.join(map(repr, props))}): name properties after the scenario, "
            "all of them `always` or all of them `step_always`"
        )

    def hold_together(*worlds: World) -> bool | str:
        for each in props:
            wrong = each.judge(*worlds)
            if wrong is not None:
                return f"{each.name}: {wrong}" if wrong else each.name
        return True

    made = scenario_of(scenario, arguments)
    hold_together.__doc__ = f"Each of {', '.join(each.name for each in props)}."
    hold_together.__module__ = made.function.__module__
    return Property(props[0].sort, made, hold_together, name)


def must_break(prop: Property) -> Property:
    """Expect the property to be broken: its scenario holds a mistake that it has to catch.

    A test of it passes where the verdict is `Broken`, and fails on anything else.
    """
    return replace(prop, must_break=True)


def no_handler_raises(scenario: Scenario) -> Property:
    """The property that every scenario has: no handler lets an exception out."""

    def no_raise(world: World) -> bool:
        return True

    return Property(Sort.NO_RAISE, scenario, no_raise, NO_RAISE)
