"""A class says what a node holds and handles; what it cannot mean is refused where it stands."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import pytest

from happysim import Host, Node, ProtocolError, World, action, durable, message, on


@message
class Ping: ...


@message
class Pong: ...


class Base(Node):
    """Handles Ping; a variant below changes one thing at a time."""

    got: list[str] = []
    limit: int = 1
    kept: int = durable(0)

    @on(Ping)
    def ping(self, host: Host, sender: str, ping: Ping) -> None:
        self.got.append("base")

    @action(when=lambda self: not self.got)
    def go(self, host: Host) -> None:
        host.send("n", Ping())


def got(node: Node) -> list[str]:
    world = World.of(node)
    return list(world.after("act n go", "deliver n -> n Ping()")["n"].got)


def test_every_node_has_a_copy_of_its_own_of_a_mutable_default() -> None:
    first, second = Base("a"), Base("b")
    first.got.append("x")

    assert second.got == []
    assert Base("c").got == []


@pytest.mark.parametrize("default", [[1], {"a": [1]}, {1}, bytearray(b"x")], ids=repr)
def test_a_durable_default_is_copied_too(default: Any) -> None:
    class Kept(Node):
        value: Any = durable(default)

    assert Kept("a").value == default
    assert Kept("a").value is not Kept("b").value


def test_a_factory_makes_a_durable_field_for_each_node() -> None:
    class Kept(Node):
        value: list[int] = durable(factory=lambda: [1])

    assert Kept("a").value == [1]
    assert Kept("a").value is not Kept("b").value


def test_a_field_without_a_default_must_be_given() -> None:
    class Kept(Node):
        value: int = durable()

    assert Kept("a", 3).value == 3
    with pytest.raises(TypeError, match="value"):
        Kept("a")  # type: ignore[call-arg]


def test_an_override_without_the_decorator_still_handles() -> None:
    class Variant(Base):
        def ping(self, host: Host, sender: str, ping: Ping) -> None:
            self.got.append("variant")

    assert got(Variant("n")) == ["variant"]


def test_another_method_of_a_subclass_may_take_the_message_over() -> None:
    class Variant(Base):
        @on(Ping)
        def other(self, host: Host, sender: str, ping: Ping) -> None:
            self.got.append("other")

    assert got(Variant("n")) == ["other"]


def test_an_overridden_action_keeps_its_guard_and_a_decorated_one_has_its_own() -> None:
    class Silent(Base):
        def go(self, host: Host) -> None:
            self.got.append("went")

    class Never(Base):
        @action(when=lambda self: False)
        def go(self, host: Host) -> None: ...

    assert World.of(Silent("n")).step("act n go").choices() == ()
    assert World.of(Never("n")).choices() == ()


def test_a_mixin_in_front_of_a_node_class_wins_as_in_python() -> None:
    class Loud:
        @on(Ping)
        def ping(self, host: Host, sender: str, ping: Ping) -> None:
            super().ping(host, sender, ping)  # type: ignore[misc]
            self.got.append("loud")  # type: ignore[attr-defined]

    class Variant(Loud, Base): ...

    assert got(Variant("n")) == ["base", "loud"]


def test_a_diamond_has_every_handler_once_and_the_nearest_method() -> None:
    class Left(Base):
        left: int = 1

        def ping(self, host: Host, sender: str, ping: Ping) -> None:
            self.got.append("left")

    class Right(Base):
        right: int = 2

        @on(Pong)
        def pong(self, host: Host, sender: str, pong: Pong) -> None: ...

    class Both(Left, Right): ...

    assert got(Both("n")) == ["left"]
    assert (Both("n").left, Both("n").right) == (1, 2)
    assert set(Both.happysim_handlers.messages) == {Ping, Pong}


def test_one_method_may_handle_several_messages_and_timers() -> None:
    class Many(Node):
        @on(Ping, Pong)
        @on.timer("a", "b")
        def any(self, host: Host, *rest: Any) -> None: ...

    assert list(Many.happysim_handlers.messages) == [Ping, Pong]
    assert list(Many.happysim_handlers.timers) == ["a", "b"]


def two_for_a_message() -> None:
    class Twice(Node):
        @on(Ping)
        def one(self, host: Host, sender: str, ping: Ping) -> None: ...

        @on(Ping)
        def two(self, host: Host, sender: str, ping: Ping) -> None: ...


def two_for_a_timer() -> None:
    class Twice(Node):
        @on.timer("tick")
        def one(self, host: Host) -> None: ...

        @on.timer("tick")
        def two(self, host: Host) -> None: ...


def name_declared_again() -> None:
    class Named(Node):
        name: str


def unannotated_override() -> None:
    class Variant(Base):
        limit = 5


def field_hidden_by_a_view(field: str) -> None:
    type("Hidden", (Node,), {"__annotations__": {field: int}, field: 0})


@pytest.mark.parametrize(
    ("declare", "parts"),
    [
        (two_for_a_message, ["Twice", "one", "two", "Ping", "keep one"]),
        (two_for_a_timer, ["Twice", "one", "two", "tick", "keep one"]),
        (name_declared_again, ["Named.name", "drop it"]),
        (lambda: on(int), ["@on(int)", "@message"]),
        (lambda: on(Ping()), ["@on(", "@message"]),
        (on, ["@on()", "@on(SomeMessage)"]),
        (on.timer, ["@on.timer("]),
        (lambda: on.timer(3), ["@on.timer("]),
        (lambda: on.timer("two\nlines"), ["@on.timer("]),
        (lambda: durable(1, factory=int), ["default or a factory"]),
        # A bare `limit = 5` is not a field's default to a dataclass: the variant would be silent.
        (unannotated_override, ["Variant.limit", "limit: "]),
        # world["n"].timers and .is_up mean something else.
        (lambda: field_hidden_by_a_view("timers"), ["Hidden.timers", "other name"]),
        (lambda: field_hidden_by_a_view("is_up"), ["Hidden.is_up", "other name"]),
    ],
)
def test_a_class_that_cannot_be_meant_is_refused_with_the_remedy(
    declare: Any, parts: list[str]
) -> None:
    with pytest.raises(ProtocolError) as refused:
        declare()

    assert [part for part in parts if part not in str(refused.value)] == []


def test_peers_are_the_nodes_of_one_protocol_and_its_variants() -> None:
    class Variant(Base): ...

    class Stranger(Node): ...

    seen = {}

    class Asking(Base):
        def on_start(self, host: Host) -> None:
            seen[host.name] = host.peers

    World.of(Asking("a"), Base("b"), Stranger("s"), Variant("v"))
    assert seen["a"] == ("b", "v")


def test_nodes_are_compared_by_identity() -> None:
    assert Base("a") != Base("a")
    assert dataclasses.fields(Base)[0].name == "name"


def test_a_class_variable_is_no_field() -> None:
    class Ranked(Node):
        ranks: ClassVar[dict[str, int]] = {"a": 1}
        seen: int = 0

    class Other(Ranked):
        ranks = {"a": 2}

    assert Other.happysim_fields == ("seen",)
    assert (Ranked.ranks, Other.ranks) == ({"a": 1}, {"a": 2})
