"""Ballot: the number of an attempt to choose, in the protocols of the Paxos family."""

from __future__ import annotations

from typing import NamedTuple


class Ballot(NamedTuple):
    """Ordered by round, then by name. Only the node of that name uses it, and each round once.

    So no two nodes share a ballot, and there is one above any that a node has heard of.
    """

    round: int
    name: str


# Below every ballot in use, whose rounds count from 1.
NO_BALLOT = Ballot(0, "")
