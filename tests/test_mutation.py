"""The tool behind the table of mutants: it changes what it says, and tells what nobody noticed."""

from __future__ import annotations

import ast
import textwrap
from pathlib import Path

import pytest

from benchmarks import mutation
from benchmarks.evidence.apart import TIME_RAN_OUT, Job, apart
from benchmarks.evidence.bench import Bench, Noticed
from benchmarks.evidence.checks import Check, Measure, measure
from benchmarks.evidence.mutants import Mutant, mutants, sample
from benchmarks.evidence.trial import functions_of, load, swap

ROOT = Path(__file__).resolve().parents[1]


def changes(text: str) -> list[str]:
    return [each.name.partition(": ")[2] for each in mutants(textwrap.dedent(text))]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("x = a < b", ["a < b -> a <= b", "a < b -> a >= b"]),
        ("x = a <= b", ["a <= b -> a < b", "a <= b -> a > b"]),
        ("x = a > b", ["a > b -> a <= b", "a > b -> a >= b"]),
        ("x = a >= b", ["a >= b -> a < b", "a >= b -> a > b"]),
        ("x = a == b", ["a == b -> a != b"]),
        ("x = a != b", ["a != b -> a == b"]),
        ("x = a is b", ["a is b -> a is not b"]),
        ("x = a is not b", ["a is not b -> a is b"]),
        ("x = a in b", ["a in b -> a not in b"]),
        ("x = a not in b", ["a not in b -> a in b"]),
        ("x = a is b is c", ["a is b is c -> a is b is not c", "a is b is c -> a is not b is c"]),
        ("x = a and b", ["a and b -> a or b"]),
        ("x = a or b", ["a or b -> a and b"]),
        ("x = a + b", ["a + b -> a - b"]),
        ("x = a - b", ["a - b -> a + b"]),
        ("x += a", ["x += a -> x -= a"]),
        ("x = a + 'text'", []),
        ("x = [] + a", []),
        ("x = 7", ["7 -> 6", "7 -> 8"]),
        ("x = True", ["True -> False"]),
        ("x = 7.5, 'text', None", []),
        ("x = not a", ["not a -> a"]),
        ("x = a if b else c", ["b -> False", "b -> True"]),
        ("x = [a for a in b if c]", ["c -> False", "c -> True"]),
        ("if a: x = b", ["a -> False", "a -> True"]),
        ("while a: x = b", ["a -> False"]),
        ("while True: x = b", ["True -> False"]),
        ("send(a)", ["send(a) -> nothing"]),
        ("x = send(a)", []),
    ],
)
def test_each_operator_makes_exactly_these_mutants(text: str, wanted: list[str]) -> None:
    assert changes(text) == wanted


def test_a_bare_return_is_left_out_and_one_with_a_value_is_not() -> None:
    assert changes("def f():\n return") == ["return -> nothing"]
    assert changes("def f():\n return a") == []


@pytest.mark.parametrize(
    "text",
    [
        '"""Text, 7 < 8."""',
        "x: Literal[7] = a",
        "def f(a: Literal[7]) -> Literal[8]: ...",
        "class C:\n def __post_init__(self):\n  if self.a < 7: send(self.a)",
        "raise Wrong(f'{a + 7}', a < 7)",
        "assert a < 7, send(a)",
        "x = f'{a + 7}'",
        "if TYPE_CHECKING:\n x = 7",
    ],
)
def test_what_is_not_behaviour_has_no_mutants(text: str) -> None:
    assert changes(text) == []


SNIPPET = """
class Counter:
    count: int = 0

    def add(self, é):
        if é > 0:
            self.count = (
                self.count + é
            )
        self.tell(é)
"""


def test_a_mutant_is_the_source_with_that_change_and_no_other() -> None:
    original = ast.unparse(ast.parse(SNIPPET))
    made = {each.name: ast.unparse(ast.parse(each.source(SNIPPET))) for each in mutants(SNIPPET)}
    assert made["Counter.add: é > 0 -> é >= 0"] == original.replace("é > 0", "é >= 0")
    assert made["Counter.add: self.count + é -> self.count - é"] == original.replace("+", "-")
    assert made["Counter.add: self.tell(é) -> nothing"] == original.replace("self.tell(é)", "pass")
    assert len({*made.values(), original}) == len(made) + 1


def test_a_mutant_knows_the_lines_of_its_statement_and_what_runs_on_import() -> None:
    found = {each.name: each for each in mutants(SNIPPET)}
    assert found["Counter: 0 -> 1"].on_import
    inside = found["Counter.add: self.count + é -> self.count - é"]
    assert (inside.line, [*inside.lines], inside.on_import) == (8, [7, 8], False)


