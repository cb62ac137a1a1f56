"""Phi accrual in rough weather, in virtual time: watchers that beat, and watch each other.

Watchers crash, are cut off and come back, and messages get lost, copied and delayed. Heartbeats are
stamped on arrival, by a clock that may jump and drift. `properties/phi_accrual.py` judges the
detector alone; here it is a field of a node. When the faults have stopped, more than half of the
watchers have to trust each other and to suspect who is down.
"""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

from happysim import (
    Faults,
    Host,
    Node,
    World,
    bounded,
    durable,
    eventually,
    message,
    monitor,
    on,
    reachable,
    swarm,
)
from happysim.protocols.phi_accrual import PhiAccrualDetector
from properties.counting import faults_and_clocks

# Faults befall the first seconds of a run.
ROUGH_SECONDS = 10.0
BEAT_SECONDS = 0.2
NS = 1_000_000_000


@message
class Beat:
    """The sender is alive: its life, and which heartbeat of that life this is."""

    life: int
    number: int


class Watcher(Node):
    """Beats, and keeps a detector for each of its peers. It suspects whom it has not heard of."""

    life: int = durable(default=0)
    number: int = 0
    detectors: dict[str, PhiAccrualDetector] = {}
    newest: dict[str, tuple[int, int]] = {}
    suspected: set[str] = set()

    def on_start(self, host: Host) -> None:
        self.life += 1
        host.sync()
        host.set_timer("beat", seconds=(0.0, BEAT_SECONDS))

    @on.timer("beat")
    def beat(self, host: Host) -> None:
        """Show that this one is alive, and see who else is."""
        self.number += 1
        host.broadcast(Beat(self.life, self.number))
        now = host.now
        if not self.detectors:
            self.watch(host.peers, now)
        self.suspected = {
            peer for peer, detector in self.detectors.items() if not detector.is_available(now)
        }
        host.set_timer("beat", seconds=BEAT_SECONDS)

    def watch(self, peers: tuple[str, ...], now: int) -> None:
        """Everyone is given a first interval to be heard of."""
        for peer in sorted(peers):
            self.detectors[peer] = self.detector()
            self.detectors[peer].heartbeat(now)

    def detector(self) -> PhiAccrualDetector:
        """Of few intervals, so that a long silence is soon forgotten."""
        return PhiAccrualDetector(
            first_interval=round(BEAT_SECONDS * NS),
            min_deviation=round(BEAT_SECONDS * NS / 4),
            window=10,
        )

    @on(Beat)
    def hear(self, host: Host, sender: str, beat: Beat) -> None:
        """A copy, or one that was overtaken, is no sign of life: it comes from the past."""
        sign = (beat.life, beat.number)
        if sign > self.newest.get(sender, (0, 0)):
            if not self.detectors:
                self.watch(host.peers, host.now)
            self.newest = dict(sorted({**self.newest, sender: sign}.items()))
            self.detectors[sender].heartbeat(host.now)
            self.suspected.discard(sender)


@bounded(
    by=swarm(
        seed=2,
        runs=10,
        until=ROUGH_SECONDS,
        calm=60.0,
        menu=faults_and_clocks(),
        arguments={"size": (2, 3, 4, 5)},
    ),
    unknown_passes=True,
)
def in_rough_weather(kind: type[Watcher] = Watcher, size: int = 4) -> World:
    """Watchers w1, w2, ..."""
    watchers = [kind(f"w{number}") for number in range(1, size + 1)]
    return World.of(*watchers, faults=Faults(crashes=1, unsynced_loss=True))


@monitor(in_rough_weather)
class last_heard_never_goes_back:
    """In one life of a watcher, whatever its clock does; nor does the suspicion fall in silence."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, int, str], Any] = {}

    def __call__(self, world: World, name: str) -> bool | str:
        watcher = world[name]
        for peer, detector in watcher.detectors.items():
            key, heard = (name, watcher.life, peer), detector.last_heard
            before = self.known.get(key, heard)
            self.known[key] = heard
            if heard < before:
                return f"{name} last heard of {peer} at {before}, and now at {heard}"
            if any(interval <= 0 for interval in detector.intervals):
                return f"{name} keeps the intervals {detector.intervals} of {peer}"
        return True


@monitor(in_rough_weather)
class suspicion_is_a_number_that_grows:
    """At any time asked: finite, 0 or more, and not less later."""

    def __call__(self, world: World, name: str) -> bool | str:
        for peer, detector in world[name].detectors.items():
            at = [detector.last_heard + round(after * NS) for after in (0, 0.2, 1, 10, 1e6)]
            phis = [detector.phi(time) for time in at]
            if not all(map(math.isfinite, phis)) or phis[0] < 0 or phis != sorted(phis):
                return f"{name} suspects {peer} by {phis}"
            if phis[0] >= 1:
                return f"{name} suspects {peer} by {phis[0]} when it is heard"
        return True


@eventually(in_rough_weather)
def a_majority_suspects_who_is_down_alone(world: World) -> bool | str:
    """More than half trust each other, and suspect everyone who is down."""
    watchers = world.nodes(Watcher)
    down = {watcher.name for watcher in watchers if not watcher.is_up}
    views = {each.name: set(each.suspected) for each in watchers if each.is_up}
    knowing = [name for name, suspected in views.items() if down <= suspected]
    for some in combinations(knowing, len(watchers) // 2 + 1):
        if not any(views[name] & set(some) for name in some):
            return True
    return f"suspected: {views}; down: {sorted(down)}"


@reachable(in_rough_weather)
def a_live_watcher_is_suspected(world: World) -> bool:
    """No detector is right where messages may be late."""
    return any(world[name].is_up for each in world.nodes(Watcher) for name in each.suspected)


@reachable(in_rough_weather)
def a_crash_is_noticed(world: World) -> bool:
    return any(not world[name].is_up for each in world.nodes(Watcher) for name in each.suspected)
