"""The view service: it names a primary for each epoch, and never two.

**Source**, **Assumes**, **Deviates**: see `server.py`. The service is the configuration master of
Lamport, Malkhi and Zhou, PODC 2009, section 3.
"""

from __future__ import annotations

from happysim.core.errors import ProtocolError
from happysim.core.host import Host
from happysim.core.node import Node, durable, on
from happysim.protocols.primary_backup.messages import (
    CurrentView,
    Here,
    Mode,
    Place,
    Seal,
    Sealed,
    Settled,
    View,
    first_view,
)


class ViewService(Node):
    """Moves from view to view as servers seem to die and come back. The first is of all `servers`.

    Every `check_seconds` it pings all servers, and makes a new view if one of the newest view has
    not answered the last ping, or another server has. None turns that off. Servers and service are
    to have one `mode`.

    Raises `ProtocolError` where `servers` is empty or names one twice.
    """

    servers: tuple[str, ...]
    mode: Mode = Mode.SYNC
    check_seconds: float | None = 1.0

    epoch: int = durable(default=1)  # sealed, or being sealed
    view: View = durable(default=None)  # the newest
    settled: View = durable(default=None)  # the newest that has begun to answer clients
    sealed: dict[str, Place] = {}  # who has sealed `epoch`, and how far its log goes
    heard: set[str] = set()  # who has answered since the last ping

    def __post_init__(self) -> None:
        if not isinstance(self.servers, tuple):
            raise ProtocolError(f"{self.name}: servers={self.servers!r}; give a tuple of names")
        first = first_view(*self.servers)
        self.view, self.settled = self.view or first, self.settled or first

    def on_start(self, host: Host) -> None:
        """Nobody is suspected before a ping has gone unanswered."""
        self.heard = set(self.view.members)
        if self.check_seconds is not None:
            host.set_timer("check", seconds=self.check_seconds)

    # -- who is alive ----------------------------------------------------------------------------

    @on.timer("check")
    def check(self, host: Host) -> None:
        """Ping; or move to a new view, if the last ping says so; or go on with doing that."""
        if self.epoch > self.view.epoch:
            if self.is_enough():
                self.decide(host)
            else:
                host.broadcast(Seal(self.epoch), to=self.servers)
        elif self.heard != set(self.view.members):
            self.begin_epoch(host)
        else:
            self.heard = set()
            host.broadcast(self.news(), to=self.servers)
        if self.check_seconds is not None:
            host.set_timer("check", seconds=self.check_seconds)

    @on(Here)
    def hear(self, host: Host, server: str, answer: Here) -> None:
        """The server is up, or was a while ago: a late answer delays suspicion and no more."""
        self.heard.add(server)

    # -- from view to view -----------------------------------------------------------------------

    def begin_epoch(self, host: Host) -> None:
        """Have the older epochs sealed."""
        self.epoch += 1
        self.sealed = {}
        host.sync()
        host.broadcast(Seal(self.epoch), to=self.servers)

    @on(Sealed)
    def take_seal(self, host: Host, server: str, answer: Sealed) -> None:
        """Once all have answered there is nobody to wait for."""
        if answer.epoch == self.epoch > self.view.epoch:
            self.sealed = dict(sorted({**self.sealed, server: answer.last}.items()))
            if len(self.sealed) == len(self.servers):
                self.decide(host)

    def is_enough(self) -> bool:
        """Rule 3: whether each answered command is held by one who has sealed.

        It is on the primary of the settled view and on as many of its backups as the mode needs, so
        the primary will do, or so many backups that no such set is left out. In mode `ASYNC` any
        server of the view will do, and a command may be lost.
        """
        if self.mode is Mode.ASYNC:
            return any(server in self.sealed for server in self.settled.members)
        backups = len(self.settled.backups)
        needed = self.mode.backups_needed(backups)
        answering = sum(backup in self.sealed for backup in self.settled.backups)
        return self.settled.primary in self.sealed or answering > backups - needed

    def decide(self, host: Host) -> None:
        """Rule 3: the server with the newest log leads, and all others that answered back it up."""
        if not self.is_enough():
            return
        primary = self.next_primary([each for each in self.settled.members if each in self.sealed])
        backups = tuple(each for each in self.servers if each in self.sealed and each != primary)
        self.view = View(self.epoch, primary, backups)
        self.heard = set(self.view.members)
        self.sealed = {}
        host.sync()
        host.broadcast(self.news(), to=self.servers)

    def next_primary(self, candidates: list[str]) -> str:
        """Of those with the newest log, the first: the primary of before, if it is one of them."""
        return max(candidates, key=lambda server: self.sealed[server])

    def news(self) -> CurrentView:
        """What the servers are to know."""
        return CurrentView(self.view, self.view == self.settled)

    @on(Settled)
    def settle(self, host: Host, primary: str, news: Settled) -> None:
        """From now on the next view has to start from this one."""
        if news.epoch == self.view.epoch:
            self.settled = self.view
            host.sync()
            host.reply(self.news())
