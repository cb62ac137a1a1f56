"""The bully algorithm: the most senior member that is alive leads.

**Source**: Garcia-Molina, *Elections in a distributed computing system*, 1982, section III, told
with the three messages that it is usually told with: a challenge, an answer, a victory.

**Assumes**, to have one leader at a time: messages arrive within a bounded delay, and a member that
is up answers within `answer_seconds`. And those that are up reach each other, both ways: whoever
some of them cannot reach is dead, or out of reach of all. So the paper has it, where a member that
does not answer is dead. A member that reaches only some of the others may lead those in a larger
term than the leader of the rest has, who is not told; that lasts as long as it does. Votes
(`randomized`) do not need this.

**Safety**: where an answer comes too late, two members may lead at once; but never in the same
term, since a member wins only terms of its own. The larger term fences the smaller.

**Deviates**: a member that recovers does not stand at once. It waits for a heartbeat; that of a
junior leader makes it stand. Members that have crossed the election do not exchange states here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from happysim.core.host import Host
from happysim.protocols.election.messages import Campaign
from happysim.protocols.election.seniority import seniority

if TYPE_CHECKING:
    from happysim.protocols.election.member import LeaderElection


@dataclass(frozen=True)
class Challenge:
    """To a senior member: are you alive?"""


@dataclass(frozen=True)
class Answer:
    """To a junior member: I am; leave it to me."""


@dataclass(frozen=True)
class BullyStrategy:
    """The most senior member leads, and takes over when it comes back.

    `answer_seconds` must be more than a round trip, or a living senior is taken for dead.
    """

    answer_seconds: float = 0.1

    def stand(self, member: LeaderElection, host: Host) -> None:
        """Challenge all who are senior; who has none above it wins at once."""
        member.enter(host, self.next_term(member, host))
        seniors = [name for name in member.others(host) if seniority(name) > seniority(member.name)]
        if not seniors:
            member.lead(host)
            return
        for senior in seniors:
            member.say(host, senior, Challenge())
        member.wait(host, self.answer_seconds)

    def next_term(self, member: LeaderElection, host: Host) -> int:
        """No other member can win it, however wrong both are about who is alive."""
        return member.own_term(host)

    def heed(self, member: LeaderElection, host: Host, sender: str, campaign: Campaign) -> None:
        """Answer a challenge, and stand oneself; on an answer, wait for a senior's victory."""
        is_current = campaign.term == member.current_term
        if isinstance(campaign.step, Challenge):
            # To a challenge of an older term too: it tells the challenger of the newer one.
            member.say(host, sender, Answer())
            if is_current:
                self.stand(member, host)
        elif is_current and isinstance(campaign.step, Answer) and not member.is_leader:
            member.await_leader(host)

    def expire(self, member: LeaderElection, host: Host) -> None:
        """No senior has answered: none is alive."""
        member.lead(host)

    def accepts(self, member: LeaderElection, leader: str) -> bool:
        """A junior leader is replaced: that is the bully."""
        return seniority(leader) > seniority(member.name)
