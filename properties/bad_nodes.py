"""Small protocols that live on bad nodes: slow ones, ones that stand still, and clocks that err.

Each survives every fault of `MENU`, but for what it says that it does not; in
`properties/broken/bad_nodes.py` each lacks one precaution, and one fault alone shows it. The
network is good here, and what befalls it is in `properties/bad_links.py`.
"""

from __future__ import annotations

from happysim import (
    Crash,
    Drift,
    FreezeClock,
    Host,
    Jump,
    Link,
    Network,
    Node,
    Pause,
    Skew,
    Slow,
    SlowDisk,
    World,
    always,
    at,
    bounded,
    durable,
    message,
    on,
    simulated,
    step_always,
    uniform_latency,
)
from happysim.sim.nemesis import At

SECOND = 1_000_000_000

# -- what befalls n2 -------------------------------------------------------------------------------

# Of all runs.
UNTIL = 40.0
MENU: dict[str, list[At]] = {
    "crash": [at(4.0, Crash("n2"), lasting=1.0)],
    "pause": [at(4.0, Pause("n2"), lasting=10.0)],
    "slow node": [at(4.0, Slow("n2", 0.3))],
    "clock offset": [at(0.0, Skew("n2", -5.0))],
    "clock drift": [at(4.0, Drift("n2", -0.19), lasting=10.0)],
    "clock jumps ahead": [at(4.0, Jump("n2", 5.0))],
    "clock jumps back": [at(4.0, Jump("n2", -0.5))],
    "clock stops": [at(4.0, FreezeClock("n2"))],
    "slow disk": [at(4.0, SlowDisk("n2", 1.0))],
}


def near() -> Network:
    return Network("near", default=Link(uniform_latency(0.001, 0.02)))


# -- a lease for reads -----------------------------------------------------------------------------

LEASE = 10 * SECOND
# Clocks may err by this much over a lease, and more only where they stand still.
MARGIN = 2 * SECOND
NEVER = -(10**15)


@message
class Ask:
    time: int  # of its sender's clock


@message
class Lent:
    asked: int
    until: int  # by the clock of the lender
    lease: int


@message
class Write:
    version: tuple[int, int]  # the lease, and a number in it


@message
class Read: ...


class Lender(Node):
    """Lends a register to one holder at a time."""

    lease: int = 0
    until: int = 0
    version: tuple[int, int] = (0, 0)

    @on(Ask)
    def ask(self, host: Host, sender: str, request: Ask) -> None:
        if host.now >= self.until:
            self.lease, self.until = self.lease + 1, host.now + LEASE
            host.reply(Lent(request.time, self.until, self.lease))

    @on(Write)
    def write(self, host: Host, sender: str, write: Write) -> None:
        self.version = max(self.version, write.version)


class Holder(Node):
    """Writes, and answers reads, while it is sure of its lease, and leaves the next to others.

    **Assumes** that over a lease its clock and the lender's differ by no more than `MARGIN`: no
    reader of a clock that stands still can know that its lease is over.
    """

    until: int = NEVER  # by its own clock
    again: int = NEVER
    version: tuple[int, int] = (0, 0)
    served: int = 0

    def on_start(self, host: Host) -> None:
        # So n2 is the first.
        host.set_timer("work", seconds=0.5 if self.name == "n2" else 0.7)

    @on.timer("work")
    def work(self, host: Host) -> None:
        if self.has_lease(host):
            self.write(host)
        elif host.now >= self.again:
            host.send("n1", Ask(host.now))
        host.set_timer("work", seconds=1.0)

    @on(Lent)
    def lent(self, host: Host, sender: str, lent: Lent) -> None:
        self.until = self.end_of(lent)
        self.again = self.until + 4 * SECOND
        self.version = (lent.lease, 0)
        if self.has_lease(host):
            self.write(host)

    def end_of(self, lent: Lent) -> int:
        """The lease cannot have begun before it was asked for."""
        return lent.asked + LEASE - MARGIN

    def has_lease(self, host: Host) -> bool:
        return host.now < self.until

    def write(self, host: Host) -> None:
        self.version = (self.version[0], self.version[1] + 1)
        host.send("n1", Write(self.version))

    @on(Read)
    def read(self, host: Host, sender: str, read: Read) -> None:
        if self.has_lease(host):
            self.served += 1


class Reader(Node):
    """Asks both holders, again and again."""

    def on_start(self, host: Host) -> None:
        host.set_timer("read", seconds=0.6)

    @on.timer("read")
    def read(self, host: Host) -> None:
        host.broadcast(Read(), to=["n2", "n3"])
        host.set_timer("read", seconds=0.6)


@bounded(by=simulated(until=UNTIL, faults=MENU["pause"]), unknown_passes=True)
def reading(holder: type[Holder] = Holder) -> World:
    holders = [holder("n2"), holder("n3")]
    return World.of(Lender("n1"), *holders, Reader("n4"), network=near())


