"""Copies: a closure in which no message is taken more often than it can be sent.

A plain closure lets a message arrive any number of times. On a network that makes no copies that is
more than can happen, and where each arrival leads to a new local state it never ends: a server that
is asked once may be asked for ever. Here a process takes so many copies of a message and no more.

How many is found out. Begin with one copy of each; close; look how often the sender can send the
message on any path of its graph; where that is more, close again with that many. What is left in
the end is a closure: take the first step of a run that leads out of it. It takes a copy too many,
so before it the sender has sent that many, on a path in the closure, and none has.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from happysim.core.entries import DUPLICATE
from happysim.core.world import World
from happysim.smt.boxes import TooLargeError
from happysim.smt.closure import RAISED, Closure, Graph, close
from happysim.smt.unroll import components

_ROUNDS_MAX = 8


def counts_copies(world: World) -> bool:
    """True where the network makes no more copies than a budget pays for."""
    budget = world.tables.ledgers.values[world.ledger].budgets[DUPLICATE - 1]
    return world.tables.network.kind != "duplicating" and not math.isinf(budget)


def close_counting(
    start: World,
    within: Callable[[World], str | None] | None = None,
    *,
    effects_max: int = 200_000,
    deadline: float = math.inf,
) -> Closure:
    """The closure from a world whose network makes few copies; see `close`.

    Raises `TooLargeError`, also where ever more copies are sent.
    """
    duplicates: float = start.tables.ledgers.values[start.ledger].budgets[DUPLICATE - 1]
    most: dict[int, float] = {}

    def copies(envelope: int) -> float:
        return most.get(envelope, 1 + duplicates)

    for _ in range(_ROUNDS_MAX):
        closure = close(
            start,
            within,
            effects_max=effects_max,
            deadline=deadline,
            copies=copies,
        )
        grown = False
        for envelope in _received(closure):
            source = closure.tables.envelopes.values[envelope].source
            graph = closure.graphs[source]
            needed = _sent_at_most(graph, envelope, components(graph))
            needed += closure.first.get(envelope, 0) + duplicates
            if needed > copies(envelope):
                most[envelope] = needed
                grown = True
        if not grown:
            return closure
    raise TooLargeError(f"ever more copies of messages are sent, after {_ROUNDS_MAX} attempts")


def _received(closure: Closure) -> list[int]:
    received = {edge.receives for graph in closure.graphs for edge in graph.edges}
    return sorted(received - {-1})


def taken_at_most(closure: Closure) -> dict[int, float]:
    """How many copies of each message any run takes at the most; infinite where that is not known.

    No more are taken than were sent, or copied; and where every step that sends it takes a message,
    no more are sent than these allow. That is looked at again until nothing changes, or for a few
    rounds: each says what is so, whatever comes after.
    """
    budgets = closure.ledger.budgets
    duplicates = budgets[DUPLICATE - 1]
    received = _received(closure)
    most: dict[int, float] = dict.fromkeys(received, math.inf)
    if closure.tables.network.kind == "duplicating" or math.isinf(duplicates):
        return most
    found = [components(graph) for graph in closure.graphs]
    sent, causes = {}, {}
    for envelope in received:
        slot = closure.tables.envelopes.values[envelope].source
        graph = closure.graphs[slot]
        sent[envelope] = _sent_at_most(graph, envelope, found[slot])
        # For each message, or none (-1), on which it is sent: how often at once.
        causes[envelope] = _causes(graph, envelope)
    for _ in range(_ROUNDS_MAX):
        before = dict(most)
        for envelope in received:
            caused = sum(n * before.get(cause, math.inf) for cause, n in causes[envelope].items())
            free = closure.first.get(envelope, 0) + duplicates
            most[envelope] = min(sent[envelope], caused) + free
        if most == before:
            break
    return most


def _causes(graph: Graph, envelope: int) -> dict[int, int]:
    causes: dict[int, int] = {}
    for edge in graph.edges:
        if envelope in edge.sends:
            causes[edge.receives] = max(causes.get(edge.receives, 0), edge.sends.count(envelope))
    return causes


def _sent_at_most(graph: Graph, envelope: int, component: list[int]) -> float:
    """The most copies of a message that any path sends; infinite where a cycle sends it."""
    # Tarjan numbers components against the direction of the edges: targets first.
    best: dict[int, float] = {}
    leaving: dict[int, list[tuple[int, int]]] = {}
    for edge in graph.edges:
        sends = edge.sends.count(envelope)
        here = component[edge.source]
        there = -1 if edge.target == RAISED else component[edge.target]
        if there == here and sends:
            return math.inf
        leaving.setdefault(here, []).append((there, sends))
    for here in sorted(set(component)):
        ways = [
            sends + best.get(there, 0) for there, sends in leaving.get(here, ()) if there != here
        ]
        best[here] = max(ways, default=0)
    return best[component[0]]
