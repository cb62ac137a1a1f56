"""The lock service and the fenced store: who gets what, and what late messages can do."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, cast

import pytest

from happysim import Faults, Host, Node, Script, World, action, call, on
from happysim.protocols.lock import (
    Acquire,
    FencedStore,
    FencedWrite,
    Lease,
    LockGrant,
    LockLost,
    LockServer,
    Release,
    Released,
    Renew,
    Renewed,
    WriteAccepted,
    WriteRefused,
)
from tests.support.hosts import Noting
from tests.support.worlds import answers


def client(*requests: Any) -> Generator[Any, Any, None]:
    for request in requests:
        yield call("store" if isinstance(request, FencedWrite) else "lock", request)


def world_of(faults: Faults | None = None, **clients: tuple[Any, ...]) -> World:
    scripts = [Script(name, client, *requests) for name, requests in clients.items()]
    return World.of(LockServer("lock"), FencedStore("store"), *scripts, faults=faults)


def take(world: World, *beginnings: str) -> World:
    """Take the first choice with each of these beginnings in turn."""
    for beginning in beginnings:
        found = [each for each in world.choices() if str(each).startswith(beginning)]
        assert found, f"no {beginning} among {world.choices()}"
        world = world.step(found[0])
    return world


def ask(world: World, *names: str) -> World:
    """Let clients make their next request, which arrives at once, as does its answer if any."""
    for name in names:
        world = take(world, f"invoke {name}", f"deliver {name} ->")
        world = hear(world, name)
    return world


def hear(world: World, *names: str) -> World:
    """Let clients hear the answer that is on its way to them, if any."""
    for name in names:
        for choice in world.choices():
            if str(choice).startswith("deliver ") and f"-> {name} answer" in str(choice):
                world = world.step(choice)
    return world


class TwoHolds(Node):
    """Asks for two holds of lock L before it has an answer."""

    grants: set[LockGrant] = set()
    has_asked: bool = False

    @action(when=lambda self: not self.has_asked)
    def ask(self, host: Host) -> None:
        self.has_asked = True
        host.send("lock", Acquire("L", 1))
        host.send("lock", Acquire("L", 2))

    @on(LockGrant)
    def note(self, host: Host, sender: str, grant: LockGrant) -> None:
        self.grants.add(grant)


TWO_ROUNDS = ("fire lock lease", "fire lock lease")


def test_a_held_lock_goes_to_whoever_has_waited_longest() -> None:
    world = world_of(
        c1=(Acquire("L", 1), Release("L", 1, 1)),
        c2=(Acquire("L", 1),),
        c3=(Acquire("L", 1),),
    )
    world = ask(world, "c1", "c3", "c2")
    assert [answers(world, name) for name in ("c1", "c2", "c3")] == [[LockGrant("L", 1, 1)], [], []]
    world = hear(ask(world, "c1"), "c2", "c3")
    assert answers(world, "c1")[1] == Released("L", 1, 1)
    assert [answers(world, name) for name in ("c2", "c3")] == [[], [LockGrant("L", 2, 1)]]


def test_holds_of_one_grant_share_its_token_and_the_last_release_frees_the_lock() -> None:
    world = world_of(
        c1=(Acquire("L", 1), Acquire("L", 2), Release("L", 1, 2), Release("L", 1, 1)),
        c2=(Acquire("L", 1),),
    )
    world = ask(world, "c1", "c1", "c2", "c1")
    assert answers(world, "c1")[:2] == [LockGrant("L", 1, 1), LockGrant("L", 1, 2)]
    assert world["lock"].leases["L"].holder == "c1"
    world = hear(ask(world, "c1"), "c2")
    assert answers(world, "c2") == [LockGrant("L", 2, 1)]


def test_an_acquire_asked_again_is_the_same_hold() -> None:
    world = world_of(c1=(Acquire("L", 1), Acquire("L", 1), Release("L", 1, 1)))
    world = ask(world, "c1", "c1")
    assert answers(world, "c1") == [LockGrant("L", 1, 1)] * 2
    world = ask(world, "c1")
    assert world["lock"].leases == {}
    assert world["lock"].timers == ()


def test_all_that_a_client_waits_for_is_granted_at_once() -> None:
    """Else its second hold would wait behind others for its first."""
    holder = Script("c1", client, Acquire("L", 1), Release("L", 1, 1))
    world = World.of(LockServer("lock"), TwoHolds("c2"), holder)
    world = take(ask(world, "c1"), "act c2 ask", *("deliver c2 -> lock Acquire",) * 2)
    world = take(ask(world, "c1"), *("deliver lock -> c2 LockGrant",) * 2)
    assert world["c2"].grants == {LockGrant("L", 2, 1), LockGrant("L", 2, 2)}


def test_a_lease_that_is_not_renewed_is_over_after_two_rounds() -> None:
    world = world_of(c1=(Acquire("L", 1), Renew("L", 1)), c2=(Acquire("L", 1),))
    world = ask(world, "c1", "c2")
    world = take(world, "fire lock lease")
    assert world["lock"].leases["L"].holder == "c1"
    world = hear(take(world, "fire lock lease"), "c2")
    assert answers(world, "c2") == [LockGrant("L", 2, 1)]
    assert answers(ask(world, "c1"), "c1")[1] == LockLost("L", 1)


@pytest.mark.parametrize(
    ("request_", "answer"),
    [(Renew("L", 1), Renewed("L", 1)), (Acquire("L", 2), LockGrant("L", 1, 2))],
)
def test_a_renewal_and_a_further_hold_keep_a_lease(request_: Any, answer: Any) -> None:
    world = world_of(c1=(Acquire("L", 1), request_), c2=(Acquire("L", 1),))
    world = take(ask(world, "c1", "c2"), "fire lock lease")
    world = take(ask(world, "c1"), "fire lock lease")
    assert answers(world, "c1")[1] == answer
    assert world["lock"].leases["L"].holder == "c1"


@pytest.mark.parametrize(
    ("late", "answer"),
    [(Release("L", 1, 1), Released("L", 1, 1)), (Renew("L", 1), LockLost("L", 1))],
)
def test_a_request_under_an_older_grant_leaves_the_newer_one_alone(late: Any, answer: Any) -> None:
    """Of the same client even: its first lease has run out, and its request comes late."""
    world = world_of(c1=(Acquire("L", 1), Acquire("L", 2), late))
    world = ask(take(ask(world, "c1"), *TWO_ROUNDS), "c1")
    world = ask(take(world, "fire lock lease"), "c1")
    assert answers(world, "c1")[1:] == [LockGrant("L", 2, 2), answer]
    assert world["lock"].leases["L"] == Lease(2, "c1", {2}, aged=True)


def test_a_copy_of_a_request_is_queued_once() -> None:
    world = world_of(Faults(duplicates=1), c1=(Acquire("L", 1),), c2=(Acquire("L", 1),))
    world = take(ask(world, "c1"), "invoke c2", "duplicate c2", "deliver c2 -> lock")
    assert len(world["lock"].waiters) == 1
    assert not any(str(each).startswith("deliver c2 -> lock") for each in world.choices())


def test_locks_are_held_apart_and_one_timer_serves_them_all() -> None:
    world = world_of(c1=(Acquire("L", 1),), c2=(Acquire("M", 1), Renew("M", 2)))
    world = take(ask(world, "c1", "c2"), "fire lock lease")
    world = take(ask(world, "c2"), "fire lock lease")
    assert {lock: lease.holder for lock, lease in world["lock"].leases.items()} == {"M": "c2"}
    assert world["lock"].timers == ("lease",)


def test_a_round_that_is_under_way_is_not_begun_anew_by_another_grant() -> None:
    server, host = LockServer("lock"), Noting()
    server.acquire(cast(Host, host), "c1", Acquire("a", 1))
    assert host.timers.pop("lease") == server.lease_seconds
    server.acquire(cast(Host, host), "c2", Acquire("b", 1))
    assert (sorted(server.leases), host.timers) == (["a", "b"], {})


def test_known_limit_a_restarted_server_has_forgotten_its_leases_but_not_its_tokens() -> None:
    faults = Faults(crashes=1, crashable=("lock",), unsynced_loss=True)
    world = world_of(faults, c1=(Acquire("L", 1), Renew("L", 1)), c2=(Acquire("L", 1),))
    world = take(ask(world, "c1"), "crash lock", "restart lock")
    world = ask(world, "c2", "c1")
    assert answers(world, "c2") == [LockGrant("L", 2, 1)]
    assert answers(world, "c1")[1] == LockLost("L", 1)


def test_a_store_refuses_a_token_older_than_the_newest_seen_even_before_a_restart() -> None:
    faults = Faults(crashes=1, crashable=("store",), unsynced_loss=True)
    world = world_of(faults, c1=(FencedWrite(1, "old"),), c2=(FencedWrite(2, "new"),) * 2)
    world = take(ask(world, "c2", "c2"), "crash store", "restart store")
    world = ask(world, "c1")
    assert answers(world, "c2") == [WriteAccepted(2)] * 2
    assert answers(world, "c1") == [WriteRefused(1, newest=2)]
    assert world["store"].value == "new"
