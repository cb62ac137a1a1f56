"""A host for a handler that is called by itself, without a world."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from happysim import Host


class Noting:
    """Notes what a handler sends and answers, and which timers are set, for so many
    seconds, and how often it writes to disk."""

    operation = None
    now = 0

    def __init__(self, *peers: str) -> None:
        self.peers = peers
        self.sent: list[tuple[str, Any]] = []
        self.timers: dict[str, Any] = {}
        self.syncs = 0

    def send(self, to: str, message: Any) -> None:
        self.sent.append((to, message))

    def broadcast(self, message: Any, to: Iterable[str] | None = None) -> None:
        self.sent += [(each, message) for each in (self.peers if to is None else to)]

    def reply(self, message: Any) -> None:
        self.sent.append(("the sender", message))

    def respond(self, value: Any, to: Any = None) -> None:
        self.sent.append((to.client if to else "the client", value))

    def set_timer(self, name: str, seconds: Any) -> None:
        self.timers[name] = seconds

    def cancel_timer(self, name: str) -> None:
        self.timers.pop(name, None)

    @property
    def random(self) -> Noting:
        return self

    def shuffle(self, items: list[Any]) -> None:
        """They stay as they are."""

    def sync(self) -> None:
        self.syncs += 1


def noting(*peers: str) -> tuple[Host, list[tuple[str, Any]]]:
    """Such a host, and the list that it keeps of (receiver, message)."""
    made = Noting(*peers)
    return cast(Host, made), made.sent
