"""Work in forked processes, each with a limit on its processor time."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import resource
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

TIME_RAN_OUT = "the time ran out"


@dataclass(frozen=True)
class Job:
    """Work for a process: `key` says what for, `seconds` how much processor time it may take.

    What it writes to standard output and error is thrown away, unless it is not `quiet`.
    """

    key: Any
    work: Callable[..., Any]
    arguments: tuple[Any, ...]
    seconds: float
    quiet: bool = True


@dataclass(frozen=True)
class Ended:
    """How a job ended: with a result, or (`fault`) without."""

    job: Job
    result: Any = None
    fault: str | None = None


def apart(jobs: Iterator[Job], processes: int) -> Iterator[Ended]:
    """Do jobs in forked processes, so many at a time; yields each as it ends."""
    context = multiprocessing.get_context("fork")
    running: dict[Any, tuple[Job, Any, float]] = {}
    while True:
        while len(running) < processes and (job := next(jobs, None)) is not None:
            receiving, sending = context.Pipe(duplex=False)
            child = context.Process(target=_work, args=(sending, job))
            child.start()
            sending.close()
            # A child that only sleeps, or waits for a processor, may take that much longer.
            running[receiving] = job, child, time.monotonic() + 30 * job.seconds
        if not running:
            return
        ready = multiprocessing.connection.wait(list(running), timeout=1.0)
        for receiving, (job, child, end) in list(running.items()):
            if receiving in ready or time.monotonic() > end:
                del running[receiving]
                yield _ended(job, child, receiving if receiving in ready else None)
                receiving.close()


def _work(sending: Any, job: Job) -> None:
    limit = int(job.seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 2))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if job.quiet:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
    try:
        ended = Ended(job, job.work(*job.arguments))
    except Exception:
        ended = Ended(job, fault=traceback.format_exc())
    sending.send((ended.result, ended.fault))
    sending.close()
    os._exit(0)


def _ended(job: Job, child: Any, receiving: Any) -> Ended:
    try:
        if receiving is None:
            child.kill()
            return Ended(job, fault=TIME_RAN_OUT)
        return Ended(job, *receiving.recv())
    except EOFError:
        child.join()
        out_of_time = child.exitcode in (-signal.SIGXCPU, -signal.SIGKILL)
        fault = TIME_RAN_OUT if out_of_time else f"the process ended with {child.exitcode}"
        return Ended(job, fault=fault)
    finally:
        child.join()
