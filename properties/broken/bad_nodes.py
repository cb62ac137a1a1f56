"""Protocols of `properties/bad_nodes.py` without one precaution, each shown by one fault alone."""

from __future__ import annotations

from happysim import Host, on
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
