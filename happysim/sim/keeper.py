"""What fields of live nodes held before, to tell which of them a step has changed.

How a field is kept follows from its annotation, and from what it holds: data that nobody can change
as it is; a flat list, dict or set of such data as a copy; a mutable dataclass field by field;
anything deeper as its frozen content. Comparing takes about as long as walking a list of pointers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, get_args, get_origin

from happysim.core.codec import field_names
from happysim.core.freeze import freeze, thaw
from happysim.core.stable_set import StableSet
from happysim.sim.live import LiveNode
from happysim.sim.values import (
    SHARED,
    STABLE,
    cannot_change,
    hints_of,
    is_log,
    is_record,
    promise_of,
)

# What a property may read of a node besides its fields.
STATUS, TIMERS = "(status)", "(timers)"
_FLAT = (list, dict, set, frozenset)
_COPIED = frozenset({list, dict, set, StableSet})


class Way(NamedTuple):
    """How values of one annotation are kept, compared with what was kept, and given back."""

    keep: Callable[[Any], Any]
    same: Callable[[Any, Any], bool]
    back: Callable[[Any], Any]


class Keeper:
    """Keeps the last value of some fields of one node, to tell which of them changed in a step."""

    def __init__(self, live: LiveNode) -> None:
        self.live = live
        self.kept: dict[str, Any] = {}
        self._status = live.status
        self._timers: set[str] = set(live.deadlines)
        self._kind: type | None = None
        self._ways: dict[str, Way] = {}

    def watch(self, names: set[str]) -> None:
        """Keep these fields from now on, as they are now."""
        for name in names:
            if name not in self.kept and name not in (STATUS, TIMERS):
                self.kept[name] = self._way(name).keep(self.live.values.get(name))

    def _way(self, name: str) -> Way:
        if self._kind is not self.live.kind:
            self._kind, self._ways = self.live.kind, {}
        known = self._ways.get(name)
        if known is None:
            known = self._ways[name] = way_of(hints_of(self.live.kind).get(name, Any))
        return known

    def changed(self) -> set[str]:
        """The names of kept fields that differ from what was kept; what is there now is kept."""
        found = set()
        live = self.live
        if live.status != self._status:
            self._status = live.status
            found.add(STATUS)
        if live.deadlines.keys() != self._timers:
            self._timers = set(live.deadlines)
            found.add(TIMERS)
        values, ways = live.values, self._ways
        if self._kind is not live.kind:
            ways = {}
        for name, old in self.kept.items():
            new = values.get(name)
            # Of what can change a copy is kept, so the same object is something that cannot.
            if new is not old:
                way = ways.get(name) or self._way(name)
                if not way.same(old, new):
                    self.kept[name] = way.keep(new)
                    found.add(name)
        return found

    def copies(self) -> dict[str, Any]:
        """What was kept, in values of its own: fields, whether the node is up, and its timers."""
        kept = {name: self._way(name).back(value) for name, value in self.kept.items()}
        return {**kept, STATUS: self._status, TIMERS: tuple(sorted(self._timers))}


def way_of(hint: Any) -> Way:
    """The way to keep values with this annotation."""
    promised = promise_of(hint)
    if promised == SHARED:
        return _AS_IT_IS
    origin, inner = get_origin(hint), get_args(hint)
    flat = origin in _FLAT and all(promise_of(each) == SHARED for each in inner)
    if flat or promised == STABLE or is_log(hint):
        return _FLATLY
    return _of_record(hint) if is_record(hint) else _AS_FITS


def _equal(old: Any, new: Any) -> bool:
    return type(old) is type(new) and bool(old == new)


def _itself(value: Any) -> Any:
    return value


def _flat(value: Any) -> Any:
    return value.copy() if type(value) in _COPIED else _as_fits(value)


def _as_fits(value: Any) -> Any:
    kind = type(value)
    if kind in _COPIED:
        held = [*value, *value.values()] if kind is dict else value
        return value.copy() if all(map(cannot_change, held)) else Content(freeze(value))
    return value if cannot_change(value) else Content(freeze(value))


class Content:
    """Stands for a value that may change in its depths."""

    __slots__ = ("frozen",)

    def __init__(self, frozen: Any) -> None:
        self.frozen = frozen


def _same(old: Any, new: Any) -> bool:
    return old.frozen == freeze(new) if type(old) is Content else _equal(old, new)


def _back(kept: Any) -> Any:
    return thaw(kept.frozen) if type(kept) is Content else _flat(kept)


_AS_IT_IS = Way(_itself, _equal, _itself)
_FLATLY = Way(_flat, _same, _back)
_AS_FITS = Way(_as_fits, _same, _back)


class Parts(NamedTuple):
    """Stands for a mutable dataclass: what its fields held, each kept in its own way."""

    held: tuple[Any, ...]


def _of_record(kind: type) -> Way:
    """The way of a mutable dataclass."""
    hints = hints_of(kind)
    names = field_names(kind)
    ways = [way_of(hints.get(name, Any)) for name in names]
    sames = [way.same for way in ways]

    def keep(value: Any) -> Any:
        if type(value) is not kind:
            return _as_fits(value)
        return Parts(tuple(way.keep(getattr(value, n)) for n, way in zip(names, ways, strict=True)))

    def same(old: Any, new: Any) -> bool:
        if type(old) is not Parts or type(new) is not kind:
            return type(old) is not Parts and _same(old, new)
        # A loop, for it is run at every step, and a generator would cost more than all the rest.
        for name, its_same, held in zip(names, sames, old.held, strict=True):
            value = getattr(new, name)
            if value is not held and not its_same(held, value):
                return False
        return True

    def back(kept: Any) -> Any:
        if type(kept) is not Parts:
            return _back(kept)
        made: Any = object.__new__(kind)
        for name, way, held in zip(names, ways, kept.held, strict=True):
            setattr(made, name, way.back(held))
        return made

    return Way(keep, same, back)
