"""Many runs, on one processor or several: the same results in the same order either way.

A run is a function of its number. Workers take numbers, and their results are looked at in order of
number, so what is found first does not depend on who was faster.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

_T = TypeVar("_T")
# Fewer runs than this are not worth starting a process for.
_WORTHWHILE = 4

# What the workers run. They are forked, so that scenarios and properties need no pickling.
_JOBS: list[Callable[[int], Any]] = []


def _work(number: int) -> Any:
    return _JOBS[-1](number)


@contextmanager
def results(
    job: Callable[[int], _T], count: int, workers: int | None = None
) -> Iterator[Iterator[_T]]:
    """The results of `job(0)`, `job(1)` ... `job(count - 1)`, in this order.

    `workers` is how many processes work on them (default: one a processor). Leaving the context
    stops the rest. Where processes cannot be forked, this one does all.
    """
    workers = min(count, workers or os.cpu_count() or 1)
    can_fork = "fork" in multiprocessing.get_all_start_methods()
    if workers <= 1 or count < _WORTHWHILE or not can_fork or multiprocessing.parent_process():
        yield map(job, range(count))
        return
    _JOBS.append(job)
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("fork"))
    try:
        chunk = max(1, min(16, count // (workers * 4)))
        yield pool.map(_work, range(count), chunksize=chunk)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        _JOBS.pop()
