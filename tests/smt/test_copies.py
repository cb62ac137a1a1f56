"""Counting copies: a closure ends where a plain one does not, and leaves no run out."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from happysim import Broken, bfs, check, explore, smt
from happysim.smt.boxes import TooLargeError
from happysim.smt.closure import close
from happysim.smt.copies import close_counting, counts_copies
from properties import lock
from properties.broken.lock import stale_writers_are_trusted
from tests.smt.random_protocols import properties

FENCED = lock.the_store_is_written_in_order_of_tokens


def no_plain_closure(*_: Any, rounds: float = 0.0, **__: Any) -> Any:
    raise TooLargeError("not here")


@pytest.mark.parametrize("network", ["unordered", "ordered"])
def test_random_protocols_are_judged_as_by_exhaustive_search(
    network: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["happysim.smt.prove"], "close", no_plain_closure)
    decided = 0
    for seed in range(400, 440):
        judged = properties(seed, network)
        searched = explore(judged[0].scenario, *judged, by=bfs())
        solved = explore(judged[0].scenario, *judged, by=smt())
        raises = any(v.broken for p, v in searched.verdicts.items() if p not in judged)
        for prop in judged:
            verdict, expected = solved[prop], searched[prop]
            if verdict.unknown or (expected.unknown and raises):
                continue
            decided += 1
            assert type(verdict) is type(expected), (seed, prop.name, verdict, expected)
            if isinstance(verdict, Broken) and verdict.shortest and verdict.schedule is not None:
                assert len(verdict.schedule) == len(expected.schedule)
    assert decided >= 120


@pytest.mark.parametrize("network", ["unordered", "ordered"])
def test_every_local_state_of_an_exhaustive_search_is_in_the_closure(network: str) -> None:
    """Of all worlds within some depth, taken one step at a time."""
    for seed in range(60):
        start = next(iter(properties(seed, network)[0].scenario.worlds.values()))
        assert counts_copies(start)
        closure = close_counting(start)
        space = [set(states) for states in closure.space]
        seen, waiting = {start.numbers}, [start]
        while waiting and len(seen) < 400:
            for _, world in waiting.pop().steps():
                if world.numbers not in seen:
                    seen.add(world.numbers)
                    waiting.append(world)
                    for slot, states in enumerate(space):
                        assert world.state_number(slot) in states, seed


def test_a_lock_without_a_bound_on_its_tokens_is_decided() -> None:
    assert str(check(FENCED.over(lock.two_workers), by=smt())) == "Holds (proved)"
    broken = FENCED.over(stale_writers_are_trusted)
    solved, searched = check(broken, by=smt()), check(broken, by=bfs())
    assert isinstance(solved, Broken)
    assert isinstance(searched, Broken)
    assert solved.shortest
    assert len(solved.schedule) == len(searched.schedule)


def test_a_closure_that_counts_ends_where_a_plain_one_does_not() -> None:
    world = lock.two_workers()
    with pytest.raises(TooLargeError):
        close(world, effects_max=10_000)
    closure = close_counting(world, effects_max=10_000)
    assert closure.sizes[0] < 300


def test_a_network_that_copies_at_will_is_not_counted() -> None:
    assert counts_copies(lock.two_workers("unordered"))
    assert not counts_copies(lock.two_workers("duplicating"))
