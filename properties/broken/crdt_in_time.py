"""Wrong replicated types and stores of `properties/broken/crdt.py`, caught by runs in time."""

from __future__ import annotations

from happysim import must_break
from properties.broken.crdt import (
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

a_removed_element_comes_back = must_break(
    a_remove_takes_what_it_saw_and_nothing_else.over(
        stores_under_load, "a_removed_element_comes_back", kind=StoreOfForgetfulSets
    )
)
an_unseen_value_is_overwritten = must_break(
    a_remove_takes_what_it_saw_and_nothing_else.over(
        stores_under_load, "an_unseen_value_is_overwritten", kind=StoreOfLatestValues
    )
)
a_number_becomes_text = must_break(
    values_survive_a_round_trip.over(
        stores_under_load, "a_number_becomes_text", kind=StoreOfStrings
    )
)
who_merges_whom_matters = must_break(
    any_two_stores_would_agree.over(
        stores_under_load, "who_merges_whom_matters", kind=StoreOfTiedRegisters
    )
)
two_stores_write_under_one_id = must_break(
    every_replica_writes_under_its_own_id_under_load.over(
        stores_under_load, "two_stores_write_under_one_id", kind=CopiesReplicaIds
    )
)
a_restart_forgets_counts = must_break(
    stores_only_learn.over(stores_under_load, "a_restart_forgets_counts", kind=ForgetsItsCounts)
)
a_copy_counts_again = must_break(
    every_increment_counts_once.over(stores_under_load, "a_copy_counts_again", kind=CountsEveryCopy)
)
a_peer_is_taken_to_know = must_break(
    what_a_peer_lacks_is_known.over(stores_under_load, "a_peer_is_taken_to_know", kind=GossipsOnce)
)
an_empty_set_is_forgotten = must_break(
    stores_only_learn.over(stores_under_load, "an_empty_set_is_forgotten", kind=ThrowsEmptySetsAway)
)
