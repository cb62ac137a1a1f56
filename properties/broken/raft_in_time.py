"""Wrong servers of `properties/broken/raft.py` under load: what runs in time catch of them soon."""

from __future__ import annotations

from happysim import must_break
from properties.broken.raft import (
    CommitsOnRepliesOnly,
    ConfirmsItsWholeLog,
    ForgetsItsVote,
    SaysNothing,
    StepsDownForGood,
    WaitsAfterARestart,
)
from properties.raft_in_time import (
    a_majority_answers_whoever_asks,
    cluster_under_load,
    committed_entries_are_on_a_majority,
    election_safety,
    every_client_is_served,
    who_does_not_lead_will_stand_in_time,
)

two_votes_in_one_term = must_break(
    election_safety.over(cluster_under_load, "two_votes_in_one_term", kind=ForgetsItsVote)
)
a_stale_tail_is_counted = must_break(
    committed_entries_are_on_a_majority.over(
        cluster_under_load, "a_stale_tail_is_counted", kind=ConfirmsItsWholeLog
    )
)
followers_say_nothing = must_break(
    a_majority_answers_whoever_asks.over(
        cluster_under_load, "followers_say_nothing", kind=SaysNothing
    )
)
a_deposed_leader_waits_for_ever = must_break(
    who_does_not_lead_will_stand_in_time.over(
        cluster_under_load, "a_deposed_leader_waits_for_ever", kind=StepsDownForGood
    )
)
a_restarted_server_waits_for_ever = must_break(
    who_does_not_lead_will_stand_in_time.over(
        cluster_under_load, "a_restarted_server_waits_for_ever", kind=WaitsAfterARestart
    )
)
one_server_alone_serves_nobody = must_break(
    every_client_is_served.over(
        cluster_under_load, "one_server_alone_serves_nobody", kind=CommitsOnRepliesOnly
    )
)
