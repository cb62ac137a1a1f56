"""Multi-Paxos: what is chosen stays chosen, and clients see one machine, over small clusters.

S3 is section 3 of Lamport, *Paxos made simple*, 2001. Rounds of ballots are bounded by the
scenarios: the protocol has no bound.

Heartbeats are on where the network is `duplicating`: there a repeated message is no new world. On a
multiset network they would be endless, and since a search may wait with any message for as long as
it likes, they would add no violation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

from happysim import (
    Cas,
    CasRegister,
    Crash,
    Faults,
    Network,
    NodeView,
    Read,
    Script,
    World,
    Write,
    always,
    bfs,
    bounded,
    call,
    duplicating,
    eventually,
    ordered,
    randomly,
    reachable,
    simulated,
    slow_network,
    step_always,
    together,
    uniform,
)
from happysim.core.script import Operation
from happysim.protocols.multi_paxos import (
    Accept,
    Accepted,
    ClientRequest,
    Entry,
    MultiPaxosNode,
    NotLeader,
    Overwritten,
    Role,
)
from happysim.protocols.multi_paxos.phases import quorums_of
from properties.clients import insists, nobody_is_forgotten, see_one_machine
from properties.raft import ask, client
from properties.worlds import along

# -- clusters, clients, and how to get to an interesting world ------------------------------------


def cluster(
    size: int,
    *clients: Script,
    kind: type[MultiPaxosNode] = MultiPaxosNode,
    heartbeats: bool = False,
    phases: tuple[Any, Any] = (None, None),
    patient: bool = False,
    **options: Any,
) -> World:
    """Servers n1, n2, ... and their clients; `kind` may be a broken variant."""
    servers = [
        kind(
            f"n{number}",
            machine=CasRegister(),
            heartbeat_seconds=0.05 if heartbeats else None,
            # To give way without cause is one more crash of a leader, which keeps all it has.
            progress_seconds=None,
            phase_1=phases[0],
            phase_2=phases[1],
            patient=patient,
        )
        for number in range(1, size + 1)
    ]
    return World.of(*servers, *clients, **options)


def repeats(server: str, command: Any) -> Iterator[Any]:
    """A client that asks twice for the same."""
    for _ in range(2):
        yield call(server, ClientRequest(command, serial=1))


def elect(world: World, candidate: str, *voters: str) -> World:
    """The world after `candidate` stood once more and these have promised."""
    world = along(world, f"fire {candidate} election")
    ballot = f"ballot=Ballot({world[candidate].ballot.round}, '{candidate}')"
    for voter in voters:
        world = along(
            world,
            f"deliver {candidate} -> {voter} Prepare({ballot}",
            f"deliver {voter} -> {candidate} Promise({ballot}",
        )
    return world


def rounds(highest: int, *standing: str) -> Callable[[World], bool]:
    """A bound: no ballot of a round beyond `highest`, and no other candidates than these."""

    def within(world: World) -> bool:
        return all(
            server.ballot.round <= highest
            and (not standing or server.role is not Role.CANDIDATE or server.name in standing)
            for server in servers_of(world)
        )

    return within


def servers_of(world: World) -> tuple[NodeView, ...]:
    return world.nodes(MultiPaxosNode)


def leaders_of(world: World) -> list[NodeView]:
    return [server for server in servers_of(world) if server.role is Role.LEADER]


def command_of(entry: Entry | None) -> Any:
    """What an entry says, whatever the ballot; None where there is none."""
    return entry and (entry.command, entry.operation, entry.serial)


def chosen_of(server: NodeView) -> list[Any]:
    """What a server knows to be chosen, by slot."""
    return [command_of(entry) for entry in server.log[: server.chosen]]


# -- scenarios ------------------------------------------------------------------------------------


@bounded(by=bfs(), within=rounds(2, "n1", "n2"))
def elections(kind: type[MultiPaxosNode] = MultiPaxosNode) -> World:
    """Three servers and no client, two of which may stand, and both again."""
    return cluster(3, kind=kind)


@bounded(by=bfs(), within=rounds(1))
def elections_and_a_crash(kind: type[MultiPaxosNode] = MultiPaxosNode) -> World:
    """Any may stand once, and n3 may crash, losing what it had not synced."""
    faults = Faults(crashes=1, crashable=("n3",), unsynced_loss=True)
    return cluster(3, kind=kind, faults=faults)


@bounded(by=bfs(), within=rounds(1))
def one_command(kind: type[MultiPaxosNode] = MultiPaxosNode) -> World:
    """Any server may lead in round 1, and a client asks n1."""
    asking = client("c1", ("n1", Write(1)))
    return cluster(3, asking, kind=kind, heartbeats=True, network=duplicating())


def first_leader(
    kind: type[MultiPaxosNode] = MultiPaxosNode, *more: Script, **options: Any
) -> World:
    """n1 leads round 1 by the promise of n2, and a client has asked it."""
    clients = [client("c1", ("n1", Read())), client("c2", ("n2", Cas(None, 2))), *more]
    return ask(elect(cluster(3, *clients, kind=kind, **options), "n1", "n2"), "c1")


@bounded(by=bfs(), within=rounds(1, "n1"))
def two_slots(kind: type[MultiPaxosNode] = MultiPaxosNode) -> World:
    """n1 leads, and two clients ask it at once; messages are reordered and copied."""
    clients = [client("c1", ("n1", Write(1))), client("c2", ("n1", Cas(None, 2)))]
    return elect(cluster(3, *clients, kind=kind, network=duplicating()), "n1", "n2")


@bounded(by=bfs(), within=rounds(2, "n2"))
def successor(kind: type[MultiPaxosNode] = MultiPaxosNode) -> World:
    """n1 leads and has a command; n2 may stand against it."""
    return first_leader(kind)


@bounded(by=bfs(), within=rounds(2))
def rivals(kind: type[MultiPaxosNode] = MultiPaxosNode) -> World:
    """Then n2 led round 2 by the promise of n3, with a client of its own: one of them gives way."""
    world = first_leader(kind, heartbeats=True, network=duplicating())
    return ask(elect(world, "n2", "n3"), "c2")


@bounded(by=bfs(), within=rounds(2))
def rivals_and_a_crash(kind: type[MultiPaxosNode] = MultiPaxosNode) -> World:
    """And n3, whose promise decides, may crash, losing what it had not synced."""
    faults = Faults(crashes=1, unsynced_loss=True, crashable=("n3",))
    return ask(elect(first_leader(kind, faults=faults), "n2", "n3"), "c2")


@bounded(by=bfs(), within=rounds(2, "n2"))
def in_order(kind: type[MultiPaxosNode] = MultiPaxosNode) -> World:
    """n2 may stand against n1, over links that keep the order: there nothing is left lying."""
    return first_leader(kind, network=ordered())


@bounded(by=bfs(), within=rounds(3, "n3"))
def third_leader(kind: type[MultiPaxosNode] = MultiPaxosNode) -> World:
    """n2 has overtaken n1, and n3 asks both for promises, and for what they left behind."""
    world = ask(elect(first_leader(kind), "n2", "n3"), "c2")
    return along(world, "deliver n2 -> n1 Prepare", "fire n3 election")


@bounded(by=bfs(), within=rounds(2, "n3"))
def gap(kind: type[MultiPaxosNode] = MultiPaxosNode) -> World:
    """n1 has proposed for two slots, and n3, which may stand, has accepted the second only."""
    clients = [client("c1", ("n1", Write(1))), client("c2", ("n1", Write(2)))]
    world = ask(ask(elect(cluster(3, *clients, kind=kind), "n1", "n2"), "c1"), "c2")
    return along(world, "deliver n1 -> n3 Prepare", "deliver n1 -> n3 Accept(slot=2")


@bounded(by=bfs(), within=rounds(2))
def asked_again(kind: type[MultiPaxosNode] = MultiPaxosNode) -> World:
    """A client repeats its command, under the same number, to a server that may restart."""
    asking = Script("c1", repeats, "n1", Cas(None, 1))
    world = cluster(1, asking, kind=kind, faults=Faults(crashes=1, unsynced_loss=True))
    return along(world, "fire n1 election")


@bounded(by=bfs(), within=rounds(3))
def cluster_of_one(kind: type[MultiPaxosNode] = MultiPaxosNode) -> World:
    """One server, which may crash twice, losing what it had not synced."""
    asking = client("c1", ("n1", Write(1)), ("n1", Cas(1, 2)), ("n1", Read()))
    faults = Faults(crashes=2, unsynced_loss=True)
    return cluster(1, asking, kind=kind, faults=faults)


@bounded(by=uniform(seed=1, runs=30, steps=80), within=rounds(4), unknown_passes=True)
def rough_seas(kind: type[MultiPaxosNode] = MultiPaxosNode) -> World:
    """n1 leads at first; clients try one server after the other; crashes and a partition."""
    clients = [
        Script("c1", insists, ClientRequest(Write(1)), "n1", "n2", "n3"),
        Script("c2", insists, ClientRequest(Cas(1, 2)), "n2", "n1", "n3"),
        client("c3", ("n1", Read()), ("n1", Read())),
    ]
    faults = Faults(crashes=2, partitions=1, unsynced_loss=True)
    return elect(cluster(3, *clients, kind=kind, faults=faults), "n1", "n2")


@bounded(by=uniform(seed=1, runs=10, steps=100), within=rounds(4), unknown_passes=True)
def five_servers(kind: type[MultiPaxosNode] = MultiPaxosNode) -> World:
    """Five servers, of which any two may be down."""
    clients = [client("c1", ("n1", Write(1))), client("c2", ("n2", Write(2)))]
    faults = Faults(crashes=3, down_max=2, unsynced_loss=True)
    return elect(cluster(5, *clients, kind=kind, faults=faults), "n1", "n2", "n3")


@bounded(
    by=simulated(
        seed=1, runs=8, until=5.0, calm=5.0, faults=[randomly(Crash(), every=1.0, lasting=0.5)]
    ),
    unknown_passes=True,
)
def in_time(kind: type[MultiPaxosNode] = MultiPaxosNode) -> World:
    """Five servers in virtual time, over links that lose a message in a hundred; crashes."""
    names = [f"n{number}" for number in range(1, 6)]
    servers = [kind(name, machine=CasRegister()) for name in names]
    clients = [
        Script("c1", insists, ClientRequest(Write(1)), *names * 20),
        Script("c2", insists, ClientRequest(Cas(1, 2)), *names[::-1] * 20),
    ]
    network = Network("lossy", default=slow_network(0.005).with_(loss=0.01))
    return World.of(*servers, *clients, network=network)


# -- what is promised -----------------------------------------------------------------------------


@always(elections)
def one_leader_a_ballot(world: World) -> bool | str:
    """Nobody leads under a ballot of another's, so no two servers under the same."""
    for leader in leaders_of(world):
        if leader.ballot.name != leader.name:
            return f"{leader.name} leads ballot {tuple(leader.ballot)}, which is not its own"
    return True


