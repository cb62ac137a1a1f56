"""The seven rules of core/world.py, each on the smallest world that shows it."""

from __future__ import annotations

import enum
from typing import Any

import pytest

from happysim import (
    Faults,
    HandlerRaised,
    Host,
    Node,
    ProtocolError,
    ScenarioError,
    ScheduleError,
    Script,
    World,
    action,
    call,
    duplicating,
    durable,
    message,
    on,
    ordered,
    unlimited,
    unordered,
)
from happysim.core.told import find, is_idle
from tests.support.nodes import Counter, Ping, one_node

NETWORKS = [unordered, ordered, duplicating]


@message
class Note:
    text: str = ""


class Sender(Node):
    """Sends its letters in their order, one at each action."""

    letters: str = "ab"

    @action(when=lambda self: self.letters)
    def send(self, host: Host) -> None:
        host.send("r", Note(self.letters[0]))
        self.letters = self.letters[1:]


class Receiver(Node):
    """Keeps what it gets; ignores the letter x."""

    got: str = ""
    kept: str = durable("")
    starts: int = durable(0)

    def on_start(self, host: Host) -> None:
        self.starts += 1
        host.set_timer("wait")

    @on(Note)
    def note(self, host: Host, sender: str, note: Note) -> None:
        if note.text != "x":
            self.got += note.text
            self.kept += note.text

    @on.timer("wait")
    def wait(self, host: Host) -> None:
        self.got += "!"


def texts(world: World) -> list[str]:
    return [str(choice) for choice in world.choices()]


def pair(letters: str = "ab", **options: Any) -> World:
    return World.of(Sender("s", letters), Receiver("r"), **options)


# -- 1: a step is one handler ----------------------------------------------------------------------


def test_a_world_is_a_value_that_a_step_leaves_alone() -> None:
    before = pair()
    text = str(before)
    after = before.step("act s send")

    assert str(before) == text
    assert before == pair()
    assert after != before
    assert {before, pair()} == {before}


def test_two_ways_to_the_same_content_end_in_equal_worlds() -> None:
    start = World.of(Counter("a"), Counter("b"))
    one, other = start.after("act a up", "act b up"), start.after("act b up", "act a up")

    assert one == other
    assert one.digest() == other.digest()
    assert hash(one) == hash(other)


def test_equal_worlds_may_come_from_different_tables() -> None:
    assert pair().step("act s send") == pair().step("act s send")
    assert pair() != pair("abc")


# -- 2: what may happen ----------------------------------------------------------------------------


def test_choices_are_listed_by_node_then_faults() -> None:
    world = pair(faults=Faults(drops=1, crashes=1, partitions=1)).step("act s send")

    assert texts(world) == [
        "act s send",
        "deliver s -> r Note(text='a')",
        "fire r wait",
        "crash s",
        "drop s -> r Note(text='a')",
        "crash r",
        "partition r | s",
    ]


def test_a_choice_that_is_not_enabled_says_which_are() -> None:
    with pytest.raises(ScheduleError) as refused:
        pair().after("act s send", "deliver s -> r Note(text='b')")

    said = str(refused.value)
    assert "not enabled here: deliver s -> r Note(text='b')" in said
    assert "deliver s -> r Note(text='a')" in said
    assert "fire r wait" in said
    assert "choice 2 of 2" in "".join(refused.value.__notes__)


def test_a_world_in_which_nothing_can_happen_says_so() -> None:
    with pytest.raises(ScheduleError, match=r"\(nothing\)"):
        World.of(Counter("n", 0)).step("act n up")


def test_two_messages_that_read_the_same_are_refused_by_name() -> None:
    def made(number: int) -> type:
        @message
        class Same: ...

        return Same

    one, other = made(1), made(2)

    class Both(Node):
        got: int = 0

        @on(one)
        def first(self, host: Host, sender: str, same: Any) -> None:
            self.got = 1

        @on(other)
        def second(self, host: Host, sender: str, same: Any) -> None:
            self.got = 2

        @action
        def send_one(self, host: Host) -> None:
            host.send("n", one())

        @action
        def send_other(self, host: Host) -> None:
            host.send("n", other())

    with pytest.raises(ProtocolError, match=r"Same\(\).*different names"):
        World.of(Both("n")).step("act n send_one").choices()


# -- 3 and 4: delay, and what a network makes of it ------------------------------------------------


