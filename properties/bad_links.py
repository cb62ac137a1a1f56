"""Small protocols that live on a bad network: a group with a coordinator, copies, and a lease.

Each survives every fault of `MENU`; in `properties/broken/bad_links.py` each lacks one precaution,
and one fault alone shows it. Times are those of one good clock: it is the network that is bad here.
"""

from __future__ import annotations

from itertools import permutations

from happysim import (
    Bridge,
    Clog,
    Degrade,
    Host,
    Link,
    Network,
    Node,
    Partition,
    Ring,
    Swizzle,
    World,
    always,
    at,
    bounded,
    constant,
    message,
    on,
    simulated,
    step_always,
    uniform_latency,
)
from happysim.sim.nemesis import At
from happysim.sim.net_faults import Echo

SECOND = 1_000_000_000
NAMES = ("n1", "n2", "n3", "n4", "n5")

# -- what befalls the network ----------------------------------------------------------------------

FAST = Link(constant(0.001))
# Of all runs: the faults begin after 4 seconds, and cuts last 10.
UNTIL = 20.0


def everywhere(link: Link) -> list[At]:
    """All links go bad, for good."""
    return [at(4.0, Degrade(link, *pair)) for pair in permutations(NAMES, 2)]


MENU: dict[str, list[At]] = {
    "partition": [at(4.0, Partition(["n1", "n2", "n3"], ["n4", "n5"]), lasting=10.0)],
    "one-way cut, nobody hears n1": [
        at(4.0, Partition(["n1"], NAMES[1:], one_way=True), lasting=10.0)
    ],
    "one-way cut, n1 hears nobody": [
        at(4.0, Partition(NAMES[1:], ["n1"], one_way=True), lasting=10.0)
    ],
    "bridge": [at(4.0, Bridge("n5", ["n1", "n2"], ["n3", "n4"]), lasting=10.0)],
    "ring": [at(4.0, Ring(NAMES), lasting=10.0)],
    "clog": [at(4.0, Clog("n1", "n3"), lasting=3.0)],
    "echo": [at(4.0, Echo("n1", "n2"), lasting=5.0)],
    "swizzle": [at(4.0, Swizzle(NAMES, every=0.1), lasting=5.0)],
    "latency": everywhere(FAST.with_(latency=constant(0.4))),
    "loss": everywhere(FAST.with_(loss=0.3)),
    "corruption": everywhere(FAST.with_(corrupt=0.3)),
    "duplication": everywhere(FAST.with_(duplicate=0.3)),
    "reordering": everywhere(FAST.with_(reorder=0.3, reorder_by=uniform_latency(0.0, 0.4))),
    "jitter": everywhere(FAST.with_(jitter=uniform_latency(0.0, 0.3))),
    "bandwidth": everywhere(FAST.with_(bandwidth_bytes_per_s=15 * 256)),
}


def fast() -> Network:
    return Network("bad links", default=FAST)


# -- a group and its coordinator -------------------------------------------------------------------


@message
class Beat:
    number: int
    hears: tuple[tuple[str, int], ...]  # whom its sender hears, with the last number of each
    supports: str
    leads: bool
    sees_all: bool
    version: int


class Member(Node):
    """Supports the lowest of those that it hears and that hear it; leads by a majority's support.

    It passes on the newest version that it knows of; n1 makes them.
    """

    number: int = 0
    time: int = 0
    heard: dict[str, int] = {}  # when
    beats: dict[str, Beat] = {}  # the newest of each
    supports: str = ""
    led_since: int = 0  # 0 while it does not lead
    led_at: int = 0
    version: int = 0

    def on_start(self, host: Host) -> None:
        host.set_timer("beat", seconds=0.1)

    @on.timer("beat")
    def beat(self, host: Host) -> None:
        self.number += 1
        self.time = host.now
        self.look()
        if self.name == "n1":
            self.version += 1
        hears = tuple((name, self.beats[name].number) for name in self.hears())
        leads = self.led_since > 0
        told = Beat(self.number, hears, self.supports, leads, self.sees_all(), self.version)
        host.broadcast(told)
        host.set_timer("beat", seconds=0.1)

    @on(Beat)
    def hear(self, host: Host, sender: str, beat: Beat) -> None:
        known = self.beats.get(sender)
        self.take(host.now, beat)
        self.heard[sender] = host.now
        if known is None or beat.number > known.number:
            self.beats[sender] = beat

    def take(self, now: int, beat: Beat) -> None:
        self.version = max(self.version, beat.version)

    def look(self) -> None:
        self.supports = self.choose()
        if self.supports == self.name and self.may_lead():
            self.led_since = self.led_since or self.time
            self.led_at = self.time
        else:
            self.led_since = 0

    def hears(self) -> list[str]:
        return sorted(name for name, when in self.heard.items() if self.time - when < SECOND)

    def mutual(self) -> list[str]:
        """Whom it hears, and who hears it."""
        return [name for name in self.hears() if self.name in dict(self.beats[name].hears)]

    def choose(self) -> str:
        return min([self.name, *self.mutual()])

    def supporters(self) -> int:
        return 1 + sum(self.beats[name].supports == self.name for name in self.hears())

    def may_lead(self) -> bool:
        return 2 * self.supporters() > len(NAMES)

    def heard_of(self) -> set[str]:
        """Whom it hears, and whom those hear."""
        views = (dict(self.beats[name].hears) for name in self.hears())
        return {self.name, *self.hears(), *(name for view in views for name in view)}

    def sees_all(self) -> bool:
        return self.heard_of() == {self.name, *self.hears()}


@bounded(by=simulated(until=UNTIL, faults=MENU["bridge"]), unknown_passes=True)
def group(kind: type[Member] = Member) -> World:
    return World.of(*map(kind, NAMES), network=fast())


