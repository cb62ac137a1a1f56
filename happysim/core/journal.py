"""A journal of the tables: which local steps were computed, in order.

Numbers depend on what was seen first. So whoever wants the same numbers in another process has the
same steps computed again in the same order, and compares what they do by content.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from happysim.core.describe import describe
from happysim.core.entries import Effect, Ledger
from happysim.core.errors import CheckpointError
from happysim.core.texts import state_texts

if TYPE_CHECKING:
    from happysim.core.tables import Tables

# What was computed: DELIVER (slot, local state, message), OWN (slot, local state, 0), RECORD
# (history, batch, 0).
DELIVER, OWN, RECORD = range(3)
Entry = tuple[int, int, int, int]

_DIGEST_BYTES = 8


def redo(tables: Tables, entries: Sequence[Entry], digests: Sequence[str]) -> None:
    """Compute the steps of a journal in a world's tables.

    Raises `CheckpointError` where one does something else than it did, or where the tables have
    been used for something else before.
    """
    known = tables.journal
    if any(ours != theirs for ours, theirs in zip(known, entries, strict=False)):
        raise CheckpointError(
            "the world has been searched in another way since it was made; make it anew"
        )
    for entry, digest in zip(entries, digests, strict=True):
        try:
            _compute(tables, entry)
            again = digest_of(tables, entry)
        except (IndexError, KeyError):
            again = ""
        if again != digest:
            raise CheckpointError(
                f"{_told(tables, entry)} does something else than it did when the checkpoint was "
                "written: the protocol has changed, or is not deterministic"
            )


def _compute(tables: Tables, entry: Entry) -> None:
    what, one, other, third = entry
    if what == DELIVER:
        tables.delivery_effects(one, other, third)
    elif what == OWN:
        tables.own_effects(one, other)
    else:
        tables.record(one, other)


def digest_of(tables: Tables, entry: Entry) -> str:
    """What a step of the journal does, by content and by number, as a short text."""
    what, one, other, third = entry
    made = blake2b(repr(entry).encode(), digest_size=_DIGEST_BYTES)
    if what == RECORD:
        made.update(repr(tables.record(one, other)).encode())
        return made.hexdigest()
    effects: Iterable[Effect]
    if what == DELIVER:
        effects = tables.delivery_effects(one, other, third)
    else:
        own, faults = tables.own_effects(one, other)
        effects = [*own, *faults]
    for effect in effects:
        made.update(_effect_text(tables, one, effect).encode())
    return made.hexdigest()


def _effect_text(tables: Tables, slot: int, effect: Effect) -> str:
    told: list[Any] = [*effect[:5], str(effect.choice), str(effect.raised), effect.idle]
    if effect.raised is None:
        told += state_texts(tables.processes[slot], tables.states[slot].values[effect.state])
        told += [_envelope_text(tables, envelope) for envelope in effect.own]
        for _, batch in effect.sends:
            numbers = tables.batches.values[batch]
            cut = bool(numbers) and numbers[0] == "cut"
            told += [numbers] if cut else [_envelope_text(tables, each) for each in numbers]
        for what, client, frozen in tables.record_batches.values[effect.record]:
            told.append((what, client, describe(frozen)))
    return repr(told)


def _envelope_text(tables: Tables, envelope: int) -> tuple[int, int, str]:
    value = tables.envelopes.values[envelope]
    return value.source, value.target, value.text


def _told(tables: Tables, entry: Entry) -> str:
    """A step of the journal, for people."""
    what, slot, _, envelope = entry
    if what == RECORD:
        return "the history"
    if slot not in range(len(tables.names)):
        return "a process"
    name = tables.names[slot]
    if what == DELIVER and envelope < len(tables.envelopes):
        return f"{name}, given {tables.envelopes.values[envelope].text},"
    return name


# -- ledgers, which are small enough to be told by value -------------------------------------------


def ledgers_as_data(tables: Tables) -> dict[str, Any]:
    """The ledgers by number, and what was paid; as JSON takes it."""
    ledgers = tables.ledgers
    values = [
        [[None if math.isinf(each) else each for each in value.budgets], value.down, [*value.cut]]
        for value in ledgers.values
    ]
    return {"values": values, "paid": [[*key, after] for key, after in ledgers.paid.items()]}


def ledgers_from_data(tables: Tables, data: dict[str, Any]) -> None:
    """Give the ledgers the same numbers. Raises `CheckpointError` where that cannot be."""
    ledgers = tables.ledgers
    for number, (budgets, down, cut) in enumerate(data["values"]):
        left = tuple(math.inf if each is None else each for each in budgets)
        if ledgers.number(Ledger(left, down, frozenset(cut))) != number:
            raise CheckpointError("the faults of the scenario are not those of the checkpoint")
    for ledger, cost, after in data["paid"]:
        if ledgers.pay(ledger, cost) != after:
            raise CheckpointError("the faults of the scenario are not those of the checkpoint")
