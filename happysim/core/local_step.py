"""What a local step is made of: the states of processes, what happens to them, what comes of it.

All of it is content: frozen values, that can be compared, numbered and remembered.
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any, NamedTuple

from happysim.core.choice import DISK_BUDGETS
from happysim.core.disk import Image, Mark, Mishap
from happysim.core.freeze import Frozen
from happysim.core.script import Operation, Response

# A node that is failing has let out that its disk is full: a crash follows, and nothing else.
NEW, UP, FAILING, DOWN = "new", "up", "failing", "down"

# What a handler may depend on, as errors tell it.
ADVICE = (
    "a handler may read its fields, its message and its host only: not the clock, "
    "`random`, id() or hash() of text; use host.choose and timers"
)
# The faults of disks that show at a restart.
AT_RESTART = tuple(name for name, base in DISK_BUDGETS.items() if base == "restarts")


class Event(NamedTuple):
    """What happens to one process: deliver, fire, act, start, crash, restart, fill, free or invoke.

    `what` is a frozen message, the name of a timer or an action, what befalls the disk, or the
    class to restart as. `readings` is what its handler finds on its clock, each time it looks, in
    nanoseconds, and "full" where it syncs a full disk.
    """

    kind: str
    what: Frozen = None
    source: str = ""
    operation: Operation | None = None
    readings: tuple[int | str, ...] = ()

    @property
    def text(self) -> str:
        """A crash or a restart, as a choice shows it behind the name of the node."""
        return self.what.text if isinstance(self.what, Mishap | Version) else ""


class NodeState(NamedTuple):
    """A node as content.

    `unsynced` lists older images of its disk that a crash may fall back to, `marks` what is damaged
    on it, `synced` what was synced: the latest image last, for faults that go back further.
    `version` is the number of the upgrade that it runs, 0 for the class it began with. `full` says
    that its disk has no room.
    """

    status: str
    fields: tuple[Frozen, ...]
    timers: tuple[str, ...] = ()
    unsynced: tuple[Image, ...] = ()
    marks: tuple[Mark, ...] = ()
    synced: tuple[Image, ...] = ()
    version: int = 0
    full: bool = False


class Version(NamedTuple):
    """The class that a node restarts as: its number among the upgrades of the node, from 1."""

    number: int
    name: str

    @property
    def text(self) -> str:
        """As a choice shows it, behind the name of the node."""
        return f"as {self.name}"


class ScriptState(NamedTuple):
    """A client script as content: the answers so far, and whether it awaits one more."""

    answers: tuple[Frozen, ...] = ()
    waiting: bool = False


class Raised(NamedTuple):
    """An exception that a handler let out: a violation, not an error of ours."""

    handler: str
    message: str
    where: str

    def __str__(self) -> str:
        return f"{self.handler} raised {self.message} ({self.where})"


class Outcome(NamedTuple):
    """What one local step does. `sends` are (receiver, frozen message, operation), in order.

    `forged` are (pretended sender, receiver, frozen message). `delays` are the timers that it sets,
    by name, each with its range of seconds; a search takes no notice of them.
    """

    state: Any
    sends: tuple[tuple[str, Frozen, Operation | None], ...] = ()
    records: tuple[tuple[str, str, Frozen], ...] = ()
    choosing: str = ""
    raised: Raised | None = None
    delays: tuple[tuple[str, float, float], ...] = ()
    forged: tuple[tuple[str, str, Frozen], ...] = ()


# The files whose frames call a handler: a call that itself fails fails there.
_RUNNERS = {Path(__file__).with_name(name) for name in ("process.py", "script_process.py")}


def raised_by(where: str, error: Exception, handler: Any = None) -> Raised:
    """What a handler let out, and where; `handler` stands for a call that itself failed."""
    at = traceback.extract_tb(error.__traceback__)[-1]
    file, line, name = at.filename, at.lineno, at.name
    code = getattr(handler, "__code__", None)
    if Path(file) in _RUNNERS and code is not None:
        # The call itself failed: the handler takes other arguments.
        file, line, name = code.co_filename, code.co_firstlineno, code.co_name
    message = "".join(traceback.format_exception_only(error)).strip()
    return Raised(where, message, f"{Path(file).name}, line {line}, in {name}")


def is_response(frozen: Frozen) -> bool:
    """True for the content of an answer to a client script."""
    return type(frozen) is tuple and frozen[0] is Response


def response_parts(frozen: Any) -> tuple[int, Frozen]:
    """The number of the operation that an answer is for, and the frozen answer."""
    _, number, value = frozen
    return number, value
