"""Two-phase commit in other model checkers, and in this one: one run, timed, on any interpreter.

    python two_phase.py musil 7          prints: unique states, CPU seconds

Each peer is asked twice. `minicheck` and `musil` have the model that their documentation leads to:
named fields, tuples and frozen sets; guarded actions, five a manager. The packed
ones are as fast as the interfaces allow, and nobody's first draft: a state is one integer of bits
that only ever get set, and a step sets bits. Loops from a state to itself are left out of all four,
and one invariant is judged in every state.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

STATES_MAX = 10**9
Run = Callable[[], int]


# -- as documented ---------------------------------------------------------------------------------


def minicheck(managers: int) -> Run:
    """A state is a tuple of fields; a function gives all (label, next state)."""
    from minicheck import Protocol  # noqa: PLC0415 - one peer at a time is there to be imported

    def transitions(state: Any) -> list[tuple[str, Any]]:
        rm, tm, noted, sent = state
        found: list[tuple[str, Any]] = []
        if tm == "init":
            found.append(("tm aborts", (rm, "aborted", noted, sent | {"abort"})))
            if len(noted) == managers:
                found.append(("tm commits", (rm, "committed", noted, sent | {"commit"})))
        for i, at in enumerate(rm):

            def goes(to: str, i: int = i) -> tuple[str, ...]:
                return (*rm[:i], to, *rm[i + 1 :])

            if tm == "init" and i in sent and i not in noted:
                found.append((f"{i} is noted", (rm, tm, noted | {i}, sent)))
            if at == "working":
                found.append((f"{i} prepares", (goes("prepared"), tm, noted, sent | {i})))
                found.append((f"{i} chooses to abort", (goes("aborted"), tm, noted, sent)))
            if "commit" in sent and at != "committed":
                found.append((f"{i} commits", (goes("committed"), tm, noted, sent)))
            if "abort" in sent and at != "aborted":
                found.append((f"{i} aborts", (goes("aborted"), tm, noted, sent)))
        return found

    model = Protocol(
        name="two-phase commit",
        candidate=False,
        fields=("rm", "tm", "noted", "sent"),
        initial=(("working",) * managers, "init", frozenset(), frozenset()),
        transitions=transitions,
        invariants={"agree": lambda at: not ("aborted" in at["rm"] and "committed" in at["rm"])},
    )
    return lambda: _minicheck_states(model)


def _minicheck_states(model: Any) -> int:
    from minicheck import check_safety  # noqa: PLC0415

    result = check_safety(model, max_states=STATES_MAX)
    assert result["exhaustive"]
    assert result["properties"]["agree"]["holds"]
    return int(result["reachable_states"])


class State(NamedTuple):
    """The state that musil sees: a named tuple, which is faster there than a frozen dataclass."""

    rm: tuple[str, ...]
    tm: str = "init"
    noted: frozenset[int] = frozenset()
    sent: frozenset[Any] = frozenset()

    def goes(self, i: int, to: str) -> tuple[str, ...]:
        return (*self.rm[:i], to, *self.rm[i + 1 :])


def musil(managers: int) -> Run:
    """A state has named fields; a step is an action with a guard."""
    from musil import Action, Model  # noqa: PLC0415

    def of_manager(i: int) -> Iterator[Any]:
        yield Action(
            f"{i} is noted",
            lambda s: s.tm == "init" and i in s.sent and i not in s.noted,
            lambda s: s._replace(noted=s.noted | {i}),
        )
        yield Action(
            f"{i} prepares",
            lambda s: s.rm[i] == "working",
            lambda s: s._replace(rm=s.goes(i, "prepared"), sent=s.sent | {i}),
        )
        yield Action(
            f"{i} chooses to abort",
            lambda s: s.rm[i] == "working",
            lambda s: s._replace(rm=s.goes(i, "aborted")),
        )
        yield Action(
            f"{i} commits",
            lambda s: "commit" in s.sent and s.rm[i] != "committed",
            lambda s: s._replace(rm=s.goes(i, "committed")),
        )
        yield Action(
            f"{i} aborts",
            lambda s: "abort" in s.sent and s.rm[i] != "aborted",
            lambda s: s._replace(rm=s.goes(i, "aborted")),
        )

    model = Model(
        init=[State(("working",) * managers)],
        actions=[
            Action(
                "tm commits",
                lambda s: s.tm == "init" and len(s.noted) == managers,
                lambda s: s._replace(tm="committed", sent=s.sent | {"commit"}),
            ),
            Action(
                "tm aborts",
                lambda s: s.tm == "init",
                lambda s: s._replace(tm="aborted", sent=s.sent | {"abort"}),
            ),
            *(each for i in range(managers) for each in of_manager(i)),
        ],
        invariants={"agree": lambda s: not ("aborted" in s.rm and "committed" in s.rm)},
        terminal=lambda s: True,
    )
    return lambda: _musil_states(model)


def _musil_states(model: Any) -> int:
    from musil import check  # noqa: PLC0415

    result = check(model, max_states=STATES_MAX)
    assert result.ok
    assert not result.truncated
    return int(result.states_explored)


# -- packed into bits ------------------------------------------------------------------------------


class Bits(NamedTuple):
    """The bits of one manager."""

    sent: int
    noted: int
    committed: int
    aborted: int


class Packed:
    """Which bit of a state means what. What else there is to know of a state follows from these."""

    def __init__(self, managers: int) -> None:
        self.rows = [
            Bits(*(1 << (what * managers + i) for what in range(4))) for i in range(managers)
        ]
        self.tm_committed = 1 << 4 * managers
        self.tm_aborted = 2 << 4 * managers
        self.running = 4 << 4 * managers  # always set: no state is 0
        self.all_noted = sum(row.noted for row in self.rows)
        self.any_committed = sum(row.committed for row in self.rows)
        self.any_aborted = sum(row.aborted for row in self.rows)

    def agrees(self, state: int) -> bool:
        return not (state & self.any_committed and state & self.any_aborted)

    def steps(self, step: Callable[[str, int], Any]) -> Callable[[int], list[Any]]:
        """A function from a state to its steps, each made once by `step(label, bits to set)`."""
        tm_committed, tm_aborted, all_noted = self.tm_committed, self.tm_aborted, self.all_noted
        tm_commits, tm_aborts = step("tm commits", tm_committed), step("tm aborts", tm_aborted)
        rows = [
            (
                *row,
                step("is noted", row.noted),
                [step("prepares", row.sent), step("chooses to abort", row.aborted)],
                step("commits", row.committed),
                step("aborts", row.aborted),
            )
            for row in self.rows
        ]

        def of(state: int) -> list[Any]:
            if state & tm_committed:
                return [row[6] for row in rows if not state & row[2]]
            found = []
            if state & tm_aborted:
                for sent, _, _, aborted, _, works, _, aborts in rows:
                    if not state & aborted:
                        found.append(aborts)
                        if not state & sent:
                            found += works
                return found
            found.append(tm_aborts)
            if state & all_noted == all_noted:
                found.append(tm_commits)
            for sent, noted, _, aborted, notes, works, _, _ in rows:
                if state & sent:
                    if not state & noted:
                        found.append(notes)
                elif not state & aborted:
                    found += works
            return found

        return of


def minicheck_packed(managers: int) -> Run:
    """The state of the packed model, as the one field that a tuple must have."""
    from minicheck import Protocol  # noqa: PLC0415

    packed = Packed(managers)
    steps = packed.steps(lambda label, bits: (label, bits))
    model = Protocol(
        name="two-phase commit",
        candidate=False,
        fields=("state",),
        initial=(packed.running,),
        transitions=lambda at: [(label, (at[0] | bits,)) for label, bits in steps(at[0])],
        invariants={"agree": lambda at: packed.agrees(at["state"])},
    )
    return lambda: _minicheck_states(model)


def musil_packed(managers: int) -> Run:
    """Guards and steps run without a Python frame: `bool` holds of every state, and none is 0."""
    from musil import Action, Model  # noqa: PLC0415

    packed = Packed(managers)
    model = Model(
        init=[packed.running],
        actions_fn=packed.steps(lambda label, bits: Action(label, bool, bits.__or__)),
        invariants={"agree": packed.agrees},
        terminal=lambda state: True,
    )
    return lambda: _musil_states(model)


# -- ours ------------------------------------------------------------------------------------------


def happysim(managers: int) -> Run:
    """Nodes that exchange messages, run from nothing: no table is filled yet."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from happysim import Scenario, explore  # noqa: PLC0415
    from tests.oracles.models.two_phase import managers_agree, messages  # noqa: PLC0415

    scenario = Scenario(messages, (("managers", managers),))
    judged = managers_agree.over(scenario)

    def run() -> int:
        report = explore(scenario, judged)
        assert report.complete
        assert report[judged].holds
        return report.worlds

    return run


RUNS = {run.__name__: run for run in (happysim, minicheck, musil, minicheck_packed, musil_packed)}


def main() -> None:
    run = RUNS[sys.argv[1]](int(sys.argv[2]))
    began = time.process_time()
    worlds = run()
    print(worlds, time.process_time() - began)


if __name__ == "__main__":
    main()
