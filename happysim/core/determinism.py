"""Catching handlers that read what is not theirs: the clock, hidden chance, addresses, hashes.

The check runs a handler a second time on the same input, in surroundings where those things answer
differently, and compares. A handler that reads only its fields, its message and its host cannot
tell the two runs apart.
"""

from __future__ import annotations

import builtins
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

# Far more than any rounding of a clock that a handler may do.
_SECONDS_LATER = 1_000_003
_SALT = 0x5DEECE66D
# The types whose hash differs from process to process.
_SALTED = (str, bytes)


def _later(real: Callable[[], float]) -> Callable[[], float]:
    return lambda: real() + _SECONDS_LATER


def _later_ns(real: Callable[[], int]) -> Callable[[], int]:
    return lambda: real() + _SECONDS_LATER * 10**9


def _other_id(real: Callable[[Any], int]) -> Callable[[Any], int]:
    return lambda thing: real(thing) ^ _SALT


def _other_hash(real: Callable[[Any], int]) -> Callable[[Any], int]:
    # Only a direct hash(text): the hashes that sets and dicts use must stay consistent.
    return lambda thing: real(thing) ^ (_SALT if type(thing) in _SALTED else 0)


_PLACES: tuple[tuple[Any, str, Callable[[Any], Any]], ...] = (
    (time, "time", _later),
    (time, "monotonic", _later),
    (time, "perf_counter", _later),
    (time, "time_ns", _later_ns),
    (time, "monotonic_ns", _later_ns),
    (builtins, "id", _other_id),
    (builtins, "hash", _other_hash),
)


@lru_cache(maxsize=2)
def _stand_ins(real: tuple[Callable[..., Any], ...]) -> list[Callable[..., Any]]:
    """For what is found in those places: the same again, most often."""
    return [shift(each) for (_, _, shift), each in zip(_PLACES, real, strict=True)]


class shifted_surroundings:
    """Clocks run ahead, `id` and the hash of text answer differently, inside a `with` of this."""

    __slots__ = ("_before",)

    def __enter__(self) -> None:
        self._before = tuple([getattr(module, name) for module, name, _ in _PLACES])
        stand_ins = _stand_ins(self._before)
        for (module, name, _), stand_in in zip(_PLACES, stand_ins, strict=True):
            setattr(module, name, stand_in)

    def __exit__(self, *error: object) -> None:
        for (module, name, _), real in zip(_PLACES, self._before, strict=True):
            setattr(module, name, real)
