"""The kernels side by side, with Stateright's own examples where cargo can fetch and build them.

Usage: PYTHONPATH=. python benchmarks/kernels.py [--quick]

Each search runs in a process of its own, pinned to 1 or 2 processors, three times; the fastest
counts. Ours judge the property that theirs judge: that managers agree, and that a register is
linearizable. Our time is that of `explore` from empty tables, so it includes every run of a
handler; theirs is that of the process. Each searches as its examples do by default: ours breadth
first, theirs two-phase commit depth first. Bytes are those that the worlds take, with the table to
find them by and the path to each.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from happysim import Property, Register, explore, linearizable
from happysim.kernel.switch import VARIABLE, kernel
from tests.oracles.models import paxos, two_phase

ROOT = Path(__file__).resolve().parents[1]
PEER = "stateright"
PEER_VERSION = "0.31.0"

# Name -> the peer's example and its arguments, and how many worlds there are.
CASES = {
    "2pc N=7": (["2pc", "check", "7"], 296_448),
    "2pc N=8": (["2pc", "check", "8"], 1_745_408),
    "Paxos S=3 C=3": (["paxos", "check", "3"], 1_194_428),
}
SLOW_ON_REFERENCE = {"2pc N=8", "Paxos S=3 C=3"}


def judged(case: str) -> Property:
    """The property that is judged, over the case's scenario."""
    if case.startswith("2pc"):
        managers = int(case[-1])
        return two_phase.managers_agree.over(two_phase.messages, name=case, managers=managers)
    return linearizable(paxos.paxos, Register(), name=case, servers=3, clients=3)


def one(case: str) -> None:
    """Search one case here and print what it took."""
    prop = judged(case)
    report = explore(prop.scenario, prop)
    assert report[prop].holds, report
    assert report.worlds == CASES[case][1], report
    print(json.dumps({"seconds": report.seconds, "steps": report.steps}))


def best(command: list[str], processors: int, runs: int = 3, **environment: str) -> dict[str, Any]:
    """The fastest of several runs, with the process's own figures where it prints any."""
    found: list[dict[str, Any]] = []
    pin = (
        ["taskset", "-c", ",".join(map(str, range(processors)))] if shutil.which("taskset") else []
    )
    for _ in range(runs):
        began = time.perf_counter()
        done = subprocess.run(
            pin + command,
            env={**os.environ, **environment},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        told = {"seconds": time.perf_counter() - began}
        last = done.stdout.strip().rsplit("\n", 1)[-1]
        found.append(told | (json.loads(last) if last.startswith("{") else {}))
    return min(found, key=lambda each: float(each["seconds"]))


def build_peer(folder: Path) -> dict[str, str]:
    """The peer's examples as programs that end as soon as the search does; empty where it fails."""
    (folder / "src").mkdir()
    (folder / "src/main.rs").write_text("fn main() {}\n")
    needs = [f'{PEER} = "={PEER_VERSION}"', 'env_logger = "0.11"', 'num_cpus = "1"']
    needs += [
        'pico-args = "0.5"',
        'serde_json = "1"',
        'serde = { version = "1", features = ["derive"] }',
    ]
    (folder / "Cargo.toml").write_text(
        '[package]\nname = "peer"\nversion = "0.0.0"\nedition = "2021"\n\n[dependencies]\n'
        + "\n".join(needs)
        + "\n"
    )
    cargo = shutil.which("cargo")
    if cargo is None:
        return {}
    try:
        told = subprocess.run(
            [cargo, "metadata", "--format-version", "1"],
            cwd=folder,
            capture_output=True,
            check=True,
        )
        packages = json.loads(told.stdout)["packages"]
        peer = next(each for each in packages if each["name"] == PEER)
        (folder / "src/bin").mkdir()
        for example in ("2pc", "paxos"):
            source = (Path(peer["manifest_path"]).parent / f"examples/{example}.rs").read_text()
            # A report looks for the end once a second; joining first makes the time exact.
            source = source.replace(".report(", ".join().report(")
            (folder / f"src/bin/{example}.rs").write_text(source)
        subprocess.run(
            [cargo, "build", "--release", "--bins"], cwd=folder, capture_output=True, check=True
        )
    except (subprocess.CalledProcessError, StopIteration, OSError) as error:
        print(f"no figures of {PEER}: {error}")
        return {}
    return {each: str(folder / f"target/release/{each}") for each in ("2pc", "paxos")}


def bytes_a_world(case: str) -> float:
    """What the native kernel keeps for each world."""
    prop = judged(case)
    native = kernel()
    kept: list[Any] = []
    original = native.explore

    def keep(*arguments: Any) -> Any:
        found = original(*arguments)
        kept.append(found)
        return found

    native.explore = keep
    try:
        explore(prop.scenario, prop)
    finally:
        native.explore = original
    return float(kept[0].path.__self__.bytes / kept[0].worlds)


def main(quick: bool) -> None:
    """Print a table and the ratios."""
    me = [sys.executable, str(Path(__file__).resolve()), "--one"]
    environment = {"PYTHONPATH": str(ROOT)}
    ratios: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as folder:
        peers = {} if quick else build_peer(Path(folder))
        print(f"{'case':<15}{'kernel':<12}{'cpus':>5}{'seconds':>9}{'worlds/s':>12}{'ratio':>7}")
        for case, (example, worlds) in CASES.items():
            if quick and case in SLOW_ON_REFERENCE:
                continue
            rows: list[tuple[str, int, float]] = []
            if case not in SLOW_ON_REFERENCE:
                told = best([*me, case], 1, 1, **environment, **{VARIABLE: "reference"})
                rows.append(("reference", 1, told["seconds"]))
            for cpus in (1, 2):
                told = best([*me, case], cpus, **environment, **{VARIABLE: "native"})
                rows.append(("native", cpus, told["seconds"]))
                if peers:
                    theirs = best([peers[example[0]], *example[1:]], cpus)["seconds"]
                    rows.append((PEER, cpus, theirs))
                    ratios[cpus].append(theirs / told["seconds"])
            ours = {cpus: seconds for name, cpus, seconds in rows if name == "native"}
            for name, cpus, seconds in rows:
                speed, ratio = worlds / seconds, seconds / ours[cpus]
                print(f"{case:<15}{name:<12}{cpus:>5}{seconds:>9.2f}{speed:>12,.0f}{ratio:>7.1f}")
    for cpus, found in ratios.items():
        if found:
            mean = math.exp(sum(map(math.log, found)) / len(found))
            print(f"ahead of {PEER} on {cpus}: {mean:.1f} times in the geometric mean")
    for case in CASES:
        print(f"{case}: {bytes_a_world(case):.1f} bytes a world")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(sys.argv[2])
    else:
        main("--quick" in sys.argv)
