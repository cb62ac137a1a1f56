"""SWIM: claims that only get stronger, suspicion before death, and nobody condemned unheard.

Each property is stated once, over one member that probes two others; at the end of the file the
same sentences are claimed where all probe, crash and are cut off.

The network is `duplicating` where a property looks for what was sent: there it stays to be seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from happysim import (
    Crash,
    Faults,
    Kind,
    Network,
    NodeView,
    Partition,
    Script,
    World,
    always,
    bfs,
    bounded,
    call,
    datacenter_network,
    duplicating,
    eventually,
    randomly,
    reachable,
    simulated,
    step_always,
    together,
    uniform,
    unlimited,
)
from happysim.core.network import Delivery
from happysim.protocols.swim import (
    Ack,
    Claim,
    Leave,
    MembershipProtocol,
    PingRequest,
    Status,
    Update,
)

# -- groups of members ----------------------------------------------------------------------------


def group(
    size: int,
    kind: type[MembershipProtocol] = MembershipProtocol,
    *scripts: Script,
    faults: Faults | None = None,
    network: Delivery | None = None,
) -> World:
    """Members m1, m2, ..., with short suspicions; `kind` may be a broken variant."""
    members = [
        kind(f"m{number}", delegates=1, suspicion_factor=1, gossip_factor=2, updates_max=2)
        for number in range(1, size + 1)
    ]
    return World.of(*members, *scripts, faults=faults, network=network)


def leaver(name: str) -> Iterator[object]:
    yield call(name, Leave())


def members_of(world: World) -> tuple[NodeView, ...]:
    return world.nodes(MembershipProtocol)


def here(world: World) -> list[NodeView]:
    """Members that are up and have not left. One that is down makes no claims."""
    up = [member for member in members_of(world) if member.is_up and member.claims]
    return [member for member in up if not member.has_left]


def probes(*highest: int) -> Callable[[World], bool]:
    """A bound: so many probes by m1, m2, ...; the protocol has none."""
    return lambda world: all(
        member.sequence <= most for member, most in zip(members_of(world), highest, strict=True)
    )


# -- calm rounds: everyone's periods keep time, and messages arrive within them --------------------


def rounds(world: World, count: int, cut: frozenset[tuple[str, str]] = frozenset()) -> World:
    """The world after so many protocol periods. What is sent from a to b, both in `cut`, is lost.

    Where the world has no losses left it is late instead.
    """
    for _ in range(count):
        for member in here(world):
            world = ring(world, member.name, "period")
        world = all_heard(world, cut)
        for member in here(world):
            world = ring(world, member.name, "probe")
        world = all_heard(world, cut)
    return world


def ring(world: World, name: str, timer: str) -> World:
    """A member's timer fires, where it is set; of what it may choose, it takes the first."""
    wanted = (Kind.FIRE, name, timer)
    fitting = [c for c in world.choices() if (c.kind, c.node, c.what) == wanted]
    return world.step(fitting[0]) if fitting else world


def all_heard(world: World, cut: frozenset[tuple[str, str]]) -> World:
    """Everything has arrived, in order of the choices, or is lost on a cut link."""
    while True:
        choices = [c for c in world.choices() if c.kind in (Kind.DELIVER, Kind.DROP)]
        choices = [c for c in choices if (c.kind is Kind.DROP) == ((c.source, c.node) in cut)]
        if not choices:
            return world
        world = world.step(choices[0])


def both_ways(ones: tuple[str, ...], others: tuple[str, ...]) -> frozenset[tuple[str, str]]:
    pairs = [(one, other) for one in ones for other in others]
    return frozenset(pairs + [(other, one) for one, other in pairs])


def wrong_views(world: World) -> str:
    """Who takes whom for what it is not; empty where everyone is right."""
    found = []
    names = [member.name for member in here(world)]
    for member in here(world):
        for name, claim in member.claims.items():
            right = (Status.ALIVE,) if name in names else (Status.DEAD, Status.LEFT)
            if claim.status not in right:
                found.append(f"{member.name} takes {name} to be {claim.status.name}")
    return ", ".join(found)


# -- scenarios ------------------------------------------------------------------------------------


