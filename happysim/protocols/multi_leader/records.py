"""What a leader keeps of a key: the versions that no known write has overwritten, and all it saw.

**Source**: Preguiça, Baquero, Almeida, Fonte, Gonçalves, *Brief announcement: efficient causality
tracking in distributed storage systems with dotted version vectors*, PODC 2012.

Every write has a name of its own, its *dot*: (leader, count). A version vector of all dots ever
seen stands beside the versions. A dot that it covers and that is no version was overwritten, so an
old copy of it does not come back. Two writes of which neither had seen the other are siblings.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

Dot: TypeAlias = tuple[str, int]
# A version vector, as an immutable value: (leader, how many of its writes were seen), in order.
Context: TypeAlias = tuple[Dot, ...]


@dataclass(frozen=True)
class Version:
    """One write. `is_deleted` marks a tombstone: the write took the key away."""

    dot: Dot
    timestamp: int
    value: Any
    is_deleted: bool = False


@dataclass(frozen=True)
class Record:
    """The versions of a key, in order of their dots, and the context that they are read with."""

    seen: Context = ()
    versions: tuple[Version, ...] = ()


NOTHING = Record()


def covers(seen: Context, dot: Dot) -> bool:
    """Whether a write has been seen."""
    leader, count = dot
    return count <= dict(seen).get(leader, 0)


def has_seen(seen: Context, other: Context) -> bool:
    """Whether all writes of another context have been seen."""
    return all(covers(seen, dot) for dot in other)


def both(one: Context, other: Iterable[Dot]) -> Context:
    """The context of what either has seen."""
    counts = dict(one)
    for leader, count in other:
        counts[leader] = max(count, counts.get(leader, 0))
    return tuple(sorted(counts.items()))


def joined(one: Record, other: Record) -> Record:
    """The record that knows what both know; the same in whatever order records are joined."""
    kept = {
        version.dot: version
        for mine, theirs in ((one, other), (other, one))
        for version in mine.versions
        if version in theirs.versions or not covers(theirs.seen, version.dot)
    }
    return Record(both(one.seen, other.seen), tuple(kept[dot] for dot in sorted(kept)))


def written(record: Record, version: Version, context: Context) -> Record:
    """The record after a write that has seen `context`: what that does not cover stays."""
    left = [each for each in record.versions if not covers(context, each.dot)]
    versions = sorted((*left, version), key=lambda each: each.dot)
    return Record(both(record.seen, (*context, version.dot)), tuple(versions))
