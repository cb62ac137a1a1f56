"""What a primary, its backups and the view service do, along schedules made by hand."""

from __future__ import annotations

from typing import Any

import pytest

from happysim import Faults, ProtocolError, World
from happysim.protocols.primary_backup import (
    Confirm,
    CurrentView,
    Mode,
    NotPrimary,
    PrimaryBackupServer,
    Replicate,
    Retired,
    Snapshot,
    View,
    ViewService,
    first_view,
)
from properties.primary_backup import (
    READ,
    X1,
    X2,
    X3,
    a_deposed_primary_returns,
    a_server_restarts,
    client,
    servers_and_service,
    succeed,
    suspect,
)
from properties.worlds import along, ask
from tests.support.hosts import noting
from tests.support.worlds import answers

SETTLED = CurrentView(View(2, "n2"), is_settled=True)
UNSETTLED = CurrentView(View(2, "n2"), is_settled=False)


def coming(world: World, kind: type) -> list[Any]:
    return [each.message for each in world.in_flight if isinstance(each.message, kind)]


@pytest.mark.parametrize(
    ("mode", "backups"), [(Mode.ASYNC, 0), (Mode.SEMI_SYNC, 1), (Mode.SYNC, 2)]
)
def test_a_command_is_answered_once_enough_backups_have_it(mode: Mode, backups: int) -> None:
    world = servers_and_service(
        3, client("c1", ("n1", X1)), mode=mode, suspects=False, network="unordered"
    )
    world = along(world, *ask("c1", "n1"))
    for name in ("n2", "n3")[:backups]:
        assert world["n1"].answered == 0
        world = along(world, f"deliver n1 -> {name} Repl", f"deliver {name} -> n1 Confirm")
    assert answers(along(world, "deliver n1 -> c1"), "c1") == [None]


def test_a_backup_takes_entries_in_order_and_a_gap_is_filled_by_the_timer() -> None:
    clients = [client("c1", ("n1", X1)), client("c2", ("n1", X2))]
    world = servers_and_service(2, *clients, suspects=False, network="unordered")
    world = along(world, *ask("c1", "n1"), *ask("c2", "n1"))
    both = tuple(world["n1"].log)
    world = along(world, "deliver n1 -> n2 Replicate(epoch=1, previous=(1, 1)")
    assert world["n2"].last == (0, 0)
    world = along(world, "fire n1 resend", f"deliver n1 -> n2 {Replicate(1, (0, 0), both)}")
    assert world["n2"].last == (1, 2)
    assert world["n2"].state == (("x", 2),)


def test_a_backup_that_lags_by_more_than_the_log_gets_a_snapshot() -> None:
    plan = [("n1", X1), ("n1", X2), ("n1", X3)]
    world = servers_and_service(
        2, client("c1", *plan), mode=Mode.ASYNC, suspects=False, log_max=1, network="unordered"
    )
    for _ in plan:
        world = along(world, *ask("c1", "n1"), "deliver n1 -> c1")
    assert world["n1"].base == (1, 2)
    world = along(world, "fire n1 resend", "deliver n1 -> n2 Snapshot", "deliver n2 -> n1 Confirm")
    assert world["n2"].state == (("x", 3),)
    assert world["n1"].timers == ()


def test_a_copy_of_a_command_is_answered_again_and_not_applied_again() -> None:
    faults = Faults(duplicates=1)
    asking = client("c1", ("n1", X1))
    world = servers_and_service(1, asking, suspects=False, faults=faults, network="unordered")
    world = along(world, "invoke c1", "duplicate c1 -> n1", "deliver c1 -> n1", "deliver c1 -> n1")
    assert [each.target for each in world.in_flight] == ["c1", "c1"]
    assert world["n1"].number == 1


def test_each_command_is_answered_once_and_a_backup_that_has_all_is_sent_nothing() -> None:
    clients = [client("c1", ("n1", X1)), client("c2", ("n1", X2))]
    world = servers_and_service(2, *clients, suspects=False, network="unordered")
    for name in ("c1", "c2"):
        world = along(world, *ask(name, "n1"), "deliver n1 -> n2 Repl", "deliver n2 -> n1 Confirm")
        world = along(world, f"deliver n1 -> {name}")
    assert world.in_flight == ()


def test_a_confirmation_of_an_older_epoch_does_not_count() -> None:
    primary, (host, sent) = PrimaryBackupServer("n1", View(3, "n1", ("n2",))), noting("n2")
    primary.take_confirm(host, "n2", Confirm(2, (0, 0)))
    assert (primary.confirmed, sent) == ({}, [])
    primary.take_confirm(host, "n2", Confirm(3, (0, 0)))
    assert (primary.confirmed, sent) == ({"n2": (0, 0)}, [])


def test_a_confirmation_deposes_and_tells_who_was_deposed_no_more() -> None:
    primary, (host, sent) = PrimaryBackupServer("n1", View(3, "n1", ("n2",))), noting("n2")
    primary.take_confirm(host, "n2", Confirm(4, (0, 0)))
    assert not primary.is_primary
    assert (primary.epoch, primary.confirmed, sent) == (4, {}, [])


def test_a_backup_that_restarts_leads_nothing() -> None:
    faults = Faults(crashes=1, restarts=1, crashable=("n2",))
    world = servers_and_service(2, suspects=False, faults=faults)
    before = world["n2"]
    world = along(world, "crash n2", "restart n2")
    after = world["n2"]
    assert (after.joined, after.confirmed, after.timers) == (before.joined, {}, ())
    assert world.in_flight == ()


