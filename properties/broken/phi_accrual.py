"""Wrong accrual detectors, each with one mistake, and the properties that catch it."""

from __future__ import annotations

import math

from happysim import World, must_break
from happysim.protocols.phi_accrual import PhiAccrualDetector, Time
from properties import phi_accrual as right
from properties.phi_accrual import a_process_and_a_watcher


class GoesBack(PhiAccrualDetector):
    """Whatever heartbeat arrives last is the last heard, though it was overtaken."""

    def heartbeat(self, timestamp: Time) -> None:
        super().heartbeat(timestamp)
        self.last_heard = timestamp


class NeedsAnInterval(PhiAccrualDetector):
    """There is nothing to estimate from before the second heartbeat, so there is no suspicion."""

    def phi(self, now: Time) -> float:
        return super().phi(now) if len(self.intervals) > 2 else 0.0


class RunsOutOfDigits(PhiAccrualDetector):
    """1 minus the distribution function is 0 far out, and its logarithm is infinite."""

    def phi(self, now: Time) -> float:
        if self.last_heard is None:
            return 0.0
        mean, deviation = self.estimate()
        lateness = (now - self.last_heard - mean) / deviation
        left = 1 - (1 + math.erf(lateness / math.sqrt(2))) / 2
        return -math.log10(left) if left else math.inf


class CountsFromNow(PhiAccrualDetector):
    """The silence so far goes into the estimate: the later it gets, the later is expected."""

    def phi(self, now: Time) -> float:
        if self.last_heard is None:
            return 0.0
        kept = self.intervals
        self.intervals = [*kept, max(now - self.last_heard, 0)]
        found = super().phi(now)
        self.intervals = kept
        return found


class CountsCopies(PhiAccrualDetector):
    """A copy of the last heartbeat is an interval of length zero: the next one seems overdue."""

    def heartbeat(self, timestamp: Time) -> None:
        if timestamp == self.last_heard:
            self.intervals = [*self.intervals, 0]
        super().heartbeat(timestamp)


def detectors_that_go_back() -> World:
    return a_process_and_a_watcher(GoesBack)


def detectors_that_need_an_interval() -> World:
    return a_process_and_a_watcher(NeedsAnInterval)


def detectors_that_run_out_of_digits() -> World:
    return a_process_and_a_watcher(RunsOutOfDigits)


def detectors_that_count_from_now() -> World:
    return a_process_and_a_watcher(CountsFromNow)


def detectors_that_count_copies() -> World:
    return a_process_and_a_watcher(CountsCopies)


last_heard_goes_back = must_break(
    right.last_heard_never_goes_back.over(detectors_that_go_back, "last_heard_goes_back")
)
a_live_process_is_suspected = must_break(
    right.a_fresh_heartbeat_clears.over(detectors_that_go_back, "a_live_process_is_suspected")
)
one_heartbeat_is_not_enough = must_break(
    right.the_silent_are_suspected.over(
        detectors_that_need_an_interval, "one_heartbeat_is_not_enough"
    )
)
phi_is_infinite = must_break(
    right.phi_is_a_number.over(detectors_that_run_out_of_digits, "phi_is_infinite")
)
silence_is_taken_for_a_habit = must_break(
    right.the_silent_are_suspected.over(
        detectors_that_count_from_now, "silence_is_taken_for_a_habit"
    )
)
a_copy_shortens_the_expectation = must_break(
    right.what_is_not_newer_says_nothing.over(
        detectors_that_count_copies, "a_copy_shortens_the_expectation"
    )
)
