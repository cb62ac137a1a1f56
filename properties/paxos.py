"""Paxos: one value is chosen, it was proposed, and whoever waits for it gets to know it.

Sections named here are those of Lamport, *Paxos made simple*, 2001. Rounds of ballots are bounded
by the scenarios: the protocol has no bound. Pauses between attempts mean nothing to a search, which
tries every moment for them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from happysim import (
    Crash,
    Faults,
    Network,
    NodeView,
    Script,
    SequentialObject,
    World,
    always,
    bfs,
    bounded,
    duplicating,
    eventually,
    linearizable,
    lossy_network,
    quiescent,
    randomly,
    reachable,
    simulated,
    step_always,
    together,
    uniform,
)
from happysim.core.network import Delivery
from happysim.core.script import Operation
from happysim.protocols.paxos import PaxosNode, Propose
from properties.clients import asks, nobody_is_forgotten
from properties.worlds import along

# -- clusters, clients and bounds -----------------------------------------------------------------


def cluster(
    size: int,
    *clients: Script,
    kind: type[PaxosNode] = PaxosNode,
    proposals: tuple[Any, ...] = (),
    catches_up: bool = False,
    faults: Faults | None = None,
    network: Delivery | None = None,
) -> World:
    """Nodes n1, n2, ..., of which the first propose these; `kind` may be a broken variant."""
    values = [*proposals, *[None] * (size - len(proposals))]
    nodes = [
        kind(f"n{number}", proposal=value, catch_up_seconds=1.0 if catches_up else None)
        for number, value in enumerate(values, 1)
    ]
    return World.of(*nodes, *clients, faults=faults, network=network)


def client(name: str, *plan: tuple[str, Any]) -> Script:
    """A client that proposes one value after the other: (node, value) each."""
    return Script(name, asks, *((node, Propose(value)) for node, value in plan))


def rounds(highest: int, **of: int) -> Callable[[World], bool]:
    """A bound: no ballot of a round beyond `highest`, or beyond the node's own: `n1=2`."""

    def within(world: World) -> bool:
        return all(
            node.promised.round <= of.get(node.promised.name, highest) for node in nodes_of(world)
        )

    return within


def nodes_of(world: World) -> tuple[NodeView, ...]:
    return world.nodes(PaxosNode)


@dataclass(frozen=True)
class StickyRegister(SequentialObject):
    """The first value proposed stays; every proposal is told which one that is."""

    initial: Any = None

    def apply(self, state: Any, operation: Any) -> tuple[Any, Any]:
        value = operation.value if state is None else state
        return value, value


# -- scenarios ------------------------------------------------------------------------------------


@bounded(by=bfs(), within=rounds(1))
def duel(kind: type[PaxosNode] = PaxosNode, **options: Any) -> World:
    """Two of three nodes have a value to propose; messages get lost and reordered."""
    return cluster(3, kind=kind, proposals=("x", "y"), **options)


@bounded(by=bfs(), within=rounds(1, n1=2))
def second_attempt(kind: type[PaxosNode] = PaxosNode) -> World:
    """n2 asks for a value of its own to be accepted, and n1 may try a second time.

    Messages of its first attempt are still on their way.
    """
    return along(
        duel(kind), "deliver n2 -> n3 Prep", "deliver n3 -> n2 Promise", "deliver n2 -> n1 Prep"
    )


@bounded(by=bfs(), within=rounds(1))
def acceptor_crashes(kind: type[PaxosNode] = PaxosNode) -> World:
    """n3, whose promise decides, may crash, losing what it had not synced."""
    return duel(kind, faults=Faults(crashes=1, crashable=("n3",), unsynced_loss=True))


@bounded(by=bfs(), within=rounds(1, n1=2))
def proposer_crashes(kind: type[PaxosNode] = PaxosNode) -> World:
    """n1 may crash, losing what it had not synced; restarted, it proposes again."""
    faults = Faults(crashes=1, crashable=("n1",), unsynced_loss=True)
    return cluster(3, kind=kind, proposals=("x",), faults=faults)


