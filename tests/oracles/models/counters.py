"""Threads that each add one to a shared counter, and the same under a lock. Raw systems."""

from __future__ import annotations

from happysim import Host, Node, World, action


class Increment(Node):
    """Each thread reads the counter, then writes what it read plus one."""

    threads: int
    counter: int = 0
    read: list[int] = []
    at: list[str] = []

    def on_start(self, host: Host) -> None:
        self.read, self.at = [0] * self.threads, ["read"] * self.threads

    def _at(self, place: str) -> list[int]:
        return [i for i, each in enumerate(self.at) if each == place]

    @action(when=lambda self: "read" in self.at)
    def reads(self, host: Host) -> None:
        i = host.choose(self._at("read"))
        self.read[i], self.at[i] = self.counter, "write"

    @action(when=lambda self: "write" in self.at)
    def writes(self, host: Host) -> None:
        i = host.choose(self._at("write"))
        self.counter, self.at[i] = self.read[i] + 1, "done"


class LockedIncrement(Node):
    """The same four steps under a lock: lock, read, write, release."""

    threads: int
    counter: int = 0
    locked: bool = False
    read: list[int] = []
    at: list[str] = []

    def on_start(self, host: Host) -> None:
        self.read, self.at = [0] * self.threads, ["lock"] * self.threads

    def _at(self, place: str) -> list[int]:
        return [i for i, each in enumerate(self.at) if each == place]

    @action(when=lambda self: "lock" in self.at and not self.locked)
    def locks(self, host: Host) -> None:
        self.locked, self.at[host.choose(self._at("lock"))] = True, "read"

    @action(when=lambda self: "read" in self.at)
    def reads(self, host: Host) -> None:
        i = host.choose(self._at("read"))
        self.read[i], self.at[i] = self.counter, "write"

    @action(when=lambda self: "write" in self.at)
    def writes(self, host: Host) -> None:
        i = host.choose(self._at("write"))
        self.counter, self.at[i] = self.read[i] + 1, "release"

    @action(when=lambda self: "release" in self.at)
    def releases(self, host: Host) -> None:
        self.locked, self.at[host.choose(self._at("release"))] = False, "done"


def increment(threads: int = 2) -> World:
    return World.of(Increment("system", threads))


def locked_increment(threads: int = 2) -> World:
    return World.of(LockedIncrement("system", threads))
