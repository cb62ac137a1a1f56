"""What a member of a SWIM group does, one behaviour at a time; and claims as a lattice."""

from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from happysim import Faults, Host, Network, NodeView, ProtocolError, ScheduleError, Script, World
from happysim.protocols.swim import (
    Ack,
    Claim,
    Join,
    MembershipProtocol,
    PingRequest,
    Probe,
    Status,
    Update,
    standing,
)
from properties.swim import both_ways, group, leaver, rounds
from tests.support.hosts import Noting, noting

CLAIMS = st.builds(Claim, st.integers(0, 3), st.sampled_from(Status))
ALIVE, SUSPECT, DEAD, LEFT = Status.ALIVE, Status.SUSPECT, Status.DEAD, Status.LEFT


def along(world: World, *beginnings: str) -> World:
    """The world after several choices, each the first whose text begins so."""
    for beginning in beginnings:
        fitting = [choice for choice in world.choices() if str(choice).startswith(beginning)]
        if not fitting:
            raise ScheduleError(f"no choice begins with {beginning!r}")
        world = world.step(fitting[0])
    return world


def probing(size: int = 3, target: str = "m2", faults: Faults | None = None) -> World:
    """m1 has just pinged that member."""
    world = group(size, faults=faults)
    for choice in world.choices():
        if str(choice).startswith("fire m1 period"):
            later = world.step(choice)
            if later["m1"].probe.target == target:
                return later
    raise AssertionError(f"m1 never pings {target}")


def claim(member: NodeView, name: str) -> Claim:
    found: Claim = member.claims[name]
    return found


# -- claims: a lattice ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weaker", "stronger"),
    [
        # Section 4.2 of the paper, in the order in which it lists them.
        (Claim(1, SUSPECT), Claim(2, ALIVE)),
        (Claim(1, ALIVE), Claim(2, ALIVE)),
        (Claim(1, SUSPECT), Claim(2, SUSPECT)),
        (Claim(1, ALIVE), Claim(1, SUSPECT)),
        (Claim(1, SUSPECT), Claim(1, DEAD)),
        (Claim(1, DEAD), Claim(1, LEFT)),
        # Where the paper has no way back.
        (Claim(1, LEFT), Claim(2, ALIVE)),
    ],
)
def test_which_claim_stands(weaker: Claim, stronger: Claim) -> None:
    assert standing(weaker, stronger) == standing(stronger, weaker) == stronger
    assert weaker != stronger


def test_the_dead_are_gone_and_so_is_who_left() -> None:
    assert [each for each in Status if Claim(1, each).is_gone] == [DEAD, LEFT]


@given(CLAIMS, CLAIMS, CLAIMS)
def test_it_makes_no_difference_in_which_order_claims_are_heard(
    one: Claim, two: Claim, three: Claim
) -> None:
    assert standing(one, two) == standing(two, one)
    assert standing(one, standing(two, three)) == standing(standing(one, two), three)
    assert standing(one, one) == one


@given(CLAIMS, CLAIMS)
def test_the_claim_that_stands_is_as_strong_as_both(one: Claim, other: Claim) -> None:
    assert standing(one, other) >= one
    assert standing(one, other) in (one, other)
    assert standing(None, one) == one


@given(CLAIMS)
def test_a_refutation_overrides_any_suspicion_of_the_incarnation_before(heard: Claim) -> None:
    assert standing(heard, Claim(heard.incarnation + 1, ALIVE)).status is ALIVE


# -- probes ---------------------------------------------------------------------------------------


def test_an_ack_ends_the_probe() -> None:
    world = along(probing(), "deliver m1 -> m2 Ping", "deliver m2 -> m1 Ack")
    assert (world["m1"].probe, world["m1"].timers) == (None, ("period",))


def test_a_delegate_pings_the_target_and_passes_the_ack_on() -> None:
    world = along(probing(), "fire m1 probe", "deliver m1 -> m3 PingRequest")
    world = along(world, "deliver m3 -> m2 Ping(sequence=1, origin='m1'", "deliver m2 -> m3 Ack")
    assert world["m1"].probe is not None
    world = along(world, "deliver m3 -> m1 Ack(sequence=1, origin='m1', member='m2'")
    assert world["m1"].probe is None


