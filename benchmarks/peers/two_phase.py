"""Two-phase commit for other model checkers, and for this one: one run, timed, on any interpreter.

    python two_phase.py minicheck 7     prints: unique states, CPU seconds

The peers' models are as fast as their interfaces allow. A state is one integer of bits that only
ever get set, a step sets bits, and loops from a state to itself are left out. A state says of each
manager: has sent Prepared, was noted as prepared, has committed, has aborted; and of the
coordinator: has committed, has aborted. What a manager's state is, and which messages were sent,
follows. The invariant is judged in every state.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

SENT, NOTED, COMMITTED, ABORTED = range(4)


class Bits(NamedTuple):
    """The bits of one manager."""

    sent: int
    noted: int
    committed: int
    aborted: int


class Layout:
    """Which bit of a state means what, for so many managers."""

    def __init__(self, managers: int) -> None:
        self.managers = [
            Bits(*(1 << (what * managers + i) for what in range(4))) for i in range(managers)
        ]
        self.tm_committed = 1 << 4 * managers
        self.tm_aborted = 2 << 4 * managers
        self.running = 4 << 4 * managers  # always set: no state is 0
        self.all_noted = sum(bits.noted for bits in self.managers)
        self.any_committed = sum(bits.committed for bits in self.managers)
        self.any_aborted = sum(bits.aborted for bits in self.managers)

    def agrees(self, state: int) -> bool:
        return not (state & self.any_committed and state & self.any_aborted)


def minicheck(managers: int) -> Callable[[], int]:
    """`check_safety`: a function from a state, a tuple, to all (label, next state)."""
    from minicheck import Protocol, check_safety  # noqa: PLC0415 - there is only one peer at a time

    layout = Layout(managers)
    tm_committed, tm_aborted, all_noted = layout.tm_committed, layout.tm_aborted, layout.all_noted
    rows = layout.managers

    def transitions(packed: tuple[int]) -> list[tuple[str, tuple[int]]]:
        (state,) = packed
        if state & tm_committed:
            return [("committed", (state | row[2],)) for row in rows if not state & row[2]]
        found: list[tuple[str, tuple[int]]] = []
        if state & tm_aborted:
            for sent, _, _, aborted in rows:
                if not state & aborted:
                    found.append(("told to abort", (state | aborted,)))
                    if not state & sent:
                        found.append(("prepares", (state | sent,)))
                        found.append(("chooses to abort", (state | aborted,)))
            return found
        found.append(("tm aborts", (state | tm_aborted,)))
        if state & all_noted == all_noted:
            found.append(("tm commits", (state | tm_committed,)))
        for sent, noted, _, aborted in rows:
            if state & sent:
                if not state & noted:
                    found.append(("noted", (state | noted,)))
            elif not state & aborted:
                found.append(("prepares", (state | sent,)))
                found.append(("chooses to abort", (state | aborted,)))
        return found

    model = Protocol(
        name="two-phase commit",
        candidate=False,
        fields=("state",),
        initial=(layout.running,),
        transitions=transitions,
        invariants={"managers agree": lambda fields: layout.agrees(fields["state"])},
    )

    def run() -> int:
        result = check_safety(model, max_states=10**9)
        assert result["exhaustive"] and result["properties"]["managers agree"]["holds"]
        return int(result["reachable_states"])

    return run


def musil(managers: int) -> Callable[[], int]:
    """`check`: a function from a state to its actions, each a guard and a function to the next."""
    from musil import Action, Model, check  # noqa: PLC0415

    layout = Layout(managers)
    tm_committed, tm_aborted, all_noted = layout.tm_committed, layout.tm_aborted, layout.all_noted

    def sets(name: str, bit: int) -> Any:
        # `bool` is a guard that always holds: no state is 0. Both run without a Python frame.
        return Action(name, bool, bit.__or__)

    tm_commits, tm_aborts = sets("tm commits", tm_committed), sets("tm aborts", tm_aborted)
    rows = [
        (
            *bits,
            sets("prepares", bits.sent),
            sets("noted", bits.noted),
            sets("committed", bits.committed),
            sets("chooses to abort", bits.aborted),
            sets("told to abort", bits.aborted),
        )
        for bits in layout.managers
    ]

    def actions(state: int) -> list[Any]:
        if state & tm_committed:
            return [row[6] for row in rows if not state & row[2]]
        found = []
        if state & tm_aborted:
            for sent, _, _, aborted, prepares, _, _, chooses, told in rows:
                if not state & aborted:
                    found.append(told)
                    if not state & sent:
                        found += (prepares, chooses)
            return found
        found.append(tm_aborts)
        if state & all_noted == all_noted:
            found.append(tm_commits)
        for sent, noted, _, aborted, prepares, notes, _, chooses, _ in rows:
            if state & sent:
                if not state & noted:
                    found.append(notes)
            elif not state & aborted:
                found += (prepares, chooses)
        return found

    model = Model(
        init=[layout.running],
        actions_fn=actions,
        invariants={"managers agree": layout.agrees},
        terminal=lambda state: True,
    )

    def run() -> int:
        result = check(model, max_states=10**9)
        assert result.ok and not result.truncated
        return int(result.states_explored)

    return run


def happysim(managers: int) -> Callable[[], int]:
    """`explore`, over nodes that exchange messages; the model is made anew, so nothing is known."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from happysim import Scenario, explore  # noqa: PLC0415
    from tests.oracles.models.two_phase import managers_agree, messages  # noqa: PLC0415

    scenario = Scenario(messages, (("managers", managers),))
    judged = managers_agree.over(scenario)

    def run() -> int:
        report = explore(scenario, judged)
        assert report.complete and report[judged].holds
        return report.worlds

    return run


def main() -> None:
    which, managers = sys.argv[1], int(sys.argv[2])
    run = {"minicheck": minicheck, "musil": musil, "happysim": happysim}[which](managers)
    began = time.process_time()
    worlds = run()
    print(worlds, time.process_time() - began)


if __name__ == "__main__":
    main()
