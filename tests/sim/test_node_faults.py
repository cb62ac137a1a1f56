"""Faults of one node: drawn or named, slow or paused, refused where they make no sense."""

from __future__ import annotations

import pytest

from happysim.core.errors import ScenarioError
from happysim.core.host import Host
from happysim.core.message import message
from happysim.core.node import Node, on
from happysim.core.world import World
from happysim.sim.faults import Fault
from happysim.sim.nemesis import at, randomly
from happysim.sim.node_faults import Crash, Drift, FreezeClock, Jump, Pause, Skew, Slow
from happysim.sim.simulation import Simulation
from tests.support.watch import Watch, beats


@pytest.mark.parametrize("fault", [Skew(), Drift(), Jump(), FreezeClock(), Slow(), Pause()])
def test_a_fault_without_a_name_is_drawn_and_the_run_is_the_same_again(fault: Fault) -> None:
    def run(seed: int) -> list[str]:
        world = World.of(Watch("n1"), Watch("n2"))
        often = [randomly(fault, every=3, lasting=2)]
        done = Simulation(world, seed=seed, faults=often, trace=True).run(60)
        return [str(each) for each in done.schedule]

    assert run(1) == run(1) != run(2)
    assert any(" n1 " in line + " " and "fire" not in line for line in run(1))
    assert any(" n2 " in line + " " and "fire" not in line for line in run(1))


def test_a_run_under_clock_faults_replays_without_time() -> None:
    faults = [randomly(Skew(), every=2, lasting=2), randomly(Slow(), every=2, lasting=2)]
    world = World.of(Watch("n1"), Watch("n2"))
    simulation = Simulation(world, seed=3, faults=faults, trace=True).run(20)
    steps = [each for each in simulation.schedule if not each.kind.is_timed]
    assert world.after(*steps)["n1"].seen == simulation.world["n1"].seen


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        (Skew("n9"), "there is no node 'n9'"),
        (Drift("n1", -1), "a clock loses less than a second a second"),
        (Slow("n1", -0.1), "is less than 0"),
        (Jump("n1", (2.0, 1.0)), "is no amount; give a number, or a range"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused_at_once(fault: Fault, complaint: str) -> None:
    with pytest.raises(ScenarioError, match=complaint):
        Simulation(World.of(Watch("n1")), faults=[at(1, fault)])


def test_drifts_that_together_would_turn_a_clock_back_are_refused() -> None:
    two = [at(1, Drift("n1", -0.6)), at(2, Drift("n1", -0.6))]
    with pytest.raises(ScenarioError, match="would gain -6/5 seconds a second"):
        Simulation(World.of(Watch("n1")), faults=two).run(3)


# -- slow and paused nodes -----------------------------------------------------------------------


@message
class Tick:
    number: int


class Worker(Node):
    """Notes when it handled what, and answers."""

    done: list[tuple[int, int]] = []

    def on_start(self, host: Host) -> None:
        host.set_timer("late", seconds=0.15)

    @on(Tick)
    def work(self, host: Host, sender: str, tick: Tick) -> None:
        self.done.append((host.now // 1_000_000, tick.number))
        host.send(sender, tick)

    @on.timer("late")
    def late(self, host: Host) -> None:
        self.done.append((host.now // 1_000_000, -1))


class Asker(Node):
    """Sends three ticks at 100 ms, and notes when each came back."""

    answers: list[tuple[int, int]] = []

    def on_start(self, host: Host) -> None:
        host.set_timer("go", seconds=0.1)

    @on.timer("go")
    def go(self, host: Host) -> None:
        for number in range(3):
            host.send("worker", Tick(number))

    @on(Tick)
    def answered(self, host: Host, sender: str, tick: Tick) -> None:
        self.answers.append((host.now // 1_000_000, tick.number))


def asked(*faults: object, seconds: float = 2) -> Simulation:
    world = World.of(Worker("worker"), Asker("asker"))
    return Simulation(world, faults=faults, trace=True).run(seconds)  # type: ignore[arg-type]


def test_a_slow_node_handles_one_thing_after_another_and_answers_when_it_is_done() -> None:
    world = asked(at(0.05, Slow("worker", 0.1))).world
    plain = asked().world
    order = [number for _, number in plain["worker"].done if number >= 0]
    first = min(time for time, number in plain["worker"].done if number >= 0)
    # Each starts when the one before is done; the timer of 150 ms waits for its turn.
    started = {number: time for time, number in world["worker"].done}
    assert [started[number] for number in order] == pytest.approx(
        [first, first + 100, first + 200 + (100 if started[-1] < started[order[2]] else 0)], abs=1
    )
    assert started[-1] > 190
    delay = plain["asker"].answers[0][0] - plain["worker"].done[0][0]
    answers = {number: time for time, number in world["asker"].answers}
    for number in order:
        assert started[number] + 100 <= answers[number] <= started[number] + 102 + delay


def test_every_timer_of_a_slow_node_rings_late_and_none_is_lost() -> None:
    _, times = beats(at(0.5, Slow("n1", 1.7)), seconds=12)
    # Each beat takes 1.7 s and the next is set at its start.
    assert times == pytest.approx([1, 2.7, 4.4, 6.1, 7.8, 9.5, 11.2])


def test_a_node_that_was_paused_rings_every_timer_late_and_takes_all_that_came() -> None:
    simulation = asked(at(0.05, Pause("worker"), lasting=1))
    done = simulation.world["worker"].done
    assert {time for time, _ in done} == {1050}
    # What came first is first: the ticks had arrived before the timer was due.
    *arrived, due = [number for _, number in done]
    assert (sorted(arrived), due) == ([0, 1, 2], -1)


def test_a_timer_that_was_due_when_its_node_crashed_in_a_pause_can_be_set_again() -> None:
    faults = [at(0.5, Pause("n1")), at(1.5, Crash("n1"), lasting=0.5)]
    assert beats(*faults, seconds=5)[1] == [3, 4, 5]


def test_a_slow_node_that_crashes_in_a_handler_starts_afresh() -> None:
    faults = [at(0.05, Slow("n1", 3.0), lasting=1), at(1.5, Crash("n1"), lasting=1)]
    _, times = beats(*faults, seconds=6)
    assert times == [1, 3.5, 4.5, 5.5]
