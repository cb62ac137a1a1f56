"""Election by votes: who stands first, after a random time, is elected by a majority.

**Source**: Ongaro and Ousterhout, *In search of an understandable consensus algorithm*, 2014,
section 5.2, without the log.

**Assumes**: nothing of delays, for safety. To elect someone, a majority of members is up and reach
each other, whatever the rest does, and a round of messages is short beside the spread of
`vote_seconds` and `leader_seconds`.

**Safety**: one leader a term, under loss, delay, reordering, copies and crashes: a member votes
once in a term, the vote is on disk before it leaves, and two majorities share a member. A deposed
leader may not know it yet; the larger term fences the smaller.

**Deviates**: with no log, any candidate will do. A vote that is not granted is not answered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from happysim.core.host import Host
from happysim.protocols.election.messages import Campaign

if TYPE_CHECKING:
    from happysim.protocols.election.member import LeaderElection


@dataclass(frozen=True)
class SeekVote:
    """The sender stands in this term, and asks for a vote."""


@dataclass(frozen=True)
class CastVote:
    """The sender's one vote in this term is the receiver's."""


@dataclass(frozen=True)
class RandomizedStrategy:
    """Whoever first has the votes of a majority leads; after a split vote all try again later."""

    vote_seconds: tuple[float, float] = (0.15, 0.3)

    def stand(self, member: LeaderElection, host: Host) -> None:
        """Vote for oneself in a new term, and ask the others to."""
        member.enter(host, member.current_term + 1)
        member.voted_for = member.name
        member.persist(host)
        member.campaign = frozenset({member.name})
        for other in member.others(host):
            member.say(host, other, SeekVote())
        member.wait(host, self.vote_seconds)
        self.count(member, host)

    def heed(self, member: LeaderElection, host: Host, sender: str, campaign: Campaign) -> None:
        """Vote once a term; as a candidate, collect votes."""
        if campaign.term < member.current_term:
            return
        if isinstance(campaign.step, SeekVote) and member.voted_for in (None, sender):
            member.voted_for = sender
            member.persist(host)
            member.say(host, sender, CastVote())
            member.await_leader(host)
        elif isinstance(campaign.step, CastVote) and member.campaign is not None:
            member.campaign |= {sender}
            self.count(member, host)

    def count(self, member: LeaderElection, host: Host) -> None:
        """Votes are counted by voter; a majority of all members elects."""
        if self.is_majority(len(member.campaign), len(member.everyone(host))):
            member.lead(host)

    def is_majority(self, votes: int, members: int) -> bool:
        """True for more than half."""
        return 2 * votes > members

    def expire(self, member: LeaderElection, host: Host) -> None:
        """The vote was split, or votes got lost: try again."""
        self.stand(member, host)

    def accepts(self, member: LeaderElection, leader: str) -> bool:
        """Whoever has won is followed."""
        return True
