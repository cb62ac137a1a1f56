"""Interchangeable processes: what exchanging two of them makes of each number of the tables.

A *swap* exchanges two neighbours of a declared set; any permutation is a row of swaps. The image of
a world under a swap is the world in which the two have changed places: each holds what the other
held, and every `Name` of the one reads as that of the other. Images are computed on content once,
and remembered as numbers.

Nothing of this is assumed of the protocol. Whenever a local step is computed, so are its images,
and each must be what the handler does from the image of the state (`core/equivariance.py`).

Source: Ip and Dill, *Better verification through symmetry*, 1996: scalarsets. There a type system
keeps a model symmetric; here it is checked.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from happysim.core.describe import describe
from happysim.core.disk import Image
from happysim.core.entries import Cell, Envelope, Ledger, Numbering
from happysim.core.errors import ScenarioError
from happysim.core.freeze import Frozen, freeze, pairs_in_order, thaw
from happysim.core.history import Call, History
from happysim.core.local_step import NodeState, ScriptState
from happysim.core.names import Name, holds_name
from happysim.core.network import Inbox
from happysim.core.process import NodeProcess
from happysim.core.script import Operation

if TYPE_CHECKING:
    from happysim.core.tables import Tables

Names = Mapping[str, str]
_KEYED = (dict, Counter)
# How a process is named as seen by another: itself, the one that is looked for.
_OWN, _SOUGHT = "own", "sought"


def rename(frozen: Any, names: Names) -> Any:
    """Frozen content with every `Name` replaced as `names` says, in its own order of content."""
    if type(frozen) is not tuple or not frozen:
        return frozen
    kind = frozen[0]
    if kind is Name:
        return Name, names.get(frozen[1], frozen[1])
    made = [rename(each, names) for each in frozen]
    if all(one is other for one, other in zip(made, frozen, strict=True)):
        return frozen
    if kind in (set, frozenset):
        made[1:] = sorted(made[1:], key=describe)
    elif kind in _KEYED or kind is defaultdict:
        first = 2 if kind is defaultdict else 1
        if any(map(holds_name, made[first::2])):
            made[first:] = pairs_in_order(made[first:])
    return tuple(made)


def rename_state(state: Any, names: Names) -> Any:
    """The local state of a process with every `Name` replaced."""
    if isinstance(state, ScriptState):
        return state._replace(answers=tuple(rename(each, names) for each in state.answers))
    assert isinstance(state, NodeState)
    return state._replace(
        fields=_renamed(state.fields, names),
        unsynced=_images(state.unsynced, names),
        synced=_images(state.synced, names),
    )


def _renamed(values: tuple[Frozen, ...], names: Names) -> tuple[Frozen, ...]:
    return tuple([rename(each, names) for each in values])


def _images(images: tuple[Image, ...], names: Names) -> tuple[Image, ...]:
    return tuple(image._replace(values=_renamed(image.values, names)) for image in images)


def _rename_operation(operation: Operation | None, names: Names) -> Operation | None:
    if operation is None or operation.client not in names:
        return operation
    return Operation(Name(names[operation.client]), operation.number)


def _rename_lane(lane: str, names: Names) -> str:
    # What a client abandoned has a lane of its own, `c1~1`.
    client, mark, number = lane.partition("~")
    return names.get(client, client) + mark + number


def rename_history(history: History, names: Names) -> History:
    """A history with its clients, and the names in their calls, replaced."""

    def value(given: Any) -> Any:
        return thaw(rename(freeze(given), names))

    lanes = []
    for lane, calls in history.lanes:
        renamed = _rename_lane(lane, names)
        made = [
            Call(
                renamed,
                value(call.operation),
                tuple(sorted((_rename_lane(other, names), last) for other, last in call.after)),
                call.done,
                value(call.result),
            )
            for call in calls
        ]
        lanes.append((renamed, tuple(made)))
    return History(tuple(sorted(lanes, key=lambda entry: entry[0])))


class Symmetry:
    """The declared sets of interchangeable processes of one `Tables`, and their swaps.

    `sets` are slots, ascending; `swaps` the pairs of neighbours in each, and what is asked about a
    swap names it by its place in that list. Every answer is a number of the tables. Raises
    `ScenarioError` where two processes of a set differ in kind.
    """

    def __init__(self, tables: Tables, names: tuple[tuple[str, ...], ...]) -> None:
        self.tables = tables
        self.names = names
        self.sets = tuple(tuple(sorted(tables.slot_of[name] for name in each)) for each in names)
        self.swaps = [pair for slots in self.sets for pair in pairwise(slots)]
        self._set_of = {slot: at for at, slots in enumerate(self.sets) for slot in slots}
        self._names = [
            {tables.names[a]: tables.names[b], tables.names[b]: tables.names[a]}
            for a, b in self.swaps
        ]
        self._known: list[dict[tuple[Any, ...], int]] = [{} for _ in self.swaps]
        self._seen: dict[tuple[Any, ...], int] = {}
        self._sights = Numbering()
        for swap in range(len(self.swaps)):
            self._check_kinds(swap)
            for side in tables.ledgers.splits:
                tables.ledgers.side_like(frozenset(self.slot(swap, slot) for slot in side))

    def __str__(self) -> str:
        return ", ".join(" ".join(names) for names in self.names)

    def _check_kinds(self, swap: int) -> None:
        one, other = (self.tables.processes[slot] for slot in self.swaps[swap])
        if isinstance(one, NodeProcess) and isinstance(other, NodeProcess):
            same = one.kind is other.kind
            same = same and _renamed(one.made_with, self._names[swap]) == other.made_with
        else:
            same = type(one) is type(other) and (
                one.script.function,  # type: ignore[union-attr]
                rename(one.script.arguments, self._names[swap]),  # type: ignore[union-attr]
            ) == (other.script.function, other.script.arguments)  # type: ignore[union-attr]
        if not same:
            raise ScenarioError(
                f"World.of(symmetric=...): {one.name} and {other.name} are not interchangeable: "
                "they are made of another class or function, or with other values; "
                'a value that names one of them is written Name("n1"), and several are a frozenset'
            )

    # -- images ----------------------------------------------------------------------------------

    def slot(self, swap: int, slot: int) -> int:
        """Where a process is found after a swap."""
        one, other = self.swaps[swap]
        return other if slot == one else one if slot == other else slot

    def state(self, swap: int, slot: int, state: int) -> int:
        """The number, at the image of a slot, of the image of a local state."""
        known = self._known[swap].get(("state", slot, state))
        if known is None:
            tables = self.tables
            value = rename_state(tables.states[slot].values[state], self._names[swap])
            known = tables.states[self.slot(swap, slot)].number(value)
            self._known[swap]["state", slot, state] = known
        return known

    def envelope(self, swap: int, number: int) -> int:
        """The number of the image of a message."""
        known = self._known[swap].get(("envelope", number))
        if known is None:
            names, each = self._names[swap], self.tables.envelopes.values[number]
            known = self.tables.envelope(
                self.slot(swap, each.source),
                self.slot(swap, each.target),
                rename(each.message, names),
                _rename_operation(each.operation, names),
            )
            self._known[swap]["envelope", number] = known
        return known

    def cell(self, swap: int, slot: int, cell: int) -> int:
        """The number, at the image of a slot, of the image of a cell."""
        known = self._known[swap].get(("cell", slot, cell))
        if known is None:
            at = self.tables.cells[slot].values[cell]
            image = Cell(self.state(swap, slot, at.state), self._inbox(swap, at.inbox))
            known = self.tables.cells[self.slot(swap, slot)].number(image)
            self._known[swap]["cell", slot, cell] = known
        return known

    def _inbox(self, swap: int, inbox: Inbox) -> Inbox:
        tables, made = self.tables, ()
        for number, copies in tables.network.waiting(inbox):
            image = self.envelope(swap, number)
            source = tables.envelopes.values[image].source
            for _ in range(copies):
                made = tables.network.put(made, image, source, tables.rank)
        return made

    def batch(self, swap: int, number: int) -> tuple[Any, ...]:
        """The image of a batch of messages, as content; or of a cut of links."""
        batch = self.tables.batches.values[number]
        if batch and batch[0] == "cut":
            return ("cut", self.slot(swap, batch[1]))
        return tuple(self.envelope(swap, each) for each in batch)

    def records(self, swap: int, number: int) -> tuple[Any, ...]:
        """The image of a batch of history records, as content."""
        names = self._names[swap]
        return tuple(
            (what, names.get(client, client), rename(frozen, names))
            for what, client, frozen in self.tables.record_batches.values[number]
        )

    def history(self, swap: int, history: int) -> int:
        """The number of the image of a history."""
        known = self._known[swap].get(("history", history))
        if known is None:
            value = rename_history(self.tables.histories.values[history], self._names[swap])
            known = self._known[swap]["history", history] = self.tables.histories.number(value)
        return known

    def ledger(self, swap: int, ledger: int) -> int:
        """The number of the image of a ledger. Raises `ScenarioError` for a lopsided partition."""
        known = self._known[swap].get(("ledger", ledger))
        if known is None:
            value: Ledger = self.tables.ledgers.values[ledger]
            side = frozenset(self.slot(swap, slot) for slot in value.cut)
            image = value._replace(cut=self.tables.ledgers.side_like(side))
            known = self._known[swap]["ledger", ledger] = self.tables.ledgers.number(image)
        return known

    def world(self, swap: int, numbers: tuple[int, ...]) -> tuple[int, ...]:
        """The numbers of the image of a world; one without a history (-1) stays so."""
        made = [*numbers]
        for slot, cell in enumerate(numbers[:-2]):
            made[self.slot(swap, slot)] = self.cell(swap, slot, cell)
        made[-2] = self.ledger(swap, numbers[-2])
        made[-1] = numbers[-1] if numbers[-1] < 0 else self.history(swap, numbers[-1])
        return tuple(made)

    # -- sights ----------------------------------------------------------------------------------

    def state_sight(self, slot: int, state: int, sought: int) -> int:
        """How a local state speaks of a process of a declared set; of itself, where it is its own.

        The same number for states, and processes sought, that some permutation turns into one
        another. The converse need not be true.
        """
        known = self._seen.get(("state", slot, state, sought))
        if known is None:
            value = rename_state(self.tables.states[slot].values[state], self._view(slot, sought))
            known = self._sights.number((self._set_of.get(slot, -1 - slot), value))
            self._seen["state", slot, state, sought] = known
        return known

    def envelope_sight(self, number: int, sought: int) -> int:
        """As `state_sight`, of a message and whoever receives it."""
        known = self._seen.get(("envelope", number, sought))
        if known is None:
            each: Envelope = self.tables.envelopes.values[number]
            view = self._view(each.target, sought)
            client = each.operation.client if each.operation else ""
            known = self._sights.number(
                (
                    view.get(self.tables.names[each.source], each.source),
                    rename(each.message, view),
                    each.operation and (view.get(client, client), each.operation.number),
                )
            )
            self._seen["envelope", number, sought] = known
        return known

    def sight(self, slot: int, cell: int, sought: int) -> int:
        """As `state_sight`, of a cell: a local state and what waits for the process."""
        known = self._seen.get(("cell", slot, cell, sought))
        if known is None:
            at: Cell = self.tables.cells[slot].values[cell]
            state = self.state_sight(slot, at.state, sought)
            inbox = self._inbox_sight(at.inbox, sought)
            known = self._sights.number(("cell", state, inbox))
            self._seen["cell", slot, cell, sought] = known
        return known

    def _inbox_sight(self, inbox: Inbox, sought: int) -> tuple[Any, ...]:
        waiting = [
            (self.envelope_sight(number, sought), copies)
            for number, copies in self.tables.network.waiting(inbox)
        ]
        # Of queues the order within each is left out, which tells fewer apart, and never too many.
        return tuple(sorted(waiting))

    def _view(self, slot: int, sought: int) -> Names:
        """The names as seen by one process that looks for another."""
        names = self.tables.names
        view = {names[other]: f"set {at}" for other, at in self._set_of.items()}
        view[names[sought]] = _SOUGHT
        if slot in self._set_of:
            view[names[slot]] = _OWN
        return view

    # -- what must be invariant ------------------------------------------------------------------

    def check_first(self, numbers: tuple[int, ...]) -> None:
        """Raise `ScenarioError` unless a world just started is its own image under every swap."""
        for swap in range(len(self.swaps)):
            image = self.world(swap, numbers)
            if image != numbers:
                one, other = (self.tables.names[slot] for slot in self.swaps[swap])
                raise ScenarioError(
                    f"World.of(symmetric=...): {one} and {other} are not interchangeable: once "
                    f"all have started, {next(self._differences(numbers, image))}; what depends "
                    "on the order of names (a list of them, the first of the peers) tells nodes "
                    "apart: keep a set, or a dict keyed by names"
                )

    def is_closed(self, worlds: Collection[tuple[int, ...]]) -> bool:
        """True where every image of one of the worlds is among them."""
        swaps = range(len(self.swaps))
        return all(self.world(swap, world) in worlds for world in worlds for swap in swaps)

    def _differences(self, numbers: tuple[int, ...], image: tuple[int, ...]) -> Iterator[str]:
        tables = self.tables
        for slot, cell in enumerate(numbers[:-2]):
            other = image[slot]
            is_in, was_in = (tables.cells[slot].values[each].state for each in (cell, other))
            name, texts = tables.names[slot], tables.state_text(slot, is_in)
            for (field, text), told in zip(texts, tables.state_text(slot, was_in), strict=True):
                if text != told[1]:
                    yield f"{name}.{field} is {text:.80}, and swapped it is {told[1]:.80}"
            if cell != other:
                yield f"other messages wait for {name} when they are swapped"
        yield "the faults or the history differ when they are swapped"
