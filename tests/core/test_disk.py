"""The disk of a node: what a crash may take of it, what may be damaged, and what a node is told."""

from __future__ import annotations

import enum
from collections import OrderedDict, defaultdict, deque
from dataclasses import dataclass
from typing import Any

import pytest

from happysim.core.altered import altered
from happysim.core.choice import DISK_BUDGETS, Choice, Faults, unlimited
from happysim.core.disk import Atlas
from happysim.core.errors import ScenarioError
from happysim.core.freeze import freeze, thaw
from happysim.core.host import Host
from happysim.core.node import Node, action, durable
from happysim.core.world import World
from happysim.search.check import explore


class Store(Node):
    """Writes a term and a log; tells at each start what its disk says."""

    term: int = durable(0)
    log: list[str] = durable([])
    vote: str | None = durable(None)
    told: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    beats: int = 0

    def on_start(self, host: Host) -> None:
        self.told = host.torn, host.damaged

    @action
    def append(self, host: Host) -> None:
        self.log.append(f"e{len(self.log)}")

    @action
    def write(self, host: Host) -> None:
        """Three records of three fields."""
        self.term += 1
        self.log.append(f"t{self.term}")
        self.log.append(f"u{self.term}")
        self.vote = "n1"

    @action
    def rewrite(self, host: Host) -> None:
        self.log[:] = ["r0"]

    @action
    def sync(self, host: Host) -> None:
        host.sync()

    @action
    def repair(self, host: Host) -> None:
        for place in (*host.torn, *host.damaged):
            if place.startswith("log"):
                self.log[int(place[4:-1])] = "repaired"

    @action
    def look(self, host: Host) -> None:
        self.told = host.torn, host.damaged


def store(*acts: str, **faults: Any) -> World:
    budgets = {"crashes": 1, "restarts": 2, **faults}
    world = World.of(Store("n"), faults=Faults(**budgets))
    return world.after(*(act if " " in act else f"act n {act}" for act in acts))


def faults_of(world: World) -> list[str]:
    return [str(each) for each in world.choices() if each.is_fault]


def on_disk(world: World) -> tuple[Any, ...]:
    return world["n"].term, world["n"].log, world["n"].vote


# -- torn writes ---------------------------------------------------------------------------------


def test_a_crash_may_cut_the_first_write_it_loses_short_at_each_record() -> None:
    world = store("append", "sync", "write", tears=1, unsynced_loss=True)
    torn = {
        "crash n": (1, ["e0", "t1", "u1"], "n1"),
        "crash n losing 1": (0, ["e0"], None),
        # The term is the first record: to lose it is to lose the whole write.
        "crash n losing 1 tearing log[1]": (1, ["e0", "t0"], None),
        "crash n losing 1 tearing log[2]": (1, ["e0", "t1", "u0"], None),
        "crash n losing 1 tearing vote": (1, ["e0", "t1", "u1"], None),
    }
    assert faults_of(world) == list(torn)
    assert {text: on_disk(world.step(text)) for text in torn} == torn


def test_a_torn_record_is_told_until_it_is_written_again() -> None:
    world = store("write", "crash n losing 1 tearing log[1]", "restart n", tears=1, crashes=2)
    assert world["n"].told == (("log[1]",), ())
    assert world.after("act n look")["n"].told == (("log[1]",), ())

    repaired = world.after("act n repair", "act n look")["n"]
    assert (repaired.told, repaired.log) == (((), ()), ["t1", "repaired"])

    # What was repaired and not synced may be lost, and then it is torn again.
    again = world.after("act n repair").step("crash n")
    assert again["n"].log == ["t1", "repaired"]
    lossy = store(
        "write",
        "crash n losing 1 tearing log[1]",
        "restart n",
        "repair",
        tears=1,
        crashes=2,
        unsynced_loss=True,
    )
    lost = lossy.after("crash n losing 1", "restart n")["n"]
    assert (lost.told, lost.log) == ((("log[1]",), ()), ["t1", "u0"])


def test_a_torn_write_over_older_records_leaves_those_behind_it() -> None:
    world = store("append", "append", "sync", "rewrite", tears=1)
    assert faults_of(world) == ["crash n", "crash n losing 1 tearing log[0]"]
    assert on_disk(world.step("crash n losing 1 tearing log[0]"))[1] == ["r1", "e1"]


def test_a_write_before_the_last_may_be_torn_and_the_later_ones_are_lost() -> None:
    world = store("append", "append", tears=1)
    torn = world.step("crash n losing 2 tearing log[0]")
    assert on_disk(torn)[1] == ["e1"]  # what "e0" became


