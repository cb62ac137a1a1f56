"""How to search, as the command line says it: --by a policy, with options that are of some only."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, get_args

from happysim.front.options import UsageError, count, positive
from happysim.search.policy import Memory, Policy, bfs, dfs, pct, uniform
from happysim.sim.policy import simulated
from happysim.sim.swarm import swarm
from happysim.smt.prove import smt

# Policies of random runs, each with the options that it takes.
_RANDOM: dict[str, tuple[Callable[..., Policy], tuple[str, ...]]] = {
    "uniform": (uniform, ("seed", "runs", "steps")),
    "pct": (pct, ("seed", "runs", "depth", "steps")),
    "simulated": (simulated, ("seed", "runs", "until", "calm", "workers")),
    "swarm": (swarm, ("seed", "runs", "until", "calm", "workers")),
}


def add_search(command: argparse.ArgumentParser) -> None:
    """The options that say how to search, and within which bounds."""
    command.add_argument("--by", choices=("bfs", "dfs", "smt", *_RANDOM), help="how to search")
    command.add_argument("--seed", type=int, help="of random runs (default 1)")
    command.add_argument("--runs", type=count, help="how many random runs")
    command.add_argument(
        "--steps", type=count, help="of a run of --by uniform or pct (default 100)"
    )
    command.add_argument(
        "--depth", type=count, help="of the bugs that --by pct is after (default 3)"
    )
    command.add_argument("--until", type=positive, metavar="S", help="seconds of a run in time")
    command.add_argument("--calm", type=positive, metavar="S", help="seconds to get things done")
    command.add_argument("--workers", type=count, metavar="N", help="processes for runs in time")
    command.add_argument("--max-depth", type=count, metavar="N", help="the first world is 1")
    command.add_argument("--max-worlds", type=count, metavar="N")
    command.add_argument("--seconds", type=positive, metavar="S", help="for each scenario")
    command.add_argument("--memory", choices=get_args(Memory), help="what --by bfs or dfs keeps")
    command.add_argument(
        "--reduce", action="store_true", help="leave dead messages out, with --by bfs or dfs"
    )
    command.add_argument("--disk", metavar="FOLDER", help="for what memory does not hold; --by bfs")
    command.add_argument("--checkpoint", metavar="FILE", help="of --by bfs: to go on from")
    command.add_argument("--every", type=positive, metavar="S", help="seconds between checkpoints")
    command.add_argument("--resume", metavar="FILE", help="go on from a checkpoint")
    command.add_argument("--memory-mib", type=positive, metavar="M", help="of this process")


def search_of(options: argparse.Namespace) -> dict[str, Any]:
    """What `explore` is to be told. Raises `UsageError` for options that do not go together."""
    return {
        "by": _policy(options),
        "max_depth": options.max_depth,
        "max_worlds": options.max_worlds,
        "seconds": options.seconds,
        "memory_mib": options.memory_mib,
    }


def _policy(options: argparse.Namespace) -> Policy | None:
    names = dict.fromkeys(name for _, takes in _RANDOM.values() for name in takes)
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    make, takes = _RANDOM.get(options.by, (None, ()))
    for name in given:
        if name not in takes:
            fitting = " or ".join(by for by, (_, has) in _RANDOM.items() if name in has)
            if make is None:
                raise UsageError(f"--{name} is of random runs; add --by {fitting}")
            own = ", ".join(f"--{each}" for each in takes)
            raise UsageError(f"--{name} goes with --by {fitting}; --by {options.by} takes {own}")
    exhaustive = options.by in (None, "bfs", "dfs")
    if not exhaustive and (options.memory is not None or options.reduce):
        told = "--memory" if options.memory is not None else "--reduce"
        raise UsageError(f"{told} is of exhaustive searches; add --by bfs or dfs")
    if make is not None:
        return make(**{"seed": 1, **given})
    kept = {name: getattr(options, name) for name in ("disk", "checkpoint", "every", "resume")}
    given = {name: value for name, value in kept.items() if value is not None}
    if given:
        if options.by not in (None, "bfs"):
            raise UsageError(f"--{next(iter(given))} is of searches breadth first; add --by bfs")
        if "every" in given and not given.keys() & {"checkpoint", "resume"}:
            raise UsageError("--every goes with --checkpoint FILE or --resume FILE")
        return bfs(options.memory or "exact", **given, reduce=options.reduce)
    if options.memory is not None or options.reduce:
        make = dfs if options.by == "dfs" else bfs
        return make(options.memory or "exact", reduce=options.reduce)
    others: dict[str, Callable[[], Policy]] = {"bfs": bfs, "dfs": dfs, "smt": smt}
    return others[options.by]() if options.by else None
