"""What a person sees of a run: pictures and tables, compared with the files in `golden`.

`GOLDEN=write pytest tests/trace/test_diagram.py` writes them anew; read the diff.
"""

from __future__ import annotations

import os
import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from happysim import (
    Choice,
    Faults,
    Host,
    Kind,
    Node,
    Operation,
    ScenarioError,
    Script,
    World,
    action,
    always,
    call,
    duplicating,
    durable,
    message,
    on,
    ordered,
    post,
    reachable,
    sleep,
    unordered,
)
from happysim.core.network import Delivery
from happysim.core.rehome import rehome
from happysim.core.tables import Tables
from happysim.search.schedule import Run, follow
from happysim.spec.property import no_handler_raises
from happysim.spec.scenario import scenario_of
from happysim.trace.changes import Change, changes, raised, replaced, sent_at, table
from happysim.trace.diagram import diagram

GOLDEN = Path(__file__).parent / "golden"

# -- a lock without fencing: its shortest counterexample -------------------------------------------


@message
class Acquire: ...


@message
class Granted:
    token: int


@message
class Write:
    token: int


class LockServer(Node):
    token: int = durable(0)
    holder: str | None = None

    @on(Acquire)
    def grant(self, host: Host, sender: str, request: Acquire) -> None:
        if self.holder is None:
            self.token, self.holder = self.token + 1, sender
            host.send(sender, Granted(self.token))
            host.set_timer("lease", seconds=10)

    @on.timer("lease")
    def expire(self, host: Host) -> None:
        self.holder = None


class Store(Node):
    fenced: bool = True
    writes: list[int] = durable([])

    @on(Write)
    def write(self, host: Host, sender: str, request: Write) -> None:
        if not self.fenced or request.token >= max(self.writes, default=0):
            self.writes.append(request.token)


class Client(Node):
    token: int | None = None

    def on_start(self, host: Host) -> None:
        host.send("lock", Acquire())

    @on(Granted)
    def granted(self, host: Host, sender: str, grant: Granted) -> None:
        self.token = grant.token
        host.send("store", Write(grant.token))


def two_clients() -> World:
    return World.of(LockServer("lock"), Store("store", False), Client("c1"), Client("c2"))


@always(two_clients)
def tokens_reach_the_store_in_order(world: World) -> bool | str:
    writes = world["store"].writes
    return writes == sorted(writes) or f"the store took token {writes[-1]} after {max(writes)}"


@reachable(two_clients)
def a_client_holds_a_token(world: World) -> bool:
    return world["c1"].token is not None


OVERSLEPT = (
    "deliver c1 -> lock Acquire()",
    "deliver lock -> c1 Granted(token=1)",
    "fire lock lease",
    "deliver c2 -> lock Acquire()",
    "deliver lock -> c2 Granted(token=2)",
    "deliver c2 -> store Write(token=2)",
    "deliver c1 -> store Write(token=1)",
)


def lock_run() -> Run:
    return follow(two_clients(), OVERSLEPT, tokens_reach_the_store_in_order)


# -- a log with one leader: a run with every kind of choice ----------------------------------------


@message
class Put:
    value: str


@message
class Entries:
    log: tuple[str, ...]


@message
class Kept:
    length: int


@message
class Note: ...


class Replica(Node):
    log: list[str] = durable([])
    quorum: int = 2
    keepers: set[str] = set()
    asking: Operation | None = None

    def on_start(self, host: Host) -> None:
        if host.name == "n3":
            self.quorum = host.choose([2, 3])

    @on(Put)
    def put(self, host: Host, sender: str, request: Put) -> None:
        self.log.append(request.value)
        self.keepers, self.asking = {host.name}, host.operation
        host.broadcast(Entries(tuple(self.log)))
        host.set_timer("retry")

    @on.timer("retry")
    def retry(self, host: Host) -> None:
        host.broadcast(Entries(tuple(self.log)))

    @on(Entries)
    def keep(self, host: Host, sender: str, sent: Entries) -> None:
        if len(sent.log) > len(self.log):
            self.log = list(sent.log)
        host.reply(Kept(len(self.log)))

    @on(Kept)
    def count(self, host: Host, sender: str, kept: Kept) -> None:
        self.keepers.add(sender)
        if len(self.keepers) >= self.quorum and self.asking is not None:
            host.sync()
            host.respond(kept.length, to=self.asking)
            host.cancel_timer("retry")
            self.asking = None

    @action(when=lambda self: len(self.log) == 1)
    def tidy(self, host: Host) -> None:
        host.send(host.name, Note())

    @on(Note)
    def noted(self, host: Host, sender: str, note: Note) -> None:
        self.log.append("noted " + host.choose(["in the morning", "in the evening"]))


