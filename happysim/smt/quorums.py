"""Quorum systems: proved to intersect, or two disjoint quorums named.

A quorum system is a monotone expression over names of nodes: which sets of nodes may act for all.
`majority("a", "b", "c")`, weights, grids, hierarchies, and `&`, `|` of these. A set is a quorum
where the expression holds of it, so a larger set is one too.

**Source**: Gifford, *Weighted voting for replicated data*, 1979; Cheung, Ammar and Ahamad, *The
grid protocol*, 1992; Kumar, *Hierarchical quorum consensus*, 1991; Howard, Malkhi and Spiegelman,
*Flexible Paxos*, 2016; Malkhi and Reiter, *Byzantine quorum systems*, 1998; Whittaker et al.,
*Read-write quorum systems made practical*, 2021 (expressions).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from happysim.core.errors import HappysimError
from happysim.smt.solver import load_z3


class QuorumError(HappysimError):
    """A quorum system that makes no sense."""


@dataclass(frozen=True)
class Quorums:
    """At least `needed` of the weights of `parts`: nodes by name, or expressions again.

    Make one with the functions of this file, and join them with `&` (both) and `|` (either).
    """

    needed: int
    parts: tuple[tuple[str | Quorums, int], ...]

    def __and__(self, other: str | Quorums) -> Quorums:
        return Quorums(2, ((self, 1), (other, 1)))

    def __or__(self, other: str | Quorums) -> Quorums:
        return Quorums(1, ((self, 1), (other, 1)))

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names in the expression, each once, in order of mention."""
        found: dict[str, None] = {}
        for part, _ in self.parts:
            found.update(dict.fromkeys(part.nodes if isinstance(part, Quorums) else (part,)))
        return tuple(found)

    def holds(self, alive: Iterable[str]) -> bool:
        """True where these nodes are, or contain, a quorum."""
        here = frozenset(alive)
        return self.needed <= sum(
            weight
            for part, weight in self.parts
            if (part.holds(here) if isinstance(part, Quorums) else part in here)
        )

    def formula(self, z3: Any, member: Mapping[str, Any]) -> Any:
        """The expression in booleans of z3, one a node."""
        terms = [
            (part.formula(z3, member) if isinstance(part, Quorums) else member[part], weight)
            for part, weight in self.parts
        ]
        return z3.PbGe(terms, self.needed)


def sizes(nodes: Sequence[str], needed: int) -> Quorums:
    """Any `needed` of the nodes. Raises `QuorumError` where there are not as many, or below 1."""
    return weights(dict.fromkeys(_names(nodes), 1), needed)


def majority(*nodes: str) -> Quorums:
    """More than half of the nodes."""
    return sizes(nodes, len(nodes) // 2 + 1)


def weights(votes: Mapping[str, int], needed: int) -> Quorums:
    """Nodes whose votes add up to `needed` (Gifford 1979)."""
    for name, vote in votes.items():
        if not isinstance(vote, int) or vote < 0:
            raise QuorumError(f"{name} has {vote!r} votes; give a whole number of at least 0")
    if not 1 <= needed <= sum(votes.values()):
        raise QuorumError(f"needed={needed} of {sum(votes.values())} votes; give 1 to all of them")
    return Quorums(needed, tuple(votes.items()))


def grid(rows: Sequence[Sequence[str]]) -> tuple[Quorums, Quorums]:
    """The quorums of a grid: (a full row, one node of every row); each meets each of the other."""
    _names([name for row in rows for name in row])
    full = tuple((sizes(row, len(row)), 1) for row in rows)
    cover = tuple((sizes(row, 1), 1) for row in rows)
    return Quorums(1, full), Quorums(len(rows), cover)


def hierarchy(groups: Sequence[str | Quorums], needed: int) -> Quorums:
    """Quorums of `needed` of the groups (Kumar 1991)."""
    if not 1 <= needed <= len(groups):
        raise QuorumError(f"needed={needed} of {len(groups)} groups; give 1 to {len(groups)}")
    return Quorums(needed, tuple((group, 1) for group in groups))


def _names(nodes: Sequence[str]) -> Sequence[str]:
    if isinstance(nodes, str) or len(set(nodes)) < len(nodes) or not nodes:
        raise QuorumError(f"{nodes!r}: give the names of the nodes, each once, at least one")
    return nodes


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
    z3 = load_z3()
    nodes = tuple(dict.fromkeys((*one.nodes, *other.nodes)))
    here, there = _members(z3, "a", nodes), _members(z3, "b", nodes)
    solver = z3.Solver()
    solver.add(one.formula(z3, here), other.formula(z3, there))
    both = [z3.And(here[name], there[name]) for name in nodes]
    solver.add(z3.AtMost(*both, common - 1))
    if solver.check() == z3.unsat:
        return Intersection()
    model = solver.model()
    first = _minimal(one, _chosen(z3, model, here))
    second = _minimal(other, _chosen(z3, model, there))
    return Intersection((first, second), tuple(name for name in first if name in second))


def _members(z3: Any, prefix: str, nodes: Sequence[str]) -> dict[str, Any]:
    return {name: z3.Bool(f"{prefix} {name}") for name in nodes}


def _chosen(z3: Any, model: Any, members: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(name for name, member in members.items() if z3.is_true(model[member]))


def _minimal(system: Quorums, quorum: tuple[str, ...]) -> tuple[str, ...]:
    """A quorum without the nodes that it does not need."""
    for name in quorum:
        without = tuple(other for other in quorum if other != name)
        if system.holds(without):
            quorum = without
    return quorum


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
    z3 = load_z3()
    nodes = tuple(dict.fromkeys(name for system in systems for name in system.nodes))
    up = _members(z3, "up", nodes)
    solver = z3.Solver()
    solver.add(z3.Or([z3.Not(system.formula(z3, up)) for system in systems]))
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
