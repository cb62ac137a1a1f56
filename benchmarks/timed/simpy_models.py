"""The same models on simpy: a process for each message, as its users write them, and inline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import simpy

from benchmarks.timed import plain


def ping_pong(seconds: float, latency: float, *, per_message: bool) -> int:
    """Messages handled in so much virtual time."""
    env = simpy.Environment()
    stores = [simpy.Store(env), simpy.Store(env)]
    count = 0

    def carry(to: int, number: int) -> Any:
        yield env.timeout(latency)
        yield stores[to].put(number)

    def player(me: int) -> Any:
        nonlocal count
        while True:
            number = yield stores[me].get()
            count += 1
            if per_message:
                env.process(carry(1 - me, number + me))
            else:
                yield env.timeout(latency)
                stores[1 - me].put(number + me)

    env.process(player(0))
    env.process(player(1))
    env.process(carry(1, 0))
    env.run(until=seconds)
    return count


def cluster(seconds: float, seed: int, *, per_message: bool) -> plain.Counts:
    """The servers of `plain.Cluster`, with simpy to tell the time."""
    env = simpy.Environment()

    def now() -> int:
        return round(env.now * 1e9)

    def later(delay_ns: int, run: Callable[[], None]) -> None:
        env.timeout(delay_ns / 1e9).callbacks.append(lambda _: run())

    servers = plain.Cluster(seed, now, later)
    if per_message:
        mailboxes = {name: simpy.Store(env) for name in servers.names}

        def carry(delay: float, to: str, letter: Any) -> Any:
            yield env.timeout(delay)
            yield mailboxes[to].put(letter)

        def serve(name: str) -> Any:
            while True:
                letter = yield mailboxes[name].get()
                servers.deliver(name, *letter)

        servers.carry = lambda delay_ns, to, letter: env.process(carry(delay_ns / 1e9, to, letter))
        for name in servers.names:
            env.process(serve(name))
    servers.start()
    env.run(until=seconds)
    return servers.counts
