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

# Raised with each change of this file, or of what else Python uses of the native library: one that
# was built for another version is refused.
VERSION = 8


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

    @property
    def local(self) -> Local:
        """The same tables, for a kernel that keeps inboxes and cells itself."""

    @property
    def symmetry(self) -> Symmetry | None:
        """Which processes are interchangeable; None where none are."""


class Effect(Protocol):
    """One local step, whatever waits in the inbox; see `happysim.core.entries.Effect`."""

    @property
    def state(self) -> int: ...
    @property
    def own(self) -> tuple[int, ...]: ...
    @property
    def sends(self) -> tuple[tuple[int, int], ...]: ...
    @property
    def record(self) -> int: ...
    @property
    def cost(self) -> int: ...


class Local(Protocol):
    """Local transitions: what a kernel must ask that keeps inboxes and cells itself.

    An inbox is what `happysim.core.network` says it is, for each kind of network.
    """

    def network(self) -> tuple[str, int, int]:
        """The kind of network; what a drop and a duplicate cost, 0 where there are none."""

    def inside(self, slot: int, cell: int) -> tuple[int, tuple[Any, ...]]:
        """The local state and the inbox of a cell."""

    def cell(self, slot: int, state: int, inbox: tuple[Any, ...]) -> int:
        """The number of the cell with that content: what a judge and a path are told."""

    @property
    def forgetful(self) -> bool:
        """True where some messages are left out of inboxes; then ask `forgets`."""

    def forgets(self, slot: int, state: int, envelope: int) -> bool:
        """True where a message is left out of the inbox of a process in a local state."""

    def rank(self, envelope: int) -> tuple[int, str]:
        """The slot that sent a message, and its text: the order of messages in an inbox."""

    def batch(self, number: int) -> tuple[tuple[int, ...], int]:
        """The messages of a batch; or none, and the slot whose link is cut (else -1)."""

    def receives(self, slot: int, state: int) -> bool:
        """True where a process takes messages."""

    def delivery(self, slot: int, state: int, envelope: int) -> Sequence[Effect]:
        """What the delivery of a message does; nothing where that is no step."""

    def own(
        self, slot: int, state: int
    ) -> tuple[Sequence[Effect], Sequence[Effect], Sequence[bool]]:
        """The steps of a process by itself, the faults, and which of those break its links."""


class Symmetry(Protocol):
    """Which processes are interchangeable, and what exchanging two of them makes of each number.

    `sets` holds their slots, ascending. A *swap* exchanges two neighbours of a set; swaps are
    numbered from 0, set by set. An image under a swap is that of its kind: of a world, another
    world; of what a process holds, what the process holds that has changed places with it.
    """

    sets: tuple[tuple[int, ...], ...]

    def world(self, swap: int, numbers: Numbers) -> Numbers:
        """The image of a world; one whose history is -1 keeps that."""

    def ledger(self, swap: int, ledger: int) -> int:
        """The image of a ledger."""

    def history(self, swap: int, history: int) -> int:
        """The image of a history."""

    def sight(self, slot: int, cell: int, sought: int) -> int:
        """How a cell speaks of a process of a set, or of its own: a number of no other meaning.

        The same for any cell and process sought that some row of swaps turns into these.
        """

    # For a kernel that keeps inboxes and cells itself.

    def state(self, swap: int, slot: int, state: int) -> int:
        """The image of a local state."""

    def envelope(self, swap: int, number: int) -> int:
        """The image of a message."""

    def state_sight(self, slot: int, state: int, sought: int) -> int:
        """As `sight`, of a local state."""

    def envelope_sight(self, number: int, sought: int) -> int:
        """As `sight`, of a message and its receiver."""


# What a judge answers, as bits. LOCAL: the answer depends on the processes' local states and the
# history only. OUTSIDE: the world lies outside the bounds. DONE: nothing is left to find out.
# FOUND: some property was found broken or reached just now.
LOCAL, OUTSIDE, DONE, FOUND = 1, 2, 4, 8


