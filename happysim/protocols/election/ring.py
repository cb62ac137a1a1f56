"""Election on a ring: a token goes round and comes back to the most senior member that is alive.

**Source**: Le Lann, *Distributed systems: towards a formal approach*, IFIP Congress 1977; Chang and
Roberts, *An improved algorithm for decentralized extrema-finding in circular configurations of
processes*, Communications of the ACM 22(5), 1979.

**Assumes**, to have one leader at a time: messages arrive within a bounded delay, and a member that
is up acknowledges a token within `receipt_seconds`. A token goes round within `leader_seconds`, or
its members stand again before it is back. And those that are up reach each other, both ways, or
two of them may lead a part each for as long as they do not (see `bully`).

**Safety**: where delays are longer, two members may lead at once; but never in the same term, since
a member wins only terms of its own. The larger term fences the smaller.

**Deviates**:
- The paper's processes do not fail. Here a token is acknowledged; a member that does not do so is
  skipped, and a token is dropped where its candidate is, or where it has been before.
- A token carries a term. A member that puts itself in the place of a junior candidate gives the
  token a new term of its own; a token of an older term is dropped, for a newer one is on its way.
- The victory goes to everyone, not round the ring.
- A senior member that comes back does not take over: the leader of before stays.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from happysim.core.host import Host
from happysim.protocols.election.messages import Campaign
from happysim.protocols.election.seniority import seniority

if TYPE_CHECKING:
    from happysim.protocols.election.member import LeaderElection


@dataclass(frozen=True)
class Token:
    """Goes round the ring; the candidate that it comes back to has won."""

    candidate: str


@dataclass(frozen=True)
class Receipt:
    """Says that a token has arrived."""


@dataclass(frozen=True)
class Passed:
    """Of a member that has passed on the token of its term: whose, and to whom it last did."""

    candidate: str
    to: str
    is_received: bool = False


@dataclass(frozen=True)
class RingStrategy:
    """The most senior member on the ring at the time of the election leads, and stays.

    The ring runs in order of seniority. `receipt_seconds` must be more than a round trip, or a
    living member is skipped.
    """

    receipt_seconds: float = 0.05

    def stand(self, member: LeaderElection, host: Host) -> None:
        """Send a token round, for oneself."""
        member.enter(host, member.own_term(host))
        self.pass_on(member, host, member.name, after=member.name)

    def pass_on(self, member: LeaderElection, host: Host, candidate: str, after: str) -> None:
        """Give the token to the next member; `after` is the last that it was offered to."""
        everyone = member.everyone(host)
        to = everyone[(everyone.index(after) + 1) % len(everyone)]
        if to == member.name and candidate == member.name:
            member.lead(host)  # nobody else is alive
        elif after == candidate and candidate != member.name:
            member.await_leader(host)  # the candidate itself is dead
        else:
            member.campaign = Passed(candidate, to)
            member.say(host, to, Token(candidate))
            member.wait(host, self.receipt_seconds)

    def heed(self, member: LeaderElection, host: Host, sender: str, campaign: Campaign) -> None:
        """Acknowledge a token, and pass on the more senior candidate, oneself or another."""
        if isinstance(campaign.step, Token):
            # In the member's term: the sender of a token of an older one learns of the newer.
            member.say(host, sender, Receipt())
            if campaign.term == member.current_term:
                self.take(member, host, campaign.step.candidate)
        elif isinstance(campaign.step, Receipt) and campaign.term == member.current_term:
            self.note_receipt(member, host, sender)

    def take(self, member: LeaderElection, host: Host, candidate: str) -> None:
        """Chang and Roberts' rule: a more senior candidate passes, a junior one is replaced."""
        if candidate == member.name:
            if not member.is_leader:
                member.lead(host)
        elif seniority(candidate) < seniority(member.name):
            self.stand(member, host)
        elif member.campaign is None and member.current_leader is None:
            # Else it has been here: a copy, or its candidate did not take it and is dead.
            self.pass_on(member, host, candidate, after=member.name)

    def note_receipt(self, member: LeaderElection, host: Host, sender: str) -> None:
        """The token goes its way. Should it get lost on it, this member stands."""
        passed = member.campaign
        if isinstance(passed, Passed) and passed.to == sender and not passed.is_received:
            member.campaign = replace(passed, is_received=True)
            member.await_leader(host)

    def expire(self, member: LeaderElection, host: Host) -> None:
        """No receipt: repair the ring, skip that member."""
        self.pass_on(member, host, member.campaign.candidate, after=member.campaign.to)

    def accepts(self, member: LeaderElection, leader: str) -> bool:
        """Whoever has won is followed."""
        return True
