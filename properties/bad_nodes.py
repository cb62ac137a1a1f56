"""Faults of nodes, their clocks and their disks in time, and small protocols that survive them.

Those that read clocks are in `properties/bad_clocks.py`. In `properties/broken/bad_nodes.py` each
lacks one precaution, and one fault of `MENU` alone shows it. The network is good here, and what
befalls it is in `properties/bad_links.py`.
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
