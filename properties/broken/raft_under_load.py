"""Wrong servers of `properties/broken/raft.py` under load: what runs in time catch of them soon."""

from __future__ import annotations

from typing import Any

from happysim import World, bounded, must_break
from properties.broken.raft import (
    CommitsOnRepliesOnly,
    ForgetsItsVote,
    SaysNothing,
    StepsDownForGood,
    WaitsAfterARestart,
)
from properties.raft_under_load import (
    a_majority_answers_whoever_asks,
    cluster_under_load,
    election_safety,
    every_client_is_served,
    who_does_not_lead_will_stand_in_time,
)

# A wrong variant is looked at as the right one is.
like_the_right_one = bounded(by=cluster_under_load.happysim_bounds.by)


@like_the_right_one
def servers_that_forget_their_vote(**load: Any) -> World:
    return cluster_under_load(kind=ForgetsItsVote, **load)


@like_the_right_one
def servers_that_say_nothing(**load: Any) -> World:
    return cluster_under_load(kind=SaysNothing, **load)


@like_the_right_one
def leaders_that_step_down_for_good(**load: Any) -> World:
    return cluster_under_load(kind=StepsDownForGood, **load)


@like_the_right_one
def servers_that_wait_after_a_restart(**load: Any) -> World:
    return cluster_under_load(kind=WaitsAfterARestart, **load)


@like_the_right_one
def leaders_that_wait_for_replies(**load: Any) -> World:
    return cluster_under_load(kind=CommitsOnRepliesOnly, **load)


two_votes_in_one_term = must_break(
    election_safety.over(servers_that_forget_their_vote, "two_votes_in_one_term")
)
followers_say_nothing = must_break(
    a_majority_answers_whoever_asks.over(servers_that_say_nothing, "followers_say_nothing")
)
a_deposed_leader_waits_for_ever = must_break(
    who_does_not_lead_will_stand_in_time.over(
        leaders_that_step_down_for_good, "a_deposed_leader_waits_for_ever"
    )
)
a_restarted_server_waits_for_ever = must_break(
    who_does_not_lead_will_stand_in_time.over(
        servers_that_wait_after_a_restart, "a_restarted_server_waits_for_ever"
    )
)
one_server_alone_serves_nobody = must_break(
    every_client_is_served.over(leaders_that_wait_for_replies, "one_server_alone_serves_nobody")
)
