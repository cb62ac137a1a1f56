"""Disks that fail, and two small protocols that survive them: an election and a log that is copied.

The election shows what no node can notice by itself: writes, syncs or a whole disk that are gone.
It survives by asking more voters. The copied log shows what a node can notice, because a checksum
fails, and what it must make of that. What a disk may do is told in `happysim.core.disk`.
"""

from __future__ import annotations

from happysim import (
    Faults,
    Host,
    Network,
    Node,
    World,
    always,
    durable,
    message,
    on,
    reachable,
)

# -- an election ---------------------------------------------------------------------------------

VOTERS = ("v1", "v2", "v3")


@message
class AskVote: ...


@message
class Vote: ...


class Voter(Node):
    """Votes for the first candidate that asks, and for no other."""

    vote: str | None = durable(None)

    @on(AskVote)
    def asked(self, host: Host, sender: str, request: AskVote) -> None:
        if self.vote is None:
            self.vote = sender
        # What is promised must survive a crash before anyone may count on it.
        host.sync()
        if self.vote == sender:
            host.reply(Vote())


class Candidate(Node):
    """Is elected once `needs` voters have voted for it."""

    needs: int = 2
    votes: set[str] = set()

    def on_start(self, host: Host) -> None:
        host.broadcast(AskVote(), to=VOTERS)

    @on(Vote)
    def voted(self, host: Host, sender: str, vote: Vote) -> None:
        self.votes.add(sender)

    @property
    def is_elected(self) -> bool:
        return len(self.votes) >= self.needs


def election(
    needs: int = 2,
    voter: type[Voter] = Voter,
    faults: Faults | None = None,
    network: Network | None = None,
) -> World:
    return World.of(
        *map(voter, VOTERS),
        *(Candidate(name, needs) for name in ("a", "b")),
        faults=faults,
        network=network,
    )


def writes_may_be_lost() -> World:
    return election(faults=Faults(crashes=2, crashable=VOTERS, unsynced_loss=True))


def syncs_may_lie(needs: int = 3) -> World:
    return election(needs, faults=Faults(crashes=1, crashable=VOTERS, lies=1))


def a_disk_may_be_wiped(needs: int = 3) -> World:
    return election(needs, faults=Faults(crashes=1, crashable=VOTERS, wipes=1))


def a_disk_may_be_stale(needs: int = 3) -> World:
    return election(needs, faults=Faults(crashes=1, crashable=VOTERS, stales=1))


@always(writes_may_be_lost)
def at_most_one_is_elected(world: World) -> bool:
    return sum(node.is_elected for node in world.nodes(Candidate)) <= 1


@reachable(writes_may_be_lost)
def someone_is_elected(world: World) -> bool:
    return any(node.is_elected for node in world.nodes(Candidate))


# Two sets of all three voters have three voters in common, so one that forgets is not enough.
at_most_one_is_elected_though_a_sync_lied = at_most_one_is_elected.over(
    syncs_may_lie, "at_most_one_is_elected_though_a_sync_lied"
)
at_most_one_is_elected_though_a_disk_was_wiped = at_most_one_is_elected.over(
    a_disk_may_be_wiped, "at_most_one_is_elected_though_a_disk_was_wiped"
)
at_most_one_is_elected_though_a_disk_was_stale = at_most_one_is_elected.over(
    a_disk_may_be_stale, "at_most_one_is_elected_though_a_disk_was_stale"
)

# -- a log that is copied ------------------------------------------------------------------------

VALUES = ("x", "y")


@message
class Append:
    index: int
    value: str


@message
class Ack:
    length: int  # of the copy


@message
class Fetch: ...


@message
class Whole:
    log: tuple[str, ...]