@bounded(by=bfs(), within=rounds(1))
def two_clients(kind: type[PaxosNode] = PaxosNode) -> World:
    """Clients of two nodes; every message may arrive any number of times."""
    clients = [client("c1", ("n1", "x")), client("c2", ("n2", "y"))]
    return cluster(3, *clients, kind=kind, network=duplicating())


@bounded(by=bfs(), within=rounds(1, n2=2))
def one_proposer(kind: type[PaxosNode] = PaxosNode) -> World:
    """Only n1 has a value, of a client; n2 may take over what it has accepted."""
    return cluster(3, client("c1", ("n1", "x")), kind=kind)


@bounded(by=bfs(), within=rounds(1), max_worlds=30_000, unknown_passes=True)
def four_nodes(kind: type[PaxosNode] = PaxosNode) -> World:
    """Half of the nodes is no majority."""
    return cluster(4, kind=kind, proposals=("x", "y"))


def few_messages(world: World) -> bool:
    """A bound: one attempt, and only so many messages on their way."""
    return rounds(1)(world) and len(world.in_flight) <= 5


@bounded(by=bfs(), within=few_messages)
def bystander(kind: type[PaxosNode] = PaxosNode) -> World:
    """Messages may be lost, and nodes that know nothing ask."""
    return cluster(3, kind=kind, proposals=("x",), catches_up=True, faults=Faults(drops=2))


@bounded(by=bfs(), within=rounds(3))
def one_node(kind: type[PaxosNode] = PaxosNode) -> World:
    """A node alone, which may crash twice, losing what it had not synced."""
    asking = client("c1", ("n1", "x"), ("n1", "y"))
    return cluster(1, asking, kind=kind, faults=Faults(crashes=2, unsynced_loss=True))


@bounded(by=uniform(seed=1, runs=30, steps=80), within=rounds(4), unknown_passes=True)
def rough_seas(kind: type[PaxosNode] = PaxosNode) -> World:
    """Five nodes, and clients with three values; crashes and a partition."""
    clients = [
        client("c1", ("n1", "x"), ("n5", "v")),
        client("c2", ("n2", "y")),
        client("c3", ("n3", "z")),
    ]
    faults = Faults(crashes=3, down_max=2, partitions=1, unsynced_loss=True)
    return cluster(5, *clients, kind=kind, faults=faults)


@bounded(
    by=simulated(
        seed=1, runs=8, until=5.0, calm=5.0, faults=[randomly(Crash(), every=1.0, lasting=0.5)]
    ),
    unknown_passes=True,
)
def in_time(kind: type[PaxosNode] = PaxosNode) -> World:
    """Five values in virtual time, over links that lose a tenth of the messages; crashes."""
    values = {f"n{number}": f"v{number}" for number in range(1, 6)}
    network = Network("lossy", default=lossy_network(0.1))
    return World.of(*(kind(name, value) for name, value in values.items()), network=network)


# -- what is promised (section 1) -----------------------------------------------------------------


@always(duel)
def agreement(world: World) -> bool | str:
    """Only a single value is chosen."""
    learned = [node for node in nodes_of(world) if node.chosen is not None]
    for one, other in combinations(learned, 2):
        if one.chosen != other.chosen:
            return f"{one.name} has learnt {one.chosen!r}, and {other.name} {other.chosen!r}"
    return True


@always(duel)
def validity(world: World) -> bool | str:
    """Only a value that has been proposed may be chosen; None is no value."""
    proposed = {node.proposal for node in nodes_of(world)} - {None}
    proposed |= {each.operation.value for _, calls in world.history.lanes for each in calls}
    told = [node.chosen for node in nodes_of(world) if node.chosen is not None]
    told += [each.result for each in world.history.completed]
    wrong = [value for value in told if value not in proposed]
    return f"{wrong[0]!r} was chosen, which nobody proposed" if wrong else True


