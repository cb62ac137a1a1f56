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

# Policies, each with the options that it takes.
_IN_TIME = ("seed", "runs", "until", "calm", "workers")
_POLICIES: dict[str, tuple[Callable[..., Policy], tuple[str, ...]]] = {
    "bfs": (bfs, ("memory", "reduce", "disk", "checkpoint", "every", "resume")),
    "dfs": (dfs, ("memory", "reduce")),
    "smt": (smt, ()),
    "uniform": (uniform, ("seed", "runs", "steps")),
    "pct": (pct, ("seed", "runs", "depth", "steps")),
    "simulated": (simulated, _IN_TIME),
    "swarm": (swarm, _IN_TIME),
}


def add_search(command: argparse.ArgumentParser) -> None:
    """The options that say how to search, and within which bounds."""
    command.add_argument("--by", choices=_POLICIES, help="how to search")
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
        "--reduce",
        action="store_const",
        const=True,
        help="leave dead messages out, with --by bfs or dfs",
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
    names = dict.fromkeys(name for _, takes in _POLICIES.values() for name in takes)
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    if options.by is None and not given:
        return None
    make, takes = _POLICIES[options.by or "bfs"]
    for name in given:
        if name not in takes:
            fitting = " or ".join(by for by, (_, has) in _POLICIES.items() if name in has)
            if options.by is None:
                raise UsageError(f"--{name} goes with --by {fitting}; add it")
            own = ", ".join(f"--{each}" for each in takes) or "none of these"
            raise UsageError(f"--{name} goes with --by {fitting}; --by {options.by} takes {own}")
    if "every" in given and not given.keys() & {"checkpoint", "resume"}:
        raise UsageError("--every goes with --checkpoint FILE or --resume FILE")
    return make(**{**({"seed": 1} if "seed" in takes else {}), **given})
