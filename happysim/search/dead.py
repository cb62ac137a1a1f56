"""Dead messages: what is in flight and will never again do anything, left out of worlds.

A message is *dead* for its receiver in a local state if its delivery does nothing there, nor in any
local state that the receiver can come to from there. On a network without order it stays in flight
for ever, and every world exists once with it and once without. `Lean` shows a kernel the tables of
a world without such messages. Two worlds with the same live messages take the same steps to worlds
with the same live messages, so nothing that depends on local states and the history alone can tell
them apart (docs/design.md has the argument). Source of the idea: Bozga, Fernandez and Ghirvu,
"State space reduction based on live variables analysis", Science of Computer Programming 47, 2003,
who drop dead values of queues that a static analysis finds.

Here nothing is analysed beforehand. A message that does nothing where it is counts as dead until
something speaks against it. A search notes each local step that it sees; at its end `learn` looks
at every message left out, along those steps, and where one would have done something the search is
made again, with that known. On an unordered or duplicating network a message left out is one that
was delayed, so what such a search sees is real. The last search has nothing against it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from happysim.core.entries import NOWHERE, Cell, Effect, Move
from happysim.core.errors import HappysimError
from happysim.core.local import Local
from happysim.core.network import Inbox
from happysim.core.tables import Tables
from happysim.kernel.contract import Numbers

# A local state of one process, and a message to it.
_Pair = tuple[int, int]


class Lean:
    """A kernel's Model: the worlds of some tables, without the messages that are dead."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.searches = 0
        self._learnt = [_Learnt(tables, slot) for slot in range(len(tables.processes))]
        # What is asked of a kernel's model and is the same here.
        self.state, self.pay, self.record = tables.state, tables.pay, tables.record
        self.ledger_moves, self.blocked = tables.ledger_moves, tables.blocked

    def begin(self) -> None:
        """A search begins. While it lasts, what counts as dead does not change."""
        self.searches += 1
        for learnt in self._learnt:
            learnt.begin()

    def learn(self) -> bool:
        """Whether nothing speaks against what was left out; if something does, it is known now."""
        settled = [learnt.learn() for learnt in self._learnt]
        return all(settled)

    def numbers(self, numbers: Numbers) -> Numbers:
        """A world without its dead messages."""
        cells, rest = numbers[:-2], numbers[-2:]
        return (*(self._lean(slot, cell) for slot, cell in enumerate(cells)), *rest)

    def _lean(self, slot: int, number: int) -> int:
        cell: Cell = self.tables.cells[slot].values[number]
        inbox = self._inbox(slot, *cell)
        if inbox == cell.inbox:
            return number
        return self.tables.cells[slot].number(Cell(cell.state, inbox))

    def _inbox(self, slot: int, state: int, inbox: Inbox) -> Inbox:
        network, forgets = self.tables.network, self._learnt[slot].forgets
        for envelope, copies in network.waiting(inbox):
            for _ in range(copies if forgets(state, envelope) else 0):
                inbox = network.drop(inbox, envelope, NOWHERE)
        return inbox

    # -- for a kernel that asks for cells --------------------------------------------------------

    def moves(self, slot: int, cell: int) -> tuple[Sequence[Move], Sequence[Move]]:
        """See `Model.moves`."""
        free, faults = self.tables.moves(slot, cell)
        state, learnt = self.tables.state(slot, cell), self._learnt[slot]
        learnt.expanded.add(state)
        leading = [move.cell for move in (*free, *faults) if move.cell >= 0]
        learnt.note(state, (self.tables.state(slot, after) for after in leading))
        return [self._lead(slot, move) for move in free], [self._lead(slot, e) for e in faults]

    def _lead(self, slot: int, move: Move) -> Move:
        return move if move.cell < 0 else move._replace(cell=self._lean(slot, move.cell))

    def put(self, slot: int, cell: int, batch: int) -> int:
        """See `Model.put`."""
        return self._lean(slot, self.tables.put(slot, cell, batch))

    # -- for a kernel that keeps inboxes and cells itself ----------------------------------------

    @property
    def local(self) -> LeanLocal:
        """The same, as local transitions."""
        return LeanLocal(self.tables, self._learnt)


