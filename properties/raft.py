"""Raft: the theorems of its paper, and what it owes its clients, over small clusters.

The figures named here are those of Ongaro and Ousterhout, *In search of an understandable consensus
algorithm (extended version)*, 2014. Terms are bounded by the scenarios: the protocol has no bound.

Heartbeats are on where the network is `duplicating`: there a repeated message is no new world. On a
multiset network they would be endless, and since a search may wait with any message for as long as
it likes, they would add no violation.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

from happysim import (
    Append,
    Cas,
    CasRegister,
    Faults,
    Get,
    KeyValue,
    NodeView,
    Read,
    Script,
    SequentialObject,
    World,
    Write,
    always,
    bfs,
    bounded,
    duplicating,
    ordered,
    reachable,
    step_always,
    together,
    uniform,
)
from happysim.core.network import Delivery
from happysim.core.script import Operation
from happysim.protocols.raft import (
    ClientRequest,
    Entry,
    Log,
    NotLeader,
    Overwritten,
    RaftNode,
    Role,
)
from properties.clients import answers_of, asks, insists, nobody_is_forgotten, see_one_machine
from properties.worlds import along

# -- clusters, clients, and how to get to an interesting world ------------------------------------


# The extensions of figure 2, switched off: each multiplies the states there are to search.
PLAIN: dict[str, Any] = {
    "pipeline": False,
    "pre_vote": False,
    "check_quorum": False,
    "snapshot_entries": None,
    "trailing_entries": 0,
}


def cluster(  # noqa: PLR0913 - each is a keyword that a scenario sets alone
    size: int,
    *clients: Script,
    kind: type[RaftNode] = RaftNode,
    machine: SequentialObject | None = None,
    no_op: bool = False,
    heartbeats: bool = False,
    faults: Faults | None = None,
    network: Delivery | None = None,
    symmetric: bool = False,
    **options: Any,
) -> World:
    """Servers n1, n2, ... and their clients; `kind` may be a broken variant.

    They are as plain as the paper's, but for the `options`. Where `symmetric`, they are declared
    interchangeable.
    """
    servers = [
        kind(
            f"n{number}",
            machine=machine or CasRegister(),
            no_op=no_op,
            heartbeat_seconds=0.05 if heartbeats else None,
            **(PLAIN | options),
        )
        for number in range(1, size + 1)
    ]
    alike = [server.name for server in servers] if symmetric else ()
    return World.of(*servers, *clients, faults=faults, network=network, symmetric=alike)


def client(name: str, *plan: tuple[str, Any]) -> Script:
    """A client that gives one command after the other: (server, command) each."""
    return Script(name, asks, *((server, ClientRequest(command)) for server, command in plan))


def elect(world: World, candidate: str, *voters: str) -> World:
    """The world after `candidate` stood for the next term and these have voted for it."""
    world = along(world, f"fire {candidate} election")
    if world[candidate].role is Role.PRE_CANDIDATE:
        term = world[candidate].current_term + 1
        for voter in voters:
            world = along(
                world,
                f"deliver {candidate} -> {voter} PreVote(term={term},",
                f"deliver {voter} -> {candidate} PreVoteGranted(term={term})",
            )
    term = world[candidate].current_term
    for voter in voters:
        world = along(
            world,
            f"deliver {candidate} -> {voter} RequestVote(term={term},",
            f"deliver {voter} -> {candidate} Vote(term={term})",
        )
    return world


def ask(world: World, name: str) -> World:
    """The world after a client's next request has arrived."""
    return along(world, f"invoke {name}", f"deliver {name} -> ")


STANDING = (Role.PRE_CANDIDATE, Role.CANDIDATE)


def terms(highest: int, *standing: str) -> Callable[[World], bool]:
    """A bound: no term beyond `highest`, and no other candidates than these (default: any)."""

    def within(world: World) -> bool:
        return all(
            server.current_term <= highest
            and (not standing or server.role not in STANDING or server.name in standing)
            for server in servers_of(world)
        )

    return within


def servers_of(world: World) -> tuple[NodeView, ...]:
    return world.nodes(RaftNode)


def leaders_of(world: World) -> list[NodeView]:
    return [server for server in servers_of(world) if server.role is Role.LEADER]


def entries_of(log: Log) -> dict[int, Entry]:
    """The entries that are kept, by index."""
    return dict(enumerate(log.entries, log.offset + 1))


