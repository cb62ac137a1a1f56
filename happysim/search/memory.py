"""Copies of what a monitor remembers, so that a run can be taken up in its middle.

A monitor is an object of its author's, and may hold anything. What nobody can change is shared
between copies, and what is made of lists, dicts, sets and plain objects is copied. Where there is
anything else, or a key that may change, there is no copy.
"""

from __future__ import annotations

import enum
from collections import defaultdict, deque
from typing import Any

from happysim.core.codec import is_of_python
from happysim.core.names import Name
from happysim.core.stable_set import StableFrozenSet, StableSet

_ATOMS = frozenset({type(None), str, Name, bytes, int, bool, float, type})


class NoCopyError(Exception):
    """There is something in it of which it is not known how to copy it."""


def copy_of(value: Any) -> Any:
    """A copy that shares nothing which may change. Raises `NoCopyError` where there is none.

    What is reached twice is one object in the copy, too. Of what is nested too deeply there is
    none.
    """
    try:
        return _copy_of(value, {})
    except RecursionError:
        raise NoCopyError from None


def _copy_of(value: Any, made: dict[int, Any]) -> Any:
    """The same; `made` holds what was copied, by id."""
    if _is_fixed(value):
        return value
    if id(value) not in made:
        _copy(value, made)
    return made[id(value)]


def _copy(value: Any, made: dict[int, Any]) -> None:
    kind, at = type(value), id(value)
    other: Any
    if kind is list or kind is deque:
        other = made[at] = kind() if kind is list else deque(maxlen=value.maxlen)
        other.extend(_copy_of(each, made) for each in value)
    elif kind is dict or (kind is defaultdict and _is_fixed(value.default_factory)):
        made[at] = other = kind() if kind is dict else defaultdict(value.default_factory)
        for key, each in value.items():
            other[_fixed(key)] = _copy_of(each, made)
    elif kind is set or kind is StableSet:
        made[at] = kind(map(_fixed, set.__iter__(value)))
    elif kind is tuple:
        other = tuple(_copy_of(each, made) for each in value)
        made.setdefault(at, other)  # It may hold itself, and then is there by now.
    elif _is_plain(kind):
        made[at] = other = object.__new__(kind)
        for name, each in vars(value).items():
            object.__setattr__(other, name, _copy_of(each, made))
    else:
        raise NoCopyError


def _fixed(value: Any) -> Any:
    if not _is_fixed(value):
        raise NoCopyError
    return value


def _is_fixed(value: Any) -> bool:
    """True for what nobody can change."""
    kind = type(value)
    if kind in _ATOMS:
        return True
    if kind is tuple or kind is frozenset or kind is StableFrozenSet:
        return all(map(_is_fixed, frozenset.__iter__(value) if kind is not tuple else value))
    if issubclass(kind, enum.Enum):
        return True
    params = getattr(kind, "__dataclass_params__", None)
    if params is None or not params.frozen or not _is_plain(kind):
        return False
    return all(map(_is_fixed, vars(value).values()))


def _is_plain(kind: type) -> bool:
    """True for a class whose objects are what is in their `__dict__`, and nothing more."""
    has_slots = any(base.__dict__.get("__slots__") for base in kind.__mro__)
    return is_of_python(kind) and kind.__dictoffset__ != 0 and not has_slots
