"""How well shrinking works: how small the results are, and how much work it takes.

Work is counted in choices that were followed again, so that it is the same on every machine.
"""

from __future__ import annotations

import sys
from typing import Any

import pytest

from happysim import (
    Broken,
    Choice,
    Faults,
    Host,
    Node,
    Property,
    World,
    action,
    always,
    bfs,
    check,
    message,
    on,
    shrink,
    uniform,
)
from happysim.core.prng import Random
from happysim.search.schedule import first_world, follow
from happysim.search.shrink import measure
from properties.broken import crdt, lock, raft

# -- mistakes found at random --------------------------------------------------------------------

MISTAKES = [
    lock.a_stale_write_is_accepted,
    lock.an_old_release_frees_the_next_holders_lock,
    lock.two_clients_hold_under_one_token,
    crdt.an_element_added_again_is_lost,
    crdt.three_increments_count_as_two,
    raft.stale_tail_counted,
    raft.stale_tail_counted_and_lost,
]


@pytest.mark.parametrize("prop", MISTAKES, ids=lambda prop: prop.name)
def test_a_mistake_found_at_random_shrinks_to_what_a_full_search_finds(prop: Property) -> None:
    best = check(prop, by=bfs())
    assert isinstance(best, Broken)
    found = [check(prop, by=uniform(seed, runs=300, steps=60)) for seed in range(6)]
    broken = [each for each in found if isinstance(each, Broken)]
    assert len(broken) > 1
    assert max(length(each) for each in broken) > length(best)
    assert {length(shrink(each)) for each in broken} == {length(best)}
    # Without looking for a shorter one exhaustively: a bound in the way may leave a step or three.
    assert max(length(shrink(each, prove_worlds=0)) for each in broken) <= length(best) * 5 // 4


def length(broken: Broken) -> int:
    assert broken.schedule is not None
    return len(broken.schedule)


# -- long runs, most of them noise ---------------------------------------------------------------


@message
class Get: ...


@message
class Value:
    number: int


@message
class Put:
    number: int


@message
class Chat:
    mood: int


class Counter(Node):
    number: int = 0
    puts: int = 0

    @on(Get)
    def get(self, host: Host, sender: str, request: Get) -> None:
        host.reply(Value(self.number))

    @on(Put)
    def put(self, host: Host, sender: str, request: Put) -> None:
        self.number = request.number
        self.puts += 1


class Adder(Node):
    amount: int

    def on_start(self, host: Host) -> None:
        host.send("counter", Get())

    @on(Value)
    def add(self, host: Host, sender: str, answer: Value) -> None:
        host.reply(Put(answer.number + self.amount))


class Chatter(Node):
    """Talks and listens for ever, and has nothing to do with the rest."""

    mood: int = 0
    heard: int = 0

    @action
    def talk(self, host: Host) -> None:
        host.broadcast(Chat(self.mood))

    @on(Chat)
    def listen(self, host: Host, sender: str, chat: Chat) -> None:
        self.mood = (self.mood + chat.mood + 1) % 3
        self.heard += 1


def adding(chatters: int) -> World:
    names = [f"z{number}" for number in range(chatters)]
    return World.of(
        Counter("counter"),
        *[Adder(name, amount) for name, amount in (("a", 1), ("b", 2))],
        *[Chatter(name) for name in names],
        faults=Faults(crashes=9, duplicates=9, crashable=tuple(names)),
    )


@always(adding, chatters=14)
def no_addition_is_lost(world: World) -> bool:
    return world["counter"].puts < 2 or world["counter"].number == 3


@always(adding, chatters=3)
def little_is_heard(world: World) -> bool:
    """Takes a long counterexample, whatever one leaves out."""
    return sum(node.heard for node in world.nodes(Chatter)) < 40


def long_run(prop: Property, seed: int) -> Broken:
    """A run of random choices until a property is broken, or for 999 choices."""
    random = Random(seed, "noise")
    world, schedule = first_world(prop.scenario, ""), []
    for _ in range(999):
        choice, slot, move = random.choice(list(world.enabled()))
        schedule.append(choice)
        world = world.take(choice, slot, move)
    run = follow(first_world(prop.scenario, ""), schedule, prop)
    assert run.wrong is not None
    return Broken(prop, schedule=run.schedule)


@pytest.fixture
def followed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Choice, ...]]:
    """The schedules that shrinking follows."""
    found = []

    def counted(*asked: Any, **options: Any) -> Any:
        run = follow(*asked, **options)
        found.append(run.schedule)
        return run

    monkeypatch.setattr(sys.modules["happysim.search.shrink"], "follow", counted)
    return found


@pytest.mark.parametrize("seed", [0, 5])
def test_six_choices_are_found_among_hundreds(
    seed: int, followed: list[tuple[Choice, ...]]
) -> None:
    broken = long_run(no_addition_is_lost, seed)
    assert length(broken) > 150
    # Two requests, two answers, two writes.
    assert measure(shrink(broken, prove_worlds=0).schedule or ())[:2] == (0, 6)
    assert sum(map(len, followed)) < 12 * length(broken)


@pytest.mark.parametrize("seed", [0, 4])
def test_a_long_counterexample_takes_no_more_than_a_second_or_so(
    seed: int, followed: list[tuple[Choice, ...]]
) -> None:
    broken = long_run(little_is_heard, seed)
    # Two words are heard for each that is said, and 40 in all; what is left over is mood.
    assert length(shrink(broken, prove_worlds=0)) < 70
    # Some 20,000 choices a second. Trying each move of each choice took ten times as many.
    assert sum(map(len, followed)) < 25_000
