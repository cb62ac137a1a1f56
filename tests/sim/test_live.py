"""Live nodes: timers, crashes, pauses, actions; and that handlers see what they see in a search."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from happysim import (
    Crash,
    HandlerRaised,
    Host,
    Node,
    Pause,
    ProtocolError,
    ScenarioError,
    Script,
    Simulation,
    World,
    action,
    at,
    call,
    durable,
    message,
    on,
)
from happysim.sim.agenda import NS
from tests.sim.models import Alarm, Ask, Counter, Tick, asking, ticking

ROOT = Path(__file__).resolve().parents[2]


def test_a_timer_rings_once_after_its_delay() -> None:
    simulation = Simulation(World.of(Alarm("a"))).run(10)
    assert simulation.world["a"].rang == [NS]


class Resetting(Node):
    """Sets one timer anew each second, twice, and another that it cancels."""

    rang: list[int] = []

    def on_start(self, host: Host) -> None:
        host.set_timer("again", seconds=1)
        host.set_timer("late", seconds=1.5)
        host.set_timer("never", seconds=0.5)
        host.cancel_timer("never")

    @on.timer("again")
    def again(self, host: Host) -> None:
        if host.now < 3 * NS:
            host.set_timer("again", seconds=1)
            host.set_timer("late", seconds=1.5)

    @on.timer("late", "never")
    def late(self, host: Host) -> None:
        self.rang.append(host.now)


def test_a_timer_set_anew_rings_at_the_new_time_only_and_a_cancelled_one_never() -> None:
    simulation = Simulation(World.of(Resetting("r"))).run(20)
    assert simulation.world["r"].rang == [int(3.5 * NS)]


def test_a_range_of_seconds_is_drawn_from_by_the_nodes_own_stream() -> None:
    class Ranged(Alarm):
        def on_start(self, host: Host) -> None:
            host.set_timer("ring", seconds=(1.5, 3.0))

    def rang(seed: int, *others: Node) -> int:
        simulation = Simulation(World.of(Ranged("a"), *others), seed=seed).run(10)
        (found,) = simulation.world["a"].rang
        return found

    found = [rang(seed) for seed in range(40)]
    assert len(set(found)) == 40
    assert all(1.5 * NS <= each <= 3 * NS for each in found)
    # Another node takes nothing from it.
    assert found[:5] == [rang(seed, Ranged("b")) for seed in range(5)]


def test_a_crash_takes_timers_and_fields_that_are_not_durable() -> None:
    simulation = Simulation(ticking(), faults=[at(3.5, Crash("n1"), lasting=1.0)]).run(20)
    counter = simulation.world["n1"]
    # The tick of 4 s finds nobody.
    assert (counter.seen, counter.total) == ([5], 4)
    assert simulation.summary().links["source", "n1"].missed == 1


def test_a_node_restarts_with_on_start() -> None:
    simulation = Simulation(World.of(Alarm("a")), faults=[at(0.5, Crash("a"), lasting=2.0)]).run(10)
    assert simulation.world["a"].rang == [int(3.5 * NS)]


def test_every_timer_of_a_paused_node_rings_late_and_none_is_lost() -> None:
    simulation = Simulation(World.of(Alarm("a")), faults=[at(0.5, Pause("a"), lasting=2.0)]).run(10)
    assert simulation.world["a"].rang == [int(2.5 * NS)]


def test_what_arrives_at_a_paused_node_waits_in_order() -> None:
    simulation = Simulation(ticking(), faults=[at(1.5, Pause("n1"), lasting=2.7)])
    simulation.run_until(4.1)
    assert simulation.world["n1"].seen == [1]
    simulation.run_until(4.2)
    assert simulation.world["n1"].seen == [1, 2, 3, 4]


def test_a_node_that_crashes_while_paused_comes_back_awake() -> None:
    faults = [at(1.5, Pause("n1"), lasting=10.0), at(2.5, Crash("n1"), lasting=1.0)]
    simulation = Simulation(ticking(), faults=faults).run(8)
    assert simulation.world["n1"].seen == [4, 5]


class Builder(Node):
    """Acts while it has fewer than three parts."""

    parts: list[int] = []

    @action(when=lambda self: len(self.parts) < 3)
    def build(self, host: Host) -> None:
        self.parts.append(host.now)


def test_an_action_is_taken_within_a_second_as_long_as_its_guard_holds() -> None:
    simulation = Simulation(World.of(Builder("b"))).run(60)
    parts = simulation.world["b"].parts
    assert len(parts) == 3
    assert all(0 < two - one <= NS for one, two in zip([0, *parts], parts, strict=False))


def test_a_client_asks_again_as_soon_as_it_has_its_answer() -> None:
    simulation = Simulation(asking())
    simulation.run_until(0.49)
    assert [call.done for call in simulation.world.history.calls] == [False]
    simulation.run_until(0.5)
    assert [call.done for call in simulation.world.history.calls] == [True, False]


@message
class Names:
    names: frozenset[str]


class Gatherer(Node):
    """Holds sets in every way there is, and writes down the order in which it sees them."""

    names: set[str] = set()
    nested: dict[str, set[str]] = {}
    anything: Any = None
    order: list[str] = []

    def on_start(self, host: Host) -> None:
        if self.name == "g1":
            host.send("g2", Names(frozenset("zyxwvu")))
            host.set_timer("look")

    @on(Names)
    def take(self, host: Host, sender: str, message: Names) -> None:
        self.names = {name * 2 for name in message.names}
        self.nested["a"] = {name * 3 for name in message.names}
        self.anything = [frozenset(name * 4 for name in message.names)]
        self.order = list(message.names)
        host.set_timer("look")

    @on.timer("look")
    def look(self, host: Host) -> None:
        self.order += [*self.names, *self.nested.get("a", ())]
        for each in self.anything or ():
            self.order += list(each)


def test_sets_iterate_in_order_of_content_wherever_they_are() -> None:
    simulation = Simulation(World.of(Gatherer("g1"), Gatherer("g2"))).run(10)
    found = simulation.world["g2"].order
    assert found == [letter * times for times in (1, 2, 3, 4) for letter in "uvwxyz"]


class Repeater(Node):
    """Says the same again and again, or writes down what it hears."""

    heard: list[str] = []

    def on_start(self, host: Host) -> None:
        if self.name == "r1":
            host.set_timer("say")

    @on.timer("say")
    def say(self, host: Host) -> None:
        host.send("r2", Names(frozenset("zyxwvu")))
        host.set_timer("say")

    @on(Names)
    def hear(self, host: Host, sender: str, message: Names) -> None:
        self.heard.append("".join(message.names))


def test_what_is_sent_where_its_kind_was_sent_before_is_looked_at_all_the_same() -> None:
    simulation = Simulation(World.of(Repeater("r1"), Repeater("r2"))).run(10)
    heard = simulation.world["r2"].heard
    assert len(heard) > 6
    assert set(heard) == {"uvwxyz"}


@pytest.mark.parametrize("seed", ["0", "1", "4242"])
def test_a_run_is_the_same_under_every_hash_seed(seed: str) -> None:
    program = (
        "from tests.sim.test_live import Gatherer\n"
        "from happysim import Simulation, World\n"
        "s = Simulation(World.of(Gatherer('g1'), Gatherer('g2')), seed=3, trace=True).run(10)\n"
        "print(*((each.at, str(each)) for each in s.schedule), s.world.lines())\n"
    )
    environment = {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT), "PATH": ""}
    run = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    simulation = Simulation(World.of(Gatherer("g1"), Gatherer("g2")), seed=3, trace=True).run(10)
    own = " ".join(str((each.at, str(each))) for each in simulation.schedule)
    assert run.stdout.strip() == f"{own} {simulation.world.lines()}"


@message
class Bad:
    what: Any


def sending(what: Any) -> type[Node]:
    class Sender(Node):
        def on_start(self, host: Host) -> None:
            host.set_timer("go")

        @on.timer("go")
        def go(self, host: Host) -> None:
            host.send(*what)

        @on(Bad)
        def bad(self, host: Host, sender: str, message: Bad) -> None: ...

    return Sender


@pytest.mark.parametrize(
    ("what", "says"),
    [
        (("nobody", Bad(1)), "there is no node 'nobody'"),
        (("b", Tick(1)), "no handler for Tick"),
        (("b", Bad([1])), "mutable"),
        (("b", Bad(lambda: 1)), "no content"),
    ],
)
def test_what_a_search_refuses_to_send_is_refused_in_time(what: Any, says: str) -> None:
    kind = sending(what)
    simulation = Simulation(World.of(kind("a"), kind("b")))
    with pytest.raises(ProtocolError, match=says):
        simulation.run(5)


class Careless(Node):
    """Gives away, as an operation, as its result or as an answer, what it could change later."""

    wrong: str

    @on(Ask)
    def ask(self, host: Host, sender: str, ask: Ask) -> None:
        getattr(host, self.wrong)([1])


@pytest.mark.parametrize(
    ("wrong", "what"), [("invoke", "operation"), ("complete", "result"), ("respond", "answer")]
)
def test_what_could_still_be_changed_is_refused_in_a_history(wrong: str, what: str) -> None:
    world = World.of(Careless("n1", wrong), Script("c", lambda: (yield call("n1", Ask()))))
    with pytest.raises(ProtocolError, match=f"the {what} is a mutable list"):
        Simulation(world).run(5)


class Failing(Node):
    def on_start(self, host: Host) -> None:
        host.set_timer("go")

    @on.timer("go")
    def go(self, host: Host) -> None:
        raise ValueError("no more")


def test_a_handler_that_raises_ends_the_run_and_says_where() -> None:
    simulation = Simulation(World.of(Failing("f")))
    with pytest.raises(HandlerRaised, match=r"at 1 s: Failing.go on f raised ValueError: no more"):
        simulation.run(5)


def test_a_host_is_of_no_use_between_handlers() -> None:
    kept = []

    class Keeping(Alarm):
        @on.timer("ring")
        def ring(self, host: Host) -> None:
            kept.append(host)

    Simulation(World.of(Keeping("k"))).run(5)
    with pytest.raises(ProtocolError, match="after its handler has returned"):
        kept[0].set_timer("ring")


@pytest.mark.parametrize(
    ("use", "says"),
    [
        (lambda simulation: simulation.run(-1), "not before the start"),
        (lambda simulation: simulation.run(float("inf")), "finite"),
        (lambda simulation: simulation.run("1"), "number of seconds"),
        (lambda simulation: simulation.run_until(0.5), "only goes on"),
        (lambda simulation: simulation.crash("x"), "no node 'x'"),
        (lambda simulation: simulation.schedule, "trace=True"),
        (lambda simulation: Simulation("world"), "give it a World"),
    ],
)
def test_bad_use_is_refused(use: Any, says: str) -> None:
    simulation = Simulation(World.of(Alarm("a"))).run(1)
    with pytest.raises(ScenarioError, match=says):
        use(simulation)


def test_a_step_is_one_event_and_a_predicate_stops_the_run() -> None:
    simulation = Simulation(ticking())
    assert simulation.run_until(lambda world: len(world["n1"].seen) == 3)
    assert simulation.seconds == "3.01"
    assert simulation.step()
    assert not simulation.run_until(lambda world: False, within=100)
    assert simulation.is_over
    assert not simulation.step()


class Client(Node):
    """A node that is a client: it records its own history."""

    answer: int | None = durable(default=None)

    def on_start(self, host: Host) -> None:
        host.invoke(Ask())
        host.set_timer("done")

    @on.timer("done")
    def done(self, host: Host) -> None:
        self.answer = 1
        host.complete(1)


def test_a_world_in_mid_run_goes_on_with_its_timers_and_messages() -> None:
    """Its timers are set anew with the delay that they were last given."""
    world = World.of(Counter("n1"), Client("c"), Script("s", lambda: (yield call("n1", Ask()))))
    later = world.after("invoke s -> n1 Ask() as call 1")
    simulation = Simulation(later)
    simulation.run_until(0.9)
    assert [each.done for each in simulation.world.history.calls] == [False, True]
    simulation.run_until(1.0)
    assert simulation.world["c"].answer == 1
