"""The tables as a kernel sees them that keeps inboxes and cells itself: local transitions only.

Such a kernel asks what a handler does in a local state, once, and from then on puts messages into
inboxes and takes them out by the rules of `network` on its own. So the protocol's Python runs for
new local transitions, and not for every new combination of a local state and what waits for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from happysim.core.choice import Kind
from happysim.core.entries import DROP, DUPLICATE, FREE, Cell, Effect
from happysim.core.network import Inbox

if TYPE_CHECKING:
    from happysim.core.tables import Tables


class Local:
    """Local transitions of one `Tables`; see `happysim.kernel.contract.Local`."""

    # Every message stays in its inbox until something takes it out.
    forgetful = False

    def __init__(self, tables: Tables) -> None:
        self.tables = tables

    def network(self) -> tuple[str, int, int]:
        """The kind of network; what a drop and a duplicate cost, `FREE` where there are none."""
        budgets = self.tables.budgets
        return (
            self.tables.network.kind,
            DROP if budgets[DROP - 1] else FREE,
            DUPLICATE if budgets[DUPLICATE - 1] else FREE,
        )

    def inside(self, slot: int, cell: int) -> Cell:
        """The local state and the inbox of a cell."""
        found: Cell = self.tables.cells[slot].values[cell]
        return found

    def cell(self, slot: int, state: int, inbox: Inbox) -> int:
        """The number of the cell with that content."""
        return self.tables.cells[slot].number(Cell(state, inbox))

    def rank(self, envelope: int) -> tuple[int, str]:
        """Who sent a message, and its text: messages in an inbox are in this order."""
        return self.tables.rank[envelope]

    def forgets(self, slot: int, state: int, envelope: int) -> bool:
        """True where a message is left out of an inbox: never here."""
        return False

    def batch(self, number: int) -> tuple[tuple[int, ...], int]:
        """The messages of a batch; or none, and the slot whose link is cut (else -1)."""
        numbers = self.tables.batches.values[number]
        if numbers and numbers[0] == "cut":
            return (), numbers[1]
        return numbers, -1

    def delivery(self, slot: int, state: int, envelope: int) -> list[Effect]:
        """What the delivery of a message does; nothing where that is no step."""
        return self.tables.delivery_effects(slot, state, envelope)

    def receives(self, slot: int, state: int) -> bool:
        """True where a process takes messages: not while it is down."""
        return self.tables.receives(slot, state)

    def own(self, slot: int, state: int) -> tuple[list[Effect], list[Effect], tuple[bool, ...]]:
        """The steps of a process by itself, the faults, and which of those break its links."""
        own, faults = self.tables.own_effects(slot, state)
        return own, faults, tuple(effect.choice.kind is Kind.CRASH for effect in faults)
