"""Following a schedule: choice by choice, asking one property, or finding where two worlds part."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from happysim.core.choice import Choice
from happysim.core.entries import Move
from happysim.core.errors import ScenarioError, ScheduleError
from happysim.core.world import World, not_enabled
from happysim.kernel.contract import Numbers
from happysim.spec.property import Property, Sort
from happysim.spec.scenario import Scenario


@dataclass(frozen=True)
class Run:
    """A schedule followed to its end or to the first violation of the property asked.

    `worlds` holds the first world and the one after each choice; a choice that raised has none.
    `wrong` is what the property said at the end; None where it was never broken.
    """

    schedule: tuple[Choice, ...]
    worlds: tuple[World, ...]
    wrong: str | None = None


def first_world(scenario: Scenario, start: str) -> World:
    """The scenario's world of that name. Raises `ScenarioError` where there is none."""
    worlds = scenario.worlds
    if start not in worlds:
        known = ", ".join(map(repr, worlds))
        raise ScenarioError(f"{scenario} has no first world {start!r}; it has {known}")
    return worlds[start]


def follow(
    world: World,
    schedule: Iterable[Choice | str],
    prop: Property | None = None,
    *,
    skip_missing: bool = False,
    within: Callable[[World], bool] | None = None,
) -> Run:
    """Take the choices of a schedule in turn, until the property is broken (or reached).

    A choice that is not enabled raises `ScheduleError`, or is left out where `skip_missing`. So is
    one that leads to a world for which `within` is False, as in a search within that bound.
    """
    taken: list[Choice] = []
    worlds = [world]
    wrong = _judge_world(prop, world)
    for number, wanted in enumerate(schedule, 1):
        if wrong is not None:
            break
        found = world.find(wanted)
        if found is None:
            if skip_missing:
                continue
            raise ScheduleError(f"choice {number}: {not_enabled(str(wanted), world.choices())}")
        choice, slot, move = found
        if isinstance(move, Move) and move.raised is not None:
            taken.append(choice)
            raises = prop is not None and prop.sort is Sort.NO_RAISE
            return Run(tuple(taken), tuple(worlds), str(move.raised) if raises else None)
        after = world.take(choice, slot, move)
        if within is not None and not within(after):
            if not skip_missing:
                raise ScheduleError(f"choice {number} leads outside the bound `within`: {choice}")
            continue
        taken.append(choice)
        worlds.append(after)
        if prop is not None and prop.sort is Sort.STEP_ALWAYS:
            wrong = prop.judge(world, after)
        else:
            wrong = _judge_world(prop, after)
        world = after
    return Run(tuple(taken), tuple(worlds), wrong)


def _judge_world(prop: Property | None, world: World) -> str | None:
    if prop is None or prop.sort in (Sort.STEP_ALWAYS, Sort.NO_RAISE):
        return None
    if prop.sort is Sort.QUIESCENT and not world.is_quiescent:
        return None
    return prop.judge(world)


def choices_along(start: World, path: Sequence[Numbers], histories: bool) -> list[Choice]:
    """The choices that lead along a path of worlds, given by their numbers."""
    end = None if histories else -1
    world = start
    taken: list[Choice] = []
    for numbers in path[1:]:
        for choice, after in world.steps():
            if after.numbers[:end] == numbers[:end]:
                taken.append(choice)
                world = after
                break
        else:
            raise AssertionError("a path of the kernel holds a step that the world does not have")
    return taken
