"""The store of replicated values under load, in virtual time: no update is lost, and all agree.

Clients count, write registers, and add and remove elements at stores of their own while stores
crash and gossip gets lost, late and copied. `properties/crdt.py` states the same of every world
that its scenarios can reach.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import reduce
from typing import Any

from happysim import (
    Faults,
    Script,
    World,
    always,
    bounded,
    call,
    eventually,
    monitor,
    sleep,
    swarm,
)
from happysim.protocols.crdt import CRDTStore, MVRegister, ORSet
from happysim.protocols.crdt.replica import Replica
from happysim.protocols.crdt.store import Add, Assign, Increment, Remove, Set
from properties.crdt import (
    a_store_gossips_while_a_peer_may_lack_something,
    adds_in,
    every_replica_writes_under_its_own_id,
    has_seen,
    merged,
)

# Faults befall the first seconds of a run.
ROUGH_SECONDS = 10.0
GOSSIP_SECONDS = 0.3

# -- clients, and the stores that they write to ---------------------------------------------------


def write(store: str, first: int, rounds: int, timeout: float) -> Iterator[Any]:
    """One request after the other, whether or not there is an answer.

    Each increment is of a power of two of its own, so that a sum says which of them are in it.
    """
    for number in range(first, first + rounds):
        # Others write the same at times, and 1 is not "1".
        value = number % 3 if number % 2 else str(number % 3)
        for request in (
            Increment("n", 2**number),
            # Two stores that each have counted one of these show the same value.
            Increment("ones", 1),
            Set("r", value),
            Assign("m", value),
            Add("s", value),
            Remove("s", value),
            Add("s", value),
        ):
            yield call(store, request, timeout=timeout)
        yield sleep((0.0, 2 * ROUGH_SECONDS / rounds))


@bounded(
    by=swarm(
        seed=1,
        runs=30,
        until=ROUGH_SECONDS,
        calm=20.0,
        # What only a store knows that is down for ever nobody can learn.
        core="all",
        arguments={
            "stores": (2, 3, 3, 4),
            "timeout": (0.1, 1.0),
            "digests": (False, True),
        },
    ),
    unknown_passes=True,
)
def stores_under_load(
    kind: type[CRDTStore] = CRDTStore,
    stores: int = 3,
    rounds: int = 4,
    timeout: float = 0.5,
    digests: bool = False,
) -> World:
    """Stores a, b, ..., and a client for each; with `digests` gossip begins with these."""
    names = "abcdef"[:stores]
    scripts = [
        Script(f"at_{name}", write, name, rounds * at, rounds, timeout)
        for at, name in enumerate(names)
    ]
    nodes = [kind(name, gossip_seconds=GOSSIP_SECONDS, digests=digests) for name in names]
    return World.of(*nodes, *scripts, faults=Faults(crashes=1, unsynced_loss=True))


def increments(world: World, answered: bool) -> int:
    """The sum of the increments that clients have asked for, or have an answer to."""
    return sum(
        each.operation.amount
        for _, calls in world.history.lanes
        for each in calls
        if isinstance(each.operation, Increment)
        and each.operation.key == "n"
        and (each.done or not answered)
    )


# -- safety ---------------------------------------------------------------------------------------


class Changes:
    """What one run has changed in the entries of each store since it was last looked at."""

    def __init__(self) -> None:
        self.known: dict[str, dict[Any, Replica]] = {}

    def of(self, world: World, name: str) -> dict[Any, tuple[Replica | None, Replica | None]]:
        """Each entry of the store that moved which is not what it was: before, and now."""
        if not is_store(name):
            return {}
        known, entries = self.known.get(name, {}), world[name].entries
        changed = {
            key: (known.get(key), entries.get(key))
            for key in sorted({*known, *entries})
            if known.get(key) != entries.get(key)
        }
        if changed:
            self.known[name] = {key: entry.copy() for key, entry in entries.items()}
        return changed

    def pairs(self, world: World, name: str) -> Iterator[tuple[Replica, Replica]]:
        """Each entry that is new, with that of the same key at each other store."""
        others = [store.entries for store in world.nodes(CRDTStore) if store.name != name]
        for key, (_, now) in self.of(world, name).items():
            if now is not None:
                yield from ((now, entries[key]) for entries in others if key in entries)


# What holds the writes that it has not seen replaced, each with who made it.
DOTTED = (ORSet, MVRegister)


def is_store(name: str) -> bool:
    return len(name) == 1


@always(stores_under_load)
def every_increment_counts_once(world: World) -> bool | str:
    """All stores together know each increment that was answered, and no other than were asked for.

    Sums are compared bit by bit. One that counted twice would be carried over into another bit.
    """
    found = [store.entries.get(("counter", "n")) for store in world.nodes(CRDTStore)]
    known = [entry for entry in found if entry is not None]
    total = reduce(merged, known).value if known else 0
    asked, answered = increments(world, False), increments(world, True)
    if total & ~asked or answered & ~total:
        return f"together they count {total:b}; asked {asked:b}, of it answered {answered:b}"
    return True


@monitor(stores_under_load)
class stores_only_learn:
    """Nothing that a store knew, a remove for instance, is ever forgotten, crash or not."""

    def __init__(self) -> None:
        self.changes = Changes()

    def __call__(self, world: World, name: str) -> bool | str:
        for before, now in self.changes.of(world, name).values():
            if before is not None and (now is None or not before.leq(now)):
                return f"{name} has forgotten some of a {type(before).__name__}"
        return True


@monitor(stores_under_load)
class any_two_stores_would_agree:
    """Convergence, seen early: who merges whom makes no difference."""

    def __init__(self) -> None:
        self.changes = Changes()

    def __call__(self, world: World, name: str) -> bool | str:
        for mine, theirs in self.changes.pairs(world, name):
            if merged(mine, theirs).state() != merged(theirs, mine).state():
                return f"{name} and another would make different states of a {type(mine).__name__}"
        return True


@monitor(stores_under_load)
class a_remove_takes_what_it_saw_and_nothing_else:
    """Whatever one store has seen and removed stays away; what it has not seen comes."""

    def __init__(self) -> None:
        self.changes = Changes()

    def __call__(self, world: World, name: str) -> bool | str:
        for one, other in self.changes.pairs(world, name):
            for mine, theirs in ((one, other), (other, one)) if isinstance(one, DOTTED) else ():
                kept = adds_in(merged(mine, theirs))
                for add in sorted(adds_in(theirs)):
                    was_removed_here = has_seen(mine, add) and add not in adds_in(mine)
                    if (add in kept) == was_removed_here:
                        return f"add {add}, seen and removed or not, is treated as if it was not so"
        return True


@monitor(stores_under_load)
class values_survive_a_round_trip:
    """Through JSON and back a value is the same: 1 is not "1"."""

    def __init__(self) -> None:
        self.changes = Changes()

    def __call__(self, world: World, name: str) -> bool | str:
        for _, now in self.changes.of(world, name).values():
            if now is not None:
                as_json = json.dumps(now.to_dict())
                if type(now).from_dict(json.loads(as_json)) != now:
                    return f"{name} gets something else out of {as_json}"
        return True


@monitor(stores_under_load)
class what_a_peer_lacks_is_known:
    """Gossip ends only when the peer has everything: no store takes a peer to know more."""

    def __call__(self, world: World, name: str) -> bool | str:
        if not is_store(name) or not world[name].is_up:
            return True
        lacking = world[name].lacking
        for peer in world.nodes(CRDTStore):
            for key, entry in world[name].entries.items() if peer.name != name else ():
                if (peer.name, key) not in lacking:
                    theirs = peer.entries.get(key)
                    if theirs is None or not entry.leq(theirs):
                        return f"{name} takes {peer.name} to know more of {key} than it does"
        return True


every_replica_writes_under_its_own_id_under_load = every_replica_writes_under_its_own_id.over(
    stores_under_load, "every_replica_writes_under_its_own_id_under_load"
)
gossip_goes_on_under_load = a_store_gossips_while_a_peer_may_lack_something.over(
    stores_under_load, "gossip_goes_on_under_load"
)

# -- what must come true, once the faults have stopped --------------------------------------------


@eventually(stores_under_load)
def all_stores_agree(world: World) -> bool | str:
    """Gossip makes up for all that was lost."""
    first, *others = world.nodes(CRDTStore)
    mine = states(first)
    differ = [store.name for store in others if states(store) != mine]
    return not differ or f"{' '.join(differ)} differs from {first.name}"


def states(store: Any) -> list[Any]:
    return [(key, entry.state()) for key, entry in store.entries.items()]
