"""Leaders: what writes leave behind, how records are joined, and how trees are compared."""

from __future__ import annotations

from functools import reduce
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from happysim import Faults, Host, Node, ProtocolError, World
from happysim.protocols.multi_leader import (
    Delete,
    Found,
    Get,
    LastWriterWins,
    Merged,
    MultiLeaderNode,
    Put,
    Record,
    Siblings,
    Version,
)
from happysim.protocols.multi_leader.merkle import ROOT, leaf_of, tree_of
from happysim.protocols.multi_leader.messages import Compare, Leaf, Push
from happysim.protocols.multi_leader.records import NOTHING, joined, written
from properties.multi_leader import leaders_and_clients
from properties.raft import along
from tests.support.hosts import Noting, noting

# -- records --------------------------------------------------------------------------------------


class Leaders:
    """Three leaders of one key, by the functions of `records` alone."""

    def __init__(self, resolver: Any) -> None:
        self.resolver = resolver
        self.records = [NOTHING] * 3
        self.clocks = [0] * 3
        self.all = [NOTHING]

    def write(self, who: int, has_read: bool) -> None:
        record = self.records[who]
        name = "abc"[who]
        self.clocks[who] += 1
        count = dict(record.seen).get(name, 0) + 1
        version = Version((name, count), self.clocks[who], f"{name}{count}")
        self.keep(who, written(record, version, record.seen if has_read else ()))

    def hear(self, who: int, record: Record) -> None:
        stamps = [each.timestamp for each in record.versions]
        self.clocks[who] = max(self.clocks[who], *stamps, 0)
        self.keep(who, joined(self.records[who], record))

    def keep(self, who: int, record: Record) -> None:
        self.records[who] = Record(record.seen, self.resolver.keep(record.versions))
        self.all.append(self.records[who])

    def join(self, *records: Record) -> Record:
        record = reduce(joined, records, NOTHING)
        return Record(record.seen, self.resolver.keep(record.versions))


STEPS = st.lists(st.tuples(st.integers(0, 2), st.booleans() | st.integers(0, 30)), max_size=14)


@pytest.mark.parametrize("resolver", [Siblings(), LastWriterWins()])
@settings(max_examples=150, deadline=None, derandomize=True)
@given(steps=STEPS, order=st.permutations(range(3)))
def test_leaders_that_know_the_same_have_the_same(
    resolver: Any, steps: list[Any], order: list[int]
) -> None:
    leaders = Leaders(resolver)
    for who, step in steps:
        if isinstance(step, bool):
            leaders.write(who, step)
        else:
            leaders.hear(who, leaders.all[step % len(leaders.all)])
    a, b, c = (leaders.records[each] for each in order)
    end = leaders.join(a, b, c)
    assert end == leaders.join(leaders.join(c, b), a) == leaders.join(a, leaders.join(b, c), b)
    assert all(leaders.join(each, end) == end for each in leaders.all)


def test_a_write_replaces_what_it_has_seen_and_an_old_copy_does_not_come_back() -> None:
    first = written(NOTHING, Version(("a", 1), 1, "x"), ())
    second = written(first, Version(("b", 1), 2, "y"), first.seen)
    assert joined(second, first) == joined(first, second) == second
    sibling = written(first, Version(("a", 2), 2, "z"), ())
    assert [each.value for each in sibling.versions] == ["x", "z"]


@pytest.mark.parametrize(
    ("resolver", "kept", "read"),
    [
        (Siblings(), ["a", "b"], (frozenset({1}), frozenset({2}))),
        (LastWriterWins(), ["b"], frozenset({2})),
        (Merged(), ["a", "b"], frozenset({1, 2})),
    ],
)
def test_a_resolver_says_what_becomes_of_siblings(resolver: Any, kept: Any, read: Any) -> None:
    ties = tuple(Version((who, 1), 1, frozenset({n})) for n, who in enumerate("ab", 1))
    left = resolver.keep(ties)
    assert [each.dot[0] for each in left] == kept
    assert resolver.read(left) == read
    assert not resolver.read((Version(("a", 2), 9, None, is_deleted=True),))


# -- trees ----------------------------------------------------------------------------------------


@given(st.dictionaries(st.text(max_size=3), st.text(max_size=2)), st.integers(0, 4))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_a_tree_differs_exactly_on_the_paths_to_a_key_that_differs(
    contents: dict[str, str], depth: int
) -> None:
    changed = contents | {"key": contents.get("key", "") + "!"}
    one, other = tree_of(contents, depth), tree_of(changed, depth)
    leaf = leaf_of("key", depth)
    assert {path for path in one if one[path] != other[path]} == {
        leaf[:length] for length in range(depth + 1)
    }
    assert one[ROOT] == tree_of(dict(reversed(contents.items())), depth)[ROOT]


# -- nodes ----------------------------------------------------------------------------------------


def ask(world: World, leader: str) -> World:
    at = f"at_{leader}"
    return along(world, f"invoke {at}", f"deliver {at} ->", f"deliver {leader} -> {at}")


def answers(world: World, leader: str) -> list[Any]:
    return [each.result for each in world.history.of(f"at_{leader}") if each.done]


