"""Every fault there is, and what shows that it works: python benchmarks/fault_table.py

Writes the table of docs/simulation.md: a row a fault. What a row names exists, and the table on the
page is this one: tests/test_fault_table.py looks.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.evidence.page import code, put, table

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "simulation.md"
PART = "faults"
HEAD = ("fault", "in time", "in a search", "its effect", "what it alone shows", "who survives it")

# Why a search needs no budget for a fault: the letters of the text below the table.
LATE, LOST, CLOCK = "(a)", "(b)", "(c)"


class Row(NamedTuple):
    """One fault. `in_time` is its nemesis, or what of a link it is; `search` the budgets, or why
    there are none.

    `effect` is a test, as `module::name` below tests/. `mistakes` are variants below
    properties/broken/, and `survivors` properties of what is right, below properties/; both as
    `module:name`.
    """

    fault: str
    in_time: str
    search: str
    effect: str
    mistakes: tuple[str, ...]
    survivors: tuple[str, ...]


_LEAD, _SOMEBODY = "bad_links:no_two_lead_for_long", "bad_links:somebody_leads"
_STORED, _ONCE = "bad_links:all_is_stored_in_the_end", "bad_links:each_write_counts_once"
_ELECTED = "bad_disks:one_is_elected_at_the_most"
_COPIED = "bad_disks:a_trusted_copy_holds_what_it_acknowledged"
_REJOINED = "bad_disks:a_copy_that_rejoined_holds_what_it_acknowledged"
_AGREED = "byzantine:no_two_members_deliver_different_values"
_READ = "bad_nodes:no_read_is_stale"
_AT_RESTART = "sim/test_disk.py::test_a_disk_fault_at_a_restart_is_the_choice_of_a_search"
_OF_CLOCKS = "sim/test_clock.py::test_timers_and_readings_follow_the_nodes_own_clock"
_RATES = "sim/test_route.py::test_rates_are_kept"

ROWS = (
    Row(
        "crash, restart",
        "Crash",
        "crashes, restarts",
        "sim/test_live.py::test_a_crash_takes_timers_and_fields_that_are_not_durable",
        ("bad_nodes:KeepsItInMemory", "bad_disks:VotesInMemory"),
        ("bad_nodes:what_is_acknowledged_is_in_the_log", _ELECTED),
    ),
    Row(
        "pause, resume",
        "Pause",
        LATE,
        "sim/test_live.py::test_every_timer_of_a_paused_node_rings_late_and_none_is_lost",
        ("bad_nodes:TrustsItsTimer",),
        (_READ,),
    ),
    Row(
        "slow node",
        "Slow",
        LATE,
        "sim/test_node_faults.py::test_a_slow_node_handles_one_thing_after_another_and_answers_when"
        "_it_is_done",
        ("bad_nodes:AsksAllAgain",),
        ("bad_nodes:questions_are_answered_in_the_end",),
    ),
    Row(
        "upgrade",
        "Upgrade",
        "upgrades",
        "sim/test_upgrade.py::test_a_node_is_upgraded_in_a_simulation_and_the_run_replays_without_"
        "time",
        ("bad_disks:ForgetsWhatWasRenamed",),
        (_ELECTED,),
    ),
    Row(
        "clock that is off",
        "Skew",
        CLOCK,
        _OF_CLOCKS,
        ("bad_nodes:ReadsTheLendersClock",),
        (_READ,),
    ),
    Row(
        "clock that drifts",
        "Drift",
        CLOCK,
        _OF_CLOCKS,
        ("bad_nodes:KeepsAFixedMargin",),
        (_READ,),
    ),
    Row(
        "clock that jumps",
        "Jump",
        CLOCK,
        _OF_CLOCKS,
        ("bad_nodes:ReadsTimeoutsOffTheClock", "bad_nodes:BreaksTiesOnly"),
        ("bad_nodes:nobody_who_beats_is_suspected", "bad_nodes:the_last_write_wins"),
    ),
    Row(
        "clock that stops",
        "FreezeClock",
        CLOCK,
        _OF_CLOCKS,
        ("bad_nodes:FlushesByTheClock",),
        ("bad_nodes:no_buffer_grows_too_large",),
    ),
    Row(
        "partition",
        "Partition",
        "partitions, heals, splits",
        "sim/test_route.py::test_a_partition_loses_what_is_on_its_way",
        ("bad_links:CountsWhoIsLeft",),
        (_LEAD,),
    ),
    Row(
        "one-way cut",
        "Partition",
        LOST,
        "sim/test_route.py::test_a_one_way_partition_loses_what_goes_that_way",
        ("bad_links:TrustsItsOwnSends", "bad_links:SupportsWhomItHears"),
        (_LEAD, _SOMEBODY),
    ),
    Row(
        "bridge",
        "Bridge",
        LOST,
        "sim/test_net_faults.py::test_a_bridge_reaches_both_sides_and_they_reach_it_alone",
        ("bad_links:CountsWhomItHears",),
        (_LEAD,),
    ),
    Row(
        "majorities ring",
        "Ring",
        LOST,
        "sim/test_net_faults.py::test_in_a_ring_each_reaches_a_majority_and_no_two_the_same",
        ("bad_links:WantsToSeeAll",),
        (_SOMEBODY,),
    ),
    Row(
        "partitions that overlap",
        "Partition",
        LOST,
        "sim/test_route.py::test_partitions_that_overlap_heal_one_by_one",
        ("network:HealsAll",),
        ("network:a_partition_lasts_until_its_own_end",),
    ),
    Row(
        "clog, release",
        "Clog",
        LATE,
        "sim/test_route.py::test_a_clog_holds_messages_back_and_releases_them_in_order",
        ("bad_links:TakesOldWrites",),
        ("bad_links:writes_are_in_order_of_tokens",),
    ),
    Row(
        "swizzle-clog",
        "Swizzle",
        LATE,
        "sim/test_net_faults.py::test_a_swizzle_clogs_one_by_one_and_opens_in_another_order",
        ("bad_links:TrustsTheFirstPeerBack",),
        ("bad_links:no_version_falls",),
    ),
    Row(
        "loss",
        "Link(loss=)",
        "drops",
        _RATES,
        ("bad_links:ResendsAfterSilence",),
        (_STORED,),
    ),
    Row(
        "damage that a checksum shows",
        "Link(corrupt=)",
        "drops",
        _RATES,
        ("bad_links:ResendsAfterSilence",),
        (_STORED,),
    ),
    Row(
        "duplication",
        "Link(duplicate=)",
        "duplicates",
        _RATES,
        ("bad_links:KnowsOnlyItsOwnCopies",),
        (_ONCE,),
    ),
    Row(
        "echo of all that was sent",
        "Echo",
        "duplicates",
        "sim/test_swarm.py::test_an_echo_lets_all_of_it_come_again_in_a_run_that_replays_without_"
        "time",
        ("bad_links:KnowsOnlyItsOwnCopies",),
        (_ONCE,),
    ),
    Row(
        "reordering",
        "Link(reorder=)",
        LATE,
        "sim/test_route.py::test_a_message_held_back_is_overtaken",
        ("bad_links:ShowsTheLastToArrive",),
        ("bad_links:a_shelf_shows_the_newest",),
    ),
    Row(
        "jitter",
        "Link(jitter=)",
        LATE,
        "sim/test_route.py::test_jitter_reorders_but_not_on_an_ordered_network",
        ("bad_links:ShowsTheLastToArrive",),
        ("bad_links:a_shelf_shows_the_newest",),
    ),
    Row(
        "latency",
        "Link(latency=)",
        LATE,
        "sim/test_route.py::test_a_message_takes_as_long_as_its_link_says",
        ("bad_links:WantsAnswersAtOnce",),
        (_SOMEBODY,),
    ),
    Row(
        "bandwidth",
        "Link(bandwidth_bytes_per_s=)",
        LATE,
        "sim/test_route.py::test_messages_queue_for_bandwidth",
        ("bad_links:ResendsAtOnce",),
        (_STORED,),
    ),
    Row(
        "loss of unsynced writes",
        "LoseUnsynced",
        "unsynced_loss",
        "sim/test_disk.py::test_a_crash_loses_a_drawn_suffix_of_the_writes_since_the_last_sync",
        ("faults:VotesBeforeSync", "faults:AcknowledgesBeforeSync"),
        (_ELECTED, _COPIED),
    ),
    Row(
        "torn write",
        "TearWrites",
        "tears",
        "core/test_disk.py::test_a_crash_may_cut_the_first_write_it_loses_short_at_each_record",
        ("faults:KeepsTornRecords",),
        (_COPIED,),
    ),
    Row(
        "sync that lies",
        "LyingSync",
        "lies",
        "sim/test_disk.py::test_a_sync_that_lied_is_lost_by_a_later_crash_and_an_honest_one_ends_"
        "the_lie",
        ("bad_disks:TrustsADiskThatReadsWell",),
        (_ELECTED, _REJOINED),
    ),
    Row(
        "restart with a stale disk",
        "RollBack",
        "stales",
        _AT_RESTART,
        ("bad_disks:TrustsADiskThatReadsWell",),
        (_ELECTED, _REJOINED),
    ),
    Row(
        "restart with a wiped disk",
        "Wipe",
        "wipes",
        _AT_RESTART,
        ("bad_disks:TakesAnEmptyDiskForANewOne",),
        (_ELECTED, _REJOINED),
    ),
    Row(
        "bit rot",
        "Rot",
        "rots",
        _AT_RESTART,
        ("faults:TrustsDamagedRecords",),
        (_COPIED,),
    ),
    Row(
        "misdirected write",
        "Misdirect",
        "misdirects",
        _AT_RESTART,
        ("faults:RepairsOnlyWhatIsDamaged",),
        (_COPIED,),
    ),
    Row(
        "full disk",
        "FillDisk",
        "fills, frees",
        "core/test_full_disk.py::test_who_lets_it_out_has_done_nothing_since_its_last_sync_and_can_"
        "only_crash",
        ("bad_disks:VotesThoughTheDiskIsFull",),
        (_ELECTED,),
    ),
    Row(
        "slow disk",
        "SlowDisk",
        LATE,
        "sim/test_disk.py::test_a_slow_disk_keeps_its_node_busy_and_what_a_handler_sends_waits_for_"
        "it",
        ("bad_nodes:SyncsEachEntry",),
        ("bad_nodes:entries_are_stored_in_the_end",),
    ),
    Row(
        "liar: equivocates",
        "byzantine(equivocates=)",
        "byzantine(equivocates=)",
        "sim/test_byzantine.py::test_an_equivocator_may_tell_each_receiver_something_else_once",
        ("byzantine:BelievesTheSource",),
        (_AGREED,),
    ),
    Row(
        "liar: repeats itself",
        "byzantine(replays=)",
        "byzantine(replays=)",
        "sim/test_byzantine.py::test_a_replayer_sends_again_what_it_has_sent",
        ("byzantine:CountsEveryDeposit",),
        ("byzantine:no_deposit_counts_twice",),
    ),
    Row(
        "liar: speaks for others",
        "byzantine(forges=)",
        "byzantine(forges=)",
        "sim/test_byzantine.py::test_a_forger_speaks_under_the_name_of_a_peer",
        ("byzantine:TrustsNames",),
        (_AGREED,),
    ),
    Row(
        "liar: is silent to some",
        "byzantine(silent=)",
        "byzantine(silent=)",
        "sim/test_byzantine.py::test_a_silent_node_keeps_a_message_back",
        ("byzantine:WaitsForAll",),
        ("byzantine:whoever_was_told_delivers",),
    ),
)


def text() -> str:
    """The table, in Markdown."""
    return table(HEAD, [tuple(_cells(row)) for row in ROWS], numbers=())


def _cells(row: Row) -> Iterator[str]:
    yield row.fault
    yield code(row.in_time)
    is_reason = row.search.startswith("(")
    yield row.search if is_reason else ", ".join(code(each) for each in row.search.split(", "))
    file, _, name = row.effect.partition("::")
    yield f"[{name.removeprefix('test_').replace('_', ' ')}](../tests/{file})"
    for folder, named in (("properties/broken", row.mistakes), ("properties", row.survivors)):
        pairs = [each.split(":") for each in named]
        yield ", ".join(f"[`{name}`](../{folder}/{module}.py)" for module, name in pairs)


if __name__ == "__main__":
    put(PAGE, PART, text())