def test_an_ack_of_an_earlier_probe_does_not_count() -> None:
    world = along(probing(), "deliver m1 -> m2 Ping", "fire m1 period", "fire m1 period")
    assert claim(world["m1"], "m2") == Claim(0, SUSPECT)
    assert world["m1"].probe is not None
    assert any(isinstance(sent.message, Ack) for sent in world.in_flight)
    assert not any("m2 -> m1 Ack" in str(choice) for choice in world.choices())


def test_delegates_are_asked_when_the_direct_wait_is_over() -> None:
    world = along(probing(5), "fire m1 probe")
    asked = [sent for sent in world.in_flight if isinstance(sent.message, PingRequest)]
    assert [sent.target for sent in asked] == list(world["m1"].probe.delegates)
    assert all(sent.message.target == "m2" for sent in asked)


def test_nobody_is_judged_before_the_delegates_had_a_period() -> None:
    world = along(probing(), "fire m1 period")
    assert claim(world["m1"], "m2") == Claim(0, ALIVE)
    assert world["m1"].probe.is_indirect
    assert claim(along(world, "fire m1 period")["m1"], "m2") == Claim(0, SUSPECT)


def test_a_round_is_of_everyone_in_a_random_order() -> None:
    world = group(4)
    starts = [choice for choice in world.choices() if str(choice).startswith("fire m1 period")]
    orders = {(later["m1"].probe.target, *later["m1"].round) for later in map(world.step, starts)}
    assert len(orders) == 6
    assert all(sorted(order) == ["m2", "m3", "m4"] for order in orders)


# -- suspicion ------------------------------------------------------------------------------------


def test_a_suspicion_spreads_and_is_refuted_by_the_next_incarnation() -> None:
    world = along(probing(), "fire m1 probe", "fire m1 period")
    assert world["m1"].suspected_members == ("m2",)
    world = rounds(world, 4)
    assert [claim(member, "m2") for member in world.nodes(MembershipProtocol)] == [
        Claim(1, ALIVE)
    ] * 3


def test_a_suspect_that_says_nothing_is_declared_dead_when_its_time_is_up() -> None:
    world = rounds(group(3), 12, both_ways(("m2",), ("m1", "m3")))
    assert world["m1"].dead_members == world["m3"].dead_members == ("m2",)
    assert world["m1"].suspicions == {}


def member() -> tuple[MembershipProtocol, Host]:
    """m1, which knows m2 and m3, and is about to probe both."""
    made, (host, _) = MembershipProtocol("m1"), noting("m2", "m3")
    made.on_start(host)
    made.round, made.probe = ["m2", "m3"], Probe("m2", 1)
    return made, host


def test_a_member_that_feels_well_takes_the_usual_time_for_a_period() -> None:
    well, host = MembershipProtocol("m1"), Noting("m2")
    well.on_start(cast(Host, host))
    assert host.timers == {"period": (0.0, 1.0)}
    well.begin_period(cast(Host, host))
    assert host.timers == {"period": 1.0, "probe": well.probe_seconds}


def test_a_suspicion_lasts_its_periods() -> None:
    judging, host = member()
    judging.learn(host, Update("m2", 0, SUSPECT))
    periods = judging.suspicions["m2"]
    for _ in range(periods - 1):
        judging.age_suspicions(host)
    assert (judging.claims["m2"].status, judging.suspicions) == (SUSPECT, {"m2": 1})
    judging.age_suspicions(host)
    assert (judging.claims["m2"].status, judging.suspicions) == (DEAD, {})


@pytest.mark.parametrize("gone", [DEAD, LEFT])
def test_who_is_gone_is_probed_no_more(gone: Status) -> None:
    judging, host = member()
    judging.learn(host, Update("m2", 0, gone))
    assert (judging.round, judging.probe) == (["m3"], None)
    judging, host = member()
    judging.learn(host, Update("m3", 0, gone))
    assert (judging.round, judging.probe) == (["m2"], Probe("m2", 1))


def test_a_suspect_is_no_delegate_where_there_are_enough_others() -> None:
    judging, host = member()
    judging.claims["m4"], judging.delegates = Claim(0, SUSPECT), 1
    assert judging.choose_delegates(host, "m2") == ("m3",)
    judging.delegates = 2
    assert judging.choose_delegates(host, "m2") == ("m3", "m4")


