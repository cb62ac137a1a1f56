"""The table of faults in docs/simulation.md is whole, and names what exists."""

from __future__ import annotations

import re
from dataclasses import fields
from importlib import import_module
from typing import Any

import pytest

import happysim
from benchmarks import fault_table
from benchmarks.fault_table import CLOCK, LATE, LOST, ROWS, Row
from happysim import (
    Faults,
    Link,
    Node,
    Property,
    Simulation,
    World,
    at,
    durable,
    lossy_network,
    randomly,
)
from happysim.core.byzantine import byzantine
from happysim.core.choice import BUDGETS
from happysim.sim import net_faults, node_faults
from happysim.sim.faults import Fault
from tests.quality import (
    test_bad_disk_bugs,
    test_bad_link_bugs,
    test_bad_node_bugs,
    test_byzantine_bugs,
)

REASONS = (LATE, LOST, CLOCK)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.fault)
def test_what_a_row_names_exists(row: Row) -> None:
    file, _, name = row.effect.partition("::")
    source = (fault_table.ROOT / "tests" / file).read_text(encoding="utf-8")
    assert f"\ndef {name}(" in source
    for folder, named in (("properties.broken", row.mistakes), ("properties", row.survivors)):
        for each in named:
            module, _, thing = each.partition(":")
            found = getattr(import_module(f"{folder}.{module}"), thing)
            assert isinstance(found, Property) == (folder == "properties")
            assert isinstance(found, type) == (folder == "properties.broken")


def test_the_page_shows_the_table() -> None:
    page = fault_table.PAGE.read_text(encoding="utf-8")
    assert fault_table.text() in page, "write it anew: python benchmarks/fault_table.py"


def test_every_nemesis_and_every_budget_is_in_the_table() -> None:
    kinds = {
        name
        for module in (net_faults, node_faults)
        for name, kind in vars(module).items()
        if isinstance(kind, type) and kind.__module__ == module.__name__ and name[0] != "_"
    }
    # Degrade makes a link bad in any of the ways of links.
    in_time = {row.in_time for row in ROWS}
    assert kinds - {"Degrade"} == {each for each in in_time if "(" not in each}
    ways = {"loss", "corrupt", "duplicate", "reorder", "jitter", "latency", "bandwidth_bytes_per_s"}
    assert {each[5:-2] for each in in_time if each.startswith("Link(")} == ways
    assert ways <= {each.name for each in fields(Link)}
    budgets = {each for row in ROWS for each in row.search.split(", ")} - {*REASONS}
    lies = {each for each in budgets if each.startswith("byzantine(")}
    assert budgets - lies == {*BUDGETS, "splits", "unsynced_loss", "upgrades"}
    assert {re.split(r"[(=]", each)[1] for each in lies} == {
        "equivocates",
        "replays",
        "forges",
        "silent",
    }


def test_every_mistake_of_the_matrices_is_in_the_table_and_only_these() -> None:
    told = {each.partition(":")[2] for row in ROWS for each in row.mistakes}
    matrices: list[Any] = [
        test_bad_disk_bugs,
        test_bad_link_bugs,
        test_bad_node_bugs,
        test_byzantine_bugs,
    ]
    proved = {name for each in matrices for name in each.MISTAKES if "=" not in name}
    # That one partition heals no other is a promise of the network, and no protocol's.
    assert told == proved | {"HealsAll"}


# -- each of them by the clock, and at random ------------------------------------------------------


class Member(Node):
    log: list[int] = durable([])

    def on_start(self, host: happysim.Host) -> None:
        host.set_timer("beat", seconds=0.3)

    @happysim.on.timer("beat")
    def beat(self, host: happysim.Host) -> None:
        self.log = [*self.log[-3:], len(self.log)]
        host.sync()
        host.set_timer("beat", seconds=0.3)


class Member2(Member): ...


NAMES = ("n1", "n2", "n3", "n4", "n5")


def nemesis(name: str) -> Fault:
    """The fault of a row, with nobody named: it is drawn whom it befalls."""
    made: Fault
    if name.startswith("Link("):
        made = net_faults.Degrade(lossy_network(0.5))
    elif name == "Upgrade":
        made = node_faults.Upgrade(to=Member2)
    else:
        made = getattr(net_faults, name, None) or getattr(node_faults, name)
        made = made()  # type: ignore[operator]
    return made


@pytest.mark.parametrize(
    "name", [name for name in dict.fromkeys(r.in_time for r in ROWS) if "byzantine" not in name]
)
def test_a_fault_happens_at_a_time_and_again_and_again(name: str) -> None:
    upgrades = tuple((each, Member2) for each in NAMES)
    world = World.of(*map(Member, NAMES), faults=Faults(crashes=1, upgrades=upgrades))
    for plan, least in ((at(1.0, nemesis(name), lasting=1.0), 1), (often(nemesis(name)), 2)):
        run = Simulation(world, faults=[plan]).run(20)
        assert run.nemesis.count >= least


def often(fault: Fault) -> Any:
    return randomly(fault, every=2.0, lasting=1.0)


def test_a_liar_is_a_class_of_nodes_in_time_and_in_a_search() -> None:
    liar = byzantine(Member, silent=1)("n1")
    assert World.of(liar).choices()
    assert Simulation(World.of(liar)).run(1).world["n1"].log
