"""The solver and the exhaustive search agree on worlds whose disks fail."""

from __future__ import annotations

import pytest

from happysim.core.choice import Faults
from happysim.core.host import Host
from happysim.core.node import Node, durable, on
from happysim.core.world import World
from happysim.search.check import check
from happysim.search.policy import bfs
from happysim.smt.prove import smt
from happysim.spec.property import Property, Sort, always
from properties import faults
from properties.broken import faults as broken

PROPERTIES = [
    each
    for module in (faults, broken)
    for each in vars(module).values()
    if isinstance(each, Property) and each.sort is Sort.ALWAYS
]


@pytest.mark.parametrize("prop", PROPERTIES, ids=lambda prop: prop.name)
def test_a_proof_and_a_search_say_the_same_of_disks_that_fail(prop: Property) -> None:
    proved, searched = check(prop, by=smt()), check(prop, by=bfs())
    assert not proved.unknown
    assert proved.holds == searched.holds


class Machine(Node):
    """Knows for ever that a record of its disk has rotted."""

    record: int = durable(0)
    is_hurt: bool = durable(False)

    def on_start(self, host: Host) -> None:
        if host.damaged:
            self.is_hurt = True


def machines(rots: int, down_max: int = 2) -> World:
    faults = Faults(crashes=2, down_max=down_max, rots=rots)
    return World.of(Machine("a"), Machine("b"), faults=faults)


class Careful(Node):
    """Counts its restarts, and syncs once when it starts and once when it is asked to."""

    restarts: int = durable(-1)
    has_synced: bool = False

    def on_start(self, host: Host) -> None:
        self.restarts += 1
        host.sync()
        host.set_timer("sync")

    @on.timer("sync")
    def sync(self, host: Host) -> None:
        self.has_synced = True
        host.sync()


@pytest.mark.parametrize(
    ("faults", "holds"),
    [
        (Faults(fills=1), True),
        (Faults(fills=2), False),
        (Faults(fills=2, frees=0), True),
        (Faults(fills=1, crashes=1), False),
        (Faults(fills=1, crashes=1, restarts=1), True),
        (Faults(fills=1, frees=0, crashes=1), True),
        (Faults(fills=2, down_max=0), False),
        (Faults(fills=1, crashes=1, down_max=0), True),
    ],
)
def test_a_proof_and_a_search_say_the_same_of_disks_that_are_full(
    faults: Faults, holds: bool
) -> None:
    def pair() -> World:
        return World.of(Careful("a"), Careful("b"), faults=faults)

    @always(pair)
    def not_both_have_restarted(world: World) -> bool:
        return not (world["a"].restarts == world["b"].restarts == 1)

    @always(pair)
    def not_both_are_down(world: World) -> bool:
        return world["a"].is_up or world["b"].is_up

    for prop in (not_both_have_restarted, not_both_are_down):
        proved, searched = check(prop, by=smt()), check(prop, by=bfs())
        assert not proved.unknown
        assert proved.holds == searched.holds
        assert prop is not not_both_have_restarted or searched.holds == holds


@pytest.mark.parametrize(
    ("rots", "down_max", "holds"), [(1, 2, True), (2, 2, False), (2, 1, False), (2, 0, True)]
)
def test_a_proof_counts_disk_faults_and_that_they_end_a_crash(
    rots: int, down_max: int, holds: bool
) -> None:
    @always(machines, rots=rots, down_max=down_max)
    def not_both_are_hurt(world: World) -> bool:
        return not (world["a"].is_hurt and world["b"].is_hurt)

    proved, searched = check(not_both_are_hurt, by=smt()), check(not_both_are_hurt, by=bfs())
    assert not proved.unknown
    assert proved.holds == searched.holds == holds
