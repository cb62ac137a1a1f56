"""A client script is its arguments and the answers so far; its calls make the history."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from happysim import (
    Faults,
    HandlerRaised,
    Host,
    Node,
    Operation,
    ProtocolError,
    Script,
    World,
    action,
    call,
    duplicating,
    explore,
    on,
    ordered,
)
from tests.support.nodes import Ping, one_node


class Server(Node):
    """Answers each request with how many it has had; keeps the first back where `lazy`."""

    lazy: bool = False
    count: int = 0
    first: Operation | None = None

    @on(Ping)
    def ping(self, host: Host, sender: str, ping: Ping) -> None:
        self.count += 1
        if self.lazy and self.first is None:
            self.first = host.operation
        else:
            host.respond(self.count)
            if self.first is not None:
                host.respond("late", to=self.first)


def asks(to: str, times: int = 1) -> Any:
    for number in range(times):
        yield call(to, Ping(number))


class Bag:
    """Content by its hooks; two bags are never equal to Python."""

    def __init__(self, items: tuple[int, ...] = ()) -> None:
        self.items = items

    def __freeze__(self) -> tuple[int, ...]:
        return self.items

    @classmethod
    def __thaw__(cls, value: tuple[int, ...]) -> Bag:
        return cls(value)


def texts(world: World) -> list[str]:
    return [str(choice) for choice in world.choices()]


def test_a_call_and_its_answer_are_choices_and_make_the_history() -> None:
    world = World.of(Server("s"), Script("c", asks, "s"))
    assert texts(world) == ["invoke c -> s Ping(value=0) as call 1"]

    world = world.step("invoke c -> s Ping(value=0) as call 1")
    assert texts(world) == ["deliver c -> s Ping(value=0) as call 1"]
    assert world.history.open == ("c",)

    world = world.step("deliver c -> s Ping(value=0) as call 1")
    assert texts(world) == ["deliver s -> c answer 1 to call 1"]

    world = world.step("deliver s -> c answer 1 to call 1")
    (done,) = world.history.completed
    assert (done.client, done.operation, done.result) == ("c", Ping(0), 1)
    assert world.is_quiescent


def test_what_a_script_asks_depends_on_the_answers() -> None:
    def doubling(to: str) -> Any:
        answer = yield call(to, Ping("start"))
        yield call(to, Ping(answer * 2))

    world = World.of(Server("s", count=20), Script("c", doubling, "s")).after(
        "invoke c -> s Ping(value='start') as call 1",
        "deliver c -> s Ping(value='start') as call 1",
        "deliver s -> c answer 21 to call 1",
    )
    assert texts(world) == ["invoke c -> s Ping(value=42) as call 2"]


def test_a_script_is_rebuilt_from_all_of_its_answers() -> None:
    def summing(to: str) -> Any:
        total = 0
        for _ in range(3):
            total = 10 * total + (yield call(to, Ping(total)))

    world = World.of(Server("s"), Script("c", summing, "s"))
    while world.choices():
        (choice,) = world.choices()
        world = world.step(choice)
    assert [done.operation for done in world.history.completed] == [Ping(0), Ping(1), Ping(12)]


def test_an_answer_that_comes_again_or_too_late_is_ignored() -> None:
    world = World.of(Server("s"), Script("c", asks, "s", 2), faults=Faults(duplicates=1)).after(
        "invoke c -> s Ping(value=0) as call 1",
        "deliver c -> s Ping(value=0) as call 1",
        "duplicate s -> c answer 1 to call 1",
        "deliver s -> c answer 1 to call 1",
    )
    # The copy is in flight, and would change nothing, now and while the next call is open.
    assert texts(world) == ["invoke c -> s Ping(value=1) as call 2"]
    world = world.step("invoke c -> s Ping(value=1) as call 2")
    assert texts(world) == ["deliver c -> s Ping(value=1) as call 2"]
    assert len(world.in_flight) == 2


def test_on_an_ordered_network_a_stale_answer_makes_way() -> None:
    world = World.of(
        Server("s"), Script("c", asks, "s", 2), network=ordered(), faults=Faults(duplicates=1)
    ).after(
        "invoke c -> s Ping(value=0) as call 1",
        "duplicate c -> s Ping(value=0) as call 1",
        "deliver c -> s Ping(value=0) as call 1",
        "deliver c -> s Ping(value=0) as call 1",
        "deliver s -> c answer 1 to call 1",
        "deliver s -> c answer 2 to call 1",
    )
    assert [done.result for done in world.history.completed] == [1]
    assert world.in_flight == ()


def test_on_a_duplicating_network_a_request_may_be_served_again_and_the_answer_ignored() -> None:
    world = World.of(Server("s"), Script("c", asks, "s"), network=duplicating()).after(
        "invoke c -> s Ping(value=0) as call 1",
        "deliver c -> s Ping(value=0) as call 1",
        "deliver c -> s Ping(value=0) as call 1",
        "deliver s -> c answer 2 to call 1",
    )
    assert "deliver s -> c answer 1 to call 1" not in texts(world)


def test_an_operation_may_be_kept_and_answered_later() -> None:
    world = World.of(Server("s", True), Script("c", asks, "s"), Script("d", asks, "s")).after(
        "invoke c -> s Ping(value=0) as call 1",
        "deliver c -> s Ping(value=0) as call 1",
        "invoke d -> s Ping(value=0) as call 1",
        "deliver d -> s Ping(value=0) as call 1",
        "deliver s -> c answer 'late' to call 1",
        "deliver s -> d answer 2 to call 1",
    )
    assert {done.client: done.result for done in world.history.completed} == {"c": "late", "d": 2}


def test_a_script_that_raises_on_an_answer_is_a_violation_that_names_it() -> None:
    def checking(to: str) -> Any:
        answer = yield call(to, Ping())
        assert answer == 0, "not zero"

    world = World.of(Server("s"), Script("c", checking, "s")).after(
        "invoke c -> s Ping(value=0) as call 1", "deliver c -> s Ping(value=0) as call 1"
    )
    with pytest.raises(HandlerRaised, match=r"script c raised AssertionError: not zero"):
        world.step("deliver s -> c answer 1 to call 1")


def raises_at_once() -> Any:
    raise RuntimeError("early")
    yield


def no_generator() -> Any:
    return 1


def yielding(value: Any) -> Any:
    yield value


def asking(to: str, kind: str) -> Any:
    yield call(to, {"class": Ping, "text": "hi", "list": Ping([1]), "good": Ping()}[kind])


@pytest.mark.parametrize(
    ("function", "arguments", "parts"),
    [
        (no_generator, (), ["no_generator", "generator function", "yield call("]),
        (raises_at_once, (), ["RuntimeError", "early"]),
        (yielding, (3,), ["yielded a int", "yield call("]),
        (asking, ("z", "good"), ["call 1", "no node 'z'", "it has s, c"]),
        (asking, ("c", "good"), ["call 1", "c is a client script"]),
        (asking, ("s", "class"), ["call 1", "Ping class", "instance"]),
        (asking, ("s", "text"), ["call 1", "str", "@message"]),
        (asking, ("s", "list"), ["call 1", "mutable", "tuple for a list"]),
    ],
)
def test_a_mistake_of_a_script_is_named_with_the_remedy(
    function: Callable[..., Any], arguments: tuple[Any, ...], parts: list[str]
) -> None:
    with pytest.raises((ProtocolError, HandlerRaised)) as refused:
        explore(World.of(Server("s"), Script("c", function, *arguments)), history=True)
    assert [part for part in ["script c", *parts] if part not in str(refused.value)] == []


@pytest.mark.parametrize("value", [Bag((1,)), float("nan")], ids=["hooked", "nan"])
def test_what_a_script_asks_is_compared_by_content(value: Any) -> None:
    def asking_for(to: str) -> Any:
        yield call(to, Ping(Bag((1,)) if isinstance(value, Bag) else float("nan")))

    assert len(World.of(Server("s"), Script("c", asking_for, "s")).choices()) == 1


def test_a_script_takes_a_function_and_plain_arguments() -> None:
    with pytest.raises(ProtocolError, match="script c: 3 is not a generator function"):
        Script("c", 3)  # type: ignore[arg-type]
    with pytest.raises(ProtocolError, match="arguments of script c"):
        Script("c", asks, print)


@pytest.mark.parametrize(
    ("answer", "parts"),
    [
        ([1], ["the answer", "mutable list", "tuple for a list"]),
        (print, ["the answer", "builtin_function"]),
    ],
)
def test_an_answer_is_an_immutable_value(answer: Any, parts: list[str]) -> None:
    class Answering(Node):
        @on(Ping)
        def ping(self, host: Host, sender: str, ping: Ping) -> None:
            host.respond(answer)

    world = World.of(Answering("s"), Script("c", asks, "s"))
    with pytest.raises(ProtocolError) as refused:
        world.step("invoke c -> s Ping(value=0) as call 1").choices()
    wanted = ["Answering.ping on s, host.respond", *parts]
    assert [part for part in wanted if part not in str(refused.value)] == []


@pytest.mark.parametrize("to", [Operation("s", 1), Operation("z", 1)])
def test_only_a_client_script_can_be_answered(to: Operation) -> None:
    class Answering(Node):
        @on(Ping)
        def ping(self, host: Host, sender: str, ping: Ping) -> None:
            host.respond(1, to=to)

    world = World.of(Answering("s"), Script("c", asks, "s"))
    with pytest.raises(ProtocolError, match=f"no client '{to.client}'"):
        world.after("invoke c -> s Ping(value=0) as call 1").choices()


def test_a_node_that_crashed_with_an_open_call_may_ask_again_after_its_restart() -> None:
    class Caller(Node):
        is_waiting: bool = False

        @action(when=lambda self: not self.is_waiting)
        def ask(self, host: Host) -> None:
            self.is_waiting = True
            host.invoke("get")

    world = World.of(Caller("n"), faults=Faults(crashes=1))
    world = world.after("act n ask", "crash n", "restart n", "act n ask")

    # The first call stays open for ever: it may have taken effect, or not.
    assert len(world.history.calls) == 2
    assert explore(world, history=True).complete


@pytest.mark.parametrize("record", ["invoke", "complete"])
def test_what_a_node_records_in_the_history_is_immutable_and_the_error_names_the_handler(
    record: str,
) -> None:
    def body(node: Any, host: Host) -> None:
        getattr(host, record)([1])

    with pytest.raises(ProtocolError) as refused:
        one_node(body).step("act n act")
    for part in (f"Actor.act on n, host.{record}", "tuple"):
        assert part in str(refused.value)