def differ(one: Log, other: Log, upto: int) -> bool:
    """True where the logs are not the same up to `upto`; what was discarded counts as the same."""
    if upto > min(one.last_index, other.last_index):
        return True
    first = max(one.offset, other.offset)
    return one.behind(first, max(upto - first, 0)) != other.behind(first, max(upto - first, 0))


def last_agreed(one: Log, other: Log) -> int:
    """The last index at which both logs keep an entry of the same term; 0 where there is none."""
    here, there = entries_of(one), entries_of(other)
    return max((i for i in here if i in there and here[i].term == there[i].term), default=0)


# -- scenarios ------------------------------------------------------------------------------------


@bounded(by=bfs(), within=terms(2))
def elections(kind: type[RaftNode] = RaftNode) -> World:
    """Three servers and no client; messages get lost, reordered and copied."""
    return cluster(3, kind=kind, network=duplicating())


@bounded(by=bfs(), within=terms(2))
def elections_and_a_crash(kind: type[RaftNode] = RaftNode) -> World:
    """And n3 may crash, losing what it had not synced."""
    faults = Faults(crashes=1, crashable=("n3",), unsynced_loss=True)
    return cluster(3, kind=kind, faults=faults, network=duplicating())


@bounded(by=bfs(), within=terms(1))
def four_servers(kind: type[RaftNode] = RaftNode) -> World:
    """Half of the servers is no majority."""
    return cluster(4, kind=kind, network=duplicating())


@bounded(by=bfs(), within=terms(1))
def one_command(kind: type[RaftNode] = RaftNode) -> World:
    """Any server may lead term 1, and a client asks n1. Nothing is taken back."""
    asking = client("c1", ("n1", Write(1)))
    return cluster(3, asking, kind=kind, no_op=True, heartbeats=True, network=duplicating())


@bounded(by=bfs(), within=terms(1))
def copied_requests(kind: type[RaftNode] = RaftNode) -> World:
    """n1 leads, and copies of its client's requests arrive at any time, also late."""
    plan = [Append("k", "x"), Append("k", "y"), Get("k")]
    asking = client("c1", *[("n1", command) for command in plan])
    map_of_text = KeyValue(default="")
    world = cluster(3, asking, kind=kind, machine=map_of_text, network=duplicating())
    return elect(world, "n1", "n2")


def first_leader(kind: type[RaftNode] = RaftNode, *more: Script, **options: Any) -> World:
    """n1 leads term 1 by the vote of n2, and has told no one of its client's command."""
    clients = [client("c1", ("n1", Read())), client("c2", ("n2", Cas(None, 2))), *more]
    return ask(elect(cluster(3, *clients, kind=kind, **options), "n1", "n2"), "c1")


@bounded(by=bfs(), within=terms(2))
def rivals(kind: type[RaftNode] = RaftNode) -> World:
    """Then n2 led term 2 by the vote of n3, with a client of its own: one log has to give way.

    c3 asks n1, which may not have heard of it.
    """
    reader = client("c3", ("n1", Read()))
    world = first_leader(kind, reader, heartbeats=True, network=duplicating())
    return ask(elect(world, "n2", "n3"), "c2")


@bounded(by=bfs(), within=terms(2))
def rivals_and_a_crash(kind: type[RaftNode] = RaftNode) -> World:
    """And n3, whose vote decides, may crash, losing what it had not synced."""
    faults = Faults(crashes=1, unsynced_loss=True, crashable=("n3",))
    return ask(elect(first_leader(kind, faults=faults), "n2", "n3"), "c2")


@bounded(by=bfs(), within=terms(2, "n2"))
def in_order(kind: type[RaftNode] = RaftNode) -> World:
    """n2 may stand against n1, over links that keep the order: there nothing is left lying."""
    return first_leader(kind, network=ordered())


@bounded(by=bfs(), within=terms(4, "n2"), max_worlds=60_000, unknown_passes=True)
def figure_8(kind: type[RaftNode] = RaftNode) -> World:
    """And n1 leads again, in term 3, and has given n3 what term 1 left behind: figure 8 (c)."""
    world = ask(elect(first_leader(kind), "n2", "n3"), "c2")
    world = elect(along(world, "deliver n2 -> n1 RequestVote(term=2,"), "n1", "n3")
    return along(
        world,
        "deliver n1 -> n3 AppendEntries(term=3, prev_index=1,",
        "deliver n3 -> n1 AppendEntriesRefusal(term=3,",
        "deliver n1 -> n3 AppendEntries(term=3, prev_index=0,",
        "deliver n1 -> n2 RequestVote(term=3,",
    )


