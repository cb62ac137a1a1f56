"""One local step: fields, branches, the disk, and every mistake a handler can make, by its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from happysim import (
    Faults,
    FreezeError,
    HandlerRaised,
    Host,
    Node,
    ProtocolError,
    World,
    action,
    durable,
    explore,
    message,
    on,
)
from happysim.core.local_step import UP, Event
from happysim.core.process import check_fields, freeze_fields
from tests.support.nodes import Body, Ping, one_node


def texts(world: World) -> list[str]:
    return [str(choice) for choice in world.choices()]


# -- branches --------------------------------------------------------------------------------------


def test_every_combination_of_choices_is_a_branch_in_order() -> None:
    def body(node: Any, host: Host) -> None:
        first = host.choose("ab")
        node.value = (first, host.choose([1, 2]) if first == "a" else 0)

    world = one_node(body)
    assert texts(world) == [
        "act n act choosing 'a', 1",
        "act n act choosing 'a', 2",
        "act n act choosing 'b'",
    ]
    assert [after["n"].value for _, after in world.steps()] == [("a", 1), ("a", 2), ("b", 0)]


def test_equal_options_are_one_branch_and_a_single_option_is_no_choice() -> None:
    def body(node: Any, host: Host) -> None:
        node.value = (host.choose([7, 7]), host.choose([1, True, 1.0, 1]))

    assert texts(one_node(body)) == [
        "act n act choosing 1",
        "act n act choosing True",
        "act n act choosing 1.0",
    ]


def test_options_from_a_set_are_tried_in_order_of_content() -> None:
    words = {f"word{number}" for number in range(9)}
    world = one_node(lambda node, host: setattr(node, "value", host.choose(words)))

    assert texts(world) == [f"act n act choosing 'word{number}'" for number in range(9)]


def test_a_broadcast_to_a_set_sends_in_order_of_content() -> None:
    class Hub(Node):
        @action
        def send(self, host: Host) -> None:
            host.broadcast(Ping(), to={f"word{number}" for number in range(9)})

        @on(Ping)
        def ping(self, host: Host, sender: str, ping: Ping) -> None: ...

    world = World.of(*(Hub(f"word{number}") for number in range(9)))
    (move,) = [move for _, slot, move in world.enabled() if slot == 0]
    assert [slot for slot, _ in move.sends] == list(range(1, 9))  # type: ignore[union-attr]


def test_a_handler_that_raises_on_one_branch_keeps_the_others() -> None:
    def body(node: Any, host: Host) -> None:
        node.value = host.choose([1, 2, 3])
        assert node.value != 2, "two"

    world = one_node(body)
    assert len(texts(world)) == 3
    assert [after["n"].value for _, after in world.steps()] == [1, 3]
    with pytest.raises(HandlerRaised, match=r"choosing 2.*Actor\.act on n raised Assertion.*two"):
        world.step("act n act choosing 2")


def shuffled(host: Host) -> str:
    letters = list("abc")
    host.random.shuffle(letters)
    return "".join(letters)


@pytest.mark.parametrize(
    ("draw", "values"),
    [
        (lambda host: host.random.choice("ab"), ["a", "b"]),
        (lambda host: host.random.randrange(3), [0, 1, 2]),
        (lambda host: host.random.randrange(3, 5), [3, 4]),
        (lambda host: host.random.randint(3, 5), [3, 4, 5]),
        (shuffled, ["abc", "acb", "bac", "bca", "cab", "cba"]),
    ],
)
def test_a_random_draw_branches_over_its_outcomes(
    draw: Callable[[Host], Any], values: list[Any]
) -> None:
    world = one_node(lambda node, host: setattr(node, "value", draw(host)))
    assert sorted(after["n"].value for _, after in world.steps()) == values


# -- what a handler sees ---------------------------------------------------------------------------


def test_the_delay_of_each_timer_that_is_set_is_kept_with_the_step() -> None:
    class Waits(Node):
        @action
        def wait(self, host: Host) -> None:
            host.set_timer("short", host.choose([1, 2]))
            host.set_timer("long", (3, 4.5))
            host.set_timer("never")
            host.cancel_timer("never")

        @on.timer("short", "long", "never")
        def ring(self, host: Host) -> None: ...

    process = World.of(Waits("n")).tables.processes[0]
    one, two = process.run(process.initial()._replace(status=UP), Event("act", "wait"))
    assert one.delays == (("long", 3, 4.5), ("short", 1, 1))
    assert two.delays == (("long", 3, 4.5), ("short", 2, 2))


def test_a_handler_sees_fresh_copies_of_its_fields() -> None:
    seen: list[Any] = []

    def body(node: Any, host: Host) -> None:
        assert all(log is not node.log for log in seen)
        seen.append(node.log)
        node.log.append(1)

    world = one_node(body)
    assert world.after("act n act", "act n act")["n"].log == [1, 1]
    assert world.step("act n act")["n"].log == [1]


class Bag:
    """A mutable value with hooks; hashed by identity, so a message may hold it."""

    def __init__(self, items: tuple[int, ...] = ()) -> None:
        self.items = list(items)

    def __freeze__(self) -> tuple[int, ...]:
        return tuple(self.items)

    @classmethod
    def __thaw__(cls, value: tuple[int, ...]) -> Bag:
        return cls(value)


def test_a_handler_that_changes_a_part_of_its_message_changes_a_copy() -> None:
    @message
    class State:
        bag: Bag

    class Merger(Node):
        items: tuple[int, ...] = ()

        @action(when=lambda self: not self.items)
        def send(self, host: Host) -> None:
            host.send("n", State(Bag((1,))))

        @on(State)
        def merge(self, host: Host, sender: str, state: State) -> None:
            state.bag.items.append(host.choose([5, 6]))
            self.items = tuple(state.bag.items)

    sent = World.of(Merger("n")).step("act n send")
    assert [
        after["n"].items for choice, after in sent.steps() if choice.kind.value == "deliver"
    ] == [(1, 5), (1, 6)]


# -- mistakes --------------------------------------------------------------------------------------


@message
class Holder:
    value: Any


@message
class Stranger: ...


@dataclass
class Mutable:
    value: int = 0


def delete(node: Any, host: Host) -> None:
    del node.value


def rename(node: Any, host: Host) -> None:
    node.name = "other"


def share(node: Any, host: Host) -> None:
    node.value = node.log


def raw(node: Any, host: Host) -> None:
    node.value = {"k": [print]}


def keep_host(node: Any, host: Host) -> None:
    node.value = host


def keep_self(node: Any, host: Host) -> None:
    node.value = node


def generator(node: Any, host: Host) -> Any:
    yield 1


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        (lambda node, host: setattr(node, "extra", 1), ["n.extra", "not a declared", "extra: "]),
        (delete, ["n.value", "deleted", "None"]),
        (rename, ["name is fixed", "'n'"]),
        (share, ["n", "same list", "copy"]),
        (raw, ["n.value['k'][0]", "builtin_function", "plain data"]),
        (keep_host, ["n.value", "Host"]),
        (keep_self, ["n.value", "Actor", "name"]),
        (lambda node, host: 3, ["returned a int", "returns nothing"]),
        (generator, ["returned a generator", "coroutine"]),
        (lambda node, host: host.send("z", Ping()), ["host.send", "no node 'z'", "it has n"]),
        (
            lambda node, host: host.send("n", Stranger()),
            ["host.send", "n has no handler for Stranger", "takes Ping", "@on(Stranger)"],
        ),
        (lambda node, host: host.send("n", Ping), ["host.send", "Ping class", "instance"]),
        (lambda node, host: host.send("n", "hi"), ["host.send", "str", "@message"]),
        (lambda node, host: host.send("n", Mutable()), ["host.send", "Mutable", "@message"]),
        (lambda node, host: host.send("n", Ping([1])), ["Ping", "mutable", "tuple for a list"]),
        (lambda node, host: host.send("n", Ping(print)), ["host.send", "Ping.value", "plain"]),
        (lambda node, host: host.broadcast(Ping(), to=["z"]), ["host.send", "no node 'z'"]),
        (lambda node, host: host.reply(Ping()), ["host.reply", "host.send("]),
        (lambda node, host: host.respond(1), ["host.respond", "host.operation", "to="]),
        (lambda node, host: host.now, ["host.now", "set_timer"]),
        (lambda node, host: host.choose([]), ["host.choose", "nothing", "at least one"]),
        (lambda node, host: host.choose([print]), ["host.choose", "an option", "plain data"]),
        (lambda node, host: host.random.random(), ["random", "randrange"]),
        (lambda node, host: host.random.randrange(0), ["nothing to choose from"]),
        (lambda node, host: host.set_timer("tock"), ["'tock'", "'tick'", "@on.timer('tock')"]),
        (lambda node, host: host.set_timer("tick", -1), ["seconds=-1", "0 <= low <= high"]),
        (lambda node, host: host.set_timer("tick", (2, 1)), ["seconds=(2, 1)", "low <= high"]),
        (lambda node, host: host.set_timer("tick", float("nan")), ["seconds=nan"]),
        (lambda node, host: host.set_timer("tick", float("inf")), ["seconds=inf"]),
        (lambda node, host: host.set_timer("tick", "1"), ["seconds='1'"]),  # type: ignore[arg-type]
        (lambda node, host: host.set_timer("tick", (1,)), ["seconds=(1,)"]),  # type: ignore[arg-type]
    ],
)
def test_a_mistake_of_a_handler_is_named_with_its_place_and_the_remedy(
    body: Body, parts: list[str]
) -> None:
    with pytest.raises(ProtocolError) as refused:
        one_node(body).step("act n act")

    wanted = ["Actor.act on n", *parts]
    assert [part for part in wanted if part not in str(refused.value)] == []


class Fields(Node):
    value: Any = None
    log: list[int] = []


def undeclared(node: Any, host: Host) -> None:
    node.extra = 1


@pytest.mark.parametrize("body", [undeclared, delete, rename, share, raw])
def test_fields_that_are_only_checked_are_refused_as_those_that_are_frozen(body: Any) -> None:
    node = Fields("n")
    check_fields(node, "n", "here")
    body(node, None)

    said = []
    for refuse in (freeze_fields, check_fields):
        with pytest.raises(ProtocolError) as refused:
            refuse(node, "n", "here")
        said.append(str(refused.value))
    assert said[0] == said[1]


def test_an_async_handler_is_refused_and_leaves_no_warning_behind() -> None:
    class Actor(Node):
        @action
        async def act(self, host: Host) -> None: ...

    with pytest.raises(ProtocolError, match=r"Actor\.act on n returned a coroutine"):
        World.of(Actor("n")).choices()


def test_a_host_is_of_no_use_after_its_handler() -> None:
    kept: list[Any] = []

    def body(node: Any, host: Host) -> None:
        if kept:
            kept[0].send("n", Ping())
        kept.append(host)

    with pytest.raises(ProtocolError, match=r"host\.send: .*after its handler has returned"):
        one_node(body).step("act n act")


def test_a_guard_that_raises_is_named() -> None:
    class Guarded(Node):
        @action(when=lambda self: self.nothing)
        def act(self, host: Host) -> None: ...

    with pytest.raises(ProtocolError) as refused:
        World.of(Guarded("n")).choices()
    for part in ("Guarded.act on n", "guard raised AttributeError", "only reads fields"):
        assert part in str(refused.value)


def test_a_guard_cannot_change_its_node() -> None:
    class Guarded(Node):
        log: list[int] = []

        @action(when=lambda self: self.log.append(1) or len(self.log) == 1)
        def act(self, host: Host) -> None: ...

    world = World.of(Guarded("n"))
    assert texts(world) == ["act n act"]
    assert world["n"].log == []


def test_a_field_that_cannot_be_frozen_is_refused_when_the_world_is_made() -> None:
    class Holding(Node):
        value: Any = None

    with pytest.raises(FreezeError, match=r"World\.of: n\.value\[0\] holds a function"):
        World.of(Holding("n", [lambda: 0]))


def test_two_fields_of_a_node_may_not_share_a_list_when_the_world_is_made() -> None:
    class Holding(Node):
        one: Any = None
        two: Any = None

    shared: list[int] = []
    with pytest.raises(ProtocolError, match="same list"):
        World.of(Holding("n", shared, [shared]))


# -- the disk --------------------------------------------------------------------------------------


class Disk(Node):
    """Writes 1, 2, 3 in turn; `synced` of them, and a sync in the middle of the third."""

    value: int = durable(0)
    other: int = durable(0)
    turn: int = durable(0)

    @action
    def write(self, host: Host) -> None:
        self.value += 1

    @action
    def write_twice(self, host: Host) -> None:
        self.value += 1
        self.other += 1

    @action
    def write_sync(self, host: Host) -> None:
        self.value += 1
        host.sync()

    @action
    def write_sync_write(self, host: Host) -> None:
        self.value += 10
        host.sync()
        self.value += 1

    @action
    def write_sync_twice(self, host: Host) -> None:
        self.value += 10
        host.sync()
        self.value += 10
        host.sync()
        self.value += 1

    @action
    def nothing(self, host: Host) -> None: ...


@pytest.mark.parametrize(
    ("steps", "survivors"),
    [
        ([], [(0, 0)]),
        (["write"], [(1, 0), (0, 0)]),
        (["write", "write"], [(2, 0), (1, 0), (0, 0)]),
        (["write_twice"], [(1, 1), (0, 0)]),
        (["write_sync"], [(1, 0)]),
        (["write", "write_sync", "write"], [(3, 0), (2, 0)]),
        (["write_sync_write"], [(11, 0), (10, 0)]),
        (["write_sync_twice"], [(21, 0), (20, 0)]),
        (["write", "write_sync_write", "write"], [(13, 0), (12, 0), (11, 0)]),
        (["write", "nothing", "nothing"], [(1, 0), (0, 0)]),
    ],
)
def test_a_crash_may_lose_any_suffix_of_the_writes_since_the_last_sync(
    steps: list[str], survivors: list[tuple[int, int]]
) -> None:
    world = World.of(Disk("n"), faults=Faults(crashes=1, unsynced_loss=True))
    world = world.after(*(f"act n {step}" for step in steps))
    crashes = [text for text in texts(world) if text.startswith("crash")]

    losing = [f"crash n losing {lost}" for lost in range(1, len(survivors))]
    assert crashes == ["crash n", *losing]
    downs = [world.step(text)["n"] for text in crashes]
    assert [(down.value, down.other) for down in downs] == survivors


def test_without_unsynced_loss_a_crash_loses_no_durable_write() -> None:
    world = World.of(Disk("n"), faults=Faults(crashes=1)).after("act n write", "crash n")
    assert world["n"].value == 1


def test_what_survived_a_crash_is_on_disk() -> None:
    world = World.of(Disk("n"), faults=Faults(crashes=2, unsynced_loss=True))
    world = world.after("act n write", "act n write", "crash n losing 1", "restart n")

    assert world["n"].value == 1
    assert [text for text in texts(world) if text.startswith("crash")] == ["crash n"]


def test_a_node_that_never_syncs_still_has_finitely_many_states() -> None:
    class Toggle(Node):
        bit: int = durable(0)

        @action
        def flip(self, host: Host) -> None:
            self.bit = 1 - self.bit

    toggle = World.of(Toggle("n"), faults=Faults(crashes=1, unsynced_loss=True))
    report = explore(toggle, max_worlds=100)

    # What a crash may fall back to is one of two values, however often they were written.
    assert report.complete
    assert explore(World.of(Toggle("n"), faults=Faults(unsynced_loss=True)), max_worlds=9).complete
