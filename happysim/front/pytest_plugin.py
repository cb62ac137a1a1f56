"""The pytest plugin: properties and traces are tests.

- Every property in a file under a folder named `properties` is a test item; its id is the theorem:
  `properties/lock.py::tokens_reach_the_store_in_order`. All properties of one scenario that are
  selected share one search. A folder of that name in which no file mentions happysim is left alone.
- Every `*.trace` file of ours is a test item that replays it. A property that `must_break` has to
  be broken exactly as recorded, a `reachable` one has to be reached; any other has to hold now.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from happysim.core.errors import HappysimError
from happysim.front.collect import (
    FOLDER,
    has_name_for_properties,
    import_file,
    mentions_us,
    properties_in,
    python_files,
)
from happysim.front.judging import Judged, Outcome, judge, keep, picture, replay_command, small
from happysim.front.telling import shown, tell
from happysim.search.check import explore, group_by_scenario
from happysim.spec.property import Property, Sort
from happysim.spec.report import Report
from happysim.spec.scenario import Scenario
from happysim.spec.verdict import Broken
from happysim.trace.format import is_trace, read
from happysim.trace.replay import Replayed, replay

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


_folders = pytest.StashKey[dict[Path, bool]]()


def _is_properties(path: Path, config: pytest.Config) -> bool:
    """True for a file of properties, by its name, its folders, and what stands in the latter."""
    below = path.parts
    if path.is_relative_to(config.rootpath):
        below = path.relative_to(config.rootpath).parts
    if not has_name_for_properties(path) or FOLDER not in below[:-1]:
        return False
    folder = path.parents[len(below) - 2 - below.index(FOLDER)]
    known = config.stash.setdefault(_folders, {})
    if folder not in known:
        # Somebody else's package may be called so, and is not ours to import.
        known[folder] = any(map(mentions_us, python_files(folder)))
    return known[folder]


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect files of properties, and traces."""
    given = parent.session.isinitpath(file_path)
    if file_path.suffix == ".trace" and (given or is_trace(file_path)):
        return TraceFile.from_parent(parent, path=file_path)
    # What pytest takes for a file of tests comes through pytest_pycollect_makemodule instead.
    tests = [file_path.match(pattern) for pattern in parent.config.getini("python_files")]
    if not given and not any(tests) and _is_properties(file_path, parent.config):
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
            properties = list(properties_in(import_file(self.path, self.config.rootpath)))
        except HappysimError as error:
            raise self.CollectError(tell(error)) from error
        for prop in properties:
            yield PropertyItem.from_parent(self, name=prop.name, prop=prop)


class PropertyFailure(Exception):
    """A property that did not hold; the message is what a person should read."""


class _Item(pytest.Item):
    """What both kinds of items share: how a failure is shown."""

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show a failure as it is, and an error with the lines of the person's code behind it."""
        if isinstance(excinfo.value, PropertyFailure):
            return str(excinfo.value)
        if isinstance(excinfo.value, Exception):
            return tell(excinfo.value)
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
        """Replay, and compare with what the property is meant to do."""
        replayed = replay(read(Path(shown(self.path))), self.config.rootpath)
        if replayed.prop.must_break or replayed.prop.sort is Sort.REACHABLE:
            self._must_happen(replayed)
        elif replayed.broken:
            verdict = Broken(
                replayed.prop,
                reason=replayed.run.wrong or "",
                schedule=replayed.run.schedule,
                start=replayed.trace.start,
            )
            raise self._failure(picture(verdict), replayed)
        elif replayed.drift:
            self.add_report_section("call", "drift", replayed.drift)

    def _must_happen(self, replayed: Replayed) -> None:
        name, witness = replayed.prop.name, replayed.prop.sort is Sort.REACHABLE
        if not replayed.broken:
            verb = "be reached" if witness else "break"
            raise self._failure(f"{name} must {verb} on this schedule, and does not", replayed)
        if not replayed.exact and not witness:
            raise self._failure(f"{name} is broken, but not as recorded", replayed)

    def _failure(self, what: str, replayed: Replayed) -> PropertyFailure:
        said = [what, replayed.drift, replay_command(self.path)]
        return PropertyFailure("\n".join(each for each in said if each))

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """The file."""
        return self.path, None, f"replay of {self.path.name}"


class Searches:
    """The searches of a session: one for each scenario, when its first item runs."""

    def __init__(self, session: pytest.Session) -> None:
        self.session = session
        self.reports: dict[int, Report | Exception] = {}
        self.tracebacks: dict[int, TracebackType | None] = {}

    def report(self, item: PropertyItem) -> Report:
        """The report that judges an item's property. Raises what the search raised."""
        if id(item.prop) not in self.reports:
            selected = [each.prop for each in self.items()]
            for scenario, properties in group_by_scenario(selected):
                if any(prop is item.prop for prop in properties):
                    found = self._search(scenario, properties)
                    self.reports.update((id(prop), found) for prop in properties)
        report = self.reports[id(item.prop)]
        if isinstance(report, Exception):
            # Not the traceback that it has collected since, on its way through other items.
            raise report.with_traceback(self.tracebacks[id(report)])
        return report

    def _search(self, scenario: Scenario, properties: list[Property]) -> Report | Exception:
        try:
            report = explore(scenario, *properties)
        except Exception as error:
            self.tracebacks[id(error)] = error.__traceback__
            return error
        if report.stopped == "interrupt":
            # A search ends with what it knows; the person meant the whole session.
            raise KeyboardInterrupt
        return report

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
