"""One set of tables for several first worlds: the same world in other numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from happysim.core.choice import BUDGETS, NAMED_BUDGETS, Faults, Kind, unlimited
from happysim.core.entries import Cell
from happysim.core.errors import ScenarioError
from happysim.core.process import NodeProcess
from happysim.core.script_process import ScriptProcess
from happysim.core.tables import Tables
from happysim.core.world import World


def rehome(world: World, tables: Tables, loose: bool = False) -> World:
    """The same world in the numbers of other tables of the same shape; `loose` ones of its own.

    Raises `ScenarioError` where the shapes differ.
    """
    own = world.tables
    if not loose and _shape(own) != _shape(tables):
        raise ScenarioError(
            "worlds of one scenario have the same nodes, classes, network, links and faults; only "
            "what the nodes hold may differ (where nodes crash, not what a crash falls back to: "
            "the values that fields which are not durable were made with)"
        )
    numbers = {}
    for number, (source, target, message, operation, _) in enumerate(own.envelopes.values):
        numbers[number] = tables.envelope(source, target, message, operation)
    cells = []
    for slot in range(len(world.cells)):
        state = own.states[slot].values[world._cell(slot).state]
        process = tables.processes[slot]
        if loose and isinstance(process, NodeProcess):
            state = process.at(state).disk.tracked(state)
        cell = tables.cells[slot].number(Cell(tables.states[slot].number(state), ()))
        waiting = own.network.waiting(world._cell(slot).inbox)
        batch = tuple(numbers[number] for number, copies in waiting for _ in range(copies))
        cells.append(tables.put(slot, cell, tables.batches.number(batch)) if batch else cell)
    value = own.ledgers.values[world.ledger]
    ledger = tables.ledgers.number(
        value._replace(budgets=tables.faults.budgets) if loose else value
    )
    history = tables.histories.number(world.history)
    made = World(tables, tuple(cells), ledger, history)
    if own.first == world.numbers and not tables.first:
        # In which everything has just started: so it has here.
        tables.first = made.numbers
    return made


def loosened(tables: Tables) -> Tables:
    """Tables of the same shape, but for an unlimited budget of each fault that befalls one node.

    Disks fail only as the world's own faults say: to remember what may become of each takes memory.
    Partitions are left out: what they add to a run is that messages are not delivered.
    """
    free: dict[str, Any] = {
        name: unlimited
        for name, kind in BUDGETS.items()
        if kind not in (Kind.PARTITION, Kind.HEAL)
        and (name not in NAMED_BUDGETS or getattr(tables.faults, name))
    }
    free["down_max"] = unlimited
    return with_faults(tables, replace(tables.faults, **free, crashable=(), atlas=None))


def with_faults(tables: Tables, faults: Faults) -> Tables:
    """Tables of the same shape, but for the budgets of faults."""
    processes = [
        replace(each, faults=faults) if isinstance(each, NodeProcess) else each
        for each in tables.processes
    ]
    return Tables(processes, tables.network, faults, tables.topology, tables.symmetric)


def _shape(tables: Tables) -> list[Any]:
    shape: list[Any] = [tables.network.kind, tables.topology.content, tables.faults]
    shape.append(tables.symmetric)
    for each in tables.processes:
        if isinstance(each, ScriptProcess):
            shape.append((each.name, each.script.function, each.script.arguments))
        else:
            # A crash goes back to what a node was made with, so that is part of the shape then.
            fields = zip(each.made_with, each.kind.happysim_durable, strict=True)
            wipes = tables.faults.wipes
            kept = [m for m, keeps in fields if wipes or (not keeps and tables.faults.crashes)]
            shape.append((each.name, each.kind, kept))
    return shape
