"""A store that fences off holders of before: it refuses whoever overslept its lease.

**Source**: Burrows, *The Chubby lock service for loosely-coupled distributed systems*, OSDI 2006,
section 2.4 (the sequencer); Kleppmann, *How to do distributed locking*, 2016 (the fencing token).

**Assumes**: the store syncs what it has written before it answers. Tokens come from one lock, or
from one counter.
"""

from __future__ import annotations

from typing import Any

from happysim.core.host import Host
from happysim.core.node import Node, durable, on
from happysim.protocols.lock.messages import FencedWrite, WriteAccepted, WriteRefused


class FencedStore(Node):
    """Holds one value, and refuses a write under a token smaller than one that it has seen.

    Tokens put grants in order, and not the writes under one: a client that writes more than once
    under a grant awaits each answer, and takes care of late copies by what it writes.
    """

    token: int = durable(0)  # newest seen
    value: Any = durable(None)

    @on(FencedWrite)
    def write(self, host: Host, sender: str, request: FencedWrite) -> None:
        if self._is_stale(request.token):
            host.reply(WriteRefused(request.token, self.token))
            return
        self.token, self.value = request.token, request.value
        host.sync()
        host.reply(WriteAccepted(request.token))

    def _is_stale(self, token: int) -> bool:
        return token < self.token
