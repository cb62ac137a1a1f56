"""What every type promises of its states, and the errors for what is not one."""

from __future__ import annotations

from typing import Any

import pytest

from happysim.protocols.crdt import GCounter, LWWRegister, MVRegister, ORSet, PNCounter
from happysim.protocols.crdt.codec import decode, encode, to_lists, to_tuples

KINDS: list[Any] = [GCounter, PNCounter, LWWRegister, MVRegister, ORSet]
X = ("str", "x")


@pytest.mark.parametrize("kind", KINDS)
class TestEveryType:
    def test_merging_anything_else_names_what_to_pass(self, kind: Any) -> None:
        other = next(k for k in KINDS if k is not kind)("b")
        wrongs: list[Any] = [other, other.state(), None, 3, [], ()]
        for wrong in wrongs:
            for method in ("merge", "leq"):
                with pytest.raises(
                    TypeError, match=f"{kind.__name__}.{method} takes a {kind.__name__} or what"
                ):
                    getattr(kind("a"), method)(wrong)

    def test_from_state_takes_a_state_of_its_own_type(self, kind: Any) -> None:
        other = next(k for k in KINDS if k is not kind)("b")
        wrongs: list[Any] = [kind("b"), other.state(), None, []]
        for wrong in wrongs:
            with pytest.raises(TypeError, match=f"expected a state of a {kind.__name__}"):
                kind.from_state("a", wrong)

    def test_a_state_of_the_wrong_length_is_refused(self, kind: Any) -> None:
        for wrong in (kind("a").state()[:-1], (*kind("a").state(), ())):
            with pytest.raises(ValueError, match=f"a {kind.__name__} state is "):
                kind("a").merge(wrong)

    def test_a_replica_id_is_a_name(self, kind: Any) -> None:
        for wrong, error in ((1, TypeError), (kind("a"), TypeError), ("", ValueError)):
            with pytest.raises(error, match="a replica id is"):
                kind(wrong)

    def test_a_replica_is_equal_by_id_and_state_and_not_hashable(self, kind: Any) -> None:
        assert kind("a") == kind("a")
        assert kind("a") != kind("b")
        assert kind("a").state() == kind("b").state()
        assert all(kind("a") != other("a") for other in KINDS if other is not kind)
        with pytest.raises(TypeError, match="unhashable"):
            hash(kind("a"))

    def test_a_copy_is_separate(self, kind: Any) -> None:
        original = kind("a")
        copied = original.copy()
        write(copied)
        assert original == kind("a")
        assert copied != original

    def test_states_are_of_types_that_freeze_as_they_are(self, kind: Any) -> None:
        replica = kind("a")
        write(replica)
        assert leaf_types(replica.__freeze__()) <= {str, int, bool}

    @pytest.mark.parametrize(
        ("data", "error"),
        [
            ([], TypeError),
            ({}, ValueError),
            ({"replica": "a", "state": None}, TypeError),
            ({"replica": 1, "state": None}, TypeError),
        ],
    )
    def test_from_dict_takes_what_to_dict_wrote(
        self, kind: Any, data: Any, error: type[Exception]
    ) -> None:
        with pytest.raises(error, match=kind.__name__):
            kind.from_dict(data)


def write(replica: Any) -> None:
    match replica:
        case GCounter() | PNCounter():
            replica.increment()
        case LWWRegister() | MVRegister():
            replica.set((1.5, b"x", None, True))
        case ORSet():
            replica.add((1.5, b"x", None, True))


def leaf_types(plain: Any) -> set[type]:
    if type(plain) is tuple:
        return set().union(*map(leaf_types, plain))
    return {type(plain)}


