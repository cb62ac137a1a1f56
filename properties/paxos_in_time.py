"""Paxos under load, in virtual time: one value is chosen, whatever happens, and everyone learns it.

Clients propose values of their own, give up waiting, and ask another node, while nodes crash,
clocks go wrong, and messages get lost, copied and delayed. The theorems are those of
`properties/paxos.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from happysim import (
    Faults,
    Script,
    World,
    bounded,
    call,
    eventually,
    monitor,
    reachable,
    sleep,
    swarm,
)
from happysim.protocols.paxos import PaxosNode, Propose
from properties.counting import faults_and_clocks
from properties.paxos import every_theorem, nodes_of, promises_are_kept

# Faults befall the first seconds of a run.
ROUGH_SECONDS = 4.0


def propose(name: str, nodes: tuple[str, ...], timeout: float, wait: float) -> Iterator[Any]:
    """A client that asks one node after the other until it is answered, and then one more."""
    at = int("".join(each for each in name if each.isdigit()) or 0)
    for turn in range(2):
        yield sleep((0.0, wait))
        answer = None
        while not answer:
            at += 1
            answer = yield call(nodes[at % len(nodes)], Propose((name, turn, at)), timeout=timeout)


@bounded(
    by=swarm(
        seed=1,
        runs=20,
        until=ROUGH_SECONDS,
        calm=40.0,
        menu=faults_and_clocks(),
        arguments={
            "size": (1, 3, 3, 4, 5, 5),
            "proposals": (0, 1, 2, 5),
            "clients": (1, 2, 4),
            "wait": (0.0, 0.2, 2.0),
            "timeout": (0.2, 0.5, 2.0),
        },
    ),
    unknown_passes=True,
)
def under_load(
    kind: type[PaxosNode] = PaxosNode,
    size: int = 3,
    proposals: int = 2,
    clients: int = 2,
    wait: float = 0.2,
    timeout: float = 0.5,
) -> World:
    """Nodes n1, n2, ..., of which the first have `proposals`; clients c1, c2, ... have more.

    Each client waits up to `wait` seconds before it asks.
    """
    names = tuple(f"n{number}" for number in range(1, size + 1))
    nodes = [kind(name, name if at < proposals else None) for at, name in enumerate(names)]
    asking = [
        Script(f"c{number}", propose, f"c{number}", names, timeout, wait)
        for number in range(1, clients + 1)
    ]
    return World.of(*nodes, *asking, faults=Faults(crashes=1, unsynced_loss=True))


@monitor(under_load)
class one_value_is_chosen_for_ever:
    """Agreement: all that nodes have learnt and clients were told, at whatever time, is one."""

    def __init__(self) -> None:
        self.chosen: Any = None

    def __call__(self, world: World, name: str) -> bool | str:
        if name.startswith("n"):
            found = world[name].chosen
        else:
            calls = world.history.of(name)
            found = calls[-1].result if calls and calls[-1].done else None
        if found is None:
            return True
        self.chosen = found if self.chosen is None else self.chosen
        return found == self.chosen or f"{name} has {found!r}, and {self.chosen!r} was chosen"


every_theorem_under_load = every_theorem.over(under_load, "every_theorem_under_load")
promises_are_kept_under_load = promises_are_kept.over(under_load, "promises_are_kept_under_load")


@eventually(under_load)
def every_client_is_told(world: World) -> bool | str:
    """Twice, by whichever node."""
    waiting = []
    for name, calls in world.history.lanes:
        if "~" not in name and sum(each.done for each in calls) < 2:
            waiting.append(name)
    return not waiting or f"{' '.join(waiting)} still waits"


@eventually(under_load)
def a_majority_learns(world: World) -> bool | str:
    """Whoever is cut off or down may not."""
    nodes = nodes_of(world)
    behind = [node.name for node in nodes if node.chosen is None]
    return 2 * len(behind) < len(nodes) or f"{' '.join(behind)} did not learn"


@reachable(under_load)
def a_third_ballot_decides(world: World) -> bool:
    """Attempts got into each other's way."""
    learned = [node for node in nodes_of(world) if node.chosen is not None]
    return any(node.accepted and node.accepted.ballot.round > 2 for node in learned)
