"""Whatever ends a search early, what it has found is told, with its counts and its traces."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from happysim import Host, Node, Report, World, action, always, bfs, explore
from happysim.kernel.memory import used_mib
from happysim.kernel.switch import VARIABLE
from tests.kernel.test_native import ROOT, dials
from tests.support.kernels import needs_native

# Found after a few worlds; and never, in a search of 10^16 worlds.
INTERRUPTED = """
import sys
from happysim import always, bfs, dfs, explore
from tests.kernel.test_native import dials

world = dials(8, 100)

@always(world)
def broken(world):
    return world["d1"].at < 2

@always(world)
def undecided(world):
    return world["d1"].at < 100

def started(found):
    if found.worlds > 1000:
        print("go", flush=True)
        report.clear()

report = [started]
by = {how}
told = explore(world, broken, undecided, by=by, progress=lambda found: report and report[0](found))
print(told.stopped, told.worlds > 1000, told.steps >= told.worlds)
print(*told[broken].schedule, sep=", ")
print(told[undecided].reason.replace(f"{{told.worlds:,}}", "N"))
"""


@pytest.fixture(name="kernel", scope="module", autouse=True)
def native_kernel() -> None:
    """These tests name their kernel themselves."""


@pytest.mark.parametrize(
    ("name", "how"),
    [
        pytest.param("native", "bfs()", marks=needs_native),
        pytest.param("native", "bfs('fingerprint', disk='.', spill_mib=1)", marks=needs_native),
        pytest.param("native", "bfs(checkpoint='c', every=0.1)", marks=needs_native),
        ("reference", "bfs()"),
    ],
)
def test_ctrl_c_tells_what_is_known(tmp_path: Path, name: str, how: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED.format(how=how)],
        env={**os.environ, "PYTHONPATH": str(ROOT), VARIABLE: name},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "go\n"
    process.send_signal(signal.SIGINT)
    told, errors = process.communicate(timeout=60)
    assert told.splitlines() == [
        "interrupt True True",
        "act d1 turn, act d1 turn",
        "interrupted after N worlds",
    ], errors
    assert process.returncode == 0
    # Of files without a name nothing is left, and of a checkpoint one file.
    assert [each.name for each in tmp_path.iterdir()] == (["c"] if "'c'" in how else [])


class Fragile(Node):
    at: int = 0

    @action
    def grow(self, host: Host) -> None:
        self.at += 1
        if self.at == 3:
            raise ValueError("too large")


@pytest.mark.parametrize("name", [pytest.param("native", marks=needs_native), "reference"])
def test_a_handler_that_raises_on_a_thread_is_a_violation(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(VARIABLE, name)
    reports: list[Report] = []
    world = World.of(Fragile("a"), Fragile("b"))
    threads = [
        threading.Thread(target=lambda: reports.append(explore(world, max_worlds=1000)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
        thread.join()
    for report in reports:
        (verdict,) = report.verdicts.values()
        assert verdict.broken
        assert [str(choice) for choice in verdict.schedule] == ["act a grow"] * 3
    assert len(reports) == len(threads)


@needs_native
@pytest.mark.parametrize("how", [{}, {"memory": "fingerprint"}], ids=["exact", "fingerprint"])
def test_a_memory_budget_that_runs_out_loses_no_trace(
    monkeypatch: pytest.MonkeyPatch, how: dict[str, Any]
) -> None:
    monkeypatch.setenv(VARIABLE, "native")
    world = dials(8, 100)

    @always(world)
    def broken(world: Any) -> bool:
        return bool(world["d7"].at < 2)

    @always(world)
    def undecided(world: Any) -> bool:
        return bool(world["d7"].at < 100)

    report = explore(world, broken, undecided, by=bfs(**how), memory_mib=used_mib() + 12)
    assert report.stopped == "memory"
    assert str(report[undecided]) == (
        f"Unknown (the memory budget ran out after {report.worlds:,} worlds)"
    )
    found: Any = report[broken]
    assert [str(choice) for choice in found.schedule] == ["act d7 turn"] * 2
