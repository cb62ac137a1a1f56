"""Protocols of `properties/bad_links.py` without one precaution, each shown by one fault alone.

Properties that ask for something within a time are only judged in time: told without a clock, a run
that breaks them need not show why.
"""

from __future__ import annotations

from happysim import Host, World, bounded, must_break, on, simulated
from happysim.sim.policy import Simulated
from properties import bad_links
from properties.bad_links import (
    NAMES,
    SECOND,
    Beat,
    Member,
    Put,
    Shelf,
    Source,
    Store,
    Stored,
    Write,
)

# -- the group -------------------------------------------------------------------------------------


class CountsWhoIsLeft(Member):
    """A majority of those that it has heard of lately, not of all: both sides of a cut have one."""

    def may_lead(self) -> bool:
        lower = [name for name in self.hears() if name < self.name]
        is_led = any(self.beats[name].leads for name in lower)
        return not is_led and 2 * self.supporters() > len(self.heard_of())


class SupportsWhomItHears(Member):
    """Does not ask whether that one hears it."""

    def choose(self) -> str:
        return min([self.name, *self.hears()])


class TrustsItsOwnSends(Member):
    """Leads on as long as it hears the others: it takes for granted that they hear it."""

    def may_lead(self) -> bool:
        return Member.may_lead(self) or (self.led_since > 0 and 2 * len(self.hears()) > len(NAMES))


class CountsWhomItHears(Member):
    """Counts those it hears as its voters: the bridge between two sides votes on both."""

    def supporters(self) -> int:
        return 1 + len(self.mutual())


class WantsToSeeAll(Member):
    """Only who hears everyone that is heard of may lead: in a ring there is no such node."""

    def choose(self) -> str:
        able = [name for name in self.mutual() if self.beats[name].sees_all]
        return min([*able, *[self.name] * self.sees_all()], default="")


class TrustsTheFirstPeerBack(Member):
    """Cut off from all, it takes the state of the first peer that it hears again."""

    def take(self, now: int, beat: Beat) -> None:
        last = max(self.heard.values(), default=now)
        if self.name != "n1" and now - last > 3 * SECOND // 10:
            self.version = beat.version
        else:
            Member.take(self, now, beat)


class WantsAnswersAtOnce(Member):
    """Takes a peer for dead that has not answered within half a second."""

    def mutual(self) -> list[str]:
        echoes = {name: dict(self.beats[name].hears).get(self.name) for name in self.hears()}
        return [name for name, last in echoes.items() if last and last >= self.number - 5]


# -- copies ----------------------------------------------------------------------------------------


class ResendsAfterSilence(Source):
    """Takes messages for lost only where nothing at all came back for a while."""

    back: set[str] = set()  # who is heard again

    @on(Stored)
    def stored(self, host: Host, sender: str, stored: Stored) -> None:
        if host.now - self.heard.get(sender, 0) > SECOND:
            self.back.add(sender)
        Source.stored(self, host, sender, stored)

    @on.timer("write")
    def write(self, host: Host) -> None:
        Source.write(self, host)
        self.back.clear()

    def is_overdue(self, copy: str, when: int) -> bool:
        return copy in self.back


class ResendsAtOnce(Source):
    """Sends everything again with every write, until it is acknowledged."""

    def is_overdue(self, copy: str, when: int) -> bool:
        return True


class KnowsOnlyItsOwnCopies(Shelf):
    """Looks for copies among what the source says it sent again: the network makes some, too."""

    def is_new(self, put: Put) -> bool:
        return not put.again or put.number not in self.stored


class ShowsTheLastToArrive(Shelf):
    """Takes what was sent once to arrive in order."""

    def show(self, put: Put) -> None:
        self.newest = max(self.newest, put.number) if put.again else put.number


# -- a lease ---------------------------------------------------------------------------------------


class TakesOldWrites(Store):
    """Looks at no token: a write of an old holder may come late."""

    def accepts(self, request: Write) -> bool:
        return True