@bounded(by=bfs(), within=terms(4, "n2"), max_worlds=60_000, unknown_passes=True)
def late_reply(kind: type[RaftNode] = RaftNode) -> World:
    """n1 leads again, in term 3, and what n2 answered to it in term 1 is still on its way.

    Since then n3 led term 2 and replaced the entries that n2 speaks of, on n1 but not on n2.
    """
    world = cluster(5, client("c1", ("n1", Write(1))), kind=kind, no_op=True)
    world = ask(elect(world, "n1", "n3", "n4"), "c1")
    both = f"AppendEntries(term=1, prev_index=0, prev_term=0, entries=({Entry(1)!r}, "
    world = elect(along(world, f"deliver n1 -> n2 {both}"), "n3", "n4", "n5")
    world = elect(along(world, "deliver n3 -> n1 AppendEntries(term=2,"), "n1", "n3", "n4")
    return along(
        world,
        "deliver n1 -> n3 AppendEntries(term=3,",
        "deliver n3 -> n1 AppendEntriesReply(term=3,",
        "deliver n1 -> n2 RequestVote(term=3,",
    )


@bounded(by=bfs(), within=terms(3))
def cluster_of_one(kind: type[RaftNode] = RaftNode) -> World:
    """One server, which may crash twice, losing what it had not synced."""
    asking = client("c1", ("n1", Write(1)), ("n1", Cas(1, 2)), ("n1", Read()))
    faults = Faults(crashes=2, unsynced_loss=True)
    return cluster(1, asking, kind=kind, no_op=True, heartbeats=True, faults=faults)


@bounded(by=uniform(seed=1, runs=120, steps=80), within=terms(4), unknown_passes=True)
def rough_seas(kind: type[RaftNode] = RaftNode) -> World:
    """n1 leads at first; clients try one server after the other; crashes and a partition."""
    clients = [
        Script("c1", insists, ClientRequest(Write(1)), "n1", "n2", "n3"),
        Script("c2", insists, ClientRequest(Cas(1, 2)), "n2", "n1", "n3"),
        client("c3", ("n1", Read()), ("n1", Read())),
    ]
    faults = Faults(crashes=2, partitions=1, unsynced_loss=True)
    return elect(cluster(3, *clients, kind=kind, no_op=True, faults=faults), "n1", "n2")


@bounded(by=uniform(seed=1, runs=50, steps=80), within=terms(4), unknown_passes=True)
def five_servers(kind: type[RaftNode] = RaftNode) -> World:
    """Five servers, of which any two may be down."""
    clients = [client("c1", ("n1", Write(1))), client("c2", ("n2", Write(2)))]
    faults = Faults(crashes=3, down_max=2, unsynced_loss=True)
    world = cluster(5, *clients, kind=kind, no_op=True, faults=faults)
    return elect(world, "n1", "n2", "n3")


# -- the theorems (figure 3) ----------------------------------------------------------------------


@always(elections)
def election_safety(world: World) -> bool | str:
    """At most one leader can be elected in a given term."""
    for one, other in combinations(leaders_of(world), 2):
        if one.current_term == other.current_term:
            return f"{one.name} and {other.name} both lead term {one.current_term}"
    return True


@step_always(rivals)
def leader_append_only(before: World, after: World) -> bool | str:
    """A leader never overwrites or deletes entries in its log; it only appends new ones."""
    for leader in leaders_of(before):
        now = after[leader.name]
        if now.role is Role.LEADER and differ(leader.log, now.log, leader.log.last_index):
            return f"{leader.name}, leader of term {leader.current_term}, changed its log"
    return True


@always(rivals)
def log_matching(world: World) -> bool | str:
    """Logs that agree on the term at an index are the same up to that index."""
    for one, other in combinations(servers_of(world), 2):
        agreed = last_agreed(one.log, other.log)
        if agreed and differ(one.log, other.log, agreed):
            return f"{one.name} and {other.name} have the same term at {agreed}, not before"
    return True


@always(rivals)
def leader_completeness(world: World) -> bool | str:
    """What is committed in a term is in the logs of the leaders of all later terms."""
    for server in servers_of(world):
        committed = server.commit_index
        for leader in leaders_of(world) if committed else ():
            later = leader.current_term >= server.current_term
            if later and differ(server.log, leader.log, committed):
                return (
                    f"{leader.name} leads term {leader.current_term} without all of what "
                    f"{server.name} has committed up to {committed}"
                )
    return True


