"""What a kernel is: the inner loop of an exhaustive search, over small integers only.

A world reaches the kernel as its numbers: one cell a process (`slots` of them), the ledger, the
history. The `Model` answers what may happen next; the `Judge` says which worlds matter. Neither
shows the kernel what a number stands for. Two kernels with one contract must agree on every count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

Numbers = tuple[int, ...]


class Move(Protocol):
    """One step of one process from one cell; see `happysim.core.tables.Move`."""

    @property
    def cell(self) -> int: ...
    @property
    def sends(self) -> tuple[tuple[int, int], ...]: ...
    @property
    def record(self) -> int: ...
    @property
    def cost(self) -> int: ...
    @property
    def source(self) -> int: ...


class Model(Protocol):
    """The tables of one world shape. Every answer is a function of the numbers given."""

    def moves(self, slot: int, cell: int) -> tuple[Sequence[Move], Sequence[Move]]:
        """The steps of a process in a cell: free ones, and those that a budget pays."""

    def state(self, slot: int, cell: int) -> int:
        """The number of the local state of a cell."""

    def put(self, slot: int, cell: int, batch: int) -> int:
        """The cell after a batch of messages arrived in its inbox."""

    def pay(self, ledger: int, cost: int) -> int:
        """The ledger after a fault; -1 where there is no budget."""

    def record(self, history: int, batch: int) -> int:
        """The history after a batch of records."""

    def ledger_moves(self, ledger: int) -> Sequence[int]:
        """The ledgers that a partition or a heal leads to."""

    def blocked(self, ledger: int, source: int, target: int) -> bool:
        """True where a partition holds back what `source` sent to `target`."""


# What a judge answers, as bits. LOCAL: the answer depends on the processes' local states and the
# history only. OUTSIDE: the world lies outside the bounds. DONE: nothing is left to find out.
LOCAL, OUTSIDE, DONE = 1, 2, 4


class Judge(Protocol):
    """Properties, as a kernel sees them. Each call returns bits of LOCAL, OUTSIDE, DONE."""

    judges_steps: bool
    judges_quiescence: bool

    def world(self, index: int, numbers: Numbers) -> int:
        """A new world; `index` is the place it will have if it is not OUTSIDE."""

    def step(self, index: int, before: Numbers, after: Numbers) -> int:
        """A step from the world at `index`. Only asked where `judges_steps`."""

    def quiescent(self, index: int, numbers: Numbers) -> int:
        """A world from which only faults lead on. Only asked where `judges_quiescence`."""

    def raised(self, index: int, slot: int, move: Any) -> int:
        """A handler raised in a step from the world at `index`."""


@dataclass(frozen=True)
class Plan:
    """How to search, and for how long; None is no limit. The first world has depth 1.

    Worlds leave a queue first in, first out, or last in, first out where `depth_first`.
    `partitions` says whether a delivery may ever be blocked, `histories` whether the history is
    part of a world.
    """

    depth_first: bool = False
    partitions: bool = False
    histories: bool = True
    depth: int | None = None
    worlds: int | None = None
    seconds: float | None = None
    memory_mib: float | None = None


@dataclass
class Exploration:
    """What a search did, and how to get from a start to any world it found."""

    worlds: int = 0
    steps: int = 0
    depth: int = 0
    waiting: int = 0
    outside: bool = False
    depth_limited: bool = False
    # None: the queue ran empty. Else "worlds", "seconds", "memory", "interrupt" or "done"; of
    # searches that are not exhaustive, "runs" or "schedule".
    stopped: str | None = None
    path: Callable[[int], list[Numbers]] = field(default=lambda index: [], repr=False)

    @property
    def complete(self) -> bool:
        """True where every reachable world inside the bounds was visited."""
        return self.stopped is None and not self.depth_limited
