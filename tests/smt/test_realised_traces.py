"""Saved traces in real time: realised within bounds, kept with their times, and broken there.

Or else the bounds that rule them out, in plain words.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from happysim import Property, ScheduleError, bfs, check, shrink
from happysim.front.realising import RealisedTrace, realise_trace
from happysim.sim.scripted import replay_in_time
from happysim.smt.realise import Realised, Undecided, Unrealisable, realise
from happysim.smt.timing import Timing
from happysim.trace.format import Trace, TraceError, read, save
from happysim.trace.in_time import replay_trace
from happysim.trace.replay import replay, trace_of
from properties.broken.lease import one_client_believes_to_have_the_lock
from properties.broken.raft_leases import a_lease_outlasts_a_term

ROOT = Path(__file__).resolve().parents[2]
# A local network, and clocks that are off by a ten-thousandth.
NEAR = Timing(latency=("0.001", "0.01"), drift="0.0001")


def saved(name: str) -> Trace:
    """The saved trace of that protocol and property; of two, the one without times."""
    traces = [read(path) for path in sorted(ROOT.glob(f"traces/{name}--*.trace"))]
    (trace,) = [each for each in traces if each.steps[0].at is None]
    return trace


def happens(made: RealisedTrace, folder: Path, **options: Any) -> None:
    """It is kept with its times, and breaks its property in time as it was found to."""
    assert isinstance(made.found, Realised)
    assert made.verdict is not None
    kept = read(save(trace_of(made.verdict), folder))
    assert all(step.at is not None for step in kept.steps)
    again = replay_trace(kept, ROOT, **options)
    assert again.broken
    assert again.reason.split() == made.trace.reason.split()
    assert [step.choice for step in kept.steps] == [str(c) for c in again.run.schedule]
    # And without time, as any other trace.
    assert replay(kept, ROOT).broken
    assert replay(kept, ROOT).exact


@pytest.mark.parametrize(
    ("name", "timing"),
    [
        # A crash of the server, and no slow message, repeats a token.
        ("lock/two_clients_hold_under_one_token", NEAR),
        ("lock/tokens_are_repeated_after_a_restart", NEAR),
        ("lock/an_inner_release_frees_the_outer_hold", NEAR),
        # A grant that travels for the length of a lease: two rounds of 10 s.
        ("lock/a_stale_write_is_accepted", Timing(latency=("0.001", 20))),
        # A read from a leader that was deposed; an old answer that confirms one.
        ("raft_reads/a_deposed_leader_answers", NEAR),
        ("raft_reads/an_old_answer_confirms_a_read", NEAR),
        # The follower stands while its answer is on its way: that takes an election timeout.
        ("raft_reads/a_new_leader_misses_a_write", Timing(latency=("0.001", "0.31"))),
        ("raft/same_term_double_vote", NEAR),
        ("raft/stale_tail_counted", NEAR),
        ("swim/an_incarnation_is_forgotten", NEAR),
    ],
)
def test_a_saved_counterexample_happens_in_time(name: str, timing: Timing, tmp_path: Path) -> None:
    happens(realise_trace(saved(name), ROOT, timing), tmp_path)


@pytest.mark.parametrize(
    ("name", "clash"),
    [
        (
            "lock/a_stale_write_is_accepted",
            [
                "a second of lock's clock lasts 1 - 0.0001 to 1 + 0.0001 s",
                "step 5 (deliver lock -> w1 LockGrant(lock='L', token=1, hold=1)) arrives 0.001 to "
                "0.01 s after step 2 (deliver w1 -> lock Acquire(lock='L', hold=1)) sent it",
                "step 3 (fire lock lease) comes no earlier than its delay after step 2 (deliver "
                "w1 -> lock Acquire(lock='L', hold=1)) set it",
            ],
        ),
        (
            # A period of 1 s would have to end before a wait of 0.3 s.
            "swim/a_member_dies_unsuspected",
            [
                "a second of m1's clock lasts 1 - 0.0001 to 1 + 0.0001 s",
                "step 2 (fire m1 period) comes no earlier than its delay after step 1 (fire m1 "
                "period choosing 0) set it",
                "timer probe of m1 is not overdue at step 2 (fire m1 period), after step 1 (fire "
                "m1 period choosing 0) set it",
            ],
        ),
    ],
)
def test_what_the_bounds_rule_out_is_told_in_plain_words(name: str, clash: list[str]) -> None:
    made = realise_trace(saved(name), ROOT, NEAR)
    assert isinstance(made.found, Unrealisable)
    assert sorted(made.found.clash) == sorted(clash)
    assert made.verdict is None


def test_independent_steps_in_another_order_need_no_slow_message(tmp_path: Path) -> None:
    """The follower answers, its leader commits, and then it stands: nobody can tell the orders."""
    trace = saved("raft_reads/a_new_leader_misses_a_write")
    assert isinstance(realise_trace(trace, ROOT, NEAR).found, Unrealisable)
    happens(realise_trace(trace, ROOT, NEAR, reorder=True), tmp_path)


# Every timer may ring late, by seconds.
LATE: dict[str, Any] = {"probe": ("0.3", 9), "period": ("1", 9)}
LATE_IN_TIME = {name: (float(least), most) for name, (least, most) in LATE.items()}


@pytest.mark.parametrize("name", ["an_old_claim_comes_back", "an_incarnation_is_made_up"])
def test_what_swim_is_refuted_by_in_a_search_may_take_machines_that_are_late(
    name: str, tmp_path: Path
) -> None:
    """A member waits three times as long for an answer as it was set to, and two stand still.

    With timers that keep to what they were set to, the same schedule is refused.
    """
    trace = saved(f"swim/{name}")
    assert isinstance(realise_trace(trace, ROOT, NEAR).found, Unrealisable)
    made = realise_trace(trace, ROOT, Timing(latency=("0.001", 9), timers=LATE))
    happens(made, tmp_path, timers=LATE_IN_TIME)
    assert isinstance(made.found, Realised)
    with pytest.raises(ScheduleError, match=r"timer \w+ of m. must ring by"):
        replay_in_time(made.prop.scenario, made.found.schedule)


def lease_trace() -> Trace:
    """A search, which knows no time, refutes the trust in a lease."""
    verdict: Any = check(one_client_believes_to_have_the_lock, by=bfs())
    return trace_of(shrink(verdict))


def test_a_lease_is_broken_in_time_by_clocks_beyond_the_margin_alone(tmp_path: Path) -> None:
    """10 (1 - d) = 9 (1 + d) + 2 ms where d = 1002/19000, as docs/protocols/lock.md derives."""
    trace = lease_trace()
    below, above = ("0.0527", "0.053")
    clash = realise_trace(trace, ROOT, Timing(latency=("0.001", 20), drift=below)).found
    assert isinstance(clash, Unrealisable)
    assert any("clock lasts 1 - 0.0527 to 1 + 0.0527 s" in rule for rule in clash.clash)
    made = realise_trace(trace, ROOT, Timing(latency=("0.001", 20), drift=above))
    happens(made, tmp_path)
    # How clocks run stands in the trace: at the beginning, and in seconds gained a second.
    assert made.verdict is not None
    first, second, third, *_ = (step.choice for step in trace_of(made.verdict).steps)
    assert first.startswith("clock lock starts by 0 s drifting ")
    assert second.startswith("clock c1 starts by 0 s drifting -")
    assert third == "act c1 ask"


# -- a lease of Raft -------------------------------------------------------------------------------

LEASE = "raft_leases/a_lease_without_margin_is_trusted"
# One way of a message, in ten-thousandths of a second.
SWIFT = ("0.0001", "0.01")


def test_a_search_tries_an_order_that_leases_rule_out_and_reordering_does_not() -> None:
    """In the search n2 stands before its answer to n1 arrives, which takes an election timeout."""
    timing = Timing(latency=SWIFT, drift="0.01")
    clash = realise_trace(saved(LEASE), ROOT, timing).found
    assert isinstance(clash, Unrealisable)
    assert any("step 5 (deliver n2 -> n1 ProbeReply" in rule for rule in clash.clash)


@pytest.mark.parametrize(("little", "kind"), [(-1, Unrealisable), (1, Realised)])
def test_a_lease_of_raft_without_margin_takes_as_much_drift_as_algebra_says(
    little: int, kind: type
) -> None:
    """E (1 - d) + 10 l = E (1 + d), so d = 5 l / E, with E = 0.15 s and l = 0.0001 s on the way.

    Left: the question reaches n2, whose timeout E may run fast; then there are RequestVote, Vote,
    AppendEntries, its refusal, AppendEntries, its reply, the answer to the write, the read, and its
    stale answer. Right: the lease of E seconds, on a slow clock, from when the question was sent.
    """
    edge = 5 * Fraction(1, 10_000) / Fraction("0.15")
    assert edge == Fraction(1, 300)
    timing = Timing(latency=SWIFT, drift=edge + little * Fraction(1, 10**6))
    made = realise_trace(saved(LEASE), ROOT, timing, reorder=True)
    assert isinstance(made.found, kind)
    assert (made.verdict is None) == (kind is Unrealisable)


def test_a_stale_read_by_a_lease_without_margin_happens_in_time(tmp_path: Path) -> None:
    """Clocks drift by no more than `clock_drift`, 0.01, which the servers were told of."""
    timing = Timing(latency=SWIFT, drift="0.01")
    made = realise_trace(saved(LEASE), ROOT, timing, reorder=True)
    happens(made, tmp_path)


@cache
def searched_lease() -> Any:
    return check(a_lease_outlasts_a_term, by=bfs())


@pytest.mark.parametrize(
    ("drift", "kind"), [("0", Unrealisable), ("0.01", Unrealisable), ("0.02", Realised)]
)
def test_a_lease_with_raft_s_own_margin_is_safe_while_clocks_are_as_good_as_they_were_said_to_be(
    drift: str, kind: type
) -> None:
    """The same in a search. A lease of E (1 - c) / (1 + c) is over by E (1 - d) where d <= c."""
    verdict = searched_lease()
    found = realise(verdict, Timing(latency=SWIFT, drift=drift), reorder=True)
    assert isinstance(found, kind)
    if isinstance(found, Realised):
        run = replay_in_time(verdict.of.scenario, found.schedule, verdict.of)
        assert run.broken == (verdict.of, verdict.reason)


def test_a_property_that_explores_from_its_world_is_not_judged_in_time() -> None:
    """`world.choices()` is of searches: what becomes of a world is there to be tried."""
    made = realise_trace(saved("swim/a_cut_link_condemns_two"), ROOT, NEAR)
    assert isinstance(made.found, Undecided)
    assert "it can happen, but cannot be judged in time: property a_cut_link" in str(made.found)


def test_a_trace_that_breaks_nothing_any_more_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Property, "judge", lambda self, *worlds: None)
    with pytest.raises(TraceError, match="is not broken any more: nothing is wrong on this sched"):
        realise_trace(saved("lock/tokens_are_repeated_after_a_restart"), ROOT, NEAR)
