"""What a member of a leader election does, one behaviour at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import pytest

from happysim import (
    Faults,
    Host,
    Network,
    ProtocolError,
    Simulation,
    World,
    datacenter_network,
)
from happysim.protocols.election import (
    BullyStrategy,
    Campaign,
    LeaderElection,
    RandomizedStrategy,
    RingStrategy,
    Strategy,
    seniority,
)
from happysim.protocols.election.randomized import SeekVote
from properties.election import (
    STRATEGIES,
    agreed,
    every_rule,
    every_step,
    group,
    leaders_of,
    members_of,
    nobody_follows_a_junior,
)
from properties.raft import along


def views(world: World) -> list[tuple[str | None, int]]:
    return [(member.current_leader, member.current_term) for member in members_of(world)]


# -- making a group -------------------------------------------------------------------------------


def test_a_member_is_made_on_a_network() -> None:
    network = Network(name="cluster", default=datacenter_network())
    election = LeaderElection(name="election", strategy=BullyStrategy(), network=network)
    other = LeaderElection(name="other", strategy=BullyStrategy(), network=network)
    assert network.members == (election, other)
    simulation = Simulation(World.of(network=network), seed=1).run(1.0)
    assert simulation.world["other"].current_leader == "election"
    assert simulation.world["election"].is_leader


def test_members_may_be_added_by_name_or_as_nodes() -> None:
    n1, n10 = LeaderElection("n1"), LeaderElection("n10")
    n1.add_member(n10, "n9")
    assert n1.members == ("n1", "n9", "n10")


def test_members_divide_a_world_into_groups() -> None:
    names = ("a1", "a2"), ("b1", "b2")
    world = World.of(*(LeaderElection(name, members=group) for group in names for name in group))
    world = along(world, "fire a2 leader", "fire b2 leader", "deliver a2 -> a1 Victory")
    assert views(world) == [("a2", 2), ("a2", 2), (None, 0), ("b2", 2)]


def test_the_longer_name_is_senior() -> None:
    assert sorted(["n10", "n9", "n2"], key=seniority) == ["n2", "n9", "n10"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"members": ("n1", "n1")}, "name each member once"),
        ({"heartbeat_seconds": 0.2}, r"less than the 0\.15 of leader_seconds"),
    ],
)
def test_what_cannot_be_meant_is_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ProtocolError, match=said):
        LeaderElection("n1", **wrong)  # type: ignore[arg-type]


# -- terms ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "known", "own"),
    [("n1", 0, 1), ("n3", 0, 3), ("n1", 1, 4), ("n2", 2, 5), ("n2", 3, 5), ("n3", 7, 9)],
)
def test_terms_are_dealt_out_in_turn(name: str, known: int, own: int) -> None:
    member = LeaderElection(name, members=("n1", "n2", "n3"), current_term=known)
    assert member.own_term(None) == own  # type: ignore[arg-type]


def test_a_late_victory_does_not_replace_a_newer_leader() -> None:
    world = along(group(3, "ring"), "fire n1 leader", "fire n1 campaign", "fire n1 campaign")
    world = along(world, "fire n3 leader", "fire n3 campaign", "fire n3 campaign")
    world = along(world, "deliver n3 -> n2 Victory(term=3)")
    assert views(world) == [("n1", 1), ("n3", 3), ("n3", 3)]
    assert not any("n1 -> n2 Victory" in str(choice) for choice in world.choices())


def test_a_deposed_leader_follows_and_stops_its_heartbeats() -> None:
    world = group(3, "ring", heartbeats=True)
    world = along(world, "fire n1 leader", "fire n1 campaign", "fire n1 campaign")
    world = along(world, "fire n3 leader", "fire n3 campaign", "fire n3 campaign")
    world = along(world, "deliver n3 -> n1 Victory(term=3)")
    assert (world["n1"].current_leader, world["n1"].timers) == ("n3", ("leader",))


def test_a_restarted_member_knows_its_term_and_no_leader() -> None:
    world = group(3, faults=Faults(crashes=1, unsynced_loss=True))
    world = along(world, "fire n3 leader", "deliver n3 -> n1 Victory", "crash n1", "restart n1")
    assert views(world)[0] == (None, 3)
    assert world["n1"].timers == ("leader",)


# -- bully ----------------------------------------------------------------------------------------


def test_the_most_senior_wins_at_once() -> None:
    world = along(group(3), "fire n3 leader", "deliver n3 -> n1 V", "deliver n3 -> n2 V")
    assert views(world) == [("n3", 3)] * 3


def test_an_answer_ends_a_challenge_and_the_senior_stands_itself() -> None:
    world = along(group(3), "fire n1 leader", "deliver n1 -> n2 C", "deliver n2 -> n1 C")
    assert views(world) == [(None, 1), (None, 2), (None, 0)]
    assert [member.timers for member in members_of(world)] == [
        ("leader",),
        ("campaign",),
        ("leader",),
    ]


def test_a_challenge_of_an_older_term_is_answered_and_begins_no_election() -> None:
    world = along(group(3), "fire n1 leader", "fire n3 leader")
    assert views(world)[2] == ("n3", 3)
    world = along(world, "deliver n1 -> n3 C")
    assert views(world)[2] == ("n3", 3)
    assert any("n3 -> n1 Campaign(term=3, step=Answer())" in str(each) for each in world.choices())


def test_who_hears_of_no_senior_leads() -> None:
    world = along(group(3), "fire n2 leader", "fire n2 campaign", "deliver n2 -> n1 V")
    assert views(world) == [("n2", 2), ("n2", 2), (None, 0)]


def test_a_senior_that_comes_back_takes_over() -> None:
    world = along(group(3), "fire n2 leader", "fire n2 campaign", "deliver n2 -> n3 V")
    assert views(world)[2] == ("n3", 3)
    world = along(world, "deliver n3 -> n2 V")
    assert views(world)[1] == ("n3", 3)


# -- ring -----------------------------------------------------------------------------------------


def test_a_token_goes_round_and_elects_the_most_senior() -> None:
    world = along(group(3, "ring"), "fire n3 leader", "deliver n3 -> n1 C", "deliver n1 -> n2 C")
    world = along(world, "deliver n2 -> n3 Campaign(term=3, step=Token(candidate='n3'))")
    assert views(world)[2] == ("n3", 3)


def test_a_junior_candidate_is_replaced() -> None:
    world = along(group(3, "ring"), "fire n1 leader", "deliver n1 -> n2 C")
    assert any(
        "n2 -> n3 Campaign(term=2, step=Token(candidate='n2'))" in str(choice)
        for choice in world.choices()
    )


def test_the_dead_are_skipped_and_a_token_of_a_dead_candidate_is_dropped() -> None:
    world = along(group(3, "ring"), "fire n3 leader", "deliver n3 -> n1 C")
    world = along(world, "fire n1 campaign", "fire n1 campaign")
    asked = [str(sent.message.step) for sent in world.in_flight if sent.source == "n1"]
    assert asked.count("Token(candidate='n3')") == 2  # to n2, and to n3
    assert (world["n1"].current_leader, world["n1"].timers) == (None, ("leader",))


def test_who_knows_that_the_token_arrived_skips_nobody_and_waits_for_the_winner() -> None:
    world = along(group(3, "ring"), "fire n1 leader")
    assert world["n1"].timers == ("campaign",)
    world = along(world, "deliver n1 -> n2 C")
    world = along(world, "deliver n2 -> n1 Campaign(term=1, step=Receipt())")
    assert world["n1"].timers == ("leader",)


def test_a_token_that_comes_again_is_not_passed_on() -> None:
    world = along(
        group(3, "ring", faults=Faults(duplicates=1)),
        "fire n3 leader",
        "duplicate n3 -> n1",
        "deliver n3 -> n1",
        "deliver n3 -> n1",
    )
    tokens = [sent for sent in world.in_flight if sent.target == "n2"]
    assert len(tokens) == 1


# -- votes ----------------------------------------------------------------------------------------


def test_votes_of_a_majority_elect() -> None:
    world = along(group(4, "randomized"), "fire n1 leader")
    world = along(world, "deliver n1 -> n2 C", "deliver n2 -> n1 C")
    assert not world["n1"].is_leader
    world = along(world, "deliver n1 -> n3 C", "deliver n3 -> n1 C")
    assert world["n1"].is_leader


def test_a_second_candidate_of_a_term_gets_no_vote() -> None:
    world = along(group(3, "randomized"), "fire n1", "fire n3", "deliver n1 -> n2 C")
    assert not any("n3 -> n2" in str(choice) for choice in world.choices())


def test_a_candidate_waits_for_votes_and_tries_again() -> None:
    world = along(group(3, "randomized"), "fire n1")
    assert (world["n1"].current_term, world["n1"].timers) == (1, ("campaign",))
    world = along(world, "fire n1 campaign")
    assert (world["n1"].current_term, world["n1"].timers) == (2, ("campaign",))


def test_a_vote_that_was_cast_cannot_be_lost() -> None:
    faults = Faults(crashes=1, unsynced_loss=True)
    world = along(group(3, "randomized", faults=faults), "fire n1", "deliver n1 -> n2 C")
    crashes = [str(choice) for choice in world.choices() if "crash" in str(choice)]
    assert (world["n2"].voted_for, crashes) == ("n1", ["crash n1", "crash n2", "crash n3"])


class Timers:
    """A host that only notes which timers are set and cancelled."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def set_timer(self, name: str, seconds: object) -> None:
        self.log.append(f"set {name}")

    def cancel_timer(self, name: str) -> None:
        self.log.append(f"cancel {name}")

    def send(self, to: str, sent: object) -> None:
        """Nobody is there."""

    def sync(self) -> None:
        """Nothing gets lost."""


