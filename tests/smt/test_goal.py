"""The shortest run: what is claimed of one was asked, and what was excluded is not asked again."""

from __future__ import annotations

import time

import pytest

from happysim import Broken, World, always, bfs, check
from happysim.search.schedule import Run, first_world, follow
from happysim.smt.boxes import Reader
from happysim.smt.closure import close
from happysim.smt.encoding import Encoding
from happysim.smt.goal import Answer, Asked, Limits, Search, steps_of
from happysim.smt.question import wrong_boxes
from happysim.smt.solver import Effort
from happysim.spec.property import Property
from tests.support.nodes import Counter

SHORTEST = 3


def two_counters() -> World:
    return World.of(Counter("n", 3), Counter("m", 3))


@always(two_counters)
def never_three(world: World) -> bool:
    return world["n"].count < SHORTEST


def search_of(prop: Property, best: Answer) -> Search:
    """A search for a run that is shorter than the best."""
    start = first_world(prop.scenario, "")
    closure = close(start)
    boxes = wrong_boxes(Reader(closure.tables, prop.judge).boxes(closure.space)) or []

    def goal(encoding: Encoding) -> object:
        return encoding.z3.Or([encoding.ends_in(box) for box in boxes])

    marks = [list(dict.fromkeys(frozenset(box[slot]) for box in boxes)) for slot in range(2)]
    limits = Limits(time.perf_counter() + 60, 4, "integers", "steps", None, None, Effort())
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
