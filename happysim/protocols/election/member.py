"""A member of a leader election: who leads, in which term, and what to do when that is silent.

**Source**: Garcia-Molina, *Elections in a distributed computing system*, IEEE Transactions on
Computers C-31(1), 1982, for the problem and its two parts, to notice that the coordinator is gone
and to agree on the next. How the next one is found is the strategy's affair; see `bully`, `ring`
and `randomized`, each with its source.

**Assumes**: members crash, and restart with what they have synced to disk. Messages may be lost,
delayed, reordered and copied. Every member is made with the same members and the same strategy.

**Promises**, whatever the strategy, however late messages are: a member's term only grows, through
crashes too; who follows a leader leaves it for one of a larger term only; a member that does not
lead has a timer set, so that a dead leader is replaced. What `current_leader` names may be dead, or
deposed, for as long as nobody has noticed. How many may lead at once, and whether in one term, each
strategy says for itself.

**Deviates**: each election is numbered by a *term*, which Garcia-Molina's group numbers are the
relatives of. A victory carries the term of its own election, and whoever knows a larger one ignores
it: a term is a fencing token for what its leader does.
"""

from __future__ import annotations

from dataclasses import InitVar
from typing import Any, Protocol

from happysim.core.errors import ProtocolError
from happysim.core.host import Host
from happysim.core.node import Node, durable, on
from happysim.core.topology import Network
from happysim.protocols.cluster import check_heartbeats
from happysim.protocols.election.bully import BullyStrategy
from happysim.protocols.election.messages import Campaign, Heartbeat, Victory
from happysim.protocols.election.seniority import seniority


class Strategy(Protocol):
    """How members agree on a leader: a value, such as an instance of a frozen dataclass.

    All state is the member's: `current_term` and `voted_for`, which are durable, and `campaign`,
    which is the strategy's to use as it likes and is None again in each new term. A strategy acts
    by the member's methods `enter`, `say`, `wait`, `await_leader` and `lead`.
    """

    def stand(self, member: LeaderElection, host: Host) -> None:
        """There is no leader, or it is silent: begin an election, in a term of its own."""

    def heed(self, member: LeaderElection, host: Host, sender: str, campaign: Campaign) -> None:
        """Take a step of another member's election. The member has entered its term if newer."""

    def expire(self, member: LeaderElection, host: Host) -> None:
        """What `wait` waited for has not come."""

    def accepts(self, member: LeaderElection, leader: str) -> bool:
        """Whether to follow this leader of a term not older than the member's; else it stands."""


