"""The format of traces: it reads back whatever it wrote, and refuses what it did not, by line."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from happysim import Choice, Faults, Host, Kind, Node, Script, World, action, call, message, on
from happysim.search.schedule import Run, follow
from happysim.trace.format import (
    Step,
    Trace,
    TraceError,
    dumps,
    is_trace,
    loads,
    read,
    record,
    save,
)

# What could be taken for a part of the format, or does not stand on one line.
NASTY = [
    " @ 0123abcd",
    "\n",
    "end",
    "\r\nend\r\n",
    " = ",
    "    ",
    "'\"\\",
    "|",
    "->",
    "\u2028\x85\x1c",
    "é∀😀",
    "\ud800",
    "\x00\x1b[31m",
    " as call 1",
    "",
]
texts = st.lists(st.sampled_from(NASTY) | st.text(max_size=3), max_size=3).map("".join)


@message
class Say:
    text: Any


class Speaker(Node):
    """Says its texts in any order, and keeps what it hears."""

    lines: tuple[str, ...] = ()
    heard: list[Any] = []
    waiting: bool = False  # the engine's own name for something else

    def on_start(self, host: Host) -> None:
        host.set_timer("a timer @ ?")

    @action
    def speak(self, host: Host) -> None:
        host.broadcast(Say(host.choose(self.lines or ("",))))

    @on(Say)
    def hear(self, host: Host, sender: str, said: Say) -> None:
        self.heard.append(said.text)
        self.waiting = not self.waiting
        if host.operation is not None:
            host.respond(said.text)

    @on.timer("a timer @ ?")
    def tick(self, host: Host) -> None:
        if self.heard:
            raise ValueError(self.heard)


def asking(lines: tuple[str, ...]) -> Any:
    for line in lines:
        yield call("host:1", Say(line))


def meeting(lines: tuple[str, ...]) -> World:
    """Two speakers and a script, with names that could confuse a reader."""
    return World.of(
        Speaker("host:1", lines),
        Speaker("end", lines),
        Script("=é", asking, lines),
        faults=Faults(drops=2, duplicates=2, crashes=2, partitions=2, unsynced_loss=True),
    )


@given(
    lines=st.lists(texts, max_size=2).map(tuple),
    picks=st.lists(st.integers(0, 999), max_size=9),
    argument=st.recursive(
        texts | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans(),
        lambda inner: st.lists(inner, max_size=2) | st.tuples(inner, inner),
        max_leaves=4,
    ),
    reason=texts,
)
@settings(max_examples=150)
def test_what_is_written_reads_back(
    lines: tuple[str, ...], picks: list[int], argument: Any, reason: str
) -> None:
    world, schedule = meeting(lines), []
    for pick in picks:
        choices = list(world.enabled())
        choice, slot, move = choices[pick % len(choices)]
        schedule.append(choice)
        if getattr(move, "raised", None) is not None:
            break
        world = world.take(choice, slot, move)
    run = replace(follow(meeting(lines), schedule), wrong=reason)
    trace = record(run, prop="p:q", scenario="p:s", arguments=[("key", argument)], start="a @ b")
    text = dumps(trace)
    assert loads(text) == trace
    assert dumps(loads(text)) == text
    assert all(line.isprintable() for line in text.split("\n"))
    assert trace.schedule == tuple(map(str, schedule))
    assert repr(trace.arguments[0][1]) == repr(argument)


def test_the_first_world_names_every_field_that_a_fresh_node_need_not_have() -> None:
    first = record(Run((), (meeting(()),)), prop="p:q", scenario="p:s").first
    assert dict(first.changed) == {
        "host:1.lines": "()",
        "host:1.heard": "[]",
        "host:1.waiting": "False",
        "host:1.timers": "['a timer @ ?']",
        "end.lines": "()",
        "end.heard": "[]",
        "end.waiting": "False",
        "end.timers": "['a timer @ ?']",
    }


# -- what cannot be written ----------------------------------------------------------------------


class Odd(Node):
    """Some class."""


@pytest.mark.parametrize(
    "value", [float("inf"), float("nan"), len, Odd, object(), frozenset({1}), [{"a": {1: print}}]]
)
def test_an_argument_that_is_no_literal_is_refused_by_name_and_value(value: Any) -> None:
    with pytest.raises(TraceError, match=r"^argument key of the scenario is .*, which a trace"):
        record(Run((), (meeting(()),)), prop="p:q", scenario="p:s", arguments=[("key", value)])


@pytest.mark.parametrize("value", [True, 1, 1.0, -0.0, 10**40, b"\xff", None, {3, 1}, set()])
def test_an_argument_keeps_its_type(value: Any) -> None:
    trace = record(Run((), (meeting(()),)), prop="p:q", scenario="p:s", arguments=[("key", value)])
    ((_, read_back),) = loads(dumps(trace)).arguments
    assert (type(read_back), repr(read_back)) == (type(value), repr(value))


def test_a_text_of_two_lines_is_refused() -> None:
    world = World.of(Odd("n"))
    run = Run((Choice(Kind.FIRE, "n", what="two\nlines"),), (world, world))
    with pytest.raises(TraceError, match=r"one printable line for each fact, not 'fire n two\\n"):
        dumps(record(run, prop="p:q", scenario="p:s"))


@pytest.mark.parametrize("name", ["", "p", "p:", ":q", "p:no spaces", "p/q:r", "..p:q", "p:q\n"])
@pytest.mark.parametrize("header", ["prop", "scenario"])
def test_a_name_that_leads_nowhere_is_refused(header: str, name: str) -> None:
    names = {"prop": "p:q", "scenario": "p:s", header: name}
    with pytest.raises(TraceError, match=r"is no `module:name` that a trace could lead back to"):
        dumps(record(Run((), (meeting(()),)), **names))


# -- what cannot be read -------------------------------------------------------------------------

TEXT = """happysim trace 1
property: properties.lock:unfenced
scenario: properties.lock:two_clients
argument: fenced = False
argument: names = ['a', {'b': (1, 2.5)}]
start: idle
reason: writes [2, 1]
found: shortest

