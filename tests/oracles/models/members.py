"""Protocols drawn at random whose nodes are interchangeable, and a slow way to their orbits."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from itertools import permutations
from random import Random
from typing import Any

from happysim import (
    Faults,
    Host,
    Node,
    Script,
    World,
    action,
    call,
    duplicating,
    durable,
    message,
    on,
    ordered,
    unordered,
)
from happysim.core.freeze import thaw

STATES = 3


@message
class Tell:
    kind: int
    about: str | None


@message
class Ask: ...


@dataclasses.dataclass(frozen=True)
class Rule:
    """What a node does where a trigger finds it in a state."""

    trigger: str
    state: int
    steps: tuple[tuple[Any, ...], ...]


class Member(Node):
    """A node that follows a table of rules, none of which names a node."""

    rules: tuple[Rule, ...]
    sends_left: int = durable(2)
    state: int = 0
    friend: str | None = durable(None)
    known: set[str] = set()
    heard: dict[str, int] = {}
    log: list[str] = []

    def _follow(self, host: Host, trigger: str, sender: str | None, about: str | None) -> None:
        for rule in self.rules:
            if (rule.trigger, rule.state) == (trigger, self.state):
                for step in rule.steps:
                    self._take(host, step, sender, about)
                return

    def _who(self, host: Host, word: str, sender: str | None, about: str | None) -> str | None:
        if word == "any":
            return host.choose(host.peers)
        return {"sender": sender, "about": about, "friend": self.friend, "self": host.name}[word]

    def _take(self, host: Host, step: tuple[Any, ...], sender: str | None, about: Any) -> None:
        what, *given = step
        if what == "go":
            self.state = given[0]
        elif what == "fail":
            raise RuntimeError("as its rules say")
        elif what == "timer":
            host.set_timer("tick")
        elif what.startswith("tell ") and self.sends_left:
            self.sends_left -= 1
            tell = Tell(given[0], self._who(host, given[1], sender, about))
            host.broadcast(tell, to=self.known if what == "tell known" else None)
        elif (
            not what.startswith("tell ")
            and (who := self._who(host, given[0], sender, about)) is not None
        ):
            self._about(host, what, who, given[1:])

    def _about(self, host: Host, what: str, who: str, given: list[Any]) -> None:
        if what == "befriend":
            self.friend = who
        elif what == "learn":
            self.known.add(who)
        elif what == "hear":
            self.heard[who] = 1 - self.heard.get(who, 0)
        elif what == "log" and len(self.log) < 2:
            self.log.append(who)
        elif what == "tell" and self.sends_left:
            self.sends_left -= 1
            host.send(who, Tell(given[0], self.friend))

    def on_start(self, host: Host) -> None:
        self._follow(host, "start", None, None)

    @on(Tell)
    def told(self, host: Host, sender: str, tell: Tell) -> None:
        self._follow(host, f"tell {tell.kind}", sender, tell.about)

    @on(Ask)
    def asked(self, host: Host, sender: str, ask: Ask) -> None:
        host.respond(self.state)
        self._follow(host, "ask", None, None)

    @on.timer("tick")
    def tick(self, host: Host) -> None:
        self._follow(host, "tick", None, None)

    @action(when=lambda self: any((r.trigger, r.state) == ("act", self.state) for r in self.rules))
    def act(self, host: Host) -> None:
        self._follow(host, "act", None, None)


def asks(times: int) -> Any:
    for _ in range(times):
        yield call("hub", Ask())


TRIGGERS = ("start", "tell 0", "tell 1", "tick", "act", "ask")


def some_step(random: Random) -> tuple[Any, ...]:
    who = random.choice(["sender", "sender", "about", "friend", "self", "any"])
    kind = random.randrange(2)
    return random.choice(
        [
            ("go", random.randrange(STATES)),
            ("timer",),
            ("fail",),
            ("tell all", kind, "self"),
            ("tell all", kind, who),
            ("tell known", kind, who),
            ("befriend", who),
            ("learn", who),
            ("hear", who),
            ("log", who),
            ("tell", who, kind),
            ("tell", who, kind),
        ]
    )


def some_rules(random: Random) -> tuple[Rule, ...]:
    rules = [Rule("act", 0, (("go", 1), ("tell all", 0, "self")))]
    for _ in range(random.randint(3, 7)):
        steps = tuple(some_step(random) for _ in range(random.randint(1, 3)))
        trigger, state = random.choice(TRIGGERS), random.randrange(STATES)
        # An action that leaves the state as it is could be taken for ever.
        steps += (("go", STATES - 1),) if trigger in ("act", "tick") else ()
        if trigger == "start":
            steps = tuple(step for step in steps if step != ("fail",))
        rules.append(Rule(trigger, state, steps))
    return tuple(rules)


def some_world(seed: int) -> tuple[World, tuple[tuple[str, ...], ...]]:
    """A small world of interchangeable members, maybe with a hub and clients; and the sets."""
    random = Random(seed)
    members = ("n1", "n2", "n3")[: random.choice([2, 3, 3])]
    rules = some_rules(random)
    nodes: list[Node | Script] = [Member(name, rules, 1) for name in members]
    sets = [members]
    if random.random() < 0.5:
        nodes.insert(random.randrange(len(nodes) + 1), Member("hub", some_rules(random), 1))
        if random.random() < 0.5:
            clients = ("c1", "c2")
            nodes += [Script(name, asks, 1) for name in clients]
            sets.append(clients)
    few = [0, 0, 0, 1]
    faults = Faults(
        drops=random.choice(few),
        duplicates=random.choice(few),
        crashes=random.choice(few),
        restarts=random.choice([0, 1]),
        partitions=random.choice(few),
        heals=random.choice([0, 1]),
    )
    network = random.choice([unordered(), ordered(), duplicating()])
    return World.of(*nodes, faults=faults, network=network, symmetric=sets), tuple(sets)


# -- orbits, the slow way --------------------------------------------------------------------------


def renamings(sets: tuple[tuple[str, ...], ...]) -> Iterator[dict[str, str]]:
    """Every permutation of the names of each set."""
    if not sets:
        yield {}
        return
    for rest in renamings(sets[1:]):
        for permuted in permutations(sets[0]):
            yield {**rest, **dict(zip(sets[0], permuted, strict=True))}


def content(value: Any, names: dict[str, str]) -> Any:
    """A value with its names replaced, where sets and dicts have no order."""
    if isinstance(value, str):
        return names.get(value, value)
    if isinstance(value, dict):
        pairs = ((content(key, names), content(item, names)) for key, item in value.items())
        return ("dict", frozenset(pairs))
    if isinstance(value, (set, frozenset)):
        return ("set", frozenset(content(each, names) for each in value))
    if isinstance(value, (list, tuple)):
        return tuple(content(each, names) for each in value)
    if dataclasses.is_dataclass(value):
        fields = (getattr(value, each.name) for each in dataclasses.fields(value))
        return (type(value).__name__, *(content(each, names) for each in fields))
    return value


def told(world: World, names: dict[str, str]) -> Any:
    """All that is in a world, with its names replaced."""
    nodes = {
        names.get(node.name, node.name): (
            node.is_up,
            node.timers,
            *(content(getattr(node, field), names) for field in Member.happysim_fields),
        )
        for node in world.nodes(Member)
    }
    links: dict[tuple[str, str], list[Any]] = {}
    for source, target, sent, operation in world.waiting():
        link = (names.get(source, source), names.get(target, target))
        asked = content(operation, names)
        links.setdefault(link, []).append((content(thaw(sent), names), asked))
    in_order = world.tables.network.kind == "ordered"
    flights = {
        link: tuple(sent) if in_order else frozenset(Counter(sent).items())
        for link, sent in links.items()
    }
    lanes = frozenset(
        (
            _lane(lane, names),
            tuple(
                (
                    content(each.operation, names),
                    frozenset((_lane(other, names), last) for other, last in each.after),
                    each.done,
                    content(each.result, names),
                )
                for each in calls
            ),
        )
        for lane, calls in world.history.lanes
    )
    cut = None
    if world.partition:
        sides = (frozenset(names.get(n, n) for n in s.split()) for s in world.partition.split("|"))
        cut = frozenset(sides)
    left = tuple(world.faults_left.items())
    awaited = frozenset(
        (names.get(name, name), world.tables.state_text(slot, world.state_number(slot)))
        for slot, name in enumerate(world.tables.names)
        if name.startswith("c")
    )
    return frozenset(nodes.items()), frozenset(flights.items()), lanes, cut, left, awaited


def _lane(lane: str, names: dict[str, str]) -> str:
    client, *number = lane.split("~")
    return "~".join([names.get(client, client), *number])
