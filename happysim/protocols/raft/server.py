"""A server of Raft: elects a leader, replicates its log, and applies what is committed, in order.

**Source**: Ongaro and Ousterhout, *In search of an understandable consensus algorithm (extended
version)*, 2014, figure 2 and sections 5 and 8; Ongaro, *Consensus: bridging theory and practice*,
2014, sections 6.3 and 6.4 (clients). Sections named below are the paper's, unless said otherwise.

**Assumes**: messages may be lost, delayed, reordered and copied. Servers crash, and restart with
what they have synced to disk. A client numbers its commands and has one open at a time, which the
host's operations see to.

**Deviates**:
- Messages instead of remote calls. A lost RequestVote is made up for by the next election, a lost
  AppendEntries by the next heartbeat. A vote that is not granted is not answered.
- A reply must say what it replies to. A refused AppendEntries names the place that it was refused
  at, so that a late or copied refusal does not move next_index again. A request of an older term is
  answered with `NewerTerm`: its sender may lead that term by then, and would take a refusal for one
  of what it has sent since.
- last_applied is not kept: an entry is applied in the step that commits it.
- A copy of an operation that is in the log already is not appended again. A command that its client
  repeats as another operation is, and is passed over when applied (dissertation, section 6.3).
- Whichever leader commits a command answers it, even where another took it on. A client whose
  command is removed from a log is told so (`Overwritten`); the paper's clients wait for a timeout.
- A read is a command like others, or a `ReadRequest`, which is not put in the log.

The server itself is below, as figure 2 has it, with a handler for each message. What most of them
do is next door, by what it is for, with its source and what that deviates from: `elections`,
`replication`, `applying`, and of the dissertation `clients`, `snapshots`, `membership`, `transfer`
and `reads`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import InitVar
from typing import Any

from happysim.core.errors import ProtocolError
from happysim.core.host import Host
from happysim.core.node import Node, durable, on
from happysim.core.script import Operation
from happysim.core.topology import Network
from happysim.protocols import rounds
from happysim.protocols.cluster import check_heartbeats, check_peers
from happysim.protocols.machine import Journal, Machine
from happysim.protocols.raft import (
    applying,
    clients,
    elections,
    membership,
    reads,
    replication,
    snapshots,
    transfer,
)
from happysim.protocols.raft.configuration import Configuration, is_quorum
from happysim.protocols.raft.elections import Role
from happysim.protocols.raft.log import Log
from happysim.protocols.raft.messages import (
    AppendEntries,
    AppendEntriesRefusal,
    AppendEntriesReply,
    ChangeMembership,
    Entry,
    InstallSnapshot,
    NewerTerm,
    PreVote,
    PreVoteGranted,
    Probe,
    ProbeReply,
    ReadRequest,
    RequestVote,
    RequestVoteAtOnce,
    Snapshot,
    TimeoutNow,
    TransferLeadership,
    Vote,
)
from happysim.protocols.raft.reads import PendingRead
from happysim.protocols.raft.transfer import Transfer
from happysim.protocols.requests import ClientRequest, Forwarded, NotLeader, answer

# In Python 3.11 it takes longer to look up a member of an enum than to compare it.
_FOLLOWER, _LEADER = Role.FOLLOWER, Role.LEADER


class RaftNode(Node):
    """A server. All RaftNodes of a world form one cluster, unless `peers` names the others.

    A server that `joins` belongs to none until it is added to one by ChangeMembership; those of the
    first configuration then need `peers`. With `learners_first` it must be a learner, and hold what
    is committed, before it gets a vote. With `joint_consensus` many votes may change at once.

    A server that does not lead refuses what clients ask, and names the leader; with `forward` it
    passes it on to the leader, which answers. If that message is lost, so is the request. With
    `lease_reads` a leader answers reads at once while its lease lasts, which needs clocks (so it is
    for runs in virtual time), whose rates are off by no more than the fraction `clock_drift`.

    With `patient` it keeps a ClientRequest until it has applied it: it waits for a leader, and
    tells the next one where that one fails. Then no such client is refused, or told that it was
    overwritten. A `machine` may be a Service (`happysim.protocols.machine`): one that answers when
    it likes, and in which time passes. `network`, where given, is asked to `join(self)`.

    Timeouts are in seconds. With `no_op` a new leader appends an empty entry at once, so that what
    earlier leaders left is committed without waiting for a command. `heartbeat_seconds=None` turns
    heartbeats off: what is lost then stays lost until the next command or election. An exhaustive
    search wants it so, except on a duplicating network: heartbeats in flight have no bound.

    With `pre_vote` a server asks whether it would be voted for before it begins a new term. With
    `check_quorum` a leader that has not heard from a majority for an election timeout steps down,
    and a server that hears from a leader takes no part in elections. Both together keep a server
    that hears nobody, or was removed, from deposing a leader that works. An
    AppendEntries carries at most `max_entries`. With `pipeline` a leader sends each entry once, and
    goes back only when one is refused; without, whatever is not confirmed yet (fewer states to
    search). Each `snapshot_entries` (None: never) a server replaces its log by a snapshot, but for
    the last `trailing_entries`.

    Raises `ProtocolError` where `peers` names this server or one twice, heartbeats are too slow, or
    `max_entries` is less than one.
    """

    machine: Machine = Journal()
    peers: tuple[str, ...] | None = None
    joins: bool = False
    no_op: bool = True
    election_seconds: tuple[float, float] = (0.15, 0.3)
    heartbeat_seconds: float | None = 0.05
    pre_vote: bool = True
    check_quorum: bool = True
    max_entries: int = 64
    pipeline: bool = True
    snapshot_entries: int | None = 1_000
    trailing_entries: int = 100
    learners_first: bool = True
    joint_consensus: bool = True
    lease_reads: bool = False
    clock_drift: float = 0.01
    forward: bool = False
    patient: bool = False
    network: InitVar[Network | None] = None

    # Persistent state (figure 2).
    current_term: int = durable(default=0)
    voted_for: str | None = durable(default=None)
    log: Log = durable(factory=Log)
    snapshot: Snapshot = durable(default=Snapshot())

    # Volatile state (figure 2). `sessions`: per client, its last command's number and result.
    # `pending`: where in the log the operations are that are not yet committed. `hears_leader`:
    # whether it has heard from a leader since its election timer last fired (with `check_quorum`).
    # `configuration`: the newest in the log, which is at `configuration_index`, or the first.
    # `kept`: what a patient server has been asked, and has not applied.
    role: Role = Role.FOLLOWER
    leader: str | None = None
    hears_leader: bool = False
    configuration: Configuration = Configuration()
    configuration_index: int = 0
    commit_index: int = 0
    state: Any = None
    sessions: dict[str, tuple[int, Any]] = {}
    pending: dict[Operation, int] = {}
    kept: list[Forwarded] = []

    # Of a candidate; of a leader (figure 2). Empty otherwise. `probing`: the followers whose log
    # is not known to agree at their next_index, since they refused what was sent. `heard`: those
    # who have answered in this term since the last check of the quorum. `round`: the number of the
    # last question whether this server still leads, and `rounds`, which one each has answered;
    # `leases`: whether answers prolong a lease. Times are of this server's clock, in nanoseconds.
    votes: set[str] = set()
    next_index: dict[str, int] = {}
    match_index: dict[str, int] = {}
    probing: set[str] = set()
    heard: set[str] = set()
    transfer: Transfer | None = None
    reads: list[PendingRead] = []
    round: int = 0
    rounds: dict[str, int] = {}
    leases: bool = False
    asked_at: dict[int, int] = {}
    lease_until: int | None = None

    def __post_init__(self, network: Network | None) -> None:
        check_peers(self.name, self.peers)
        beat = self.heartbeat_seconds
        check_heartbeats(self.name, beat, self.election_seconds[0], "election_seconds")
        if self.lease_reads and not (self.check_quorum and beat and 0 <= self.clock_drift < 1):
            raise ProtocolError(
                f"{self.name}: lease_reads needs check_quorum and heartbeats, "
                f"and a clock_drift from 0 to 1 (it is {self.clock_drift})"
            )
        if self.max_entries < 1:
            raise ProtocolError(f"{self.name}: max_entries={self.max_entries} has to be at least 1")
        if network is not None:
            network.join(self)

    @property
    def is_leader(self) -> bool:
        """True while this server leads its term."""
        return self.role is _LEADER

    def electorates(self) -> tuple[frozenset[str], ...]:
        """The sets of servers of which a majority each makes a quorum."""
        return self.configuration.electorates

    def is_quorum(self, servers: Collection[str]) -> bool:
        """True where `servers` may decide for the cluster."""
        return is_quorum(self.electorates(), servers)

    def rivals(self) -> list[str]:
        """Whose votes a candidate asks for, besides its own."""
        voters = frozenset[str]().union(*self.electorates())
        return sorted(voters - {self.name})

    def persist(self, host: Host) -> None:
        """Figure 2: persistent state is on stable storage before anything rests on it."""
        host.sync()

    # -- section 5.1: terms ----------------------------------------------------------------------

    def on_start(self, host: Host) -> None:
        """Section 5.2: servers start up as followers. So they do after a crash."""
        snapshots.restore(self, host)
        # It may have answered a leader just before it crashed, which counts on that.
        self.hears_leader = self.lease_reads and self.current_term > 0
        self.set_election_timer(host)

    def configure(self, host: Host) -> None:
        """Use the newest configuration in the log."""
        newest = membership.configuration_at(self, host, self.log.last_index)
        membership.adopt(self, *newest)

    def observe_term(self, host: Host, term: int) -> None:
        """Figure 2, all servers: a newer term makes this server a follower in it."""
        if term > self.current_term:
            self.current_term = term
            self.voted_for = None
            self.persist(host)
            self.become_follower(host)

    @on(NewerTerm)
    def take_term(self, host: Host, sender: str, news: NewerTerm) -> None:
        """Section 5.1: a leader or candidate whose term is out of date steps down."""
        self.observe_term(host, news.term)

    def become_follower(self, host: Host) -> None:
        """Whatever this server was, it now waits for a leader, and not for ever."""
        self.role, self.leader = Role.FOLLOWER, None
        self.votes, self.probing, self.heard = set(), set(), set()
        self.next_index, self.match_index = {}, {}
        host.cancel_timer("heartbeat")
        host.cancel_timer("quorum")
        host.cancel_timer("round")
        if self.transfer is not None:
            transfer.give_up(self, host, f"{self.name} leads no more")
        reads.refuse_all(self, host)
        self.set_election_timer(host)

    def set_election_timer(self, host: Host) -> None:
        """Section 5.2: timeouts are random, so that split votes are rare."""
        host.set_timer("election", seconds=self.election_seconds)

    # -- section 5.2: leader election ------------------------------------------------------------

    @on.timer("election")
    def miss_leader(self, host: Host) -> None:
        """Figure 2, followers and candidates: on election timeout, start an election."""
        elections.begin(self, host)

    def ask_around(self, host: Host) -> None:
        """Dissertation, section 9.6: begin no term before a majority would vote in it."""
        elections.ask_around(self, host)

    @on(PreVote)
    def advise(self, host: Host, sender: str, request: PreVote) -> None:
        """Dissertation, section 9.6: say whether the sender would get this server's vote."""
        elections.advise(self, host, sender, request)

    @on(PreVoteGranted)
    def take_pre_vote(self, host: Host, sender: str, vote: PreVoteGranted) -> None:
        """Dissertation, section 9.6: if a majority would vote for this server, it stands."""
        elections.take_pre_vote(self, host, sender, vote)

    def has_leader(self) -> bool:
        """Dissertation, section 4.2.3: while a leader is heard, another is not asked for.

        It may be that no other server hears it any more. So this is only for clusters in which such
        a leader steps down by itself (`check_quorum`).
        """
        return self.check_quorum and (self.hears_leader or self.is_leader)

    @on(RequestVote)
    def vote(self, host: Host, sender: str, request: RequestVote) -> None:
        """Dissertation, section 4.2.3: while a leader is heard, newer terms are not heard of."""
        if request.term <= self.current_term or not self.has_leader():
            elections.consider(self, host, sender, request)

    @on(RequestVoteAtOnce)
    def vote_at_once(self, host: Host, sender: str, request: RequestVoteAtOnce) -> None:
        """Dissertation, section 4.2.3: the leader that is heard wants it so."""
        elections.consider(self, host, sender, request)

    @on(Vote)
    def take_vote(self, host: Host, sender: str, vote: Vote) -> None:
        """Figure 2, candidates: votes of a majority of servers make a leader."""
        elections.take_vote(self, host, sender, vote)

    @on.timer("quorum")
    def count_heard(self, host: Host) -> None:
        """Dissertation, section 6.2: a leader that a majority does not answer steps down.

        Otherwise its followers might hear it, and it not them, for ever.
        """
        elections.count_heard(self, host)

    def hear(self, sender: str) -> None:
        """A follower has answered this leader in its term."""
        if self.check_quorum:
            self.heard.add(sender)

    def set_heartbeat_timer(self, host: Host) -> None:
        """Section 5.2: heartbeats keep followers from standing."""
        if self.heartbeat_seconds is not None:
            host.set_timer("heartbeat", seconds=self.heartbeat_seconds)

    # -- section 5.3: log replication ------------------------------------------------------------

    @on(ClientRequest, ReadRequest, ChangeMembership, TransferLeadership)
    def serve(self, host: Host, client: str, request: clients.Asked) -> None:
        """Figure 2, leaders: append a client's command. Section 8: each command once."""
        clients.hear(self, host, client, request)

    @on(Forwarded)
    def serve_forwarded(self, host: Host, sender: str, passed_on: Forwarded) -> None:
        """Dissertation, section 6.2: what a client has asked of another server."""
        clients.take(self, host, passed_on.operation, passed_on.request, hops=1)

    def refuse(self, host: Host, operation: Operation) -> None:
        """Section 8: a server that does not lead rejects a request, and names who does."""
        leader = self.leader if self.transfer is None else self.transfer.to
        answer(host, NotLeader(leader), operation)

    def append(self, host: Host, entry: Entry) -> None:
        """Add an entry to this leader's log, and see to it that the others add it too."""
        self.record(host, entry)
        self.persist(host)
        self.replicate(host)
        # In a cluster of one there is no reply to wait for.
        applying.advance(self, host)

    def record(self, host: Host, entry: Entry) -> None:
        """Add an entry to the log. Dissertation, section 4.1: a configuration is used from then."""
        self.log.append(entry)
        if entry.operation is not None:
            self.pending[entry.operation] = self.log.last_index
        if isinstance(entry.command, Configuration):
            self.configure(host)

    @on.timer("heartbeat")
    def beat(self, host: Host) -> None:
        """Figure 2, leaders: repeat in idle periods. It makes up for lost messages, too."""
        self.replicate(host)
        if self.reads or self.leases:
            reads.beat(self, host)
        if self.kept:
            clients.pass_on(self, host)  # Kept during a transfer that was given up.
        self.set_heartbeat_timer(host)

    def replicate(self, host: Host) -> None:
        """Send every follower what it lacks."""
        for peer in self.next_index:
            self.send_entries(host, peer)

    def send_entries(self, host: Host, peer: str) -> None:
        """Figure 2, leaders: send a follower the entries from its next_index on; perhaps none."""
        replication.send_entries(self, host, peer)

    @on(AppendEntries)
    def take_entries(self, host: Host, sender: str, request: AppendEntries) -> None:
        """Figure 2, AppendEntries, rules 1 to 5."""
        if not self.obeys(host, sender, request.term):
            return
        if not self.log.agrees(request.prev_index, request.prev_term):
            refusal = replication.refusal(self.log, self.current_term, request.prev_index)
            host.send(sender, refusal)
            return
        replication.merge(self, host, request)
        self.commit(host, min(request.commit_index, request.prev_index + len(request.entries)))
        host.send(sender, AppendEntriesReply(self.current_term, self.matched_index(request)))

    def obeys(self, host: Host, sender: str, term: int) -> bool:
        """Section 5.1: True where the sender leads this server's term; else it is told of it."""
        self.observe_term(host, term)
        if term < self.current_term:
            host.send(sender, NewerTerm(self.current_term))
            return False
        self.follow(host, sender)
        return True

    def follow(self, host: Host, leader: str) -> None:
        """Section 5.2: who sends AppendEntries leads this term; a candidate gives up."""
        if self.role is not _FOLLOWER:
            self.become_follower(host)
        is_new, self.leader = self.leader != leader, leader
        self.hears_leader = self.check_quorum
        self.set_election_timer(host)
        if is_new:
            clients.pass_on(self, host)

    def matched_index(self, request: AppendEntries) -> int:
        """How far the log is known to be the leader's. What lies beyond may be another's."""
        return request.prev_index + len(request.entries)

    @on(AppendEntriesReply)
    def take_reply(self, host: Host, sender: str, reply: AppendEntriesReply) -> None:
        """Figure 2, leaders. A reply of an older term speaks of a log that may be gone since."""
        self.observe_term(host, reply.term)
        if self.is_answer(sender, reply.term):
            self.hear(sender)
            self.note_progress(host, sender, reply.index)

    def is_answer(self, sender: str, term: int) -> bool:
        """True for what a member of the cluster says to this leader in its term."""
        return self.is_leader and term == self.current_term and sender in self.next_index

    def note_progress(self, host: Host, peer: str, index: int) -> None:
        """Figure 2, leaders: success moves both indices up; what is still unsent follows."""
        replication.note_success(self, host, peer, index)

    @on(AppendEntriesRefusal)
    def take_refusal(self, host: Host, sender: str, refusal: AppendEntriesRefusal) -> None:
        """Figure 2, leaders: where the logs do not agree, next_index moves down; try again."""
        self.observe_term(host, refusal.term)
        if self.is_answer(sender, refusal.term):
            self.hear(sender)
            replication.note_refusal(self, host, sender, refusal)

    # -- dissertation, section 5: snapshots ------------------------------------------------------

    @on(InstallSnapshot)
    def take_snapshot(self, host: Host, sender: str, request: InstallSnapshot) -> None:
        """Figure 5.3. Whether it was new or not, this log now equals the leader's up to there."""
        if not self.obeys(host, sender, request.term):
            return
        if self.is_new(request.snapshot):
            snapshots.install(self, host, request.snapshot)
        host.send(sender, AppendEntriesReply(self.current_term, request.snapshot.index))

    def is_new(self, snapshot: Snapshot) -> bool:
        """False for one that is late: this server has applied more already."""
        return snapshot.index > self.commit_index

    def keeps_suffix(self, snapshot: Snapshot) -> bool:
        """Figure 5.3, rule 6: the log goes on where the snapshot ends, perhaps beyond it."""
        return self.log.agrees(snapshot.index, snapshot.term)

    def make_snapshot(self, host: Host) -> Snapshot:
        """All that was applied so far."""
        return snapshots.make(self, host)

    # -- dissertation, section 4: cluster membership ---------------------------------------------

    def next_step(self, target: Configuration) -> Configuration:
        """Section 4.3: many votes change by way of old and new voters jointly."""
        return self.configuration.step_to(target)

    def has_committed_in_term(self) -> bool:
        """What others have left in the logs is committed, or never will be."""
        return self.log.term_at(self.commit_index) == self.current_term

    # -- sections 5.3 and 5.4: committing and applying -------------------------------------------

    def may_commit(self, index: int) -> bool:
        """Section 5.4.2: only entries of its own term does a leader commit by counting replicas."""
        return self.log.term_at(index) == self.current_term

    def commit(self, host: Host, index: int) -> None:
        """Figure 2, all servers: what is committed is applied, in order."""
        applying.commit(self, host, index)

    def answer(self, host: Host, index: int, operation: Operation, result: Any) -> None:
        """Figure 2, leaders: respond once the entry is applied. The entry knows whom to answer."""
        if self.is_leader:
            answer(host, result, operation)

    # -- time, for machines in which it passes ---------------------------------------------------

    @on.timer("round")
    def end_round(self, host: Host) -> None:
        """The leader proposes what the end of a round means; the log says when it is."""
        proposed = (each.command for each in self.log.behind(self.commit_index))
        command = rounds.command_at_end(self.machine, self.state, proposed)
        if command is not None:
            self.append(host, Entry(self.current_term, command))
        rounds.begin(host, self.machine)

    # -- dissertation, section 3.10: leadership transfer -----------------------------------------

    @on(TimeoutNow)
    def take_over(self, host: Host, sender: str, order: TimeoutNow) -> None:
        """Stand without waiting and without asking around: the leader of this term wants it."""
        waits = self.role in (Role.FOLLOWER, Role.PRE_CANDIDATE)
        if waits and order.term == self.current_term:
            elections.stand(self, host, at_once=True)

    @on.timer("transfer")
    def keep_leading(self, host: Host) -> None:
        """Nobody has taken over in time. Should it still happen, it is an election like another."""
        transfer.give_up(self, host, "it did not catch up in time")

    # -- dissertation, section 6.4: reads --------------------------------------------------------

    @on(Probe)
    def confirm(self, host: Host, sender: str, probe: Probe) -> None:
        """Step 3: a heartbeat. Who is in a newer term says so, and the sender leads no more."""
        if self.obeys(host, sender, probe.term):
            host.send(sender, ProbeReply(self.current_term, probe.round))

    @on(ProbeReply)
    def take_confirmation(self, host: Host, sender: str, reply: ProbeReply) -> None:
        """Step 3: once a quorum has answered a round, what came before it may be answered."""
        self.observe_term(host, reply.term)
        if self.is_answer(sender, reply.term):
            self.hear(sender)
            reads.take(self, host, sender, reply.round)

    def is_confirmed(self, number: int) -> bool:
        """True once a quorum has answered the round of that number, or a later one."""
        return number <= reads.confirmed(self)

    def lease_seconds(self) -> float:
        """Section 6.4.1: the shortest election timeout, whatever the clocks make of it."""
        return self.election_seconds[0] * (1 - self.clock_drift) / (1 + self.clock_drift)
