"""A solver's verdicts: they agree with exhaustive search, and say why where there is none."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import pytest

from happysim import (
    Broken,
    Faults,
    Holds,
    Host,
    Node,
    Property,
    Report,
    ScenarioError,
    World,
    action,
    always,
    bfs,
    check,
    duplicating,
    durable,
    explore,
    message,
    on,
    ordered,
    prove,
    quiescent,
    reachable,
    smt,
    step_always,
    unordered,
)
from happysim.protocols.raft import RaftNode
from happysim.search.schedule import first_world, follow
from happysim.smt.boxes import Reader, TooLargeError
from happysim.smt.closure import close
from happysim.smt.encoding import CLOCKS
from happysim.smt.solver import SolverMissingError
from happysim.smt.symmetry import swaps
from happysim.spec.property import Sort
from properties import lock, raft
from properties.broken.lock import stale_writers_are_trusted
from tests.smt.random_protocols import NETWORKS, properties
from tests.support.nodes import Counter, Ping, one_node

# -- agreement with exhaustive search -------------------------------------------------------------

SEEDS = 25


def by_name(verdicts: Any) -> dict[str, Any]:
    return {prop.name: verdict for prop, verdict in verdicts.items()}


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("clock", CLOCKS)
def test_random_protocols_are_judged_as_by_exhaustive_search(network: str, clock: str) -> None:
    decided = 0
    first = 100 * (1 + CLOCKS.index(clock))
    for seed in range(first, first + SEEDS):
        judged = properties(seed, network)
        searched = by_name(explore(judged[0].scenario, *judged, by=bfs()).verdicts)
        solved = by_name(explore(judged[0].scenario, *judged, by=smt(clock=clock)).verdicts)
        raises = searched["no_handler_raises"].broken
        for name, verdict in solved.items():
            expected = searched[name]
            if verdict.unknown or (expected.unknown and raises):
                continue
            decided += 1
            assert type(verdict) is type(expected), (seed, name, verdict, expected)
            if isinstance(verdict, Broken) and verdict.shortest and name != "no_handler_raises":
                assert len(verdict.schedule or ()) == len(expected.schedule)
    # An ordered network is covered in part: what a copying network refutes may not replay there.
    assert decided >= (60 if network == "ordered" else 100)


def test_a_property_with_too_many_judgements_is_asked_in_turns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys.modules["happysim.smt.question"], "_EVALUATIONS_MAX", 2)
    decided = 0
    for seed in range(SEEDS):
        prop = properties(seed, "duplicating")[1]
        solved, searched = check(prop, by=smt(seconds=2)), check(prop, by=bfs())
        if solved.unknown:
            continue
        decided += 1
        assert type(solved) is type(searched), (seed, solved, searched)
    assert decided >= SEEDS - 5


# -- Raft and the lock ----------------------------------------------------------------------------


class VotesInMemory(RaftNode):
    """The vote is lost in a crash."""

    voted_for: str | None = None


def cluster(size: int, **options: Any) -> World:
    return raft.cluster(size, **options)


def election_safety(size: int, **options: Any) -> Property:
    return raft.election_safety.over(cluster, size=size, **options)


@pytest.mark.parametrize(
    ("size", "terms", "faults"),
    [(3, 2, None), (3, 3, None), (5, 1, None), (3, 2, Faults(crashes=1))],
)
def test_election_safety_of_raft_is_proved(size: int, terms: int, faults: Faults | None) -> None:
    prop = election_safety(size, faults=faults)
    verdict = check(prop, by=smt(), within=raft.terms(terms))
    assert str(verdict) == "Holds (proved within the bound `within`)"


@pytest.mark.slow
def test_election_safety_of_five_servers_in_two_terms_is_proved() -> None:
    assert check(election_safety(5), by=smt(seconds=300), within=raft.terms(2)).holds


def test_a_vote_that_is_not_durable_is_refuted_as_shortly_as_by_search() -> None:
    prop = election_safety(3, kind=VotesInMemory, faults=Faults(crashes=1))
    solved = check(prop, by=smt(), within=raft.terms(1))
    searched = check(prop, by=bfs(), within=raft.terms(1))
    assert isinstance(solved, Broken)
    assert isinstance(searched, Broken)
    assert solved.shortest
    assert len(solved.schedule) == len(searched.schedule) == 8
    run = follow(first_world(prop.scenario, ""), solved.schedule, prop)
    assert run.wrong == solved.reason


def two_tokens(world: World) -> bool:
    return world["lock"].token <= 2


def test_fencing_is_proved_and_a_store_without_it_refuted() -> None:
    fenced = lock.the_store_is_written_in_order_of_tokens
    assert check(fenced.over(lock.two_workers), by=smt(), within=two_tokens).holds
    broken = fenced.over(stale_writers_are_trusted)
    solved = check(broken, by=smt(), within=two_tokens)
    searched = check(broken, by=bfs(), within=two_tokens)
    assert isinstance(solved, Broken)
    assert isinstance(searched, Broken)
    assert len(solved.schedule) == len(searched.schedule)


@pytest.mark.slow
def test_a_short_run_is_found_where_the_local_states_have_no_end() -> None:
    """Without a bound tokens grow for ever, as a copied request is granted anew."""
    prop = lock.the_store_is_written_in_order_of_tokens.over(stale_writers_are_trusted)
    verdict = check(prop, by=smt(steps_max=2_000))
    assert isinstance(verdict, Broken)
    assert len(verdict.schedule) == 10


# -- networks and cycles --------------------------------------------------------------------------


@message
class Token: ...


class Giver(Node):
    """Sends one token."""

    given: bool = False

    @action(when=lambda self: not self.given)
    def give(self, host: Host) -> None:
        self.given = True
        host.send("taker", Token())


class Taker(Node):
    taken: int = 0

    @on(Token)
    def take(self, host: Host, sender: str, token: Token) -> None:
        self.taken = min(self.taken + 1, 2)


def one_token(network: Any = None, duplicates: int = 0) -> World:
    return World.of(
        Giver("giver"), Taker("taker"), network=network, faults=Faults(duplicates=duplicates)
    )


def not_twice(world: World) -> bool:
    return world["taker"].taken < 2


@pytest.mark.parametrize(
    ("network", "duplicates", "choices"),
    [(unordered(), 0, None), (unordered(), 1, 4), (duplicating(), 0, 3)],
)
def test_copies_are_counted_where_the_network_makes_none(
    network: Any, duplicates: int, choices: int | None
) -> None:
    prop = always(one_token, network=network, duplicates=duplicates)(not_twice)
    verdict = check(prop, by=smt())
    assert type(verdict) is type(check(prop, by=bfs()))
    length = len(verdict.schedule or ()) if isinstance(verdict, Broken) else None
    assert length == choices


class GiverOfTwo(Node):
    given: int = 0

    @action(when=lambda self: self.given < 2)
    def give(self, host: Host) -> None:
        self.given += 1
        host.send("taker", Token())


def two_given() -> World:
    return World.of(GiverOfTwo("giver"), Taker("taker"))


@always(two_given)
def takes_what_was_given(world: World) -> bool:
    return world["taker"].taken <= world["giver"].given


def test_copies_are_counted_of_what_can_be_sent_twice() -> None:
    """That no run takes three is not enough: the second may not come before it is sent."""
    assert str(check(takes_what_was_given, by=bfs())) == "Holds (exhaustive)"
    assert str(check(takes_what_was_given, by=smt())) == "Holds (proved)"


class Clock(Node):
    """Goes round in a circle, and says something else each time that it is at the top."""

    place: int = 0
    size: int = 3

    @action
    def go(self, host: Host) -> None:
        self.place = (self.place + 1) % self.size
        if self.place == 0:
            host.send("ear", Ping(host.choose([1, 2, 3])))


class Ear(Node):
    heard: frozenset[int] = frozenset()

    @on(Ping)
    def hear(self, host: Host, sender: str, ping: Ping) -> None:
        self.heard |= {ping.value}


def a_clock() -> World:
    return World.of(Clock("clock"), Ear("ear"), network=duplicating())


@always(a_clock)
def hears_two_at_most(world: World) -> bool:
    return len(world["ear"].heard) < 3


@always(a_clock)
def hears_no_four(world: World) -> bool:
    return 4 not in world["ear"].heard and not (
        world["ear"].heard == {1, 2} and world["clock"].place > 2
    )


def test_a_cycle_is_walked_as_often_as_its_messages_need(monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = check(hears_two_at_most, by=smt())
    assert isinstance(verdict, Broken)
    # Three rounds of three steps, and three deliveries.
    assert len(verdict.schedule) == 12
    assert verdict.shortest
    monkeypatch.setattr(sys.modules["happysim.smt.goal"], "_EFFORT_AFTER", 1)
    monkeypatch.setattr(sys.modules["happysim.smt.prove"], "_WORLDS_MAX", 1)
    few = check(hears_two_at_most, by=smt(layers_max=2))
    assert str(few) == (
        "Unknown (nothing found with at most 2 visits to each local state; 4 might be needed)"
    )


def test_a_cycle_is_proved_without_unrolling_it() -> None:
    assert str(check(hears_no_four, by=smt(layers_max=1))) == "Holds (proved)"


class Fountain(Node):
    """Sends a token whenever it likes, and remembers nothing."""

    @action
    def give(self, host: Host) -> None:
        host.send("taker", Token())


def a_fountain(network: Any) -> World:
    return World.of(Fountain("fountain"), Taker("taker"), network=network)


def test_a_step_that_may_send_again_and_again_is_no_reason_for_a_proof() -> None:
    """All runs have it once: enough where one copy arrives twice, and not where it must not."""
    assert check(always(a_fountain, network=duplicating())(not_twice), by=smt()).broken
    prop = always(a_fountain, network=unordered())(not_twice)
    assert check(prop, by=bfs(), max_depth=6).broken
    solved = check(prop, by=smt())
    assert isinstance(solved, Broken)
    assert solved.shortest
    assert len(solved.schedule) == 4


class Handed(Node):
    """Goes through the same three states as another one, in an order that its name decides."""

    state: int = 0

    @action(when=lambda self: self.state in (0, 1 if self.name == "left" else 2))
    def go(self, host: Host) -> None:
        first, last = (1, 2) if self.name == "left" else (2, 1)
        self.state = first if self.state == 0 else last


def two_hands() -> World:
    return World.of(Handed("left"), Handed("right"))


def test_nodes_that_hold_the_same_values_in_another_order_may_not_trade_names() -> None:
    assert swaps(close(two_hands())) == []


def test_nodes_that_may_trade_names_are_found_by_comparing_steps() -> None:
    closure = close(raft.cluster(3), lambda world: None if raft.terms(1)(world) else "outside")
    assert len(swaps(closure)) == 3
    assert swaps(close(a_clock())) == []


class Slow(Node):
    """Is wrong after one crash, or after five steps."""

    step: int = 0
    starts: int = durable(0)

    def on_start(self, host: Host) -> None:
        self.starts += 1

    @action(when=lambda self: self.step < 5)
    def go(self, host: Host) -> None:
        self.step += 1


def slow() -> World:
    return World.of(Slow("n"), faults=Faults(crashes=2))


@always(slow)
def never_late(world: World) -> bool:
    return world["n"].step < 5 and world["n"].starts < 2


def test_the_fewest_steps_and_the_fewest_faults_are_two_things() -> None:
    short = check(never_late, by=smt())
    assert isinstance(short, Broken)
    assert [str(choice) for choice in short.schedule] == ["crash n", "restart n"]
    assert short.shortest
    gentle = check(never_late, by=smt(least="faults"))
    assert isinstance(gentle, Broken)
    assert [str(choice) for choice in gentle.schedule] == ["act n go"] * 5
    assert not gentle.shortest
    assert gentle.notes[0].endswith(
        "no run has fewer faults (proved), or with as many is shorter (proved)"
    )


@pytest.mark.parametrize(
    ("module", "name"),
    [("goal", "_EFFORT_WHOLE"), ("prove", "_LOCAL_STATES_FEW"), ("question", "_EVALUATIONS_MAX")],
)
def test_the_fewest_faults_are_asked_for_whatever_finds_a_run(
    module: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs of ever more steps or a search; a closure of few rounds; or one judgement of many."""
    monkeypatch.setattr(sys.modules[f"happysim.smt.{module}"], name, 1)
    verdict = check(never_late, by=smt(least="faults"))
    assert isinstance(verdict, Broken)
    said = "no run has fewer faults (proved)" in verdict.notes[0]
    found = [str(choice) for choice in verdict.schedule] == ["act n go"] * 5
    # One judgement is of a part of the runs: nothing is said of the others.
    assert (said, found or not said) == (module != "question", True)


