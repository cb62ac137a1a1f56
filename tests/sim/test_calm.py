"""Safety, then liveness: a healthy core must get everything done, whatever befell the others."""

from __future__ import annotations

import pytest

from happysim import (
    Broken,
    Crash,
    Partition,
    Pause,
    ScenarioError,
    Simulation,
    at,
    check,
    simulated,
)
from happysim.core.prng import Random
from happysim.protocols.raft import Role
from happysim.sim.calm import calm_down, core_of, demand
from properties.raft_under_load import cluster_under_load
from tests.sim.clubs import a_majority_meets, club

LASTING = {"m1": Crash("m1"), "m2": Pause("m2")}


def rough(*faults: object, size: int = 5) -> Simulation:
    """A club after two seconds, in which these faults began, each with its end due at 3 s."""
    plans = [at(1.0, fault, lasting=2.0) for fault in faults]  # type: ignore[arg-type]
    return Simulation(club(size), faults=plans).run(2.0)


def reached(simulation: Simulation) -> set[tuple[str, str]]:
    """Who has heard of whom in the last tenth of a second."""
    return {(one, two.name) for two in simulation.world.nodes() for one in two.heard}


@pytest.mark.parametrize("seed", range(5))
def test_the_core_is_a_majority_drawn_from_the_seed(seed: int) -> None:
    cores = [core_of(rough(), Random(seed, "core")) for _ in range(2)]
    assert cores[0] == cores[1]
    assert len(cores[0]) == 3


def test_different_seeds_draw_different_cores() -> None:
    assert len({core_of(rough(), Random(seed, "core")) for seed in range(20)}) > 3


def test_the_core_is_restarted_and_goes_on() -> None:
    simulation = rough(*LASTING.values())
    calm_down(simulation, ("m1", "m2", "m3"))
    simulation.run(1.0)
    assert simulation.world["m1"].meets
    assert simulation.world["m2"].meets


def test_the_core_comes_back_and_hears_each_other_though_no_fault_says_why_it_did_not() -> None:
    simulation = Simulation(club(5), link=lambda link: link.with_(loss=1.0)).run(1.0)
    simulation.crash("m1")
    simulation.pause("m2")
    simulation.clog("m1", "m3")
    calm_down(simulation, ("m1", "m2", "m3"))
    simulation.run(1.05)  # between two greetings
    core = {"m1", "m2", "m3"}
    assert reached(simulation) == {(one, two) for one in core for two in core if one != two}


def test_who_is_not_of_the_core_stays_down_or_paused_though_its_fault_had_an_end() -> None:
    simulation = rough(*LASTING.values())
    before = simulation.world["m2"].number
    calm_down(simulation, ("m3", "m4", "m5"))
    simulation.run(10.0)
    assert not simulation.world["m1"].is_up
    assert simulation.world["m2"].number == before


def test_no_fault_begins_any_more() -> None:
    simulation = Simulation(club(5), faults=[at(3.0, Crash("m3"))]).run(2.0)
    calm_down(simulation, ("m3", "m4", "m5"))
    simulation.run(2.0)
    assert simulation.world["m3"].is_up


def test_a_partition_is_over_for_the_core_alone() -> None:
    simulation = rough(Partition(["m1", "m4"], ["m2", "m3", "m5"]))
    calm_down(simulation, ("m1", "m2", "m3"))
    simulation.run(0.05)  # between two greetings
    heard = set()
    for _ in range(30):
        simulation.run(0.1)
        heard |= reached(simulation)
    core = [("m1", "m2"), ("m2", "m1"), ("m3", "m1")]
    assert heard >= {*core, ("m1", "m4"), ("m2", "m5")}
    assert heard.isdisjoint({("m4", "m2"), ("m2", "m4"), ("m1", "m5"), ("m5", "m1")})


def test_what_is_live_only_with_everyone_up_is_caught_with_a_quorum() -> None:
    faults = [at(1.0, Crash("m1")), at(1.0, Pause("m2")), at(1.0, Crash("m3"))]
    prop = a_majority_meets.over(club, needed=2)
    policy = simulated(seed=1, runs=5, until=2.0, faults=faults, calm=5.0)
    verdict = check(prop, by=policy)
    assert isinstance(verdict, Broken)
    assert "met nobody; still so 5 s after the last fault, with m" in verdict.reason
    assert check(prop, by=simulated(1, 5, until=2.0, faults=faults, calm=5.0, core="all")).unknown
    assert check(a_majority_meets, by=policy).unknown


def test_each_demand_that_is_not_met_is_told_with_what_is_missing() -> None:
    simulation = Simulation(club(3, needed=3)).run(1.0)
    other = a_majority_meets.over(club, name="other")
    unmet = demand(simulation, [a_majority_meets, other], 2.0)
    told = "m1 m2 m3 met nobody; still so 2 s after the last fault"
    assert unmet == [(a_majority_meets, told), (other, told)]


def test_an_unknown_core_is_an_error() -> None:
    with pytest.raises(ScenarioError, match='core="quorum"'):
        simulated(core="most")


@pytest.mark.parametrize(("plain", "committed"), [(True, 4), (False, 50)])
def test_known_limit_a_plain_leader_that_hears_nobody_leads_for_ever(
    plain: bool, committed: int
) -> None:
    """What a swarm found. The others hear n2 and do not stand; n2 does not hear them, and waits."""
    one_way = at(1.0, Partition(["n1", "n3"], ["n2"], one_way=True))
    simulation = Simulation(cluster_under_load(size=3, plain=plain), faults=[one_way]).run(12.0)
    leaders = [each.name for each in simulation.world.nodes() if each.role is Role.LEADER]
    assert leaders == (["n2"] if plain else ["n3"])
    assert simulation.world["n1"].commit_index == committed
