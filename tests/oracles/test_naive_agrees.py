"""The engine and a search that remembers nothing agree on protocols drawn at random.

Each protocol is a table: what a node does, by its local state and by what happens to it. The naive
search runs the same node classes and shares no code with the engine; see benchmarks/naive.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from hypothesis import HealthCheck, Phase, event, example, given, settings
from hypothesis import strategies as st

from benchmarks import naive
from happysim import (
    Faults,
    Node,
    Property,
    Report,
    Script,
    World,
    always,
    bfs,
    dfs,
    duplicating,
    explore,
    ordered,
    quiescent,
    reachable,
    step_always,
    unlimited,
    unordered,
)
from tests.oracles.models.tabled import Blue, Grant, Red, Rule, Tabled, asks

# A larger space is compared up to the last depth that fits.
WORLDS_MAX = 120


class Case(NamedTuple):
    """A world to be, and what is judged of it."""

    processes: tuple[Node | Script, ...]
    faults: Faults
    network: Any
    judged: tuple[int, ...]  # local states, and a number of copies
    history: bool  # whether the clients' history is part of a world
    bound: str = ""  # a name in BOUNDS

    def scenario(self) -> World:
        return World.of(*self.processes, faults=self.faults, network=self.network)


BOUNDS: dict[str, Callable[[Any], bool] | None] = {
    "": None,
    "local states": lambda world: world["n1"].state != 1,
    "messages": lambda world: len(world.in_flight) < 3,
}
MESSAGES = [Red(0), Red(1), Red(True), Blue(0), Blue(1)]
TRIGGERS = ["start", "act", "act too", "tick", "tock"]
NAMES = ("n1", "n2", "n3")

# What a case is mostly about. A rare fault is found by looking for it.
THEMES = ("mixed", "links", "disk", "clients")


def steps_of(theme: str, states: int, sent: Any) -> st.SearchStrategy[Any]:
    """One step of an effect, drawn with the weights of the theme."""
    state = st.integers(0, states - 1)
    timer, value = st.sampled_from(["tick", "tock"]), st.sampled_from([0, 1, True, 2, 3])
    go = st.tuples(st.just("go"), state)
    sends = [
        st.tuples(st.just("send"), st.integers(0, 2), sent),
        st.tuples(st.sampled_from(["tell all", "reply"]), sent),
    ]
    others = [
        st.tuples(st.just("choose"), state, state, state),
        st.tuples(st.just("set"), timer),
        st.tuples(st.just("cancel"), timer),
        st.tuples(st.just("note"), value),
    ]
    writes = [st.tuples(st.sampled_from(["keep", "append"]), value), st.just(("sync",))]
    syncs = [st.just(("sync",)), st.tuples(st.just("try to sync"), state)]
    answers = [
        st.tuples(
            st.just("answer"), st.one_of(value, st.builds(Grant, st.sampled_from(NAMES[:2])))
        ),
        st.tuples(st.just("reply"), sent),
        st.just(("remember asker",)),
    ]
    records = [st.tuples(st.sampled_from(["invoke", "complete", "ask"]), value)]
    return st.one_of(
        {
            "mixed": [go, go, *sends, *others, *writes, *records],
            "links": [go, *sends, *sends, *others[:1]],
            "disk": [go, *writes, *writes, *writes[:1], *syncs, sends[0], others[1], *records],
            "clients": [go, *answers, *answers[:1], sends[0], *others[:1], *records],
        }[theme]
    )


@st.composite
def some_faults(draw: Any, theme: str) -> Faults:
    few = st.sampled_from([0, 0, 0, 1])
    likely = st.sampled_from([0, 1])
    links = theme == "links"
    return Faults(
        drops=draw(st.sampled_from([0, 0, 1, unlimited])),
        duplicates=draw(likely if links else few),
        crashes=draw(st.integers(1, 2) if theme == "disk" else st.sampled_from([0, 0, 0, 1, 2])),
        restarts=draw(st.sampled_from([None, 0, 1])),
        partitions=draw(few if theme in ("mixed", "disk") else st.integers(0, 2)),
        heals=draw(st.sampled_from([None, 0, 1])),
        down_max=draw(st.sampled_from([unlimited, 1])),
        crashable=draw(st.sampled_from([(), ("n1",)])),
        splits=draw(st.sampled_from([(), (("n1",),), (("n1",), ("n2",))])),
        unsynced_loss=theme == "disk" or draw(st.booleans()),
        fills=draw(st.sampled_from([0, 1, 1, 2]) if theme == "disk" else few),
        frees=draw(st.sampled_from([None, None, 0, 1])),
    )


def favourites(theme: str, effect: Any, sent: Any) -> st.SearchStrategy[tuple[Rule, ...]]:
    """Rules that make what the theme is about likely."""
    if theme == "disk":
        # Writes again and again, so that a crash may lose more than one; or syncs between writes.
        write = st.tuples(st.just("keep"), st.integers(0, 3))
        sync = st.just(("sync",))
        syncing = st.tuples(write, sync, write, sync, write)
        acts = st.builds(Rule, st.just("act"), st.just(0), st.one_of(effect, syncing))
        return st.tuples(acts)
    if theme == "links":
        # Two messages on one link, whose order may matter.
        two = st.tuples(*[st.tuples(st.just("send"), st.just(0), sent) for _ in range(2)])
        return st.one_of(st.just(()), st.tuples(st.builds(Rule, st.just("start"), st.just(0), two)))
    if theme == "clients":
        # Requests that get an answer or two; and some that a node records, and stays as it was.
        said = st.tuples(st.sampled_from(["answer", "ask"]), st.integers(0, 2))
        replied = st.tuples(st.just("reply"), sent)
        told = st.lists(st.one_of(said, replied), min_size=1, max_size=2).map(tuple)
        heard = st.builds(Rule, sent.map(repr), st.just(0), told)
        return st.one_of(st.just(()), st.tuples(heard))
    return st.just(())


@st.composite
def cases(draw: Any) -> Case:
    theme = draw(st.sampled_from(THEMES))
    nodes, states = draw(st.integers(2, 3)), draw(st.integers(2, 4))
    faults = draw(some_faults(theme))
    # Few messages in one case, so that most that are sent find a rule.
    pool = draw(st.lists(st.sampled_from(MESSAGES), min_size=2, max_size=3, unique_by=repr))
    sent = st.sampled_from(pool)
    step = steps_of(theme, states, sent)
    effect = st.lists(step, min_size=1, max_size=4 if theme == "disk" else 3).map(tuple)
    # A first start that raises would leave no world at all; a later handler may raise.
    failing = st.just((("go", 1), ("raise",)))
    later = st.integers(0, 15).flatmap(lambda die: effect if die else failing)
    trigger = st.one_of(st.sampled_from(TRIGGERS), sent.map(repr))
    rule = st.builds(Rule, trigger, st.integers(0, states - 1), later)
    processes: list[Node | Script] = []
    for name in NAMES[:nodes]:
        start = Rule("start", 0, draw(effect))
        rules = draw(st.lists(rule, min_size=2, max_size=7))
        processes.append(Tabled(name, (*draw(favourites(theme, effect, sent)), start, *rules)))
    how = st.sampled_from(["call", "call", "try", "try", "post", "sleep"])
    request = st.tuples(st.sampled_from(NAMES[:nodes]), sent, how)
    clients = draw(st.integers(1, 2)) if theme == "clients" else 0
    for number in range(clients):
        plan = draw(st.lists(request, min_size=2, max_size=3))
        processes.append(Script(f"c{number + 1}", asks, tuple(plan)))
    judged = (*(draw(st.integers(0, states - 1)) for _ in range(3)), draw(st.integers(1, 2)))
    networks = [unordered(), ordered(), duplicating()] + [ordered()] * (theme == "links")
    network = draw(st.sampled_from(networks))
    bound = draw(st.sampled_from(["", "", *BOUNDS]))
    return Case(tuple(processes), faults, network, judged, draw(st.booleans()), bound)


def properties(case: Case) -> tuple[Property, ...]:
    """Properties of every sort, over the local states and messages that the case names."""
    one, other, third, copies = case.judged

    @always(case.scenario)
    def local_states(world: Any) -> bool:
        return (world["n1"].state, world["n2"].state) != (one, other)

    @always(case.scenario)
    def messages_in_flight(world: Any) -> bool:
        found = [each for each in world.in_flight if each.target == "n2"]
        return sum(isinstance(each.message, Red) for each in found) < copies

    @step_always(case.scenario)
    def steps(before: Any, after: Any) -> bool:
        went = (before["n2"].state, after["n2"].state)
        return went != (one, other) and before["n1"].kept <= after["n1"].kept

    @quiescent(case.scenario)
    def ends(world: Any) -> bool:
        return world["n1"].state != third

    @reachable(case.scenario)
    def a_node_is_down_while_a_timer_is_set(world: Any) -> bool:
        return not world["n1"].is_up and world["n2"].timers == ("tick",)

    @always(case.scenario)
    def answers(world: Any) -> bool:
        return len(world.history.completed) <= copies

    found = [local_states, messages_in_flight, steps, ends, a_node_is_down_while_a_timer_is_set]
    return (*found, answers) if case.history else tuple(found)


def choices_found(report: Report) -> dict[str, int]:
    """The number of choices to what was broken or reached, by property."""
    return {
        prop.name: len(verdict.schedule)
        for prop, verdict in report.verdicts.items()
        if getattr(verdict, "schedule", None) is not None
    }


# Cases that are drawn too rarely: a second answer to a call that has one, while the next is open;
# an answer to a call that timed out, while the next is open; a grant released now, or at the end;
# two crashes, but one node down at a time; a crash for want of room while another node is down.
TWICE = Tabled("n1", (Rule("Red(kind=0)", 0, (("answer", 0), ("answer", 1))),))
ASKING = Script("c1", asks, (("n1", Red(0)), ("n1", Red(0))))
STALE_ANSWER = Case((TWICE, Tabled("n2", ()), ASKING), Faults(), unordered(), (1, 1, 1, 1), True)
RETRYING = Script("c1", asks, (("n1", Red(0), "try"), ("n1", Red(0), "sleep"), ("n1", Red(0))))
LATE_ANSWER = Case((TWICE, Tabled("n2", ()), RETRYING), Faults(), unordered(), (1, 1, 1, 1), True)
GRANTS = Tabled("n1", (Rule("Red(kind=0)", 0, (("answer", Grant("n2")),)),))
GRANTED = Tabled("n2", (Rule("Blue(kind=0)", 0, (("answer", 0), ("go", 1))),))
HOLDING = Script("c1", asks, (("n1", Red(0), "try"), ("n1", Red(0)), ("n2", Blue(1), "post")))
RELEASED = Case((GRANTS, GRANTED, HOLDING), Faults(), unordered(), (1, 1, 1, 1), True)
SYNCS = (Rule("act", 0, (("keep", 1), ("sync",), ("go", 1))),)
FULL = Case(
    (Tabled("n1", SYNCS), Tabled("n2", SYNCS)),
    Faults(fills=2, crashes=1, down_max=1, unsynced_loss=True),
    ordered(),
    (1, 1, 1, 1),
    False,
)
IDLE = (Tabled("n1", ()), Tabled("n2", ()))
ONE_DOWN = Case(IDLE, Faults(crashes=2, down_max=1), unordered(), (1, 1, 1, 1), False)


# Without the phase that explains a failure: it runs for a minute.
@settings(
    max_examples=120,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)
@given(cases())
@example(STALE_ANSWER)
@example(LATE_ANSWER)
@example(RELEASED)
@example(FULL)
@example(ONE_DOWN)
def test_engine_and_naive_search_agree_on_random_protocols(case: Case) -> None:
    first = case.scenario()
    options: dict[str, Any] = {"history": case.history, "within": BOUNDS[case.bound]}
    if case.bound and not BOUNDS[case.bound](first):
        options["within"] = None
    counted = explore(first, by=bfs(), max_worlds=WORLDS_MAX, **options)
    depth = options["max_depth"] = None if counted.complete else counted.depth - 1
    event(f"{case.network.kind} {'cut' if depth else 'all'} {len(str(counted.worlds))}")
    if depth == 0:
        return
    judged = properties(case)
    start = naive.start(*case.processes, faults=case.faults, network=case.network)
    wanted = naive.explore(start, *judged, **options)

    counted = explore(first, by=bfs(), **options)
    assert (counted.worlds, counted.steps, counted.depth) == (
        wanted.worlds,
        wanted.steps,
        wanted.depth,
    )
    raised = wanted.broken.pop("no_handler_raises", None)
    assert choices_found(counted).get("no_handler_raises") == raised

    deep = explore(first, by=dfs(), **options)
    assert (deep.worlds, deep.steps) == (wanted.worlds, wanted.steps)

    found = choices_found(explore(case.scenario, *judged, **options))
    found.pop("no_handler_raises", None)
    assert found == wanted.broken
    # Alone, a property is not asked because another one must be.
    for prop in judged:
        for by in (bfs(), dfs()):
            choices = choices_found(explore(first, prop, by=by, **options)).get(prop.name)
            assert (choices is None) == (prop.name not in wanted.broken)
            assert by == dfs() or choices == wanted.broken.get(prop.name)