class Judge(Protocol):
    """Properties, as a kernel sees them. Each call returns some of the bits above."""

    judges_steps: bool
    judges_quiescence: bool
    # False: no world is OUTSIDE. A kernel may take steps for granted then that lead to a world
    # which another way has met for certain.
    judges_bounds: bool

    def world(self, index: int, numbers: Numbers) -> int:
        """A new world; `index` is the place it will have if it is not OUTSIDE."""

    def step(self, index: int, before: Numbers, after: Numbers) -> int:
        """A step from the world at `index`. Only asked where `judges_steps`."""

    def quiescent(self, index: int, numbers: Numbers) -> int:
        """A world from which only faults lead on. Only asked where `judges_quiescence`."""

    def raised(self, index: int, slot: int, move: Any) -> int:
        """A handler raised in a step from the world at `index`."""

    # For a kernel that remembers answers itself, more finely than LOCAL tells: by part of a world.

    def reads(self) -> tuple[int, ...] | None:
        """The parts that the last answer of `world` or `step` depended on, in order of reading.

        None: on the whole world. What is read next depends only on what was found before.
        """

    def place(self, part: int) -> int:
        """Where a part of a world lies.

        Of `slots` processes, place `slot` is a cell, `slots` the ledger, `slots + 1` the history,
        `slots + 2 + slot` the local state in a cell. For a part of the world after a step: that,
        plus the number of such places, which is 2 * slots + 2.
        """

    def mark(self, part: int, number: int) -> int:
        """A part's content as a small number, where the number at its place is `number`."""


class Unfit(ValueError):
    """A checkpoint was read, but does not fit together."""


class Keeper(Protocol):
    """Who has checkpoints written: a kernel does so at `path`, `every` so many seconds.

    It also does so where a search ends early, but for `worlds`.
    """

    @property
    def path(self) -> str: ...
    @property
    def every(self) -> float: ...

    def head(self, worlds: int) -> bytes:
        """What to write first, for a search that has met so many worlds."""

    def kept(self, trouble: str) -> None:
        """A checkpoint was written, or could not be: what the system said."""


@dataclass(frozen=True)
class Plan:
    """How to search, and for how long; None is no limit. The first world has depth 1.

    Worlds leave a queue first in, first out, or last in, first out where `depth_first`.
    `partitions` says whether a delivery may ever be blocked, `histories` whether the history is
    part of a world. `threads` is how many may work at a time, None: as many as there are
    processors. It changes nothing that a search finds, and a kernel may use fewer.

    With `symmetric` worlds that differ only by which of some interchangeable processes is which are
    one: the first that is met is visited, judged and counted, and steps from it are counted.

    With `fingerprints` a kernel may tell worlds apart by 64 bits of hash; without `traces` it need
    not keep how a world was met, and `Exploration.path` is not to be asked for.

    With a folder `disk` a kernel may keep worlds there, breadth first, once all that it keeps of
    them takes more than `spill_bytes` of memory.

    `keeper` wants checkpoints; `resume` is the file of one, and where the kernel's part of it
    begins: one that does not fit together raises `Unfit`. Both breadth first only.
    """

    depth_first: bool = False
    partitions: bool = False
    histories: bool = True
    depth: int | None = None
    worlds: int | None = None
    seconds: float | None = None
    memory_mib: float | None = None
    threads: int | None = None
    fingerprints: bool = False
    traces: bool = True
    disk: str | None = None
    spill_bytes: int = 0
    keeper: Keeper | None = None
    resume: tuple[str, int] | None = None
    symmetric: bool = False


@dataclass
class Exploration:
    """What a search did, and how to get from a start to any world it found."""

    worlds: int = 0
    steps: int = 0
    depth: int = 0
    waiting: int = 0
    outside: bool = False
    depth_limited: bool = False
    # None: the queue ran empty. Else "worlds", "seconds", "memory", "disk full", "disk" (it could
    # not be written or read), "interrupt" or "done"; of searches that are not exhaustive, "runs" or
    # "schedule".
    stopped: str | None = None
    # What the system said where it took or gave no more.
    trouble: str = ""
    # Where worlds were told apart by their fingerprints: of how many bits.
    fingerprint_bits: int | None = None
    # Where worlds were told apart up to symmetry: how many there are of which one was visited.
    in_full: int | None = None
    path: Callable[[int], list[Numbers]] = field(default=lambda index: [], repr=False)

    @property
    def complete(self) -> bool:
        """True where every reachable world inside the bounds was visited."""
        return self.stopped is None and not self.depth_limited
