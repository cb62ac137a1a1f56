"""Checkpoints: an exhaustive search that was interrupted goes on, perhaps in another process.

A checkpoint is one file: a line that says its version, a head in JSON, what the kernel writes (see
`kernel/native/src/checkpoint.rs`), and a checksum over all of it. It holds numbers, texts and the
order in which local steps were computed, and nothing that is run when it is read: the handlers of
the scenario are run again, and must do the same as before. It is data from a stranger all the same,
so each part is checked before it is used.
"""

from __future__ import annotations

import inspect
import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO

from happysim.core.errors import CheckpointError
from happysim.core.journal import digest_of, ledgers_as_data, ledgers_from_data, redo
from happysim.core.process import NodeProcess
from happysim.core.tables import Tables
from happysim.core.world import World
from happysim.search.judge import PropertyJudge
from happysim.spec.property import Property
from happysim.spec.scenario import Scenario

FIRST_LINE = b"happysim checkpoint 1\n"
_KIND = b"happysim checkpoint "
_LENGTH_BYTES, _CHECKSUM_BYTES, _BLOCK_BYTES = 8, 4, 1 << 20
_HEAD_BYTES_MAX = 1 << 30


@dataclass(frozen=True)
class Search:
    """What a checkpoint is of: it goes on with this search, and with no other."""

    scenario: Scenario
    properties: Sequence[Property]
    within: Callable[[World], bool] | None
    max_depth: int | None
    memory: str
    history: bool

    def told(self) -> dict[str, Any]:
        """What must be the same, in words, and the text of the files that say what happens."""
        starts = {name: world.digest() for name, world in self.scenario.worlds.items()}
        within = None if self.within is None else getattr(self.within, "__qualname__", "within")
        return {
            "scenario": f"{self.scenario.name}, {self.scenario}",
            "first worlds": starts,
            "properties": [f"{prop.sort.value} {prop.name}" for prop in self.properties],
            "within": within,
            "max_depth": self.max_depth,
            "memory": self.memory,
            "history": self.history,
            "files": self.files(),
        }

    def files(self) -> dict[str, str]:
        """A digest of each file that defines the scenario, its processes and its properties."""
        world = next(iter(self.scenario.worlds.values()))
        defining: list[Any] = [self.scenario.function, self.within]
        defining += [prop.function for prop in self.properties]
        for process in world.tables.processes:
            kind = process.kind if isinstance(process, NodeProcess) else process.script.function
            defining += kind.__mro__[:-1] if isinstance(kind, type) else [kind]
        return dict(sorted(filter(None, map(_file_of, defining))))


def _file_of(defined: Any) -> tuple[str, str] | None:
    """The module that something is defined in, and a digest of its file; None where it has none."""
    while isinstance(defined, partial):
        defined = defined.func
    try:
        path = inspect.getsourcefile(inspect.unwrap(defined))
        text = Path(path or "").read_bytes()
    except (TypeError, OSError, ValueError):
        return None
    return defined.__module__, blake2b(text, digest_size=16).hexdigest()


@dataclass
class Keeper:
    """What a kernel asks when it writes a checkpoint; see `happysim.kernel.contract.Keeper`."""

    path: str
    every: float
    search: Search
    judge: PropertyJudge
    tables: Tables
    # Why the last one could not be written; empty where it was.
    trouble: str = ""
    _digests: list[str] = field(default_factory=list)
    _told: dict[str, Any] | None = None

    def head(self, worlds: int) -> bytes:
        """All that is known on this side, for a search that has met so many worlds."""
        journal = self.tables.journal
        for entry in journal[len(self._digests) :]:
            self._digests.append(digest_of(self.tables, entry))
        if self._told is None:
            self._told = self.search.told()
        head = {
            "search": self._told,
            "journal": journal,
            "digests": self._digests,
            "ledgers": ledgers_as_data(self.tables),
            "findings": self.judge.as_data(worlds),
            "quiescent": self.judge.quiescent_worlds,
        }
        return json.dumps(head).encode()

    def kept(self, trouble: str) -> None:
        """One was written, or could not be."""
        self.trouble = trouble


