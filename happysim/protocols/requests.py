"""What the clients of a replicated log ask and are answered, whichever protocol keeps the log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from happysim.core.errors import ProtocolError
from happysim.core.host import Host
from happysim.core.message import message
from happysim.core.script import Operation


@message
class ClientRequest:
    """A client script asks for `command`; the answer is its result, or one of the next two.

    A client that repeats a command, because an answer is late, numbers its commands itself: each
    has a larger `serial` than the one before, from 1 on, and a repetition has the same. It then is
    applied once (Ongaro's dissertation, section 6.3). Without one, each call is a command of its
    own. A client numbers either all of its commands or none.

    A node may ask as well. It numbers its commands, and is answered with `Answered`. One that asks
    without a number, as a script does that posts its request, awaits no answer: the command takes
    effect once, more often, or never.
    """

    command: Any
    serial: int | None = None


@message
class NotLeader:
    """The answer to a request that was refused. It had no effect; `leader` may know better.

    A leader that hands over names its successor.
    On a network that copies messages this is said of one copy of the request only.
    """

    leader: str | None


@message
class Overwritten:
    """The answer to a request whose place in some server's log a newer leader has given away.

    It may still take effect, through another server that has it, or never will.
    """


@message
class Answered:
    """The answer to the command of that number, for a client that is a node."""

    serial: int
    result: Any


@message
class Forwarded:
    """A server that does not lead passes on what a client has asked of it.

    It is passed on once, not again, unless servers are patient. Without an `operation` the client
    awaits no answer.
    """

    operation: Operation | None
    request: Any


@dataclass(frozen=True)
class NodeOperation(Operation):
    """The operation of a client that is a node: it is answered with a message."""


def operation_of(host: Host, client: str, request: ClientRequest) -> Operation | None:
    """The operation that a request is; None where no answer is awaited."""
    if host.operation is None and request.serial is not None:
        return NodeOperation(client, request.serial)
    return host.operation


def operation_of_script(host: Host, client: str, request: Any) -> Operation:
    """The operation that a request is. Raises `ProtocolError` for one that awaits no answer."""
    if host.operation is None:
        kind = type(request).__name__
        raise ProtocolError(
            f"{host.name}: {client} sent {kind}; only a client script may, and awaits the answer"
        )
    return host.operation


def answer(host: Host, result: Any, operation: Operation) -> None:
    """Tell a client, script or node, the result of its operation."""
    if isinstance(operation, NodeOperation):
        host.send(operation.client, Answered(operation.number, result))
    else:
        host.respond(result, to=operation)


# -- patient servers: they keep what they cannot serve, until they have applied it -----------------


def keep(kept: list[Forwarded], asked: Forwarded, leader: str | None) -> None:
    """Add a request to those that are kept, from where each new leader is told of it.

    What awaits no answer has no number to know it by, and is passed on once: kept while nobody
    leads, and no longer.
    """
    if (asked.operation is not None or leader is None) and asked not in kept:
        kept.append(asked)


def still_open(kept: list[Forwarded], applied: Operation) -> list[Forwarded]:
    """What is left once an operation is applied: its client awaits none of before, nor this one."""
    return [each for each in kept if not is_settled(each.operation, applied)]


def is_settled(kept: Operation | None, applied: Operation) -> bool:
    """True for an operation of the same client, of that number or a smaller one."""
    return kept is not None and kept.client == applied.client and kept.number <= applied.number
