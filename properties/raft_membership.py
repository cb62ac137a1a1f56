"""Raft's changes of membership: the cluster never splits into two that decide each for itself.

Sections are those of Ongaro, *Consensus: bridging theory and practice*, 2014.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import combinations, pairwise
from typing import Any

from happysim import (
    CasRegister,
    Faults,
    Script,
    World,
    Write,
    always,
    bfs,
    bounded,
    call,
    duplicating,
    reachable,
    sleep,
    together,
    uniform,
)
from happysim.protocols.raft import (
    ChangeMembership,
    ChangeRefused,
    Configuration,
    NotLeader,
    RaftNode,
    Role,
)
from happysim.protocols.raft.configuration import is_quorum
from properties.clients import answers_of, asks
from properties.raft import (
    PLAIN,
    ask,
    client,
    clients_see_one_machine,
    elect,
    election_safety,
    entries_of,
    leader_append_only,
    leader_completeness,
    leaders_of,
    log_matching,
    servers_of,
    state_machine_safety,
    terms,
    who_does_not_lead_will_stand,
)
from properties.worlds import along

# What the cluster is to be, one after the other: (voters, learners) each.
Targets = tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]


def changing(
    size: int, joining: int, *clients: Script, kind: type[RaftNode] = RaftNode, **options: Any
) -> World:
    """Servers n1, n2, ... of which the last few have yet to join; no learners, unless asked for."""
    faults, network = options.pop("faults", None), options.pop("network", None)
    off = {"learners_first": False, "joint_consensus": False, "heartbeat_seconds": None}
    options = PLAIN | off | options
    names = [f"n{number}" for number in range(1, size + joining + 1)]
    members = names[:size]
    servers = [
        kind(name, machine=CasRegister(), peers=without(members, name), joins=False, **options)
        for name in members
    ]
    late = [kind(name, machine=CasRegister(), joins=True, **options) for name in names[size:]]
    return World.of(*servers, *late, *clients, faults=faults, network=network)


def without(names: list[str], name: str) -> tuple[str, ...]:
    return tuple(each for each in names if each != name)


def admin(name: str, server: str, *targets: str) -> Script:
    """A client that asks `server` for one set of voters after the other: "n1 n2 n3"."""
    wanted = (ChangeMembership(tuple(voters.split())) for voters in targets)
    return Script(name, asks, *((server, change) for change in wanted))


def changes(names: tuple[str, ...], targets: Targets) -> Iterator[Any]:
    """In time: ask every server in turn until a change is made, and then for the next one."""
    at = 0
    for serial, (voters, learners) in enumerate(targets, 1):
        while True:
            request = ChangeMembership(voters, learners, serial)
            answer = yield call(names[at % len(names)], request, timeout=0.5)
            if isinstance(answer, Configuration):
                break
            at += 1
            yield sleep((0.0, 0.1))
        yield sleep((0.0, 1.0))


# -- scenarios ------------------------------------------------------------------------------------


@bounded(by=bfs(), within=terms(2, "n1", "n2"))
def one_joins(kind: type[RaftNode] = RaftNode) -> World:
    """n1 leads n1 and n2, and is asked to take in n3; then n2 may lead."""
    world = changing(2, 1, admin("a1", "n1", "n1 n2 n3"), kind=kind, no_op=True)
    return along(elect(world, "n1", "n2"), "invoke a1")


@bounded(by=bfs(), within=terms(2, "n2", "n3"))
def the_leader_leaves(kind: type[RaftNode] = RaftNode) -> World:
    """n1 leads three servers, and is asked to go; its change may be lost."""
    world = changing(3, 0, admin("a1", "n1", "n2 n3"), kind=kind, no_op=True)
    world = elect(world, "n1", "n2")
    world = along(world, "deliver n1 -> n2 AppendEntries", "deliver n2 -> n1 AppendEntriesReply")
    return ask(world, "a1")


@bounded(by=bfs(), within=terms(2, "n2"))
def two_changes(kind: type[RaftNode] = RaftNode) -> World:
    """n1 leads three servers, removes n3 and then n2, which may crash, and may stand."""
    clients = [admin("a1", "n1", "n1 n2", "n1"), client("c1", ("n1", Write(1)))]
    faults = Faults(crashes=1, crashable=("n2",), unsynced_loss=True)
    world = elect(changing(3, 0, *clients, kind=kind, no_op=True, faults=faults), "n1", "n2")
    world = along(world, "deliver n1 -> n2 AppendEntries", "deliver n2 -> n1 AppendEntriesReply")
    return ask(world, "a1")


@bounded(by=bfs(), within=terms(3, "n1"), max_worlds=100_000, unknown_passes=True)
def two_leaders_change_it(kind: type[RaftNode] = RaftNode, no_op: bool = True) -> World:
    """n1 was to take in n5, and told n5 alone; n2 leads term 2, and is to let n1 go.

    This is the case of the correction to section 4.1. Without a no-op n1 had committed nothing.
    """
    clients = [admin("a1", "n1", "n1 n2 n3 n4 n5"), admin("a2", "n2", "n2 n3 n4")]
    world = elect(changing(4, 1, *clients, kind=kind, no_op=no_op), "n1", "n2", "n3")
    if no_op:
        for voter in ("n2", "n3"):
            request = f"deliver n1 -> {voter} AppendEntries"
            world = along(world, request, f"deliver {voter} -> n1 AppendEntriesReply")
    world = ask(world, "a1")
    if any(each.target == "n5" for each in world.in_flight):
        world = along(world, "deliver n1 -> n5 AppendEntries")
    return ask(elect(world, "n2", "n3", "n4"), "a2")


@bounded(by=bfs(), within=terms(2, "n2"))
def a_joint_change(kind: type[RaftNode] = RaftNode) -> World:
    """n1 leads n1, n2 and n3, and is to go on with n4 alone; n2 may stand against it."""
    admins = admin("a1", "n1", "n1 n4")
    world = changing(3, 1, admins, kind=kind, no_op=True, joint_consensus=True)
    world = elect(world, "n1", "n2")
    world = along(world, "deliver n1 -> n2 AppendEntries", "deliver n2 -> n1 AppendEntriesReply")
    return ask(world, "a1")


@bounded(by=bfs(), within=terms(2, "n2"))
def a_joint_change_and_snapshots(kind: type[RaftNode] = RaftNode) -> World:
    """n1 is to leave the vote to n3 alone; n2, a learner then, may stand while both have it.

    Each server takes a snapshot of whatever it has applied, and is sent one entry at a time.
    """
    options = {"joint_consensus": True, "snapshot_entries": 1, "max_entries": 1, "no_op": True}
    plan = Script("a1", asks, ("n1", ChangeMembership(("n3",), ("n2",))))
    world = elect(changing(3, 0, plan, kind=kind, **options), "n1", "n2")
    for voter in ("n2", "n3"):
        request = f"deliver n1 -> {voter} AppendEntries"
        world = along(world, request, f"deliver {voter} -> n1 AppendEntriesReply")
    return ask(world, "a1")


@bounded(by=uniform(seed=1, runs=50, steps=120), within=terms(4), unknown_passes=True)
def joint_changes_in_rough_seas(kind: type[RaftNode] = RaftNode) -> World:
    """n1, n2, n3 give way to n3, n4, n5, and later those to n1 and n4; one may be down."""
    clients = [
        Script("a1", insists_on_change, ("n3", "n4", "n5"), ()),
        Script("a2", insists_on_change, ("n1", "n4"), ("n2",)),
        client("c1", ("n1", Write(1)), ("n3", Write(2))),
    ]
    faults = Faults(crashes=1, unsynced_loss=True)
    options: dict[str, Any] = {"pipeline": True, "joint_consensus": True, "snapshot_entries": 2}
    world = changing(3, 2, *clients, kind=kind, no_op=True, faults=faults, **options)
    return elect(world, "n1", "n2")


@bounded(by=uniform(seed=1, runs=50, steps=120), within=terms(4), unknown_passes=True)
def changes_in_rough_seas(kind: type[RaftNode] = RaftNode) -> World:
    """Four servers of which one is yet to join, as a learner first; n1 leaves. One may be down."""
    clients = [
        Script("a1", insists_on_change, ("n1", "n2", "n3"), ("n4",)),
        Script("a2", insists_on_change, ("n1", "n2", "n3", "n4"), ()),
        Script("a3", insists_on_change, ("n2", "n3", "n4"), ()),
        client("c1", ("n1", Write(1)), ("n2", Write(2))),
    ]
    faults = Faults(crashes=1, unsynced_loss=True)
    options: dict[str, Any] = {"pipeline": True, "learners_first": True, "snapshot_entries": 3}
    world = changing(3, 1, *clients, kind=kind, no_op=True, faults=faults, **options)
    return elect(world, "n1", "n2")


def insists_on_change(voters: tuple[str, ...], learners: tuple[str, ...]) -> Iterator[Any]:
    """A client that asks n1, n2 and n3 in turn, and again, until one makes the change."""
    for server in ("n1", "n1", "n2", "n3", "n1", "n2"):
        answer = yield call(server, ChangeMembership(voters, learners))
        if isinstance(answer, Configuration):
            return


# -- the theorems ---------------------------------------------------------------------------------


def quorums(configuration: Configuration) -> list[set[str]]:
    """Every set of members that may decide."""
    members = sorted(frozenset[str]().union(*configuration.electorates))
    sets = [set(some) for size in range(len(members) + 1) for some in combinations(members, size)]
    return [some for some in sets if is_quorum(configuration.electorates, some)]


@cache
def intersect(one: Configuration, other: Configuration) -> bool:
    """True where each quorum of one shares a server with each of the other."""
    return all(some & others for some in quorums(one) for others in quorums(other))


def configurations(server: Any, upto: int) -> list[Configuration]:
    """The configurations of a server, in order, as far as its log goes back."""
    first = server.snapshot.configuration
    if first is None:
        peers = server.peers or ()
        first = Configuration() if server.joins else Configuration(frozenset((server.name, *peers)))
    later = [
        entry.command
        for index, entry in entries_of(server.log).items()
        if index > server.snapshot.index and isinstance(entry.command, Configuration)
        if index <= upto
    ]
    return [first, *later]


@always(two_changes)
def adjacent_configurations_intersect(world: World) -> bool | str:
    """Section 4.1: one server's vote at a time, so that old and new majorities share a server."""
    for server in servers_of(world):
        found = configurations(server, server.log.last_index)
        for one, other in pairwise(found):
            if not intersect(one, other):
                return f"{server.name} went from {members(one)} to {members(other)} in one step"
    return True


