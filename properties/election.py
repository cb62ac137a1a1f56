"""Leader election: terms that fence, leaders that stay, and dead leaders that are replaced.

Each property is stated once, over the bully algorithm; at the end of the file the same sentences
are claimed of the other strategies, and of crashes.

Heartbeats are on where the network is `duplicating`: there a repeated message is no new world. A
member's timers may fire at any moment, so every member may take every other for dead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations

from happysim import (
    Choice,
    Crash,
    Faults,
    Kind,
    Network,
    NodeView,
    Partition,
    World,
    always,
    bfs,
    bounded,
    datacenter_network,
    duplicating,
    eventually,
    randomly,
    reachable,
    simulated,
    step_always,
    together,
)
from happysim.core.network import Delivery
from happysim.protocols.election import (
    BullyStrategy,
    Heartbeat,
    LeaderElection,
    RandomizedStrategy,
    RingStrategy,
    Strategy,
    Victory,
    seniority,
)

STRATEGIES: dict[str, Strategy] = {
    "bully": BullyStrategy(),
    "ring": RingStrategy(),
    "randomized": RandomizedStrategy(),
}

# -- groups of members ----------------------------------------------------------------------------


def group(
    size: int,
    strategy: str | Strategy = "bully",
    kind: type[LeaderElection] = LeaderElection,
    heartbeats: bool = False,
    faults: Faults | None = None,
    network: Delivery | None = None,
) -> World:
    """Members n1, n2, ...; `kind` or `strategy` may be a broken variant."""
    chosen = STRATEGIES[strategy] if isinstance(strategy, str) else strategy
    beat = 0.05 if heartbeats else None
    members = [kind(f"n{number}", chosen, heartbeat_seconds=beat) for number in range(1, size + 1)]
    return World.of(*members, faults=faults, network=network)


def terms(highest: int) -> Callable[[World], bool]:
    """A bound: no term beyond `highest`. The protocol has none."""
    return lambda world: all(member.current_term <= highest for member in members_of(world))


def members_of(world: World) -> tuple[NodeView, ...]:
    return world.nodes(LeaderElection)


def leaders_of(world: World) -> list[NodeView]:
    return [member for member in members_of(world) if member.is_leader]


# -- calm days: nobody crashes, and everything takes as long as it should --------------------------


def calm(world: World, waits: int = 20) -> World:
    """The world after calm days: messages arrive in order of sending, timers are as they are meant.

    A wait of a strategy is longer than a round trip, a heartbeat comes after that, and the patience
    with a leader ends last. Ends where all follow one leader, or after so many waits.
    """
    for turn in range(waits):
        world = until_all_is_heard(world)
        ending = [member for member in up(world) if "campaign" in member.timers]
        if ending:
            world = fire(world, "campaign", [ending[turn % len(ending)]])
            continue
        if not agreed(world):
            world = until_all_is_heard(fire(world, "heartbeat", leaders_of(world)))
        if agreed(world):
            return world
        waiting = [member for member in up(world) if not has_leader(world, member)]
        world = fire(world, "leader", [waiting[turn % len(waiting)]])
    return until_all_is_heard(world)


def until_all_is_heard(world: World) -> World:
    """The world once nothing is in flight that anybody has not heard."""
    while coming := [choice for choice in world.choices() if choice.kind is Kind.DELIVER]:
        world = world.step(coming[0])
    return world


def fire(world: World, timer: str, members: list[NodeView]) -> World:
    for member in members:
        if timer in member.timers:
            world = world.step(Choice(Kind.FIRE, member.name, "", timer))
    return world


def up(world: World) -> list[NodeView]:
    return [member for member in members_of(world) if member.is_up]


def has_leader(world: World, member: NodeView) -> bool:
    """True where the member follows, or is, one that is up and leads the same term."""
    name = member.current_leader
    return (
        name is not None
        and world[name].is_up
        and (world[name].is_leader and world[name].current_term == member.current_term)
    )


def agreed(world: World) -> bool:
    """All that are up follow one leader."""
    names = {member.current_leader for member in up(world)}
    return len(names) == 1 and all(has_leader(world, member) for member in up(world))


# -- scenarios ------------------------------------------------------------------------------------


@bounded(by=bfs(), within=terms(4))
def elections(
    strategy: str | Strategy = "bully", kind: type[LeaderElection] = LeaderElection
) -> World:
    """Three members; messages get lost, late, reordered and copied."""
    return group(3, strategy, kind, heartbeats=True, network=duplicating())


@bounded(by=bfs(), within=terms(3))
def elections_and_a_crash(
    strategy: str | Strategy = "bully", kind: type[LeaderElection] = LeaderElection
) -> World:
    """And n3, the most senior, may crash, losing what it had not synced, and may come back."""
    faults = Faults(crashes=1, crashable=("n3",), unsynced_loss=True)
    return group(3, strategy, kind, faults=faults, network=duplicating())


@bounded(by=bfs(), max_depth=6)
def first_days(
    strategy: str | Strategy = "bully", kind: type[LeaderElection] = LeaderElection, size: int = 3
) -> World:
    """Any five things happen, a crash and a loss among them."""
    faults = Faults(crashes=1, drops=1)
    return group(size, strategy, kind, heartbeats=True, faults=faults)


@bounded(by=bfs(), max_depth=5)
def four_members(
    strategy: str | Strategy = "bully",
    kind: type[LeaderElection] = LeaderElection,
    down_max: int = 2,
) -> World:
    """Any four things happen to four members, of which so many may be down."""
    faults = Faults(crashes=down_max, down_max=down_max, drops=1)
    return group(4, strategy, kind, heartbeats=True, faults=faults)


@bounded(by=bfs(), within=terms(3))
def ring(strategy: Strategy = STRATEGIES["ring"]) -> World:
    """Three members on a ring, each of which may stand. A heartbeat would be one more victory."""
    return group(3, strategy, network=duplicating())


@bounded(by=bfs(), within=terms(2))
def small_ring() -> World:
    """Two elections: n1 and n2 stand."""
    return ring()


@bounded(by=bfs(), within=terms(3), max_worlds=200_000, unknown_passes=True)
def ring_and_a_crash(kind: type[LeaderElection] = LeaderElection) -> World:
    """And n3 may crash: searched in part, two million worlds are within the bound."""
    return elections_and_a_crash("ring", kind)


@bounded(by=bfs(), within=terms(2))
def votes(kind: type[LeaderElection] = LeaderElection) -> World:
    """Three members that vote. Any of them may stand in any term."""
    return elections("randomized", kind)


@bounded(by=bfs(), within=terms(2))
def votes_and_a_crash(kind: type[LeaderElection] = LeaderElection) -> World:
    """And n3 may crash, losing what it had not synced."""
    return elections_and_a_crash("randomized", kind)


IN_TIME = simulated(
    seed=1,
    runs=8,
    until=5,
    faults=[randomly(Crash(down_max=2), every=2), randomly(Partition(), every=4, lasting=1)],
    calm=3,
    # A partition may leave a member with a part of a majority, which it then may lead for ever: no
    # assumption of the bully or the ring covers that, so in the end all have to be back.
    core="all",
)
# Here whoever is not back in the end is down, or reaches nobody.
APART_IN_TIME = replace(
    IN_TIME,
    faults=(
        randomly(Crash(down_max=2), every=2),
        randomly(Partition(*([f"n{number}"] for number in range(1, 6))), every=2, lasting=1),
    ),
    core="quorum",
)


# For members that are wrong about who is dead: whoever is down stays so.
QUORUM_IN_TIME = replace(IN_TIME, core="quorum")


@bounded(by=IN_TIME, unknown_passes=True)
def in_time(
    strategy: str | Strategy = "bully", kind: type[LeaderElection] = LeaderElection
) -> World:
    """Five members in virtual time; some die, some are cut off, and in the end all are back."""
    chosen = STRATEGIES[strategy] if isinstance(strategy, str) else strategy
    network = Network(default=datacenter_network())
    for number in range(1, 6):
        kind(f"n{number}", chosen, network=network)
    return World.of(network=network)


@bounded(by=APART_IN_TIME, unknown_passes=True)
def apart_in_time(strategy: str = "bully") -> World:
    """Five members; some die, all are cut off from each other; in the end a majority is back."""
    return in_time(strategy)


def one_member(strategy: str | Strategy = "bully") -> World:
    """A group of one, which may crash twice."""
    return group(1, strategy, heartbeats=True, faults=Faults(crashes=2, unsynced_loss=True))


# -- terms ----------------------------------------------------------------------------------------


@always(elections)
def one_leader_a_term(world: World) -> bool | str:
    """No two members lead one term; nor do two follow different leaders in one term."""
    for one, other in combinations(members_of(world), 2):
        leaders = {one.current_leader, other.current_leader} - {None}
        if one.current_term == other.current_term and len(leaders) > 1:
            return f"{one.name} and {other.name} have two leaders of term {one.current_term}"
    return True


@step_always(elections)
def terms_only_grow(before: World, after: World) -> bool | str:
    """A member's term survives a crash."""
    for member in members_of(before):
        if after[member.name].current_term < member.current_term:
            return f"{member.name} went back from term {member.current_term}"
    return True


