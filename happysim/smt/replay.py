"""Replay: from the steps of a model to a schedule that the protocol really has.

A model says what each process does and in which order messages are sent and received. Taken in
order of time that is a schedule, and nothing is believed before the world has taken it. Where a
message is received more often than it was sent, the network has to copy it, within its budget; else
the model is refused, and the message named, so that its copies can be counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from happysim.core.choice import Choice, Kind
from happysim.core.errors import ScheduleError
from happysim.search.schedule import Run, follow
from happysim.smt.closure import Closure
from happysim.smt.encoding import Step
from happysim.smt.reduce import Reduced
from happysim.spec.property import Property


@dataclass(frozen=True)
class Refused:
    """Why a model is no run: messages it has too few copies of (empty: another reason)."""

    short_of: tuple[int, ...] = ()


def lifted(reduced: Reduced, steps: Sequence[Step]) -> list[Step]:
    """The steps of a reduced closure as steps of the full one."""
    at = [0] * len(reduced.became)
    made = []
    for step in steps:
        full = reduced.lift(step.slot, at[step.slot], step.edge)
        at[step.slot] = full.target
        made.append(step._replace(edge=full))
    return made


def is_walk(reduced: Reduced, steps: Sequence[Step]) -> bool:
    """True where each process's steps lead from one to the next, as a relaxed model's may not."""
    at = [0] * len(reduced.became)
    for step in steps:
        if at[step.slot] != step.edge.source:
            return False
        at[step.slot] = step.edge.target
    return True


def schedule_of(closure: Closure, steps: Sequence[Step]) -> list[Choice] | Refused:
    """The choices of full steps, with copies that the network has to make."""
    copies = Counter(closure.first)
    left = closure.ledger.budgets[1]
    duplicates = closure.tables.network.kind == "duplicating"
    choices: list[Choice] = []
    short, copied = [], []
    for place, step in enumerate(steps):
        envelope = step.edge.receives
        if envelope >= 0 and not duplicates:
            if not copies[envelope]:
                short.append(envelope)
            elif copies[envelope] == 1 and left and _wanted_again(steps[place + 1 :], envelope):
                choices.append(_duplicate(closure, envelope))
                copied.append(envelope)
                copies[envelope] += 1
                left -= 1
            copies[envelope] -= 1
        choices.append(step.edge.choice)
        copies.update(step.edge.sends)
    # What the budget was spent on has to be counted, too: it may have been for a better use.
    return Refused(tuple(dict.fromkeys((*short, *copied)))) if short else choices


def _wanted_again(steps: Sequence[Step], envelope: int) -> bool:
    """True where a message is received once more before it is sent again."""
    for step in steps:
        if step.edge.receives == envelope:
            return True
        if envelope in step.edge.sends:
            return False
    return False


def _duplicate(closure: Closure, envelope: int) -> Choice:
    of = closure.tables.envelopes.values[envelope]
    names = closure.tables.names
    return Choice(Kind.DUPLICATE, names[of.target], names[of.source], of.text)


def replayed(
    closure: Closure, reduced: Reduced, steps: Sequence[Step], prop: Property
) -> Run | Refused:
    """The run of a model's steps, if the protocol has it and it breaks (or reaches) the property.

    Raises what the protocol or the property raises on the way: errors of a wrong model are real
    here, since every step before was.
    """
    if not is_walk(reduced, steps):
        return Refused()
    choices = schedule_of(closure, lifted(reduced, steps))
    if isinstance(choices, Refused):
        return choices
    try:
        run = follow(closure.start, choices, prop)
    except ScheduleError:
        return Refused()
    return run if run.wrong is not None else Refused()
