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
from functools import cache, partial
from operator import attrgetter, is_
from typing import Any, get_origin

from happysim.core.codec import field_names, native_part
from happysim.core.stable_set import StableFrozenSet, StableSet
from happysim.sim.values import (
    STABLE,
    cannot_change,
    hints_of,
    is_log,
    is_record,
    is_set_free,
    looked_at,
    promise_of,
    stable,
)

Settle = Callable[[Any], Any]
Make = Callable[[], Settle]
Get = Callable[[Any], Any]

_SETS = frozenset({StableSet, StableFrozenSet})
_NOTHING = object()
# The sorts of field, as above.
_SAME, _FLAT, _LOG, _DEEP = range(4)


@cache
def _looks(make: Any) -> Any:
    """What looks for sets in the native library; one serves all nodes."""
    return make(looked_at, StableSet, StableFrozenSet)


class Risks:
    """Which fields of a class may hold a set, by their annotations: found out once in a run.

    A class that is made later may change the answer, so it is not kept for longer.
    """

    def __init__(self) -> None:
        self._fields: dict[type, dict[str, Make]] = {}
        # What settles in the native library, given the fields of a node.
        looks, settling = native_part("Looks"), native_part("Settling")
        self._native = None if settling is None else partial(settling, _looks(looks))

    def settler(self, kind: type, values: dict[str, Any]) -> Settler | None:
        """What settles the fields of a node of a class, given its `vars`; None: nothing has to."""
        found = self._fields.get(kind)
        if found is None:
            hints = hints_of(kind)
            fields = kind.happysim_fields  # type: ignore[attr-defined]
            risky = [name for name in fields if promise_of(hints.get(name, Any)) >= STABLE]
            found = self._fields[kind] = {name: _make_of(hints.get(name, Any)) for name in risky}
        return Settler(found, values, self._native) if found else None


class Settler:
    """Settles the fields of one node: remembers what they held when they were last looked at.

    `settle()` leaves no built-in set in these fields. It is another function once a field holds
    another sort of value. Where there is a native library, it is that of `Settling`, which leaves
    to the fields here what it does not know.
    """

    __slots__ = ("_fields", "_native", "_values", "settle")

    def __init__(
        self,
        fields: dict[str, Make],
        values: dict[str, Any],
        native: Callable[[list[Any], dict[str, Any]], Any] | None,
    ) -> None:
        self._values = values
        self._fields = [_Field(self, name, make) for name, make in fields.items()]
        self._native = None if native is None else native(self._fields, values)
        self.settle: Callable[[], None]
        self.settle = self.sort if self._native is None else self._native.settle

    def sort(self) -> None:
        """Settle, and from now on compare each field as befits what it holds."""
        fields = self._fields
        write = _written(tuple((each.name, each.sort, each.log_name) for each in fields))
        self.settle = write(fields, self._values)
        self.settle()

    def sort_anew(self) -> None:
        """A field holds another sort of value than before."""
        if self._native is None:
            self.settle = self.sort

    def settle_all(self) -> None:
        """The same, but look at every part of every field, changed or not."""
        if self._native is not None:
            self._native.settle_all()
            return
        for field in self._fields:
            field.settle_all(self._values)


Write = Callable[[Sequence[Any], dict[str, Any]], Callable[[], None]]


@cache
def _written(fields: tuple[tuple[str, int, str], ...]) -> Write:
    """What makes the function that settles fields of these names and sorts."""
    made: dict[str, Any] = {}
    exec(compile(_source(fields), "<settling>", "exec"), made)
    write: Write = made["write"]
    return write


def _source(fields: Sequence[tuple[str, int, str]]) -> str:
    """The text of `_written`. For a field `few` that holds a set, and `journal` with a log `items`:

    def write(fields, values):
        held_0, shown_0, held_1, shown_1, size_1, last_1 = ...
        def settle():
            nonlocal held_0, shown_0, held_1, shown_1, size_1, last_1
            value = values['few']
            if value is not held_0:
                held_0, shown_0 = fields[0].look(values)
            value = values['journal']
            if value is not held_1 or value.items is not shown_1 or len(shown_1) != size_1 or ...:
                held_1, shown_1 = fields[1].look(values)
                ...
        return settle
    """
    cells, before, after = [], [], []
    for at, (name, sort, log) in enumerate(fields):
        cells += [f"held_{at}, shown_{at}"]
        before += [f" held_{at}, shown_{at} = fields[{at}].held, fields[{at}].shown"]
        after += [
            f"  value = values[{name!r}]",
            f"  if {_CHANGED[sort].format(at=at, log=log)}:",
            f"   held_{at}, shown_{at} = fields[{at}].look(values)",
        ]
        if sort == _LOG:
            cells += [f"size_{at}, last_{at}"]
            before += [f" size_{at}, last_{at} = fields[{at}].end"]
            after += [f"   size_{at}, last_{at} = fields[{at}].end"]
    head, inner = (
        ["def write(fields, values):"],
        [" def settle():", f"  nonlocal {', '.join(cells)}"],
    )
    return "\n".join([*head, *before, *inner, *after, " return settle"])