@step_always(elections)
def a_leader_stays_for_its_term(before: World, after: World) -> bool | str:
    """Stability: a leader is followed until a larger term, or silence, puts an end to it."""
    for member in members_of(before):
        now = after[member.name]
        left = member.current_leader not in (None, now.current_leader)
        if left and now.current_leader is not None and now.current_term <= member.current_term:
            return (
                f"{member.name} left {member.current_leader} of term {member.current_term} "
                f"for {now.current_leader}"
            )
    return True


@always(elections_and_a_crash)
def a_victory_carries_its_own_term(world: World) -> bool | str:
    """What is announced is a term that the sender has been in, and no other member announces it."""
    winners: dict[int, str] = {}
    for sent in world.in_flight:
        if isinstance(sent.message, Victory | Heartbeat):
            term = sent.message.term
            if term > world[sent.source].current_term:
                return f"{sent.source} announces term {term}, and has not been in it"
            if winners.setdefault(term, sent.source) != sent.source:
                return f"{winners[term]} and {sent.source} both announce term {term}"
    return True


# -- liveness -------------------------------------------------------------------------------------


@always(elections)
def who_does_not_lead_will_stand(world: World) -> bool | str:
    """Such a member has exactly one timer set that makes it stand, or ends its election."""
    for member in up(world):
        patience = {"leader", "campaign"} & set(member.timers)
        if len(patience) != (0 if member.is_leader else 1):
            return f"{member.name} has the timers {member.timers}"
    return True