@step_always(reading)
def no_read_is_stale(before: World, after: World) -> bool:
    return all(
        now.served <= was.served or now.version >= after["n1"].version
        for was, now in zip(before.nodes(Holder), after.nodes(Holder), strict=True)
    )


# -- times as versions -----------------------------------------------------------------------------


@message
class Put:
    number: int
    time: int
    count: int


@message
class Say:
    number: int


class Editor(Node):
    """Has something to be written, again and again."""

    number: int = 0

    def on_start(self, host: Host) -> None:
        host.set_timer("say", seconds=0.4)

    @on.timer("say")
    def say(self, host: Host) -> None:
        self.number += 1
        host.send("n2", Say(self.number))
        host.set_timer("say", seconds=0.4)


class Author(Node):
    """Writes what it is told, each time with a later stamp, whatever its clock shows.

    **Source**: Kulkarni et al., *Logical physical clocks*, 2014: a hybrid logical clock.
    """

    time: int = durable(NEVER)
    count: int = durable(0)  # of stamps of one time

    @on(Say)
    def write(self, host: Host, sender: str, say: Say) -> None:
        self.stamp(host.now)
        host.send("n3", Put(say.number, self.time, self.count))

    def stamp(self, now: int) -> None:
        self.count = 0 if now > self.time else self.count + 1
        self.time = max(self.time, now)


class Shelf(Node):
    """Shows what has the latest stamp."""

    stamp: tuple[int, int] = (NEVER, 0)
    shown: int = 0
    newest: int = 0

    @on(Put)
    def put(self, host: Host, sender: str, put: Put) -> None:
        self.newest = max(self.newest, put.number)
        if (put.time, put.count) > self.stamp:
            self.stamp, self.shown = (put.time, put.count), put.number


@bounded(by=simulated(until=UNTIL, faults=MENU["clock jumps back"]), unknown_passes=True)
def stamping(author: type[Author] = Author) -> World:
    return World.of(Editor("n1"), author("n2"), Shelf("n3"), network=near())


@always(stamping)
def the_last_write_wins(world: World) -> bool:
    return world["n3"].shown == world["n3"].newest


# -- a buffer --------------------------------------------------------------------------------------

ENTRIES_MAX = 45


@message
class Entry:
    number: int


class Feeder(Node):
    number: int = 0

    def on_start(self, host: Host) -> None:
        host.set_timer("feed", seconds=0.25)

    @on.timer("feed")
    def feed(self, host: Host) -> None:
        self.number += 1
        host.send("n2", Entry(self.number))
        host.set_timer("feed", seconds=0.25)


class Buffer(Node):
    """Passes on what it was sent in the last second, or sooner where that is much."""

    since: int = 0
    entries: list[int] = []

    @on(Entry)
    def take(self, host: Host, sender: str, entry: Entry) -> None:
        if not self.entries:
            self.since = host.now
        self.entries.append(entry.number)
        if host.now - self.since >= SECOND or self.is_much():
            self.entries.clear()

    def is_much(self) -> bool:
        return len(self.entries) >= ENTRIES_MAX


@bounded(by=simulated(until=UNTIL, faults=MENU["clock stops"]), unknown_passes=True)
def buffering(buffer: type[Buffer] = Buffer) -> World:
    return World.of(Feeder("n1"), buffer("n2"), network=near())


@always(buffering)
def no_buffer_grows_too_large(world: World) -> bool:
    return len(world["n2"].entries) <= ENTRIES_MAX


# -- a watch ---------------------------------------------------------------------------------------

SILENCE = 3 * SECOND


@message
class Beat: ...


class Beating(Node):
    def on_start(self, host: Host) -> None:
        host.set_timer("beat", seconds=0.5)

    @on.timer("beat")
    def beat(self, host: Host) -> None:
        host.send("n2", Beat())
        host.set_timer("beat", seconds=0.5)


class Watcher(Node):
    """Suspects who was silent at several looks, for one look may be at a clock that has jumped."""

    heard: dict[str, int] = {}  # when, by its own clock
    looks: dict[str, int] = {}  # since then
    suspected: set[str] = set()

    def on_start(self, host: Host) -> None:
        host.set_timer("look", seconds=0.7)

    @on(Beat)
    def hear(self, host: Host, sender: str, beat: Beat) -> None:
        self.heard[sender] = host.now
        self.looks[sender] = 0

    @on.timer("look")
    def look(self, host: Host) -> None:
        for name in self.heard:
            self.looks[name] += 1
            if self.is_silent(name, host.now):
                self.suspected.add(name)
        host.set_timer("look", seconds=0.7)

    def is_silent(self, name: str, now: int) -> bool:
        return now - self.heard[name] > SILENCE and self.looks[name] > 3


