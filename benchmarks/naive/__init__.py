"""The same search with nothing remembered: a second way to each answer, and a yardstick of speed.

It takes the protocol classes as they are and does the obvious. A state holds live node objects. A
step copies the node that acts, runs its handler on the copy, and keeps what the handler sent in a
list of messages in flight. A set of canonical keys says which states were seen.

It shares no code with the engine's tables, processes, worlds or kernels. Of the rest it uses the
classes that protocols are written with (Node, Script, Faults, History) and nothing that judges
whether two states are equal. What a careful programmer would do is done: a step copies one node
and not all, values that cannot change are shared, and each node's key is made once.

A handler that iterates a set sees here the order of a plain set; let it sort.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any
from unittest import mock

from benchmarks.naive.state import NEW, Client, Local, Setup, State
from benchmarks.naive.steps import Instead, acted, durable, successors
from happysim.core.choice import Faults
from happysim.core.network import Delivery, unordered
from happysim.core.node import Node
from happysim.core.script import Script
from happysim.core.world import World
from happysim.spec.property import Property, Sort


@dataclass
class Found:
    """What a search saw: `worlds`, `steps` (back to known worlds too), and the greatest `depth`.

    `broken` gives the fewest choices to a violation, by property name; for a `reachable` property
    the fewest choices to a witness. A handler that raised is a violation of `no_handler_raises`.
    """

    worlds: int = 0
    steps: int = 0
    depth: int = 0
    seconds: float = 0.0
    starts: int = 1
    quiescent: int = 0
    broken: dict[str, int] = field(default_factory=dict)

    @property
    def generated(self) -> int:
        return self.steps + self.starts


def start(
    *processes: Node | Script, faults: Faults | None = None, network: Delivery | None = None
) -> State:
    """The state in which these have just started: the arguments are those of `World.of`."""
    faults = faults or Faults()
    nodes = [each for each in processes if isinstance(each, Node)]
    made = {each.name: deepcopy(each) if isinstance(each, Node) else each for each in processes}
    peers = {
        node.name: tuple(
            other.name
            for other in nodes
            if other is not node and other.happysim_family is node.happysim_family
        )
        for node in nodes
    }
    names = tuple(made)
    setup = Setup(names, made, peers, faults, (network or unordered()).kind, splits(nodes, faults))
    locals_ = tuple(
        Client(each, (), False)
        if isinstance(each, Script)
        else Local(each, NEW, frozenset(), [durable(each)] if faults.unsynced_loss else [])
        for each in made.values()
    )
    state = State(setup, locals_, (), faults.budgets)
    for node in nodes:
        started = list(acted(state, node.name, lambda node, host: node.on_start(host)))
        # Where a node chooses as it starts, its start is left as a first step.
        if len(started) == 1 and isinstance(started[0][1], State):
            state = started[0][1]
    return state


def splits(nodes: list[Node], faults: Faults) -> tuple[frozenset[str], ...]:
    """Each way to cut the nodes in two, once: as the side on which the first node is not."""
    names = frozenset(node.name for node in nodes)
    if faults.splits:
        sides = [frozenset(side) for side in faults.splits]
        first = nodes[0].name
        return tuple(dict.fromkeys(names - side if first in side else side for side in sides))
    rest = [node.name for node in nodes[1:]]
    sizes = range(1, len(rest) + 1)
    return tuple(frozenset(side) for size in sizes for side in combinations(rest, size))


def start_of(scenario: Callable[..., Any], **arguments: Any) -> State | Mapping[str, State]:
    """The first state, or states, of a scenario function that calls `World.of`."""
    with mock.patch.object(World, "of", start):
        return scenario(**arguments)  # type: ignore[no-any-return]


@dataclass
class _Search:
    """One breadth-first search: what was seen, and what waits."""

    properties: tuple[Property, ...]
    within: Callable[[Any], bool] | None
    history: bool
    found: Found
    seen: set[Any] = field(default_factory=set)
    queue: deque[tuple[State, int]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.of_worlds = self.of(Sort.ALWAYS, Sort.REACHABLE, Sort.LINEARIZABLE)
        self.of_steps = self.of(Sort.STEP_ALWAYS)
        self.of_ends = self.of(Sort.QUIESCENT)

    def of(self, *sorts: Sort) -> list[Property]:
        return [each for each in self.properties if each.sort in sorts]

    def ask(self, properties: list[Property], choices: int, *states: Any) -> None:
        for each in properties:
            if each.name not in self.found.broken and each.judge(*states) is not None:
                self.found.broken[each.name] = choices

    def visit(self, state: State, depth: int) -> bool:
        """Take in a state if it is new; False where it lies outside the bounds."""
        key = state.key(self.history)
        if key not in self.seen:
            if self.within is not None and not self.within(state):
                return False
            self.seen.add(key)
            self.queue.append((state, depth))
            self.found.depth = max(self.found.depth, depth)
            self.ask(self.of_worlds, depth - 1, state)
        return True

    def expand(self, state: State, depth: int, at_limit: bool) -> None:
        """Take every step that leads on from a state; at the limit of depth only see if it ends."""
        ended = True
        for own, after in successors(state):
            ended = ended and not own
            if not at_limit:
                self.take(state, after, depth)
        if ended and not any(getattr(each, "waiting", False) for each in state.locals):
            self.found.quiescent += 1
            self.ask(self.of_ends, depth - 1, state)

    def take(self, state: State, after: State | Instead, depth: int) -> None:
        """One step from a state at a depth."""
        if isinstance(after, State):
            if self.visit(after, depth + 1):
                self.found.steps += 1
                self.ask(self.of_steps, depth, state, after)
        elif after is Instead.RAISED:
            self.found.steps += 1
            self.found.broken.setdefault("no_handler_raises", depth)


def explore(
    first: State | Mapping[str, State],
    *properties: Property,
    within: Callable[[Any], bool] | None = None,
    history: bool = False,
    max_depth: int | None = None,
    max_worlds: int | None = None,
    seconds: float | None = None,
) -> Found:
    """Visit every state breadth first, as `happysim.explore` does. The first has depth 1.

    Each property is judged at every world, step or end that it speaks of, up to the end of the
    search. `max_worlds` and `seconds` are looked at between two states.
    """
    starts = first if isinstance(first, Mapping) else {"": first}
    search = _Search(properties, within, history, Found(starts=len(starts)))
    began = time.perf_counter()
    for state in starts.values():
        search.visit(state, 1)
    while search.queue and not (max_worlds and len(search.seen) >= max_worlds):
        state, depth = search.queue.popleft()
        search.expand(state, depth, depth == max_depth)
        if seconds is not None and time.perf_counter() - began > seconds:
            break
    search.found.worlds = len(search.seen)
    search.found.seconds = time.perf_counter() - began
    return search.found
