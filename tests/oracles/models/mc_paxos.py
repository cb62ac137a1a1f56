"""Paxos as the TLA+ examples have it, in their smallest configuration. One raw system.

**Source**: Lamport, "Paxos made simple", 2001, section 2; the messages sent only ever grow.
"""

from __future__ import annotations

from typing import Any

from happysim import Host, Node, World, action, always

ACCEPTORS, VALUES, BALLOTS, QUORUM = range(3), ("v1", "v2"), (0, 1), 2
NONE = -1


class MCPaxos(Node):
    """Acceptors by index; messages as tuples that start with their phase."""

    max_ballot: list[int] = [NONE] * 3
    voted_ballot: list[int] = [NONE] * 3
    voted_value: list[str] = [""] * 3
    sent: list[tuple] = []  # in order of content, each once

    def _of(self, phase: str) -> list[tuple]:
        return [each for each in self.sent if each[0] == phase]

    def _send(self, *message: Any) -> None:
        self.sent = sorted({*self.sent, message})

    @action
    def phase_1a(self, host: Host) -> None:
        self._send("1a", host.choose(BALLOTS))

    def _promises(self) -> list[tuple[int, int]]:
        asked = [ballot for _, ballot in self._of("1a")]
        return [(a, b) for a in ACCEPTORS for b in asked if b > self.max_ballot[a]]

    @action(when=lambda self: bool(self._promises()))
    def phase_1b(self, host: Host) -> None:
        acceptor, ballot = host.choose(self._promises())
        self.max_ballot[acceptor] = ballot
        voted = self.voted_ballot[acceptor], self.voted_value[acceptor]
        self._send("1b", acceptor, ballot, *voted)

    def _proposals(self) -> list[tuple[int, str]]:
        used = {ballot for _, ballot, _ in self._of("2a")}
        free = [ballot for ballot in BALLOTS if ballot not in used]
        return [(ballot, value) for ballot in free for value in self._safe_values(ballot)]

    def _safe_values(self, ballot: int) -> list[str]:
        """The values that some quorum's answers allow."""
        answers = [each for each in self._of("1b") if each[2] == ballot]
        found = set()
        for at, one in enumerate(answers):
            for other in answers[at + 1 :]:
                voted = [(each[3], each[4]) for each in (one, other) if each[3] != NONE]
                found |= {max(voted)[1]} if voted else set(VALUES)
        return sorted(found)

    @action(when=lambda self: bool(self._proposals()))
    def phase_2a(self, host: Host) -> None:
        ballot, value = host.choose(self._proposals())
        self._send("2a", ballot, value)

    def _votes(self) -> list[tuple[int, int, str]]:
        proposed = [(ballot, value) for _, ballot, value in self._of("2a")]
        return [(a, b, v) for a in ACCEPTORS for b, v in proposed if b >= self.max_ballot[a]]

    @action(when=lambda self: bool(self._votes()))
    def phase_2b(self, host: Host) -> None:
        acceptor, ballot, value = host.choose(self._votes())
        self.max_ballot[acceptor] = self.voted_ballot[acceptor] = ballot
        self.voted_value[acceptor] = value
        self._send("2b", acceptor, ballot, value)


def mc_paxos_tiny() -> World:
    return World.of(MCPaxos("system"))


@always(mc_paxos_tiny)
def one_value_is_chosen(world: World) -> bool:
    votes = [each for each in world["system"].sent if each[0] == "2b"]
    chosen = {
        value
        for _, _, ballot, value in votes
        if sum(other[2:] == (ballot, value) for other in votes) >= QUORUM
    }
    return len(chosen) <= 1
