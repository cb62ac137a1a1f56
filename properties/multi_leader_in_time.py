"""Several leaders under load, in virtual time: no write is lost unseen, and in the end all agree.

Clients write, delete and read at any leader, with and without what they have read before, while
leaders crash, clocks go wrong, and messages get lost, copied and delayed. The theorems are those of
`properties/multi_leader.py`.
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
from happysim.protocols.multi_leader import (
    Delete,
    Done,
    Found,
    Get,
    MultiLeaderNode,
    NotYet,
    Put,
)
from happysim.protocols.multi_leader.records import NOTHING, Record, covers, has_seen
from properties.counting import faults_and_clocks
from properties.multi_leader import RESOLVERS, leaders_of, leaders_only_learn

# Faults befall the first seconds of a run.
ROUGH_SECONDS = 8.0
KEYS = ("k", "m")


def write(name: str, leaders: tuple[str, ...], rounds: int, timeout: float) -> Iterator[Any]:
    """Read and write in turn, at one leader after the other, each until there is an answer.

    Every other client says what it has read when it writes; all do when they read.
    """
    at, number = int(name[1:]), 0
    contexts: dict[str, Any] = dict.fromkeys(KEYS, ())
    for turn in range(rounds):
        key = KEYS[(at + turn) % len(KEYS)]
        context = contexts[key] if int(name[1:]) % 2 else None
        answer, patience = None, timeout
        while not isinstance(answer, Found | Done):
            number += 1
            request: Any = Get(key, after=contexts[key])
            if turn % 3:
                request = Put(key, frozenset({f"{name}.{number}"}), context)
            elif turn % 5 == 3:
                request = Delete(key, context)
            answer = yield call(leaders[at % len(leaders)], request, timeout=patience)
            patience = min(2 * patience, 10 * timeout)
            at += isinstance(answer, Found | Done) or number % 3 == 0
        contexts[key] = answer.context
        # The next turn after a write reads: at once, before all have heard of it.
        yield sleep((0.0, 0.0 if turn % 3 == 2 else 2 * ROUGH_SECONDS / rounds))


@bounded(
    by=swarm(
        seed=1,
        runs=10,
        until=ROUGH_SECONDS,
        calm=40.0,
        menu=faults_and_clocks(),
        # What only a leader knows that is down for ever nobody can learn.
        core="all",
        arguments={
            "size": (2, 3, 3, 4),
            "resolver": tuple(RESOLVERS),
            "hybrid": (False, True),
            "tree_depth": (0, 1, 4),
            "clients": (1, 2, 3),
            "timeout": (0.2, 1.0),
        },
    ),
    unknown_passes=True,
)
def under_load(
    kind: type[MultiLeaderNode] = MultiLeaderNode,
    size: int = 3,
    resolver: str = "siblings",
    hybrid: bool = False,
    tree_depth: int = 1,
    clients: int = 2,
    timeout: float = 0.5,
) -> World:
    """Leaders a, b, ..., and clients c1, c2, ... that go from one to the next."""
    names = tuple("abde"[:size])
    leaders = [
        kind(name, RESOLVERS[resolver], tree_depth=tree_depth, hybrid=hybrid) for name in names
    ]
    writers = [
        Script(f"c{number}", write, f"c{number}", names, 8, timeout)
        for number in range(1, clients + 1)
    ]
    return World.of(*leaders, *writers, faults=Faults(crashes=1, unsynced_loss=True))


def dots_of(seen: Any) -> Iterator[Any]:
    """Every write that a context has seen."""
    return ((leader, number + 1) for leader, last in seen for number in range(last))


def is_leader(name: str) -> bool:
    return not name.startswith("c")


# -- what is promised -----------------------------------------------------------------------------


@monitor(under_load)
class a_write_has_one_name_and_keeps_it:
    """No two writes have one dot, and what a leader has seen of a key it does not forget."""

    def __init__(self) -> None:
        self.writes: dict[Any, Any] = {}
        self.seen: dict[tuple[str, str], Record] = {}

    def __call__(self, world: World, name: str) -> bool | str:
        for key, record in world[name].records.items() if is_leader(name) else ():
            before = self.seen.get((name, key), NOTHING)
            if record == before:
                continue
            self.seen[name, key] = record
            if not has_seen(record.seen, before.seen):
                return f"{name} has forgotten of {key}: {before.seen} became {record.seen}"
            for version in record.versions:
                first = self.writes.setdefault((key, version.dot), version)
                if first != version:
                    return f"{first} and {version} have one name"
                if covers(before.seen, version.dot) and version not in before.versions:
                    return f"at {name} {version} came back"
        return True


@monitor(under_load)
class a_version_goes_only_where_it_is_replaced:
    """A leader that hears of others loses no version but those that some write has replaced.

    A write replaces what its leader had, or what its client had read, be it at another leader.
    Where the last writer wins one of two concurrent writes is lost, as it says.
    """

    def __init__(self) -> None:
        # By key: the dots of versions that a write has replaced, at the leader that took the write.
        self.replaced: dict[str, set[Any]] = {key: set() for key in KEYS}
        self.seen: dict[tuple[str, str], Record] = {}

    def __call__(self, world: World, name: str) -> bool | str:
        if not is_leader(name) or world[name].resolver == RESOLVERS["last writer wins"]:
            return True
        for key, record in world[name].records.items():
            before = self.seen.get((name, key), NOTHING)
            if record == before:
                continue
            self.seen[name, key] = record
            kept = {version.dot for version in record.versions}
            gone = {version.dot for version in before.versions} - kept
            if dict(record.seen).get(name, 0) > dict(before.seen).get(name, 0):
                self.replaced[key] |= set(dots_of(record.seen)) - kept
            lost = sorted(gone - self.replaced[key])
            if lost:
                return f"{name} has lost {lost} of {key}, which nobody replaced"
        return True


@monitor(under_load)
class sessions_hold:
    """Terry et al.: a client reads its writes and never goes back, at whichever leader."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str], Any] = {}

    def __call__(self, world: World, name: str) -> bool | str:
        calls = () if is_leader(name) else world.history.of(name)
        last = calls[-1] if calls else None
        if last is None or not isinstance(last.result, Found | Done):
            return True
        operation, context = last.operation, last.result.context
        before = self.known.get((name, operation.key), ())
        if isinstance(operation, Get) and not has_seen(context, before):
            return f"{name} had seen {before} of {operation.key}, and is answered from {context}"
        if not isinstance(operation, Get) and operation.context is not None:
            missing = [dot for dot in operation.context if not covers(context, dot)]
            if missing:
                return f"{name} wrote over {missing}, and is told that they were not seen"
        self.known[name, operation.key] = context
        return True