@bounded(by=bfs(), within=probes(4, 0, 0), max_depth=11)
def one_prober(kind: type[MembershipProtocol] = MembershipProtocol) -> World:
    """m1 probes m2 and m3, which answer, late or never, and are suspected, and may be buried."""
    return group(3, kind, network=duplicating())


@bounded(by=bfs(), within=probes(2, 2, 2), max_depth=7)
def three_probers(kind: type[MembershipProtocol] = MembershipProtocol) -> World:
    """All three probe, twice each."""
    return group(3, kind, network=duplicating())


@bounded(by=bfs(), within=probes(4, 0, 0), max_depth=9)
def one_prober_and_a_crash(kind: type[MembershipProtocol] = MembershipProtocol) -> World:
    """m2 may crash, losing what it had not synced, and may come back."""
    faults = Faults(crashes=1, crashable=("m2",), unsynced_loss=True)
    return group(3, kind, faults=faults, network=duplicating())


@bounded(by=bfs(), within=probes(4, 0, 0), max_depth=9)
def a_member_leaves(kind: type[MembershipProtocol] = MembershipProtocol) -> World:
    """m2 is asked to leave."""
    return group(3, kind, Script("c", leaver, "m2"), network=duplicating())


@bounded(by=bfs(), max_depth=3)
def back_from_the_dead(kind: type[MembershipProtocol] = MembershipProtocol) -> World:
    """m1 has just declared m2 dead, without any message getting through."""
    world = group(3, kind)
    while not world["m1"].dead_members:
        world = rounds(world, 1, both_ways(("m1", "m3"), ("m2",)))
    return world


@bounded(by=uniform(seed=1, runs=4, steps=80), unknown_passes=True)
def rough_seas(kind: type[MembershipProtocol] = MembershipProtocol) -> World:
    """Four members, crashes, a partition, and losses."""
    faults = Faults(crashes=2, drops=3, partitions=1, heals=1, unsynced_loss=True)
    return group(4, kind, faults=faults)


@bounded(by=bfs(), max_depth=3)
def first_steps(kind: type[MembershipProtocol] = MembershipProtocol) -> World:
    """Any two things happen to three members, a crash and a loss among them."""
    return group(3, kind, faults=Faults(crashes=1, drops=1))


@bounded(by=bfs(), max_depth=2)
def four_members(kind: type[MembershipProtocol] = MembershipProtocol) -> World:
    """At the start, or one step from it. Messages get lost where a calm round cuts a link."""
    return group(4, kind, faults=Faults(drops=unlimited))


IN_TIME = simulated(
    seed=1,
    runs=6,
    until=60,
    faults=[randomly(Crash(down_max=2), every=20), randomly(Partition(), every=30, lasting=30)],
    calm=60,
    core="all",
)


@bounded(by=IN_TIME, unknown_passes=True)
def in_time(kind: type[MembershipProtocol] = MembershipProtocol) -> World:
    """Five members in virtual time; some die, some are cut off, then a majority is left alone."""
    network = Network(default=datacenter_network())
    for number in range(1, 6):
        kind(f"m{number}", network=network)
    return World.of(network=network)


@bounded(by=bfs(), max_depth=5)
def newcomers(kind: type[MembershipProtocol] = MembershipProtocol) -> World:
    """m2 and m3 know m1 alone, which knows nobody."""
    seeds: dict[str, tuple[str, ...]] = {"m1": (), "m2": ("m1",), "m3": ("m1",)}
    return World.of(*(kind(name, known, delegates=1) for name, known in seeds.items()))


# -- claims (section 4.2) -------------------------------------------------------------------------


@always(one_prober)
def only_a_member_raises_its_incarnation(world: World) -> bool | str:
    """Nobody claims an incarnation that the member itself has not reached."""
    for member in members_of(world):
        for name, claim in member.claims.items():
            if claim.incarnation > world[name].incarnation:
                return f"{member.name} knows {name} by an incarnation that it has not reached"
    return True


@step_always(one_prober)
def incarnations_only_grow(before: World, after: World) -> bool:
    """Through crashes too."""
    return all(after[m.name].incarnation >= m.incarnation for m in members_of(before))


