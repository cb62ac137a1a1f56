"""Each type is a join semilattice, and reads as a model that knows nothing of its representation.

A run is a list of steps over three replicas. A step is an operation, or the delivery of any state
that any replica ever had, so states arrive late, out of order and twice. The model keeps a log of
operations and, for each state, the set of those it has heard of: a state's causal past.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from happysim.protocols.crdt import GCounter, LWWRegister, MVRegister, ORSet, PNCounter
from happysim.protocols.crdt.replica import Replica

NAMES = ("a", "b", "c")
LOOKALIKES = [1, True, 1.0, "1"]


@dataclass(frozen=True)
class Op:
    """An operation at one replica, and the operations that replica knew of."""

    writer: str
    method: str
    args: tuple[Any, ...]
    past: frozenset[int]


Log = list[Op]
Past = frozenset[int]


def typed(value: object) -> tuple[str, object]:
    return type(value).__name__, value


def count_of(log: Log, past: Past) -> int:
    sign = {"increment": 1, "decrement": -1}
    return sum(sign[log[i].method] * log[i].args[0] for i in past)


def newest_of(log: Log, past: Past) -> object:
    """A write is one above all in its past; ties go to the larger replica id."""

    def timestamp(i: int) -> int:
        return 1 + max((timestamp(j) for j in log[i].past), default=0)

    newest = max(past, key=lambda i: (timestamp(i), log[i].writer), default=None)
    return typed(None if newest is None else log[newest].args[0])


def elements_of(log: Log, past: Past) -> set[object]:
    """In is what has an add that no known remove of the same element had heard of."""

    def removed(i: int) -> bool:
        return any(
            log[j].method == "discard"
            and typed(log[j].args[0]) == typed(log[i].args[0])
            and i in log[j].past
            for j in past
        )

    return {typed(log[i].args[0]) for i in past if log[i].method == "add" and not removed(i)}


def values_of(log: Log, past: Past) -> set[object]:
    """In is what no known write had heard of."""
    return {typed(log[i].args[0]) for i in past if not any(i in log[j].past for j in past)}


@dataclass(frozen=True)
class Crdt:
    """A type under test, its operations, how it is read, and how the model reads."""

    make: Callable[[str], Any]
    operations: st.SearchStrategy[tuple[str, tuple[Any, ...]]]
    read: Callable[[Any], object]
    expect: Callable[[Log, Past], object]


def call(method: str, *args: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.tuples(st.just(method), st.tuples(*args))


AMOUNTS = st.integers(0, 3)
CRDTS = {
    "GCounter": Crdt(GCounter, call("increment", AMOUNTS), lambda x: x.value, count_of),
    "PNCounter": Crdt(
        PNCounter,
        call("increment", AMOUNTS) | call("decrement", AMOUNTS),
        lambda x: x.value,
        count_of,
    ),
    "LWWRegister": Crdt(
        LWWRegister,
        call("set", st.sampled_from(LOOKALIKES)),
        lambda x: typed(x.value),
        newest_of,
    ),
    "MVRegister": Crdt(
        MVRegister,
        call("set", st.sampled_from(LOOKALIKES)),
        lambda x: {typed(value) for value in x.value},
        values_of,
    ),
    "ORSet": Crdt(
        ORSet,
        call("add", st.sampled_from(LOOKALIKES)) | call("discard", st.sampled_from(LOOKALIKES)),
        lambda x: {typed(element) for element in x},
        elements_of,
    ),
}


class Run:
    """Three replicas, and every state that any of them ever had with its causal past."""

    def __init__(self, crdt: Crdt, steps: list[Any]) -> None:
        self.crdt = crdt
        self.log: Log = []
        self.replicas: list[Any] = [crdt.make(name) for name in NAMES]
        self.pasts: list[Past] = [frozenset()] * len(NAMES)
        self.history = [(replica.state(), frozenset[int]()) for replica in self.replicas]
        for who, step in steps:
            before = self.replicas[who].state()
            if isinstance(step, int):
                state, past = self.history[step % len(self.history)]
                self.replicas[who].merge(state)
                self.pasts[who] |= past
            else:
                self.operate(who, *step)
            self.check(who, before)

    def operate(self, who: int, method: str, args: tuple[Any, ...]) -> None:
        getattr(self.replicas[who], method)(*args)
        self.log.append(Op(NAMES[who], method, args, self.pasts[who]))
        self.pasts[who] |= {len(self.log) - 1}

    def check(self, who: int, before: Any) -> None:
        replica = self.replicas[who]
        assert self.of(before).leq(replica)
        assert self.crdt.read(replica) == self.crdt.expect(self.log, self.pasts[who])
        self.history.append((replica.state(), self.pasts[who]))

    def of(self, state: Any) -> Any:
        """A bystander that holds `state`."""
        return type(self.replicas[0]).from_state("d", state)

    def join(self, *states: Any) -> Any:
        joined = self.of(states[0])
        for state in states[1:]:
            joined.merge(state)
        return joined.state()


@st.composite
def runs(draw: st.DrawFn, crdt: Crdt) -> Run:
    step = st.one_of(crdt.operations, crdt.operations, st.integers(0, 30))
    return Run(crdt, draw(st.lists(st.tuples(st.integers(0, 2), step), max_size=12)))


def law(test: Callable[[Run, Any], None]) -> Any:
    """Try `test` on many runs of each type, with `pick` to draw states of the run."""

    @pytest.mark.parametrize("kind", CRDTS)
    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(data=st.data())
    def examine(kind: str, data: st.DataObject) -> None:
        run = data.draw(runs(CRDTS[kind]))
        states = st.sampled_from([state for state, _ in run.history])
        test(run, lambda: data.draw(states))

    examine.__name__ = test.__name__
    examine.__doc__ = test.__doc__
    return examine


@law
def test_every_state_reads_as_the_operations_it_has_heard_of_and_only_grows(
    run: Run, pick: Any
) -> None:
    """Both are asserted at every step of the run."""


@law
def test_merging_is_commutative(run: Run, pick: Any) -> None:
    x, y = pick(), pick()
    assert run.join(x, y) == run.join(y, x)


@law
def test_merging_is_associative(run: Run, pick: Any) -> None:
    x, y, z = pick(), pick(), pick()
    assert run.join(run.join(x, y), z) == run.join(x, run.join(y, z))


@law
def test_merging_again_changes_nothing(run: Run, pick: Any) -> None:
    x, y = pick(), pick()
    assert run.join(x, x) == x
    assert run.join(x, y, y, x) == run.join(x, y)


@law
def test_the_order_is_that_of_the_merge(run: Run, pick: Any) -> None:
    """x <= y is computed without merging; it must say the same as merging does."""
    x, y = pick(), pick()
    assert run.of(x).leq(y) == (run.join(x, y) == y)
    assert run.of(x).leq(run.join(x, y))


@law
def test_states_delivered_in_any_order_and_twice_converge(run: Run, pick: Any) -> None:
    last = [replica.state() for replica in run.replicas]
    ends = set()
    for order in permutations(last):
        for replica in run.replicas:
            end = replica.copy()
            for state in (pick(), *order, order[0]):
                end.merge(state)
            ends.add(end.state())
    assert len(ends) == 1
    everything = frozenset(range(len(run.log)))
    assert run.crdt.read(run.of(ends.pop())) == run.crdt.expect(run.log, everything)


@law
def test_a_replica_survives_json_freezing_and_copying(run: Run, pick: Any) -> None:
    for replica in run.replicas:
        kind: type[Replica] = type(replica)
        twins = (
            kind.from_dict(json.loads(json.dumps(replica.to_dict()))),
            kind.__thaw__(replica.__freeze__()),
            kind.from_state(replica.replica, replica.state()),
            replica.copy(),
        )
        for twin in twins:
            assert twin is not replica
            assert twin == replica
            assert hash(twin.__freeze__()) == hash(replica.__freeze__())
            assert run.crdt.read(twin) == run.crdt.read(replica)


@law
def test_equal_replicas_have_equal_frozen_values_and_unequal_ones_do_not(
    run: Run, pick: Any
) -> None:
    x, y = run.of(pick()), run.of(pick())
    assert (x == y) == (x.__freeze__() == y.__freeze__()) == (x.leq(y) and y.leq(x))
    if run.crdt.read(x) != run.crdt.read(y):
        assert x != y


@law
def test_a_delta_brings_what_the_state_would(run: Run, pick: Any) -> None:
    """To whoever has what it starts from, and to whoever has more."""
    for replica in run.replicas:
        since = pick()
        before = run.of(since)
        if not before.leq(replica):
            continue
        delta = replica.delta_since(since)
        for start in (since, run.join(since, pick())):
            end = run.of(start)
            assert end.merge_delta(delta)
            assert end.state() == run.join(start, replica.state())
            assert end.merge_delta(delta)
            assert end.state() == run.join(start, replica.state())


@pytest.mark.parametrize("kind", CRDTS)
@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data())
def test_deltas_of_single_changes_converge_in_any_order(kind: str, data: st.DataObject) -> None:
    """One that comes too early changes nothing, and is joined when it comes again."""
    crdt = CRDTS[kind]
    writer, deltas = crdt.make("a"), []
    for method, args in data.draw(st.lists(crdt.operations, max_size=6)):
        deltas.append(getattr(writer, f"{method}_delta")(*args))
    reader, waiting = crdt.make("b"), data.draw(st.permutations(deltas))
    for _ in range(len(deltas) + 1):
        for delta in waiting:
            before = reader.state()
            if not reader.merge_delta(delta):
                assert reader.state() == before
    assert reader.state() == writer.state()
