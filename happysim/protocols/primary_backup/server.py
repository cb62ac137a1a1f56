"""A server of a primary and its backups: commands run in one order, and enough servers hold each.

**Source**: Alsberg and Day, *A principle for resilient sharing of distributed resources*, ICSE
1976 (the primary orders updates, and answers when a backup has them); Lamport, Malkhi and Zhou,
*Vertical Paxos and primary-backup replication*, PODC 2009 (a master moves from view to view; a new
view starts from the last one that was activated, here *settled*).

**Assumes**: messages may be lost, delayed, reordered and copied. Servers crash, and restart with
what they have synced to disk. The view service is one node with a disk: while it is down the view
stays what it is. Nobody's clock is trusted: the service may take a live server for dead. In mode
`ASYNC` nothing keeps an answered command from being lost with its primary.

**Deviates**:
- The service is one node where Vertical Paxos replicates its master.
- Backups apply an entry when they take it on, and do not wait to hear that it is on all of them.
  What a deposed primary took on and nobody else has is then in its state; it is given a snapshot
  of its successor's, and no log is ever cut.
- Every command goes through the log, reads too. So a deposed primary cannot answer a read either.
- A client that gets no answer, or `NotPrimary`, asks another server; that is another command.

Three rules carry the proof, and each has a broken variant in `properties/broken`:

1. A server that has sealed epoch e, or heard of it, obeys no primary of an epoch before e.
2. A primary answers a command when enough backups of its view (`Mode`) have it, and only in a view
   that is settled.
3. The next primary is the one with the newest log among servers of the last settled view, enough of
   them to have at least one that holds each answered command.
"""

from __future__ import annotations

from typing import Any

from happysim.core.errors import ProtocolError
from happysim.core.host import Host
from happysim.core.node import Node, durable, on
from happysim.core.script import Operation
from happysim.protocols.machine import Journal, Machine
from happysim.protocols.primary_backup.messages import (
    ClientRequest,
    Confirm,
    CurrentView,
    Entry,
    Here,
    Mode,
    NotPrimary,
    Place,
    Replicate,
    Retired,
    Seal,
    Sealed,
    Session,
    Settled,
    Snapshot,
    View,
)
from happysim.protocols.requests import operation_of_script

START: Place = (0, 0)