@pytest.mark.parametrize(
    ("network", "arrivals"),
    [
        (unordered, ["aab", "aba", "baa"]),
        (ordered, ["aba"]),
        # A set: two a's are one message, and each may come again for ever. Three deliveries of it:
        (duplicating, ["aaa", "aab", "aba", "abb", "baa", "bab", "bba", "bbb"]),
    ],
)
def test_a_network_allows_these_orders_and_no_others(network: Any, arrivals: list[str]) -> None:
    sent = pair("aba", network=network()).after(*["act s send"] * 3)
    worlds = [sent]
    for _ in range(3):
        worlds = [
            after
            for world in worlds
            for choice, after in world.steps()
            if choice.kind.value == "deliver"
        ]

    assert sorted({world["r"].got for world in worlds}) == arrivals


@pytest.mark.parametrize("network", [unordered, duplicating])
def test_a_delivery_without_effect_is_no_choice_where_nothing_waits_behind_it(network: Any) -> None:
    world = pair("x", network=network()).after("act s send", "fire r wait")

    assert texts(world) == []
    assert world.is_quiescent
    assert len(world.in_flight) == 1


@pytest.mark.parametrize("befalls", ["crash r", "partition r | s"])
def test_a_delivery_that_cannot_happen_is_not_one_without_effect(befalls: str) -> None:
    note = "deliver s -> r Note(text='x')"
    world = pair("x", faults=Faults(crashes=1, partitions=1)).step("act s send")
    assert is_idle(world, note)
    assert not is_idle(world.step(befalls), note)


def test_on_an_ordered_network_a_delivery_without_effect_makes_way() -> None:
    world = pair("xa", network=ordered()).after("act s send", "act s send")
    assert "deliver s -> r Note(text='a')" not in texts(world)

    world = world.after("deliver s -> r Note(text='x')", "deliver s -> r Note(text='a')")
    assert world["r"].got == "a"


@pytest.mark.parametrize(
    ("network", "left"), [(unordered, ["a", "b"]), (ordered, ["a", "b"]), (duplicating, ["b"])]
)
def test_a_drop_takes_one_copy_or_every_copy_of_a_set(network: Any, left: list[str]) -> None:
    world = pair("aab", network=network(), faults=Faults(drops=1)).after(*["act s send"] * 3)
    world = world.step("drop s -> r Note(text='a')")

    assert sorted(sent.message.text for sent in world.in_flight) == left
    assert world.faults_left["drops"] == 0
    assert not [text for text in texts(world) if text.startswith("drop")]


@pytest.mark.parametrize("network", [unordered, ordered])
def test_a_duplicate_arrives_twice(network: Any) -> None:
    world = pair("ab", network=network(), faults=Faults(duplicates=1)).after(
        "act s send",
        "act s send",
        "duplicate s -> r Note(text='a')",
        "deliver s -> r Note(text='a')",
        "deliver s -> r Note(text='a')",
        "deliver s -> r Note(text='b')",
    )

    assert world["r"].got == "aab"
    assert world.in_flight == ()


def test_a_duplicating_network_has_nothing_to_duplicate() -> None:
    world = pair(network=duplicating(), faults=Faults(duplicates=1)).step("act s send")
    assert not [text for text in texts(world) if text.startswith("duplicate")]


@pytest.mark.parametrize("network", NETWORKS)
def test_a_node_may_send_to_itself(network: Any) -> None:
    world = one_node(lambda node, host: host.send("n", Ping(1)), network=network())
    world = world.after("act n act", "deliver n -> n Ping(value=1)")

    assert world["n"].log == [1]


# -- 5: crash and restart --------------------------------------------------------------------------


def test_a_crash_takes_what_is_not_durable_and_a_restart_starts_again() -> None:
    up = pair(faults=Faults(crashes=1)).after("act s send", "deliver s -> r Note(text='a')")
    assert (up["r"].got, up["r"].kept, up["r"].timers) == ("a", "a", ("wait",))

    down = up.step("crash r")
    assert (down["r"].got, down["r"].kept, down["r"].timers) == ("", "a", ())
    assert not down["r"].is_up
    assert texts(down) == ["act s send", "restart r"]

    again = down.step("restart r")
    assert again["r"].is_up
    assert (again["r"].starts, again["r"].timers) == (2, ("wait",))
    assert not [text for text in texts(again) if text.startswith(("crash", "restart"))]


def test_a_crash_goes_back_to_what_the_node_was_made_with() -> None:
    world = World.of(Counter("n", limit=5, count=2), faults=Faults(crashes=1))
    assert world.after("act n up", "crash n")["n"].count == 2