def test_a_vote_in_a_term_that_is_known_gives_the_candidate_time_anew() -> None:
    voter, host = LeaderElection("n2", strategy=RandomizedStrategy()), cast(Host, Timers())
    voter.current_term = 3
    voter.strategy.heed(voter, host, "n1", Campaign(3, SeekVote()))
    assert voter.voted_for == "n1"
    assert cast(Timers, host).log == ["cancel campaign", "set leader"]


# -- a strategy of one's own ----------------------------------------------------------------------


@dataclass(frozen=True)
class Dictator:
    """The first by seniority leads, and nobody else ever does."""

    def stand(self, member: LeaderElection, host: Host) -> None:
        if member.everyone(host)[0] == member.name:
            member.enter(host, member.current_term + 1)
            member.lead(host)
        else:
            member.say(host, member.everyone(host)[0], "please")
            member.await_leader(host)

    def heed(self, member: LeaderElection, host: Host, sender: str, campaign: Campaign) -> None:
        self.stand(member, host)

    def expire(self, member: LeaderElection, host: Host) -> None:
        raise AssertionError("it waits for nothing")

    def accepts(self, member: LeaderElection, leader: str) -> bool:
        return True


def test_a_strategy_of_ones_own_needs_no_more_than_four_methods() -> None:
    strategy: Strategy = Dictator()
    world = along(group(3, strategy), "fire n2 leader", "deliver n2 -> n1 Campaign")
    world = along(world, "deliver n1 -> n2 V", "deliver n1 -> n3 V")
    assert views(world) == [("n1", 1)] * 3


