"""Wrong leader elections, each with one mistake, and the properties that catch it."""

from __future__ import annotations

from happysim import Faults, Host, World, bfs, bounded, duplicating, must_break
from happysim.protocols.election import (
    BullyStrategy,
    Campaign,
    LeaderElection,
    RandomizedStrategy,
    RingStrategy,
    Victory,
)
from properties import election as right
from properties.election import first_days, group, in_time, terms

# -- the member's mistakes ------------------------------------------------------------------------


class TrustsItsLeader(LeaderElection):
    """There is no failure detection: who has a leader waits for it for ever."""

    def follow(self, host: Host, leader: str) -> None:
        super().follow(host, leader)
        host.cancel_timer("leader")


@bounded(by=bfs(), within=terms(3))
def members_that_trust_their_leader(strategy: str = "bully") -> World:
    faults = Faults(crashes=1, restarts=0, crashable=("n3",))
    return group(3, strategy, TrustsItsLeader, faults=faults)


a_dead_bully_is_never_missed = must_break(
    right.who_does_not_lead_will_stand.over(
        members_that_trust_their_leader, "a_dead_bully_is_never_missed"
    )
)
a_dead_leader_on_the_ring_is_never_missed = must_break(
    right.who_does_not_lead_will_stand.over(
        members_that_trust_their_leader,
        "a_dead_leader_on_the_ring_is_never_missed",
        strategy="ring",
    )
)


@bounded(by=right.QUORUM_IN_TIME)
def members_that_trust_their_leader_in_time() -> World:
    return in_time("bully", TrustsItsLeader)


@bounded(by=right.QUORUM_IN_TIME)
def a_ring_that_trusts_its_leader_in_time() -> World:
    return in_time("ring", TrustsItsLeader)


a_dead_bully_is_never_replaced = must_break(
    right.most_follow_one_leader.over(
        members_that_trust_their_leader_in_time, "a_dead_bully_is_never_replaced"
    )
)
a_dead_leader_on_the_ring_is_never_replaced = must_break(
    right.most_follow_one_leader.over(
        a_ring_that_trusts_its_leader_in_time, "a_dead_leader_on_the_ring_is_never_replaced"
    )
)


class KeepsItsVote(LeaderElection):
    """A vote is for ever: once each has voted for itself, nobody is elected in any term."""

    def enter(self, host: Host, term: int) -> None:
        kept = self.voted_for
        super().enter(host, term)
        self.voted_for = kept


@bounded(by=bfs(), max_depth=6)
def members_that_keep_their_vote() -> World:
    return first_days("randomized", KeepsItsVote)


nobody_is_ever_elected = must_break(
    right.calm_days_elect_a_leader.over(members_that_keep_their_vote, "nobody_is_ever_elected")
)


@bounded(by=right.QUORUM_IN_TIME)
def members_that_keep_their_vote_in_time() -> World:
    return in_time("randomized", KeepsItsVote)


nobody_is_elected_in_time = must_break(
    right.most_follow_one_leader.over(
        members_that_keep_their_vote_in_time, "nobody_is_elected_in_time"
    )
)


class TakesAnyVictory(LeaderElection):
    """A victory counts whatever its term: a late one replaces the leader of a later term."""

    def is_stale(self, term: int) -> bool:
        return False


@bounded(by=bfs(), within=terms(3))
def members_that_take_any_victory() -> World:
    return group(3, "ring", TakesAnyVictory, network=duplicating())


an_old_victory_replaces_a_newer_leader = must_break(
    right.a_leader_stays_for_its_term.over(
        members_that_take_any_victory, "an_old_victory_replaces_a_newer_leader"
    )
)


class AnnouncesTheNextTerm(LeaderElection):
    """The victory is of a term that the winner is not in, and its heartbeats are stale at once."""

    def announce(self, host: Host) -> None:
        host.broadcast(Victory(self.current_term + 1), to=self.others(host))


@bounded(by=bfs(), within=terms(4))
def members_that_announce_the_next_term() -> World:
    return group(3, "bully", AnnouncesTheNextTerm, heartbeats=True, network=duplicating())


@bounded(by=bfs(), max_depth=6)
def calm_days_of_the_next_term() -> World:
    return first_days("ring", AnnouncesTheNextTerm)