def test_a_message_to_a_suspect_tells_it_first_of_all() -> None:
    world = group(3)
    while not world["m1"].dead_members:
        world = rounds(world, 1, both_ways(("m2",), ("m1", "m3")))
    assert world["m1"].alive_members == ("m1", "m3")
    last = [sent for sent in world.in_flight if (sent.source, sent.target) == ("m1", "m2")][-1]
    assert last.message.updates[0].member == "m2"


def test_a_restarted_member_is_known_by_a_new_incarnation() -> None:
    world = group(3, faults=Faults(crashes=1, unsynced_loss=True))
    world = rounds(along(world, "crash m2"), 12)
    assert world["m1"].dead_members == ("m2",)
    world = rounds(along(world, "restart m2"), 4)
    assert claim(world["m1"], "m2") == claim(world["m3"], "m2") == Claim(1, ALIVE)


# -- gossip ---------------------------------------------------------------------------------------


def test_updates_sent_least_often_go_first_and_stop_after_enough_messages() -> None:
    member = MembershipProtocol("m1", updates_max=1, gossip_factor=1)
    member.claims = {name: Claim(0, ALIVE) for name in ("m1", "m2", "m3")}
    member.gossip = {"m2": 1, "m3": 0}
    assert member.updates_for("m9") == (Update("m3", 0, ALIVE),)
    assert member.updates_for("m9") == (Update("m2", 0, ALIVE),)
    assert member.gossip == {"m3": 1}
    member.updates_for("m9")
    assert member.gossip == {}


# -- to come and to go ----------------------------------------------------------------------------


def test_a_newcomer_joins_through_a_seed_and_is_heard_of() -> None:
    known: dict[str, tuple[str, ...]] = {"m1": (), "m2": ("m1",), "m3": ("m2",)}
    world = World.of(*(MembershipProtocol(name, seeds) for name, seeds in known.items()))
    assert [member.alive_members for member in world.nodes()] == [("m1",), ("m2",), ("m3",)]
    world = rounds(world, 8)
    assert {member.alive_members for member in world.nodes()} == {("m1", "m2", "m3")}


def test_a_newcomer_asks_until_it_is_answered() -> None:
    first, second = MembershipProtocol("m1", ()), MembershipProtocol("m2", ("m1",))
    world = World.of(first, second, faults=Faults(drops=1))
    world = along(world, "drop m2 -> m1 Join", "fire m2 period")
    assert [sent.message for sent in world.in_flight] == [Join(0)]


def test_who_leaves_tells_everyone_and_is_silent() -> None:
    world = along(group(3, MembershipProtocol, Script("c", leaver, "m2")), "invoke c", "deliver c")
    world = along(world, "deliver m2 -> m1 News", "deliver m2 -> m3 News", "deliver m2 -> c")
    assert [claim(member, "m2") for member in world.nodes(MembershipProtocol)] == [
        Claim(0, LEFT)
    ] * 3
    assert world["m2"].timers == ()
    assert "m2" not in world["m1"].others()
    assert rounds(world, 8)["m1"].alive_members == ("m1", "m3")


# -- making a group -------------------------------------------------------------------------------


def test_a_member_is_made_on_a_network() -> None:
    network = Network()
    members = [MembershipProtocol(name=name, network=network) for name in ("m1", "m2")]
    assert list(network.members) == members
    assert World.of(network=network)["m1"].alive_members == ("m1", "m2")


def test_nodes_are_seeds_by_another_name() -> None:
    others = [MembershipProtocol("m1"), "m2"]
    assert MembershipProtocol("m3", nodes=[*others, "m3"]).seeds == ("m1", "m2")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"probe_seconds": 1.0}, r"leaves no time for the delegates.*less than the 1\.0"),
        ({"suspicion_factor": 0}, "suspicion_factor=0: make it at least 1"),
        ({"delegates": -1}, "delegates=-1: make it at least 0"),
        ({"nodes": "m2"}, "nodes='m2', seeds=None: give one of the two"),
        ({"nodes": ["m2"], "seeds": ("m3",)}, r"seeds=\('m3',\): give one of the two"),
    ],
)
def test_what_cannot_be_meant_is_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ProtocolError, match=said):
        MembershipProtocol("m1", **wrong)  # type: ignore[arg-type]
