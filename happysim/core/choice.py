"""Choice: one thing that may happen next. Deliveries, timers and faults are one kind of thing."""

from __future__ import annotations

import enum
import math
import re
from dataclasses import dataclass, field
from functools import cached_property

from happysim.core.disk import LIES_KEPT, Atlas, budget_of
from happysim.core.errors import ScenarioError

unlimited = math.inf


class Kind(enum.StrEnum):
    """What a choice does. The value is the first word of its text."""

    DELIVER = "deliver"
    FIRE = "fire"
    ACT = "act"
    INVOKE = "invoke"
    START = "start"
    DROP = "drop"
    DUPLICATE = "duplicate"
    CRASH = "crash"
    RESTART = "restart"
    PARTITION = "partition"
    HEAL = "heal"
    FILL = "fill"
    FREE = "free"
    # What exists only where time passes. A search needs none of it: there, not choosing a step is
    # its delay, and any message may be lost by never being delivered.
    PAUSE = "pause"
    RESUME = "resume"
    SLOW = "slow"
    CUT = "cut"
    MEND = "mend"
    CLOG = "clog"
    RELEASE = "release"
    LINK = "link"
    CLOCK = "clock"
    DISK = "disk"

    @property
    def is_timed(self) -> bool:
        """True for what a simulation does and a search has no need of; a replay passes over it."""
        return self in _TIMED

    @property
    def is_fault(self) -> bool:
        """True for what costs budget: the environment does it, not the protocol."""
        return self in BUDGET_OF


# The budgets of `Faults`, in order, each with the kind of choice that it pays for. Where there are
# several of a kind, the first pays for every choice of it, and another besides for those in which
# that befalls the disk too.
BUDGETS = {
    "drops": Kind.DROP,
    "duplicates": Kind.DUPLICATE,
    "crashes": Kind.CRASH,
    "restarts": Kind.RESTART,
    "partitions": Kind.PARTITION,
    "heals": Kind.HEAL,
    "wipes": Kind.RESTART,
    "stales": Kind.RESTART,
    "tears": Kind.CRASH,
    "rots": Kind.RESTART,
    "misdirects": Kind.RESTART,
    "lies": Kind.CRASH,
    "fills": Kind.FILL,
    "frees": Kind.FREE,
}
BUDGET_OF = {kind: name for name, kind in reversed(BUDGETS.items())}
# What befalls a disk, with the budget of the crash or the restart in which it does.
DISK_BUDGETS = {name: BUDGET_OF[kind] for name, kind in BUDGETS.items() if BUDGET_OF[kind] != name}
# Budgets that a world tells by name, where it has any of them.
NAMED_BUDGETS = frozenset({*DISK_BUDGETS, "fills", "frees"})
# Kinds whose text is about a message between two processes, and those that name one process.
OF_MESSAGES = frozenset({Kind.DELIVER, Kind.DROP, Kind.DUPLICATE})
_TIMED_AT_A_PROCESS = frozenset({Kind.PAUSE, Kind.RESUME, Kind.SLOW, Kind.CLOCK, Kind.DISK})
_FAULTS_OF_PROCESSES = frozenset({Kind.CRASH, Kind.RESTART, Kind.FILL, Kind.FREE})
_OF_PROCESSES = _TIMED_AT_A_PROCESS | _FAULTS_OF_PROCESSES | {Kind.FIRE, Kind.ACT, Kind.START}
_TIMED = _TIMED_AT_A_PROCESS | {Kind.CUT, Kind.MEND, Kind.CLOG, Kind.RELEASE, Kind.LINK}
_KINDS = {kind.value: kind for kind in Kind}
# What stands at the end of a text. Text in quotes is passed over: a message may hold anything.
_QUOTED = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_READING = re.compile(_QUOTED + r"| reading (?P<told>(?:-?\d+|full)(?:, (?:-?\d+|full))*)$")
_CHOOSING = re.compile(_QUOTED + r"| choosing (?P<told>.*)$")