@always(rivals)
def state_machine_safety(world: World) -> bool | str:
    """No two servers apply different commands in one slot, so equal slots are equal states."""
    for one, other in combinations(servers_of(world), 2):
        slot = min(one.chosen, other.chosen)
        if chosen_of(one)[:slot] != chosen_of(other)[:slot]:
            return f"{one.name} and {other.name} applied different commands up to slot {slot}"
        if one.chosen == other.chosen and one.is_up and other.is_up and one.state != other.state:
            return f"{one.name} and {other.name} are in different states at slot {slot}"
    return True


@step_always(rivals)
def chosen_is_stable(before: World, after: World) -> bool | str:
    """What a live server knows to be chosen stays, and it knows ever more."""
    for server in servers_of(before):
        now = after[server.name]
        known = chosen_of(server)
        if server.is_up and now.is_up and chosen_of(now)[: len(known)] != known:
            return f"{server.name} does not know {len(known)} slots any more as it did"
    return True


@always(rivals)
def chosen_is_on_a_quorum(world: World) -> bool | str:
    """A quorum has accepted what is chosen; whatever it accepts later is the same."""
    servers = servers_of(world)
    for server in servers:
        quorums = quorums_of(server.phase_2, tuple(each.name for each in servers))
        for slot, command in enumerate(chosen_of(server), 1):
            holders = [each.name for each in servers if command_of(each.at(slot)) == command]
            if not quorums.holds(holders):
                names = " and ".join(holders)
                return f"{server.name} took slot {slot} for chosen, which only {names} accepted"
    return True


