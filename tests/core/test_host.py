"""What a handler is handed, and what becomes of what it does with it."""

from __future__ import annotations

from typing import Any

import pytest

from happysim import Host, Node, ProtocolError, Script, World, action, call, on
from tests.support.nodes import Ping, one_node


class Peer(Node):
    got: tuple[str, ...] = ()

    @action(when=lambda self: self.name == "a" and not self.got)
    def greet(self, host: Host) -> None:
        host.broadcast(Ping("hi"))

    @action(when=lambda self: self.name == "b" and not self.got)
    def tell(self, host: Host) -> None:
        host.broadcast(Ping("there"), to=["c", "b", "c"])

    @on(Ping)
    def ping(self, host: Host, sender: str, ping: Ping) -> None:
        self.got += (f"{sender} {ping.value}",)
        if ping.value == "hi":
            host.reply(Ping("back"))


def peers() -> World:
    return World.of(Peer("a"), Peer("b"), Peer("c"))


def sent(world: World) -> list[str]:
    return [f"{each.source} -> {each.target}" for each in world.in_flight]


def test_a_broadcast_goes_to_every_peer_and_not_to_oneself() -> None:
    assert sent(peers().step("act a greet")) == ["a -> b", "a -> c"]


def test_a_broadcast_to_some_goes_to_each_as_often_as_it_is_named() -> None:
    assert sent(peers().step("act b tell")) == ["b -> b", "b -> c", "b -> c"]


def test_a_reply_goes_to_the_sender() -> None:
    world = peers().after("act a greet", "deliver a -> b Ping(value='hi')")
    assert "deliver b -> a Ping(value='back')" in map(str, world.choices())


def test_a_timer_fires_once_and_may_be_set_anew_or_cancelled() -> None:
    class Clock(Node):
        ticks: int = 0

        def on_start(self, host: Host) -> None:
            host.set_timer("tick", seconds=(0, 2.5))
            host.set_timer("tick", seconds=1)
            host.set_timer("stop")
            host.cancel_timer("never set")

        @on.timer("tick")
        def tick(self, host: Host) -> None:
            self.ticks += 1
            if self.ticks < 2:
                host.set_timer("tick")
            else:
                host.cancel_timer("stop")

        @on.timer("stop", "never set")
        def stop(self, host: Host) -> None: ...

    world = World.of(Clock("n"))
    assert list(map(str, world.choices())) == ["fire n stop", "fire n tick"]
    world = world.step("fire n tick")
    assert world["n"].timers == ("stop", "tick")
    assert world.step("fire n tick").choices() == ()


def test_a_host_knows_its_name_its_peers_and_the_operation() -> None:
    seen: list[Any] = []

    class Server(Node):
        @on(Ping)
        def ping(self, host: Host, sender: str, ping: Ping) -> None:
            seen.append((host.name, host.peers, host.operation))
            host.send(host.name, ping) if sender == "c" else None

    def ask() -> Any:
        yield call("s", Ping())

    World.of(Server("s"), Server("t"), Script("c", ask)).after(
        "invoke c -> s Ping(value=0) as call 1",
        "deliver c -> s Ping(value=0) as call 1",
    ).choices()
    names = {(name, peers) for name, peers, _ in seen}
    operations = [operation for *_, operation in seen]
    assert names == {("s", ("t",))}
    assert str(operations[0]) == "Operation(client='c', number=1)"
    # What a node sends on carries no operation: it is data, to be sent as such.
    assert operations[-1] is None


def test_a_delivery_that_only_completes_an_operation_is_a_choice() -> None:
    class Client(Node):
        @action
        def ask(self, host: Host) -> None:
            host.invoke("get")
            host.send(host.name, Ping(7))

        @on(Ping)
        def ping(self, host: Host, sender: str, ping: Ping) -> None:
            host.complete(ping.value)

    world = World.of(Client("n")).after("act n ask", "deliver n -> n Ping(value=7)")
    assert [str(done) for done in world.history.completed] == ["'get' -> 7"]


def test_the_effects_of_a_handler_happen_all_at_once_when_it_returns() -> None:
    def body(node: Any, host: Host) -> None:
        host.send("n", Ping(1))
        host.set_timer("tick")
        node.value = 1
        raise RuntimeError

    assert list(one_node(body).steps()) == []


def test_a_timer_name_needs_a_handler_only_to_be_set() -> None:
    one_node(lambda node, host: host.cancel_timer("unknown")).choices()
    with pytest.raises(ProtocolError, match="unknown"):
        one_node(lambda node, host: host.set_timer("unknown")).choices()
