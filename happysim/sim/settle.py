"""Settling: after a handler, no built-in set is left in the fields of a live node.

It runs after every handler, so what has not changed has to cost next to nothing. How that is seen
depends on what a field holds:

- what cannot change, or a stable set: by identity, for a built-in set is equal too;
- a flat list or dict of what cannot change and holds no set: by `==` with a copy, which looks at
  identities first;
- a mutable dataclass with a log: by identity, and by the length and the last entry of its log;
- anything deeper: part by part.

A loop over the fields takes longer than the comparisons do, so these are written out, as Python,
for each set of fields: `_source` has an example. A field's name is all of it that a model supplies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from operator import attrgetter, is_
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
# The sorts of field, as above.
_SAME, _FLAT, _LOG, _DEEP = range(4)


def settler(kind: type) -> Settler | None:
    """What settles the fields of one node of a class; None: nothing has to.

    Each node needs one of its own.
    """
    hints = hints_of(kind)
    fields = kind.happysim_fields  # type: ignore[attr-defined]
    risky = [name for name in fields if promise_of(hints.get(name, Any)) >= STABLE]
    return Settler({name: hints.get(name, Any) for name in risky}) if risky else None


class Settler:
    """Settles the fields of one node: remembers what they held when they were last looked at.

    `settle(values)` leaves no built-in set in these fields, given the `vars` of the node. It is
    another function once a field holds another sort of value.
    """

    __slots__ = ("_fields", "settle")

    def __init__(self, hints: dict[str, Any]) -> None:
        self._fields = [_Field(self, name, hint) for name, hint in hints.items()]
        self.settle: Callable[[dict[str, Any]], None] = self.sort

    def sort(self, values: dict[str, Any]) -> None:
        """Settle, and from now on compare each field as befits what it holds."""
        fields = self._fields
        write = _written(tuple((each.name, each.sort, each.log_name) for each in fields))
        self.settle = write(fields, [each.seen for each in fields])
        self.settle(values)

    def settle_all(self, values: dict[str, Any]) -> None:
        """The same, but look at every part of every field, changed or not."""
        for field in self._fields:
            values[field.name] = stable(values[field.name])
            field.look(values)


Write = Callable[[Sequence[Any], Sequence[Any]], Callable[[dict[str, Any]], None]]


@cache
def _written(fields: tuple[tuple[str, int, str], ...]) -> Write:
    """What makes the function that settles fields of these names and sorts."""
    made: dict[str, Any] = {}
    exec(compile(_source(fields), "<settling>", "exec"), made)
    write: Write = made["write"]
    return write


def _source(fields: Sequence[tuple[str, int, str]]) -> str:
    """The text of `_written`. For a field `few` that holds a set, and `journal` with a log `items`:

    def write(fields, seens):
        field_0, field_1, = fields
        ...
        def settle(values):
            nonlocal held_0, shown_0, held_1, shown_1
            value = values['few']
            if value is not held_0:
                held_0, shown_0 = look_0(values)
            value = values['journal']
            if value is not held_1 or value.items is not shown_1 or ...:
                held_1, shown_1 = look_1(values)
        return settle
    """
    cells = ", ".join(f"held_{at}, shown_{at}" for at in range(len(fields)))
    before, after = ["def write(fields, seens):"], [" def settle(values):", f"  nonlocal {cells}"]
    for at, (name, sort, log) in enumerate(fields):
        before += [
            f" field, seen_{at} = fields[{at}], seens[{at}]",
            f" look_{at}, settle_{at} = field.look, field.settle",
            f" held_{at}, shown_{at} = field.held, field.shown",
        ]
        after += [
            f"  value = values[{name!r}]",
            f"  if {_CHANGED[sort].format(at=at, log=log)}:",
            f"   held_{at}, shown_{at} = look_{at}(values)",
        ]
    return "\n".join([*before, *after, " return settle"])


# When a field has to be looked at, by the sort of what it holds.
_CHANGED = {
    _SAME: "value is not held_{at}",
    _FLAT: "value is not held_{at} or ((value or shown_{at}) and value != shown_{at})",
    _LOG: (
        "value is not held_{at} or value.{log} is not shown_{at} "
        "or len(shown_{at}) != len(seen_{at}) "
        "or (seen_{at} and shown_{at}[-1] is not seen_{at}[-1])"
    ),
    _DEEP: "value is not held_{at} or settle_{at}(value) is not value",
}


class _Field:
    """One field: what it held, and how the next change will be seen."""

    __slots__ = (
        "_owner",
        "held",
        "log",
        "log_name",
        "name",
        "seen",
        "settle",
        "shown",
        "sort",
    )

    def __init__(self, owner: Settler, name: str, hint: Any) -> None:
        self._owner, self.name, self.sort = owner, name, _SAME
        # What the field holds, and with what that is compared: a copy, or the entries of a log.
        self.held: Any = _NOTHING
        self.shown: Any = _NOTHING
        self.log = log = _record_of_log(hint)
        self.log_name = "" if log is None else log.name
        self.seen: list[Any] | None = None if log is None else log.tail.seen
        self.settle: Settle = _settle_of(hint) if log is None else log.settle

    def look(self, values: dict[str, Any]) -> tuple[Any, Any]:
        """Settle what the field holds now; returns it, and with what it is to be compared."""
        before, value = self.sort, values[self.name]
        made = self._look(value)
        if made is not value:
            values[self.name] = made
        if self.sort != before:
            self._owner.settle = self._owner.sort
        return self.held, self.shown

    def _look(self, value: Any) -> Any:
        kind, log = type(value), self.log
        if (kind is list and is_set_free(tuple(value))) or (
            kind is dict and is_set_free((*value, *value.values()))
        ):
            self.sort, self.held, self.shown = _FLAT, value, value.copy()
            return value
        if log is not None or not is_set_free(value):
            value = self.settle(value)
        self.held = self.shown = value
        if log is not None and log.holds(value):
            self.sort, self.shown = _LOG, log.tail.entries
        else:
            self.sort = _SAME if type(value) in _SETS or cannot_change(value) else _DEEP
        return value


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

    __slots__ = ("_kind", "get", "name", "tail")

    def __init__(self, kind: type, name: str) -> None:
        self._kind, self.name = kind, name
        self.get, self.tail = attrgetter(name), _Tail()

    def settle(self, value: Any) -> Any:
        if type(value) is not self._kind:
            return stable(value)
        entries = self.get(value)
        made = self.tail.settle(entries)
        if made is not entries:
            setattr(value, self.name, made)
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