@dataclass(frozen=True)
class Choice:
    """One thing that may happen next, by content: `deliver c1 -> store Write(token=1)`.

    `node` is where it happens, `source` the sender of the message it is about, `what` that message,
    timer, action or split, `choosing` what the handler draws, `reading` what it finds on its clock,
    in nanoseconds, where there is one. Two choices of one world differ in their text, so the text
    of a choice names it, in another process and after a change of code. `at` is the nanosecond at
    which a simulation took it; it is no part of the choice.
    """

    kind: Kind
    node: str = ""
    source: str = ""
    what: str = ""
    choosing: str = ""
    reading: str = ""
    at: int | None = field(default=None, compare=False)

    @classmethod
    def parse(cls, text: str, at: int | None = None) -> Choice | None:
        """The choice of that text, at a nanosecond; None where it is the text of none."""
        word, _, body = text.partition(" ")
        kind = _KINDS.get(word)
        if kind is None:
            return None
        choosing = reading = ""
        if not kind.is_timed:
            body, reading = _split(body, _READING)
            body, choosing = _split(body, _CHOOSING)
        node = source = ""
        what = body
        if kind in OF_MESSAGES:
            source, _, behind = body.partition(" -> ")
            node, _, what = behind.partition(" ")
        elif kind is Kind.INVOKE:
            node, _, what = body.partition(" -> ")
        elif kind in _OF_PROCESSES:
            node, _, what = body.partition(" ")
        made = cls(kind, node, source, what, choosing, reading, at)
        return made if str(made) == text else None

    @property
    def is_fault(self) -> bool:
        """True where the choice costs budget."""
        return self.kind.is_fault

    @cached_property
    def budgets(self) -> tuple[str, ...]:
        """The budgets that pay for it, by name."""
        paid = [BUDGET_OF.get(self.kind, "")]
        if self.kind in (Kind.CRASH, Kind.RESTART):
            paid.append(budget_of(self.what))
        return tuple(name for name in paid if name)

    def __str__(self) -> str:
        return self._text

    @cached_property
    def _text(self) -> str:
        route = f"{self.source} -> {self.node}" if self.source else self.node
        words = [self.kind.value, route, self.what]
        if self.kind is Kind.INVOKE:
            words = [self.kind.value, self.node, "->", self.what]
        if self.choosing:
            words.append(f"choosing {self.choosing}")
        if self.reading:
            words.append(f"reading {self.reading}")
        return " ".join(word for word in words if word)


def _split(text: str, mark: re.Pattern[str]) -> tuple[str, str]:
    """A text up to a mark that stands in no quotes, and what the mark says."""
    found = next((each for each in mark.finditer(text) if each["told"] is not None), None)
    return (text, "") if found is None else (text[: found.start()], found["told"])


def _check_names(field: str, names: object) -> None:
    if not isinstance(names, tuple | list):
        raise ScenarioError(
            f"Faults({field}={names!r}): give a tuple of names there, such as ({names!r},)"
        )


