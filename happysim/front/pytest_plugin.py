"""The pytest plugin: properties and traces are tests.

- Every property in a file under a folder named `properties` is a test item; its id is the theorem:
  `properties/lock.py::tokens_reach_the_store_in_order`. All properties of one scenario that are
  selected share one search.
- Every `*.trace` file is a test item that replays it. A property that `must_break` has to be broken
  exactly as recorded; any other has to hold now.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from happysim.core.errors import HappysimError
from happysim.front.collect import import_file, properties_in
from happysim.front.judging import Judged, Outcome, judge, keep, picture, small
from happysim.search.check import explore, group_by_scenario
from happysim.search.report import Report
from happysim.spec.property import Property
from happysim.spec.verdict import Broken
from happysim.trace.format import read
from happysim.trace.replay import Replayed, replay

_FOLDER = "properties"
# Where counterexamples of failing tests are kept, below the root of the tests.
_KEPT = ".happysim"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the plugin's options."""
    group = parser.getgroup("happysim")
    group.addoption(
        "--happysim-strict",
        action="store_true",
        help="a property does not hold where a declared fault never happened",
    )
    group.addoption(
        "--happysim-save",
        default=_KEPT,
        metavar="FOLDER",
        help=f"where to keep traces of counterexamples (default: {_KEPT})",
    )


def _is_properties(path: Path, config: pytest.Config) -> bool:
    if path.suffix != ".py" or path.name.startswith(("_", "test_", "conftest")):
        return False
    try:
        parts = path.relative_to(config.rootpath).parts[:-1]
    except ValueError:
        parts = path.parts[:-1]
    return _FOLDER in parts


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect files of properties, and traces."""
    if file_path.suffix == ".trace":
        return TraceFile.from_parent(parent, path=file_path)
    # A file named on the command line comes through pytest_pycollect_makemodule instead.
    if _is_properties(file_path, parent.config) and not parent.session.isinitpath(file_path):
        return PropertyFile.from_parent(parent, path=file_path)
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makemodule(
    module_path: Path, parent: pytest.Collector
) -> pytest.Collector | None:
    """Keep pytest from reading a file of properties as a file of tests."""
    if _is_properties(module_path, parent.config):
        return PropertyFile.from_parent(parent, path=module_path)
    return None


class PropertyFile(pytest.File):
    """A file of properties."""

    def collect(self) -> Iterable[pytest.Item]:
        """An item for each property of the file."""
        try:
            module = import_file(self.path, self.config.rootpath)
        except HappysimError as error:
            raise self.CollectError(str(error)) from error
        for prop in properties_in(module):
            yield PropertyItem.from_parent(self, name=prop.name, prop=prop)


class PropertyFailure(Exception):
    """A property that did not hold; the message is what a person should read."""


class _Item(pytest.Item):
    """What both kinds of items share: how a failure is shown."""

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show our own errors as they are, and others with a traceback."""
        if isinstance(excinfo.value, (PropertyFailure, HappysimError)):
            notes = "".join(f"\n{note}" for note in getattr(excinfo.value, "__notes__", ()))
            return f"{excinfo.value}{notes}"
        return super().repr_failure(excinfo, style)


class PropertyItem(_Item):
    """One property."""

    def __init__(self, *, prop: Property, **rest: Any) -> None:
        super().__init__(**rest)
        self.prop = prop

    def runtest(self) -> None:
        """Judge the property, in one search with the others of its scenario."""
        report = self.session.stash[_searches].report(self)
        judged = judge(self.prop, report, strict=self.config.getoption("happysim_strict"))
        self.user_properties += [
            ("verdict", judged.text),
            ("worlds", report.worlds),
            ("steps", report.steps),
        ]
        for warning in report.warnings:
            self.add_report_section("call", "vacuous", warning)
        if judged.outcome is not Outcome.PASSED:
            raise PropertyFailure(self._failure(judged, report))

    def _failure(self, judged: Judged, report: Report) -> str:
        if not isinstance(judged.verdict, Broken) or self.prop.must_break:
            return f"{self.prop.name}: {judged.text}\nscenario: {report.scenario}"
        verdict = small(judged.verdict)
        folder = self.config.rootpath / self.config.getoption("happysim_save")
        _, kept = keep(verdict, folder)
        return f"{picture(verdict)}\n{kept}"

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where the property is written."""
        code = getattr(self.prop.function, "__code__", None)
        line = code.co_firstlineno - 1 if code and code.co_filename == str(self.path) else None
        return self.path, line, self.name


class TraceFile(pytest.File):
    """A saved trace."""

    def collect(self) -> Iterable[pytest.Item]:
        """One item, which replays it."""
        yield TraceItem.from_parent(self, name="replay")


class TraceItem(_Item):
    """The replay of a trace."""

    def runtest(self) -> None:
        """Replay; a `must_break` property has to be broken as recorded, another has to hold."""
        replayed = replay(read(self.path), self.config.rootpath)
        if replayed.prop.must_break:
            self._must_be_broken(replayed)
        elif replayed.broken:
            verdict = Broken(
                replayed.prop,
                reason=replayed.run.wrong or "",
                schedule=replayed.run.schedule,
                start=replayed.trace.start,
            )
            raise PropertyFailure(f"{picture(verdict)}\n{replayed.drift}")
        elif replayed.drift:
            self.add_report_section("call", "drift", replayed.drift)

    def _must_be_broken(self, replayed: Replayed) -> None:
        if not replayed.broken:
            raise PropertyFailure(
                f"{replayed.prop.name} must break on this schedule, and does not\n{replayed.drift}"
            )
        if not replayed.exact:
            raise PropertyFailure(f"broken, but not as recorded\n{replayed.drift}")

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """The file."""
        return self.path, None, f"replay of {self.path.name}"


class Searches:
    """The searches of a session: one for each scenario, when its first item runs."""

    def __init__(self, session: pytest.Session) -> None:
        self.session = session
        self.reports: dict[int, Report] = {}

    def report(self, item: PropertyItem) -> Report:
        """The report that judges an item's property."""
        if id(item.prop) not in self.reports:
            selected = [each.prop for each in self.items()]
            for scenario, properties in group_by_scenario(selected):
                if any(prop is item.prop for prop in properties):
                    found = explore(scenario, *properties)
                    self.reports.update((id(prop), found) for prop in properties)
        return self.reports[id(item.prop)]

    def items(self) -> Iterator[PropertyItem]:
        """The property items that were selected."""
        return (item for item in self.session.items if isinstance(item, PropertyItem))


_searches = pytest.StashKey[Searches]()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Prepare the searches that items will share."""
    session.stash[_searches] = Searches(session)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """With -v, say what each verdict rests on."""
    if config.getoption("verbose") < 1:
        return
    lines = []
    for reports in terminalreporter.stats.values():
        for report in reports:
            said = dict(getattr(report, "user_properties", ()))
            if "verdict" in said and getattr(report, "when", "") == "call":
                lines.append(f"{report.nodeid}: {said['verdict']}; {said['worlds']:,} worlds")
    if lines:
        terminalreporter.section("verdicts")
        for line in lines:
            terminalreporter.line(line)
