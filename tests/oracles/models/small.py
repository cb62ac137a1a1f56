"""Small models of networks and faults: ping-pong, nodes that do nothing, a message nobody minds."""

from __future__ import annotations

from happysim import Faults, Host, Node, World, duplicating, message, on, unlimited, unordered
from happysim.core.network import Delivery


@message
class Ping:
    value: int


@message
class Pong:
    value: int


class Player(Node):
    """Counts the strokes it has answered. The first player serves."""

    serves: bool
    count: int = 0

    def on_start(self, host: Host) -> None:
        if self.serves:
            host.broadcast(Ping(0))

    @on(Ping)
    def ping(self, host: Host, sender: str, ping: Ping) -> None:
        if ping.value == self.count:
            host.reply(Pong(ping.value))
            self.count += 1

    @on(Pong)
    def pong(self, host: Host, sender: str, pong: Pong) -> None:
        if pong.value == self.count:
            host.reply(Ping(pong.value + 1))
            self.count += 1


def ping_pong(most: int = 1) -> World:
    """A rally on a network that loses and repeats; to be searched with counts of at most `most`."""
    faults = Faults(drops=unlimited)
    return World.of(Player("p0", True), Player("p1", False), faults=faults, network=duplicating())


class Inert(Node):
    """Does nothing."""


def inert(nodes: int = 3, down_max: int = 1) -> World:
    faults = Faults(crashes=unlimited, down_max=down_max)
    return World.of(*(Inert(f"n{i}") for i in range(nodes)), faults=faults)


@message
class Ignored: ...


@message
class Interesting: ...


class Server(Node):
    """Reacts to one of two messages."""

    reacted: bool = False

    @on(Ignored)
    def ignore(self, host: Host, sender: str, ignored: Ignored) -> None:
        pass

    @on(Interesting)
    def react(self, host: Host, sender: str, interesting: Interesting) -> None:
        self.reacted = True


class Sender(Node):
    """Sends one of each."""

    def on_start(self, host: Host) -> None:
        host.send("server", Ignored())
        host.send("server", Interesting())


def no_op(network: Delivery | None = None) -> World:
    return World.of(Sender("client"), Server("server"), network=network or unordered())
