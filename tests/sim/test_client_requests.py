"""A client script in virtual time times out, sleeps and posts; a search takes the same steps."""

from __future__ import annotations

from typing import Any

import pytest

from happysim import (
    Link,
    Network,
    Script,
    World,
    call,
    constant,
    duplicating,
    ordered,
    post,
    sleep,
    unordered,
)
from happysim.core.told import find, is_idle
from happysim.sim.simulation import Simulation
from tests.support.grants import Release, Server
from tests.support.nodes import Ping

S = 1_000_000_000


def client() -> Any:
    while not (grant := (yield call("s", Ping(), timeout=1.5))):
        yield sleep((1, 2))
    yield sleep(1)
    grant.release()
    yield post("s", Release(0))
    yield grant.release()


def world_of(latency: float, **options: Any) -> World:
    network = Network(default=Link(constant(latency)), **options)
    return World.of(Server("s"), Script("c", client), network=network)


def steps(run: Simulation) -> list[tuple[float, str]]:
    """Each step with its second."""
    return [((each.at or 0) / S, str(each)) for each in run.schedule]


def test_an_answer_in_time_leaves_the_timeout_without_effect() -> None:
    run = Simulation(world_of(0.25), trace=True).run(10)
    assert steps(run) == [
        (0, "invoke c -> s Ping(value=0) as call 1"),
        (0.25, "deliver c -> s Ping(value=0) as call 1"),
        (0.5, "deliver s -> c answer Grant(token=1) to call 1"),
        (1.5, "fire c sleep"),
        (1.5, "invoke c -> s Release(token=0)"),
        (1.5, "invoke c -> s Release(token=1) as call 2"),
        (1.75, "deliver c -> s Release(token=1)"),
        (1.75, "deliver c -> s Release(token=0)"),
        (1.75, "deliver c -> s Release(token=1) as call 2"),
        (2, "deliver s -> c answer 'released' to call 2"),
    ]
    assert run.is_quiescent


def test_an_answer_too_late_is_ignored_and_the_call_stays_open() -> None:
    run = Simulation(world_of(1), trace=True)
    assert run.run_until(lambda world: bool(world["s"].token == 2))
    first, then = run.world.history.calls
    assert (first.client, first.done, then.client, then.done) == ("c", False, "c~1", False)
    taken = [text for _, text in steps(run)]
    assert taken.count("fire c timeout") == taken.count("fire c sleep") == 1


def test_a_timeout_that_can_no_longer_fire_keeps_no_run_from_being_quiescent() -> None:
    def once() -> Any:
        yield call("s", Ping(), timeout=100)

    world = World.of(Server("s"), Script("c", once), network=Network(default=Link(constant(1))))
    run = Simulation(world)
    assert [run.run(1.5).is_quiescent, run.run(1.5).is_quiescent] == [False, True]


def test_a_sleep_is_drawn_from_its_range_by_the_seed() -> None:
    def woken(seed: int) -> float:
        run = Simulation(world_of(1), seed=seed, trace=True).run(4)
        (at,) = [at for at, text in steps(run) if text == "fire c sleep"]
        return at

    times = [woken(seed) for seed in range(5)]
    assert times == [woken(seed) for seed in range(5)]
    assert len(set(times)) == 5
    assert all(2.5 <= time <= 3.5 for time in times)


@pytest.mark.parametrize("delivery", [unordered(), ordered(), duplicating()], ids=lambda d: d.kind)
@pytest.mark.parametrize("latency", [0.25, 0.7, 1, 3])
def test_the_schedule_of_a_run_replays_in_a_search_step_by_step(
    delivery: Any, latency: float
) -> None:
    first = world_of(latency, delivery=delivery)
    run = Simulation(first, trace=True).run(10)
    world = first
    for choice in run.schedule:
        # An answer that comes too late changes nothing, and so is no choice of a search.
        if delivery is ordered() or not is_idle(world, choice) or find(world, choice):
            world = world.step(choice)
    assert world["s"].released == run.world["s"].released
    assert world.history == run.world.history


def test_a_world_in_mid_run_goes_on_with_its_timeout() -> None:
    world = world_of(1).after("invoke c -> s Ping(value=0) as call 1")
    run = Simulation(world, trace=True).run(2)
    assert (1.5, "fire c timeout") in steps(run)
