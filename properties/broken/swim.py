"""Wrong members of a SWIM group, each with one mistake, and the properties that catch it."""

from __future__ import annotations

from happysim import Host, World, bfs, bounded, must_break
from happysim.protocols.swim import (
    Ack,
    Claim,
    MembershipProtocol,
    Ping,
    PingRequest,
    Probe,
    Status,
    Update,
)
from properties import swim as right
from properties.swim import (
    back_from_the_dead,
    first_steps,
    four_members,
    in_time,
    one_prober,
    one_prober_and_a_crash,
    probes,
)


class SuspectsForEver(MembershipProtocol):
    """A suspicion needs more members than there are to run out: small groups bury nobody."""

    def watch_suspect(self, name: str) -> None:
        if self.bits() > 2:
            super().watch_suspect(name)


class ProbesWhomItHasHeard(MembershipProtocol):
    """Only members that have been heard of are probed: one that died before stays ALIVE."""

    heard: set[str] = set()

    def take(self, host: Host, sender: str, updates: tuple[Update, ...]) -> bool:
        self.heard.add(sender)
        return super().take(host, sender, updates)

    def next_target(self, host: Host) -> str | None:
        if not self.round:
            self.round = [name for name in self.others() if name in self.heard]
        return self.round.pop(0) if self.round else None


class PingsTheDelegate(MembershipProtocol):
    """The "indirect" ping is a plain ping of the delegate, which says nothing of the target."""

    def ask_delegate(self, host: Host, delegate: str, probe: Probe) -> None:
        host.send(delegate, Ping(probe.sequence, self.name, self.updates_for(delegate)))


class NeverRaises(MembershipProtocol):
    """A suspect says that it is alive, under the incarnation that it is suspected of."""

    def raise_incarnation(self, to: int) -> None:
        pass


class MissesItsAcks(MembershipProtocol):
    """The number is raised once more after the ping: every ack looks like one of before."""

    def is_answered(self, ack: Ack) -> bool:
        later = Ack(ack.sequence - 1, ack.origin, ack.member)
        return super().is_answered(later)


class TellsOnce(MembershipProtocol):
    """An update rides on one message only."""

    def updates_for(self, to: str) -> tuple[Update, ...]:
        updates = super().updates_for(to)
        self.gossip = {}
        return updates


class KeepsItToItself(MembershipProtocol):
    """What another tells is learnt, and not passed on."""

    def take(self, host: Host, sender: str, updates: tuple[Update, ...]) -> bool:
        own = dict(self.gossip)
        listens = super().take(host, sender, updates)
        self.gossip = own
        return listens


class BuriesAtOnce(MembershipProtocol):
    """Who does not answer is dead: there is no suspicion."""

    def judge(self, host: Host) -> None:
        if self.probe is not None:
            target, self.probe = self.probe.target, None
            incarnation = self.claims[target].incarnation
            self.learn(host, Update(target, incarnation, Status.DEAD))


class JudgesTooEarly(MembershipProtocol):
    """Whoever has not answered when the period ends is suspected, delegates or not."""

    def is_undecided(self) -> bool:
        return False


class VouchesForTheTarget(MembershipProtocol):
    """A delegate that takes the target to be alive says so, and does not ask it."""

    def probe_for(self, host: Host, sender: str, request: PingRequest) -> None:
        if self.take(host, sender, request.updates):
            host.send(sender, Ack(request.sequence, sender, request.target))


class RefutesForOthers(MembershipProtocol):
    """Who hears an ack of a suspect refutes the suspicion in its name."""

    def take_ack(self, host: Host, sender: str, ack: Ack) -> None:
        super().take_ack(host, sender, ack)
        claim = self.claims[ack.member]
        if claim.status is Status.SUSPECT:
            self.learn(host, Update(ack.member, claim.incarnation + 1, Status.ALIVE))


class TakesTheLastWord(MembershipProtocol):
    """Whatever is heard last stands: an old ALIVE clears a suspicion that it does not answer."""

    def overrides(self, known: Claim | None, heard: Claim) -> bool:
        return known is None or known.incarnation <= heard.incarnation


class ForgetsItsIncarnation(MembershipProtocol):
    """The incarnation is in memory only: what was said of the last life is said of this one."""

    incarnation: int = -1


class LeavesTheDeadAlone(MembershipProtocol):
    """The dead are never pinged: after a partition nobody begins to talk to the other side."""

    def knock(self, host: Host) -> None:
        pass


class RefutesOnce(MembershipProtocol):
    """A claim that was refuted before is passed over: who has missed the answer never gets it."""

    def answer_claim(self, host: Host, update: Update) -> None:
        if update.incarnation >= self.incarnation:
            super().answer_claim(host, update)


# -- where it is seen ------------------------------------------------------------------------------


def suspicions_without_end() -> World:
    return one_prober(SuspectsForEver)


@bounded(by=bfs(), max_depth=3)
def only_the_heard_are_probed() -> World:
    return first_steps(ProbesWhomItHasHeard)


@bounded(by=bfs(), within=probes(4, 0, 0), max_depth=11)
def delegates_that_are_pinged() -> World:
    return one_prober(PingsTheDelegate)


@bounded(by=bfs(), max_depth=2)
def a_cut_link_and_pinged_delegates() -> World:
    return four_members(PingsTheDelegate)


@bounded(by=bfs(), max_depth=6)
def incarnations_that_stay() -> World:
    return back_from_the_dead(NeverRaises)