# -- what a restart may find ---------------------------------------------------------------------


def test_a_wiped_disk_holds_what_the_node_was_made_with() -> None:
    down = store("append", "sync", "crash n", wipes=1)
    assert faults_of(down) == ["restart n", "restart n wiped"]
    assert on_disk(down.step("restart n wiped")) == (0, [], None)


def test_a_stale_disk_holds_what_it_held_before_the_last_sync_that_changed_anything() -> None:
    down = store("append", "sync", "append", "sync", "sync", "crash n", stales=1)
    assert on_disk(down.step("restart n stale"))[1] == ["e0"]
    assert faults_of(store("crash n", stales=1)) == ["restart n"]


def test_each_record_may_rot_and_is_then_told_to_be_damaged() -> None:
    down = store("append", "append", "crash n", rots=1)
    names = ["term", "log[0]", "log[1]", "vote"]
    assert faults_of(down) == ["restart n", *(f"restart n rotten {name}" for name in names)]
    up = down.step("restart n rotten log[1]")
    assert (on_disk(up), up["n"].told) == ((0, ["e0", "e0"], None), ((), ("log[1]",)))
    assert on_disk(down.step("restart n rotten term"))[0] == 1


def test_a_record_may_have_landed_on_another_and_holds_what_it_held_before() -> None:
    down = store("append", "append", "sync", "append", "sync", "crash n", misdirects=1)
    assert faults_of(down)[1:] == [
        "restart n misdirected log[2] to log[0]",
        "restart n misdirected log[2] to log[1]",
    ]
    up = down.step("restart n misdirected log[2] to log[0]")
    assert (up["n"].log, up["n"].told) == (["e2", "e1"], ((), ("log[0]",)))

    rewritten = store(
        "append", "append", "sync", "rewrite", "append", "sync", "crash n", misdirects=1
    )
    up = rewritten.step("restart n misdirected log[0] to log[1]")
    assert (up["n"].log, up["n"].told) == (["e0", "r0"], ((), ("log[1]",)))


def test_a_sync_that_lied_is_lost_in_a_crash_with_all_that_came_after() -> None:
    world = store("append", "sync", "append", "sync", "append", lies=1)
    assert faults_of(world) == ["crash n", "crash n losing 1 synced"]
    assert on_disk(world.step("crash n losing 1 synced"))[1] == ["e0"]
    two = store("append", "sync", "append", "sync", lies=2)
    assert on_disk(two.step("crash n losing 2 synced"))[1] == []


# -- budgets -------------------------------------------------------------------------------------


def test_a_disk_fault_costs_its_own_budget_and_the_crash_or_restart_it_happens_in() -> None:
    world = store("append", tears=2, wipes=unlimited)
    torn = world.step("crash n losing 1 tearing log[0]")
    assert torn.faults_left["tears"] == 1
    assert torn.faults_left["crashes"] == 0
    assert torn.step("restart n wiped").faults_left["restarts"] == 1
    assert "faults left: 0 0 0 2 0 0 wipes inf tears 1" in torn.lines()


def test_a_torn_crash_takes_a_node_down_and_a_wiped_restart_brings_it_up() -> None:
    faults = Faults(crashes=3, down_max=1, tears=1, wipes=1)
    world = World.of(Store("a"), Store("b"), faults=faults)
    down = world.after("act a append", "crash a losing 1 tearing log[0]")
    assert "crash b" not in map(str, down.choices())
    assert "crash b" in map(str, down.step("restart a wiped").choices())


def test_worlds_without_disk_faults_say_nothing_of_disks() -> None:
    lines = store("append", unsynced_loss=True).lines()
    assert lines[-1] == "faults left: 0 0 1 2 0 0"
    assert [line.split(" =")[0] for line in lines[:-1]] == [
        f"n.{name}"
        for name in ("(status)", "term", "log", "vote", "told", "beats", "timers", "unsynced")
    ]


def test_worlds_that_differ_only_in_what_is_damaged_differ() -> None:
    down = store("append", "append", "crash n", "restart n rotten log[1]", rots=1, crashes=2)
    healthy = store("append", "crash n", "restart n", rots=1)
    assert "n.(damage) = log[1] damaged" in down.lines()
    assert "n.(damage) = none" in healthy.lines()