@pytest.mark.parametrize("network", [unordered, duplicating])
def test_what_was_sent_to_a_node_that_is_down_waits_for_it(network: Any) -> None:
    world = pair("ab", network=network(), faults=Faults(crashes=1)).after(
        "act s send", "crash r", "act s send"
    )
    assert not [text for text in texts(world) if text.startswith("deliver")]

    world = world.after("restart r", "deliver s -> r Note(text='b')")
    assert world["r"].got == "b"
    assert "deliver s -> r Note(text='a')" in texts(world)


@pytest.mark.parametrize("crashed", ["s", "r"])
def test_on_an_ordered_network_a_crash_empties_the_links_of_the_node(crashed: str) -> None:
    world = World.of(
        Sender("s"), Receiver("r"), Sender("t"), network=ordered(), faults=Faults(crashes=1)
    ).after("act s send", "act t send", f"crash {crashed}")

    left = [] if crashed == "r" else ["t"]
    assert [sent.source for sent in world.in_flight] == left


def test_down_max_bounds_how_many_are_down_at_a_time() -> None:
    faults = Faults(crashes=2, restarts=2, down_max=1)
    world = World.of(Receiver("a"), Receiver("b"), faults=faults).step("crash a")
    assert "crash b" not in texts(world)

    world = world.after("restart a", "crash b")
    assert not world["b"].is_up


def test_only_the_crashable_crash() -> None:
    world = World.of(Receiver("a"), Receiver("b"), faults=Faults(crashes=9, crashable=("b",)))
    assert [text for text in texts(world) if text.startswith("crash")] == ["crash b"]


def test_unlimited_faults_never_run_out() -> None:
    world = World.of(Receiver("a"), faults=Faults(crashes=unlimited))
    world = world.after(*["crash a", "restart a"] * 3)

    assert world.faults_left["crashes"] == unlimited
    assert "crash a" in texts(world)


# -- 6: partitions ---------------------------------------------------------------------------------


def test_a_partition_holds_back_messages_in_both_directions_until_it_heals() -> None:
    class Echo(Node):
        got: list[str] = []

        @on(Note)
        def note(self, host: Host, sender: str, note: Note) -> None:
            self.got.append(sender)

        @action(when=lambda self: not self.got)
        def send(self, host: Host) -> None:
            host.broadcast(Note(host.name))

    world = World.of(Echo("a"), Echo("b"), Echo("c"), faults=Faults(partitions=1))
    assert [text for text in texts(world) if text.startswith("partition")] == [
        "partition b | a c",
        "partition c | a b",
        "partition b c | a",
    ]
    world = world.after("act a send", "act b send", "partition b | a c")
    assert world.partition == "b | a c"
    assert [text for text in texts(world) if text.startswith("deliver")] == [
        "deliver a -> c Note(text='a')"
    ]
    healed = world.step("heal")
    assert healed.partition is None
    assert len([text for text in texts(healed) if text.startswith("deliver")]) == 4
    assert not [text for text in texts(healed) if text.startswith("partition")]


def test_client_scripts_reach_both_sides_of_a_partition() -> None:
    class Server(Node):
        @on(Ping)
        def ping(self, host: Host, sender: str, ping: Ping) -> None:
            host.respond("pong")

    def ask(to: str) -> Any:
        yield call(to, Ping())

    world = World.of(
        Server("a"),
        Server("b"),
        Script("c", ask, "a"),
        Script("d", ask, "b"),
        faults=Faults(partitions=1),
    ).after("partition b | a", "invoke c -> a Ping() as call 1".replace("()", "(value=0)"))
    world = world.after(
        "deliver c -> a Ping(value=0) as call 1",
        "deliver a -> c answer 'pong' to call 1",
        "invoke d -> b Ping(value=0) as call 1",
        "deliver d -> b Ping(value=0) as call 1",
        "deliver b -> d answer 'pong' to call 1",
    )
    assert len(world.history.completed) == 2


# -- quiescence ------------------------------------------------------------------------------------


def test_a_held_back_message_is_not_quiescence_and_one_to_a_node_that_is_down_is() -> None:
    faults = Faults(partitions=1, heals=0, crashes=1, restarts=1)
    sent = pair("a", faults=faults).after("act s send", "fire r wait")

    assert not sent.is_quiescent
    assert not sent.step("partition r | s").is_quiescent
    assert sent.step("crash r").is_quiescent


