"""How many events of each replica are known: a map from replica id to a count, joined by maximum.

A count of zero is never stored, so two vectors that mean the same are equal. The packed form is
a tuple of (replica id, count) pairs in order of replica id.
"""

from __future__ import annotations

from reprlib import repr as short
from typing import TypeAlias

VersionVector: TypeAlias = dict[str, int]
Packed: TypeAlias = tuple[tuple[str, int], ...]


def pack(vector: VersionVector) -> Packed:
    """The vector as an immutable value, equal for equal vectors."""
    return tuple(sorted(vector.items()))


def unpack(packed: object, where: str) -> VersionVector:
    """The vector that was packed; `where` names the part of the state for the error.

    Raises:
        ValueError: `packed` is not a tuple of (replica id, count >= 1) pairs.
    """
    if not isinstance(packed, tuple):
        raise ValueError(f"{where} is a tuple of (replica id, count) pairs, not {short(packed)}")
    return dict(unpack_entry(entry, where) for entry in packed)


def unpack_entry(entry: object, where: str) -> tuple[str, int]:
    """One (replica id, count) pair; it is also how a dot, the name of one event, is written.

    Raises:
        ValueError: `entry` is not such a pair.
    """
    match entry:
        case (str(replica), int(count)) if type(replica) is str and type(count) is int:
            if replica and count >= 1:
                return replica, count
    raise ValueError(f"{where} holds pairs (replica id, count >= 1), not {short(entry)}")


def join(mine: VersionVector, theirs: VersionVector) -> None:
    """Raise every count in `mine` to at least what it is in `theirs`."""
    for replica, count in theirs.items():
        mine[replica] = max(mine.get(replica, 0), count)


def leq(mine: VersionVector, theirs: VersionVector) -> bool:
    """Whether no count in `mine` is above the one in `theirs`."""
    return all(count <= theirs.get(replica, 0) for replica, count in mine.items())


def above(mine: VersionVector, theirs: VersionVector) -> VersionVector:
    """The counts in `mine` that are above those in `theirs`."""
    return {who: count for who, count in mine.items() if count > theirs.get(who, 0)}
