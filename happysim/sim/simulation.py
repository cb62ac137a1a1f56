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
from typing import Any, ClassVar

from happysim.core.choice import Choice
from happysim.core.collector import rare_collection
from happysim.core.errors import HandlerRaised, ScenarioError
from happysim.core.freeze import thaw
from happysim.core.history import History
from happysim.core.host import Site
from happysim.core.link import Link
from happysim.core.local_step import NEW
from happysim.core.prng import Random
from happysim.core.process import NodeProcess
from happysim.core.script_process import ScriptProcess
from happysim.core.world import World
from happysim.sim.agenda import Agenda, ns_of, seconds_text
from happysim.sim.by_hand import ByHand, Process
from happysim.sim.client import LiveClient
from happysim.sim.disk import Disk, LiveDisk, check_disk
from happysim.sim.faults import node_named
from happysim.sim.host import LiveHost
from happysim.sim.judge import Judge
from happysim.sim.live import LiveNode
from happysim.sim.nemesis import At, Nemesis, Randomly
from happysim.sim.record import Recorder
from happysim.sim.records import Records
from happysim.sim.route import Route, Routes
from happysim.sim.settle import Risks
from happysim.sim.streams import floats
from happysim.sim.summary import Summary
from happysim.sim.view import LiveWorld
from happysim.spec.property import Property, Sort

# Messages come and go, and make no cycles.
_OBJECTS_A_COLLECTION = 20_000


class Simulation(ByHand):
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
        super().__init__()
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
        self.processes = {}
        self._risks = Risks()
        for slot, process in enumerate(tables.processes):
            self.processes[process.name] = self._live(process, slot)
        self.world = LiveWorld(self)
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
        live = self._node(process, self.agenda, host, slot, self._risks)
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
        faulty = faulty or any(self._first_state(live).full for live in self.nodes)
        for live in self.nodes:
            policy = by_name.get(live.name, general)
            for wanted, budget in (policy.loses_unsynced, "unsynced_loss"), (policy.tears, "tears"):
                if wanted:
                    self.check_declared(budget, str(policy))
            if disks is not None or faulty:
                live.host.disk = LiveDisk(live, policy, Random(self.seed, f"disk of {live.name}"))
                live.host.take_time(True)
            if policy.sync_seconds:
                self.tell_disk(live.name, "is slow")

    def _adopt(self) -> None:
        """Let disks remember what the first world does: it has started its nodes already."""
        for live in self.nodes:
            state = self._first_state(live)
            if live.host.disk is not None and state.status != NEW:
                live.host.disk.adopt(state)
                live.host.disk.full = int(state.full)

    def _first_state(self, live: Process) -> Any:
        """The local state of a process in the first world."""
        world = self.first_world
        return world.tables.states[live.slot].values[world.state_number(live.slot)]

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
        state = self._first_state(live)
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
    def seconds(self) -> str:
        """Seconds since the run began, as exact text."""
        return seconds_text(self.agenda.now)

    @property
    def is_over(self) -> bool:
        """True where a property is broken, or nothing is left to happen."""
        return self.broken is not None or not self.agenda.queue

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
        with rare_collection(_OBJECTS_A_COLLECTION):
            while not wanted(self.world):
                due = self.agenda.next_at
                if self.broken is not None or due is None or due > limit:
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
            with rare_collection(_OBJECTS_A_COLLECTION):
                self.agenda.run_until(limit)
            self._settle()
        return self

    def finish(self) -> Simulation:
        """Judge what is judged at the end of a run, and everything else once more."""
        if self._judge is not None and self.broken is None:
            self._judge.last()
            self._settle()
        return self

    # -- what there is ---------------------------------------------------------------------------

    def on_their_way(self) -> Iterator[tuple[Route, Any]]:
        """Every message that will arrive, with its route, in order of arrival."""
        for entry in self.agenda.queue.entries():
            route = getattr(entry[2], "__self__", None)
            if isinstance(route, Route) and entry[5] == route.epoch:
                yield route, entry[3]

    @property
    def is_quiescent(self) -> bool:
        """True where nothing is left to happen, and no client script awaits an answer."""
        clients = [each for each in self.processes.values() if isinstance(each, LiveClient)]
        waits = any(each.waiting for each in clients)
        return not waits and not any(self._matters(entry) for entry in self.agenda.queue.entries())

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
