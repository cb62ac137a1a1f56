"""What a Multi-Paxos server does, one behaviour at a time, along schedules made by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from happysim import (
    Cas,
    CasRegister,
    Faults,
    HappysimError,
    Host,
    Node,
    Read,
    Script,
    Simulation,
    TimedOut,
    World,
    Write,
    call,
    sleep,
)
from happysim.core.script import Operation
from happysim.protocols.ballot import Ballot
from happysim.protocols.multi_paxos import (
    Accepted,
    Chosen,
    ClientRequest,
    Entry,
    Forwarded,
    Missing,
    MultiPaxosNode,
    NotLeader,
    Overwritten,
    Promise,
    Role,
)
from properties.multi_paxos import client, cluster, elect, first_leader, gap
from properties.raft import along, ask
from tests.support.hosts import noting
from tests.support.worlds import answers


def insists_on(command: Any, *servers: str) -> Iterator[Any]:
    """A client that repeats its command under one number until it has an answer."""
    for server in servers:
        if (yield call(server, ClientRequest(command, serial=1), timeout=1.0)) != TimedOut():
            return


def accepted(world: World, leader: str, follower: str, slot: int = 1) -> World:
    """One Accept arrives, and its answer."""
    ballot = f"Ballot({world[leader].ballot.round}, '{leader}')"
    return along(
        world,
        f"deliver {leader} -> {follower} Accept(slot={slot}, entry=Entry(ballot={ballot}",
        f"deliver {follower} -> {leader} Accepted(ballot={ballot}, slot={slot})",
    )


# -- leaders --------------------------------------------------------------------------------------


class Clock:
    """A host that only notes for how long timers are set."""

    def __init__(self) -> None:
        self.seconds: list[tuple[float, float]] = []

    def set_timer(self, name: str, seconds: tuple[float, float]) -> None:
        self.seconds.append(seconds)


def test_the_longest_pause_doubles_with_each_attempt_six_times() -> None:
    clock: Any = Clock()
    node = MultiPaxosNode("n1", election_seconds=(1.0, 2.0))
    for attempts in range(8):
        node.attempts = attempts
        node.set_election_timer(clock)
    longest = [2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 128.0]
    assert clock.seconds == [(1.0, most) for most in longest]


def test_promises_of_a_majority_make_a_leader_which_beats_at_once() -> None:
    world = elect(cluster(3, heartbeats=True), "n1", "n2")
    assert (world["n1"].role, world["n1"].ballot) == (Role.LEADER, Ballot(1, "n1"))
    assert world["n1"].timers == ("heartbeat",)
    world = along(world, "deliver n1 -> n2 Heartbeat", "deliver n1 -> n3 Heartbeat")
    assert [world[name].leader for name in ("n1", "n2", "n3")] == ["n1"] * 3


def test_half_of_the_servers_is_no_majority() -> None:
    assert elect(cluster(4), "n1", "n2")["n1"].role is Role.CANDIDATE
    assert elect(cluster(4), "n1", "n2", "n3")["n1"].role is Role.LEADER


def test_who_hears_of_a_higher_ballot_gives_way_and_will_stand_above_it() -> None:
    world = elect(cluster(3, client("c1", ("n1", Read()))), "n1", "n2")
    world = along(ask(world, "c1"), "fire n3 election", "fire n3 election")
    world = along(world, "deliver n1 -> n3 Accept", "deliver n3 -> n1 Rejected")
    server = world["n1"]
    assert (server.role, server.ballot, server.leader) == (Role.FOLLOWER, (2, "n3"), None)
    assert server.timers == ("election",)
    assert along(world, "fire n1 election")["n1"].ballot == (3, "n1")


def test_a_late_promise_elects_nobody() -> None:
    world = along(cluster(3), "fire n1", "deliver n1 -> n2 Prepare", "fire n3", "fire n3")
    world = along(world, "deliver n3 -> n1 Prepare(ballot=Ballot(2, 'n3')")
    assert not any("-> n1 Promise" in str(choice) for choice in world.choices())


def test_a_promise_of_an_earlier_ballot_does_not_count_nor_one_beyond_the_quorum() -> None:
    world = along(cluster(3), "fire n1", "deliver n1 -> n2 Prepare", "fire n1")
    assert world["n1"].ballot == Ballot(2, "n1")
    assert not any("-> n1 Promise" in str(choice) for choice in world.choices())
    world = along(elect(cluster(3), "n1", "n2"), "deliver n1 -> n3 Prepare")
    assert not any("-> n1 Promise" in str(choice) for choice in world.choices())


def test_pauses_grow_until_there_is_a_leader() -> None:
    world = along(cluster(3, heartbeats=True), "fire n1", "fire n1", "fire n2")
    assert (world["n1"].attempts, world["n2"].attempts) == (2, 1)
    world = along(elect(world, "n1", "n3"), "deliver n1 -> n2 Heartbeat")
    assert (world["n1"].attempts, world["n2"].attempts) == (0, 0)


# -- slots ----------------------------------------------------------------------------------------


def test_a_command_that_a_majority_accepted_is_chosen_and_answered() -> None:
    world = elect(cluster(3, client("c1", ("n1", Write(1)), ("n1", Read()))), "n1", "n2")
    world = ask(world, "c1")
    assert world["n1"].chosen == 0
    world = along(accepted(world, "n1", "n3"), "deliver n1 -> c1")
    assert (world["n1"].chosen, world["n1"].state, answers(world, "c1")) == (1, 1, [None])


def test_what_is_chosen_behind_a_gap_waits_for_it() -> None:
    clients = [client("c1", ("n1", Write(1))), client("c2", ("n1", Cas(1, 2)))]
    world = ask(ask(elect(cluster(3, *clients), "n1", "n2"), "c1"), "c2")
    world = accepted(world, "n1", "n2", slot=2)
    assert world["n1"].chosen == 0
    world = accepted(world, "n1", "n3", slot=1)
    assert (world["n1"].chosen, world["n1"].state) == (2, 2)


def test_accepts_are_stored_by_slot_in_whatever_order_they_arrive() -> None:
    server = gap()["n3"]
    assert server.at(1) is None
    assert server.at(2).command == Write(2)


def test_a_new_leader_proposes_again_what_was_reported_and_no_ops_for_gaps() -> None:
    """n2 promises before it has heard of anything; n3 has heard of the second slot."""
    world = elect(gap(), "n3", "n2")
    log = world["n3"].log
    assert [entry.command for entry in log] == [None, Write(2)]
    assert [entry.ballot for entry in log] == [Ballot(2, "n3")] * 2
    world = accepted(accepted(world, "n3", "n2", slot=1), "n3", "n2", slot=2)
    assert (world["n3"].chosen, world["n3"].state) == (2, 2)


def test_of_two_reports_for_a_slot_the_one_of_the_higher_ballot_is_proposed_again() -> None:
    """n1 holds its own command in slot 1, and n2's was chosen there."""
    world = accepted(ask(elect(first_leader(), "n2", "n3"), "c2"), "n2", "n3")
    world = elect(along(world, "deliver n2 -> n1 Prepare"), "n1", "n2")
    assert [entry.operation.client for entry in world["n1"].log] == ["c2"]