def test_few_rounds_prove_nothing_of_the_faults_of_longer_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys.modules["happysim.smt.prove"], "_EFFECTS_AT_FIRST", 1)
    verdict = check(never_late, by=smt(least="faults", steps_max=12))
    assert isinstance(verdict, Broken)
    assert any(choice.is_fault for choice in verdict.schedule)
    assert verdict.notes[0].endswith("fewer faults may be enough")


def test_what_no_first_turn_decides_is_searched_for_once_and_said_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prove_module = sys.modules["happysim.smt.prove"]
    monkeypatch.setattr(sys.modules["happysim.smt.goal"], "_EFFORT_WHOLE", 1)
    monkeypatch.setattr(sys.modules["happysim.smt.goal"], "_EFFORT_SHORT", 1)
    verdict = check(never_late, by=smt())
    assert isinstance(verdict, Broken)
    assert [str(choice) for choice in verdict.schedule] == ["crash n", "restart n"]
    assert verdict.shortest
    assert verdict.notes == ("found by a search of up to 300,000 worlds, breadth first",)
    searches = []
    monkeypatch.setattr(prove_module._Prover, "_search", lambda _, prop, __: searches.append(prop))
    monkeypatch.setattr(prove_module, "_LOCAL_STATES_FEW", 1)
    assert check(takes_what_was_given, by=smt()).holds
    assert searches == [takes_what_was_given]


