"""What a test, or a fault, does to a run by hand: crash a node, turn its clock, cut a link."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

from happysim.core.choice import Kind
from happysim.core.disk import Mishap
from happysim.core.errors import ScenarioError
from happysim.core.link import Link
from happysim.core.local_step import DOWN
from happysim.core.node import Node
from happysim.core.topology import Network
from happysim.sim.agenda import Agenda, seconds_text
from happysim.sim.client import LiveClient
from happysim.sim.disk import LiveDisk
from happysim.sim.faults import node_named
from happysim.sim.live import LiveNode
from happysim.sim.record import Recorder
from happysim.sim.records import Records
from happysim.sim.route import Route, Routes

Process = LiveNode | LiveClient


class ByHand:
    """The processes and routes of a run, and what can be done to them at any moment of it."""

    agenda: Agenda
    network: Network
    delivery: str
    recorder: Recorder | None
    records: Records
    processes: dict[str, Process]

    def __init__(self) -> None:
        self._routes: dict[str, Routes] = {}
        self._cuts: list[str] = []
        # Links that have gone bad, with what they were before.
        self.degraded: dict[tuple[str, str], Link | None] = {}

    def _settle(self) -> None:
        """Take note of what stopped the run."""
        raise NotImplementedError

    @property
    def now(self) -> int:
        """Nanoseconds since the run began."""
        return self.agenda.now

    @property
    def nodes(self) -> tuple[LiveNode, ...]:
        """For the engine: the live nodes, in the order the world lists them."""
        return tuple(each for each in self.processes.values() if isinstance(each, LiveNode))

    def routes(self) -> Iterator[Route]:
        """For the engine: every route that was used so far, by sender."""
        for routes in self._routes.values():
            yield from routes.values()

    def route(self, source: str, target: str) -> Route:
        """For the engine: the route from one process to another."""
        return self._routes[source][target]

    # -- nodes -----------------------------------------------------------------------------------

    def crash(self, name: str, disk: str | None = None) -> None:
        """A node goes down now; one that is down already stays so.

        `disk` is what it loses of what it wrote (`losing 1`, or nothing: ""); else that is drawn.
        """
        live = node_named(self, name, "crash")
        if live.status == DOWN:
            return
        self.records.add("abandon", name, None)
        if self.delivery == "ordered":
            for route in self._ends_at(name):
                route.reset()
        live.crash()
        own = live.host.disk
        taken = own.crash(disk) if own is not None else None
        self._note(Kind.CRASH, live, taken.text if taken is not None else "")

    def upgrade(self, name: str, to: type[Node]) -> None:
        """A node that is down comes up as one of another class, with its durable fields.

        Raises `ScenarioError` where the world does not declare that it may.
        """
        live = node_named(self, name, "upgrade")
        number = self.upgrade_number(live, to)
        if live.status == DOWN:
            live.upgrade(number)
            live.start(Kind.RESTART, f"as {to.__name__}")
            self._settle()

    def upgrade_number(self, live: LiveNode, to: type[Node]) -> int:
        """The number of an upgrade of a node, that still lies before it; else `ScenarioError`."""
        for number, later in enumerate(live.upgrades_left, live.version + 1):
            if later.kind is to:
                return number
        raise ScenarioError(
            f"{live.name} cannot become a {to.__name__} now; say that it may, with World.of(..., "
            f"faults=Faults(crashes=1, upgrades=(({live.name!r}, {to.__name__}),)))"
        )

    def restart(self, name: str, disk: Mishap | str = "") -> None:
        """A node that is down comes up again, and runs `on_start`.

        `disk` is what has befallen its disk meanwhile: `wiped`, `stale`, `rotten log[1]`,
        `misdirected log[2] to log[0]`. Raises `ScenarioError` where that cannot be.
        """
        live = node_named(self, name, "restart")
        if live.status != DOWN:
            return
        if disk:
            mishap = disk if isinstance(disk, Mishap) else self._mishap(name, disk)
            self.disk(name).restart(mishap)
            live.start(Kind.RESTART, mishap.text)
        else:
            live.start(Kind.RESTART)
        self._settle()

    def _mishap(self, name: str, told: str) -> Mishap:
        possible = {each.text: each for each in self.disk(name).restarts()}
        if told not in possible:
            known = "".join(f"\n    {text}" for text in possible) or " nothing"
            raise ScenarioError(f"restart({name!r}, {told!r}): there may be{known}")
        return possible[told]

    def disk(self, name: str) -> LiveDisk:
        """The disk of a node. Raises `ScenarioError` where the disks of this run cannot fail."""
        disk = node_named(self, name, "disk").host.disk
        if disk is None:
            raise ScenarioError(
                "no disk of this run can fail; make it with Simulation(..., disks=Disk())"
            )
        return disk

    def tell_disk(self, name: str, told: str) -> None:
        """For faults: note that the disk of a node behaves otherwise from now on."""
        self.note(Kind.DISK, told, name)

    def pause(self, name: str) -> None:
        """A node stands still: it takes nothing, and its timers ring late."""
        live = node_named(self, name, "pause")
        if live.gate is None:
            live.hold()
            self._note(Kind.PAUSE, live)

    def resume(self, name: str) -> None:
        """A node that was paused goes on."""
        live = node_named(self, name, "resume")
        if live.is_held:
            self._note(Kind.RESUME, live)
            live.go_on()

    def slow(self, name: str, lag_ns: int) -> None:
        """Let every handler of a node take so much longer; a negative time takes that back."""
        live = node_named(self, name, "slow")
        live.host.lag += lag_ns
        live.host.take_time(live.host.lag > 0 or live.host.disk is not None)
        self.note(Kind.SLOW, f"{seconds_text(live.host.lag)} s", name)

    def turn_clock(
        self, name: str, *, jump_ns: int = 0, drift_more: Fraction | int = 0, stops: int = 0
    ) -> None:
        """Change the clock of a node: a jump, more drift, one more or one fewer that stops it.

        Raises `ScenarioError` where it would lose a second a second or more.
        """
        live = node_named(self, name, "turn_clock")
        live.turn_clock(jump_ns=jump_ns, drift_more=Fraction(drift_more), stops=stops)
        clock = live.clock
        assert clock is not None
        told = f"by {seconds_text(clock.read(self.now) - self.now)} s"
        told += f" drifting {clock.drift}" if clock.drift else ""
        self.note(Kind.CLOCK, told + (" stopped" if clock.frozen else ""), name)

    def clog(self, source: str, target: str) -> None:
        """Hold back what one process sends another from now on."""
        self.route(source, target).clog()
        self.note(Kind.CLOG, f"{source} -> {target}")

    def release(self, source: str, target: str) -> None:
        """Let go of what was held back."""
        self.note(Kind.RELEASE, f"{source} -> {target}")
        self.route(source, target).release()

    def echo(self, source: str, target: str) -> None:
        """Keep a copy of what one process sends another from now on."""
        self.route(source, target).echo()
        self.note(Kind.LINK, f"{source} -> {target} is recorded")

    def replay(self, source: str, target: str) -> None:
        """Let the copies that were kept come again."""
        self.note(Kind.LINK, f"{source} -> {target} comes again")
        self.route(source, target).replay()

    def cut(self, pairs: Sequence[tuple[str, str]], told: str) -> None:
        """Nothing gets from the first to the second of each pair any more."""
        for source, target in pairs:
            self.route(source, target).cut()
        self._cuts.append(told)
        self.note(Kind.CUT, told)

    def mend(self, pairs: Sequence[tuple[str, str]], told: str) -> None:
        """One cut across these pairs is over; others may still be there."""
        for source, target in pairs:
            self.route(source, target).mend()
        self._cuts.remove(told)
        self.note(Kind.MEND, told)

    def degrade(self, source: str, target: str, link: Link) -> None:
        """Let a link behave as another from now on."""
        route = self.route(source, target)
        self.degraded[source, target] = route.link
        route.use(link)
        self.note(Kind.LINK, f"{source} -> {target} {link.name}")

    def restore(self, source: str, target: str) -> None:
        """Let a link behave as it did before it went bad."""
        link = self.degraded.pop((source, target))
        self.route(source, target).use(link)
        self.note(Kind.LINK, f"{source} -> {target} restored")

    def heal_node(self, name: str) -> None:
        """Bring a node up, and let it go on, whatever has befallen it."""
        self.restart(name)
        self.resume(name)

    def heal_link(self, source: str, target: str) -> None:
        """Let a link be as the world has it, but lose, copy, damage and hold back nothing."""
        route = self.route(source, target)
        while route.clogs:
            self.release(source, target)
        link = self.network.link(source, target)
        if link is not None:
            route.use(link.with_(loss=0.0, duplicate=0.0, corrupt=0.0, reorder=0.0))

    def cuts_text(self) -> str:
        """The cuts in force, as text."""
        return ", ".join(self._cuts)

    def _ends_at(self, name: str) -> Iterator[Route]:
        for route in self.routes():
            if name in (route.source, route.target.name):
                yield route

    def _note(self, kind: Kind, live: LiveNode, what: str = "") -> None:
        """A fault has befallen a node: record it, and judge what it changed."""
        # No handler has run, so it has drawn and read nothing.
        live.host.picks, live.host.readings = [], []
        if live.observe is not None:
            live.observe(kind, live, "", what, None)

    def note(self, kind: Kind, told: str, name: str = "") -> None:
        if self.recorder is not None:
            self.recorder.note(kind, name, told)
