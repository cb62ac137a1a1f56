"""Many runs, on one processor or several: the same results in the same order either way.

A run is a function of its number. Of `w` workers, the one numbered `i` makes the runs `i`, `i + w`,
`i + 2w` and so on, and its results are read in that order. So what is found first does not depend
on who is faster. A worker waits while its pipe is full, and is ended when no more is wanted.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import TypeVar

from happysim.core.errors import HappysimError

_T = TypeVar("_T")
# Fewer runs than this are not worth starting a process for.
_WORTHWHILE = 4
_RAISED = "raised"


@contextmanager
def results(
    job: Callable[[int], _T], count: int, workers: int | None = None
) -> Iterator[Iterator[_T]]:
    """The results of `job(0)`, `job(1)` ... `job(count - 1)`, in this order.

    `workers` is how many processes work on them (default: one a processor). Leaving the context
    ends them. Where processes cannot be forked, this one does all. What a job raises is raised
    where its result would be.
    """
    workers = min(count, workers or os.cpu_count() or 1)
    can_fork = "fork" in multiprocessing.get_all_start_methods()
    if workers <= 1 or count < _WORTHWHILE or not can_fork or multiprocessing.parent_process():
        yield map(job, range(count))
        return
    crew = [_hire(job, range(first, count, workers)) for first in range(workers)]
    try:
        yield _in_order(job, count, [pipe for _, pipe in crew])
    finally:
        for process, pipe in crew:
            process.terminate()
            pipe.close()
        for process, _ in crew:
            process.join()


def _hire(job: Callable[[int], _T], numbers: range) -> tuple[BaseProcess, Connection]:
    """A worker that makes these runs. It is forked, so that the job needs no pickling."""
    fork = multiprocessing.get_context("fork")
    here, there = fork.Pipe(duplex=False)
    process = fork.Process(target=_work, args=(job, numbers, there), daemon=True)
    process.start()
    there.close()
    return process, here


def _work(job: Callable[[int], _T], numbers: range, pipe: Connection) -> None:
    # Ctrl-C is for the process that reads the results; it ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in numbers:
        try:
            made = job(number)
        except Exception:
            pipe.send((_RAISED, None))
            return
        pipe.send(("", made))


def _in_order(job: Callable[[int], _T], count: int, pipes: list[Connection]) -> Iterator[_T]:
    for number in range(count):
        try:
            said, made = pipes[number % len(pipes)].recv()
        except EOFError:
            raise HappysimError(
                f"the process that makes run {number} was killed; for want of memory, perhaps: "
                "make shorter runs, or give workers=1"
            ) from None
        # A run is a function of its number: here it raises the same, where it can be seen.
        yield job(number) if said == _RAISED else made