def members(configuration: Configuration) -> str:
    return " ".join(sorted(configuration.members))


@always(two_changes)
def configurations_in_force_intersect(world: World) -> bool | str:
    """What the newest leader decides by, and what was committed last, share a server.

    Two configurations that may decide at one time are never further apart than one change. A leader
    that was deposed decides nothing, however long it takes to hear of it.
    """
    leaders = sorted(leaders_of(world), key=lambda leader: leader.current_term)
    known = [(each.commit_index, each.name) for each in servers_of(world) if each.is_up]
    if leaders and known:
        committed_index, name = max(known)
        committed = configurations(world[name], committed_index)[-1]
        leader = leaders[-1]
        is_deposed = leader.current_term < world[name].current_term
        if committed.voters and not is_deposed and not intersect(leader.configuration, committed):
            return (
                f"{leader.name} leads {members(leader.configuration)}, "
                f"and {members(committed)} is committed on {name}"
            )
    return True


@always(two_changes)
def the_newest_configuration_in_the_log_is_used(world: World) -> bool | str:
    """Section 4.1: from the moment it is appended, and no longer than it is there."""
    for server in servers_of(world):
        newest = configurations(server, server.log.last_index)[-1]
        if server.is_up and server.configuration != newest:
            return f"{server.name} uses {members(server.configuration)}, not {members(newest)}"
    return True


