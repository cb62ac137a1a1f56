"""Events with names of their own, and which of them a replica has seen: what causal types rest on.

**Source**: Bieniusa et al., INRIA RR-8083, 2012; Almeida, Shoker, Baquero, *Delta state replicated
data types*, JPDC 2018, section 7 (causal types: a dot store and a causal context).

A write is an event, its *dot* is (replica id, count). A replica keeps the dots whose writes are
still visible, each with its value, and a version vector of all dots ever seen. A dot that the
vector covers and that is not kept was overwritten or removed: a remove needs no tombstone.
"""

from __future__ import annotations

from collections.abc import Iterable
from reprlib import repr as short
from typing import Any, TypeAlias

from happysim.protocols.crdt import version_vector
from happysim.protocols.crdt.codec import Tagged, decode
from happysim.protocols.crdt.version_vector import VersionVector

Dot: TypeAlias = tuple[str, int]
Dots: TypeAlias = dict[Dot, Tagged]  # only such as the vector beside it covers
Packed: TypeAlias = tuple[tuple[Dot, Tagged], ...]


def covers(seen: VersionVector, dot: Dot) -> bool:
    """Whether an event has been seen, and may have been overwritten since."""
    replica, count = dot
    return count <= seen.get(replica, 0)


def new_dot(seen: VersionVector, replica: str) -> Dot:
    """The name of the next event of a replica, which has seen it then."""
    seen[replica] = seen.get(replica, 0) + 1
    return replica, seen[replica]


def join(mine: Dots, seen: VersionVector, theirs: Dots, their_seen: VersionVector) -> Dots:
    """What stays: kept by both, or kept by one and not yet seen by the other.

    Raises:
        ValueError: one dot names two values, so that two write under one replica id.
    """
    refuse_reused(mine, theirs)
    kept = {
        dot: tagged for dot, tagged in mine.items() if dot in theirs or not covers(their_seen, dot)
    }
    return kept | {dot: tagged for dot, tagged in theirs.items() if not covers(seen, dot)}


def leq(mine: Dots, seen: VersionVector, theirs: Dots, their_seen: VersionVector) -> bool:
    """Whether joining the first into the second would change nothing there."""
    return version_vector.leq(seen, their_seen) and all(
        mine.get(dot) == tagged for dot, tagged in theirs.items() if covers(seen, dot)
    )


def refuse_reused(mine: Dots, theirs: Dots) -> None:
    """Raise ValueError where a dot names two values."""
    for dot in sorted(mine.keys() & theirs.keys()):
        if mine[dot] != theirs[dot]:
            first, second = sorted((mine[dot], theirs[dot]))
            raise ValueError(
                f"dot {dot} names both the write of {short(decode(first))} and that of"
                f" {short(decode(second))}: two replicas write under the id {dot[0]!r}, or one"
                " forgot its state; give each writer its own id"
            )


def pack(dots: Dots) -> Packed:
    """The dots with their values, as an immutable value in order."""
    return tuple(sorted(dots.items()))


def unpack(packed: object, where: str) -> Dots:
    """The dots that were packed; `where` names the part of the state for the error.

    Raises:
        ValueError: `packed` is not a tuple of (dot, tagged value), each dot once.
    """
    found: Dots = {}
    for entry in packed if isinstance(packed, tuple) else (packed,):
        match entry:
            case (dot, tuple(tagged)):
                found[version_vector.unpack_entry(dot, where)] = tagged
                decode(tagged)
            case _:
                raise ValueError(f"{where} holds pairs (dot, tagged value), not {short(entry)}")
    if len(found) != len(packed):  # type: ignore[arg-type]
        raise ValueError(f"{where} has a dot twice: {short(packed)}")
    return found


# -- deltas --------------------------------------------------------------------------------------


def delta(
    before: Dots, seen_before: VersionVector, after: Dots, seen: VersionVector
) -> tuple[tuple[Dot, ...], Packed]:
    """What happened between two states of a replica: the dots it is about, and those now kept."""
    new = {
        (replica, count)
        for replica, last in seen.items()
        for count in range(seen_before.get(replica, 0) + 1, last + 1)
    }
    about = new | before.keys() - after.keys()
    return tuple(sorted(about)), pack({dot: after[dot] for dot in about & after.keys()})


def join_delta(mine: Dots, seen: VersionVector, about: Any, kept: Any) -> Dots | None:
    """The dots after a delta has been joined, and `seen` moved up; None where one before it lacks.

    A vector has no room for a gap. So a delta waits for those before it (the paper's causal
    delta-merging condition), or a whole state makes up for them.

    Raises:
        ValueError: the delta is malformed.
    """
    if not isinstance(about, tuple):
        raise ValueError(f"a delta is about a tuple of dots, not {short(about)}")
    context = {version_vector.unpack_entry(dot, "dots of a delta") for dot in about}
    theirs = unpack(kept, "values of a delta")
    if not theirs.keys() <= context:
        raise ValueError(f"a delta about {short(about)} keeps others: {short(kept)}")
    refuse_reused(mine, theirs)
    reached = dict(seen)
    for replica, count in sorted(context):
        if count > reached.get(replica, 0) + 1:
            return None
        reached[replica] = max(count, reached.get(replica, 0))
    stays = {dot: tagged for dot, tagged in mine.items() if dot in theirs or dot not in context}
    news = {dot: tagged for dot, tagged in theirs.items() if not covers(seen, dot)}
    version_vector.join(seen, reached)
    return stays | news


def of_value(dots: Dots, tagged: Tagged) -> Iterable[Dot]:
    """The dots of a value."""
    return [dot for dot, value in dots.items() if value == tagged]