@step_always(one_prober)
def no_claim_comes_back(before: World, after: World) -> bool | str:
    """What a member knows only gets stronger, but for a restart, after which it knows nothing."""
    for member in members_of(before):
        now = after[member.name]
        for name, claim in member.claims.items() if member.is_up and now.is_up else ():
            if now.claims[name] < claim:
                return f"{member.name} went back from {claim} to {now.claims[name]} of {name}"
    return True


@always(one_prober)
def who_is_here_says_so(world: World) -> bool:
    """A member's claim of itself is its incarnation, and ALIVE until it leaves."""
    return all(
        member.claims[member.name]
        == Claim(member.incarnation, Status.LEFT if member.has_left else Status.ALIVE)
        for member in members_of(world)
        if member.is_up
    )


def text_of(update: Update) -> str:
    return f"Update('{update.member}', {update.incarnation}, Status.{update.status.name})"


@always(back_from_the_dead)
def a_suspicion_heard_of_is_refuted(world: World) -> bool | str:
    """Whatever is said of a member that is here: once it hears it, its answer overrides it."""
    for member in here(world):
        said = [
            update
            for sent in world.in_flight
            if sent.target == member.name
            for update in getattr(sent.message, "updates", ())
            if update.member == member.name and update.status is not Status.ALIVE
        ]
        for choice in world.choices() if said else ():
            heard = [update for update in said if text_of(update) in str(choice)]
            if heard and choice.kind is Kind.DELIVER and choice.node == member.name:
                answer = world.step(choice)[member.name].claims[member.name]
                if answer < max(update.claim for update in heard):
                    return f"{member.name} heard {text_of(heard[0])}, and claims {answer}"
    return True


# -- probes and suspicion (sections 3.1 and 4.2) --------------------------------------------------


def is_told(world: World, to: str, claim: Claim, about: str) -> bool:
    """Whether a message that is coming carries that claim."""
    return any(
        update == Update(about, *claim)
        for sent in world.in_flight
        if sent.target == to
        for update in getattr(sent.message, "updates", ())
    )


def verdicts(before: World, after: World, status: Status) -> Iterator[tuple[NodeView, str, Claim]]:
    """Each member with a name of which it newly claims that, and was not told so by another."""
    for member in members_of(before):
        for name, claim in after[member.name].claims.items():
            is_new = claim.status is status and member.claims.get(name) != claim
            if is_new and not is_told(before, member.name, claim, name):
                yield member, name, claim


@step_always(one_prober)
def nobody_dies_unsuspected(before: World, after: World) -> bool | str:
    """Who declares a member dead has suspected that incarnation of it until the time was up."""
    for member, name, claim in verdicts(before, after, Status.DEAD):
        suspected = member.claims.get(name) == Claim(claim.incarnation, Status.SUSPECT)
        if not suspected or member.suspicions.get(name) != 1:
            return f"{member.name} declares {name} dead, which it took to be {member.claims[name]}"
    return True


@step_always(one_prober)
def nobody_is_suspected_unprobed(before: World, after: World) -> bool | str:
    """Who suspects a member has pinged it, and had others ping it, without an answer."""
    for member, name, _ in verdicts(before, after, Status.SUSPECT):
        probe = member.probe
        if probe is None or probe.target != name or not probe.is_indirect:
            return f"{member.name} suspects {name} after the probe {probe}"
    for member in members_of(after):
        probe, was = member.probe, before[member.name].probe
        asks_now = probe is not None and probe.is_indirect and not (was and was.is_indirect)
        if asks_now and not probe.delegates and set(member.others()) != {probe.target}:
            return f"{member.name} asks nobody else to ping {probe.target}"
    return True


@always(one_prober)
def an_indirect_probe_is_one(world: World) -> bool | str:
    """Each delegate was asked to ping the target."""
    for member in here(world):
        probe = member.probe
        for delegate in probe.delegates if probe is not None else ():
            asked = any(
                isinstance(sent.message, PingRequest)
                and (sent.source, sent.target) == (member.name, delegate)
                and (sent.message.sequence, sent.message.target) == (probe.sequence, probe.target)
                for sent in world.in_flight
            )
            if not asked:
                return f"{member.name} did not ask {delegate} to ping {probe.target}"
    return True


