"""A node's disk as content: what lies on it, what a crash may take, and what may be damaged.

The model:

1. The disk holds records: of a durable field that is a list, one for each element (`log[3]`); of
   any other durable field, one (`term`). Each record has a checksum, and knows its own address.
2. The writes of one handler are one write. It touches the records whose content it changes, in
   order: fields as declared, a list from its front. `host.sync()` confirms all writes so far.
3. *Loss*: a crash loses the last so many writes that were not synced.
4. *A torn write*: of the first write lost, some records are there, up to the one that was being
   written. Where that is an element of a list, it is there and damaged. A record outside of a list
   fits a sector and is written beside the old one: it is there or it is not.
5. *A lying sync*: a crash also loses what was synced last, and what was written after it.
6. *Bit rot*: a record has another content. *A misdirected write*: a record that was synced last has
   landed on another one of its list. That one is damaged, and reads as the record that landed
   there; the intended one still holds its older content, and passes its checksum.
7. *A wiped disk* holds what the node was made with, *a stale* one what it held before the last sync
   that changed anything.
8. A damaged record reads as some other value. Its checksum tells, until it is written again:
   `host.torn` names records of a write that was cut short, and so never confirmed (leaving it out
   harms nobody), `host.damaged` those that were whole once.

Source: Ganesan et al. 2017 ("Redundancy does not imply fault tolerance") and Alagappan et al. 2018
("Protocol-aware recovery for consensus-based storage") for the faults and what may be told apart.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from happysim.core.altered import altered
from happysim.core.errors import ScenarioError
from happysim.core.freeze import Frozen

TORN, DAMAGED = "torn", "damaged"
# How many syncs may have been lies, at the most.
LIES_KEPT = 3


class Mark(NamedTuple):
    """A record whose checksum fails: of a write cut short (TORN), or once whole (DAMAGED)."""

    address: str
    what: str


class Image(NamedTuple):
    """All that one disk holds: the durable fields in order of declaration, and what is damaged."""

    values: tuple[Frozen, ...]
    marks: tuple[Mark, ...] = ()


class Mishap(NamedTuple):
    """What befalls a disk in a crash or a restart. `budget` is the field of `Faults` that pays."""

    budget: str
    losing: int = 0
    address: str = ""
    other: str = ""

    @property
    def text(self) -> str:
        """As a choice shows it, behind the name of the node."""
        return {
            "crashes": f"losing {self.losing}" if self.losing else "",
            "tears": f"losing {self.losing} tearing {self.address}",
            "lies": f"losing {self.losing} synced",
            "wipes": "wiped",
            "stales": "stale",
            "rots": f"rotten {self.address}",
            "misdirects": f"misdirected {self.address} to {self.other}",
        }[self.budget]


def budget_of(what: str) -> str:
    """The budget that pays for what befalls a disk, as a choice tells it; empty where nothing does.

    To lose writes that were not synced costs no more than the crash.
    """
    word = what.split(" ", 1)[0]
    if word == "losing":
        return "tears" if " tearing " in what else "lies" if what.endswith(" synced") else ""
    kinds = {"wiped": "wipes", "stale": "stales", "rotten": "rots", "misdirected": "misdirects"}
    return kinds.get(word, "")


@dataclass(frozen=True)
class Atlas:
    """Whose copy of which record may be damaged, so that a quorum of copies of each stays whole.

    Of each record, at most n - `quorum` of n nodes have a copy that may be damaged: by="record"
    takes other nodes for each place in a list, by="node" the same ones for all records. Only with
    the latter may whole disks be wiped or stale. Nodes are the peers of one protocol, by name.
    Source of the idea: the fault atlas of TigerBeetle's simulator.
    """

    quorum: int
    by: Literal["record", "node"] = "record"

    def __post_init__(self) -> None:
        if not isinstance(self.quorum, int) or self.quorum < 1:
            raise ScenarioError(f"Atlas(quorum={self.quorum!r}): a quorum is at least one node")
        if self.by not in ("record", "node"):
            raise ScenarioError(f'Atlas(by={self.by!r}): write by="record" or by="node"')

    def allows(self, node: str, nodes: Sequence[str], address: str = "") -> bool:
        """True where this node's copy of a record may be damaged; of no address: its whole disk."""
        if not address and self.by == "record":
            return False
        first = place_of(address)[1] + 1 if self.by == "record" else 0
        at = (sorted(nodes).index(node) - first) % len(nodes)
        return at < len(nodes) - self.quorum


# -- records -------------------------------------------------------------------------------------


