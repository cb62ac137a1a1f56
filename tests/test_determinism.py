"""The same program gives the same bytes under every hash seed and every Python there is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

PROGRAM = '''
from happysim import *


@message
class Acquire:
    wants: frozenset


@message
class Granted:
    token: int
    waiting: frozenset


class Lock(Node):
    """Grants to one of the waiting, whichever it chooses; forgets the holder in a crash."""

    token: int = durable(0)
    holder: str | None = None
    waiting: set[str] = set()
    order: dict[str, int] = {}

    @on(Acquire)
    def acquire(self, host, sender, request):
        self.waiting |= {sender} | request.wants
        for name in self.waiting:
            self.order.setdefault(name, len(self.order))
        if self.holder is None:
            self.holder = host.choose(self.waiting)
            self.waiting.discard(self.holder)
            self.token += 1
            host.broadcast(Granted(self.token, frozenset(self.waiting)), to=self.waiting | {sender})


class Client(Node):
    names: set[str] = set()
    tokens: list[int] = []

    @action(when=lambda self: not self.tokens)
    def ask(self, host):
        host.send("lock", Acquire(frozenset(self.names - {host.name})))

    @on(Granted)
    def granted(self, host, sender, grant):
        self.tokens.append(grant.token)
        self.names = self.names | grant.waiting


NAMES = {"ann", "bob", "cyd"}


def lock():
    clients = [Client(name, set(NAMES)) for name in sorted(NAMES)]
    return World.of(Lock("lock"), *clients, faults=Faults(crashes=1, drops=1, crashable=("lock",)))


@always(lock)
def tokens_are_used_once(world):
    tokens = [token for client in world.nodes(Client) for token in client.tokens]
    return len(tokens) == len(set(tokens)) or f"{tokens} in {world['lock'].order}"


def few(world):
    return len(world.in_flight) <= 2 and world["lock"].token <= 2


for policy in (bfs(), dfs(), uniform(7, runs=40, steps=25)):
    report = explore(lock, tokens_are_used_once, by=policy, within=few, max_worlds=3000)
    verdict = report[tokens_are_used_once]
    print(policy, report.worlds, report.steps, report.depth, report.handler_calls, verdict)
    for choice in verdict.schedule or ():
        print("   ", choice)

world = lock()
draw = Random(3, "walk")
for _ in range(60):
    choices = world.choices()
    print(len(choices), world.digest())
    world = world.step(draw.choice(choices))
print(world)
'''


# Every broken variant that is shipped: counts, and the text of the shrunk trace.
SHIPPED = """
from importlib import import_module
from happysim import explore, shrink
from happysim.search.check import group_by_scenario
from happysim.spec.property import Property
from happysim.trace.format import dumps
from happysim.trace.replay import trace_of

for name in ("raft", "lock", "crdt"):
    found = vars(import_module(f"properties.broken.{name}")).values()
    properties = [each for each in found if isinstance(each, Property) and each.must_break]
    for scenario, group in group_by_scenario(properties):
        report = explore(scenario, *group)
        print(report.worlds, report.steps, report.depth, report.handler_calls)
        for prop in group:
            print(dumps(trace_of(shrink(report[prop]))))
"""


# A swarm that finds a mistake: knobs, counts, the timed trace of the run, and the shrunk one.
IN_TIME = """
import sys
from happysim import World, explore, shrink, swarm
from happysim.trace.format import dumps
from happysim.trace.replay import trace_of
from properties.broken.raft import StepsDownForGood
from properties.raft import election_safety, who_does_not_lead_will_stand


def three():
    return World.of(*[StepsDownForGood(f"n{at}") for at in range(1, 4)])