def test_a_view_in_which_everyone_answers_stays() -> None:
    world = along(servers_and_service(2, network="unordered"), "fire views check")
    for _ in range(2):
        for name in ("n1", "n2"):
            ping = f"deliver views -> {name} CurrentView"
            world = along(world, ping, f"deliver {name} -> views Here")
        world = along(world, "fire views check")
    assert (world["views"].epoch, world["views"].view) == (1, first_view("n1", "n2"))
    assert len(coming(world, CurrentView)) == 2


def test_an_epoch_that_servers_are_asked_to_seal_cannot_be_lost() -> None:
    faults = Faults(crashes=1, unsynced_loss=True, crashable=("views",))
    world = suspect(servers_and_service(2, faults=faults))
    crashes = [str(choice) for choice in world.choices() if "crash" in str(choice)]
    assert (world["views"].epoch, crashes) == (2, ["crash views"])


def test_what_the_service_has_settled_cannot_be_lost() -> None:
    faults = Faults(crashes=1, unsynced_loss=True, crashable=("views",))
    world = servers_and_service(2, faults=faults, network="unordered")
    world = along(
        succeed(suspect(world), "n2"), "deliver views -> n2 CurrentView(view=View(epoch=2"
    )
    world = along(world, "deliver n2 -> views Settled")
    crashes = [str(choice) for choice in world.choices() if "crash" in str(choice)]
    assert (world["views"].settled, crashes) == (View(2, "n2"), ["crash views"])


@pytest.mark.parametrize(
    ("mode", "sealed", "enough"),
    [
        (Mode.ASYNC, ("n3",), True),
        (Mode.SEMI_SYNC, ("n3",), False),
        (Mode.SEMI_SYNC, ("n2", "n3"), True),
        (Mode.SYNC, ("n3",), True),
        (Mode.SYNC, ("n1",), True),
        (Mode.SYNC, (), False),
    ],
)
def test_a_view_needs_one_who_has_all_that_was_answered(
    mode: Mode, sealed: tuple[str, ...], enough: bool
) -> None:
    service = ViewService("views", ("n1", "n2", "n3"), mode)
    service.sealed = dict.fromkeys(sealed, (0, 0))
    assert service.is_enough() is enough


def test_who_is_no_primary_says_who_is() -> None:
    world = servers_and_service(2, client("c1", ("n2", READ)), suspects=False)
    world = along(world, *ask("c1", "n2"), "deliver n2 -> c1")
    assert answers(world, "c1") == [NotPrimary("n1")]


def test_a_sealed_server_refuses_its_old_primary_which_then_stops() -> None:
    world = servers_and_service(2, client("c1", ("n1", X1), ("n1", X2)), network="unordered")
    world = along(world, *ask("c1", "n1"))
    world = along(succeed(suspect(world), "n2"), "deliver n1 -> n2 Replicate")
    assert coming(world, Retired) == [Retired(2)]
    assert world["n2"].last == (0, 0)
    assert world["n1"].is_primary
    world = along(world, "deliver n2 -> n1 Retired")
    assert not world["n1"].is_primary
    assert world["n1"].timers == ()


def test_a_new_primary_answers_only_once_the_service_knows_its_view_is_settled() -> None:
    world = servers_and_service(2, client("c1", ("n2", X1)), network="unordered")
    world = along(
        succeed(suspect(world), "n2"), "deliver views -> n2 CurrentView(view=View(epoch=2"
    )
    world = along(world, *ask("c1", "n2"))
    assert world["n2"].answered == 0
    assert world["views"].settled == first_view("n1", "n2")
    world = along(world, "deliver n2 -> views Settled", f"deliver views -> n2 {SETTLED}")
    assert world["views"].settled == View(2, "n2")
    assert world["n2"].answered == 1


def test_what_a_deposed_primary_alone_had_is_replaced_by_a_snapshot() -> None:
    world = along(a_deposed_primary_returns(), "deliver views -> n2 Seal(epoch=3)")
    assert world["n1"].last == (1, 1)
    world = along(
        world,
        "deliver n2 -> views Sealed(epoch=3",
        "deliver views -> n2 CurrentView(view=View(epoch=3",
    )
    world = along(world, "deliver n2 -> n1 Replicate(epoch=3", "deliver n1 -> n2 Confirm(epoch=3")
    assert [each.last for each in coming(world, Snapshot)] == [(2, 1)]
    world = along(world, "deliver n2 -> n1 Snapshot")
    assert (world["n1"].last, world["n1"].state) == (world["n2"].last, world["n2"].state)


def test_a_primary_that_restarts_goes_on_and_asks_where_its_backups_are() -> None:
    world = along(a_server_restarts(), *ask("c1", "n1"), "crash n1", "restart n1")
    assert (world["n1"].last, world["n1"].confirmed) == ((1, 1), {})
    world = along(world, f"deliver n1 -> n2 {Replicate(1, (1, 1), ())}", "deliver n2 -> n1 Confirm")
    # The one that it sent before the crash, and the one that the answer asked for.
    assert coming(world, Replicate) == [Replicate(1, (0, 0), tuple(world["n1"].log))] * 2
    assert world["n1"].timers == ("resend",)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (first_view, "name each server"),
        (lambda: first_view("n1", "n1"), "once"),
        (lambda: ViewService("views", ()), "name each server"),
        (lambda: ViewService("views", ["n1"]), "a tuple of names"),
        (lambda: PrimaryBackupServer("n1", first_view("n1"), log_max=-1), "log_max=-1"),
    ],
)
def test_a_wrong_group_is_refused(make: Any, says: str) -> None:
    with pytest.raises(ProtocolError, match=says):
        make()
