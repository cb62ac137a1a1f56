"""Byzantine nodes: a node that follows its protocol but for some lies, each of them a choice.

`byzantine(RaftNode, equivocates=1)` makes a class whose nodes run the handlers of `RaftNode` and
deviate in what they send. Each deviation is drawn by `host.choose`: in a search it is a branch, in
a simulation a draw, and a trace says which was taken. Budgets keep a search finite.

Such a node sends only when its protocol sends, and only what that or its `mutate` gives it: it is
weaker than an arbitrary adversary. Source of the model: Lamport, Shostak and Pease 1982 ("The
Byzantine Generals Problem").
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, TypeVar

from happysim.core.altered import altered
from happysim.core.describe import describe
from happysim.core.errors import ProtocolError
from happysim.core.freeze import freeze, thaw
from happysim.core.host import Host, listed
from happysim.core.node import Node

_N = TypeVar("_N", bound=Node)
# Makes of an honest message (and its receiver's name) another one, or several.
Mutate = Callable[[Any, str], Any]

HONEST, SILENT, ALONE = "honest", "silent", "nothing more"
BUDGETS = ("equivocates", "replays", "forges", "silent")


def byzantine(
    kind: type[_N],
    *,
    equivocates: int = 0,
    replays: int = 0,
    forges: int = 0,
    silent: int = 0,
    mutate: Mutate | None = None,
) -> type[_N]:
    """A class of nodes that deviate from `kind` so many times, whenever they send something.

    `equivocates`: send another content, to one receiver; `mutate(message, to)` gives it, or a list
    of contents to choose from (by default the last field that can be altered is). `silent`: send
    nothing. `replays`: send again, besides, what was sent before. `forges`: send the same receiver,
    besides, that or another content under the name of a peer; it travels on that peer's link.
    A restart gives a node its budgets anew. The same arguments give the same class.

    Raises `ProtocolError` where a budget is no whole number, or all are zero.
    """
    if not (isinstance(kind, type) and issubclass(kind, Node)) or kind is Node:
        raise ProtocolError(f"byzantine({kind!r}): give a class of nodes")
    budgets = (equivocates, replays, forges, silent)
    for name, budget in zip(BUDGETS, budgets, strict=True):
        if not isinstance(budget, int) or isinstance(budget, bool) or budget < 0:
            raise ProtocolError(
                f"byzantine({name}={budget!r}): a budget is a whole number of at least 0"
            )
    if not any(budgets):
        raise ProtocolError(f"byzantine({kind.__name__}): give it a budget, as equivocates=1")
    make: Any = _class_of  # a cache does not take classes for hashable
    made: type[_N] = make(kind, budgets, mutate or alter_one_field)
    return made


def alter_one_field(message: Any, to: str) -> Any:
    """The message with its last field altered that can be; None where none can."""
    other = altered(freeze(message))
    return None if other is None else thaw(other)


@cache
def _class_of(kind: type[Node], budgets: tuple[int, ...], mutate: Mutate) -> Any:
    fields: dict[str, Any] = {f"{name}_left": n for name, n in zip(BUDGETS, budgets, strict=True)}
    # What was sent, each message once: what there is to replay.
    fields["sent_before"] = ()
    for name in fields.keys() & set(kind.happysim_fields):
        raise ProtocolError(
            f"byzantine({kind.__name__}): its field {name} is in the way; rename it"
        )
    handlers = kind.happysim_handlers
    methods = {*handlers.messages.values(), *handlers.timers.values(), *handlers.actions}
    if kind.on_start is not Node.on_start:
        methods.add("on_start")
    namespace: dict[str, Any] = {
        "__annotations__": {**dict.fromkeys(fields, int), "sent_before": tuple},
        "__doc__": f"A {kind.__name__} that deviates from its protocol.",
        "__module__": kind.__module__,
        **fields,
        **{name: _deviating(getattr(kind, name), mutate) for name in sorted(methods)},
    }
    make: Any = type(kind)
    return make(f"Byzantine{kind.__name__}", (kind,), namespace)


def _deviating(honest: Callable[..., Any], mutate: Mutate) -> Callable[..., Any]:
    def handler(self: Any, host: Host, *about: Any) -> Any:
        return honest(self, DeviantHost(self, host, mutate), *about)

    handler.__name__ = honest.__name__
    handler.__doc__ = honest.__doc__
    return handler


class DeviantHost:
    """The host of a Byzantine node: deviates in what is sent, and is a `Host` in all else."""

    def __init__(self, node: Any, host: Host, mutate: Mutate) -> None:
        self._node, self._host, self._mutate = node, host, mutate

    def __getattr__(self, name: str) -> Any:
        return getattr(self._host, name)

    # -- what is sent ----------------------------------------------------------------------------

    def send(self, to: str, message: Any) -> None:
        """Send a message, or something else, or nothing; and perhaps something besides."""
        node, host = self._node, self._host
        others = self._others(message, to)
        sent = self._choose({HONEST: ("", (message,)), **self._instead(others)})
        if sent is not None:
            host.send(to, sent[0])
        besides = self._choose({ALONE: ("", None), **self._besides(to, [message, *others])})
        if besides is not None:
            source, receiver, content = besides
            if source == host.name:
                host.send(receiver, content)
            else:
                host._forge(source, receiver, content)
        if node.replays_left and (to, message) not in node.sent_before:
            node.sent_before = (*node.sent_before, (to, message))

    def _choose(self, ways: dict[str, tuple[str, Any]]) -> Any:
        """One of several ways, by what a trace calls it; each says which budget pays for what."""
        budget, what = ways[self._host.choose(list(ways))]
        if budget:
            left = getattr(self._node, f"{budget}_left")
            setattr(self._node, f"{budget}_left", left - 1)
        return what

    def _instead(self, others: list[Any]) -> dict[str, tuple[str, Any]]:
        """What may be sent instead, as a tuple of one; None for nothing."""
        node = self._node
        ways: dict[str, tuple[str, Any]] = {}
        if node.equivocates_left:
            for other in others:
                ways[f"{describe(freeze(other))} instead"] = "equivocates", (other,)
        if node.silent_left:
            ways[SILENT] = "silent", None
        return ways

    def _besides(self, to: str, contents: list[Any]) -> dict[str, tuple[str, Any]]:
        """What may follow a message: its sender, receiver and content."""
        node, host = self._node, self._host
        ways: dict[str, tuple[str, Any]] = {}
        if node.forges_left and to != host.name:
            for name in host.peers:
                for content in contents if name != to else ():
                    way = f"{describe(freeze(content))} as {name}"
                    ways[way] = "forges", (name, to, content)
        if node.replays_left:
            for receiver, old in node.sent_before:
                way = f"{describe(freeze(old))} to {receiver} again"
                ways[way] = "replays", (host.name, receiver, old)
        return ways

    def _others(self, message: Any, to: str) -> list[Any]:
        if not (self._node.equivocates_left or self._node.forges_left):
            return []
        made = self._mutate(message, to)
        others = made if isinstance(made, list | tuple) else [made]
        return [each for each in others if each is not None and each != message]

    def broadcast(self, message: Any, to: Iterable[str] | None = None) -> None:
        """Send a message to each of `to`, by default all peers: to each as it likes."""
        for name in self._host.peers if to is None else listed(to):
            self.send(name, message)

    def reply(self, message: Any) -> None:
        """Send a message to the sender of the one being handled."""
        sender = self._host._sender
        if sender is None:
            self._host.reply(message)  # says that there is nobody to reply to
        elif self._host._site.receivers[sender] is None:
            self.respond(message)
        else:
            self.send(sender, message)

    def respond(self, value: Any, to: Any = None) -> None:
        """Answer a client, with another value, or not at all."""
        other = altered(freeze(value))
        others = [] if other is None else [thaw(other)]
        ways = {HONEST: ("", (value,)), **self._instead(others)}
        answer = self._choose(ways)
        if answer is not None:
            self._host.respond(answer[0], to)
