"""What smt() takes, beside an exhaustive search: python benchmarks/smt.py [seconds] [word]

`seconds` is for one search, `word` a part of the names of the models that are wanted. Each model is
judged with every representation of moments, and then searched breadth first for as long as is
allowed. Seconds are of processor time; sizes are local states a process, in full and reduced. Then
come an invariant and a few margins.

    python benchmarks/smt.py 10 refutations [file ...]

refutes every wrong variant of properties/broken, or of those files, by a solver and by a search;
"searched" stands where it is not z3 that found the run, but the search inside of smt().
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from happysim import Broken, Faults, Property, Unknown, Verdict, World, bfs, explore, smt
from happysim.front.collect import import_file, properties_in
from happysim.protocols.raft import RaftNode
from happysim.smt.encoding import CLOCKS
from happysim.smt.induction import induction
from happysim.smt.margin import margin
from happysim.smt.timing import Timing
from properties import election, lock, paxos, raft
from properties.broken import lease
from properties.broken.lock import stale_writers_are_trusted
from tests.smt.models import Acceptor, IgnoresVotes, agreement, synod
from tests.smt.test_induction import PAXOS, two_ballots


class VotesInMemory(RaftNode):
    """The vote is lost in a crash."""

    voted_for: str | None = None


class Forgets(Acceptor):
    """The vote of an acceptor is lost in a crash."""

    vote: tuple[int, str] | None = None


class Model(NamedTuple):
    name: str
    prop: Property
    within: Callable[[World], bool] | None = None


def elections(size: int, **options: Any) -> Property:
    return raft.election_safety.over(raft.cluster, size=size, **options)


def synods(**options: Any) -> Property:
    return agreement.over(synod, **options)


def tokens(highest: int) -> Callable[[World], bool]:
    return lambda world: world["lock"].token <= highest


ROOT = Path(__file__).resolve().parents[1]
CRASH = Faults(crashes=1)
# What a solver may do for one refutation, by its own count: some 60 seconds.
EFFORT = 600_000_000
CRASHED = election.one_leader_a_term.over(election.elections_and_a_crash)
FENCING = lock.the_store_is_written_in_order_of_tokens
MODELS = [
    Model("Raft, 3 servers, terms <= 1", elections(3), raft.terms(1)),
    Model("Raft, 3 servers, terms <= 2", elections(3), raft.terms(2)),
    Model("Raft, 3 servers, terms <= 3", elections(3), raft.terms(3)),
    Model("Raft, 5 servers, terms <= 1", elections(5), raft.terms(1)),
    Model("Raft, 5 servers, terms <= 2", elections(5), raft.terms(2)),
    Model("Raft, 3 servers, terms <= 2, pre-vote", elections(3, pre_vote=True), raft.terms(2)),
    Model("Raft, 3 servers, terms <= 2, a crash", elections(3, faults=CRASH), raft.terms(2)),
    Model(
        "the same, vote not durable, terms <= 1",
        elections(3, kind=VotesInMemory, faults=CRASH),
        raft.terms(1),
    ),
    Model("fencing, tokens <= 3", FENCING.over(lock.two_workers), tokens(3)),
    Model("fencing", FENCING.over(lock.two_workers)),
    Model("no fencing", FENCING.over(stale_writers_are_trusted)),
    Model("fencing, the server restarts", FENCING.over(lock.the_server_restarts)),
    Model("Paxos, 3 acceptors, 2 proposers, 2 ballots", synods()),
    Model("Paxos, 3 proposers, 3 ballots", synods(proposers=((1,), (2,), (3,)))),
    Model("Paxos, 2 proposers, 4 ballots", synods(proposers=((1, 3), (2, 4)))),
    Model("Paxos, 5 acceptors, 2 ballots", synods(size=5, phase1=3, phase2=3)),
    Model("Paxos, an acceptor restarts", synods(faults=CRASH)),
    Model("the same, vote not durable", synods(acceptor=Forgets, faults=CRASH)),
    Model("Paxos, votes ignored", synods(kind=IgnoresVotes)),
    Model("Flexible Paxos, 4 acceptors, 3 and 2", synods(size=4, phase1=3)),
    Model("the same, 2 and 2: broken", synods(size=4)),
    Model("PaxosNode, 2 of 3 propose", paxos.agreement),
    Model("PaxosNode, a second attempt", paxos.agreement.over(paxos.second_attempt)),
    Model("PaxosNode, an acceptor restarts", paxos.agreement.over(paxos.acceptor_crashes)),
    Model("PaxosNode, clients", paxos.agreement.over(paxos.two_clients)),
    Model("bully, 3 members", election.one_leader_a_term),
    Model("bully, a crash and a restart", CRASHED),
    Model("votes, 3 members", election.one_leader_a_term.over(election.votes)),
]


def afresh(prop: Property) -> Property:
    """The property over a scenario of which nothing is remembered."""
    return prop.over(prop.scenario.function, **dict(prop.scenario.arguments))


def row(*cells: str) -> None:
    widths = (42, 9, 10, 8, 8, 13, 9)
    print("".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=False)))


def refutations(seconds: float, *files: str) -> None:
    """How long the counterexamples of both are; what a solver does not cover is left out."""
    print(f"{'wrong variant':64}{'smt':26}{'seconds':9}{'search':14}seconds")
    paths = sorted((ROOT / "properties" / "broken").glob("*.py"))
    for path in paths:
        if files and path.stem not in files:
            continue
        for prop in properties_in(import_file(path, ROOT)):
            refute(path.stem, prop, seconds)


def refute(file: str, prop: Property, seconds: float) -> None:
    within = prop.scenario.bounds.within
    began = time.process_time()
    by = smt(seconds=600, effort=EFFORT)
    solved = explore(prop.scenario, prop, by=by, within=within)[prop]
    solving = time.process_time() - began
    if isinstance(solved, Unknown) and ("local states" in solved.reason or not prop.must_break):
        return
    began = time.process_time()
    found = explore(prop.scenario, prop, by=bfs(), within=within, seconds=seconds)[prop]
    searching = time.process_time() - began
    told = solved.reason if isinstance(solved, Unknown) else length(solved)
    told += ", searched" if any("found by a search" in note for note in solved.notes) else ""
    row = f"{told:26}{solving:<9.1f}{length(found):14}{searching:.1f}"
    print(f"{file + '::' + prop.name:64}{row}", flush=True)


def length(verdict: Verdict) -> str:
    if not isinstance(verdict, Broken) or verdict.schedule is None:
        return type(verdict).__name__
    return f"{len(verdict.schedule)}{', shortest' if verdict.shortest else ''}"


def main(seconds: float, word: str = "") -> None:
    row("model", "verdict", *CLOCKS, "worlds", "seconds")
    for name, model, within in (model for model in MODELS if word in model.name):
        times = []
        for clock in CLOCKS:
            prop = afresh(model)
            began = time.process_time()
            verdict = explore(prop.scenario, prop, by=smt(clock=clock, seconds=600), within=within)[
                prop
            ]
            times.append(f"{time.process_time() - began:.2f}")
        prop = afresh(model)
        began = time.process_time()
        searched = explore(prop.scenario, prop, by=bfs(), within=within, seconds=seconds)
        searching = time.process_time() - began
        worlds = f"{'> ' if searched.stopped == 'seconds' else ''}{searched.worlds:,}"
        row(
            name,
            type(verdict).__name__,
            *times,
            worlds,
            f"{searching:.1f}",
        )
        print(f"  {verdict}; {'; '.join(verdict.notes)}", flush=True)
    if not word:
        inductive()
        margins()


def inductive() -> None:
    """The invariant of Paxos's proof, beside the solver's search of all runs."""
    prop = agreement.over(two_ballots)
    for by in (induction(*PAXOS), smt()):
        began = time.process_time()
        verdict = explore(prop.scenario, prop, by=by)[prop]
        print(f"{type(by).__name__}: {verdict} in {time.process_time() - began:.2f} s")


def margins() -> None:
    prop = lease.one_client_believes_to_have_the_lock
    timing = Timing(latency=("0.001", "0.05"), drift="0.01")
    for parameter in ("drift", "latency", "timer hold"):
        began = time.process_time()
        found = margin(prop, parameter, timing)
        print(f"{found} in {time.process_time() - began:.2f} s")


if __name__ == "__main__":
    allowed = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    if sys.argv[2:3] == ["refutations"]:
        refutations(allowed, *sys.argv[3:])
    else:
        main(allowed, " ".join(sys.argv[2:]))
