"""From the nodes and scripts that an author lists to the processes of a world, checked by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from happysim.core.choice import Faults
from happysim.core.errors import ScenarioError
from happysim.core.host import Site
from happysim.core.node import Node
from happysim.core.process import NodeProcess, Process, freeze_fields
from happysim.core.script import Script
from happysim.core.script_process import ScriptProcess


def processes_of(given: tuple[Node | Script, ...], faults: Faults) -> list[Process]:
    """The processes of a world, in the order given. Raises `ScenarioError` for bad names."""
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
    made: list[Process] = []
    for each in given:
        site = Site(each.name, _peers(each, given), receivers)
        if isinstance(each, Script):
            made.append(ScriptProcess(each, site))
        else:
            values = freeze_fields(each, each.name, "World.of")
            made.append(NodeProcess(each.name, type(each), values, site, faults))
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
