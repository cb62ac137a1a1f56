"""Replaying: a trace happens again as recorded; where it does not, it is said what has changed.

And a trace is data: whatever it names, nothing runs but the scenario of a property of the project.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

from happysim import Broken, Holds, Property, bfs, check, explore
from happysim.search.schedule import first_world, follow
from happysim.trace.format import Trace, TraceError, dumps, loads, read, record, save
from happysim.trace.replay import Replayed, home_of, replay, resolve, trace_of
from tests.support.project import fresh_imports

# A store that takes what comes, in order of arrival; two writes may overtake each other.
STORE = """
from pathlib import Path

from happysim import Faults, Node, World, action, always, message, on, reachable

@message
class Put:
    value: int

class Store(Node):
    values: list[int] = []
    limit: int = 9

    @on(Put)
    def put(self, host, sender, request):
        self.values.append(request.value)

class Client(Node):
    sent: int = 0

    @action(when=lambda self: self.sent < 3)
    def ask(self, host):
        self.sent += 1
        host.send("store", Put(self.sent))

def one_client(first: int = 0) -> World:
    return World.of(Store("store"), Client("c1"))

def wipe() -> World:
    Path("wiped").touch()
    return one_client()

@always(one_client)
def in_order(world):
    values = world["store"].values
    return values == sorted(values) or f"the store holds {values}"

@reachable(one_client)
def all_arrive(world):
    return len(world["store"].values) == 3
"""

# One choice more than it takes: the third `ask`.
SCHEDULE = (
    "act c1 ask",
    "act c1 ask",
    "act c1 ask",
    "deliver c1 -> store Put(value=2)",
    "deliver c1 -> store Put(value=1)",
)


class Project:
    """A folder with one module, `orders`, as it is now."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.text = ""
        self.write(STORE)

    def write(self, text: str, name: str = "orders.py") -> None:
        if name == "orders.py":
            self.text = text
        (self.root / name).parent.mkdir(exist_ok=True)
        (self.root / name).write_text(text, encoding="utf-8")

    def change(self, old: str, new: str) -> None:
        assert old in self.text
        self.write(self.text.replace(old, new))

    @contextmanager
    def imported(self, name: str = "orders") -> Iterator[ModuleType]:
        """A module of the project, until the block ends."""
        with fresh_imports(self.root):
            sys.path.insert(0, str(self.root))
            yield importlib.import_module(name)

    def trace(self, *schedule: str, name: str = "in_order") -> Trace:
        """The trace of a schedule, as it would be read from a file."""
        with self.imported() as module:
            prop = getattr(module, name)
            run = follow(first_world(prop.scenario, ""), schedule or SCHEDULE, prop)
            made = record(run, prop=home_of(prop), scenario=prop.scenario.name)
        return loads(dumps(made), "a.trace")

    def replay(self, trace: Trace) -> Replayed:
        with fresh_imports(self.root):
            return replay(trace, self.root)

    def resolve(self, trace: Trace) -> Property:
        with fresh_imports(self.root):
            return resolve(trace, self.root)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(tmp_path)
    # Files are changed within one second; a stale .pyc would hide that.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return Project(tmp_path)


# -- what is recorded happens again --------------------------------------------------------------


def test_a_run_replays_exactly(project: Project) -> None:
    replayed = project.replay(project.trace())
    assert replayed.broken
    assert replayed.exact
    assert (replayed.drift, replayed.missing) == ("", ())
    assert tuple(map(str, replayed.run.schedule)) == SCHEDULE
    assert replayed.run.wrong == "the store holds [2, 1]"
    assert (replayed.prop.name, replayed.prop.must_break) == ("in_order", False)


def test_the_trace_of_a_verdict_says_how_it_was_found_and_reads_back(project: Project) -> None:
    with project.imported() as module:
        broken, reached = check(module.in_order, by=bfs()), check(module.all_arrive)
        assert isinstance(broken, Broken)
        assert isinstance(reached, Holds)
        paths = [save(trace_of(each), project.root / "traces") for each in (broken, reached)]
        with pytest.raises(ValueError, match="this verdict has no schedule"):
            trace_of(Broken(module.in_order, reason="for want of a world"))
    assert [read(path).found for path in paths] == ["shortest", ""]
    for path in paths:
        replayed = project.replay(read(path))
        assert replayed.broken
        assert replayed.exact


def without(wanted: str) -> Callable[[str], str]:
    """Takes the lines that match out of a text."""
    return lambda text: re.sub(rf"(?m)^{wanted}\n", "", text)