def test_equal_changes_of_one_function_are_numbered() -> None:
    names = [each.name for each in mutants("f(a)\nf(a)")]
    assert names == ["module: f(a) -> nothing", "module: f(a) -> nothing (no. 2)"]


def test_a_sample_depends_on_the_seed_and_on_nothing_else() -> None:
    found = mutants((ROOT / "happysim/protocols/paxos.py").read_text())
    drawn = sample(found, 10, seed=1)
    assert drawn == sample(list(reversed(found)), 10, seed=1)[::-1]
    assert len(drawn) == 10
    assert drawn != sample(found, 10, seed=2)
    assert sample(found, 10_000, seed=1) == found
    # Lines before it and other functions do not move what was drawn.
    text = "f(a)\n" * 3
    assert [each.name for each in sample(mutants("# more\n" + text), 2, 1)] == [
        each.name for each in sample(mutants(text), 2, 1)
    ]


# -- trials ----------------------------------------------------------------------------------------

PROTOCOL = """
from happysim import Host, Node, action


class Counter(Node):
    count: int = 0
    unused: int = 0

    @action(when=lambda self: self.count < 3)
    def add(self, host: Host) -> None:
        self.count += 1


def twice(a: int) -> int:
    return a + a
"""

PROPERTIES = """
from happysim import World, always, bounded, reachable
from mutated_counter import Counter


@bounded(max_worlds=100)
def one_counter() -> World:
    return World.of(Counter("c"))


@always(one_counter)
def it_stays_within_three(world: World) -> bool:
    return 0 <= world["c"].count <= 3


@reachable(one_counter)
def it_gets_there(world: World) -> bool:
    return world["c"].count == 3
"""


