"""Trials: does some property or test notice that a protocol's source was changed?

Every trial is a forked process of its own, with a limit on its processor time. It loads the changed
source under the module's name, and then imports properties and tests as ever.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import multiprocessing
import multiprocessing.connection
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.abc import Loader
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import happysim
from happysim.front.collect import gather, target
from happysim.front.judging import Outcome, judge
from happysim.search.check import explore, group_by_scenario
from happysim.spec.property import Property

TIME_RAN_OUT = "the time ran out"
PROTOCOLS = "happysim.protocols"
TOO_DEAR = "takes more than"
_MEMORY_MIB = 1500.0


@dataclass(frozen=True)
class Check:
    """A test file, or one scenario of a file of properties; `scenario` is its place there."""

    path: str
    scenario: int | None = None
    title: str = ""

    def __str__(self) -> str:
        return f"{self.path}::{self.title}" if self.title else self.path


@dataclass(frozen=True)
class Measure:
    """What a check takes, where nothing is changed: seconds, and the lines that it runs by file."""

    check: Check
    seconds: float
    fault: str | None
    lines: dict[str, list[int]]


def run(check: Check, root: Path) -> str | None:
    """None where all is as it should be, else what is wrong."""
    if check.scenario is None:
        code = pytest.main(
            ["-qx", "--assert=plain", "-pno:cacheprovider", "-mnot slow", str(root / check.path)]
        )
        return None if code in (0, pytest.ExitCode.NO_TESTS_COLLECTED) else "a test fails"
    scenario, properties = _scenarios(check.path, root)[check.scenario]
    report = explore(scenario, *properties, memory_mib=_MEMORY_MIB)
    for prop in properties:
        judged = judge(prop, report)
        if judged.outcome is not Outcome.PASSED:
            return f"{prop.name}: {judged.text.partition(chr(10))[0]}"
    return None


def _scenarios(path: str, root: Path) -> list[tuple[Any, list[Property]]]:
    return group_by_scenario([prop for _, prop in gather([target(path)], root)])


def checks_of(path: str, root: Path) -> list[Check]:
    """The checks of a file: one, if it is of tests, or one for each scenario of its properties."""
    if Path(path).name.startswith("test_"):
        return [Check(path)]
    return [Check(path, at, str(each[0])) for at, each in enumerate(_scenarios(path, root))]


# -- where nothing is changed ----------------------------------------------------------------------


def measure(path: str, root: Path, below: Path, most: float) -> list[Measure]:
    """Run every check of a file, for `most` seconds each; note which lines below a folder run."""
    found = []
    for check in checks_of(path, root):
        began = time.process_time()
        with _lines_run(below) as lines, _ending_after(most) as ended:
            try:
                fault = run(check, root)
            except Exception as error:
                fault = f"{type(error).__name__}: {error}"
        seconds = time.process_time() - began
        named = {str(Path(file).relative_to(root)): sorted(at) for file, at in lines.items()}
        if ended:
            fault = f"{TOO_DEAR} {most:g} s"
        found.append(Measure(check, seconds, fault, named))
    return found


class _TooDear(Exception):
    """A check that takes longer than a trial may."""


@contextlib.contextmanager
def _ending_after(seconds: float) -> Iterator[list[bool]]:
    """Raise in whatever runs, once it has taken so much processor time; the list then holds True.

    What runs may take the exception for a failure of its own.
    """
    ended: list[bool] = []

    def end(number: int, frame: object) -> None:
        ended.append(True)
        raise _TooDear

    signal.signal(signal.SIGPROF, end)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield ended
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


@contextlib.contextmanager
def _lines_run(below: Path) -> Iterator[dict[str, set[int]]]:
    """The lines that run meanwhile in files below a folder."""
    found: dict[str, set[int]] = {}
    wanted: dict[str, set[int] | None] = {}

    def call(frame: FrameType, event: str, argument: object) -> Callable[..., Any] | None:
        file = frame.f_code.co_filename
        if file not in wanted:
            ours = Path(file).is_relative_to(below)
            wanted[file] = found.setdefault(file, set()) if ours else None
        lines = wanted[file]
        if lines is None:
            return None

        def line(frame: FrameType, event: str, argument: object) -> Callable[..., Any]:
            if event == "line":
                lines.add(frame.f_lineno)
            return line

        return line

    before = sys.gettrace()
    sys.settrace(call)
    try:
        yield found
    finally:
        sys.settrace(before)


# -- where something is ----------------------------------------------------------------------------


def attempt(module: str, source: str, file: str, checks: Sequence[Check], root: Path) -> str | None:
    """What is wrong with a module's changed source, by the first check that notices."""
    try:
        load(module, source, file)
    except Exception as error:
        return f"does not import: {type(error).__name__}: {error}"
    for check in checks:
        try:
            wrong = run(check, root)
        except Exception as error:
            wrong = f"{type(error).__name__}: {error}".partition("\n")[0]
        if wrong is not None:
            return f"{check}: {wrong}"
    return None


def load(module: str, source: str, file: str) -> None:
    """Make `module` what this source says, for whoever imports it from now on.

    Nobody may have imported it yet, but for the other protocols, and happysim itself, which offers
    their names: these are loaded again.
    """
    for name in [each for each in sys.modules if each.startswith(PROTOCOLS)]:
        del sys.modules[name]
    sys.meta_path.insert(0, _Loader(module, source, file))
    importlib.import_module(module)
    importlib.reload(happysim)


class _Loader(Loader):
    """Finds and loads one module, from a text."""

    def __init__(self, module: str, source: str, file: str) -> None:
        self.module, self.source, self.file = module, source, file

    def find_spec(self, name: str, path: object = None, target: object = None) -> Any:
        if name != self.module:
            return None
        return importlib.util.spec_from_file_location(name, self.file, loader=self)

    def create_module(self, spec: object) -> None:
        return None

    def exec_module(self, module: Any) -> None:
        exec(compile(self.source, self.file, "exec"), vars(module))


# -- processes of their own ------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """Work for a process: `key` says what for, `seconds` how much processor time it may take."""

    key: Any
    work: Callable[..., Any]
    arguments: tuple[Any, ...]
    seconds: float


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
