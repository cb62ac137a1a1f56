"""Simulation side by side with simpy and with a bare heap, on the same ping-pong and the same Raft.

Usage: PYTHONPATH=. python benchmarks/simulate.py [--quick]

Every engine runs the same handlers. Runs are taken in turn, three of each, and the fastest counts;
seconds are of processor time, for the machine may have other work.
simpy is run as its users write it, with a process for each message that puts it into a Store, and
inline, without one. The bare heap checks nothing, and is as fast as a loop in Python can be. The
last parts say what a trace and properties cost, as ratios, and how long an hour takes.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable

from benchmarks.timed import models, plain
from happysim import Simulation
from happysim.spec.property import Property
from properties import raft, raft_under_load

HAS_SIMPY = importlib.util.find_spec("simpy") is not None
if HAS_SIMPY:
    from benchmarks.timed import simpy_models

Run = Callable[[], tuple[int, int]]  # handler calls, and messages handled
SAFETY: tuple[Property, ...] = (
    raft.election_safety,
    raft.log_matching,
    raft.state_machine_safety,
    raft.leader_completeness,
)


MONITORS: tuple[Property, ...] = (
    raft_under_load.election_safety,
    raft_under_load.log_matching,
    raft_under_load.state_machine_safety,
    raft_under_load.leader_completeness,
)


def ours(world: Callable[[], object], seconds: float, **options: object) -> Run:
    """A run of ours."""

    def run() -> tuple[int, int]:
        simulation = Simulation(world(), seed=1, **options)  # type: ignore[arg-type]
        simulation.run(seconds)
        assert simulation.broken is None, simulation.broken
        summary = simulation.summary()
        return summary.handled, summary.traffic.delivered

    return run


def measured(runs: dict[str, Run], times: int) -> dict[str, tuple[float, int, int]]:
    """The fastest of several runs of each, taken in turn: seconds, calls, messages."""
    best: dict[str, tuple[float, int, int]] = {}
    for _ in range(times):
        for name, run in runs.items():
            began = time.process_time()
            calls, messages = run()
            seconds = time.process_time() - began
            if name not in best or seconds < best[name][0]:
                best[name] = seconds, calls, messages
    return best


def table(title: str, found: dict[str, tuple[float, int, int]], base: str) -> None:
    """Print a row for each engine; the ratio is ours to it, in messages a second."""
    print(f"\n{title}")
    print(f"{'engine':34}{'seconds':>9}{'calls/s':>12}{'messages/s':>12}{'ours is':>10}")
    own = found[base][2] / found[base][0]
    for name, (seconds, calls, messages) in found.items():
        rate = messages / seconds
        print(f"{name:34}{seconds:9.2f}{calls / seconds:12,.0f}{rate:12,.0f}{own / rate:9.2f}x")


def main() -> None:
    quick = "--quick" in sys.argv
    times = 1 if quick else 3
    seconds = 20.0 if quick else 200.0
    balls: dict[str, Run] = {"happysim": ours(models.ping_pong, seconds)}
    latency = models.LATENCY_S
    if HAS_SIMPY:
        for name, each in (("a process a message", True), ("inline", False)):
            balls[f"simpy, {name}"] = lambda each=each: (
                (handled := simpy_models.ping_pong(seconds, latency, per_message=each)),
                handled,
            )
    balls["a bare heap"] = lambda: (
        (handled := plain.ping_pong(seconds, latency)),
        handled,
    )
    table("ping-pong", measured(balls, times), "happysim")

    length = 5.0 if quick else 60.0
    servers: dict[str, Run] = {"happysim": ours(models.cluster, length)}

    def counted(counts: plain.Counts) -> tuple[int, int]:
        return counts.calls, counts.messages

    if HAS_SIMPY:
        for name, each in (("a process a message", True), ("inline", False)):
            servers[f"simpy, {name}"] = lambda each=each: counted(
                simpy_models.cluster(length, 1, per_message=each)
            )
    servers["a bare heap"] = lambda: counted(plain.cluster(length, 1))
    table("five servers of Raft, two clients", measured(servers, times), "happysim")
    if not HAS_SIMPY:
        print("\nsimpy is absent: pip install simpy")

    costs = {
        "happysim": ours(models.cluster, length),
        "with a trace": ours(models.cluster, length, trace=True),
        "with four safety properties": ours(models.cluster, length, properties=SAFETY),
    }
    table("what a trace and properties cost", measured(costs, times), "happysim")

    hour = 60.0 if quick else 3600.0
    beats = {"an election every 1.5 to 3 s": models.steady, "150 to 300 ms": models.quick}
    hours = {
        f"{name}{told}": ours(world, hour, properties=judged)
        for name, world in beats.items()
        for told, judged in (("", ()), (", judged", MONITORS))
    }
    table(f"{hour:.0f} s of five servers and two clients", measured(hours, 1), next(iter(hours)))


if __name__ == "__main__":
    main()
