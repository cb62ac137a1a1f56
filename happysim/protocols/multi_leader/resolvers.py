"""What becomes of siblings: writes of one key of which neither had seen the other.

A resolver is a frozen dataclass with the two methods of `Resolver`. It is a field of every leader,
the same on all, and depends on the versions alone: so leaders that know the same say the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any, Protocol

from happysim.core.describe import describe
from happysim.core.freeze import freeze
from happysim.protocols.multi_leader.records import Version


class Resolver(Protocol):
    """Which siblings stay, and what a reader sees of them. Versions come in order of their dots."""

    def keep(self, versions: tuple[Version, ...]) -> tuple[Version, ...]:
        """Those that stay. Whatever it drops, it must drop wherever the one it stays for is known.

        So it picks by a total order of writes, in which a write is above all that it has seen.
        """

    def read(self, versions: tuple[Version, ...]) -> Any:
        """What a reader sees; hashable. No version, or tombstones alone: the key is not there."""


@dataclass(frozen=True)
class Siblings:
    """All stay. A reader gets a tuple of their values and is to write what becomes of them."""

    def keep(self, versions: tuple[Version, ...]) -> tuple[Version, ...]:
        """All of them."""
        return versions

    def read(self, versions: tuple[Version, ...]) -> Any:
        """The values, each once, in order of content."""
        return live_values(versions)


@dataclass(frozen=True)
class LastWriterWins:
    """The newest stays: the one with the largest timestamp, and of these the largest leader's."""

    def keep(self, versions: tuple[Version, ...]) -> tuple[Version, ...]:
        """The newest."""
        return tuple(sorted(versions, key=lambda each: (each.timestamp, each.dot))[-1:])

    def read(self, versions: tuple[Version, ...]) -> Any:
        """Its value; None where the key is not there."""
        return next(iter(live_values(versions)), None)


@dataclass(frozen=True)
class Merged:
    """All stay, and a reader sees their merge. Subclass it and write `merge`."""

    def merge(self, one: Any, other: Any) -> Any:
        """The merge of two values. Here: their union, for values that have one."""
        return one | other

    def keep(self, versions: tuple[Version, ...]) -> tuple[Version, ...]:
        """All of them."""
        return versions

    def read(self, versions: tuple[Version, ...]) -> Any:
        """The merge of all values, taken in order of content; None where the key is not there."""
        values = live_values(versions)
        return reduce(self.merge, values) if values else None


def live_values(versions: tuple[Version, ...]) -> tuple[Any, ...]:
    """The values of versions that are no tombstones, each once, in order of content."""
    found = {
        describe(freeze(version.value)): version.value
        for version in versions
        if not version.is_deleted
    }
    return tuple(found[text] for text in sorted(found))