@always(duel)
def learned_is_chosen(world: World) -> bool | str:
    """A node never learns a value that was not chosen: a majority has accepted it.

    What these accept later is the same value (P2b), so they hold it still.
    """
    nodes = nodes_of(world)
    for node in nodes:
        if node.chosen is None:
            continue
        holders = [each for each in nodes if each.accepted and each.accepted.value == node.chosen]
        if 2 * len(holders) <= len(nodes):
            names = ", ".join(each.name for each in holders) or "nobody"
            return f"{node.name} has learnt {node.chosen!r}, which only {names} accepted"
    return True


answers_are_of_one_choice = linearizable(two_clients, StickyRegister())


# -- what that rests on (section 2.2) -------------------------------------------------------------


@step_always(duel)
def promises_are_kept(before: World, after: World) -> bool | str:
    """P1a: nothing below its promise is accepted, and no promise is taken back, nor a decision."""
    for node in nodes_of(before):
        now = after[node.name]
        if now.promised < node.promised:
            return f"{node.name} went back from {node.promised} to {now.promised}"
        if now.accepted != node.accepted and (
            now.accepted is None or now.accepted.ballot < node.promised
        ):
            return f"{node.name} had promised {node.promised} and accepted {now.accepted}"
        if node.chosen not in (None, now.chosen):
            return f"{node.name} had learnt {node.chosen!r}, and now {now.chosen!r}"
    return True


@always(duel)
def one_value_a_ballot(world: World) -> bool | str:
    """A proposal's ballot tells it from all others."""
    proposals = [node.accepted for node in nodes_of(world) if node.accepted is not None]
    for one, other in combinations(proposals, 2):
        if one.ballot == other.ballot and one.value != other.value:
            return f"{one.ballot} is of {one.value!r} and of {other.value!r}"
    return True


# -- what keeps it going --------------------------------------------------------------------------


@always(duel)
def who_wants_a_decision_tries_again(world: World) -> bool | str:
    """A live node that has a value, proposed or accepted, and no decision, has its timer set."""
    for node in nodes_of(world):
        has_value = node.proposal is not None or node.accepted is not None
        if node.is_up and node.chosen is None and has_value and "retry" not in node.timers:
            return f"{node.name} waits for a decision, for ever"
    return True


@always(bystander)
def who_knows_nothing_asks(world: World) -> bool | str:
    """A live node that knows no decision asks for it from time to time."""
    for node in nodes_of(world):
        if node.is_up and node.chosen is None and "catch up" not in node.timers:
            return f"{node.name} does not ask"
    return True


@always(two_clients)
def who_learns_answers(world: World) -> bool | str:
    """A node that knows the decision has no client that waits for it, whoever decided."""
    for node in nodes_of(world):
        if node.chosen is not None and node.waiting:
            return f"{node.name} knows {node.chosen!r}, and {node.waiting[0].client} waits"
    return True


@always(one_proposer)
def no_client_is_forgotten(world: World) -> bool | str:
    """A client that waits has its request or its answer on its way, or a node that knows of it.

    This is for nodes that do not crash: what a client asked does not survive that.
    """
    return nobody_is_forgotten(world, is_awaited)


def is_awaited(world: World, operation: Operation) -> bool:
    """True where some node knows who waits for its answer."""
    return any(operation in node.waiting for node in nodes_of(world))


@quiescent(one_proposer)
def everyone_learns(world: World) -> bool | str:
    """When nothing is left to do, live nodes know the decision, unless they have no value."""
    live = [node for node in nodes_of(world) if node.is_up]
    behind = [node.name for node in live if node.chosen is None]
    if behind and any(node.proposal is not None or node.accepted is not None for node in live):
        return f"{', '.join(behind)} will never learn"
    return True


@eventually(in_time)
def everyone_learns_in_the_end(world: World) -> bool | str:
    """Once faults stop, all live nodes know the decision."""
    behind = [node.name for node in nodes_of(world) if node.is_up and node.chosen is None]
    return not behind or f"{', '.join(behind)} did not learn"


@always(one_node)
def a_node_alone_decides_at_once(world: World) -> bool:
    """It has nobody to wait for."""
    return all(node.chosen is not None for node in nodes_of(world) if node.proposal is not None)


