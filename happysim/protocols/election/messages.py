"""What members of a leader election tell each other."""

from __future__ import annotations

from typing import Any

from happysim.core.message import message


@message
class Victory:
    """The sender has won the election of `term`, and leads it."""

    term: int


@message
class Heartbeat:
    """The sender is alive, and leads `term`."""

    term: int


@message
class Campaign:
    """A step of the election under way in `term`; which steps there are is the strategy's affair.

    `step` is an immutable value, such as an instance of a frozen dataclass.
    """

    term: int
    step: Any
