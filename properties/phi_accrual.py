"""Phi accrual failure detection: suspicion is judged by the newest heartbeat, and only grows.

A process beats at the times 1, 2, 3, ... and may die. Its heartbeats carry these times and come in
any order. A watcher has a clock of its own, which ticks at any moment.
"""

from __future__ import annotations

import math
from dataclasses import field

from happysim import (
    Faults,
    Host,
    Node,
    World,
    action,
    always,
    bounded,
    message,
    on,
    reachable,
    step_always,
)
from happysim.protocols.phi_accrual import PhiAccrualDetector


@message
class Beat:
    at: int


class Process(Node):
    """Sends so many heartbeats to the watcher."""

    beats: int = 3
    sent: int = 0

    @action(when=lambda self: self.sent < self.beats)
    def beat(self, host: Host) -> None:
        self.sent += 1
        host.send("watcher", Beat(self.sent))


class Watcher(Node):
    """Keeps a detector, and the time of the newest heartbeat that it was given."""

    ends_at: int = 14
    detector: PhiAccrualDetector = field(default_factory=PhiAccrualDetector)
    now: int = 0
    newest: int = 0
    heard: int = 0

    @on(Beat)
    def hear(self, host: Host, sender: str, beat: Beat) -> None:
        self.detector.heartbeat(beat.at)
        self.newest = max(self.newest, beat.at)
        self.now = max(self.now, beat.at)
        self.heard += 1

    @action(when=lambda self: self.now < self.ends_at)
    def tick(self, host: Host) -> None:
        self.now += 1


@bounded(max_worlds=50_000)
def a_process_and_a_watcher(
    kind: type[PhiAccrualDetector] = PhiAccrualDetector, beats: int = 3
) -> World:
    """Heartbeats may be overtaken, copied once, or never arrive."""
    detector = kind(first_interval=1, min_deviation=0.1, acceptable_pause=0.5)
    return World.of(
        Process("process", beats),
        Watcher("watcher", detector=detector),
        faults=Faults(duplicates=1),
    )


def phi_of(world: World) -> float:
    watcher = world["watcher"]
    return float(watcher.detector.phi(watcher.now))


@step_always(a_process_and_a_watcher)
def last_heard_never_goes_back(before: World, after: World) -> bool | str:
    """A heartbeat that was overtaken does not make the process look older."""
    earlier, later = (world["watcher"].detector.last_heard for world in (before, after))
    return earlier is None or later >= earlier or f"last heard went from {earlier} to {later}"


@step_always(a_process_and_a_watcher)
def what_is_not_newer_says_nothing(before: World, after: World) -> bool:
    """A copy, or a heartbeat that was overtaken, leaves the detector as it is."""
    old, new = before["watcher"], after["watcher"]
    is_late = new.heard > old.heard and new.newest == old.newest
    return not is_late or bool(new.detector == old.detector)


@always(a_process_and_a_watcher)
def a_fresh_heartbeat_clears(world: World) -> bool | str:
    """At the time of the newest heartbeat there is no suspicion, whatever came after it."""
    watcher = world["watcher"]
    fresh = watcher.heard and watcher.now == watcher.newest
    return not fresh or phi_of(world) < 1 or f"phi is {phi_of(world):.1f}, and it beats"


@step_always(a_process_and_a_watcher)
def suspicion_only_grows_in_silence(before: World, after: World) -> bool:
    silent = before["watcher"].heard == after["watcher"].heard
    return not silent or phi_of(after) >= phi_of(before)


@always(a_process_and_a_watcher)
def phi_is_a_number(world: World) -> bool:
    return math.isfinite(phi_of(world)) and phi_of(world) >= 0


@always(a_process_and_a_watcher)
def the_silent_are_suspected(world: World) -> bool | str:
    """Ten intervals after the last heartbeat the process is gone, even where it was the first."""
    watcher = world["watcher"]
    silence = watcher.now - watcher.newest
    gone = watcher.heard and silence >= 10
    return not (gone and watcher.detector.is_available(watcher.now)) or (
        f"phi is {phi_of(world):.1f} after {silence} intervals of silence"
    )


@reachable(a_process_and_a_watcher)
def a_heartbeat_is_overtaken(world: World) -> bool:
    """The third is heard, and the first comes after it."""
    watcher = world["watcher"]
    return watcher.newest == 3 and watcher.heard == 1 and len(world.in_flight) == 2


@reachable(a_process_and_a_watcher)
def a_suspicion_is_taken_back(world: World) -> bool:
    """Two intervals were missed, and the process is available again all the same."""
    detector = world["watcher"].detector
    return len(detector.intervals) > 2 and detector.intervals[-1] > 1 and phi_of(world) < 1
