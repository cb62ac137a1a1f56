"""A search without dead messages finds what a search with them finds, and what it is not for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, event, given, settings

from happysim import (
    Faults,
    Host,
    Node,
    Property,
    PropertyError,
    ScenarioError,
    World,
    action,
    always,
    bfs,
    check,
    dfs,
    explore,
    message,
    on,
    ordered,
    quiescent,
    replay,
    step_always,
)
from tests.oracles.models import two_phase
from tests.oracles.models.two_phase import managers_agree
from tests.oracles.test_naive_agrees import Case, cases, choices_found, properties

# A larger space is compared up to the last depth that fits.
WORLDS_MAX = 120


class Sights(NamedTuple):
    """All that can be told apart by local states and the history: worlds, steps, and ends."""

    worlds: set[str]
    steps: set[tuple[str, str]]
    ends: set[str]


def looking(case: Case, seen: Sights) -> list[Property]:
    """Properties that look at everything they may look at, and note what they see.

    A search with `reduce` may be several; what the first ones show are worlds there are, but not
    always ends.
    """

    @always(case.scenario)
    def worlds(world: World) -> bool:
        seen.worlds.add(told(case, world))
        return True

    @step_always(case.scenario)
    def steps(before: World, after: World) -> bool:
        seen.steps.add((told(case, before), told(case, after)))
        return True

    @quiescent(case.scenario)
    def ends(world: World) -> bool:
        seen.ends.add(told(case, world))
        return True

    return [worlds, ends] if may_lose(case) else [worlds, ends, steps]


def of_ends(case: Case, wanted: set[str]) -> list[Property]:
    """That there is no other end than the wanted ones; then, of some, that they are none."""

    @quiescent(case.scenario)
    def known_ends(world: World) -> bool:
        return told(case, world) in wanted

    def no_end(told_of_it: str) -> Property:
        @quiescent(case.scenario)
        def none(world: World) -> bool:
            return told(case, world) != told_of_it

        return none

    return [known_ends, *map(no_end, sorted(wanted)[:3])]


def told(case: Case, world: World) -> str:
    nodes = [[node.is_up, node.timers, *_fields(node)] for node in world.nodes()]
    return str((nodes, world.history if case.history else ""))


def may_lose(case: Case) -> bool:
    return bool(case.faults.drops or case.faults.duplicates)


def _fields(node: Any) -> list[Any]:
    fields = ("state", "sends_left", "kept", "kept_too", "noted", "asker", "calling")
    return [getattr(node, field) for field in fields]


def bound(case: Case) -> Callable[[Any], bool] | None:
    """A bound of local states, where the case has any bound and its first world lies inside."""

    def within(world: Any) -> bool:
        return bool(world["n1"].state != 1)

    return within if case.bound and within(case.scenario()) else None


def agrees(case: Case) -> None:
    """Everything that may be looked at is the same with and without dead messages."""
    if case.network == ordered():
        with pytest.raises(ScenarioError, match="ordered"):
            explore(case.scenario, by=bfs(reduce=True))
        return
    options: dict[str, Any] = {"history": case.history, "within": bound(case)}
    counted = explore(case.scenario, max_worlds=WORLDS_MAX, **options)
    depth = options["max_depth"] = None if counted.complete else counted.depth - 1
    if depth == 0:
        return
    judged = [
        each
        for each in properties(case)
        if each.name != "messages_in_flight" and not (each.name == "steps" and may_lose(case))
    ]
    wanted = Sights(set(), set(), set())
    full = explore(case.scenario, *looking(case, wanted), **options)
    ends = of_ends(case, wanted.ends)
    broken = choices_found(explore(case.scenario, *judged, **options))
    for by in (bfs(reduce=True), dfs(reduce=True), dfs(reduce=True, deepening=True)):
        seen = Sights(set(), set(), set())
        report = explore(case.scenario, *looking(case, seen), by=by, **options)
        assert (seen.worlds, seen.steps) == (wanted.worlds, wanted.steps)
        assert report.worlds <= full.worlds
        # To drop a dead message is a step beyond the last depth too, but only of the full search.
        assert report.complete or not full.complete
        said = explore(case.scenario, *ends, by=by, **options)
        assert not said[ends[0]].broken
        assert all(said[each].broken for each in ends[1:])
        found = explore(case.scenario, *judged, by=by, **options)
        choices = choices_found(found)
        assert set(choices) == set(broken)
        assert by == dfs(reduce=True) or choices == broken
        for prop, verdict in found.verdicts.items():
            if prop.name in choices and prop.name != "no_handler_raises":
                assert verdict.holds or check(prop, by=replay(verdict.schedule)).broken  # type: ignore[attr-defined]
    event(f"{case.network.kind} {'all' if depth is None else 'cut'} {report.worlds < full.worlds}")


@settings(
    max_examples=20,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)
@given(cases())
def test_nothing_that_may_be_looked_at_differs_without_dead_messages(case: Case) -> None:
    agrees(case)


@pytest.mark.slow
@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
@given(cases())
def test_nothing_differs_on_thousands_of_protocols(case: Case) -> None:
    agrees(case)


# -- one message that comes too early --------------------------------------------------------------


@message
class Late:
    pass


class Sleeper(Node):
    """Hears nothing while it sleeps."""

    awake: bool = False
    heard: int = 0

    def on_start(self, host: Host) -> None:
        host.set_timer("alarm")

    @on.timer("alarm")
    def wake(self, host: Host) -> None:
        self.awake = True

    @on(Late)
    def hear(self, host: Host, sender: str, said: Late) -> None:
        if self.awake:
            self.heard += 1


class Caller(Node):
    def on_start(self, host: Host) -> None:
        host.broadcast(Late(), to=["sleeper"])


class LateCaller(Node):
    """Calls when it likes."""

    called: bool = False

    @action(when=lambda self: not self.called)
    def call(self, host: Host) -> None:
        self.called = True
        host.broadcast(Late(), to=["sleeper"])


class Noise(Node):
    """Makes worlds: its timer fires once."""

    def on_start(self, host: Host) -> None:
        host.set_timer("noise")

    @on.timer("noise")
    def make(self, host: Host) -> None:
        pass


def noisy() -> World:
    noise = [Noise(f"noise{number}") for number in range(12)]
    return World.of(Sleeper("sleeper"), Caller("caller"), *noise)


@quiescent(noisy)
def in_the_end_it_is_heard(world: World) -> bool:
    return world["sleeper"].heard == 1


def sleeper(faults: Faults | None = None, network: Any = None) -> World:
    return World.of(Sleeper("sleeper"), Caller("caller"), faults=faults, network=network)


@always(sleeper)
def nothing_is_heard(world: World) -> bool:
    return world["sleeper"].heard == 0


@always(sleeper)
def little_is_in_flight(world: World) -> bool:
    return len(world.in_flight) < 9


@step_always(sleeper)
def nobody_falls_asleep(before: World, after: World) -> bool:
    return before["sleeper"].awake <= after["sleeper"].awake


def test_a_message_that_does_nothing_yet_is_not_dead() -> None:
    verdict = check(nothing_is_heard, by=bfs(reduce=True))
    assert str(verdict) == "Broken (in 2 choices, shortest)"
    report = explore(sleeper, by=bfs(reduce=True))
    assert report.reduction == "without dead messages: 3 worlds (5 in 2 searches)"


@pytest.mark.parametrize("by", [bfs(reduce=True), dfs(reduce=True)], ids=["bfs", "dfs"])
@pytest.mark.parametrize("caller", [Caller, LateCaller], ids=["at first", "on the way"])
def test_a_search_that_ends_before_it_knows_better_tells_the_way_all_the_same(
    by: Any, caller: type[Node]
) -> None:
    @always(lambda: World.of(Sleeper("sleeper"), caller("caller")))
    def it_sleeps_on(world: World) -> bool:
        called = caller is Caller or world["caller"].called
        return not (called and world["sleeper"].awake)

    found = check(it_sleeps_on, by=by)
    assert found.broken
    assert check(it_sleeps_on, by=replay(found.schedule)).broken


def test_an_end_that_may_be_none_is_not_believed_where_the_search_breaks_off() -> None:
    # The first search leaves the message out, and comes to an end that is none.
    props = in_the_end_it_is_heard, nothing_is_heard.over(noisy, name="nothing_is_heard")
    whole = explore(noisy, *props, by=dfs(reduce=True))
    assert [str(each)[:6] for each in map(whole.__getitem__, props)] == ["Holds ", "Broken"]
    broken_off = explore(noisy, *props, by=dfs(reduce=True), memory_mib=1)
    assert broken_off[props[0]].unknown


def test_a_verdict_says_what_was_left_out() -> None:
    agree = managers_agree.over(two_phase.messages, managers=3)
    assert str(check(agree, by=bfs(reduce=True))) == (
        "Holds (exhaustive, without dead messages: 197 worlds)"
    )


@pytest.mark.parametrize("managers", [3, 5])
def test_two_phase_commit_without_dead_messages_has_as_many_worlds_as_on_paper(
    managers: int,
) -> None:
    # Undecided, a manager is working, aborted, or prepared with its message noted or not: 4^N.
    # Committed, each is prepared or committed: 2^N. Aborted, each is noted and prepared or aborted,
    # or not noted and working, prepared or aborted: its own message is dead now, sent or not.
    found = explore(lambda: two_phase.messages(managers), by=dfs(reduce=True))
    assert found.worlds == 4**managers + 2**managers + 5**managers


# -- what it is not for ----------------------------------------------------------------------------


def test_a_property_of_what_is_in_flight_is_refused() -> None:
    with pytest.raises(PropertyError, match="little_is_in_flight reads what is in flight"):
        check(little_is_in_flight, by=bfs(reduce=True))


def test_a_bound_of_what_is_in_flight_is_refused() -> None:
    with pytest.raises(PropertyError, match="the bound `within` reads what is in flight"):
        check(nothing_is_heard, by=dfs(reduce=True), within=lambda world: not world.in_flight)


@pytest.mark.parametrize(
    "faults", [Faults(drops=1), Faults(duplicates=1)], ids=["drops", "duplicates"]
)
def test_a_property_of_steps_is_refused_where_messages_may_be_lost_or_copied(
    faults: Faults,
) -> None:
    lossy = nobody_falls_asleep.over(sleeper, faults=faults)
    with pytest.raises(PropertyError, match="declare neither drops nor duplicates"):
        check(lossy, by=bfs(reduce=True))
    assert check(nobody_falls_asleep, by=bfs(reduce=True)).holds


def test_an_ordered_network_is_refused() -> None:
    in_order = nothing_is_heard.over(sleeper, network=ordered())
    with pytest.raises(ScenarioError, match="on an ordered network such a message keeps others"):
        check(in_order, by=bfs(reduce=True))


def test_reduce_is_true_or_false() -> None:
    with pytest.raises(ScenarioError, match="write True or False"):
        bfs(reduce="dead messages")  # type: ignore[arg-type]


def test_a_search_that_learns_from_the_one_before_has_no_checkpoint() -> None:
    with pytest.raises(ScenarioError, match="which no checkpoint keeps"):
        bfs(reduce=True, checkpoint="search.saved")
