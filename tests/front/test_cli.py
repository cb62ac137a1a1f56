"""The command line: what a person types, sees and gets back; each first in its golden file.

`GOLDEN=write pytest tests/front/test_cli.py` writes the golden files anew; read the diff.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from happysim.front import cli, judging, progress
from tests.support.project import Project

GOLDEN = Path(__file__).parent / "golden"

# Short names for what the tables below ask for.
HOLDS = "\n@always(counting)\ndef small(world):\n    return world['a'].n < 4\n"
BREAKS = "\n@always(counting)\ndef tiny(world):\n    return world['a'].n < 2 or 'it is 2'\n"


def masked(text: str) -> str:
    """What a command printed, without what differs from run to run."""
    text = re.sub(r"(?m) +$", "", text)  # a table fills its last line with blanks
    text = re.sub(r"(?m)(^  .* )\d+\.\d$", r"\1S.S", text)
    return re.sub(r"\(\w+ kernel\)", "(KERNEL kernel)", text)


def agrees_with_golden(name: str, text: str) -> None:
    file = GOLDEN / name
    if os.environ.get("GOLDEN") == "write":
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


# -- the first minute ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "command", "code"),
    [
        ("check.txt", "check properties --save traces", 1),
        ("list.txt", "list", 0),
        ("replay.txt", "replay {trace}", 1),
        ("show-table.txt", "show --table {trace}", 0),
        ("shrink.txt", "shrink {long}", 0),
    ],
)
def test_what_a_person_sees_is_in_its_golden_file(
    lock: Project, name: str, command: str, code: int
) -> None:
    trace = lock.trace() if "{" in command else Path()
    long = lock.write("traces/lock/by-hand.trace", longer(trace)) if "{long}" in command else trace
    said = lock.run(*command.format(trace=trace, long=long.name and long).split())
    assert (said.code, said.err) == (code, "")
    agrees_with_golden(name, masked(said.out))


def longer(trace: Path) -> str:
    """A trace with a choice that nothing needs, added by hand."""
    extra = "fire lock lease @ ?\n"
    last = "deliver c1 -> store"
    return trace.read_text().replace(last, f"{extra}{last}")


def test_a_saved_trace_is_in_its_golden_file(lock: Project) -> None:
    agrees_with_golden("trace.txt", lock.trace().read_text())


def test_a_replay_of_what_is_mended_says_what_has_changed(lock: Project) -> None:
    trace = lock.trace()
    lock.edit("properties/lock.py", ("not self.fenced or ", ""))
    said = lock.run("replay", str(trace))
    assert said.code == 0
    assert "unfenced is not broken any more on this schedule\n" in said.out
    missing = "deliver c1 -> store Write(token=1) (it is in flight, but held back, or would change"
    assert f"not enabled any more: {missing} nothing)\n  enabled there:\n" in said.out


# -- exit codes ----------------------------------------------------------------------------------

CODES = {
    "all hold": (0, HOLDS, ()),
    "one is broken": (1, HOLDS + BREAKS, ()),
    "a mistake is caught": (0, BREAKS + "caught = must_break(tiny.over(counting, name='a'))\n"
                            "tiny = None\n", ()),
    "a mistake is not caught": (1, HOLDS + "caught = must_break(small)\n", ()),
    "a budget ran out": (3, HOLDS, ("--max-worlds", "2")),
    "all hold without dead messages": (0, HOLDS, ("--reduce", "--by", "dfs")),
    "random runs decide nothing": (3, HOLDS, ("--by", "uniform", "--runs", "3")),
    "broken weighs more than unknown": (1, HOLDS + BREAKS, ("--max-worlds", "3")),
    "a bound is stated, and holds": (0, HOLDS, ("--max-depth", "2")),
    "a scenario raises": (2, "\n@always(lambda: 1 / 0)\ndef p(world):\n    return True\n", ()),
    "broken weighs more than a scenario that raises": (
        1, BREAKS + "\n@always(lambda: 1 / 0)\ndef p(world):\n    return True\n", ()
    ),
    "a handler raises": (1, HOLDS + "\nclass Bad(Counter):\n    def go(self, host):\n"
                         "        raise KeyError(self.n)\n"
                         "bad = small.over(lambda: World.of(Bad('a')))\n", ()),
}  # fmt: skip


@pytest.mark.parametrize(("code", "text", "options"), CODES.values(), ids=CODES)
def test_the_exit_code_says_how_it_went(
    project: Project, code: int, text: str, options: tuple[str, ...]
) -> None:
    project.count("p.py", text)
    assert project.run("check", "p.py", *options).code == code


def test_replay_tells_broken_from_mended_and_a_witness_from_a_counterexample(
    project: Project,
) -> None:
    project.count("p.py", BREAKS)
    trace = project.trace("p.py")
    assert project.run("replay", str(trace)).code == 1
    project.count("p.py", BREAKS.replace("< 2", "< 9"))
    mended = project.run("replay", str(trace))
    assert (mended.code, mended.out) == (
        0,
        f"{trace}: tiny is not broken any more on this schedule, "
        "though every world is as recorded\n",
    )


def test_a_reachable_property_replays_as_reached(project: Project) -> None:
    text = "\n@reachable(counting)\ndef two(world):\n    return world['a'].n == 2\n"
    project.count("p.py", text)
    trace = project.witness("p.py", "two")
    said = project.run("replay", str(trace))
    assert said.code == 0
    assert "two is reached in 2 choices, as recorded" in said.out
    assert "broken" not in said.out
    project.count("p.py", text.replace("== 2", "== 5"))
    assert project.run("replay", str(trace)).code == 3


def test_a_timed_trace_replays_in_time(project: Project) -> None:
    """Found in a simulation, kept with its times, and broken in time until it is mended."""
    project.write("ring.py", RING)
    assert project.run("check", "ring.py", "--save", "kept").code == 1
    (trace,) = [each for each in Path("kept").glob("*/*.trace") if " s\n" in each.read_text()]
    said = project.run("replay", "--in-time", str(trace))
    assert said.code == 1
    assert f"{trace}: rings_once is broken in 2 choices, at 2 s\n" in said.out
    assert "broken: it rang twice" in said.out
    late = project.run("replay", "--in-time", str(trace), "--timer", "ring=3")
    assert late.code == 2
    assert "choice 1 at 1 s, fire a ring, cannot happen: timer ring has 2 s left" in late.err
    project.write("ring.py", RING.replace("< 2", "< 3"))
    mended = project.run("replay", "--in-time", str(trace))
    assert (mended.code, mended.out) == (
        0,
        f"{trace}: rings_once is not broken in time: nothing is wrong up to 2 s\n",
    )


RING = """
from happysim import Node, World, always, bounded, on, simulated

