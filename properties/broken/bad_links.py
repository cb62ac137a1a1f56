"""Protocols of `properties/bad_links.py` without one precaution, each shown by one fault alone."""

from __future__ import annotations

from happysim import Host, on
from properties.bad_links import (
    NAMES,
    SECOND,
    Beat,
    Member,
    Put,
    Shelf,
    Source,
    Store,
    Stored,
    Write,
)

# -- the group -------------------------------------------------------------------------------------


class CountsWhoIsLeft(Member):
    """A majority of those that it has heard of lately, not of all: both sides of a cut have one."""

    def may_lead(self) -> bool:
        lower = [name for name in self.hears() if name < self.name]
        is_led = any(self.beats[name].leads for name in lower)
        return not is_led and 2 * self.supporters() > len(self.heard_of())


class SupportsWhomItHears(Member):
    """Does not ask whether that one hears it."""

    def choose(self) -> str:
        return min([self.name, *self.hears()])


class TrustsItsOwnSends(Member):
    """Leads on as long as it hears the others: it takes for granted that they hear it."""

    def may_lead(self) -> bool:
        return Member.may_lead(self) or (self.led_since > 0 and 2 * len(self.hears()) > len(NAMES))


class CountsWhomItHears(Member):
    """Counts those it hears as its voters: the bridge between two sides votes on both."""

    def supporters(self) -> int:
        return 1 + len(self.mutual())


class WantsToSeeAll(Member):
    """Only who hears everyone that is heard of may lead: in a ring there is no such node."""

    def choose(self) -> str:
        able = [name for name in self.mutual() if self.beats[name].sees_all]
        return min([*able, *[self.name] * self.sees_all()], default="")


class TrustsTheFirstPeerBack(Member):
    """Cut off from all, it takes the state of the first peer that it hears again."""

    def take(self, now: int, beat: Beat) -> None:
        last = max(self.heard.values(), default=now)
        if self.name != "n1" and now - last > 3 * SECOND // 10:
            self.version = beat.version
        else:
            Member.take(self, now, beat)


class WantsAnswersAtOnce(Member):
    """Takes a peer for dead that has not answered within half a second."""

    def mutual(self) -> list[str]:
        echoes = {name: dict(self.beats[name].hears).get(self.name) for name in self.hears()}
        return [name for name, last in echoes.items() if last and last >= self.number - 5]


# -- copies ----------------------------------------------------------------------------------------


class ResendsAfterSilence(Source):
    """Takes messages for lost only where nothing at all came back for a while."""

    back: set[str] = set()  # who is heard again

    @on(Stored)
    def stored(self, host: Host, sender: str, stored: Stored) -> None:
        if host.now - self.heard.get(sender, 0) > SECOND:
            self.back.add(sender)
        Source.stored(self, host, sender, stored)

    @on.timer("write")
    def write(self, host: Host) -> None:
        Source.write(self, host)
        self.back.clear()

    def is_overdue(self, copy: str, when: int) -> bool:
        return copy in self.back


class ResendsAtOnce(Source):
    """Sends everything again with every write, until it is acknowledged."""

    def is_overdue(self, copy: str, when: int) -> bool:
        return True


class KnowsOnlyItsOwnCopies(Shelf):
    """Looks for copies among what the source says it sent again: the network makes some, too."""

    def is_new(self, put: Put) -> bool:
        return not put.again or put.number not in self.stored


class ShowsTheLastToArrive(Shelf):
    """Takes what was sent once to arrive in order."""

    def show(self, put: Put) -> None:
        self.newest = max(self.newest, put.number) if put.again else put.number


# -- a lease ---------------------------------------------------------------------------------------


class TakesOldWrites(Store):
    """Looks at no token: a write of an old holder may come late."""

    def accepts(self, request: Write) -> bool:
        return True
