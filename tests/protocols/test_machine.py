"""What drives a machine keeps: the next state, the sessions, and who is to be answered."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from happysim import Register, Write
from happysim.core.script import Operation
from happysim.protocols.machine import Addressed, Journal, Unanswered, execute, is_service, recall

ONE, TWO, NEXT = Operation("c1", 1), Operation("c2", 1), Operation("c1", 2)


@dataclass(frozen=True)
class Bell:
    """A service: who waits is answered when it rings."""

    initial: tuple[Operation, ...] = ()
    round_seconds: float = 1.0

    def apply(self, state: Any, command: Any) -> tuple[Any, Any]:
        if isinstance(command, Addressed) and command.command == "wait":
            return (*state, command.operation), ()
        if isinstance(command, Addressed):
            return state, ((command.operation, command.command),)
        return (), tuple((each, "rang") for each in state)

    def round_over(self, state: Any) -> Any:
        return "ring" if state else None


def test_a_plain_machine_answers_who_asks_and_is_told_no_names() -> None:
    sessions: dict[str, tuple[int, Any]] = {}
    state, answers = execute(Register(), None, sessions, Write(1), ONE, 1)
    assert (state, answers) == (1, ((ONE, None),))
    assert sessions == {"c1": (1, None)}
    assert execute(Register(), None, sessions, Write(2))[1] == ()
    assert not is_service(Register())


def test_a_service_answers_later_and_the_sessions_know_what() -> None:
    sessions: dict[str, tuple[int, Any]] = {}
    state, answers = execute(Bell(), (), sessions, "wait", ONE, 1)
    assert (state, answers) == ((ONE,), ())
    assert sessions == {"c1": (1, Unanswered(ONE))}
    state, _ = execute(Bell(), state, sessions, "wait", TWO, 1)
    state, answers = execute(Bell(), state, sessions, Bell().round_over(state))
    assert answers == ((ONE, "rang"), (TWO, "rang"))
    assert sessions == {"c1": (1, "rang"), "c2": (1, "rang")}


def test_a_late_answer_is_not_that_of_a_later_command() -> None:
    sessions: dict[str, tuple[int, Any]] = {}
    state, _ = execute(Bell(), (), sessions, "wait", ONE, 1)
    state, _ = execute(Bell(), state, sessions, "else", NEXT, 2)
    execute(Bell(), state, sessions, "ring")
    assert sessions == {"c1": (2, "else")}


def test_only_a_clients_last_command_is_answered_again_and_only_once_it_has_an_answer() -> None:
    assert recall({}, ONE, 1) == (True, ())
    assert recall({"c1": (1, "done")}, NEXT, 2) == (True, ())
    assert recall({"c1": (2, "done")}, NEXT, 2) == (False, ((NEXT, "done"),))
    assert recall({"c1": (2, Unanswered(NEXT))}, NEXT, 2) == (False, ())
    assert recall({"c1": (2, "done")}, ONE, 1) == (False, ())


@pytest.mark.parametrize("value", [Journal(), Addressed("x", ONE), Unanswered(ONE)])
def test_what_machines_keep_are_values(value: Any) -> None:
    assert hash(value) == hash(replace(value))
