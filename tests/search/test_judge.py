"""The judge answers in bits: what a kernel may remember, what lies outside, and when to stop."""

from __future__ import annotations

from typing import Any

from happysim import Property, World, always, quiescent, step_always
from happysim.kernel.contract import DONE, FOUND, LOCAL, OUTSIDE
from happysim.search.judge import PropertyJudge
from tests.support.nodes import Ping, chain, one_node


def judge_of(world: World, *properties: Property, within: Any = None) -> PropertyJudge:
    return PropertyJudge(world.tables, properties, within)


def test_a_judgement_of_local_states_is_local_and_one_of_messages_or_faults_is_not() -> None:
    world = one_node(lambda node, host: host.send("n", Ping()))

    def bits(judge: Any) -> int:
        return judge_of(world, always(world)(judge)).world(0, world.numbers)

    assert bits(lambda world: world["n"].value == 0) == LOCAL
    assert bits(lambda world: len(world.in_flight) == 0) == 0
    assert bits(lambda world: world.faults_left["drops"] == 0) == 0
    assert bits(lambda world: world.partition is None) == 0


def test_a_finding_is_kept_with_its_place_and_the_property_is_asked_no_more() -> None:
    world = chain()
    asked = []

    @always(chain)
    def wrong(world: World) -> str:
        asked.append(world["n"].count)
        return "wrong"

    fine = always(chain)(lambda world: True)
    judge = judge_of(world, wrong, fine)
    assert judge.world(7, world.numbers) == LOCAL | FOUND
    assert (judge.findings[wrong].at, judge.findings[wrong].reason) == (7, "wrong")

    judge.world(8, world.step("act n up").numbers)
    assert asked == [0]
    assert judge.findings[wrong].at == 7


def test_the_judge_is_done_when_every_property_is_decided() -> None:
    world = chain()
    one, other = (always(chain)(lambda world: False) for _ in range(2))
    late = always(chain)(lambda world: world["n"].count == 0)

    assert judge_of(world, one, other).world(0, world.numbers) & DONE
    judge = judge_of(world, one, late)
    assert not judge.world(0, world.numbers) & DONE
    assert judge.world(1, world.step("act n up").numbers) & DONE


def test_what_lies_outside_is_not_judged() -> None:
    judge = judge_of(chain(), always(chain)(lambda world: False), within=lambda world: False)

    assert judge.world(0, chain().numbers) & OUTSIDE
    assert not judge.findings


def test_a_judge_asks_for_steps_and_ends_only_where_some_property_does() -> None:
    world = chain()
    step = step_always(chain)(lambda before, after: True)
    end = quiescent(chain)(lambda world: True)

    assert (judge_of(world).judges_steps, judge_of(world).judges_quiescence) == (False, False)
    assert judge_of(world, step).judges_steps
    assert judge_of(world, end).judges_quiescence
