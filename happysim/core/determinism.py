"""Catching handlers that read what is not theirs: the clock, hidden chance, addresses, hashes.

The check runs a handler a second time on the same input, in surroundings where those things answer
differently, and compares. A handler that reads only its fields, its message and its host cannot
tell the two runs apart.
"""

from __future__ import annotations

import builtins
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

# Far more than any rounding of a clock that a handler may do.
_SECONDS_LATER = 1_000_003
_SALT = 0x5DEECE66D
# The types whose hash differs from process to process.
_SALTED = (str, bytes)


@contextmanager
def shifted_surroundings() -> Iterator[None]:
    """Clocks run ahead, `id` and the hash of text answer differently, inside this block."""
    places: list[tuple[Any, str, Callable[[Any], Any]]] = [
        (time, "time", lambda real: lambda: real() + _SECONDS_LATER),
        (time, "monotonic", lambda real: lambda: real() + _SECONDS_LATER),
        (time, "perf_counter", lambda real: lambda: real() + _SECONDS_LATER),
        (time, "time_ns", lambda real: lambda: real() + _SECONDS_LATER * 10**9),
        (time, "monotonic_ns", lambda real: lambda: real() + _SECONDS_LATER * 10**9),
        (builtins, "id", lambda real: lambda thing: real(thing) ^ _SALT),
        (
            builtins,
            "hash",
            # Only a direct hash(text): the hashes that sets and dicts use must stay consistent.
            lambda real: lambda thing: real(thing) ^ (_SALT if type(thing) in _SALTED else 0),
        ),
    ]
    before = [(module, name, getattr(module, name)) for module, name, _ in places]
    try:
        for module, name, shift in places:
            setattr(module, name, shift(getattr(module, name)))
        yield
    finally:
        for module, name, real in before:
            setattr(module, name, real)
