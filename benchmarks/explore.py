"""How fast is a search? Against a search that remembers nothing, and against other model checkers.

    python benchmarks/explore.py            everything: about five minutes
    python benchmarks/explore.py --quick    smaller models, once each: seconds
    python benchmarks/explore.py raft uniform

Figures are CPU seconds, of all threads, so that a busy machine disturbs them less; medians of
repetitions that take turns. Every search starts from nothing: no table is filled yet. Counts that
must agree are compared before anything is said of speed. The native kernel has rows of its own
where it is built.

The peers are installed into .venv/peers by pip, for any interpreter that is new enough: name one
with --python, or in PEERS_PYTHON. Where that fails, the table says why.
"""

from __future__ import annotations

import argparse
import gc
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from benchmarks import naive  # noqa: E402 - the line above finds it
from happysim import Faults, World, explore, uniform  # noqa: E402
from happysim.kernel.switch import VARIABLE, kernel  # noqa: E402
from properties import raft  # noqa: E402
from tests.oracles.models.paxos import paxos  # noqa: E402

PEERS = {"minicheck": "0.4.0", "musil": "0.36.7"}
PEERS_PYTHON_MIN = (3, 12)
PEERS_FOLDER = ROOT / ".venv" / "peers"
PEERS_SCRIPT = ROOT / "benchmarks" / "peers" / "two_phase.py"
TWO_PHASE_COUNTS = {5: 8_832, 7: 296_448}


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of a call, and what it returned. What earlier calls left is cleared up first."""
    gc.collect()
    began = time.process_time()
    made = run()
    return time.process_time() - began, made


def row(name: str, worlds: int, steps: int | None, seconds: float, ratio: str = "") -> None:
    """One line of a table."""
    stepped = f"{steps / seconds:12,.0f}" if steps is not None else " " * 11 + "-"
    print(f"  {name:34} {worlds:10,} {seconds:9.2f} {worlds / seconds:11,.0f} {stepped}  {ratio}")


def head(title: str) -> None:
    print(f"\n{title}")
    print(f"  {'':34} {'worlds':>10} {'CPU s':>9} {'worlds/s':>11} {'steps/s':>12}")


def kernels() -> list[str]:
    """The kernels there are here."""
    return [*(["native"] if kernel().name == "native" else []), "reference"]


def timed_on(name: str, run: Callable[[], Any]) -> tuple[float, Any]:
    """As `timed`, on one kernel."""
    with mock.patch.dict(os.environ, {VARIABLE: name}):
        return timed(run)


def against_naive(
    title: str,
    scenario: Callable[[], World],
    quick: bool,
    *,
    worlds: int | None,
    naive_worlds: int | None,
    **options: Any,
) -> None:
    """Ours over many worlds against the naive search over few (None: over all)."""
    head(title)
    worlds, naive_worlds = (20_000, 2_000) if quick else (worlds, naive_worlds)
    names = kernels()
    ours: dict[str, list[tuple[float, Any]]] = {name: [] for name in names}
    theirs = []
    for _ in range(1 if quick else 3):
        for name in names:
            run = partial(explore, scenario, max_worlds=worlds, **options)
            ours[name].append(timed_on(name, run))
        first = naive.start_of(scenario)
        theirs.append(timed(partial(naive.explore, first, max_worlds=naive_worlds, **options)))
    found, naive_seconds = theirs[-1][1], median(seconds for seconds, _ in theirs)
    for name, timings in ours.items():
        report, seconds = timings[-1][1], median(seconds for seconds, _ in timings)
        if report.complete and naive_worlds is None:
            assert (report.worlds, report.steps) == (found.worlds, found.steps), "counts differ"
        ratio = (report.steps / seconds) / (found.steps / naive_seconds)
        shown = f"{ratio:.1f} x naive by steps/s"
        row(f"happysim, {name} kernel", report.worlds, report.steps, seconds, shown)
    row("naive", found.worlds, found.steps, naive_seconds)
    print(f"  handler calls: happysim {report.handler_calls:,}; naive at least one a step")


def elections() -> World:
    return raft.cluster(3)


def elections_with_a_crash() -> World:
    return raft.cluster(3, faults=Faults(crashes=1))


def three_clients() -> World:
    return paxos(3, 3)


def raft_section(options: argparse.Namespace) -> None:
    """Raft leader election: three servers, terms up to 2, every order of messages and timeouts."""
    quick = options.quick
    two_terms = raft.terms(2)
    against_naive(
        "Raft leader election, 3 servers, 2 terms",
        elections,
        quick,
        worlds=None,
        naive_worlds=None,
        within=two_terms,
    )
    for limit in (300_000, 1_000_000):
        against_naive(
            f"the same, and one crash: the first {limit:,} worlds",
            elections_with_a_crash,
            quick,
            worlds=limit,
            naive_worlds=20_000,
            within=two_terms,
        )
        if quick:
            break


def paxos_section(options: argparse.Namespace) -> None:
    """Single-decree Paxos: three servers, three clients, their history part of a world."""
    against_naive(
        "Paxos, 3 servers, 3 clients",
        three_clients,
        options.quick,
        worlds=None,
        naive_worlds=20_000,
        history=True,
    )


def uniform_section(options: argparse.Namespace) -> None:
    """Random runs."""
    head("uniform: random runs of at most 100 choices")
    policy = uniform(seed=1, runs=200 if options.quick else 3_000, steps=100)
    cases: list[tuple[str, Callable[[], World], dict[str, Any]]] = [
        ("Raft, one crash, 2 terms", elections_with_a_crash, {"within": raft.terms(2)}),
        ("Paxos, 3 servers, 3 clients", three_clients, {}),
    ]
    for name, scenario, bounds in cases:
        run = partial(explore, scenario, by=policy, **bounds)
        timings = [timed(run) for _ in range(1 if options.quick else 3)]
        report = timings[-1][1]
        row(name, report.worlds, report.steps, median(seconds for seconds, _ in timings))


# -- other model checkers --------------------------------------------------------------------------


def new_enough(python: str) -> bool:
    asked = f"import sys; sys.exit(sys.version_info < {PEERS_PYTHON_MIN})"
    try:
        return not subprocess.run(
            [python, "-c", asked], capture_output=True, check=False
        ).returncode
    except OSError:
        return False


def peers_python(wanted: str | None) -> str | None:
    """An interpreter that every peer takes."""
    given = wanted or os.environ.get("PEERS_PYTHON")
    if given:
        return given if new_enough(given) else None
    beside = sorted(Path(sys.base_prefix).parent.glob("*/bin/python3"), reverse=True)
    names = ("python3.14", "python3.13", "python3.12", "python3")
    named = [path for path in map(shutil.which, names) if path]
    return next(filter(new_enough, [sys.executable, *named, *map(str, beside)]), None)


def install_peers(python: str) -> str:
    """The interpreter of an environment with the peers in it. Raises where that cannot be had."""
    installed = PEERS_FOLDER / "bin" / "python"
    pins = [f"{name}=={version}" for name, version in PEERS.items()]
    if not installed.exists():
        subprocess.run([python, "-m", "venv", PEERS_FOLDER], check=True, capture_output=True)
    pip = [installed, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    subprocess.run([*pip, *pins], check=True, capture_output=True, timeout=300)
    return str(installed)


def measured(python: str, which: str, managers: int) -> float:
    """CPU seconds of one search in a process of its own; ours is named with its kernel."""
    which, _, on = which.partition(" on ")
    command = [python, PEERS_SCRIPT, which, str(managers)]
    environment = {**os.environ, VARIABLE: on} if on else None
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    worlds, seconds = done.stdout.split()
    expected = TWO_PHASE_COUNTS[managers]
    assert int(worlds) == expected, f"{which} found {worlds} states of {expected}"
    return float(seconds)


def two_phase_section(options: argparse.Namespace) -> None:
    """Two-phase commit as messages, against two peers on the same interpreter."""
    managers = 5 if options.quick else 7
    python = peers_python(options.python)
    absent = ""
    if python is None:
        absent = "no Python 3.12 or newer was found; name one with --python"
    else:
        try:
            python = install_peers(python)
        except (subprocess.SubprocessError, OSError) as error:
            said = getattr(error, "stderr", None) or str(error).encode()
            absent = said.decode(errors="replace").strip().splitlines()[-1]
    runner = sys.executable if absent or python is None else python
    shown = subprocess.run([runner, "-V"], check=True, capture_output=True, text=True).stdout
    head(f"Two-phase commit, {managers} managers, one property judged; {shown.strip()}")
    ours = [f"happysim on {name}" for name in kernels()]
    others = [] if absent else [name + form for form in ("", "_packed") for name in PEERS]
    timings: dict[str, list[float]] = {name: [] for name in (*ours, *others)}
    for _ in range(1 if options.quick else 5):
        for name, seconds in timings.items():
            seconds.append(measured(runner, name, managers))
    medians = {name: median(seconds) for name, seconds in timings.items()}
    for name in timings:
        shown = name.replace("_packed", ", packed into bits by hand").replace(" on ", ", kernel: ")
        ratios = [f"{medians[name] / medians[each]:.2f} x ({each[12:]})" for each in ours]
        said = f"happysim is {', '.join(ratios)} as fast" if name in others else ""
        row(shown, TWO_PHASE_COUNTS[managers], None, medians[name], said)
    if absent:
        print(f"  {', '.join(PEERS)}: absent: {absent}")


SECTIONS = {
    "raft": raft_section,
    "paxos": paxos_section,
    "two_phase": two_phase_section,
    "uniform": uniform_section,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sections", nargs="*", metavar="section", help=", ".join(SECTIONS))
    parser.add_argument("--quick", action="store_true", help="smaller models, once each")
    parser.add_argument("--python", help="an interpreter for the peers (default: PEERS_PYTHON)")
    options = parser.parse_args()
    unknown = [name for name in options.sections if name not in SECTIONS]
    if unknown:
        parser.error(f"no section {unknown[0]!r}; there are {', '.join(SECTIONS)}")
    print(f"Python {sys.version.split()[0]}; CPU seconds")
    for name in options.sections or SECTIONS:
        SECTIONS[name](options)


if __name__ == "__main__":
    main()