class Primary(Node):
    """Sends each entry of its log until the copy has acknowledged it."""

    sends: int = 3  # how often it may send
    acked: int = 0

    def on_start(self, host: Host) -> None:
        host.set_timer("send", seconds=0.01)

    @on.timer("send")
    def send(self, host: Host) -> None:
        if self.sends and self.acked < len(VALUES):
            self.sends -= 1
            host.send("copy", Append(self.acked, VALUES[self.acked]))
            host.set_timer("send", seconds=0.01)

    @on(Ack)
    def acknowledged(self, host: Host, sender: str, ack: Ack) -> None:
        self.acked = max(self.acked, ack.length)

    @on(Fetch)
    def fetched(self, host: Host, sender: str, fetch: Fetch) -> None:
        # All of it: the copy may have acknowledged more than this node has heard of.
        host.reply(Whole(VALUES))


class Copy(Node):
    """Keeps a copy of the log on its disk, and looks at the disk before it trusts it.

    A torn record was never acknowledged: the log ends before it. A damaged one was, and shows that
    a write may have gone astray too: the whole log is fetched before it is trusted again.

    **Assumes** that the primary keeps its log, and a disk that loses no sync.
    """

    log: list[str] = durable([])
    is_trusted: bool = True

    def on_start(self, host: Host) -> None:
        for torn in host.torn[:1]:
            del self.log[int(torn[len("log[") : -1]) :]
        host.sync()
        if host.damaged:
            self.is_trusted = False
            host.send("primary", Fetch())

    @on(Append)
    def append(self, host: Host, sender: str, request: Append) -> None:
        if self.is_trusted:
            if request.index == len(self.log):
                self.log.append(request.value)
            host.set_timer("flush", seconds=0.01)

    @on.timer("flush")
    def flush(self, host: Host) -> None:
        """Group commit: one sync for all that has come meanwhile."""
        host.sync()
        host.send("primary", Ack(len(self.log)))

    @on(Whole)
    def fetched(self, host: Host, sender: str, whole: Whole) -> None:
        if not self.is_trusted:
            self.log = list(whole.log)
            host.sync()
            self.is_trusted = True


def copied(copy: type[Copy] = Copy, faults: Faults | None = None) -> World:
    return World.of(Primary("primary"), copy("copy"), faults=faults)


def writes_may_be_torn() -> World:
    return copied(faults=Faults(crashes=2, crashable=("copy",), unsynced_loss=True, tears=2))


def records_may_rot() -> World:
    return copied(faults=Faults(crashes=2, crashable=("copy",), rots=2))


def writes_may_go_astray() -> World:
    return copied(faults=Faults(crashes=2, crashable=("copy",), misdirects=2))


@always(writes_may_be_torn)
def a_trusted_copy_holds_what_it_acknowledged(world: World) -> bool | str:
    acked, copy = VALUES[: world["primary"].acked], world["copy"]
    if not copy.is_up or not copy.is_trusted or copy.log[: len(acked)] == list(acked):
        return True
    return f"the copy reads {copy.log}, where {list(acked)} is acknowledged"


@reachable(writes_may_be_torn)
def everything_is_acknowledged(world: World) -> bool:
    return world["primary"].acked == len(VALUES)


a_trusted_copy_holds_what_it_acknowledged_though_records_rot = (
    a_trusted_copy_holds_what_it_acknowledged.over(
        records_may_rot, "a_trusted_copy_holds_what_it_acknowledged_though_records_rot"
    )
)
a_trusted_copy_holds_what_it_acknowledged_though_writes_go_astray = (
    a_trusted_copy_holds_what_it_acknowledged.over(
        writes_may_go_astray, "a_trusted_copy_holds_what_it_acknowledged_though_writes_go_astray"
    )
)


@reachable(records_may_rot)
def a_copy_is_repaired(world: World) -> bool:
    """Everything was acknowledged, a record has rotted since, and the copy is whole again."""
    is_whole = world["copy"].log == list(VALUES) and world["copy"].is_trusted
    return is_whole and world.faults_left["rots"] < 2 and world["primary"].sends == 0
