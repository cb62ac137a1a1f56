"""What reductions save: dead messages, which the kernels leave out, and others, which they do not.

    python benchmarks/reductions.py            everything: some minutes
    python benchmarks/reductions.py --quick    the smaller models

The last table is of interchangeable nodes, `World.of(symmetric=...)`: worlds and CPU seconds of the
whole search and of the one up to symmetry, from empty tables, once each.

The first table is of `bfs(reduce=True)`: worlds, steps and CPU seconds without and with it, the
seconds those of all its searches, from empty tables, the least of three. The second one counts what
other reductions leave, each over all worlds and over those without dead messages: see
`benchmarks/reduced/`. They are plain Python, and counts say more than their seconds. Every search
here runs to its end, so the verdicts are those of the whole; the tests compare them.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]

from benchmarks.reduced.more import subsumed, without_echoes  # noqa: E402 - the line above finds it
from benchmarks.reduced.orders import persistent_sets, sleep_sets  # noqa: E402
from benchmarks.reduced.space import Space  # noqa: E402
from happysim import Faults, Report, Scenario, World, always, bfs, explore  # noqa: E402
from happysim.kernel.switch import VARIABLE, kernel  # noqa: E402
from happysim.spec.scenario import scenario_of  # noqa: E402
from properties import election, lock, multi_paxos, paxos, primary_backup, raft  # noqa: E402
from tests.oracles.models import paxos as by_the_book  # noqa: E402
from tests.oracles.models import register, two_phase  # noqa: E402

RUNS = 3
# Plain Python goes through no more worlds than this, nor through a closure for each of so many.
WORLDS_MAX, CLOSED_MAX = 20_000, 6_500
# Nor the reference kernel, where there is another.
REFERENCE_MAX = 100_000


class Model(NamedTuple):
    """A scenario; whether the clients' history is in its worlds; whether it is small."""

    scenario: Any
    arguments: dict[str, Any]
    history: bool = False
    quick: bool = True


MODELS = {
    "Raft, elections": Model(raft.elections, {}),
    "Raft, two rivals": Model(raft.rivals, {}, quick=False),
    "Raft, one command": Model(raft.one_command, {}, quick=False),
    "Raft, elections, a crash": Model(raft.elections_and_a_crash, {}, quick=False),
    "Raft, four servers, one term": Model(raft.four_servers, {}, quick=False),
    "Paxos, two proposers": Model(paxos.duel, {}),
    "Paxos, a second attempt": Model(paxos.second_attempt, {}, quick=False),
    "Paxos, 3 servers, 2 clients": Model(by_the_book.paxos, {"servers": 3, "clients": 2}, True),
    "Paxos, 3 servers, 3 clients": Model(
        by_the_book.paxos, {"servers": 3, "clients": 3}, True, False
    ),
    "Multi-Paxos, elections": Model(multi_paxos.elections, {}),
    "Multi-Paxos, two rivals": Model(multi_paxos.rivals, {}),
    "two-phase commit, 5 managers": Model(two_phase.messages, {"managers": 5}),
    "two-phase commit, 7 managers": Model(two_phase.messages, {"managers": 7}, quick=False),
    "ABD, 2 servers, 2 clients": Model(register.abd, {"servers": 2, "clients": 2}, True),
    "ABD, 2 servers, 3 clients": Model(register.abd, {"servers": 2, "clients": 3}, True, False),
    "bully": Model(election.elections, {}),
    "bully, a crash": Model(election.elections_and_a_crash, {}),
    "lock, messages come again": Model(lock.messages_come_again_for_ever, {}, quick=False),
    "primary-backup, 3 servers": Model(primary_backup.three_servers, {}, True, False),
}


def scenario(model: Model) -> Scenario:
    """The scenario, with tables of its own that are empty."""
    return scenario_of(model.scenario, model.arguments)


def timed(name: str, model: Model, reduce: bool) -> tuple[float, Report]:
    """CPU seconds of a search on a kernel, the least of several, and what it found."""
    best: list[float] = []
    for _ in range(RUNS):
        made = scenario(model)
        gc.collect()
        with mock.patch.dict(os.environ, {VARIABLE: name}):
            began = time.process_time()
            report = explore(made, by=bfs(reduce=reduce), history=model.history)
            best.append(time.process_time() - began)
    return min(best), report


