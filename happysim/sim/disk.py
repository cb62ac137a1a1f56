"""Disks of live nodes: what was written, what was synced, and how a disk fails.

The model is that of `happysim.core.disk`, which searches use as well: records with checksums,
writes that are not safe before `host.sync()`, and what may befall them. Here is what takes time or
chance: how long a sync takes, when a disk is full or lies, and what a crash takes, which is drawn.

A node has a simulated disk where a run has a policy of disks or a fault of a disk. Elsewhere a sync
costs nothing and nothing is remembered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import is_
from typing import TYPE_CHECKING, Any, get_args, get_origin

from happysim.core.disk import (
    LIES_KEPT,
    Image,
    Mishap,
    crashed,
    kept_marks,
    lies,
    restarted,
    restarts,
    synced_after,
    synced_after_restart,
    tears,
    unsynced_after,
)
from happysim.core.errors import ScenarioError
from happysim.core.freeze import Frozen, freeze, thaw
from happysim.core.local_step import AT_RESTART, NodeState
from happysim.core.node_disk import in_atlas
from happysim.core.prng import Random
from happysim.sim.agenda import ns_of
from happysim.sim.values import SHARED, hints_of, promise_of

if TYPE_CHECKING:
    from happysim.sim.live import LiveNode


@dataclass(frozen=True)
class Disk:
    """How disks behave all through a run: `Simulation(world, disks=Disk(loses_unsynced=True))`.

    With `loses_unsynced` a crash loses any suffix of the writes since the last sync, with `tears`
    the first write that it loses may be half there. A sync takes `sync_seconds`, or a draw from
    that range; the node is busy until then, and what it sends afterwards leaves later.
    """

    loses_unsynced: bool = False
    tears: bool = False
    sync_seconds: float | tuple[float, float] = 0.0

    def __post_init__(self) -> None:
        given = self.sync_seconds
        low, high = given if isinstance(given, tuple) else (given, given)
        if not 0 <= low <= high < float("inf"):
            raise ScenarioError(
                f"Disk(sync_seconds={given!r}): give seconds, or a range (low, high) of them"
            )


def check_disk(given: object) -> Disk:
    """The policy given. Raises `ScenarioError` where it is none."""
    if not isinstance(given, Disk):
        raise ScenarioError(f"disks={given!r}: write disks=Disk(...), or disks={{name: Disk(...)}}")
    return given


class LiveDisk:
    """The disk of one live node. Faults that overlap are counted: each ends by itself."""

    def __init__(self, live: LiveNode, policy: Disk, random: Random) -> None:
        self.live, self.random = live, random
        self.losing, self.tearing = int(policy.loses_unsynced), int(policy.tears)
        self.lying = self.full = 0
        # Ranges of nanoseconds; a sync takes a draw from each.
        self.delays: list[tuple[int, int]] = []
        if policy.sync_seconds:
            self.slow(policy.sync_seconds)
        faults = live.process.faults
        self._keeps = faults.images_kept or LIES_KEPT
        # How many of the images that were synced last were never written.
        self._lied = 0
        self._unsynced: tuple[Image, ...] = ()
        self._synced: tuple[Image, ...] = ()
        # Images that the handler which is running has synced, and whether the disk lied.
        self._pending: list[Image] = []
        self.meet()
        self.adopt(live.process.initial())

    # -- whose disk it is ------------------------------------------------------------------------

    def meet(self) -> None:
        """Learn the durable fields of the node's class."""
        kind = self.live.kind
        pairs = zip(kind.happysim_fields, kind.happysim_durable, strict=True)
        self.names = tuple(name for name, keep in pairs if keep)
        hints = hints_of(kind)
        self._readers = [(name, _reader(hints.get(name, Any))) for name in self.names]

    def adopt(self, state: NodeState) -> None:
        """Hold what a node of a search holds; what that does not remember counts as synced."""
        durable = self.live.kind.happysim_durable
        values = tuple(f for f, keep in zip(state.fields, durable, strict=True) if keep)
        self._now = Image(values, state.marks)
        self._unsynced = state.unsynced
        self._synced = state.synced or (self._now,)

    @property
    def marks(self) -> tuple[Any, ...]:
        """The damaged records."""
        return self._now.marks

    # -- what a handler does ---------------------------------------------------------------------

    def slow(self, seconds: float | tuple[float, float]) -> tuple[int, int]:
        """Let syncs take so much longer; returns what `quicken` takes back."""
        low, high = seconds if isinstance(seconds, tuple) else (seconds, seconds)
        delay = ns_of(low), ns_of(high)
        self.delays.append(delay)
        return delay

    def quicken(self, delay: tuple[int, int]) -> None:
        """Let syncs take that much less again."""
        self.delays.remove(delay)

    def sync(self) -> int:
        """A handler syncs; returns how many nanoseconds that takes."""
        self._pending.append(self._read())
        return sum(low + self.random.below(high - low + 1) for low, high in self.delays)

    def undo(self) -> None:
        """A handler let out that the disk is full: its node holds what is on the disk."""
        self._put(self._pending[-1] if self._pending else self._now)

    def written(self) -> None:
        """A handler is done: note what it has written."""
        before, pending = self._now, self._pending
        now = self._read()
        if now.values == before.values and not pending:
            return
        self._unsynced = unsynced_after(self._unsynced, before, pending, now)
        if pending:
            known = self._synced
            self._synced = synced_after(known, pending, self._keeps)
            if not self.lying:
                self._lied = 0
            elif self._synced is not known:
                self._lied += 1
            self._pending = []
        self._now = now

    def _read(self) -> Image:
        node = self.live.values
        values = tuple(reader(node[name]) for name, reader in self._readers)
        return Image(values, kept_marks(self.names, self._now, values))

    def _put(self, image: Image) -> None:
        for name, frozen in zip(self.names, image.values, strict=True):
            self.live.values[name] = thaw(frozen)

    # -- crashes and restarts --------------------------------------------------------------------

    @property
    def is_syncing(self) -> bool:
        """True from a sync to the end of its handler."""
        return bool(self._pending)

    def crashes(self) -> list[Mishap]:
        """What a crash may take, by what was written and synced."""
        lost = [Mishap("crashes", number + 1) for number in range(len(self._unsynced))]
        return [*lost, *tears(self.names, self._unsynced, self._now), *lies(self._synced)]

    def crash(self, told: str | None = None) -> Mishap | None:
        """The node crashes: draw what that takes, and let its fields hold the rest.

        Where `told`, it takes that, one of `crashes()` by its text; nothing where that is empty.
        """
        if told is None:
            mishap = self._drawn_crash()
        else:
            mishap = next((each for each in self.crashes() if each.text == told), None)
        if mishap is not None:
            synced = self._synced
            image = crashed(self.names, self._unsynced, synced, self._now, mishap)
            if mishap.budget == "lies":
                self._synced = synced[: -mishap.losing]
            self._now = image
            self._put(image)
        self._synced = synced_after(self._synced, [self._now], self._keeps)
        self._unsynced, self._pending, self._lied = (), [], 0
        return mishap

    def _drawn_crash(self) -> Mishap | None:
        lied = min(self._lied, len(self._synced) - 1)
        if lied:
            return Mishap("lies", 1 + self.random.below(lied))
        losing = self.random.below(len(self._unsynced) + 1) if self.losing else 0
        if self.tearing:
            torn = list(tears(self.names, self._unsynced, self._now))
            torn = [each for each in torn if each.losing == losing or not self.losing]
            # As likely as not, where there is a write to be cut short.
            if torn and self.random.below(2):
                return self.random.choice(torn)
        return Mishap("crashes", losing) if losing else None

    def restarts(self, budget: str = "", address: str = "") -> list[Mishap]:
        """What may befall the disk at a restart, of one kind and at one address where given."""
        made = self.live.process.disk.made
        budgets = (budget,) if budget else AT_RESTART
        found = restarts(self.names, self._synced, self._now, made, budgets)
        return [each for each in found if address in ("", each.address)]

    def may(self, budget: str, address: str, atlas: Any) -> list[Mishap]:
        """As `restarts`, and allowed by an atlas, and by the one of the world."""
        process = self.live.process
        return [
            each
            for each in self.restarts(budget, address)
            if in_atlas(atlas, process.site, each)
            and in_atlas(process.faults.atlas, process.site, each)
        ]

    def restart(self, mishap: Mishap) -> None:
        """The disk is found otherwise than the crash has left it."""
        made, synced = self.live.process.disk.made, self._synced
        self._now = restarted(self.names, synced, self._now, made, mishap)
        self._synced = synced_after_restart(synced, self._now, mishap)
        self._put(self._now)


# -- content of fields ---------------------------------------------------------------------------


def _reader(hint: Any) -> Callable[[Any], Frozen]:
    """How to take the content of a durable field again and again."""
    inner = get_args(hint)
    if get_origin(hint) is list and len(inner) == 1 and promise_of(inner[0]) == SHARED:
        return _Log().read
    return freeze


class _Log:
    """The content of a list whose entries never change: only those that are new are looked at."""

    __slots__ = ("_frozen", "_seen")

    def __init__(self) -> None:
        self._seen: list[Any] = []
        self._frozen: tuple[Any, ...] = (list,)

    def read(self, value: Any) -> Frozen:
        if type(value) is not list:
            return freeze(value)
        seen = self._seen
        same = len(value) >= len(seen) and all(map(is_, seen, value))
        if not same:
            self._frozen = (list, *[freeze(each) for each in value])
        elif len(value) > len(seen):
            self._frozen = (*self._frozen, *[freeze(each) for each in value[len(seen) :]])
        self._seen = value[:]
        return self._frozen
