"""Frozen values as text, and digests of text. What a frozen value is: `freeze.py`."""

from __future__ import annotations

import dataclasses
import enum
import hashlib
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Hashable
from typing import Any

from happysim.core.codec import field_names
from happysim.core.names import Name

# The native library's way to do it, where there is one.
_tellers: list[Callable[[Hashable], str]] = []


def describe(frozen: Hashable) -> str:
    """A frozen value as text: unambiguous, and the same on every machine and Python version."""
    return _tellers[0](frozen) if _tellers and type(frozen) is tuple else in_python(frozen)


def described_by(teller: Callable[[Hashable], str]) -> None:
    """From now on `describe` has another do it, which does the same."""
    _tellers[:] = [teller]


def in_python(frozen: Hashable) -> str:
    """As `describe`, without the native library."""
    if type(frozen) is not tuple:
        # ascii, because which characters repr escapes depends on Python's Unicode tables.
        return ascii(frozen)
    kind, *rest = frozen
    if kind is bool or kind is Name:
        return ascii(rest[0])
    if kind is float:
        return repr(float.fromhex(rest[0]))
    if kind is list:
        return f"[{', '.join(map(in_python, rest))}]"
    if kind is tuple:
        return (
            f"({in_python(rest[0])},)" if len(rest) == 1 else f"({', '.join(map(in_python, rest))})"
        )
    if kind is dict:
        return f"{{{_describe_pairs(rest)}}}"
    if kind is set:
        return f"{{{', '.join(map(in_python, rest))}}}" if rest else "set()"
    return _describe_named(kind, rest)


def _describe_pairs(flat: list[Any]) -> str:
    pairs = zip(flat[::2], flat[1::2], strict=True)
    return ", ".join(f"{in_python(key)}: {in_python(item)}" for key, item in pairs)


def _describe_named(kind: type, rest: list[Any]) -> str:
    name = kind.__name__
    if kind is frozenset:
        return f"frozenset({{{', '.join(map(in_python, rest))}}})" if rest else "frozenset()"
    if kind is deque:
        bound = "" if rest[0] is None else f", maxlen={rest[0]}"
        return f"deque([{', '.join(map(in_python, rest[1:]))}]{bound})"
    if kind is defaultdict:
        factory = "None" if rest[0] is None else rest[0].__name__
        return f"defaultdict({factory}, {{{_describe_pairs(rest[1:])}}})"
    if kind is OrderedDict or kind is Counter:
        return f"{name}({{{_describe_pairs(rest)}}})"
    if issubclass(kind, enum.Flag):
        return f"{name}({rest[0]})"
    if issubclass(kind, enum.Enum):
        return f"{name}.{rest[0]}"
    if dataclasses.is_dataclass(kind) and not hasattr(kind, "__thaw__"):
        pairs = zip(field_names(kind), rest, strict=True)
        return f"{name}({', '.join(f'{field}={in_python(item)}' for field, item in pairs)})"
    return f"{name}({', '.join(map(in_python, rest))})"


def digest(text: str) -> str:
    """A digest of text: 32 hexadecimal digits (BLAKE2b, 128 bits)."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
