"""A verdict says what is true of the worlds there are, and within which bounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from happysim import (
    Broken,
    Faults,
    Holds,
    Host,
    Node,
    Property,
    PropertyError,
    Register,
    ScenarioError,
    Script,
    World,
    action,
    always,
    bfs,
    bounded,
    call,
    check,
    dfs,
    explore,
    linearizable,
    on,
    quiescent,
    reachable,
    replay,
    step_always,
    uniform,
)
from happysim.search.check import group_by_scenario
from tests.support.nodes import Counter, Ping, chain, fork, one_node, ring

exhaustive = pytest.mark.parametrize("policy", [bfs(), dfs()], ids=["bfs", "dfs"])


@always(fork)
def true(world: World) -> bool:
    return True


@always(fork)
def is_never_bad(world: World) -> bool:
    return bool(world["n"].at != "bad")


@always(fork)
def is_never_good(world: World) -> str | bool:
    return "it is good" if world["n"].at == "good" else True


@step_always(fork)
def never_from_start_to_middle(before: World, after: World) -> bool:
    return not (before["n"].at == "start" and after["n"].at == "middle")


@step_always(fork)
def never_to_bad(before: World, after: World) -> bool:
    return bool(after["n"].at != "bad")


@reachable(fork)
def reaches_bad(world: World) -> bool:
    return bool(world["n"].at == "bad")


@reachable(fork)
def reaches_nowhere(world: World) -> bool:
    return bool(world["n"].at == "nowhere")


@quiescent(fork)
def ends_well(world: World) -> bool:
    return bool(world["n"].at == "good")


@quiescent(fork)
def ends(world: World) -> bool:
    return world["n"].at in ("good", "bad")


def path(verdict: Any) -> list[str]:
    return [str(choice) for choice in verdict.schedule]


# -- verdicts --------------------------------------------------------------------------------------


@exhaustive
@pytest.mark.parametrize(
    ("prop", "kind", "schedule"),
    [
        (true, Holds, None),
        (is_never_bad, Broken, ["act n take_middle", "act n take_bad"]),
        (is_never_good, Broken, ["act n take_good"]),
        (never_from_start_to_middle, Broken, ["act n take_middle"]),
        (never_to_bad, Broken, ["act n take_middle", "act n take_bad"]),
        (reaches_bad, Holds, ["act n take_middle", "act n take_bad"]),
        (reaches_nowhere, Broken, None),
        (ends_well, Broken, ["act n take_middle", "act n take_bad"]),
        (ends, Holds, None),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_an_exhaustive_search_decides(
    policy: Any, prop: Property, kind: type, schedule: list[str] | None
) -> None:
    verdict = check(prop, by=policy)

    assert isinstance(verdict, kind)
    assert (None if verdict.schedule is None else path(verdict)) == schedule


def test_all_properties_of_one_search_get_their_own_shortest_schedule() -> None:
    properties = [is_never_bad, is_never_good, never_to_bad, ends_well, reaches_bad, true]
    report = explore(fork, *properties)

    assert {prop.name: report[prop] for prop in properties} == {
        prop.name: check(prop) for prop in properties
    }
    assert report[is_never_good].reason == "it is good"  # type: ignore[attr-defined]
    assert report[is_never_bad].shortest  # type: ignore[attr-defined]


@exhaustive
@pytest.mark.parametrize(
    "prop",
    [is_never_bad, is_never_good, never_to_bad, ends_well, reaches_bad],
    ids=lambda p: p.name,
)
def test_the_schedule_of_a_finding_replays_to_it(policy: Any, prop: Property) -> None:
    found = check(prop, by=policy)
    again = check(prop, by=replay(found.schedule))  # type: ignore[attr-defined]

    assert type(again) is type(found)
    assert path(again) == path(found)


def test_a_depth_first_finding_claims_no_shortest_schedule() -> None:
    assert check(is_never_bad).shortest  # type: ignore[attr-defined]
    assert not check(is_never_bad, by=dfs()).shortest  # type: ignore[attr-defined]


def test_the_search_ends_when_everything_is_decided() -> None:
    @always(lambda: chain(1000))
    def below_three(world: World) -> bool:
        return bool(world["n"].count < 3)

    report = explore(below_three.scenario, below_three)
    assert report.stopped == "done"
    assert report.worlds == 4


# -- bounds ----------------------------------------------------------------------------------------


@exhaustive
@pytest.mark.parametrize(
    ("prop", "depth", "kind", "bound"),
    [
        (true, 1, "holds", "depth 1"),
        (true, 2, "holds", "depth 2"),
        (true, 3, "holds", ""),
        (is_never_bad, 2, "holds", "depth 2"),
        (is_never_bad, 3, "broken", ""),
        (reaches_bad, 2, "unknown", ""),
        (reaches_bad, 3, "holds", ""),
        (reaches_nowhere, 2, "unknown", ""),
        (reaches_nowhere, 3, "broken", ""),
        # The good end lies at depth 2 and the bad one at depth 3: both are judged there.
        (ends_well, 1, "unknown", ""),
        (ends_well, 2, "holds", "depth 2"),
        (ends_well, 3, "broken", ""),
        (ends, 3, "holds", ""),
    ],
)
def test_a_depth_counts_the_first_world_and_everything_up_to_it_is_judged(
    policy: Any, prop: Property, depth: int, kind: str, bound: str
) -> None:
    verdict = check(prop, by=policy, max_depth=depth)

    assert getattr(verdict, kind), verdict
    assert getattr(verdict, "bounds", "") == bound


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5, 6, 7, None])
def test_depth_first_finds_the_worlds_that_breadth_first_finds_within_a_depth(
    depth: int | None,
) -> None:
    @reachable(ring)
    def nowhere(world: World) -> bool:
        return False

    near, deep = (explore(ring, nowhere, by=by, max_depth=depth) for by in (bfs(), dfs()))

    # From place 0 the places at distance 0, 1, 2, 3 number 1, 2, 2, 1.
    assert near.worlds == deep.worlds == {1: 1, 2: 3, 3: 5}.get(depth or 9, 6)
    assert near.complete == deep.complete
    assert type(near[nowhere]) is type(deep[nowhere])


@pytest.mark.parametrize("depth", [2, 3, 4, 5])
def test_a_bounded_depth_first_search_takes_each_step_once(depth: int) -> None:
    assert explore(ring, by=dfs(), max_depth=depth).steps == explore(ring, max_depth=depth).steps


@exhaustive
@pytest.mark.parametrize(
    ("budget", "worlds", "complete"), [(1, 1, False), (2, 2, False), (3, 3, False), (4, 4, True)]
)
def test_a_budget_of_worlds_is_exact_and_enough_is_enough(
    policy: Any, budget: int, worlds: int, complete: bool
) -> None:
    report = explore(fork, true, by=policy, max_worlds=budget)

    assert report.worlds == worlds
    assert report.complete == complete
    assert report[true].holds == complete
    if not complete:
        assert f"the budget of worlds ran out after {worlds} worlds" in str(report[true])


@exhaustive
def test_worlds_outside_the_bound_cost_no_budget(policy: Any) -> None:
    verdict = check(true, by=policy, within=lambda world: world["n"].at != "bad", max_worlds=3)
    assert str(verdict) == "Holds (exhaustive within the bound `within`)"


@exhaustive
def test_within_leaves_worlds_out_and_says_so(policy: Any) -> None:
    def outside_bad(world: World) -> bool:
        return bool(world["n"].at != "bad")

    report = explore(
        fork, is_never_bad, reaches_bad, never_to_bad, ends_well, by=policy, within=outside_bad
    )

    assert report.worlds == 3
    for prop in (is_never_bad, never_to_bad, ends_well):
        assert str(report[prop]) == "Holds (exhaustive within the bound `within`)", prop
    assert report[reaches_bad].unknown
    assert "within" in str(report[reaches_bad])


@exhaustive
def test_within_may_look_at_messages_in_flight(policy: Any) -> None:
    world = one_node(lambda node, host: host.send("n", Ping()))
    report = explore(
        world,
        by=policy,
        max_worlds=99,
        within=lambda world: len(world.in_flight) <= 2 and len(world["n"].log) <= 1,
    )

    # 0, 1 or 2 messages, and 0 or 1 in the log.
    assert report.worlds == 6


def test_a_bound_that_leaves_no_world_holds_nothing() -> None:
    assert check(true, within=lambda world: False).unknown


def test_a_bound_that_returns_no_judgement_is_named() -> None:
    with pytest.raises((PropertyError, ScenarioError), match=r"within.*None"):
        check(true, within=lambda world: None)  # type: ignore[arg-type,return-value]


def test_a_bound_that_raises_is_named() -> None:
    with pytest.raises((PropertyError, ScenarioError), match=r"within.*no field 'nope'"):
        check(true, within=lambda world: world["n"].nope)


@pytest.mark.parametrize(
    "bounds",
    [{"max_depth": 0}, {"max_depth": -1}, {"max_worlds": 0}, {"seconds": -1}, {"memory_mib": 0}],
    ids=str,
)
def test_a_bound_that_allows_nothing_is_refused(bounds: dict[str, Any]) -> None:
    ((name, value),) = bounds.items()
    with pytest.raises(ScenarioError) as refused:
        check(true, **bounds)
    assert f"{name}={value}" in str(refused.value)


@pytest.mark.parametrize(
    ("budget", "why"),
    [({"seconds": 1e-9}, "the time ran out"), ({"memory_mib": 1e-3}, "the memory budget ran out")],
    ids=["seconds", "memory"],
)
@exhaustive
def test_a_budget_that_runs_out_leaves_it_unknown(
    policy: Any, budget: dict[str, Any], why: str
) -> None:
    @always(lambda: chain(2000))
    def fine(world: World) -> bool:
        return True

    verdict = check(fine, by=policy, **budget)
    assert verdict.unknown
    assert why in str(verdict)


def test_bounds_declared_on_a_scenario_are_the_defaults() -> None:
    @bounded(max_depth=2, by=dfs())
    def declared() -> World:
        return fork()

    assert explore(declared).worlds == 3
    assert explore(declared, max_depth=3).worlds == 4


# -- interruptions ---------------------------------------------------------------------------------


def interrupt(*_: Any) -> bool:
    raise KeyboardInterrupt


def test_ctrl_c_in_a_progress_callback_keeps_what_is_known() -> None:
    scenario = lambda: chain(2000)  # noqa: E731

    @always(scenario)
    def below_ten(world: World) -> bool:
        return bool(world["n"].count < 10)

    @always(scenario)
    def fine(world: World) -> bool:
        return True

    report = explore(scenario, below_ten, fine, progress=interrupt)
    assert report[below_ten].broken
    assert report[fine].unknown
    assert "interrupted" in str(report[fine])
    assert not report.complete


@exhaustive
def test_ctrl_c_in_a_property_keeps_what_another_has_just_found(policy: Any) -> None:
    @always(fork)
    def slow(world: World) -> bool:
        return interrupt() if world["n"].at == "bad" else True

    report = explore(fork, is_never_bad, slow, by=policy)
    assert report[slow].unknown
    # Found in the very world at which the search was interrupted: kept or not, it must not crash.
    found = report[is_never_bad]
    assert found.unknown or path(found) == ["act n take_middle", "act n take_bad"]


def test_ctrl_c_in_a_handler_ends_the_search() -> None:
    def body(node: Any, host: Host) -> None:
        node.value += 1
        if node.value == 5:
            raise KeyboardInterrupt

    report = explore(one_node(body), true)
    assert report[true].unknown
    assert report.worlds == 5


# -- handlers that raise ---------------------------------------------------------------------------


class Fragile(Node):
    """Raises at 2 on one branch of a choice."""

    count: int = 0

    @action(when=lambda self: self.count < 3)
    def up(self, host: Host) -> None:
        self.count += host.choose([1, 2])
        assert self.count != 2, "two"


def fragile() -> World:
    return World.of(Fragile("n"))


@always(fragile)
def anything(world: World) -> bool:
    return True


@always(fragile)
def never_one(world: World) -> bool:
    return bool(world["n"].count != 1)


@exhaustive
def test_a_handler_that_raises_breaks_what_is_not_broken_otherwise(policy: Any) -> None:
    verdict = check(anything, by=policy)
    assert verdict.broken
    assert "Fragile.up on n raised AssertionError: two" in verdict.reason  # type: ignore[attr-defined]
    assert path(verdict)[-1].startswith("act n up choosing")

    report = explore(fragile, anything, never_one, by=policy)
    assert report[anything].unknown
    assert "raised" in str(report[anything])
    assert path(report[never_one]) == ["act n up choosing 1"]


# -- histories -------------------------------------------------------------------------------------


class Server(Node):
    asked: int = 0

    @on(Ping)
    def ping(self, host: Host, sender: str, ping: Ping) -> None:
        self.asked += 1
        host.respond(self.asked)


def served() -> World:
    def ask() -> Any:
        yield call("s", Ping())

    return World.of(Server("s"), Script("c", ask), Script("d", ask))


@pytest.mark.parametrize("policy", [bfs(), dfs(), uniform(1, runs=20)], ids=str)
def test_a_property_that_reads_the_history_never_sees_a_false_one(policy: Any) -> None:
    @always(served)
    def whoever_was_served_had_asked(world: World) -> bool:
        calls = world.history.calls if world["s"].asked else None
        return calls is None or calls[0].operation == Ping()

    verdict = check(whoever_was_served_had_asked, by=policy)
    assert not verdict.broken


def test_the_history_is_part_of_a_world_only_where_it_is_read() -> None:
    # Without it a world forgets who asked first, not who got which answer.
    without, kept = explore(served), explore(served, history=True)

    @always(served)
    def reads(world: World) -> bool:
        return len(world.history.calls) <= 2

    assert without.worlds < kept.worlds
    assert explore(served, reads).worlds == kept.worlds


# -- several first worlds --------------------------------------------------------------------------


def several() -> dict[str, World]:
    return {"near": World.of(Counter("n", 3, 2)), "far": World.of(Counter("n", 3))}


def test_a_search_starts_from_every_world_and_says_from_which() -> None:
    @always(several)
    def below_three(world: World) -> bool:
        return bool(world["n"].count < 3)

    verdict = check(below_three)
    assert isinstance(verdict, Broken)
    assert (verdict.start, path(verdict)) == ("near", ["act n up"])
    assert explore(several).worlds == 4


@pytest.mark.parametrize("policy", [bfs(), dfs(), uniform(3, runs=40)], ids=str)
def test_a_finding_of_several_starts_can_be_followed_from_its_own(policy: Any) -> None:
    @reachable(several)
    def one(world: World) -> bool:
        return bool(world["n"].count == 1)

    verdict = check(one, by=policy)
    assert isinstance(verdict, Holds)
    assert verdict.start == "far"
    assert several()["far"].after(*verdict.schedule)["n"].count == 1  # type: ignore[misc]


# -- warnings and misuse ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("faults", "missing"),
    [
        (Faults(crashes=1), []),
        (Faults(crashes=1, restarts=0), []),
        (Faults(drops=1), ["drops"]),
        (Faults(duplicates=1), ["duplicates"]),
        (Faults(restarts=1), ["restarts"]),
        (Faults(partitions=1), ["partitions", "heals"]),
        (Faults(crashes=1, down_max=0), ["crashes", "restarts"]),
    ],
)
def test_a_fault_that_is_declared_and_never_happens_is_reported(
    faults: Faults, missing: list[str]
) -> None:
    report = explore(World.of(Counter("n"), faults=faults))
    assert [warning.split()[3].rstrip(",") for warning in report.warnings] == missing


@pytest.mark.parametrize(
    "use",
    [
        lambda: check(fork),
        lambda: explore(fork, lambda world: True),
        lambda: check(true, by="bfs"),
        lambda: check(true, by=bfs),
    ],
    ids=["function as property", "lambda as property", "text as policy", "policy not called"],
)
def test_misuse_is_an_error_of_ours(use: Callable[[], Any]) -> None:
    with pytest.raises((ScenarioError, PropertyError), match=r"bfs\(\)|@always"):
        use()


def test_properties_of_one_scenario_share_a_search_and_arguments_tell_scenarios_apart() -> None:
    longer, same = true.over(chain, limit=4), true.over(chain, limit=4)
    other = true.over(chain, limit=True)

    groups = group_by_scenario([true, longer, ends, same, other])
    assert [[prop.name for prop in props] for _, props in groups] == [
        ["true", "ends"],
        ["true", "true"],
        ["true"],
    ]


class Deaf(Node):
    """Never answers."""

    @on(Ping)
    def ping(self, host: Host, sender: str, ping: Ping) -> None: ...


def unanswered() -> World:
    def ask() -> Any:
        yield call("s", Ping())

    return World.of(Deaf("s"), Script("c", ask))


def still() -> World:
    return World.of(Deaf("s"))


@step_always(still)
def nothing_moves(before: World, after: World) -> bool:
    return True


@pytest.mark.parametrize(
    ("prop", "warning"),
    [
        (linearizable(unanswered, Register()), "no client was ever answered"),
        (nothing_moves, "there is no step"),
    ],
    ids=["unanswered", "still"],
)
def test_a_property_that_had_nothing_to_judge_is_reported(prop: Property, warning: str) -> None:
    assert warning in check(prop).notes[0]


def test_a_search_without_a_budget_ends_before_the_memory_and_says_how_to_bound_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("happysim.search.exhaustive.machine_mib", lambda: 1e-3)

    @always(lambda: chain(5000))
    def fine(world: World) -> bool:
        return True

    assert "@bounded(within=...)" in str(check(fine))
    assert "@bounded" not in str(check(fine, memory_mib=1e-3))


@pytest.mark.parametrize("max_depth", [None, 3])
def test_deepening_finds_what_breadth_first_finds_as_short(max_depth: int | None) -> None:
    @always(ring)
    def never_opposite(world: World) -> bool:
        return world["n"].place != 3

    @reachable(ring)
    def two_on(world: World) -> bool:
        return world["n"].place == 2

    @reachable(ring)
    def nowhere(world: World) -> bool:
        return world["n"].place == 6

    judged = (never_opposite, two_on, nowhere)
    near, deepening, deep = (
        explore(ring, *judged, by=by, max_depth=max_depth)
        for by in (bfs(), dfs(deepening=True), dfs())
    )
    for prop in judged:
        assert str(deepening[prop]) == str(near[prop])
    assert (deepening.worlds, deepening.steps) == (near.worlds, near.steps)
    # Or else the test would show nothing: without it, the way round is the long one.
    assert str(deep[two_on]) != str(near[two_on]) or max_depth is not None