def test_an_end_by_hand_of_the_search_is_the_end_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search takes it for itself, and says so."""

    def stopped(*_: Any, **options: Any) -> Report:
        return replace(explore(slow, by=bfs(), max_worlds=1), stopped="interrupt")

    monkeypatch.setattr(sys.modules["happysim.smt.goal"], "_EFFORT_WHOLE", 1)
    monkeypatch.setattr(sys.modules["happysim.smt.goal"], "_EFFORT_SHORT", 1)
    monkeypatch.setattr(sys.modules["happysim.smt.prove"], "explore", stopped)
    assert str(check(never_late, by=smt())) == "Unknown (interrupted)"


def one_is_down() -> World:
    world = World.of(Slow("n"), Slow("m"), faults=Faults(crashes=2, down_max=1))
    return world.after("crash m")


@always(one_is_down)
def never_started_again(world: World) -> bool:
    return world["n"].starts < 2


def test_who_is_down_at_first_restarts_so_that_another_can_crash() -> None:
    for by in (bfs(), smt()):
        verdict = check(never_started_again, by=by)
        assert isinstance(verdict, Broken)
        assert [str(each) for each in verdict.schedule] == ["restart m", "crash n", "restart n"]


# -- what is said where there is no verdict -------------------------------------------------------


@always(one_token)
def nothing_in_flight(world: World) -> bool:
    return not world.in_flight


@always(one_token)
def no_calls(world: World) -> bool:
    return not world.history.calls


@always(one_token)
def faults_left(world: World) -> bool:
    return world.faults_left["drops"] == 0


@quiescent(one_token)
def taken(world: World) -> bool:
    return True


@always(lambda: one_node(lambda node, host: setattr(node, "value", node.value + 1)))
def counts_for_ever(world: World) -> bool:
    return bool(world["n"].value >= 0)


@pytest.mark.parametrize(
    ("prop", "options", "reason"),
    [
        (nothing_in_flight, {}, "it reads what is in flight, and smt() covers local states only"),
        (no_calls, {}, "it reads the history, and smt() covers local states only"),
        (faults_left, {}, "it reads the faults left, and smt() covers local states only"),
        (
            taken,
            {},
            "smt() judges what holds of local states, and quiescent properties are not; "
            "bfs() judges them",
        ),
        (
            counts_for_ever,
            {"steps_max": 50},
            "the local states are too many: 51 and growing after 50 local steps; "
            "no run of up to 16 steps is a counterexample",
        ),
    ],
)
def test_what_is_not_covered_is_unknown_and_says_why(
    prop: Property, options: dict[str, Any], reason: str
) -> None:
    assert str(prove(prop, **options)) == f"Unknown ({reason})"


def test_without_a_solver_the_verdict_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Any:
        raise SolverMissingError("z3 cannot be loaded; install the package z3-solver")

    for module, door in (("judging", "load_z3"), ("encoding", "fresh_z3")):
        monkeypatch.setattr(sys.modules[f"happysim.smt.{module}"], door, missing)
    verdict = check(always(one_token)(not_twice), by=smt())
    assert str(verdict) == "Unknown (z3 cannot be loaded; install the package z3-solver)"


def test_a_solver_out_of_time_is_unknown() -> None:
    verdict = check(election_safety(5), by=smt(seconds=1.5), within=raft.terms(3))
    assert verdict.unknown
    assert "the time ran out" in str(verdict)


def test_judging_ends_with_the_time_too() -> None:
    closure = close(raft.cluster(3), lambda world: None if raft.terms(2)(world) else "outside")

    def reads_all(world: World) -> str | None:
        return None if all(repr(world[name]) for name in ("n1", "n2", "n3")) else ""

    reader = Reader(closure.tables, reads_all, deadline=0.0)
    with pytest.raises(TooLargeError, match="the time ran out after 64 judgements"):
        list(reader.boxes(closure.space))


@pytest.mark.parametrize(
    "options", [{"seconds": 0}, {"layers_max": 0}, {"clock": "sundial"}, {"least": "time"}]
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ScenarioError, match=r"smt\("):
        smt(**options)


# -- the rest of what a check promises ------------------------------------------------------------


class Fragile(Taker):
    """Raises on a second token, which only a network that copies delivers."""

    def take(self, host: Host, sender: str, token: Token) -> None:
        if self.taken:
            raise ValueError("a second token")
        self.taken = 1


def fragile(network: Any) -> World:
    return World.of(Giver("giver"), Fragile("taker"), network=network)


@pytest.mark.parametrize(("network", "raises"), [(unordered(), False), (duplicating(), True)])
def test_a_handler_that_can_raise_breaks_every_property(network: Any, raises: bool) -> None:
    verdict = check(always(fragile, network=network)(not_twice), by=smt())
    assert verdict.broken == raises
    if isinstance(verdict, Broken):
        assert verdict.of.sort is Sort.NO_RAISE
        assert "a second token" in verdict.reason


@reachable(one_token)
def token_taken(world: World) -> bool:
    return world["taker"].taken == 1


@reachable(one_token)
def token_taken_twice(world: World) -> bool:
    return world["taker"].taken == 2


def test_a_reachable_world_is_reached_or_proved_not_to_be() -> None:
    found = check(token_taken, by=smt())
    assert isinstance(found, Holds)
    assert len(found.schedule or ()) == 2
    assert str(check(token_taken_twice, by=smt())) == "Broken (no world satisfies it (proved))"


@step_always(one_token, network=duplicating())
def takes_are_single(before: World, after: World) -> bool:
    return after["taker"].taken <= before["taker"].taken + 1


class Turning(Node):
    """Turns between two states for ever, and may say each time that it does."""

    says: bool = True
    on_its_way: bool = False

    @action
    def turn(self, host: Host) -> None:
        self.on_its_way = not self.on_its_way
        if self.says and not self.on_its_way:
            host.send("taker", Token())


def a_turning(says: bool) -> World:
    return World.of(Turning("turning", says), Taker("taker"), Counter("n", 1))


@step_always(a_turning, says=True)
def never_turns_after_a_token(before: World, after: World) -> bool:
    turns = after["turning"].on_its_way and not before["turning"].on_its_way
    return not (turns and before["taker"].taken)


@step_always(a_turning, says=False)
def never_turns_back_after_a_count(before: World, after: World) -> bool:
    turns_back = before["turning"].on_its_way and not after["turning"].on_its_way
    return not (turns_back and before["n"].count)


@pytest.mark.parametrize(
    ("prop", "steps"), [(never_turns_after_a_token, 4), (never_turns_back_after_a_count, 3)]
)
def test_a_wrong_step_may_lead_back_to_where_its_process_was(prop: Property, steps: int) -> None:
    for by in (bfs(), smt()):
        verdict = check(prop, by=by, within=lambda world: world["taker"].taken < 3)
        assert isinstance(verdict, Broken)
        assert len(verdict.schedule) == steps


def test_a_bound_on_depth_is_kept_and_named() -> None:
    prop = always(one_token, network=duplicating())(not_twice)
    assert str(check(prop, by=smt(), max_depth=3)) == "Holds (proved within depth 3)"
    assert check(prop, by=smt(), max_depth=4).broken
    copied = always(one_token, duplicates=1)(not_twice)
    assert str(check(copied, by=smt(), max_depth=4)) == "Holds (proved within depth 4)"
    assert check(copied, by=smt(), max_depth=5).broken
    assert check(takes_are_single, by=smt()).holds


def two_counters() -> World:
    return World.of(Counter("n", 2), Counter("m", 9))


@always(two_counters)
def never_two(world: World) -> bool:
    return world["n"].count < 2


def two_after_three(world: World) -> bool:
    return world["n"].count < 2 or world["m"].count >= 3


@pytest.mark.parametrize("depth", [5, 6, 9])
def test_what_a_bound_lets_in_late_is_in_time_for_a_bounded_depth(depth: int) -> None:
    """The last of five steps is known from the second on, and inside the bound from the fourth."""
    searched = check(never_two, by=bfs(), within=two_after_three, max_depth=depth)
    solved = check(never_two, by=smt(), within=two_after_three, max_depth=depth)
    assert (searched.broken, solved.broken) == (depth > 5, depth > 5)


def test_a_bound_that_judges_two_nodes_together_is_not_trusted_with_a_counterexample() -> None:
    prop = always(one_token, network=duplicating())(not_twice)

    def not_both(world: World) -> bool:
        return not (world["giver"].given and world["taker"].taken == 1)

    assert check(prop, by=bfs(), within=not_both).holds
    verdict = check(prop, by=smt(), within=not_both)
    assert str(verdict) == "Unknown (the bound `within` judges several processes together)"


def test_an_ordered_network_is_proved_by_what_it_leaves_out() -> None:
    prop = always(one_token, network=ordered())(lambda world: world["taker"].taken < 3)
    assert check(prop, by=smt()).holds


class Forgetful(Node):
    """Counts its starts on disk."""

    starts: int = durable(0)

    def on_start(self, host: Host) -> None:
        self.starts += 1


def crashing(down_max: int) -> World:
    faults = Faults(crashes=2, down_max=down_max)
    return World.of(Forgetful("n1"), Forgetful("n2"), faults=faults)


@pytest.mark.parametrize("down_max", [1, 2])
def test_no_more_nodes_are_down_at_once_than_allowed(down_max: int) -> None:
    prop = always(crashing, down_max=down_max)(lambda world: world["n1"].is_up or world["n2"].is_up)
    assert check(prop, by=smt()).holds == check(prop, by=bfs()).holds == (down_max == 1)


# -- the same bytes out ---------------------------------------------------------------------------


def test_what_was_asked_before_changes_no_answer() -> None:
    """By a solver or by a search, of the same scenario or of another one."""

    def asked(*order: str) -> dict[str, list[str]]:
        broken = lock.the_store_is_written_in_order_of_tokens.over(stale_writers_are_trusted)
        vote = election_safety(3, kind=VotesInMemory, faults=Faults(crashes=1))
        said = {}
        for name in order:
            prop = {"lock": broken, "vote": vote}[name.split()[0]]
            by = smt(least="") if name.endswith("smt") else bfs()
            verdict = check(prop, by=by, within=raft.terms(1) if prop is vote else None)
            assert isinstance(verdict, Broken)
            said[name] = [*map(str, verdict.schedule), *verdict.notes]
        return said

    one = asked("lock smt", "vote smt")
    other = asked("vote bfs", "vote smt", "lock bfs", "lock smt")
    assert {name: other[name] for name in one} == one
