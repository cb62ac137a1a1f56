"""A handler that reads what is not its own is caught in its first runs, by its name."""

from __future__ import annotations

import builtins
import random
import time
import uuid
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from happysim import DeterminismError, Host, Node, Script, World, action, call, on
from happysim.core.determinism import shifted_surroundings
from tests.support.nodes import Ping, one_node

numbers = count()


class Registry:
    made = 0


def counted() -> int:
    Registry.made += 1
    return Registry.made


READS: list[tuple[str, Callable[[], Any]]] = [
    ("time", time.time),
    ("hours", lambda: time.time() // 3600),
    ("nanoseconds", time.time_ns),
    ("monotonic", lambda: time.monotonic() // 3600),
    ("perf_counter", lambda: time.perf_counter() // 3600),
    ("random", random.random),
    ("uuid", lambda: str(uuid.uuid4())),
    ("id", lambda: id(Registry)),
    ("parity of hash", lambda: hash("text") % 2),
    ("hash of bytes", lambda: hash(b"bytes")),
    ("global counter", lambda: next(numbers)),
    ("class counter", counted),
]
reads = pytest.mark.parametrize(
    "read", [read for _, read in READS], ids=[name for name, _ in READS]
)


@reads
def test_a_field_that_depends_on_the_surroundings_is_named(read: Callable[[], Any]) -> None:
    with pytest.raises(DeterminismError) as refused:
        one_node(lambda node, host: setattr(node, "value", read())).choices()

    for part in ("Actor.act on n is not deterministic", "field `value`", "host.choose and timers"):
        assert part in str(refused.value)


@reads
def test_a_message_that_depends_on_the_surroundings_is_told(read: Callable[[], Any]) -> None:
    with pytest.raises(DeterminismError, match="what it sent differed"):
        one_node(lambda node, host: host.send("n", Ping(read()))).choices()


@pytest.mark.parametrize(
    ("body", "part"),
    [
        (lambda node, host: host.set_timer("tick") if next(numbers) % 2 else None, "its timers"),
        (lambda node, host: 1 / (next(numbers) % 2), "ZeroDivisionError"),
        (lambda node, host: host.choose(["a", f"{next(numbers)}"]), "Actor.act on n"),
    ],
    ids=["timer", "raise", "options"],
)
def test_other_differences_are_told_too(body: Any, part: str) -> None:
    with pytest.raises(DeterminismError) as refused:
        one_node(lambda node, host: body(node, host) and None).choices()
    assert part in str(refused.value)


def test_a_script_that_depends_on_the_surroundings_is_caught() -> None:
    class Server(Node):
        @on(Ping)
        def ping(self, host: Host, sender: str, ping: Ping) -> None: ...

    def script() -> Any:
        yield call("n", Ping(next(numbers)))

    with pytest.raises(DeterminismError, match="script c"):
        World.of(Server("n"), Script("c", script)).choices()


def test_a_guard_that_depends_on_the_surroundings_is_caught() -> None:
    class Guarded(Node):
        @action(when=lambda self: next(numbers) % 2)
        def act(self, host: Host) -> None: ...

    with pytest.raises(DeterminismError, match=r"Guarded\.act on n"):
        World.of(Guarded("n")).choices()


def test_a_handler_that_reads_only_its_own_passes() -> None:
    def body(node: Any, host: Host) -> None:
        node.value = (host.name, host.peers, len(node.log), host.choose([1, 2]))
        host.set_timer("tick")

    assert len(one_node(body).choices()) == 2


def test_the_surroundings_are_put_back_even_after_an_error() -> None:
    before = (time.time, time.monotonic, builtins.id, builtins.hash)

    def fail() -> None:
        with shifted_surroundings():
            assert time.time is not before[0]
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert (time.time, time.monotonic, builtins.id, builtins.hash) == before


def test_known_limit_a_clock_bound_by_another_name_is_caught_only_by_its_ticking() -> None:
    # `from time import time` binds the function itself; only attributes of modules are replaced.
    # Two runs then differ by nanoseconds, which rounding hides.
    hidden = time.time
    world = one_node(lambda node, host: setattr(node, "value", hidden() // 10**9))
    assert len(world.choices()) == 1


def test_known_limit_the_hash_of_a_tuple_of_text_is_not_caught() -> None:
    # The hashes that dicts and sets use must stay consistent, so only direct ones are shifted.
    world = one_node(lambda node, host: setattr(node, "value", hash(("text",)) % 2))
    assert len(world.choices()) == 1


def test_known_limit_only_a_sample_of_the_runs_is_checked() -> None:
    # The first eight runs of a handler on a node, then one in 61: the ninth is not.
    def body(node: Any, host: Host) -> None:
        node.value = node.value + 1 if node.value < 8 else next(numbers) + 100

    world = one_node(body).after(*["act n act"] * 9)
    assert world["n"].value >= 100
