"""A search with a disk finds what it would in memory; a full disk ends it, and loses nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest

from happysim import Host, Node, ScenarioError, World, action, always, bfs, check, explore
from happysim.core.tables import Tables
from happysim.kernel.switch import VARIABLE
from happysim.search.policy import Bfs, Memory
from tests.kernel.test_native import ROOT, dials
from tests.oracles.models import two_phase
from tests.support.kernels import needs_native

FEW_MIB = 0.02  # some hundred worlds


@pytest.fixture(name="kernel", scope="module", autouse=True)
def native_kernel() -> None:
    """These tests name their kernel themselves."""


@pytest.fixture(params=get_args(Memory))
def memory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Memory:
    monkeypatch.setenv(VARIABLE, "native")
    return request.param  # type: ignore[no-any-return]


@needs_native
def test_the_worlds_are_the_same_and_no_file_is_left(tmp_path: Path, memory: Memory) -> None:
    folder = tmp_path / "made" / "here"
    world = two_phase.messages(5)
    wanted = explore(world, by=bfs())
    found = explore(world, by=bfs(memory, disk=folder, spill_mib=FEW_MIB))
    assert (found.worlds, found.steps, found.depth) == (wanted.worlds, wanted.steps, wanted.depth)
    assert found.complete
    assert not list(folder.iterdir())


@needs_native
def test_a_counterexample_is_the_same(tmp_path: Path, memory: Memory) -> None:
    @always(two_phase.messages, managers=5)
    def nobody_is_last_to_commit(world: Any) -> bool:
        return [world[f"rm{at}"].state for at in range(1, 6)].count("committed") < 5

    wanted = check(nobody_is_last_to_commit, by=bfs())
    found = check(nobody_is_last_to_commit, by=bfs(memory, disk=tmp_path, spill_mib=FEW_MIB))
    assert found.broken
    assert found == wanted


@needs_native
@pytest.mark.parametrize("bound", ["max_depth", "max_worlds"])
def test_a_bound_is_met_at_the_same_place(tmp_path: Path, memory: Memory, bound: str) -> None:
    bounds: dict[str, Any] = {bound: {"max_depth": 12, "max_worlds": 5_000}[bound]}
    world = two_phase.messages(5)
    wanted = explore(world, by=bfs(), **bounds)
    found = explore(world, by=bfs(memory, disk=tmp_path, spill_mib=FEW_MIB), **bounds)
    assert (found.worlds, found.steps, found.depth) == (wanted.worlds, wanted.steps, wanted.depth)
    assert found.stopped == wanted.stopped


class Twice(Node):
    """Two ways to the same."""

    at: int = 0

    @action(when=lambda self: self.at < 3)
    def grow(self, host: Host) -> None:
        self.at += 1

    @action(when=lambda self: self.at < 3)
    def grow_too(self, host: Host) -> None:
        self.at += 1


@needs_native
def test_where_worlds_run_out_a_step_to_one_not_met_is_not_counted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(VARIABLE, "native")

    def steps(most: int, by: Bfs) -> int:
        return explore(World.of(Twice("a"), Twice("b")), by=by, max_worlds=most).steps

    for most in range(1, 17):
        assert steps(most, bfs(disk=tmp_path, spill_mib=1e-6)) == steps(most, bfs())


@needs_native
@pytest.mark.parametrize("at", range(14, 20))
def test_ctrl_c_in_a_handler_ends_a_search_with_a_disk(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, at: int
) -> None:
    monkeypatch.setenv(VARIABLE, "native")
    run, calls = Tables.effects_of, 0

    def interrupted(self: Tables, *of: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == at:
            raise KeyboardInterrupt
        return run(self, *of)

    monkeypatch.setattr(Tables, "effects_of", interrupted)
    report = explore(dials(6, 40), by=bfs(disk=tmp_path, spill_mib=1e-6), max_worlds=3000)
    assert report.stopped == "interrupt"
    assert report.worlds >= 1


def turned(dial: int) -> Any:
    world = dials(6, 40)

    @always(world)
    def stays_below(world: World) -> bool:
        return bool(world["d1"].at < dial)

    return stays_below


FULL = """
import resource, sys
from happysim import bfs, check, explore
from tests.kernel.test_disk import turned

resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, 2**16))
by = bfs("fingerprint", disk=sys.argv[1], spill_mib=0.1)
print(check(turned(40), by=by))
found = turned(8)
never = turned(40).over(found.scenario.function, name="never")
report = explore(found.scenario, found, never, by=by)
print(report.stopped, report[found].schedule == check(found, by=bfs()).schedule)
"""


@needs_native
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits its files on Linux only")
def test_a_full_disk_ends_the_search_with_what_is_known(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT), VARIABLE: "native"},
        capture_output=True,
        text=True,
        check=False,
    )
    first, second = done.stdout.splitlines() or ["", done.stderr]
    assert first.startswith("Unknown (the disk is full after "), first
    assert first.endswith(" worlds: File too large (os error 27))"), first
    assert second == "disk full True"


@pytest.mark.parametrize("reduce", [False, True])
def test_the_reference_kernel_says_that_it_keeps_all_in_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, reduce: bool
) -> None:
    monkeypatch.setenv(VARIABLE, "reference")
    wanted = explore(two_phase.messages, by=bfs(reduce=reduce))
    found = explore(two_phase.messages, by=bfs(disk=tmp_path, spill_mib=FEW_MIB, reduce=reduce))
    assert (found.worlds, found.steps) == (wanted.worlds, wanted.steps)
    assert any("the reference kernel keeps all worlds in memory" in each for each in found.warnings)


@needs_native
def test_worlds_without_dead_messages_go_to_the_disk_as_others_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(VARIABLE, "native")
    wanted = explore(two_phase.messages(5), by=bfs(reduce=True))
    by = bfs(disk=tmp_path, spill_mib=FEW_MIB, reduce=True)
    found = explore(two_phase.messages(5), by=by)
    told = found.worlds, found.steps, found.depth, found.reduction, found.warnings
    assert told == (wanted.worlds, wanted.steps, wanted.depth, wanted.reduction, ())


def test_a_folder_in_which_no_file_can_be_made_is_refused(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(ScenarioError, match="no file can be made there"):
        explore(two_phase.messages, by=bfs(disk=blocked))


@pytest.mark.parametrize("options", [{"spill_mib": 1}, {"disk": ".", "spill_mib": 0}])
def test_a_size_that_means_nothing_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ScenarioError, match="spill_mib"):
        bfs(**options)
