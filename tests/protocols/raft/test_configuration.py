"""Configurations as values: what a quorum is, and what may follow what."""

from __future__ import annotations

import pytest

from happysim.protocols.raft import Configuration
from happysim.protocols.raft.configuration import is_quorum, quorum_index


def voters(*names: str, learners: str = "") -> Configuration:
    return Configuration(frozenset(names), frozenset(learners))


@pytest.mark.parametrize(
    ("electorates", "servers", "decide"),
    [
        ([{"a"}], "a", True),
        ([{"a", "b"}], "a", False),
        ([{"a", "b", "c"}], "ab", True),
        ([{"a", "b", "c"}], "axy", False),
        ([{"a", "b", "c", "d"}], "ab", False),
        ([set()], "abc", False),
        ([{"a", "b", "c"}, {"c", "d", "e"}], "abc", False),
        ([{"a", "b", "c"}, {"c", "d", "e"}], "acd", True),
    ],
)
def test_a_quorum_has_a_majority_of_each_electorate(
    electorates: list[set[str]], servers: str, decide: bool
) -> None:
    assert is_quorum([frozenset(each) for each in electorates], set(servers)) is decide


@pytest.mark.parametrize(
    ("electorates", "index"),
    [(["a"], 9), (["ab"], 7), (["abc"], 7), (["abcd"], 5), (["bcde"], 3), (["abc", "cde"], 3)],
)
def test_what_a_quorum_holds_is_the_least_of_its_best(electorates: list[str], index: int) -> None:
    held = {"a": 9, "b": 7, "c": 5, "d": 3}  # and e holds nothing
    found = quorum_index([frozenset(each) for each in electorates], held)
    assert found == index
    assert is_quorum(
        [frozenset(each) for each in electorates], {name for name in held if held[name] >= index}
    )


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (voters("a", "b", "c", "d"), None),
        (voters("a", "b"), None),
        (voters("a", "b", "c", learners="xyz"), None),
        (voters("a", "b", learners="c"), None),
        (voters(), "a cluster needs a voter"),
        (voters("a", "b", "c", learners="b"), "b cannot be voter and learner at once"),
        (voters("a", "b", "d"), "it changes the votes of c, d; change one at a time"),
    ],
)
def test_one_vote_may_change_at_a_time(target: Configuration, reason: str | None) -> None:
    assert voters("a", "b", "c").objection_to(target, joint=False) == reason


def test_many_votes_change_by_way_of_both_sets_of_voters() -> None:
    old, new = voters("a", "b", "c"), voters("c", "d", learners="a")
    assert old.objection_to(new, joint=True) is None
    joint = old.step_to(new)
    assert joint.electorates == (frozenset("cd"), frozenset("abc"))
    assert (joint.is_joint, joint.settled) == (True, new)
    assert joint.members == frozenset("abcd")
    assert old.step_to(voters("a", "b")) == voters("a", "b")
