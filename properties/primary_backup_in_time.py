"""A primary and its backups under load, in virtual time: for each mode of replication.

Clients count and read, are refused, wait, give up, and ask another server, while servers and the
view service crash, clocks go wrong, and messages get lost, copied and delayed. The theorems are
those of `properties/primary_backup.py`. In mode ASYNC an answered command may be lost with its
primary.
"""

from __future__ import annotations

from typing import Any

from happysim import Faults, World, bounded, eventually, monitor, reachable, swarm
from happysim.protocols.primary_backup import (
    ClientRequest,
    Mode,
    PrimaryBackupServer,
    ViewService,
    first_view,
)
from properties.counting import (
    CALM_SECONDS,
    Counters,
    CountsAreLinearizable,
    all_clerks_are_done,
    clerks,
    faults_and_clocks,
)
from properties.primary_backup import (
    an_answered_command_is_on_enough_backups,
    answered_commands_survive,
    epochs_only_grow,
    every_safety_property,
    servers_of,
)

# Faults befall the first seconds of a run.
ROUGH_SECONDS = 12.0


@bounded(
    by=swarm(
        seed=1,
        runs=10,
        until=ROUGH_SECONDS,
        calm=CALM_SECONDS,
        menu=faults_and_clocks(),
        # What only a server has that is down for ever nobody can go on from.
        core="all",
        arguments={
            "mode": tuple(Mode),
            "size": (1, 2, 3, 3, 4),
            "log_max": (0, 2, 100),
            "clients": (1, 2, 3),
            "timeout": (0.3, 1.0, 3.0),
        },
    ),
    unknown_passes=True,
)
def under_load(
    kind: type[PrimaryBackupServer] = PrimaryBackupServer,
    mode: Mode = Mode.SYNC,
    size: int = 3,
    log_max: int = 100,
    clients: int = 2,
    timeout: float = 1.0,
) -> World:
    """Servers n1 (the first primary), n2, ..., the view service, and clients."""
    names = tuple(f"n{number}" for number in range(1, size + 1))
    first = first_view(*names)
    servers = [kind(name, first, mode, machine=Counters(), log_max=log_max) for name in names]
    counting = clerks((ClientRequest, ClientRequest), names, clients, timeout, ROUGH_SECONDS)
    faults = Faults(crashes=1, unsynced_loss=True)
    return World.of(*servers, ViewService("views", names, mode), *counting, faults=faults)


# -- what is promised -----------------------------------------------------------------------------


@monitor(under_load)
class counts_are_linearizable(CountsAreLinearizable):
    """Clients see one machine, in modes SYNC and SEMI_SYNC."""

    def is_owed(self, world: World, command: Any) -> bool:
        return world["views"].mode is not Mode.ASYNC


@monitor(under_load)
class one_primary_an_epoch_ever:
    """No two servers ever order commands in one epoch, not even if one has crashed since."""

    def __init__(self) -> None:
        self.primaries: dict[int, str] = {}

    def __call__(self, world: World, name: str) -> bool | str:
        if not name.startswith("n") or not world[name].is_primary:
            return True
        first = self.primaries.setdefault(world[name].epoch, name)
        return first == name or f"{first} and {name} led epoch {world[name].epoch}"


every_safety_property_under_load = every_safety_property.over(
    under_load, "every_safety_property_under_load"
)
epochs_only_grow_under_load = epochs_only_grow.over(under_load, "epochs_only_grow_under_load")


@monitor(under_load)
class answers_are_on_enough_backups:
    """Whenever a primary has moved: what it answered is where its mode says, and survives."""

    def __init__(self) -> None:
        self.answered: dict[str, int] = {}

    def __call__(self, world: World, name: str) -> bool | str:
        if world["views"].mode is Mode.ASYNC or not world["views"].is_up:
            return True
        answered = world[name].answered if name.startswith("n") else 0
        before = self.answered.get(name, 0)
        self.answered[name] = answered
        if name != "views" and answered <= before:
            return True
        promises = (answered_commands_survive, an_answered_command_is_on_enough_backups)
        return next((said for each in promises if (said := each(world)) is not True), True)


# -- what must come true, once the faults have stopped --------------------------------------------


@eventually(under_load)
def every_client_is_done(world: World) -> bool | str:
    return all_clerks_are_done(world)


@eventually(under_load)
def all_copies_agree(world: World) -> bool | str:
    """All servers are in one settled view again, with one state."""
    settled, servers = world["views"].settled, servers_of(world)
    if len(settled.members) < len(servers):
        return f"the view is {settled}"
    ends = {(each.last, each.state) for each in servers}
    return len(ends) == 1 or f"copies end at {ends}"


# -- what can happen, so that the above has something to judge ------------------------------------


@reachable(under_load)
def another_primary_answers(world: World) -> bool:
    return any(each.is_primary and each.answered for each in servers_of(world)[1:])


@reachable(under_load)
def a_view_has_lost_a_server_and_got_it_back(world: World) -> bool:
    settled = world["views"].settled
    return settled.epoch > 2 and len(settled.members) == len(servers_of(world)) > 1