@dataclass(frozen=True)
class Faults:
    """How often each fault may happen in one run: the budgets of a world.

    Each budget is a whole number, or `unlimited`. `restarts` is by default as large as `crashes`
    (and `fills`), `heals` as `partitions`, `frees` as `fills`. At most `down_max` nodes are down at
    a time. `crashable` names the nodes that may crash (default: all nodes). `splits` lists the
    partitions to try, each by the names on one side (default: every way to split the nodes in two);
    client scripts reach both sides. With `unsynced_loss` a crash may lose any suffix of the durable
    writes that a node made since its last `host.sync()`; a handler's writes count as one.

    The other budgets are of disks (see `happysim.core.disk` for the model): a crash may tear the
    first write that it loses (`tears`), or lose what was synced too (`lies`); at a restart the disk
    may be empty (`wipes`), show what it held before its last sync (`stales`), hold a record with
    another content (`rots`), or one that landed on another (`misdirects`). Each of them also costs
    the crash or the restart. With an `atlas`, a quorum of copies of each record stays whole.

    The disk of a node that may crash is full after a `fill`, until it is `free` again. Meanwhile
    `host.sync()` raises `DiskFull`, and what is not synced may be lost in a crash as ever
    (`unsynced_loss`). A handler that lets `DiskFull` out has done nothing since its last sync; all
    that its node does next is to crash, which costs nothing and is not held back by `down_max`.

    `upgrades` lists pairs of a node and a class that it may restart as: `(("n1", RaftV2),)`; of one
    node in that order, and never back. Durable fields are carried over by name, through a
    classmethod `migrate(fields)` where the class has one. A message that the class of a node does
    not handle is an error; with `ignores_unknown`, it is dropped.

    On an untimed unordered network a lost message is one that is never delivered: `drops` add no
    safety violation there, only worlds (and quiescent ones).
    """

    drops: float = 0
    duplicates: float = 0
    crashes: float = 0
    restarts: float | None = None
    partitions: float = 0
    heals: float | None = None
    down_max: float = unlimited
    crashable: tuple[str, ...] = ()
    splits: tuple[tuple[str, ...], ...] = ()
    unsynced_loss: bool = False
    wipes: float = 0
    stales: float = 0
    tears: float = 0
    rots: float = 0
    misdirects: float = 0
    lies: float = 0
    fills: float = 0
    frees: float | None = None
    atlas: Atlas | None = None
    upgrades: tuple[tuple[str, type], ...] = ()
    ignores_unknown: bool = False

    def __post_init__(self) -> None:
        for name in ("crashes", "fills"):
            self._check_budget(name)
        if self.restarts is None:
            object.__setattr__(self, "restarts", self.crashes + self.fills)
        if self.heals is None:
            object.__setattr__(self, "heals", self.partitions)
        if self.frees is None:
            object.__setattr__(self, "frees", self.fills)
        for name in (*BUDGETS, "down_max"):
            self._check_budget(name)
        for name, base in DISK_BUDGETS.items():
            if getattr(self, name) and not getattr(self, base):
                raise ScenarioError(
                    f"Faults({name}={getattr(self, name)!r}) takes {base} that it can happen in; "
                    f"give {base}= too"
                )
        if not isinstance(self.atlas, Atlas | None):
            raise ScenarioError(f"Faults(atlas={self.atlas!r}): write atlas=Atlas(quorum=2)")
        _check_names("crashable", self.crashable)
        if isinstance(self.splits, str):
            _check_names("splits", self.splits)
        for side in self.splits:
            _check_names("splits", side)

    def _check_budget(self, name: str) -> None:
        budget = getattr(self, name)
        whole = isinstance(budget, int) and not isinstance(budget, bool)
        if not (budget == unlimited or (whole and budget >= 0)):
            raise ScenarioError(
                f"Faults({name}={budget!r}): a budget is a whole number of at least 0, "
                "or happysim.unlimited"
            )

    @property
    def budgets(self) -> tuple[float, ...]:
        """The budgets, in the order of `BUDGETS`."""
        return tuple(getattr(self, name) for name in BUDGETS)

    @property
    def tracks_writes(self) -> bool:
        """True where a crash may lose writes that were not synced, in whole or in part."""
        return self.unsynced_loss or self.tears > 0

    @cached_property
    def spoil_disks(self) -> bool:
        """True where something may befall a disk, besides that writes are lost."""
        return any(getattr(self, name) for name in DISK_BUDGETS)

    @property
    def images_kept(self) -> int:
        """How many older synced images of each disk a fault may fall back to."""
        older = int(self.stales > 0 or self.misdirects > 0)
        return max(older, int(min(self.lies, LIES_KEPT)))

    @property
    def damages(self) -> bool:
        """True where records may be damaged."""
        return self.tears > 0 or self.rots > 0 or self.misdirects > 0
