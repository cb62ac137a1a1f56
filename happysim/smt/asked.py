"""Asked: what is asked of one closure, how far an answer may be looked for, and the answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from happysim.core.world import World
from happysim.search.schedule import Run
from happysim.smt.ahead import Ends
from happysim.smt.boxes import Box
from happysim.smt.closure import RAISED, Closure
from happysim.smt.encoding import Encoding
from happysim.smt.reduce import Marks
from happysim.smt.solver import Effort


class Limits(NamedTuple):
    """How far to go.

    `least` says what a run has to have least of: "steps", "faults" or "" for neither. `steps_max`
    bounds runs, and `within` is a bound that every world of a replay has to keep to. `effort` is
    what is left of the solver's, and becomes less. `search` looks for a run in another way, where a
    first turn of the solver has not decided.
    """

    deadline: float
    layers_max: int
    clock: str
    least: str
    steps_max: int | None
    within: Callable[[World], str | None] | None
    effort: Effort
    search: Callable[[], Answer | None] = lambda: None

    @property
    def seconds(self) -> float:
        """What is left of the time."""
        return self.deadline - time.perf_counter()


@dataclass
class Answer:
    """A run, a reason for not knowing, or neither: proved. `shortest` is proved too.

    `faults` says what is known of runs with fewer of them.
    """

    run: Run | None = None
    unknown: str = ""
    shortest: bool = False
    note: str = ""
    faults: str = ""
    evaluations: int = 0

    @property
    def is_proof(self) -> bool:
        """True where no run does it."""
        return self.run is None and not self.unknown


# What is asked: the goal as a formula over an encoding.
Goal = Callable[[Encoding], Any]


class Asked(NamedTuple):
    """A question: a goal, where runs to it end, and the sets of local states that it tells apart.

    `ends` are the combinations of local states that a run ends in one of; empty where it may end
    anywhere. With `raising` it ends with a step that raises instead.
    """

    goal: Goal
    marks: Marks
    ends: Sequence[Box] = ()
    raising: bool = False

    def ends_of(self, closure: Closure) -> list[Ends]:
        """The ends, by the vertices of a closure."""
        if self.raising:
            slots = range(len(closure.graphs))
            raised = frozenset({RAISED})
            return [tuple(raised if s == slot else None for s in slots) for slot in slots]
        ends = []
        for box in self.ends:
            end: list[frozenset[int] | None] = []
            for graph, states in zip(closure.graphs, box, strict=True):
                wanted = set(states)
                at = frozenset(
                    v for v, vertex in enumerate(graph.vertices) if vertex.state in wanted
                )
                end.append(None if len(at) == len(graph.vertices) else at)
            ends.append(tuple(end))
        return ends or [(None,) * len(closure.graphs)]
