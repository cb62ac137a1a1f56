"""A store of replicated values: every node writes alone, and gossip makes all of them agree.

**Source**: Shapiro et al. 2011, section 2 (state-based objects); Almeida, Shoker, Baquero, *Delta
state replicated data types*, JPDC 2018, section 6 (anti-entropy that sends what the peer may lack,
until the peer has acknowledged it); Demers et al., *Epidemic algorithms for replicated database
maintenance*, PODC 1987.

**Assumes**: messages may be lost, delayed, reordered and copied. Nodes may crash, and restart with
what they have synced to disk; a disk is not lost. No two nodes have one `node_id`, and the members
do not change. A client script has one request open at a time. An update that another node asks for
has no number to know it by, so each copy of it that arrives counts.

**Deviates**:
- A delta is the whole state of each key that the peer may lack, where the paper joins the changes
  of one key. What arrives is then a state, never a gap, in whatever order.
- Acknowledgements carry states, not numbers of deltas. States form a lattice, so a state says by
  itself what its sender has. It is true for ever, so late ones and copies do no harm, and there is
  no counter to lose in a crash. An acknowledgement is gossip, too: it brings what the other lacks.

Nothing leaves a node before it is on disk, neither gossip nor an answer. A node that came back
without increments that others have seen would count its next ones under the same numbers, and
merging would take the new for the old.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import InitVar
from types import MappingProxyType
from typing import Any, ClassVar, TypeAlias

from happysim.core.describe import digest
from happysim.core.errors import ProtocolError
from happysim.core.host import Host
from happysim.core.message import message
from happysim.core.node import Node, durable, on
from happysim.core.script import Operation
from happysim.core.topology import Network
from happysim.protocols.crdt.lww_register import LWWRegister
from happysim.protocols.crdt.mv_register import MVRegister
from happysim.protocols.crdt.or_set import ORSet
from happysim.protocols.crdt.pncounter import PNCounter
from happysim.protocols.crdt.replica import Replica, State

# A counter, a register and a set may have one name: they are three keys, so that two nodes that
# make different things of one name do not end with states that cannot be merged.
Key: TypeAlias = tuple[str, str]  # (kind, name)
Entries: TypeAlias = tuple[tuple[Key, State], ...]
Digests: TypeAlias = tuple[tuple[Key, str], ...]

COUNTER, REGISTER, VALUES, SET = "counter", "register", "values", "set"

# -- requests of clients -------------------------------------------------------------------------


@message
class Increment:
    """Count `amount` >= 0 up. A client script is answered None, as by every update."""

    key: str
    amount: int = 1


@message
class Decrement:
    """Count `amount` >= 0 down."""

    key: str
    amount: int = 1


@message
class Set:
    """Write a register. Of two concurrent writes one is lost, the same on every node."""

    key: str
    value: Any


@message
class Assign:
    """Write a multi-value register. Concurrent writes stay side by side until all are seen."""

    key: str
    value: Any


@message
class Add:
    """Put `element` into a set."""

    key: str
    element: Any


@message
class Remove:
    """Take `element` out of a set, as far as this node has seen it added."""

    key: str
    element: Any


@message
class Get:
    """Read. `kind` is "counter", "register", "values" or "set"; see `CRDTStore.value`.

    A client script is answered the value itself, a node with `Value`.
    """

    kind: str
    key: str


@message
class Value:
    """What a node is answered to `Get`."""

    kind: str
    key: str
    value: Any


# -- gossip --------------------------------------------------------------------------------------


@message
class Gossip:
    """The sender's states of the keys that the receiver may lack something of."""

    entries: Entries


@message
class GossipAck:
    """The answer to gossip: the sender's states of the same keys, after it has merged them."""

    entries: Entries


@message
class Offer:
    """The digests of what the sender has of the keys that the receiver may lack something of."""

    digests: Digests


@message
class Differs:
    """The answer to an offer: of which keys the receiver has the very same, and its other states.

    Of the keys that stand in neither it has nothing.
    """

    same: Digests
    entries: Entries


