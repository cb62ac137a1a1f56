"""A choice is named by its text; the budgets of faults are whole numbers or without limit."""

from __future__ import annotations

from typing import Any

import pytest

from happysim import Choice, Faults, Kind, ScenarioError, unlimited


@pytest.mark.parametrize(
    ("choice", "text"),
    [
        (Choice(Kind.DELIVER, "b", "a", "M(x=1)"), "deliver a -> b M(x=1)"),
        (Choice(Kind.DELIVER, "b", "a", "M()", "3, 'x'"), "deliver a -> b M() choosing 3, 'x'"),
        (Choice(Kind.FIRE, "a", what="tick"), "fire a tick"),
        (Choice(Kind.ACT, "a", what="go"), "act a go"),
        (Choice(Kind.INVOKE, "c", what="a M() as call 1"), "invoke c -> a M() as call 1"),
        (Choice(Kind.START, "a", choosing="1"), "start a choosing 1"),
        (Choice(Kind.DROP, "b", "a", "M()"), "drop a -> b M()"),
        (Choice(Kind.DUPLICATE, "b", "a", "M()"), "duplicate a -> b M()"),
        (Choice(Kind.CRASH, "a"), "crash a"),
        (Choice(Kind.CRASH, "a", what="losing 2"), "crash a losing 2"),
        (Choice(Kind.RESTART, "a"), "restart a"),
        (Choice(Kind.PARTITION, what="a | b c"), "partition a | b c"),
        (Choice(Kind.HEAL), "heal"),
    ],
)
def test_a_choice_reads_as_what_happens(choice: Choice, text: str) -> None:
    assert str(choice) == text
    assert Choice.parse(text) == choice


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        (
            "deliver a -> b M(text=' choosing 1') choosing 'it\\'s reading 5', 2 reading 7, full",
            Choice(
                Kind.DELIVER, "b", "a", "M(text=' choosing 1')", "'it\\'s reading 5', 2", "7, full"
            ),
        ),
        ("cut a -> b choosing 1", Choice(Kind.CUT, what="a -> b choosing 1")),
        ("heal", Choice(Kind.HEAL)),
        ("fill n1", Choice(Kind.FILL, "n1")),
        ("fire a t reading -5", Choice(Kind.FIRE, "a", what="t", reading="-5")),
        ("clock a by -1 s", Choice(Kind.CLOCK, "a", what="by -1 s")),
        ("deliver a", None),
        ("invoke c", None),
        ("heal ", None),
        ("", None),
        ("dance n1", None),
    ],
)
def test_a_choice_is_read_from_its_text(text: str, choice: Choice | None) -> None:
    assert Choice.parse(text) == choice
    assert choice is None or str(choice) == text


def test_what_costs_budget_is_a_fault() -> None:
    faults = {kind.value for kind in Kind if Choice(kind).is_fault}
    of_links = {"drop", "duplicate", "partition", "heal"}
    assert faults == {*of_links, "crash", "restart", "fill", "free"}


def test_restarts_and_heals_follow_crashes_and_partitions_unless_given() -> None:
    assert Faults(crashes=2, partitions=unlimited).budgets[:6] == (0, 0, 2, 2, unlimited, unlimited)
    assert Faults(crashes=2, restarts=0, partitions=1, heals=3).budgets[:6] == (0, 0, 2, 0, 1, 3)
    full = Faults(crashes=1, fills=2)
    assert (full.restarts, full.frees) == (3, 2)


BUDGETS = ["drops", "duplicates", "crashes", "restarts", "partitions", "heals", "fills", "down_max"]


@pytest.mark.parametrize("name", BUDGETS)
@pytest.mark.parametrize("budget", [-1, 1.5, "1", True, float("nan")], ids=repr)
def test_a_budget_that_is_no_count_is_refused(name: str, budget: Any) -> None:
    with pytest.raises(ScenarioError) as refused:
        Faults(**{name: budget})
    for part in (f"Faults({name}={budget!r})", "whole number", "unlimited"):
        assert part in str(refused.value)


@pytest.mark.parametrize(
    "names", [{"crashable": "ab"}, {"splits": ("ab",)}, {"splits": "ab"}], ids=str
)
def test_a_text_in_the_place_of_a_tuple_of_names_is_refused(names: dict[str, Any]) -> None:
    ((name, _),) = names.items()
    with pytest.raises(ScenarioError, match=f"{name}.*tuple"):
        Faults(**names)
