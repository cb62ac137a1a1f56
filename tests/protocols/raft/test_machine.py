"""The machines that come with Raft."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from happysim import ProtocolError
from happysim.core.prng import Random
from happysim.protocols.lock import LockTable
from happysim.protocols.raft import Cas, Delete, Get, Journal, KeyValue, Set
from properties.raft import along, cluster, elect


def results(*commands: Any) -> list[Any]:
    machine = KeyValue()
    state: Any = machine.initial
    found = []
    for command in commands:
        state, result = machine.apply(state, command)
        found.append(result)
    return found


def test_a_map_answers_as_a_dict_does() -> None:
    """Against Python's dict, over random commands."""
    random, model = Random(1, "commands"), dict[str, Any]()
    commands: list[Any] = []
    expected: list[Any] = []
    for _ in range(500):
        key, value = random.choice(["a", "b", "c"]), random.choice([1, 2, True])
        command = random.choice([Get(key), Set(key, value), Delete(key), Cas(key, value, 1)])
        commands.append(command)
        match command:
            case Get():
                expected.append(model.get(key))
            case Set():
                expected.append(model.update({key: value}))
            case Delete():
                expected.append(model.pop(key, None) is not None)
            case Cas():
                held = model.get(key)
                same = held == value and type(held) is type(value)
                model |= {key: 1} if same else {}
                expected.append(same)
    assert results(*commands) == expected


def test_none_is_no_value() -> None:
    assert results(Set("k", 1), Cas("k", 1, None), Get("k"), Delete("k")) == [
        None,
        True,
        None,
        False,
    ]
    assert results(Cas("k", None, 1), Get("k")) == [True, 1]


def test_the_state_does_not_depend_on_the_order_of_the_keys() -> None:
    machine = KeyValue()
    one, other = machine.initial, machine.initial
    for key in "abc":
        one, _ = machine.apply(one, Set(key, 1))
    for key in "cab":
        other, _ = machine.apply(other, Set(key, 1))
    assert one == other == (("a", 1), ("b", 1), ("c", 1))


def test_a_read_leaves_the_very_state_it_found() -> None:
    machine = KeyValue()
    state, _ = machine.apply(machine.initial, Set("k", 1))
    for command in (Get("k"), Cas("k", 2, 3)):
        assert machine.apply(state, command)[0] is state


def test_other_commands_are_refused() -> None:
    with pytest.raises(ProtocolError, match=r"KeyValue does not take 'x'; it takes Get, Set"):
        results("x")


def test_a_journal_keeps_everything() -> None:
    assert Journal().apply(("a",), "b") == (("a", "b"), 2)


def test_rounds_go_by_at_the_leader_of_a_machine_in_which_time_passes() -> None:
    table = LockTable(("n1", "n2", "n3"), 1.0)
    world = elect(cluster(3, machine=table), "n1", "n2")
    assert [world[name].timers for name in ("n1", "n2")] == [("round",), ("election",)]
    world = along(world, "fire n1 round")
    assert world["n1"].timers == ("round",)
    # Nothing is held, so that the end of the round means nothing.
    assert world["n1"].log.last_index == 0
    assert elect(cluster(3), "n1", "n2")["n1"].timers == ()


@pytest.mark.parametrize(
    "command", [Get("k"), Set("k", 1), Delete("k"), Cas("k", 1, 2), KeyValue(), Journal()]
)
def test_commands_and_machines_are_values(command: Any) -> None:
    assert hash(command) == hash(replace(command))
