"""A member of a group that finds out who else is in it, and who is dead, by SWIM.

**Source**: Das, Gupta and Motivala, *SWIM: scalable weakly-consistent infection-style process group
membership protocol*, DSN 2002. Sections named below are that paper's. Dadgar, Phillips and Currey,
*Lifeguard: local health awareness for more accurate failure detection*, DSN-W 2018, for local
health and for telling a suspect of the suspicion.

**Assumes**: messages may be lost, delayed, reordered and copied. Members crash, and restart with
what they have synced to disk. No detector can be right in an asynchronous system (Chandra and Toueg
1996), so what is promised beyond safety is promised of time: where a round trip takes less than
`probe_seconds`, nobody is suspected who is up; and who is down is known to be so by all after at
most 2n - 1 periods to be probed, as many as a suspicion lasts, and a few more to spread.

**Promises** in any case: a member's incarnation is raised by itself alone; nobody is declared dead
who was not suspected before, and nobody is suspected by a member that did not ask others to probe,
where there were others; a claim that is overridden does not come back.

**Deviates**:
- DEAD is overridden by a larger incarnation; see `claims`. Each period one dead member is pinged,
  so that the two sides of a partition find each other again.
- A suspicion lasts a number of periods of the member that keeps it, and no time of its own.
- A ping names its origin, and an ack finds its way back by that: a delegate remembers nothing.
- A period whose direct wait is not over, as may be in a search, is made a longer one.
- Lifeguard's nacks are left out, and its shorter suspicions where several members agree.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import InitVar, dataclass, replace

from happysim.core.errors import ProtocolError
from happysim.core.host import Host
from happysim.core.node import Node, durable, on
from happysim.core.topology import Network
from happysim.protocols.swim.claims import Claim, Status, Update, standing
from happysim.protocols.swim.messages import Ack, Join, Leave, News, Ping, PingRequest


@dataclass(frozen=True)
class Probe:
    """The probe of this period. `is_indirect`: the delegates were asked, where there are any."""

    target: str
    sequence: int
    delegates: tuple[str, ...] = ()
    is_indirect: bool = False


class MembershipProtocol(Node):
    """One member. All MembershipProtocols of a world know each other from the start.

    With `seeds` it knows nobody, and joins through the members named there; `seeds=()` is for the
    first member of such a group. `nodes` are seeds as well, as nodes or names.

    `period_seconds` is the protocol period; a direct ping is waited for `probe_seconds`, then so
    many `delegates` are asked, for the rest of the period. Where the number of members has b bits,
    which is 1 + floor(log2), a suspicion lasts `suspicion_factor` * b periods, and an update rides
    on `gossip_factor` * b messages, at most `updates_max` on one.
    `health_max` above 0 turns local health on: a member whose probes fail takes its time, up to
    1 + `health_max` times as long.

    `network`, where given, is asked to `join(self)`.

    Raises `ProtocolError` for parameters that cannot be meant.
    """

    seeds: tuple[str, ...] | None = None
    period_seconds: float = 1.0
    probe_seconds: float = 0.3
    delegates: int = 3
    suspicion_factor: int = 3
    gossip_factor: int = 3
    updates_max: int = 6
    health_max: int = 0
    nodes: InitVar[Iterable[str | Node] | None] = None
    network: InitVar[Network | None] = None

    # The number of this life of the member, and of the refutations in it; -1 before the first.
    incarnation: int = durable(default=-1)
    has_left: bool = False
    claims: dict[str, Claim] = {}  # of everyone heard of, this member included, by name
    gossip: dict[str, int] = {}  # whose claims still go round, and how often they were sent
    suspicions: dict[str, int] = {}  # of suspects: the periods left
    round: list[str] = []  # who is still to be probed in this round (section 4.3)
    probe: Probe | None = None
    sequence: int = 0  # of the last probe
    health: int = 0  # Lifeguard: 0 is well

    def __post_init__(self, nodes: Iterable[str | Node] | None, network: Network | None) -> None:
        if nodes is not None:
            self.seeds = self.names_of(nodes)
        if not 0 < self.probe_seconds < self.period_seconds:
            raise ProtocolError(
                f"{self.name}: probe_seconds={self.probe_seconds} leaves no time for the delegates;"
                f" make it less than the {self.period_seconds} of period_seconds"
            )
        least = {"delegates": 0, "suspicion_factor": 1, "gossip_factor": 1, "updates_max": 1}
        for field, low in (least | {"health_max": 0}).items():
            if getattr(self, field) < low:
                raise ProtocolError(
                    f"{self.name}: {field}={getattr(self, field)}: make it at least {low}"
                )
        if network is not None:
            network.join(self)

    # -- who there is ----------------------------------------------------------------------------

    def names_of(self, nodes: Iterable[str | Node]) -> tuple[str, ...]:
        """The names of these members, but for its own; of `nodes` nothing else is kept."""
        if isinstance(nodes, str) or self.seeds is not None:
            raise ProtocolError(
                f"{self.name}: nodes={nodes!r}, seeds={self.seeds!r}: give one of the two, "
                "as a list of nodes or names"
            )
        names = [each if isinstance(each, str) else each.name for each in nodes]
        return tuple(name for name in dict.fromkeys(names) if name != self.name)

    def named(self, *statuses: Status) -> tuple[str, ...]:
        """Members of which that is claimed here, by name."""
        return tuple(name for name, claim in self.claims.items() if claim.status in statuses)

    @property
    def alive_members(self) -> tuple[str, ...]:
        """Members taken to be alive, this one included."""
        return self.named(Status.ALIVE)

    @property
    def suspected_members(self) -> tuple[str, ...]:
        """Members that failed a probe, and have not been heard of since."""
        return self.named(Status.SUSPECT)

    @property
    def dead_members(self) -> tuple[str, ...]:
        """Members that were suspected for too long."""
        return self.named(Status.DEAD)

    def others(self) -> list[str]:
        """The other members that are not gone, suspects among them."""
        here = self.named(Status.ALIVE, Status.SUSPECT)
        return [name for name in here if name != self.name]

    def bits(self) -> int:
        """Of the number of members that are not gone: what spreads needs so many rounds or so."""
        return (1 + len(self.others())).bit_length()

    # -- to come and to go -----------------------------------------------------------------------

    def on_start(self, host: Host) -> None:
        """Each life begins with an incarnation of its own: what was said of the last is void."""
        self.incarnation += 1
        host.sync()
        known = host.peers if self.seeds is None else ()
        self.claims = {name: Claim(0, Status.ALIVE) for name in sorted({*known, self.name})}
        self.claims[self.name] = Claim(self.incarnation, Status.ALIVE)
        if self.incarnation > 0:
            self.spread(self.name)
        self.ask_to_join(host)
        # At any moment of the first period, so that members do not keep time together.
        host.set_timer("period", (0.0, self.period_seconds))

    def ask_to_join(self, host: Host) -> None:
        """Who knows nobody asks its seeds, until one has answered."""
        if not self.others():
            for seed in self.seeds or ():
                if seed != self.name:
                    host.send(seed, Join(self.incarnation))

    @on(Join)
    def let_in(self, host: Host, sender: str, request: Join) -> None:
        """A new member hears of everyone, and everyone will hear of it."""
        if not self.has_left:
            self.learn(host, Update(sender, request.incarnation, Status.ALIVE))
            host.send(sender, News(tuple(self.update(name) for name in self.claims)))

    @on(News)
    def take_news(self, host: Host, sender: str, news: News) -> None:
        """What another knows, all at once."""
        self.take(host, sender, news.updates)

    @on(Leave)
    def leave(self, host: Host, sender: str, request: Leave) -> None:
        """Tell everyone, and fall silent. A restart is how to come back."""
        if not self.has_left:
            self.has_left = True
            self.claims[self.name] = Claim(self.incarnation, Status.LEFT)
            host.broadcast(News((self.update(self.name),)), to=self.others())
            self.gossip, self.suspicions, self.round, self.probe = {}, {}, [], None
            host.cancel_timer("period")
            host.cancel_timer("probe")
        if host.operation is not None:
            host.respond(None)

    # -- section 3.1: the protocol period --------------------------------------------------------

    @on.timer("period")
    def begin_period(self, host: Host) -> None:
        """Judge the probe of the period that ends, and probe the next member."""
        host.set_timer("period", self.period_seconds * (1 + self.health))
        if self.is_undecided():
            self.ask_delegates(host)
            return
        self.age_suspicions(host)
        self.judge(host)
        self.ask_to_join(host)
        self.knock(host)
        target = self.next_target(host)
        if target is not None:
            self.sequence += 1
            self.probe = Probe(target, self.sequence)
            self.ping(host, target)
            host.set_timer("probe", self.probe_seconds * (1 + self.health))

    def is_undecided(self) -> bool:
        """Whether the delegates were not asked yet: nobody is judged without them."""
        return self.probe is not None and not self.probe.is_indirect

    def next_target(self, host: Host) -> str | None:
        """Section 4.3: round robin over a shuffled list, so that everyone's turn is bounded."""
        if not self.round:
            self.round = self.others()
            host.random.shuffle(self.round)
        return self.round.pop(0) if self.round else None

    def ping(self, host: Host, to: str) -> None:
        """Ask a member for a sign of life, on one's own behalf."""
        host.send(to, Ping(self.sequence, self.name, self.updates_for(to)))

    @on.timer("probe")
    def ask_delegates(self, host: Host) -> None:
        """No ack in time: the link may be at fault, so others are asked to probe by theirs."""
        host.cancel_timer("probe")
        if self.probe is None or self.probe.is_indirect:
            return
        chosen = self.choose_delegates(host, self.probe.target)
        self.probe = replace(self.probe, delegates=chosen, is_indirect=True)
        for delegate in chosen:
            self.ask_delegate(host, delegate, self.probe)

    def choose_delegates(self, host: Host, target: str) -> tuple[str, ...]:
        """Members at random, as many as are wanted and there are; suspects where there are few."""
        pool = [name for name in self.alive_members if name not in (self.name, target)]
        if len(pool) < self.delegates:
            pool = [name for name in self.others() if name != target]
        if len(pool) <= self.delegates:
            return tuple(pool)
        chosen: list[str] = []
        while len(chosen) < self.delegates:
            chosen.append(host.random.choice(pool))
            pool.remove(chosen[-1])
        return tuple(sorted(chosen))

    def ask_delegate(self, host: Host, delegate: str, probe: Probe) -> None:
        """The delegate pings the target, and not this member the delegate."""
        updates = self.updates_for(delegate)
        host.send(delegate, PingRequest(probe.sequence, probe.target, updates))

    def judge(self, host: Host) -> None:
        """Section 4.2: who has not answered, on any way, is suspected, and not dead yet."""
        if self.probe is not None:
            target, self.probe = self.probe.target, None
            self.feel(+1)
            claim = self.claims[target]
            if claim.status is Status.ALIVE:
                self.learn(host, Update(target, claim.incarnation, Status.SUSPECT))

    @on(Ping)
    def answer(self, host: Host, sender: str, ping: Ping) -> None:
        """Alive. The ack goes to who sent the ping, which is the origin or a delegate of its."""
        if self.take(host, sender, ping.updates):
            ack = Ack(ping.sequence, ping.origin, self.name, self.updates_for(sender))
            host.send(sender, ack)

    @on(PingRequest)
    def probe_for(self, host: Host, sender: str, request: PingRequest) -> None:
        """A delegate pings the target itself."""
        if self.take(host, sender, request.updates):
            updates = self.updates_for(request.target)
            host.send(request.target, Ping(request.sequence, sender, updates))

    @on(Ack)
    def take_ack(self, host: Host, sender: str, ack: Ack) -> None:
        """A delegate passes it on; the origin has its answer."""
        if not self.take(host, sender, ack.updates):
            return
        if ack.origin != self.name:
            self.pass_on(host, ack)
        elif self.is_answered(ack):
            self.probe = None
            host.cancel_timer("probe")
            self.feel(-1)

    def pass_on(self, host: Host, ack: Ack) -> None:
        """A delegate's part, second half."""
        updates = self.updates_for(ack.origin)
        host.send(ack.origin, Ack(ack.sequence, ack.origin, ack.member, updates))

    def is_answered(self, ack: Ack) -> bool:
        """Whether this is the ack that the probe waits for, and not one of an earlier period."""
        probe = self.probe
        return probe is not None and (probe.sequence, probe.target) == (ack.sequence, ack.member)

    def feel(self, change: int) -> None:
        """Lifeguard: own probes that fail, and being suspected, may be one's own fault."""
        self.health = min(max(self.health + change, 0), self.health_max)

    # -- section 4.2: suspicion and incarnations -------------------------------------------------

    def suspicion_periods(self) -> int:
        """Long enough for the suspicion to reach the suspect, and its answer everyone."""
        return self.suspicion_factor * self.bits()

    def age_suspicions(self, host: Host) -> None:
        """A suspect that has not been heard of for so long is dead."""
        for name in list(self.suspicions):
            self.suspicions[name] -= 1
            if self.suspicions[name] <= 0:
                self.learn(host, Update(name, self.claims[name].incarnation, Status.DEAD))

    def learn(self, host: Host, update: Update) -> None:
        """A claim that overrides what is known is taken, and passed on as if it were one's own."""
        name = update.member
        known = self.claims.get(name)
        if name == self.name:
            self.answer_claim(host, update)
            return
        if not self.overrides(known, update.claim):
            return
        self.claims = dict(sorted({**self.claims, name: update.claim}.items()))
        self.spread(name)
        self.suspicions.pop(name, None)
        if update.status is Status.SUSPECT:
            self.watch_suspect(name)
        if update.claim.is_gone:
            self.forget(host, name)
        elif known is None or known.is_gone:
            # Section 4.3: a new member takes a place at random in the round under way.
            self.round.insert(host.random.randint(0, len(self.round)), name)

    def overrides(self, known: Claim | None, heard: Claim) -> bool:
        """Section 4.2: whether what is heard is more than what is known."""
        return standing(known, heard) != known

    def watch_suspect(self, name: str) -> None:
        """From now on its time runs."""
        left = {**self.suspicions, name: self.suspicion_periods()}
        self.suspicions = dict(sorted(left.items()))

    def forget(self, host: Host, name: str) -> None:
        """Who is gone is not probed."""
        if name in self.round:
            self.round.remove(name)
        if self.probe is not None and self.probe.target == name:
            self.probe = None
            host.cancel_timer("probe")

    def answer_claim(self, host: Host, update: Update) -> None:
        """A suspicion of oneself, or worse, is refuted by an incarnation that overrides it."""
        if update.status is Status.ALIVE or self.has_left:
            return
        if update.incarnation >= self.incarnation:
            self.raise_incarnation(update.incarnation + 1)
            host.sync()
            self.claims[self.name] = Claim(self.incarnation, Status.ALIVE)
            self.feel(+1)
        # Also where it was refuted long ago: who still says so has not heard of it.
        self.spread(self.name)

    def raise_incarnation(self, to: int) -> None:
        """Nobody but the member itself does so."""
        self.incarnation = to

    # -- section 4.1: updates ride on what is sent anyway ------------------------------------------

    def update(self, name: str) -> Update:
        """What is known of a member, to tell."""
        return Update(name, *self.claims[name])

    def spread(self, name: str) -> None:
        """What is newly known of a member goes round, on as many messages as it takes."""
        self.gossip = dict(sorted({**self.gossip, name: 0}.items()))

    def updates_for(self, to: str) -> tuple[Update, ...]:
        """The updates that were sent least often so far. They count as sent now."""
        chosen = sorted(self.gossip, key=lambda name: (self.gossip[name], name))[: self.updates_max]
        sends = self.gossip_factor * self.bits() if chosen else 0
        for name in chosen:
            self.gossip[name] += 1
            if self.gossip[name] >= sends:
                del self.gossip[name]
        told = self.claims.get(to)
        if told is not None and told.status is not Status.ALIVE and to not in chosen:
            # Lifeguard's buddy system: what a member must know is what is said of itself.
            chosen = [to, *chosen]
        return tuple(self.update(name) for name in chosen)

    def take(self, host: Host, sender: str, updates: tuple[Update, ...]) -> bool:
        """Learn what a message carries; False where this member has left, and listens no more."""
        if self.has_left:
            return False
        # Less than any claim that the sender itself can have made.
        self.learn(host, Update(sender, 0, Status.ALIVE))
        for update in updates:
            self.learn(host, update)
        return True

    def knock(self, host: Host) -> None:
        """The dead may not be: one that hears what is said of it answers with a new incarnation."""
        dead = self.dead_members
        if dead:
            # Not in turn by the number of the probe: who takes all for dead makes no probes.
            self.ping(host, dead[0] if len(dead) == 1 else host.random.choice(dead))