@pytest.mark.parametrize(
    ("kind", "parts", "says"),
    [
        (GCounter, (None,), "counts of a GCounter state is a tuple"),
        (GCounter, (("a", 1),), r"counts .* pairs \(replica id, count >= 1\), not 'a'"),
        (GCounter, ((("a", 0),),), "counts .* pairs"),
        (GCounter, ((("a", True),),), "counts .* pairs"),
        (GCounter, ((("a", 1.0),),), "counts .* pairs"),
        (GCounter, ((("", 1),),), "counts .* pairs"),
        (GCounter, ((("b", 1), ("a", 1)),), "canonical"),
        (GCounter, ((("a", 1), ("a", 2)),), "canonical"),
        (GCounter, ((["a", 1],),), "canonical"),
        (PNCounter, ((), (("a", -1),)), "decrements of a PNCounter state holds pairs"),
        (LWWRegister, (-1, "a", X), "timestamp of an LWWRegister state"),
        (LWWRegister, (True, "a", X), "timestamp of an LWWRegister state"),
        (LWWRegister, (1, None, X), "writer of an LWWRegister state"),
        (LWWRegister, (1, "a", "x"), "'x' is not a tagged value"),
        (LWWRegister, (1, "", ("none",)), "without a writer"),
        (LWWRegister, (0, "", X), "without a writer"),
        (MVRegister, ((), None), r"values .* pairs \(dot, tagged value\)"),
        (MVRegister, ((("a", 1),), (("a", X),)), "values of an MVRegister state holds pairs"),
        (MVRegister, ((), ((("a", 1), X),)), "not in seen"),
        (MVRegister, ((("a", 1),), ((("a", 1), X), (("a", 1), X))), "a dot twice"),
        (ORSet, ((), None), "elements of an ORSet state is a tuple"),
        (ORSet, ((), (X,)), "elements .* pairs"),
        (ORSet, ((("a", 1),), ((X, ()),)), "elements .* pairs"),
        (ORSet, ((("a", 1),), (("x", (("a", 1),)),)), "'x' is not a tagged value"),
        (ORSet, ((), ((X, (("a", 1),)),)), "twice or not in seen"),
        (ORSet, ((("a", 1),), ((X, (("a", 1), ("a", 1))),)), "twice or not in seen"),
        (ORSet, ((("a", 2),), ((X, (("a", 2), ("a", 1))),)), "canonical"),
        (ORSet, ((("a", 2),), ((X, (("a", 2),)), (("int", 1), (("a", 1),)))), "canonical"),
    ],
)
def test_a_malformed_state_is_refused_and_the_replica_unchanged(
    kind: Any, parts: tuple[Any, ...], says: str
) -> None:
    replica = kind("a")
    with pytest.raises(ValueError, match=says):
        replica.merge((kind.__name__, *parts))
    assert replica == kind("a")


@pytest.mark.parametrize("kind", KINDS)
def test_a_delta_is_of_one_type(kind: Any) -> None:
    other = next(k for k in KINDS if k is not kind)("b")
    for wrong in (None, kind("a").state(), other.delta_since(other)):
        with pytest.raises(TypeError, match=f"{kind.__name__}.merge_delta takes what delta_since"):
            kind("a").merge_delta(wrong)
    with pytest.raises(ValueError, match="too many or too few parts"):
        kind("a").merge_delta((*kind("b").delta_since(kind("b")), ()))


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ((None, ()), "is about a tuple of dots"),
        (((("a", 0),), ()), "dots of a delta"),
        (((), ((("a", 1), X),)), "keeps others"),
        (((("a", 1),), (("a", 1),)), "values of a delta"),
    ],
)
def test_a_malformed_delta_is_refused_and_the_replica_unchanged(parts: Any, says: str) -> None:
    for kind in (ORSet, MVRegister):
        replica = kind("a")
        with pytest.raises(ValueError, match=says):
            replica.merge_delta((f"{kind.__name__}Delta", *parts))
        assert replica == kind("a")


@pytest.mark.parametrize(
    "tagged",
    [
        None,
        (),
        ("int",),
        ("int", True),
        ("bool", 1),
        ("float", 1.0),
        ("float", "1.5"),
        ("float", "0x1p9999"),
        ("bytes", "zz"),
        ("bytes", "FF"),
        ("list", ("int", 1)),
        ("tuple", 1),
        ("none", None),
        ["int", 1],
        ("frozenset", ("int", 2), ("int", 1)),
        ("frozenset", ("int", 1), ("bool", True)),
    ],
)
def test_what_is_not_exactly_a_tagged_value_is_refused(tagged: Any) -> None:
    with pytest.raises(ValueError, match=r"is not a tagged value|is not how"):
        decode(tagged)


def test_values_are_tagged_by_type_all_the_way_down() -> None:
    value = (1, True, 1.0, "1", b"\xff", None, frozenset({(2,), (1.5,)}))
    assert encode(value) == (
        "tuple",
        ("int", 1),
        ("bool", True),
        ("float", "0x1.0000000000000p+0"),
        ("str", "1"),
        ("bytes", "ff"),
        ("none",),
        ("frozenset", ("tuple", ("float", "0x1.8000000000000p+0")), ("tuple", ("int", 2))),
    )
    assert repr(decode(encode(value))[:6]) == repr(value[:6])
    assert decode(encode(value)) == value


def test_plain_states_are_lists_all_the_way_down_and_come_back_as_tuples() -> None:
    state = ((("a", 1),), ((X, (("a", 1),)),))
    lists = [[["a", 1]], [[["str", "x"], [["a", 1]]]]]
    assert (to_lists(state), to_tuples(lists)) == (lists, state)


def test_a_replica_shows_its_id_and_its_value() -> None:
    counter, register, elements = PNCounter("a"), LWWRegister("a", "x"), ORSet("a")
    counter.decrement(2)
    elements.add("1")
    elements.add(1)
    assert repr(counter) == "PNCounter('a', value=-2)"
    assert repr(register) == "LWWRegister('a', value='x', timestamp=0, writer='a')"
    assert repr(elements) == "ORSet('a', elements=[1, '1'])"
