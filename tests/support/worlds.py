"""What a test asks of a world."""

from __future__ import annotations

from typing import Any

from happysim import World


def answers(world: World, client: str) -> list[Any]:
    """The results that a client has got so far, in order."""
    return [call.result for call in world.history.of(client) if call.done]
