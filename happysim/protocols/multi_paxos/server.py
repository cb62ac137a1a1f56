"""A server of Multi-Paxos: one leader proposes for one slot after the other, and all apply them.

**Source**: Lamport, *Paxos made simple*, 2001, section 3 (S3 below: phase 1 once for all slots,
no-ops for gaps); van Renesse and Altinbuken, *Paxos made moderately complex*, 2015 (leaders that
give way, commands applied once); Howard, Malkhi and Spiegelman, *Flexible Paxos*, 2016 (what a
quorum of each phase has to be).

**Assumes**: messages may be lost, delayed, reordered and copied. Servers crash, and restart with
what they have synced to disk. The set of servers does not change. A client has one command open at
a time, and numbers its commands; the host's operations see to both.

**Deviates**:
- Every server is proposer, acceptor and learner. A server that hears of a higher ballot promises
  it, whatever the message, and stops to lead or stand. So one number is its promise and its ballot.
- Slots are applied in order, and a server counts as chosen what lies before all gaps. How far it
  knows that is on disk: a restarted server, or a new leader, goes on from there.
- The leader is the learner. Others learn how far the log is chosen with each Accept and Heartbeat;
  what they did not accept under that very ballot, they ask for (`Missing`).
- A leader that gets nothing chosen for a time gives way. (Who is heard and hears nobody would keep
  all others from leading.)
- Lost Accepts are sent again with each heartbeat, a lost Prepare is made up for by the next one.
- Whichever leader learns that a command is chosen answers it. A client whose command gives way to
  another in some log is told so (`Overwritten`).
- Reads go through the log, as other commands do. No leases, no bound on open slots, no snapshots,
  no change of the set of servers.
"""

from __future__ import annotations

import enum
from collections.abc import Collection
from dataclasses import InitVar, replace
from typing import Any

from happysim.core.errors import ProtocolError
from happysim.core.host import Host
from happysim.core.node import Node, durable, on
from happysim.core.quorums import Quorums, disjoint, majority, sizes
from happysim.core.script import Operation
from happysim.core.topology import Network
from happysim.protocols.ballot import NO_BALLOT, Ballot
from happysim.protocols.machine import Answers, Journal, Machine, execute, is_service, recall
from happysim.protocols.multi_paxos import clients
from happysim.protocols.multi_paxos.messages import (
    Accept,
    Accepted,
    Chosen,
    Entry,
    Heartbeat,
    Missing,
    Prepare,
    Promise,
    Rejected,
)
from happysim.protocols.requests import ClientRequest, Forwarded, NotLeader, answer, operation_of

# After so many elections in vain the pause before the next one does not grow any more.
_DOUBLINGS_MAX = 6


class Role(enum.StrEnum):
    """What a server is at present."""

    FOLLOWER = "follower"
    CANDIDATE = "candidate"
    LEADER = "leader"