# -- in virtual time ------------------------------------------------------------------------------

TIMED = {
    "bully": BullyStrategy(answer_seconds=0.05),
    "ring": RingStrategy(receipt_seconds=0.02),
    "randomized": RandomizedStrategy(),
}


def timed(strategy: str, size: int, seed: int) -> Simulation:
    network = Network(default=datacenter_network())
    members = [
        LeaderElection(f"n{at}", TIMED[strategy], network=network) for at in range(1, size + 1)
    ]
    rules = [every_rule, every_step, *([nobody_follows_a_junior] if strategy == "bully" else [])]
    return Simulation(World.of(*members, network=network), seed=seed, properties=rules)


def leader_in(simulation: Simulation) -> str | None:
    world = simulation.world
    return leaders_of(world)[0].name if agreed(world) else None


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize("strategy", TIMED)
def test_a_leader_is_elected_within_a_second_and_stays(strategy: str, size: int, seed: int) -> None:
    simulation = timed(strategy, size, seed).run(1.0)
    assert simulation.broken is None
    leader, term = leader_in(simulation), members_of(simulation.world)[0].current_term
    assert leader is not None
    assert strategy != "bully" or leader == f"n{size}"
    simulation.run(10.0)
    assert (leader_in(simulation), members_of(simulation.world)[0].current_term) == (leader, term)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("strategy", TIMED)
def test_a_dead_leader_is_replaced_within_a_second(strategy: str, seed: int) -> None:
    simulation = timed(strategy, 5, seed).run(1.0)
    first = leader_in(simulation)
    assert first is not None
    simulation.crash(first)
    simulation.run(1.5)
    second = leader_in(simulation)
    assert second not in (None, first)
    assert strategy != "bully" or second == "n4"
    simulation.restart(first)
    simulation.run(1.0)
    assert leader_in(simulation) == (first if strategy == "bully" else second)
    assert simulation.broken is None


@pytest.mark.parametrize("strategy", TIMED)
def test_after_a_partition_one_leader_is_left(strategy: str) -> None:
    """Bully and ring lead on both sides, in different terms; votes on one side only."""
    simulation = timed(strategy, 5, seed=3).run(1.0)
    across = [(one, other) for one in ("n1", "n2") for other in ("n3", "n4", "n5")]
    across += [(other, one) for one, other in across]
    simulation.cut(across, "split")
    simulation.run(2.0)
    last = {name: simulation.world[name].current_leader for name in ("n1", "n4")}
    assert last["n4"] in ("n3", "n4", "n5")
    assert strategy == "randomized" or last["n1"] in ("n1", "n2")
    simulation.mend(across, "split")
    simulation.run(2.0)
    assert leader_in(simulation) is not None
    assert simulation.broken is None


@pytest.mark.parametrize(("strategy", "leaders"), [("bully", 2), ("ring", 2), ("randomized", 1)])
def test_known_limit_a_member_that_reaches_a_part_of_a_majority_may_lead_that_part(
    strategy: str, leaders: int
) -> None:
    """n2, n3 and n5 reach each other, and n4 reaches n3 alone: bully and ring assume no such thing.

    n4 leads n3 in the larger term, and n5, which leads n2, is not told. No majority agrees.
    """
    simulation = timed(strategy, 5, seed=1).run(1.0)
    simulation.crash("n1")
    simulation.cut([("n2", "n4"), ("n4", "n2"), ("n5", "n4"), ("n4", "n5")], "half")
    simulation.run(5.0)
    views = {simulation.world[name].current_leader for name in ("n2", "n3", "n5")}
    assert len(views) == leaders
    assert simulation.broken is None


def test_every_strategy_is_tried() -> None:
    assert TIMED.keys() == STRATEGIES.keys()
