"""A property says True, False or what is wrong; anything else it might do is a named error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from happysim import (
    Property,
    PropertyError,
    World,
    always,
    check,
    must_break,
    quiescent,
    reachable,
    step_always,
    together,
)
from tests.support.nodes import chain

SORTS = [always, step_always, reachable, quiescent]


def saying(sort: Any, answer: Any) -> Property:
    def said(*worlds: World) -> Any:
        return answer

    return sort(chain)(said)  # type: ignore[no-any-return]


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize(
    ("answer", "parts"),
    [(None, ["None", "return"]), ("", ["''"]), (0, ["0"]), (1, ["1"]), ([], ["[]"])],
    ids=repr,
)
def test_an_answer_that_is_no_judgement_is_refused(
    sort: Any, answer: Any, parts: list[str]
) -> None:
    with pytest.raises(PropertyError) as refused:
        check(saying(sort, answer))
    wanted = ["property said returned", "True", "False", *parts]
    assert [part for part in wanted if part not in str(refused.value)] == []


def test_a_reason_is_no_answer_to_whether_something_is_reachable() -> None:
    with pytest.raises(PropertyError, match=r"returned 'why'.*return True or False"):
        check(saying(reachable, "why"))


@pytest.mark.parametrize("sort", SORTS)
def test_a_property_that_raises_is_named_with_the_exception(sort: Any) -> None:
    def raising(*worlds: World) -> bool:
        return bool(worlds[0]["nobody"])

    with pytest.raises(PropertyError, match=r"property raising raised ScenarioError.*'nobody'"):
        check(sort(chain)(raising))


def test_a_text_is_the_reason_of_the_verdict() -> None:
    assert check(saying(always, "because")).reason == "because"  # type: ignore[attr-defined]


def test_a_property_keeps_the_name_and_the_words_of_its_function() -> None:
    @always(chain)
    def stays(world: World) -> bool:
        """It stays."""
        return True

    assert (stays.name, stays.__doc__, stays.module) == ("stays", "It stays.", __name__)
    assert stays(chain()) is True
    assert repr(stays) == "<always stays over chain()>"


@always(chain)
def below_four(world: World) -> bool:
    return bool(world["n"].count < 4)


def test_a_property_may_be_asked_over_another_scenario() -> None:
    longer = below_four.over(chain, limit=9, name="longer")

    assert check(below_four).holds
    assert check(longer).broken
    assert longer.name == "longer"
    assert str(longer.scenario) == "chain(limit=9)"


def test_a_property_over_a_scenario_takes_its_arguments_too() -> None:
    # Arguments that would be dropped in silence are used or refused.
    assert check(below_four.over(below_four.scenario, limit=9)).broken
    longer = below_four.over(chain, limit=9)
    assert str(longer.over(longer.scenario, other=1).scenario) == "chain(limit=9, other=1)"


def test_expecting_one_property_to_break_leaves_the_original_alone() -> None:
    broken = must_break(below_four.over(chain, limit=9))
    assert broken.must_break
    assert check(broken).broken

    must_break(below_four)
    assert not below_four.must_break


def without_parentheses() -> Any:
    @always
    def stays(world: World) -> bool:
        return True

    return check(stays)


@pytest.mark.parametrize("use", [without_parentheses, lambda: always(3), lambda: always(None)])
def test_a_decorator_without_a_scenario_is_refused(use: Callable[[], Any]) -> None:
    with pytest.raises(Exception, match=r"a scenario|@always\(scenario\)") as refused:
        use()
    assert refused.type.__module__.startswith("happysim")


@always(chain)
def below_three(world: World) -> bool | str:
    return world["n"].count < 3 or "three"


@always(chain)
def below_two(world: World) -> bool:
    return bool(world["n"].count < 2)


@step_always(chain)
def by_one(before: World, after: World) -> bool:
    return bool(after["n"].count == before["n"].count + 1)


@pytest.mark.parametrize(
    ("props", "reason"),
    [
        ((below_four, below_three), "below_three: three"),
        ((below_three, below_two), "below_two"),  # it is the first to be broken
        ((below_four, below_four), None),
        ((by_one,), None),
    ],
)
def test_properties_together_break_where_one_does_and_say_which(
    props: tuple[Property, ...], reason: str | None
) -> None:
    every = together(chain, *props)
    verdict = check(every)
    assert (verdict.reason if verdict.broken else None) == reason  # type: ignore[attr-defined]
    assert (every.sort, every.module) == (props[0].sort, chain.__module__)
    assert all(each.name in str(every.__doc__) for each in props)


def test_properties_together_are_judged_over_a_scenario_of_their_own() -> None:
    every = together(chain, below_four, name="every", limit=9)
    assert (every.name, str(every.scenario)) == ("every", "chain(limit=9)")
    assert check(every).broken
    assert check(every.over(chain)).holds


def test_of_properties_together_the_one_that_raises_is_named() -> None:
    @always(chain)
    def raising(world: World) -> bool:
        return bool(world["nobody"])

    with pytest.raises(PropertyError, match=r"^property raising raised ScenarioError"):
        check(together(chain, below_four, raising))


@pytest.mark.parametrize(
    "props",
    [
        (),
        (below_four, by_one),
        (reachable(chain)(lambda world: True),),
        (lambda world: True,),
    ],
    ids=["none", "worlds and steps", "reachable", "a function"],
)
def test_only_properties_of_one_sort_are_judged_together(props: tuple[Any, ...]) -> None:
    with pytest.raises(PropertyError, match=r"together\(.*all of them `always` or all of them"):
        together(chain, *props)
