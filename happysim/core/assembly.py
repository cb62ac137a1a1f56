"""From the nodes and scripts that an author lists to the tables of a world, checked by name."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from dataclasses import replace
from typing import Any

from happysim.core.choice import Faults
from happysim.core.errors import ScenarioError
from happysim.core.host import Site
from happysim.core.names import Name, plain_but
from happysim.core.network import Delivery, duplicating, ordered, unordered
from happysim.core.node import Node
from happysim.core.process import NodeProcess, Process, freeze_fields
from happysim.core.script import Script
from happysim.core.script_process import ScriptProcess
from happysim.core.tables import Tables
from happysim.core.topology import Network

# More have more permutations than a kernel counts with.
_SYMMETRIC_MAX = 20


def tables_of(
    processes: tuple[Node | Script, ...],
    faults: Faults | None,
    network: Network | Delivery | None,
    symmetric: Iterable[str | Iterable[str]],
) -> Tables:
    """The tables of the worlds that `World.of` describes; see there.

    Raises `ScenarioError` for what is none of these.
    """
    faults = Faults() if faults is None else faults
    delivery = unordered() if network is None else network
    topology = None
    if isinstance(network, Network):
        delivery, topology = network.delivery, network
        processes = (*processes, *network.missing_from(processes))
    if not isinstance(faults, Faults):
        raise ScenarioError(f"World.of(faults={faults!r}): write faults=Faults(crashes=1)")
    if delivery not in (unordered(), ordered(), duplicating()):
        raise ScenarioError(
            f"World.of(network={network!r}): write network=unordered(), ordered() or "
            "duplicating(), or a Network of links"
        )
    sets = _symmetric_sets(symmetric, processes)
    made = _processes_of(processes, faults, sets)
    if topology is None:
        topology = Network(delivery=delivery)
    return Tables(made, delivery, faults, topology.kept_for(each.name for each in made), sets)


def _processes_of(
    given: tuple[Node | Script, ...],
    faults: Faults,
    symmetric: tuple[tuple[str, ...], ...],
) -> list[Process]:
    """The processes of a world, in the order given. Raises `ScenarioError` for bad names.

    What names one of the `symmetric` ones is told as a `Name`.
    """
    receivers: dict[str, Any] = {}
    for each in given:
        if isinstance(each, type) or not isinstance(each, (Node, Script)):
            shown = each.__name__ if isinstance(each, type) else type(each).__name__
            raise ScenarioError(f"World.of takes nodes and client scripts, not {shown}")
        if not isinstance(each.name, str) or not each.name or not each.name.isprintable():
            raise ScenarioError(f"a node's name is printable text, not {each.name!r}")
        if set(each.name) & set(" |\t~") or each.name in receivers:
            why = "is there twice" if each.name in receivers else "holds a blank, a bar or a tilde"
            raise ScenarioError(f"the name {each.name!r} {why}; names tell nodes apart in traces")
        handlers = each.happysim_handlers if isinstance(each, Node) else None
        receivers[each.name] = handlers
    if not given:
        raise ScenarioError("World.of() holds no node; pass at least one")
    for name in faults.crashable:
        if receivers.get(name) is None:
            raise ScenarioError(f"Faults(crashable=...): {name!r} is no node of this world")
    _add_upgrades(faults, receivers)
    swapped = {name for names in symmetric for name in names}
    told = {each.name: Name(each.name) if each.name in swapped else each.name for each in given}
    made: list[Process] = []
    for each in given:
        name = told[each.name]
        site = Site(name, tuple(told[peer] for peer in _peers(each, given)), receivers)
        if isinstance(each, Script):
            made.append(ScriptProcess(_with_names(each, swapped), site))
        else:
            values = plain_but(freeze_fields(each, each.name, "World.of"), swapped)
            made.append(NodeProcess(name, type(each), values, site, faults))
    return made


def _symmetric_sets(
    declared: Iterable[str | Iterable[str]], given: tuple[Node | Script, ...]
) -> tuple[tuple[str, ...], ...]:
    """The sets of interchangeable names that a world declares: of two or more, each in its order.

    Raises `ScenarioError` for an unknown name and for one that is there twice.
    """
    told = [declared] if isinstance(declared, str) else list(declared)
    groups: list[Any] = [told] if told and all(isinstance(each, str) for each in told) else told
    known, sets, before = {getattr(each, "name", None) for each in given}, [], set[str]()
    for group in groups:
        names = (group,) if isinstance(group, str) else tuple(group)
        for name in names:
            if name not in known or name in before:
                why = "is declared twice" if name in before else "is no node of this world"
                raise ScenarioError(
                    f"World.of(symmetric=...): {name!r} {why}; write the names of interchangeable "
                    'nodes once each: symmetric=("n1", "n2", "n3")'
                )
            before.add(name)
        if len(names) > _SYMMETRIC_MAX:
            raise ScenarioError(
                f"World.of(symmetric=...): {len(names)} nodes of one set are more than can be "
                f"told apart by sight; declare at most {_SYMMETRIC_MAX}"
            )
        if len(names) > 1:
            sets.append(tuple(str(name) for name in names))
    return tuple(sets)


def _with_names(script: Script, names: set[str]) -> Script:
    """The script, with no `Name` among its arguments but these."""
    arguments = plain_but(script.arguments, names)
    if arguments is script.arguments:
        return script
    made = copy(script)
    made.arguments = arguments
    return made


def _add_upgrades(faults: Faults, receivers: dict[str, Any]) -> None:
    """Let a node also take the messages of the classes that it may become."""
    for name, kind in faults.upgrades:
        if receivers.get(name) is None:
            raise ScenarioError(f"Faults(upgrades=...): {name!r} is no node of this world")
        if not (isinstance(kind, type) and issubclass(kind, Node)):
            raise ScenarioError(f"Faults(upgrades=...): {kind!r} is no class of nodes")
        known = receivers[name]
        messages = {**kind.happysim_handlers.messages, **known.messages}
        receivers[name] = replace(known, messages=messages)


def _peers(of: Node | Script, given: tuple[Node | Script, ...]) -> tuple[str, ...]:
    if isinstance(of, Script):
        return ()
    return tuple(
        each.name
        for each in given
        if each is not of and isinstance(each, Node) and each.happysim_family is of.happysim_family
    )
