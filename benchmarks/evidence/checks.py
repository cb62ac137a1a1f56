"""Checks: a test, or a scenario with the properties over it. What each takes, and which lines run.

Files of tests and properties are collected once, by pytest; processes forked from there run some.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import pytest

from benchmarks.evidence.apart import Job, apart
from happysim.front.judging import Outcome, judge
from happysim.front.pytest_plugin import PropertyItem
from happysim.search.check import explore, group_by_scenario

TOO_DEAR = "takes more than"
_MEMORY_MIB = 1500.0
T = TypeVar("T")


@dataclass(frozen=True)
class Check:
    """A test of a file, or a scenario of a file of properties; equal titles are numbered."""

    path: str
    title: str
    number: int = 1

    def __str__(self) -> str:
        again = f" (no. {self.number})" if self.number > 1 else ""
        return f"{self.path}::{self.title}{again}"


@dataclass(frozen=True)
class Measure:
    """What a check takes, where nothing is changed: seconds, and the lines that it runs by file."""

    check: Check
    seconds: float
    fault: str | None
    lines: dict[str, list[int]]


class Collected:
    """The checks of some files, imported and ready to run."""

    def __init__(self, session: pytest.Session) -> None:
        root = session.config.rootpath
        self.wrong: list[str] = []
        self.runs: dict[Check, Callable[[], str | None]] = {}
        properties: dict[str, list[PropertyItem]] = {}
        for item in session.items:
            path = item.path.relative_to(root).as_posix()
            if isinstance(item, PropertyItem):
                properties.setdefault(path, []).append(item)
            else:
                title = item.nodeid.partition("::")[2]
                self._add(path, title, lambda item=item: self._test(item))
        for path, items in properties.items():
            for scenario, stated in group_by_scenario([each.prop for each in items]):
                run = lambda scenario=scenario, stated=stated: _judged(scenario, stated)  # noqa: E731
                self._add(path, str(scenario), run)

    def _add(self, path: str, title: str, run: Callable[[], str | None]) -> None:
        number = sum((each.path, each.title) == (path, title) for each in self.runs) + 1
        self.runs[Check(path, title, number)] = run

    def _test(self, item: pytest.Item) -> str | None:
        self.wrong.clear()
        item.ihook.pytest_runtest_protocol(item=item, nextitem=None)
        return self.wrong[0] if self.wrong else None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a failure, of the test or of what it stands on."""
        if report.failed:
            self.wrong.append("a test fails")

    def run(self, check: Check) -> str | None:
        """None where all is as it should be, else what is wrong."""
        if check not in self.runs:
            return "is not collected"
        try:
            return self.runs[check]()
        except Exception as error:
            return f"{type(error).__name__}: {error}".partition("\n")[0]


def _judged(scenario: Any, properties: Sequence[Any]) -> str | None:
    report = explore(scenario, *properties, memory_mib=_MEMORY_MIB)
    for prop in properties:
        judged = judge(prop, report)
        if judged.outcome is not Outcome.PASSED:
            return f"{prop.name}: {judged.text.partition(chr(10))[0]}"
    return None


def collected(paths: Sequence[str], root: Path, work: Callable[[Collected], T]) -> T:
    """What `work` returns, called with the checks of these files.

    Raises `RuntimeError` where they cannot be collected: what is imported is wrong.
    """
    plugin = _Loop(work)
    # Not what depends on the session as a whole, and nothing that writes files.
    options = [
        "-qq",
        "-s",
        "--assert=plain",
        "-pno:cacheprovider",
        "-mnot slow",
        f"--rootdir={root}",
    ]
    code = pytest.main([*options, *(str(root / path) for path in paths)], plugins=[plugin])
    if not plugin.result:
        raise RuntimeError(f"not collected: pytest ends with {code!r}")
    outcome = plugin.result[0]
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


class _Loop:
    """Runs something else where pytest would run its tests."""

    def __init__(self, work: Callable[[Collected], Any]) -> None:
        self.work = work
        self.result: list[Any] = []

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Called once all is collected."""
        if session.testsfailed:
            return True
        checks = Collected(session)
        session.config.pluginmanager.register(checks)
        try:
            self.result.append(self.work(checks))
        except Exception as error:
            self.result.append(error)
        return True


# -- what a check takes ----------------------------------------------------------------------------


def measure(
    paths: Sequence[str], root: Path, below: Path, most: float, processes: int
) -> list[Measure]:
    """Each check of these files run once, in a process of its own, for `most` seconds.

    Notes which lines below a folder run meanwhile.
    """

    def work(checks: Collected) -> list[Measure]:
        jobs = (
            Job(each, _measured, (checks, each, root, below, most), 5 * most + 5)
            for each in checks.runs
        )
        ended = apart(jobs, processes)
        return [each.result or Measure(each.job.key, 0, each.fault, {}) for each in ended]

    return collected(paths, root, work)


def _measured(checks: Collected, check: Check, root: Path, below: Path, most: float) -> Measure:
    began = time.process_time()
    with _lines_run(below) as lines, _ending_after(most) as ended:
        fault = checks.run(check)
    seconds = time.process_time() - began
    named = {Path(file).relative_to(root).as_posix(): sorted(at) for file, at in lines.items()}
    return Measure(check, seconds, f"{TOO_DEAR} {most:g} s" if ended else fault, named)


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