@always(the_leader_leaves)
def a_leader_that_has_left_leads_no_more(world: World) -> bool | str:
    """Section 4.2.2: it steps down when the configuration without it is committed."""
    for leader in leaders_of(world):
        settled = leader.configuration_index <= leader.commit_index
        if settled and not leader.configuration.has_vote(leader.name):
            return f"{leader.name} leads {members(leader.configuration)}"
    return True


@always(a_joint_change_and_snapshots)
def a_change_that_is_made_is_answered(world: World) -> bool | str:
    """Section 4.3: whoever brings a change to its end answers, even if another began it."""
    made = Configuration(frozenset({"n3"}), frozenset({"n2"}))
    is_made = any(
        configurations(server, server.commit_index)[-1] == made for server in servers_of(world)
    )
    return not is_made or bool(answers_of(world, "a1", 1)) or "a1 waits for what is done"


every_theorem_of_changes = together(
    one_joins,
    election_safety,
    log_matching,
    leader_completeness,
    state_machine_safety,
    who_does_not_lead_will_stand,
    adjacent_configurations_intersect,
    configurations_in_force_intersect,
    the_newest_configuration_in_the_log_is_used,
    a_leader_that_has_left_leads_no_more,
)

every_theorem_when_the_leader_leaves = every_theorem_of_changes.over(the_leader_leaves)
every_theorem_of_two_changes = every_theorem_of_changes.over(two_changes)
every_theorem_of_two_leaders = every_theorem_of_changes.over(two_leaders_change_it)
every_theorem_of_changes_in_rough_seas = every_theorem_of_changes.over(changes_in_rough_seas)
every_theorem_of_a_joint_change = every_theorem_of_changes.over(a_joint_change)
every_theorem_of_joint_changes_in_rough_seas = every_theorem_of_changes.over(
    joint_changes_in_rough_seas
)
leader_append_only_while_one_joins = leader_append_only.over(one_joins)
# A change of membership is no command: no client sees it.
clients_see_one_machine_through_changes = clients_see_one_machine.over(two_changes)


