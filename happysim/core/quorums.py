"""Quorum systems: which sets of nodes may act for all, and whether two of them always meet.

A quorum system is a monotone expression over names of nodes: `majority("a", "b", "c")`, weights,
grids, hierarchies, quorums listed one by one, and `&`, `|` of these. A set is a quorum where the
expression holds of it, so a larger set is one too.

**Source**: Gifford, *Weighted voting for replicated data*, 1979; Cheung, Ammar and Ahamad, *The
grid protocol*, 1992; Kumar, *Hierarchical quorum consensus*, 1991; Howard, Malkhi and Spiegelman,
*Flexible Paxos*, 2016; Whittaker et al., *Read-write quorum systems made practical*, 2021
(expressions).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from happysim.core.errors import HappysimError


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


def listed(*quorums: Sequence[str]) -> Quorums:
    """These quorums, and all sets that contain one of them."""
    if not quorums:
        raise QuorumError("listed() holds no quorum; give at least one, as names of nodes")
    return Quorums(1, tuple((sizes(quorum, len(quorum)), 1) for quorum in quorums))


def disjoint(one: Quorums, other: Quorums) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """A least quorum of each that have no node in common; None where every two meet.

    Exact. Equal votes are counted; else it tries ways to deal out the nodes to two sides, which is
    exponential at worst: mind it beyond some twenty nodes. `happysim.smt.quorums.intersect` is not.
    """
    nodes = tuple(dict.fromkeys((*one.nodes, *other.nodes)))
    if _counts(one) and _counts(other) and set(one.nodes) == set(other.nodes):
        meets = one.needed + other.needed > len(nodes)
        sides = None if meets else (nodes[: one.needed], nodes[one.needed :])
    else:
        sides = next(_dealt(one, other, nodes, ((), ())), None)
    return None if sides is None else (least(one, sides[0]), least(other, sides[1]))


def least(system: Quorums, quorum: Sequence[str]) -> tuple[str, ...]:
    """A quorum without the nodes that it does not need."""
    left = tuple(quorum)
    for name in quorum:
        without = tuple(other for other in left if other != name)
        if system.holds(without):
            left = without
    return left


def _counts(system: Quorums) -> bool:
    """Whether any `needed` of the nodes are a quorum, each node being a part with one vote."""
    names = [part for part, vote in system.parts if isinstance(part, str) and vote == 1]
    return len(names) == len(system.parts) == len(set(names))


Sides = tuple[tuple[str, ...], tuple[str, ...]]


def _dealt(one: Quorums, other: Quorums, nodes: Sequence[str], sides: Sides) -> Iterator[Sides]:
    """Ways to deal the nodes to two sides, added to what these have, such that each has a quorum.

    More nodes never unmake a quorum, so a side that has none with all of the rest never will.
    """
    here, there = sides
    if not one.holds((*here, *nodes)) or not other.holds((*there, *nodes)):
        return
    if not nodes:
        yield sides
        return
    yield from _dealt(one, other, nodes[1:], ((*here, nodes[0]), there))
    yield from _dealt(one, other, nodes[1:], (here, (*there, nodes[0])))
