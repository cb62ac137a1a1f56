"""What smt() takes, beside an exhaustive search: python benchmarks/smt.py [seconds a search]

Each model is judged with every representation of moments, and then searched breadth first for as
long as is allowed. Sizes are local states of one process, before and after reduction.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from happysim import Faults, Property, World, bfs, explore, smt
from happysim.protocols.raft import RaftNode
from happysim.smt.encoding import CLOCKS
from properties import lock, raft
from properties.broken.lock import stale_writers_are_trusted


class VotesInMemory(RaftNode):
    """The vote is lost in a crash."""

    voted_for: str | None = None


class Model(NamedTuple):
    name: str
    prop: Property
    within: Callable[[World], bool]


def elections(size: int, **options: Any) -> Property:
    return raft.election_safety.over(raft.cluster, size=size, **options)


def tokens(highest: int) -> Callable[[World], bool]:
    return lambda world: world["lock"].token <= highest


CRASH = Faults(crashes=1)
FENCING = lock.the_store_is_written_in_order_of_tokens
MODELS = [
    Model("Raft, 3 servers, terms <= 1", elections(3), raft.terms(1)),
    Model("Raft, 3 servers, terms <= 2", elections(3), raft.terms(2)),
    Model("Raft, 3 servers, terms <= 3", elections(3), raft.terms(3)),
    Model("Raft, 5 servers, terms <= 1", elections(5), raft.terms(1)),
    Model("Raft, 5 servers, terms <= 2", elections(5), raft.terms(2)),
    Model("Raft, 3 servers, terms <= 2, a crash", elections(3, faults=CRASH), raft.terms(2)),
    Model(
        "the same, vote not durable, terms <= 1",
        elections(3, kind=VotesInMemory, faults=CRASH),
        raft.terms(1),
    ),
    Model("fencing, tokens <= 3", FENCING.over(lock.two_workers), tokens(3)),
    Model("no fencing, tokens <= 2", FENCING.over(stale_writers_are_trusted), tokens(2)),
]


def afresh(prop: Property) -> Property:
    """The property over a scenario of which nothing is remembered."""
    return prop.over(prop.scenario.function, **dict(prop.scenario.arguments))


def row(*cells: str) -> None:
    widths = (42, 9, 10, 8, 8, 13, 9)
    print("".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=False)))


def main(seconds: float) -> None:
    row("model", "verdict", *CLOCKS, "worlds", "seconds")
    for name, model, within in MODELS:
        times = []
        for clock in CLOCKS:
            prop = afresh(model)
            began = time.perf_counter()
            verdict = explore(prop.scenario, prop, by=smt(clock=clock), within=within)[prop]
            times.append(f"{time.perf_counter() - began:.2f}")
        prop = afresh(model)
        searched = explore(prop.scenario, prop, by=bfs(), within=within, seconds=seconds)
        worlds = f"{'> ' if searched.stopped == 'seconds' else ''}{searched.worlds:,}"
        row(
            name,
            type(verdict).__name__,
            *times,
            worlds,
            f"{searched.seconds:.1f}",
        )
        print(f"  {'; '.join(verdict.notes)}")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0)
