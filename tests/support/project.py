"""A small project, as a person would write it, and `happysim` run inside it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

from happysim import Holds, check
from happysim.front.cli import main
from happysim.front.collect import import_file
from happysim.trace.format import save
from happysim.trace.replay import trace_of

LOCK = '''
"""A lease lock, and a store that must refuse writers that overslept their lease."""

from happysim import (
    Faults, Host, Node, World, always, durable, message, must_break, on, reachable,
)


@message
class Acquire: ...


@message
class Granted:
    token: int


@message
class Write:
    token: int


class LockServer(Node):
    """Grants one holder at a time; every grant carries a larger token."""

    token: int = durable(0)  # newest token granted; only ever grows
    holder: str | None = None  # None while the lock is free

    @on(Acquire)
    def grant(self, host: Host, sender: str, request: Acquire) -> None:
        if self.holder is None:
            self.token, self.holder = self.token + 1, sender
            host.send(sender, Granted(self.token))
            host.set_timer("lease", seconds=10)

    @on.timer("lease")
    def expire(self, host: Host) -> None:
        self.holder = None  # the old holder may not know yet


class Store(Node):
    fenced: bool
    writes: list[int] = []

    @on(Write)
    def write(self, host: Host, sender: str, request: Write) -> None:
        if not self.fenced or not self.writes or request.token > self.writes[-1]:
            self.writes.append(request.token)


class Client(Node):
    def on_start(self, host: Host) -> None:
        host.send("lock", Acquire())

    @on(Granted)
    def granted(self, host: Host, sender: str, grant: Granted) -> None:
        host.send("store", Write(grant.token))


def two_clients(fenced: bool = True) -> World:
    store = Store("store", fenced)
    return World.of(LockServer("lock"), store, Client("c1"), Client("c2"), faults=Faults(drops=1))


@always(two_clients)
def tokens_reach_the_store_in_order(world: World) -> bool | str:
    writes = world["store"].writes
    return writes == sorted(writes) or f"the store took {writes}"


@reachable(two_clients)
def both_clients_write(world: World) -> bool:
    """Keeps the property above honest: a store nobody can write to would pass it."""
    return len(world["store"].writes) == 2


unfenced = tokens_reach_the_store_in_order.over(two_clients, fenced=False)
caught = must_break(tokens_reach_the_store_in_order.over(two_clients, fenced=False))
'''.lstrip()

# The head of every small file below: one node that counts to three.
COUNTER = """
from happysim import Node, World, action, always, bounded, must_break, quiescent, reachable, uniform

class Counter(Node):
    n: int = 0

    @action(when=lambda self: self.n < 3)
    def go(self, host):
        self.n += 1

def counting(name="a"):
    return World.of(Counter(name))
""".lstrip()


@contextmanager
def fresh_imports(root: Path) -> Iterator[None]:
    """Forget at the end what was imported from below a folder: a changed file is read again."""
    path = list(sys.path)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        for name in [name for name, module in sys.modules.items() if _is_below(root, module)]:
            del sys.modules[name]
        sys.path[:] = path


def _is_below(root: Path, module: ModuleType) -> bool:
    homes = [getattr(module, "__file__", None), *getattr(module, "__path__", ())]
    return any(home and Path(home).is_relative_to(root) for home in homes)


class Said(NamedTuple):
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


class Project:
    """A folder with files of properties, and `happysim` run in it."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root, self.capsys = root, capsys

    def write(self, name: str, text: str) -> Path:
        """A file of the project."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def count(self, name: str, text: str = "") -> Path:
        """A file that begins with the counter."""
        return self.write(name, COUNTER + text)

    @contextmanager
    def imported(self, name: str) -> Iterator[ModuleType]:
        """A file of the project as a module, until the block ends."""
        with fresh_imports(self.root):
            yield import_file(self.root / name, self.root)

    def run(self, *arguments: str) -> Said:
        """Run a command with fresh imports, as a new process would."""
        self.capsys.readouterr()
        try:
            with fresh_imports(self.root):
                code = main(arguments)
        except SystemExit as stop:  # argparse
            code = int(str(stop.code))
        return Said(code, *self.capsys.readouterr())

    def trace(self, target: str = "properties/lock.py::unfenced") -> Path:
        """The trace that a check of a broken property saves."""
        assert self.run("check", target, "--save", "traces").code == 1
        (path,) = self.root.glob("traces/*/*.trace")
        return path.relative_to(self.root)

    def witness(self, file: str, name: str) -> Path:
        """The trace of how a reachable property is reached."""
        with self.imported(file) as module:
            verdict = check(getattr(module, name))
            assert isinstance(verdict, Holds)
            return save(trace_of(verdict), self.root / "traces").relative_to(self.root)

    def edit(self, name: str, *changes: tuple[str, str]) -> None:
        """Replace texts that a file has."""
        text = (self.root / name).read_text(encoding="utf-8")
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        self.write(name, text)

    def files(self) -> dict[str, str]:
        """Every file, with its text."""
        found = sorted(path for path in self.root.rglob("*") if path.is_file())
        return {str(path.relative_to(self.root)): path.read_text() for path in found}
