"""A verdict is one of three and says which in words."""

from __future__ import annotations

import pytest

from happysim import Broken, Choice, Holds, Kind, Unknown, Verdict, World, always
from tests.support.nodes import chain


@always(chain)
def fine(world: World) -> bool:
    return True


STEP = (Choice(Kind.ACT, "n", what="up"),)

VERDICTS = [
    (Holds(fine), "Holds (exhaustive)"),
    (Holds(fine, bounds="depth 3"), "Holds (exhaustive within depth 3)"),
    (Holds(fine, schedule=STEP), "Holds (reached in 1 choice)"),
    (Broken(fine, reason="no world satisfies it"), "Broken (no world satisfies it)"),
    (Broken(fine, schedule=STEP), "Broken (in 1 choice)"),
    (Broken(fine, "why", STEP, shortest=True), "Broken (in 1 choice, shortest): why"),
    (Broken(fine, "why", STEP, minimal=True), "Broken (in 1 choice, 1-minimal): why"),
    (Unknown(fine, "the time ran out"), "Unknown (the time ran out)"),
]


@pytest.mark.parametrize(("verdict", "text"), VERDICTS, ids=[text for _, text in VERDICTS])
def test_a_verdict_is_exactly_one_of_three_and_says_why(verdict: Verdict, text: str) -> None:
    assert str(verdict) == text
    assert [verdict.holds, verdict.broken, verdict.unknown].count(True) == 1
    assert verdict.holds == text.startswith("Holds")
    assert verdict.broken == text.startswith("Broken")


def test_a_verdict_is_no_bool() -> None:
    with pytest.raises(TypeError, match=r"verdict\.holds"):
        assert Holds(fine)


def test_only_a_verdict_without_bounds_is_exhaustive() -> None:
    assert Holds(fine).exhaustive
    assert not Holds(fine, bounds="depth 3").exhaustive
