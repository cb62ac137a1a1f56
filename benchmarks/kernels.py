"""The kernels side by side, with Stateright's own examples where cargo can fetch and build them.

Usage: PYTHONPATH=. python benchmarks/kernels.py [--quick | --full]

Each search runs in a process of its own, pinned to 1 or 2 processors, several times; the fastest
counts. Ours judge the property that theirs judge: that managers agree, and that a register is
linearizable. Our time is that of `explore` from empty tables, so it includes every run of a
handler; theirs is that of the process. Ours is breadth first. Theirs is done both ways, and the
faster one counts. Bytes are those that the worlds take, with the table to find them by, the
queue at its longest, and the path to each. `--full` adds the one case that takes minutes.
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
from typing import Any, get_args

from happysim import Property, Register, bfs, explore, linearizable
from happysim.kernel.switch import VARIABLE, kernel
from happysim.search.policy import Memory, Policy
from happysim.spec.report import Report
from tests.oracles.models import paxos, register, two_phase

ROOT = Path(__file__).resolve().parents[1]
PEER = "stateright"
PEER_VERSION = "0.31.0"
RUNS = 5

# Name -> the peer's example and its arguments, servers, and how many worlds there are.
CASES = {
    "2pc N=7": ("2pc", "7", 3, 296_448),
    "2pc N=8": ("2pc", "8", 3, 1_745_408),
    "Paxos S=3 C=3": ("paxos", "3", 3, 1_194_428),
    "ABD S=2 C=3": ("linearizable-register", "3", 2, 35_009),
    "ABD S=3 C=2": ("linearizable-register", "2", 3, 41_138_199),
}
QUICK = ("2pc N=7", "ABD S=2 C=3")
FULL = ("ABD S=3 C=2",)
EXAMPLES = ("2pc", "paxos", "linearizable-register")
ORDERS = ("bfs", "dfs")


def judged(case: str) -> Property:
    """The property that is judged, over the case's scenario."""
    example, count, servers, _ = CASES[case]
    if example == "2pc":
        return two_phase.managers_agree.over(two_phase.messages, name=case, managers=int(count))
    scenario = paxos.paxos if example == "paxos" else register.abd
    return linearizable(scenario, Register(), name=case, servers=servers, clients=int(count))


def one(case: str) -> None:
    """Search one case here and print what it took."""
    prop = judged(case)
    report = explore(prop.scenario, prop)
    assert report[prop].holds, report
    assert report.worlds == CASES[case][3], report
    print(json.dumps({"seconds": report.seconds, "steps": report.steps}))


def best(command: list[str], processors: int, runs: int, **environment: str) -> dict[str, Any]:
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
        for example in EXAMPLES:
            source = (Path(peer["manifest_path"]).parent / f"examples/{example}.rs").read_text()
            # A report looks for the end once a second; joining first makes the time exact.
            source = source.replace(".report(", ".join().report(")
            source = source.replace(
                "server_count: 3,",
                'server_count: std::env::var("SERVERS").map_or(3, |n| n.parse().unwrap()),',
            )
            for order in ORDERS:
                other = ORDERS[1 - ORDERS.index(order)]
                ordered = source.replace(f".spawn_{other}()", f".spawn_{order}()")
                (folder / f"src/bin/{example}-{order}.rs").write_text(ordered)
        subprocess.run(
            [cargo, "build", "--release", "--bins"], cwd=folder, capture_output=True, check=True
        )
    except (subprocess.CalledProcessError, StopIteration, OSError) as error:
        print(f"no figures of {PEER}: {error}")
        return {}
    names = [f"{example}-{order}" for example in EXAMPLES for order in ORDERS]
    return {each: str(folder / f"target/release/{each}") for each in names}


def measured(prop: Property, by: Policy) -> tuple[Report, float]:
    """One search here, and the bytes that its kernel keeps for each world (0: unknown)."""
    kept: list[Any] = []
    used = kernel()
    original = used.explore

    def keep(*arguments: Any) -> Any:
        kept.append(original(*arguments))
        return kept[-1]

    used.explore = keep
    try:
        report = explore(prop.scenario, prop, by=by)
    finally:
        used.explore = original
    bytes_all = getattr(getattr(kept[0].path, "__self__", None), "bytes", 0)
    return report, bytes_all / report.worlds


def rows_of(case: str, peers: dict[str, str]) -> list[tuple[str, int, float]]:
    """What was measured of a case: name, processors, seconds."""
    me = [sys.executable, str(Path(__file__).resolve()), "--one", case]
    environment = {"PYTHONPATH": str(ROOT)}
    example, count, servers, _ = CASES[case]
    runs = 1 if case in FULL else RUNS
    rows = []
    if case in QUICK:
        told = best(me, 1, 1, **environment, **{VARIABLE: "reference"})
        rows.append(("reference", 1, told["seconds"]))
    for cpus in (1, 2):
        told = best(me, cpus, runs, **environment, **{VARIABLE: "native"})
        rows.append(("native", cpus, told["seconds"]))
        for order in ORDERS if peers else ():
            theirs = [peers[f"{example}-{order}"], "check", count]
            told = best(theirs, cpus, runs, SERVERS=str(servers))
            rows.append((f"{PEER} {order}", cpus, told["seconds"]))
    return rows


def main(cases: list[str], quick: bool) -> None:
    """Print a table and the ratios."""
    ratios: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as folder:
        peers = {} if quick else build_peer(Path(folder))
        print(f"{'case':<15}{'kernel':<16}{'cpus':>5}{'seconds':>9}{'worlds/s':>12}{'ratio':>7}")
        for case in cases:
            rows = rows_of(case, peers)
            for cpus in (1, 2):
                here = {name: seconds for name, at, seconds in rows if at == cpus}
                for name, seconds in here.items():
                    speed, ratio = CASES[case][3] / seconds, seconds / here["native"]
                    print(
                        f"{case:<15}{name:<16}{cpus:>5}{seconds:>9.3f}{speed:>12,.0f}{ratio:>7.1f}"
                    )
                theirs = [seconds for name, seconds in here.items() if name.startswith(PEER)]
                if theirs:
                    ratios[cpus].append(min(theirs) / here["native"])
    for cpus, found in ratios.items():
        if found:
            mean = math.exp(sum(map(math.log, found)) / len(found))
            told = ", ".join(f"{ratio:.1f}" for ratio in found)
            print(f"ahead of {PEER} on {cpus}: {told}; {mean:.1f} in the geometric mean")
    for case in cases:
        for memory in get_args(Memory) if case not in FULL else ():
            print(f"{case}, {memory}: {measured(judged(case), bfs(memory))[1]:.1f} bytes a world")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(sys.argv[2])
    else:
        wanted = [case for case in CASES if case not in FULL or "--full" in sys.argv]
        if "--quick" in sys.argv:
            wanted = list(QUICK)
        main(wanted, "--quick" in sys.argv)
