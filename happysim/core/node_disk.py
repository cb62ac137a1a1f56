"""The disk of a node as part of its state: what a handler writes to it, and what may befall it.

`happysim.core.disk` says what a disk holds and how it fails; here is which of that the faults of a
world allow, and what it makes of the state of a node.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from happysim.core.choice import Faults
from happysim.core.disk import (
    Atlas,
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
from happysim.core.freeze import Frozen
from happysim.core.host import Site
from happysim.core.local_step import AT_RESTART, DOWN, NodeState
from happysim.core.node import Node


class NodeDisk:
    """The disk of one node: `names` are those of its durable fields, `made` what it began with."""

    def __init__(
        self, kind: type[Node], made_with: tuple[Frozen, ...], site: Site, faults: Faults
    ) -> None:
        self.made_with, self.site, self.faults = made_with, site, faults
        self.durable = kind.happysim_durable
        pairs = zip(kind.happysim_fields, self.durable, strict=True)
        self.names = tuple(name for name, keep in pairs if keep)
        self.made = Image(self._values(made_with))
        self.budgets = [name for name in AT_RESTART if getattr(faults, name)]
        # No fault looks at what was on the disk before: it is what the fields hold.
        self.is_plain = not (faults.tracks_writes or faults.images_kept or faults.damages)

    def image(self, state: NodeState) -> Image:
        """What is on the disk, if nothing written is lost."""
        return Image(self._values(state.fields), state.marks)

    def tracked(self, state: NodeState) -> NodeState:
        """The state with what faults need to know of its disk: it holds what it holds, synced."""
        if self.faults.images_kept and not state.synced:
            return state._replace(synced=(self.image(state),))
        return state

    def written(
        self, state: NodeState, fields: tuple[Frozen, ...], synced: Sequence[tuple[Frozen, ...]]
    ) -> NodeState:
        """The state after a handler that leaves these fields, and has synced those on its way."""
        faults, before = self.faults, self.image(state)
        now = self._image_after(before, fields)
        unsynced: tuple[Image, ...] = ()
        known = state.synced
        if faults.tracks_writes or faults.images_kept:
            images = [self._image_after(before, each) for each in synced]
            if faults.tracks_writes:
                unsynced = unsynced_after(state.unsynced, before, images, now)
            if faults.images_kept:
                known = synced_after(known, images, faults.images_kept)
        return state._replace(fields=fields, unsynced=unsynced, marks=now.marks, synced=known)

    def crashes(self, state: NodeState) -> Iterator[Mishap]:
        """What a crash may do: how many unsynced writes it loses, or more."""
        faults = self.faults
        lost = len(state.unsynced) if faults.unsynced_loss else 0
        yield from (Mishap("crashes", losing) for losing in range(lost + 1))
        if faults.tears:
            # A torn record was never confirmed, so no quorum counts on its copy.
            yield from tears(self.names, state.unsynced, self.image(state))
        if faults.lies:
            yield from filter(self._in_atlas, lies(state.synced))

    def crashed(self, state: NodeState, mishap: Mishap) -> NodeState:
        """The node once it is down."""
        now = self.image(state)
        image = crashed(self.names, state.unsynced, state.synced, now, mishap)
        synced = state.synced
        if self.faults.images_kept:
            # What the crash has left is what is on the disk, synced or not.
            if mishap.budget == "lies":
                synced = synced[: -mishap.losing]
            synced = synced_after(synced, [image], self.faults.images_kept)
        return self._holding(state, image)._replace(status=DOWN, timers=(), synced=synced)

    def restarts(self, state: NodeState) -> Iterator[Mishap]:
        """How the disk may be other at a restart than the crash has left it."""
        if self.budgets:
            now = self.image(state)
            found = restarts(self.names, state.synced, now, self.made, self.budgets)
            yield from filter(self._in_atlas, found)

    def restarted(self, state: NodeState, mishap: Mishap) -> NodeState:
        """The node, still down, with what is found on the disk."""
        image = restarted(self.names, state.synced, self.image(state), self.made, mishap)
        synced = state.synced
        if self.faults.images_kept:
            synced = synced_after_restart(synced, image, mishap)
        return self._holding(state, image)._replace(synced=synced)

    def _in_atlas(self, mishap: Mishap) -> bool:
        return in_atlas(self.faults.atlas, self.site, mishap)

    def _image_after(self, before: Image, fields: tuple[Frozen, ...]) -> Image:
        values = self._values(fields)
        return Image(values, kept_marks(self.names, before, values))

    def _holding(self, state: NodeState, image: Image) -> NodeState:
        """A node that holds what is on this disk, and is else as it was made."""
        values = iter(image.values)
        fields = tuple(
            next(values) if keep else made
            for keep, made in zip(self.durable, self.made_with, strict=True)
        )
        return state._replace(fields=fields, unsynced=(), marks=image.marks)

    def _values(self, fields: tuple[Frozen, ...]) -> tuple[Frozen, ...]:
        return tuple(field for field, keep in zip(fields, self.durable, strict=True) if keep)


def in_atlas(atlas: Atlas | None, site: Site, mishap: Mishap) -> bool:
    """True where an atlas allows this to befall the disk of the node at a site."""
    if atlas is None:
        return True
    nodes = (site.name, *site.peers)
    touched = [each for each in (mishap.address, mishap.other) if each] or [""]
    return all(atlas.allows(site.name, nodes, address) for address in touched)
