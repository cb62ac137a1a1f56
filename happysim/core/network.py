"""The three kinds of network, each as what one node has waiting for it: its inbox.

An inbox is a tuple that is equal for equal content. Messages are numbers of envelopes; `rank` gives
each the place of its content, so that no order here depends on which message was seen first.

- unordered: a multiset. Any message may be next; delivery takes one copy.
- ordered: a queue for each sender (FIFO per link). The head of each may be next.
- duplicating: a set. A message once sent may arrive any number of times; only a drop takes it out.

None of them loses a message by itself: not delivering it is the loss (and the delay).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

Inbox = tuple[Any, ...]
Rank = Sequence[Any]


class Delivery(Protocol):
    """How messages wait between sending and delivery. `kind` names it."""

    kind: str
    consumes_no_ops: bool

    def put(self, inbox: Inbox, envelope: int, source: int, rank: Rank) -> Inbox:
        """The inbox with one more message in it."""

    def heads(self, inbox: Inbox) -> tuple[int, ...]:
        """Each message that may be delivered next, once, in order of content."""

    def take(self, inbox: Inbox, envelope: int, source: int) -> Inbox:
        """The inbox after the delivery of a message."""

    def drop(self, inbox: Inbox, envelope: int, source: int) -> Inbox:
        """The inbox after one copy of a message was lost (every copy, where the network copies)."""

    def copy(self, inbox: Inbox, envelope: int, source: int, rank: Rank) -> Inbox:
        """The inbox after a message was duplicated: one more copy may be delivered next."""

    def waiting(self, inbox: Inbox) -> tuple[tuple[int, int], ...]:
        """Everything in the inbox: (message, number of copies), in order of delivery or content."""

    def cut(self, inbox: Inbox, source: int | None) -> Inbox:
        """The inbox after a crash of `source` (None: of the owner)."""


class _Unordered:
    kind = "unordered"
    # A no-op delivery is not a step here: a message that changes nothing stays in flight.
    consumes_no_ops = False

    def put(self, inbox: Inbox, envelope: int, source: int, rank: Rank) -> Inbox:
        for at, (other, copies) in enumerate(inbox):
            if other == envelope:
                return (*inbox[:at], (envelope, copies + 1), *inbox[at + 1 :])
        return tuple(sorted((*inbox, (envelope, 1)), key=lambda entry: rank[entry[0]]))

    def heads(self, inbox: Inbox) -> tuple[int, ...]:
        return tuple(envelope for envelope, _ in inbox)

    def take(self, inbox: Inbox, envelope: int, source: int) -> Inbox:
        kept = []
        for other, copies in inbox:
            if other != envelope:
                kept.append((other, copies))
            elif copies > 1:
                kept.append((other, copies - 1))
        return tuple(kept)

    drop = take
    copy = put

    def waiting(self, inbox: Inbox) -> tuple[tuple[int, int], ...]:
        return inbox

    def cut(self, inbox: Inbox, source: int | None) -> Inbox:
        return inbox


class _Duplicating:
    kind = "duplicating"
    consumes_no_ops = False

    def put(self, inbox: Inbox, envelope: int, source: int, rank: Rank) -> Inbox:
        if envelope in inbox:
            return inbox
        return tuple(sorted((*inbox, envelope), key=rank.__getitem__))

    def heads(self, inbox: Inbox) -> tuple[int, ...]:
        return inbox

    def take(self, inbox: Inbox, envelope: int, source: int) -> Inbox:
        return inbox

    def drop(self, inbox: Inbox, envelope: int, source: int) -> Inbox:
        return tuple(other for other in inbox if other != envelope)

    copy = put

    def waiting(self, inbox: Inbox) -> tuple[tuple[int, int], ...]:
        return tuple((envelope, 1) for envelope in inbox)

    def cut(self, inbox: Inbox, source: int | None) -> Inbox:
        return inbox


class _Ordered:
    kind = "ordered"
    consumes_no_ops = True

    def put(self, inbox: Inbox, envelope: int, source: int, rank: Rank) -> Inbox:
        queues = dict(inbox)
        queues[source] = (*queues.get(source, ()), envelope)
        return tuple(sorted(queues.items()))

    def heads(self, inbox: Inbox) -> tuple[int, ...]:
        return tuple(queue[0] for _, queue in inbox)

    def take(self, inbox: Inbox, envelope: int, source: int) -> Inbox:
        queues = dict(inbox)
        queues[source] = queues[source][1:]
        return tuple(entry for entry in sorted(queues.items()) if entry[1])

    drop = take

    def copy(self, inbox: Inbox, envelope: int, source: int, rank: Rank) -> Inbox:
        return tuple((who, (envelope, *q) if who == source else q) for who, q in inbox)

    def waiting(self, inbox: Inbox) -> tuple[tuple[int, int], ...]:
        return tuple((envelope, 1) for _, queue in inbox for envelope in queue)

    def cut(self, inbox: Inbox, source: int | None) -> Inbox:
        # A crash breaks the node's connections, and with them what was under way both ways.
        # What it had sent can still arrive: before the crash.
        return () if source is None else tuple(entry for entry in inbox if entry[0] != source)


_KINDS: tuple[Delivery, Delivery, Delivery] = (_Unordered(), _Ordered(), _Duplicating())


def unordered() -> Delivery:
    """A network that may deliver any message next (a multiset). The default."""
    return _KINDS[0]


def ordered() -> Delivery:
    """A network that keeps the order of messages on each link (FIFO per sender and receiver)."""
    return _KINDS[1]


def duplicating() -> Delivery:
    """A network in which a message once sent may arrive any number of times (a set)."""
    return _KINDS[2]