def test_keys_have_the_same_leaf_and_contents_the_same_digest_on_every_machine() -> None:
    assert [leaf_of(key, 8) for key in "abc"] == ["00100111", "10010110", "11001010"]
    assert tree_of({"a": "1"}, 0) == {ROOT: "95d8fb9072f22d7d"}


def test_a_deleted_key_reads_as_nothing_and_its_tombstone_stays() -> None:
    asked = (Put("k", "x"), Delete("k"), Get("k"))
    world = leaders_and_clients({"a": asked}, resolver="last writer wins", network="unordered")
    for _ in asked:
        world = ask(world, "a")
    assert answers(world, "a")[-1] == Found(None, (("a", 2),))
    assert [each.is_deleted for each in world["a"].records["k"].versions] == [True]


def test_two_trees_are_compared_down_to_the_leaf_that_differs_and_then_both_rest() -> None:
    world = leaders_and_clients({"a": (Put("k", "x"),)}, network="unordered")
    world = along(ask(world, "a"), "fire a anti-entropy", "deliver a -> b Compare(digests=(('',")
    world = along(world, "deliver b -> a Compare(digests=(('0',", "deliver a -> b Leaf")
    assert world["b"].records == world["a"].records
    world = along(world, "fire a anti-entropy", "deliver a -> b Compare(", "deliver b -> a Equal")
    assert world["a"].timers == world["b"].timers == ()


OLD = written(NOTHING, Version(("b", 1), 1, "old"), ())
NEW = written(OLD, Version(("b", 2), 2, "new"), OLD.seen)


@pytest.mark.parametrize(
    ("here", "heard", "unsure"),
    [(OLD, OLD, set()), (OLD, NEW, {"c"}), (NEW, OLD, {"b"}), (NOTHING, OLD, {"c"})],
    ids=["the same", "newer", "older", "first"],
)
def test_who_may_lack_something_is_compared_with(
    here: Record, heard: Record, unsure: set[str]
) -> None:
    """a hears from b; c is the third."""
    leader, (host, _) = MultiLeaderNode("a", records={"k": here}), noting("b", "c")
    leader.take_push(host, "b", Push((("k", heard),)))
    assert leader.unsure == unsure
    assert leader.records["k"] == joined(here, heard)


def test_who_is_compared_with_and_differs_compares_as_well() -> None:
    leader, (host, sent) = MultiLeaderNode("a", tree_depth=1), noting("b")
    leader.descend(host, "b", Compare((("", "another root"),)))
    assert leader.unsure == {"b"}
    assert [type(message) for _, message in sent] == [Compare]


def test_a_leader_rests_once_it_trusts_everyone() -> None:
    leader, host = MultiLeaderNode("a"), Noting("b", "c")
    leader.doubt(cast(Host, host), ["b", "c"])
    for peer, timers in (("b", ["anti-entropy"]), ("c", [])):
        leader.trust(cast(Host, host), peer)
        assert [*host.timers] == timers


def test_at_a_leaf_that_differs_all_is_shown_and_an_answer_is_wanted() -> None:
    leader, (host, sent) = MultiLeaderNode("a", tree_depth=0, records={"k": NEW}), noting("b")
    leader.descend(host, "b", Compare((("", "another root"),)))
    assert sent == [("the sender", Leaf("", (("k", NEW),), is_answer=False))]


@pytest.mark.parametrize(("is_answer", "answers"), [(False, 1), (True, 0)])
def test_a_leaf_is_answered_once_by_what_the_other_lacks(is_answer: bool, answers: int) -> None:
    leader, (host, sent) = MultiLeaderNode("a", tree_depth=0, records={"k": NEW}), noting("b")
    leader.take_leaf(host, "b", Leaf("", (("k", OLD),), is_answer=is_answer))
    assert sent == [("the sender", Leaf("", (("k", NEW),), is_answer=True))] * answers
    leader.take_leaf(host, "b", Leaf("", (("k", NEW),), is_answer=is_answer))
    assert len(sent) == answers


def test_leaders_rest_at_first_and_compare_after_a_restart() -> None:
    faults = Faults(crashes=1, restarts=1)
    world = leaders_and_clients({}, leaders=("a", "b", "c"), faults=faults)
    assert [world[name].timers for name in "abc"] == [(), (), ()]
    world = along(world, "crash b", "restart b")
    assert (world["b"].unsure, world["b"].timers) == ({"a", "c"}, ("anti-entropy",))


class Poster(Node):
    """A client that is a node: it awaits no answer."""

    def on_start(self, host: Host) -> None:
        host.send("a", Put("k", "x"))


def test_what_a_node_puts_is_written_and_not_answered() -> None:
    world = along(World.of(MultiLeaderNode("a", tree_depth=1), Poster("p")), "deliver p -> a")
    assert [each.value for each in world["a"].records["k"].versions] == ["x"]
    assert not any(each.target == "p" for each in world.in_flight)


@pytest.mark.parametrize("kind", [Siblings, LastWriterWins, Merged])
def test_a_resolver_is_a_value(kind: Any) -> None:
    assert hash(kind()) == hash(kind())


def test_a_tree_has_a_sensible_depth() -> None:
    with pytest.raises(ProtocolError, match="tree_depth=33"):
        MultiLeaderNode("a", tree_depth=33)
