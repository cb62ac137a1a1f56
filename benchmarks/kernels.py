"""The kernels side by side, with Stateright's own examples where cargo can fetch and build them.

Usage: PYTHONPATH=. python benchmarks/kernels.py [--quick | --full] [part of a case's name ...]

Each search runs in a process of its own, pinned to 1 or 2 processors, several times; the fastest
counts. Ours judge the property that theirs judge: that managers agree, and that a register is
linearizable. Our time is that of `explore` from empty tables, so it includes every run of a
handler, and not that Python starts and imports; theirs is that of the process. Ours is breadth
first. Theirs is done both ways, and the faster one counts. On 1 processor the ratio is one of
processor seconds, which other work on the machine disturbs little. On 2 it is one of seconds
that pass, and says something on an idle machine only. Bytes are those that the worlds take, with
the table to find them by, the queue at its longest, and the path to each. `--full` adds the cases
that take minutes.
"""

from __future__ import annotations

import json
import math
import os
import resource
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
RUNS = 3
# A run that keeps a processor busy for longer is not repeated.
SECONDS_REPEATED_MAX = 5.0

# Name -> the peer's example and its arguments, servers, and how many worlds there are. The small
# ones show what a search costs before it is under way.
CASES = {
    "2pc N=7": ("2pc", "7", 3, 296_448),
    "2pc N=8": ("2pc", "8", 3, 1_745_408),
    "2pc N=9": ("2pc", "9", 3, 10_340_352),
    "Paxos S=3 C=2": ("paxos", "2", 3, 16_668),
    "Paxos S=3 C=3": ("paxos", "3", 3, 1_194_428),
    "Paxos S=3 C=4": ("paxos", "4", 3, 2_372_188),
    "ABD S=2 C=2": ("linearizable-register", "2", 2, 544),
    "ABD S=2 C=3": ("linearizable-register", "3", 2, 35_009),
    "ABD S=2 C=4": ("linearizable-register", "4", 2, 4_513_937),
    "ABD S=3 C=2": ("linearizable-register", "2", 3, 41_138_199),
}
QUICK = ("2pc N=7", "ABD S=2 C=3")
FULL = ("2pc N=9", "Paxos S=3 C=4", "ABD S=2 C=4", "ABD S=3 C=2")
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
    began = time.process_time()
    report = explore(prop.scenario, prop)
    taken = time.process_time() - began
    assert report[prop].holds, report
    assert report.worlds == CASES[case][3], report
    print(json.dumps({"seconds": report.seconds, "cpu": taken}))


def best(command: list[str], processors: int, runs: int, **environment: str) -> dict[str, Any]:
    """The fastest of several runs: processor `cpu` and passing `seconds`, or the process's own."""
    found: list[dict[str, Any]] = []
    pin = (
        ["taskset", "-c", ",".join(map(str, range(processors)))] if shutil.which("taskset") else []
    )
    for _ in range(runs):
        before, began = children_cpu(), time.perf_counter()
        done = subprocess.run(
            pin + command,
            env={**os.environ, **environment},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        told = {"seconds": time.perf_counter() - began, "cpu": children_cpu() - before}
        last = done.stdout.strip().rsplit("\n", 1)[-1]
        found.append(told | (json.loads(last) if last.startswith("{") else {}))
        if told["cpu"] > SECONDS_REPEATED_MAX:
            break
    return {what: min(float(each[what]) for each in found) for what in found[0]}


def children_cpu() -> float:
    """Processor seconds of all processes that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


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


def measured(prop: Property, by: Policy, worlds_max: int | None = None) -> tuple[Report, float]:
    """One search here, and the bytes that its kernel keeps for each world (0: unknown)."""
    kept: list[Any] = []
    used = kernel()
    original = used.explore

    def keep(*arguments: Any) -> Any:
        kept.append(original(*arguments))
        return kept[-1]

    used.explore = keep
    try:
        report = explore(prop.scenario, prop, by=by, max_worlds=worlds_max)
    finally:
        used.explore = original
    bytes_all = getattr(getattr(kept[0].path, "__self__", None), "bytes", 0)
    return report, bytes_all / report.worlds


def rows_of(case: str, peers: dict[str, str]) -> list[tuple[str, int, float, float]]:
    """What was measured of a case: name, processors, processor seconds, seconds."""
    me = [sys.executable, str(Path(__file__).resolve()), "--one", case]
    environment = {"PYTHONPATH": str(ROOT)}
    example, count, servers, _ = CASES[case]
    runs = 1 if case in FULL else RUNS
    rows = []
    if case in QUICK:
        told = best(me, 1, 1, **environment, **{VARIABLE: "reference"})
        rows.append(("reference", 1, told["cpu"], told["seconds"]))
    for cpus in (1, 2):
        told = best(me, cpus, runs, **environment, **{VARIABLE: "native"})
        rows.append(("native", cpus, told["cpu"], told["seconds"]))
        for order in ORDERS if peers else ():
            theirs = [peers[f"{example}-{order}"], "check", count]
            try:
                told = best(theirs, cpus, runs, SERVERS=str(servers))
            except subprocess.CalledProcessError as error:
                # It is killed where a search is more than there is memory for.
                print(f"{case}: {PEER} {order} on {cpus} ended with {error.returncode}")
                continue
            rows.append((f"{PEER} {order}", cpus, told["cpu"], told["seconds"]))
    return rows


def compared(cases: list[str], peers: dict[str, str]) -> None:
    """Print a table, and how far ahead of the peer's faster way each case is."""
    ratios: dict[int, list[float]] = {1: [], 2: []}
    print(
        f"{'case':<15}{'kernel':<16}{'cpus':>5}{'cpu s':>9}{'passed':>9}"
        f"{'worlds/s':>12}{'ratio':>7}"
    )
    for case in cases:
        rows = rows_of(case, peers)
        for cpus in (1, 2):
            here = [row for row in rows if row[1] == cpus]
            ours = next(row for row in here if row[0] == "native")
            # On one processor what it was busy, on more what passed.
            by = 2 if cpus == 1 else 3
            for row in here:
                speed, ratio = CASES[case][3] / row[by], row[by] / ours[by]
                print(
                    f"{case:<15}{row[0]:<16}{cpus:>5}{row[2]:>9.3f}{row[3]:>9.3f}{speed:>12,.0f}{ratio:>7.1f}",
                    flush=True,
                )
            theirs = [row[by] for row in here if row[0].startswith(PEER)]
            if theirs:
                ratios[cpus].append(min(theirs) / ours[by])
    for cpus, found in ratios.items():
        if found:
            mean = math.exp(sum(map(math.log, found)) / len(found))
            told = ", ".join(f"{ratio:.1f}" for ratio in found)
            print(f"ahead of {PEER} on {cpus}: {told}; {mean:.1f} in the geometric mean")


def main(cases: list[str], quick: bool) -> None:
    """Every case beside the peer, and the bytes that its worlds take."""
    with tempfile.TemporaryDirectory() as folder:
        compared(cases, {} if quick else build_peer(Path(folder)))
    for case in cases:
        for memory in get_args(Memory) if case not in FULL else ():
            print(f"{case}, {memory}: {measured(judged(case), bfs(memory))[1]:.1f} bytes a world")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(sys.argv[2])
    else:
        parts = [each for each in sys.argv[1:] if not each.startswith("--")]
        full, quick = "--full" in sys.argv, "--quick" in sys.argv
        wanted = [case for case in CASES if full or case not in FULL]
        if parts:
            wanted = [case for case in CASES if any(part in case for part in parts)]
        main(list(QUICK) if quick else wanted, quick)
