"""What the tables hold: each kind of entry is a few small numbers; and how values are numbered."""

from __future__ import annotations

from typing import Any, NamedTuple

from happysim.core.choice import BUDGETS, DISK_BUDGETS, Choice, Kind
from happysim.core.freeze import Frozen
from happysim.core.local_step import Raised
from happysim.core.network import Inbox
from happysim.core.script import Operation

# How a node's being up or down is called among its fields; no field can have this name.
STATUS = "(status)"
# So is whether its disk is full.
DISK = "(disk)"
# So are the records of its disk that are damaged, and the older images of it.
DAMAGE, SYNCED = "(damage)", "(synced)"

# What a move costs: the index of a budget in Faults.budgets, plus one.
FREE, DROP, DUPLICATE, CRASH, RESTART, PARTITION, HEAL = range(7)
COSTS = {name: at for at, name in enumerate(BUDGETS, 1)}
# What else a cost pays: the crash or the restart in which a disk fault happens.
BASE = {COSTS[name]: COSTS[base] for name, base in DISK_BUDGETS.items()}
# The crash of a node that lets out that its disk is full: no budget pays for it.
FAIL = len(BUDGETS) + 1
CRASHES, RESTARTS = (
    frozenset(COSTS[name] for name, kind in BUDGETS.items() if kind is befalling)
    for befalling in (Kind.CRASH, Kind.RESTART)
)
NOWHERE = -1


class Envelope(NamedTuple):
    """A message on its way. `source` and `target` are slots of processes."""

    source: int
    target: int
    message: Frozen
    operation: Operation | None
    text: str


class Move(NamedTuple):
    """One step that a process can take from one cell.

    `cell` is its own next cell (-1: the handler raised), `sends` the (slot, batch) put into other
    inboxes, `record` a batch of history records (0: none), `cost` which budget pays (0: none),
    `source` the slot that a delivery comes from (-1: no delivery). The rest is for people.
    """

    cell: int
    sends: tuple[tuple[int, int], ...]
    record: int
    cost: int
    source: int
    choice: Choice
    raised: Raised | None = None


class Effect(NamedTuple):
    """What a local step does, in numbers, whatever waits in the inbox: what a handler call yields.

    `state` is the next local state (-1: the handler raised), `own` the messages sent to the process
    itself, `idle` says that nothing changed and nothing was sent. The rest is as in `Move`.
    """

    state: int
    own: tuple[int, ...]
    sends: tuple[tuple[int, int], ...]
    record: int
    cost: int
    choice: Choice
    raised: Raised | None
    idle: bool


class Cell(NamedTuple):
    """A process's local state (a number) and its inbox."""

    state: int
    inbox: Inbox


class Ledger(NamedTuple):
    """Faults left, nodes down, and the side of the network that is cut off (empty: none)."""

    budgets: tuple[float, ...]
    down: int = 0
    cut: frozenset[int] = frozenset()


class Numbering:
    """Values numbered in order of first sight."""

    __slots__ = ("_numbers", "values")

    def __init__(self, *first: Any) -> None:
        self.values: list[Any] = []
        self._numbers: dict[Any, int] = {}
        for value in first:
            self.number(value)

    def number(self, value: Any) -> int:
        """The number of a value: the same for equal values."""
        # One look-up also for a new value: what is numbered here takes long to hash.
        values = self.values
        known = self._numbers.setdefault(value, len(values))
        if known == len(values):
            values.append(value)
        return known

    def __len__(self) -> int:
        return len(self.values)
