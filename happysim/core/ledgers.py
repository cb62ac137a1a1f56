"""Ledgers: the faults left to a world, and the partition in force; what a fault costs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from happysim.core.choice import Choice, Faults, Kind
from happysim.core.entries import (
    BASE,
    CRASHES,
    FAIL,
    HEAL,
    PARTITION,
    RESTARTS,
    Ledger,
    Numbering,
)
from happysim.core.errors import ScenarioError
from happysim.core.process import NodeProcess, Process


class Ledgers(Numbering):
    """The ledgers of the worlds of one shape, by number. The first has every budget in full."""

    def __init__(self, processes: Sequence[Process], faults: Faults) -> None:
        super().__init__(Ledger(faults.budgets))
        self.faults = faults
        self.names = [each.name for each in processes]
        # Slots of nodes: client scripts reach both sides of a partition.
        self._nodes = [at for at, each in enumerate(processes) if isinstance(each, NodeProcess)]
        self.splits = self._sides()
        self.paid: dict[tuple[int, int], int] = {}
        self._moves: dict[int, tuple[int, ...]] = {}

    def pay(self, ledger: int, cost: int) -> int:
        """The ledger after a fault was paid for; -1 where there is no budget for it."""
        known = self.paid.get((ledger, cost))
        if known is None:
            known = self.paid[ledger, cost] = self._pay(self.values[ledger], cost)
        return known

    def _pay(self, ledger: Ledger, cost: int) -> int:
        if cost == FAIL:
            return self.number(ledger._replace(down=ledger.down + 1))
        down = ledger.down + (cost in CRASHES) - (cost in RESTARTS)
        if not ledger.budgets[cost - 1] or down > max(self.faults.down_max, ledger.down):
            return -1
        budgets = _less(ledger.budgets, cost)
        if cost in BASE:
            if not budgets[BASE[cost] - 1]:
                return -1
            budgets = _less(budgets, BASE[cost])
        return self.number(ledger._replace(budgets=budgets, down=down))

    def was_paid(self, budget: int) -> bool:
        """True where some fault of that index in `Faults.budgets` was ever taken."""
        return any(
            budget + 1 in (cost, BASE.get(cost)) and after >= 0
            for (_, cost), after in self.paid.items()
        ) or (
            budget + 1 in (PARTITION, HEAL)
            and any(ledger.budgets[budget] != self.faults.budgets[budget] for ledger in self.values)
        )

    def network_faults(self, ledger: int) -> list[tuple[int, Choice]]:
        """Partitions and heals possible now: the ledger after each, and its choice."""
        value: Ledger = self.values[ledger]
        made = []
        if value.budgets[PARTITION - 1] and not value.cut:
            for side in self.splits:
                after = Ledger(_less(value.budgets, PARTITION), value.down, side)
                choice = Choice(Kind.PARTITION, what=self.cut_text(side))
                made.append((self.number(after), choice))
        if value.budgets[HEAL - 1] and value.cut:
            after = Ledger(_less(value.budgets, HEAL), value.down)
            made.append((self.number(after), Choice(Kind.HEAL)))
        return made

    def moves(self, ledger: int) -> tuple[int, ...]:
        """The ledgers that a partition or a heal leads to now."""
        known = self._moves.get(ledger)
        if known is None:
            known = tuple(after for after, _ in self.network_faults(ledger))
            self._moves[ledger] = known
        return known

    def cut_text(self, side: frozenset[int]) -> str:
        """A split as text: the names on each side."""
        nodes = self._nodes
        here = " ".join(self.names[slot] for slot in nodes if slot in side)
        there = " ".join(self.names[slot] for slot in nodes if slot not in side)
        return f"{here} | {there}"

    def blocked(self, ledger: int, source: int, target: int) -> bool:
        """True where a partition keeps messages of `source` from `target`."""
        cut = self.values[ledger].cut
        if not cut or source not in self._nodes or target not in self._nodes:
            return False
        return (source in cut) != (target in cut)

    def side_like(self, side: frozenset[int]) -> frozenset[int]:
        """The side by which a partition is told that keeps `side` from the rest.

        Raises `ScenarioError` where no such partition is declared.
        """
        if not side:
            return side
        rest = frozenset(self._nodes) - side
        known = next((each for each in self.splits if each in (side, rest)), None)
        if known is None:
            raise ScenarioError(
                f"Faults(splits=...) lists no partition {self.cut_text(side)}, but one that "
                "symmetric nodes turn into it; list both, or leave splits out"
            )
        return known

    def _sides(self) -> list[frozenset[int]]:
        """One side of each partition to try, each partition once."""
        nodes = self._nodes
        if not self.faults.partitions:
            return []
        if self.faults.splits:
            sides = [self._named_side(names) for names in self.faults.splits]
        else:
            # The first node is always on the far side, so each split is listed once.
            rest = nodes[1:]
            sizes = range(1, len(nodes))
            sides = [frozenset(side) for size in sizes for side in combinations(rest, size)]
        once: dict[frozenset[frozenset[int]], frozenset[int]] = {}
        for side in sides:
            once.setdefault(frozenset({side, frozenset(nodes) - side}), side)
        return list(once.values())

    def _named_side(self, names: tuple[str, ...]) -> frozenset[int]:
        slots = {self.names[slot]: slot for slot in self._nodes}
        for name in names:
            if name not in slots:
                raise ScenarioError(f"Faults(splits=...): {name!r} is no node of this world")
        side = frozenset(slots[name] for name in names)
        if not side or side == set(self._nodes):
            where = "names nobody" if not side else "leaves nobody on the other side"
            raise ScenarioError(f"Faults(splits=...): the side {names!r} {where}")
        return side


def _less(budgets: tuple[float, ...], cost: int) -> tuple[float, ...]:
    return tuple(budget - (at == cost - 1) for at, budget in enumerate(budgets))
