"""Wrong replicated types and stores, each with one mistake, and the properties that catch it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Self

from happysim import Faults, Host, World, bounded, must_break
from happysim.core.describe import digest
from happysim.protocols.crdt import CRDTStore, LWWRegister, MVRegister, ORSet, dots, version_vector
from happysim.protocols.crdt.codec import Tagged
from happysim.protocols.crdt.replica import Replica, State
from happysim.protocols.crdt.store import Add, Assign, Digests, Key, Remove, Set
from properties import crdt
from properties.crdt import ONE, no_gossip_overtakes, store_world
from properties.worlds import no_copy_in_flight

# -- wrong types ---------------------------------------------------------------------------------


class ForgetsRemoves(ORSet):
    """What was removed is no part of what is merged: elements come back."""

    def _join(self, other: Self) -> None:
        self._dots |= other._dots
        version_vector.join(self._seen, other._seen)


class WritesStrings(ORSet):
    """Elements become strings on their way through JSON."""

    def to_dict(self) -> dict[str, Any]:
        as_text = type(self)(self.replica)
        for element in self:
            as_text.add(str(element))
        return ORSet.to_dict(as_text)


class KeepsItsOwnOfEqualTimestamps(LWWRegister):
    """Of two writes with one timestamp each replica keeps the one that it met first."""

    def _keep_newest(self, timestamp: int, writer: str, tagged: Tagged) -> None:
        if self._timestamp < timestamp:
            self._timestamp, self._writer, self._tagged = timestamp, writer, tagged

    def _leq(self, other: Self) -> bool:
        return self._timestamp <= other._timestamp


class KeepsTheLatestWriter(MVRegister):
    """A write replaces all that it meets in a merge, seen or not."""

    def _join(self, other: Self) -> None:
        newer = dots.join(self._dots, self._seen, other._dots, other._seen)
        self._dots = {dot: tagged for dot, tagged in newer.items() if dot == max(newer)}
        version_vector.join(self._seen, other._seen)


Types = Mapping[str, type[Replica]]


def with_type(kind: str, replica: type[Replica]) -> Types:
    """The types of a correct store, but for one."""
    return MappingProxyType({**CRDTStore.KINDS, kind: replica})


class StoreOfForgetfulSets(CRDTStore):
    KINDS: ClassVar[Types] = with_type("set", ForgetsRemoves)


class StoreOfLatestValues(CRDTStore):
    KINDS: ClassVar[Types] = with_type("values", KeepsTheLatestWriter)


class StoreOfStrings(CRDTStore):
    KINDS: ClassVar[Types] = with_type("set", WritesStrings)


class StoreOfTiedRegisters(CRDTStore):
    KINDS: ClassVar[Types] = with_type("register", KeepsItsOwnOfEqualTimestamps)


# -- wrong stores --------------------------------------------------------------------------------


class CopiesReplicaIds(CRDTStore):
    """A key first heard of by gossip keeps the id of its sender: two writers count as one."""

    def _first_heard(self, key: Key, state: State, sender: str) -> Replica:
        return self.KINDS[key[0]].from_state(sender, state)


class ForgetsItsCounts(CRDTStore):
    """Replicas are in memory only: a restarted store counts anew under its old id."""

    entries: dict[Key, Replica] = {}


class CountsEveryCopy(CRDTStore):
    """Nobody keeps which requests were served: a copy of an increment counts once more."""

    def _is_served(self, asked: Any) -> bool:
        return False


class GossipsOnce(CRDTStore):
    """A peer that was told something is taken to know it: one lost message, and it never will."""

    def gossip(self, host: Host) -> None:
        super().gossip(host)
        self.lacking.clear()
        host.cancel_timer("gossip")


class ThrowsEmptySetsAway(CRDTStore):
    """Takes a set without elements for none at all, and forgets what was removed from it."""

    def _entry(self, kind: str, key: str) -> Replica:
        return self.entries.get((kind, key)) or self.KINDS[kind](self.replica_id)


class ComparesValues(CRDTStore):
    """The digest of a key is that of its value: 1 here and 1 there are taken for the same 1."""

    def _digests(self, keys: Iterable[Key]) -> Digests:
        return tuple((key, digest(repr(self.value(*key)))) for key in keys)


# -- their scenarios -----------------------------------------------------------------------------


def removes_are_forgotten() -> World:
    requests = {"a": (Add("s", 1),), "b": (Remove("s", 1),)}
    return store_world(requests, kind=StoreOfForgetfulSets)


def elements_become_strings() -> World:
    return store_world({"a": (Add("s", 1),), "b": (Add("s", "1"),)}, kind=StoreOfStrings)


@bounded(within=no_copy_in_flight)
def ties_are_not_broken() -> World:
    requests = {"a": (Set("r", "x"),), "b": (Set("r", "y"),)}
    return store_world(requests, kind=StoreOfTiedRegisters)


@bounded(within=no_copy_in_flight)
def replica_ids_are_copied() -> World:
    return store_world({"a": (ONE, ONE), "b": (ONE,)}, kind=CopiesReplicaIds)


def counts_are_in_memory() -> World:
    faults = Faults(crashes=1, crashable=("a",))
    return store_world({"a": (ONE, ONE)}, kind=ForgetsItsCounts, faults=faults)


def copies_count() -> World:
    return store_world({"a": (ONE,)}, kind=CountsEveryCopy, faults=Faults(duplicates=1))


def gossip_is_sent_once() -> World:
    return store_world({"a": (ONE,)}, kind=GossipsOnce, faults=Faults(drops=1))


@bounded(within=no_copy_in_flight)
def empty_sets_are_thrown_away() -> World:
    return store_world({"a": (Add("s", 1), Remove("s", 1), Add("s", 1))}, kind=ThrowsEmptySetsAway)


@bounded(within=no_gossip_overtakes)
def values_are_compared() -> World:
    return store_world({"a": (ONE,), "b": (ONE,)}, kind=ComparesValues, digests=True)


def concurrent_values_are_dropped() -> World:
    requests = {"a": (Assign("v", "x"),), "b": (Assign("v", "y"),)}
    return store_world(requests, kind=StoreOfLatestValues)


a_removed_element_would_come_back = must_break(
    crdt.a_remove_takes_what_it_saw_and_nothing_else.over(
        removes_are_forgotten, "a_removed_element_would_come_back"
    )
)
a_number_comes_back_as_text = must_break(
    crdt.values_survive_a_round_trip.over(elements_become_strings, "a_number_comes_back_as_text")
)
a_replica_writes_under_the_id_of_another = must_break(
    crdt.every_replica_writes_under_its_own_id.over(
        replica_ids_are_copied, "a_replica_writes_under_the_id_of_another"
    )
)
three_increments_count_as_two = must_break(
    crdt.every_increment_served_counts_once.over(
        replica_ids_are_copied, "three_increments_count_as_two"
    )
)
three_increments_count_as_two_in_the_end = must_break(
    crdt.three_increments_count_three.over(
        replica_ids_are_copied, "three_increments_count_as_two_in_the_end"
    )
)
who_merges_whom_makes_a_difference = must_break(
    crdt.any_two_stores_would_agree.over(ties_are_not_broken, "who_merges_whom_makes_a_difference")
)
registers_differ_for_ever = must_break(
    crdt.all_stores_agree_in_the_end.over(ties_are_not_broken, "registers_differ_for_ever")
)
a_restarted_store_loses_increments = must_break(
    crdt.every_increment_served_counts_once.over(
        counts_are_in_memory, "a_restarted_store_loses_increments"
    )
)
a_copied_increment_counts_twice = must_break(
    crdt.every_increment_served_counts_once.over(copies_count, "a_copied_increment_counts_twice")
)
a_lost_message_is_never_made_up_for = must_break(
    crdt.all_stores_agree_in_the_end.over(
        gossip_is_sent_once, "a_lost_message_is_never_made_up_for"
    )
)
a_peer_is_taken_to_know_what_it_does_not = must_break(
    crdt.what_a_peer_lacks_is_known.over(
        gossip_is_sent_once, "a_peer_is_taken_to_know_what_it_does_not"
    )
)
an_element_added_again_is_lost = must_break(
    crdt.an_element_added_again_is_in.over(
        empty_sets_are_thrown_away, "an_element_added_again_is_lost"
    )
)
a_store_forgets_what_it_removed = must_break(
    crdt.stores_only_learn.over(empty_sets_are_thrown_away, "a_store_forgets_what_it_removed")
)
equal_counts_are_taken_for_the_same = must_break(
    crdt.what_a_peer_lacks_is_known.over(values_are_compared, "equal_counts_are_taken_for_the_same")
)
two_increments_count_as_one = must_break(
    crdt.two_increments_count_two_where_all_are_up.over(
        values_are_compared, "two_increments_count_as_one"
    )
)
a_concurrent_value_is_dropped = must_break(
    crdt.a_remove_takes_what_it_saw_and_nothing_else.over(
        concurrent_values_are_dropped, "a_concurrent_value_is_dropped"
    )
)
