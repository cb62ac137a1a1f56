"""A node that is a table: what it does in each local state, to be drawn at random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from happysim import (
    DiskFull,
    Host,
    Node,
    Operation,
    action,
    call,
    durable,
    message,
    on,
    post,
    sleep,
)

SENDS_MAX = 2


@message
class Red:
    kind: int


@message
class Blue:
    """As Red, but another value."""

    kind: int


class Rule(NamedTuple):
    """In local state `state`, `trigger` makes a node do the steps of `effect`."""

    trigger: str
    state: int
    effect: tuple[tuple[Any, ...], ...]


class Tabled(Node):
    """Does what its rules say. `sends_left` keeps the number of worlds finite."""

    rules: tuple[Rule, ...]
    state: int = 0
    sends_left: int = SENDS_MAX
    kept: int = durable(0)
    kept_too: list[int] = durable([])
    noted: set[int] = set()
    asker: Operation | None = None
    calling: bool = False

    def _effect(self, trigger: str) -> tuple[tuple[Any, ...], ...] | None:
        for rule in self.rules:
            if (rule.trigger, rule.state) == (trigger, self.state):
                return rule.effect
        return None

    def _react(self, host: Host, trigger: str, sender: str = "") -> None:
        for step in self._effect(trigger) or ():
            self._do(host, sender, *step)

    def _do(self, host: Host, sender: str, what: str, *of: Any) -> None:  # noqa: C901, PLR0912
        match what, *of:
            case "go", state:
                self.state = state
            case "choose", *states:
                self.state = host.choose(states)
            case "send", to, sent:
                self._send(host, [*host.peers, host.name][to % (len(host.peers) + 1)], sent)
            case "reply", sent:
                if sender and self.sends_left:
                    self.sends_left -= 1
                    host.reply(sent)
            case "tell all", sent:
                for peer in host.peers:
                    self._send(host, peer, sent)
            case "set", timer:
                host.set_timer(timer)
            case "cancel", timer:
                host.cancel_timer(timer)
            case "keep", value:
                self.kept = value
            case "append", value:
                self.kept_too = [*self.kept_too, value][-2:]
            case ("sync",):
                host.sync()
            case "try to sync", state:
                try:
                    host.sync()
                except DiskFull:
                    self.state = state
            case "note", value:
                self.noted.add(value)
            case ("remember asker",):
                self.asker = host.operation or self.asker
            case "answer", value:
                if (host.operation or self.asker) is not None and self.sends_left:
                    self.sends_left -= 1
                    host.respond(value, to=host.operation or self.asker)
            case "ask", value:
                if not self.calling:
                    host.invoke(value)
                    host.complete(value)
            case "invoke" | "complete", value:
                if self.calling == (what == "complete"):
                    self.calling = not self.calling
                    (host.invoke if self.calling else host.complete)(value)
            case ("raise",):
                raise ValueError("on purpose")

    def _send(self, host: Host, to: str, sent: Any) -> None:
        if self.sends_left:
            self.sends_left -= 1
            host.send(to, sent)

    def on_start(self, host: Host) -> None:
        self._react(host, "start")

    @on(Red, Blue)
    def receive(self, host: Host, sender: str, received: Red | Blue) -> None:
        self._react(host, repr(received), sender)

    @on.timer("tick")
    def tick(self, host: Host) -> None:
        self._react(host, "tick")

    @on.timer("tock")
    def tock(self, host: Host) -> None:
        self._react(host, "tock")

    @action(when=lambda self: self._effect("act") is not None)
    def act(self, host: Host) -> None:
        self._react(host, "act")

    @action(when=lambda self: self._effect("act too") is not None)
    def act_too(self, host: Host) -> None:
        self._react(host, "act too")


@dataclass(frozen=True)
class Grant:
    """An answer that a client can do something with."""

    to: str

    def __bind__(self, outbox: list[Any]) -> Held:
        return Held(self.to, outbox)


class Held:
    """A grant as its client has it: releasing it sends a message, or yields a request."""

    def __init__(self, to: str, outbox: list[Any]) -> None:
        self.to, self.outbox = to, outbox

    def release(self) -> Any:
        self.outbox.append(call(self.to, Blue(0)))
        return self.outbox[-1]


def asks(plan: tuple[tuple[Any, ...], ...]) -> Any:
    """A client: its requests in turn; one answer ends it, another one makes it fail.

    An entry is (to, asked), or (to, asked, how): `call`, `try` (with a timeout), `post` or `sleep`.
    A grant that came is released at once, or at the end; where both are done, the first is awaited.
    """
    held = None
    for to, asked, *rest in plan:
        how = rest[0] if rest else "call"
        answer = yield {
            "call": call(to, asked),
            "try": call(to, asked, timeout=1),
            "post": post(to, asked),
            "sleep": sleep((1, 2)),
        }[how]
        if isinstance(answer, Held):
            held = answer
            if how == "try":
                yield held.release()
        if answer == 2:
            return
        if answer == 3:
            raise ValueError("an answer it cannot use")
    if held is not None:
        held.release()