def test_a_script_that_awaits_an_answer_is_not_quiescent() -> None:
    def ask() -> Any:
        yield call("n", Ping())

    start = World.of(Counter("n", 0), Receiver("r"), Script("c", ask)).tables
    assert start.names == ("n", "r", "c")

    class Deaf(Node):
        @on(Ping)
        def ping(self, host: Host, sender: str, ping: Ping) -> None: ...

    world = World.of(Deaf("n"), Script("c", ask)).step("invoke c -> n Ping(value=0) as call 1")
    assert texts(world) == []
    assert not world.is_quiescent


# -- on_start --------------------------------------------------------------------------------------


class Choosy(Node):
    """Chooses a number when it starts; raises on 3."""

    number: int = 0
    limit: int = 3

    def on_start(self, host: Host) -> None:
        self.number = host.choose(range(1, self.limit + 1))
        if self.number == 3:
            raise RuntimeError("three")

    @on(Note)
    def note(self, host: Host, sender: str, note: Note) -> None:
        self.number += 10


def test_a_start_that_chooses_is_a_choice_and_until_then_the_node_is_not_up() -> None:
    world = World.of(Sender("s", "a"), Choosy("r"))
    assert texts(world) == [
        "act s send",
        "start r choosing 1",
        "start r choosing 2",
        "start r choosing 3",
    ]
    assert not world["r"].is_up
    assert not world.is_quiescent

    sent = world.step("act s send")
    assert not [text for text in texts(sent) if text.startswith("deliver")]
    assert sent.after("start r choosing 2", "deliver s -> r Note(text='a')")["r"].number == 12


def test_a_choice_that_raises_is_named_and_left_out_of_the_steps() -> None:
    world = World.of(Choosy("n"))

    assert [str(choice) for choice, _ in world.steps()] == [
        "start n choosing 1",
        "start n choosing 2",
    ]
    with pytest.raises(HandlerRaised) as raised:
        world.step("start n choosing 3")
    for part in ("start n choosing 3", "Choosy.on_start on n", "RuntimeError: three", "line"):
        assert part in str(raised.value)


def test_a_restart_chooses_too() -> None:
    world = World.of(Choosy("n", limit=2), faults=Faults(crashes=1))
    down = world.after("start n choosing 2", "crash n")

    assert texts(down) == ["restart n choosing 1", "restart n choosing 2"]


def test_a_start_that_raises_without_a_choice_is_told_when_the_world_is_made() -> None:
    class Failing(Node):
        def on_start(self, host: Host) -> None:
            raise RuntimeError("no")

    with pytest.raises(HandlerRaised, match=r"start n: Failing\.on_start on n raised RuntimeError"):
        World.of(Failing("n"))


# -- reading ---------------------------------------------------------------------------------------


class Role(enum.Enum):
    LEADER = 1


class Rich(Node):
    """Has everything that a view may be asked for."""

    votes: list[int] = [1, 2]
    _hidden: int = 7
    Role = Role
    _SIZE = 3

    @staticmethod
    def quorum(size: int) -> int:
        return size // 2 + 1

    @classmethod
    def kind(cls) -> str:
        return cls.__name__

    def _count(self) -> int:
        return len(self.votes)

    def has(self, vote: int) -> bool:
        return vote in self.votes

    @property
    def has_quorum(self) -> bool:
        return self._count() >= self.quorum(self._SIZE)


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        (lambda view: view.name, "n"),
        (lambda view: view.votes, [1, 2]),
        (lambda view: view._hidden, 7),
        (lambda view: view.has(2), True),
        (lambda view: view.kind(), "Rich"),
        (lambda view: view.quorum(5), 3),
        (lambda view: view.Role, Role),
        (lambda view: view._SIZE, 3),
        (lambda view: view.has_quorum, True),
    ],
    ids=["name", "field", "hidden", "method", "class", "static", "nested", "constant", "property"],
)
def test_a_view_has_the_fields_properties_and_methods_of_its_class(
    read: Any, expected: Any
) -> None:
    assert read(World.of(Rich("n"))["n"]) == expected


def test_what_a_view_hands_out_is_a_copy() -> None:
    world = World.of(Rich("n"))
    world["n"].votes.append(3)

    assert world["n"].votes == [1, 2]


