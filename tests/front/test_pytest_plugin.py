"""Properties and traces as tests: what is collected, what passes, and what a failure prints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from happysim.front import pytest_plugin
from happysim.front.cli import main
from tests.support.project import COUNTER, LOCK, Project, fresh_imports

HOLDS = "\n@always(counting)\ndef small(world):\n    return world['a'].n < 4\n"
BREAKS = "\n@always(counting)\ndef tiny(world):\n    return world['a'].n < 2 or 'it is 2'\n"
CAUGHT = f"{BREAKS}caught = must_break(tiny)\ntiny = None\n"
LOCK_IDS = [
    "properties/lock.py::tokens_reach_the_store_in_order",
    "properties/lock.py::both_clients_write",
    "properties/lock.py::unfenced",
    "properties/lock.py::caught",
]


@pytest.fixture
def project(pytester: pytest.Pytester, capsys: pytest.CaptureFixture[str]) -> Project:
    pytester.makeini("[pytest]\n")
    return Project(pytester.path, capsys)


class Runner:
    """Runs pytest in the project, in this process, with fresh imports."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester

    def __call__(self, *options: str) -> pytest.RunResult:
        with fresh_imports(self.pytester.path):
            return self.pytester.runpytest_inprocess("-p", "no:cacheprovider", *options)

    def collected(self, *options: str) -> list[str]:
        found = self("--collect-only", "-q", *options)
        return [line for line in found.outlines if "::" in line]


@pytest.fixture
def run(pytester: pytest.Pytester) -> Runner:
    return Runner(pytester)


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str]]]:
    """Each search that was made: its scenario, and the properties judged in it."""
    made = []
    explore = pytest_plugin.explore

    def counted(scenario: Any, *properties: Any, **options: Any) -> Any:
        made.append((str(scenario), [prop.name for prop in properties]))
        return explore(scenario, *properties, **options)

    monkeypatch.setattr(pytest_plugin, "explore", counted)
    return made


# -- what is collected ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ((), LOCK_IDS),
        (("properties",), LOCK_IDS),
        (("properties/lock.py",), LOCK_IDS),
        (("properties/lock.py", "properties"), LOCK_IDS),
        (("properties/lock.py::unfenced",), LOCK_IDS[2:3]),
        (("-k", "clients or caught"), [LOCK_IDS[1], LOCK_IDS[3]]),
        (("-o", "python_files=*.py"), LOCK_IDS),
        (("-o", "python_files=lock.py", "properties/lock.py"), LOCK_IDS),
        (("--import-mode=importlib",), LOCK_IDS),
    ],
)
def test_the_id_of_a_test_is_the_theorem_and_each_is_collected_once(
    project: Project, run: Runner, options: tuple[str, ...], wanted: list[str]
) -> None:
    project.write("properties/lock.py", LOCK)
    assert run.collected(*options) == wanted


def test_tests_and_helpers_may_lie_among_properties(project: Project, run: Runner) -> None:
    project.count("properties/small.py", HOLDS)
    project.count("properties/helper.py")
    project.write("properties/broken/other.py", "from properties.small import counting, small\n"
                  "over = small.over(counting)\n")  # fmt: skip
    for name in ("properties/test_a.py", "properties/b_test.py", "test_small.py"):
        project.write(name, "def test():\n    pass\n")
    assert sorted(run.collected()) == [
        "properties/b_test.py::test",
        "properties/broken/other.py::over",
        "properties/small.py::small",
        "properties/test_a.py::test",
        "test_small.py::test",
    ]


def test_a_project_without_properties_is_left_alone(project: Project, run: Runner) -> None:
    # An app of that name, files that end in .trace, and modules that must not be imported.
    project.write("app/properties/models.py", "raise SystemExit('imported')")
    project.write("app/properties/views.py", "from app.properties import models")
    project.write("logs/run.trace", "execve('/bin/true')\n")
    project.write("test_app.py", "def test():\n    pass\n")
    run().assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import happysim, nothing_here", "ModuleNotFoundError: No module named 'nothing_here'"),
        ("import happysim\nx = 1 / 0", "  at properties/p.py:2, in <module>"),
        ("import happysim\ndef f(:", "SyntaxError: "),
        ("import happysim\nraise SystemExit(0)", "SystemExit: 0"),
        (f"{COUNTER}\n@always\ndef p(world):\n    return True", "write @always(scenario)"),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error_with_its_place(
    project: Project, run: Runner, text: str, said: str
) -> None:
    project.write("properties/p.py", text)
    project.count("properties/q.py", HOLDS)
    result = run()
    result.assert_outcomes(errors=1)
    assert said in result.stdout.str()
    assert "collect.py" not in result.stdout.str()


