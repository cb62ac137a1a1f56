"""What runs of handlers cost where there are many: Raft, exhausted within two terms or begun.

Usage: PYTHONPATH=. python benchmarks/handlers.py

A miss is a local step that is not known yet: thaw the node, run its handler, freeze what it leaves,
number all of it. The share is that of misses in the processor seconds of the search, with what a
clock costs that is read around each. Bytes are those that a world takes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kernels import measured

from happysim import Faults, World, Write, bfs, bounded
from happysim.core.tables import Tables
from properties import raft


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


def handlers() -> None:
    """Print a row for each search."""
    columns = "worlds", "steps", "misses", "cpu s", "us/miss", "share", "bytes"
    print(f"{'Raft':<24}" + "".join(f"{each:>11}" for each in columns))
    for name, prop, most in HANDLER_HEAVY:
        began = time.process_time()
        with timing(Tables, "effects_of") as spent:
            report, size = measured(prop, bfs(), worlds_max=most)
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


if __name__ == "__main__":
    handlers()
