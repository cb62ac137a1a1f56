"""replay_in_time: a schedule whose choices have times, made to happen at those times.

A simulation draws when things happen; here all of it is told. A message waits in a pool until it is
told to arrive, a timer rings when it is told to, and so with requests, actions, faults and what a
handler draws. Links, seeds and policies have no say. What is told must be possible:

1. It comes in order of time.
2. Each choice is one that its world has, as in a search; and in time, where a node that stands
   still or is busy takes nothing, and what a cut or a clog is across does not arrive.
3. A timer rings no earlier than it was set for by its node's clock. None that is set is overdue
   before the end. A client is as patient as it says.

How long a message may travel is nobody's business here: `realise` finds times within bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from happysim.core.choice import OF_MESSAGES, Choice, Kind
from happysim.core.errors import HappysimError, ScheduleError
from happysim.core.freeze import freeze
from happysim.core.local_step import NEW, UP, Event, NodeState, Outcome
from happysim.core.prng import Random
from happysim.core.script import Operation, Request
from happysim.core.texts import message_text
from happysim.core.world import World
from happysim.sim.agenda import seconds_text
from happysim.sim.by_hand import Process
from happysim.sim.client import LiveClient
from happysim.sim.clock import Clock
from happysim.sim.disk import Disk, LiveDisk
from happysim.sim.policy import start_of
from happysim.sim.pool import Letter, Pool
from happysim.sim.route import Route
from happysim.sim.scripted_process import Impossible, ScriptedClient, ScriptedNode
from happysim.sim.scripted_steps import NODE_STEPS, check_free
from happysim.sim.simulation import Simulation
from happysim.sim.told import Seconds, Span, clocks_told, pairs_told, span_told
from happysim.spec.property import Property, Sort
from happysim.spec.scenario import Scenario, scenario_of

# How many choices an error lists.
_LISTED_MAX = 20
_OF_LINKS = frozenset(
    {Kind.PARTITION, Kind.HEAL, Kind.CUT, Kind.MEND, Kind.CLOG, Kind.RELEASE, Kind.LINK}
)


def replay_in_time(
    scenario: Scenario | World | Callable[..., Any],
    schedule: Iterable[Choice],
    *properties: Property,
    rates: Mapping[str, Seconds] | None = None,
    offsets: Mapping[str, Seconds] | None = None,
    timers: Mapping[str, tuple[Seconds, Seconds | None]] | None = None,
    complete: bool = True,
) -> Simulation:
    """Let each choice of a schedule happen at its time, `Choice.at`; returns the run.

    Such schedules are those of `Simulation(trace=True)` and of `realise`, and a timed trace holds
    one. A recorded run happens again: the same fields, timers, histories and schedule. The run ends
    where a property is broken, which `broken` tells, or with the schedule; `eventually` is judged
    then. A schedule does not tell what was lost: for all it says, that may still arrive, so that a
    run which came to rest by a loss is not `quiescent` here. Of a scenario with several worlds the
    first is taken: give a World for another.

    `rates` are the seconds that clocks of nodes gain a second, `offsets` what they show at the
    beginning, in seconds; a schedule may tell them, too. `timers` say by name how long timers run,
    (least, most) in seconds, whatever their handlers say. A schedule that is not `complete`, as of
    a trace, may lack deliveries that change nothing. They set timers anew, so none is overdue then.

    Raises `ScheduleError` for a choice without a time, or one that cannot happen then: which, why
    not, and what could have. Raises `ScenarioError` for names and numbers that make no sense.
    """
    _, world = start_of(scenario_of(scenario), 0)
    spans = {name: span_told(name, each) for name, each in (timers or {}).items()}
    choices = tuple(schedule)
    clocks = clocks_told(world, choices, rates or {}, offsets or {})
    return Scripted(world, choices, properties, clocks, spans, complete).follow()


class Scripted(Simulation):
    """A run that is told what happens, when."""

    _node = ScriptedNode
    _client = ScriptedClient
    _way = Pool

    def __init__(
        self,
        world: World,
        schedule: Sequence[Choice],
        properties: Sequence[Property],
        clocks: Mapping[str, Clock],
        spans: Mapping[str, Span],
        complete: bool,
    ) -> None:
        self.told, self._spans, self._clocks = schedule, spans, clocks
        self._properties, self._complete = properties, complete
        # The sides of a partition of the world, which holds messages back.
        self._sides: tuple[frozenset[str], ...] = ()
        super().__init__(world, properties=properties, trace=True)

    # -- making it -------------------------------------------------------------------------------

    def _live(self, process: Any, slot: int) -> Process:
        live = super()._live(process, slot)
        if isinstance(live, ScriptedNode):
            live.clock = self._clocks.get(live.name)
            live.spans, live.may_be_late = self._spans, not self._complete
            # A crash for want of room on the disk is told, as any other.
            live.fail = None
        return live

    def _route(self, source: str, to: str) -> Pool:
        route = super()._route(source, to)
        assert isinstance(route, Pool)
        route.log, route.copies = None, self.delivery == "duplicating"
        return route

    def _mount(self, disks: Any, faults: Any) -> None:
        """A disk for every node: what befalls it is told."""
        for live in self.nodes:
            live.host.disk = LiveDisk(live, Disk(), Random(0))
            live.host.take_time(True)

    def _start_at_once(self, live: Process) -> None:
        """Start what the first world has started. Where that takes a choice, it is told."""
        world = self.first_world
        state = world.tables.states[live.slot].values[world.state_number(live.slot)]
        if getattr(state, "status", "") != NEW:
            live.start()

    # -- running it ------------------------------------------------------------------------------

    def follow(self) -> Scripted:
        """Let every choice happen, up to the first violation, and judge the end."""
        for number, wanted in enumerate(self.told, 1):
            if self.broken is not None:
                break
            self._happen(number, wanted)
        return self.finish()

    def finish(self) -> Scripted:
        """Judge what is judged at the end of a run; also what must have come true by then."""
        super().finish()
        for prop in self._properties:
            if prop.sort is Sort.EVENTUALLY and self.broken is None:
                said = prop.judge(self.world)  # type: ignore[arg-type]
                self.broken = None if said is None else (prop, said)
        return self

    def _happen(self, number: int, wanted: Choice) -> None:
        if wanted.at is None:
            raise ScheduleError(
                f"choice {number}, {wanted}, has no time: give it one, as replace(choice, at=...) "
                "in nanoseconds, or let `realise` find times for the whole schedule"
            )
        where = f"choice {number} at {seconds_text(wanted.at)} s, {wanted}"
        if wanted.at < self.now:
            raise ScheduleError(f"{where}: it is {self.seconds} s already; time only goes on")
        self.agenda.run_until(wanted.at)
        try:
            self._check_due(wanted.at)
            self._do(wanted)
        except Impossible as error:
            raise ScheduleError(f"{where}, cannot happen: {error}{self._possible()}") from None
        self._settle()
        made = self.recorder.last() if self.recorder is not None else None
        if made is not None and made.reading and not wanted.reading:
            made = replace(made, reading="")
        if made != wanted:
            raise ScheduleError(f"{where}, went otherwise: {made}")

    def _check_due(self, now: int) -> None:
        for live in self.processes.values():
            assert isinstance(live, ScriptedNode | ScriptedClient)
            due = live.overdue(now)
            if due:
                raise Impossible(due)

    def _possible(self) -> str:
        """What could have happened instead, as text."""
        found = list(self._choices())
        lines = [f"\n    {choice}" for choice in found[:_LISTED_MAX]] or ["\n    (nothing)"]
        more = len(found) - _LISTED_MAX
        lines += [f"\n    and {more} more"] if more > 0 else []
        return "\n  possible were:" + "".join(lines)

    def _choices(self) -> Iterator[Choice]:
        """What could happen now, faults and time left aside; in order of processes."""
        for live in self.processes.values():
            name = live.name
            for source in self.processes:
                pool = self._routes[source].get(name)
                letters = pool.coming() if isinstance(pool, Pool) and live.gate is None else ()
                if not self._apart(source, name):
                    texts = dict.fromkeys(letter.text for letter in letters)
                    yield from (Choice(Kind.DELIVER, name, source, text) for text in texts)
            if isinstance(live, ScriptedClient):
                if live.waits is not None:
                    yield Choice(Kind.FIRE, name, what=live.waits[0])
                if live.asks is not None:
                    yield Choice(Kind.INVOKE, name, what=_asked(live))
            elif isinstance(live, ScriptedNode):
                if live.status == NEW:
                    yield Choice(Kind.START, name)
                if live.gate is None:
                    yield from (Choice(Kind.FIRE, name, what=each) for each in live.deadlines)
                    yield from (Choice(Kind.ACT, name, what=each) for each in live.enabled())

    # -- what there is -----------------------------------------------------------------------------

    def on_their_way(self) -> Iterator[tuple[Route, Any]]:
        """Every message that may still arrive, with its route, in order of sending."""
        found = [
            (letter.ticket, pool, letter)
            for pool in self.routes()
            if isinstance(pool, Pool)
            for letter in pool.letters
            if not letter.held and not letter.lost
        ]
        yield from ((pool, each.message) for _, pool, each in sorted(found, key=lambda of: of[0]))

    @property
    def is_quiescent(self) -> bool:
        """As of a world: nothing can happen but what changes nothing, and no client is waiting."""
        clients = [each for each in self.processes.values() if isinstance(each, ScriptedClient)]
        waits = any(each.waiting for each in clients)
        return not waits and all(map(self._is_idle, self._choices()))

    def _is_idle(self, choice: Choice) -> bool:
        """True for a delivery that would change nothing, where that is no step."""
        if choice.kind is not Kind.DELIVER or self.delivery == "ordered":
            return False
        live, pool = self.processes[choice.node], self.route(choice.source, choice.node)
        letter = pool.find(choice.what) if isinstance(pool, Pool) else None
        assert letter is not None
        if isinstance(live, LiveClient):
            return not live.awaits(letter.message.number)
        process = live.process
        state = process.disk.tracked(NodeState(UP, live.fields(), tuple(sorted(live.deadlines))))
        event = Event("deliver", freeze(letter.message), choice.source, letter.operation)
        try:
            outcomes = process.run(state, event)
        except HappysimError:
            return False
        return all(each._replace(choosing="", delays=()) == Outcome(state) for each in outcomes)

    # -- what is told ----------------------------------------------------------------------------

    def _do(self, wanted: Choice) -> None:
        kind = wanted.kind
        if kind in OF_MESSAGES:
            self._pass_on(wanted)
        elif kind in _OF_LINKS:
            self._befall_links(wanted)
        elif kind is Kind.INVOKE:
            client = self._process(wanted.node)
            asked = _asked(client) if isinstance(client, ScriptedClient) else ""
            if not isinstance(client, ScriptedClient) or asked != wanted.what:
                raise Impossible(f"{wanted.node} asks for {asked or 'nothing'} now")
            client.ask()
        elif kind is Kind.FIRE and isinstance(self.processes.get(wanted.node), ScriptedClient):
            client = self._process(wanted.node)
            assert isinstance(client, ScriptedClient)
            client.fire(wanted.what)
        else:
            live = self._process(wanted.node)
            if not isinstance(live, ScriptedNode):
                raise Impossible(f"{wanted.node} is a client script")
            live.tell(wanted.choosing, wanted.reading)
            NODE_STEPS[kind](self, live, wanted.what)

    def _process(self, name: str) -> Process:
        if name not in self.processes:
            raise Impossible(f"there is no {name!r} in this world; it has {', '.join(self._sites)}")
        return self.processes[name]

    def _pass_on(self, wanted: Choice) -> None:
        """A message arrives, is lost, or is copied."""
        live = self._process(wanted.node)
        self._process(wanted.source)
        pool = self.route(wanted.source, wanted.node)
        assert isinstance(pool, Pool)
        letter = pool.find(wanted.what)
        if letter is None:
            raise Impossible(f"no such message is on its way from {wanted.source} to {wanted.node}")
        if self.delivery == "ordered" and letter is not pool.letters[0]:
            raise Impossible(f"before it comes {pool.letters[0].text}")
        if wanted.kind is not Kind.DELIVER:
            change = pool.drop if wanted.kind is Kind.DROP else pool.copy
            change(letter)
            assert self.recorder is not None
            self.recorder.lost_or_copied(wanted.kind, pool, letter.message, letter.operation)
            return
        self._deliver(wanted, live, pool, letter)

    def _deliver(self, wanted: Choice, live: Process, pool: Pool, letter: Letter) -> None:
        if letter.lost or letter.held:
            raise Impossible("it is lost" if letter.lost else "a clog holds it back")
        if self._apart(wanted.source, wanted.node):
            raise Impossible("a partition holds it back")
        if isinstance(live, ScriptedNode):
            check_free(live)
            live.tell(wanted.choosing, wanted.reading)
        pool.hand_over(letter)

    def _apart(self, source: str, target: str) -> bool:
        """True where a partition of the world lies between; clients reach both sides."""
        here, there = (
            {at for at, side in enumerate(self._sides) if name in side} for name in (source, target)
        )
        return bool(here and there) and here != there

    def _befall_links(self, wanted: Choice) -> None:
        kind, what = wanted.kind, wanted.what
        source, _, target = what.partition(" -> ")
        if kind is Kind.PARTITION:
            self._sides = tuple(frozenset(side.split(" ")) for side in what.split(" | "))
            self._cuts.append(what)
            self.note(kind, what)
        elif kind is Kind.HEAL:
            self._sides, self._cuts = (), []
            self.note(kind, "")
        elif kind in (Kind.CUT, Kind.MEND):
            clients = [name for name in self.processes if name not in self._names_of_nodes()]
            pairs = pairs_told(what, self._names_of_nodes(), clients)
            if kind is Kind.MEND and what not in self._cuts:
                raise Impossible(f"cut are {self.cuts_text() or 'no links'}")
            (self.cut if kind is Kind.CUT else self.mend)(pairs, what)
        elif kind is Kind.LINK:
            # How a link behaves shows in when messages arrive, and that is told.
            self.note(kind, what)
        else:
            self._process(source)
            self._process(target)
            if kind is Kind.RELEASE and not self.route(source, target).clogs:
                raise Impossible("nothing is held back there")
            (self.clog if kind is Kind.CLOG else self.release)(source, target)

    def _names_of_nodes(self) -> list[str]:
        return [live.name for live in self.nodes]


def _asked(live: ScriptedClient) -> str:
    """The request that a client makes now, as a choice shows it; empty where there is none."""
    request = live.asks
    if request is None:
        return ""
    number = live.script.number
    operation = Operation(live.name, number) if isinstance(request, Request) else None
    return f"{request.to} {message_text(freeze(request.message), operation)}"