def test_a_test_is_found_where_its_property_is_written(project: Project, run: Runner) -> None:
    path = project.count("properties/p.py", f"{HOLDS}over = small.over(counting)\n")
    project.write(
        "conftest.py",
        "def pytest_collection_modifyitems(items):\n    print([item.location for item in items])\n",
    )
    line = path.read_text().splitlines().index("@always(counting)")
    place = str(path.relative_to(project.root))
    assert str([(place, line, name) for name in ("small", "over")]) in run("-s").stdout.str()


# -- how properties are judged -------------------------------------------------------------------


def test_the_properties_of_a_scenario_share_one_search(
    project: Project, run: Runner, searches: list[tuple[str, list[str]]]
) -> None:
    project.write("properties/lock.py", LOCK)
    run().assert_outcomes(passed=3, failed=1)
    assert searches == [
        ("two_clients()", ["tokens_reach_the_store_in_order", "both_clients_write"]),
        ("two_clients(fenced=False)", ["unfenced", "caught"]),
    ]


def test_what_is_not_selected_is_not_searched(
    project: Project, run: Runner, searches: list[tuple[str, list[str]]]
) -> None:
    project.write("properties/lock.py", LOCK)
    run("-k", "clients or caught").assert_outcomes(passed=2, deselected=2)
    assert searches == [
        ("two_clients()", ["both_clients_write"]),
        ("two_clients(fenced=False)", ["caught"]),
    ]


LOOKING = """
@bounded(by=uniform(seed=1, runs=3), unknown_passes=True)
def looking():
    return counting()

@bounded(max_worlds=2)
def hurried():
    return counting()

looked = small.over(looking)
cut = small.over(hurried)
"""


def test_unknown_fails_unless_the_scenario_says_that_it_passes(
    project: Project, run: Runner
) -> None:
    project.count("properties/p.py", HOLDS + LOOKING)
    result = run()
    result.assert_outcomes(passed=2, failed=1)
    assert (
        "cut: Unknown (the budget of worlds ran out after 2 worlds)\nscenario: hurried()"
        in result.stdout.str()
    )


def test_a_fault_that_never_happened_fails_where_strict(project: Project, run: Runner) -> None:
    world = "World.of(Counter('a'), faults=Faults(drops=1))"
    project.count(
        "properties/p.py", f"from happysim import Faults\np = always(lambda: {world})(bool)\n"
    )
    result = run("-rP")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*vacuous*", "the faults declare drops, but none ever happened"])
    result = run("--happysim-strict")
    result.assert_outcomes(failed=1)
    assert "but the faults declare drops, but none ever happened" in result.stdout.str()


def test_a_failure_prints_the_run_and_how_to_replay_it(project: Project, run: Runner) -> None:
    project.count("properties/p.py", BREAKS)
    result = run()
    result.assert_outcomes(failed=1)
    (path,) = project.root.glob(".happysim/p/tiny--*.trace")
    place = path.relative_to(project.root)
    result.stdout.fnmatch_lines(
        [
            "tiny: Broken (in 2 choices, shortest)",
            "*act go*n: 0 * 1",
            "*act go*n: 1 * 2",
            "*broken: it is 2",
            f"saved: {place}",
            f"replay: happysim replay {place}",
            "FAILED properties/p.py::tiny - tiny: Broken (in 2 choices, shortest)",
        ]
    )
    assert "pytest_plugin.py" not in result.stdout.str()
    with fresh_imports(project.root):
        assert main(["replay", str(place)]) == 1


def test_the_folder_of_counterexamples_can_be_set(project: Project, run: Runner) -> None:
    project.count("properties/p.py", BREAKS)
    run("--happysim-save=kept").assert_outcomes(failed=1)
    assert len(list(project.root.glob("kept/p/tiny--*.trace"))) == 1
    assert not (project.root / ".happysim").exists()


def test_a_mistake_passes_where_it_is_caught_and_fails_where_not(
    project: Project, run: Runner
) -> None:
    project.count("properties/p.py", f"{HOLDS}{CAUGHT}missed = must_break(small)\nsmall = None\n")
    result = run()
    result.assert_outcomes(passed=1, failed=1)
    assert "missed: should be broken, but: Holds (exhaustive)" in result.stdout.str()


RAISES = "\ndef s():\n    return 1 / 0\np = always(s)(bool)\nq = always(s)(bool)\n"


def test_what_goes_wrong_in_a_search_is_told_with_its_place(project: Project, run: Runner) -> None:
    seven = "\n@always(counting)\ndef seven(world):\n    return 7\n"
    project.count("properties/p.py", RAISES + seven)
    result = run()
    result.assert_outcomes(failed=3)
    said = result.stdout.str()
    # What pytest warns of is behind; where it runs under CI, it says it all again in its summary.
    said = said.partition("warnings summary")[0].partition("short test summary info")[0]
    assert said.count("ZeroDivisionError: division by zero\n  at properties/p.py:") == 2
    assert said.count("      return 1 / 0\n") == 2
    assert "property seven returned 7; return True, False or a text" in said
    assert ".py:" not in said.replace("properties/p.py:", "")