class LeanLocal(Local):
    """Local transitions, noted as a kernel asks for them; and which messages it is to leave out."""

    forgetful = True

    def __init__(self, tables: Tables, learnt: Sequence[_Learnt]) -> None:
        super().__init__(tables)
        self.learnt = learnt

    def forgets(self, slot: int, state: int, envelope: int) -> bool:
        """See `contract.Local.forgets`."""
        return self.learnt[slot].forgets(state, envelope)

    def receives(self, slot: int, state: int) -> bool:
        """See `contract.Local.receives`. It is asked of each local state that is expanded."""
        self.learnt[slot].expanded.add(state)
        return super().receives(slot, state)

    def delivery(self, slot: int, state: int, envelope: int) -> list[Effect]:
        """See `contract.Local.delivery`."""
        effects = super().delivery(slot, state, envelope)
        self.learnt[slot].note(state, (each.state for each in effects))
        return effects

    def own(self, slot: int, state: int) -> tuple[list[Effect], list[Effect], tuple[bool, ...]]:
        """See `contract.Local.own`."""
        free, faults, cuts = super().own(slot, state)
        self.learnt[slot].note(state, (each.state for each in (*free, *faults)))
        return free, faults, cuts


class _Learnt:
    """What searches have seen of one process, and which messages they may leave out."""

    def __init__(self, tables: Tables, slot: int) -> None:
        self.tables, self.slot = tables, slot
        # Local states whose steps were looked at, and where these lead.
        self.expanded: set[int] = set()
        self.steps: defaultdict[int, set[int]] = defaultdict(set)
        # Where a message does something; and from where that can be come to, as known so far.
        self.wakes: set[_Pair] = set()
        self.live: set[_Pair] = set()
        # Which messages this search leaves out, as far as it has asked.
        self.known: dict[_Pair, bool] = {}

    def begin(self) -> None:
        self.known.clear()

    def note(self, state: int, after: Iterable[int]) -> None:
        """Steps lead from a local state to these; -1 is a handler that raised."""
        self.steps[state].update(each for each in after if each not in (-1, state))

    def forgets(self, state: int, envelope: int) -> bool:
        """True where a message counts as dead; the same throughout a search."""
        pair = state, envelope
        known = self.known.get(pair)
        if known is None:
            known = self.known[pair] = pair not in self.live and not self.does(pair)
        return known

    def does(self, pair: _Pair) -> bool:
        """True where the delivery of a message is a step."""
        tables, (state, envelope) = self.tables, pair
        if pair in self.wakes:
            return True
        try:
            does = tables.receives(self.slot, state) and bool(
                tables.delivery_effects(self.slot, state, envelope)
            )
        except HappysimError:
            # In a state that no world may have. Where one has, the search will meet the error.
            does = True
        if does:
            self.wakes.add(pair)
        return does

    def learn(self) -> bool:
        """Whether all that was left out is dead, by all steps seen so far.

        A local state that was never expanded is one of no world that leads on; what a message would
        do there says nothing.
        """
        left_out = [pair for pair, out in self.known.items() if out]
        for envelope, states in _by_envelope(left_out).items():
            for state in _reached(states, self.steps) & self.expanded:
                self.does((state, envelope))
        before: defaultdict[int, set[int]] = defaultdict(set)
        for state, after in self.steps.items():
            for each in after:
                before[each].add(state)
        waking = [pair for pair in self.wakes if pair[0] in self.expanded]
        for envelope, states in _by_envelope(waking).items():
            self.live.update((state, envelope) for state in _reached(states, before))
        return self.live.isdisjoint(left_out)


def _by_envelope(pairs: Iterable[_Pair]) -> dict[int, set[int]]:
    found: defaultdict[int, set[int]] = defaultdict(set)
    for state, envelope in pairs:
        found[envelope].add(state)
    return found


def _reached(states: set[int], steps: dict[int, Any]) -> set[int]:
    """These local states, and all to which steps lead from them."""
    found, todo = set(states), list(states)
    while todo:
        for after in steps.get(todo.pop(), ()):
            if after not in found:
                found.add(after)
                todo.append(after)
    return found