# When a field has to be looked at, by the sort of what it holds.
_CHANGED = {
    _SAME: "value is not held_{at}",
    _FLAT: "value is not held_{at} or ((value or shown_{at}) and value != shown_{at})",
    _LOG: (
        "value is not held_{at} or value.{log} is not shown_{at} "
        "or len(shown_{at}) != size_{at} or (size_{at} and shown_{at}[-1] is not last_{at})"
    ),
    _DEEP: "value is not held_{at} or fields[{at}].settle(value) is not value",
}


class _Field:
    """One field: what it held, and how the next change will be seen."""

    __slots__ = (
        "_owner",
        "held",
        "log",
        "log_name",
        "name",
        "settle",
        "shown",
        "sort",
    )

    def __init__(self, owner: Settler, name: str, make: Make) -> None:
        self._owner, self.name, self.sort = owner, name, _SAME
        # What the field holds, and with what that is compared: a copy, or the entries of a log.
        self.held: Any = _NOTHING
        self.shown: Any = _NOTHING
        self.settle = make()
        log = getattr(self.settle, "__self__", None)
        self.log = log if isinstance(log, _LogRecord) else None
        self.log_name = "" if self.log is None else self.log.name

    @property
    def end(self) -> tuple[int, Any]:
        """How many entries its log has had, and which was the last."""
        seen = [] if self.log is None else self.log.tail.seen
        return len(seen), seen[-1] if seen else None

    def settle_all(self, values: dict[str, Any]) -> None:
        """Settle every part of what the field holds, changed or not."""
        values[self.name] = stable(values[self.name])
        self.look(values)

    def look(self, values: dict[str, Any]) -> tuple[Any, Any]:
        """Settle what the field holds now; returns it, and with what it is to be compared."""
        before, value = self.sort, values[self.name]
        made = self._look(value)
        if made is not value:
            values[self.name] = made
        if self.sort != before:
            self._owner.sort_anew()
        return self.held, self.shown

    def _look(self, value: Any) -> Any:
        kind, log = type(value), self.log
        if self.sort == _LOG and value is self.held and log is not None:
            # Most often it has grown.
            log.settle(value)
            if log.holds(value):
                self.shown = log.tail.entries
                return value
        if (kind is list and is_set_free(tuple(value))) or (
            kind is dict and is_set_free((*value, *value.values()))
        ):
            self.sort, self.held, self.shown = _FLAT, value, value.copy()
            return value
        if log is None and is_set_free(value):
            self.sort, self.held = _SAME, value
            return value
        self.held = value = self.settle(value)
        if log is not None and log.holds(value):
            self.sort, self.shown = _LOG, log.tail.entries
        else:
            self.sort = _SAME if type(value) in _SETS or cannot_change(value) else _DEEP
        return value


def _make_of(hint: Any) -> Make:
    """What makes the function that settles a value with this annotation, one for each node."""
    if is_log(hint):
        return lambda: _Tail().settle
    if is_record(hint):
        return _make_of_record(hint)
    if get_origin(hint) is dict:
        return lambda: _Dict().settle
    return lambda: stable


def _make_of_record(kind: type) -> Make:
    """Settle the fields of a mutable dataclass that may hold a set, one by one."""
    hints = hints_of(kind)
    found = {name: hints.get(name, Any) for name in field_names(kind)}
    risky = {name: hint for name, hint in found.items() if promise_of(hint) >= STABLE}
    if len(risky) == 1:
        ((name, hint),) = risky.items()
        if is_log(hint):
            return lambda: _LogRecord(kind, name).settle
    makes = {name: _make_of(hint) for name, hint in risky.items()}

    def made() -> Settle:
        passes = [(name, make()) for name, make in makes.items()]

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

    return made


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
            entry = value[index]
            if not is_set_free(entry):
                entry = value[index] = stable(entry)
                self.is_fixed = self.is_fixed and cannot_change(entry)
            seen.append(entry)
        return value


def _same_for(one: list[Any], other: list[Any]) -> int:
    """How many objects two lists have in common at their beginnings."""
    for at, (each, before) in enumerate(zip(one, other, strict=False)):
        if each is not before:
            return at
    return min(len(one), len(other))
