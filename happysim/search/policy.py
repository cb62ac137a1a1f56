"""Policies: how a search picks the next world. A policy is a value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, get_args, runtime_checkable

from happysim.core.choice import Choice
from happysim.core.errors import ScenarioError
from happysim.spec.property import Property
from happysim.spec.report import Report
from happysim.spec.scenario import Bounds, Scenario

# Seconds from one checkpoint to the next.
EVERY = 600.0
Memory = Literal["exact", "fingerprint", "fingerprint without traces"]


@dataclass(frozen=True)
class Bfs:
    """Exhaustive, nearest worlds first; see `bfs`."""

    memory: Memory = "exact"
    disk: str | None = None
    spill_mib: float | None = None
    reduce: bool = False
    checkpoint: str | None = None
    every: float = EVERY
    resume: str | None = None


@dataclass(frozen=True)
class Dfs:
    """Exhaustive, newest worlds first; where `deepening`, to depth 1, 2, 3 and so on in turn."""

    memory: Memory = "exact"
    deepening: bool = False
    reduce: bool = False


@dataclass(frozen=True)
class Uniform:
    """Random runs: every enabled choice equally likely at each step."""

    seed: int
    runs: int
    steps: int


@dataclass(frozen=True)
class Pct:
    """Random runs by priorities that change `depth - 1` times."""

    seed: int
    runs: int
    depth: int
    steps: int


@dataclass(frozen=True)
class Replay:
    """One run: the given choices, by their text, from the first world of that name."""

    schedule: tuple[str, ...]
    start: str | None = None


@runtime_checkable
class Elsewhere(Protocol):
    """A policy that does its own search: how a layer above this one offers its way to a verdict."""

    def explore(
        self,
        scenario: Scenario,
        properties: Sequence[Property],
        bounds: Bounds,
        progress: Callable[[Any], None] | None = None,
    ) -> Report:
        """The verdicts on these properties of one scenario, within these bounds."""


Policy = Bfs | Dfs | Uniform | Pct | Replay | Elsewhere


def bfs(
    memory: Memory = "exact",
    disk: str | Path | None = None,
    spill_mib: float | None = None,
    checkpoint: str | Path | None = None,
    every: float = EVERY,
    resume: str | Path | None = None,
    *,
    reduce: bool = False,
) -> Bfs:
    """Search exhaustively, breadth first: a counterexample is as short as any.

    `memory` says what is kept of each world. "exact": all of it, so that nothing is left out.
    "fingerprint": 64 bits of hash and how it was met, at most 24 bytes a world. A world that
    shares its fingerprint with another is taken for that one, and a verdict names the probability
    that this happened: n^2 / 2^65 among n worlds. "fingerprint without traces": some 12 bytes a
    world; to show a counterexample the search runs a second time, up to it. The reference kernel
    is always exact. Raises `ScenarioError` for another word.

    With a folder `disk`, made where it is not there, worlds go to files in it once all that is kept
    of them takes more than `spill_mib` MiB: by default half of the memory budget. What is found is
    the same; it takes about twice as long, plus one pass over the files for each depth, so
    this is for searches that are wide, not deep. The files have no names, so that nothing is left
    of them. A full disk ends the search as a memory budget does. The reference kernel keeps all in
    memory, and a warning says so. Source: Korf, "Best-first frontier search with delayed duplicate
    detection", AAAI 2004.

    With a file `checkpoint` the search writes its state there `every` so many seconds, and where
    Ctrl-C or a budget of time, memory or disk ends it; `bfs(resume=FILE)` goes on from there, with
    the same verdicts, counts and schedules as a search that was never interrupted. It keeps that
    file up to date, unless `checkpoint` names another. Properties, bounds and code must be the
    same; budgets, `disk` and threads need not be. Only the native kernel writes checkpoints.

    With `reduce`, messages that can never again do anything where they are going are left out of
    worlds, so that worlds which differ in nothing else are one. Verdicts and the lengths of
    counterexamples stay what they are, worlds and steps become fewer: often a fifth or less. It may
    take several searches, each of which learns from the one before. Properties may read local
    states, timers and the history; one that reads what is in flight or the faults left is refused
    with `PropertyError`, and so is a `step_always` where messages may be dropped or duplicated. An
    ordered network is refused with `ScenarioError`. See `happysim/search/dead.py`.
    """
    if checkpoint is None:
        checkpoint = resume
    _check_positive("bfs", every=every)
    if spill_mib is not None:
        if disk is None:
            raise ScenarioError("bfs(spill_mib=...) is of searches with a disk; add disk='FOLDER'")
        _check_positive("bfs", spill_mib=spill_mib)
    if reduce and checkpoint is not None:
        raise ScenarioError(
            "bfs(reduce=True) learns from one search for the next, which no checkpoint keeps; "
            "write one of reduce=True and checkpoint='FILE'"
        )
    folder, to, since = (None if each is None else str(each) for each in (disk, checkpoint, resume))
    lean = _reduce("bfs", reduce)
    return Bfs(_memory("bfs", memory), folder, spill_mib, lean, to, every, since)


def dfs(memory: Memory = "exact", deepening: bool = False, reduce: bool = False) -> Dfs:
    """Search exhaustively, depth first: the same verdicts and counts in less memory.

    `memory` and `reduce` as for `bfs`. With `deepening` the search is cut at depth 1, then at 2,
    and so on, until a cut leaves nothing out (Korf, "Depth-first iterative-deepening", 1985). So a
    counterexample is as short as any, and one near the start is found however deep the rest goes.
    It costs every shallower search again. Counts are those of the last one.
    """
    return Dfs(_memory("dfs", memory), deepening, _reduce("dfs", reduce))


def _reduce(policy: str, reduce: bool) -> bool:
    if not isinstance(reduce, bool):
        raise ScenarioError(f"{policy}(reduce={reduce!r}): write True or False")
    return reduce


def _memory(policy: str, memory: Memory) -> Memory:
    if memory not in get_args(Memory):
        known = ", ".join(map(repr, get_args(Memory)))
        raise ScenarioError(f"{policy}(memory={memory!r}): write one of {known}")
    return memory


def uniform(seed: int, runs: int = 1000, steps: int = 100) -> Uniform:
    """Search at random: `runs` runs of at most `steps` choices, each choice equally likely.

    The same seed gives the same runs on every machine, Python version and hash seed. Raises
    `ScenarioError` for a count below 1, or a seed that is no whole number.
    """
    _check_seed("uniform", seed)
    _check_counts("uniform", runs=runs, steps=steps)
    return Uniform(seed, runs, steps)


def pct(seed: int, runs: int = 1000, depth: int = 3, steps: int = 100) -> Pct:
    """Search at random by priorities: probabilistic concurrency testing (Burckhardt et al. 2010).

    Each link, each node's own steps, each kind of fault of a node and the network's faults are a
    *strand* with a random priority. The strand of highest priority moves; after each of `depth - 1`
    steps drawn among the first `steps`, the strand that has just moved falls behind all others. A
    bug has depth d where d well-placed orderings of two steps make it happen whatever the rest.

    The paper's theorem: with n strands, each of which has one choice at a time, and runs of at most
    k = `steps` steps, a run finds a bug of depth d with a probability of at least 1 / (n k^(d-1)).
    So `steps` should be no larger than the runs are long. The same seed gives the same runs on
    every machine. Raises `ScenarioError` for a count below 1, or a seed that is no whole number.
    """
    _check_seed("pct", seed)
    _check_counts("pct", runs=runs, depth=depth, steps=steps)
    return Pct(seed, runs, depth, steps)


def _check_seed(policy: str, seed: object) -> None:
    if not isinstance(seed, int):
        raise ScenarioError(f"{policy}(seed={seed!r}): give a whole number")


def _check_counts(policy: str, **counts: object) -> None:
    for name, count in counts.items():
        if not isinstance(count, int) or count < 1:
            raise ScenarioError(f"{policy}({name}={count}): give a whole number of at least 1")


def _check_positive(policy: str, **amounts: object) -> None:
    for name, amount in amounts.items():
        if isinstance(amount, bool) or not isinstance(amount, (int, float)) or not amount > 0:
            raise ScenarioError(f"{policy}({name}={amount!r}): give a number above 0")


def replay(schedule: Sequence[Choice | str], start: str | None = None) -> Replay:
    """Follow one schedule: choices, or their texts.

    `start` names the world to start from, where the scenario has several; by default the first.
    """
    return Replay(tuple(map(str, schedule)), start)
