"""Protocols that survive a node that lies: an echo broadcast, and an account.

Which lies there are is told in `happysim.core.byzantine`.
"""

from __future__ import annotations

from happysim import Host, Node, World, always, message, on, quiescent, reachable
from happysim.core.byzantine import byzantine

# -- echo broadcast ------------------------------------------------------------------------------


@message
class Init:
    value: int


@message
class Echo:
    value: int
    signer: str  # stands for a signature: nobody can sign for another


class Member(Node):
    """One of four members that deliver the same value, or none: consistent broadcast.

    **Source**: Bracha and Toueg 1985, the echo broadcast. **Assumes** that at most one of the four
    is Byzantine. Two sets of three members have two in common, and one of these two is honest.
    """

    source: str = "s"
    quorum: int = 3
    has_echoed: bool = False
    echoes: dict[int, set[str]] = {}
    delivered: int | None = None

    def on_start(self, host: Host) -> None:
        if host.name == self.source:
            host.broadcast(Init(2))
            self.echo(host, 2)

    @on(Init)
    def told(self, host: Host, sender: str, init: Init) -> None:
        if sender == self.source and not self.has_echoed:
            self.echo(host, init.value)

    def echo(self, host: Host, value: int) -> None:
        self.has_echoed = True
        self.heard(host, host.name, Echo(value, host.name))
        host.broadcast(Echo(value, host.name))

    @on(Echo)
    def heard(self, host: Host, sender: str, echo: Echo) -> None:
        if self.is_genuine(sender, echo) and self.delivered is None:
            self.echoes.setdefault(echo.value, set()).add(sender)
            if len(self.echoes[echo.value]) >= self.quorum:
                self.delivered = echo.value

    def is_genuine(self, sender: str, echo: Echo) -> bool:
        return sender == echo.signer


def another_value(message: Init | Echo, to: str) -> Init | Echo:
    """The same message with the other value."""
    if isinstance(message, Init):
        return Init(1 - message.value % 2)
    return Echo(1 - message.value % 2, message.signer)


def group(member: type[Member] = Member, **lies: int) -> World:
    """Four members, of which the source may lie."""
    liar = byzantine(member, mutate=another_value, **lies) if lies else member
    return World.of(liar("s"), *(member(name) for name in "abc"))


def the_source_says_two_things() -> World:
    return group(equivocates=4)


def the_source_speaks_for_others() -> World:
    return group(forges=1, equivocates=2)


def the_source_is_silent_to_one() -> World:
    return group(silent=2)


@always(the_source_says_two_things)
def no_two_members_deliver_different_values(world: World) -> bool:
    values = {node.delivered for node in world.nodes(Member) if node.name != "s"}
    return len(values - {None}) <= 1


@reachable(the_source_says_two_things)
def all_members_deliver_though_the_source_lied(world: World) -> bool:
    honest = [node for node in world.nodes(Member) if node.name != "s"]
    lied = world["s"].equivocates_left < 4  # type: ignore[attr-defined]
    return lied and all(node.delivered is not None for node in honest)


no_two_members_deliver_different_values_where_names_are_forged = (
    no_two_members_deliver_different_values.over(
        the_source_speaks_for_others,
        "no_two_members_deliver_different_values_where_names_are_forged",
    )
)


@quiescent(the_source_is_silent_to_one)
def whoever_was_told_delivers(world: World) -> bool:
    """The source keeps two messages back: all members still echo, or one was never told."""
    honest = [node for node in world.nodes(Member) if node.name != "s"]
    told = sum(node.has_echoed for node in honest)
    return told < 3 or all(node.delivered == 2 for node in honest)


# -- an account ----------------------------------------------------------------------------------


@message
class Deposit:
    number: int
    amount: int


class Payer(Node):
    """Pays in twice."""

    def on_start(self, host: Host) -> None:
        host.send("account", Deposit(1, 10))
        host.send("account", Deposit(2, 20))


class Account(Node):
    """Counts each deposit once, whoever repeats it."""

    seen: set[int] = set()
    balance: int = 0

    @on(Deposit)
    def deposit(self, host: Host, sender: str, deposit: Deposit) -> None:
        if deposit.number not in self.seen:
            self.seen.add(deposit.number)
            self.balance += deposit.amount


def the_payer_repeats_itself(account: type[Account] = Account) -> World:
    return World.of(byzantine(Payer, replays=1)("payer"), account("account"))


@always(the_payer_repeats_itself)
def no_deposit_counts_twice(world: World) -> bool:
    return world["account"].balance <= 30