@always(one_prober)
def nobody_vouches_for_another(world: World) -> bool | str:
    """An ack that a delegate passes on was sent by the member that it speaks of."""
    acks = [sent for sent in world.in_flight if isinstance(sent.message, Ack)]
    for sent in acks:
        ack = sent.message
        own = (ack.member, sent.source, ack.sequence, ack.origin)
        if sent.source != ack.member and not any(
            (each.source, each.target, each.message.sequence, each.message.origin) == own
            for each in acks
        ):
            return f"{sent.source} says that {ack.member} is alive, which did not"
    return True


@always(one_prober)
def every_suspect_has_its_time(world: World) -> bool | str:
    """A suspicion ends: it has so many periods left, and the timer of the period is set."""
    for member in here(world):
        timed = {name for name, periods in member.suspicions.items() if periods > 0}
        if set(member.suspected_members) != timed or "period" not in member.timers:
            return f"{member.name} suspects {member.suspected_members}, for {member.suspicions}"
    return True


@step_always(one_prober)
def everyone_has_a_turn(before: World, after: World) -> bool | str:
    """Section 4.3: a round is of everyone that is not gone."""
    for member in here(before):
        now = after[member.name]
        if now.is_up and not member.round and now.sequence > member.sequence:
            turns = {now.probe.target, *now.round}
            if turns != set(now.others()):
                return f"{member.name} begins a round of {sorted(turns)} alone"
    return True


# -- dissemination (section 4.1) ------------------------------------------------------------------


@step_always(one_prober)
def what_is_learnt_is_passed_on(before: World, after: World) -> bool | str:
    """A claim that is new to a member rides on its messages; on enough of them, before it stops."""
    for member in here(before):
        now = after[member.name]
        if not now.is_up or now.has_left:
            continue
        # Of how many members there were at the time of sending, which the step may have changed.
        enough = member.gossip_factor * min(member.bits(), now.bits())
        # Messages of one handler: a ping and one to a dead member, or requests to delegates.
        at_once = max(2, member.delegates)
        for name, claim in now.claims.items():
            sent = now.gossip.get(name)
            if member.claims.get(name) != claim and (sent is None or sent > at_once):
                return f"{member.name} learns {claim} of {name}, and tells nobody"
        for name, sent in member.gossip.items():
            if name not in now.gossip and sent < enough - at_once:
                return f"{member.name} stops telling of {name} after {sent} messages"
    return True


# -- in calm rounds -------------------------------------------------------------------------------


@always(first_steps)
def calm_rounds_find_out(world: World) -> bool | str:
    """Completeness: whatever happened, soon everyone knows who is up and who is not."""
    return wrong_views(rounds(world, 12)) or True


@always(four_members)
def calm_rounds_suspect_nobody(world: World) -> bool | str:
    """Accuracy: where every ack comes in time, nobody is ever suspected, so nobody refutes."""
    for _ in range(8):
        world = rounds(world, 1)
        if said := wrong_views(world):
            return said
    return all(member.incarnation == 0 for member in members_of(world))


@always(four_members)
def a_cut_link_condemns_nobody(world: World) -> bool | str:
    """m1 and m2 cannot reach each other, and both can reach the others: nobody is suspected."""
    return wrong_views(rounds(world, 12, both_ways(("m1",), ("m2",)))) or True


@always(four_members)
def after_a_partition_all_are_back(world: World) -> bool | str:
    """Each side has buried the other, and once it is over, everyone is known to be alive."""
    apart = rounds(world, 10, both_ways(("m1", "m2"), ("m3", "m4")))
    if apart["m1"].dead_members != ("m3", "m4"):
        return f"m1 has not missed the other side: {wrong_views(apart)}"
    return wrong_views(rounds(apart, 6)) or True


@always(four_members)
def who_comes_last_hears_it_all(world: World) -> bool | str:
    """m1 and m2 were each alone; m1 was back for long, and no news any more, before m2 came."""
    alone = both_ways(("m1",), ("m2", "m3", "m4")) | both_ways(("m2",), ("m1", "m3", "m4"))
    one_back = rounds(rounds(world, 10, alone), 10, both_ways(("m2",), ("m1", "m3", "m4")))
    return wrong_views(rounds(one_back, 8)) or True