@always(rivals)
def leaders_know_what_was_chosen(world: World) -> bool | str:
    """S3: the leader of a ballot has all that was chosen under lower ones."""
    for server in servers_of(world):
        for leader in leaders_of(world):
            for slot, command in enumerate(chosen_of(server), 1):
                older = server.at(slot).ballot <= leader.ballot
                if older and command_of(leader.at(slot)) != command:
                    return f"{leader.name} leads without what {server.name} has in slot {slot}"
    return True


# -- what that rests on ---------------------------------------------------------------------------


@always(rivals)
def one_command_a_ballot_and_slot(world: World) -> bool | str:
    """A leader proposes one command for a slot."""
    for one, other in combinations(servers_of(world), 2):
        for slot, (mine, yours) in enumerate(zip(one.log, other.log, strict=False), 1):
            same = mine and yours and mine.ballot == yours.ballot
            if same and command_of(mine) != command_of(yours):
                return f"{one.name} and {other.name} differ in slot {slot} under one ballot"
    return True


@always(gap)
def leaders_leave_no_gaps(world: World) -> bool | str:
    """S3: what is chosen behind a gap could never be applied."""
    for leader in leaders_of(world):
        if None in leader.log:
            return f"{leader.name} leads with nothing in slot {leader.log.index(None) + 1}"
    return True