def test_in_whichever_order_they_are_reported() -> None:
    node, (host, _) = MultiPaxosNode("n1"), noting("n2", "n3", "n4", "n5")
    node.role, node.ballot = Role.CANDIDATE, Ballot(3, "n1")
    late, early = Entry(Ballot(2, "n2"), Write(2)), Entry(Ballot(1, "n3"), Write(3))
    for sender, entry in (("n2", late), ("n3", early)):
        node.take_promise(host, sender, Promise(node.ballot, ((1, entry),)))
        assert node.reported == {1: late}


def test_followers_learn_what_is_chosen_from_the_next_heartbeat() -> None:
    world = elect(cluster(3, client("c1", ("n1", Write(1))), heartbeats=True), "n1", "n2")
    world = along(accepted(ask(world, "c1"), "n1", "n2"), "fire n1 heartbeat")
    assert world["n2"].chosen == 0
    world = along(world, "deliver n1 -> n2 Heartbeat(ballot=Ballot(1, 'n1'), chosen=1)")
    assert (world["n2"].chosen, world["n2"].state) == (1, 1)
    # It lacks nothing, and so asks nothing.
    assert not any(isinstance(sent.message, Missing) for sent in world.in_flight)


def test_followers_learn_what_is_chosen_from_the_next_accept() -> None:
    asking = client("c1", ("n1", Write(1)), ("n1", Write(2)))
    world = accepted(ask(elect(cluster(3, asking), "n1", "n2"), "c1"), "n1", "n2")
    world = ask(along(world, "deliver n1 -> c1"), "c1")
    world = along(world, "deliver n1 -> n2 Accept(slot=2")
    assert (world["n2"].chosen, world["n2"].state) == (1, 1)


