"""Sets whose iteration order is a function of what they hold.

A built-in set iterates in an order that depends on the hash seed of the process. A handler that
sends one message per element would send them in another order in the next process. The sets that
a handler finds in its fields and messages iterate in order of content instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Set
from typing import Any


def in_order(elements: Iterable[Any], text: Callable[[Any], str]) -> list[Any]:
    """The elements in an order that depends on their content only."""
    found = list(elements)
    if len(found) < 2:
        return found
    kinds = set(map(type, found))
    if len(kinds) == 1 and kinds <= _COMPARABLE:
        found.sort()
    else:
        found.sort(key=text)
    return found


# Elements of one of these classes have an order of their own.
_COMPARABLE = frozenset({str, int, bytes})


class _Ordering:
    """How the two classes below put their elements in order; set once, by `freeze`."""

    text: Callable[[Any], str] = staticmethod(repr)


def set_ordering(text: Callable[[Any], str]) -> None:
    """Let both classes order elements of mixed types by `text(element)`."""
    _Ordering.text = staticmethod(text)


class StableSet(set[Any]):
    """A set that iterates, prints and pops in order of content."""

    __slots__ = ()
    __hash__ = None

    def __iter__(self) -> Iterator[Any]:
        return iter(in_order(set.__iter__(self), _Ordering.text))

    def __repr__(self) -> str:
        return f"{{{', '.join(map(repr, self))}}}" if self else "set()"

    def pop(self) -> Any:
        """Remove and return the first element in order of content."""
        for element in self:
            self.remove(element)
            return element
        raise KeyError("pop from an empty set")

    def copy(self) -> StableSet:
        return StableSet(self)

    def union(self, *others: Iterable[Any]) -> StableSet:
        return StableSet(set.union(self, *others))

    def intersection(self, *others: Iterable[Any]) -> StableSet:
        return StableSet(set.intersection(self, *others))

    def difference(self, *others: Iterable[Any]) -> StableSet:
        return StableSet(set.difference(self, *others))

    def symmetric_difference(self, other: Iterable[Any]) -> StableSet:
        return StableSet(set.symmetric_difference(self, other))

    def __or__(self, other: Set[Any]) -> StableSet:
        return StableSet(set.__or__(self, other))

    def __and__(self, other: Set[Any]) -> StableSet:
        return StableSet(set.__and__(self, other))

    def __sub__(self, other: Set[Any]) -> StableSet:
        return StableSet(set.__sub__(self, other))

    def __xor__(self, other: Set[Any]) -> StableSet:
        return StableSet(set.__xor__(self, other))

    __ror__ = __or__
    __rand__ = __and__
    __rxor__ = __xor__


class StableFrozenSet(frozenset[Any]):
    """A frozenset that iterates and prints in order of content."""

    # Its elements in order, once they were asked for.
    __slots__ = ("_order",)
    __hash__ = frozenset.__hash__
    _order: list[Any]

    def __iter__(self) -> Iterator[Any]:
        try:
            return iter(self._order)
        except AttributeError:
            self._order = in_order(frozenset.__iter__(self), _Ordering.text)
            return iter(self._order)

    def __reduce__(self) -> tuple[type, tuple[list[Any]]]:
        return StableFrozenSet, (list(self),)

    def __repr__(self) -> str:
        return f"frozenset({{{', '.join(map(repr, self))}}})" if self else "frozenset()"

    def __eq__(self, other: object) -> bool:
        return frozenset.__eq__(self, other)

    def __or__(self, other: Set[Any]) -> StableFrozenSet:
        return StableFrozenSet(frozenset.__or__(self, other))

    def __and__(self, other: Set[Any]) -> StableFrozenSet:
        return StableFrozenSet(frozenset.__and__(self, other))

    def __sub__(self, other: Set[Any]) -> StableFrozenSet:
        return StableFrozenSet(frozenset.__sub__(self, other))

    def __xor__(self, other: Set[Any]) -> StableFrozenSet:
        return StableFrozenSet(frozenset.__xor__(self, other))

    def union(self, *others: Iterable[Any]) -> StableFrozenSet:
        return StableFrozenSet(frozenset.union(self, *others))

    def intersection(self, *others: Iterable[Any]) -> StableFrozenSet:
        return StableFrozenSet(frozenset.intersection(self, *others))

    def difference(self, *others: Iterable[Any]) -> StableFrozenSet:
        return StableFrozenSet(frozenset.difference(self, *others))

    def symmetric_difference(self, other: Iterable[Any]) -> StableFrozenSet:
        return StableFrozenSet(frozenset.symmetric_difference(self, other))

    def copy(self) -> StableFrozenSet:
        return self

    __ror__ = __or__
    __rand__ = __and__
    __rxor__ = __xor__