# -- as properties ---------------------------------------------------------------------------------


def under(fault: str) -> Simulated:
    """Runs under a fault of the menu."""
    return simulated(1, runs=5, until=bad_links.UNTIL, faults=bad_links.MENU[fault])


@bounded(by=under("partition"))
def a_majority_of_who_is_left() -> World:
    return bad_links.group(kind=CountsWhoIsLeft)


@bounded(by=under("one-way cut, nobody hears n1"))
def sends_are_trusted() -> World:
    return bad_links.group(kind=TrustsItsOwnSends)


@bounded(by=under("one-way cut, n1 hears nobody"))
def support_is_for_who_is_heard() -> World:
    return bad_links.group(kind=SupportsWhomItHears)


@bounded(by=under("bridge"))
def who_is_heard_votes() -> World:
    return bad_links.group(kind=CountsWhomItHears)


@bounded(by=under("ring"))
def all_are_to_be_seen() -> World:
    return bad_links.group(kind=WantsToSeeAll)


@bounded(by=under("clog"))
def old_writes_are_taken() -> World:
    return bad_links.lending(store=TakesOldWrites)


@bounded(by=under("swizzle"))
def the_first_peer_is_trusted() -> World:
    return bad_links.group(kind=TrustsTheFirstPeerBack)


@bounded(by=under("latency"))
def answers_are_due_at_once() -> World:
    return bad_links.group(kind=WantsAnswersAtOnce)


@bounded(by=under("loss"))
def only_silence_is_loss() -> World:
    return bad_links.copying(source=ResendsAfterSilence)


@bounded(by=under("duplication"))
def copies_are_marked() -> World:
    return bad_links.copying(shelf=KnowsOnlyItsOwnCopies)


@bounded(by=under("reordering"))
def the_last_is_the_newest() -> World:
    return bad_links.copying(shelf=ShowsTheLastToArrive)


@bounded(by=under("bandwidth"))
def everything_is_sent_again() -> World:
    return bad_links.copying(source=ResendsAtOnce)


both_sides_of_a_partition_lead = must_break(
    bad_links.no_two_lead_for_long.over(a_majority_of_who_is_left, "both_sides_of_a_partition_lead")
)
who_is_not_heard_leads_on = must_break(
    bad_links.no_two_lead_for_long.over(sends_are_trusted, "who_is_not_heard_leads_on")
)
who_hears_nobody_is_followed = must_break(
    bad_links.somebody_leads.over(support_is_for_who_is_heard, "who_hears_nobody_is_followed")
)
a_bridge_votes_on_both_sides = must_break(
    bad_links.no_two_lead_for_long.over(who_is_heard_votes, "a_bridge_votes_on_both_sides")
)
nobody_leads_a_ring = must_break(
    bad_links.somebody_leads.over(all_are_to_be_seen, "nobody_leads_a_ring")
)
a_write_comes_late = must_break(
    bad_links.writes_are_in_order_of_tokens.over(old_writes_are_taken, "a_write_comes_late")
)
a_version_falls_back = must_break(
    bad_links.no_version_falls.over(the_first_peer_is_trusted, "a_version_falls_back")
)
nobody_leads_far_away = must_break(
    bad_links.somebody_leads.over(answers_are_due_at_once, "nobody_leads_far_away")
)
a_lost_write_is_never_sent_again = must_break(
    bad_links.all_is_stored_in_the_end.over(
        only_silence_is_loss, "a_lost_write_is_never_sent_again"
    )
)
a_copy_counts_twice = must_break(
    bad_links.each_write_counts_once.over(copies_are_marked, "a_copy_counts_twice")
)
an_older_write_is_shown = must_break(
    bad_links.a_shelf_shows_the_newest.over(the_last_is_the_newest, "an_older_write_is_shown")
)
a_link_is_full_of_copies = must_break(
    bad_links.all_is_stored_in_the_end.over(everything_is_sent_again, "a_link_is_full_of_copies")
)
