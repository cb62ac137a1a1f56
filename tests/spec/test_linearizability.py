"""The checker agrees with brute force and with recorded histories, and says why it refuses one."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
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
    return completed(order) == len(history.completed) and is_prefix(history, object, order)


def brute_force(history: History, object: SequentialObject) -> bool:
    """Whether any permutation of the completed calls and some open ones is a witness."""
    opened = [call for call in history.calls if not call.done]
    chosen = chain.from_iterable(combinations(opened, n) for n in range(len(opened) + 1))
    orders = chain.from_iterable(permutations((*history.completed, *some)) for some in chosen)
    return any(is_witness(history, object, order) for order in orders)


def longest(history: History, object: SequentialObject) -> int:
    """The most completed calls that a linearizable prefix has, by trying all arrangements."""
    sizes = range(len(history.calls) + 1)
    orders = chain.from_iterable(permutations(history.calls, size) for size in sizes)
    return max(completed(order) for order in orders if is_prefix(history, object, order))


def completed(order: Sequence[Call]) -> int:
    return sum(call.done for call in order)


def record(*events: tuple[str, Any]) -> History:
    """A client's events alternate between an operation invoked and the result of it."""
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
def test_textbook_histories(outcome: Outcome, object: SequentialObject, history: History) -> None:
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
            if data.draw(st.integers(0, 4)) == 0:
                result = data.draw(st.sampled_from(given_before))
            history = history.complete(client, result)
    return history


@pytest.mark.parametrize(("object", "operations"), OBJECTS)
@settings(max_examples=150)
@given(data=st.data())
def test_the_checker_agrees_with_all_permutations(object, operations, data) -> None:
    history = some_history(data, object, operations, 12)
    found = linearize(history, object)

    assert (found.outcome is YES) is brute_force(history, object)
    if found.outcome is YES:
        assert is_witness(history, object, found.order)
    else:
        order = linearize(history, Bare(object)).order
        assert is_prefix(history, object, order)
        assert completed(order) == longest(history, object)


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


# --- histories recorded from real systems ---

_JEPSEN = re.compile(r"INFO\s+jepsen\.util - (\d+)\s+:(\w+)\s+:(\w+)\s+(.+)")
_EDN = re.compile(r'{:process (\d+), :type :(\w+), :f :(\w+), :key "(\w*)", :value (.*)}')


@dataclass(frozen=True)
class Line:
    """A line of a log: `kind` is invoke, ok, fail or info, `what` the operation."""

    process: str
    kind: str
    what: str
    value: str
    key: str = ""


def read_jepsen(text: str) -> list[Line]:
    found = map(_JEPSEN.fullmatch, text.splitlines())
    return [Line(*match.groups()) for match in found if match]


def read_edn(text: str) -> list[Line]:
    found = [match.groups() for match in map(_EDN.fullmatch, text.splitlines()) if match]
    return [Line(process, *rest, value, key) for process, *rest, key, value in found]


def operation_of(line: Line) -> Any:
    value = line.value.strip('"')
    match line.what:
        case "read":
            return Read()
        case "write":
            return Write(int(value))
        case "cas":
            return Cas(*map(int, value.strip("[]").split()))
        case "get":
            return Get(line.key)
        case "put":
            return Put(line.key, value)
        case "append":
            return Append(line.key, value)
    raise ValueError(line)


def result_of(line: Line) -> Any:
    match line.what:
        case "read":
            return None if line.value == "nil" else int(line.value)
        case "cas":
            return line.kind == "ok"
        case "get":
            return line.value.strip('"')
    return None


def history_of(lines: list[Line]) -> History:
    """A failed compare-and-set observed a value; a failed read observed nothing and is left out."""
    history = History()
    invoked: dict[str, Line] = {}
    failed_reads = set()
    for line in lines:
        if line.kind == "invoke":
            invoked[line.process] = line
        elif (line.kind, line.what) == ("fail", "read"):
            failed_reads |= {id(line), id(invoked[line.process])}
    client_of = {line.process: line.process for line in lines}
    for line in lines:
        client = client_of[line.process]
        if line.kind == "info":  # never completed: what the process does next is another client's
            client_of[line.process] += "+"
        elif line.kind == "invoke" and id(line) not in failed_reads:
            history = history.invoke(client, operation_of(line))
        elif id(line) not in failed_reads:
            history = history.complete(client, result_of(line))
    return history


def recorded() -> list[Any]:
    listed = RECORDED / "expected.json"
    if not listed.exists():
        reason = f"the recorded histories are not in {RECORDED}"
        return [pytest.param("", True, marks=pytest.mark.skip(reason=reason), id="absent")]
    return list(json.loads(listed.read_text()).items())


@pytest.mark.parametrize(("name", "linearizable"), recorded())
def test_recorded_histories_have_their_known_outcomes(name: str, linearizable: bool) -> None:
    text = (RECORDED / name).read_text()
    register = name.startswith("etcd")
    history = history_of(read_jepsen(text) if register else read_edn(text))
    object: SequentialObject = CasRegister() if register else KeyValue("")

    # The bound is a tenth or less of what the search needs without the object's hints.
    found = linearize(history, object, budget=10_000)

    assert found.outcome is (YES if linearizable else NO)
    assert not linearizable or is_witness(history, object, found.order)


