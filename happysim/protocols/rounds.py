"""Rounds: time passes for a replicated service by way of its log, at the same place for all.

The leader lets a round go by on its own clock, and then proposes what its end means. A new leader
begins one anew, also where another was in the middle of one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from happysim.core.host import Host
from happysim.protocols.machine import Machine, is_service


def begin(host: Host, machine: Machine) -> None:
    """A round goes by from here on, where the machine has rounds."""
    if is_service(machine):
        host.set_timer("round", seconds=machine.round_seconds)


def command_at_end(machine: Machine, state: Any, proposed: Iterable[Any]) -> Any:
    """What the end of a round means; None for nothing, or where it is `proposed` already."""
    command = machine.round_over(state) if is_service(machine) else None
    return None if command in proposed else command