@bounded(by=simulated(until=UNTIL, faults=MENU["clock jumps ahead"]), unknown_passes=True)
def watching(watcher: type[Watcher] = Watcher) -> World:
    return World.of(Beating("n1"), watcher("n2"), Beating("n3"), network=near())


@always(watching)
def nobody_who_beats_is_suspected(world: World) -> bool:
    return not world["n2"].suspected


# -- questions -------------------------------------------------------------------------------------


@message
class Question:
    number: int


@message
class Answer:
    number: int


class Asker(Node):
    """Has a question every half second, and asks one at a time, again after two seconds."""

    time: int = 0
    number: int = 0  # of questions so far
    answered: set[int] = set()
    asked: dict[int, int] = {}  # when last, where there is no answer

    def on_start(self, host: Host) -> None:
        host.set_timer("think", seconds=0.1)

    @on.timer("think")
    def think(self, host: Host) -> None:
        self.time = host.now
        self.number = self.time * 2 // SECOND
        self.ask(host)
        host.set_timer("think", seconds=0.1)

    def ask(self, host: Host) -> None:
        left = [number for number in range(1, self.number + 1) if number not in self.answered]
        for number in left[:1]:
            if host.now - self.asked.get(number, -2 * SECOND) >= 2 * SECOND:
                self.asked[number] = host.now
                host.send("n2", Question(number))

    @on(Answer)
    def answer(self, host: Host, sender: str, answer: Answer) -> None:
        self.answered.add(answer.number)
        self.asked.pop(answer.number, None)
        self.ask(host)


class Oracle(Node):
    """Answers questions."""

    @on(Question)
    def question(self, host: Host, sender: str, question: Question) -> None:
        host.reply(Answer(question.number))


@bounded(by=simulated(until=UNTIL, faults=MENU["slow node"]), unknown_passes=True)
def asking(asker: type[Asker] = Asker) -> World:
    return World.of(asker("n1"), Oracle("n2"), network=near())


@always(asking)
def questions_are_answered_in_the_end(world: World) -> bool:
    asker = world["n1"]
    if asker.time < (UNTIL - 1) * SECOND:
        return True
    return set(range(1, asker.number - 16)) <= asker.answered


# -- a log -----------------------------------------------------------------------------------------


@message
class Append:
    number: int


@message
class Stored:
    numbers: tuple[int, ...]


class Source(Node):
    """Has an entry every half second, and sends it again every six until it is stored."""

    time: int = 0
    number: int = 0
    stored: set[int] = set()
    sent: dict[int, int] = {}

    def on_start(self, host: Host) -> None:
        host.set_timer("send", seconds=0.5)

    @on.timer("send")
    def send(self, host: Host) -> None:
        self.time = host.now
        self.number += 1
        self.sent[self.number] = host.now - 6 * SECOND
        for number, when in self.sent.items():
            if host.now - when >= 6 * SECOND:
                self.sent[number] = host.now
                host.send("n2", Append(number))
        host.set_timer("send", seconds=0.5)

    @on(Stored)
    def acknowledged(self, host: Host, sender: str, stored: Stored) -> None:
        self.stored.update(stored.numbers)
        for number in stored.numbers:
            self.sent.pop(number, None)


WAITING_MAX = 10


class Log(Node):
    """Syncs what has come in three seconds, or sooner where that is much, and acknowledges it."""

    log: list[int] = durable([])
    waiting: list[int] = []

    def on_start(self, host: Host) -> None:
        host.set_timer("sync", seconds=3.0)

    @on(Append)
    def append(self, host: Host, sender: str, entry: Append) -> None:
        if entry.number not in self.log:
            self.log.append(entry.number)
        self.waiting.append(entry.number)
        if len(self.waiting) >= WAITING_MAX:
            self.store(host)

    @on.timer("sync")
    def sync(self, host: Host) -> None:
        host.set_timer("sync", seconds=3.0)
        self.store(host)

    def store(self, host: Host) -> None:
        if self.waiting:
            host.sync()
            host.send("n1", Stored(tuple(self.waiting)))
            self.waiting.clear()


@bounded(by=simulated(until=UNTIL, faults=MENU["slow disk"]), unknown_passes=True)
def logging(log: type[Log] = Log) -> World:
    return World.of(Source("n1"), log("n2"), network=near())


@always(logging)
def what_is_acknowledged_is_in_the_log(world: World) -> bool:
    return not world["n2"].is_up or world["n1"].stored <= set(world["n2"].log)


@always(logging)
def entries_are_stored_in_the_end(world: World) -> bool:
    source = world["n1"]
    if source.time < (UNTIL - 1) * SECOND:
        return True
    return set(range(1, source.number - 20)) <= source.stored
