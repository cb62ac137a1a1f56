"""Streams of chance: one for each use, so that a draw for one thing never moves another's.

Latencies and timer delays are drawn millions of times, so they come from the interpreter's own
Mersenne Twister. Its `random()` is promised to give the same numbers for the same integer seed in
every version of Python; nothing else of that module is, and nothing else is used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from random import Random as Twister  # noqa: TID251 - its random() alone, which never changes


def floats(seed: int, label: str) -> Callable[[], float]:
    """A function that draws floats in [0, 1): the same for the same seed and label."""
    key = hashlib.blake2b(f"{seed} {label}".encode(), digest_size=8).digest()
    return Twister(int.from_bytes(key, "big")).random