def place_of(address: str) -> tuple[str, int]:
    """The field of an address, and the index in its list (-1: it is no list)."""
    name, _, index = address.partition("[")
    return name, int(index[:-1]) if index else -1


def is_list(value: Frozen) -> bool:
    """True for the content of a list."""
    return type(value) is tuple and value[0] is list


def addresses(names: Sequence[str], values: Sequence[Frozen]) -> list[str]:
    """The addresses of all records, in order."""
    found = []
    for name, value in zip(names, values, strict=True):
        if is_list(value):
            found += [f"{name}[{index}]" for index in range(len(value) - 1)]  # type: ignore[arg-type]
        else:
            found.append(name)
    return found


def changed(names: Sequence[str], old: Sequence[Frozen], new: Sequence[Frozen]) -> list[str]:
    """The addresses of the records that a write has touched, in order."""
    found = []
    for name, was, now in zip(names, old, new, strict=True):
        if was is now or was == now:
            continue
        if is_list(now):
            before: tuple[Any, ...] = was if is_list(was) else (list,)  # type: ignore[assignment]
            after: tuple[Any, ...] = now  # type: ignore[assignment]
            found += [
                f"{name}[{at - 1}]"
                for at in range(1, len(after))
                if at >= len(before) or before[at] != after[at]
            ]
        else:
            found.append(name)
    return found


def _record(names: Sequence[str], values: Sequence[Frozen], address: str) -> tuple[Frozen, ...]:
    """A record, as a tuple of one; empty where there is none of that address."""
    name, index = place_of(address)
    value: Any = values[names.index(name)]
    if index < 0:
        return (value,)
    return (value[index + 1],) if is_list(value) and index + 1 < len(value) else ()


def kept_marks(names: Sequence[str], image: Image, values: Sequence[Frozen]) -> tuple[Mark, ...]:
    """The marks that still stand once a handler has left these values: of records not rewritten."""
    if not image.marks:
        return ()
    return tuple(
        mark
        for mark in image.marks
        if _record(names, image.values, mark.address) == _record(names, values, mark.address)
    )


def _in_order(names: Sequence[str], marks: Iterator[Mark] | list[Mark]) -> tuple[Mark, ...]:
    """One mark an address, the last one given, in order of the records."""
    last = {mark.address: mark for mark in marks}
    places = {address: place_of(address) for address in last}
    return tuple(
        last[address]
        for address in sorted(last, key=lambda a: (names.index(places[a][0]), places[a][1]))
    )


# -- what a disk remembers -----------------------------------------------------------------------


def unsynced_after(
    unsynced: tuple[Image, ...], before: Image, synced: Sequence[Image], now: Image
) -> tuple[Image, ...]:
    """The older images that a crash may fall back to, the oldest first, once a handler is done.

    `before` is what it found, `synced` what it confirmed. What is there now is none of them.
    """
    older = (synced[-1],) if synced else (*unsynced, before)
    # What is kept was there before, and left this list when it was; so none is kept twice.
    return tuple(image for image in older if image != now)


def synced_after(
    known: tuple[Image, ...], synced: Sequence[Image], keeps: int
) -> tuple[Image, ...]:
    """The images that were synced, the latest last, and at most `keeps` older ones."""
    for image in synced:
        if not known or image != known[-1]:
            known = (*known, image)[-keeps - 1 :]
    return known


def synced_after_restart(
    known: tuple[Image, ...], image: Image, mishap: Mishap
) -> tuple[Image, ...]:
    """The images that were synced, once a disk is found to be other than a crash has left it."""
    if mishap.budget == "wipes":
        return (image,)
    return known[:-1] if mishap.budget == "stales" else (*known[:-1], image)


# -- what may befall it --------------------------------------------------------------------------


def tears(names: Sequence[str], unsynced: tuple[Image, ...], now: Image) -> Iterator[Mishap]:
    """Each way in which a crash may cut an unsynced write short."""
    for losing in range(1, len(unsynced) + 1):
        older = unsynced[-losing]
        newer = unsynced[1 - losing] if losing > 1 else now
        for number, address in enumerate(changed(names, older.values, newer.values)):
            # To stop before the first record, where it stays as it was, is to lose the write.
            if number or place_of(address)[1] >= 0:
                yield Mishap("tears", losing, address)


def lies(synced: tuple[Image, ...]) -> Iterator[Mishap]:
    """Each way in which a crash may lose what was synced."""
    for losing in range(1, len(synced)):
        yield Mishap("lies", losing)


