"""The door to z3: what stands in its way is a reason for not knowing, and never for a proof."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from itertools import pairwise
from types import ModuleType
from typing import Any

import pytest

from happysim import Holds, Property, Unknown, check, smt
from happysim.smt.induction import induction
from happysim.smt.margin import margin
from happysim.smt.realise import Undecided, realise_schedule
from happysim.smt.solver import Effort, SolverMissingError, load_z3
from happysim.smt.timing import Timing
from properties import lock
from properties.broken.lease import one_client_believes_to_have_the_lock
from properties.broken.lock import stale_writers_are_trusted

FENCED = lock.the_store_is_written_in_order_of_tokens.over(lock.two_workers)


def not_by_hand(test: Callable[..., None]) -> Callable[..., None]:
    """The test, which fails where it ends as if by Ctrl-C: that would end all tests."""

    @wraps(test)
    def made(*args: Any, **kwargs: Any) -> None:
        try:
            test(*args, **kwargs)
        except KeyboardInterrupt:
            pytest.fail("it ends as if by hand")

    return made


def old_z3() -> ModuleType:
    module = ModuleType("z3")
    module.get_version = lambda: (4, 8, 17, 0)  # type: ignore[attr-defined]
    return module


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (None, r"z3 cannot be loaded \(.*\); install the package z3-solver"),
        (old_z3(), "z3 4.8 is too old; install z3-solver 4.12 or newer"),
    ],
    ids=["missing", "too old"],
)
def test_without_a_z3_that_will_do_nothing_is_known(
    module: ModuleType | None, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of what is proved, and refuted, with one."""
    monkeypatch.setitem(sys.modules, "z3", module)
    with pytest.raises(SolverMissingError, match=reason):
        load_z3()
    broken = FENCED.over(stale_writers_are_trusted)
    for prop, by in ((FENCED, smt()), (broken, smt()), (FENCED, induction())):
        verdict = check(prop, by=by)
        assert isinstance(verdict, Unknown)
        assert verdict.reason.startswith("z3 ")
    assert isinstance(realise_schedule(lock.two_workers(), [], Timing()), Undecided)
    assert "unknown (z3 " in str(margin(one_client_believes_to_have_the_lock, "drift"))


# -- how far it goes -------------------------------------------------------------------------------


def pigeons(count: int) -> Any:
    """So many pigeons do not fit into one hole less, which takes long to see."""
    z3 = load_z3()
    solver = z3.SimpleSolver()
    sits = [[z3.Bool(f"{one} in {hole}") for hole in range(count - 1)] for one in range(count)]
    solver.add(*map(z3.Or, sits))
    solver.add(*(z3.AtMost(*each, 1) for each in zip(*sits, strict=True)))
    return solver


@not_by_hand
def test_effort_is_spent_to_the_last_and_says_so() -> None:
    assert Effort(10_000_000).ask(pigeons(4), 60) is False
    effort = Effort(100_000)
    assert effort.ask(pigeons(9), 600) == "the effort is spent"
    assert effort.left == 0
    assert effort.ask(pigeons(2), 600) == "the effort is spent"


@not_by_hand
def test_effort_is_less_by_what_was_done() -> None:
    effort = Effort(10_000_000)
    left = [10_000_000]
    for count in (3, 4, 5, 6):
        assert effort.ask(pigeons(count), 60) is False
        assert effort.left is not None
        left.append(effort.left)
    spent = [before - after for before, after in pairwise(left)]
    assert spent[0] > 0
    assert spent == sorted(spent)


@not_by_hand
def test_a_limit_is_of_one_question_and_not_of_the_next_to_the_same_solver() -> None:
    solver = pigeons(6)
    assert Effort(1).ask(solver, 60) == "the effort is spent"
    assert Effort().ask(solver, 60) is False


@not_by_hand
def test_what_a_portion_spends_is_spent_of_the_whole() -> None:
    whole = Effort(10_000_000)
    for most in (10_000_000, 50_000_000):
        portion = whole.portion(most)
        before = whole.left
        assert portion.left == min(most, before or 0)
        assert portion.ask(pigeons(5), 60) is False
        assert before is not None
        assert whole.left is not None
        assert whole.left < before
        assert whole.left == portion.left
    small = whole.portion(1_000)
    assert small.ask(pigeons(9), 60) == "the effort is spent"
    assert not whole.is_spent
    assert Effort().portion(1_000).ask(pigeons(9), 60) == "the effort is spent"


@not_by_hand
def test_an_end_by_a_limit_is_not_taken_for_one_by_hand() -> None:
    """z3 may call both "canceled"."""
    assert Effort().ask(pigeons(12), 0.2) == "the time ran out"
    assert Effort().ask(pigeons(4), 0) == "the time ran out"


class Cancelled:
    """A solver that was stopped from the keyboard."""

    def set(self, *_: Any) -> None: ...

    def check(self, *_: Any) -> str:
        return "unknown"

    def reason_unknown(self) -> str:
        return "canceled"

    def statistics(self) -> Cancelled:
        return self

    def get_key_value(self, _: str) -> int:
        return 0


@not_by_hand
def test_an_end_by_hand_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for effort in (Effort(), Effort(1_000), Effort().portion(1_000)):
        with pytest.raises(KeyboardInterrupt):
            effort.ask(Cancelled(), 60)

    def cancelled(self: Effort, solver: Any, seconds: float, *_: Any) -> Any:
        return ask(self, Cancelled(), seconds)

    ask = Effort.ask
    monkeypatch.setattr(Effort, "ask", cancelled)
    verdict = check(FENCED.over(stale_writers_are_trusted), by=smt())
    assert verdict == Unknown(verdict.of, reason="interrupted", notes=verdict.notes)


@pytest.mark.parametrize("prop", [FENCED.over(stale_writers_are_trusted)])
@not_by_hand
def test_too_little_effort_is_no_verdict_and_enough_is_one(prop: Property) -> None:
    little = [str(check(prop, by=smt(effort=2_000))) for _ in range(2)]
    assert little == ["Unknown (the effort is spent)"] * 2
    enough = check(prop, by=smt(effort=50_000_000))
    assert enough.broken
    assert str(enough) == str(check(prop, by=smt()))


@not_by_hand
def test_a_proof_without_a_question_takes_no_effort() -> None:
    assert isinstance(check(FENCED, by=smt(effort=1)), Holds)