@always(elections)
def who_leads_shows_that_it_is_alive(world: World) -> bool:
    return all(("heartbeat" in member.timers) == member.is_leader for member in up(world))


@always(first_days)
def calm_days_elect_a_leader(world: World) -> bool | str:
    """Whatever happened before: once nothing more goes wrong, all that are up follow one leader."""
    later = calm(world)
    views = ", ".join(f"{m.name}: {m.current_leader} {m.current_term}" for m in up(later))
    return agreed(later) or f"after calm days {views}"


@always(first_days)
def calm_days_make_the_most_senior_leader(world: World) -> bool | str:
    """The bully: whoever led before, in the end the most senior member that is up does."""
    later = calm(world)
    senior = max((member.name for member in up(later)), key=seniority)
    return [leader.name for leader in leaders_of(later)] == [senior] or f"{senior} does not lead"


@eventually(in_time)
def most_follow_one_leader(world: World) -> bool | str:
    """Once a majority is up and connected, it agrees. Who is cut off may think what it likes."""
    members = members_of(world)
    for leader in leaders_of(world):
        led = [(each.current_leader, each.current_term) for each in up(world)]
        if 2 * led.count((leader.name, leader.current_term)) > len(members):
            return True
    return ", ".join(f"{m.name}: {m.current_leader} {m.current_term}" for m in up(world))


@always(elections)
def nobody_follows_a_junior(world: World) -> bool:
    """The bully: a senior member stands rather than follow."""
    return all(
        seniority(member.current_leader) >= seniority(member.name)
        for member in members_of(world)
        if member.current_leader is not None
    )


# -- honesty: a group that elects nobody would have most of the above -----------------------------


@reachable(elections)
def a_leader_is_followed_by_all(world: World) -> bool:
    return agreed(world)