@always(rivals)
def state_machine_safety(world: World) -> bool | str:
    """No two servers apply different commands at one index, so equal indices are equal states."""
    for one, other in combinations(servers_of(world), 2):
        applied = min(one.commit_index, other.commit_index)
        if differ(one.log, other.log, applied):
            return f"{one.name} and {other.name} applied different entries up to {applied}"
        equal = one.is_up and other.is_up and one.commit_index == other.commit_index
        if equal and one.state != other.state:
            return f"{one.name} and {other.name} are in different states at {applied}"
    return True


# -- what the theorems rest on --------------------------------------------------------------------


@step_always(elections)
def terms_only_grow(before: World, after: World) -> bool | str:
    """Section 5.1, and figure 2: a term survives a crash."""
    for server in servers_of(before):
        if after[server.name].current_term < server.current_term:
            return f"{server.name} went back from term {server.current_term}"
    return True


@step_always(elections)
def one_vote_a_term(before: World, after: World) -> bool | str:
    """Figure 2: a vote that was cast in a term stays as it is in that term."""
    for server in servers_of(before):
        now = after[server.name]
        cast = server.voted_for is not None and now.current_term == server.current_term
        if cast and now.voted_for != server.voted_for:
            return f"{server.name} voted twice in term {server.current_term}"
    return True


@step_always(rivals)
def commit_index_only_grows(before: World, after: World) -> bool | str:
    """Figure 2: it increases monotonically, from one restart of the server to the next."""
    for server in servers_of(before):
        now = after[server.name]
        if server.is_up and now.is_up and now.commit_index < server.commit_index:
            return f"{server.name} went back from {server.commit_index}"
    return True


@always(rivals)
def committed_entries_are_on_a_majority(world: World) -> bool | str:
    """Section 5.3: what is committed is on disk at a majority, and never leaves it again."""
    servers = servers_of(world)
    for server in servers:
        committed = server.commit_index
        holders = [other for other in servers if not differ(server.log, other.log, committed)]
        if 2 * len(holders) <= len(servers):
            names = " ".join(holder.name for holder in holders)
            return f"{server.name} committed {committed} entries that only {names} holds"
    return True


@always(elections)
def who_does_not_lead_will_stand(world: World) -> bool | str:
    """Section 5.2: a live server that is no leader has its election timer set."""
    for server in servers_of(world):
        leads = server.role is Role.LEADER
        if server.is_up and not leads and "election" not in server.timers:
            return f"{server.name} waits for a leader, for ever"
    return True


@always(rivals)
def who_leads_beats(world: World) -> bool | str:
    """Section 5.2: a leader keeps its followers quiet."""
    for leader in leaders_of(world):
        if leader.heartbeat_seconds is not None and "heartbeat" not in leader.timers:
            return f"{leader.name} leads, and its heartbeat has stopped"
    return True


# -- what clients are owed ------------------------------------------------------------------------


@always(rivals)
def clients_see_one_machine(world: World) -> bool | str:
    """Section 8: linearizable, so each command takes effect once, between request and answer.

    A refusal speaks of one copy of a request. So this is for networks that make no copies, and for
    servers that lead no more once they have refused.
    """
    return see_one_machine(world, servers_of(world)[0].machine)


@always(copied_requests)
def one_result_a_command(world: World) -> bool | str:
    """A command has one result, however often it is asked for, and whoever answers."""
    for name, calls in world.history.lanes:
        for number in range(1, len(calls) + 1):
            answers = answers_of(world, name, number)
            results = [each for each in answers if not isinstance(each, NotLeader | Overwritten)]
            if any(result != results[0] for result in results):
                return f"call {number} of {name} got the results {results}"
    return True


@always(in_order)
def no_command_is_dropped_silently(world: World) -> bool | str:
    """An open command is on its way, or in a log and not committed yet, or its answer is coming."""
    return nobody_is_forgotten(world, is_pending)


def is_pending(world: World, operation: Operation) -> bool:
    """True where some server has the command in its log, and none has committed it."""
    found = False
    for server in servers_of(world):
        for index, entry in entries_of(server.log).items():
            if entry.operation == operation:
                if index <= server.commit_index:
                    return False
                found = True
    return found


@always(cluster_of_one)
def a_cluster_of_one_commits_at_once(world: World) -> bool:
    """It has nobody to wait for."""
    return all(leader.commit_index == leader.log.last_index for leader in leaders_of(world))


# -- all of it, elsewhere -------------------------------------------------------------------------

