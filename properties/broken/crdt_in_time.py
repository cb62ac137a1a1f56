"""Wrong replicated types and stores of `properties/broken/crdt.py`, caught by runs in time."""

from __future__ import annotations

from typing import Any

from happysim import World, bounded, must_break
from properties.broken.crdt import (
    ComparesValues,
    CopiesReplicaIds,
    CountsEveryCopy,
    ForgetsItsCounts,
    GossipsOnce,
    StoreOfForgetfulSets,
    StoreOfLatestValues,
    StoreOfStrings,
    StoreOfTiedRegisters,
    ThrowsEmptySetsAway,
)
from properties.crdt_in_time import (
    a_remove_takes_what_it_saw_and_nothing_else,
    any_two_stores_would_agree,
    every_increment_counts_once,
    every_replica_writes_under_its_own_id_under_load,
    stores_only_learn,
    stores_under_load,
    values_survive_a_round_trip,
    what_a_peer_lacks_is_known,
)

# A wrong variant is looked at as the right one is.
like_the_right_one = bounded(by=stores_under_load.happysim_bounds.by)


@like_the_right_one
def values_are_compared(**load: Any) -> World:
    return stores_under_load(kind=ComparesValues, **load)


@like_the_right_one
def removes_are_forgotten(**load: Any) -> World:
    return stores_under_load(kind=StoreOfForgetfulSets, **load)


@like_the_right_one
def only_latest_values_are_kept(**load: Any) -> World:
    return stores_under_load(kind=StoreOfLatestValues, **load)


@like_the_right_one
def elements_become_strings(**load: Any) -> World:
    return stores_under_load(kind=StoreOfStrings, **load)


@like_the_right_one
def ties_are_not_broken(**load: Any) -> World:
    return stores_under_load(kind=StoreOfTiedRegisters, **load)


@like_the_right_one
def replica_ids_are_copied(**load: Any) -> World:
    return stores_under_load(kind=CopiesReplicaIds, **load)


@like_the_right_one
def counts_are_in_memory(**load: Any) -> World:
    return stores_under_load(kind=ForgetsItsCounts, **load)


@like_the_right_one
def copies_count(**load: Any) -> World:
    return stores_under_load(kind=CountsEveryCopy, **load)


@like_the_right_one
def gossip_is_sent_once(**load: Any) -> World:
    return stores_under_load(kind=GossipsOnce, **load)


@like_the_right_one
def empty_sets_are_thrown_away(**load: Any) -> World:
    return stores_under_load(kind=ThrowsEmptySetsAway, **load)


a_removed_element_comes_back = must_break(
    a_remove_takes_what_it_saw_and_nothing_else.over(
        removes_are_forgotten, "a_removed_element_comes_back"
    )
)
an_unseen_value_is_overwritten = must_break(
    a_remove_takes_what_it_saw_and_nothing_else.over(
        only_latest_values_are_kept, "an_unseen_value_is_overwritten"
    )
)
a_number_becomes_text = must_break(
    values_survive_a_round_trip.over(elements_become_strings, "a_number_becomes_text")
)
who_merges_whom_matters = must_break(
    any_two_stores_would_agree.over(ties_are_not_broken, "who_merges_whom_matters")
)
two_stores_write_under_one_id = must_break(
    every_replica_writes_under_its_own_id_under_load.over(
        replica_ids_are_copied, "two_stores_write_under_one_id"
    )
)
a_restart_forgets_counts = must_break(
    stores_only_learn.over(counts_are_in_memory, "a_restart_forgets_counts")
)
a_copy_counts_again = must_break(
    every_increment_counts_once.over(copies_count, "a_copy_counts_again")
)
a_peer_is_taken_to_know = must_break(
    what_a_peer_lacks_is_known.over(gossip_is_sent_once, "a_peer_is_taken_to_know")
)
an_empty_set_is_forgotten = must_break(
    stores_only_learn.over(empty_sets_are_thrown_away, "an_empty_set_is_forgotten")
)
equal_values_are_taken_for_the_same_in_time = must_break(
    what_a_peer_lacks_is_known.over(
        values_are_compared, "equal_values_are_taken_for_the_same_in_time"
    )
)
