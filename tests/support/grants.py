"""A server whose answers can be used: a client script that was granted something may release it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from happysim import Host, Node, call, message, on
from happysim.core.script import Request
from tests.support.nodes import Ping


@message
class Release:
    token: int


@dataclass(frozen=True)
class Grant:
    """An answer that its client can release."""

    token: int

    def __bind__(self, outbox: list[Any]) -> Held:
        return Held(self.token, outbox)


class Held:
    def __init__(self, token: int, outbox: list[Any]) -> None:
        self.token, self.outbox = token, outbox

    def release(self) -> Request:
        asked = call("s", Release(self.token))
        self.outbox.append(asked)
        return asked


class Server(Node):
    """Grants each Ping a token, and answers each Release, whether that is awaited or not."""

    token: int = 0
    released: list[int] = []

    @on(Ping)
    def ping(self, host: Host, sender: str, ping: Ping) -> None:
        self.token += 1
        host.respond(Grant(self.token))

    @on(Release)
    def release(self, host: Host, sender: str, release: Release) -> None:
        self.released.append(release.token)
        host.reply("released")
