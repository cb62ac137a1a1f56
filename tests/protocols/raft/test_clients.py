"""What servers do about requests, one behaviour at a time; most are of patient servers."""

from __future__ import annotations

from typing import Any

from happysim import Host, Node, Script, World, action, on, post
from happysim.core.script import Operation
from happysim.protocols.raft import Answered, ClientRequest, Entry, Journal, RaftNode
from happysim.protocols.requests import Forwarded, NodeOperation
from properties.raft import PLAIN, along, ask, client, cluster, elect
from properties.raft_transfer import hands_over
from tests.support.worlds import answers


def patient(*clients: Script, **options: Any) -> World:
    """Three patient servers, of which none leads."""
    return cluster(3, *clients, machine=Journal(), patient=True, **options)


def led(*clients: Script, **options: Any) -> World:
    """n1 leads them; n2 has voted for it, and neither n2 nor n3 has heard of it yet."""
    return elect(patient(*clients, **options), "n1", "n2")


def hears(world: World, leader: str, follower: str) -> World:
    """The world after a follower has heard of the leader of the newest term."""
    term = world[leader].current_term
    return along(world, f"deliver {leader} -> {follower} AppendEntries(term={term},")


def forwarded(world: World, source: str, target: str) -> int:
    """How often a request is on its way from one server to another."""
    return sum(
        isinstance(each.message, Forwarded) and (each.source, each.target) == (source, target)
        for each in world.in_flight
    )


def first(rest: str) -> str:
    """How an AppendEntries begins that brings something for the first place of the log."""
    return f"AppendEntries(term=1, prev_index=0, prev_term=0, {rest}"


MINE = Operation("c1", 1)
ASKED = Forwarded(MINE, ClientRequest("x"))
UNANSWERED = Forwarded(None, ClientRequest("x"))


def test_a_patient_server_keeps_a_request_until_it_has_applied_it() -> None:
    world = led(client("c1", ("n2", "x")), heartbeats=True)
    world = ask(hears(world, "n1", "n2"), "c1")
    assert (world["n2"].kept, forwarded(world, "n2", "n1")) == ([ASKED], 1)
    world = along(world, "deliver n2 -> n1 Forwarded")
    assert world["n1"].log.entries == [Entry(1, "x", MINE, 1)]
    world = along(world, f"deliver n1 -> n2 {first('entries=(E')}")
    assert world["n2"].kept == [ASKED]
    world = along(world, "deliver n2 -> n1 AppendEntriesReply(term=1, index=1", "deliver n1 -> c1")
    assert answers(world, "c1") == [1]
    world = along(world, "fire n1 heartbeat")
    world = along(world, "deliver n1 -> n2 AppendEntries(term=1, prev_index=1, prev_term=1, ")
    assert (world["n2"].commit_index, world["n2"].kept) == (1, [])


def test_a_patient_server_without_a_leader_waits_for_one_and_tells_each_that_it_hears_of() -> None:
    world = ask(led(client("c1", ("n2", "x"))), "c1")
    assert (world["n2"].kept, forwarded(world, "n2", "n1")) == ([ASKED], 0)
    world = hears(world, "n1", "n2")
    assert (world["n2"].kept, forwarded(world, "n2", "n1")) == ([ASKED], 1)
    world = hears(elect(along(world, "fire n3"), "n3", "n2"), "n3", "n2")
    assert (world["n2"].kept, forwarded(world, "n2", "n3")) == ([ASKED], 1)


def test_a_patient_server_that_comes_to_lead_serves_what_it_kept() -> None:
    world = ask(patient(client("c1", ("n2", "x"))), "c1")
    world = elect(world, "n2", "n3")
    assert (world["n2"].log.entries, world["n2"].kept) == ([Entry(1, "x", MINE, 1)], [])


def test_what_a_leader_keeps_during_a_transfer_is_served_when_that_is_given_up() -> None:
    world = led(client("c1", ("n1", "x")), Script("a1", hands_over, "n1", "n3"), heartbeats=True)
    world = ask(ask(world, "a1"), "c1")
    assert (world["n1"].kept, world["n1"].log.entries) == ([ASKED], [])
    world = along(world, "fire n1 transfer", "fire n1 heartbeat")
    assert world["n1"].log.entries == [Entry(1, "x", MINE, 1)]