@reachable(elections)
def two_lead_in_two_terms(world: World) -> bool:
    """What terms are for: each of the two took the other for dead, or has not heard of it."""
    return len(leaders_of(world)) == 2


@reachable(elections_and_a_crash)
def a_dead_leader_is_replaced(world: World) -> bool:
    """n3 led, and is down; the others follow one of theirs."""
    return not world["n3"].is_up and world["n3"].current_term > 0 and agreed(world)


@reachable(elections_and_a_crash)
def a_member_comes_back(world: World) -> bool:
    """n3 was down, and follows or leads again."""
    return world.faults_left["restarts"] == 0 and world["n3"].current_leader is not None


@reachable(one_member)
def one_member_leads_alone(world: World) -> bool:
    return world["n1"].is_leader and world["n1"].current_term == 3


@reachable(votes)
def a_vote_without_a_winner(world: World) -> bool:
    """Three candidates in one term, each with its own vote."""
    return all(member.voted_for == member.name for member in members_of(world))


@reachable(ring)
def a_dead_member_is_skipped(world: World) -> bool:
    """n1 has offered its token to n2, which did not take it, and then to n3."""
    passed = world["n1"].campaign
    return passed is not None and (passed.candidate, passed.to) == ("n1", "n3")


# -- all of it, of the other strategies, and through a crash --------------------------------------

every_rule = together(
    elections_and_a_crash,
    one_leader_a_term,
    who_does_not_lead_will_stand,
)
every_step = together(
    elections_and_a_crash,
    terms_only_grow,
    a_leader_stays_for_its_term,
)

every_rule_in_time = every_rule.over(in_time)
every_step_in_time = every_step.over(in_time)
every_rule_of_the_ring_in_time = every_rule.over(in_time, strategy="ring")
every_step_of_the_ring_in_time = every_step.over(in_time, strategy="ring")
most_follow_one_leader_on_the_ring = most_follow_one_leader.over(in_time, strategy="ring")
every_rule_of_votes_in_time = every_rule.over(in_time, strategy="randomized")
every_step_of_votes_in_time = every_step.over(in_time, strategy="randomized")
most_follow_one_leader_by_votes = most_follow_one_leader.over(in_time, strategy="randomized")

# The rest may be dead or cut off for ever, as long as it is so for all of those that are back.
most_follow_one_leader_without_the_rest = most_follow_one_leader.over(apart_in_time)
most_follow_one_leader_on_the_ring_without_the_rest = most_follow_one_leader.over(
    apart_in_time, strategy="ring"
)
most_follow_one_leader_by_votes_without_the_rest = most_follow_one_leader.over(
    apart_in_time, strategy="randomized"
)

every_rule_of_the_ring = every_rule.over(ring)
every_rule_of_the_ring_through_a_crash = every_rule.over(ring_and_a_crash)
every_step_of_the_ring = every_step.over(ring)
every_step_of_the_ring_through_a_crash = every_step.over(ring_and_a_crash)
calm_days_elect_on_the_ring = calm_days_elect_a_leader.over(first_days, strategy="ring")
calm_days_elect_on_a_ring_of_four = calm_days_elect_a_leader.over(four_members, strategy="ring")
a_dead_leader_on_the_ring_is_replaced = a_dead_leader_is_replaced.over(ring_and_a_crash)

victories_on_the_ring_carry_their_own_term = a_victory_carries_its_own_term.over(small_ring)
victories_by_votes_carry_their_own_term = a_victory_carries_its_own_term.over(votes_and_a_crash)
every_rule_of_votes = every_rule.over(votes)
every_rule_of_votes_through_a_crash = every_rule.over(votes_and_a_crash)
every_step_of_votes = every_step.over(votes)
every_step_of_votes_through_a_crash = every_step.over(votes_and_a_crash)
calm_days_elect_by_votes = calm_days_elect_a_leader.over(first_days, strategy="randomized")
calm_days_elect_by_votes_of_four = calm_days_elect_a_leader.over(
    four_members, strategy="randomized", down_max=1
)
a_dead_leader_by_votes_is_replaced = a_dead_leader_is_replaced.over(votes_and_a_crash)

calm_days_make_the_most_senior_of_four_leader = calm_days_make_the_most_senior_leader.over(
    four_members
)
