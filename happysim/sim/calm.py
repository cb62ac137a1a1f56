"""Safety, then liveness: after the faults, a healthy core must get everything done.

While faults go on, a protocol owes its clients safety alone. So a run has two phases. In the first,
anything goes. Then a core is picked: a majority of the nodes of each protocol, or all of them. It
is restarted and healed, and its links to each other and to the clients lose nothing any more. What
has befallen the other nodes, and what they and others send each other, stays so for ever. Now each
`eventually` property must come true within a time.

Source of the idea: TigerBeetle's simulator, which checks liveness in the same two phases.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from happysim.core.errors import ScenarioError
from happysim.core.prng import Random
from happysim.sim.agenda import ns_of
from happysim.sim.client import LiveClient
from happysim.sim.net_faults import Partition
from happysim.sim.view import HISTORY
from happysim.spec.property import Property

if TYPE_CHECKING:
    from happysim.sim.simulation import Simulation

CORES = ("quorum", "all")


def check_core(core: object) -> str:
    """The core that was asked for. Raises `ScenarioError` where it is none."""
    if core not in CORES:
        raise ScenarioError(
            f'core={core!r}: write core="quorum" for a majority of the nodes of each protocol, '
            'or core="all"'
        )
    return str(core)


def core_of(simulation: Simulation, random: Random, core: str = "quorum") -> tuple[str, ...]:
    """The names of the nodes that will be healthy: all, or a majority of each class family, drawn.

    A family of one or two nodes is all in it: each is its own majority.
    """
    if core == "all":
        return tuple(live.name for live in simulation.nodes)
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
    hurting = [fault for fault, _ in nemesis.active if not fault.spares(simulation, spared)]
    nemesis.end_where(lambda fault: any(fault is each for each in hurting))
    for name in core:
        simulation.heal_node(name)
    for source in spared:
        for target in spared:
            if source != target:
                simulation.heal_link(source, target)
    for fault in hurting:
        if isinstance(fault, Partition):
            # It is over for the core alone.
            others = [pair for pair in fault.pairs() if not spared.issuperset(pair)]
            simulation.cut(others, f"{fault}, but for {' '.join(core)}")


def demand(
    simulation: Simulation, properties: list[Property], seconds: float
) -> list[tuple[Property, str]]:
    """Run until each property has come true, or for a time; those that have not, and why."""
    limit = simulation.now + ns_of(seconds)
    open_ = list(properties)
    unmet: list[tuple[Property, str]] = []
    said: str | None = ""
    known: int | None = None
    while open_:
        # One that has read the history alone is asked again when there is something new in it.
        if known != simulation.records.version:
            said, of_history = _asked(simulation, open_[0])
            known = simulation.records.version if of_history else None
        due = simulation.agenda.next_at
        if said is None:
            open_.pop(0)
            known = None
        elif due is None or due > limit:
            unmet.append((open_.pop(0), said))
            known = None
        elif not simulation.step():
            return []
    return [(prop, _in_full(simulation, seconds, said)) for prop, said in unmet]


def _asked(simulation: Simulation, prop: Property) -> tuple[str | None, bool]:
    """What a demand says now, and whether it has read the history and nothing else."""
    reads = simulation.world.reads = set()
    try:
        said = prop.judge(simulation.world)  # type: ignore[arg-type]
    finally:
        simulation.world.reads = None
    return said, reads == {(-1, HISTORY)}


def _in_full(simulation: Simulation, seconds: float, said: str) -> str:
    down = [live.name for live in simulation.nodes if not live.is_up]
    still = [live.name for live in simulation.nodes if live.is_up and live.gate is not None]
    told = [f"{' '.join(down)} down" if down else "", f"{' '.join(still)} paused" if still else ""]
    left = ", ".join(each for each in told if each)
    with_ = f", with {left}" if left else ""
    return f"{said or 'not true'}; still so {seconds:g} s after the last fault{with_}"
