"""Leader election in rough weather, in virtual time: for each strategy, and groups of any size.

Members crash, are cut off and come back, clocks go wrong, and messages get lost, copied and
delayed. The rules are those of `properties/election.py`. When the faults have stopped and all are
back, a majority has to follow one leader. With votes it has to as soon as a majority is back,
whatever the rest does and whoever of them it reaches.
"""

from __future__ import annotations

from happysim import Faults, World, bounded, monitor, reachable, swarm
from happysim.protocols.election import LeaderElection
from properties.counting import faults_and_clocks
from properties.election import (
    STRATEGIES,
    agreed,
    every_rule,
    every_step,
    leaders_of,
    members_of,
    most_follow_one_leader,
    who_leads_shows_that_it_is_alive,
)

# Faults befall the first seconds of a run.
ROUGH_SECONDS = 5.0

WEATHER = swarm(
    seed=1,
    runs=10,
    until=ROUGH_SECONDS,
    calm=20.0,
    menu=faults_and_clocks(),
    # A member that some others reach, and others not, may lead those for as long as that is so.
    core="all",
    arguments={"strategy": tuple(STRATEGIES), "size": (1, 2, 3, 3, 4, 5)},
)
WEATHER_FOR_VOTES = swarm(
    seed=1,
    runs=10,
    until=ROUGH_SECONDS,
    calm=20.0,
    menu=faults_and_clocks(),
    core="quorum",
    arguments={"size": (1, 2, 3, 3, 4, 5)},
)


@bounded(by=WEATHER, unknown_passes=True)
def in_rough_weather(
    strategy: str = "bully", kind: type[LeaderElection] = LeaderElection, size: int = 3
) -> World:
    """Members n1, n2, ..., which may lose in a crash what they had not synced."""
    members = [kind(f"n{number}", STRATEGIES[strategy]) for number in range(1, size + 1)]
    return World.of(*members, faults=Faults(crashes=1, unsynced_loss=True))


@bounded(by=WEATHER_FOR_VOTES, unknown_passes=True)
def votes_in_rough_weather(size: int = 3) -> World:
    """Members that vote. In the end a majority is healthy, and the rest as the faults left it."""
    return in_rough_weather("randomized", size=size)


@monitor(in_rough_weather)
class one_leader_a_term_ever:
    """No two members ever lead, or are followed in, one term: not even if one has crashed since."""

    def __init__(self) -> None:
        self.leaders: dict[int, str] = {}

    def __call__(self, world: World, name: str) -> bool | str:
        member = world[name]
        if member.current_leader is None:
            return True
        first = self.leaders.setdefault(member.current_term, member.current_leader)
        return first == member.current_leader or (
            f"{name} follows {member.current_leader} in term {member.current_term}, "
            f"which {first} has led"
        )


every_rule_in_rough_weather = every_rule.over(in_rough_weather, "every_rule_in_rough_weather")
every_step_in_rough_weather = every_step.over(in_rough_weather, "every_step_in_rough_weather")
who_leads_beats_in_rough_weather = who_leads_shows_that_it_is_alive.over(
    in_rough_weather, "who_leads_beats_in_rough_weather"
)
most_follow_one_leader_after_it = most_follow_one_leader.over(
    in_rough_weather, "most_follow_one_leader_after_it"
)


most_follow_one_leader_by_votes_after_it = most_follow_one_leader.over(
    votes_in_rough_weather, "most_follow_one_leader_by_votes_after_it"
)


@reachable(in_rough_weather)
def a_leader_is_replaced(world: World) -> bool:
    """All follow one, in a term in which not all of them began."""
    return agreed(world) and min(each.current_term for each in members_of(world)) > 3


@reachable(in_rough_weather)
def two_take_themselves_for_leaders(world: World) -> bool:
    return len(leaders_of(world)) == 2
