"""Safety, then liveness: after the faults, a healthy core must get everything done.

While faults go on, a protocol owes its clients safety alone. So a run has two phases. In the first,
anything goes. Then a core is picked: a majority of the nodes of each protocol. It is restarted and
healed, and its links to each other and to the clients lose nothing any more. What has befallen the
other nodes stays so for ever. Now each `eventually` property must come true within a time.

Source of the idea: TigerBeetle's simulator, which checks liveness in the same two phases.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from happysim.core.prng import Random
from happysim.sim.client import LiveClient
from happysim.sim.live import LiveNode
from happysim.spec.property import Property

if TYPE_CHECKING:
    from happysim.sim.simulation import Simulation


def core_of(simulation: Simulation, random: Random) -> tuple[str, ...]:
    """A majority of the nodes of each class family, drawn; a family of one or two is all in it."""
    families: dict[type, list[str]] = {}
    for live in simulation.nodes:
        families.setdefault(live.kind.happysim_family, []).append(live.name)
    chosen = set()
    for names in families.values():
        random.shuffle(names)
        chosen.update(names if len(names) < 3 else names[: len(names) // 2 + 1])
    return tuple(live.name for live in simulation.nodes if live.name in chosen)


def calm_down(simulation: Simulation, core: tuple[str, ...]) -> None:
    """Restart and heal a core; leave everything else as it is for ever."""
    nemesis = simulation.nemesis
    nemesis.stop()
    clients = [each.name for each in simulation.processes.values() if isinstance(each, LiveClient)]
    spared = {*core, *clients}
    nemesis.end_where(lambda fault: not fault.spares(simulation, spared))
    for name in core:
        live = simulation.processes[name]
        assert isinstance(live, LiveNode)
        simulation.heal_node(name)
    for source in spared:
        for target in spared:
            if source != target:
                simulation.heal_link(source, target)


def demand(
    simulation: Simulation, properties: list[Property], limit: int
) -> tuple[Property, str] | None:
    """Run until each property has come true, or to a time; the first that has not, and why."""
    open_ = list(properties)
    why = ""
    while open_:
        said = open_[0].judge(simulation.world)  # type: ignore[arg-type]
        if said is None:
            open_.pop(0)
            continue
        why = said
        heap = simulation.agenda.heap
        if not heap or heap[0][0] > limit or not simulation.step():
            return (open_[0], why) if simulation.broken is None else None
    return None
