"""Clients that count, and a judge of what they are told, for protocols that replicate a machine.

Each command adds one to a counter, and its answer is what the counter stands at then: its place
among all that count there. So each answer can be judged as it comes, in constant time, where a
search for an order that explains all of them would take long. The scenarios are elsewhere, in the
files named after protocols and `in_time`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from happysim import Drift, Script, Skew, TimedOut, World, call, message, sleep
from happysim.sim.swarm import Menu, usual_faults

KEYS = ("x", "y")


def faults_and_clocks() -> Menu:
    """What a swarm draws from, for protocols that trust nobody's clock."""
    return (*usual_faults(), ("skews", Skew()), ("drifts", Drift(rate=(-0.3, 0.3))))


# -- the machine ----------------------------------------------------------------------------------


@message
class Add:
    """Counts once more under a key, and says what that makes. No two commands have one `who`."""

    key: str
    who: tuple[str, int]
    left: int


@message
class Total:
    """What the counter of a key stands at."""

    key: str
    who: tuple[str, int]
    left: int


@dataclass(frozen=True)
class Counters:
    """Counters by key, in order of keys; each begins at 0."""

    initial: ClassVar[tuple[tuple[str, int], ...]] = ()

    def apply(self, state: Any, command: Any) -> tuple[Any, Any]:
        """The next state, and what the counter stands at in it."""
        counts = dict(state)
        count = counts.get(command.key, 0)
        if isinstance(command, Total):
            return state, count
        counts[command.key] = count + 1
        return tuple(sorted(counts.items())), count + 1

    def key(self, command: Any) -> Hashable:
        return command.key


# -- clients --------------------------------------------------------------------------------------

# How long clerks may take once faults have stopped. A client waits up to ten times its timeout for
# an answer, and loses some requests in a row; a run ends as soon as all are done.
CALM_SECONDS = 200.0

Asked = Callable[[Any], Any]


def count(
    name: str,
    servers: tuple[str, ...],
    rounds: int,
    timeout: float,
    pause: float,
    wait: float,
    asks: tuple[Asked, Asked],
) -> Iterator[Any]:
    """After a while add, and read now and then, `rounds` times, each until someone has answered.

    `asks` makes a request of an addition, and of a reading. A request that was refused or not
    answered is followed by another, to another server: nobody knows whether the first was done. A
    client that was not answered waits longer the next time.
    """
    digits = "".join(each for each in name if each.isdigit())
    at, number = int(digits or 0), 0
    yield sleep(wait)
    for left in range(rounds)[::-1]:
        kind = Total if left % 3 == 1 else Add
        ask, patience = asks[kind is Total], timeout
        while True:
            number += 1
            command = kind(KEYS[(at + left) % len(KEYS)], (name, number), left)
            answer = yield call(servers[at % len(servers)], ask(command), timeout=patience)
            if isinstance(answer, int):
                break
            if isinstance(answer, TimedOut):
                patience = min(2 * patience, 10 * timeout)
            better = pointed_to(answer)
            at = servers.index(better) if better in servers else at + 1
            yield sleep((0.0, timeout / 4))
        yield sleep((0.0, 2 * pause))


def clerks(
    asks: tuple[Asked, Asked],
    servers: tuple[str, ...],
    clients: int,
    timeout: float,
    seconds: float,
    rounds_late: int = 3,
) -> list[Script]:
    """Clients c1, c2, ... that count for about `seconds`, and one named late that begins then.

    `asks` is as for `count`.
    """

    def clerk(*arguments: Any) -> Iterator[Any]:
        return count(*arguments, asks)

    rounds = 6
    return [
        *(
            Script(
                f"c{number}", clerk, f"c{number}", servers, rounds, timeout, seconds / rounds, 0.0
            )
            for number in range(1, clients + 1)
        ),
        Script("late", clerk, "late", servers, rounds_late, timeout, 0.1, seconds),
    ]


def pointed_to(answer: Any) -> str | None:
    """The server that a refusal names: each protocol has its own word for it."""
    named = (getattr(answer, field, None) for field in ("leader", "primary", "server"))
    return next((name for name in named if name), None)


def all_clerks_are_done(
    world: World, is_clerk: Callable[[str], bool] = lambda name: True
) -> bool | str:
    """Each has got its last answer, the late one, too. `is_clerk` says whose calls count."""
    lanes = world.history.lanes
    calls = {name: calls for name, calls in lanes if "~" not in name and is_clerk(name)}
    waiting = [] if "late" in calls else ["late"]
    for name, each in calls.items():
        last = each[-1]
        if not (last.done and isinstance(last.result, int) and not last.operation.command.left):
            waiting.append(name)
    return not waiting or f"{' '.join(waiting)} still waits"


# -- the judge ------------------------------------------------------------------------------------


class CountsAreLinearizable:
    """Herlihy and Wing 1990, for counters: the answers are the witness.

    No two additions stand at one place; whoever asks after an answer stands behind it; and nothing
    is counted that nobody has asked for. `is_owed` says whether this holds of a world at all, and
    of which answers.
    """

    def __init__(self) -> None:
        self.asked = dict.fromkeys(KEYS, 0)
        self.newest = dict.fromkeys(KEYS, 0)
        self.places: dict[tuple[str, int], Any] = {}
        # By command that was seen: what had been answered by then.
        self.floors: dict[Any, int] = {}

    def is_owed(self, world: World, command: Any) -> bool:
        return True

    def __call__(self, world: World, name: str) -> bool | str:
        calls = world.history.of(name)
        if not calls:
            return True
        last, command = calls[-1], calls[-1].operation.command
        if command.who not in self.floors:
            self.floors[command.who] = self.newest[command.key]
            self.asked[command.key] += isinstance(command, Add)
        if not last.done or not isinstance(last.result, int) or not self.is_owed(world, command):
            return True
        return self.judge(command, last.result)

    def judge(self, command: Any, answer: int) -> bool | str:
        key, floor = command.key, self.floors[command.who]
        if answer > self.asked[key]:
            return f"{answer} are counted under {key}, and {self.asked[key]} were asked for"
        if answer < floor or (answer == floor and isinstance(command, Add)):
            return f"{command} is answered {answer}, and {floor} was answered before it was asked"
        if isinstance(command, Add):
            first = self.places.setdefault((key, answer), command)
            if first != command:
                return f"{first} and {command} are both answered {answer}"
        self.newest[key] = max(self.newest[key], answer)
        return True
