"""Wrong servers of Raft whose members, leaders and logs change: under load they are caught soon."""

from __future__ import annotations

from typing import Any

from happysim import World, bounded, must_break
from properties.broken.raft_membership import ChangesManyVotes
from properties.broken.raft_snapshots import ForgetsWhatItAnswered, TakesAnySnapshot
from properties.raft_changes_under_load import (
    changes_under_load,
    configurations_in_force_intersect_under_load,
    state_machine_safety,
    what_is_committed_stays_so,
)

# A wrong variant is looked at as the right one is.
like_the_right_one = bounded(by=changes_under_load.happysim_bounds.by)


@like_the_right_one
def leaders_that_change_many_votes(**load: Any) -> World:
    return changes_under_load(kind=ChangesManyVotes, **load)


@like_the_right_one
def servers_that_forget_what_they_answered(**load: Any) -> World:
    return changes_under_load(kind=ForgetsWhatItAnswered, **load)


@like_the_right_one
def servers_that_take_any_snapshot(**load: Any) -> World:
    return changes_under_load(kind=TakesAnySnapshot, **load)


two_clusters_decide_under_load = must_break(
    configurations_in_force_intersect_under_load.over(
        leaders_that_change_many_votes, "two_clusters_decide_under_load"
    )
)
a_snapshot_forgets_who_was_answered = must_break(
    state_machine_safety.over(
        servers_that_forget_what_they_answered, "a_snapshot_forgets_who_was_answered"
    )
)
a_server_goes_back_to_an_older_snapshot = must_break(
    what_is_committed_stays_so.over(
        servers_that_take_any_snapshot, "a_server_goes_back_to_an_older_snapshot"
    )
)
