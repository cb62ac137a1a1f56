"""ORSet: what a remove takes away, and which elements are different."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from happysim.protocols.crdt import ORSet


def holding(replica: str, *elements: Any) -> ORSet:
    made = ORSet(replica)
    for element in elements:
        made.add(element)
    return made


def typed(elements: ORSet) -> set[tuple[str, Any]]:
    return {(type(element).__name__, element) for element in elements}


def test_a_remove_wins_over_what_it_saw_whatever_is_merged_later() -> None:
    a = holding("a", "x")
    b = ORSet.from_state("b", a.state())
    before = a.state()
    b.remove("x")
    for late in (a, before, ORSet("c")):
        b.merge(late)
        assert "x" not in b
    a.merge(b)
    assert "x" not in a


def test_a_set_that_was_told_to_remove_is_not_part_of_one_that_was_not() -> None:
    a = holding("a", "x")
    b = ORSet.from_state("b", a.state())
    a.remove("x")
    assert b.leq(a)
    assert not a.leq(b)


def test_an_add_wins_over_a_remove_that_did_not_see_it() -> None:
    a = holding("a", "x")
    b = ORSet.from_state("b", a.state())
    b.remove("x")
    a.add("x")
    a.merge(b)
    b.merge(a)
    assert list(a) == list(b) == ["x"]


def test_a_remove_leaves_the_concurrent_add_of_another_replica() -> None:
    a, b = holding("a", "x"), holding("b", "x")
    a.remove("x")
    a.merge(b)
    assert a.value == {"x"}


def test_a_removed_element_leaves_nothing_but_its_count_behind() -> None:
    a = holding("a", *range(50))
    for element in range(50):
        a.remove(element)
    assert a.state() == ("ORSet", (("a", 50),), ())


def test_adding_again_and_again_keeps_one_dot() -> None:
    a = holding("a", "x", "x")
    a.merge(holding("b", "x"))
    a.add("x")
    assert a.state() == ("ORSet", (("a", 3), ("b", 1)), ((("str", "x"), (("a", 3),)),))


LOOKALIKES = [1, True, 1.0, "1", b"1", None, (1,), (True,), frozenset({1}), frozenset({True})]


def test_elements_of_different_types_are_different_and_stay_so_through_json() -> None:
    a = holding("a", *LOOKALIKES)
    twin = ORSet.from_dict(json.loads(json.dumps(a.to_dict())))
    for elements in (a, twin, ORSet.__thaw__(a.__freeze__())):
        assert len(elements) == len(LOOKALIKES)
        assert sorted(map(repr, elements)) == sorted(map(repr, LOOKALIKES))
    twin.remove(1)
    assert 1 not in twin
    assert True in twin
    assert typed(twin) == {(type(e).__name__, e) for e in LOOKALIKES if e is not LOOKALIKES[0]}


def test_a_float_is_the_element_that_it_was() -> None:
    a = holding("a", 0.0, -0.0, float("nan"), float("nan"), float("inf"), 0.1)
    twin = ORSet.from_dict(json.loads(json.dumps(a.to_dict())))
    assert twin == a
    assert sorted(map(repr, twin)) == ["-0.0", "0.0", "0.1", "inf", "nan"]
    twin.remove(float("nan"))
    assert len(twin) == 4


def test_known_limit_value_is_a_frozenset_and_so_takes_lookalikes_for_one() -> None:
    a = holding("a", 1, True, 1.0, "1")
    assert len(a) == 4
    assert a.value == {1, "1"}


def test_removing_what_is_not_in_is_an_error_unless_discarded() -> None:
    a = holding("a", 1)
    with pytest.raises(KeyError, match="True"):
        a.remove(True)
    a.discard(True)
    assert a == holding("a", 1)


@pytest.mark.parametrize("method", ["add", "remove", "discard", "__contains__"])
def test_a_mutable_element_is_refused(method: str) -> None:
    a = ORSet("a")
    with pytest.raises(TypeError, match=r"\[\] is of type list"):
        getattr(a, method)([])
    assert a == ORSet("a")


def test_a_merge_that_shows_two_writers_under_one_id_is_refused_and_changes_nothing() -> None:
    reader = ORSet.from_state("b", holding("a", "before", "same").state())
    unchanged = reader.copy()
    with pytest.raises(ValueError, match=r"\('a', 1\) names .*'after' and .*'before'"):
        reader.merge(holding("a", "after", "same"))
    assert reader == unchanged


def test_iteration_has_one_order_under_every_hash_seed_and_history() -> None:
    elements = ["b", "a", (2, "x"), (2, 1), frozenset({"p", "q", "r"}), 10, 9, None]
    ordered = list(holding("a", *elements))
    assert ordered == [frozenset({"p", "q", "r"}), 9, 10, None, "a", "b", (2, 1), (2, "x")]
    assert list(holding("a", *reversed(elements))) == ordered

    program = (
        "from happysim.protocols.crdt import ORSet\n"
        "s = ORSet('a')\n"
        "for e in ('b', 'a', ('x', 1), frozenset({'p', 'q', 'r'})): s.add(e)\n"
        "t = ORSet('b'); t.add('b'); t.merge(s); t.discard('a')\n"
        "print([e for e in s if type(e) is not frozenset], s.state(), t.state(), t.to_dict())\n"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(printed) == 1


def test_elements_may_be_added_and_removed_while_iterating() -> None:
    a = holding("a", 1, 2, 3)
    for element in a:
        a.remove(element)
        a.add(element + 10)
    assert list(a) == [11, 12, 13]
