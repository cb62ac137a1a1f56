"""What the native library is told of a class, to freeze, thaw and tell values as `freeze` does.

The native codec knows the common kinds of values and leaves the rest to Python. It is there for
speed alone: with it or without it the same values come out.
"""

from __future__ import annotations

import dataclasses
import inspect
import os
from collections import deque
from collections.abc import Callable
from types import MemberDescriptorType
from typing import Any

from happysim.core.stable_set import StableFrozenSet, StableSet
from happysim.kernel.switch import VARIABLE, native

_OF_PYTHON = 1 << 9  # Py_TPFLAGS_HEAPTYPE: the class was made by a `class` statement
_WORDS: dict[type, str] = {
    type(None): "atom",
    str: "atom",
    bytes: "atom",
    int: "atom",
    bool: "bool",
    float: "float",
    deque: "deque",
    tuple: "tuple",
    list: "list",
    dict: "dict",
    set: "set",
    StableSet: "set",
    frozenset: "frozenset",
    StableFrozenSet: "frozenset",
}
# Of a class: a word for it, the names of its fields, how many of those lie in a __dict__, and
# whether its instances can change.
Plan = tuple[str, tuple[str, ...], int, bool]

_FIELD_NAMES: dict[type, tuple[str, ...]] = {}


def field_names(kind: type) -> tuple[str, ...]:
    """The names of a dataclass's fields, in order of declaration."""
    known = _FIELD_NAMES.get(kind)
    if known is None:
        known = _FIELD_NAMES[kind] = tuple(field.name for field in dataclasses.fields(kind))
    return known


def held_fields(kind: type) -> frozenset[str]:
    """The fields of a dataclass that lie in its instances' __dict__, not in slots."""
    descriptors = ((name, inspect.getattr_static(kind, name, None)) for name in field_names(kind))
    return frozenset(n for n, found in descriptors if not isinstance(found, MemberDescriptorType))


def is_of_python(kind: type) -> bool:
    """True where no built-in class but `object` is a base: `object.__new__` makes its objects."""
    return all(base is object or base.__flags__ & _OF_PYTHON for base in kind.__mro__)


def native_part(name: str) -> Any:
    """A class of the native library; None where there is none, or it is not to be used."""
    built, _ = native() if os.environ.get(VARIABLE) != "reference" else (None, "")
    return getattr(built, name, None)


def native_codec(shape: Callable[[type], str], describe: Callable[[Any], str]) -> Any:
    """The codec; None where there is no native library, or it is not to be used.

    `shape(kind)` says "dataclass", "enum", "named tuple" or "hooked" of a class that is nothing
    more, and something else of all others.
    """
    codec = native_part("Codec")
    if codec is None:
        return None

    def plan(kind: type) -> Plan:
        word = _WORDS.get(kind) or shape(kind)
        if word != "dataclass":
            return word, (), 0, False
        names, held = field_names(kind), held_fields(kind)
        # With all fields in one place.
        if not is_of_python(kind) or len(held) not in (0, len(names)):
            return "unknown", (), 0, False
        return "fields", names, len(held), not kind.__dataclass_params__.frozen  # type: ignore[attr-defined]

    return codec(plan, describe, StableSet, StableFrozenSet)
