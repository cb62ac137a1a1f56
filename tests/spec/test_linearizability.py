"""The checker agrees with brute force and with recorded histories, and says why it refuses one."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain, combinations, permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from happysim.core.freeze import freeze
from happysim.core.history import Call, History
from happysim.spec.linearizability import ObjectError, Outcome, linearize
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
    Write,
)

RECORDED = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "histories"


def is_prefix(history: History, object: SequentialObject, order: Sequence[Call]) -> bool:
    """Whether `order` may be the start of a linearization, straight from the definition."""
    state, taken = object.initial, dict.fromkeys(dict(history.lanes), 0)
    for call in order:
        index = taken[call.client]
        if history.of(call.client)[index : index + 1] != (call,):
            return False
        if any(taken[other] <= last for other, last in call.after):
            return False
        state, result = object.apply(state, call.operation)
        if call.done and freeze(result) != freeze(call.result):
            return False
        taken[call.client] += 1
    return True


def is_witness(history: History, object: SequentialObject, order: Sequence[Call]) -> bool:
    return is_prefix(history, object, order) and len(history.completed) == sum(c.done for c in order)


def brute_force(history: History, object: SequentialObject) -> bool:
    """Whether any permutation of the completed calls and some open ones is a witness."""
    opened = [call for call in history.calls if not call.done]
    chosen = chain.from_iterable(combinations(opened, n) for n in range(len(opened) + 1))
    orders = chain.from_iterable(permutations((*history.completed, *some)) for some in chosen)
    return any(is_witness(history, object, order) for order in orders)


def record(*events: tuple[str, Any]) -> History:
    """A client's events alternate between an operation that it invokes and the result that it gets."""
    history = History()
    for client, value in events:
        step = history.complete if client in history.open else history.invoke
        history = step(client, value)
    return history


def case(title: str, outcome: Outcome, object: SequentialObject, *events: tuple[str, Any]) -> Any:
    return pytest.param(outcome, object, record(*events), id=title)


class Queue(SequentialObject):
    """Defined as a user would: operations are ("put", value) and ("take",)."""

    initial = ()

    def apply(self, state: Any, operation: Any) -> tuple[Any, Any]:
        if operation[0] == "put":
            return (*state, operation[1]), None
        return state[1:], state[0] if state else None


YES, NO = Outcome.LINEARIZABLE, Outcome.NOT_LINEARIZABLE
A, B, C, D = "abcd"
WROTE_1 = ((A, Write(1)), (A, None))
TEXTBOOK = [
    case("nothing happened", YES, Register()),
    case("a read of the last write", YES, Register(), *WROTE_1, (B, Read()), (B, 1)),
    case("a read of what was never written", NO, Register(), *WROTE_1, (B, Read()), (B, 2)),
    case("a stale read", NO, Register(), *WROTE_1, (B, Read()), (B, None)),
    case("a stale read of its own write", NO, Register(), *WROTE_1, (A, Read()), (A, None)),
    case("an answer of another type", NO, Register(), *WROTE_1, (B, Read()), (B, True)),
    case(
        "an answer of another type inside",
        NO,
        Register(),
        *((A, Write((1,))), (A, None), (B, Read()), (B, (1.0,))),
    ),
    case(
        "a read while a write is on its way sees the old value",
        YES,
        Register(0),
        *((A, Write(1)), (B, Read()), (B, 0), (A, None)),
    ),
    case(
        "a read while a write is on its way sees the new value",
        YES,
        Register(0),
        *((A, Write(1)), (B, Read()), (B, 1), (A, None)),
    ),
    case(
        "new, then old: the inversion that regular registers allow",
        NO,
        Register(0),
        *((A, Write(1)), (B, Read()), (B, 1), (C, Read()), (C, 0), (A, None)),
    ),
    case(
        "new and old by reads that overlap",
        YES,
        Register(0),
        *((A, Write(1)), (B, Read()), (C, Read()), (B, 1), (C, 0), (A, None)),
    ),
    case(
        "each of two writers reads the other's value: sequentially consistent at most",
        NO,
        Register(),
        *((A, Write(1)), (B, Write(2)), (A, None), (B, None)),
        *((A, Read()), (A, 2), (B, Read()), (B, 1)),
    ),
    case("an open write takes effect", YES, Register(0), (A, Write(1)), (B, Read()), (B, 1)),
    case("an open write takes none", YES, Register(0), (A, Write(1)), (B, Read()), (B, 0)),
    case(
        "an open write takes effect long after its invocation",
        YES,
        Register(0),
        *((A, Write(1)), (B, Read()), (B, 0), (B, Write(2)), (B, None), (B, Read()), (B, 1)),
    ),
    case(
        "an open write takes effect before its invocation",
        NO,
        Register(0),
        *((B, Read()), (B, 1), (A, Write(1))),
    ),
    case(
        "an open write takes effect twice",
        NO,
        Register(0),
        *((A, Write(1)), (B, Read()), (B, 1), (B, Write(2)), (B, None), (B, Read()), (B, 1)),
    ),
    case(
        "two open writes of one value take effect one after the other",
        YES,
        Register(0),
        *((A, Write(1)), (C, Write(1))),
        *((B, Read()), (B, 1), (B, Write(2)), (B, None), (B, Read()), (B, 1)),
    ),
    case(
        "the result of an open call is anything",
        YES,
        CasRegister(0),
        *((A, Cas(5, 6)), (B, Cas(0, 1)), (C, Read()), (C, 1)),
    ),
    case(
        "two compare-and-sets both win from one value",
        NO,
        CasRegister(0),
        *((A, Cas(0, 1)), (B, Cas(0, 2)), (A, True), (B, True)),
    ),
    case(
        "a compare-and-set fails where the value was never another",
        NO,
        CasRegister(0),
        *((A, Cas(0, 1)), (A, False)),
    ),
    case(
        "a compare-and-set fails since an open write came first",
        YES,
        CasRegister(0),
        *((B, Write(5)), (A, Cas(0, 1)), (A, False)),
    ),
    case(
        "keys are independent: each right, in orders that differ",
        YES,
        KeyValue(""),
        *((A, Append("x", "1")), (B, Append("y", "2")), (A, None), (B, None)),
        *((A, Get("y")), (A, "2"), (B, Get("x")), (B, "1")),
    ),
    case(
        "one key of two is stale",
        NO,
        KeyValue(""),
        *((A, Append("x", "1")), (B, Append("y", "2")), (A, None), (B, None)),
        *((A, Get("y")), (A, "2"), (B, Get("x")), (B, "")),
    ),
    case(
        "a queue is first in, first out",
        YES,
        Queue(),
        *((A, ("put", 1)), (B, ("put", 2)), (A, None), (B, None)),
        *((C, ("take",)), (D, ("take",)), (C, 2), (D, 1)),
    ),
    case(
        "a queue gives one element twice",
        NO,
        Queue(),
        *((A, ("put", 1)), (A, None), (B, ("take",)), (C, ("take",)), (B, 1), (C, 1)),
    ),
]


