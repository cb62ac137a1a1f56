"""Induction: an invariant proves what it implies, and a step out of it is shown, never believed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import pytest

from happysim import (
    Faults,
    Host,
    Node,
    Property,
    Random,
    ScenarioError,
    World,
    action,
    always,
    bfs,
    check,
    durable,
    explore,
    message,
    on,
    quiescent,
    reachable,
    step_always,
)
from happysim.smt.boxes import Reader
from happysim.smt.closure import RAISED, Closure, close
from happysim.smt.combinations import Combinations
from happysim.smt.induction import induction
from happysim.smt.solver import SolverMissingError, why_unknown
from tests.smt.models import Acceptor, Proposer, agreement, synod
from tests.smt.random_protocols import properties

# -- votes ----------------------------------------------------------------------------------------


@message
class Ask: ...


@message
class Yes: ...


class Voter(Node):
    voted_for: str | None = durable(None)

    @on(Ask)
    def vote(self, host: Host, sender: str, ask: Ask) -> None:
        if self.voted_for in (None, sender):
            self.voted_for = sender
            host.reply(Yes())


class Forgetful(Voter):
    voted_for: str | None = None


class Candidate(Node):
    voters: tuple[str, ...]
    asked: bool = False
    votes: frozenset[str] = frozenset()

    @action(when=lambda self: not self.asked)
    def ask(self, host: Host) -> None:
        self.asked = True
        host.broadcast(Ask(), to=self.voters)

    @on(Yes)
    def count(self, host: Host, sender: str, yes: Yes) -> None:
        self.votes |= {sender}


VOTERS = ("v1", "v2", "v3")


def election(kind: type[Voter] = Voter) -> World:
    candidates = [Candidate(name, voters=VOTERS) for name in ("c1", "c2")]
    return World.of(*map(kind, VOTERS), *candidates, faults=Faults(crashes=1))


@always(election)
def one_winner(world: World) -> bool:
    return not all(len(world[name].votes) >= 2 for name in ("c1", "c2"))


@step_always(election)
def a_vote_is_for_ever(before: World, after: World) -> bool:
    return before["v1"].voted_for in (None, after["v1"].voted_for)


@reachable(election)
def two_winners(world: World) -> bool:
    return all(len(world[name].votes) >= 2 for name in ("c1", "c2"))


def votes_are_given(world: World) -> bool:
    return all(world[voter].voted_for == c for c in ("c1", "c2") for voter in world[c].votes)


def test_an_invariant_proves_what_it_implies() -> None:
    by = induction(votes_are_given)
    assert str(check(one_winner, by=by)) == "Holds (proved)"
    assert str(check(a_vote_is_for_ever, by=by)) == "Holds (proved)"
    assert str(check(two_winners, by=by)) == "Broken (no world satisfies it (proved))"


def test_a_step_out_of_an_invariant_is_shown() -> None:
    verdict = check(one_winner.over(election, kind=Forgetful), by=induction(votes_are_given))
    assert verdict.unknown
    # A voter crashes and forgets, or its answer arrives after it has.
    assert "votes_are_given is not inductive: " in str(verdict)
    [step] = [note for note in verdict.notes if note.startswith("step: ")]
    assert f"{step.removeprefix('step: ')} leaves it" in str(verdict)
    assert sum(note.startswith("before: ") for note in verdict.notes) == 5
    assert sum(note.startswith("after: ") for note in verdict.notes) == 1


def test_a_property_that_is_no_invariant_by_itself_needs_a_stronger_one() -> None:
    assert "one_winner is not inductive" in str(check(one_winner, by=induction()))


def nobody_has_asked(world: World) -> bool:
    return not world["c1"].asked


def somebody_has_asked(world: World) -> bool | str:
    return world["c1"].asked or "c1 has not asked"


def anything(world: World) -> bool:
    return True


@pytest.mark.parametrize(
    ("invariant", "reason"),
    [
        (nobody_has_asked, "nobody_has_asked is not inductive: act c1 ask leaves it"),
        (somebody_has_asked, "does not hold in the first world: c1 has not asked"),
        (anything, "the invariants do not imply one_winner"),
    ],
)
def test_a_wrong_invariant_proves_nothing(invariant: Any, reason: str) -> None:
    verdict = check(one_winner, by=induction(invariant))
    assert verdict.unknown
    assert reason in str(verdict)


def test_a_property_broken_in_the_first_world_is_broken() -> None:
    verdict = check(always(election)(somebody_has_asked), by=induction())
    assert str(verdict) == "Broken (in 0 choices, shortest): c1 has not asked"


# -- Paxos ----------------------------------------------------------------------------------------


class Remembers(Acceptor):
    """Keeps the ballots of all its votes, for the invariant to speak of."""

    voted: frozenset[int] = durable(frozenset())

    def accept(self, host: Host, sender: str, accept: Any) -> None:
        super().accept(host, sender, accept)
        if self.vote is not None:
            self.voted |= {self.vote[0]}


ACCEPTORS = ("a1", "a2", "a3")


def two_ballots(phase1: int = 2, phase2: int = 2) -> World:
    """Ballot 1 is p1's, and ballot 2 is p2's."""
    return synod(phase1=phase1, phase2=phase2, acceptor=Remembers)


def accepts_are_votes(world: World) -> bool:
    return all(p.ballot in world[name].voted for p in world.nodes(Proposer) for name in p.accepts)


def promises_are_kept(world: World) -> bool:
    """Who told p2 of no vote has cast none in ballot 1, and will not."""
    return all(
        world[name].promised >= 2 and (vote is not None or 1 not in world[name].voted)
        for name, vote in world["p2"].promises.items()
    )


def p2_is_free_where_a_quorum_is(world: World) -> bool:
    """Section 2.2, P2c: a quorum has not voted in ballot 1 and never will, or p2 proposes as p1."""
    free = [n for n in ACCEPTORS if world[n].promised >= 2 and 1 not in world[n].voted]
    return world["p2"].value in (None, "p1") or len(free) >= world["p2"].phase1


# What is true of each process by itself is known from the closure, and need not be said.
PAXOS = (accepts_are_votes, promises_are_kept, p2_is_free_where_a_quorum_is)


def test_paxos_agrees_by_the_invariant_of_its_proof() -> None:
    assert str(check(agreement.over(two_ballots), by=induction(*PAXOS))) == "Holds (proved)"


@pytest.mark.parametrize("left_out", range(3))
def test_each_part_of_the_invariant_is_needed(left_out: int) -> None:
    rest = [each for at, each in enumerate(PAXOS) if at != left_out]
    assert check(agreement.over(two_ballots), by=induction(*rest)).unknown


def test_quorums_that_need_not_meet_leave_agreement_unproved() -> None:
    prop = agreement.over(two_ballots, phase1=1, phase2=2)
    verdict = check(prop, by=induction(*PAXOS))
    assert "the invariants do not imply agreement" in str(verdict)
    assert check(prop, by=bfs()).broken


# -- agreement with brute force and exhaustive search ---------------------------------------------


def leaves(closure: Closure, holds: Callable[[World], bool]) -> Iterator[str]:
    """Every step out of an invariant, by trying each combination of local states with each step."""
    reader = Reader(closure.tables, lambda world: None)
    envelopes = closure.tables.envelopes.values
    for combination in product(*(range(len(graph.vertices)) for graph in closure.graphs)):
        vertices = [g.vertices[v] for g, v in zip(closure.graphs, combination, strict=True)]
        crashes = sum(vertex.crashes for vertex in vertices)
        states = [vertex.state for vertex in vertices]
        if crashes > closure.ledger.budgets[2] or not holds(reader.world(states)):
            continue
        for slot, graph in enumerate(closure.graphs):
            for edge in graph.edges:
                if edge.source != combination[slot]:
                    continue
                if edge.receives >= 0 and edge.receives not in closure.first:
                    sender = envelopes[edge.receives].source
                    if combination[sender] not in behind(closure, sender, edge.receives):
                        continue
                if edge.target == RAISED:
                    yield str(edge.choice)
                    continue
                after = [*states[:slot], graph.vertices[edge.target].state, *states[slot + 1 :]]
                if not holds(reader.world(after)):
                    yield str(edge.choice)


def behind(closure: Closure, slot: int, envelope: int) -> set[int]:
    edges = closure.graphs[slot].edges
    found = {edge.target for edge in edges if envelope in edge.sends}
    while more := {e.target for e in edges if e.source in found} - found - {RAISED}:
        found |= more
    return found


def weaker(one: Any, other: Any) -> Callable[[World], bool]:
    def either(world: World) -> bool:
        return bool(one(world) or other(world))

    return either


def drawn(random: Random) -> Callable[[World], bool]:
    """True of most combinations of two local states, whatever they mean."""
    table = [[random.below(5) > 0 for _ in range(8)] for _ in range(4)]

    def holds(world: World) -> bool:
        one, other = world["n1"], world["n2"]
        return table[one.state][other.state + 4 * (one.kept or 0)]

    return holds


def test_random_invariants_are_judged_as_by_brute_force() -> None:
    held = failed = 0
    for seed in range(100):
        judged = [p for p in properties(seed, "unordered") if len(p.scenario.worlds) == 1]
        first, second = judged[0].function, judged[1].function
        closure = close(next(iter(judged[0].scenario.worlds.values())))
        if max(closure.sizes) > 40 or len(closure.sizes) > 3:
            continue
        invented = [drawn(Random(seed)), drawn(Random(seed + 1000))]
        for holds in (first, second, weaker(first, second), *invented):
            prop = always(judged[0].scenario)(holds)
            if not holds(closure.start):
                continue
            verdict = check(prop, by=induction())
            assert verdict.holds == (not any(leaves(closure, holds))), (seed, str(verdict))
            held += verdict.holds
            failed += verdict.unknown
            if verdict.holds:
                assert check(prop, by=bfs()).holds, seed
    assert held >= 80
    assert failed >= 25


# -- what is said where there is no proof ----------------------------------------------------------


class Counter(Node):
    count: int = 0

    @action
    def tick(self, host: Host) -> None:
        self.count += 1


@always(lambda: World.of(Counter("n")))
def counts_up(world: World) -> bool:
    return bool(world["n"].count >= 0)


class Raiser(Counter):
    def tick(self, host: Host) -> None:
        raise ValueError("no")


@always(lambda: World.of(Raiser("n")))
def stays(world: World) -> bool:
    return bool(world["n"].count == 0)


@quiescent(election)
def at_rest(world: World) -> bool:
    return True


@pytest.mark.parametrize(
    ("prop", "invariant", "options", "reason"),
    [
        (counts_up, anything, {"steps_max": 50}, "the local states are too many"),
        (one_winner, lambda world: not world.in_flight, {}, "it reads what is in flight"),
        (one_winner, lambda world: not world.history.calls, {}, "it reads the history"),
        (one_winner, votes_are_given, {"seconds": 1e-9}, "the time ran out"),
        (at_rest, anything, {}, "quiescent properties are not"),
        (stays, stays.function, {}, "a handler may raise where the invariants hold: act n tick"),
    ],
)
def test_what_is_not_covered_is_unknown_and_says_why(
    prop: Property, invariant: Any, options: dict[str, Any], reason: str
) -> None:
    verdict = check(prop, by=induction(invariant, **options))
    assert verdict.unknown
    assert reason in str(verdict)


def test_a_bound_is_named() -> None:
    verdict = check(counts_up, by=induction(), within=lambda world: world["n"].count < 5)
    assert str(verdict) == "Holds (proved within the bound `within`)"


def test_without_a_solver_nothing_is_proved(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Any:
        raise SolverMissingError("z3 cannot be loaded; install the package z3-solver")

    monkeypatch.setattr(sys.modules["happysim.smt.judging"], "load_z3", missing)
    assert "install the package z3-solver" in str(check(one_winner, by=induction()))


def test_an_interrupt_ends_the_search_and_not_one_proof_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    solves = []

    def stopped(*_: object) -> Any:
        solves.append(1)
        # What z3 says of a solve in which it took Ctrl-C for itself.
        return why_unknown("interrupted from keyboard")

    monkeypatch.setattr(Combinations, "_solve", stopped)
    props = (one_winner, one_winner.over(one_winner.scenario, name="again"))
    report = explore(one_winner.scenario, *props, by=induction(votes_are_given))
    assert [str(report[prop]) for prop in props] == ["Unknown (interrupted)"] * 2
    assert (report.stopped, len(solves)) == ("interrupt", 1)


@pytest.mark.parametrize("wrong", [lambda: induction("x"), lambda: induction(seconds=0)])  # type: ignore[arg-type]
def test_options_that_make_no_sense_are_refused(wrong: Callable[[], Any]) -> None:
    with pytest.raises(ScenarioError, match=r"induction\("):
        wrong()
