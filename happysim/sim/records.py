"""What clients of a live run invoked and got back, made into a History when one is asked for."""

from __future__ import annotations

from typing import Any

from happysim.core.history import History


class Records:
    """Collects (what, client, value) as it happens. `version` grows with each."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._news: list[tuple[str, str, Any]] = []
        self.version = 0

    def add(self, what: str, client: str, value: Any) -> None:
        """A client invokes, completes or abandons a call."""
        self._news.append((what, client, value))
        self.version += 1

    def history(self) -> History:
        """The history so far."""
        history = self._history
        for what, client, value in self._news:
            if what == "invoke":
                history = history.invoke(client, value)
            elif what == "complete":
                history = history.complete(client, value)
            else:
                history = history.abandon(client)
        self._news.clear()
        self._history = history
        return history
