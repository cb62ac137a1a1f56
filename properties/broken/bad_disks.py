"""Protocols of `properties/bad_disks.py` that lack one precaution, each shown by one fault alone.

What only one vote of several, or only a record, can show is in `properties/broken/faults.py`.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from happysim import DiskFull, Host, World, must_break, on
from properties import bad_disks
from properties.bad_disks import Rejoiner, Voter2, electing, rejoining
from properties.faults import AskVote, Vote, Voter


class VotesInMemory(Voter):
    vote: str | None = None


class VotesThoughTheDiskIsFull(Voter):
    @on(AskVote)
    def asked(self, host: Host, sender: str, request: AskVote) -> None:
        if self.vote is None:
            self.vote = sender
        with suppress(DiskFull):  # surely there will be room for the next one
            host.sync()
        if self.vote == sender:
            host.reply(Vote())


class ForgetsWhatWasRenamed(Voter2):
    @classmethod
    def migrate(cls, fields: dict[str, Any]) -> dict[str, Any]:
        return {}


class TakesAnEmptyDiskForANewOne(Rejoiner):
    """Thinks that it has never been here."""

    def may_trust(self, host: Host) -> bool:
        return not self.has_joined


class TrustsADiskThatReadsWell(Rejoiner):
    """A disk that shows what it held before is whole, and nobody can tell by looking at it."""

    def may_trust(self, host: Host) -> bool:
        return self.has_joined and not host.torn and not host.damaged


def votes_are_in_memory() -> World:
    return electing("crash", voter=VotesInMemory)


def votes_do_not_fit() -> World:
    return electing("full disk", voter=VotesThoughTheDiskIsFull)


def votes_are_renamed() -> World:
    return electing("upgrade", later=ForgetsWhatWasRenamed)


def an_empty_disk_is_new() -> World:
    return rejoining("wiped disk", TakesAnEmptyDiskForANewOne)


def a_stale_disk_reads_well() -> World:
    return rejoining("stale disk", TrustsADiskThatReadsWell)


two_are_elected_by_votes_in_memory = must_break(
    bad_disks.one_is_elected_at_the_most.over(
        votes_are_in_memory, "two_are_elected_by_votes_in_memory"
    )
)
two_are_elected_by_votes_that_did_not_fit = must_break(
    bad_disks.one_is_elected_at_the_most.over(
        votes_do_not_fit, "two_are_elected_by_votes_that_did_not_fit"
    )
)
two_are_elected_by_votes_of_two_versions = must_break(
    bad_disks.one_is_elected_at_the_most.over(
        votes_are_renamed, "two_are_elected_by_votes_of_two_versions"
    )
)
an_entry_is_lost_with_its_disk = must_break(
    bad_disks.a_copy_that_rejoined_holds_what_it_acknowledged.over(
        an_empty_disk_is_new, "an_entry_is_lost_with_its_disk"
    )
)
an_entry_is_lost_that_a_stale_disk_lacks = must_break(
    bad_disks.a_copy_that_rejoined_holds_what_it_acknowledged.over(
        a_stale_disk_reads_well, "an_entry_is_lost_that_a_stale_disk_lacks"
    )
)
