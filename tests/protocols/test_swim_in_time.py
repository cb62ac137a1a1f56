"""SWIM in virtual time: no false suspicions, and how soon a crash is known."""

from __future__ import annotations

import pytest

from happysim import Link, Network, Simulation, World, constant, datacenter_network
from happysim.protocols.swim import MembershipProtocol, Status
from properties.broken.swim import (
    LeavesTheDeadAlone,
    MissesItsAcks,
    NeverRaises,
    PingsTheDelegate,
)
from properties.swim import both_ways, every_rule, every_step, wrong_views


def group(
    size: int,
    seed: int = 1,
    link: Link | None = None,
    kind: type[MembershipProtocol] = MembershipProtocol,
) -> Simulation:
    """Members m1, m2, ... with the timeouts they have by default, on one network."""
    network = Network(default=datacenter_network() if link is None else link)
    for number in range(1, size + 1):
        kind(f"m{number}", network=network)
    return Simulation(World.of(network=network), seed=seed)


def known_to_all(simulation: Simulation, name: str, status: Status) -> bool:
    members = simulation.world.nodes(MembershipProtocol)
    return all(each.claims[name].status is status for each in members if each.is_up)


def refutations(simulation: Simulation) -> int:
    """How often a member that is up has heard that it was suspected."""
    return sum(each.incarnation for each in simulation.world.nodes(MembershipProtocol))


@pytest.mark.parametrize("size", [2, 5, 10, 20, pytest.param(40, marks=pytest.mark.slow)])
def test_nobody_is_suspected_where_nothing_fails(size: int) -> None:
    """A suspicion would be refuted or end in death: neither is there after 300 s."""
    simulation = group(size).run(300)
    assert wrong_views(simulation.world) == ""
    assert refutations(simulation) == 0
    assert all(each.sequence >= 299 for each in simulation.world.nodes(MembershipProtocol))


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("size", [2, 3, 5, 10, 20, pytest.param(40, marks=pytest.mark.slow)])
def test_a_crash_is_known_to_all_within_the_bound(size: int, seed: int) -> None:
    """2n - 1 periods until someone probes it, the suspicion, and the time to spread."""
    simulation = group(size, seed).run(10)
    simulation.crash("m1")
    bits = size.bit_length()
    bound = (2 * size - 1) + 3 * bits + 2 * bits
    simulation.run(bound)
    assert known_to_all(simulation, "m1", Status.DEAD)
    assert refutations(simulation) == 0


def test_a_crash_is_usually_found_within_a_few_periods() -> None:
    """Section 3: the expected time to the first detection is e / (e - 1) periods, whatever n."""
    waits = []
    for seed in range(20):
        simulation = group(10, seed).run(10)
        simulation.crash("m1")
        start = simulation.now
        assert simulation.run_until(
            lambda world: any("m1" in each.suspected_members for each in world.nodes()), within=20
        )
        waits.append((simulation.now - start) / 1e9)
    # A probe takes up to a period to be judged, on top of the 1.58 periods until it is sent.
    assert sum(waits) / len(waits) < 3


def test_a_cut_link_condemns_nobody() -> None:
    simulation = group(5)
    simulation.cut(sorted(both_ways(("m1",), ("m2",))), "m1 | m2")
    simulation.run(120)
    assert wrong_views(simulation.world) == ""
    assert refutations(simulation) == 0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_after_a_minute_apart_everyone_comes_back(seed: int) -> None:
    across = sorted(both_ways(("m1", "m2"), ("m3", "m4", "m5")))
    simulation = group(5, seed)
    simulation.cut(across, "apart")
    simulation.run(60)
    assert simulation.world["m1"].dead_members == ("m3", "m4", "m5")
    assert simulation.world["m5"].dead_members == ("m1", "m2")
    simulation.mend(across, "apart")
    simulation.run(10)
    assert wrong_views(simulation.world) == ""


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_losses_are_made_up_for(seed: int) -> None:
    """With one message in ten lost there are suspicions, and all of them are refuted in time."""
    lossy = Link(constant(0.01), loss=0.1)
    simulation = group(10, seed, lossy)
    for _ in range(12):
        simulation.run(10)
        assert not any(each.dead_members for each in simulation.world.nodes(MembershipProtocol))
    assert refutations(simulation) > 0


