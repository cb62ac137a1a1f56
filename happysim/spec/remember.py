"""A property remembered by exactly what it read.

What a property reads first is always the same part of the world; what it reads next depends only on
what it found there. So its runs form a tree: a part of the world at each branching, a branch for
each value found, the judgement at the leaf. A world that agrees with an earlier one on all that was
read is judged by walking down the tree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
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


def are_local(reads: Iterable[tuple[Any, ...]]) -> bool:
    """True where nothing is read but local states and the history."""
    return _WIDE.isdisjoint([read[1] for read in reads])


class _Branching:
    """A read: of which world, of what part; and what was below it for each content found."""

    __slots__ = ("branches", "key", "part", "which")

    def __init__(self, key: tuple[Any, ...]) -> None:
        self.key = key
        self.which, self.part = key[0], key[1:]
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
        at, passed = self.root, []
        while type(at) is _Branching:
            content = worlds[at.which].mark(at.part)
            passed.append((at, content))
            at = at.branches.get(content)
        return self._evaluate(worlds, passed) if at is None else at  # type: ignore[return-value]

    def _evaluate(
        self, worlds: tuple[World, ...], passed: list[tuple[_Branching, Any]]
    ) -> Judgement:
        self.evaluations += 1
        reads: list[tuple[Any, ...]]
        if len(worlds) == 1:
            log: list[tuple[tuple[Any, ...], Any]] = []
            wrong = self.judge(worlds[0].watched(log))
            reads = [(0, *key) for key, _ in log]
        else:
            reads = []
            watched = [world.watched(_Log(which, reads)) for which, world in enumerate(worlds)]
            wrong = self.judge(*watched)
        keys = tuple(dict.fromkeys(reads))
        made = Judgement(wrong, are_local(keys), keys)
        self._insert(worlds, keys, made, passed)
        return made

    def _insert(
        self,
        worlds: tuple[World, ...],
        keys: tuple[tuple[Any, ...], ...],
        made: Judgement,
        passed: list[tuple[_Branching, Any]],
    ) -> None:
        """Put a judgement below the branches passed on the way to where it was missing."""
        if tuple([at.key for at, _ in passed]) != keys[: len(passed)]:
            raise PropertyError(
                f"property {self.name} read other parts of equal worlds in two runs; "
                "it may depend on its worlds only"
            )
        below: _Branching | Judgement = made
        for key in reversed(keys[len(passed) :]):
            above = _Branching(key)
            above.branches[worlds[above.which].mark(above.part)] = below
            below = above
        if passed:
            at, content = passed[-1]
            at.branches[content] = below
        else:
            self.root = below
