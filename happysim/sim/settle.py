"""Settling: after a handler, no built-in set is left in the fields of a live node.

It runs after every handler, so what has not changed has to cost next to nothing. How that is seen
depends on what a field holds:

- what cannot change and holds no set: by `==`, which for the same object is one look;
- what cannot change and holds stable sets, or is one: by identity, for a built-in set is equal too;
- a flat list or dict of the first sort: by `==` with a copy, which looks at identities first;
- a log, a mutable dataclass, anything deeper: part by part.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter, is_, itemgetter
from typing import Any, get_origin

from happysim.core.freeze import field_names
from happysim.core.stable_set import StableFrozenSet, StableSet
from happysim.sim.values import (
    STABLE,
    cannot_change,
    hints_of,
    is_log,
    is_record,
    is_set_free,
    promise_of,
    stable,
)

Settle = Callable[[Any], Any]
Get = Callable[[dict[str, Any]], tuple[Any, ...]]

_SETS = frozenset({StableSet, StableFrozenSet})
_NOTHING = object()


def settler(kind: type) -> Callable[[dict[str, Any]], None] | None:
    """What settles the fields of one node of a class, given as a dict; None: nothing has to.

    Each node needs one of its own.
    """
    hints = hints_of(kind)
    fields = kind.happysim_fields  # type: ignore[attr-defined]
    names = [name for name in fields if promise_of(hints.get(name, Any)) >= STABLE]
    if not names:
        return None
    kept = _Kept({name: _settle_of(hints.get(name, Any)) for name in names})

    def settle(values: dict[str, Any]) -> None:
        for name, copy in kept.flat.items():
            if values[name] != copy:
                kept.look(values, name)
                break
        for name, settled in kept.deep.items():
            held = values[name]
            made = settled(held)
            if made is not held:
                values[name] = made
        if kept.get_equal(values) != kept.equal or not all(
            map(is_, kept.get_same(values), kept.same)
        ):
            kept.look(values)

    return settle


class _Kept:
    """What the fields of one node held when they were last looked at."""

    def __init__(self, settles: dict[str, Settle]) -> None:
        self.settles = settles
        self.held: dict[str, Any] = dict.fromkeys(settles, _NOTHING)
        # By sort: compared by `==`, by identity, with a copy, and part by part.
        self.equal: tuple[Any, ...] = ()
        self.same: tuple[Any, ...] = ()
        self.flat: dict[str, Any] = {}
        self.deep: dict[str, Settle] = {}
        self._sorts: dict[str, str] = dict.fromkeys(settles, "same")
        self._sort()

    def _sort(self) -> None:
        """Make the getters anew, where a field has come to hold another sort of value."""
        self.get_equal = _getter([name for name, sort in self._sorts.items() if sort == "equal"])
        self.get_same = _getter([name for name, sort in self._sorts.items() if sort == "same"])
        self.equal, self.same = self.get_equal(self.held), self.get_same(self.held)

    def look(self, values: dict[str, Any], changed: str = "") -> None:
        """Settle every field that holds something else than before, and `changed`."""
        moved = False
        for name, before in self.held.items():
            value = values[name]
            if value is not before or name == changed:
                value = self.held[name] = values[name] = self.settles[name](value)
                sort = _sort_of(value)
                if sort == "flat":
                    self.flat[name] = value.copy()
                if sort != self._sorts[name]:
                    moved = True
                    self._move(name, sort)
        if moved:
            self._sort()
        else:
            self.equal, self.same = self.get_equal(self.held), self.get_same(self.held)

    def _move(self, name: str, sort: str) -> None:
        self._sorts[name] = sort
        if sort != "flat":
            self.flat.pop(name, None)
        self.deep.pop(name, None)
        if sort == "deep":
            self.deep[name] = self.settles[name]


def _sort_of(value: Any) -> str:
    """How a value is compared with what it was."""
    kind = type(value)
    if kind is list or kind is dict:
        parts = [*value, *value.values()] if kind is dict else value
        return "flat" if all(map(is_set_free, parts)) else "deep"
    if is_set_free(value):
        return "equal"
    return "same" if kind in _SETS or cannot_change(value) else "deep"


def _getter(names: list[str]) -> Get:
    """The values of some keys of a dict, as a tuple."""
    if len(names) == 1:
        (name,) = names
        return lambda values: (values[name],)
    return itemgetter(*names) if names else lambda values: ()


def _settle_of(hint: Any) -> Settle:
    """How to settle a value with this annotation."""
    if is_log(hint):
        return _Tail().settle
    if is_record(hint):
        return _settle_record(hint)
    if get_origin(hint) is dict:
        return _Dict().settle
    return stable


def _settle_record(kind: type) -> Settle:
    """Settle the fields of a mutable dataclass one by one."""
    hints = hints_of(kind)
    risky = [name for name in field_names(kind) if promise_of(hints.get(name, Any)) >= STABLE]
    passes = [(name, _settle_of(hints.get(name, Any))) for name in risky]

    def settle(value: Any) -> Any:
        if type(value) is not kind:
            return stable(value)
        for name, settled in passes:
            held = getattr(value, name)
            made = settled(held)
            if made is not held:
                setattr(value, name, made)
        return value

    if len(risky) != 1 or not is_log(hints.get(risky[0], Any)):
        return settle
    # A log and little else: most handlers leave its end as it is.
    get, tail = attrgetter(risky[0]), _Tail()
    passes[0] = (risky[0], tail.settle)

    def settle_log(value: Any) -> Any:
        if type(value) is kind:
            entries, seen = get(value), tail.seen
            if len(entries) == len(seen) and (not seen or entries[-1] is seen[-1]):
                return value
        return settle(value)

    return settle_log


class _Dict:
    """Settles a dict; as long as it holds the same unchangeable values, it is left alone."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: list[Any] | None = None

    def settle(self, value: Any) -> Any:
        if type(value) is not dict:
            return stable(value)
        seen = self._seen
        if seen is not None and len(seen) == len(value) and all(map(is_, value.values(), seen)):
            return value
        stable(value)
        self._seen = None
        if all(map(cannot_change, value.values())):
            self._seen = list(value.values())
        return value


class _Tail:
    """Settles a list of unchangeable entries, such as a log: looks at the new ones at its end.

    An entry replaced in the middle is looked at with the next audit of its node.
    """

    __slots__ = ("seen",)

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def settle(self, value: Any) -> Any:
        if type(value) is not list:
            return stable(value)
        seen, at = self.seen, len(value)
        if at == len(seen) and (not at or value[-1] is seen[-1]):
            return value
        if len(seen) > at:
            del seen[at:]
        while at and (at > len(seen) or value[at - 1] is not seen[at - 1]):
            at -= 1
        if at < len(value):
            del seen[at:]
            for index in range(at, len(value)):
                value[index] = stable(value[index])
                seen.append(value[index])
        return value
