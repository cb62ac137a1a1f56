"""A set in which a remove takes away what it saw, and an add that it did not see survives.

**Source**: Bieniusa, Zawirski, Preguiça, Shapiro, Baquero, Balegas, Duarte, *An optimized
conflict-free replicated set*, INRIA RR-8083, 2012 (the set without tombstones); its readers see the
OR-Set of Shapiro et al. 2011, section 3.3.
**Assumes**: one writer per replica id (see `replica.py`).
**Deviates**: an add replaces every dot of its element seen here, the paper's only those of the
same replica. A remove that saw the new dot had seen the old ones too, so readers cannot tell, and
states stay smaller.

Every add is an event with a name of its own, its *dot*: (replica id, count). The state keeps the
dots of the elements that are in, and a version vector of all dots ever seen. A dot covered by the
vector and not kept was removed: that is how a remove is part of the state without a tombstone.
"""

from __future__ import annotations

from collections.abc import Iterator
from reprlib import repr as short
from typing import Any, ClassVar, Self, TypeAlias

from happysim.protocols.crdt import version_vector
from happysim.protocols.crdt.codec import Tagged, Value, decode, encode
from happysim.protocols.crdt.replica import Replica, State
from happysim.protocols.crdt.version_vector import VersionVector

Dot: TypeAlias = tuple[str, int]


class ORSet(Replica):
    """An add-wins set of values of the types that `codec.Value` lists.

    Elements are told apart by type and value: `1`, `True`, `1.0` and `"1"` are four elements.
    State: `("ORSet", version vector, ((tagged element, (dot, ...)), ...))`.
    """

    KIND: ClassVar[str] = "ORSet"
    PARTS: ClassVar[tuple[str, ...]] = ("seen", "elements")

    def __init__(self, replica: str) -> None:
        super().__init__(replica)
        self._seen: VersionVector = {}
        self._dots: dict[Dot, Tagged] = {}  # only dots that `_seen` covers

    @property
    def value(self) -> frozenset[Any]:
        """The elements as a frozenset, in which Python takes 1, True and 1.0 for one.

        Iterate over the replica to get every element.
        """
        return frozenset(self)

    def add(self, element: Value) -> None:
        """Put `element` in. Of one already in this is news too: it survives an unseen remove.

        Raises:
            TypeError: `element` is not a `codec.Value`.
        """
        tagged = encode(element)
        self._drop(tagged)
        count = self._seen.get(self.replica, 0) + 1
        self._seen[self.replica] = count
        self._dots[self.replica, count] = tagged

    def remove(self, element: Value) -> None:
        """Take `element` out, as far as it was seen here.

        Raises:
            KeyError: it is not in; `discard` does not mind.
            TypeError: `element` is not a `codec.Value`.
        """
        if element not in self:
            raise KeyError(element)
        self.discard(element)

    def discard(self, element: Value) -> None:
        """Take `element` out, as far as it was seen here, if it is in. Raises: as `add`."""
        self._drop(encode(element))

    def _drop(self, tagged: Tagged) -> None:
        for dot in [dot for dot, element in self._dots.items() if element == tagged]:
            del self._dots[dot]

    def __contains__(self, element: Value) -> bool:
        return encode(element) in self._dots.values()

    def __len__(self) -> int:
        return len(set(self._dots.values()))

    def __iter__(self) -> Iterator[Any]:
        """The elements, by type name and then by value (floats and bytes by their hex digits).

        The order depends on nothing but the elements. Adding or removing meanwhile is safe and
        does not change what is iterated.
        """
        return (decode(tagged) for tagged in sorted(set(self._dots.values())))

    def _parts(self) -> State:
        dots_of: dict[Tagged, list[Dot]] = {}
        for dot, tagged in self._dots.items():
            dots_of.setdefault(tagged, []).append(dot)
        elements = ((tagged, tuple(sorted(dots))) for tagged, dots in sorted(dots_of.items()))
        return (version_vector.pack(self._seen), tuple(elements))

    def _load(self, parts: State) -> None:
        seen, elements = parts
        self._seen = version_vector.unpack(seen, "seen of an ORSet state")
        if not isinstance(elements, tuple):
            raise ValueError(f"elements of an ORSet state is a tuple, not {short(elements)}")
        self._dots = {}
        for entry in elements:
            self._load_element(entry)

    def _load_element(self, entry: Any) -> None:
        match entry:
            case (tagged, tuple(dots)) if dots:
                decode(tagged)
            case _:
                raise ValueError(
                    "elements of an ORSet state holds pairs (tagged element, (dot, ...)), not"
                    f" {short(entry)}"
                )
        for raw in dots:
            dot = version_vector.unpack_entry(raw, "dots of an ORSet state")
            if dot in self._dots or not self._covers(dot):
                raise ValueError(f"dot {dot} of an ORSet state is there twice or not in seen")
            self._dots[dot] = tagged

    def _covers(self, dot: Dot) -> bool:
        replica, count = dot
        return count <= self._seen.get(replica, 0)

    def _join(self, other: Self) -> None:
        for dot in sorted(self._dots.keys() & other._dots.keys()):
            self._refuse_reused(dot, other)
        # What stays was kept by both, or kept by one and not yet seen by the other.
        kept = {
            dot: tagged
            for dot, tagged in self._dots.items()
            if dot in other._dots or not other._covers(dot)
        }
        for dot, tagged in other._dots.items():
            if not self._covers(dot):
                kept[dot] = tagged
        self._dots = kept
        version_vector.join(self._seen, other._seen)

    def _refuse_reused(self, dot: Dot, other: Self) -> None:
        mine, theirs = self._dots[dot], other._dots[dot]
        if mine != theirs:
            first, second = sorted((mine, theirs))
            raise ValueError(
                f"dot {dot} names both the add of {short(decode(first))} and that of"
                f" {short(decode(second))}: two sets write under replica id {dot[0]!r}, or one"
                " forgot its state; give each writer its own id"
            )

    def _leq(self, other: Self) -> bool:
        return version_vector.leq(self._seen, other._seen) and all(
            self._dots.get(dot) == tagged
            for dot, tagged in other._dots.items()
            if self._covers(dot)
        )

    def __repr__(self) -> str:
        elements = ", ".join(repr(element) for element in self)
        return f"{type(self).__name__}({self.replica!r}, elements=[{elements}])"
