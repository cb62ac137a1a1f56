"""CRAQ with one mistake each. Every class overrides the method that carries it."""

from __future__ import annotations

from typing import Any

from happysim import Host, Operation, World, bounded, must_break
from happysim.protocols.chain import AskVersion, ChainServer, Entry, Query, Version
from properties import craq
from properties.worlds import no_copy_in_flight


class KeepsDirtyKeys(ChainServer):
    """Dirty is a set of keys, not of versions: the first commit cleans a key."""

    dirty: set[Any] = set()

    def apply(self, entry: Entry) -> None:
        super().apply(entry)
        self.dirty.add(self.machine.key(entry.command))

    def settle(self, host: Host, number: int) -> None:
        for entry in self.sent:
            if entry.number <= number:
                self.dirty.discard(self.machine.key(entry.command))
        super().settle(host, number)

    def is_dirty(self, command: Any) -> bool:
        return self.machine.key(command) in self.dirty


class ChecksThenReads(ChainServer):
    """A key is found clean; then time passes, and then its newest version is read."""

    def answer_clean(self, host: Host, asked: Operation, command: Any) -> None:
        self.asking[asked] = command
        host.send(self.name, Version(0, command, asked))

    def state_at(self, number: int) -> Any:
        return super().state_at(number) if number else self.state


class AsksTheTailAndReadsItsOwn(ChainServer):
    """The tail is asked for its version, and the newest one here is answered."""

    def state_at(self, number: int) -> Any:
        return self.state


class SaysWhatItHasHeard(ChainServer):
    """Any server tells others what is committed, by what it has taken on itself."""

    def tell_version(self, host: Host, server: str, request: AskVersion) -> None:
        host.reply(Version(self.last, request.command, request.operation))

    def query(self, host: Host, client: str, request: Query) -> None:
        asked = host.operation
        if asked is None or self.is_tail or not self.is_dirty(request.command):
            super().query(host, client, request)
        else:
            self.asking[asked] = request.command
            host.send(self.chain.after(self.name) or self.name, AskVersion(request.command, asked))


class AsksOnce(ChainServer):
    """A query whose question to the tail is lost waits for ever."""

    def resend(self, host: Host) -> None:
        if self.acked < self.last or self.stable < self.last:
            self.catch_up(host)
            self.advance(host)


def dirty_keys() -> World:
    return craq.two_writes(KeepsDirtyKeys)


def reads_after_checks() -> World:
    return craq.two_writes(ChecksThenReads)


def own_versions() -> World:
    return craq.two_writes(AsksTheTailAndReadsItsOwn)


def versions_by_hearsay() -> World:
    return craq.reads_down_the_chain(SaysWhatItHasHeard)


@bounded(within=no_copy_in_flight)
def questions_are_asked_once() -> World:
    return craq.a_dirty_read_at_the_end(AsksOnce)


the_first_commit_cleans_two_versions = must_break(
    craq.clean_means_committed_at_the_tail.over(dirty_keys, "the_first_commit_cleans_two_versions")
)
a_read_goes_back_behind_two_writes = must_break(
    craq.reads_are_linearizable_anywhere.over(dirty_keys, "a_read_goes_back_behind_two_writes")
)
a_clean_check_comes_too_early = must_break(
    craq.reads_are_linearizable_anywhere.over(reads_after_checks, "a_clean_check_comes_too_early")
)
a_dirty_version_is_answered = must_break(
    craq.reads_are_linearizable_anywhere.over(own_versions, "a_dirty_version_is_answered")
)
a_middle_server_speaks_for_the_tail = must_break(
    craq.reads_are_linearizable_anywhere.over(
        versions_by_hearsay, "a_middle_server_speaks_for_the_tail"
    )
)
a_lost_question_hangs_a_read = must_break(
    craq.queries_that_wait_are_asked_again.over(
        questions_are_asked_once, "a_lost_question_hangs_a_read"
    )
)