def writer(server: str) -> object:
    yield call(server, Put("a value that takes some room"))
    yield call(server, Put("b"))


def replicas() -> World:
    return World.of(
        *(Replica(f"n{number}") for number in range(1, 5)),
        Script("writer", writer, "n1"),
        faults=Faults(drops=1, duplicates=1, crashes=1, partitions=1, unsynced_loss=True),
    )


VALUE = "'a value that takes some room'"
EVERYTHING = (
    "start n3 choosing 3",
    f"invoke writer -> n1 Put(value={VALUE}) as call 1",
    f"deliver writer -> n1 Put(value={VALUE}) as call 1",
    f"drop n1 -> n2 Entries(log=({VALUE},))",
    "partition n3 | n1 n2 n4",
    "fire n1 retry",
    f"duplicate n1 -> n2 Entries(log=({VALUE},))",
    f"deliver n1 -> n2 Entries(log=({VALUE},))",
    "crash n2 losing 1",
    "heal",
    f"deliver n1 -> n3 Entries(log=({VALUE},))",
    "deliver n2 -> n1 Kept(length=1)",
    "act n3 tidy",
    "restart n2",
    "deliver n3 -> n3 Note() choosing 'in the evening'",
    f"deliver n1 -> n2 Entries(log=({VALUE},))",
    "deliver n1 -> writer answer 1 to call 1",
    "invoke writer -> n1 Put(value='b') as call 2",
)


def everything_run() -> Run:
    return follow(replicas(), EVERYTHING)


# -- a handler that raises -------------------------------------------------------------------------


@message
class Share:
    parts: int


class Splitter(Node):
    kept: int = 0

    @on(Share)
    def share(self, host: Host, sender: str, request: Share) -> None:
        if request.parts == 0:
            raise ValueError("there is nothing to share between nobody")
        self.kept += 12 // request.parts
        host.reply(Share(request.parts - 1))


class Asker(Splitter):
    def on_start(self, host: Host) -> None:
        host.send("s", Share(1))


def splitters() -> World:
    return World.of(Splitter("s"), Asker("a"))


RAISING = ("deliver a -> s Share(parts=1)", "deliver s -> a Share(parts=0)")


def raising_run() -> Run:
    return follow(splitters(), RAISING, no_handler_raises(scenario_of(splitters)))


# -- any run at all -------------------------------------------------------------------------------


@message
class Hello:
    serial: int


@message
class Ask: ...


class Chatter(Node):
    serial: int = durable(0)
    heard: dict[str, int] = {}
    mood: str = "fine"

    def on_start(self, host: Host) -> None:
        host.set_timer("tick")

    @on.timer("tick")
    def tick(self, host: Host) -> None:
        self.serial += 1
        host.broadcast(Hello(self.serial))
        host.set_timer("tick")

    @on(Hello)
    def hear(self, host: Host, sender: str, hello: Hello) -> None:
        if hello.serial > 3:
            raise ValueError(f"{sender} talks too much")
        self.heard[sender] = hello.serial
        self.mood = host.choose(["fine", "a little tired"])

    @on(Ask)
    def answer(self, host: Host, sender: str, ask: Ask) -> None:
        host.respond(self.serial)
        host.send(host.name, Hello(0))
        host.cancel_timer("tick")

    @action(when=lambda self: len(self.heard) > 1)
    def forget(self, host: Host) -> None:
        self.heard = {}


def asker(server: str) -> object:
    while True:
        yield call(server, Ask(), timeout=1)
        yield sleep(1)
        yield post(server, Ask())
        yield call(server, Ask())


def impatient_run() -> Run:
    first = World.of(Chatter("server"), Script("client", asker, "server"))
    return follow(
        first,
        (
            "invoke client -> server Ask() as call 1",
            "fire client timeout",
            "fire client sleep",
            "invoke client -> server Ask()",
            "invoke client -> server Ask() as call 2",
            "deliver client -> server Ask()",
            "deliver client -> server Ask() as call 2",
            "deliver client -> server Ask() as call 1",
        ),
    )


@st.composite
def runs(draw: st.DrawFn, unsynced_loss: bool = True) -> Run:
    """A random run of 1 to 8 nodes and a client, under all faults."""
    letters = st.text("abn1\u00e9\u6f22", min_size=1, max_size=12)
    names = draw(st.lists(letters, min_size=1, max_size=8, unique=True))
    faults = Faults(drops=2, duplicates=2, crashes=2, partitions=2, unsynced_loss=unsynced_loss)
    network = draw(st.sampled_from([unordered(), ordered(), duplicating()]))
    nodes = [Chatter(name) for name in names]
    first = World.of(*nodes, Script("client", asker, names[0]), faults=faults, network=network)
    world, taken = first, []
    for pick in draw(st.lists(st.integers(0, 999), max_size=24)):
        enabled = list(world.enabled())
        if not enabled:
            break
        choice, slot, move = enabled[pick % len(enabled)]
        taken.append(choice)
        if getattr(move, "raised", None) is not None:
            break
        world = world.take(choice, slot, move)
    return follow(first, taken)


