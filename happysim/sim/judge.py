"""Judging properties at every step of a live run, without asking again what cannot have changed.

A property is a function of what it reads. What it read last time is noted; as long as none of that
has changed, it would say the same, so it is not asked.

At the end of a run every property is asked once more, whatever was noted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from happysim.sim.keeper import Keeper
from happysim.sim.live import LiveNode
from happysim.sim.view import HISTORY, WIDE, LiveWorld, Reads
from happysim.spec.property import Property, Sort


class Watched:
    """A property, and what it read when it was last asked: per slot, the names of fields."""

    __slots__ = ("by_slot", "history", "prop", "reads", "wide")

    def __init__(self, prop: Property) -> None:
        self.prop = prop
        self.reads: Reads = set()
        self.by_slot: dict[int, set[str]] = {}
        self.wide = self.history = True

    def note(self, reads: Reads) -> None:
        self.reads = reads
        self.by_slot = {}
        for slot, name in reads:
            if slot >= 0:
                self.by_slot.setdefault(slot, set()).add(name)
        self.wide = (-1, WIDE) in reads
        self.history = (-1, HISTORY) in reads


class Judge:
    """Asks properties of a live world. `wrong` is the first that is broken, and what it said."""

    def __init__(
        self, world: LiveWorld, nodes: Sequence[LiveNode], props: Sequence[Property]
    ) -> None:
        self.world = world
        self.wrong: tuple[Property, str] | None = None
        self.reached: set[Property] = set()
        self._judged: dict[Property, int] = {}
        self._keepers = {live.slot: Keeper(live) for live in nodes}
        self._every_step = [Watched(each) for each in props if each.sort in _EVERY_STEP]
        self._between = [Watched(each) for each in props if each.sort is Sort.STEP_ALWAYS]
        self._at_end = [each for each in props if each.sort in _AT_END]
        # Each monitor of this run, with its property.
        self._monitors = [(each.function(), each) for each in props if each.sort is Sort.MONITOR]
        # Whether some property has read what may change in any step.
        self._asks_always = True
        self._steps_watched = 0
        self._before: dict[int, dict[str, Any]] = {}
        self._history = -1
        if self._between:
            for slot, keeper in self._keepers.items():
                keeper.watch(set(keeper.live.kind.happysim_fields))
                self._before[slot] = {"name": keeper.live.name, **keeper.copies()}

    def first(self) -> None:
        """Ask everything of the first world."""
        for watched in self._every_step:
            self._ask(watched)
        for watched in self._between:
            self._ask_between(watched, self.world)
        for name in self.world.names:
            self._watch(name)

    def _watch(self, name: str) -> None:
        self._steps_watched += 1
        world = self.world
        for monitor, prop in self._monitors:
            try:
                said = monitor(world, name)
            except Exception as error:
                prop.blame(error)
            if said is not True:
                wrong = prop.meaning(said)
                if wrong is not None:
                    self._break(prop, wrong)

    @property
    def judged(self) -> dict[Property, int]:
        """How often each property was asked."""
        return {**self._judged, **{prop: self._steps_watched for _, prop in self._monitors}}

    def after(self, process: Any, history_version: int) -> None:
        """Ask what may have changed by a step of a process."""
        if self._monitors:
            self._watch(process.name)
        if not self._every_step and not self._between:
            return
        keeper = self._keepers.get(process.slot)
        changed = keeper.changed() if keeper is not None else set()
        news = history_version != self._history
        self._history = history_version
        # Most steps change nothing that is read.
        if changed or news or self._asks_always:
            for watched in self._every_step:
                if self._is_stale(watched, process.slot, changed, news):
                    self._ask(watched)
        if self._between and keeper is not None:
            self._after_between(process.slot, changed, news)

    def _is_stale(self, watched: Watched, slot: int, changed: set[str], news: bool) -> bool:
        if watched.wide or (watched.history and news):
            return True
        read = watched.by_slot.get(slot)
        return read is not None and not changed.isdisjoint(read)

    def _after_between(self, slot: int, changed: set[str], news: bool) -> None:
        keeper = self._keepers[slot]
        if changed or news:
            before = LiveWorld(self.world._simulation, {slot: self._before[slot]})
            for watched in self._between:
                if self._is_stale(watched, slot, changed, news):
                    self._ask_between(watched, before)
            self._before[slot] = {"name": keeper.live.name, **keeper.copies()}

    def _ask(self, watched: Watched) -> None:
        prop, reads = watched.prop, set[tuple[int, str]]()
        self.world.reads = reads
        try:
            said = prop.judge(self.world)  # type: ignore[arg-type]
        finally:
            self.world.reads = None
        self._learn(watched, reads)
        if said is not None:
            if prop.sort is Sort.REACHABLE:
                self.reached.add(prop)
                self._every_step = [each for each in self._every_step if each is not watched]
            else:
                self._break(prop, said)

    def _ask_between(self, watched: Watched, before: LiveWorld) -> None:
        reads: set[tuple[int, str]] = set()
        self.world.reads = before.reads = reads
        try:
            said = watched.prop.judge(before, self.world)  # type: ignore[arg-type]
        finally:
            self.world.reads = before.reads = None
        self._learn(watched, reads)
        if said is not None:
            self._break(watched.prop, said)

    def _learn(self, watched: Watched, reads: Reads) -> None:
        self._judged[watched.prop] = self._judged.get(watched.prop, 0) + 1
        if reads == watched.reads and not watched.wide:
            # As most often.
            return
        watched.note(reads)
        self._asks_always = any(each.wide for each in self._every_step)
        for slot, names in watched.by_slot.items():
            self._keepers[slot].watch(names)

    def _break(self, prop: Property, said: str) -> None:
        if self.wrong is None:
            self.wrong = prop, said

    def last(self) -> None:
        """Ask everything once more, and what is only asked at the end."""
        for watched in list(self._every_step):
            self._ask(watched)
        for prop in self._at_end:
            if prop.sort is Sort.QUIESCENT and not self.world.is_quiescent:
                continue
            said = prop.judge(self.world)  # type: ignore[arg-type]
            self._judged[prop] = self._judged.get(prop, 0) + 1
            if said is not None:
                self._break(prop, said)


_EVERY_STEP = frozenset({Sort.ALWAYS, Sort.REACHABLE})
# A history that cannot be explained stays so however it goes on, so it is enough to ask at the end.
_AT_END = frozenset({Sort.LINEARIZABLE, Sort.QUIESCENT})
