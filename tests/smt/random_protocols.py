"""Small protocols drawn at random: tables of local steps, messages, timers, choices and crashes."""

from __future__ import annotations

from typing import Any

from happysim import (
    Choice,
    Faults,
    Property,
    Random,
    Script,
    World,
    always,
    duplicating,
    ordered,
    reachable,
    step_always,
    unordered,
)
from happysim.core.network import Delivery
from tests.oracles.models.tabled import Blue, Red, Rule, Tabled, asks

MESSAGES = (Red(0), Red(1), Blue(0), Blue(1))
TRIGGERS = ("start", "act", "act", "tick", *map(repr, MESSAGES), *map(repr, MESSAGES))
NETWORKS: dict[str, Delivery] = {
    "unordered": unordered(),
    "duplicating": duplicating(),
    "ordered": ordered(),
}


def step(random: Random, states: int, scripted: bool) -> tuple[Any, ...]:
    kind = random.choice(
        ["go", "go", "send", "send", "tell all", "choose", "set", "keep", "answer"]
    )
    match kind:
        case "go":
            return "go", random.below(states)
        case "send":
            return "send", random.below(3), random.choice(MESSAGES)
        case "tell all":
            return "tell all", random.choice(MESSAGES)
        case "choose":
            return "choose", random.below(states), random.below(states)
        case "set":
            return "set", "tick"
        case "answer" if scripted:
            return "answer", random.below(4)
    return "keep", random.below(2)


def node(random: Random, name: str, states: int, scripted: bool) -> Tabled:
    rules = []
    for _ in range(3 + random.below(7)):
        effect = tuple(step(random, states, scripted) for _ in range(1 + random.below(2)))
        trigger = random.choice(TRIGGERS)
        if trigger != "start" and not random.below(40):
            effect = (*effect, ("raise",))
        rules.append(Rule(trigger, random.below(states), effect))
    return Tabled(name, tuple(rules), sends_left=random.choice([1, 2, 2, 3]))


def protocol(seed: int, network: str) -> World:
    """The protocol of a seed: two or three nodes, sometimes a client, sometimes crashes."""
    random = Random(seed)
    states, scripted = 2 + random.below(3), not random.below(3)
    nodes = [node(random, f"n{i}", states, scripted) for i in range(1, (2 + random.below(2)) + 1)]
    crashes = random.choice([0, 0, 1, 2])
    faults = Faults(
        crashes=crashes,
        restarts=random.choice([None, 0, 1]) if crashes else None,
        duplicates=random.choice([0, 0, 1]),
        drops=random.choice([0, 0, 1]),
        down_max=random.choice([1, 2]),
        unsynced_loss=bool(random.below(2)),
    )
    plan = (("n1", random.choice(MESSAGES)), ("n2", random.choice(MESSAGES)))
    scripts = [Script("c1", asks, plan)] if scripted else []
    return World.of(*nodes, *scripts, faults=faults, network=NETWORKS[network])


def properties(seed: int, network: str) -> list[Property]:
    """What is judged of the protocol of a seed: one property of each sort that is covered."""
    random = Random(seed + 1_000_000)
    one, other, kept = random.below(4), random.below(4), random.below(2)

    @always(protocol, seed=seed, network=network)
    def never_together(world: World) -> bool:
        return not (world["n1"].state == one and world["n2"].state == other)

    @always(protocol, seed=seed, network=network)
    def never_alike_and_kept(world: World) -> bool:
        first, second = world["n1"], world["n2"]
        return not (first.state == second.state == one and first.kept == kept)

    @reachable(protocol, seed=seed, network=network)
    def once(world: World) -> bool:
        return world["n2"].state == one and world["n1"].sends_left == kept

    @step_always(protocol, seed=seed, network=network)
    def never_from_to(before: World, after: World) -> bool:
        was, now = before["n1"].state, after["n1"].state
        return not ((was, now) == (one, other) and before["n2"].state == kept)

    return [never_together, never_alike_and_kept, once, never_from_to]


def lively(seed: int, network: str) -> World:
    """As `protocol`, of nodes with more to do: each begins, and most messages lead somewhere."""
    random = Random(seed)
    states = 3 + random.below(2)
    nodes = []
    for number in range(1, 2 + random.below(2) + 1):
        made = node(random, f"n{number}", states, scripted=False)
        first = Rule("act", 0, (("tell all", random.choice(MESSAGES)), ("go", number % states)))
        more = [
            Rule(repr(message), state, (step(random, states, False), ("go", random.below(states))))
            for message in MESSAGES
            for state in range(states)
            if random.below(3)
        ]
        nodes.append(Tabled(made.name, (first, *more, *made.rules), sends_left=2))
    crashes = random.choice([0, 0, 1])
    faults = Faults(crashes=crashes, duplicates=random.choice([0, 0, 1]))
    return World.of(*nodes, faults=faults, network=NETWORKS[network])


def all_pairs(seed: int, network: str) -> list[Property]:
    """Of states of two nodes: that they are never together. Some are at once, some after long."""

    def never(one: int, other: int, kept: int) -> Property:
        @always(lively, seed=seed, network=network)
        def never_together(world: World) -> bool:
            first, second = world["n1"], world["n2"]
            return not (first.state == one and second.state == other and second.kept >= kept)

        return never_together

    random = Random(seed)
    return [never(random.below(3), 1 + random.below(3), random.below(2)) for _ in range(4)]


def walk(world: World, seed: int, length: int) -> tuple[list[Choice], World]:
    """A random run: messages, timers, actions, draws, clients and faults; and where it ends."""
    random = Random(seed)
    taken: list[Choice] = []
    while len(taken) < length:
        ways = list(world.steps())
        if not ways:
            break
        choice, world = random.choice(ways)
        taken.append(choice)
    return taken, world