world 2d94d988
    lock.token = 0
deliver c1 -> lock Acquire() @ 8ad9da06
    lock.token = 1
    lock.holder = 'c1 = c2'
fire lock lease @ ?
end
"""


def test_every_part_of_a_trace_is_read() -> None:
    assert loads(TEXT) == Trace(
        "properties.lock:unfenced",
        "properties.lock:two_clients",
        (("fenced", False), ("names", ["a", {"b": (1, 2.5)}])),
        "idle",
        "writes [2, 1]",
        "shortest",
        Step("world", "2d94d988", (("lock.token", "0"),)),
        (
            Step(
                "deliver c1 -> lock Acquire()",
                "8ad9da06",
                (("lock.token", "1"), ("lock.holder", "'c1 = c2'")),
            ),
            Step("fire lock lease", "?"),
        ),
    )
    assert [step.line for step in loads(TEXT).steps] == [12, 15]
    assert loads(TEXT.replace("\n", "\r\n")) == loads(TEXT)
    assert loads(TEXT + "\n \n") == loads(TEXT)


DEEP = 20_000
MALFORMED = {
    "another file": (1, "happysim trace 1", "#!/bin/sh", "not a trace"),
    "another version": (1, "trace 1", "trace 2", "version '2' of the format; this happysim reads"),
    "no version": (1, "trace 1", "trace ", "version ''"),
    "unknown header": (5, "argument: names", "seed: 7\nx", "a header is `name: value`, each once"),
    "no value": (2, "property: properties.lock:unfenced", "property:", "a header is `name: value`"),
    "header twice": (8, "found: shortest", "reason: b", "each once"),
    "argument twice": (5, "argument: names", "argument: fenced", "argument fenced is there twice"),
    "no property": (8, "property: properties.lock:unfenced\n", "", "needs `property: module:name`"),
    "a path": (9, "properties.lock:two", "../../lock:two", "needs `scenario: module:name`"),
    "a call": (9, "two_clients", "two_clients()", "needs `scenario: module:name`"),
    "argument without =": (4, "fenced = False", "fenced", "an argument is `argument: name = lit"),
    "argument of no name": (4, "fenced = False", "f-x = False", "not 'f-x = False'"),
    "argument that calls": (4, "False", "__import__('os').system('x')", "name = literal`, not"),
    "argument that looks up": (4, "False", "fenced", "name = literal`"),
    "argument that computes": (4, "False", "2 ** 9", "name = literal`"),
    "argument of a formatted text": (4, "False", "f'{1}'", "name = literal`"),
    "unhashable argument": (4, "False", "{[]: 1}", "name = literal`"),
    "deep list": (4, "False", "[" * DEEP + "]" * DEEP, "name = literal`"),
    "deep sum": (4, "False", "1" + "+1" * DEEP, "name = literal`"),
    "deep sign": (4, "False", "-" * DEEP + "1", "name = literal`"),
    "huge number": (4, "False", "9" * DEEP, "name = literal`"),
    "open text": (4, "False", "'abc", "name = literal`"),
    "null character": (4, "False", "'\0'", "name = literal`"),
    "no blank line": (9, "\n\nworld", "\nworld", "a header is `name: value`"),
    "no world": (10, "world 2d94d988", "deliver a -> b M() @ 2d94d988", "`world` and its digest"),
    "short digest": (10, "2d94d988", "2d94d98", "`world` and its digest should stand here"),
    "digest in capitals": (12, "8ad9da06", "8AD9DA06", "a choice and ` @ ` and its digest"),
    "no digest": (12, " @ 8ad9da06", "", "should stand here: 'deliver c1 -> lock Acquire()'"),
    "no choice": (15, "fire lock lease @", "launch lock lease @", "'launch' is no kind of choice"),
    "only a digest": (15, "fire lock lease @ ?", " @ ?", "a choice and ` @ ` and its digest"),
    "blank among choices": (15, "fire lock", "\nfire lock", "a choice and ` @ ` and its digest"),
    "field without =": (13, "token = 1", "token: 1", "a field that changed is `    node.field ="),
    "tabs": (13, "    lock.token = 1", "\tlock.token = 1", "a choice and ` @ ` and its digest"),
    "more": (17, "end\n", "end\nfire a b @ ?\n", "nothing may follow `end`"),
}  # fmt: skip


@pytest.mark.parametrize(("line", "old", "new", "why"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_trace_is_refused_by_file_and_line(
    line: int, old: str, new: str, why: str
) -> None:
    assert old in TEXT
    with pytest.raises(TraceError) as refused:
        loads(TEXT.replace(old, new, 1), "some.trace")
    said = str(refused.value)
    assert said.startswith(f"some.trace, line {line}: ")
    assert why in said
    assert len(said) < 300


def test_a_trace_cut_short_anywhere_is_refused() -> None:
    for size in range(len(TEXT) - 1):  # all but the last line's end
        with pytest.raises(TraceError, match=r"^trace, line \d+: "):
            loads(TEXT[:size])
    for left in ("", "deliver a -> b Pi", "en"):
        with pytest.raises(TraceError, match=r"line 16: the file ends here, cut short: "):
            loads(TEXT.removesuffix("end\n") + left)


def test_reading_a_literal_runs_no_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("evaluated")

    monkeypatch.setattr("builtins.eval", refuse)
    monkeypatch.setattr("builtins.exec", refuse)
    assert ast.literal_eval("[1]") == loads(TEXT.replace("False", "[1]")).arguments[0][1]


# -- files ---------------------------------------------------------------------------------------


def test_a_file_that_is_no_text_or_not_there_is_refused(tmp_path: Path) -> None:
    latin = tmp_path / "latin.trace"
    latin.write_bytes(b"happysim trace 1\n\xff")
    for path in (latin, tmp_path, tmp_path / "nope.trace", tmp_path / "nope" / "nope.trace"):
        with pytest.raises(TraceError, match=r"cannot be read as a trace"):
            read(path)


def test_a_trace_is_known_by_its_first_words(tmp_path: Path) -> None:
    contents = {"1": TEXT, "2": TEXT.replace("trace 1", "trace 2"), "3": "happy", "4": ""}
    for name, text in contents.items():
        (tmp_path / name).write_text(text)
    found = {name: is_trace(tmp_path / name) for name in (*contents, ".", "nope")}
    assert found == {"1": True, "2": True, "3": False, "4": False, ".": False, "nope": False}


def test_a_saved_trace_is_found_by_its_property_and_its_content(tmp_path: Path) -> None:
    trace = loads(TEXT)
    path = save(trace, tmp_path / "a" / "b")
    assert path.parent == tmp_path / "a" / "b" / "lock"
    assert path.name == f"unfenced--{path.stem[-8:]}.trace"
    assert path.read_bytes() == dumps(trace).encode()
    assert read(path) == trace
    other = save(replace(trace, reason="writes [3, 2]"), tmp_path / "a" / "b")
    assert sorted(path.parent.iterdir()) == sorted([path, other])


def test_saving_again_changes_nothing_and_an_edited_file_is_kept(tmp_path: Path) -> None:
    path = save(loads(TEXT), tmp_path)
    os.utime(path, ns=(7, 7))
    assert save(loads(TEXT), tmp_path) == path
    assert path.stat().st_mtime_ns == 7
    path.write_text("by hand")
    with pytest.raises(TraceError, match=r"was edited since it was saved; move it out of the way"):
        save(loads(TEXT), tmp_path)
    assert path.read_text() == "by hand"


@pytest.mark.parametrize("method", ["write_bytes", "replace"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_an_interrupted_save_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, error: BaseException
) -> None:
    write = Path.write_bytes

    def interrupted(path: Path, content: Any) -> None:
        if method == "write_bytes":
            write(path, content[: len(content) // 2])
        raise error

    monkeypatch.setattr(Path, method, interrupted)
    with pytest.raises((KeyboardInterrupt, TraceError)):
        save(loads(TEXT), tmp_path)
    assert not list((tmp_path / "lock").iterdir())


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TraceError, match=r"file/lock/unfenced--\w+\.trace: cannot be written: "):
        save(loads(TEXT), tmp_path / "file")


SETS = """
from happysim import Node, World
from happysim.search.schedule import Run
from happysim.trace.format import dumps, record

names = {chr(97 + i) * 3 for i in range(20)}
run = Run((), (World.of(Node("n")),))
print(dumps(record(run, prop="p:q", scenario="p:s", arguments=[("names", names)])))
"""


def test_a_trace_does_not_depend_on_the_hash_seed() -> None:
    texts = [
        subprocess.run(
            [sys.executable, "-c", SETS],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert texts[0] == texts[1]