def test_a_patient_server_whose_entry_gives_way_passes_the_command_on() -> None:
    world = ask(led(client("c1", ("n1", "x")), no_op=True), "c1")
    world = hears(elect(world, "n2", "n3"), "n2", "n1")
    assert [each.term for each in world["n1"].log.entries] == [2]
    numbered = Forwarded(MINE, ClientRequest("x", 1))
    assert (world["n1"].kept, forwarded(world, "n1", "n2")) == ([numbered], 1)
    # Or it leads again itself, before the other has got it.
    assert elect(world, "n1", "n3")["n1"].log.entries[-1] == Entry(3, "x", MINE, 1)
    world = along(world, "deliver n1 -> n2 Forwarded")
    assert world["n2"].log.entries[-1] == Entry(2, "x", MINE, 1)
    assert answers(world, "c1") == []


# -- commands that await no answer ---------------------------------------------------------------


def posts(*servers: str) -> Any:
    for server in servers:
        yield post(server, ClientRequest("x"))


def test_a_post_to_a_server_that_does_not_lead_is_dropped() -> None:
    world = hears(elect(cluster(3, Script("c1", posts, "n2")), "n1", "n2"), "n1", "n2")
    before = len(world.in_flight)
    world = along(world, "invoke c1")
    # It changes nothing and says nothing, which is no choice.
    assert not any("deliver c1" in str(choice) for choice in world.choices())
    assert len(world.in_flight) == before + 1


def test_a_post_is_passed_on_once_and_kept_only_while_nobody_leads() -> None:
    world = along(led(Script("c1", posts, "n2", "n2")), "invoke c1", "deliver c1 -> n2")
    assert world["n2"].kept == [UNANSWERED]
    world = hears(world, "n1", "n2")
    assert (world["n2"].kept, forwarded(world, "n2", "n1")) == ([], 1)
    world = along(world, "invoke c1", "deliver c1 -> n2")
    assert (world["n2"].kept, forwarded(world, "n2", "n1")) == ([], 2)
    world = along(world, "deliver n2 -> n1 Forwarded")
    assert world["n1"].log.entries == [Entry(1, "x")]
    assert world["n1"].pending == {}


class Poster(Node):
    """A client that is a node, and awaits no answer."""

    def on_start(self, host: Host) -> None:
        host.send("n1", ClientRequest("x"))


def test_what_a_node_asks_without_a_number_is_dropped_where_it_is_not_served() -> None:
    servers = [RaftNode(name, machine=Journal(), no_op=False, **PLAIN) for name in ("n1", "n2")]
    world = World.of(*servers, Poster("c1"))
    assert not any("deliver c1" in str(choice) for choice in world.choices())
    world = along(world, "fire n1", "deliver n1 -> n2", "deliver n2 -> n1", "deliver c1 -> n1")
    assert world["n1"].log.entries == [Entry(1, "x")]


class Asker(Node):
    """A client that is a node: it numbers its commands."""

    answered: list[Answered] = []

    @action(when=lambda self: not self.answered)
    def ask(self, host: Host) -> None:
        host.send("n1", ClientRequest("x", 7))

    @on(Answered)
    def take(self, host: Host, sender: str, answer: Answered) -> None:
        self.answered.append(answer)


def test_a_node_is_answered_by_its_number_and_its_command_is_applied_once() -> None:
    servers = [RaftNode("n1", machine=Journal(), no_op=False, **PLAIN), Asker("c1")]
    world = along(World.of(*servers), "fire n1", "act c1", "act c1", "deliver c1 -> n1")
    assert world["n1"].log.entries == [Entry(1, "x", NodeOperation("c1", 7), 7)]
    world = along(world, "deliver c1 -> n1", "deliver n1 -> c1", "deliver n1 -> c1")
    assert (world["n1"].state, world["c1"].answered) == (("x",), [Answered(7, 1)] * 2)