def undigested(text: str) -> str:
    return re.sub(r"(?m)( @|^world) \w{8}$", r"\1 ?", text)


HAND_EDITS = {
    "what the choices changed": (without(r"    .*"), True, True),
    "any digest": (undigested, True, True),
    "a reason": (without(r"reason: .*"), True, True),
    # The choice is gone, and the worlds after it have changed.
    "a choice that nothing needs": (without(r"act c1 ask @ .*\n    c1\.sent = 3"), True, False),
    "the last choice": (without(r"deliver .*value=1.*\n    .*"), False, True),
}


@pytest.mark.parametrize(("edit", "broken", "exact"), HAND_EDITS.values(), ids=HAND_EDITS)
def test_a_trace_edited_by_hand_replays_without(
    project: Project, edit: Callable[[str], str], broken: bool, exact: bool
) -> None:
    text = dumps(project.trace())
    assert edit(text) != text
    replayed = project.replay(loads(edit(text), "a.trace"))
    assert (replayed.broken, replayed.exact) == (broken, exact), replayed.drift
    assert not replayed.missing


# -- what has changed since ----------------------------------------------------------------------

FIRST = "a.trace, line 6: the first world drifted: "
AFTER_2 = "a.trace, line 16: the world after `deliver c1 -> store Put(value=2)` drifted: "
CHANGES = {
    "a field is renamed": (
        "values", "items", True,
        f"{FIRST}store.values was [] in the trace, and is not so now",
    ),
    "a field is new": (
        "limit: int = 9", "limit: int = 9\n    epoch: int = 1", True,
        f"{FIRST}store.epoch is 1 now, and is not in the trace",
    ),
    "a default is changed": (
        "limit: int = 9", "limit: int = 8", True,
        f"{FIRST}store.limit is 8 now, and was 9 in the trace",
    ),
    "a class is renamed": ("Client(", "Customer(", True, ""),
    "a value is changed": (
        "append(request.value)", "append(request.value * 10)", True,
        f"{AFTER_2}store.values is [20] now, and was [2] in the trace",
    ),
    "another field changes too": (
        "self.values.append", "self.limit -= 1; self.values.append", True,
        f"{AFTER_2}store.limit is 8 now, and is not in the trace",
    ),
    "a field changes no more": (
        "self.values.append(request.value)", "self.limit = 9; host.send('store', request)", False,
        f"{AFTER_2}store.values was [2] in the trace, and is not so now",
    ),
    "more is sent": (
        'Put(self.sent))', 'Put(self.sent)); host.send("store", Put(7))', True,
        "a.trace, line 10: the world after `act c1 ask` drifted: "
        "what is in flight, or the faults left, differ",
    ),
    "a fault is allowed": (
        'Client("c1"))', 'Client("c1"), faults=Faults(drops=1))', True,
        f"{FIRST}what is in flight, or the faults left, differ",
    ),
    "a handler raises": (
        "self.values.append(request.value)", "self.values[7]", False,
        "a.trace, line 16: the run ends after `deliver c1 -> store Put(value=2)` now: Store.put on "
        "store raised IndexError: list index out of range (orders.py, line 16, in put)",
    ),
    "the last handler raises": (
        "self.values.append(request.value)", "self.values.append(2 // (request.value - 1))", False,
        "a.trace, line 18: the run ends after `deliver c1 -> store Put(value=1)` now: Store.put on "
        "store raised ZeroDivisionError: integer division or modulo by zero (orders.py, line 16, "
        "in put)",
    ),
    "the property is stricter": (
        "values == sorted(values) or", "len(values) < 1 or", True,
        "a.trace, line 16: the run ends after `deliver c1 -> store Put(value=2)` now: "
        "the property says so there already",
    ),
    "the property is looser": ("values == sorted(values)", "True", False, ""),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "broken", "drift"), CHANGES.values(), ids=CHANGES)
def test_a_change_of_code_is_told_by_the_node_and_field_that_drifted_first(
    project: Project, old: str, new: str, broken: bool, drift: str
) -> None:
    trace = project.trace()
    project.change(old, new)
    replayed = project.replay(trace)
    assert replayed.drift == drift
    assert replayed.broken is broken
    assert replayed.exact is not drift