def test_what_a_leader_is_told_was_chosen_may_be_the_gap_before_what_it_knows_to_be() -> None:
    node, (host, sent) = MultiPaxosNode("n1", machine=CasRegister()), noting("n2", "n3")
    node.role, node.ballot, node.state = Role.LEADER, Ballot(2, "n1"), None
    node.log = [Entry(node.ballot, Write(1)), Entry(node.ballot, Write(2))]
    node.accepted_by = {1: {"n1"}, 2: {"n1", "n2"}}
    node.catch_up(host, "n3", Chosen(1, (Entry(Ballot(1, "n3"), Write(1)),)))
    assert (node.chosen, node.state) == (2, 2)
    # Who asks for more than there is gets no answer.
    del sent[:]
    node.tell(host, "n2", Missing(2))
    assert sent == []


def test_a_follower_with_a_stale_entry_asks_what_was_chosen_instead() -> None:
    """n1 holds its own command in slot 1, where n2's was chosen."""
    world = ask(elect(first_leader(heartbeats=True), "n2", "n3"), "c2")
    world = along(accepted(world, "n2", "n3"), "fire n2 heartbeat")
    world = along(world, "deliver n2 -> n1 Heartbeat(ballot=Ballot(2, 'n2'), chosen=1)")
    assert world["n1"].chosen == 0
    world = along(world, "deliver n1 -> n2 Missing(chosen=0)", "deliver n2 -> n1 Chosen")
    assert (world["n1"].chosen, world["n1"].state) == (1, 2)
    assert answers(along(world, "deliver n1 -> c1"), "c1") == [Overwritten()]


def test_lost_accepts_are_sent_again_with_a_heartbeat_to_those_that_did_not_answer() -> None:
    faults = Faults(drops=2)
    asking = client("c1", ("n1", Write(1)))
    world = elect(cluster(4, asking, heartbeats=True, faults=faults), "n1", "n2", "n3")
    world = along(accepted(ask(world, "c1"), "n1", "n2"), "drop n1 -> n3 Accept")
    world = accepted(along(world, "drop n1 -> n4 Accept", "fire n1 heartbeat"), "n1", "n3")
    assert world["n1"].chosen == 1
    assert not any(
        str(sent.message).startswith("Accept(") and sent.target == "n2" for sent in world.in_flight
    )


def test_a_copy_of_an_answer_does_not_count_twice() -> None:
    asking = client("c1", ("n1", Write(1)))
    world = elect(cluster(4, asking, faults=Faults(duplicates=1)), "n1", "n2", "n3")
    world = along(ask(world, "c1"), "deliver n1 -> n2 Accept")
    world = along(world, "duplicate n2 -> n1 Accepted", "deliver n2 -> n1 Accepted")
    assert Accepted(Ballot(1, "n1"), 1) in [sent.message for sent in world.in_flight]
    assert not any("-> n1 Accepted" in str(choice) for choice in world.choices())


