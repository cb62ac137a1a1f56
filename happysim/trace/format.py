"""Traces: a run as a text file that a person can read, edit, and replay after the code has changed.

    happysim trace 1
    property: properties.broken.lock:tokens_reach_the_store_in_order
    scenario: properties.broken.lock:two_clients
    argument: fenced = False
    reason: writes [2, 1]

    world 5f0c9a11
        lock.token = 0
        lock.holder = None
    deliver c1 -> lock Acquire() @ 9be1277a
        lock.token = 1
        lock.holder = 'c1'
    ...
    end

The first line names the version. Each unindented line after the first blank one is a choice, by
content, with a digest of the world after it and, where a simulation took it, its time
(`@ 9be1277a at 0.000412 s`); the indented lines below say which fields it changed,
and to what. They let a replay name the first field that drifted, and may be left out by hand.

A trace is data. It holds no seeds, indices or pickles, and loading one evaluates nothing: arguments
are literals, choices are compared as text. `resolve` imports the module of the property it names,
from below a given folder only, and runs nothing but the scenario of that property.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from happysim.core.choice import Kind
from happysim.core.describe import describe, digest
from happysim.core.entries import STATUS
from happysim.core.errors import HappysimError
from happysim.core.freeze import freeze
from happysim.core.world import World
from happysim.search.schedule import Run
from happysim.sim.agenda import NS, seconds_text
from happysim.trace.changes import changes

VERSION = 1
_MAGIC = "happysim trace "
_DIGEST = 8
_CHOICE = re.compile(
    r"(?P<text>\S.*?) @ (?P<digest>[0-9a-f]{8}|\?)"
    r"(?: at (?P<seconds>\d{1,12})(?:\.(?P<part>\d{1,9}))? s)?"
)
_KINDS = frozenset(kind.value for kind in Kind)
_HEADERS = ("property", "scenario", "argument", "start", "budgets", "reason", "found")
# What the header says where faults cost nothing, as in a simulation.
_UNLIMITED = "unlimited"
_NAME = re.compile(r"[\w-]+(\.[\w-]+)*:[\w.<>]+")
# What is true of every node, or client script, that has just started, and goes without saying.
_FRESH_NODE = frozenset({(STATUS, "up"), ("timers", "[]")})
_FRESH_SCRIPT = frozenset({("answers", "[]"), ("waiting", "False")})


class TraceError(HappysimError):
    """A trace that cannot be read, or that names what is not there. Says file and line."""


@dataclass(frozen=True)
class Step:
    """One choice of a trace: its text, the digest of the world after it, the fields it changed.

    `digest` is "?" for a choice without a world after it (its handler raised), or not recorded.
    `at` is the nanosecond of a choice that a simulation took.
    """

    choice: str
    digest: str
    changed: tuple[tuple[str, str], ...] = ()
    at: int | None = None
    line: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Trace:
    """A run by content: which property, of which scenario, on which schedule.

    With `loose`, faults cost nothing, whatever budgets the scenario gives them.
    """

    prop: str
    scenario: str
    arguments: tuple[tuple[str, Any], ...]
    start: str
    reason: str
    found: str
    first: Step
    steps: tuple[Step, ...]
    loose: bool = False
    source: str = field(default="trace", compare=False)

    @property
    def schedule(self) -> tuple[str, ...]:
        return tuple(step.choice for step in self.steps)

    @property
    def name(self) -> str:
        """Where it is kept below a folder of traces: `<protocol>/<property>--<8 hex>.trace`."""
        return _name(self.prop, digest(dumps(self))[:_DIGEST])


def _name(prop: str, digits: str) -> str:
    module, _, name = prop.partition(":")
    return f"{module.rpartition('.')[2]}/{name}--{digits}.trace"


def saved(prop: str, folder: Path) -> list[Path]:
    """The traces below a folder whose names say that they are of a property, `module:name`."""
    return sorted(folder.glob(_name(prop, "*")))


def record(
    run: Run,
    *,
    prop: str,
    scenario: str,
    arguments: Sequence[tuple[str, Any]] = (),
    start: str = "",
    found: str = "",
    loose: bool = False,
) -> Trace:
    """The trace of a run. Raises `TraceError` for an argument that no literal can express."""
    for key, value in arguments:
        _literal(key, value)
    first = Step("world", run.worlds[0].digest()[:_DIGEST], _fields(run.worlds[0]))
    steps = []
    for at, choice in enumerate(run.schedule):
        if at + 1 < len(run.worlds):
            before, after = run.worlds[at : at + 2]
            after_text = after.digest()[:_DIGEST]
            steps.append(Step(str(choice), after_text, _changed(before, after), choice.at))
        else:
            steps.append(Step(str(choice), "?", at=choice.at))
    # On one line, whatever the property said.
    words = " ".join((run.wrong or "").split())
    reason = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in words)
    return Trace(prop, scenario, tuple(arguments), start, reason, found, first, tuple(steps), loose)


def _fields(world: World) -> tuple[tuple[str, str], ...]:
    """Every field of the first world but what is as it is in every fresh node."""
    tables = world.tables
    found = []
    for slot, name in enumerate(tables.names):
        texts = tables.state_text(slot, tables.state(slot, world.cells[slot]))
        fresh = _FRESH_NODE if texts[0][0] == STATUS else _FRESH_SCRIPT
        found += [(f"{name}.{field}", text) for field, text in texts if (field, text) not in fresh]
    return tuple(found)


def _changed(before: World, after: World) -> tuple[tuple[str, str], ...]:
    return tuple((f"{each.node}.{each.field}", each.after_text) for each in changes(before, after))


def _literal(key: str, value: Any) -> str:
    """An argument as a literal: the same text in every process, even for a set."""
    try:
        text = describe(freeze(value, key))
        same = freeze(ast.literal_eval(text), key) == freeze(value, key)
    except (HappysimError, ValueError, SyntaxError):
        text, same = "", False
    if not same:
        raise TraceError(
            f"argument {key} of the scenario is {value!r:.60} (a {type(value).__name__}), which a "
            "trace cannot hold; pass finite numbers, text, and tuples, lists, dicts or sets of them"
        )
    return text


def dumps(trace: Trace) -> str:
    """A trace as text.

    Raises `TraceError` where it could not be read again: for a name that leads nowhere, or a text
    that does not fit on one line.
    """
    for name in (trace.prop, trace.scenario):
        if not _NAME.fullmatch(name):
            raise TraceError(
                f"{name!r} is no `module:name` that a trace could lead back to; give the property "
                "a name in its module: `name = ...`"
            )
    lines = [f"{_MAGIC}{VERSION}"]
    lines.append(f"property: {trace.prop}")
    lines.append(f"scenario: {trace.scenario}")
    lines += [f"argument: {key} = {_literal(key, value)}" for key, value in trace.arguments]
    told = {
        "start": trace.start,
        "budgets": _UNLIMITED * trace.loose,
        "reason": trace.reason,
        "found": trace.found,
    }
    lines += [f"{name}: {text}" for name, text in told.items() if text]
    lines += ["", f"world {trace.first.digest}", *_indented(trace.first)]
    for step in trace.steps:
        time = "" if step.at is None else f" at {seconds_text(step.at)} s"
        lines += [f"{step.choice} @ {step.digest}{time}", *_indented(step)]
    for line in lines:
        if not line.isprintable():
            raise TraceError(f"a trace holds one printable line for each fact, not {line!r:.80}")
    return "\n".join([*lines, "end", ""])


def _indented(step: Step) -> Iterator[str]:
    return (f"    {name} = {text}" for name, text in step.changed)


def loads(text: str, source: str = "trace") -> Trace:
    """A trace from its text. Raises `TraceError`, naming the line, for a malformed one."""
    return _Reader(text, source).read()


def read(path: Path) -> Trace:
    """A trace from a file. Raises `TraceError` where it is missing, no text, or malformed."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise TraceError(f"{path}: cannot be read as a trace: {error.strerror}") from None
    except UnicodeDecodeError:
        raise TraceError(
            f"{path}: cannot be read as a trace: it is no text; "
            f"a trace begins with `{_MAGIC}{VERSION}`"
        ) from None
    return loads(text, str(path))


