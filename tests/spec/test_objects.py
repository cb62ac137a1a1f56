"""Sequential objects answer as one correct copy would, and their hints to the checker are true."""

from __future__ import annotations

from functools import reduce
from itertools import combinations, permutations, product, starmap
from typing import Any

import pytest

from happysim.spec.objects import (
    Append,
    Cas,
    CasRegister,
    Delete,
    Get,
    KeyValue,
    Put,
    PutIf,
    Read,
    Register,
    SequentialObject,
    UnknownOperation,
    Write,
)

_VALUES = ("", "a", "ab")
_PAIRS = list(product(_VALUES, _VALUES))
_REGISTER = [Read(), *map(Write, _VALUES), *starmap(Cas, _PAIRS)]
_MAP = [Get("k"), Delete("k"), *(Put("k", value) for value in _VALUES)]
_MAP += [*(Append("k", value) for value in "ab"), *(PutIf("k", *pair) for pair in _PAIRS)]
OBJECTS = [
    pytest.param(Register(""), _REGISTER[:4], id="Register"),
    pytest.param(CasRegister(""), _REGISTER, id="CasRegister"),
    pytest.param(KeyValue(""), _MAP, id="KeyValue"),
]


def run(object: SequentialObject, operations: Any) -> tuple[Any, list[Any]]:
    """The last state and the results."""
    state, results = object.initial, []
    for operation in operations:
        state, result = object.apply(state, operation)
        results.append(result)
    return state, results


@pytest.mark.parametrize(
    ("object", "operations", "results"),
    [
        (Register(), [Read(), Write(1), Read(), Write(2), Read()], [None, None, 1, None, 2]),
        (Register(0), [Read()], [0]),
        (
            CasRegister(0),
            [Cas(0, 1), Cas(0, 2), Read(), Write(0), Read()],
            [True, False, 1, None, 0],
        ),
        (CasRegister(1), [Cas(True, 2), Cas(1.0, 2), Read()], [False, False, 1]),
        (CasRegister((1,)), [Cas((True,), 2), Cas((1,), 2)], [False, True]),
        (KeyValue(), [Get("x"), Put("x", 1), Get("x"), Get("y")], [None, None, 1, None]),
        (KeyValue(""), [Append("x", "a"), Append("x", "b"), Get("x")], [None, None, "ab"]),
        (KeyValue(()), [Append("x", (1,)), Append("x", (2,)), Get("x")], [None, None, (1, 2)]),
        (KeyValue(0), [Put("x", 1), Delete("x"), Get("x"), Delete("y")], [None, None, 0, None]),
        (KeyValue(), [PutIf("x", None, 1), PutIf("x", True, 2), Get("x")], [True, False, 1]),
        (KeyValue(), [Put(1, "int"), Put(True, "bool"), Get(1)], [None, None, "int"]),
    ],
)
def test_objects_answer_as_one_copy_would(object, operations, results) -> None:
    found = run(object, operations)[1]

    assert found == results
    assert list(map(type, found)) == list(map(type, results))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([Put("x", 1), Put("y", 2)], [Put("y", 2), Put("x", 1)]),
        ([], [Put("x", 1), Delete("x")]),
        ([], [Put("x", "")]),
    ],
)
def test_maps_with_equal_contents_are_one_state(one, other) -> None:
    assert run(KeyValue(""), one)[0] == run(KeyValue(""), other)[0]


@pytest.mark.parametrize(
    ("object", "operation", "message"),
    [
        (
            Register(),
            Cas(1, 2),
            r"^Register does not take Cas\(expect=1, update=2\); .* Read, Write$",
        ),
        (CasRegister(), Get("x"), r"^CasRegister does not take .* it takes Read, Write, Cas$"),
        (
            KeyValue(),
            Read(),
            r"^KeyValue does not take .* it takes Get, Put, Append, Delete, PutIf$",
        ),
        (
            KeyValue(),
            Append("x", "a"),
            r"^cannot append 'a' to None, the value of key 'x'.*default",
        ),
    ],
)
def test_an_operation_that_an_object_does_not_take_is_an_error(object, operation, message) -> None:
    with pytest.raises(UnknownOperation, match=message) as caught:
        object.apply(object.initial, operation)
    assert isinstance(caught.value, TypeError)


@pytest.mark.parametrize(("object", "operations"), OBJECTS)
def test_an_operation_said_to_observe_changes_no_state(object, operations) -> None:
    for before, operation in product(operations, operations):
        state, _ = run(object, [before])
        following, result = object.apply(state, operation)
        assert not object.observes(operation, result) or following == state


@pytest.mark.parametrize(("object", "operations"), OBJECTS)
def test_a_result_said_to_be_unreachable_comes_from_no_order_of_the_others(
    object, operations
) -> None:
    for before, others in product(operations, combinations(operations, 2)):
        state, _ = run(object, [before])
        orders = [(), *permutations(others, 1), *permutations(others)]
        reached = {reduce(lambda at, other: object.apply(at, other)[0], o, state) for o in orders}
        for operation in operations:
            for result in {object.apply(at, operation)[1] for at in reached}:
                assert not object.unreachable(state, operation, result, others)


@pytest.mark.parametrize(
    ("object", "operation", "result", "others"),
    [
        (Register(), Read(), 1, [Write(2), Write(True)]),
        (CasRegister(), Read(), 1, [Cas(None, 2)]),
        (CasRegister(), Cas(1, 2), True, [Write(2)]),
        (KeyValue("b"), Get("x"), "a", [Put("x", "bb"), Append("x", "a")]),
        (KeyValue("b"), Get("x"), "a", [Append("x", "a"), PutIf("x", "b", "c"), Delete("x")]),
    ],
)
def test_what_nobody_writes_is_unreachable(object, operation, result, others) -> None:
    assert object.unreachable(object.initial, operation, result, others)
