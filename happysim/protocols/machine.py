"""The state machine that a protocol replicates: a deterministic object that applies commands.

**Source**: Schneider, *Implementing fault-tolerant services using the state machine approach: a
tutorial*, ACM Computing Surveys 22(4), 1990.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeGuard

from happysim.core.script import Operation


class Machine(Protocol):
    """What is replicated. The sequential objects of `happysim.spec.objects` are machines.

    States are immutable values (numbers, text, tuples, frozen dataclasses): they travel in
    snapshots.
    """

    initial: Any

    def apply(self, state: Any, command: Any) -> tuple[Any, Any]:
        """The next state and the result of `command` in `state`, and a function of these alone.

        A command that only reads returns `state` itself as the next state.
        """


class KeyedMachine(Machine, Protocol):
    """A machine whose state may have parts, so that one part can be read while others change."""

    def key(self, command: Any) -> Hashable:
        """The part that `command` reads and changes; None where it may be all of the state."""


@dataclass(frozen=True)
class Journal:
    """The machine that keeps every command in order; the result is how many there are then."""

    initial = ()

    def apply(self, state: Any, command: Any) -> tuple[Any, Any]:
        """The journal with `command` at its end, and its length."""
        return (*state, command), len(state) + 1

    def key(self, command: Any) -> Hashable:
        """None: every command changes all of it."""
        return None


# -- machines that answer late, and in which time passes ------------------------------------------

Answers: TypeAlias = tuple[tuple[Operation, Any], ...]


@dataclass(frozen=True)
class Addressed:
    """A command, and the operation that it is: who asks, and where an answer is to go."""

    command: Any
    operation: Operation


class Service(Machine, Protocol):
    """A machine that knows who asks, may answer later, and in which time passes.

    `apply` is given `Addressed` commands, and bare ones, which await no answer. In the place of a
    result it returns the `Answers` that are due now: perhaps none, perhaps some to operations of
    before. The leader lets a round go by, of `round_seconds`, and proposes what `round_over` says.
    So time passes by way of the log: at the same place for every server.
    """

    round_seconds: float

    def round_over(self, state: Any) -> Any:
        """The command for the end of a round; None where nothing here depends on time."""


@dataclass(frozen=True)
class Unanswered:
    """In the place of a result: the operation is applied, and its answer is yet to come."""

    operation: Operation


def is_service(machine: Machine) -> TypeGuard[Service]:
    """True for a machine with rounds, which answers when it likes."""
    return hasattr(machine, "round_over")


def recall(
    sessions: Mapping[str, tuple[int, Any]], operation: Operation, serial: int
) -> tuple[bool, Answers]:
    """Whether a command is new; if it is its client's last one, and answered, that answer again.

    One before the last needs no answer: its client has had one, or does not wait for it any more.
    """
    last, result = sessions.get(operation.client, (0, None))
    is_answered = serial == last and not isinstance(result, Unanswered)
    return serial > last, ((operation, result),) if is_answered else ()


def execute(
    machine: Machine,
    state: Any,
    sessions: dict[str, tuple[int, Any]],
    command: Any,
    operation: Operation | None = None,
    serial: int = 0,
) -> tuple[Any, Answers]:
    """Apply a command to the machine; returns the next state, and who is to be answered what.

    `sessions` (per client, the number of its last command and the result) is brought up to date.
    """
    if not is_service(machine):
        state, result = machine.apply(state, command)
        if operation is None:
            return state, ()
        sessions[operation.client] = (serial, result)
        return state, ((operation, result),)
    answers: Answers
    state, answers = machine.apply(
        state, command if operation is None else Addressed(command, operation)
    )
    if operation is not None:
        sessions[operation.client] = (serial, Unanswered(operation))
    for done, result in answers:
        number, kept = sessions.get(done.client, (0, None))
        if kept == Unanswered(done):
            sessions[done.client] = (number, result)
    return state, answers
