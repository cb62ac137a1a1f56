"""Configurations: which servers form the cluster, and which sets of them decide.

What lives here: values, and which of them may follow which. What this file does not know: servers,
logs and messages. Sections are those of Ongaro, *Consensus: bridging theory and practice*, 2014.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Configuration:
    """The members of a cluster: voters, and learners, who keep the log but do not count.

    A server that has none yet waits to be added: it has no voters. One with `old_voters` is joint
    (section 4.3): both the old and the new voters decide, each by a majority of their own.
    """

    voters: frozenset[str] = frozenset()
    learners: frozenset[str] = frozenset()
    old_voters: frozenset[str] = frozenset()

    @property
    def is_joint(self) -> bool:
        """True on the way from one set of voters to another."""
        return bool(self.old_voters)

    @property
    def electorates(self) -> tuple[frozenset[str], ...]:
        """The sets of servers of which each has to agree by a majority of its own."""
        return (self.voters, self.old_voters) if self.old_voters else (self.voters,)

    @property
    def members(self) -> frozenset[str]:
        """All servers that get the log."""
        return self.voters | self.learners | self.old_voters

    def has_vote(self, server: str) -> bool:
        """True for a server whose vote counts."""
        return server in self.voters or server in self.old_voters

    def step_to(self, target: Configuration) -> Configuration:
        """What follows on the way to `target`: itself, or first the two sets of voters jointly."""
        if len(self.voters ^ target.voters) <= 1:
            return target
        return Configuration(target.voters, target.learners, self.voters)

    @property
    def settled(self) -> Configuration:
        """Section 4.3: what follows a joint configuration."""
        return Configuration(self.voters, self.learners)

    def objection_to(self, target: Configuration, joint: bool) -> str | None:
        """Why one may not go from this configuration to `target`; None where one may.

        With `joint` consensus any voters may follow any others, else one vote changes at a time.
        """
        if not target.voters:
            return "a cluster needs a voter"
        both = sorted(target.voters & target.learners)
        if both:
            return f"{', '.join(both)} cannot be voter and learner at once"
        changed = sorted(self.voters ^ target.voters)
        if len(changed) > 1 and not joint:
            return f"it changes the votes of {', '.join(changed)}; change one at a time"
        return None


def is_quorum(electorates: Collection[frozenset[str]], servers: Collection[str]) -> bool:
    """True where `servers` have a majority in each electorate; nobody has one in an empty one."""
    return all(
        2 * sum(voter in servers for voter in voters) > len(voters) for voters in electorates
    )


def quorum_index(electorates: Collection[frozenset[str]], held: Mapping[str, int]) -> int:
    """The last index that a quorum holds, where `held` says how far each server's log goes."""
    found = []
    for voters in electorates:
        ascending = sorted(held.get(voter, 0) for voter in voters)
        found.append(ascending[(len(ascending) - 1) // 2])
    return min(found)
