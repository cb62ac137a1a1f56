"""Protocols of `properties/bad_nodes.py` without one precaution, each shown by one fault alone.

Properties that ask for something within a time are only judged in time: told without a clock, a run
that breaks them need not show why.
"""

from __future__ import annotations

from happysim import Host, World, bounded, must_break, on, simulated
from happysim.sim.policy import Simulated
from properties import bad_nodes
from properties.bad_nodes import (
    LEASE,
    MARGIN,
    SECOND,
    SILENCE,
    Append,
    Asker,
    Author,
    Buffer,
    Holder,
    Lent,
    Log,
    Question,
    Watcher,
)

# -- a lease ---------------------------------------------------------------------------------------


class TrustsItsTimer(Holder):
    """Looks at its clock no more once it has set a timer: what came in a pause is handled first."""

    holds: bool = False

    def has_lease(self, host: Host) -> bool:
        return self.holds

    @on(Lent)
    def lent(self, host: Host, sender: str, lent: Lent) -> None:
        self.holds = True
        host.set_timer("over", seconds=(self.end_of(lent) - host.now) / SECOND)
        Holder.lent(self, host, sender, lent)

    @on.timer("over")
    def over(self, host: Host) -> None:
        self.holds = False


class ReadsTheLendersClock(Holder):
    """Takes the end of the lease as the lender's clock tells it, and all clocks to agree."""

    def end_of(self, lent: Lent) -> int:
        return lent.until - MARGIN


class KeepsAFixedMargin(Holder):
    """Its margin does not grow with the lease, as what a clock gains or loses does."""

    def end_of(self, lent: Lent) -> int:
        return lent.asked + LEASE - 6 * SECOND // 10


# -- stamps ----------------------------------------------------------------------------------------


class BreaksTiesOnly(Author):
    """Tells apart stamps of one time, and takes time never to go back."""

    def stamp(self, now: int) -> None:
        self.count = self.count + 1 if now == self.time else 0
        self.time = now


# -- a buffer --------------------------------------------------------------------------------------


class FlushesByTheClock(Buffer):
    """Waits for a second to pass, however much comes."""

    def is_much(self) -> bool:
        return False


# -- a watch ---------------------------------------------------------------------------------------


class ReadsTimeoutsOffTheClock(Watcher):
    """One look at the clock is enough to suspect everyone."""

    def is_silent(self, name: str, now: int) -> bool:
        return now - self.heard[name] > SILENCE


# -- questions -------------------------------------------------------------------------------------


class AsksAllAgain(Asker):
    """Asks everything that is unanswered, each time: who is slow only gets more to do."""

    def ask(self, host: Host) -> None:
        for number in range(1, self.number + 1):
            if number not in self.answered:
                host.send("n2", Question(number))


# -- a log -----------------------------------------------------------------------------------------


class SyncsEachEntry(Log):
    """Waits for its disk with each entry, and comes to nothing else."""

    @on(Append)
    def append(self, host: Host, sender: str, entry: Append) -> None:
        Log.append(self, host, sender, entry)
        self.store(host)


class KeepsItInMemory(Log):
    log: list[int] = []


# -- as properties ---------------------------------------------------------------------------------


def under(fault: str) -> Simulated:
    """Runs under a fault of the menu."""
    return simulated(1, runs=5, until=bad_nodes.UNTIL, faults=bad_nodes.MENU[fault])


@bounded(by=under("pause"))
def a_timer_is_trusted() -> World:
    return bad_nodes.reading(holder=TrustsItsTimer)


@bounded(by=under("clock offset"))
def clocks_are_to_agree() -> World:
    return bad_nodes.reading(holder=ReadsTheLendersClock)


@bounded(by=under("clock drift"))
def a_margin_is_fixed() -> World:
    return bad_nodes.reading(holder=KeepsAFixedMargin)


@bounded(by=under("clock jumps back"))
def time_is_to_go_on() -> World:
    return bad_nodes.stamping(author=BreaksTiesOnly)


@bounded(by=under("clock stops"))
def time_is_to_pass() -> World:
    return bad_nodes.buffering(buffer=FlushesByTheClock)


@bounded(by=under("clock jumps ahead"))
def one_look_is_enough() -> World:
    return bad_nodes.watching(watcher=ReadsTimeoutsOffTheClock)


@bounded(by=under("slow node"))
def all_is_asked_again() -> World:
    return bad_nodes.asking(asker=AsksAllAgain)


@bounded(by=under("slow disk"))
def each_entry_is_synced() -> World:
    return bad_nodes.logging(log=SyncsEachEntry)


@bounded(by=under("crash"))
def a_log_is_in_memory() -> World:
    return bad_nodes.logging(log=KeepsItInMemory)


a_read_is_stale_after_a_pause = must_break(
    bad_nodes.no_read_is_stale.over(a_timer_is_trusted, "a_read_is_stale_after_a_pause")
)
a_read_is_stale_by_another_clock = must_break(
    bad_nodes.no_read_is_stale.over(clocks_are_to_agree, "a_read_is_stale_by_another_clock")
)
a_read_is_stale_by_a_slow_clock = must_break(
    bad_nodes.no_read_is_stale.over(a_margin_is_fixed, "a_read_is_stale_by_a_slow_clock")
)
a_write_is_lost_to_the_past = must_break(
    bad_nodes.the_last_write_wins.over(time_is_to_go_on, "a_write_is_lost_to_the_past")
)
a_buffer_is_never_emptied = must_break(
    bad_nodes.no_buffer_grows_too_large.over(time_is_to_pass, "a_buffer_is_never_emptied")
)
all_are_suspected_at_once = must_break(
    bad_nodes.nobody_who_beats_is_suspected.over(one_look_is_enough, "all_are_suspected_at_once")
)
who_is_slow_drowns = must_break(
    bad_nodes.questions_are_answered_in_the_end.over(all_is_asked_again, "who_is_slow_drowns")
)
who_waits_for_a_disk_falls_behind = must_break(
    bad_nodes.entries_are_stored_in_the_end.over(
        each_entry_is_synced, "who_waits_for_a_disk_falls_behind"
    )
)
a_log_is_lost_in_a_crash = must_break(
    bad_nodes.what_is_acknowledged_is_in_the_log.over(
        a_log_is_in_memory, "a_log_is_lost_in_a_crash"
    )
)
