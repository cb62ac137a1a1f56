"""Protocols that trust their disks too much. Each lacks one precaution, and is caught.

What is wrong is in the name of a class or of a scenario; each property is one of
`properties.faults`, claimed of that.
"""

from __future__ import annotations

from happysim import Faults, Host, World, must_break, on
from properties import faults
from properties.faults import VOTERS, Ack, Append, AskVote, Copy, Fetch, Vote, Voter, Whole


class VotesBeforeSync(Voter):
    @on(AskVote)
    def asked(self, host: Host, sender: str, request: AskVote) -> None:
        if self.vote is None:
            self.vote = sender
        if self.vote == sender:
            host.reply(Vote())


class KeepsTornRecords(Copy):
    def on_start(self, host: Host) -> None:
        host.sync()
        if host.damaged:
            self.is_trusted = False
            host.send("primary", Fetch())


class TrustsDamagedRecords(Copy):
    def on_start(self, host: Host) -> None:
        for torn in host.torn[:1]:
            del self.log[int(torn[len("log[") : -1]) :]
        host.sync()


class RepairsOnlyWhatIsDamaged(Copy):
    """Takes the damaged records alone from what it fetches."""

    bad: tuple[int, ...] = ()

    def on_start(self, host: Host) -> None:
        for torn in host.torn[:1]:
            del self.log[int(torn[len("log[") : -1]) :]
        self.bad = tuple(int(address[len("log[") : -1]) for address in host.damaged)
        self.is_trusted = not self.bad
        if self.bad:
            host.send("primary", Fetch())

    @on(Whole)
    def fetched(self, host: Host, sender: str, whole: Whole) -> None:
        if not self.is_trusted:
            for index in self.bad:
                self.log[index] = whole.log[index]
            host.sync()
            self.is_trusted = True


class AcknowledgesBeforeSync(Copy):
    @on(Append)
    def append(self, host: Host, sender: str, request: Append) -> None:
        if self.is_trusted:
            if request.index == len(self.log):
                self.log.append(request.value)
            host.reply(Ack(len(self.log)))


def votes_are_not_synced() -> World:
    lossy = Faults(crashes=1, crashable=VOTERS, unsynced_loss=True)
    return faults.election(voter=VotesBeforeSync, faults=lossy)


def torn_records_are_kept() -> World:
    tearing = Faults(crashes=1, crashable=("copy",), tears=1)
    return faults.copied(KeepsTornRecords, tearing)


def damaged_records_are_trusted() -> World:
    return faults.copied(TrustsDamagedRecords, Faults(crashes=1, crashable=("copy",), rots=1))


def only_what_is_damaged_is_repaired() -> World:
    astray = Faults(crashes=1, crashable=("copy",), misdirects=1)
    return faults.copied(RepairsOnlyWhatIsDamaged, astray)


def entries_are_not_synced() -> World:
    lossy = Faults(crashes=1, crashable=("copy",), unsynced_loss=True)
    return faults.copied(AcknowledgesBeforeSync, lossy)


two_are_elected_by_votes_that_were_not_synced = must_break(
    faults.at_most_one_is_elected.over(
        votes_are_not_synced, "two_are_elected_by_votes_that_were_not_synced"
    )
)
two_are_elected_by_a_majority_where_a_sync_lied = must_break(
    faults.at_most_one_is_elected.over(
        faults.syncs_may_lie, "two_are_elected_by_a_majority_where_a_sync_lied", needs=2
    )
)
two_are_elected_by_a_majority_where_a_disk_was_wiped = must_break(
    faults.at_most_one_is_elected.over(
        faults.a_disk_may_be_wiped,
        "two_are_elected_by_a_majority_where_a_disk_was_wiped",
        needs=2,
    )
)
two_are_elected_by_a_majority_where_a_disk_was_stale = must_break(
    faults.at_most_one_is_elected.over(
        faults.a_disk_may_be_stale,
        "two_are_elected_by_a_majority_where_a_disk_was_stale",
        needs=2,
    )
)
an_entry_that_was_not_synced_is_lost = must_break(
    faults.a_trusted_copy_holds_what_it_acknowledged.over(
        entries_are_not_synced, "an_entry_that_was_not_synced_is_lost"
    )
)
a_torn_entry_is_accepted = must_break(
    faults.a_trusted_copy_holds_what_it_acknowledged.over(
        torn_records_are_kept, "a_torn_entry_is_accepted"
    )
)
a_damaged_entry_is_accepted = must_break(
    faults.a_trusted_copy_holds_what_it_acknowledged.over(
        damaged_records_are_trusted, "a_damaged_entry_is_accepted"
    )
)
an_entry_that_went_astray_is_missed = must_break(
    faults.a_trusted_copy_holds_what_it_acknowledged.over(
        only_what_is_damaged_is_repaired, "an_entry_that_went_astray_is_missed"
    )
)