# --- budget, turns, size ---


def hard_key(key: str, writers: int) -> list[tuple[str, Any]]:
    """Overlapping puts of different values, then reads of two: refuted by trying every subset."""
    clients = [f"{key}{number:02}" for number in range(writers)]
    return [
        *((client, Put(key, client)) for client in clients),
        *((client, None) for client in clients),
        *((key, Get(key)), (key, clients[0]), (key, Get(key)), (key, clients[1])),
    ]


def test_a_budget_that_runs_out_leaves_the_outcome_unknown() -> None:
    history = record(*hard_key("x", 12))

    assert linearize(history, KeyValue()).outcome is NO
    for budget in (0, 1, 100):
        found = linearize(history, KeyValue(), budget)
        assert (found.outcome, found.configurations) == (Outcome.UNKNOWN, budget)
        assert f"budget of {budget} configurations" in found.explanation


@pytest.mark.parametrize("easy", ["a", "z"])
def test_a_part_that_is_soon_refuted_ends_the_search_of_the_others(easy: str) -> None:
    hard, refuted = [*hard_key("m", 30), *hard_key("n", 30)], hard_key(easy, 6)

    for events in ([*refuted, *hard], [*hard, *refuted]):
        found = linearize(record(*events), KeyValue(), budget=3_000)
        assert found.outcome is NO
        assert f"on part '{easy}'" in found.explanation


def test_a_long_history_needs_no_deep_stack() -> None:
    history = record(*[event for n in range(3_000) for event in ((A, Write(n)), (A, None))])

    assert len(linearize(history, Register()).order) == 3_000


def test_overlapping_calls_that_are_alike_are_not_tried_in_every_order() -> None:
    writers = [(f"w{n:02}", Write(n % 2)) for n in range(20)]
    returns = [(client, None) for client, _ in writers]
    history = record(*writers, *returns, (A, Read()), (A, 0), (A, Read()), (A, 1))

    # 11 counts of zeros x 11 of ones x the last written, two ways out of each. Without the rule,
    # every subset of the 20: a million.
    assert linearize(history, Bare(CasRegister()), budget=11 * 11 * 2 * 2).outcome is NO


def test_open_calls_that_are_alike_are_not_tried_in_every_order() -> None:
    opened = [(f"open{n:02}", Write(n % 4)) for n in range(40)]
    late = [(f"z{n}", Write(n)) for n in range(4)]
    reads = [event for n in (1, 0, 3, 2) for event in ((A, Read()), (A, n))]
    ended = [(client, None) for client, _ in late]
    found = linearize(record(*opened, *late, *reads, *ended, (A, Read()), (A, 9)), CasRegister(0))

    # Without the preference for a completed call over the open ones like it: 9,824.
    assert found.outcome is NO
    assert found.configurations < 500


# --- what a person reads ---


def test_a_refusal_shows_the_longest_order_and_why_no_call_can_follow() -> None:
    history = record(
        *((A, Write(1)), (A, None), (D, Write(3)), (B, Write(2)), (C, Read()), (C, 2)),
        *((A, Read()), (A, 1), (B, None), (B, Read()), (B, 2)),
    )
    found = linearize(history, Register(0))

    assert [str(call) for call in found.order] == [
        "Write(value=1) -> None",
        "Write(value=2) -> None",
        "Read() -> 2",
    ]
    assert found.explanation == (
        "not linearizable: no order of the 5 completed calls gives their results; "
        "the longest found has 3:\n"
        "  a[0] Write(value=1) -> None\n"
        "  b[0] Write(value=2) -> None\n"
        "  c[0] Read() -> 2\n"
        "The state is then 2. By real time the next call could be\n"
        "  a[1] Read() -> 1, but the result here is 2, and no call that may come first helps\n"
        "  d[0] Write(value=3) (open), which may take effect here but helps no other call\n"
        "The calls left over (1) were invoked after one of these had returned."
    )


def test_a_linearization_is_not_a_bool() -> None:
    with pytest.raises(TypeError, match="compare its `outcome`"):
        bool(linearize(History(), Register()))


class NoStart(SequentialObject):
    def apply(self, state: Any, operation: Any) -> tuple[Any, Any]:
        return state, None


class Forgetful(Queue):
    """Says that a take changes nothing."""

    def observes(self, operation: Any, result: Any) -> bool:
        return True


class HalfKeyed(Queue):
    def key(self, operation: Any) -> Any:
        return operation[1] if operation[0] == "put" else None


@pytest.mark.parametrize(
    ("object", "message"),
    [
        (NoStart(), r"NoStart has no state to start from; set its class attribute `initial`"),
        (Forgetful(), r"Forgetful.observes\(\) is true of \('put', 1\) -> None, but that changes"),
        (HalfKeyed(), r"HalfKeyed.key\(\) gives None for \('take',\) but a key for other"),
    ],
)
def test_an_object_that_breaks_its_contract_is_an_error(object, message) -> None:
    history = record((A, ("put", 1)), (A, None), (A, ("take",)), (A, 1))

    with pytest.raises(ObjectError, match=message):
        linearize(history, object)


def test_a_negative_budget_is_an_error() -> None:
    with pytest.raises(ValueError, match="a budget is a number of configurations, not -1"):
        linearize(History(), Register(), budget=-1)
