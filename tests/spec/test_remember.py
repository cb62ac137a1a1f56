"""A judgement is remembered by all that it depends on, however the property looked at the world."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from happysim import (
    Faults,
    Host,
    Node,
    PropertyError,
    Script,
    World,
    action,
    always,
    call,
    check,
    explore,
    on,
    ordered,
    step_always,
)
from happysim.spec.remember import Remembered
from tests.support.nodes import Ping, chain, ring


class Server(Node):
    """Sends itself a note when it is asked, sets a timer when the note comes, then answers."""

    asked: int = 0
    log: list[str] = []

    @on(Ping)
    def ping(self, host: Host, sender: str, ping: Ping) -> None:
        self.asked += 1
        if sender != host.name:
            host.send(host.name, Ping())
        else:
            host.set_timer("tick")
        if host.operation is not None:
            host.respond(self.asked)

    @on.timer("tick")
    def tick(self, host: Host) -> None:
        self.log.append("tick")


def ask() -> Any:
    yield call("s", Ping())


def busy() -> World:
    """Everything a property can look at changes in here at some time."""
    faults = Faults(drops=1, crashes=1, partitions=1)
    return World.of(Server("s"), Server("t"), Script("c", ask), faults=faults)


LOOKS: list[tuple[str, Callable[[World], Any]]] = [
    ("field", lambda world: world["s"].asked),
    ("mutable field", lambda world: len(world["s"].log)),
    ("is_up", lambda world: world["s"].is_up),
    ("timers", lambda world: world["s"].timers),
    ("nodes", lambda world: [node.asked for node in world.nodes(Server)]),
    ("in_flight", lambda world: len(world.in_flight)),
    ("history", lambda world: len(world.history.calls)),
    ("faults_left", lambda world: world.faults_left["drops"]),
    ("partition", lambda world: world.partition),
    ("is_quiescent", lambda world: world.is_quiescent),
    ("choices", lambda world: len(world.choices())),
    ("steps", lambda world: len(list(world.steps()))),
    ("digest", lambda world: world.digest()),
    ("lines", lambda world: world.lines()),
    ("text", str),
    ("repr", repr),
    ("repr of a node", lambda world: repr(world["s"])),
    ("hash", hash),
    ("equality", lambda world: world == FIRST),
]
FIRST = busy()
looks = pytest.mark.parametrize("look", [look for _, look in LOOKS], ids=[n for n, _ in LOOKS])


@looks
def test_a_property_is_judged_again_wherever_what_it_looks_at_differs(
    look: Callable[[World], Any],
) -> None:
    first = look(busy())

    @always(busy)
    def stays_the_same(world: World) -> bool:
        return bool(look(world) == first)

    # By the definition: look at every world within some steps, with nothing remembered.
    layer, differs = [busy()], False
    for _ in range(5):
        layer = list({after for world in layer for _, after in world.steps()})
        differs = differs or any(look(world) != first for world in layer)

    assert differs
    assert check(stays_the_same, max_depth=6, history=True).broken


def test_a_step_property_is_judged_again_wherever_either_world_differs() -> None:
    @step_always(chain)
    def never_comes_to_rest(before: World, after: World) -> bool:
        return not after.is_quiescent

    @step_always(chain)
    def never_leaves_two(before: World, after: World) -> bool:
        return before["n"].count != 2

    report = explore(chain, never_comes_to_rest, never_leaves_two)
    assert report[never_comes_to_rest].broken
    assert report[never_leaves_two].broken


def test_a_step_there_and_the_step_back_are_two_steps() -> None:
    @step_always(ring)
    def never_back_to_the_start(before: World, after: World) -> bool:
        return bool(before["n"].place == 0 or after["n"].place != 0)

    assert len(check(never_back_to_the_start).schedule) == 2  # type: ignore[attr-defined,arg-type]


def test_what_is_read_next_may_depend_on_what_was_read_before() -> None:
    calls = []

    @always(busy)
    def guarded(world: World) -> bool:
        calls.append(1)
        if not world["s"].asked:
            return True
        return "tick" not in world["s"].timers

    verdict = check(guarded)
    assert verdict.broken
    assert len(calls) <= 6


def test_a_property_runs_once_for_each_combination_of_what_it_reads() -> None:
    seen: list[int] = []

    @always(lambda: chain(50))
    def counted(world: World) -> bool:
        seen.append(world["n"].count)
        return True

    report = explore(counted.scenario, counted)
    assert report[counted].holds
    assert sorted(seen) == list(range(51))
    assert report.evaluations == 51


def test_a_property_that_reads_nothing_runs_once() -> None:
    @always(chain)
    def true(world: World) -> bool:
        return True

    assert explore(chain, true).evaluations == 1


def test_a_property_that_changes_what_it_read_changes_a_copy() -> None:
    @always(busy)
    def vandal(world: World) -> bool:
        world["s"].log.append("x")
        world.faults_left.clear()
        list(world.in_flight).clear()
        return "x" not in world["s"].log

    kept = explore(busy, vandal)
    assert kept[vandal].holds
    assert kept.worlds == explore(busy).worlds


def test_a_property_that_depends_on_more_than_its_world_is_caught() -> None:
    turns = iter(range(100))

    def fickle(world: World) -> None:
        names = ["count", "limit"] if next(turns) % 2 else ["limit", "count"]
        _ = [getattr(world["n"], name) for name in names]

    remembered = Remembered("fickle", fickle)
    remembered(chain(3))
    with pytest.raises(PropertyError, match="property fickle read other parts"):
        remembered(chain(4).step("act n up"))


def test_an_inbox_is_compared_in_order_on_an_ordered_network() -> None:
    class Sender(Node):
        sent: tuple[int, ...] = ()

        @action(when=lambda self: len(self.sent) < 2)
        def send(self, host: Host) -> None:
            number = host.choose([n for n in (1, 2) if n not in self.sent])
            self.sent += (number,)
            host.send("r", Ping(number))

    class Receiver(Node):
        @on(Ping)
        def ping(self, host: Host, sender: str, ping: Ping) -> None: ...

    @always(lambda: World.of(Sender("s"), Receiver("r"), network=ordered()))
    def rising(world: World) -> bool:
        values = [sent.message.value for sent in world.in_flight]
        return values == sorted(values)

    assert check(rising).broken
