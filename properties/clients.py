"""Clients of a replicated machine, and what they are owed, whichever protocol replicates it.

Each command takes effect once, between request and answer, and no request is dropped in silence.
The scenarios, and how a protocol knows of a command, are in the files named after protocols.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from happysim import History, NotLeader, Overwritten, SequentialObject, World, call, linearize
from happysim.core.script import Operation, Response
from happysim.protocols.chain import Redirect
from happysim.protocols.primary_backup import NotPrimary
from happysim.spec.linearizability import Outcome

# -- clients --------------------------------------------------------------------------------------


def asks(*plan: tuple[str, Any]) -> Iterator[Any]:
    """A client that asks for one thing after the other: (server, request) each."""
    for server, request in plan:
        yield call(server, request)


def insists(request: Any, *servers: str) -> Iterator[Any]:
    """A client that asks one server after the other until one does not refuse."""
    for server in servers:
        answer = yield call(server, request)
        if not isinstance(answer, NotLeader | NotPrimary):
            return


# -- one machine ----------------------------------------------------------------------------------

# The command may take effect at any later time, or never: these say so, or they speak of one copy
# of the request only.
IN_DOUBT = Overwritten | NotPrimary | Redirect


def effects(history: History) -> History:
    """What the machine has to explain: commands, without what servers say of them.

    One that `NotLeader` refused took no effect, so it is left out. One that is in doubt is open for
    ever, in a lane of its own: its client goes on.
    """
    events: list[tuple[int, str, Any]] = []
    for span in history.spans():
        if not hasattr(span.call.operation, "command"):
            continue  # What is asked of the servers, and not of the machine.
        lane, command, result = span.call.client, span.call.operation.command, span.call.result
        if isinstance(result, NotLeader):
            continue
        if isinstance(result, IN_DOUBT):
            events.append((span.invoked, f"{lane}, call {span.index + 1}", (command,)))
            continue
        events.append((span.invoked, lane, (command,)))
        if span.returned is not None:
            events.append((span.returned, lane, (command, result)))
    seen = History()
    for _, lane, (command, *result) in sorted(events, key=lambda event: event[0]):
        seen = seen.complete(lane, result[0]) if result else seen.invoke(lane, command)
    return seen


def see_one_machine(world: World, machine: SequentialObject) -> bool | str:
    """Linearizable: each command takes effect once, between its request and its answer."""
    found = linearize(effects(world.history), machine)
    return True if found.outcome is Outcome.LINEARIZABLE else found.explanation


# -- and an answer from it ------------------------------------------------------------------------


def answers_of(world: World, name: str, number: int) -> list[Any]:
    """Every answer to a client's call of that number, received or on its way."""
    calls = world.history.of(name)
    received = [calls[number - 1].result] if calls[number - 1].done else []
    coming = [
        sent.message.value
        for sent in world.in_flight
        if sent.target == name
        and isinstance(sent.message, Response)
        and sent.message.number == number
    ]
    return received + coming


def nobody_is_forgotten(world: World, is_pending: Callable[[World, Operation], bool]) -> bool | str:
    """An open call is on its way, or pending with some server, or its answer is coming.

    On a network that loses nothing: there a client needs no timeout. It says most where messages
    keep their order, because on other networks one that is ignored is on its way for ever.
    """
    for name in world.history.open:
        calls = world.history.of(name)
        known = (
            is_pending(world, Operation(name, len(calls)))
            or any(
                sent.source == name and sent.message == calls[-1].operation
                for sent in world.in_flight
            )
            or answers_of(world, name, len(calls))
        )
        if not known:
            return f"call {len(calls)} of {name} is known to nobody, and {name} waits for ever"
    return True
