"""One run of the same models on other checkers and on this one: states, seconds, states a second.

Usage: PYTHONPATH=. python benchmarks/peers.py [managers] [--python PATH] [--full]
       PYTHONPATH=. python benchmarks/peers.py scaling [largest number of managers]
       PYTHONPATH=. python benchmarks/peers.py handlers

First two-phase commit (7 managers by default), one invariant, in every tool; then every model that
Stateright publishes, in that and here (`--full`: the large ones too; see kernels.py). Every tool
must find the published number of states. A tool that is not here is reported as absent, and what
would bring it; `--python` names an interpreter that has the peers which are written in Python.
Seconds are processor seconds, and on 2 processors those that passed.

`scaling` shows how our figures change with the size of a search: worlds a second on 1 and 2
processors, and bytes a world with each sort of memory. `handlers` is about a model that runs many
handlers: Raft with a client's commands and a crash.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

sys.path.insert(0, str(Path(__file__).resolve().parent))

from kernels import CASES, FULL, ROOT, best, build_peer, compared, measured

from happysim import Faults, World, Write, bfs, bounded
from happysim.core.tables import Tables
from happysim.kernel.switch import VARIABLE
from happysim.search.policy import Memory
from properties import raft
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


@bounded(by=bfs(), within=raft.terms(2))
def elections_unordered() -> World:
    """Three servers and no client, on a network that loses and reorders messages."""
    return raft.cluster(3)


@bounded(by=bfs(), within=raft.terms(2))
def elections_and_a_crash_unordered() -> World:
    """And n3 may crash, losing what it had not synced."""
    faults = Faults(crashes=1, restarts=1, crashable=("n3",), unsynced_loss=True)
    return raft.cluster(3, faults=faults)


@bounded(by=bfs(), within=raft.terms(2))
def two_commands_and_a_crash() -> World:
    """Three servers from the start, two clients with a command each, and n3 may crash."""
    clients = raft.client("c1", ("n1", Write(1))), raft.client("c2", ("n2", Write(2)))
    faults = Faults(crashes=1, restarts=1, crashable=("n3",), unsynced_loss=True)
    return raft.cluster(3, *clients, faults=faults)


# Name, property, and how many worlds at most.
HANDLER_HEAVY = (
    ("elections, two terms", raft.election_safety.over(elections_unordered), None),
    ("and a crash", raft.election_safety.over(elections_and_a_crash_unordered), None),
    ("two commands, a crash", raft.log_matching.over(two_commands_and_a_crash), 1_000_000),
)


def ours(managers: int, memory: Memory = "exact") -> dict[str, Any]:
    """One search here: seconds, and the bytes that a world takes."""
    prop = two_phase.managers_agree.over(two_phase.messages, name="2pc", managers=managers)
    began = time.process_time()
    report, size = measured(prop, memory)
    cpu = time.process_time() - began
    assert report[prop].holds, report
    assert report.worlds == STATES[managers], report
    return {"seconds": report.seconds, "cpu": cpu, "bytes": size}


def taken(told: dict[str, Any], cpus: int) -> float:
    """Processor seconds on one processor, seconds that passed on more."""
    return float(told["cpu" if cpus == 1 else "seconds"])


def happysim(managers: int) -> Iterator[Row]:
    me = [sys.executable, str(Path(__file__).resolve()), "--one", str(managers)]
    for name in ("native", "reference"):
        for cpus in (1, 2) if name == "native" else (1,):
            if name == "reference" and managers > 7:
                continue
            told = best(me, cpus, 3, PYTHONPATH=str(ROOT), **{VARIABLE: name})
            yield f"happysim, {name}", cpus, taken(told, cpus), ""


def stateright(managers: int, built: dict[str, str]) -> Iterator[Row]:
    if not built:
        yield "Stateright", 1, None, "needs cargo, and its crates"
    for name in ("2pc-bfs", "2pc-dfs") if built else ():
        for cpus in (1, 2):
            told = best([built[name], "check", str(managers)], cpus, 3)
            yield f"Stateright, {name[4:]}", cpus, taken(told, cpus), ""


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
        # Its hash table has about as many places as there are states.
        places = f"-w{max(20, STATES[managers].bit_length())}"
        command = [str(Path(folder) / "pan"), "-m1000000", places]
        told = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
        found = re.search(r"(\d+) states, stored", told.stdout)
        assert found is not None, told.stdout
        assert int(found[1]) == STATES[managers], told.stdout
        yield "SPIN, depth first", 1, best(command, 1, 3)["cpu"], ""


def tlc(managers: int) -> Iterator[Row]:
    yield "TLC", 1, None, "Java and tla2tools.jar"


def in_python(name: str, python: str, managers: int) -> Iterator[Row]:
    """A peer written in Python: the model as documented, and packed by hand into bits."""
    has = [python, "-c", f"import {name}"]
    if subprocess.run(has, capture_output=True, check=False).returncode:
        yield name, 1, None, f"pip install {name}, on a Python that it supports; see --python"
        return
    script = Path(__file__).resolve().parent / "peers/two_phase.py"
    for how in (name, f"{name}-packed"):
        done = subprocess.run(
            [python, str(script), how, str(managers)], capture_output=True, text=True, check=True
        )
        states, seconds = done.stdout.split()
        assert int(states) == STATES[managers], done.stdout
        yield how, 1, float(seconds), ""


def beside_peers(managers: int, python: str, full: bool) -> None:
    """A table of every tool, and one of every model that Stateright publishes."""
    states = STATES[managers]
    with tempfile.TemporaryDirectory() as folder:
        built = build_peer(Path(folder))
        print(f"two-phase commit, {managers} managers, {states:,} states")
        print(f"{'tool':<24}{'cpus':>5}{'seconds':>9}{'states/s':>12}{'ratio':>7}")
        ours: dict[int, float] = {}
        rows = [happysim(managers), stateright(managers, built), spin(managers), tlc(managers)]
        rows += [in_python(name, python, managers) for name in ("musil", "minicheck")]
        for name, cpus, seconds, needs in itertools.chain(*rows):
            if seconds is None:
                print(f"{name:<24}absent: {needs}")
                continue
            ahead = seconds / ours.setdefault(cpus, seconds)
            told = f"{cpus:>5}{seconds:>9.3f}{states / seconds:>12,.0f}{ahead:>7.1f}"
            print(f"{name:<24}{told}", flush=True)
        print()
        compared([case for case in CASES if full or case not in FULL], built)


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
                speed, size = states / taken(told, cpus), told["bytes"]
                print(
                    f"{managers:<10}{states:>12,}  {memory:<28}{cpus:>4}{speed:>12,.0f}{size:>7.1f}"
                )


def handlers() -> None:
    """What runs of handlers cost where there are many: Raft, as far as it goes."""
    columns = "worlds", "steps", "misses", "cpu s", "us/miss", "share", "bytes"
    print(f"{'Raft':<24}" + "".join(f"{each:>11}" for each in columns))
    for name, prop, most in HANDLER_HEAVY:
        began = time.process_time()
        with timing(Tables, "effects_of") as spent:
            report, size = measured(prop, worlds_max=most)
        cpu, misses = time.process_time() - began, report.handler_calls
        each, share = sum(spent) / misses * 1e6, sum(spent) / cpu
        told = f"{report.worlds:>11,}{report.steps:>11,}{misses:>11,}{cpu:>11.2f}"
        print(f"{name:<24}{told}{each:>11.1f}{share:>11.0%}{size:>11.1f}", flush=True)


@contextmanager
def timing(kind: type, name: str) -> Iterator[list[float]]:
    """The processor seconds of each call of a method, inside the block."""
    original, spent = getattr(kind, name), []

    def timed(*arguments: Any, **named: Any) -> Any:
        began = time.process_time()
        try:
            return original(*arguments, **named)
        finally:
            spent.append(time.process_time() - began)

    setattr(kind, name, timed)
    try:
        yield spent
    finally:
        setattr(kind, name, original)


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(ours(int(sys.argv[2]), *sys.argv[3:4])))  # type: ignore[arg-type]
    elif sys.argv[1:2] == ["scaling"]:
        scaling(int(sys.argv[2]) if len(sys.argv) > 2 else 9)
    elif sys.argv[1:2] == ["handlers"]:
        handlers()
    else:
        parser = argparse.ArgumentParser()
        parser.add_argument("managers", nargs="?", type=int, default=7, choices=STATES)
        parser.add_argument("--python", default=sys.executable)
        parser.add_argument("--full", action="store_true")
        told = parser.parse_args()
        beside_peers(told.managers, told.python, told.full)


if __name__ == "__main__":
    main()
