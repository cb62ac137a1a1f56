"""Another content for a value: what a rotten record reads as, and what a liar says."""

from __future__ import annotations

import dataclasses
import enum
from collections import Counter, OrderedDict, defaultdict, deque
from typing import Any

from happysim.core.freeze import Frozen

_MAPS = (dict, OrderedDict, Counter)


def altered(value: Frozen) -> Frozen:
    """The value with a bit of its content changed, and always the same one; None where it has none.

    Of a value made of others, the last of them that can be altered is.
    """
    made = _altered(value)
    return None if made == value else made


def _altered(value: Any) -> Frozen:
    if type(value) is tuple:
        return _altered_tagged(value)
    if type(value) is int:
        return value ^ 1
    if isinstance(value, str) and value:
        last = chr(ord(value[-1]) ^ 1)
        return value[:-1] + (last if last.isprintable() else "?")
    return value[:-1] + bytes([value[-1] ^ 1]) if value else None


def _altered_tagged(value: tuple[Any, ...]) -> Frozen:
    made, *rest = value
    if made is bool:
        return (bool, not rest[0])
    if made is float:
        number = float.fromhex(rest[0])
        return (float, (-number if number else 1.0).hex())
    if issubclass(made, enum.Enum):
        return _other_member(made, value)
    if made in (set, frozenset, bytearray) or hasattr(made, "__thaw__"):
        return None
    if made in (tuple, list, deque, defaultdict, *_MAPS) or _has_fields(made):
        # What comes first of a deque or a defaultdict is not an element.
        first = 2 if made in (deque, defaultdict) else 1
        return _last_altered(value, first)
    return None


def _has_fields(kind: type) -> bool:
    return dataclasses.is_dataclass(kind) or hasattr(kind, "_fields")


def _last_altered(value: tuple[Any, ...], first: int) -> Frozen:
    # Of pairs, the last is a value and not a key.
    for at in range(len(value) - 1, first - 1, -1):
        other = altered(value[at])
        if other is not None:
            return (*value[:at], other, *value[at + 1 :])
    return None


def _other_member(kind: type[enum.Enum], value: tuple[Any, ...]) -> Frozen:
    if issubclass(kind, enum.Flag):
        return None
    names = [member.name for member in kind]
    after = names[(names.index(value[1]) + 1) % len(names)]
    return (kind, after)