@step_always(rivals)
def promises_are_kept(before: World, after: World) -> bool | str:
    """Nothing below its promise is accepted, and no promise or proposal is taken back.

    What was chosen may be taken over under a lower ballot.
    """
    for server in servers_of(before):
        now = after[server.name]
        if now.ballot < server.ballot:
            return f"{server.name} went back from {tuple(server.ballot)}"
        for slot in range(1, len(server.log) + 1):
            mine, new = server.at(slot), now.at(slot)
            if mine and (new is None or new.ballot < mine.ballot):
                return f"{server.name} went back in slot {slot}"
            if new != mine and new and new.ballot < server.ballot and slot > now.chosen:
                return f"{server.name} had promised {tuple(server.ballot)}"
    return True


@always(elections)
def who_does_not_lead_will_stand(world: World) -> bool | str:
    """A live server that is no leader has its election timer set, and a leader has not."""
    for server in servers_of(world):
        leads = server.role is Role.LEADER
        if server.is_up and not leads and "election" not in server.timers:
            return f"{server.name} waits for a leader, for ever"
        if leads and "election" in server.timers:
            return f"{server.name} leads, and will depose itself"
    return True


@eventually(in_time)
def one_leads_and_all_keep_up(world: World) -> bool | str:
    """Once faults stop, one live server leads, and all know as much as it does."""
    live = [server for server in servers_of(world) if server.is_up]
    if sum(server.role is Role.LEADER for server in live) != 1:
        return "there is not one leader"
    return len({server.chosen for server in live}) == 1 or "some are behind"