def test_the_text_of_a_disk_fault_says_which_budget_pays_for_it() -> None:
    every = dict.fromkeys(DISK_BUDGETS, 1)
    up = store("append", "sync", "append", "sync", "append", unsynced_loss=True, **every)
    paid = set()
    for text in [*faults_of(up), *faults_of(up.step("crash n"))]:
        world = up if text.startswith("crash") else up.step("crash n")
        after, choice = world.step(text).faults_left, Choice.parse(text)
        spent = tuple(name for name in after if after[name] < world.faults_left[name])
        assert choice is not None
        assert choice.budgets == spent
        paid.update(spent)
    assert paid == {"crashes", "restarts", *DISK_BUDGETS}


@pytest.mark.parametrize("name", ["wipes", "stales", "tears", "rots", "misdirects", "lies"])
def test_a_disk_fault_takes_a_crash_or_a_restart_to_happen_in(name: str) -> None:
    with pytest.raises(ScenarioError, match=f"Faults\\({name}=1\\) takes (crashes|restarts)"):
        Faults(**{name: 1})  # type: ignore[arg-type]


def test_a_search_with_every_disk_fault_is_finite_and_each_of_them_happens() -> None:
    class Small(Node):
        log: list[int] = durable([])
        turn: int = durable(0)

        @action(when=lambda self: len(self.log) < 2)
        def add(self, host: Host) -> None:
            self.log.append(len(self.log))
            self.turn = 1

        @action(when=lambda self: self.turn == 1)
        def sync(self, host: Host) -> None:
            host.sync()
            self.turn = 0

    faults = Faults(
        crashes=2, unsynced_loss=True, wipes=1, stales=1, tears=1, rots=1, misdirects=1, lies=1
    )
    report = explore(World.of(Small("n"), faults=faults))
    assert report.complete
    assert not report.warnings


# -- the atlas -----------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["record", "node"])
@pytest.mark.parametrize(("nodes", "quorum"), [(1, 1), (3, 2), (5, 3), (4, 3), (3, 3)])
def test_an_atlas_leaves_a_quorum_of_copies_of_each_record_whole(
    by: Any, nodes: int, quorum: int
) -> None:
    names = [f"n{at}" for at in range(nodes)]
    atlas = Atlas(quorum, by)
    for address in ("term", "log[0]", "log[1]", "log[2]", "log[7]"):
        damaged = [name for name in names if atlas.allows(name, names, address)]
        assert len(damaged) == max(nodes - quorum, 0)
    wiped = [name for name in names if atlas.allows(name, names)]
    assert len(wiped) == (nodes - quorum if by == "node" else 0)


def test_with_an_atlas_by_record_each_node_has_copies_that_may_be_damaged() -> None:
    names = ["a", "b", "c"]
    atlas = Atlas(2)
    rows = [[atlas.allows(name, names, f"log[{at}]") for at in range(3)] for name in names]
    assert [sum(row) for row in rows] == [1, 1, 1]


def test_a_search_damages_only_what_its_atlas_allows() -> None:
    faults = Faults(crashes=1, rots=1, atlas=Atlas(2))
    world = World.of(Store("a"), Store("b"), Store("c"), faults=faults)
    allowed = []
    for name in "abc":
        down = world.after(f"act {name} append", f"crash {name}")
        allowed += [text for text in map(str, down.choices()) if "log" in text]
    assert allowed == ["restart b rotten log[0]"]


# -- another content -----------------------------------------------------------------------------


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


@dataclass(frozen=True)
class Entry:
    term: int
    command: str | None


@pytest.mark.parametrize(
    ("value", "other"),
    [
        (1, 0),
        (2, 3),
        (-1, -2),
        (True, False),
        (1.5, -1.5),
        ("n2", "n3"),
        (b"ab", b"ac"),
        (Colour.RED, Colour.BLUE),
        (Entry(3, "x"), Entry(3, "y")),
        (Entry(3, None), Entry(2, None)),
        ((1, "a", ()), (1, "`", ())),
        ([1, [2]], [1, [3]]),
        ({"k": 1}, {"k": 0}),
        (OrderedDict(k=1), OrderedDict(k=0)),
        (defaultdict(int, k=1), defaultdict(int, k=0)),
        (deque([4], maxlen=2), deque([5], maxlen=2)),
        (None, None),
        ("", None),
        ({}, None),
        ({1}, None),
        (0.0, 1.0),
    ],
)
def test_a_damaged_record_reads_as_another_value_of_its_kind_or_as_none(
    value: Any, other: Any
) -> None:
    made = thaw(altered(freeze(value)))
    assert freeze(made) == freeze(other)
