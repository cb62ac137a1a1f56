"""Simulation: a world in virtual time. The clock decides what happens next.

Theory, in four rules:

1. Time is a whole number of nanoseconds and moves from event to event. A virtual hour takes as long
   as its events take to handle.
2. Handlers take no time unless a node is slow or its disk is. What they send travels as its link
   says, and timers ring when the clock of their node says so.
3. Every draw comes from a stream that is named by the seed and by what it is for: each link, each
   node's choices, each node's timers, each fault. A change in one place moves nothing elsewhere.
4. The steps are those of a search, so a schedule found here replays there, and shrinks there.

Source of the idea: FoundationDB's simulation (Zhou et al. 2021) and Jefferson 1985 for the name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, ClassVar

from happysim.core.choice import Choice, Kind
from happysim.core.disk import Mishap
from happysim.core.errors import HandlerRaised, ScenarioError
from happysim.core.freeze import thaw
from happysim.core.history import History
from happysim.core.host import Site
from happysim.core.link import Link
from happysim.core.local_step import DOWN, NEW
from happysim.core.node import Node
from happysim.core.prng import Random
from happysim.core.process import NodeProcess
from happysim.core.script_process import ScriptProcess
from happysim.core.world import World
from happysim.sim.agenda import Agenda, ns_of, seconds_text
from happysim.sim.client import LiveClient
from happysim.sim.disk import Disk, LiveDisk, check_disk
from happysim.sim.faults import node_named
from happysim.sim.host import LiveHost
from happysim.sim.judge import Judge
from happysim.sim.live import LiveNode
from happysim.sim.nemesis import At, Nemesis, Randomly
from happysim.sim.record import Recorder
from happysim.sim.records import Records
from happysim.sim.route import Route
from happysim.sim.streams import floats
from happysim.sim.summary import Summary
from happysim.sim.view import LiveWorld
from happysim.spec.property import Property, Sort

Process = LiveNode | LiveClient


class Routes(dict[str, Route]):
    """The routes from one process, each made when it is first used."""

    def __init__(self, names: Sequence[str], make: Callable[[str], Route]) -> None:
        self._names, self._make = frozenset(names), make

    def __missing__(self, to: str) -> Route:
        if to not in self._names:
            raise KeyError(to)
        route = self[to] = self._make(to)
        return route

    def get(self, to: Any, default: Any = None) -> Any:
        """The route to a process; None where there is no such process."""
        return self[to] if to in self or to in self._names else default


class Simulation:
    """A run of a world in virtual time, under the control of a test.

    The same world, seed and calls give the same run on every machine. `properties` are judged after
    every step; the run stops where one is broken. `faults` befall it. `link` remakes each link of
    the world's network. `disks` says how disks behave, of all nodes or by name; faults of disks
    need none of it. With `trace`, `schedule` holds every step.

    Raises `ScenarioError` for a world that cannot be run.
    """

    # What its processes and routes are.
    _node: ClassVar[type[LiveNode]] = LiveNode
    _client: ClassVar[type[LiveClient]] = LiveClient
    _way: ClassVar[type[Route]] = Route

    def __init__(
        self,
        world: World,
        *,
        seed: int = 0,
        properties: Sequence[Property] = (),
        faults: Sequence[At | Randomly] = (),
        disks: Disk | Mapping[str, Disk] | None = None,
        link: Callable[[Link], Link] | None = None,
        trace: bool = False,
    ) -> None:
        if not isinstance(world, World):
            raise ScenarioError(
                f"Simulation({type(world).__name__}): give it a World; for a scenario, call it"
            )
        self.first_world = world
        self.seed = seed
        self.agenda = Agenda()
        tables = world.tables
        self.network = tables.topology
        self._remade = link
        self.delivery = tables.network.kind
        self.recorder = Recorder(self.agenda, self.delivery) if trace else None
        fresh = tables.first == world.numbers
        # A fresh world is started again here, and records what that does again.
        self.records = Records(History() if fresh else world.history)
        self._sites: dict[str, Site] = {each.name: each.site for each in tables.processes}
        self._routes: dict[str, Routes] = {}
        self.processes: dict[str, Process] = {}
        for slot, process in enumerate(tables.processes):
            self.processes[process.name] = self._live(process, slot)
        self.world = LiveWorld(self)
        self._cuts: list[str] = []
        # Links that have gone bad, with what they were before.
        self.degraded: dict[tuple[str, str], Link | None] = {}
        self.broken: tuple[Property, str] | None = None
        self._no_raise = next((each for each in properties if each.sort is Sort.NO_RAISE), None)
        self._judge: Judge | None = None
        # Whether faults wait for steps of nodes.
        self._lurks = False
        self._observe()
        self._mount(disks, faults)
        self._begin(fresh)
        self._adopt()
        self.nemesis = Nemesis(self, faults)
        self._lurks = self.nemesis.watches_steps
        if properties:
            self._judge = Judge(self.world, self.nodes, properties)
        self._observe()
        if self._judge is not None:
            self._judge.first()
        self._settle()

    # -- making it -------------------------------------------------------------------------------

    def _live(self, process: NodeProcess | ScriptProcess, slot: int) -> Process:
        name = process.name
        routes = Routes(list(self._sites), lambda to: self._route(name, to))
        self._routes[name] = routes
        if isinstance(process, ScriptProcess):
            draw = floats(self.seed, f"sleeps of {name}")
            return self._client(process, self.agenda, routes, self.records.add, draw, slot)
        host = LiveHost(
            process.site,
            self.agenda,
            routes,
            Random(self.seed, f"choices of {name}"),
            floats(self.seed, f"timers of {name}"),
            self.records.add,
        )
        live = self._node(process, self.agenda, host, slot)
        live.fail = self.crash
        host.route_of = self.route
        host.bind(live)
        return live

    def _route(self, source: str, to: str) -> Route:
        link = self.network.link(source, to)
        if link is not None and self._remade is not None and source != to:
            link = self._remade(link)
        draw = floats(self.seed, f"link {source} -> {to}")
        route = self._way(
            self.agenda,
            source,
            self.processes[to],
            self._kinds(to),
            link,
            draw,
            ordered=self.delivery == "ordered",
        )
        route.log = self.recorder
        return route

    def _kinds(self, to: str) -> Any:
        handlers = self._sites[to].receivers[to]
        return None if handlers is None else handlers.messages

    def _begin(self, fresh: bool) -> None:
        """Start every process, or take on the state of a world in mid-run."""
        for live in self.processes.values():
            if fresh:
                self._start_at_once(live)
            else:
                self._resume(live)
        if not fresh:
            for source, target, frozen, operation in self.first_world.waiting():
                self._routes[source][target].send(thaw(frozen), operation, 0)
        else:
            self.agenda.run_until(0)

    def _start_at_once(self, live: Process) -> None:
        self.agenda.at(0, _start, live)

    def _mount(
        self, disks: Disk | Mapping[str, Disk] | None, faults: Sequence[At | Randomly]
    ) -> None:
        """Give the nodes disks, where those of this run can fail."""
        by_name = disks if isinstance(disks, Mapping) else {}
        for name, each in by_name.items():
            node_named(self, name, "disks")
            check_disk(each)
        general = Disk() if disks is None or isinstance(disks, Mapping) else check_disk(disks)
        faulty = any(getattr(getattr(plan, "fault", None), "needs_disk", False) for plan in faults)
        for live in self.nodes:
            policy = by_name.get(live.name, general)
            for wanted, budget in (policy.loses_unsynced, "unsynced_loss"), (policy.tears, "tears"):
                if wanted:
                    self.check_declared(budget, str(policy))
            if disks is not None or faulty:
                live.host.disk = LiveDisk(live, policy, Random(self.seed, f"disk of {live.name}"))
                live.host.is_slow = True
            if policy.sync_seconds:
                self.tell_disk(live.name, "is slow")

    def _adopt(self) -> None:
        """Let disks remember what the first world does: it has started its nodes already."""
        world = self.first_world
        for live in self.nodes:
            state = world.tables.states[live.slot].values[world.state_number(live.slot)]
            if live.host.disk is not None and state.status != NEW:
                live.host.disk.adopt(state)

    def check_declared(self, budget: str, what: str) -> None:
        """Raise `ScenarioError` where a recorded run could not be replayed for want of a budget."""
        faults = self.first_world.tables.faults
        if self.recorder is not None and not getattr(faults, budget):
            wanted = "unsynced_loss=True" if budget == "unsynced_loss" else f"{budget}=1"
            raise ScenarioError(
                f"{what}: a recorded run replays without time, and there a world remembers what "
                f"may become of its disks only where it says so; make it with "
                f"World.of(..., faults=Faults(crashes=1, {wanted}))"
            )

    def _resume(self, live: Process) -> None:
        world = self.first_world
        state = world.tables.states[live.slot].values[world.state_number(live.slot)]
        live.resume_as(state)
        if isinstance(live, LiveNode):
            if state.status == NEW:
                self._start_at_once(live)
            for name in state.timers:
                low, high = live.process.site.delays.get(name, (1.0, 1.0))
                live.host.resume_timer(name, low, high)
            live.resume_actions()

    def _observe(self) -> None:
        """Let steps be recorded and judged, where somebody wants that."""
        wanted = self._judge is not None or self.recorder is not None or self._lurks
        for live in self.processes.values():
            live.observe = self._step if wanted else None

    def _step(self, kind: Any, process: Any, source: str, what: Any, operation: Any) -> None:
        if self.recorder is not None:
            self.recorder.step(kind, process, source, what, operation)
        if self._judge is not None and process.raised is None:
            self._judge.after(process, self.records.version)
            if self._judge.wrong is not None:
                self.agenda.stopped = True
        if self._lurks and isinstance(process, LiveNode) and not kind.is_fault:
            self.nemesis.after_step(process.name)

    def _settle(self) -> None:
        """Take note of what stopped the run."""
        if self._judge is not None and self._judge.wrong is not None:
            self.broken = self._judge.wrong
        for live in self.processes.values():
            if live.raised is not None and self.broken is None:
                if self._no_raise is None:
                    raise HandlerRaised(f"at {self.seconds} s: {live.raised}")
                self.broken = self._no_raise, str(live.raised)
        self.agenda.stopped = self.broken is not None

    # -- running it ------------------------------------------------------------------------------

    @property
    def now(self) -> int:
        """Nanoseconds since the run began."""
        return self.agenda.now

    @property
    def seconds(self) -> str:
        """Seconds since the run began, as exact text."""
        return seconds_text(self.agenda.now)

    @property
    def is_over(self) -> bool:
        """True where a property is broken, or nothing is left to happen."""
        return self.broken is not None or not self.agenda.heap

    def run(self, seconds: float) -> Simulation:
        """Let so much time pass, or less where a property is broken; returns the simulation.

        Raises `ScenarioError` for a time that is not a finite number of at least 0, and
        `HandlerRaised` where a handler raises and no property is there to say so.
        """
        return self._run_to(self.now + _duration(seconds, "run"))

    def run_until(
        self, wanted: float | Callable[[LiveWorld], bool], *, within: float = 3600.0
    ) -> bool:
        """Go on to a time, in seconds since the run began, or until `wanted(world)` holds.

        True where that was met; False where a property was broken first, nothing is left to
        happen, or `within` seconds have passed. Raises `ScenarioError` for a time in the past.
        """
        if not callable(wanted):
            until = _duration(wanted, "run_until")
            if until < self.now:
                raise ScenarioError(
                    f"run_until({wanted!r}): it is {self.seconds} s already; time only goes on"
                )
            self._run_to(until)
            return self.broken is None
        limit = self.now + _duration(within, "run_until(within=...)")
        while not wanted(self.world):
            heap = self.agenda.heap
            if self.broken is not None or not heap or heap[0][0] > limit:
                return False
            self.step()
        return True

    def step(self) -> bool:
        """Let the next event happen; False where there is none, or a property is broken."""
        if self.broken is not None or not self.agenda.step():
            return False
        self._settle()
        return True

    def _run_to(self, limit: int) -> Simulation:
        if self.broken is None:
            self.agenda.run_until(limit)
            self._settle()
        return self

    def finish(self) -> Simulation:
        """Judge what is judged at the end of a run, and everything else once more."""
        if self._judge is not None and self.broken is None:
            self._judge.last()
            self._settle()
        return self

    # -- faults, by hand -------------------------------------------------------------------------

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
        live.host.is_slow = live.host.lag > 0 or live.host.disk is not None
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

    # -- what there is ---------------------------------------------------------------------------

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

    def on_their_way(self) -> Iterator[tuple[Route, Any]]:
        """Every message that will arrive, with its route, in order of arrival."""
        for entry in sorted(self.agenda.heap, key=lambda entry: entry[:2]):
            route = getattr(entry[2], "__self__", None)
            if isinstance(route, Route) and entry[5] == route.epoch:
                yield route, entry[3]

    @property
    def is_quiescent(self) -> bool:
        """True where nothing is left to happen, and no client script awaits an answer."""
        clients = [each for each in self.processes.values() if isinstance(each, LiveClient)]
        waits = any(each.waiting for each in clients)
        return not waits and not any(self._matters(entry) for entry in self.agenda.heap)

    @staticmethod
    def _matters(entry: Any) -> bool:
        owner = getattr(entry[2], "__self__", None)
        if isinstance(owner, LiveNode) and entry[2].__func__ is LiveNode.ring:
            return owner.entries.get(entry[3]) == entry[4] and entry[3] in owner.deadlines
        if isinstance(owner, LiveClient) and entry[2].__func__ is LiveClient.expire:
            return owner.awaits(entry[3])
        return True

    @property
    def schedule(self) -> tuple[Choice, ...]:
        """Every step so far, each with its time `at`.

        Raises `ScenarioError` without `trace=True`.
        """
        if self.recorder is None:
            raise ScenarioError("this run keeps no schedule; make it with trace=True")
        return self.recorder.schedule

    @property
    def handled(self) -> int:
        """How many handler calls there were."""
        return sum(each.calls for each in self.nodes)

    @property
    def judged(self) -> dict[Property, int]:
        """How often each property was asked."""
        return {} if self._judge is None else self._judge.judged

    @property
    def reached(self) -> frozenset[Property]:
        """The `reachable` properties that were reached."""
        return frozenset() if self._judge is None else frozenset(self._judge.reached)

    def summary(self) -> Summary:
        """What happened so far, in numbers."""
        return Summary.of(self)


def _start(live: Process, *_: Any) -> None:
    live.start()


def _duration(seconds: object, what: str) -> int:
    if not isinstance(seconds, int | float) or isinstance(seconds, bool):
        raise ScenarioError(f"{what}({seconds!r}): a time is a number of seconds")
    if not 0 <= seconds < float("inf"):
        raise ScenarioError(f"{what}({seconds!r}): a time is finite, and not before the start")
    return ns_of(seconds)
