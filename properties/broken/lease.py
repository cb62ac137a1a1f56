"""Leases in time: clients that trust their clock, and are wrong in a search, which knows no time.

The lock service of `properties/lock.py` trusts no clock, and a store that checks tokens needs none.
Here is what a client may conclude without such a store: that the lock is its own for some seconds
of its clock. How far clocks may drift before that is wrong is told by `margin`, in
docs/protocols/lock.md.
"""

from __future__ import annotations

from happysim import Host, Node, World, action, always, must_break, on
from happysim.protocols.lock import Acquire, LockGrant, LockServer


class TrustingClient(Node):
    """Takes the lock once, and believes that it has it until its timer rings."""

    hold_seconds: float = 9.0
    has_asked: bool = False
    is_late: bool = False  # its timer has rung
    believes: bool = False  # that the lock is its own

    @action(when=lambda self: not self.has_asked)
    def ask(self, host: Host) -> None:
        self.has_asked = True
        host.send("lock", Acquire("L", hold=1))
        self.asked(host)

    def asked(self, host: Host) -> None:
        """The lease cannot have begun before the request for it (Gray and Cheriton 1989)."""
        host.set_timer("hold", self.hold_seconds)

    @on(LockGrant)
    def hold(self, host: Host, sender: str, grant: LockGrant) -> None:
        if not self.believes and not self.is_late:
            self.granted(host)
            self.believes = True

    def granted(self, host: Host) -> None:
        """The timer runs already."""

    @on.timer("hold")
    def let_go(self, host: Host) -> None:
        self.is_late, self.believes = True, False


class CountsFromTheGrant(TrustingClient):
    """Its timer starts when the grant arrives: a slow message makes the lease seem longer."""

    def asked(self, host: Host) -> None:
        pass

    def granted(self, host: Host) -> None:
        host.set_timer("hold", self.hold_seconds)


def two_clients(
    kind: type[TrustingClient] = TrustingClient, hold_seconds: float = 9.0, lease: float = 5.0
) -> World:
    """A lease lasts for two rounds of the server's timer, of `lease` seconds each."""
    return World.of(
        LockServer("lock", lease_seconds=lease),
        kind("c1", hold_seconds=hold_seconds),
        kind("c2", hold_seconds=hold_seconds),
    )


def two_that_count_from_the_grant() -> World:
    return two_clients(CountsFromTheGrant)


@must_break
@always(two_clients)
def one_client_believes_to_have_the_lock(world: World) -> bool:
    return not all(client.believes for client in world.nodes(TrustingClient))


one_believes_counting_from_the_grant = must_break(
    one_client_believes_to_have_the_lock.over(
        two_that_count_from_the_grant, "one_believes_counting_from_the_grant"
    )
)