# -- nobody is disturbed by those that left --------------------------------------------------------


def n1_and_n2_work(world: World) -> bool:
    """n1 leads, n2 hears it, and n3 has not gone on for ever."""
    works = world["n1"].role is Role.LEADER and bool(world["n2"].hears_leader)
    return works and terms(3)(world)


@bounded(by=bfs(), within=n1_and_n2_work)
def one_was_removed(kind: type[RaftNode] = RaftNode, pre_vote: bool = False) -> World:
    """n1 and n2 have removed n3, which does not know, and times out again and again."""
    options = {"check_quorum": True, "pre_vote": pre_vote, "no_op": True}
    world = elect(
        changing(3, 0, admin("a1", "n1", "n1 n2"), kind=kind, network=duplicating(), **options),
        "n1",
        "n2",
    )
    exchange = ("deliver n1 -> n2 AppendEntries", "deliver n2 -> n1 AppendEntriesReply")
    world = ask(along(world, *exchange), "a1")
    second = "AppendEntries(term=1, prev_index=1, prev_term=1, entries=(E"
    reply = "deliver n2 -> n1 AppendEntriesReply(term=1, index=2"
    world = along(world, f"deliver n1 -> n2 {second}", reply)
    # What n1 sent to n3 before is on its way for ever. Where n3 answers it from a newer term, n1
    # steps down, once, and that is outside of this scenario.
    return along(world, "deliver n1 -> a1")