@dataclass(frozen=True)
class Saved:
    """A checkpoint that was read: its head, and where the kernel's part begins."""

    path: str
    head: dict[str, Any]
    start: int

    @property
    def history(self) -> bool:
        """Whether the clients' history was part of a world."""
        return bool(self.head["search"].get("history"))

    def restore(self, search: Search, judge: PropertyJudge, tables: Tables) -> None:
        """Make tables and judge what they were.

        Raises `CheckpointError` where the checkpoint is of another search, or of other code.
        """
        _compare(self.path, self.head["search"], search.told())
        try:
            entries = [(int(a), int(b), int(c), int(d)) for a, b, c, d in self.head["journal"]]
            redo(tables, entries, self.head["digests"])
            ledgers_from_data(tables, self.head["ledgers"])
            judge.from_data(self.head["findings"])
            judge.quiescent_worlds = int(self.head["quiescent"])
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise CheckpointError(f"{self.path}: its head does not fit together: {error}") from None
        except CheckpointError as error:
            raise CheckpointError(f"{self.path}: {error}") from None


def _compare(path: str, theirs: Any, ours: dict[str, Any]) -> None:
    """Raise `CheckpointError` for the first thing in which two searches differ."""
    if not isinstance(theirs, dict) or theirs.keys() != ours.keys():
        raise CheckpointError(f"{path}: its head does not say what it is of")
    for what, value in ours.items():
        other = theirs[what]
        if other == value:
            continue
        if what == "files":
            names = sorted(set(other) | set(value))
            name = next(each for each in names if other.get(each) != value.get(each))
            raise CheckpointError(
                f"{path}: {name} has changed since the checkpoint was written; begin anew"
            )
        raise CheckpointError(
            f"{path}: this is of another search; {what}: {_short(other)}, and here {_short(value)}"
        )


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) < 100 else f"{text[:97]}..."


def read(path: str) -> Saved:
    """Read a checkpoint as far as it is of this side, and check that all of it is there.

    Raises `CheckpointError` for a file that is none, is of another version, or is damaged.
    """
    try:
        with Path(path).open("rb") as file:
            return _read(path, file)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}") from None


def _read(path: str, file: BinaryIO) -> Saved:
    first = file.read(len(FIRST_LINE))
    if not first.startswith(_KIND[: max(1, len(first))]):
        raise CheckpointError(f"{path}: this is no checkpoint of happysim")
    if first != FIRST_LINE:
        version = first[len(_KIND) :].decode("ascii", "replace").strip()
        raise CheckpointError(
            f"{path}: a checkpoint of version {version or '?'}; this happysim reads version 1"
        )
    file.seek(0, 2)
    left = file.tell() - _CHECKSUM_BYTES
    if left < len(FIRST_LINE) + _LENGTH_BYTES or _checksum(file, left) != file.read():
        raise CheckpointError(f"{path}: the file is damaged, or the end of it is missing")
    file.seek(len(FIRST_LINE))
    length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
    start = len(FIRST_LINE) + _LENGTH_BYTES + length
    if start > left or length > _HEAD_BYTES_MAX:
        raise CheckpointError(f"{path}: its head is longer than the file")
    try:
        head = json.loads(file.read(length))
    except (ValueError, RecursionError):
        head = None
    if not isinstance(head, dict) or not isinstance(head.get("search"), dict):
        raise CheckpointError(f"{path}: its head cannot be read")
    return Saved(path, head, start)


def _checksum(file: BinaryIO, length: int) -> bytes:
    """The checksum over so many bytes from the start, as it stands in a file."""
    file.seek(0)
    made = 0
    while length > 0:
        block = file.read(min(length, _BLOCK_BYTES))
        if not block:
            break
        made = zlib.crc32(block, made)
        length -= len(block)
    return made.to_bytes(_CHECKSUM_BYTES, "little")
