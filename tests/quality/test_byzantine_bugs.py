"""Each kind of lie has a mistake that it alone shows, and what is right survives them all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from happysim import Property, World, check
from happysim.core.byzantine import byzantine
from properties import byzantine as right
from properties.broken import byzantine as broken
from properties.byzantine import Account, Deposit, Member, Payer
from tests.quality.bugs import variants

# To speak for another helps who tells each something else.
LIES: dict[str, dict[str, int]] = {
    "equivocate": {"equivocates": 2},
    "replay": {"replays": 2},
    "forge": {"forges": 1, "equivocates": 2},
    "silence": {"silent": 1},
}
# Forged names make many worlds: in so many of them the mistakes are found.
WORLDS_MAX = 5_000_000
QUICK = ("", "equivocate", "replay", "silence")


def broadcasting(lie: str = "", member: type[Member] = Member) -> World:
    return right.group(member, **LIES.get(lie, {}))


def another_amount(deposit: Deposit, to: str) -> Deposit:
    return Deposit(deposit.number, deposit.amount - 1)


def paying(lie: str = "", account: type[Account] = Account) -> World:
    payer = byzantine(Payer, mutate=another_amount, **LIES[lie]) if lie else Payer
    return World.of(payer("payer"), account("account"))


AGREED = right.no_two_members_deliver_different_values
# It is judged where the source says one thing to all that it tells anything.
TOLD = right.whoever_was_told_delivers
ONE_THING = ("", "replay", "silence")
COUNTED = right.no_deposit_counts_twice

MISTAKES: dict[str, tuple[Any, dict[str, Any], Property, set[str]]] = {
    "BelievesTheSource": (
        broadcasting,
        {"member": broken.BelievesTheSource},
        AGREED,
        {"equivocate", "forge"},  # it also believes what is said in another's name
    ),
    "TrustsNames": (broadcasting, {"member": broken.TrustsNames}, AGREED, {"forge"}),
    "WaitsForAll": (broadcasting, {"member": broken.WaitsForAll}, TOLD, {"silence"}),
    "CountsEveryDeposit": (paying, {"account": broken.CountsEveryDeposit}, COUNTED, {"replay"}),
}


def shown(scenario: Any, prop: Property, lies: Iterable[str], **wrong: Any) -> set[str]:
    """Those of the lies under which the property is found broken."""
    lies = [lie for lie in lies if prop is not TOLD or lie in ONE_THING]
    judged = {lie: prop.over(scenario, prop.name, lie=lie, **wrong) for lie in lies}
    return {lie for lie, each in judged.items() if check(each, max_worlds=WORLDS_MAX).broken}


def test_every_mistake_and_every_lie_is_in_the_table() -> None:
    assert set(variants(broken)) == set(MISTAKES)
    assert set.union(*(lies for *_, lies in MISTAKES.values())) == set(LIES)


WITH_FORGED_NAMES = [QUICK, pytest.param(("forge",), marks=pytest.mark.slow)]


@pytest.mark.parametrize("told", WITH_FORGED_NAMES)
@pytest.mark.parametrize(
    ("scenario", "prop"),
    [(broadcasting, AGREED), (broadcasting, TOLD), (paying, COUNTED)],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_what_is_right_survives_every_lie(
    scenario: Any, prop: Property, told: tuple[str, ...]
) -> None:
    assert shown(scenario, prop, told) == set()


@pytest.mark.parametrize("told", WITH_FORGED_NAMES)
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_shown_by_its_lies_alone(mistake: str, told: tuple[str, ...]) -> None:
    scenario, wrong, prop, lies = MISTAKES[mistake]
    assert shown(scenario, prop, told, **wrong) == lies & {*told}
