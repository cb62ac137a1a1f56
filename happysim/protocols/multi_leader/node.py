"""Several leaders: each takes writes alone, and in the end all have the same.

**Source**: DeCandia et al., *Dynamo: Amazon's highly available key-value store*, SOSP 2007,
sections 4.4 (versions) and 4.7 (hash trees); Preguiça et al., PODC 2012 (dotted version vectors);
Demers et al., *Epidemic algorithms for replicated database maintenance*, PODC 1987 (anti-entropy,
death certificates); Terry et al., *Session guarantees for weakly consistent replicated data*, PDIS
1994.

**Assumes**: messages may be lost, delayed, reordered and copied. Leaders crash, and restart with
what they have synced to disk; a disk is not lost. The set of leaders does not change. A client
script has one request open at a time.

**Deviates**:
- Every leader keeps every key, and answers alone: no preference lists, and no quorums.
- Tombstones are kept for ever. Dropped too early, a late copy of what they deleted would come back.
- The tree is computed when it is asked for.

A write reads what is there and replaces it in one step. What a leader has of a key only ever grows
in the order of `records.joined`, and that is all that convergence rests on.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from happysim.core.describe import describe
from happysim.core.errors import ProtocolError
from happysim.core.freeze import freeze
from happysim.core.host import Host
from happysim.core.node import Node, durable, on
from happysim.protocols.crdt.hybrid_clock import after
from happysim.protocols.multi_leader.merkle import ROOT, leaf_of, tree_of
from happysim.protocols.multi_leader.messages import (
    Compare,
    Delete,
    Done,
    Equal,
    Found,
    Get,
    Leaf,
    NotYet,
    Push,
    Put,
    Records,
)
from happysim.protocols.multi_leader.records import (
    NOTHING,
    Context,
    Record,
    Version,
    has_seen,
    joined,
    written,
)
from happysim.protocols.multi_leader.resolvers import Resolver, Siblings


class MultiLeaderNode(Node):
    """A leader. All of a world have one `resolver` and one `tree_depth`.

    The anti-entropy timer is set exactly while some peer may have something else, so that a system
    without writes comes to rest. With `hybrid` timestamps follow `host.now`; without, they count.

    Raises `ProtocolError` where `tree_depth` is not in 0 .. 32.
    """

    resolver: Resolver = Siblings()
    tree_depth: int = 4
    hybrid: bool = False
    anti_entropy_seconds: float = 1.0

    records: dict[str, Record] = durable(factory=dict)
    clock: int = durable(default=0)  # the largest timestamp seen
    # The newest update served of each client, and its answer, so that a copy of it counts once.
    served: dict[str, tuple[int, Done]] = durable(factory=dict)
    lives: int = durable(default=0)  # one more with each start
    unsure: set[str] = set()  # peers that may have something else

    def __post_init__(self) -> None:
        if not 0 <= self.tree_depth <= 32:
            raise ProtocolError(f"{self.name}: tree_depth={self.tree_depth}; give 0 to 32")

    def on_start(self, host: Host) -> None:
        """After a restart nobody remembers what the peers have."""
        self.lives += 1
        host.sync()
        if self.lives > 1:
            self.doubt(host, host.peers)

    # -- clients ---------------------------------------------------------------------------------

    @on(Put)
    def put(self, host: Host, sender: str, request: Put) -> None:
        self.write(host, request.key, request.value, request.context)

    @on(Delete)
    def delete(self, host: Host, sender: str, request: Delete) -> None:
        self.write(host, request.key, None, request.context, is_deleted=True)

    @on(Get)
    def get(self, host: Host, sender: str, request: Get) -> None:
        record = self.records.get(request.key, NOTHING)
        if self.is_behind(record, request.after):
            host.reply(NotYet())
        else:
            host.reply(Found(self.resolver.read(record.versions), record.seen))

    def is_behind(self, record: Record, context: Context) -> bool:
        """Terry et al., section 4: whether a client has seen more of a key than this leader."""
        return not has_seen(record.seen, context)

    def write(
        self,
        host: Host,
        key: str,
        value: Any,
        context: Context | None,
        is_deleted: bool = False,
    ) -> None:
        """Replace what the context has seen, in the step that reads it."""
        asked = host.operation
        number, answer = self.served.get(asked.client, (0, None)) if asked else (0, None)
        if asked and asked.number <= number:
            if asked.number == number:
                host.respond(answer)
            return
        record = self.records.get(key, NOTHING)
        count = dict(record.seen).get(self.name, 0) + 1
        # A clock that is wrong may show a time from before its origin.
        self.clock = after(self.clock, max(host.now, 0)) if self.hybrid else self.clock + 1
        version = Version((self.name, count), self.clock, value, is_deleted)
        read = record.seen if context is None else context
        self.store(key, self.overwrite(record, version, read))
        done = Done(self.records[key].seen)
        if asked:
            self.served = dict(sorted({**self.served, asked.client: (asked.number, done)}.items()))
        self.persist(host)
        self.doubt(host, host.peers)
        host.broadcast(Push(((key, self.records[key]),)))
        if asked:
            host.respond(done)

    def overwrite(self, record: Record, version: Version, context: Context) -> Record:
        """What the writer has not seen stays."""
        return written(record, version, context)

    def store(self, key: str, record: Record) -> None:
        """Keep a record, with those of its siblings that the resolver lets stay."""
        kept = Record(record.seen, self.resolver.keep(record.versions))
        # By key: in which order keys were first heard of is no part of the state.
        self.records = dict(sorted({**self.records, key: kept}.items()))

    def persist(self, host: Host) -> None:
        """A leader that forgot its writes would give their dots to others."""
        host.sync()

    # -- what comes from other leaders -----------------------------------------------------------

    @on(Push)
    def take_push(self, host: Host, sender: str, push: Push) -> None:
        self.merge(host, sender, push.records)

    def merge(self, host: Host, sender: str, heard: Records) -> None:
        """Take over what `sender` has; the others may not have it."""
        for key, record in heard:
            before = self.records.get(key, NOTHING)
            self.store(key, joined(before, record))
            self.clock = max(self.clock, *(each.timestamp for each in record.versions), 0)
            if self.records[key] != before:
                self.doubt(host, [peer for peer in host.peers if peer != sender])
            if self.records[key] != record:
                self.doubt(host, [sender])
        self.persist(host)

    # -- anti-entropy (Dynamo, section 4.7) ------------------------------------------------------

    def doubt(self, host: Host, peers: Iterable[str]) -> None:
        """These may have something else: compare with them, until they have not."""
        was_sure = not self.unsure
        self.unsure.update(peers)
        # Not while it runs: set anew by every write, it would never fire.
        if was_sure and self.unsure:
            host.set_timer("anti-entropy", seconds=self.anti_entropy_seconds)

    def trust(self, host: Host, peer: str) -> None:
        """This one has the same, or more, and is then in doubt itself."""
        self.unsure.discard(peer)
        if not self.unsure:
            host.cancel_timer("anti-entropy")

    def tree(self) -> dict[str, str]:
        """The digests of what is here, by path."""
        return tree_of(
            {key: self.content(record) for key, record in self.records.items()}, self.tree_depth
        )

    def content(self, record: Record) -> str:
        """A record as text, equal for equal records on every machine."""
        return describe(freeze(record))

    @on.timer("anti-entropy")
    def compare(self, host: Host) -> None:
        """Begin at the root."""
        root = self.tree()[ROOT]
        host.broadcast(Compare(((ROOT, root),)), to=sorted(self.unsure))
        host.set_timer("anti-entropy", seconds=self.anti_entropy_seconds)

    @on(Compare)
    def descend(self, host: Host, sender: str, request: Compare) -> None:
        """Go down where the trees differ; at a leaf, show all that is in it."""
        tree = self.tree()
        differing = [path for path, theirs in request.digests if tree.get(path) != theirs]
        if request.digests == ((ROOT, tree[ROOT]),):
            self.trust(host, sender)
            host.reply(Equal(tree[ROOT]))
            return
        self.doubt(host, [sender])
        below = [path + bit for path in differing if len(path) < self.tree_depth for bit in "01"]
        if below:
            host.reply(Compare(tuple((path, tree[path]) for path in below)))
        for path in differing:
            if len(path) == self.tree_depth:
                host.reply(Leaf(path, self.leaf(path), is_answer=False))

    @on(Leaf)
    def take_leaf(self, host: Host, sender: str, leaf: Leaf) -> None:
        """Merge it, and show the other what it lacks."""
        self.merge(host, sender, leaf.records)
        mine = self.leaf(leaf.path)
        if mine != leaf.records and not leaf.is_answer:
            host.reply(Leaf(leaf.path, mine, is_answer=True))

    def leaf(self, path: str) -> Records:
        """All that is here in one leaf."""
        return tuple(
            entry for entry in self.records.items() if leaf_of(entry[0], self.tree_depth) == path
        )

    @on(Equal)
    def rest(self, host: Host, sender: str, answer: Equal) -> None:
        """A root that is still this leader's says that the other has all that is here."""
        if answer.root == self.tree()[ROOT]:
            self.trust(host, sender)
