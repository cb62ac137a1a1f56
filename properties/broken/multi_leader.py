"""Leaders and resolvers with one mistake each. Every class overrides the method that carries it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from happysim import Host, World, bounded, must_break, on
from happysim.protocols.multi_leader import (
    Context,
    MultiLeaderNode,
    Record,
    Version,
)
from happysim.protocols.multi_leader.messages import Records
from happysim.protocols.multi_leader.records import NOTHING, both, joined
from properties import multi_leader
from properties.multi_leader import one_a_link

# -- writes ---------------------------------------------------------------------------------------


class ReadsBeforeADelay(MultiLeaderNode):
    """What is there is read when a push comes, and written later, over what came since."""

    late: dict[str, Record] = {}

    def merge(self, host: Host, sender: str, heard: Records) -> None:
        for key, record in heard:
            self.late[key] = joined(self.records.get(key, NOTHING), record)
        host.set_timer("late")

    @on.timer("late")
    def write_late(self, host: Host) -> None:
        for key, record in self.late.items():
            self.store(key, record)
        self.late = {}
        self.persist(host)


class OverwritesWhatItHasNotRead(MultiLeaderNode):
    """A write replaces all that the leader has, whatever its writer had read."""

    def overwrite(self, record: Record, version: Version, context: Context) -> Record:
        return Record(both(record.seen, (version.dot,)), (version,))


class ForgetsWhatItDeleted(MultiLeaderNode):
    """A deleted key leaves nothing behind: an old copy of it is news again."""

    def store(self, key: str, record: Record) -> None:
        super().store(key, record)
        if all(version.is_deleted for version in record.versions):
            del self.records[key]

    def write(
        self, host: Host, key: str, value: Any, context: Context | None, is_deleted: bool = False
    ) -> None:
        if is_deleted:
            self.records.pop(key, None)
            self.persist(host)
            host.respond(None)
        else:
            super().write(host, key, value, context)


class WritesInMemory(MultiLeaderNode):
    """A write is answered and told before it is on disk."""

    def persist(self, host: Host) -> None:
        pass


def writes_are_late() -> World:
    return multi_leader.two_writes(ReadsBeforeADelay)


@bounded(max_depth=14)
def unread_writes_are_replaced() -> World:
    return multi_leader.a_context_is_old(OverwritesWhatItHasNotRead)


def deleted_keys_are_forgotten() -> World:
    return multi_leader.a_key_is_deleted(ForgetsWhatItDeleted)


@bounded(within=one_a_link)
def writes_are_in_memory() -> World:
    return multi_leader.a_leader_restarts(WritesInMemory)


a_late_write_undoes_another = must_break(
    multi_leader.a_write_is_lost_only_to_one_that_had_seen_it.over(
        writes_are_late, "a_late_write_undoes_another"
    )
)
a_leader_takes_its_own_write_back = must_break(
    multi_leader.leaders_only_learn.over(writes_are_late, "a_leader_takes_its_own_write_back")
)
an_unread_write_is_lost = must_break(
    multi_leader.a_write_replaces_only_what_its_writer_had_read.over(
        unread_writes_are_replaced, "an_unread_write_is_lost"
    )
)
a_deleted_key_comes_back = must_break(
    multi_leader.leaders_only_learn.over(deleted_keys_are_forgotten, "a_deleted_key_comes_back")
)
a_write_is_lost_in_a_crash = must_break(
    multi_leader.every_write_has_its_own_dot.over(
        writes_are_in_memory, "a_write_is_lost_in_a_crash"
    )
)

# -- resolvers ------------------------------------------------------------------------------------


class KeepsItsOwnOfEqualTimestamps(MultiLeaderNode):
    """Of two writes of one timestamp each leader keeps its own."""

    def store(self, key: str, record: Record) -> None:
        newest = max((each.timestamp for each in record.versions), default=0)
        ties = [each for each in record.versions if each.timestamp == newest]
        own = [each for each in ties if each.dot[0] == self.name] or ties
        super().store(key, Record(record.seen, tuple(own[:1])))


class AnswersFromThePast(MultiLeaderNode):
    """A leader answers a client that has seen more than it has."""

    def is_behind(self, record: Record, context: Context) -> bool:
        return False


@bounded(within=one_a_link)
def ties_are_not_broken() -> World:
    return multi_leader.in_the_end(KeepsItsOwnOfEqualTimestamps, "last writer wins", drops=0)


def old_answers_are_given() -> World:
    return multi_leader.a_client_moves(AnswersFromThePast)


two_writes_of_one_timestamp_undo_each_other = must_break(
    multi_leader.one_of_two_writes_stays.over(
        ties_are_not_broken, "two_writes_of_one_timestamp_undo_each_other"
    )
)
a_client_does_not_read_its_write = must_break(
    multi_leader.a_client_reads_what_it_wrote_and_never_goes_back.over(
        old_answers_are_given, "a_client_does_not_read_its_write"
    )
)

# -- anti-entropy ---------------------------------------------------------------------------------


class ComparesKeysOnly(MultiLeaderNode):
    """The digest of a record says that it is there, and not what is in it."""

    def content(self, record: Record) -> str:
        return "something" if record.seen else "nothing"


class ComparesOnce(MultiLeaderNode):
    """A peer that was written to is taken to have what was sent."""

    def doubt(self, host: Host, peers: Iterable[str]) -> None:
        pass


@bounded(within=one_a_link)
def keys_are_compared() -> World:
    return multi_leader.in_the_end(ComparesKeysOnly)


@bounded(within=one_a_link)
def pushes_are_trusted() -> World:
    return multi_leader.in_the_end(ComparesOnce)


trees_that_differ_have_one_root = must_break(
    multi_leader.all_leaders_agree_in_the_end.over(
        keys_are_compared, "trees_that_differ_have_one_root"
    )
)
one_lost_push_diverges_for_ever = must_break(
    multi_leader.all_leaders_agree_in_the_end.over(
        pushes_are_trusted, "one_lost_push_diverges_for_ever"
    )
)
a_leader_does_not_know_that_another_differs = must_break(
    multi_leader.who_has_something_else_is_doubted.over(
        pushes_are_trusted, "a_leader_does_not_know_that_another_differs"
    )
)