# -- golden files ----------------------------------------------------------------------------------

PICTURES = {
    "lock": lambda: diagram(lock_run(), title="tokens_reach_the_store_in_order", width=100),
    "lock-narrow": lambda: diagram(lock_run(), width=36),
    "lock-table": lambda: table(lock_run()),
    "everything": lambda: diagram(everything_run(), width=100),
    "everything-ascii": lambda: diagram(everything_run(), width=100, ascii=True),
    "everything-table": lambda: table(everything_run()),
    "impatient": lambda: diagram(impatient_run(), width=80),
    "raises": lambda: diagram(raising_run(), width=80),
    "raises-table": lambda: table(raising_run()),
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_run_looks_like_its_golden_file(name: str) -> None:
    # Where a handler of this file raises moves with every edit of it.
    seen = re.sub(r"line \d+", "line ...", PICTURES[name]()) + "\n"
    file = GOLDEN / f"{name}.txt"
    if os.environ.get("GOLDEN") == "write":
        file.write_text(seen, encoding="utf-8")
    assert seen == file.read_text(encoding="utf-8")


# -- every picture ---------------------------------------------------------------------------------

EXAMPLES = settings(max_examples=40)


def number_of(line: str, run: Run) -> int | None:
    """The number at the left of a row."""
    digits = len(str(len(run.schedule)))
    gutter = line[2 : 2 + digits].strip()
    return int(gutter) if gutter.isdigit() else None


@EXAMPLES
@given(runs(), st.integers(1, 160), st.booleans())
def test_no_line_is_wider_than_the_page(run: Run, width: int, ascii: bool) -> None:
    lines = diagram(run, width=width, ascii=ascii, title="a title " * 9).split("\n")
    assert max(map(len, lines)) <= width
    assert not ascii or all(line.isascii() for line in lines)


@EXAMPLES
@given(runs(), st.integers(24, 160))
def test_every_choice_has_one_numbered_row_and_at_most_one_more(run: Run, width: int) -> None:
    numbers = [number_of(line, run) for line in diagram(run, width=width).split("\n")]
    assert [each for each in numbers if each is not None] == list(range(len(run.schedule) + 1))
    steps = numbers[numbers.index(0) : numbers.index(len(run.schedule))]
    assert not any(one is two is None for one, two in pairwise(steps))


@EXAMPLES
@given(runs(), st.integers(100, 160))
def test_columns_never_shift(run: Run, width: int) -> None:
    lines = diagram(run, width=width, ascii=True).split("\n")
    start = next(at for at, line in enumerate(lines) if number_of(line, run) == 0)
    columns = [at for at, glyph in enumerate(lines[start]) if glyph in "|:!"]
    for line in lines[start : start + 1 + len(run.schedule)]:
        assert all(line[at] in "|:!+*@#oXv^-.=<>x" for at in columns), line


@EXAMPLES
@given(runs(unsynced_loss=False))
def test_a_late_message_names_the_step_that_sent_it(run: Run) -> None:
    rows = [line for line in diagram(run, width=400).split("\n") if number_of(line, run)]
    in_flight = [{repr(each) for each in world.in_flight} for world in run.worlds]
    for number, (choice, row) in enumerate(zip(run.schedule, rows, strict=True), 1):
        # Each greeting but Hello(0) is sent once to each node, so it was sent where it turns up.
        if not choice.what.startswith("Hello") or "serial=0" in choice.what:
            continue
        sent = number - 1
        while sent and f"<{choice.source} -> {choice.node} {choice.what}>" in in_flight[sent - 1]:
            sent -= 1
        moved = {each.node for each in run.schedule[sent : number - 1] if not is_stray(each)}
        late = not moved.isdisjoint((choice.source, choice.node))
        said = re.search(r", sent at (\d+)", row)
        assert (int(said[1]) if said else None) == (sent if late else None)


def is_stray(choice: Choice) -> bool:
    return choice.kind in (Kind.DROP, Kind.DUPLICATE)


@EXAMPLES
@given(runs(), st.integers(1, 160))
def test_colours_add_nothing_but_colours(run: Run, width: int) -> None:
    colored = diagram(run, width=width, color=True)
    assert re.sub(r"\x1b\[[\d;]*m", "", colored) == diagram(run, width=width)


@pytest.mark.parametrize(
    ("run", "ending", "last"),
    [
        (follow(two_clients(), OVERSLEPT, a_client_holds_a_token), "reached", "\u25cf reached"),
        (follow(two_clients(), OVERSLEPT[:1]), "broken", "  No part in this run: store, c2"),
        (
            follow(splitters(), RAISING),
            "broken",
            "    nobody (test_diagram.py, line ..., in share)",
        ),
        (
            Run((), (splitters(),), "wrong\tfrom the \x1b[31m start"),
            "broken",
            "from the ?[31m start",
        ),
    ],
    ids=["a witness", "nothing wrong", "raised", "a first world"],
)
def test_the_last_line_says_how_it_ended(run: Run, ending: str, last: str) -> None:
    picture = diagram(run, width=80, ending=ending)
    assert re.sub(r"line \d+", "line ...", picture).split("\n")[-1].endswith(last)


# -- changes ---------------------------------------------------------------------------------------


def test_changes_are_listed_by_node_and_then_as_declared() -> None:
    first, *_, last = lock_run().worlds
    assert changes(first, last) == (
        Change("lock", "token", "0", "2"),
        Change("lock", "holder", "None", "'c2'"),
        Change("lock", "timers", "[]", "['lease']"),
        Change("store", "writes", "[]", "[2, 1]"),
        Change("c1", "token", "None", "1"),
        Change("c2", "token", "None", "2"),
    )
    assert changes(first, first) == ()


@EXAMPLES
@given(runs())
def test_changes_are_the_lines_of_the_world_that_differ(run: Run) -> None:
    for before, after in pairwise(run.worlds):
        was, now = fields_of(before), fields_of(after)
        expected = {
            key: (was.get(key, "[]"), now.get(key, "[]"))
            for key in {**was, **now}
            if was.get(key, "[]") != now.get(key, "[]")
        }
        found = changes(before, after)
        assert {f"{each.node}.{each.field}": each[2:] for each in found} == expected
        # Tables of their own, as in two processes, change nothing.
        assert changes(renumbered(before), renumbered(after)) == found


def fields_of(world: World) -> dict[str, str]:
    lines = [line.split(" = ", 1) for line in world.lines() if " = " in line]
    return {key: text for key, text in lines if not key.endswith(".waiting")}


def renumbered(world: World) -> World:
    tables = world.tables
    return rehome(world, Tables(tables.processes, tables.network, tables.faults))


def test_changes_between_worlds_of_other_nodes_are_refused() -> None:
    with pytest.raises(ScenarioError, match="not of lock, store, c1, c2 and of s, a"):
        changes(two_clients(), splitters())


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        ("[]", "[Entry(term=1)]", "+ Entry(term=1)"),
        ("['a', 'b']", "['a', 'b', 'c, d']", "+ 'c, d'"),
        ("['a', 'b']", "['b']", "- 'a'"),
        ("{'n1': 1, 'n2': 1}", "{'n1': 1, 'n2': 12}", "...'n2': 1... -> ...'n2': 12..."),
        ("Vote(term=1, by='n1')", "Vote(term=2, by='n1')", "...term=1... -> ...term=2..."),
        ("'one'", "'two'", "'one' -> 'two'"),
    ],
)
def test_a_long_change_is_cut_down_to_what_differs(before: str, after: str, text: str) -> None:
    assert replaced(before, after) == text