# -- all of it, elsewhere -------------------------------------------------------------------------

every_theorem = together(
    second_attempt,
    agreement,
    validity,
    learned_is_chosen,
    one_value_a_ballot,
    who_wants_a_decision_tries_again,
    who_learns_answers,
)

every_theorem_through_a_crash_of_an_acceptor = every_theorem.over(acceptor_crashes)
every_theorem_through_a_crash_of_the_proposer = every_theorem.over(proposer_crashes)
every_theorem_of_four_nodes = every_theorem.over(four_nodes)
every_theorem_of_one_proposer = every_theorem.over(one_proposer)
every_theorem_of_one_node = every_theorem.over(one_node)
every_theorem_with_clients = every_theorem.over(two_clients)
every_theorem_in_rough_seas = every_theorem.over(rough_seas)

promises_are_kept_by_who_tries_again = promises_are_kept.over(second_attempt)
promises_are_kept_through_a_crash_of_an_acceptor = promises_are_kept.over(acceptor_crashes)
promises_are_kept_through_a_crash_of_the_proposer = promises_are_kept.over(proposer_crashes)
every_theorem_in_time = every_theorem.over(in_time)
promises_are_kept_in_rough_seas = promises_are_kept.over(rough_seas)

answers_of_one_node_are_of_one_choice = linearizable(one_node, StickyRegister())
answers_in_rough_seas_are_of_one_choice = linearizable(rough_seas, StickyRegister())
everyone_learns_in_a_duel = everyone_learns.over(duel)
everyone_learns_who_asks = everyone_learns.over(bystander)
everyone_learns_after_a_crash = everyone_learns.over(proposer_crashes)


# -- what can happen, so that the above has something to judge ------------------------------------


@reachable(duel)
def two_values_are_proposed(world: World) -> bool:
    """In two ballots: allowed, since only one of them can still be chosen."""
    return (world["n1"].value, world["n2"].value) == ("x", "y")


@reachable(bystander)
def a_decision_is_lost_and_asked_for(world: World) -> bool:
    return world["n3"].accepted is None and world["n3"].chosen == "x"


@reachable(second_attempt)
def the_second_attempt_adopts_what_the_first_left_behind(world: World) -> bool:
    """n1 has a value of its own, and finds n2's in the promises."""
    return world["n1"].ballot.round == 2 and world["n1"].value == "y"


@reachable(acceptor_crashes)
def both_values_are_accepted_in_spite_of_a_crash(world: World) -> bool:
    held = {node.accepted.value for node in nodes_of(world) if node.accepted is not None}
    return held == {"x", "y"} and world.faults_left["crashes"] == 0


@reachable(proposer_crashes)
def the_restarted_proposer_is_told(world: World) -> bool:
    """n2 has finished the attempt meanwhile."""
    return world["n1"].chosen == "x" and world["n1"].ballot.round == 0 < world["n2"].promised.round


@reachable(two_clients)
def a_client_gets_the_value_of_another(world: World) -> bool:
    return [each.result for each in world.history.of("c2")] == ["x"]


@reachable(one_proposer)
def an_acceptor_finishes_what_the_proposer_began(world: World) -> bool:
    """n2 decides under a ballot of its own, while n1 waits; then c1 gets its answer."""
    answered = [each.result for each in world.history.completed] == ["x"]
    return answered and world["n1"].accepted.ballot == (2, "n2")


@reachable(one_node)
def two_crashes_change_nothing(world: World) -> bool:
    answers = [each.result for each in world.history.completed]
    return answers == ["x", "x"] and world.faults_left["restarts"] == 0


@reachable(in_time)
def a_later_attempt_decides(world: World) -> bool:
    """The first ones got into each other's way."""
    learned = [node for node in nodes_of(world) if node.chosen is not None]
    return any(node.promised.round > 1 for node in learned)


@reachable(rough_seas)
def a_client_is_answered_in_rough_seas(world: World) -> bool:
    return bool(world.history.completed)