@always(one_was_removed)
def who_was_removed_disrupts_nobody(world: World) -> bool | str:
    """Section 4.2.3: those that hear a leader ignore one that was removed and stands."""
    term = world["n1"].current_term
    if world["n2"].current_term > term:
        return f"n2 left n1, whom it hears, for term {world['n2'].current_term}"
    return not any(leader.name == "n3" for leader in leaders_of(world))


who_was_removed_disrupts_nobody_by_pre_votes = who_was_removed_disrupts_nobody.over(
    one_was_removed, pre_vote=True
)


# -- what can happen, so that the above has something to judge -------------------------------------


def committed(world: World, voters: str) -> bool:
    """True where some server has committed these voters."""
    wanted = Configuration(frozenset(voters.split()))
    return any(
        configurations(server, server.commit_index)[-1] == wanted for server in servers_of(world)
    )


@reachable(one_joins)
def a_server_that_joined_counts(world: World) -> bool:
    """n3 has confirmed what n2 has not even got."""
    return committed(world, "n1 n2 n3") and world["n2"].log.last_index < 2


@reachable(one_joins)
def a_change_is_taken_back(world: World) -> bool:
    """n1 used it, then gave way to n2."""
    first = world["n1"]
    alone = Configuration(frozenset({"n1", "n2"}))
    return first.current_term == 2 and first.configuration == alone and first.log.last_index == 2


@reachable(the_leader_leaves)
def a_leader_commits_its_own_leave(world: World) -> bool:
    return committed(world, "n2 n3") and not leaders_of(world)


@reachable(the_leader_leaves)
def those_that_stay_elect_another(world: World) -> bool:
    leaders = leaders_of(world)
    return [leader.name for leader in leaders] == ["n3"] and committed(world, "n2 n3")


@reachable(two_changes)
def one_server_is_left(world: World) -> bool:
    return committed(world, "n1") and world["n1"].state == 1


@reachable(two_leaders_change_it)
def a_leader_that_has_committed_nothing_refuses(world: World) -> bool:
    """n2 has yet to commit its no-op."""
    answers = [call.result for call in world.history.of("a2")]
    return isinstance(answers[0], ChangeRefused) and "committed nothing" in answers[0].reason


@reachable(one_was_removed)
def who_was_removed_stands_all_the_same(world: World) -> bool:
    return world["n3"].role is Role.CANDIDATE and n1_and_n2_work(world)


@reachable(changes_in_rough_seas)
def a_learner_becomes_a_voter(world: World) -> bool:
    return committed(world, "n1 n2 n3 n4")


@reachable(changes_in_rough_seas)
def a_change_is_refused_or_redirected(world: World) -> bool:
    results = [call.result for call in world.history.completed]
    return any(isinstance(each, NotLeader) for each in results) and any(
        isinstance(each, ChangeRefused) for each in results
    )


@reachable(a_joint_change)
def both_halves_have_agreed(world: World) -> bool:
    """n1 and n4 are on their own, and the client knows."""
    answers = [call.result for call in world.history.of("a1") if call.done]
    return answers == [Configuration(frozenset({"n1", "n4"}))]


@reachable(a_joint_change)
def the_old_half_alone_elects_nobody(world: World) -> bool:
    """n2 knows of the joint configuration only, stands, and has the vote of n3 in vain."""
    second = world["n2"]
    alone = second.votes == {"n2", "n3"} and second.configuration.is_joint
    return alone and second.role is Role.CANDIDATE


@reachable(a_joint_change_and_snapshots)
def a_change_is_finished_by_another_leader(world: World) -> bool:
    """n2 leads, and has taken the votes from n1 and itself; a1 is to hear of it from n2."""
    second = world["n2"]
    done = second.current_term == 2 and not second.configuration.is_joint
    return done and second.snapshot.configuration == second.configuration


@reachable(joint_changes_in_rough_seas)
def a_joint_change_is_finished(world: World) -> bool:
    return committed(world, "n3 n4 n5")