@always(rivals)
def who_leads_beats(world: World) -> bool | str:
    """A leader keeps the others from standing."""
    for leader in leaders_of(world):
        if leader.heartbeat_seconds is not None and "heartbeat" not in leader.timers:
            return f"{leader.name} leads, and its heartbeat has stopped"
    return True


@always(in_order)
def open_slots_are_replicated(world: World) -> bool | str:
    """Where nothing is lost: of each proposal a request or its answer is on its way, or arrived.

    This is for servers that do not crash, and says most where messages keep their order: on other
    networks one that is ignored is on its way for ever. A peer that has promised a higher ballot
    will not answer any more.
    """
    asked = [
        (leader, peer.name, slot)
        for leader in leaders_of(world)
        for slot, servers in leader.accepted_by.items()
        for peer in servers_of(world)
        if peer.name not in servers and peer.ballot <= leader.ballot
    ]
    coming = [(each.source, each.target, each.message) for each in world.in_flight if asked]
    for leader, peer, slot in asked:
        there = any(
            isinstance(said, Accept) and (*way, said.slot) == (leader.name, peer, slot)
            for *way, said in coming
        )
        back = any(
            isinstance(said, Accepted) and (*way, said.slot) == (peer, leader.name, slot)
            for *way, said in coming
        )
        if not there and not back:
            return f"{leader.name} does not ask {peer} to accept slot {slot}"
    return True


# -- what clients are owed ------------------------------------------------------------------------


@always(two_slots)
def clients_see_one_machine(world: World) -> bool | str:
    """Linearizable: each command takes effect once, between request and answer.

    A refusal speaks of one copy of a request. So this is for networks that make no copies, and for
    servers that lead no more once they have refused.
    """
    return see_one_machine(world, servers_of(world)[0].machine)


@always(asked_again)
def a_repeated_command_has_one_result(world: World) -> bool | str:
    """It takes effect once, and both requests get its result."""
    results = [each.result for each in world.history.completed]
    answers = [each for each in results if not isinstance(each, NotLeader)]
    return all(answer is True for answer in answers) or f"the answers are {answers}"


@always(in_order)
def no_command_is_dropped_silently(world: World) -> bool | str:
    """An open command is on its way, or accepted and not chosen yet, or its answer is coming."""
    return nobody_is_forgotten(world, is_pending)


def is_pending(world: World, operation: Operation) -> bool:
    """True where some server has accepted the command, and none knows it to be chosen."""
    found = False
    for server in servers_of(world):
        for slot, entry in enumerate(server.log, 1):
            if entry is not None and entry.operation == operation:
                if slot <= server.chosen:
                    return False
                found = True
    return found


@always(cluster_of_one)
def a_cluster_of_one_chooses_at_once(world: World) -> bool:
    """It has nobody to wait for."""
    return all(leader.chosen == len(leader.log) for leader in leaders_of(world))


# -- all of it, elsewhere -------------------------------------------------------------------------

every_theorem = together(
    one_command,
    one_leader_a_ballot,
    state_machine_safety,
    chosen_is_on_a_quorum,
    leaders_know_what_was_chosen,
    one_command_a_ballot_and_slot,
    who_does_not_lead_will_stand,
    who_leads_beats,
)

every_theorem_through_a_crash_in_an_election = every_theorem.over(elections_and_a_crash)
every_theorem_of_a_successor = every_theorem.over(successor)
every_theorem_of_two_slots = every_theorem.over(two_slots)
every_theorem_of_rivals = every_theorem.over(rivals)
every_theorem_through_a_crash = every_theorem.over(rivals_and_a_crash)
every_theorem_of_a_third_leader = every_theorem.over(third_leader)
every_theorem_in_order = every_theorem.over(in_order)
every_theorem_with_a_gap = every_theorem.over(gap)
every_theorem_of_one_server = every_theorem.over(cluster_of_one)
every_theorem_in_rough_seas = every_theorem.over(rough_seas)
every_theorem_in_time = every_theorem.over(in_time)
clients_see_one_machine_in_time = clients_see_one_machine.over(in_time)
every_theorem_of_five_servers = every_theorem.over(five_servers)

