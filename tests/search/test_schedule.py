"""A schedule is followed choice by choice, and stops where the property is decided."""

from __future__ import annotations

import pytest

from happysim import ScenarioError, ScheduleError, World, always, check, explore, quiescent, replay
from happysim.search.schedule import choices_along, first_world, follow
from happysim.spec.scenario import Scenario
from tests.support.nodes import Counter, chain, fork, one_node

UP = "act n up"


@always(chain)
def below_two(world: World) -> bool:
    return bool(world["n"].count < 2)


def test_following_keeps_every_world_on_the_way() -> None:
    run = follow(chain(), [UP, UP, UP])

    assert [world["n"].count for world in run.worlds] == [0, 1, 2, 3]
    assert [str(choice) for choice in run.schedule] == [UP] * 3
    assert run.wrong is None


def test_following_ends_at_the_first_violation() -> None:
    run = follow(chain(), [UP, UP, UP], below_two)

    assert len(run.schedule) == 2
    assert run.wrong == ""


def test_a_choice_that_is_not_enabled_is_named_with_those_that_are_or_left_out() -> None:
    with pytest.raises(ScheduleError) as refused:
        follow(chain(), [UP, "act n down"])
    for part in ("choice 2", "act n down", "enabled are", UP):
        assert part in str(refused.value)

    run = follow(chain(), [UP, "act n down", UP], skip_missing=True)
    assert len(run.schedule) == 2


def test_following_ends_where_a_handler_raises() -> None:
    run = follow(one_node(lambda node, host: 1 / 0), ["act n act", "act n act"])

    assert (len(run.schedule), len(run.worlds)) == (1, 1)


def test_only_a_world_at_rest_is_judged_for_quiescence() -> None:
    @quiescent(fork)
    def ends_well(world: World) -> bool:
        return bool(world["n"].at == "good")

    assert follow(fork(), ["act n take_middle"], ends_well).wrong is None
    assert follow(fork(), ["act n take_middle", "act n take_bad"], ends_well).wrong == ""


def test_a_replay_that_breaks_nothing_is_unknown() -> None:
    assert check(below_two, by=replay([UP])).unknown
    assert check(below_two, by=replay([UP, UP])).broken


def test_a_replay_is_one_run_and_never_complete() -> None:
    assert not explore(chain, below_two, by=replay([UP])).complete


def test_a_replay_begins_where_the_schedule_does() -> None:
    @always(lambda: {"done": World.of(Counter("n", 0)), "fresh": chain()})
    def below_two_anywhere(world: World) -> bool:
        return bool(world["n"].count < 2)

    found = check(below_two_anywhere)
    assert found.start == "fresh"  # type: ignore[attr-defined]
    again = check(below_two_anywhere, by=replay(found.schedule, start="fresh"))  # type: ignore[attr-defined,call-arg]
    assert again.broken


def test_a_first_world_is_found_by_its_name() -> None:
    scenario = Scenario(lambda: {"a": chain(), "b": World.of(Counter("n", 3, 1))})

    assert first_world(scenario, "b")["n"].count == 1
    with pytest.raises(ScenarioError, match="no first world 'c'; it has 'a', 'b'"):
        first_world(scenario, "c")


def test_choices_along_a_path_lead_along_it() -> None:
    run = follow(chain(), [UP, UP])
    path = [world.numbers for world in run.worlds]

    assert choices_along(run.worlds[0], path, histories=True) == list(run.schedule)
