"""Values with their type beside them, so that `1`, `True`, `1.0` and `"1"` stay four values.

Python says `1 == True == 1.0`, and JSON says that a tuple is a list. A tagged value is a tuple of
a type name and plain fields: it is hashable, compares by type first, and survives JSON. Two
tagged values can always be ordered, because fields are compared only under equal tags.
"""

from __future__ import annotations

from collections.abc import Callable
from reprlib import repr as short
from types import NoneType
from typing import Any, TypeAlias, Union

Value: TypeAlias = Union[
    bool, int, float, str, bytes, "tuple[Value, ...]", "frozenset[Value]", None
]
Tagged: TypeAlias = tuple[Any, ...]

# A float is written in hexadecimal: exact, equal to itself when it is NaN, and 0.0 is not -0.0.
_FIELDS: dict[type, Callable[[Any], tuple[Any, ...]]] = {
    NoneType: lambda value: (),
    bool: lambda value: (value,),
    int: lambda value: (value,),
    str: lambda value: (value,),
    float: lambda value: (value.hex(),),
    bytes: lambda value: (value.hex(),),
    tuple: lambda value: tuple(encode(item) for item in value),
    frozenset: lambda value: tuple(sorted(encode(item) for item in value)),
}
_TAGS: dict[type, str] = {kind: kind.__name__ for kind in _FIELDS} | {NoneType: "none"}
_ATOMS: dict[str, tuple[type, Callable[[Any], Any]]] = {
    "bool": (bool, bool),
    "int": (int, int),
    "str": (str, str),
    "float": (str, float.fromhex),
    "bytes": (str, bytes.fromhex),
}
_CONTAINERS: dict[str, type] = {"tuple": tuple, "frozenset": frozenset}


def encode(value: Value) -> Tagged:
    """The tagged form of `value`.

    Types are matched exactly: an enum member or a named tuple is refused, for it would come back
    as something else.

    Raises:
        TypeError: `value`, or something inside it, is of another type than those of `Value`.
    """
    fields = _FIELDS.get(type(value))
    if fields is None:
        raise TypeError(
            f"{short(value)} is of type {type(value).__name__}; a replicated value is None, a bool,"
            " int, float, str or bytes, or a tuple or frozenset of these"
            " (write a list as a tuple, a set as a frozenset)"
        )
    return (_TAGS[type(value)], *fields(value))


def decode(tagged: object) -> Any:
    """The value whose tagged form is `tagged`.

    Raises:
        ValueError: `tagged` is not exactly what `encode` writes.
    """
    try:
        value = _decode(tagged)
    except (OverflowError, ValueError) as error:
        raise ValueError(f"{short(tagged)} is not a tagged value such as ('int', 1)") from error
    if encode(value) != tagged:
        raise ValueError(f"{short(tagged)} is not how {short(value)} is written")
    return value


def _decode(tagged: object) -> Any:
    match tagged:
        case ("none",):
            return None
        case (str(tag), field) if tag in _ATOMS:
            kind, build = _ATOMS[tag]
            if type(field) is kind:
                return build(field)
        case (str(tag), *items) if tag in _CONTAINERS:
            return _CONTAINERS[tag](_decode(item) for item in items)
    raise ValueError(short(tagged))


def to_lists(plain: Any) -> Any:
    """Nested tuples as nested lists: what JSON makes of them anyway, made explicit."""
    return [to_lists(item) for item in plain] if isinstance(plain, tuple) else plain


def to_tuples(plain: Any) -> Any:
    """Nested lists as nested tuples; undoes `to_lists`."""
    return tuple(to_tuples(item) for item in plain) if isinstance(plain, list | tuple) else plain
