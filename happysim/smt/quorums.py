"""Quorum systems, by z3: proved to intersect, or two disjoint quorums named.

`happysim.core.quorums` says what a quorum system is, and makes them; their names are here, too.

**Source**: Howard, Malkhi and Spiegelman, *Flexible Paxos*, 2016; Malkhi and Reiter, *Byzantine
quorum systems*, 1998.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from happysim.core.quorums import (
    QuorumError,
    Quorums,
    grid,
    hierarchy,
    least,
    listed,
    majority,
    sizes,
    weights,
)
from happysim.smt.solver import fresh_z3

__all__ = [
    "Intersection",
    "QuorumError",
    "Quorums",
    "Reconfiguration",
    "Tolerance",
    "dissemination",
    "grid",
    "hierarchy",
    "intersect",
    "listed",
    "majority",
    "masking",
    "reconfigure",
    "sizes",
    "tolerance",
    "weights",
]


def formula(system: Quorums, z3: Any, member: Mapping[str, Any]) -> Any:
    """The expression in booleans of z3, one a node."""
    terms = [
        (formula(part, z3, member) if isinstance(part, Quorums) else member[part], weight)
        for part, weight in system.parts
    ]
    return z3.PbGe(terms, system.needed)


@dataclass(frozen=True)
class Intersection:
    """Whether every two quorums meet in enough nodes; else `disjoint` names two that do not.

    `common` are the nodes in both: none, or too few where Byzantine nodes are reckoned with.
    """

    disjoint: tuple[tuple[str, ...], tuple[str, ...]] | None = None
    common: tuple[str, ...] = ()

    @property
    def proved(self) -> bool:
        return self.disjoint is None

    def __str__(self) -> str:
        if self.disjoint is None:
            return "proved: every two quorums meet"
        one, other = ("{" + ", ".join(each) + "}" for each in self.disjoint)
        meet = f"meet in {{{', '.join(self.common)}}} only" if self.common else "are disjoint"
        return f"{one} and {other} {meet}"


def intersect(one: Quorums, other: Quorums | None = None, *, common: int = 1) -> Intersection:
    """Whether every quorum of the one meets every quorum of the other, in `common` nodes at least.

    `other` is the same system by default; for Flexible Paxos pass phase 1 and phase 2. The two
    quorums named are minimal. Raises `SolverMissingError` without z3, `QuorumError` where common is
    below 1.
    """
    if common < 1:
        raise QuorumError(f"common={common}: two quorums that need not meet; give at least 1")
    other = one if other is None else other
    z3 = fresh_z3()
    nodes = tuple(dict.fromkeys((*one.nodes, *other.nodes)))
    here, there = _members(z3, "a", nodes), _members(z3, "b", nodes)
    solver = z3.Solver()
    solver.add(formula(one, z3, here), formula(other, z3, there))
    both = [z3.And(here[name], there[name]) for name in nodes]
    solver.add(z3.AtMost(*both, common - 1))
    if solver.check() == z3.unsat:
        return Intersection()
    model = solver.model()
    first = least(one, _chosen(z3, model, here))
    second = least(other, _chosen(z3, model, there))
    return Intersection((first, second), tuple(name for name in first if name in second))


def _members(z3: Any, prefix: str, nodes: Sequence[str]) -> dict[str, Any]:
    return {name: z3.Bool(f"{prefix} {name}") for name in nodes}


def _chosen(z3: Any, model: Any, members: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(name for name, member in members.items() if z3.is_true(model[member]))


@dataclass(frozen=True)
class Tolerance:
    """Any `crashes` nodes may crash and a quorum is left; `fatal` is a least set that leaves none.

    `fatal` is empty where no crashes are fatal, which a sensible system does not have.
    """

    crashes: int
    fatal: tuple[str, ...]


def tolerance(*systems: Quorums) -> Tolerance:
    """How many crashes leave a quorum of every system, and which fewest crashes leave none.

    Give several systems where all of them are needed to go on: phase 1 and phase 2.
    """
    z3 = fresh_z3()
    nodes = tuple(dict.fromkeys(name for system in systems for name in system.nodes))
    up = _members(z3, "up", nodes)
    solver = z3.Solver()
    solver.add(z3.Or([z3.Not(formula(system, z3, up)) for system in systems]))
    for down in range(len(nodes) + 1):
        solver.push()
        solver.add(z3.AtMost(*(z3.Not(member) for member in up.values()), down))
        if solver.check() == z3.sat:
            model = solver.model()
            fatal = tuple(n for n, member in up.items() if z3.is_false(model.eval(member)))
            return Tolerance(len(fatal) - 1, fatal)
        solver.pop()
    return Tolerance(len(nodes), ())


@dataclass(frozen=True)
class Reconfiguration:
    """Whether quorums of every two configurations that may act at once meet.

    `unsafe` holds the pairs that do not, by name, each with its two disjoint quorums.
    """

    unsafe: tuple[tuple[str, str, Intersection], ...]

    @property
    def proved(self) -> bool:
        return not self.unsafe


def reconfigure(
    old: Mapping[str, Quorums], new: Mapping[str, Quorums] | None = None
) -> Reconfiguration:
    """Whether every quorum of each old configuration meets every quorum of each new one.

    By default new ones are the old ones: all configurations that may be in force at once, such as
    every change of Raft's membership by one server.
    """
    new = old if new is None else new
    unsafe = []
    for (before, one), (after, other) in product(old.items(), new.items()):
        found = intersect(one, other)
        if not found.proved:
            unsafe.append((before, after, found))
    return Reconfiguration(tuple(unsafe))


def dissemination(system: Quorums, byzantine: int) -> Intersection:
    """Two quorums meet in a correct node, though so many lie: enough for self-verifying data.

    Malkhi and Reiter 1998, definition 4.1 (D-consistency): more than `byzantine` in common.
    """
    return intersect(system, common=_faulty(byzantine) + 1)


def masking(system: Quorums, byzantine: int) -> Intersection:
    """Correct nodes outnumber the liars wherever two quorums meet: any data can be told apart.

    Malkhi and Reiter 1998, definition 3.1 (M-consistency): more than twice `byzantine` in common.
    """
    return intersect(system, common=2 * _faulty(byzantine) + 1)


def _faulty(byzantine: int) -> int:
    if not isinstance(byzantine, int) or byzantine < 0:
        raise QuorumError(f"byzantine={byzantine!r}: give a whole number of at least 0")
    return byzantine
