"""The shortest run: what is claimed of one was asked, and what was excluded is not asked again."""

from __future__ import annotations

import sys
import time

import pytest

from happysim import Broken, World, always, bfs, check
from happysim.search.schedule import Run, first_world, follow
from happysim.smt.asked import Answer, Asked, Limits
from happysim.smt.boxes import Reader
from happysim.smt.closure import close
from happysim.smt.encoding import Encoding
from happysim.smt.goal import Formula, Search, steps_of
from happysim.smt.question import wrong_boxes
from happysim.smt.solver import LATE, SPENT, Effort
from happysim.spec.property import Property
from tests.smt.test_prove import takes_what_was_given
from tests.support.nodes import Counter

SHORTEST = 3


def two_counters() -> World:
    return World.of(Counter("n", 3), Counter("m", 3))


@always(two_counters)
def never_three(world: World) -> bool:
    return world["n"].count < SHORTEST


def search_of(prop: Property, best: Answer | None = None, seconds: float = 60) -> Search:
    """A search for a run that is shorter than the best."""
    start = first_world(prop.scenario, "")
    closure = close(start)
    boxes = wrong_boxes(Reader(closure.tables, prop.judge).boxes(closure.space)) or []

    def goal(encoding: Encoding) -> object:
        return encoding.z3.Or([encoding.ends_in(box) for box in boxes])

    marks = [list(dict.fromkeys(frozenset(box[slot]) for box in boxes)) for slot in range(2)]
    limits = Limits(time.perf_counter() + seconds, 4, "integers", "steps", None, None, Effort())
    return Search(closure, prop, limits, Asked(goal, marks, boxes), best)


def longer_by(more: int) -> Run:
    """The shortest run to a wrong world after so many steps of the other process."""
    verdict = check(never_three, by=bfs())
    assert isinstance(verdict, Broken)
    assert len(verdict.schedule) == SHORTEST
    start = first_world(never_three.scenario, "")
    other = [choice for choice, _ in start.steps() if str(choice) == "act m up"]
    run = follow(start, [*other * more, *verdict.schedule], never_three)
    assert run.wrong is not None
    return run


@pytest.mark.parametrize("more", [0, 1, 3])
@pytest.mark.parametrize("excluded", [-1, 0, SHORTEST - 1])
def test_a_run_is_called_the_shortest_where_no_shorter_one_is_left(
    more: int, excluded: int
) -> None:
    """Whatever number of steps is known to be too few, the last of them too."""
    search = search_of(never_three, Answer(longer_by(more)))
    search.excluded = excluded
    answer = search.run()
    assert answer.run is not None
    assert (steps_of(answer.run), answer.shortest) == (SHORTEST, True)


def test_what_is_excluded_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """So a run of one step more is the shortest, whatever a solver would say."""
    search = search_of(never_three, Answer(longer_by(1)))
    search.excluded = SHORTEST
    monkeypatch.setattr(Search, "ask_up_to", lambda *_: pytest.fail("it is asked"))
    answer = search.run()
    assert answer.run is not None
    assert (steps_of(answer.run), answer.shortest) == (SHORTEST + 1, True)


def test_a_formula_that_is_too_much_work_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(search_of(never_three).runs_of(SHORTEST, Effort(100_000)), Formula)
    assert search_of(never_three).runs_of(SHORTEST - 1, Effort()) is None
    monkeypatch.setattr(
        sys.modules["happysim.smt.goal"], "Encoding", lambda *_, **__: pytest.fail("it is made")
    )
    assert search_of(never_three).runs_of(SHORTEST, Effort(7_000)) == SPENT
    assert search_of(never_three, seconds=0.001).runs_of(SHORTEST, Effort()) == LATE


def test_copies_that_are_counted_are_work() -> None:
    """One step sends, and two take: each of these knows of all three."""
    left = []
    for counted in ({}, {0: None}):
        search, effort = search_of(takes_what_was_given), Effort(1_000_000)
        search.counted = counted
        assert isinstance(search.runs_of(3, effort), Formula)
        left.append(effort.left or 0)
    assert left[0] - left[1] == 6 * sys.modules["happysim.smt.goal"]._EFFORT_PAIR


@pytest.mark.parametrize(
    ("pair", "effort", "why"),
    [(1, 1_000_000, ""), (1_000_000, 1_000_000, SPENT), (10**9, None, LATE)],
)
def test_copies_are_not_counted_where_that_is_too_much_work(
    pair: int, effort: int | None, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the effort or, where that has no limit, of the time."""
    monkeypatch.setattr(sys.modules["happysim.smt.goal"], "_EFFORT_PAIR", pair)
    search = search_of(takes_what_was_given)
    answer = search.ask(search.all_runs(1), Effort(effort))
    assert answer.unknown == why
    assert search.counted == ({} if why else {0: None})
