"""Primary and backups: copies agree, answered commands survive, and a deposed primary is silent.

Safety is judged on a duplicating network, where a message may arrive at any time, any number of
times, or never. What holds in the end is judged where each copy of a message arrives once, and
where nobody is suspected: the view service never rests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

from happysim import (
    Faults,
    Get,
    KeyValue,
    NodeView,
    Put,
    Script,
    World,
    always,
    bounded,
    quiescent,
    reachable,
    step_always,
    together,
    uniform,
)
from happysim.protocols.primary_backup import (
    ClientRequest,
    CurrentView,
    Mode,
    PrimaryBackupServer,
    Snapshot,
    View,
    ViewService,
    first_view,
)
from properties.clients import asks, insists, see_one_machine
from properties.worlds import NETWORKS, along, ask, no_copy_in_flight

X1, X2, X3, READ = Put("x", 1), Put("x", 2), Put("x", 3), Get("x")

# -- clusters, clients, and how to get to an interesting world ------------------------------------


def client(name: str, *plan: tuple[str, Any]) -> Script:
    """A client that gives one command after the other: (server, command) each."""
    return Script(name, asks, *((server, ClientRequest(command)) for server, command in plan))


def servers_and_service(  # noqa: PLR0913
    size: int,
    *clients: Script,
    kind: type[PrimaryBackupServer] = PrimaryBackupServer,
    service: type[ViewService] = ViewService,
    mode: str = "sync",
    suspects: bool = True,
    log_max: int = 100,
    faults: Faults | None = None,
    network: str = "duplicating",
) -> World:
    """Servers n1 (the first primary), n2, ..., and the view service, which may suspect anyone."""
    names = tuple(f"n{number}" for number in range(1, size + 1))
    first = first_view(*names)
    return World.of(
        *(kind(name, first, Mode(mode), machine=KeyValue(), log_max=log_max) for name in names),
        service("views", names, Mode(mode), check_seconds=1.0 if suspects else None),
        *clients,
        faults=faults,
        network=NETWORKS[network](),
    )


def suspect(world: World) -> World:
    """The service has pinged, and has not waited for answers: everyone is asked for a seal."""
    return along(world, "fire views check", "fire views check")


def succeed(world: World, *servers: str) -> World:
    """These have sealed the next epoch, and the service makes a view of them."""
    epoch = world["views"].epoch
    for name in servers:
        answer = f"deliver {name} -> views Sealed({epoch=},"
        world = along(world, f"deliver views -> {name} Seal({epoch=})", answer)
    return along(world, "fire views check")


def epochs(highest: int) -> Callable[[World], bool]:
    """A bound: no epoch beyond `highest`, and no more pings once it has its view."""

    def within(world: World) -> bool:
        epoch, view = world["views"].epoch, world["views"].view
        rests = view.epoch < highest or set(view.members) <= world["views"].heard
        return epoch <= highest and rests

    return within


def servers_of(world: World) -> tuple[NodeView, ...]:
    return world.nodes(PrimaryBackupServer)


# -- scenarios ------------------------------------------------------------------------------------


def two_clients(kind: type[PrimaryBackupServer] = PrimaryBackupServer, **options: Any) -> World:
    """A primary and a backup that nobody suspects; one client writes and reads, one writes."""
    clients = [client("c1", ("n1", X1), ("n1", READ)), client("c2", ("n1", X2))]
    return servers_and_service(2, *clients, kind=kind, suspects=False, **options)


@bounded(within=epochs(2))
def failover(kind: type[PrimaryBackupServer] = PrimaryBackupServer, **options: Any) -> World:
    """The service suspects both servers; a client writes at n1, another reads at n2."""
    clients = [client("c1", ("n1", X1)), client("c2", ("n2", READ))]
    return suspect(servers_and_service(2, *clients, kind=kind, **options))


@bounded(within=epochs(2))
def failover_and_a_crash(
    kind: type[PrimaryBackupServer] = PrimaryBackupServer, **options: Any
) -> World:
    """And the service or a server crashes, losing what it had not synced, and may come back."""
    faults = Faults(crashes=1, unsynced_loss=True)
    world = servers_and_service(2, client("c1", ("n1", X1)), kind=kind, faults=faults, **options)
    return suspect(world)


@bounded(within=epochs(2))
def a_deposed_primary(
    kind: type[PrimaryBackupServer] = PrimaryBackupServer, **options: Any
) -> World:
    """n2 leads without n1, which does not know, and has a write that nobody else has seen."""
    clients = [client("c1", ("n1", X1), ("n1", READ)), client("c2", ("n2", X2))]
    world = along(servers_and_service(2, *clients, kind=kind, **options), *ask("c1", "n1"))
    return succeed(suspect(world), "n2")


@bounded(within=epochs(3))
def a_deposed_primary_returns(
    kind: type[PrimaryBackupServer] = PrimaryBackupServer, **options: Any
) -> World:
    """Then n2 has answered a write, and n1 is seen again: what n1 alone had taken on has to go."""
    clients = [client("c1", ("n1", X1)), client("c2", ("n2", X2))]
    world = along(servers_and_service(2, *clients, kind=kind, **options), *ask("c1", "n1"))
    world = along(
        succeed(suspect(world), "n2"),
        "deliver views -> n2 CurrentView(view=View(epoch=2,",
        "deliver n2 -> views Settled(epoch=2)",
        f"deliver views -> n2 {CurrentView(View(2, 'n2'), True)}",
        *ask("c2", "n2"),
        "deliver n2 -> c2",
        "deliver views -> n1 CurrentView(view=View(epoch=2,",
        "deliver n1 -> views Here()",
        "fire views check",
    )
    return along(world, "deliver views -> n1 Seal(epoch=3)", "deliver n1 -> views Sealed(epoch=3,")


@bounded(within=epochs(2))
def a_deposed_primary_of_three(
    kind: type[PrimaryBackupServer] = PrimaryBackupServer, **options: Any
) -> World:
    """n2 leads with n3 behind it. n1 does not know, and offers both a write of its own."""
    world = servers_and_service(3, client("c1", ("n1", X1)), kind=kind, **options)
    return succeed(suspect(along(world, *ask("c1", "n1"))), "n2", "n3")


@bounded(within=epochs(2))
def three_servers(kind: type[PrimaryBackupServer] = PrimaryBackupServer, **options: Any) -> World:
    """One primary, two backups, of which n3 has a write, and n2 does not. n1 is not heard again."""
    options = {"faults": Faults(drops=1), **options}
    world = servers_and_service(3, client("c1", ("n1", X1)), kind=kind, **options)
    world = suspect(along(world, *ask("c1", "n1"), "deliver n1 -> n3 Replicate"))
    return along(world, "drop views -> n1 Seal", "deliver views -> n2 Seal")


def a_short_log(kind: type[PrimaryBackupServer] = PrimaryBackupServer, **options: Any) -> World:
    """The primary keeps one entry only. A backup that lags by more needs a snapshot."""
    clients = [client("c1", ("n1", X1), ("n1", READ)), client("c2", ("n1", X2))]
    options = {"mode": "async", **options}
    return servers_and_service(2, *clients, kind=kind, suspects=False, log_max=1, **options)


@bounded(within=no_copy_in_flight)
def a_message_is_lost(
    kind: type[PrimaryBackupServer] = PrimaryBackupServer, mode: str = "sync", **options: Any
) -> World:
    """Any message but those of clients, whose loss a client makes up for by asking again."""
    clients = [client("c1", ("n1", X1)), client("c2", ("n1", X2))]
    options = {"network": "unordered", "faults": Faults(drops=1), **options}
    return servers_and_service(2, *clients, kind=kind, mode=mode, suspects=False, **options)


@bounded(within=no_copy_in_flight)
def a_server_restarts(
    kind: type[PrimaryBackupServer] = PrimaryBackupServer, mode: str = "sync", **options: Any
) -> World:
    """The primary or the backup crashes, losing what it had not synced, and may come back."""
    faults = Faults(crashes=1, crashable=("n1", "n2"), unsynced_loss=True)
    options = {"network": "unordered", "faults": faults, **options}
    return servers_and_service(
        2, client("c1", ("n1", X1)), kind=kind, mode=mode, suspects=False, **options
    )


@bounded(by=uniform(seed=1, runs=30, steps=70), within=epochs(4), unknown_passes=True)
def rough_seas(kind: type[PrimaryBackupServer] = PrimaryBackupServer, **options: Any) -> World:
    """Three servers, clients that try one after the other, crashes and a partition."""
    clients = [
        Script("c1", insists, ClientRequest(X1), "n1", "n2", "n3"),
        Script("c2", insists, ClientRequest(X2), "n2", "n1", "n3"),
        client("c3", ("n1", READ), ("n2", READ)),
    ]
    faults = Faults(crashes=2, partitions=1, unsynced_loss=True)
    options = {"network": "unordered", "faults": faults, **options}
    return servers_and_service(3, *clients, kind=kind, **options)


# -- replica consistency --------------------------------------------------------------------------


@always(two_clients)
def a_backup_holds_a_prefix_of_its_primarys_log(world: World) -> bool | str:
    """Replica consistency: what a backup has applied is what its primary applied first."""
    for primary in servers_of(world):
        for backup in servers_of(world) if primary.is_primary else ():
            if backup.epoch != primary.epoch or backup.joined != primary.epoch:
                continue
            places = [primary.base, *(entry.place for entry in primary.log)]
            if backup.last > primary.last or (
                backup.last >= primary.base and backup.last not in places
            ):
                return f"{backup.name} is at {backup.last}, and {primary.name} was never there"
    return True


@always(two_clients)
def one_place_one_state(world: World) -> bool | str:
    """Servers whose logs end at one place have applied the same commands in the same order."""
    for one, other in combinations(servers_of(world), 2):
        if one.last == other.last and (one.state, one.sessions) != (other.state, other.sessions):
            return f"{one.name} and {other.name} are at {one.last}, in different states"
    return True


@step_always(a_short_log)
def a_backup_never_goes_back(before: World, after: World) -> bool | str:
    """Once its log is a part of its primary's, nothing takes away from it in that epoch."""
    for server in servers_of(before):
        now = after[server.name]
        if now.is_up and now.joined == server.joined and now.last < server.last:
            return f"{server.name} went back from {server.last} to {now.last}"
    return True