class LeaderElection(Node):
    """One member. All LeaderElections of a world are its peers, unless `members` names them.

    Timeouts are in seconds. `leader_seconds`: how long a leader may be silent, drawn anew each time
    from the range, so that members seldom stand at the same moment. `heartbeat_seconds=None` turns
    heartbeats off, which suits an exhaustive search: in flight they have no bound.

    `network`, where given, is asked to `join(self)`.

    Raises `ProtocolError` where `members` names one twice, or heartbeats are too slow.
    """

    strategy: Strategy = BullyStrategy()
    members: tuple[str, ...] | None = None
    heartbeat_seconds: float | None = 0.05
    leader_seconds: tuple[float, float] = (0.15, 0.3)
    network: InitVar[Network | None] = None

    current_term: int = durable(default=0)
    voted_for: str | None = durable(default=None)
    current_leader: str | None = None
    campaign: Any = None

    def __post_init__(self, network: Network | None) -> None:
        named = self.members or ()
        if len(set(named)) < len(named):
            raise ProtocolError(f"{self.name}: members={named!r} has to name each member once")
        if named:
            self.add_member()
        beat = self.heartbeat_seconds
        check_heartbeats(self.name, beat, self.leader_seconds[0], "leader_seconds")
        if network is not None:
            network.join(self)

    # -- who there is ----------------------------------------------------------------------------

    def add_member(self, *members: str | Node) -> None:
        """Name further members, before the world is made, and at every member the same ones.

        Terms are dealt out, and majorities counted, by how many members there are.
        """
        names = {each if isinstance(each, str) else each.name for each in members}
        named = {*(self.members or ()), self.name, *names}
        self.members = tuple(sorted(named, key=seniority))

    def everyone(self, host: Host) -> tuple[str, ...]:
        """All members, this one included, by seniority."""
        if self.members is not None:
            return self.members
        return tuple(sorted((self.name, *host.peers), key=seniority))

    def others(self, host: Host) -> tuple[str, ...]:
        """All members but this one, by seniority."""
        return tuple(name for name in self.everyone(host) if name != self.name)

    @property
    def is_leader(self) -> bool:
        """True while this member leads, as far as it knows."""
        return self.current_leader == self.name

    # -- terms -----------------------------------------------------------------------------------

    def own_term(self, host: Host) -> int:
        """The next term that is this member's own: in it, no other member may lead.

        Terms are dealt out in turn by seniority: of three members the first has 1, 4, 7, ... So two
        members that win at the same time, since each takes the other for dead, win two terms.
        """
        everyone = self.everyone(host)
        ahead = (everyone.index(self.name) - self.current_term) % len(everyone)
        return self.current_term + 1 + ahead

    def enter(self, host: Host, term: int) -> None:
        """A newer term: nobody is known to lead it yet, and whoever led before does not."""
        if term > self.current_term:
            self.current_term, self.voted_for = term, None
            self.persist(host)
            self.current_leader, self.campaign = None, None
            host.cancel_timer("heartbeat")
            self.await_leader(host)

    def persist(self, host: Host) -> None:
        """Terms and votes are on disk before anyone hears of them."""
        host.sync()

    # -- what a strategy does --------------------------------------------------------------------

    def say(self, host: Host, to: str, step: Any) -> None:
        """Send a step of the election of the current term to another member."""
        host.send(to, Campaign(self.current_term, step))

    def wait(self, host: Host, seconds: float | tuple[float, float]) -> None:
        """Let the strategy's `expire` be called, unless the election comes to an end before."""
        host.cancel_timer("leader")
        host.set_timer("campaign", seconds)

    def await_leader(self, host: Host) -> None:
        """Leave the election to others, but not for ever."""
        host.cancel_timer("campaign")
        host.set_timer("leader", self.leader_seconds)

    def lead(self, host: Host) -> None:
        """The election of the current term is won: tell everyone."""
        self.current_leader, self.campaign = self.name, None
        host.cancel_timer("leader")
        host.cancel_timer("campaign")
        self.announce(host)
        self.set_heartbeat_timer(host)

    def announce(self, host: Host) -> None:
        """A victory carries the term of its own election."""
        host.broadcast(Victory(self.current_term), to=self.others(host))

    # -- what happens ----------------------------------------------------------------------------

    def on_start(self, host: Host) -> None:
        """There may be a leader that this member has not heard of yet; after a crash, too."""
        self.await_leader(host)

    @on.timer("leader")
    def miss_leader(self, host: Host) -> None:
        """Failure detection: a leader that is silent for so long is taken for dead."""
        self.current_leader = None
        self.strategy.stand(self, host)

    @on.timer("campaign")
    def expire(self, host: Host) -> None:
        """What the strategy waited for has not come."""
        self.strategy.expire(self, host)

    @on(Campaign)
    def heed(self, host: Host, sender: str, campaign: Campaign) -> None:
        """A step of some election; one of a newer term ends whatever this member was at."""
        self.enter(host, campaign.term)
        self.strategy.heed(self, host, sender, campaign)

    @on(Victory, Heartbeat)
    def hear_leader(self, host: Host, sender: str, news: Victory | Heartbeat) -> None:
        """Someone leads: follow, unless it is a leader of the past."""
        if self.is_stale(news.term):
            return
        self.enter(host, news.term)
        if self.strategy.accepts(self, sender):
            self.follow(host, sender)
        else:
            self.strategy.stand(self, host)

    def is_stale(self, term: int) -> bool:
        """Fencing: a smaller term never replaces a larger one."""
        return term < self.current_term

    def follow(self, host: Host, leader: str) -> None:
        """This member's term has a leader. It is watched from now on."""
        self.current_leader, self.campaign = leader, None
        self.await_leader(host)

    @on.timer("heartbeat")
    def beat(self, host: Host) -> None:
        """A leader shows that it is alive."""
        host.broadcast(Heartbeat(self.current_term), to=self.others(host))
        self.set_heartbeat_timer(host)

    def set_heartbeat_timer(self, host: Host) -> None:
        """Heartbeats keep the others from standing."""
        if self.heartbeat_seconds is not None:
            host.set_timer("heartbeat", self.heartbeat_seconds)