def test_a_choice_that_is_missing_is_told_with_what_was_enabled(project: Project) -> None:
    trace = project.trace()
    project.change("Put(self.sent)", "Put(self.sent + 1)")
    replayed = project.replay(trace)
    first = "a.trace, line 10: the world after `act c1 ask` drifted: what is in flight"
    assert replayed.drift.startswith(first)
    assert replayed.missing == (
        "a.trace, line 18: not enabled any more: deliver c1 -> store Put(value=1)\n"
        "  enabled there:\n"
        "    deliver c1 -> store Put(value=3)\n"
        "    deliver c1 -> store Put(value=4)",
    )
    project.change("self.sent < 3", "self.sent < 0")
    gone = project.replay(trace)
    assert (
        gone.drift
        == gone.missing[0]
        == ("a.trace, line 10: not enabled any more: act c1 ask\n  enabled there:\n    (nothing)")
    )
    assert len(gone.missing) == 5


def test_a_delivery_that_has_become_harmless_is_told_to_be_in_flight(project: Project) -> None:
    trace = project.trace()
    project.change(
        "self.values.append(request.value)",
        "self.values += [request.value] if request.value > 1 else []",
    )
    (missing,) = project.replay(trace).missing
    assert missing.startswith(
        "a.trace, line 18: not enabled any more: deliver c1 -> store Put(value=1) "
        "(it is in flight, but held back, or would change nothing)\n  enabled there:\n    deliver"
    )


# -- other kinds of runs -------------------------------------------------------------------------


def test_a_handler_that_raises_replays_wherever_its_scenario_is_written(project: Project) -> None:
    project.change("self.values.append(request.value)", "self.values[7]")
    (project.root / "stated").mkdir()
    project.write("from happysim import always\nfrom orders import one_client\n"
                  "fine = always(one_client)(lambda world: True)\n", "stated/more.py")  # fmt: skip
    with project.imported("stated.more") as module:
        verdict = check(module.fine)
        assert isinstance(verdict, Broken)
        trace = trace_of(verdict)
        assert trace.prop == "orders:no_handler_raises"
    # Now no property is stated where the scenario is written.
    project.write(project.text.partition("@always")[0])
    with project.imported("stated.more") as module:
        verdict = check(module.fine)
        assert isinstance(verdict, Broken)
        elsewhere = trace_of(verdict)
        assert elsewhere.prop == "stated.more:no_handler_raises"
    replayed = project.replay(elsewhere)
    assert replayed.broken
    assert replayed.exact
    assert str(replayed.run.wrong).startswith("Store.put on store raised IndexError")
    with pytest.raises(TraceError, match="orders states no property over orders:one_client any"):
        project.replay(trace)


def test_a_handler_that_raised_and_does_not_any_more(project: Project) -> None:
    project.change("self.values.append(request.value)", "self.values[7]")
    with project.imported() as module:
        verdict = check(module.in_order)
        assert isinstance(verdict, Broken)
        trace = trace_of(verdict)
    assert trace.steps[-1].digest == "?"
    project.change("self.values[7]", "self.values.append(request.value)")
    assert not project.replay(trace).broken


MANY = """

def worlds(low=1, high=3):
    store = Store("store")
    return {f"{n} sent": World.of(Store("store"), Client("c1", n)) for n in range(low, high)}

late = always(worlds, low=1)(lambda world: world["store"].values in ([], [3]))
reordered = in_order.over(worlds, low=0, high=2)
"""


@pytest.mark.parametrize(("name", "start"), [("late", "1 sent"), ("reordered", "0 sent")])
def test_a_run_starts_from_the_world_that_it_names(project: Project, name: str, start: str) -> None:
    project.write(STORE + MANY)
    with project.imported() as module:
        verdict = explore(getattr(module, name).scenario, getattr(module, name))
        broken = verdict[getattr(module, name)]
        assert isinstance(broken, Broken)
        trace = loads(dumps(trace_of(broken)), "a.trace")
    assert (trace.start, trace.prop) == (start, f"orders:{name}")
    replayed = project.replay(trace)
    assert replayed.broken
    assert replayed.exact
    project.change('{n} sent"', '{n} gone"')
    with pytest.raises(TraceError, match=rf"a\.trace: .* has no first world '{start}'; it has '"):
        project.replay(trace)


def test_arguments_of_the_trace_take_the_place_of_the_property_s_own(project: Project) -> None:
    project.change("def in_order", "def _in_order")
    made = "in_order = must_break(_in_order.over(one_client, first=1))\n"
    project.write(f"{project.text}from happysim import must_break\n{made}")
    trace = project.trace()
    with fresh_imports(project.root):
        assert str(resolve(trace, project.root).scenario) == "one_client()"
        assert resolve(trace, project.root).must_break
        again = loads(dumps(trace).replace("\n\nworld", "\nargument: first = 1\n\nworld"))
        assert str(resolve(again, project.root).scenario) == "one_client(first=1)"


