"""One run of the same models on other checkers and on this one: states, seconds, states a second.

Usage: PYTHONPATH=. python benchmarks/peers.py [managers] [--python PATH] [--full]
       PYTHONPATH=. python benchmarks/peers.py scaling [most worlds [memory ...]]

First two-phase commit (7 managers by default), one invariant, in every tool; then every model that
Stateright publishes, in that and here (`--full`: the large ones too; see kernels.py). Every tool
must find the published number of states. A tool that is not here is reported as absent, and what
would bring it; `--python` names an interpreter that has the peers which are written in Python.
Seconds are processor seconds, and on 2 processors those that passed.

`scaling` shows how our figures change with the size of a search, from 10^4 worlds to 10^8: worlds a
second on 1 and 2 processors, bytes a world in memory, and the peak of the process, with each sort
of memory; "disk" is fingerprints with most of the worlds in files, below the folder for temporary
files.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast, get_args

sys.path.insert(0, str(Path(__file__).resolve().parent))

from kernels import CASES, FULL, ROOT, best, build_peer, compared, measured

from happysim import Host, Node, Property, World, action, always, bfs
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
# Of dials, so that their number of worlds stands between those of managers: 10^8.
DIALS = 8
# On a disk once worlds take a quarter of what they would in memory.
BYTES_SPILLED = 4
Row = tuple[str, int, float | None, str]


class Dial(Node):
    """One of several that turn, each by itself: worlds in any number that is wanted."""

    at: int = 0

    @action
    def turn(self, host: Host) -> None:
        self.at = (self.at + 1) % 10


def dials(count: int) -> World:
    return World.of(*(Dial(f"d{number}") for number in range(count)))


@always(dials)
def dials_turn(world: World) -> bool:
    return bool(world["d0"].at < 10)


def model(managers: int) -> tuple[str, int, Property]:
    """A search by its number: so many managers, or without a minus so many dials."""
    if managers < 0:
        prop = dials_turn.over(dials, name="dials", count=-managers)
        return f"{-managers} dials", 10**-managers, prop
    prop = two_phase.managers_agree.over(two_phase.messages, name="2pc", managers=managers)
    return f"{managers} managers", STATES[managers], prop


def ours(managers: int, memory: str = "exact") -> dict[str, Any]:
    """One search here: seconds, the bytes that a world takes, and the most memory, in MiB."""
    _, worlds, prop = model(managers)
    with tempfile.TemporaryDirectory() as folder:
        if memory == "disk":
            by = bfs("fingerprint", disk=folder, spill_mib=worlds * BYTES_SPILLED / 2**20)
        else:
            by = bfs(cast("Memory", memory))
        began = time.process_time()
        report, size = measured(prop, by)
        cpu = time.process_time() - began
    assert report[prop].holds, report
    assert report.worlds == worlds, report
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    return {
        "seconds": report.seconds,
        "cpu": cpu,
        "processor": time.process_time(),
        "bytes": size,
        "peak": peak,
    }


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
    for how in (name, f"{name}_packed"):
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


def scaling(most: int, memories: Sequence[str]) -> None:
    """Worlds a second and bytes a world, by size and sort of memory."""
    print(
        f"{'search':<12}{'worlds':>12}  {'memory':<28}{'cpus':>4}{'seconds':>9}{'of CPU':>8}"
        f"{'worlds/s':>12}{'bytes':>7}{'peak MiB':>10}"
    )
    for number in (*(each for each in STATES if each >= 5), -DIALS):
        name, states, _ = model(number)
        if states > most:
            continue
        for memory in memories:
            for cpus in (1, 2):
                me = [sys.executable, str(Path(__file__).resolve()), "--one", str(number), memory]
                told = best(me, cpus, 1, PYTHONPATH=str(ROOT))
                seconds, speed = told["seconds"], states / told["seconds"]
                print(
                    f"{name:<12}{states:>12,}  {memory:<28}{cpus:>4}{seconds:>9.1f}"
                    f"{told['processor']:>8.1f}{speed:>12,.0f}{told['bytes']:>7.1f}{told['peak']:>10,.0f}",
                    flush=True,
                )


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(ours(int(sys.argv[2]), *sys.argv[3:4])))
    elif sys.argv[1:2] == ["scaling"]:
        most = int(sys.argv[2]) if len(sys.argv) > 2 else 10**7
        scaling(most, sys.argv[3:] or (*get_args(Memory), "disk"))
    else:
        parser = argparse.ArgumentParser()
        parser.add_argument("managers", nargs="?", type=int, default=7, choices=STATES)
        parser.add_argument("--python", default=sys.executable)
        parser.add_argument("--full", action="store_true")
        told = parser.parse_args()
        beside_peers(told.managers, told.python, told.full)


if __name__ == "__main__":
    main()
