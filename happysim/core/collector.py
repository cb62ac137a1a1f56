"""The garbage collector of cycles, which what makes none does better with less of."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def rare_collection(objects: int) -> Iterator[None]:
    """Look for cycles only when there are so many new objects. Off stays off."""
    before = gc.get_threshold()
    if before[0]:
        gc.set_threshold(max(before[0], objects), *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
