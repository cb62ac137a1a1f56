"""What clients and leaders tell each other."""

from __future__ import annotations

from typing import Any, TypeAlias

from happysim.core.message import message
from happysim.protocols.multi_leader.records import Context, Record

Records: TypeAlias = tuple[tuple[str, Record], ...]

# -- clients -------------------------------------------------------------------------------------


@message
class Put:
    """Write a key. A client script is answered `Done`.

    `context` is what the writer has read: the write overwrites that, and is a sibling of the rest.
    Without one it overwrites all that the leader has.
    """

    key: str
    value: Any
    context: Context | None = None


@message
class Delete:
    """Take a key away. Answered and understood as `Put`."""

    key: str
    context: Context | None = None


@message
class Get:
    """Read a key. A client script is answered `Found`; `NotYet`, if the leader is behind `after`.

    With the contexts of its earlier answers as `after`, a client reads its own writes, and never
    goes back, at whichever leader it reads.
    """

    key: str
    after: Context = ()


@message
class Done:
    """The write has been taken on; `context` has seen it."""

    context: Context


@message
class Found:
    """What the resolver says of the key, and what the leader had seen of it."""

    value: Any
    context: Context


@message
class NotYet:
    """The leader has not seen all that the client has. Ask again later, or elsewhere."""


# -- leaders -------------------------------------------------------------------------------------


@message
class Push:
    """What the sender has of some keys, which have just been written."""

    records: Records


@message
class Compare:
    """Digests of the sender's hash tree, by path. The receiver goes on where they differ."""

    digests: tuple[tuple[str, str], ...]


@message
class Equal:
    """The receiver's tree had this root when it sent it, and the sender's had the same."""

    root: str


@message
class Leaf:
    """All that the sender has in one leaf. `is_answer`: it does not want the receiver's in turn."""

    path: str
    records: Records
    is_answer: bool