class MultiPaxosNode(Node):
    """A server. All of a world form one cluster, unless `peers` names the others.

    `machine` is what the log drives. Timeouts are in seconds; the pause between elections is a draw
    from a range that grows. `heartbeat_seconds=None` turns heartbeats off, and with them the
    repetition of lost messages. An exhaustive search wants it so, except on a duplicating network:
    heartbeats in flight have no bound.

    A server that does not lead refuses what clients ask, and names the leader. With `patient` it
    keeps a request until it has applied it: it waits for a leader, passes the request on, and tells
    the next one where that one fails. A `machine` may be a Service (`happysim.protocols.machine`).
    `network`, where given, is asked to `join(self)`.

    A leader that has proposed, and for `progress_seconds` learns of no choice, gives way: others
    may hear it, and stay quiet, and it not hear them. None turns that off.

    `phase_1` and `phase_2` say which sets of servers elect a leader, and which choose a command: by
    default a majority; a number is any so many servers. See `flexible_paxos`.

    Raises `ProtocolError` where `peers` names this server or one twice, where heartbeats are too
    slow, and where a quorum of phase 1 and one of phase 2 need not meet.
    """

    machine: Machine = Journal()
    peers: tuple[str, ...] | None = None
    election_seconds: tuple[float, float] = (0.15, 0.3)
    heartbeat_seconds: float | None = 0.05
    progress_seconds: float | None = 1.0
    phase_1: Quorums | int | None = None
    phase_2: Quorums | int | None = None
    patient: bool = False
    network: InitVar[Network | None] = None

    # Acceptor: the ballot promised (a leader's or candidate's own), and what was accepted, by slot.
    ballot: Ballot = durable(default=NO_BALLOT)
    log: list[Entry | None] = durable(default=[])

    # Learner: every slot up to `chosen` is chosen, and applied. `sessions`: per client, the number
    # of its last command, and the result. `held`: what a patient server has not applied yet.
    chosen: int = durable(default=0)
    state: Any = None
    sessions: dict[str, tuple[int, Any]] = {}
    held: list[Forwarded] = []

    role: Role = Role.FOLLOWER
    leader: str | None = None
    attempts: int = 0

    # Of a candidate: who has promised, and the highest proposals reported. Of a leader: who has
    # accepted, by slot that is not known to be chosen.
    promised_by: set[str] = set()
    reported: dict[int, Entry] = {}
    accepted_by: dict[int, set[str]] = {}

    def __post_init__(self, network: Network | None) -> None:
        peers = self.peers or ()
        if self.name in peers or len(set(peers)) < len(peers):
            raise ProtocolError(
                f"{self.name}: peers={peers!r} has to name each of the other servers, once"
            )
        beat, patience = self.heartbeat_seconds, self.election_seconds[0]
        if beat is not None and beat >= patience:
            raise ProtocolError(
                f"{self.name}: heartbeat_seconds={beat} lets followers time out; "
                f"make it less than the {patience} of election_seconds"
            )
        if self.peers is not None:
            self.check_quorums((self.name, *self.peers))
        elif isinstance(self.phase_1, Quorums) and isinstance(self.phase_2, Quorums):
            self.check_meeting(self.phase_1, self.phase_2)
        if network is not None:
            network.join(self)

    @property
    def is_leader(self) -> bool:
        """True while this server leads its ballot."""
        return self.role is Role.LEADER

    # -- who is there --------------------------------------------------------------------------

    def others(self, host: Host) -> tuple[str, ...]:
        """The rest of the cluster."""
        return host.peers if self.peers is None else self.peers

    def is_quorum(self, host: Host, phase: Quorums | int | None, servers: Collection[str]) -> bool:
        """Whether these servers are enough for that phase."""
        if isinstance(phase, Quorums):
            return phase.holds(servers)
        needed = (len(self.others(host)) + 1) // 2 + 1 if phase is None else phase
        return len(servers) >= needed

    def check_quorums(self, servers: tuple[str, ...]) -> None:
        """Flexible Paxos: every quorum of phase 1 meets every quorum of phase 2, or we refuse."""
        systems = [quorums_of(phase, servers) for phase in (self.phase_1, self.phase_2)]
        for number, system in enumerate(systems, 1):
            strangers = [name for name in system.nodes if name not in servers]
            if strangers:
                raise ProtocolError(
                    f"{self.name}: phase_{number} names {', '.join(strangers)}, not in the "
                    f"cluster of {', '.join(sorted(servers))}"
                )
        self.check_meeting(*systems)

    def check_meeting(self, phase_1: Quorums, phase_2: Quorums) -> None:
        """Raise `ProtocolError` with two quorums that do not meet."""
        found = disjoint(phase_1, phase_2)
        if found is not None:
            one, other = ("{" + ", ".join(quorum) + "}" for quorum in found)
            raise ProtocolError(
                f"{self.name}: a new leader elected by {one} may not hear what {other} chose; "
                "make every quorum of phase_1 meet every quorum of phase_2"
            )

    def at(self, slot: int) -> Entry | None:
        """What this server has accepted for a slot, if anything."""
        return self.log[slot - 1] if slot <= len(self.log) else None

    def persist(self, host: Host) -> None:
        """Promise and proposals are on disk before anyone hears of them."""
        host.sync()

    def send(self, host: Host, to: str, sent: Any) -> None:
        """Send to another server."""
        self.persist(host)
        host.send(to, sent)

    def send_all(self, host: Host, sent: Any) -> None:
        """Send to every other server."""
        for peer in self.others(host):
            self.send(host, peer, sent)

    # -- starting, and giving way --------------------------------------------------------------

    def on_start(self, host: Host) -> None:
        """Servers start as followers. What is known to be chosen is applied again after a crash."""
        self.check_quorums((host.name, *self.others(host)))
        self.state = self.machine.initial
        for slot in range(1, self.chosen + 1):
            self.apply(slot)
        self.set_election_timer(host)

    def set_election_timer(self, host: Host) -> None:
        """Rivals must not overtake each other for ever: the pause is random, and grows."""
        shortest, longest = self.election_seconds
        host.set_timer("election", (shortest, longest * 2 ** min(self.attempts, _DOUBLINGS_MAX)))

    def observe(self, host: Host, ballot: Ballot) -> bool:
        """Promise a higher ballot, and give way to it; False for one below what was promised."""
        if ballot > self.ballot:
            self.ballot = ballot
            self.become_follower(host)
        return ballot >= self.ballot

    def become_follower(self, host: Host) -> None:
        """Whatever this server was, it now waits for a leader, and not for ever."""
        self.role, self.leader = Role.FOLLOWER, None
        self.promised_by, self.reported, self.accepted_by = set(), {}, {}
        host.cancel_timer("heartbeat")
        host.cancel_timer("round")
        host.cancel_timer("progress")
        self.set_election_timer(host)

    @on.timer("progress")
    def resign(self, host: Host) -> None:
        """A leader that cannot get anything chosen must not keep others from it."""
        self.become_follower(host)

    def set_progress_timer(self, host: Host) -> None:
        """Set anew with each choice, and only while something is open."""
        if self.progress_seconds is not None and self.accepted_by:
            host.set_timer("progress", self.progress_seconds)
        else:
            host.cancel_timer("progress")

    def obey(self, host: Host, sender: str, ballot: Ballot) -> bool:
        """Whether the sender leads the highest ballot heard of. Else it is told which that is."""
        if not self.observe(host, ballot):
            self.send(host, sender, Rejected(self.ballot))
            return False
        is_new = self.leader != sender
        self.leader, self.attempts = sender, 0
        self.set_election_timer(host)
        if is_new:
            clients.pass_on(self, host)
        return True

    @on(Rejected)
    def give_way(self, host: Host, sender: str, rejected: Rejected) -> None:
        """A leader or candidate whose ballot has been overtaken gives way."""
        self.observe(host, rejected.ballot)

    # -- phase 1, for all slots (S3) -----------------------------------------------------------

    @on.timer("election")
    def stand(self, host: Host) -> None:
        """Phase 1a: no leader is heard of. Ask for a ballot of one's own, and what was accepted."""
        self.ballot = Ballot(self.ballot.round + 1, host.name)
        self.role, self.leader = Role.CANDIDATE, None
        self.promised_by, self.reported = set(), {}
        self.attempts += 1
        self.set_election_timer(host)
        # This server's own word counts too, and so has to be on disk.
        self.persist(host)
        self.send_all(host, Prepare(self.ballot, self.chosen + 1))
        self.take_promise(host, host.name, self.promise_from(self.chosen + 1))

    @on(Prepare)
    def promise(self, host: Host, sender: str, request: Prepare) -> None:
        """Phase 1b: promise, and report what was accepted for the slots asked for."""
        if self.observe(host, request.ballot):
            self.send(host, sender, self.promise_from(request.first))
        else:
            self.send(host, sender, Rejected(self.ballot))

    def promise_from(self, first: int) -> Promise:
        """The promise of the present ballot, with all that was accepted from the slot on."""
        slots = range(first, len(self.log) + 1)
        held = [(slot, entry) for slot in slots if (entry := self.at(slot)) is not None]
        return Promise(self.ballot, tuple(held))

    @on(Promise)
    def take_promise(self, host: Host, sender: str, promise: Promise) -> None:
        """A quorum of promises of its present ballot makes a candidate the leader, once."""
        if self.role is not Role.CANDIDATE or promise.ballot != self.ballot:
            return
        self.promised_by.add(sender)
        for slot, entry in promise.entries:
            known = self.reported.get(slot)
            if known is None or entry.ballot > known.ballot:
                self.reported[slot] = entry
        # By slot: in which order they were reported is no part of the state.
        self.reported = dict(sorted(self.reported.items()))
        if self.is_quorum(host, self.phase_1, self.promised_by):
            self.lead(host)

    def lead(self, host: Host) -> None:
        """S3: propose again what was reported, under the new ballot, and no-ops in the gaps."""
        reported, self.reported, self.promised_by = self.reported, {}, set()
        self.role, self.leader, self.attempts = Role.LEADER, host.name, 0
        host.cancel_timer("election")
        for slot in range(self.chosen + 1, max(reported, default=0) + 1):
            entry = reported.get(slot, Entry(self.ballot))
            self.propose(host, slot, replace(entry, ballot=self.ballot))
        clients.pass_on(self, host)
        self.set_round_timer(host)
        if self.heartbeat_seconds is not None:
            self.beat(host)

    # -- clients -------------------------------------------------------------------------------

    @on(ClientRequest)
    def serve(self, host: Host, client: str, request: ClientRequest) -> None:
        """S3: the leader gives a command the next slot. A command is applied once."""
        clients.take(self, host, operation_of(host, client, request), request)

    @on(Forwarded)
    def serve_forwarded(self, host: Host, sender: str, passed_on: Forwarded) -> None:
        """What a client has asked of another server."""
        clients.take(self, host, passed_on.operation, passed_on.request)

    def refuse(self, host: Host, operation: Operation) -> None:
        """A server that does not lead says so, and who does."""
        answer(host, NotLeader(self.leader), operation)

    # -- phase 2, for one slot -----------------------------------------------------------------

    def propose(self, host: Host, slot: int, entry: Entry) -> None:
        """Phase 2a: accept it oneself, and ask the others to."""
        self.keep(host, slot, entry)
        self.persist(host)
        is_first = not self.accepted_by
        self.accepted_by[slot] = {host.name}
        if is_first:
            self.set_progress_timer(host)
        self.send_all(host, Accept(slot, entry, self.chosen))
        self.advance(host)

    def keep(self, host: Host, slot: int, entry: Entry) -> None:
        """Accept an entry for a slot. The client of one that gives way is told."""
        self.log += [None] * (slot - len(self.log))
        given_way = self.log[slot - 1]
        self.log[slot - 1] = entry
        if given_way is None or given_way.operation in (None, entry.operation):
            return
        clients.overwrite(self, host, given_way)

    @on(Accept)
    def accept(self, host: Host, sender: str, request: Accept) -> None:
        """Phase 2b: accept, unless a higher ballot was promised."""
        ballot = request.entry.ballot
        if not self.obey(host, sender, ballot):
            return
        self.keep(host, request.slot, request.entry)
        self.send(host, sender, Accepted(ballot, request.slot))
        self.learn(host, ballot, request.chosen)

    @on(Accepted)
    def take_accepted(self, host: Host, sender: str, accepted: Accepted) -> None:
        """A quorum that accepted one slot's entry under one ballot has chosen it."""
        waiting = self.accepted_by.get(accepted.slot)
        if accepted.ballot == self.ballot and waiting is not None:
            waiting.add(sender)
            self.advance(host)

    def advance(self, host: Host) -> None:
        """Apply what is chosen, in order of slots; what is chosen behind a gap waits for it."""
        before = self.chosen
        while self.is_quorum(host, self.phase_2, self.accepted_by.get(self.chosen + 1, ())):
            self.commit(host)
        if self.chosen > before:
            self.set_progress_timer(host)

    # -- learning ------------------------------------------------------------------------------

    @on.timer("heartbeat")
    def beat(self, host: Host) -> None:
        """Keep others from standing, and make up for what was lost."""
        self.send_all(host, Heartbeat(self.ballot, self.chosen))
        for slot, servers in self.accepted_by.items():
            for peer in self.others(host):
                entry = self.at(slot)
                if peer not in servers and entry is not None:
                    self.send(host, peer, Accept(slot, entry, self.chosen))
        if self.heartbeat_seconds is not None:
            host.set_timer("heartbeat", self.heartbeat_seconds)

    @on(Heartbeat)
    def follow(self, host: Host, sender: str, beat: Heartbeat) -> None:
        """There is a leader, and it knows how far the log is chosen."""
        if self.obey(host, sender, beat.ballot):
            self.learn(host, beat.ballot, beat.chosen)

    def learn(self, host: Host, ballot: Ballot, chosen: int) -> None:
        """Commit what the leader knows to be chosen, as far as this server has the same entries.

        They are if they are of its ballot. An older one may have given way to another.
        """
        while self.chosen < chosen and self.is_of(self.chosen + 1, ballot):
            self.commit(host)
        if self.chosen < chosen:
            self.send(host, ballot.name, Missing(self.chosen))

    def is_of(self, slot: int, ballot: Ballot) -> bool:
        """Whether the entry there is what the leader of that ballot proposed."""
        entry = self.at(slot)
        return entry is not None and entry.ballot == ballot

    @on(Missing)
    def tell(self, host: Host, sender: str, question: Missing) -> None:
        """Whoever knows more about what was chosen tells it, leader or not."""
        if question.chosen < self.chosen:
            entries = tuple(entry for entry in self.log[question.chosen : self.chosen] if entry)
            self.send(host, sender, Chosen(question.chosen + 1, entries))

    @on(Chosen)
    def catch_up(self, host: Host, sender: str, news: Chosen) -> None:
        """Take over what was chosen. An entry of a higher ballot is the same command already."""
        for slot, entry in enumerate(news.entries, news.first):
            if slot == self.chosen + 1:
                mine = self.at(slot)
                if mine is None or mine.ballot < entry.ballot:
                    self.keep(host, slot, entry)
                self.commit(host)
        # In a leader's log that may have been the gap.
        self.advance(host)

    def commit(self, host: Host) -> None:
        """The next slot is chosen: apply its command, and, as the leader, answer its client."""
        self.chosen += 1
        self.accepted_by.pop(self.chosen, None)
        answers = self.apply(self.chosen)
        if self.is_leader:
            for operation, result in answers:
                self.answer(host, operation, result)

    def apply(self, slot: int) -> Answers:
        """Apply one slot's command to the machine, unless it was applied in an earlier slot.

        Returns whom that answers, and what.
        """
        entry = self.at(slot)
        if entry is None or entry.operation is entry.command is None:
            return ()
        operation = entry.operation
        if operation is not None:
            clients.forget(self, operation)
            is_new, answers = recall(self.sessions, operation, entry.serial)
            if not is_new:
                return answers
        self.state, answers = execute(
            self.machine, self.state, self.sessions, entry.command, operation, entry.serial
        )
        return answers

    def answer(self, host: Host, operation: Operation, result: Any) -> None:
        """Tell a client the result of its command, which will not be lost."""
        self.persist(host)
        answer(host, result, operation)

    # -- time, for machines in which it passes -------------------------------------------------

    def set_round_timer(self, host: Host) -> None:
        """A round goes by from here on, also where another leader was in the middle of one."""
        if is_service(self.machine):
            host.set_timer("round", seconds=self.machine.round_seconds)

    @on.timer("round")
    def end_round(self, host: Host) -> None:
        """The leader proposes what the end of a round means; the log says when it is."""
        if not is_service(self.machine):
            return
        command = self.machine.round_over(self.state)
        proposed = [entry.command for entry in self.log[self.chosen :] if entry is not None]
        if command is not None and command not in proposed:
            self.propose(host, len(self.log) + 1, Entry(self.ballot, command))
        self.set_round_timer(host)


def quorums_of(phase: Quorums | int | None, servers: tuple[str, ...]) -> Quorums:
    """What a phase's quorums are in a cluster of these servers."""
    if isinstance(phase, Quorums):
        return phase
    return majority(*servers) if phase is None else sizes(servers, phase)