promises_are_kept_through_a_crash = promises_are_kept.over(rivals_and_a_crash)
promises_are_kept_by_who_elects = promises_are_kept.over(elections_and_a_crash)
promises_are_kept_in_rough_seas = promises_are_kept.over(rough_seas)
chosen_is_stable_through_a_crash = chosen_is_stable.over(rivals_and_a_crash)
chosen_is_stable_in_rough_seas = chosen_is_stable.over(rough_seas)

clients_of_a_successor_see_one_machine = clients_see_one_machine.over(successor)
clients_of_rivals_see_one_machine = clients_see_one_machine.over(rivals_and_a_crash)
clients_of_one_server_see_one_machine = clients_see_one_machine.over(cluster_of_one)
clients_in_rough_seas_see_one_machine = clients_see_one_machine.over(rough_seas)


# -- what can happen, so that the above has something to judge ------------------------------------


@reachable(elections)
def two_leaders_in_two_ballots(world: World) -> bool:
    """The old one has not heard of the new one: allowed, and what makes stale messages."""
    return len(leaders_of(world)) == 2


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


@reachable(two_slots)
def the_second_slot_is_chosen_first(world: World) -> bool:
    """And waits for the first."""
    leader = world["n1"]
    return leader.chosen == 0 and leader.accepted_by.keys() == {1, 2} == set(
        map(len, leader.accepted_by.values())
    )


@reachable(successor)
def a_successor_finishes_what_the_first_leader_began(world: World) -> bool:
    """c1 has its answer from n2, which found its command in a promise."""
    return world["n2"].role is Role.LEADER and world["n2"].chosen == 1


@reachable(rivals)
def a_command_gives_way(world: World) -> bool:
    """n1 has given up c1's command for c2's, applied it, and told c1."""
    told = [call.result for call in world.history.of("c1")] == [Overwritten()]
    return told and world["n1"].state == 2


@reachable(rivals)
def a_deposed_leader_learns_what_was_chosen(world: World) -> bool:
    return world["n1"].chosen == 1 and world["n1"].leader == "n2"


@reachable(third_leader)
def the_higher_of_two_reports_is_adopted(world: World) -> bool:
    """n3 proposes the command of the second leader, and n1 gives up that of the first for it."""
    leader, first = world["n3"], world["n1"]
    proposed = leader.role is Role.LEADER and [each.operation.client for each in leader.log]
    return proposed == ["c2"] and first.log == leader.log


@reachable(gap)
def a_gap_is_filled_with_a_no_op(world: World) -> bool:
    """The second command is applied, and the first is not any more."""
    return world["n3"].chosen == 2 and world["n3"].at(1).operation is None


@reachable(asked_again)
def the_command_is_asked_for_twice_and_answered(world: World) -> bool:
    restarted = world.faults_left["restarts"] == 0
    return restarted and [call.result for call in world.history.completed] == [True, True]


@reachable(cluster_of_one)
def one_server_answers_through_two_crashes(world: World) -> bool:
    answers = [call.result for call in world.history.completed]
    return answers == [None, True, 2] and world.faults_left["restarts"] == 0


@reachable(in_time)
def both_clients_are_answered_in_time(world: World) -> bool:
    """Neither lost a message: they wait for ever then."""
    done = [each for each in world.history.completed if not isinstance(each.result, NotLeader)]
    return len(done) == 2


@reachable(rough_seas)
def a_client_finds_the_leader(world: World) -> bool:
    """c2 is refused at first, and has a result in the end."""
    answers = [call.result for call in world.history.of("c2") if call.done]
    refused = isinstance((answers or [None])[0], NotLeader)
    return refused and isinstance(answers[-1], bool)
