"""Raft with one mistake each, in its snapshots."""

from __future__ import annotations

from dataclasses import replace

from happysim import Host, World, bfs, bounded, must_break
from happysim.protocols.raft import RaftNode, Snapshot
from properties.raft import (
    commit_index_only_grows,
    committed_entries_are_on_a_majority,
    terms,
)
from properties.raft_snapshots import (
    a_command_is_applied_once,
    late_snapshots,
    one_server_and_a_crash,
)


class ForgetsWhatItAnswered(RaftNode):
    """A snapshot has the machine's state, and not which commands led to it."""

    def make_snapshot(self, host: Host) -> Snapshot:
        return replace(super().make_snapshot(host), sessions=())


@bounded(by=bfs(), within=terms(2))
def a_server_that_forgets_what_it_answered() -> World:
    return one_server_and_a_crash(ForgetsWhatItAnswered)


a_command_is_applied_twice = must_break(
    a_command_is_applied_once.over(a_server_that_forgets_what_it_answered)
)


class ThrowsAwayItsLog(RaftNode):
    """A snapshot replaces the whole log, even where entries follow it that were confirmed."""

    def keeps_suffix(self, snapshot: Snapshot) -> bool:
        return False


@bounded(by=bfs(), within=terms(1))
def followers_that_throw_away_their_log() -> World:
    return late_snapshots(ThrowsAwayItsLog)


confirmed_entries_are_thrown_away = must_break(
    committed_entries_are_on_a_majority.over(followers_that_throw_away_their_log)
)


class TakesAnySnapshot(RaftNode):
    """A snapshot that comes late takes its receiver back to what it was then."""

    def is_new(self, snapshot: Snapshot) -> bool:
        return True


@bounded(by=bfs(), within=terms(1))
def followers_that_take_any_snapshot() -> World:
    return late_snapshots(TakesAnySnapshot, "abcd")


an_older_snapshot_is_taken = must_break(
    commit_index_only_grows.over(followers_that_take_any_snapshot)
)
