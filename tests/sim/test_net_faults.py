"""Partitions that leave a bridge or a ring, swizzles, and links gone bad."""

from __future__ import annotations

from itertools import combinations, permutations
from typing import Any

import pytest

from happysim import (
    Bridge,
    Degrade,
    Link,
    Ring,
    ScenarioError,
    Simulation,
    Swizzle,
    World,
    at,
    constant,
    lossy_network,
)
from happysim.core.prng import Random
from happysim.sim.net_faults import Partition
from tests.sim.models import Counter, ticking

NAMES = tuple(f"n{number}" for number in range(1, 6))


def cluster(count: int = 5) -> Simulation:
    return Simulation(World.of(*[Counter(name) for name in NAMES[:count]]))


def reach(simulation: Simulation) -> dict[str, set[str]]:
    """Whom each node can send to."""
    names = [each.name for each in simulation.nodes]
    found: dict[str, set[str]] = {name: set() for name in names}
    for one, two in permutations(names, 2):
        if not simulation.route(one, two).cuts:
            found[one].add(two)
    return found


def test_a_bridge_reaches_both_sides_and_they_reach_it_alone() -> None:
    simulation = cluster()
    end = Bridge("n3", ["n1", "n2"], ["n4", "n5"]).begin(simulation)
    found = reach(simulation)
    assert found["n3"] == {"n1", "n2", "n4", "n5"}
    assert found["n1"] == {"n2", "n3"}
    assert found["n5"] == {"n3", "n4"}
    end()
    assert all(len(others) == 4 for others in reach(simulation).values())


@pytest.mark.parametrize("count", [4, 5])
def test_in_a_ring_each_reaches_a_majority_and_no_two_the_same(count: int) -> None:
    simulation = cluster(count)
    Ring(NAMES[:count]).begin(simulation)
    groups = [frozenset({name, *others}) for name, others in reach(simulation).items()]
    assert all(2 * len(group) > count for group in groups)
    assert len(set(groups)) == count


def test_a_swizzle_clogs_one_by_one_and_opens_in_another_order() -> None:
    simulation = Simulation(
        ticking(to=("n1", "n2")), faults=[at(0, Swizzle(("n1", "n2"), every=1.0))]
    )

    def clogged() -> list[bool]:
        return [bool(simulation.route("source", name).clogs) for name in ("n1", "n2")]

    found = []
    for second in (0.5, 1.5, 2.5, 3.5):
        simulation.run_until(second)
        found.append(clogged())
    assert found == [[True, False], [True, True], [True, False], [False, False]]
    simulation.run_until(30)
    assert simulation.world["n1"].seen == [1, 2, 3, 4, 5]


def test_a_link_gone_bad_is_itself_again_afterwards() -> None:
    faults = [at(0.5, Degrade(lossy_network(1.0), "source", "n1"), lasting=2.0)]
    simulation = Simulation(ticking(Link(constant(0.01))), faults=faults).run(20)
    assert simulation.world["n1"].seen == [3, 4, 5]


@pytest.mark.parametrize(
    "fault", [Partition(), Bridge(), Ring(), Swizzle(), Degrade(lossy_network(0.5))]
)
def test_what_is_drawn_names_nodes_and_depends_on_the_seed_alone(fault: Any) -> None:
    simulation = cluster()
    drawn = [fault.drawn(simulation, Random(seed, "x")) for seed in range(20)]
    assert drawn == [fault.drawn(simulation, Random(seed, "x")) for seed in range(20)]
    assert len(set(map(str, drawn))) > 5
    for each in drawn:
        each.check(simulation)


@pytest.mark.parametrize(
    "fault",
    [
        Partition(["n1", "n2"], ["n3"]),
        Partition(["n1", "n2"], ["n3"], one_way=True),
        Bridge("n3", ["n1", "n2"], ["n4", "n5"]),
        Ring(NAMES),
    ],
)
def test_a_cut_spares_whom_it_keeps_from_none_of_the_others(fault: Any) -> None:
    simulation = cluster()
    fault.begin(simulation)
    found = reach(simulation)
    for size in range(len(NAMES) + 1):
        for names in combinations(NAMES, size):
            whole = all(other in found[name] for name, other in permutations(names, 2))
            assert fault.spares(simulation, names) is whole, names


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Bridge("n1", ["n1"], ["n2"]), "two sides that it is not part of"),
        (lambda: Bridge("n1"), "name the bridge, and two sides"),
        (lambda: Ring("n1").check(cluster()), "give the names in a tuple"),
        (lambda: Ring(("n1", "n9")).check(cluster()), "'n9'"),
        (lambda: Swizzle("n1").check(cluster()), "tuple"),
        (lambda: Swizzle(every=0).check(cluster()), "every=0"),
        (lambda: Degrade(0.5).check(cluster()), "give a Link"),  # type: ignore[arg-type]
        (lambda: Degrade(lossy_network(0.5), "n1", "n9").check(cluster()), "'n9'"),
    ],
)
def test_what_names_nobody_is_refused(make: Any, says: str) -> None:
    with pytest.raises(ScenarioError, match=says):
        make()
