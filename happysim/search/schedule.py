"""Following a schedule: choice by choice, asking one property, or finding where two worlds part."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from happysim.core.choice import Choice, Kind
from happysim.core.disk import budget_of
from happysim.core.entries import Move
from happysim.core.errors import NoClock, ScenarioError, ScheduleError
from happysim.core.symmetry import Symmetry
from happysim.core.told import find, is_idle, not_enabled
from happysim.core.world import World
from happysim.kernel.contract import Numbers
from happysim.search.memory import NoCopyError, copy_of
from happysim.spec.property import Property, Sort
from happysim.spec.scenario import Scenario

_NUMBER = re.compile(r"\d+")
# A copy of what a monitor remembers takes as long as a few choices.
KEPT_EVERY = 16


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
    similar: bool = False,
    within: Callable[[World], bool] | None = None,
    judge: Judge | None = None,
) -> Run:
    """Take the choices of a schedule in turn, until the property is broken (or reached).

    What exists in time only is passed over, and so is a delivery that changes nothing. Any other
    choice that is not enabled raises `ScheduleError`, or is left out where `skip_missing`. So is
    one that leads to a world for which `within` is False, as in a search within that bound. With
    `similar`, another of its sort is taken in its place, where there is one: see `stand_in`.
    `judge` is what judges the property, where it has seen a part of the run already.
    """
    taken: list[Choice] = []
    worlds = [world]
    judge = judge or _judge_of(prop)
    wrong = judge.first(world)
    for number, wanted in enumerate(schedule, 1):
        if wrong is not None:
            break
        told = wanted if isinstance(wanted, Choice) else Choice.parse(wanted)
        if told is not None and told.kind.is_timed:
            taken.append(told)
            worlds.append(world)
            continue
        found = None if told is None else find(world, told)
        if found is None and similar and told is not None:
            found = stand_in(world, told)
        if found is None:
            if skip_missing or (told is not None and is_idle(world, told)):
                continue
            raise ScheduleError(f"choice {number}: {not_enabled(str(wanted), _choices(world))}")
        choice, slot, move = found
        if told is not None and told.at is not None:
            choice = replace(choice, at=told.at)
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
        wrong = judge.step(world, choice, after)
        world = after
    if wrong is None:
        wrong = judge.last(world)
    return Run(tuple(taken), tuple(worlds), wrong)


def stand_in(world: World, wanted: Choice) -> tuple[Choice, int, Move | int] | None:
    """An enabled choice of the same sort as one that is not, as `told.find` gives it; or None.

    For a delivery, that of a message of the same class from the same sender: the one whose text has
    most in common with it from the left, the last of these in order of content. For a request, the
    one that its client makes now. For a crash or a restart, one in which the like befalls the
    disk: as nearly as many writes lost as can be.

    Source of the idea: Scott et al., *Minimizing faulty executions of distributed systems*, NSDI
    2016: once an early step is left out, later messages differ in content and yet play their part.
    """
    if wanted.kind is Kind.DELIVER and wanted.node in world.tables.slot_of:
        sort = _sort_of(wanted.what)
        texts = [
            text
            for source, text in world.arriving(wanted.node)
            if source == wanted.source and _sort_of(text) == sort
        ]
        if texts:
            best = max(range(len(texts)), key=lambda at: (_common(texts[at], wanted.what), at))
            return find(world, replace(wanted, what=texts[best]))
    if wanted.kind is Kind.INVOKE:
        slot = world.tables.slot_of.get(wanted.node, -1)
        for move in world.tables.moves(slot, world.cells[slot])[0] if slot >= 0 else ():
            if move.choice.kind is Kind.INVOKE:
                return move.choice, slot, move
    if wanted.kind in (Kind.CRASH, Kind.RESTART) and " " in wanted.what:
        return _other_mishap(world, wanted)
    return None


def _other_mishap(world: World, wanted: Choice) -> tuple[Choice, int, Move | int] | None:
    """A crash or a restart in which the like befalls the disk, with other numbers."""
    slot = world.tables.slot_of.get(wanted.node, -1)
    texts = world.tables.mishaps(slot, world.cells[slot], wanted.kind) if slot >= 0 else ()
    like = [text for text in texts if _word_and_budget(text) == _word_and_budget(wanted.what)]
    if not like:
        return None
    return find(world, replace(wanted, what=_likest(like, wanted.what)))


def _word_and_budget(what: str) -> tuple[str, str]:
    return what.split(" ", 1)[0], budget_of(what)


def _likest(texts: Sequence[str], wanted: str) -> str:
    """The text whose numbers are nearest to those of what is wanted; the first of several."""
    numbers = [int(each) for each in _NUMBER.findall(wanted)]

    def distance(text: str) -> int:
        pairs = zip(_NUMBER.findall(text), numbers, strict=False)
        return sum(abs(int(one) - other) for one, other in pairs)

    return min(texts, key=distance)


def _sort_of(what: str) -> str:
    return what.split("(", 1)[0].split(" ", 1)[0]


def _common(one: str, other: str) -> int:
    """How many characters two texts have in common from the left."""
    pairs = zip(one, other, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


class Judge:
    """Judges one property along one run; this one judges nothing."""

    def first(self, world: World) -> str | None:
        return None

    def step(self, before: World, choice: Choice, after: World) -> str | None:
        return self.first(after)

    def last(self, world: World) -> str | None:
        return None


@dataclass
class _WorldJudge(Judge):
    prop: Property

    def first(self, world: World) -> str | None:
        if self.prop.sort is Sort.QUIESCENT and not world.is_quiescent:
            return None
        return self.prop.judge(world)


@dataclass
class _StepJudge(Judge):
    prop: Property

    def step(self, before: World, choice: Choice, after: World) -> str | None:
        return self.prop.judge(before, after)


@dataclass
class _LastJudge(Judge):
    """Demands of a run what must have become true by its end."""

    prop: Property

    def last(self, world: World) -> str | None:
        return self.prop.judge(world)


class _MonitorJudge(Judge):
    def __init__(self, prop: Property) -> None:
        self.prop, self.watch = prop, prop.function()

    def first(self, world: World) -> str | None:
        said = (self.prop.ask(self.watch, world, name) for name in world.tables.names)
        return next((wrong for wrong in said if wrong is not None), None)

    def step(self, before: World, choice: Choice, after: World) -> str | None:
        return self.prop.ask(self.watch, after, choice.node)


class Remembering(_MonitorJudge):
    """A monitor along a run, of which copies are kept: by the number of choices it has seen.

    It may begin with such a copy, which stays as it is.
    """

    def __init__(self, prop: Property, seen: int = 0, watch: Any = None) -> None:
        super().__init__(prop)
        self.kept: dict[int, Any] = {}
        self.seen = seen
        if seen:
            self.watch = copy_of(watch)

    def first(self, world: World) -> str | None:
        return None if self.seen else super().first(world)

    def step(self, before: World, choice: Choice, after: World) -> str | None:
        self.seen += 1
        said = super().step(before, choice, after)
        if self.seen % KEPT_EVERY == 0:
            with suppress(NoCopyError):
                self.kept[self.seen] = copy_of(self.watch)
        return said


def _judge_of(prop: Property | None) -> Judge:
    if prop is None or prop.sort is Sort.NO_RAISE:
        return Judge()
    if prop.sort is Sort.MONITOR:
        return _MonitorJudge(prop)
    if prop.sort is Sort.STEP_ALWAYS:
        return _StepJudge(prop)
    return _LastJudge(prop) if prop.sort is Sort.EVENTUALLY else _WorldJudge(prop)


def _choices(world: World) -> tuple[Choice, ...]:
    """What is enabled; nothing where that takes a clock to say."""
    try:
        return world.choices()
    except NoClock:
        return ()


def choices_along(
    start: World,
    path: Sequence[Numbers],
    histories: bool,
    shown: Callable[[Numbers], Numbers] = lambda numbers: numbers,
) -> list[Choice]:
    """The choices that lead along a path of worlds, given by their numbers.

    `shown` is what a kernel was shown of a world, where that was not all of it: its steps are those
    of what it was shown, and in the whole world they are the same. Where nodes are
    interchangeable a step of the path may be one up to a permutation of them: what is returned
    leads from `start` through worlds that are all images of those of the path.
    """
    end = None if histories else -1
    symmetry = start.tables.symmetry
    world, swaps = _bare(start, shown), list[int]()
    taken: list[Choice] = []
    for wanted in path[1:]:
        numbers = wanted
        for swap in swaps:
            assert symmetry is not None
            numbers = symmetry.world(swap, numbers)
        steps: dict[Numbers, tuple[Choice, World]] = {}
        for choice, after in world.steps():
            steps.setdefault(shown(after.numbers)[:end], (choice, after))
        found = steps.get(numbers[:end])
        if found is None and symmetry is not None:
            more, reached = _swaps_to(symmetry, numbers, steps.keys(), end)
            swaps += more
            found = steps.get(reached[:end])
        if found is None:
            raise AssertionError("a path of the kernel holds a step that the world does not have")
        taken.append(found[0])
        world = _bare(found[1], shown)
    return taken


def _bare(world: World, shown: Callable[[Numbers], Numbers]) -> World:
    """A world as a kernel was shown it. A message left out here would be in the way later on."""
    cells = shown(world.numbers)[:-2]
    return World(world.tables, cells, world.ledger, world.history_number)


def _swaps_to(
    symmetry: Symmetry, numbers: Numbers, wanted: Collection[Numbers], end: int | None
) -> tuple[list[int], Numbers]:
    """Swaps that turn a world into one of those wanted, and which; none, where there are none."""
    met: dict[Numbers, list[int]] = {numbers: []}
    waiting = deque([numbers])
    while waiting:
        here = waiting.popleft()
        if here[:end] in wanted:
            return met[here], here
        for swap in range(len(symmetry.swaps)):
            image = symmetry.world(swap, here)
            if image not in met:
                met[image] = [*met[here], swap]
                waiting.append(image)
    return [], numbers


def raising_here(world: World, wanted: Choice) -> Choice:
    """That choice, whose handler raises; or where it is not enabled, another that raises here."""
    if find(world, wanted) is not None:
        return wanted
    moves = ((choice, move) for choice, _, move in world.enabled() if isinstance(move, Move))
    return next((choice for choice, move in moves if move.raised is not None), wanted)
