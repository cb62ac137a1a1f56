"""The kernel visits every world once: its counts are those of a search by the rules."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from happysim import (
    Faults,
    Host,
    Node,
    Script,
    World,
    action,
    bfs,
    call,
    dfs,
    duplicating,
    durable,
    explore,
    message,
    on,
    ordered,
    quiescent,
    unordered,
)


@message
class Ask:
    number: int = 0


@message
class Tell:
    number: int = 0


class Peer(Node):
    """A bit of everything: choices, timers, actions, answers, the disk, and a raise."""

    total: int = durable(0)
    seen: set[str] = set()
    round: int = 0

    def on_start(self, host: Host) -> None:
        host.set_timer("tick")

    @on(Ask)
    def ask(self, host: Host, sender: str, ask: Ask) -> None:
        self.total = ask.number
        host.sync()
        self.total += 1
        if host.operation is not None:
            host.respond(self.total)
            host.broadcast(Tell(self.total))

    @on(Tell)
    def tell(self, host: Host, sender: str, tell: Tell) -> None:
        self.seen.add(sender)
        if host.choose([True, False]):
            host.send(host.name, Ask(3))

    @on.timer("tick")
    def tick(self, host: Host) -> None:
        self.round += 1

    @action(when=lambda self: self.round == 1 and self.seen)
    def finish(self, host: Host) -> None:
        self.round = 2
        assert self.total != 4, "four"


def client() -> Any:
    answer = yield call("a", Ask(0))
    if answer == 1:
        yield call("a", Ask(1))


def start(network: Any, faults: Faults) -> World:
    return World.of(Peer("a"), Peer("b"), Script("c", client), network=network(), faults=faults)


def naive(start: World, histories: bool, depth_max: int | None) -> tuple[int, int, int, int]:
    """Worlds, steps, depth and quiescent worlds, by stepping worlds and comparing their content."""

    def content(world: World) -> Any:
        return (tuple(world.lines()), str(world.history) if histories else "")

    seen, layer, steps, depth, quiet = {content(start)}, [start], 0, 1, 0
    while layer:
        following = []
        for world in layer:
            quiet += world.is_quiescent
            if depth == depth_max:
                continue
            steps += len(world.choices())
            for _, after in world.steps():
                if content(after) not in seen:
                    seen.add(content(after))
                    following.append(after)
        depth, layer = depth + bool(following), following
    return len(seen), steps, depth, quiet


FAULTS = {
    "none": (Faults(), None),
    "drop": (Faults(drops=1), 7),
    "duplicate": (Faults(duplicates=1), 7),
    "crash": (Faults(crashes=1, crashable=("a",)), 7),
    "losing": (Faults(crashes=1, crashable=("a",), unsynced_loss=True), 7),
    "disk": (
        Faults(
            crashes=2,
            crashable=("a",),
            down_max=1,
            unsynced_loss=True,
            wipes=1,
            stales=1,
            tears=1,
            rots=1,
            misdirects=1,
            lies=1,
        ),
        6,
    ),
    "partition": (Faults(partitions=1), 7),
    "all": (Faults(1, 1, 1, partitions=1, down_max=1, splits=(("b",),)), 5),
}
SHAPES = list(product([unordered, ordered, duplicating], FAULTS))


@pytest.mark.parametrize(("network", "faults"), SHAPES)
@pytest.mark.parametrize("histories", [False, True], ids=["", "histories"])
def test_the_kernel_counts_what_a_search_by_the_rules_counts(
    network: Any, faults: str, histories: bool
) -> None:
    declared, depth = FAULTS[faults]
    world = start(network, declared)
    expected = naive(world, histories, depth)

    @quiescent(world)
    def at_rest(world: World) -> bool:
        return True

    for policy in (bfs(), dfs()) if depth is None else (bfs(),):
        report = explore(world, at_rest, by=policy, max_depth=depth, history=histories)
        found = (report.worlds, report.steps, report.quiescent_worlds)
        assert found == (expected[0], expected[1], expected[3]), policy
        assert policy != bfs() or report.depth == expected[2]


@pytest.mark.parametrize("faults", ["none", "crash"])
def test_depth_first_and_breadth_first_meet_the_same_worlds_within_a_depth(faults: str) -> None:
    world = start(unordered, FAULTS[faults][0])
    for depth in range(1, 8):
        near, deep = (explore(world, by=by, max_depth=depth) for by in (bfs(), dfs()))
        assert near.worlds == deep.worlds


def test_a_depth_first_search_counts_a_step_once_whatever_the_depth() -> None:
    world = start(duplicating, Faults())
    assert explore(world, by=dfs(), max_depth=99).steps == explore(world).steps


def test_a_handler_runs_once_for_each_local_state_and_event() -> None:
    world = start(unordered, Faults())
    first, again = explore(world), explore(world)

    assert first.worlds == again.worlds
    assert first.handler_calls < first.steps / 10
    assert again.handler_calls == 0


def test_independent_nodes_multiply() -> None:
    class Dial(Node):
        at: int = 0

        @action
        def turn(self, host: Host) -> None:
            self.at = (self.at + 1) % 4

    report = explore(World.of(Dial("a"), Dial("b"), Dial("c")))
    # Each of the 4 ** 3 worlds has a step of each dial; the farthest is 3 turns of each away.
    assert (report.worlds, report.steps, report.depth) == (64, 192, 10)
    assert report.generated == 193