@always(two_clients)
def states_are_what_the_log_says(world: World) -> bool | str:
    """No entry is applied twice or left out. (While the log is whole.)"""
    for server in servers_of(world):
        if server.base != (0, 0):
            continue
        state = server.machine.initial
        for entry in server.log:
            state, _ = server.machine.apply(state, entry.command)
        if state != server.state or [entry.place[1] for entry in server.log] != list(
            range(1, len(server.log) + 1)
        ):
            return f"{server.name} is not in the state that its log leads to"
    return True


# -- what an answer promises ----------------------------------------------------------------------


def answered(world: World) -> Iterator[tuple[str, int]]:
    """Each command that a primary has answered since it leads: (client, which of its own)."""
    for server in servers_of(world):
        if server.answered:
            for name, session in server.sessions.items():
                if session.number <= server.answered:
                    yield name, session.operation


def holds(server: NodeView, name: str, number: int) -> bool:
    """Whether a server has applied that command of that client."""
    session = server.sessions.get(name)
    return session is not None and session.operation >= number


@always(failover)
def an_answered_command_is_on_enough_backups(world: World) -> bool | str:
    """On those of the settled view: on all in mode SYNC, on one in mode SEMI_SYNC."""
    view, mode = world["views"].settled, world["views"].mode
    for name, number in answered(world):
        backups = [each for each in view.backups if holds(world[each], name, number)]
        if len(backups) < mode.backups_needed(len(view.backups)):
            return f"command {number} of {name} was answered, and is on {backups} of {view}"
    return True


