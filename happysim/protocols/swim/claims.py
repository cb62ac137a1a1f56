"""What is said of a member, and which of two claims stands.

**Source**: Das, Gupta and Motivala, *SWIM: scalable weakly-consistent infection-style process group
membership protocol*, DSN 2002, section 4.2.

Claims of one member are in order: by incarnation, then ALIVE < SUSPECT < DEAD < LEFT. Of two the
larger one stands, so it makes no difference in which order, or how often, claims are heard: they
form a lattice whose join is `max`. A suspicion overrides ALIVE of its own incarnation, and only the
member itself can answer it, by a larger one.

**Deviates**: the paper has DEAD ("confirm") override every incarnation, so that a member declared
dead can never come back under its name. Here it can, by a larger incarnation.
"""

from __future__ import annotations

import enum
from typing import NamedTuple


class Status(enum.IntEnum):
    """What a claim says of a member; of equal incarnations the later one here stands."""

    ALIVE = 0
    SUSPECT = 1
    DEAD = 2
    LEFT = 3


class Claim(NamedTuple):
    """What is said of some member. Claims compare as they override each other."""

    incarnation: int
    status: Status

    @property
    def is_gone(self) -> bool:
        """True for DEAD and LEFT: such a member is not probed."""
        return self.status >= Status.DEAD

    def __str__(self) -> str:
        return f"{self.status.name} in incarnation {self.incarnation}"


class Update(NamedTuple):
    """A claim and whom it is about, as members tell it each other."""

    member: str
    incarnation: int
    status: Status

    @property
    def claim(self) -> Claim:
        """The claim alone."""
        return Claim(self.incarnation, self.status)


def standing(known: Claim | None, heard: Claim) -> Claim:
    """The claim that stands; None is what is known of a member never heard of."""
    return heard if known is None else max(known, heard)
