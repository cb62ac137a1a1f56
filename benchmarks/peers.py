"""One run of the same models on other checkers and on this one: states, seconds, states a second.

Usage: PYTHONPATH=. python benchmarks/peers.py [managers]
       PYTHONPATH=. python benchmarks/peers.py scaling [largest number of managers]

Two-phase commit (7 managers by default), one invariant. Every tool must find the published number
of states. A tool that is not here is reported as absent, and what would bring it. `scaling` shows
how our figures change with the size of a search: worlds a second on 1 and 2 processors, and bytes a
world with each sort of memory.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

sys.path.insert(0, str(Path(__file__).resolve().parent))

from kernels import ROOT, best, build_peer, measured

from happysim.kernel.switch import VARIABLE
from happysim.search.policy import Memory
from tests.oracles.models import two_phase

# Managers -> unique states; see tests/oracles/test_published_counts.py.
STATES = {
    3: 288,
    5: 8_832,
    6: 50_816,
    7: 296_448,
    8: 1_745_408,
    9: 10_340_352,
    10: 61_515_776,
}
Row = tuple[str, int, float | None, str]


def ours(managers: int, memory: Memory = "exact") -> dict[str, Any]:
    """One search here: seconds, and the bytes that a world takes."""
    prop = two_phase.managers_agree.over(two_phase.messages, name="2pc", managers=managers)
    report, size = measured(prop, memory)
    assert report[prop].holds, report
    assert report.worlds == STATES[managers], report
    return {"seconds": report.seconds, "bytes": size}


def happysim(managers: int) -> Iterator[Row]:
    me = [sys.executable, str(Path(__file__).resolve()), "--one", str(managers)]
    for name in ("native", "reference"):
        for cpus in (1, 2) if name == "native" else (1,):
            if name == "reference" and managers > 7:
                continue
            told = best(me, cpus, 3, PYTHONPATH=str(ROOT), **{VARIABLE: name})
            yield f"happysim, {name}", cpus, told["seconds"], ""


def stateright(managers: int) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        built = build_peer(Path(folder))
        if not built:
            yield "Stateright", 1, None, "needs cargo, and its crates"
        for name in ("2pc-bfs", "2pc-dfs") if built else ():
            for cpus in (1, 2):
                told = best([built[name], "check", str(managers)], cpus, 3)
                yield f"Stateright, {name[4:]}", cpus, told["seconds"], ""


def promela(managers: int) -> str:
    """The raw system: one process, an indivisible step a choice, no loop from a state to itself."""
    every = range(managers)
    bad = " && ".join(
        "(" + " || ".join(f"rm[{i}] == {state}" for i in every) + ")"
        for state in ("aborted", "committed")
    )
    check = f"assert(!({bad}))"
    all_noted = " && ".join(f"noted[{i}]" for i in every)
    steps = [
        f":: d_step {{ tm == 0 && {all_noted} -> tm = 1; commit = 1 }}",
        ":: d_step { tm == 0 -> tm = 2; abort = 1 }",
    ]
    for i in every:
        steps += [
            f":: d_step {{ tm == 0 && sent[{i}] && !noted[{i}] -> noted[{i}] = 1 }}",
            f":: d_step {{ rm[{i}] == working -> rm[{i}] = prepared; sent[{i}] = 1 }}",
            f":: d_step {{ rm[{i}] == working -> rm[{i}] = aborted; {check} }}",
            f":: d_step {{ commit && rm[{i}] != committed -> rm[{i}] = committed; {check} }}",
            f":: d_step {{ abort && rm[{i}] != aborted -> rm[{i}] = aborted; {check} }}",
        ]
    body = "\n    ".join(steps)
    return f"""#define working 0
#define prepared 1
#define committed 2
#define aborted 3
byte rm[{managers}]; byte tm; bit noted[{managers}]; bit sent[{managers}]; bit commit; bit abort;
active proctype system() {{
end:
  do
    {body}
  od
}}
"""


def spin(managers: int) -> Iterator[Row]:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if shutil.which("spin") is None or compiler is None:
        yield "SPIN", 1, None, "the Debian package spin, and a C compiler"
        return
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "model.pml").write_text(promela(managers))
        made = [["spin", "-a", "model.pml"]]
        made += [[compiler, "-O2", "-DSAFETY", "-DNOREDUCE", "-o", "pan", "pan.c"]]
        for command in made:
            subprocess.run(command, cwd=folder, check=True, capture_output=True)
        seconds = []
        for _ in range(3):
            began = time.perf_counter()
            command = ["./pan", "-m1000000", "-w24"]
            told = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
            seconds.append(time.perf_counter() - began)
        found = re.search(r"(\d+) states, stored", told.stdout)
        assert found is not None, told.stdout
        assert int(found[1]) == STATES[managers], told.stdout
        yield "SPIN, depth first", 1, min(seconds), ""


def tlc(managers: int) -> Iterator[Row]:
    yield "TLC", 1, None, "Java and tla2tools.jar"


def in_python(name: str) -> Callable[[int], Iterator[Row]]:
    def peer(managers: int) -> Iterator[Row]:
        if importlib.util.find_spec(name) is None:
            yield name, 1, None, f"pip install {name}, on a Python that it supports"
            return
        script = Path(__file__).resolve().parent / "peers/two_phase.py"
        command = [sys.executable, str(script), name, str(managers)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        states, seconds = done.stdout.split()
        assert int(states) == STATES[managers], done.stdout
        yield name, 1, float(seconds), ""

    return peer


PEERS = (happysim, stateright, spin, tlc, in_python("musil"), in_python("minicheck"))


def beside_peers(managers: int) -> None:
    """A table of every tool."""
    states = STATES[managers]
    print(f"two-phase commit, {managers} managers, {states:,} states")
    print(f"{'tool':<24}{'cpus':>5}{'seconds':>9}{'states/s':>12}")
    for peer in PEERS:
        for name, cpus, seconds, needs in peer(managers):
            if seconds is None:
                print(f"{name:<24}absent: {needs}")
            else:
                print(f"{name:<24}{cpus:>5}{seconds:>9.2f}{states / seconds:>12,.0f}")


def scaling(most: int) -> None:
    """Worlds a second and bytes a world, by size and sort of memory."""
    print(f"{'managers':<10}{'worlds':>12}  {'memory':<28}{'cpus':>4}{'worlds/s':>12}{'bytes':>7}")
    for managers, states in STATES.items():
        if not 5 <= managers <= most:
            continue
        for memory in get_args(Memory):
            for cpus in (1, 2):
                me = [sys.executable, str(Path(__file__).resolve()), "--one", str(managers), memory]
                told = best(me, cpus, 1, PYTHONPATH=str(ROOT))
                speed, size = states / told["seconds"], told["bytes"]
                print(
                    f"{managers:<10}{states:>12,}  {memory:<28}{cpus:>4}{speed:>12,.0f}{size:>7.1f}"
                )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(ours(int(sys.argv[2]), *sys.argv[3:4])))  # type: ignore[arg-type]
    elif sys.argv[1:2] == ["scaling"]:
        scaling(int(sys.argv[2]) if len(sys.argv) > 2 else 9)
    else:
        beside_peers(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
