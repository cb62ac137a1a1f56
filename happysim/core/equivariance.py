"""Interchangeable processes do as one would: the check that makes a symmetry reduction sound.

What is demanded: the step that the image of a state takes is the image of the step that the state
takes, for every local state, event and swap. Steps of images are computed by running the handlers,
and their own images in turn. So whatever a search meets, the steps of its whole orbit are compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from happysim.core.entries import Effect
from happysim.core.errors import ScenarioError
from happysim.core.process import NodeProcess
from happysim.core.texts import state_texts

if TYPE_CHECKING:
    from happysim.core.symmetry import Symmetry
    from happysim.core.tables import Tables

# An effect as content, free of the order in which messages to different processes were sent.
_Told = tuple[Any, ...]


class Equivariance:
    """Compares the local steps of one `Tables` with their images, as they are computed."""

    def __init__(self, tables: Tables, symmetry: Symmetry) -> None:
        self.tables, self.symmetry = tables, symmetry
        # Steps that were computed and not compared yet. Outside a search that relies on symmetry
        # they wait: a replay need not run a handler once for each permutation.
        self._waiting: list[tuple[int, int, int | None]] = []
        self._demanded = self._running = False

    def note(self, slot: int, state: int, envelope: int | None) -> None:
        """A step was computed: a delivery, or where `envelope` is None what a process does itself.

        Raises what `_compare_all` does, while a search relies on it.
        """
        self._waiting.append((slot, state, envelope))
        # The step of an image is compared once the one that asked for it is done.
        if self._demanded and not self._running:
            self._compare_all()

    @contextmanager
    def demanded(self) -> Iterator[None]:
        """While a search relies on it: each step is compared as soon as it is computed."""
        self._demanded = True
        try:
            self._compare_all()
            yield
        finally:
            self._demanded = False

    def _compare_all(self) -> None:
        """Raise `ScenarioError` for a step that differs; it names the state, the event, and how."""
        self._running = True
        try:
            while self._waiting:
                step = self._waiting.pop()
                try:
                    self._compare(*step)
                except BaseException:
                    # Whatever interrupts it, the next search compares it again.
                    self._waiting.append(step)
                    raise
        finally:
            self._running = False

    def _compare(self, slot: int, state: int, envelope: int | None) -> None:
        symmetry = self.symmetry
        effects = self._effects(slot, state, envelope)
        for swap in range(len(symmetry.swaps)):
            to = symmetry.slot(swap, slot)
            arrived = None if envelope is None else symmetry.envelope(swap, envelope)
            after = self._effects(to, symmetry.state(swap, slot, state), arrived)
            mine = Counter(self._told(each, swap) for each in effects)
            theirs = Counter(self._told(each) for each in after)
            if mine != theirs:
                self._refuse(swap, slot, state, effects, after)

    def _effects(self, slot: int, state: int, envelope: int | None) -> list[Effect]:
        if envelope is not None:
            return self.tables.delivery_effects(slot, state, envelope)
        own, faults = self.tables.own_effects(slot, state)
        return [*own, *faults]

    def _told(self, effect: Effect, swap: int | None = None) -> _Told:
        """An effect, or its image under a swap, as content."""
        if effect.raised is not None:
            return (-1, "raises", effect.cost)
        state, own = effect.state, effect.own
        batches = {to: self.tables.batches.values[batch] for to, batch in effect.sends}
        records = self.tables.record_batches.values[effect.record]
        if swap is not None:
            symmetry, slot = self.symmetry, self.tables.slot_of[effect.choice.node]
            state = symmetry.state(swap, slot, state)
            own = tuple(symmetry.envelope(swap, each) for each in own)
            batches = {symmetry.slot(swap, to): symmetry.batch(swap, b) for to, b in effect.sends}
            records = symmetry.records(swap, effect.record)
        if self.tables.network.kind != "ordered":
            own = tuple(sorted(own))
            batches = {
                to: batch if batch[:1] == ("cut",) else tuple(sorted(batch))
                for to, batch in batches.items()
            }
        return state, own, tuple(sorted(batches.items())), records, effect.cost

    def _refuse(
        self, swap: int, slot: int, state: int, effects: list[Effect], after: list[Effect]
    ) -> None:
        tables = self.tables
        one, other = (tables.names[each] for each in self.symmetry.swaps[swap])
        theirs = [self._told(each) for each in after]
        wrong = next((each for each in effects if self._told(each, swap) not in theirs), None)
        if wrong is None:
            # All that one does the other does too, and more: tell it the other way round.
            slot, state = self.symmetry.slot(swap, slot), self.symmetry.state(swap, slot, state)
            effects, after = after, effects
            theirs = [self._told(each) for each in after]
            missing = (each for each in effects if self._told(each, swap) not in theirs)
            wrong = next(missing, effects[0])
        node = tables.names[slot]
        texts = state_texts(tables.processes[slot], tables.states[slot].values[state])
        held = ", ".join(f"{field}={text:.60}" for field, text in texts)
        wanted = self._told(wrong, swap)
        to = self.symmetry.slot(swap, slot)
        # A fault and a step of the protocol have nothing to do with one another.
        alike = [each for each in theirs if each[-1] == wanted[-1]]
        nearest = max(alike, key=lambda each: _alike(each, wanted), default=None)
        before = self.symmetry.state(swap, slot, state)
        raise ScenarioError(
            f"{one} and {other} are declared symmetric, but {_made_of(tables, slot)} "
            "tells them apart:\n"
            f"  where {node} is ({held:.600})\n"
            f"  there is the step `{wrong.choice}`;\n"
            f"  with {one} and {other} swapped {self._what_differs(to, before, wanted, nearest)}\n"
            "  A step may compare names for equality only. What depends on their order (a list of "
            "names, the largest, the first of the peers) tells nodes apart."
        )

    def _what_differs(self, slot: int, before: int, wanted: _Told, found: _Told | None) -> str:
        """What the image of a step does, and what is done instead; for an error."""
        tables = self.tables
        node = tables.names[slot]
        if found is None:
            missed = "" if wanted[0] < 0 else self._first_difference(slot, wanted[0], before)
            return f"there is no step of {node} like it{missed and f'; {missed}'}"
        if wanted[0] < 0 or found[0] < 0:
            return f"{node} {'raises' if found[0] < 0 else 'does not raise'}, unlike before"
        if wanted[0] != found[0] and (differs := self._first_difference(slot, wanted[0], found[0])):
            return differs
        if wanted[1:3] != found[1:3]:
            should, does = (self._sent_text(each) for each in (wanted, found))
            return f"{node} should send {should:.200}, and sends {does:.200}"
        if wanted[3] != found[3]:
            return f"the history should be told {wanted[3]!r:.80}, and is told {found[3]!r:.80}"
        return f"{node} should have other steps than it has"

    def _first_difference(self, slot: int, wanted: int, found: int) -> str:
        """The first field that two local states differ in; empty where text shows none."""
        name, state_text = self.tables.names[slot], self.tables.state_text
        pairs = zip(state_text(slot, wanted), state_text(slot, found), strict=False)
        for (field, text), (_, instead) in pairs:
            if text != instead:
                return f"{name}.{field} should become {text:.80}, and is {instead:.80}"
        return ""

    def _sent_text(self, told: _Told) -> str:
        tables = self.tables
        batches = [batch for _, batch in told[2] if batch[:1] != ("cut",)]
        sent = [
            f"{tables.names[tables.envelopes.values[each].target]} "
            f"{tables.envelopes.values[each].text}"
            for batch in [told[1], *batches]
            for each in batch
        ]
        return ", ".join(sent) or "nothing"


def _made_of(tables: Tables, slot: int) -> str:
    process = tables.processes[slot]
    return process.kind.__name__ if isinstance(process, NodeProcess) else f"script {process.name}"


def _alike(one: _Told, other: _Told) -> int:
    if len(one) != len(other):
        return -1
    return sum(here == there for here, there in zip(one, other, strict=True))
