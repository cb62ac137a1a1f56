"""Small worlds that many tests share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from happysim import Host, Node, World, action, message, on

Body = Callable[[Node, Host], Any]


@message
class Ping:
    value: Any = 0


def one_node(body: Body, **options: Any) -> World:
    """A world of the node `n`, whose one action does whatever `body` says."""

    class Actor(Node):
        value: Any = 0
        log: list[Any] = []

        @action
        def act(self, host: Host) -> Any:
            return body(self, host)

        @on(Ping)
        def ping(self, host: Host, sender: str, ping: Ping) -> None:
            self.log.append(ping.value)

        @on.timer("tick")
        def tick(self, host: Host) -> None:
            self.log.append("tick")

    return World.of(Actor("n"), **options)


class Counter(Node):
    """Counts to `limit` by an action of its own: a chain of limit + 1 worlds."""

    limit: int = 3
    count: int = 0

    @action(when=lambda self: self.count < self.limit)
    def up(self, host: Host) -> None:
        self.count += 1


def chain(limit: int = 3) -> World:
    return World.of(Counter("n", limit))


class Fork(Node):
    """start -> good, or start -> middle -> bad: 4 worlds, the two ends are quiescent."""

    at: str = "start"

    @action(when=lambda self: self.at == "start")
    def take_good(self, host: Host) -> None:
        self.at = "good"

    @action(when=lambda self: self.at == "start")
    def take_middle(self, host: Host) -> None:
        self.at = "middle"

    @action(when=lambda self: self.at == "middle")
    def take_bad(self, host: Host) -> None:
        self.at = "bad"


def fork() -> World:
    return World.of(Fork("n"))


class Ring(Node):
    """Six places in a circle, to be walked either way: a world at distance 4 at most."""

    place: int = 0

    @action
    def forth(self, host: Host) -> None:
        self.place = (self.place + 1) % 6

    @action
    def back(self, host: Host) -> None:
        self.place = (self.place - 1) % 6


def ring() -> World:
    return World.of(Ring("n"))