# -- a trace is data -----------------------------------------------------------------------------

DECLARED = "orders:in_order", "orders:one_client"
HOSTILE = {
    "a function of Python": ("os:system", "os:system", "", r"os has no property 'system' any more"),
    "a module of Python": ("antigravity:fly", "antigravity:x", "", r"no module antigravity below"),
    "a submodule of Python": ("xmlrpc.server:x", "x:y", "", r"no module xmlrpc\.server below"),
    "a module outside the root": ("outside:x", "outside:y", "", r"no module outside below"),
    "a name that another module has": ("sched:x", "sched:y", "", r"sched is .* not a file below"),
    "a function of the project": ("orders:wipe", "orders:wipe", "", r"no property 'wipe' any more"),
    "a function that is no scenario": (
        "orders:in_order", "orders:wipe", "", r"is a property of orders:one_client now, not of"
    ),
    "a scenario that no property has": (
        "orders:no_handler_raises", "orders:wipe", "", r"orders states no property over orders:wipe"
    ),
    "a method": ("orders:Store.put", "orders:wipe", "", r"orders has no property 'Store\.put'"),
    "an argument too many": (
        *DECLARED, "argument: last = 3\n", r"the arguments do not fit the scenario orders:"
    ),
    "an argument of another kind": (
        *DECLARED, "argument: fail = True\n", r"got an unexpected keyword argument 'fail'"
    ),
    "no such property": (
        "orders:order", "orders:one_client", "", r"no property 'order' any more; it has all_arrive"
    ),
    "a dotted name that climbs": ("orders.os:system", "x:y", "", r"no module orders\.os below"),
}  # fmt: skip


@pytest.mark.parametrize(("prop", "scenario", "argument", "why"), HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_property_of_the_project_is_refused_and_nothing_runs(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
    prop: str,
    scenario: str,
    argument: str,
    why: str,
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    ran = "from pathlib import Path\nPath('ran').touch()\n"
    for path in (outside / "outside.py", project.root / "sched.py", project.root / "evil.py"):
        path.write_text(ran)
    # Python's own come first here, so that its `sched` would be imported.
    monkeypatch.setattr(sys, "path", [*sys.path, str(project.root), str(outside)])
    monkeypatch.delitem(sys.modules, "sched", raising=False)
    text = f"happysim trace 1\nproperty: {prop}\nscenario: {scenario}\n{argument}\nworld ?\nend\n"
    with pytest.raises(TraceError, match=why), fresh_imports(project.root):
        replay(loads(text, "a.trace"), project.root)
    assert not {"antigravity", "xmlrpc.server", "outside", "sched", "evil"} & set(sys.modules)
    assert sorted(path.name for path in project.root.iterdir()) == [
        "evil.py",
        "orders.py",
        "sched.py",
    ]


def test_only_the_module_that_a_trace_names_is_imported(project: Project) -> None:
    project.write("raise SystemExit('imported')", "evil.py")
    project.write("raise SystemExit('imported')", "conftest.py")
    trace = project.trace()
    before = set(sys.modules)
    with fresh_imports(project.root):
        assert replay(trace, project.root).exact
        assert set(sys.modules) - before == {"orders"}


def test_a_module_that_cannot_be_imported_is_told(project: Project) -> None:
    trace = project.trace()
    project.change("from happysim import", "from nowhere import")
    with pytest.raises(TraceError, match=r"a\.trace: orders cannot be imported: No module named"):
        project.replay(trace)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("return 1 / 0", r"the scenario one_client\(\) raised ZeroDivisionError: division by zero"),
        ("return None", r"one_client\(\) returned a NoneType, not a World"),
        ("return {}", r"one_client\(\) returned no world at all"),
    ],
)
def test_a_scenario_without_a_world_is_told(project: Project, body: str, why: str) -> None:
    trace = project.trace()
    project.change('return World.of(Store("store"), Client("c1"))', body)
    with pytest.raises(TraceError, match=rf"a\.trace: {why}"):
        project.replay(trace)


def test_a_trace_is_the_same_text_wherever_the_project_lies_and_whenever_it_is_made(
    project: Project,
) -> None:
    text = dumps(project.trace())
    assert str(project.root) not in text
    assert text == dumps(project.trace())
