"""The master of a chain: it takes failed servers out, and appends those that come back.

**Source**: van Renesse and Schneider, OSDI 2004, sections 3 and 3.2.

**Assumes**, **Deviates**: see `server.py`. How a failure is found is not the paper's matter:
anyone may say `Failed(server)`, and vouches for it. With `check_seconds` the master finds out by
itself, by pings. That is right where the time is long enough, and queries depend on it.
"""

from __future__ import annotations

from happysim.core.errors import ProtocolError
from happysim.core.host import Host
from happysim.core.node import Node, durable, on
from happysim.protocols.chain.messages import (
    Chain,
    CurrentChain,
    Failed,
    Hello,
    Here,
    Joined,
    first_chain,
)


class ChainMaster(Node):
    """Keeps the chain, which is made of `servers` at first; others in `spares` may join.

    Every `check_seconds` it pings all of them, and takes out who has not answered the last ping, or
    appends one that has and is not in the chain. None turns that off.

    Raises `ProtocolError` where `servers` is empty, or one is named twice.
    """

    servers: tuple[str, ...]
    spares: tuple[str, ...] = ()
    check_seconds: float | None = None

    chain: Chain = durable(default=None)  # the newest
    heard: set[str] = set()  # who has answered since the last ping

    def __post_init__(self) -> None:
        if not isinstance(self.servers, tuple):
            raise ProtocolError(f"{self.name}: servers={self.servers!r}; give a tuple of names")
        first = first_chain(*self.servers)
        if set(self.servers) & set(self.spares):
            raise ProtocolError(f"{self.name}: spares={self.spares!r} are in servers, too")
        self.chain = self.chain or first

    def on_start(self, host: Host) -> None:
        """Nobody is suspected before a ping has gone unanswered."""
        self.heard = set(self.chain.servers)
        if self.check_seconds is not None:
            host.set_timer("check", seconds=self.check_seconds)

    @on.timer("check")
    def check(self, host: Host) -> None:
        """Act on the answers to the last ping, and ping again."""
        failed = tuple(each for each in self.chain.servers if each not in self.heard)
        back = [each for each in self.everyone() if self.is_back(each)]
        self.heard = set()
        if failed:
            self.take_out(host, *failed)
        elif back:
            self.append(host, back[0])
        self.tell(host)
        if self.check_seconds is not None:
            host.set_timer("check", seconds=self.check_seconds)

    def everyone(self) -> tuple[str, ...]:
        """All servers that are, or may be, in the chain."""
        return (*self.servers, *self.spares)

    def is_back(self, server: str) -> bool:
        """Whether a server has been heard of that is not in the chain. One at a time joins."""
        is_out = server not in self.chain.servers
        return is_out and server in self.heard and not self.chain.joining

    def tell(self, host: Host) -> None:
        """Ping everyone, with the newest chain."""
        host.sync()
        host.broadcast(CurrentChain(self.chain), to=self.everyone())

    @on(Here)
    def hear(self, host: Host, server: str, answer: Here) -> None:
        """The server is up, or was a while ago."""
        self.heard.add(server)

    @on(Hello)
    def greet(self, host: Host, server: str, hello: Hello) -> None:
        """Tell a server that has restarted what it may have missed."""
        self.heard.add(server)
        host.reply(CurrentChain(self.chain, hello.life))

    @on(Failed)
    def take_report(self, host: Host, sender: str, report: Failed) -> None:
        """A server has stopped. It may come back, and join, without what it had."""
        self.heard.discard(report.server)
        if report.server in self.chain.servers:
            self.take_out(host, report.server)
            self.tell(host)

    def take_out(self, host: Host, *failed: str) -> None:
        """Section 3.2: the neighbours of a failed server become neighbours.

        The chain is kept where no server would be left that has all of the state.
        """
        left = tuple(each for each in self.chain.servers if each not in failed)
        if any(self.is_safe(each) for each in left):
            joining = tuple(entry for entry in self.chain.joining if entry[0] in left)
            self.chain = Chain(self.chain.epoch + 1, left, joining)

    def is_safe(self, server: str) -> bool:
        """Whether a server of the chain is known to have all of the state."""
        return not self.chain.since(server)

    def append(self, host: Host, server: str) -> None:
        """Section 3.2: a new server becomes the tail."""
        epoch = self.chain.epoch + 1
        self.chain = Chain(epoch, (*self.chain.servers, server), ((server, epoch),))

    @on(Joined)
    def take_joined(self, host: Host, server: str, news: Joined) -> None:
        """The state is on one server more. That is no new epoch: nobody's place changes."""
        if (server, news.since) in self.chain.joining:
            self.chain = Chain(self.chain.epoch, self.chain.servers)
            host.sync()
