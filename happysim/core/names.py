"""Names that may be exchanged for one another: a type of their own, so that no other text is.

Where a world declares nodes interchangeable, what hands out their names (`self.name`, `host.peers`,
the sender of a message) hands out `Name`s, and freezing keeps these apart from ordinary text. So
exchanging two nodes renames what names them, and leaves alone a string that only reads the same.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable
from typing import Any


class Name(str):
    """The name of a node that is interchangeable with others; in all else ordinary text.

    Write `Name("n1")` in a field or an argument that is to name such a node from the start. In a
    world that does not declare the node interchangeable it is the text alone.
    """

    __slots__ = ()


def holds_name(frozen: Hashable) -> bool:
    """True where frozen content holds a `Name` anywhere."""
    if type(frozen) is not tuple:
        return False
    return bool(frozen) and (frozen[0] is Name or any(map(holds_name, frozen)))


def plain_but(frozen: Any, names: Collection[str]) -> Any:
    """Frozen content in which only these names are `Name`s; any other is the text alone."""
    if not holds_name(frozen):
        return frozen
    if frozen[0] is Name:
        return frozen if frozen[1] in names else frozen[1]
    return tuple([plain_but(each, names) for each in frozen])