@always(group)
def no_two_lead_for_long(world: World) -> bool | str:
    """A new coordinator may begin before the old one knows; four seconds later it does."""
    leaders = [node for node in world.nodes(Member) if node.led_since]
    if len(leaders) < 2:
        return True
    time = max(node.time for node in leaders)
    long = [node.name for node in leaders if time - node.led_since > 4 * SECOND]
    return len(long) < 2 or f"{' and '.join(long)} lead"


@always(group)
def somebody_leads(world: World) -> bool | str:
    members = world.nodes(Member)
    time, last = max(n.time for n in members), max(n.led_at for n in members)
    return time - last <= 6 * SECOND or "nobody has led for six seconds"


@step_always(group)
def no_version_falls(before: World, after: World) -> bool:
    return all(
        one.version <= other.version
        for one, other in zip(before.nodes(Member), after.nodes(Member), strict=True)
    )


# -- copies of what one node writes ----------------------------------------------------------------

DUE = 120  # so many writes are to be stored in the end
COPIES = ("n2", "n5")


@message
class Put:
    number: int
    again: bool


@message
class Stored:
    number: int


class Source(Node):
    """Writes one number after the other, and each again every second until it is acknowledged."""

    time: int = 0
    number: int = 0
    sent: dict[tuple[str, int], int] = {}  # what is not acknowledged, with when it was sent last
    heard: dict[str, int] = {}

    def on_start(self, host: Host) -> None:
        host.set_timer("write", seconds=0.1)

    @on.timer("write")
    def write(self, host: Host) -> None:
        self.time = host.now
        for (copy, number), when in list(self.sent.items()):
            if self.is_overdue(copy, when):
                self.put(host, copy, number, again=True)
        self.number += 1
        for copy in COPIES:
            self.put(host, copy, self.number, again=False)
        host.set_timer("write", seconds=0.1)

    def is_overdue(self, copy: str, when: int) -> bool:
        return self.time - when >= SECOND

    def put(self, host: Host, copy: str, number: int, again: bool) -> None:
        self.sent[copy, number] = self.time
        host.send(copy, Put(number, again))

    @on(Stored)
    def stored(self, host: Host, sender: str, stored: Stored) -> None:
        self.heard[sender] = host.now
        self.sent.pop((sender, stored.number), None)


class Shelf(Node):
    """Takes each write once, and shows the newest."""

    stored: set[int] = set()
    count: int = 0
    newest: int = 0

    @on(Put)
    def put(self, host: Host, sender: str, put: Put) -> None:
        if self.is_new(put):
            self.count += 1
            self.show(put)
        self.stored.add(put.number)
        host.send(sender, Stored(put.number))

    def is_new(self, put: Put) -> bool:
        return put.number not in self.stored

    def show(self, put: Put) -> None:
        self.newest = max(self.newest, put.number)


@bounded(by=simulated(until=UNTIL, faults=MENU["loss"]), unknown_passes=True)
def copying(source: type[Source] = Source, shelf: type[Shelf] = Shelf) -> World:
    return World.of(source("n1"), *map(shelf, NAMES[1:]), network=fast())


@always(copying)
def each_write_counts_once(world: World) -> bool:
    return all(shelf.count == len(shelf.stored) for shelf in world.nodes(Shelf))


@always(copying)
def a_shelf_shows_the_newest(world: World) -> bool:
    return all(shelf.newest == max(shelf.stored, default=0) for shelf in world.nodes(Shelf))


@always(copying)
def all_is_stored_in_the_end(world: World) -> bool:
    if world["n1"].time < (UNTIL - 1) * SECOND:
        return True
    return all(set(range(1, DUE + 1)) <= world[name].stored for name in COPIES)


# -- a lease ---------------------------------------------------------------------------------------

LEASE = 2 * SECOND


@message
class Ask:
    """For a lease, or for more of it."""

    time: int


@message
class Lease:
    token: int
    until: int


@message
class Write:
    token: int


class Store(Node):
    """Lends itself to one clerk at a time, and takes no writes of those that had it before."""

    token: int = 0
    holder: str = ""
    until: int = 0
    written: list[int] = []

    @on(Ask)
    def ask(self, host: Host, sender: str, request: Ask) -> None:
        if host.now >= self.until:
            self.token, self.holder = self.token + 1, sender
        if self.holder == sender:
            self.until = host.now + LEASE
            host.send(sender, Lease(self.token, request.time + LEASE))

    @on(Write)
    def write(self, host: Host, sender: str, request: Write) -> None:
        if self.accepts(request):
            self.written.append(request.token)

    def accepts(self, request: Write) -> bool:
        return not self.written or request.token >= self.written[-1]


class Clerk(Node):
    """Asks for the lease, and writes as long as it has it."""

    token: int = 0
    until: int = 0

    def on_start(self, host: Host) -> None:
        host.set_timer("work", seconds=0.2)

    @on.timer("work")
    def work(self, host: Host) -> None:
        host.send("n3", Ask(host.now))
        if host.now < self.until:
            host.send("n3", Write(self.token))
        host.set_timer("work", seconds=0.2)

    @on(Lease)
    def lent(self, host: Host, sender: str, lease: Lease) -> None:
        self.token, self.until = max(self.token, lease.token), max(self.until, lease.until)


@bounded(by=simulated(until=UNTIL, faults=MENU["clog"]), unknown_passes=True)
def lending(store: type[Store] = Store) -> World:
    others = [Clerk(name) for name in NAMES if name != "n3"]
    return World.of(store("n3"), *others, network=fast())


@always(lending)
def writes_are_in_order_of_tokens(world: World) -> bool:
    return list(world["n3"].written) == sorted(world["n3"].written)