@pytest.mark.parametrize(("outcome", "object", "history"), TEXTBOOK)
def test_textbook_histories(
    outcome: Outcome, object: SequentialObject, history: History
) -> None:
    found = linearize(history, object)

    assert found.outcome is outcome
    assert brute_force(history, object) is (outcome is YES)
    if outcome is YES:
        assert is_witness(history, object, found.order)


# --- the second way ---


class Bare(SequentialObject):
    """Another object without its hints and parts."""

    def __init__(self, whole: SequentialObject) -> None:
        self.initial, self.apply = whole.initial, whole.apply  # type: ignore[method-assign]

    def apply(self, state: Any, operation: Any) -> tuple[Any, Any]:
        raise NotImplementedError


_value = st.sampled_from([0, 1, True])
_text = st.sampled_from(["", "a", "b"])
_key = st.sampled_from(["x", "y"])
_registers = st.builds(Read) | st.builds(Write, _value)
_cas_registers = _registers | st.builds(Cas, _value, _value)
_maps = st.one_of(
    st.builds(Get, _key),
    st.builds(Put, _key, _text),
    st.builds(Append, _key, _text),
    st.builds(Delete, _key),
    st.builds(PutIf, _key, _text, _text),
)
OBJECTS = [
    pytest.param(Register(0), _registers, id="Register"),
    pytest.param(CasRegister(0), _cas_registers, id="CasRegister"),
    pytest.param(KeyValue(""), _maps, id="KeyValue"),
    pytest.param(
        Queue(), st.just(("take",)) | st.tuples(st.just("put"), st.integers(0, 2)), id="Queue"
    ),
]


def some_history(
    data: st.DataObject, object: SequentialObject, operations: st.SearchStrategy[Any], size: int
) -> History:
    """A run of a real copy, some of whose answers are exchanged for others that it gave."""
    clients = "abc" if size < 20 else "abcdefg"
    history, state = History(), object.initial
    results: dict[str, Any] = {}
    given_before: list[Any] = [None]
    for client in data.draw(st.lists(st.sampled_from(clients), min_size=size // 2, max_size=size)):
        if client not in history.open:
            history = history.invoke(client, data.draw(operations))
        elif client not in results and data.draw(st.booleans()):
            state, results[client] = object.apply(state, history.of(client)[-1].operation)
        else:
            if client not in results:
                state, results[client] = object.apply(state, history.of(client)[-1].operation)
            result = results.pop(client)
            given_before.append(result)
            if data.draw(st.integers(0, 7)) == 0:
                result = data.draw(st.sampled_from(given_before))
            history = history.complete(client, result)
    return history


@pytest.mark.parametrize(("object", "operations"), OBJECTS)
@settings(max_examples=150)
@given(data=st.data())
def test_the_checker_agrees_with_all_permutations(object, operations, data) -> None:
    history = some_history(data, object, operations, 11)
    found = linearize(history, object)

    assert (found.outcome is YES) is brute_force(history, object)
    if found.outcome is YES:
        assert is_witness(history, object, found.order)


@pytest.mark.parametrize(("object", "operations"), OBJECTS)
@settings(max_examples=50)
@given(data=st.data())
def test_hints_and_parts_of_an_object_change_no_outcome(object, operations, data) -> None:
    history = some_history(data, object, operations, 60)
    found, plain = linearize(history, object), linearize(history, Bare(object))

    assert found.outcome is plain.outcome
    if found.outcome is YES:
        assert is_witness(history, object, found.order)
        assert is_witness(history, object, plain.order)
    else:
        assert is_prefix(history, object, plain.order)