class PrimaryBackupServer(Node):
    """A primary or a backup, by the newest `view` that it has heard of; `first_view` makes one.

    `log_max` entries are kept to bring a backup up to date; one that lacks more gets a snapshot.
    The resend timer is set exactly while this server is primary and something is unconfirmed.

    Raises `ProtocolError` where `log_max` is negative.
    """

    view: View = durable()
    mode: Mode = Mode.SYNC
    service: str = "views"
    machine: Machine = Journal()
    log_max: int = 100
    resend_seconds: float = 0.5

    # What a backup holds; `base` is the place before the first entry of `log`.
    epoch: int = durable(default=0)  # the newest heard of
    joined: int = durable(default=1)  # in this epoch the log became a part of its primary's
    base: Place = durable(default=START)
    last: Place = durable(default=START)
    log: list[Entry] = durable(default=[])
    state: Any = durable(default=None)
    sessions: dict[str, Session] = durable(factory=dict)

    # Of a primary. `start`: the number its log had when it began; `answered`: up to here it has.
    is_settled: bool = durable(default=True)
    start: int = 0
    answered: int = 0
    confirmed: dict[str, Place] = {}
    is_resending: bool = False  # whether the resend timer is set

    def __post_init__(self) -> None:
        if self.log_max < 0:
            raise ProtocolError(f"{self.name}: log_max={self.log_max}; give 0 or more")
        self.epoch = max(self.epoch, self.view.epoch)
        if self.state is None:
            self.state = self.machine.initial

    @property
    def is_primary(self) -> bool:
        """Whether this server may order commands: it leads the newest epoch it has heard of."""
        return self.view.primary == self.name and self.view.epoch == self.epoch

    @property
    def number(self) -> int:
        """How many commands have been applied here."""
        return self.last[1]

    def on_start(self, host: Host) -> None:
        """After a restart nobody remembers what the backups have confirmed."""
        if self.is_primary:
            self.begin(host)

    # -- the primary: commands -------------------------------------------------------------------

    @on(ClientRequest)
    def serve(self, host: Host, client: str, request: ClientRequest) -> None:
        """Put a command into the log, once, and offer it to every backup."""
        asked = operation_of_script(host, client, request)
        session = self.sessions.get(asked.client)
        if not self.is_primary:
            host.respond(NotPrimary(None if self.view.primary == self.name else self.view.primary))
        elif session is None or session.operation < asked.number:
            previous = self.last
            entry = Entry((self.epoch, self.number + 1), request.command, asked)
            self.apply(entry)
            self.persist(host)
            host.broadcast(Replicate(self.epoch, previous, (entry,)), to=self.view.backups)
            self.answer(host)
        elif session.operation == asked.number and self.may_answer(session):
            host.respond(session.result)

    def may_answer(self, session: Session) -> bool:
        """Rule 2, for a request that is asked again."""
        return session.number <= self.answered

    def apply(self, entry: Entry) -> None:
        """Apply the next entry. Its result is kept for the client, which may ask again."""
        self.state, result = self.machine.apply(self.state, entry.command)
        session = Session(entry.operation.number, entry.place[1], result)
        # By client: in which order clients came first is no part of the state.
        self.sessions = dict(sorted({**self.sessions, entry.operation.client: session}.items()))
        self.last = entry.place
        self.log.append(entry)
        while len(self.log) > self.log_max:
            self.base = self.log.pop(0).place

    def answer(self, host: Host) -> None:
        """Rule 2: answer what enough backups have. The view is settled first."""
        self.keep_resending(host)
        if not self.is_settled and self.is_on_enough(self.start):
            host.send(self.service, Settled(self.epoch))
        if not self.may_serve():
            return
        before = self.answered
        while self.answered < self.number and self.is_on_enough(self.answered + 1):
            self.answered += 1
        for client, session in self.sessions.items():
            if before < session.number <= self.answered:
                host.respond(session.result, to=Operation(client, session.operation))

    def may_serve(self) -> bool:
        """Rule 2: the next view starts from a settled one, and forgets what others answered."""
        return self.is_settled

    def is_on_enough(self, number: int) -> bool:
        """Whether enough backups have the log up to that number."""
        holders = sum(place[1] >= number for place in self.confirmed.values())
        return holders >= self.mode.backups_needed(len(self.view.backups))

    # -- the primary: backups that lag -----------------------------------------------------------

    def keep_resending(self, host: Host) -> None:
        """Have the resend timer set exactly while something is unconfirmed.

        Not while it runs: set anew by every command, it would never fire.
        """
        lags = any(self.confirmed.get(each) != self.last for each in self.view.backups)
        if not lags and self.is_settled:
            self.stop_resending(host)
        elif not self.is_resending:
            self.is_resending = True
            host.set_timer("resend", seconds=self.resend_seconds)

    def stop_resending(self, host: Host) -> None:
        """Nothing is unconfirmed, or it is another's affair by now."""
        self.is_resending = False
        host.cancel_timer("resend")

    @on.timer("resend")
    def resend(self, host: Host) -> None:
        """Whatever was lost: offer each backup what it has not confirmed."""
        self.is_resending = False
        for backup in self.view.backups:
            if self.confirmed.get(backup) != self.last:
                self.catch_up(host, backup)
        self.answer(host)

    def catch_up(self, host: Host, backup: str) -> None:
        """Send a backup the rest of the log; ask one that was not heard of yet where it is."""
        place = self.confirmed.get(backup, self.last)
        if self.holds(place):
            host.send(backup, Replicate(self.epoch, place, self.after(place)))
        else:
            self.send_snapshot(host, backup)

    def send_snapshot(self, host: Host, backup: str) -> None:
        """For a backup that is at no place of this log: behind it, or off it."""
        sessions = tuple(self.sessions.items())
        host.send(backup, Snapshot(self.epoch, self.last, self.state, sessions))

    def after(self, place: Place) -> tuple[Entry, ...]:
        """The entries behind a place of this log."""
        return tuple(entry for entry in self.log if entry.place > place)

    def holds(self, place: Place) -> bool:
        """Whether the log has an entry at that place, or begins right behind it."""
        return place in (self.base, *(entry.place for entry in self.log))

    @on(Confirm)
    def take_confirm(self, host: Host, backup: str, confirm: Confirm) -> None:
        """Note how far a backup is. One that is at no place of this log needs a snapshot."""
        self.observe(host, confirm.epoch)
        if confirm.epoch != self.epoch or not self.is_primary:
            return
        if not self.holds(confirm.last):
            self.send_snapshot(host, backup)
            return
        is_new = backup not in self.confirmed
        self.confirmed[backup] = max(confirm.last, self.confirmed.get(backup, START))
        self.confirmed = dict(sorted(self.confirmed.items()))
        if is_new and confirm.last < self.last:
            self.catch_up(host, backup)
        self.answer(host)

    # -- a backup --------------------------------------------------------------------------------

    @on(Replicate)
    def take_entries(self, host: Host, primary: str, request: Replicate) -> None:
        """Apply the entries that follow what is here, in order, and say how far that is."""
        if self.is_stale(host, primary, request.epoch):
            return
        entries = self.next_of(request)
        if entries is not None:
            for entry in entries:
                self.apply(entry)
            self.joined = self.epoch
        self.confirm(host, primary, request.epoch)

    def next_of(self, request: Replicate) -> tuple[Entry, ...] | None:
        """The entries that come right behind the last one here; None where there is a gap.

        Once this log is a part of the primary's, places in it are in order. Before that, a place
        that is not in the request may be one of a deposed primary.
        """
        places = (request.previous, *(entry.place for entry in request.entries))
        if self.last in places:
            return request.entries[places.index(self.last) :]
        if self.joined == self.epoch and self.last > places[-1]:
            return ()  # a late copy
        return None

    @on(Snapshot)
    def take_snapshot(self, host: Host, primary: str, snapshot: Snapshot) -> None:
        """Take over the primary's state. A late one must not take back what was confirmed."""
        if self.is_stale(host, primary, snapshot.epoch):
            return
        if not self.is_late(snapshot):
            self.base = self.last = snapshot.last
            self.log.clear()
            self.state, self.sessions = snapshot.state, dict(snapshot.sessions)
            self.joined = self.epoch
        self.confirm(host, primary, snapshot.epoch)

    def is_late(self, snapshot: Snapshot) -> bool:
        """Whether the log here is a part of the primary's already, and goes at least as far."""
        return self.joined == self.epoch and self.last >= snapshot.last

    def confirm(self, host: Host, primary: str, epoch: int) -> None:
        """Say how far this log goes, once it is on disk."""
        self.persist(host)
        host.send(primary, Confirm(epoch, self.last))

    def persist(self, host: Host) -> None:
        """What was taken on is on disk before anybody counts on it."""
        host.sync()

    # -- views -----------------------------------------------------------------------------------

    def is_stale(self, host: Host, primary: str, epoch: int) -> bool:
        """Rule 1: who was deposed is told so, and not obeyed."""
        if epoch < self.epoch:
            host.send(primary, Retired(self.epoch))
            return True
        self.observe(host, epoch)
        return False

    def observe(self, host: Host, epoch: int) -> None:
        """Rule 1: there is a newer epoch, so an older view is over."""
        if epoch > self.epoch:
            self.epoch = epoch
            self.answered, self.confirmed = 0, {}
            self.stop_resending(host)
            host.sync()

    @on(Retired)
    def retire(self, host: Host, sender: str, news: Retired) -> None:
        """Rule 1, for a primary."""
        self.observe(host, news.epoch)

    @on(Seal)
    def seal(self, host: Host, service: str, request: Seal) -> None:
        """Rule 1: promise, and say how new the log here is."""
        self.observe(host, request.epoch)
        host.sync()
        host.send(service, Sealed(self.epoch, self.last))

    @on(CurrentView)
    def take_view(self, host: Host, service: str, news: CurrentView) -> None:
        """Take the part that the newest view gives to this server."""
        is_new = news.view.epoch > self.view.epoch and news.view.epoch >= self.epoch
        if is_new:
            self.observe(host, news.view.epoch)
            self.view, self.is_settled = news.view, news.is_settled
        if news.view == self.view and news.is_settled:
            self.is_settled = True
        host.sync()
        host.send(service, Here())
        if is_new and self.is_primary:
            self.begin(host)
        elif self.is_primary:
            self.answer(host)

    def begin(self, host: Host) -> None:
        """Start to lead, or go on after a restart: ask each backup where it is."""
        self.joined, self.start, self.answered = self.epoch, self.number, 0
        host.sync()
        if (self.epoch, self.number) == (1, 0):
            self.confirmed = dict.fromkeys(sorted(self.view.backups), START)
        for backup in self.view.backups:
            if backup not in self.confirmed:
                self.catch_up(host, backup)
        self.answer(host)
