"""What a told choice does to a node, where it is possible: one function for each kind of choice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from happysim.core.choice import Kind
from happysim.core.local_step import DOWN, NEW, UP
from happysim.sim.agenda import NS, ns_of
from happysim.sim.clock import Clock
from happysim.sim.scripted_process import Impossible, ScriptedNode
from happysim.sim.simulation import Simulation
from happysim.sim.told import clock_told


def _fires(simulation: Simulation, live: ScriptedNode, what: str) -> None:
    check_free(live)
    live.fire(what)


def _acts(simulation: Simulation, live: ScriptedNode, what: str) -> None:
    check_free(live)
    if what not in live.enabled():
        raise Impossible(f"it has no action {what!r} whose guard holds")
    live.run(Kind.ACT, what, getattr(live.node, what))


def _starts(simulation: Simulation, live: ScriptedNode, what: str) -> None:
    if live.status != NEW:
        raise Impossible(f"{live.name} has started already")
    live.start()


def _crashes(simulation: Simulation, live: ScriptedNode, what: str) -> None:
    if live.status == DOWN:
        raise Impossible(f"{live.name} is down")
    _check_disk(what, [each.text for each in simulation.disk(live.name).crashes()])
    simulation.crash(live.name, what)


def _restarts(simulation: Simulation, live: ScriptedNode, what: str) -> None:
    if live.status != DOWN:
        raise Impossible(f"{live.name} is not down")
    later = {f"as {each.kind.__name__}": each.kind for each in live.upgrades_left}
    if what in later:
        simulation.upgrade(live.name, later[what])
        return
    possible = [each.text for each in simulation.disk(live.name).restarts()]
    _check_disk(what, [*later, *possible])
    simulation.restart(live.name, what)


def _pauses(simulation: Simulation, live: ScriptedNode, what: str) -> None:
    check_free(live)
    simulation.pause(live.name)


def _resumes(simulation: Simulation, live: ScriptedNode, what: str) -> None:
    if not live.is_held:
        raise Impossible(f"{live.name} does not stand still")
    simulation.resume(live.name)


def _slows(simulation: Simulation, live: ScriptedNode, what: str) -> None:
    try:
        lag = ns_of(float(Fraction(what.removesuffix(" s"))))
    except (ValueError, ZeroDivisionError):
        raise Impossible(f"write `slow {live.name} 0.01 s`") from None
    simulation.slow(live.name, lag - live.host.lag)


def _turns_clock(simulation: Simulation, live: ScriptedNode, what: str) -> None:
    told = clock_told(what)
    if told is None:
        raise Impossible(f"write `clock {live.name} by 0.5 s drifting 1/100`")
    if not told.starts:
        clock = live.clock = live.clock or Clock()
        jump = round(told.ahead * NS) + simulation.now - clock.read(simulation.now)
        clock.set(simulation.now, jump_ns=jump, drift=told.drift, frozen=told.stopped)
        live.wind()
    simulation.note(Kind.CLOCK, what, live.name)


def _fails_disk(simulation: Simulation, live: ScriptedNode, what: str) -> None:
    disk = simulation.disk(live.name)
    if what in ("full", "has room"):
        disk.full = int(what == "full")
    elif what == "is slow":
        live.may_be_late = True
    # The rest shows in crashes, and these are told.
    simulation.tell_disk(live.name, what)


def _fills(simulation: Simulation, live: ScriptedNode, what: str) -> None:
    if live.status != UP or simulation.disk(live.name).full:
        raise Impossible(f"{live.name} is not up, or its disk is full already")
    simulation.disk(live.name).full = 1
    simulation.note(Kind.FILL, what, live.name)


def _frees(simulation: Simulation, live: ScriptedNode, what: str) -> None:
    if not simulation.disk(live.name).full:
        raise Impossible(f"the disk of {live.name} is not full")
    simulation.disk(live.name).full = 0
    simulation.note(Kind.FREE, what, live.name)


def check_free(live: ScriptedNode) -> None:
    """Raise `Impossible` where a node can run no handler now."""
    if live.gate is None:
        return
    if live.status == NEW:
        raise Impossible(f"{live.name} has not started")
    how = "is down" if live.status == DOWN else "stands still" if live.is_held else "is busy"
    raise Impossible(f"{live.name} {how}")


def _check_disk(what: str, possible: Sequence[str]) -> None:
    if what and what not in possible:
        raise Impossible(f"there may be, of its disk: {', '.join(possible) or 'nothing'}")


NODE_STEPS: dict[Kind, Callable[[Simulation, ScriptedNode, str], None]] = {
    Kind.FIRE: _fires,
    Kind.ACT: _acts,
    Kind.START: _starts,
    Kind.CRASH: _crashes,
    Kind.RESTART: _restarts,
    Kind.FILL: _fills,
    Kind.FREE: _frees,
    Kind.PAUSE: _pauses,
    Kind.RESUME: _resumes,
    Kind.SLOW: _slows,
    Kind.CLOCK: _turns_clock,
    Kind.DISK: _fails_disk,
}