TESTS = """
from mutated_counter import Counter, twice


def test_twice() -> None:
    assert twice(3) == 6
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = .\nmarkers = slow: long\n")
    (tmp_path / "properties").mkdir()
    (tmp_path / "properties" / "counter.py").write_text(PROPERTIES)
    (tmp_path / "test_counter.py").write_text(TESTS)
    (tmp_path / "mutated_counter.py").write_text(PROTOCOL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


PATHS = ("properties/counter.py", "test_counter.py")


def measured(project: Path, most: float = 9.0) -> list[Measure]:
    return mutation.alone(measure, PATHS, project, project, most, 1)


# To begin at 1 is a way to stay within three and to get there.
SURVIVORS = {"Counter: 0 -> -1 (no. 2)", "Counter: 0 -> 1 (no. 2)", "Counter: 0 -> 1"}


@pytest.mark.slow
def test_a_trial_tells_what_caught_a_mutant_and_which_survive(project: Path) -> None:
    bench = Bench("mutated_counter.py", PROTOCOL, measured(project), project, 8.0, 1)
    found = mutants(PROTOCOL)
    inside = [each for each in found if not each.on_import]
    at_the_top = [each for each in found if each.on_import]
    in_place = {each.name: by for each, by in mutation.alone(bench.caught_in_place, inside, PATHS)}
    assert [*in_place] == [each.name for each in inside]
    assert "it_stays_within_three: Broken" in in_place["Counter.add: 1 -> 2"]
    assert in_place["twice: a + a -> a - a"] == "test_counter.py::test_twice: a test fails"
    anew = {
        each.name: by for each, by in mutation.alone(tried_anew, bench, [*at_the_top, *inside[-1:]])
    }
    assert {name for name, by in anew.items() if not by} == SURVIVORS
    assert "it_gets_there: Broken" in anew["Counter: 3 -> 2"]
    assert anew["twice: a + a -> a - a"] == in_place["twice: a + a -> a - a"]


def tried_anew(bench: Bench, wanted: list[Mutant]) -> list[Noticed]:
    return list(bench.tried_anew(wanted))


@pytest.mark.slow
def test_what_is_caught_with_nothing_changed_is_no_trial(project: Path) -> None:
    measures = measured(project)
    (project / "test_counter.py").write_text(TESTS.replace("6", "7"))
    bench = Bench("mutated_counter.py", PROTOCOL, measures, project, 8.0, 1)
    some = mutants(PROTOCOL)[:1]
    for way, *arguments in ((bench.caught_in_place, some, PATHS), (tried_anew, bench, some)):
        with pytest.raises(RuntimeError, match="is caught with nothing changed: test_counter"):
            mutation.alone(way, *arguments)


def test_a_change_that_cannot_be_put_in_place_is_refused(project: Path) -> None:
    mutation.alone(changes_are_refused, project)


def changes_are_refused(project: Path) -> None:
    file = str(project / "mutated_counter.py")
    load("mutated_counter", PROTOCOL, file)
    functions = functions_of(file)
    assert swap(functions, PROTOCOL, PROTOCOL.replace("a + a", "a - a"), file)
    # At the level of the module; and a function that is another one altogether.
    assert not swap(functions, PROTOCOL, PROTOCOL.replace("count: int = 0", "count: int = 1"), file)
    assert not swap(functions, PROTOCOL, PROTOCOL.replace("twice", "thrice"), file)


def spin() -> None:
    while True:
        pass


def test_a_trial_that_takes_too_long_ends() -> None:
    (ended,) = apart(iter([Job("spin", spin, (), 0.1)]), 1)
    assert ended.fault == TIME_RAN_OUT


def test_a_check_is_measured_with_the_lines_that_it_runs(project: Path) -> None:
    test, scenario = measured(project)
    assert scenario.fault is None
    assert {9, 11} <= {*scenario.lines["mutated_counter.py"]}
    assert (test.check, test.fault) == (Check("test_counter.py", "test_twice"), None)
    assert test.lines["mutated_counter.py"] == [15]


def test_a_survivor_is_reported_with_its_reason_or_as_not_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = "happysim/protocols/ballot.py"
    source = mutation.digest(file)
    source_text = (ROOT / file).read_text()
    first, second = mutants(source_text)
    state = mutation.State(tmp_path / "state")
    state.add(mutation.Trial(file, first.name, first.line, "", source, "checks"))
    state.add(
        mutation.Trial(file, second.name, second.line, "properties/x.py: y", source, "checks")
    )
    options = mutation.parser().parse_args(["--state", str(tmp_path / "state")])
    monkeypatch.setattr(mutation, "protocol_files", lambda: [file])
    monkeypatch.setattr(mutation, "REASONS", tmp_path / "survivors.toml")

    told = mutation.report(mutation.State(tmp_path / "state"), options)
    line = source_text.splitlines()[first.line - 1].strip()
    place = f"`ballot.py`, line {first.line}, `{line}`, `{first.name}`"
    assert f"{place}. {mutation.NOT_EXPLAINED}" in told
    assert "| `ballot.py` | 2 | 2 | 0 | 1 | 0 | 0 | 1 | 0 | 50% | 50% |" in told

    why = "Equivalent: nobody looks."
    mutation.REASONS.write_text(f'["{file}"]\n"{first.name}" = "{why}"\n')
    told = mutation.report(state, options)
    assert f"`{first.name}`. {why}" in told
    assert "| `ballot.py` | 2 | 2 | 0 | 1 | 0 | 0 | 1 | 1 | 50% | 100% |" in told


def test_every_reason_is_about_a_mutant_that_there_is() -> None:
    for file, explained in mutation.reasons().items():
        there = {each.name for each in mutants((ROOT / file).read_text())}
        assert not explained.keys() - there, f"{file}: take these out of benchmarks/survivors.toml"


def test_a_survivor_is_tried_again_only_when_its_checks_change(tmp_path: Path) -> None:
    state = mutation.State(tmp_path)
    state.add(mutation.Trial("f.py", "lived", 1, "", "source", "checks"))
    state.add(mutation.Trial("f.py", "died", 1, "properties/x.py: y", "source", "checks"))
    state = mutation.State(tmp_path)

    def known(mutant: str, source: str, checks: str, why: str = "", again: bool = False) -> bool:
        return state.known("f.py", mutant, source, checks, why, again)

    assert known("lived", "source", "checks")
    assert not known("lived", "source", "checks", again=True)
    assert not known("lived", "source", "other checks", "Missing: somebody has to look.")
    assert known("lived", "source", "other checks", "Harmless: so it is.", again=True)
    assert known("died", "source", "other checks", again=True)
    assert not known("died", "other source", "checks")


def test_a_check_that_takes_longer_than_a_trial_may_is_not_used(project: Path) -> None:
    slow = PROPERTIES.replace("-> bool:\n", "-> bool:\n    while True: pass\n", 1)
    (project / "properties" / "counter.py").write_text(slow)
    assert [each.fault for each in measured(project, 0.1)] == [None, "takes more than 0.1 s"]


def test_a_report_says_which_trials_are_of_an_older_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = "happysim/protocols/ballot.py"
    state = mutation.State(tmp_path)
    for mutant in mutants((ROOT / file).read_text()):
        state.add(mutation.Trial(file, mutant.name, 1, "tests/x.py: a test fails", "old", ""))
    monkeypatch.setattr(mutation, "protocol_files", lambda: [file])
    told = mutation.report(state, mutation.parser().parse_args([]))
    assert "| `ballot.py` | 2 | 2 | 2 | 0 | 2 | 0 | 0 | 0 | 100% | 100% |" in told
