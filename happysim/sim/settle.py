"""Settling: after a handler, no built-in set is left in the fields of a live node.

It runs after every handler, so what has not changed has to cost next to nothing. How that is seen
depends on what a field holds:

- what cannot change and holds no set: by `==`, which for the same object is one look;
- a flat list or dict of the first sort: by `==` with a copy, which looks at identities first;
- what cannot change and holds stable sets, or is one: by identity, for a built-in set is equal too;
- a mutable dataclass with a log: by identity, and by the length and the last entry of its log;
- anything deeper: part by part.

The fields of the first two sorts are compared at once, as one tuple.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter, is_, itemgetter
from typing import Any, get_origin

from happysim.core.codec import field_names
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
Get = Callable[[Any], Any]

_SETS = frozenset({StableSet, StableFrozenSet})
_NOTHING = object()
# The sorts of field, as above. What is of the first two is another object once it has changed.
_EQUAL, _SAME, _FLAT, _LOG, _DEEP = range(5)


def settler(kind: type) -> Settler | None:
    """What settles the fields of one node of a class; None: nothing has to.

    Each node needs one of its own.
    """
    hints = hints_of(kind)
    fields = kind.happysim_fields  # type: ignore[attr-defined]
    risky = [name for name in fields if promise_of(hints.get(name, Any)) >= STABLE]
    return Settler({name: hints.get(name, Any) for name in risky}) if risky else None


class Settler:
    """Settles the fields of one node: remembers what they held when they were last looked at."""

    __slots__ = (
        "_by_identity",
        "_by_log",
        "_by_value",
        "_deep",
        "_equal",
        "_fields",
        "_get_equal",
        "_logs",
        "_same",
        "_shown",
    )

    def __init__(self, hints: dict[str, Any]) -> None:
        self._fields = [_Field(name, hint) for name, hint in hints.items()]
        # What each field holds; of a flat one a copy.
        self._shown: dict[str, Any] = dict.fromkeys(hints, _NOTHING)
        self._sort()

    def _sort(self) -> None:
        """Take down anew how each field is compared: one holds another sort of value."""
        fields = self._fields
        self._by_value = [each for each in fields if each.sort in (_EQUAL, _FLAT)]
        self._by_identity = [each for each in fields if each.sort in (_SAME, _LOG)]
        self._by_log = [each for each in fields if each.sort == _LOG]
        self._deep = [(each.name, each.settle) for each in fields if each.sort == _DEEP]
        self._get_equal = _getter([each.name for each in self._by_value])
        self._equal: tuple[Any, ...] = self._get_equal(self._shown)
        self._note()

    def _note(self) -> None:
        self._same = [(each.name, each.held) for each in self._by_identity]
        self._logs = [each.watch() for each in self._by_log]

    def settle(self, values: dict[str, Any]) -> None:
        """Leave no built-in set in these fields."""
        if self._get_equal(values) != self._equal:
            self._look(values, self._by_value)
        for name, before in self._same:
            if values[name] is not before:
                self._look(values, self._by_identity)
                break
        for get, holder, entries, seen in self._logs:
            if (
                get(holder) is not entries
                or len(entries) != len(seen)
                or (seen and entries[-1] is not seen[-1])
            ):
                self._look(values, self._by_log)
                break
        if not self._deep:
            return
        for name, settled in self._deep:
            held = values[name]
            made = settled(held)
            if made is not held:
                values[name] = made

    def settle_all(self, values: dict[str, Any]) -> None:
        """The same, but look at every part of every field, changed or not."""
        for field in self._fields:
            values[field.name] = stable(values[field.name])
        self._look(values, self._fields)

    def _look(self, values: dict[str, Any], fields: list[_Field]) -> None:
        """Settle those of some fields that hold something else than before."""
        shown, moved, replaced = self._shown, False, False
        for field in fields:
            value, sort, held, before = values[field.name], field.sort, field.held, field.shown
            if value is not held or sort > _SAME:
                made = values[field.name] = field.look(value)
                shown[field.name] = field.shown
                moved = moved or field.sort != sort
                replaced = replaced or made is not held or field.shown is not before
        if moved:
            self._sort()
        elif replaced:
            self._equal = self._get_equal(shown)
            if fields is not self._by_value:
                self._note()


class _Field:
    """One field: what it held, and how the next change will be seen."""

    __slots__ = ("held", "log", "name", "settle", "shown", "sort")

    def __init__(self, name: str, hint: Any) -> None:
        self.name = name
        self.log = _record_of_log(hint)
        self.settle: Settle = _settle_of(hint) if self.log is None else self.log.settle
        self.held: Any = _NOTHING
        self.shown: Any = _NOTHING
        self.sort = _SAME

    def look(self, value: Any) -> Any:
        """Settle what the field holds now, and take down how it is to be compared."""
        kind = type(value)
        if self.sort == _LOG and value is self.held:
            self._look_at_log(value)
            return value
        if kind is list or kind is dict:
            if value is self.held and self.sort == _FLAT and value == self.shown:
                return value
            if is_set_free(tuple(value)) and (kind is list or is_set_free(tuple(value.values()))):
                self.sort, self.held, self.shown = _FLAT, value, value.copy()
                return value
        elif is_set_free(value):
            self.sort, self.held, self.shown = _EQUAL, value, value
            return value
        value = self.held = self.shown = self.settle(value)
        if self.log is not None and self.log.holds(value):
            self.sort, self.shown = _LOG, self.log.tail.entries
        else:
            self.sort = _SAME if type(value) in _SETS or cannot_change(value) else _DEEP
        return value

    def _look_at_log(self, value: Any) -> None:
        assert self.log is not None
        self.log.settle(value)
        self.sort = _LOG if self.log.holds(value) else _DEEP
        self.shown = self.log.tail.entries

    def watch(self) -> tuple[Get, Any, list[Any], list[Any]]:
        """How to see whether a log has changed: get the list from its holder, and compare."""
        assert self.log is not None
        # The list that was looked at last, which the holder may have replaced since.
        return self.log.get, self.held, self.log.tail.entries, self.log.tail.seen


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


def _risky(kind: type) -> list[tuple[str, Any]]:
    """The fields of a dataclass that may hold a set, with their annotations."""
    hints = hints_of(kind)
    found = [(name, hints.get(name, Any)) for name in field_names(kind)]
    return [(name, hint) for name, hint in found if promise_of(hint) >= STABLE]


def _settle_record(kind: type) -> Settle:
    """Settle the fields of a mutable dataclass one by one."""
    passes = [(name, _settle_of(hint)) for name, hint in _risky(kind)]

    def settle(value: Any) -> Any:
        if type(value) is not kind:
            return stable(value)
        for name, settled in passes:
            held = getattr(value, name)
            made = settled(held)
            if made is not held:
                setattr(value, name, made)
        return value

    return settle


def _record_of_log(hint: Any) -> _LogRecord | None:
    """What settles a mutable dataclass of which only one field, a log, may hold sets."""
    if not is_record(hint):
        return None
    risky = _risky(hint)
    return _LogRecord(hint, risky[0][0]) if len(risky) == 1 and is_log(risky[0][1]) else None


class _LogRecord:
    """Settles a mutable dataclass of which only one field, a log, may hold sets."""

    __slots__ = ("_kind", "_name", "get", "tail")

    def __init__(self, kind: type, name: str) -> None:
        self._kind, self._name = kind, name
        self.get, self.tail = attrgetter(name), _Tail()

    def settle(self, value: Any) -> Any:
        if type(value) is not self._kind:
            return stable(value)
        entries = self.get(value)
        made = self.tail.settle(entries)
        if made is not entries:
            setattr(value, self._name, made)
        return value

    def holds(self, value: Any) -> bool:
        """True for such a record, with a list of entries that nobody can change."""
        if type(value) is not self._kind:
            return False
        return type(self.get(value)) is list and self.tail.is_fixed


class _Dict:
    """Settles a dict; as long as it holds the same unchangeable values, it is left alone."""

    __slots__ = ("_keys", "_seen")

    def __init__(self) -> None:
        self._keys: list[Any] = []
        self._seen: list[Any] | None = None

    def settle(self, value: Any) -> Any:
        if type(value) is not dict:
            return stable(value)
        seen = self._seen
        if (
            seen is not None
            and len(seen) == len(value)
            and all(map(is_, value.values(), seen))
            and all(map(is_, value, self._keys))
        ):
            return value
        stable(value)
        self._seen = None
        if all(map(cannot_change, value.values())):
            self._keys, self._seen = list(value), list(value.values())
        return value


class _Tail:
    """Settles a list of unchangeable entries, such as a log: looks at the new ones at its end.

    An entry replaced in the middle is looked at with the next audit of its node.
    """

    __slots__ = ("entries", "is_fixed", "seen")

    def __init__(self) -> None:
        self.entries: list[Any] = []
        self.seen: list[Any] = []
        # False once an entry is met that can be changed: then all are looked at each time.
        self.is_fixed = True

    def settle(self, value: Any) -> Any:
        if type(value) is not list or not self.is_fixed:
            return stable(value)
        seen, at = self.seen, len(value)
        if value is not self.entries:
            self.entries, at = value, _same_for(value, seen)
        elif at == len(seen) and (not at or value[-1] is seen[-1]):
            return value
        while at and (at > len(seen) or value[at - 1] is not seen[at - 1]):
            at -= 1
        del seen[at:]
        for index in range(at, len(value)):
            value[index] = stable(value[index])
            seen.append(value[index])
            self.is_fixed = self.is_fixed and cannot_change(value[index])
        return value


def _same_for(one: list[Any], other: list[Any]) -> int:
    """How many objects two lists have in common at their beginnings."""
    for at, (each, before) in enumerate(zip(one, other, strict=False)):
        if each is not before:
            return at
    return min(len(one), len(other))
