"""SWIM in rough weather, in virtual time: groups of any size, newcomers, and members that leave.

Members crash, are cut off and come back, clocks go wrong, and messages get lost, copied, late.
The rules are those of `properties/swim.py`. When the faults have stopped, more than half of the
members have to know of each other, and of those that are gone.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

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
from happysim.protocols.swim import Leave, MembershipProtocol, Status
from properties.counting import faults_and_clocks
from properties.swim import every_rule, here, members_of, no_claim_comes_back

# Faults befall the first seconds of a run.
ROUGH_SECONDS = 20.0


def leaver(name: str, wait: float) -> Iterator[object]:
    """Asks a member to leave, until it says that it does."""
    yield sleep((0.0, wait))
    while (yield call(name, Leave(), timeout=2.0)) is not None:
        pass


@bounded(
    by=swarm(
        seed=1,
        runs=6,
        until=ROUGH_SECONDS,
        calm=120.0,
        menu=faults_and_clocks(),
        arguments={
            "size": (2, 3, 4, 5),
            "seeded": (False, False, True),
            "health_max": (0, 0, 4),
        },
    ),
    unknown_passes=True,
)
def in_rough_weather(
    kind: type[MembershipProtocol] = MembershipProtocol,
    size: int = 4,
    seeded: bool = False,
    leaves: bool = False,
    health_max: int = 0,
) -> World:
    """Members m1, m2, ..., which know each other, or else m1 and m2 alone; m3 may leave."""
    seeds = ("m1", "m2") if seeded else None
    members = [kind(f"m{number}", seeds, health_max=health_max) for number in range(1, size + 1)]
    scripts = [Script("c", leaver, "m3", ROUGH_SECONDS)] if leaves and size > 2 else []
    return World.of(*members, *scripts, faults=Faults(crashes=1, unsynced_loss=True))


@bounded(
    by=swarm(
        seed=1,
        runs=4,
        until=ROUGH_SECONDS,
        calm=120.0,
        menu=faults_and_clocks(),
        # Of a majority with one that has left in it, no majority may be left.
        core="all",
        arguments={"size": (3, 4, 5), "seeded": (False, True), "health_max": (0, 4)},
    ),
    unknown_passes=True,
)
def one_leaves(
    kind: type[MembershipProtocol] = MembershipProtocol,
    size: int = 4,
    seeded: bool = False,
    health_max: int = 0,
) -> World:
    """m3 is asked to leave; a crash after that brings it back."""
    return in_rough_weather(kind, size, seeded, True, health_max)


@monitor(in_rough_weather)
class nobody_is_known_by_an_incarnation_it_never_had:
    """Only a member raises its incarnation, and no crash takes it back."""

    def __init__(self) -> None:
        self.highest: dict[str, int] = {}

    def __call__(self, world: World, name: str) -> bool | str:
        if not name.startswith("m"):
            return True
        member = world[name]
        if member.incarnation < self.highest.get(name, -1):
            return f"{name} went back from incarnation {self.highest[name]}"
        self.highest[name] = member.incarnation
        for other, claim in member.claims.items():
            # Members that nobody has heard from yet are taken for alive in incarnation 0.
            if claim.incarnation > max(self.highest.get(other, -1), 0):
                return f"{name} claims {claim} of {other}, which has {self.highest.get(other)}"
        return True


every_rule_in_rough_weather = every_rule.over(in_rough_weather, "every_rule_in_rough_weather")
no_claim_comes_back_in_rough_weather = no_claim_comes_back.over(
    in_rough_weather, "no_claim_comes_back_in_rough_weather"
)


@eventually(in_rough_weather)
def a_majority_knows_who_is_there(world: World) -> bool | str:
    """More than half of the members take each other to be alive, and who is down or left not to be.

    Of one that is up, and badly connected, they may think what they like.
    """
    members, there = members_of(world), here(world)
    gone = {member.name for member in members} - {member.name for member in there}
    # Who has left is not in any majority.
    wanted = (len(members) - sum(member.has_left for member in members)) // 2 + 1
    views = {member.name: set(member.alive_members) for member in there}
    knowing = [name for name, view in views.items() if not view & gone]
    for some in combinations(knowing, min(wanted, len(members))):
        if all(views[name].issuperset(some) for name in some):
            return True
    return f"{views}; gone are {sorted(gone)}"


every_rule_where_one_leaves = every_rule.over(one_leaves, "every_rule_where_one_leaves")
who_is_there_is_known_where_one_leaves = a_majority_knows_who_is_there.over(
    one_leaves, "who_is_there_is_known_where_one_leaves"
)


@reachable(in_rough_weather)
def a_member_is_buried_and_comes_back(world: World) -> bool:
    """It has refuted its death, or lives again, and another knows it."""
    members = here(world)
    return any(
        member.claims[other.name].status is Status.ALIVE and other.incarnation > 1
        for member in members
        for other in members
        if other.name in member.claims
    )


@reachable(in_rough_weather)
def someone_is_declared_dead(world: World) -> bool:
    return any(member.dead_members for member in here(world))


@reachable(one_leaves)
def all_others_know_that_it_has_left(world: World) -> bool:
    left = world["m3"].has_left
    return left and all("m3" in member.named(Status.LEFT) for member in here(world))
