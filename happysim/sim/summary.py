"""What happened in a run, in numbers: by node, by link, and in all."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from happysim.sim.agenda import seconds_text
from happysim.sim.live import LiveNode
from happysim.sim.route import Traffic

if TYPE_CHECKING:
    from happysim.sim.simulation import Simulation


@dataclass(frozen=True)
class NodeCounts:
    """Of one node or client script: handler calls, messages sent and messages handled."""

    handled: int
    sent: int
    received: int
    is_up: bool


@dataclass(frozen=True)
class Summary:
    """A run in numbers. `ns` is virtual time; `links` is the traffic matrix: (source, target)."""

    ns: int
    nodes: dict[str, NodeCounts]
    links: dict[tuple[str, str], Traffic]
    calls: int

    @classmethod
    def of(cls, simulation: Simulation) -> Summary:
        """The numbers of a run as it stands."""
        links = {
            (route.source, route.target.name): route.counts()
            for route in sorted(simulation.routes(), key=lambda r: (r.source, r.target.name))
        }
        nodes = {}
        for name, live in simulation.processes.items():
            sent = sum(each.sent for (source, _), each in links.items() if source == name)
            received = sum(each.delivered for (_, to), each in links.items() if to == name)
            handled = live.calls if isinstance(live, LiveNode) else received
            nodes[name] = NodeCounts(handled, sent, received, live.is_up)
        return cls(simulation.now, nodes, links, len(simulation.records.history().calls))

    @property
    def traffic(self) -> Traffic:
        """The traffic of all links together."""
        total = Traffic()
        for each in self.links.values():
            for field in fields(Traffic):
                setattr(total, field.name, getattr(total, field.name) + getattr(each, field.name))
        return total

    @property
    def handled(self) -> int:
        """Handler calls of all nodes."""
        return sum(each.handled for each in self.nodes.values())

    def __str__(self) -> str:
        lines = [f"{seconds_text(self.ns)} s, {self.handled} handler calls, {self.calls} calls"]
        told = [f"{each.name} {getattr(self.traffic, each.name)}" for each in fields(Traffic)]
        lines.append("messages: " + ", ".join(told))
        lines += [
            f"{name}: handled {each.handled}, sent {each.sent}, received {each.received}"
            + ("" if each.is_up else ", down")
            for name, each in self.nodes.items()
        ]
        return "\n".join(lines)