a_victory_of_another_term = must_break(
    right.a_victory_carries_its_own_term.over(
        members_that_announce_the_next_term, "a_victory_of_another_term"
    )
)
elections_without_end = must_break(
    right.calm_days_elect_a_leader.over(calm_days_of_the_next_term, "elections_without_end")
)


class ForgetsItsTerm(LeaderElection):
    """The term is in memory only: a member that was down begins with 1 again."""

    current_term: int = 0


@bounded(by=bfs(), within=terms(3))
def members_that_forget_their_term() -> World:
    faults = Faults(crashes=1, crashable=("n3",))
    return group(3, "bully", ForgetsItsTerm, faults=faults, network=duplicating())


a_term_is_forgotten = must_break(
    right.terms_only_grow.over(members_that_forget_their_term, "a_term_is_forgotten")
)


class VotesBeforeItIsOnDisk(LeaderElection):
    """Terms and votes leave before they are synced."""

    def persist(self, host: Host) -> None:
        pass


@bounded(by=bfs(), within=terms(1))
def members_that_vote_before_it_is_on_disk() -> World:
    faults = Faults(crashes=1, unsynced_loss=True)
    return group(3, "randomized", VotesBeforeItIsOnDisk, faults=faults)


a_vote_is_lost_in_a_crash = must_break(
    right.one_leader_a_term.over(
        members_that_vote_before_it_is_on_disk, "a_vote_is_lost_in_a_crash"
    )
)

# -- the strategies' mistakes ---------------------------------------------------------------------


class CountsTermsUp(BullyStrategy):
    """The next term is the next number: two that take each other for dead win the same one."""

    def next_term(self, member: LeaderElection, host: Host) -> int:
        return member.current_term + 1


class NeverTakesOver(BullyStrategy):
    """A senior member that comes back follows the junior that has led since."""

    def accepts(self, member: LeaderElection, leader: str) -> bool:
        return True


class IsContentWithHalf(RandomizedStrategy):
    """Half of the members elect; so can the other half."""

    def is_majority(self, votes: int, members: int) -> bool:
        return 2 * votes >= members


class CountsOldVotes(RandomizedStrategy):
    """A vote counts whatever term it was cast in."""

    def heed(self, member: LeaderElection, host: Host, sender: str, campaign: Campaign) -> None:
        now = Campaign(max(campaign.term, member.current_term), campaign.step)
        super().heed(member, host, sender, now)


class WaitsForTheDead(RingStrategy):
    """The ring is not repaired: a token waits at a member that is down."""

    def expire(self, member: LeaderElection, host: Host) -> None:
        pass


@bounded(by=bfs(), within=terms(3))
def bullies_that_count_terms_up() -> World:
    return group(3, CountsTermsUp())


@bounded(by=bfs(), within=terms(4))
def bullies_that_never_take_over() -> World:
    return group(3, NeverTakesOver())


@bounded(by=bfs(), within=terms(1))
def voters_content_with_half() -> World:
    return group(4, IsContentWithHalf())


@bounded(by=bfs(), within=terms(2))
def voters_that_count_old_votes() -> World:
    return group(3, CountsOldVotes())


@bounded(by=bfs(), within=terms(1))
def a_ring_that_waits_for_the_dead() -> World:
    return group(3, WaitsForTheDead())


two_bullies_win_one_term = must_break(
    right.one_leader_a_term.over(bullies_that_count_terms_up, "two_bullies_win_one_term")
)
a_senior_follows_a_junior = must_break(
    right.nobody_follows_a_junior.over(bullies_that_never_take_over, "a_senior_follows_a_junior")
)
two_halves_elect_two_leaders = must_break(
    right.one_leader_a_term.over(voters_content_with_half, "two_halves_elect_two_leaders")
)
an_old_vote_elects_a_second_leader = must_break(
    right.one_leader_a_term.over(voters_that_count_old_votes, "an_old_vote_elects_a_second_leader")
)
a_token_waits_at_a_dead_member = must_break(
    right.who_does_not_lead_will_stand.over(
        a_ring_that_waits_for_the_dead, "a_token_waits_at_a_dead_member"
    )
)
