"""Fingerprints: the same search in less memory, and a verdict that says what they may leave out."""

from __future__ import annotations

from typing import Any

import pytest

from happysim import ScenarioError, World, always, bfs, check, dfs, explore, reachable
from happysim.kernel.switch import VARIABLE, kernel
from happysim.search.judge import PropertyJudge
from happysim.search.policy import Memory, Policy
from tests.kernel.test_kernels_agree import Plan, kernel_named
from tests.oracles.models import paxos, two_phase
from tests.support.kernels import needs_native

FINGERPRINTS: list[Memory] = ["fingerprint", "fingerprint without traces"]


@pytest.fixture(name="kernel", scope="module", autouse=True)
def native_kernel() -> None:
    """These tests name their kernel themselves."""


@pytest.fixture
def native(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "native")


def policies(memory: Memory) -> list[Policy]:
    return [bfs(memory), dfs(memory)]


@needs_native
@pytest.mark.parametrize("memory", FINGERPRINTS)
def test_the_worlds_are_the_same(native: None, memory: Memory) -> None:
    for policy in policies(memory):
        # Depth counts differ between the policies, so each is compared with its own exact search.
        exact = explore(paxos.paxos, by=type(policy)())
        found = explore(paxos.paxos, by=policy)
        assert (found.worlds, found.steps, found.depth) == (exact.worlds, exact.steps, exact.depth)


@needs_native
@pytest.mark.parametrize("memory", FINGERPRINTS)
def test_a_counterexample_has_its_trace(native: None, memory: Memory) -> None:
    @always(two_phase.messages)
    def nobody_commits(world: Any) -> bool:
        return world["rm2"].state != "committed"

    for policy in policies(memory):
        exact, found = check(nobody_commits, by=type(policy)()), check(nobody_commits, by=policy)
        assert found.broken
        assert found == exact


@needs_native
def test_a_verdict_says_with_what_probability_a_world_was_left_out(native: None) -> None:
    holds = check(two_phase.managers_agree, by=bfs("fingerprint"))
    # 288 ** 2 / 2 ** 65
    assert str(holds) == (
        "Holds (exhaustive within 64-bit fingerprints "
        "(some world of 288 left out: probability 2.2e-15))"
    )

    @reachable(two_phase.messages)
    def impossible(world: Any) -> bool:
        return False

    assert "no world of 288 satisfies it, within 64-bit" in str(
        check(impossible, by=bfs("fingerprint"))
    )


def test_the_reference_kernel_is_exact_whatever_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "reference")
    holds = check(two_phase.managers_agree, by=bfs("fingerprint without traces"))
    assert str(holds) == "Holds (exhaustive)"


def bytes_a_world(world: World, history: bool, **plan: Any) -> float:
    judge = PropertyJudge(world.tables, [], None, history)
    starts = [world.numbers if history else (*world.numbers[:-1], 0)]
    found = kernel().explore(world.tables, starts, judge, Plan(histories=history, **plan))
    return float(found.path.__self__.bytes / found.worlds)


@needs_native
def test_a_world_takes_24_bytes_at_most_and_12_without_its_trace(native: None) -> None:
    # From 8,832 worlds on to 296,448.
    for managers in (5, 6, 7):
        world = two_phase.messages(managers)
        assert bytes_a_world(world, False, fingerprints=True) <= 24
        assert bytes_a_world(world, False, fingerprints=True, traces=False) <= 12
    world = paxos.paxos()
    assert bytes_a_world(world, True, fingerprints=True) <= 24
    assert bytes_a_world(world, True, fingerprints=True, traces=False) <= 12


@needs_native
@pytest.mark.parametrize("threads", [2, 3])
def test_fingerprints_do_not_depend_on_the_number_of_threads(threads: int) -> None:
    native = kernel_named("native")
    world = paxos.paxos()
    judge = PropertyJudge(world.tables, [], None, True)

    def paths(threads: int) -> Any:
        plan = Plan(fingerprints=True, threads=threads)
        found = native.explore(world.tables, [world.numbers], judge, plan)
        return found.worlds, [found.path(at) for at in range(0, found.worlds, 97)]

    assert paths(threads) == paths(1)


@pytest.mark.parametrize("policy", [bfs, dfs])
def test_another_word_is_refused(policy: Any) -> None:
    with pytest.raises(ScenarioError, match="write one of 'exact', 'fingerprint', 'fingerprint w"):
        policy("hash")