# -- clients --------------------------------------------------------------------------------------


def test_who_does_not_lead_refuses_and_names_the_leader() -> None:
    asking = client("c1", ("n2", Read()), ("n2", Read()))
    world = ask(cluster(3, asking, heartbeats=True), "c1")
    world = elect(along(world, "deliver n2 -> c1"), "n1", "n3")
    world = along(ask(along(world, "deliver n1 -> n2 Heartbeat"), "c1"), "deliver n2 -> c1")
    assert answers(world, "c1") == [NotLeader(None), NotLeader("n1")]
    assert world["n2"].log == []


def patient(*clients: Script) -> World:
    """n1 leads three patient servers."""
    return elect(cluster(3, *clients, patient=True, heartbeats=True), "n1", "n2")


MINE = Operation("c1", 1)


def forwarded(world: World, source: str, target: str) -> list[Forwarded]:
    """What is being passed on from one server to another."""
    return [
        each.message
        for each in world.in_flight
        if isinstance(each.message, Forwarded) and (each.source, each.target) == (source, target)
    ]


def test_a_patient_server_keeps_a_request_until_it_has_applied_it() -> None:
    asked = Forwarded(MINE, ClientRequest(Write(1)))
    world = ask(patient(client("c1", ("n2", Write(1)))), "c1")
    assert (world["n2"].held, forwarded(world, "n2", "n1")) == ([asked], [])
    world = along(world, "deliver n1 -> n2 Heartbeat")
    assert (world["n2"].held, forwarded(world, "n2", "n1")) == ([asked], [asked])
    world = along(along(world, "deliver n2 -> n1 Forwarded"), "deliver n1 -> n2 Accept")
    assert world["n2"].held == [asked]
    world = along(world, "deliver n2 -> n1 Accepted", "deliver n1 -> c1", "fire n1 heartbeat")
    world = along(world, "deliver n1 -> n2 Heartbeat(ballot=Ballot(1, 'n1'), chosen=1")
    assert (world["n2"].chosen, world["n2"].held) == (1, [])
    assert answers(world, "c1") == [None]


def test_a_patient_leader_whose_entry_gives_way_passes_the_command_on() -> None:
    clients = client("c1", ("n1", Write(1))), client("c2", ("n2", Write(2)))
    world = ask(patient(*clients), "c1")
    world = ask(elect(world, "n2", "n3"), "c2")
    world = along(world, "deliver n2 -> n1 Prepare", "deliver n2 -> n1 Accept(slot=1")
    numbered = Forwarded(MINE, ClientRequest(Write(1), 1))
    assert world["n1"].held == [numbered]
    assert forwarded(world, "n1", "n2") == [numbered]
    world = along(world, "deliver n1 -> n2 Forwarded")
    assert [entry.command for entry in world["n2"].log] == [Write(2), Write(1)]
    assert answers(world, "c1") == []


class Poster(Node):
    """A client that is a node, and awaits no answer."""

    def on_start(self, host: Host) -> None:
        host.send("n1", ClientRequest(Write(1)))


def test_what_a_node_asks_without_a_number_is_dropped_where_it_is_not_served() -> None:
    servers = [MultiPaxosNode(name, heartbeat_seconds=None) for name in ("n1", "n2")]
    world = World.of(*servers, Poster("c1"))
    assert not any("deliver c1" in str(choice) for choice in world.choices())
    world = along(elect(world, "n1", "n2"), "deliver c1 -> n1")
    assert [entry.command for entry in world["n1"].log] == [Write(1)]


