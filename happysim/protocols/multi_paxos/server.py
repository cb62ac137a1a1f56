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

The server itself is below, with a handler for each message. What most of them do is next door:
`elections` (phase 1), `learning`, `clients`, and in `phases` what a quorum is.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import InitVar
from typing import Any

from happysim.core.host import Host
from happysim.core.node import Node, durable, on
from happysim.core.quorums import Quorums
from happysim.core.script import Operation
from happysim.core.topology import Network
from happysim.protocols import rounds
from happysim.protocols.ballot import NO_BALLOT, Ballot
from happysim.protocols.cluster import check_heartbeats, check_peers
from happysim.protocols.machine import Journal, Machine
from happysim.protocols.multi_paxos import clients, elections, learning, phases
from happysim.protocols.multi_paxos.elections import Role
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
from happysim.protocols.multi_paxos.phases import Phase, quorums_of
from happysim.protocols.requests import ClientRequest, Forwarded, NotLeader, answer, operation_of

# After so many elections in vain the pause before the next one does not grow any more.
_DOUBLINGS_MAX = 6


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
    phase_1: Phase = None
    phase_2: Phase = None
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
        check_peers(self.name, self.peers)
        beat = self.heartbeat_seconds
        check_heartbeats(self.name, beat, self.election_seconds[0], "election_seconds")
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

    def is_quorum(self, host: Host, phase: Phase, servers: Collection[str]) -> bool:
        """Whether these servers are enough for that phase."""
        if isinstance(phase, Quorums):
            return phase.holds(servers)
        needed = (len(self.others(host)) + 1) // 2 + 1 if phase is None else phase
        return len(servers) >= needed

    def check_quorums(self, servers: tuple[str, ...]) -> None:
        """Flexible Paxos: every quorum of phase 1 meets every quorum of phase 2, or we refuse."""
        systems = quorums_of(self.phase_1, servers), quorums_of(self.phase_2, servers)
        phases.check_names(self.name, systems, servers)
        self.check_meeting(*systems)

    def check_meeting(self, phase_1: Quorums, phase_2: Quorums) -> None:
        """Raise `ProtocolError` with two quorums that do not meet."""
        phases.check_meeting(self.name, phase_1, phase_2)

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
            learning.apply(self, slot)
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
        elections.stand(self, host)

    @on(Prepare)
    def promise(self, host: Host, sender: str, request: Prepare) -> None:
        """Phase 1b: promise, and report what was accepted for the slots asked for."""
        elections.promise(self, host, sender, request)

    @on(Promise)
    def take_promise(self, host: Host, sender: str, promise: Promise) -> None:
        """A quorum of promises of its present ballot makes a candidate the leader, once."""
        elections.take_promise(self, host, sender, promise)

    def lead(self, host: Host) -> None:
        """S3: propose again what was reported, under the new ballot, and no-ops in the gaps."""
        elections.lead(self, host)

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
        learning.advance(self, host)

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
        learning.learn(self, host, ballot, request.chosen)

    @on(Accepted)
    def take_accepted(self, host: Host, sender: str, accepted: Accepted) -> None:
        """A quorum that accepted one slot's entry under one ballot has chosen it."""
        waiting = self.accepted_by.get(accepted.slot)
        if accepted.ballot == self.ballot and waiting is not None:
            waiting.add(sender)
            learning.advance(self, host)

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
            learning.learn(self, host, beat.ballot, beat.chosen)

    def is_of(self, slot: int, ballot: Ballot) -> bool:
        """Whether the entry there is what the leader of that ballot proposed."""
        entry = self.at(slot)
        return entry is not None and entry.ballot == ballot

    @on(Missing)
    def tell(self, host: Host, sender: str, question: Missing) -> None:
        """Whoever knows more about what was chosen tells it, leader or not."""
        learning.tell(self, host, sender, question)

    @on(Chosen)
    def catch_up(self, host: Host, sender: str, news: Chosen) -> None:
        """Take over what was chosen. An entry of a higher ballot is the same command already."""
        learning.catch_up(self, host, news)

    def answer(self, host: Host, operation: Operation, result: Any) -> None:
        """Tell a client the result of its command, which will not be lost."""
        self.persist(host)
        answer(host, result, operation)

    # -- time, for machines in which it passes -------------------------------------------------

    @on.timer("round")
    def end_round(self, host: Host) -> None:
        """The leader proposes what the end of a round means; the log says when it is."""
        proposed = (entry.command for entry in self.log[self.chosen :] if entry is not None)
        command = rounds.command_at_end(self.machine, self.state, proposed)
        if command is not None:
            self.propose(host, len(self.log) + 1, Entry(self.ballot, command))
        rounds.begin(host, self.machine)