def test_a_search_that_goes_wrong_is_not_made_again_for_each_property(
    project: Project, run: Runner, searches: list[tuple[str, list[str]]]
) -> None:
    project.count("properties/p.py", RAISES)
    run().assert_outcomes(failed=2)
    assert searches == [("s()", ["p", "q"])]


def test_ctrl_c_in_a_search_ends_the_session(
    project: Project, run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.count("properties/p.py", f"{HOLDS}over = small.over(lambda: counting())\n")
    explore = pytest_plugin.explore

    def pressed(*asked: Any, **options: Any) -> Any:
        report = explore(*asked, max_worlds=2, **options)
        object.__setattr__(report, "stopped", "interrupt")  # what a search makes of Ctrl-C
        return report

    monkeypatch.setattr(pytest_plugin, "explore", pressed)
    with pytest.raises(KeyboardInterrupt):
        run()


def test_verbose_says_what_each_verdict_rests_on(project: Project, run: Runner) -> None:
    project.count("properties/p.py", HOLDS + BREAKS)
    lines = run("-v").outlines
    assert "properties/p.py::small: Holds (exhaustive); 4 worlds" in lines
    assert "properties/p.py::tiny: Broken (in 2 choices, shortest): it is 2; 4 worlds" in lines
    assert "verdicts" not in run().stdout.str()


def test_an_ordinary_test_may_check_a_property(project: Project, run: Runner) -> None:
    project.count("properties/p.py", HOLDS + BREAKS)
    project.write(
        "test_p.py",
        "from happysim import check\nfrom properties.p import small, tiny\n"
        "def test_holds():\n    assert check(small).holds\n"
        "def test_message():\n    verdict = check(tiny)\n    assert verdict.holds, str(verdict)\n"
        "def test_no_bool():\n    assert check(small)\n",
    )
    result = run("test_p.py", "-o", "pythonpath=.")
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(
        [
            "*AssertionError: Broken (in 2 choices, shortest): it is 2",
            "*TypeError: *`verdict.holds`*",
        ]
    )


# -- traces --------------------------------------------------------------------------------------


@pytest.fixture
def trace(project: Project) -> Path:
    """The trace of a property that is broken."""
    project.count("properties/p.py", BREAKS)
    return project.trace("properties/p.py")


def test_a_trace_is_a_test_that_its_property_holds_now(
    project: Project, run: Runner, trace: Path
) -> None:
    assert run.collected("traces", str(trace)) == [f"{trace}::replay"]
    result = run("traces")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["tiny: Broken (in 2 choices)", "*broken: it is 2", f"replay: happysim replay {trace}"]
    )
    project.edit("properties/p.py", ("world['a'].n < 2", "world['a'].n < 4"))
    project.edit("properties/p.py", ("    n: int = 0", "    n: int = -1"))
    result = run("traces", "-rP")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*drift*", "*the first world drifted: a.n is -1 now, and was 0*"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("it is 2", "it is two"), ""),
        (("n < 2 or", "n < 4 or"), "tiny must break on this schedule, and does not"),
        (("self.n += 1", "self.n += 2"), "line 9: the world after `act a go` drifted: a.n is 2"),
        (
            ("    n: int = 0", "    m: int = 0\n    n: int = 0"),
            "tiny is broken, but not as recorded",
        ),
        (("def go", "def went"), "not enabled any more: act a go"),
        (("def tiny", "def huge"), "has no property 'tiny' any more; it has huge"),
    ],
)
def test_the_trace_of_a_mistake_must_break_as_recorded(
    project: Project, run: Runner, trace: Path, change: tuple[str, str], said: str
) -> None:
    caught = ("@always(counting)", "@must_break\n@always(counting)")
    project.edit("properties/p.py", caught)
    run("traces").assert_outcomes(passed=1)
    project.edit("properties/p.py", change)
    result = run("traces")
    result.assert_outcomes(passed=not said, failed=bool(said))
    assert said in result.stdout.str()


def test_the_trace_of_a_witness_must_lead_there(project: Project, run: Runner) -> None:
    text = "\n@reachable(counting)\ndef two(world):\n    return world['a'].n == 2\n"
    project.count("properties/p.py", text)
    project.witness("properties/p.py", "two")
    run("traces").assert_outcomes(passed=1)
    project.edit("properties/p.py", ("n == 2", "n == 9"))
    result = run("traces")
    result.assert_outcomes(failed=1)
    assert "two must be reached on this schedule, and does not" in result.stdout.str()


def test_a_trace_that_cannot_be_read_fails_with_file_and_line(
    project: Project, run: Runner
) -> None:
    project.write("traces/old.trace", "happysim trace 0\n")
    project.write("other.trace", "ours?")
    result = run("traces", "other.trace")
    result.assert_outcomes(failed=2)
    assert "traces/old.trace, line 1: version '0' of the format" in result.stdout.str()
    assert "other.trace, line 1: not a trace" in result.stdout.str()
