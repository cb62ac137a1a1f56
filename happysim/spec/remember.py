"""A property remembered by exactly what it read.

What a property reads first is always the same part of the world; what it reads next depends only on
what it found there. So its runs form a tree: a part of the world at each branching, a branch for
each value found, the judgement at the leaf. A world that agrees with an earlier one on all that was
read is judged by walking down the tree.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from happysim.core.world import World
from happysim.spec.property import Property, PropertyError

# What is not a local state or the history. A judgement that read none of it is LOCAL.
_WIDE = frozenset({"inbox", "ledger", "all"})


class Judgement(NamedTuple):
    """What a property said (None: all is well), and what it read to say so.

    `local` says that it read local states and the history only. A read is the place of the world
    among the arguments, then the key of the part; see `World.read`.
    """

    wrong: str | None
    local: bool
    reads: tuple[tuple[Any, ...], ...] = ()


class _Branching:
    __slots__ = ("branches", "key")

    def __init__(self, key: tuple[Any, ...]) -> None:
        self.key = key
        self.branches: dict[Any, _Branching | Judgement] = {}


class _Log:
    """Receives what one of the worlds that a property is given reads."""

    def __init__(self, which: int, reads: list[tuple[Any, ...]]) -> None:
        self.which, self.reads = which, reads

    def append(self, entry: tuple[tuple[Any, ...], Any]) -> None:
        self.reads.append((self.which, *entry[0]))


class Remembered:
    """A function of one or two worlds, run once for each combination of what it reads."""

    def __init__(self, name: str, judge: Callable[..., str | None]) -> None:
        self.name, self.judge = name, judge
        self.root: _Branching | Judgement | None = None
        self.evaluations = 0

    @classmethod
    def of(cls, judged: Property) -> Remembered:
        return cls(judged.name, judged.judge)

    def __call__(self, *worlds: World) -> Judgement:
        at = self.root
        while isinstance(at, _Branching):
            which, *key = at.key
            at = at.branches.get(worlds[which].mark(key))
        return self._evaluate(worlds) if at is None else at

    def _evaluate(self, worlds: tuple[World, ...]) -> Judgement:
        self.evaluations += 1
        reads: list[tuple[Any, ...]] = []
        watched = [world.watched(_Log(which, reads)) for which, world in enumerate(worlds)]
        wrong = self.judge(*watched)
        keys = list(dict.fromkeys(reads))
        made = Judgement(wrong, not any(key[1] in _WIDE for key in keys), tuple(keys))
        self._insert(worlds, keys, made)
        return made

    def _insert(
        self, worlds: tuple[World, ...], keys: list[tuple[Any, ...]], made: Judgement
    ) -> None:
        if not keys:
            self.root = made
            return
        if self.root is None:
            self.root = _Branching(keys[0])
        at = self.root
        for place, key in enumerate(keys):
            if not isinstance(at, _Branching) or at.key != key:
                raise PropertyError(
                    f"property {self.name} read other parts of equal worlds in two runs; "
                    "it may depend on its worlds only"
                )
            value = worlds[key[0]].mark(list(key[1:]))
            last = place == len(keys) - 1
            below = at.branches.get(value)
            if below is None:
                below = at.branches[value] = made if last else _Branching(keys[place + 1])
            at = below
