"""Each fault of disks in turn, and what survives them: an election, a log, and a log that rejoins.

The election survives every fault of `MENU` that befalls one voter, for it asks all voters; so does
the copy of a log that asks for it anew at each restart. The copy of `properties/faults.py` asks
nobody, and says which faults it does not survive. In `properties/broken/bad_disks.py` and
`properties/broken/faults.py` each lacks one precaution.
"""

from __future__ import annotations

from typing import Any

from happysim import Faults, Host, Node, World, always, durable, message, on, ordered, reachable
from properties.faults import (
    VALUES,
    VOTERS,
    Ack,
    Append,
    AskVote,
    Candidate,
    Copy,
    Vote,
    Voter,
    copied,
)
from properties.faults import a_trusted_copy_holds_what_it_acknowledged as a_copy_can_be_trusted

# What may befall the disks of a run; all but the last need crashes to show.
MENU: dict[str, dict[str, Any]] = {
    "crash": {},
    "unsynced loss": {"unsynced_loss": True},
    "torn write": {"tears": 1},
    "lying sync": {"lies": 1},
    "wiped disk": {"wipes": 1},
    "stale disk": {"stales": 1},
    "bit rot": {"rots": 1},
    "misdirected write": {"misdirects": 1},
    # What does not fit is not synced.
    "full disk": {"unsynced_loss": True, "fills": 3},
    "upgrade": {},
}


def faults_of(fault: str, nodes: tuple[str, ...], crashes: int, later: type[Node]) -> Faults:
    """One fault of the menu, at these nodes; none where it has no name."""
    if not fault:
        return Faults()
    upgrades = tuple((name, later) for name in nodes) if fault == "upgrade" else ()
    return Faults(crashes=crashes, crashable=nodes, upgrades=upgrades, **MENU[fault])


# -- an election -----------------------------------------------------------------------------------


class Voter2(Node):
    """A later version of `Voter`, in which the vote has another name."""

    voted_for: str | None = durable(None)

    @classmethod
    def migrate(cls, fields: dict[str, Any]) -> dict[str, Any]:
        return {"voted_for": fields.get("vote")}

    @on(AskVote)
    def asked(self, host: Host, sender: str, request: AskVote) -> None:
        if self.voted_for is None:
            self.voted_for = sender
        host.sync()
        if self.voted_for == sender:
            host.reply(Vote())


def electing(
    fault: str = "full disk",
    needs: int = 3,
    voter: type[Voter] = Voter,
    later: type[Voter2] = Voter2,
) -> World:
    """All three voters may crash, and the disk of one may fail, or all be full."""
    faults = faults_of(fault, VOTERS, 3, later)
    candidates = [Candidate(name, needs) for name in ("a", "b")]
    return World.of(*map(voter, VOTERS), *candidates, faults=faults)


@always(electing)
def one_is_elected_at_the_most(world: World) -> bool:
    return sum(node.is_elected for node in world.nodes(Candidate)) <= 1


@reachable(electing)
def one_is_elected_though_a_disk_was_full(world: World) -> bool:
    elected = any(node.is_elected for node in world.nodes(Candidate))
    return elected and world.faults_left["fills"] == 0


# -- a log that is copied --------------------------------------------------------------------------


def copying(fault: str = "full disk", copy: type[Copy] = Copy) -> World:
    return copied(copy, faults_of(fault, ("copy",), 2, copy))


a_trusted_copy_holds_what_it_acknowledged = a_copy_can_be_trusted.over(copying)

# -- a copy that rejoins ---------------------------------------------------------------------------


@message
class Rejoin: ...


@message
class Known:
    log: tuple[str, ...]  # all that may have been acknowledged


class Leader(Node):
    """Sends one entry after the other, each until it is acknowledged."""

    sends: int = 3
    sent: int = 0
    acked: int = 0

    def on_start(self, host: Host) -> None:
        host.set_timer("send", seconds=0.01)

    @on.timer("send")
    def send(self, host: Host) -> None:
        if self.sends and self.acked < len(VALUES):
            self.sends -= 1
            self.sent = self.acked + 1
            host.send("copy", Append(self.acked, VALUES[self.acked]))
            host.set_timer("send", seconds=0.01)

    @on(Ack)
    def acknowledged(self, host: Host, sender: str, ack: Ack) -> None:
        self.acked = max(self.acked, ack.length)

    @on(Rejoin)
    def rejoined(self, host: Host, sender: str, request: Rejoin) -> None:
        host.reply(Known(VALUES[: self.sent]))


class Rejoiner(Node):
    """Keeps a copy of the log, and after a restart trusts none of it until it has asked.

    **Assumes** that a crash breaks its connections, so that no old answer comes.
    """

    has_joined: bool = durable(False)
    log: list[str] = durable([])
    is_trusted: bool = False

    def on_start(self, host: Host) -> None:
        self.is_trusted = self.may_trust(host)
        self.has_joined = self.has_joined or self.is_trusted
        host.sync()
        if not self.is_trusted:
            host.send("leader", Rejoin())

    def may_trust(self, host: Host) -> bool:
        return False

    @on(Known)
    def known(self, host: Host, sender: str, known: Known) -> None:
        if not self.is_trusted:
            self.log, self.is_trusted, self.has_joined = list(known.log), True, True
            host.sync()

    @on(Append)
    def append(self, host: Host, sender: str, request: Append) -> None:
        if self.is_trusted:
            if request.index == len(self.log):
                self.log.append(request.value)
            host.sync()
            host.reply(Ack(len(self.log)))


def rejoining(fault: str = "wiped disk", copy: type[Rejoiner] = Rejoiner) -> World:
    faults = faults_of(fault, ("copy",), 2, copy)
    return World.of(Leader("leader"), copy("copy"), faults=faults, network=ordered())


@always(rejoining)
def a_copy_that_rejoined_holds_what_it_acknowledged(world: World) -> bool:
    acked, copy = list(VALUES[: world["leader"].acked]), world["copy"]
    return not copy.is_up or not copy.is_trusted or copy.log[: len(acked)] == acked


@reachable(rejoining)
def a_copy_rejoins_and_goes_on(world: World) -> bool:
    is_back = world["copy"].is_trusted and world.faults_left["wipes"] == 0
    return is_back and world["leader"].acked == len(VALUES)
