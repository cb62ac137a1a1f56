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
from typing import Any, ClassVar, Self

from happysim.protocols.crdt import dots, version_vector
from happysim.protocols.crdt.codec import Tagged, Value, decode, encode
from happysim.protocols.crdt.dots import Dot, Dots
from happysim.protocols.crdt.replica import Replica, State
from happysim.protocols.crdt.version_vector import VersionVector


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
        self._dots: Dots = {}  # only dots that `_seen` covers

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
        self._dots[dots.new_dot(self._seen, self.replica)] = tagged

    def add_delta(self, element: Value) -> State:
        """`add`, and what changed, for `merge_delta`. Raises: as `add`."""
        return self._changed_by(lambda: self.add(element))

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

    def remove_delta(self, element: Value) -> State:
        """`remove`, and what changed, for `merge_delta`. Raises: as `remove`."""
        return self._changed_by(lambda: self.remove(element))

    def discard_delta(self, element: Value) -> State:
        """`discard`, and what changed, for `merge_delta`. Raises: as `discard`."""
        return self._changed_by(lambda: self.discard(element))

    def _drop(self, tagged: Tagged) -> None:
        for dot in dots.of_value(self._dots, tagged):
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
        elements = ((tagged, tuple(sorted(each))) for tagged, each in sorted(dots_of.items()))
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
            case (tagged, tuple(listed)) if listed:
                decode(tagged)
            case _:
                raise ValueError(
                    "elements of an ORSet state holds pairs (tagged element, (dot, ...)), not"
                    f" {short(entry)}"
                )
        for raw in listed:
            dot = version_vector.unpack_entry(raw, "dots of an ORSet state")
            if dot in self._dots or not dots.covers(self._seen, dot):
                raise ValueError(f"dot {dot} of an ORSet state is there twice or not in seen")
            self._dots[dot] = tagged

    def _join(self, other: Self) -> None:
        self._dots = dots.join(self._dots, self._seen, other._dots, other._seen)
        version_vector.join(self._seen, other._seen)

    def _leq(self, other: Self) -> bool:
        return dots.leq(self._dots, self._seen, other._dots, other._seen)

    def _delta(self, before: Self) -> State:
        return dots.delta(before._dots, before._seen, self._dots, self._seen)

    def _join_delta(self, parts: State) -> bool:
        joined = dots.join_delta(self._dots, self._seen, *parts)
        if joined is None:
            return False
        self._dots = joined
        return True

    def __repr__(self) -> str:
        elements = ", ".join(repr(element) for element in self)
        return f"{type(self).__name__}({self.replica!r}, elements=[{elements}])"