stands = who_does_not_lead_will_stand.over(three, name="stands")
safe = election_safety.over(three, name="safe")
policy = swarm(seed=5, runs=24, until=6.0, calm=5.0, workers=int(sys.argv[1]))
report = explore(three, safe, stands, by=policy)
print(report.handler_calls, report.depth, report[safe])
broken = report[stands]
print(broken, broken.notes)
print(dumps(trace_of(broken)))
print(dumps(trace_of(shrink(broken))))
"""


def run(python: str, seed: str, program: str = PROGRAM, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [python, "-c", program, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def expected() -> str:
    text = run(sys.executable, "0")
    assert "act ann ask" in text
    assert "crash lock" in text
    assert "choosing" in text
    return text


@pytest.mark.parametrize("seed", ["1", "12345"])
def test_no_hash_seed_changes_a_byte(expected: str, seed: str) -> None:
    assert run(sys.executable, seed).splitlines() == expected.splitlines()


def other_pythons() -> list[str]:
    """One interpreter for each version from 3.11 on, other than the one that runs the tests."""
    found = [shutil.which(f"python3.{minor}") for minor in range(11, 16)]
    found += sorted(map(str, Path.home().glob(".pyenv/versions/*/bin/python")))
    versions: dict[str, str] = {}
    for python in filter(None, found):
        asked = subprocess.run(
            [python, "-c", "import sys; print(*sys.version_info[:2], sep='.')"],
            capture_output=True,
            text=True,
            check=False,
        )
        version = asked.stdout.strip()
        if asked.returncode == 0 and version.startswith("3.") and int(version[2:]) >= 11:
            versions.setdefault(version, python)
    versions.pop(f"{sys.version_info.major}.{sys.version_info.minor}", None)
    return list(versions.values())


def test_no_version_of_python_changes_a_byte(expected: str, expected_in_time: str) -> None:
    pythons = other_pythons()
    if not pythons:
        pytest.skip("no other Python from 3.11 on is at hand")
    for python in pythons:
        assert run(python, "12345").splitlines() == expected.splitlines(), python
        found = run(python, "7", IN_TIME, "1")
        assert found.splitlines() == expected_in_time.splitlines(), python


@pytest.mark.slow
def test_shipped_counterexamples_are_the_same_bytes_everywhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = run(sys.executable, "0", SHIPPED)
    assert first.count("happysim trace 1") > 30
    for python in [sys.executable, *other_pythons()]:
        for seed, kernel in (("1", "reference"), ("4242", "")):
            monkeypatch.setenv("HAPPYSIM_KERNEL", kernel)
            assert run(python, seed, SHIPPED).splitlines() == first.splitlines(), (python, kernel)


LOCAL_SET = """
from happysim import *


@message
class Note: ...


class Sender(Node):
    @action
    def send(self, host):
        for name in {f"n{number}" for number in range(9)}:
            host.send(name, Note())
            return

    @on(Note)
    def note(self, host, sender, note): ...


print(World.of(*(Sender(f"n{number}") for number in range(9))).step("act n0 send").in_flight)
"""


def test_known_limit_iterating_a_plain_set_made_in_the_handler_depends_on_the_hash_seed() -> None:
    # Only the sets that a handler finds in its fields, messages and arguments are ours to order.
    outputs = {
        subprocess.run(
            [sys.executable, "-c", LOCAL_SET],
            env={**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in range(4)
    }
    assert len(outputs) > 1


@pytest.fixture(scope="module")
def expected_in_time() -> str:
    text = run(sys.executable, "0", IN_TIME, "1")
    assert "budgets: unlimited" in text
    assert " s\n" in text
    return text


@pytest.mark.parametrize(
    ("seed", "workers", "kernel"), [("1", "2", ""), ("12345", "4", "reference")]
)
def test_no_number_of_workers_and_no_kernel_changes_a_byte(
    monkeypatch: pytest.MonkeyPatch, expected_in_time: str, seed: str, workers: str, kernel: str
) -> None:
    monkeypatch.setenv("HAPPYSIM_KERNEL", kernel)
    found = run(sys.executable, seed, IN_TIME, workers)
    assert found.splitlines() == expected_in_time.splitlines()