@always(failover)
def answered_commands_survive(world: World) -> bool | str:
    """The primary of the newest view has every command that any primary has answered."""
    view = world["views"].view
    for name, number in answered(world):
        if not holds(world[view.primary], name, number):
            return f"command {number} of {name} was answered, and {view.primary} does not have it"
    return True


@always(failover)
def one_primary_an_epoch(world: World) -> bool | str:
    """No two servers order commands in one epoch."""
    primaries = [server for server in servers_of(world) if server.is_primary]
    for one, other in combinations(primaries, 2):
        if one.epoch == other.epoch:
            return f"{one.name} and {other.name} are primary in epoch {one.epoch}"
    return True


@step_always(failover)
def epochs_only_grow(before: World, after: World) -> bool | str:
    """What a server has sealed stays sealed, crash or not."""
    for server in servers_of(before):
        if after[server.name].epoch < server.epoch:
            return f"{server.name} went back from epoch {server.epoch}"
    return True


@always(failover)
def clients_see_one_machine(world: World) -> bool | str:
    """Linearizable: each command takes effect once, between its request and its answer."""
    return see_one_machine(world, KeyValue())


# -- liveness -------------------------------------------------------------------------------------


@always(failover)
def what_is_unconfirmed_is_sent_again(world: World) -> bool | str:
    """A primary with a backup behind, or with a view to settle, has its timer set.

    So no client hangs because of a message between servers. For the loss of its request or of the
    answer it has a timeout of its own.
    """
    for server in servers_of(world):
        if not (server.is_up and server.is_primary):
            continue
        lags = any(server.confirmed.get(each) != server.last for each in server.view.backups)
        if (lags or not server.is_settled) != ("resend" in server.timers):
            return f"{server.name} has the timers {server.timers}"
    return True


@quiescent(a_message_is_lost)
def all_copies_agree_in_the_end(world: World) -> bool | str:
    """Convergence, of servers that are up: same place, same state."""
    ends = {server.last: server.state for server in servers_of(world) if server.is_up}
    return len(ends) == 1 or f"copies end at {ends}"


# -- honesty --------------------------------------------------------------------------------------


@reachable(failover)
def a_new_primary_serves(world: World) -> bool:
    """n2 leads without n1, and has answered."""
    return world["n2"].is_primary and world["n2"].answered == 1