@pytest.mark.parametrize(
    ("read", "error", "parts"),
    [
        (lambda world: world["z"], ScenarioError, ["'z'", "it has n, c"]),
        (lambda world: world["c"], ScenarioError, ["c is a client script", "world.history"]),
        (lambda world: world["n"].vote, AttributeError, ["n (Rich)", "'vote'", "votes"]),
        (
            lambda world: setattr(world["n"], "votes", []),
            AttributeError,
            ["n.votes", "read-only"],
        ),
    ],
)
def test_reading_what_is_not_there_names_it_and_what_is(
    read: Any, error: type[Exception], parts: list[str]
) -> None:
    def script() -> Any:
        yield call("n", Ping())

    with pytest.raises(error) as refused:
        read(World.of(Rich("n"), Script("c", script)))
    assert [part for part in parts if part not in str(refused.value)] == []


# -- World.of --------------------------------------------------------------------------------------


def idle() -> Any:
    yield from ()


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (World.of, ["no node", "at least one"]),
        (lambda: World.of(Counter), ["Counter", "takes nodes"]),
        (lambda: World.of([Counter("a")]), ["list", "takes nodes"]),
        (lambda: World.of(Counter("a"), Counter("a")), ["'a'", "twice"]),
        (lambda: World.of(Counter("a"), Script("a", idle)), ["'a'", "twice"]),
        (lambda: World.of(Counter("a b")), ["'a b'", "blank"]),
        (lambda: World.of(Counter("a|b")), ["'a|b'", "bar"]),
        # `a~1` names the lane of a call that `a` had open when it crashed.
        (lambda: World.of(Counter("a~1")), ["'a~1'"]),
        (lambda: World.of(Counter("")), ["printable"]),
        (lambda: World.of(Counter("a\n")), ["printable"]),
        (lambda: World.of(Counter(3)), ["printable", "3"]),
        (lambda: World.of(Counter("a"), network=ordered), ["network", "ordered()"]),
        (lambda: World.of(Counter("a"), network="ordered"), ["network", "ordered()"]),
        (lambda: World.of(Counter("a"), faults=1), ["faults", "Faults("]),
        (
            lambda: World.of(Counter("a"), faults=Faults(crashes=1, crashable=("b",))),
            ["crashable", "'b'"],
        ),
        (
            lambda: World.of(
                Counter("a"), Script("c", idle), faults=Faults(crashes=1, crashable=("c",))
            ),
            ["crashable", "'c'"],
        ),
        (
            lambda: World.of(Counter("a"), faults=Faults(partitions=1, splits=(("b",),))),
            ["splits", "'b'"],
        ),
        (
            lambda: World.of(Counter("a"), faults=Faults(partitions=1, splits=((),))),
            ["splits", "nobody"],
        ),
        # Scripts reach both sides, so naming one splits nothing.
        (
            lambda: World.of(
                Counter("a"), Script("c", idle), faults=Faults(partitions=1, splits=(("c",),))
            ),
            ["splits", "'c'"],
        ),
        (
            lambda: World.of(
                Counter("a"), Counter("b"), faults=Faults(partitions=1, splits=(("a", "b"),))
            ),
            ["splits", "other side"],
        ),
    ],
)
def test_a_world_that_cannot_be_meant_is_refused(make: Any, parts: list[str]) -> None:
    with pytest.raises((ScenarioError, ProtocolError)) as refused:
        make()
    assert [part for part in parts if part not in str(refused.value)] == []


def test_a_split_that_is_listed_twice_or_from_both_sides_is_one_choice() -> None:
    faults = Faults(partitions=1, splits=(("a",), ("a",), ("b",)))
    world = World.of(Counter("a", 0), Counter("b", 0), faults=faults)

    assert len(texts(world)) == 1


# -- a choice that says what its handler reads -----------------------------------------------------


class Watcher(Node):
    """Notes the time when it is woken."""

    seen: int | None = None

    def on_start(self, host: Host) -> None:
        host.set_timer("wake")

    @on.timer("wake")
    def wake(self, host: Host) -> None:
        self.seen = host.now


@pytest.mark.parametrize("ns", [7, 0, -5])
def test_a_step_that_reads_a_clock_is_run_on_the_time_that_it_names(ns: int) -> None:
    world = World.of(Watcher("w")).step(f"fire w wake reading {ns}")
    assert world["w"].seen == ns


@pytest.mark.parametrize("text", ["fire w wake", "fire w wake reading 1, 2 choosing 3", "fire w"])
def test_a_step_without_the_times_that_it_reads_is_none(text: str) -> None:
    assert find(World.of(Watcher("w")), text) is None