class Bell(Node):
    rang: int = 0

    def on_start(self, host):
        host.set_timer("ring", 1)

    @on.timer("ring")
    def ring(self, host):
        self.rang += 1
        host.set_timer("ring", 1)

@bounded(by=simulated(until=5))
def one():
    return World.of(Bell("a"))

@always(one)
def rings_once(world):
    return world["a"].rang < 2 or "it rang twice"
"""


def test_a_saved_trace_is_realised_within_bounds_or_ruled_out(project: Project) -> None:
    """Exit codes say which: 1 where it happens, 0 where it cannot, 3 where that is not known."""
    ring = RING.replace("@bounded(by=simulated(until=5))\n", "")
    project.write("ring.py", ring)
    assert project.run("check", "ring.py", "--save", "kept").code == 1
    (trace,) = Path("kept").glob("*/*.trace")
    assert project.run("replay", "--in-time", str(trace)).code == 2
    made = project.run("realise", str(trace), "--drift", "0.1", "--save", "timed")
    assert made.code == 1
    assert f"{trace}: rings_once is broken in time, at 2 s:\n1 fire a ring\n2 fire" in made.out
    assert "replay: happysim replay --in-time timed/ring/rings_once--" in made.out
    (timed,) = Path("timed").glob("*/*.trace")
    assert project.run("replay", "--in-time", str(timed)).code == 1
    late = project.run("realise", str(trace), "--timer", "ring=3:4", "--save", "later")
    assert "replay: happysim replay --in-time --timer ring=3:4 later/ring/" in late.out
    assert project.run("realise", str(trace), "--seconds", "1e-9").code == 3
    project.write("ring.py", ring.replace("< 2", "< 3"))
    mended = project.run("realise", str(trace))
    assert mended.code == 2
    assert "rings_once is not broken any more: nothing is wrong on this schedule" in mended.err


def test_a_run_in_time_of_a_scenario_with_a_list_is_saved(project: Project) -> None:
    ring = RING.replace("def one():", "def one(names=()):")
    ring = ring.replace('Bell("a")', "*map(Bell, names)")
    project.write("ring.py", ring.replace("@always(one)", "@always(one, names=['a'])"))
    said = project.run("check", "ring.py", "--save", "kept")
    assert (said.code, said.err) == (1, "")
    for trace in Path("kept").glob("*/*.trace"):
        assert "argument: names = ['a']" in trace.read_text()
        assert project.run("replay", str(trace)).code == 1


def test_what_bounds_rule_out_exits_with_0(project: Project) -> None:
    """Three seconds of one clock are longer than one of another, unless they are far off."""
    two = RING.replace("@bounded(by=simulated(until=5))\n", "")
    two = two.replace('World.of(Bell("a"))', 'World.of(Bell("a"), Bell("b"))')
    project.write("race.py", two.replace("< 2 or", "< world['b'].rang + 3 or"))
    assert project.run("check", "race.py", "--save", "kept").code == 1
    (trace,) = Path("kept").glob("*/*.trace")
    ruled_out = project.run("realise", str(trace), "--drift", "0.1")
    assert ruled_out.code == 0
    assert "cannot happen; these clash:" in ruled_out.out
    assert project.run("realise", str(trace), "--drift", "0.6").code == 1


# -- what a person types wrong -------------------------------------------------------------------

MAGIC = "happysim trace 1"
WRONG = {
    "no such file": ("check nope.py", r"nope\.py: there is no such file or folder$"),
    "one colon": ("check p.py:small", r"no such file or folder; write FILE::PROPERTY"),
    "no such property": ("check p.py::tiny", r"p\.py: no property 'tiny' there; it has small$"),
    "a folder's property": ("check .::small", r"name one property of one file: FILE::PROPERTY"),
    "no name": ("check p.py::", r"name one property of one file: FILE::PROPERTY"),
    "no properties": ("check empty.py", r"empty\.py: no properties there; state one with @always"),
    "no folder": ("check", r"no such file or folder; name a file of properties, or keep"),
    "no Python": ("check some.txt", r"properties are written in a Python file \(\.py\)"),
    "syntax": ("check syntax.py", r"syntax\.py: cannot be imported: SyntaxError: .*line 2\)"),
    "import": ("check import.py", r"No module named 'nothing_here'\n  at import\.py:1, in"),
    "exit": ("check exit.py", r"exit\.py: cannot be imported: SystemExit: 0\n  at exit\.py:1"),
    "not called": ("check bare.py", r"bare\.p: .* write @always\(scenario\)"),
    "property raises": ("check raises.py", r"p raised KeyError: 7; .*\n  at raises\.py:\d+, in p"),
    "no return": ("check none.py", r"none\.py, counting\(\): property p returned None .*`return`"),
    "no world": ("check world.py", r"counting_not\(\) returned a NoneType, not a World; end"),
    "scenario raises": ("check zero.py", r"Error: .*\n  at zero\.py:\d+, in s\n +return 1 / 0"),
    "not a message": ("check send.py", r"B\.go on a, host\.send: .*\n  at send\.py:\d+, in go\n"),
    "wrong command": ("chekc p.py", r"invalid choice: 'chekc' \(choose from .*check"),
    "no command": ("", r"the following arguments are required: COMMAND"),
    "no count": ("check p.py --max-worlds 0", r"'0' is not a whole number of at least 1"),
    "negative": ("check p.py --max-depth -3", r"'-3' is not a whole number of at least 1"),
    "no number": ("check p.py --runs many", r"'many' is not a whole number of at least 1"),
    "no time": ("check p.py --seconds 0", r"'0' is not a positive number"),
    "no seconds": ("check p.py --seconds soon", r"'soon' is not a positive number"),
    "runs of bfs": ("check p.py --runs 50", r"--runs goes with --by uniform or pct or sim"),
    "random runs reduced": ("check p.py --by uniform --reduce",
                            r"--reduce goes with --by bfs or dfs; --by uniform takes --seed, "),
    "random runs on disk": ("check p.py --by uniform --disk there",
                            r"--disk goes with --by bfs; --by uniform takes --seed, "),
    "a proof in less memory": ("check p.py --by smt --memory fingerprint",
                               r"--memory goes with --by bfs or dfs; --by smt takes none of these"),
    "checkpoints of none": ("check p.py --every 3", r"--every goes with --checkpoint FILE or"),
    "runs of steps": ("check p.py --by swarm --steps 3",
                      r"--steps goes with --by uniform or pct; --by swarm takes --seed, "),
    "no trace": ("replay nope.trace", r"nope\.trace: cannot be read as a trace: No such file"),
    "no text": ("show binary.trace", r"binary\.trace: cannot be read as a trace: it is no text; a"),
    "cut short": ("show cut.trace", r"line 6: the file ends here, cut short: `end` should be"),
    "two pictures": ("show a.trace --table --plot p.png", r"--plot: not allowed with argument --t"),
    "no such timer": ("realise two.trace --timer rign=1:2",
                      r"--timer rign: no node has such a timer; those here are: none"),
    "timer in time": ("replay two.trace --in-time --timer rign=1", r"--timer rign: no node has"),
    "no drift": ("realise a.trace --drift fast", r"'fast' is not a number of seconds: write"),
    "least above most": ("realise a.trace --latency 3:1", r"'3:1': the least is above the most"),
    "no time for it": ("realise a.trace --seconds -1", r"'-1' is not a positive number"),
    "timers": ("replay a.trace --timer t=1:2", r"--timer is of runs in time; add --in-time"),
    "no timer": ("replay a.trace --in-time --timer 1:2", r"'1:2': write NAME=LEAST:MOST"),
    "no number of a timer": ("replay a.trace --in-time --timer t=1:x", r"'x' is not a number of s"),
    "no latency": ("realise a.trace --latency fast", r"'fast' is not a number of seconds: write"),
    "no bounds": ("realise a.trace --drift 1", r"a\.trace: cannot be read as a trace"),
    "a folder as a trace": ("show .", r"\.: cannot be read as a trace: .*[Dd]irectory"),
    "not a trace": ("shrink p.py", r"p\.py, line 1: not a trace: it should begin with `happysim"),
    "two traces": ("shrink a.trace b.trace", r"unrecognized arguments: b\.trace"),
}  # fmt: skip


@pytest.mark.parametrize(("command", "said"), WRONG.values(), ids=WRONG)
def test_bad_usage_is_told_in_a_line_and_exits_with_2(
    project: Project, command: str, said: str
) -> None:
    project.count("p.py", HOLDS)
    stated = "\n@always(counting)\ndef p(world):\n    "
    project.count("raises.py", f"{stated}return {{}}[7]\n")
    project.count("none.py", f"{stated}world['a'].n < 2\n")
    project.count("bare.py", "\n@always\ndef p(world):\n    return True\n")
    project.count("world.py", "\ndef counting_not(): pass\np = always(counting_not)(len)\n")
    project.count("zero.py", "\ndef s():\n    return 1 / 0\np = always(s)(len)\n".lstrip())
    sends = "class B(Counter):\n    def go(self, host):\n        host.send('b', 1)\n"
    project.count("send.py", f"\n{sends}p = always(lambda: World.of(B('a')))(bool)\n")
    project.write("import.py", "import nothing_here\n")
    project.write("exit.py", "raise SystemExit(0)\n")
    project.write("syntax.py", "x = 1\ndef f(:\n")
    project.write("empty.py", "x = 1\n")
    project.write("some.txt", "")
    two = f"{MAGIC}\nproperty: p:small\nscenario: p:counting\n\nworld ?\n"
    project.write("two.trace", f"{two}act a go @ ? at 1 s\nend\n")
    project.write("cut.trace", f"{two}act a go @")
    Path("binary.trace").write_bytes(bytes(range(128, 256)))
    result = project.run(*command.split())
    assert result.code == 2
    assert re.search(said, result.err), result.err
    assert "Traceback" not in result.err + result.out


def test_one_scenario_that_raises_does_not_hide_the_others(project: Project) -> None:
    project.count("a.py", "\ndef s():\n    return 1 / 0\np = always(s)(len)\n")
    project.count("b.py", HOLDS)
    said = project.run("check", "a.py", "b.py")
    assert re.search(r"small +Holds \(exhaustive\)", said.out)
    assert "1 hold or are caught, 0 broken, 0 unknown; 1 not searched, see below" in said.out
    assert "happysim: a.py, s(): ZeroDivisionError" in said.err


def test_one_file_that_cannot_be_imported_does_not_hide_the_others(project: Project) -> None:
    project.count("properties/p.py", HOLDS)
    project.write("properties/wrong.py", "import happysim\nx = (\n")
    said = project.run("check")
    assert said.code == 2
    assert re.search(r"small +Holds \(exhaustive\)", said.out)
    assert "happysim: properties/wrong.py: cannot be imported: SyntaxError: " in said.err


def test_what_is_judged_in_time_only_does_not_hide_the_others(project: Project) -> None:
    again = "\n@eventually(counting)\ndef never(world):\n    return False\n"
    project.count("p.py", f"from happysim import eventually\n{HOLDS}{again}")
    for by in ([], ["--by", "bfs"]):
        said = project.run("check", "p.py", *by)
        assert re.search(r"small +Holds \(exhaustive\)", said.out)
        assert said.code == 2
        assert "p.py, counting(): never is judged along one run, with time passing" in said.err


# -- details of a check --------------------------------------------------------------------------


def test_what_must_break_is_drawn_only_where_asked(lock: Project) -> None:
    target = "properties/lock.py::caught"
    assert "broken: the store took [2, 1]" not in lock.run("check", target).out
    assert "broken: the store took [2, 1]" in lock.run("check", target, "--show").out


def test_a_random_find_is_shrunk_and_says_from_what(lock: Project) -> None:
    said = lock.run("check", "properties/lock.py::unfenced", "--by", "uniform", "--seed", "3")
    found = re.search(r"\nunfenced: found in (\d+) choices, shrunk to 7\n", said.out)
    assert found is not None
    assert int(found[1]) > 7


def test_a_property_asked_for_twice_is_judged_once(lock: Project) -> None:
    said = lock.run("check", "properties/lock.py::caught", "properties", "properties/lock.py")
    assert said.out.count("  caught  ") == 1


def test_a_handler_that_raises_is_drawn_once_for_all_its_properties(project: Project) -> None:
    raises = "class Bad(Counter):\n    def go(self, host):\n        raise KeyError(self.n)\n"
    stated = "@always(bad)\ndef {0}(world):\n    return True\n"
    project.count("p.py", f"{raises}def bad():\n    return World.of(Bad('a'))\n"
                  + stated.format("p") + stated.format("q"))  # fmt: skip
    said = project.run("check", "p.py", "--save", "traces")
    assert len(re.findall(r"(?m)^  [pq] +Broken .*Bad\.go on a raised KeyError: 0", said.out)) == 2
    assert said.out.count("broken: Bad.go on a raised KeyError: 0 (p.py, line ") == 1
    assert said.out.count("saved: traces/p/no_handler_raises--") == 1


def test_a_vacuous_run_is_unknown_where_strict(project: Project) -> None:
    scenario = "lambda: World.of(Counter('a'), faults=Faults(drops=1))"
    project.count("p.py", f"from happysim import Faults\np = always({scenario})(bool)\n")
    assert project.run("check", "p.py").code == 0
    said = project.run("check", "p.py", "--strict")
    assert said.code == 3
    assert "Holds (exhaustive), but the faults declare drops, but none ever happened" in said.out


def test_a_name_with_brackets_is_printed_as_it_is(project: Project) -> None:
    project.count("p.py", BREAKS.replace("it is 2", "[red]it[/red] is [2]"))
    assert "[red]it[/red] is [2]" in project.run("check", "p.py").out.splitlines()[2]


def test_of_a_long_reason_the_table_has_the_first_line_and_the_picture_all(
    project: Project,
) -> None:
    project.count("p.py", BREAKS.replace("it is 2", "it is 2\\nand more"))
    table, _, picture = project.run("check", "p.py").out.partition("unknown")
    assert "it is 2" in table
    assert "and more" not in table
    assert "and more" in picture


def test_a_trace_that_was_edited_is_not_overwritten(lock: Project) -> None:
    trace = lock.trace()
    edited = trace.read_text().replace("store took", "shop took")
    trace.write_text(edited)
    said = lock.run("check", "properties/lock.py::unfenced", "--save", "traces")
    assert said.code == 1
    assert f"not saved: {trace} was edited since it was saved" in said.out
    assert trace.read_text() == edited


# -- show and shrink -----------------------------------------------------------------------------


def test_show_says_so_where_the_trace_breaks_nothing_any_more(project: Project) -> None:
    project.count("p.py", BREAKS)
    trace = project.trace("p.py")
    project.count("p.py", BREAKS.replace("< 2", "< 9"))
    said = project.run("show", str(trace))
    assert said.code == 0
    assert "tiny is not broken any more on this schedule" in said.out
    assert "Broken" not in said.out


@pytest.mark.parametrize("folder", ["traces/lock", "kept", "."])
def test_shrink_leaves_the_old_trace_and_writes_beside_it(lock: Project, folder: str) -> None:
    text = longer(lock.trace())
    (lock.root / "traces").rename(lock.root / "old")
    long = lock.write(f"{folder}/long.trace", text)
    before = lock.files()
    said = lock.run("shrink", str(long.relative_to(lock.root)))
    made = lock.files().keys() - before.keys()
    assert "8 choices before, 7 now" in said.out
    assert {name: lock.files()[name] for name in before} == before
    (new,) = made
    beside = "traces" if folder == "traces/lock" else folder
    assert Path(new).parent == Path(beside, "lock")


def test_shrink_of_what_is_not_broken_says_that_there_is_nothing_to_do(project: Project) -> None:
    project.count("p.py", BREAKS)
    trace = project.trace("p.py")
    project.count("p.py", BREAKS.replace("< 2", "< 9"))
    before = project.files()
    said = project.run("shrink", str(trace))
    assert (said.code, project.files()) == (2, before)
    assert "tiny is not broken any more on this schedule" in said.out
    assert "there is nothing to shrink" in said.out


# -- being interrupted ---------------------------------------------------------------------------

MANY = """
def wide():
    return World.of(*[Counter(f"a{i}") for i in range(6)])