class CRDTStore(Node):
    """Counters, registers and sets by name, equal on all nodes once nothing is left to tell.

    Updates are applied here at once and told to the others later. The gossip timer is set exactly
    while some peer may lack something, so that a system without updates comes to rest.
    `node_id` is the id under which this node writes: its name, where none is given. With a
    `network` the store joins it. With `digests` gossip begins with digests, and only states that
    differ travel: worth two messages more where states are large and mostly known.
    """

    node_id: str = ""
    gossip_seconds: float = 1.0
    digests: bool = False
    network: InitVar[Network | None] = None
    entries: dict[Key, Replica] = durable(factory=dict)
    # The newest request served of each client, so that a copy of an increment counts once.
    served: dict[str, int] = durable(factory=dict)
    # What each peer may lack, as far as this node knows: (peer, key).
    lacking: set[tuple[str, Key]] = set()

    KINDS: ClassVar[Mapping[str, type[Replica]]] = MappingProxyType(
        {COUNTER: PNCounter, REGISTER: LWWRegister, VALUES: MVRegister, SET: ORSet}
    )

    def __post_init__(self, network: Network | None) -> None:
        if network is not None:
            network.join(self)

    @property
    def replica_id(self) -> str:
        """The id under which this node writes."""
        return self.node_id or self.name

    def value(self, kind: str, key: str) -> Any:
        """An int, the register's value, or its values or the set's elements as an ordered tuple.

        Of a key that nobody has written: 0, None or an empty tuple.
        """
        entry = self.entries.get((kind, key))
        if entry is None:
            entry = self.KINDS[kind](self.replica_id)
        return tuple(entry) if isinstance(entry, ORSet) else entry.value

    def on_start(self, host: Host) -> None:
        """After a restart nobody remembers what the peers have: tell them everything."""
        self._may_lack(host, host.peers, self.entries)

    # -- updates and reads -----------------------------------------------------------------------

    @on(Increment)
    def increment(self, host: Host, sender: str, request: Increment) -> None:
        self._update(host, COUNTER, request.key, lambda it: it.increment(request.amount))

    @on(Decrement)
    def decrement(self, host: Host, sender: str, request: Decrement) -> None:
        self._update(host, COUNTER, request.key, lambda it: it.decrement(request.amount))

    @on(Set)
    def write(self, host: Host, sender: str, request: Set) -> None:
        self._update(host, REGISTER, request.key, lambda it: it.set(request.value))

    @on(Assign)
    def assign(self, host: Host, sender: str, request: Assign) -> None:
        self._update(host, VALUES, request.key, lambda it: it.set(request.value))

    @on(Add)
    def add(self, host: Host, sender: str, request: Add) -> None:
        self._update(host, SET, request.key, lambda it: it.add(request.element))

    @on(Remove)
    def remove(self, host: Host, sender: str, request: Remove) -> None:
        self._update(host, SET, request.key, lambda it: it.discard(request.element))

    @on(Get)
    def get(self, host: Host, sender: str, request: Get) -> None:
        if request.kind not in self.KINDS:
            known = ", ".join(map(repr, self.KINDS))
            raise ProtocolError(f"Get(kind={request.kind!r}) on {self.name}: kinds are {known}")
        value = self.value(request.kind, request.key)
        if host.operation is None:
            host.reply(Value(request.kind, request.key, value))
        else:
            host.respond(value)

    def _update(self, host: Host, kind: str, key: str, change: Callable[[Any], object]) -> None:
        asked = host.operation
        if asked is not None:
            if self._is_served(asked):
                return
            self.served = dict(sorted({**self.served, asked.client: asked.number}.items()))
        entry = self._entry(kind, key)
        before = entry.state()
        change(entry)
        if entry.state() != before:
            self._store((kind, key), entry)
            self._may_lack(host, host.peers, [(kind, key)])
        host.sync()
        if asked is not None:
            host.respond(None)

    def _is_served(self, asked: Operation) -> bool:
        """Whether this is a late copy of a request that was answered before."""
        return asked.number <= self.served.get(asked.client, 0)

    # -- anti-entropy ----------------------------------------------------------------------------

    @on.timer("gossip")
    def gossip(self, host: Host) -> None:
        """Tell each peer what it may lack, again and again until it has acknowledged it."""
        for peer in host.peers:
            keys = sorted(key for whose, key in self.lacking if whose == peer)
            if keys and self.digests:
                host.send(peer, Offer(self._digests(keys)))
            elif keys:
                host.send(peer, Gossip(self._states(keys)))
        host.set_timer("gossip", self.gossip_seconds)

    @on(Offer)
    def compare(self, host: Host, sender: str, offer: Offer) -> None:
        """Pull and push: say what is the same, and send what is not."""
        mine = dict(self._digests(key for key, _ in offer.digests if key in self.entries))
        same = tuple(each for each in offer.digests if mine.get(each[0]) == each[1])
        for key, _ in same:
            self._lacks_nothing(host, sender, key)
        others = sorted(mine.keys() - {key for key, _ in same})
        host.reply(Differs(same, self._states(others)))

    @on(Differs)
    def exchange(self, host: Host, sender: str, answer: Differs) -> None:
        """Merge what came, and send what the other still lacks of it."""
        self._merge(host, sender, answer.entries)
        for key, theirs in answer.same:
            if dict(self._digests([key]))[key] == theirs:
                self._lacks_nothing(host, sender, key)
        keys = sorted(key for whose, key in self.lacking if whose == sender)
        if keys:
            host.reply(Gossip(self._states(keys)))

    @on(Gossip)
    def hear(self, host: Host, sender: str, gossip: Gossip) -> None:
        self._merge(host, sender, gossip.entries)
        host.reply(GossipAck(self._states(key for key, _ in gossip.entries)))

    @on(GossipAck)
    def hear_ack(self, host: Host, sender: str, ack: GossipAck) -> None:
        self._merge(host, sender, ack.entries)

    def _merge(self, host: Host, sender: str, heard: Entries) -> None:
        """Take over what `sender` has, and note what it and the others may lack."""
        others = [peer for peer in host.peers if peer != sender]
        for key, state in heard:
            entry = self.entries.get(key)
            before = None if entry is None else entry.state()
            if entry is None:
                entry = self._first_heard(key, state, sender)
            else:
                entry.merge(state)
            if entry.state() != before:
                self._store(key, entry)
                self._may_lack(host, others, [key])
            # What the sender lacked before, it still may: that is noted already.
            if entry.leq(state):
                self._lacks_nothing(host, sender, key)
        host.sync()

    def _entry(self, kind: str, key: str) -> Replica:
        """The replica of a key, a new one where there is none yet."""
        entry = self.entries.get((kind, key))
        # Not by `or`: a set without elements is false, and knows what was removed from it.
        return self.KINDS[kind](self.replica_id) if entry is None else entry

    def _first_heard(self, key: Key, state: State, sender: str) -> Replica:
        """A replica of a key that was unknown here: it will write under this node's own id."""
        return self.KINDS[key[0]].from_state(self.replica_id, state)

    def _store(self, key: Key, entry: Replica) -> None:
        # By key: in which order keys were first heard of is no part of the state.
        self.entries = dict(sorted({**self.entries, key: entry}.items()))

    def _states(self, keys: Iterable[Key]) -> Entries:
        return tuple((key, self.entries[key].state()) for key in keys)

    def _digests(self, keys: Iterable[Key]) -> Digests:
        return tuple((key, digest(repr(self.entries[key].state()))) for key in keys)

    def _may_lack(self, host: Host, peers: Iterable[str], keys: Collection[Key]) -> None:
        was_quiet = not self.lacking
        self.lacking.update((peer, key) for peer in peers for key in keys)
        # Not while it runs: set anew by every update, it would never fire.
        if was_quiet and self.lacking:
            host.set_timer("gossip", self.gossip_seconds)

    def _lacks_nothing(self, host: Host, peer: str, key: Key) -> None:
        self.lacking.discard((peer, key))
        if not self.lacking:
            host.cancel_timer("gossip")
