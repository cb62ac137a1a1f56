"""What only the native kernel has to get right: memory it does not get, and Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from happysim import Host, Node, World, action, always, explore
from happysim.core.choice import Choice, Kind
from happysim.core.entries import Effect
from happysim.kernel import contract, reference, switch
from happysim.kernel.switch import VARIABLE, kernel
from tests.support.kernels import needs_native

ROOT = Path(__file__).resolve().parents[2]


class Dial(Node):
    turns: int
    at: int = 0

    @action
    def turn(self, host: Host) -> None:
        self.at = (self.at + 1) % self.turns


def dials(count: int, turns: int) -> World:
    return World.of(*(Dial(f"d{number}", turns) for number in range(count)))


@pytest.fixture(name="kernel", scope="module", autouse=True)
def native_kernel() -> None:
    """These tests name their kernel themselves."""


@pytest.fixture
def native(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "native")


class Wide:
    """A model with large numbers of cells. The first two processes count up, a few times each.

    The others stand still: each could go to many places, but for a fault that no budget pays.
    """

    def __init__(self, places: int, turns: int) -> None:
        self.places, self.turns = places, turns
        self.local = self

    def network(self) -> tuple[str, int, int]:
        return "unordered", 0, 0

    def inside(self, slot: int, cell: int) -> tuple[int, tuple[Any, ...]]:
        return cell, ()

    def cell(self, slot: int, state: int, inbox: tuple[Any, ...]) -> int:
        return state

    forgetful = False

    def receives(self, slot: int, state: int) -> bool:
        return False

    def own(self, slot: int, state: int) -> Any:
        if slot > 1:
            return (), [effect(place, cost=1) for place in range(self.places)], ()
        return [effect(state + 1)] if state < self.turns else (), (), ()

    def pay(self, ledger: int, cost: int) -> int:
        return -1

    def ledger_moves(self, ledger: int) -> tuple[int, ...]:
        return ()


def effect(state: int, cost: int = 0) -> Effect:
    return Effect(state, (), (), 0, cost, Choice(Kind.ACT), None, False)


class Silent:
    """A judge with nothing to judge."""

    judges_steps = judges_quiescence = False

    def world(self, index: int, numbers: contract.Numbers) -> int:
        return contract.LOCAL

    def reads(self) -> tuple[int, ...]:
        return ()


@needs_native
@pytest.mark.parametrize("memory", [{}, {"fingerprints": True}], ids=["exact", "fingerprints"])
@pytest.mark.parametrize("places", [1, 600])
@pytest.mark.parametrize("processes", [2, 3, 5, 12, 30, 60, 150])
def test_worlds_of_any_width_are_counted(
    native: None, processes: int, places: int, memory: dict[str, bool]
) -> None:
    # The two that count cross some powers of two, so that the worlds are packed anew.
    starts = [(0,) * (processes + 2)]
    plan = contract.Plan(**memory)
    found = kernel().explore(Wide(places, 50), starts, Silent(), plan)
    assert (found.worlds, found.steps, found.depth) == (51 * 51, 2 * 50 * 51, 101)
    assert found.path(51 * 51 - 1)[-1] == (50, 50, *starts[0][2:])


@needs_native
def test_ctrl_c_keeps_what_is_known(native: None) -> None:
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    report = explore(dials(8, 100), max_worlds=50_000_000)
    assert report.stopped == "interrupt"
    assert 0 < report.worlds < 50_000_000


@needs_native
def test_an_error_in_a_property_is_raised_as_it_is(native: None) -> None:
    class Odd(BaseException):
        """Not an Exception, so that no layer turns it into one of its own."""

    world = dials(2, 9)

    @always(world)
    def odd(world: World) -> bool:
        if world["d1"].at == 4:
            raise Odd
        return True

    with pytest.raises(Odd):
        explore(world, odd)


SHORT_OF_MEMORY = """
import resource
from happysim import explore
from tests.kernel.test_native import dials

world = dials(8, 100)
explore(world, max_worlds=1000)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 200 * 2**20,) * 2)
print(explore(world, max_worlds=100_000_000).stopped)
"""


@needs_native
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits its memory on Linux only")
def test_a_search_that_gets_no_more_memory_stops_and_says_so() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SHORT_OF_MEMORY],
        env={**os.environ, "PYTHONPATH": str(ROOT), VARIABLE: "native"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "memory\n", done.stderr


def test_the_reference_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "reference")
    assert kernel() is reference


def test_an_unknown_kernel_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "fast")
    with pytest.raises(ImportError, match="fast is no kernel; write reference or native"):
        kernel()


@needs_native
def test_a_kernel_built_for_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    switch.native.cache_clear()
    monkeypatch.setattr(contract, "VERSION", contract.VERSION + 1)
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.warns(UserWarning, match="built for another version"):
        assert kernel() is reference
    monkeypatch.setenv(VARIABLE, "native")
    with pytest.raises(ImportError, match="built for another version"):
        kernel()
    switch.native.cache_clear()