def of_kernels(models: dict[str, Model]) -> None:
    """The first table."""
    names = [*(["native"] if kernel().name == "native" else []), "reference"]
    print("Without dead messages: bfs(reduce=True)\n")
    print(
        f"  {'':30} {'worlds':>9} {'steps':>10}   {'worlds':>8} {'steps':>9} {'x fewer':>8}", end=""
    )
    print("".join(f"   CPU s, {name}" for name in names))
    for title, model in models.items():
        (before, whole), (after, left) = timed(names[0], model, False), timed(names[0], model, True)
        seconds = [f"   {before:6.2f} {after:6.2f}"]
        for name in names[1:] if whole.worlds <= REFERENCE_MAX else []:
            before, after = timed(name, model, False)[0], timed(name, model, True)[0]
            seconds.append(f"   {before:6.2f} {after:6.2f}")
        print(
            f"  {title:30} {whole.worlds:9,} {whole.steps:10,}   {left.worlds:8,} {left.steps:9,} "
            f"{whole.worlds / left.worlds:8.1f}{''.join(seconds)}",
            flush=True,
        )


def agree(world: World) -> bool:
    """No manager has aborted where another has committed."""
    return not {"aborted", "committed"} <= {each.state for each in world.nodes(two_phase.Manager)}


def one_leader_a_term(world: World) -> bool:
    """The paper's election safety."""
    found = [server.current_term for server in raft.leaders_of(world)]
    return len(found) == len(set(found))


def of_symmetry(quick: bool) -> None:
    """The last table."""
    print("\nInterchangeable nodes: World.of(symmetric=...)\n")
    print(f"  {'':36} {'worlds':>10} {'CPU s':>7} {'orbits':>8} {'CPU s':>7}")
    rows: list[tuple[str, Any, dict[str, Any], Any, Any]] = [
        (f"two-phase commit, {n} managers", two_phase.messages, {"managers": n}, agree, None)
        for n in ((5, 6) if quick else (7, 8, 9))
    ]
    for size, terms, crashes in ((3, 2, 0), (3, 2, 1), (5, 1, 0), (5, 1, 2)):
        title = f"Raft, {size} servers, {terms} terms, {crashes} crashes"
        given = {"size": size, "faults": Faults(crashes=crashes)}
        rows.append((title, raft.cluster, given, one_leader_a_term, raft.terms(terms)))
    for title, function, given, judged, within in rows:
        shown = []
        for symmetric in (False, True):
            prop = always(function, **given, symmetric=symmetric)(judged)
            gc.collect()
            began = time.process_time()
            report = explore(prop.scenario, prop, within=within)
            shown.append((report, time.process_time() - began))
        (whole, before), (left, after) = shown
        assert (whole.worlds, whole.depth) == (left.in_full, left.depth), "counts differ"
        print(f"  {title:36} {whole.worlds:10,} {before:7.2f} {left.worlds:8,} {after:7.2f}")


def of_others(models: dict[str, Model]) -> None:
    """The second table."""
    print("\nOther reductions: worlds and steps left, and CPU seconds\n")
    ways: dict[str, Callable[[Space], tuple[int, int]]] = {
        "sleep sets": sleep_sets,
        "persistent sets": persistent_sets,
        "subsumed, breadth first": partial(subsumed, depth_first=False),
        "subsumed, depth first": partial(subsumed, depth_first=True),
        "no echoes": lambda space: (without_echoes(space), 0),
    }
    for title, model in models.items():
        for without_dead in (False, True):
            space = Space(scenario(model), model.history)
            began = time.process_time()
            found = space.without_dead() if without_dead else None
            if found is None:
                whole = explore(scenario(model), history=model.history)
                found = space.search() if whole.worlds <= WORLDS_MAX else None
            if found is None or found.worlds > WORLDS_MAX:
                continue
            kind = "without dead messages" if without_dead else "all"
            print(f"  {title}, {kind}")
            row("every step", found, found, time.process_time() - began)
            for way, reduced in ways.items():
                if way == "persistent sets" and found.worlds > CLOSED_MAX:
                    continue
                if way == "no echoes" and not without_dead:
                    continue
                began = time.process_time()
                row(way, reduced(space), found, time.process_time() - began)
            locals_met = len({space.states(world) for world in space.worlds})
            print(f"    {'combinations of local states':30} {locals_met:8,}", flush=True)


def row(way: str, left: tuple[int, int], whole: tuple[int, int], seconds: float) -> None:
    """A line of the second table; the ratios are by what there is without the reduction."""
    steps = f"{left[1]:9,} ({whole[1] / left[1]:4.1f} x)" if left[1] else " " * 18
    print(
        f"    {way:30} {left[0]:8,} ({whole[0] / left[0]:4.1f} x)  {steps}  {seconds:6.2f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="the smaller models")
    options = parser.parse_args()
    models = {title: model for title, model in MODELS.items() if model.quick or not options.quick}
    of_kernels(models)
    of_others(models)
    of_symmetry(options.quick)


if __name__ == "__main__":
    main()
