"""Who may ask what, and what a patient server keeps of its clients' requests, and for how long."""

from __future__ import annotations

from typing import Any

import pytest

from happysim import Host, Node, ProtocolError, Read, World
from happysim.core.script import Operation
from happysim.protocols import primary_backup
from happysim.protocols.chain import ChainServer, Query, Update, first_chain
from happysim.protocols.paxos import PaxosNode, Propose
from happysim.protocols.primary_backup import PrimaryBackupServer, first_view
from happysim.protocols.raft import RaftNode, ReadRequest
from happysim.protocols.requests import ClientRequest, Forwarded, keep, still_open


def asked(operation: Operation | None, command: str = "x") -> Forwarded:
    return Forwarded(operation, ClientRequest(command))


def test_what_awaits_an_answer_is_kept_once_whoever_leads() -> None:
    kept: list[Forwarded] = []
    for leader in (None, "n1", None):
        keep(kept, asked(Operation("c1", 1)), leader)
    assert kept == [asked(Operation("c1", 1))]


def test_what_awaits_no_answer_is_kept_while_nobody_leads() -> None:
    kept: list[Forwarded] = []
    keep(kept, asked(None), "n1")
    assert kept == []
    keep(kept, asked(None), None)
    assert kept == [asked(None)]


def test_an_operation_that_is_applied_settles_those_of_its_client_up_to_it() -> None:
    others = [asked(Operation("c1", 3)), asked(Operation("c2", 1)), asked(None)]
    settled = [asked(Operation("c1", 1)), asked(Operation("c1", 2))]
    assert still_open([*settled, *others], Operation("c1", 2)) == others


class Asker(Node):
    """A node that sends what awaits an answer to a script."""

    request: Any = None

    def on_start(self, host: Host) -> None:
        host.send("n1", self.request)


@pytest.mark.parametrize(
    ("server", "request_"),
    [
        (RaftNode("n1"), ReadRequest(Read())),
        (PaxosNode("n1"), Propose(1)),
        (ChainServer("n1", first_chain("n1")), Update(1)),
        (ChainServer("n1", first_chain("n1")), Query(1)),
        (PrimaryBackupServer("n1", first_view("n1")), primary_backup.ClientRequest(1)),
    ],
    ids=["raft read", "paxos", "chain update", "chain query", "primary"],
)
def test_a_node_may_not_ask_what_is_answered_to_scripts_alone(server: Node, request_: Any) -> None:
    world = World.of(server, Asker("m1", request_))
    kind = type(request_).__name__
    with pytest.raises(ProtocolError, match=f"n1: m1 sent {kind}; only a client script may"):
        world.choices()  # the request arrives in one of them
