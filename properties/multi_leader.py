"""Several leaders: no write is lost but to one that had seen it, and in the end all have the same.

Safety is judged on a duplicating network, where a message may arrive at any time, any number of
times, or never. What holds in the end is judged where each copy of a message arrives once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import reduce
from itertools import permutations
from typing import Any

from happysim import (
    Faults,
    NodeView,
    Script,
    World,
    always,
    bounded,
    call,
    quiescent,
    reachable,
    step_always,
)
from happysim.protocols.multi_leader import (
    Compare,
    Delete,
    Equal,
    Found,
    Get,
    LastWriterWins,
    Leaf,
    Merged,
    MultiLeaderNode,
    NotYet,
    Push,
    Put,
    Record,
    Siblings,
)
from happysim.protocols.multi_leader.records import NOTHING, covers, joined
from properties.worlds import NETWORKS

RESOLVERS: dict[str, Any] = {
    "siblings": Siblings(),
    "last writer wins": LastWriterWins(),
    "union": Merged(),
}
READ = Get("k")


def asks(leader: str, *requests: Any) -> Iterator[Any]:
    """A client that asks one leader for one thing after the other."""
    for request in requests:
        yield call(leader, request)


def reads_elsewhere(first: str, second: str, write: Any) -> Iterator[Any]:
    """A client that writes at one leader, and reads at another with what it knows."""
    done = yield call(first, write)
    answer = yield call(second, Get(write.key, after=done.context))
    if isinstance(answer, Found):
        yield call(first, Get(write.key, after=answer.context))


def reads_then_writes(leader: str, key: str, value: Any) -> Iterator[Any]:
    """A client that writes over what it has read, though more may have come since."""
    found = yield call(leader, Get(key))
    yield call(leader, Put(key, value, found.context))


def leaders_and_clients(
    requests: dict[str, tuple[Any, ...]],
    *clients: Script,
    leaders: tuple[str, ...] = ("a", "b"),
    kind: type[MultiLeaderNode] = MultiLeaderNode,
    resolver: str = "siblings",
    network: str = "duplicating",
    faults: Faults | None = None,
) -> World:
    """Leaders, and a client for each that has requests, named after it: at_a, at_b."""
    scripts = [Script(f"at_{leader}", asks, leader, *asked) for leader, asked in requests.items()]
    return World.of(
        *(kind(name, RESOLVERS[resolver], tree_depth=1) for name in leaders),
        *scripts,
        *clients,
        network=NETWORKS[network](),
        faults=faults,
    )


def one_a_link(world: World) -> bool:
    """A bound: one push on each link, and one message of anti-entropy."""
    kinds = Push | Compare | Equal | Leaf
    sent = [each for each in world.in_flight if isinstance(each.message, kinds)]
    links = Counter((each.source, each.target, isinstance(each.message, Push)) for each in sent)
    return all(number == 1 for number in links.values())


def two_in_flight(world: World) -> bool:
    """A tighter bound, for three leaders."""
    kinds = Push | Compare | Equal | Leaf
    return sum(isinstance(each.message, kinds) for each in world.in_flight) <= 2


def leaders_of(world: World) -> tuple[NodeView, ...]:
    return world.nodes(MultiLeaderNode)


# -- scenarios ------------------------------------------------------------------------------------


@bounded(max_depth=14)
def two_writes(kind: type[MultiLeaderNode] = MultiLeaderNode, resolver: str = "siblings") -> World:
    """One key is written at both leaders, before or after they hear of each other; then at a."""
    requests = {"a": (Put("k", "x"), Put("k", "z")), "b": (Put("k", "y"),)}
    return leaders_and_clients(requests, kind=kind, resolver=resolver)


@bounded(max_depth=14)
def a_key_is_deleted(
    kind: type[MultiLeaderNode] = MultiLeaderNode, resolver: str = "siblings"
) -> World:
    requests = {"a": (Put("k", "x"),), "b": (Delete("k"), READ)}
    return leaders_and_clients(requests, kind=kind, resolver=resolver)


@bounded(max_depth=14)
def a_context_is_old(kind: type[MultiLeaderNode] = MultiLeaderNode) -> World:
    """c reads at a, and writes over what it has read; a write of nothing read may come between."""
    c = Script("c", reads_then_writes, "a", "k", "y")
    return leaders_and_clients({"a": (Put("k", "x", context=()),)}, c, kind=kind)


@bounded(max_depth=14)
def a_client_moves(
    kind: type[MultiLeaderNode] = MultiLeaderNode, resolver: str = "siblings"
) -> World:
    """c writes at a, reads at b, and then at a again; b is written, too."""
    c = Script("c", reads_elsewhere, "a", "b", Put("k", "x"))
    return leaders_and_clients({"b": (Put("k", "y"),)}, c, kind=kind, resolver=resolver)


@bounded(within=one_a_link)
def in_the_end(
    kind: type[MultiLeaderNode] = MultiLeaderNode,
    resolver: str = "siblings",
    drops: int = 1,
    network: str = "unordered",
) -> World:
    """Two writes to one key; a message is lost."""
    requests = {"a": (Put("k", "x"),), "b": (Put("k", "y"),)}
    return leaders_and_clients(
        requests, kind=kind, resolver=resolver, network=network, faults=Faults(drops=drops)
    )


@bounded(within=one_a_link)
def two_keys(kind: type[MultiLeaderNode] = MultiLeaderNode) -> World:
    """Keys of different leaves, of which one is pushed and one push is lost."""
    requests = {"a": (Put("k", "x"), Put("m", "x"))}
    return leaders_and_clients(requests, kind=kind, network="unordered", faults=Faults(drops=1))


@bounded(within=one_a_link)
def links_are_cut(kind: type[MultiLeaderNode] = MultiLeaderNode) -> World:
    """The leaders are parted, and the links heal. What was sent before may be lost."""
    requests = {"a": (Put("k", "x"),), "b": (Put("k", "y"),)}
    faults = Faults(partitions=1, heals=1, drops=1)
    return leaders_and_clients(requests, kind=kind, network="unordered", faults=faults)


@bounded(within=one_a_link)
def a_leader_restarts(
    kind: type[MultiLeaderNode] = MultiLeaderNode, resolver: str = "siblings"
) -> World:
    """One crashes, losing what it had not synced, and comes back."""
    requests = {"a": (Put("k", "x"),), "b": (Put("k", "y"),)}
    faults = Faults(crashes=1, unsynced_loss=True)
    return leaders_and_clients(
        requests, kind=kind, resolver=resolver, network="unordered", faults=faults
    )


@bounded(within=two_in_flight)
def three_leaders(kind: type[MultiLeaderNode] = MultiLeaderNode) -> World:
    """One write, one message lost."""
    return leaders_and_clients(
        {"a": (Put("k", "x"),)},
        leaders=("a", "b", "c"),
        kind=kind,
        network="unordered",
        faults=Faults(drops=1),
    )


# -- safety ---------------------------------------------------------------------------------------


def known(world: World, key: str = "k") -> Record:
    """All that the leaders together know of a key."""
    return reduce(joined, (each.records.get(key, NOTHING) for each in leaders_of(world)))


@step_always(two_writes)
def a_write_is_lost_only_to_one_that_had_seen_it(before: World, after: World) -> bool | str:
    """No lost update: what nobody has any more was overwritten, by a write that knew of it.

    (The resolver is Siblings. LastWriterWins loses one of two concurrent writes, as it says.)
    """
    was, now = known(before), known(after)
    writers = [dot[0] for dot in now.seen if not covers(was.seen, dot)]
    for version in was.versions:
        if version in now.versions:
            continue
        seen = [before[name].records.get("k", NOTHING).seen for name in writers]
        if not any(covers(each, version.dot) for each in seen):
            return f"{version} is lost, and nobody who had seen it has written"
    return True


@always(a_context_is_old)
def a_write_replaces_only_what_its_writer_had_read(world: World) -> bool | str:
    """No lost update, as a client sees it: what it has not read stays beside its write."""
    calls, record = world.history.of("c"), known(world)
    if len(calls) < 2 or "c" not in world["a"].served or world["a"].served["c"][0] < 2:
        return True
    read = calls[0].result.context
    dots = [(leader, count + 1) for leader, last in record.seen for count in range(last)]
    there = [version.dot for version in record.versions]
    lost = [dot for dot in dots if dot not in there and not covers(read, dot)]
    return not lost or f"{lost} are lost, and c, which wrote, had not read them"


@step_always(two_writes)
def leaders_only_learn(before: World, after: World) -> bool | str:
    """What a leader has seen of a key it does not forget, crash or not."""
    for leader in leaders_of(before):
        for key, record in leader.records.items():
            now = after[leader.name].records.get(key, NOTHING)
            if joined(record, now).seen != now.seen:
                return f"{leader.name} has forgotten what it knew of {key}"
            back = [v for v in now.versions if covers(record.seen, v.dot)]
            if any(version not in record.versions for version in back):
                return f"at {leader.name} a version of {key} came back"
    return True


@always(two_writes)
def every_write_has_its_own_dot(world: World) -> bool | str:
    """All writes that were served are known, each under one name."""
    served = sum(number for leader in leaders_of(world) for number, _ in leader.served.values())
    counted = sum(count for _, count in known(world).seen)
    return served == counted or f"{served} writes were served, and {counted} are known"


@always(two_writes)
def any_two_leaders_would_agree(world: World) -> bool:
    """Convergence, seen early: who hears of whom first makes no difference."""
    for one, other in permutations(leaders_of(world), 2):
        mine, theirs = one.records.get("k", NOTHING), other.records.get("k", NOTHING)
        resolver = one.resolver
        ends = {resolver.keep(joined(mine, theirs).versions)}
        ends.add(resolver.keep(joined(theirs, mine).versions))
        ends.add(resolver.keep(joined(joined(theirs, mine), theirs).versions))
        if len(ends) > 1:
            return False
    return True


@always(two_writes)
def who_has_something_else_is_doubted(world: World) -> bool | str:
    """Anti-entropy ends only where two have the same: of two that differ, one will compare.

    It compares while its timer is set, and that is exactly while it doubts someone.
    """
    for one, other in permutations(leaders_of(world), 2):
        if ("anti-entropy" in one.timers) != bool(one.unsure):
            return f"{one.name} doubts {one.unsure} and has the timers {one.timers}"
        doubted = other.name in one.unsure or one.name in other.unsure
        if one.is_up and other.is_up and one.records != other.records and not doubted:
            return f"{one.name} and {other.name} differ, and do not know"
    return True


# -- session guarantees (Terry et al.) ------------------------------------------------------------


@always(a_client_moves)
def a_client_reads_what_it_wrote_and_never_goes_back(world: World) -> bool | str:
    """Read your writes, monotonic reads: at whichever leader, with the context of before."""
    context: Any = ()
    for each in world.history.of("c"):
        if each.done and not isinstance(each.result, NotYet):
            if not all(covers(each.result.context, dot) for dot in context):
                return f"c had seen {context}, and is answered from {each.result.context}"
            context = each.result.context
    return True


@always(a_key_is_deleted)
def a_client_of_one_leader_reads_its_own_writes(world: World) -> bool:
    """At one leader no context is needed: what at_b has deleted it sees only if written anew."""
    for each in world.history.of("at_b"):
        if each.operation == READ and each.done and not covers(each.result.context, ("b", 1)):
            return False
    return True


# -- in the end -----------------------------------------------------------------------------------


@quiescent(in_the_end)
def all_leaders_agree_in_the_end(world: World) -> bool | str:
    """Leaders that are up; what only a dead one knows waits on its disk."""
    if world.partition is not None:
        return True
    ends = [leader.records for leader in leaders_of(world) if leader.is_up]
    return all(end == ends[0] for end in ends) or f"leaders end with {ends}"


@quiescent(in_the_end)
def both_writes_are_there_or_one_had_seen_the_other(world: World) -> bool:
    values = {leader.resolver.read(leader.records["k"].versions) for leader in leaders_of(world)}
    return values in ({("x", "y")}, {("x",)}, {("y",)})


@quiescent(in_the_end, resolver="last writer wins")
def one_of_two_writes_stays(world: World) -> bool:
    values = {leader.resolver.read(leader.records["k"].versions) for leader in leaders_of(world)}
    return values in ({"x"}, {"y"})


# -- honesty --------------------------------------------------------------------------------------


@reachable(two_writes)
def two_siblings_stand_side_by_side(world: World) -> bool:
    return [each.value for each in world["b"].records.get("k", NOTHING).versions] == ["x", "y"]


@reachable(two_writes)
def a_write_replaces_both(world: World) -> bool:
    versions = world["b"].records.get("k", NOTHING).versions
    return [each.value for each in versions] == ["z"] and ("b", 1) in world["b"].records["k"].seen


@reachable(a_key_is_deleted)
def a_deleted_key_stays_away(world: World) -> bool:
    """b has deleted x, which came before; at_b reads nothing."""
    reads = [each for each in world.history.of("at_b") if each.operation == READ and each.done]
    return any(each.result == Found((), (("a", 1), ("b", 1))) for each in reads) and all(
        version.is_deleted for version in world["b"].records["k"].versions
    )


@reachable(a_context_is_old)
def a_write_is_beside_what_it_had_not_read(world: World) -> bool:
    return [each.value for each in world["a"].records.get("k", NOTHING).versions] == ["x", "y"]


@reachable(a_client_moves)
def a_leader_that_is_behind_says_so(world: World) -> bool:
    return any(isinstance(each.result, NotYet) for each in world.history.of("c"))


@reachable(a_client_moves)
def a_client_reads_its_write_elsewhere(world: World) -> bool:
    calls = world.history.of("c")
    return len(calls) > 2 and calls[2].done and calls[1].result.value == ("x", "y")


@reachable(in_the_end, drops=0)
def leaders_compare_down_to_a_leaf(world: World) -> bool:
    return any(isinstance(each.message, Leaf) for each in world.in_flight)


@reachable(links_are_cut)
def leaders_are_parted(world: World) -> bool:
    seen = [leader.records.get("k", NOTHING).seen for leader in leaders_of(world)]
    return world.partition is not None and seen == [(("a", 1),), (("b", 1),)]


@reachable(two_writes, resolver="last writer wins")
def known_limit_the_last_writer_wins_over_one_it_never_saw(world: World) -> bool:
    """x and y were concurrent, and of the two only y is left."""
    record = world["a"].records.get("k", NOTHING)
    return [each.value for each in record.versions] == ["y"] and record.seen == (
        ("a", 1),
        ("b", 1),
    )


# -- the same sentences of further scenarios ------------------------------------------------------

deletes_are_lost_only_to_one_that_had_seen_them = a_write_is_lost_only_to_one_that_had_seen_it.over(
    a_key_is_deleted, "deletes_are_lost_only_to_one_that_had_seen_them"
)
nothing_deleted_comes_back = leaders_only_learn.over(a_key_is_deleted, "nothing_deleted_comes_back")
newest_writes_would_agree = any_two_leaders_would_agree.over(
    two_writes, "newest_writes_would_agree", resolver="last writer wins"
)
newest_writes_are_learnt = leaders_only_learn.over(
    two_writes, "newest_writes_are_learnt", resolver="last writer wins"
)
differing_newest_writes_are_doubted = who_has_something_else_is_doubted.over(
    two_writes, "differing_newest_writes_are_doubted", resolver="last writer wins"
)
sessions_hold_where_the_last_writer_wins = a_client_reads_what_it_wrote_and_never_goes_back.over(
    a_client_moves, "sessions_hold_where_the_last_writer_wins", resolver="last writer wins"
)
leaders_only_learn_through_a_restart = leaders_only_learn.over(
    a_leader_restarts, "leaders_only_learn_through_a_restart"
)
every_write_has_its_own_dot_through_a_restart = every_write_has_its_own_dot.over(
    a_leader_restarts, "every_write_has_its_own_dot_through_a_restart"
)

leaders_agree_where_the_last_writer_wins = all_leaders_agree_in_the_end.over(
    in_the_end, "leaders_agree_where_the_last_writer_wins", resolver="last writer wins"
)
leaders_agree_on_ordered_links = all_leaders_agree_in_the_end.over(
    in_the_end, "leaders_agree_on_ordered_links", network="ordered"
)
leaders_agree_on_two_keys = all_leaders_agree_in_the_end.over(two_keys, "leaders_agree_on_two_keys")
leaders_agree_once_links_heal = all_leaders_agree_in_the_end.over(
    links_are_cut, "leaders_agree_once_links_heal"
)
leaders_agree_though_one_restarts = all_leaders_agree_in_the_end.over(
    a_leader_restarts, "leaders_agree_though_one_restarts"
)
three_leaders_agree = all_leaders_agree_in_the_end.over(three_leaders, "three_leaders_agree")