def test_a_copy_of_a_request_gets_no_slot_of_its_own_and_the_same_answer() -> None:
    world = cluster(3, client("c1", ("n1", Cas(None, 1))), faults=Faults(duplicates=2))
    world = along(elect(world, "n1", "n2"), "invoke c1")
    world = along(world, "duplicate c1 -> n1", "duplicate c1 -> n1", "deliver c1 -> n1")
    assert not any(str(choice).startswith("deliver c1") for choice in world.choices())
    world = along(accepted(world, "n1", "n2"), "deliver c1 -> n1")
    assert len(world["n1"].log) == 1
    coming = [sent.message.value for sent in world.in_flight if sent.target == "c1"]
    assert coming == [True, True]


def test_a_command_that_its_client_repeats_takes_effect_once() -> None:
    """The first request is still open when the second comes: both get slots of their own."""
    asking = Script("c1", insists_on, Cas(None, 1), "n1", "n1")
    world = ask(elect(cluster(3, asking), "n1", "n2"), "c1")
    world = ask(along(world, "fire c1 timeout"), "c1")
    assert [entry.serial for entry in world["n1"].log] == [1, 1]
    world = accepted(accepted(world, "n1", "n2", slot=1), "n1", "n2", slot=2)
    coming = [sent.message.value for sent in world.in_flight if sent.target == "c1"]
    assert (world["n1"].chosen, coming) == (2, [True, True])


def test_the_next_leader_answers_what_it_finishes() -> None:
    world = ask(elect(cluster(3, client("c1", ("n1", Write(1)))), "n1", "n2"), "c1")
    world = along(world, "deliver n1 -> n2 Accept")
    world = along(accepted(elect(world, "n2", "n3"), "n2", "n3"), "deliver n2 -> c1")
    assert answers(world, "c1") == [None]


def test_the_journal_answers_with_the_slot_of_a_command() -> None:
    asking = client("c1", ("n1", "a"), ("n1", "b"))
    world = along(World.of(MultiPaxosNode("n1"), asking), "fire n1 election")
    for _ in range(2):
        world = along(ask(world, "c1"), "deliver n1 -> c1")
    assert answers(world, "c1") == [1, 2]
    assert world["n1"].state == ("a", "b")


@dataclass(frozen=True)
class Ticks:
    """A machine that counts the rounds that have gone by."""

    initial = 0
    round_seconds = 1.0

    def apply(self, state: Any, command: Any) -> tuple[Any, Any]:
        return state + 1, ()

    def round_over(self, state: Any) -> Any:
        return "tick"


def test_what_the_end_of_a_round_means_is_proposed_once_until_it_is_chosen() -> None:
    servers = [
        MultiPaxosNode(name, machine=Ticks(), heartbeat_seconds=None) for name in ("n1", "n2")
    ]
    world = along(elect(World.of(*servers), "n1", "n2"), "fire n1 round", "fire n1 round")
    assert ([entry.command for entry in world["n1"].log], "round" in world["n1"].timers) == (
        ["tick"],
        True,
    )
    world = along(accepted(world, "n1", "n2"), "fire n1 round")
    assert (world["n1"].state, len(world["n1"].log)) == (1, 2)


# -- crashes --------------------------------------------------------------------------------------


def test_a_restarted_server_has_its_promise_its_log_and_what_was_chosen() -> None:
    asking = client("c1", ("n1", Write(1)), ("n1", Read()))
    world = elect(cluster(3, asking, faults=Faults(crashes=1)), "n1", "n2")
    world = along(accepted(ask(world, "c1"), "n1", "n2"), "crash n1", "restart n1")
    server = world["n1"]
    assert (server.ballot, len(server.log), server.chosen, server.state) == ((1, "n1"), 1, 1, 1)
    assert server.sessions == {"c1": (1, None)}
    assert (server.role, server.timers) == (Role.FOLLOWER, ("election",))


def test_nothing_that_was_said_can_be_lost() -> None:
    faults = Faults(crashes=1, unsynced_loss=True)
    world = elect(cluster(3, client("c1", ("n1", Write(1))), faults=faults), "n1", "n2")
    world = accepted(ask(world, "c1"), "n1", "n2")
    crashes = [str(choice) for choice in world.choices() if "crash" in str(choice)]
    assert crashes == ["crash n1", "crash n2", "crash n3"]