leaders_only_learn_under_load = leaders_only_learn.over(under_load, "leaders_only_learn_under_load")

# -- what must come true, once the faults have stopped --------------------------------------------


@eventually(under_load)
def every_client_is_answered(world: World) -> bool | str:
    """Nobody waits, and each has had the answers to all that it asked for."""
    waiting = []
    for name, calls in world.history.lanes:
        if "~" not in name and sum(isinstance(each.result, Found | Done) for each in calls) < 8:
            waiting.append(name)
    return not waiting or f"{' '.join(waiting)} still waits"


@eventually(under_load)
def all_leaders_agree_and_rest(world: World) -> bool | str:
    """All have the same, and none doubts it."""
    leaders = leaders_of(world)
    if any(leader.records != leaders[0].records for leader in leaders):
        return f"they have {[leader.records for leader in leaders]}"
    doubts = [leader.name for leader in leaders if leader.unsure]
    return not doubts or f"{' '.join(doubts)} still doubts"


# -- what can happen, so that the above has something to judge ------------------------------------


@reachable(under_load)
def siblings_stand_side_by_side(world: World) -> bool:
    return any(
        len(record.versions) > 1 for each in leaders_of(world) for record in each.records.values()
    )


@reachable(under_load)
def a_leader_that_is_behind_says_so(world: World) -> bool:
    return any(isinstance(each.result, NotYet) for each in world.history.completed)