GREETED = "deliver a -> b Hello(serial=1) choosing "
FORGOT = ("crash a losing 1", "restart a", "fire a tick")


@pytest.mark.parametrize(
    ("network", "schedule", "sent"),
    [
        pytest.param(
            duplicating(),
            ("fire a tick", f"{GREETED}'fine'", f"{GREETED}'a little tired'"),
            (None, 1, 1),
            id="a duplicating network keeps what it delivers",
        ),
        pytest.param(
            ordered(),
            ("fire a tick", *FORGOT, f"{GREETED}'fine'"),
            (None, None, None, None, 4),
            id="a crash takes what is on an ordered link",
        ),
        pytest.param(
            unordered(),
            ("fire a tick", *FORGOT, f"{GREETED}'fine'", f"{GREETED}'a little tired'"),
            (None, None, None, None, 1, 4),
            id="of equal messages the oldest comes first",
        ),
    ],
)
def test_messages_are_matched_to_the_step_that_sent_them(
    network: Delivery, schedule: tuple[str, ...], sent: tuple[int | None, ...]
) -> None:
    faults = Faults(crashes=1, unsynced_loss=True)
    run = follow(World.of(Chatter("a"), Chatter("b"), faults=faults, network=network), schedule)
    assert sent_at(run) == sent


def test_what_a_run_raised_is_known_without_a_property() -> None:
    assert raised(lock_run()) is None
    assert str(raised(follow(splitters(), RAISING))).startswith("Asker.share on a raised Value")
