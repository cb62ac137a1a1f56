"""The state machine that a protocol replicates: a deterministic object that applies commands.

**Source**: Schneider, *Implementing fault-tolerant services using the state machine approach: a
tutorial*, ACM Computing Surveys 22(4), 1990.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Protocol


class Machine(Protocol):
    """What is replicated. The sequential objects of `happysim.spec.objects` are machines."""

    initial: Any

    def apply(self, state: Any, command: Any) -> tuple[Any, Any]:
        """The next state and the result of `command` in `state`, and a function of these alone."""


class KeyedMachine(Machine, Protocol):
    """A machine whose state may have parts, so that one part can be read while others change."""

    def key(self, command: Any) -> Hashable:
        """The part that `command` reads and changes; None where it may be all of the state."""


@dataclass(frozen=True)
class Journal:
    """The machine that keeps every command in order; the result is how many there are then."""

    initial = ()

    def apply(self, state: Any, command: Any) -> tuple[Any, Any]:
        """The journal with `command` at its end, and its length."""
        return (*state, command), len(state) + 1

    def key(self, command: Any) -> Hashable:
        """None: every command changes all of it."""
        return None
