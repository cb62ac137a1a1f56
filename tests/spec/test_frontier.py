"""A history judged event by event is judged as a whole history is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from happysim.core.history import History
from happysim.spec.frontier import Frontiers
from happysim.spec.linearizability import Outcome, linearize
from happysim.spec.objects import Cas, CasRegister, Get, KeyValue, Put, Read, Register, Write

_value = st.sampled_from([0, 1, True])
_registers = st.builds(Read) | st.builds(Write, _value)
_maps = st.builds(Get, st.sampled_from("xy")) | st.builds(Put, st.sampled_from("xy"), _value)
OBJECTS = [
    pytest.param(Register(0), _registers, id="Register"),
    pytest.param(CasRegister(0), _registers | st.builds(Cas, _value, _value), id="CasRegister"),
    pytest.param(KeyValue(0), _maps, id="KeyValue"),
]


def is_linearizable(history: History, object: Any) -> bool:
    return linearize(history, object).outcome is Outcome.LINEARIZABLE


@pytest.mark.parametrize(("object", "operations"), OBJECTS)
@settings(max_examples=60)
@given(data=st.data())
def test_every_history_on_the_way_is_judged_as_the_checker_does(object, operations, data) -> None:
    frontiers, history = Frontiers(object), History()
    for client in data.draw(st.lists(st.sampled_from("abc"), max_size=12)):
        if client not in history.open:
            history = history.invoke(client, data.draw(operations))
        elif data.draw(st.integers(0, 7)) == 0:
            history = history.abandon(client)
        else:
            # Mostly an answer that can be right, so that histories stay linearizable for a while.
            given_back = data.draw(st.permutations([None, 0, 1, True, False]))
            made = [history.complete(client, result) for result in given_back]
            right = [each for each in made if is_linearizable(each, object)]
            history = right[0] if right and data.draw(st.integers(0, 5)) else made[0]
        assert frontiers.fit(history) is is_linearizable(history, object)
    assert Frontiers(object).fit(history) is is_linearizable(history, object)


def test_a_history_too_long_to_be_judged_so_is_left_to_the_checker() -> None:
    history = History()
    for value in range(40):
        history = history.invoke("a", Write(value)).complete("a", None)

    assert not Frontiers(Register(0)).fit(history)
    assert is_linearizable(history, Register(0))


def test_more_ways_than_are_worth_following_are_left_to_the_checker() -> None:
    history = History()
    for number in range(8):
        history = history.invoke(f"w{number}", Write(number))
    history = history.invoke("r", Read()).complete("r", 3)

    assert not Frontiers(Register(0)).fit(history)
    assert is_linearizable(history, Register(0))