THEOREMS = (
    election_safety,
    log_matching,
    leader_completeness,
    state_machine_safety,
    committed_entries_are_on_a_majority,
    who_does_not_lead_will_stand,
)


every_theorem = together(one_command, *THEOREMS)

election_safety_of_four_servers = election_safety.over(four_servers)
election_safety_through_a_crash = election_safety.over(elections_and_a_crash)
one_vote_a_term_through_a_crash = one_vote_a_term.over(elections_and_a_crash)
terms_only_grow_through_a_crash = terms_only_grow.over(elections_and_a_crash)
who_restarts_will_stand = who_does_not_lead_will_stand.over(elections_and_a_crash)

every_theorem_through_a_crash = every_theorem.over(rivals_and_a_crash)
every_theorem_in_order = every_theorem.over(in_order)
every_theorem_in_figure_8 = every_theorem.over(figure_8)
every_theorem_with_a_late_reply = every_theorem.over(late_reply)
every_theorem_of_one_server = every_theorem.over(cluster_of_one)
every_theorem_in_rough_seas = every_theorem.over(rough_seas)
every_theorem_of_five_servers = every_theorem.over(five_servers)

leader_append_only_in_rough_seas = leader_append_only.over(rough_seas)
commit_index_only_grows_in_rough_seas = commit_index_only_grows.over(rough_seas)
one_vote_a_term_in_rough_seas = one_vote_a_term.over(rough_seas)

clients_see_one_machine_despite_copies = clients_see_one_machine.over(copied_requests)
clients_see_one_machine_through_a_crash = clients_see_one_machine.over(rivals_and_a_crash)
clients_see_one_machine_of_one_server = clients_see_one_machine.over(cluster_of_one)
clients_see_one_machine_in_rough_seas = clients_see_one_machine.over(rough_seas)
one_result_a_command_in_rough_seas = one_result_a_command.over(rough_seas)
no_command_is_dropped_by_one_server = no_command_is_dropped_silently.over(cluster_of_one)
no_command_is_dropped_in_rough_seas = no_command_is_dropped_silently.over(rough_seas)


# -- what can happen, so that the above has something to judge ------------------------------------


@reachable(elections)
def two_leaders_in_two_terms(world: World) -> bool:
    """The old one has not heard of the new one: allowed, and what makes stale messages."""
    return len(leaders_of(world)) == 2


@reachable(elections)
def an_election_without_a_winner(world: World) -> bool:
    """Three candidates in one term, each with its own vote."""
    return all(server.role is Role.CANDIDATE for server in servers_of(world))


@reachable(elections_and_a_crash)
def a_restarted_server_leads(world: World) -> bool:
    return world["n3"].role is Role.LEADER and world.faults_left["restarts"] == 0


@reachable(one_command)
def a_command_is_applied_everywhere(world: World) -> bool:
    return all(server.state == 1 for server in servers_of(world))


@reachable(one_command)
def a_refusal_names_the_leader(world: World) -> bool:
    answers = [call.result for call in world.history.completed]
    return any(isinstance(answer, NotLeader) and answer.leader is not None for answer in answers)


@reachable(copied_requests)
def every_request_is_answered(world: World) -> bool:
    return [call.result for call in world.history.completed] == [None, None, "xy"]


@reachable(rivals)
def an_entry_is_overwritten(world: World) -> bool:
    """n1 has given up c1's command for c2's, committed it, and told c1."""
    first = world["n1"]
    told = [call.result for call in world.history.of("c1")] == [Overwritten()]
    return told and first.state == 2


@reachable(figure_8)
def the_old_entry_is_lost_after_all(world: World) -> bool:
    """Figure 8 (d): n2 leads term 4, and n3, which held the entry of term 1, has that of term 2."""
    return world["n2"].role is Role.LEADER and world["n3"].log == world["n2"].log


@reachable(late_reply)
def the_next_leader_was_not_told(world: World) -> bool:
    """The late reply is heard, and n2 leads term 4 without what it seems to confirm."""
    return world["n2"].role is Role.LEADER


@reachable(cluster_of_one)
def one_server_answers_through_two_crashes(world: World) -> bool:
    answers = [call.result for call in world.history.completed]
    return answers == [None, True, 2] and world.faults_left["restarts"] == 0


@reachable(rough_seas)
def a_client_finds_the_leader(world: World) -> bool:
    """c2 is refused at first, and has a result in the end."""
    answers = [call.result for call in world.history.of("c2") if call.done]
    refused = answers[:1] == [NotLeader("n1")]
    return refused and isinstance(answers[-1], bool)
