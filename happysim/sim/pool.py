"""Pools: routes on which a message waits until it is told to arrive, and draws no delay."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from happysim.core.freeze import freeze
from happysim.core.script import Operation, Response
from happysim.core.texts import message_text
from happysim.sim.route import Route


@dataclass(slots=True)
class Letter:
    """A message on its way. `held` is one that a clog holds back, `lost` one that never arrives."""

    message: Any
    operation: Operation | None
    text: str
    ticket: int
    held: bool = False
    lost: bool = False


class Pool(Route):
    """What one process has sent another, in order of sending.

    Where links keep their order a lost message stays until it is told to be dropped: those behind
    it must get past it.
    """

    __slots__ = ("copies", "letters")

    def __init__(self, *surroundings: Any, **kind: Any) -> None:
        self.letters: list[Letter] = []
        # Whether the network copies by itself, so that what was sent once may always come again.
        self.copies = False
        super().__init__(*surroundings, **kind)

    def _settle(self) -> None:
        super()._settle()
        # Nothing passes it by.
        self.ease = None

    def send(self, message: Any, operation: Operation | None, now: int) -> None:
        """Put a message on its way."""
        self.sent += 1
        if self.cuts:
            self.traffic.severed += 1
            if not self.ordered:
                return
        shown = None if isinstance(message, Response) else operation
        text = message_text(freeze(message), shown)
        if not self.copies or self.find(text) is None:
            number, held, lost = self._ticket(), self.clogs > 0, self.cuts > 0
            self.letters.append(Letter(message, operation, text, number, held, lost))

    def coming(self) -> Iterator[Letter]:
        """Each message that may arrive next: the first one, where links keep their order."""
        for letter in self.letters[:1] if self.ordered else self.letters:
            if not letter.held and not letter.lost:
                yield letter

    def find(self, text: str) -> Letter | None:
        """The oldest message of that text on its way, whether it can arrive now or not."""
        return next((each for each in self.letters if each.text == text), None)

    def hand_over(self, letter: Letter) -> None:
        """A message arrives."""
        if not self.copies:
            self.drop(letter)
        self.arrive(letter.message, letter.operation, self.epoch)

    def drop(self, letter: Letter) -> None:
        """A message is lost, or has arrived: it is on its way no more."""
        self.letters = [each for each in self.letters if each is not letter]

    def copy(self, letter: Letter) -> None:
        """One more copy of a message may arrive next."""
        self.traffic.duplicated += 1
        twin = replace(letter, ticket=self._ticket())
        self.letters.insert(0 if self.ordered else len(self.letters), twin)

    def sever(self) -> None:
        """Lose what is on its way."""
        if not self.ordered:
            self.reset()
        for letter in self.letters:
            letter.lost = True

    def reset(self) -> None:
        """Lose what is on its way because one end has crashed."""
        self.traffic.severed += len(self.letters)
        self.letters = []

    def release(self) -> None:
        """One reason to hold back is gone; with the last, what was held may arrive."""
        super().release()
        for letter in self.letters:
            letter.held = self.clogs > 0 and letter.held