def crashed(
    names: Sequence[str],
    unsynced: tuple[Image, ...],
    synced: tuple[Image, ...],
    now: Image,
    mishap: Mishap,
) -> Image:
    """What is on the disk after a crash."""
    if mishap.budget == "lies":
        return synced[-1 - mishap.losing]
    if mishap.budget == "tears":
        newer = unsynced[1 - mishap.losing] if mishap.losing > 1 else now
        return _torn(names, unsynced[-mishap.losing], newer, mishap.address)
    return unsynced[-mishap.losing] if mishap.losing else now


def _torn(names: Sequence[str], older: Image, newer: Image, address: str) -> Image:
    name, index = place_of(address)
    at = names.index(name)
    old, new = older.values[at], newer.values[at]
    marks = [mark for mark in newer.marks if _is_before(names, mark.address, at, index)]
    marks += [mark for mark in older.marks if not _is_before(names, mark.address, at, index)]
    if index < 0:
        middle = old
    else:
        head: tuple[Any, ...] = new[: index + 1]  # type: ignore[index]
        tail: tuple[Any, ...] = old[index + 2 :] if is_list(old) else ()  # type: ignore[index]
        middle = (*head, altered(new[index + 1]), *tail)  # type: ignore[index]
        marks.append(Mark(address, TORN))
    values = (*newer.values[:at], middle, *older.values[at + 1 :])
    return Image(values, _in_order(names, marks))


def _is_before(names: Sequence[str], address: str, at: int, index: int) -> bool:
    name, other = place_of(address)
    return (names.index(name), other) < (at, index)


def restarts(
    names: Sequence[str],
    synced: tuple[Image, ...],
    now: Image,
    made: Image,
    budgets: Collection[str],
) -> Iterator[Mishap]:
    """Each way, of some kinds, in which a disk may be other at a restart than at the crash."""
    if "wipes" in budgets and now != made:
        yield Mishap("wipes")
    if "stales" in budgets and len(synced) > 1:
        yield Mishap("stales")
    if "rots" in budgets:
        marked = {mark.address for mark in now.marks}
        for address in addresses(names, now.values):
            if address not in marked:
                yield Mishap("rots", 0, address)
    if "misdirects" in budgets and len(synced) > 1 and synced[-1] == now:
        yield from _misdirects(names, synced[-2], now)


def _misdirects(names: Sequence[str], older: Image, now: Image) -> Iterator[Mishap]:
    """A record of a list that was synced last, and the older one that it may have landed on."""
    for address in changed(names, older.values, now.values):
        name, index = place_of(address)
        if index < 0:
            continue
        old, new = (image.values[names.index(name)] for image in (older, now))
        before = len(old) - 1 if is_list(old) else 0  # type: ignore[arg-type]
        # A record that has no older content is missing: that leaves no gap at the end of a list.
        if index >= before and index != len(new) - 2:  # type: ignore[arg-type]
            continue
        for other in range(min(before, len(new) - 1)):  # type: ignore[arg-type]
            if other != index:
                yield Mishap("misdirects", 0, address, f"{name}[{other}]")


def restarted(
    names: Sequence[str], synced: tuple[Image, ...], now: Image, made: Image, mishap: Mishap
) -> Image:
    """What is on the disk at a restart."""
    if mishap.budget == "wipes":
        return made
    if mishap.budget == "stales":
        return synced[-2]
    if mishap.budget == "rots":
        name, index = place_of(mishap.address)
        return _damaged(names, now, mishap.address, altered(_at(names, now, name, index)))
    name, index = place_of(mishap.address)
    landed = _at(names, now, name, index)
    at, old = names.index(name), synced[-2].values[names.index(name)]
    new: tuple[Any, ...] = now.values[at]  # type: ignore[assignment]
    if is_list(old) and index + 1 < len(old):  # type: ignore[arg-type]
        value = (*new[: index + 1], old[index + 1], *new[index + 2 :])  # type: ignore[index]
    else:
        value = new[: index + 1]
    image = now._replace(values=(*now.values[:at], value, *now.values[at + 1 :]))
    return _damaged(names, image, mishap.other, landed)


def _at(names: Sequence[str], image: Image, name: str, index: int) -> Frozen:
    value: Any = image.values[names.index(name)]
    return value if index < 0 else value[index + 1]  # type: ignore[no-any-return]


def _damaged(names: Sequence[str], image: Image, address: str, content: Frozen) -> Image:
    name, index = place_of(address)
    at = names.index(name)
    value: Any = image.values[at]
    if index >= 0:
        content = (*value[: index + 1], content, *value[index + 2 :])
    values = (*image.values[:at], content, *image.values[at + 1 :])
    return Image(values, _in_order(names, [*image.marks, Mark(address, DAMAGED)]))