def is_trace(path: Path) -> bool:
    """True for a file that begins as a trace of ours does, of whatever version."""
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC.encode()
    except OSError:
        return False


def save(trace: Trace, folder: Path) -> Path:
    """Write a trace below a folder under its name; return the path. No other file is touched.

    The name holds a digest of the content. Raises `TraceError` where a file of that name holds
    something else (a trace edited by hand), or where the folder cannot be written to.
    """
    path = folder / trace.name
    content = dumps(trace).encode()
    # Written in full beside it, then renamed: an interrupted write leaves no half a trace.
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            if path.read_bytes() == content:
                return path
            raise TraceError(f"{path} was edited since it was saved; move it out of the way")
        try:
            part.write_bytes(content)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise TraceError(f"{path}: cannot be written: {error}") from None
    return path


class _Reader:
    def __init__(self, text: str, source: str) -> None:
        self.lines = text.splitlines()
        self.source = source
        self.at = 0

    def fail(self, why: str, line: int | None = None) -> TraceError:
        return TraceError(f"{self.source}, line {line or self.at}: {why}")

    def next(self, wanted: str) -> str:
        self.at += 1
        if self.at > len(self.lines):
            raise self.fail(f"the file ends here, cut short: {wanted} should follow")
        return self.lines[self.at - 1]

    def read(self) -> Trace:
        self.check_version(self.next("the version"))
        headers, arguments = self.headers()
        line = self.next("the first world")
        match = re.fullmatch(r"world ([0-9a-f]{8}|\?)", line)
        if match is None:
            raise self.fail(f"`world` and its digest should stand here, not {line!r:.60}")
        start_line = self.at
        first = Step("world", match[1], self.changed(), line=start_line)
        steps = []
        while (line := self.next("a choice, or `end`")) != "end":
            steps.append(self.step(line))
        for number in range(self.at, len(self.lines)):
            if self.lines[number].strip():
                raise self.fail("nothing may follow `end`", number + 1)
        return Trace(
            headers["property"],
            headers["scenario"],
            arguments,
            headers.get("start", ""),
            headers.get("reason", ""),
            headers.get("found", ""),
            first,
            tuple(steps),
            "budgets" in headers,
            self.source,
        )

    def check_version(self, line: str) -> None:
        if not line.startswith(_MAGIC):
            raise self.fail(f"not a trace: it should begin with `{_MAGIC}{VERSION}`")
        version = line.removeprefix(_MAGIC)
        if version != str(VERSION):
            raise self.fail(
                f"version {version!r:.20} of the format; this happysim reads version {VERSION}"
            )

    def headers(self) -> tuple[dict[str, str], tuple[tuple[str, Any], ...]]:
        found: dict[str, str] = {}
        arguments: dict[str, Any] = {}
        while line := self.next("the header, up to a blank line"):
            name, separator, value = line.partition(": ")
            if not separator or name not in _HEADERS or name in found:
                expected = ", ".join(_HEADERS)
                raise self.fail(f"a header is `name: value`, each once, of {expected}")
            if name == "argument":
                key, literal = self.argument(value)
                if key in arguments:
                    raise self.fail(f"the argument {key} is there twice")
                arguments[key] = literal
            else:
                found[name] = value
        if found.get("budgets", _UNLIMITED) != _UNLIMITED:
            raise self.fail(f"`budgets` is {_UNLIMITED!r}, or not there at all")
        for name in ("property", "scenario"):
            if not _NAME.fullmatch(found.get(name, "")):
                raise self.fail(f"the header needs `{name}: module:name`")
        return found, tuple(arguments.items())

    def argument(self, text: str) -> tuple[str, Any]:
        key, separator, value = text.partition(" = ")
        try:
            if not separator or not key.isidentifier():
                raise ValueError
            return key, ast.literal_eval(value)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            shown = f"{text!r:.60}"
            raise self.fail(f"an argument is `argument: name = literal`, not {shown}") from None

    def step(self, line: str) -> Step:
        match = _CHOICE.fullmatch(line)
        if match is None and self.at == len(self.lines):
            raise self.fail("the file ends here, cut short: `end` should be its last line")
        if match is None:
            raise self.fail(
                "a choice and ` @ ` and its digest (in a timed trace also ` at ` and its time, in "
                f"seconds) should stand here: {line!r:.60}"
            )
        kind = match["text"].split(" ")[0]
        if kind not in _KINDS:
            kinds = ", ".join(each.value for each in Kind)
            raise self.fail(f"{kind!r:.30} is no kind of choice; those are {kinds}")
        line_number, time = self.at, None
        if match["seconds"] is not None:
            time = int(match["seconds"]) * NS + int((match["part"] or "").ljust(9, "0"))
        return Step(match["text"], match["digest"], self.changed(), time, line_number)

    def changed(self) -> tuple[tuple[str, str], ...]:
        found = []
        while self.at < len(self.lines) and self.lines[self.at].startswith("    "):
            name, separator, text = self.next("a field").strip().partition(" = ")
            if not separator:
                raise self.fail("a field that changed is `    node.field = value`")
            found.append((name, text))
        return tuple(found)


def differences(
    recorded: Mapping[str, str], now: Mapping[str, str]
) -> Iterator[tuple[str, str | None, str | None]]:
    """Fields whose recorded text is not the one now: (node.field, recorded, now), in order."""
    for name in {**recorded, **now}:
        if recorded.get(name) != now.get(name):
            yield name, recorded.get(name), now.get(name)