@always(wide)
def later(world):
    return True

@always(wide)
def soon(world):
    return world["a0"].n < 1

@always(counting)
def never_judged(world):
    return True
"""


def interrupted(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


def test_ctrl_c_ends_a_check_with_what_is_known(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 4 ** 6 worlds; the search looks up once in 512.
    monkeypatch.setattr(progress.Progress, "__call__", interrupted)
    project.count("p.py", MANY)
    said = project.run("check", "p.py")
    assert said.code == 1  # something is broken, whatever else is unknown
    assert re.search(r"later +Unknown \(interrupted after [\d,]+ worlds\)", said.out)
    assert re.search(r"soon +Broken \(in 1 choice, shortest\)", said.out)
    assert "never_judged" not in said.out
    assert "interrupted, the rest was not judged" in said.out
    assert project.run("check", "p.py::later").code == 3


def test_ctrl_c_ends_a_check_in_time_and_not_one_scenario_of_it(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress.Progress, "__call__", interrupted)
    project.count("p.py", MANY)
    properties = ("p.py::later", "p.py::never_judged")
    said = project.run("check", *properties, "--by", "swarm", "--until", "1", "--workers", "1")
    assert said.code == 3
    assert "Unknown (no violation in 1 simulated run; interrupted)" in said.out
    assert "never_judged" not in said.out
    assert "interrupted, the rest was not judged" in said.out


def test_ctrl_c_while_shrinking_keeps_the_smallest_so_far(
    lock: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = lock.write("long.trace", longer(lock.trace()))

    def shrink(verdict: Any, progress: Any, **_: Any) -> None:
        progress(verdict.schedule[:6] + verdict.schedule[7:])
        raise KeyboardInterrupt

    monkeypatch.setattr(judging, "shrink", shrink)
    said = lock.run("shrink", long.name)
    assert said.code == 0
    assert "interrupted; this is the smallest so far" in said.out
    assert "8 choices before, 7 now; saved: lock/" in said.out


def test_ctrl_c_while_shrinking_in_a_check_loses_no_counterexample(
    lock: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "shrink", interrupted)
    said = lock.run("check", "properties/lock.py", "--save", "kept")
    assert said.code == 1
    assert "interrupted; this is the smallest so far" in said.out
    assert "saved: kept/lock/" in said.out


def test_ctrl_c_anywhere_else_exits_with_3_and_no_traceback(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "gather", interrupted)
    assert project.run("list", ".") == (3, "", "happysim: interrupted\n")


ENDLESS = """
import sys

class Endless(Counter):
    @action
    def go(self, host):
        self.n += 1

@always(lambda: World.of(Endless("a"), Endless("b")))
def p(world):
    if world["a"].n == 1:
        print("searching", file=sys.stderr, flush=True)
    return True
"""


def test_a_signal_ends_a_real_search_and_its_reader_may_leave_early(project: Project) -> None:
    project.count("p.py", ENDLESS)
    command = [sys.executable, "-m", "happysim", "check", "p.py"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as search:
        assert search.stdout is not None
        assert search.stderr is not None
        search.stdout.close()  # as `head` does when it has enough
        assert search.stderr.readline() == b"searching\n"
        search.send_signal(signal.SIGINT)
        said = search.stderr.read()
    assert (search.returncode, said) == (3, b"")