@reachable(failover)
def a_write_survives_its_primary(world: World) -> bool:
    """c2 reads at n2 what c1 wrote at n1."""
    return any(each.result == 1 for each in world.history.of("c2") if each.done)


@reachable(failover)
def two_servers_think_they_lead(world: World) -> bool:
    """A deposed primary has not heard of it: that is what rule 1 is for."""
    return world["n1"].is_primary and world["n2"].is_primary


@reachable(a_deposed_primary_returns)
def a_write_that_nobody_answered_is_undone(world: World) -> bool:
    """n1 takes the state of n2 in the place of its own."""
    return bool(world["n1"].base[0]) and world["n1"].last == world["n2"].last


@reachable(a_short_log)
def a_lagging_backup_gets_a_snapshot(world: World) -> bool:
    return any(isinstance(each.message, Snapshot) for each in world.in_flight)


@reachable(a_short_log)
def a_backup_goes_on_from_a_snapshot(world: World) -> bool:
    return world["n2"].base > (1, 1) and world["n2"].last == (1, 3) and len(world["n2"].log) == 1


@reachable(failover, mode="async")
def known_limit_async_loses_answered_commands(world: World) -> bool:
    """What mode ASYNC promises is less: the copies agree, on less than was answered."""
    return answered_commands_survive(world) is not True


@reachable(failover_and_a_crash)
def a_view_goes_on_without_its_dead_primary(world: World) -> bool:
    return not world["n1"].is_up and world["n2"].is_primary and world["n2"].is_settled


# -- all of it, elsewhere -------------------------------------------------------------------------

SAFETY = (
    a_backup_holds_a_prefix_of_its_primarys_log,
    one_place_one_state,
    states_are_what_the_log_says,
    one_primary_an_epoch,
    what_is_unconfirmed_is_sent_again,
)
# In every mode.
every_safety_property = together(failover, *SAFETY, mode="async")
# What an answer promises holds in modes SYNC and SEMI_SYNC.
every_property = together(
    failover,
    *SAFETY,
    an_answered_command_is_on_enough_backups,
    answered_commands_survive,
    clients_see_one_machine,
)

without_suspicion = every_property.over(two_clients, "without_suspicion")
without_suspicion_semi_sync = every_property.over(
    two_clients, "without_suspicion_semi_sync", mode="semi-sync"
)
async_within_one_view_is_linearizable = clients_see_one_machine.over(
    two_clients, "async_within_one_view_is_linearizable", mode="async"
)
through_a_failover_semi_sync = every_property.over(
    failover, "through_a_failover_semi_sync", mode="semi-sync"
)
through_a_crash = every_property.over(failover_and_a_crash, "through_a_crash")
logs_only_grow_through_a_crash = a_backup_never_goes_back.over(
    failover_and_a_crash, "logs_only_grow_through_a_crash"
)
epochs_only_grow_through_a_crash = epochs_only_grow.over(
    failover_and_a_crash, "epochs_only_grow_through_a_crash"
)
with_a_deposed_primary = every_property.over(a_deposed_primary, "with_a_deposed_primary")
when_a_deposed_primary_returns = every_property.over(
    a_deposed_primary_returns, "when_a_deposed_primary_returns"
)
on_three_servers = every_property.over(three_servers, "on_three_servers")
on_three_servers_semi_sync = every_property.over(
    three_servers, "on_three_servers_semi_sync", mode="semi-sync"
)
with_a_deposed_primary_of_three = every_property.over(
    a_deposed_primary_of_three, "with_a_deposed_primary_of_three", mode="semi-sync"
)
with_a_short_log_sync = every_property.over(a_short_log, "with_a_short_log_sync", mode="sync")
with_a_short_log = every_safety_property.over(a_short_log, "with_a_short_log")
in_rough_seas = every_property.over(rough_seas, "in_rough_seas")
in_rough_seas_semi_sync = every_property.over(
    rough_seas, "in_rough_seas_semi_sync", mode="semi-sync"
)

a_lost_message_is_sent_again = what_is_unconfirmed_is_sent_again.over(
    a_message_is_lost, "a_lost_message_is_sent_again"
)
copies_agree_though_a_message_is_lost_async = all_copies_agree_in_the_end.over(
    a_message_is_lost, "copies_agree_though_a_message_is_lost_async", mode="async"
)
copies_agree_though_a_message_is_lost_in_order = all_copies_agree_in_the_end.over(
    a_message_is_lost, "copies_agree_though_a_message_is_lost_in_order", network="ordered"
)
copies_agree_though_a_server_restarts = all_copies_agree_in_the_end.over(
    a_server_restarts, "copies_agree_though_a_server_restarts"
)