@bounded(by=bfs(), max_depth=2)
def a_partition_and_incarnations_that_stay() -> World:
    return four_members(NeverRaises)


@bounded(by=bfs(), max_depth=2)
def acks_that_are_missed() -> World:
    return four_members(MissesItsAcks)


@bounded(by=bfs(), within=probes(4, 0, 0), max_depth=11)
def updates_told_once() -> World:
    return one_prober(TellsOnce)


@bounded(by=bfs(), within=probes(4, 0, 0), max_depth=11)
def updates_kept_to_oneself() -> World:
    return one_prober(KeepsItToItself)


@bounded(by=bfs(), within=probes(4, 0, 0), max_depth=11)
def the_silent_are_buried() -> World:
    return one_prober(BuriesAtOnce)


@bounded(by=bfs(), within=probes(4, 0, 0), max_depth=11)
def judged_too_early() -> World:
    return one_prober(JudgesTooEarly)


@bounded(by=bfs(), within=probes(4, 0, 0), max_depth=11)
def delegates_that_vouch() -> World:
    return one_prober(VouchesForTheTarget)


@bounded(by=bfs(), within=probes(4, 0, 0), max_depth=11)
def refutations_by_others() -> World:
    return one_prober(RefutesForOthers)


@bounded(by=bfs(), within=probes(4, 0, 0), max_depth=11)
def the_last_word_stands() -> World:
    return one_prober(TakesTheLastWord)


@bounded(by=bfs(), within=probes(4, 0, 0), max_depth=9)
def incarnations_in_memory() -> World:
    return one_prober_and_a_crash(ForgetsItsIncarnation)


@bounded(by=bfs(), max_depth=2)
def the_dead_are_left_alone() -> World:
    return four_members(LeavesTheDeadAlone)


@bounded(by=bfs(), max_depth=2)
def refuted_once() -> World:
    return four_members(RefutesOnce)


@bounded(by=right.IN_TIME)
def the_dead_are_left_alone_in_time() -> World:
    return in_time(LeavesTheDeadAlone)


@bounded(by=right.IN_TIME)
def incarnations_that_stay_in_time() -> World:
    return in_time(NeverRaises)


suspects_are_never_buried = must_break(
    right.every_suspect_has_its_time.over(suspicions_without_end, "suspects_are_never_buried")
)
a_member_never_heard_of_stays_alive = must_break(
    right.calm_rounds_find_out.over(
        only_the_heard_are_probed, "a_member_never_heard_of_stays_alive"
    )
)
an_indirect_probe_is_a_plain_ping = must_break(
    right.an_indirect_probe_is_one.over(
        delegates_that_are_pinged, "an_indirect_probe_is_a_plain_ping"
    )
)
a_cut_link_condemns_two = must_break(
    right.a_cut_link_condemns_nobody.over(
        a_cut_link_and_pinged_delegates, "a_cut_link_condemns_two"
    )
)
a_refutation_does_not_override = must_break(
    right.a_suspicion_heard_of_is_refuted.over(
        incarnations_that_stay, "a_refutation_does_not_override"
    )
)
healthy_members_stay_buried = must_break(
    right.after_a_partition_all_are_back.over(
        a_partition_and_incarnations_that_stay, "healthy_members_stay_buried"
    )
)
nobody_fails_and_all_are_suspected = must_break(
    right.calm_rounds_suspect_nobody.over(
        acks_that_are_missed, "nobody_fails_and_all_are_suspected"
    )
)
an_update_is_told_once = must_break(
    right.what_is_learnt_is_passed_on.over(updates_told_once, "an_update_is_told_once")
)
an_update_is_not_passed_on = must_break(
    right.what_is_learnt_is_passed_on.over(updates_kept_to_oneself, "an_update_is_not_passed_on")
)
a_member_dies_unsuspected = must_break(
    right.nobody_dies_unsuspected.over(the_silent_are_buried, "a_member_dies_unsuspected")
)
a_member_is_suspected_unprobed = must_break(
    right.nobody_is_suspected_unprobed.over(judged_too_early, "a_member_is_suspected_unprobed")
)
a_delegate_vouches_for_the_dead = must_break(
    right.nobody_vouches_for_another.over(delegates_that_vouch, "a_delegate_vouches_for_the_dead")
)
an_incarnation_is_made_up = must_break(
    right.only_a_member_raises_its_incarnation.over(
        refutations_by_others, "an_incarnation_is_made_up"
    )
)
an_old_claim_comes_back = must_break(
    right.no_claim_comes_back.over(the_last_word_stands, "an_old_claim_comes_back")
)
an_incarnation_is_forgotten = must_break(
    right.incarnations_only_grow.over(incarnations_in_memory, "an_incarnation_is_forgotten")
)
two_sides_never_meet_again = must_break(
    right.after_a_partition_all_are_back.over(the_dead_are_left_alone, "two_sides_never_meet_again")
)
one_member_misses_the_answer = must_break(
    right.who_comes_last_hears_it_all.over(refuted_once, "one_member_misses_the_answer")
)
healthy_members_stay_buried_in_time = must_break(
    right.a_majority_knows_who_is_there.over(
        incarnations_that_stay_in_time, "healthy_members_stay_buried_in_time"
    )
)
two_sides_never_meet_again_in_time = must_break(
    right.a_majority_knows_who_is_there.over(
        the_dead_are_left_alone_in_time, "two_sides_never_meet_again_in_time"
    )
)