def test_a_restart_is_soon_known() -> None:
    simulation = group(5).run(10)
    simulation.crash("m1")
    simulation.run(40)
    assert known_to_all(simulation, "m1", Status.DEAD)
    simulation.restart("m1")
    simulation.run(10)
    assert wrong_views(simulation.world) == ""
    assert simulation.world["m2"].claims["m1"].incarnation == 1


# -- a test that cannot fail is a defect: the same runs with a wrong member ------------------------


def test_members_that_miss_their_acks_suspect_each_other() -> None:
    assert refutations(group(5, kind=MissesItsAcks).run(60)) > 0


def test_with_plain_pings_of_delegates_a_cut_link_condemns() -> None:
    simulation = group(5, kind=PingsTheDelegate)
    simulation.cut(sorted(both_ways(("m1",), ("m2",))), "m1 | m2")
    assert refutations(simulation.run(60)) > 0


@pytest.mark.parametrize("kind", [NeverRaises, LeavesTheDeadAlone])
def test_after_a_minute_apart_the_wrong_ones_stay_apart(kind: type[MembershipProtocol]) -> None:
    across = sorted(both_ways(("m1", "m2"), ("m3", "m4", "m5")))
    simulation = group(5, kind=kind)
    simulation.cut(across, "apart")
    simulation.run(60)
    simulation.mend(across, "apart")
    simulation.run(60)
    assert simulation.world["m1"].dead_members == ("m3", "m4", "m5")


# -- local health ---------------------------------------------------------------------------------


def slow_member(health_max: int) -> int:
    """Refutations in two minutes where m1, and only m1, is more than a period away from all."""
    network = Network(default=datacenter_network())
    names = [f"m{number}" for number in range(1, 9)]
    for name in names:
        MembershipProtocol(name, health_max=health_max, network=network)
    for other in names[1:]:
        network.add_bidirectional_link("m1", other, Link(constant(0.55)))
    return refutations(Simulation(World.of(network=network), seed=1).run(120))


def test_with_local_health_a_slow_member_suspects_fewer_others() -> None:
    assert slow_member(health_max=8) * 2 < slow_member(health_max=0)


def test_the_rules_hold_in_time_too() -> None:
    """Through a crash, a restart and a partition."""
    network = Network(default=datacenter_network())
    for number in range(1, 5):
        MembershipProtocol(f"m{number}", network=network)
    world = World.of(network=network)
    simulation = Simulation(world, seed=5, properties=[every_rule, every_step]).run(5)
    simulation.crash("m1")
    simulation.run(15)
    simulation.restart("m1")
    across = sorted(both_ways(("m1", "m2"), ("m3", "m4")))
    simulation.cut(across, "apart")
    simulation.run(20)
    simulation.mend(across, "apart")
    simulation.run(15)
    assert simulation.broken is None
    assert wrong_views(simulation.world) == ""


@pytest.mark.parametrize("seed", range(10))
def test_who_takes_all_others_for_dead_knocks_at_each_of_them(seed: int) -> None:
    """m3 is gone for good; m1 and m2 were parted until neither had anyone left to probe."""
    simulation = group(3, seed)
    simulation.crash("m3")
    simulation.run(1.0 + seed)
    pairs = sorted(both_ways(("m1",), ("m2",)))
    simulation.cut(pairs, "m1 | m2")
    simulation.run(60)
    assert simulation.world["m1"].dead_members == ("m2", "m3")
    assert simulation.world["m2"].dead_members == ("m1", "m3")
    # Whichever was the last to be probed: the turn must not stop there.
    simulation.mend(pairs, "m1 | m2")
    simulation.run(60)
    assert simulation.world["m1"].alive_members == ("m1", "m2")
    assert simulation.world["m2"].alive_members == ("m1", "m2")