def test_whoever_knows_what_was_chosen_tells_it_also_after_a_restart() -> None:
    asking = client("c1", ("n1", Write(1)))
    faults = Faults(crashes=1)
    world = elect(cluster(3, asking, heartbeats=True, faults=faults), "n1", "n2")
    world = along(accepted(ask(world, "c1"), "n1", "n2"), "fire n1 heartbeat")
    world = along(world, "deliver n1 -> n3 Heartbeat(ballot=Ballot(1, 'n1'), chosen=1)")
    world = along(world, "crash n1", "restart n1", "deliver n3 -> n1 Missing")
    told = [sent.message for sent in world.in_flight if isinstance(sent.message, Chosen)]
    assert [len(each.entries) for each in told] == [1]
    assert along(world, "deliver n1 -> n3 Chosen")["n3"].state == 1


# -- making a cluster -----------------------------------------------------------------------------


def test_a_cluster_of_one_elects_itself_and_chooses_at_once() -> None:
    world = ask(along(cluster(1, client("c1", ("n1", Write(1)))), "fire n1"), "c1")
    assert (world["n1"].role, world["n1"].chosen) == (Role.LEADER, 1)


def test_peers_divide_a_world_into_clusters() -> None:
    pairs = {"a1": ("a2",), "a2": ("a1",), "b1": ("b2",), "b2": ("b1",)}
    servers = (
        MultiPaxosNode(name, peers=peers, heartbeat_seconds=None) for name, peers in pairs.items()
    )
    world = elect(elect(World.of(*servers), "a1", "a2"), "b1", "b2")
    assert [server.role for server in world.nodes(MultiPaxosNode)] == ["leader", "follower"] * 2


@pytest.mark.parametrize("peers", [("n1", "n2"), ("n2", "n2")])
def test_peers_that_are_no_others_are_refused(peers: tuple[str, ...]) -> None:
    with pytest.raises(HappysimError, match=r"n1: peers=.* each of the others, once"):
        MultiPaxosNode("n1", peers=peers)


@pytest.mark.parametrize("beat", [0.15, 0.2])
def test_heartbeats_no_faster_than_elections_are_refused(beat: float) -> None:
    with pytest.raises(HappysimError, match=r"less than the 0\.15 of election_seconds"):
        MultiPaxosNode("n1", heartbeat_seconds=beat)


def keeps_asking(*servers: str) -> Iterator[Any]:
    """A client that asks one server after the other, until one has a result."""
    answer: Any = TimedOut()
    while isinstance(answer, TimedOut | NotLeader | Overwritten):
        servers = (*servers[1:], servers[0])
        answer = yield call(servers[0], ClientRequest(Write(1)), timeout=0.5)
        yield sleep(0.01)


@pytest.mark.parametrize("progress_seconds", [1.0, None])
def test_a_leader_that_is_heard_and_hears_nobody_gives_way(progress_seconds: float | None) -> None:
    """Its heartbeats would keep the others from standing for ever."""
    names = ("n1", "n2", "n3")
    servers = [
        MultiPaxosNode(name, machine=CasRegister(), progress_seconds=progress_seconds)
        for name in names
    ]
    simulation = Simulation(World.of(*servers, Script("c", keeps_asking, *names)), seed=1)

    def leader(world: World) -> str | None:
        return next((name for name in names if world[name].role is Role.LEADER), None)

    def is_served(world: World) -> bool:
        return any(each.result is None for each in world.history.completed)

    assert simulation.run_until(lambda world: leader(world) is not None, within=5)
    deaf = leader(simulation.world)
    simulation.cut([(name, str(deaf)) for name in names if name != deaf], "deaf")
    assert simulation.run_until(is_served, within=20) == (progress_seconds is not None)