@eventually(in_time)
def a_majority_knows_who_is_there(world: World) -> bool | str:
    """More than half are up, take each other to be alive, and nobody else."""
    views = {member.name: member.alive_members for member in here(world)}
    for view in views.values():
        if 2 * len(view) > len(members_of(world)) and all(views.get(n) == view for n in view):
            return True
    return str(views)


@always(newcomers)
def who_joins_is_known_to_all(world: World) -> bool | str:
    """m2 and m3 meet by way of m1."""
    later = rounds(world, 8)
    known = {member.name: member.alive_members for member in here(later)}
    return set(known.values()) == {("m1", "m2", "m3")} or str(known)


# -- honesty: a group that suspects nobody would have most of the above ---------------------------


@reachable(one_prober)
def a_member_is_buried(world: World) -> bool:
    return world["m1"].dead_members != ()


@reachable(one_prober)
def a_suspicion_is_refuted(world: World) -> bool:
    """m2 has heard that it was suspected, and m1 takes it for alive again."""
    return world["m1"].claims["m2"] == Claim(1, Status.ALIVE)


@reachable(back_from_the_dead)
def the_buried_come_back(world: World) -> bool:
    """m1 declared m2 dead, and everyone knows better."""
    claim = world["m1"].claims["m2"]
    told = any(
        Update("m2", 0, Status.DEAD) in getattr(sent.message, "updates", ())
        for sent in world.in_flight
    )
    return told and claim == Claim(1, Status.ALIVE)


@reachable(one_prober)
def a_delegate_saves_the_target(world: World) -> bool:
    """The ack that m3 passed on is the only one that m1 has got."""
    passed = any(
        isinstance(sent.message, Ack) and (sent.source, sent.target) == ("m3", "m1")
        for sent in world.in_flight
    )
    direct = any(
        isinstance(sent.message, Ack) and sent.source == "m2" and sent.target == "m1"
        for sent in world.in_flight
    )
    return passed and not direct and world["m1"].probe is None


@reachable(one_prober_and_a_crash)
def a_member_is_known_by_its_next_life(world: World) -> bool:
    return world["m1"].claims["m2"] == Claim(1, Status.ALIVE) and world["m2"].incarnation == 1


@reachable(a_member_leaves)
def who_leaves_is_known_to_have_left(world: World) -> bool:
    return all(world[name].claims["m2"].status is Status.LEFT for name in ("m1", "m2", "m3"))


@reachable(three_probers)
def two_suspect_each_other(world: World) -> bool:
    return "m2" in world["m1"].suspected_members and "m1" in world["m2"].suspected_members


# -- all of it, where all probe, crash and are cut off ---------------------------------------------

every_rule = together(
    three_probers,
    only_a_member_raises_its_incarnation,
    who_is_here_says_so,
    every_suspect_has_its_time,
)
every_step = together(
    three_probers,
    incarnations_only_grow,
    no_claim_comes_back,
    everyone_has_a_turn,
    what_is_learnt_is_passed_on,
)

nobody_dies_unsuspected_where_all_probe = nobody_dies_unsuspected.over(three_probers)
nobody_dies_unsuspected_in_rough_seas = nobody_dies_unsuspected.over(rough_seas)
nobody_is_suspected_unprobed_where_all_probe = nobody_is_suspected_unprobed.over(three_probers)
nobody_is_suspected_unprobed_in_rough_seas = nobody_is_suspected_unprobed.over(rough_seas)
every_rule_through_a_crash = every_rule.over(one_prober_and_a_crash)
every_step_through_a_crash = every_step.over(one_prober_and_a_crash)
every_rule_where_one_leaves = every_rule.over(a_member_leaves)
every_step_where_one_leaves = every_step.over(a_member_leaves)
every_rule_of_newcomers = every_rule.over(newcomers)
every_step_of_newcomers = every_step.over(newcomers)
every_rule_in_rough_seas = every_rule.over(rough_seas)
every_step_in_rough_seas = every_step.over(rough_seas)
every_rule_of_the_buried = every_rule.over(back_from_the_dead)
every_step_of_the_buried = every_step.over(back_from_the_dead)
every_rule_in_time = every_rule.over(in_time)
every_step_in_time = every_step.over(in_time)
