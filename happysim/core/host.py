"""Host: all that a handler can reach outside its own node.

One Host serves one run of one handler. It collects effects (messages, timers, answers) and supplies
chance; the engine turns what it collected into a step once the handler has returned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableSequence, Sequence
from typing import Any, TypeVar

from happysim.core.describe import describe
from happysim.core.disk import DAMAGED, TORN, Mark
from happysim.core.errors import DiskFull, NoClock, ProtocolError
from happysim.core.freeze import Frozen, freeze
from happysim.core.message import freeze_message
from happysim.core.script import Operation, Response
from happysim.core.stable_set import in_order

_T = TypeVar("_T")
# What a handler reads, instead of a time, of a disk that is full.
FULL = "full"


class Site:
    """Where a handler runs: the fixed surroundings of one node. Shared by all its hosts."""

    def __init__(self, name: str, peers: tuple[str, ...], receivers: dict[str, Any]) -> None:
        self.name = name
        self.peers = peers
        # Per name: the Handlers of a node's class, or None for a client script.
        self.receivers = receivers
        self.timers: dict[str, str] = {}
        # Per timer: the delay that it was last set with. A simulation may begin in mid-run.
        self.delays: dict[str, tuple[float, float]] = {}

    def copy(self) -> Site:
        """The same place, for a node of another class."""
        return Site(self.name, self.peers, self.receivers)

    def check_receiver(self, to: object, sent: object, where: str) -> None:
        """Raise `ProtocolError` where `to` is unknown or has no handler for the message."""
        if to not in self.receivers:
            known = ", ".join(self.receivers)
            raise ProtocolError(f"{where}: there is no node {to!r} in this world; it has {known}")
        handlers = self.receivers[to]
        if handlers is None:
            raise ProtocolError(
                f"{where}: {to} is a client script and takes no messages; "
                "answer it with host.respond(value)"
            )
        if type(sent) not in handlers.messages:
            takes = ", ".join(kind.__name__ for kind in handlers.messages) or "no message"
            raise ProtocolError(
                f"{where}: {to} has no handler for {type(sent).__name__} (it takes {takes}); "
                f"add one with @on({type(sent).__name__})"
            )


class Host:
    """What a handler is handed: send, timers, chance, the disk, and answers to clients.

    Valid until the handler returns; a host kept beyond that raises `ProtocolError` when used.
    """

    __slots__ = (
        "_closed",
        "_delays",
        "_disk_is_full",
        "_events",
        "_forged",
        "_marks",
        "_on_sync",
        "_operation",
        "_options",
        "_picks",
        "_readings",
        "_sender",
        "_sends",
        "_site",
        "_timers",
        "_where",
    )

    def __init__(
        self,
        site: Site,
        where: str,
        timers: frozenset[str],
        picks: Sequence[int] = (),
        sender: str | None = None,
        operation: Operation | None = None,
    ) -> None:
        self._site = site
        self._where = where
        self._timers = set(timers)
        # The range of seconds of each timer that this handler sets.
        self._delays: dict[str, tuple[float, float]] = {}
        self._picks = list(picks)
        self._options: list[list[Frozen]] = []
        self._sender = sender
        self._operation = operation
        self._sends: list[tuple[str, Frozen, Operation | None]] = []
        self._events: list[tuple[str, str, Frozen]] = []
        # What it is told by its surroundings: times of its clock, and "full" of a full disk.
        self._readings: list[int | str] = []
        self._disk_is_full = False
        self._marks: tuple[Mark, ...] = ()
        self._forged: list[tuple[str, str, Frozen]] = []
        self._on_sync: Callable[[], object] = lambda: None
        self._closed = False

    def __repr__(self) -> str:
        # An assertion that fails may show it, and must read the same in two equal runs.
        return f"<host of {self._site.name}>"

    # -- who is there ----------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """This node's name."""
        return self._site.name

    @property
    def peers(self) -> tuple[str, ...]:
        """Names of the other nodes of the same protocol, in the order the world lists them."""
        return self._site.peers

    # -- messages --------------------------------------------------------------------------------

    def send(self, to: str, message: Any) -> None:
        """Put a message to the node `to` in flight. It may arrive late, out of order, or never."""
        where = self._use("send")
        frozen = freeze_message(message, where)
        self._site.check_receiver(to, message, where)
        self._sends.append((to, frozen, None))

    def _forge(self, source: str, to: str, message: Any) -> None:
        """For Byzantine nodes: send a message under the name of another node."""
        where = self._use("send")
        frozen = freeze_message(message, where)
        self._site.check_receiver(to, message, where)
        self._forged.append((source, to, frozen))

    def broadcast(self, message: Any, to: Iterable[str] | None = None) -> None:
        """Send a message to each of `to`: by default to all peers, not to this node itself."""
        for name in self._site.peers if to is None else listed(to):
            self.send(name, message)

    def reply(self, message: Any) -> None:
        """Send a message to the sender of the one being handled; a client script is answered."""
        where = self._use("reply")
        if self._sender is None:
            raise ProtocolError(f"{where}: no message is being handled; use host.send(name, ...)")
        if self._site.receivers[self._sender] is None:
            self.respond(message)
        else:
            self.send(self._sender, message)

    # -- clients ---------------------------------------------------------------------------------

    @property
    def operation(self) -> Operation | None:
        """The client operation that the message being handled asks for; None where it is none's.

        Keep it (it is plain data) to answer later, or send it on for another node to answer.
        """
        return self._operation

    def respond(self, value: Any, to: Operation | None = None) -> None:
        """Answer a client script: `value` is what its `yield` returns.

        `to` is the operation to answer, by default the one being handled. The answer travels as a
        message. A client that has had an answer to that operation ignores others, and one that
        posted the message being handled awaits none: it is sent none.
        """
        where = self._use("respond")
        target = self._respond_to(to, where)
        check_immutable(value, f"{where}: the answer")
        if target is None:
            return
        frozen = freeze(Response(target.number, value), f"{where}: the answer")
        self._sends.append((target.client, frozen, None))

    def _respond_to(self, to: Operation | None, where: str) -> Operation | None:
        """The operation to answer, whose client is known; None where nobody awaits an answer."""
        target = self._operation if to is None else to
        if target is None and self._is_posted():
            return None
        if not isinstance(target, Operation):
            raise ProtocolError(
                f"{where}: no client operation is being handled; keep host.operation while one is, "
                "and pass it as to="
            )
        if self._site.receivers.get(target.client, self._site) is not None:
            raise ProtocolError(f"{where}: there is no client {target.client!r} in this world")
        return target

    def _is_posted(self) -> bool:
        """True where the message being handled is one-way, from a client script."""
        sender = self._sender
        return (
            self._operation is None and sender is not None and self._site.receivers[sender] is None
        )

    def invoke(self, operation: Any) -> None:
        """Record in the History that this node, as a client, has asked for `operation`."""
        where = self._use("invoke")
        check_immutable(operation, f"{where}: the operation")
        self._events.append(("invoke", self._site.name, freeze(operation, where)))

    def complete(self, result: Any = None) -> None:
        """Record in the History that this node's open operation has returned `result`."""
        where = self._use("complete")
        check_immutable(result, f"{where}: the result")
        self._events.append(("complete", self._site.name, freeze(result, where)))

    # -- timers ----------------------------------------------------------------------------------

    def set_timer(self, name: str, seconds: float | tuple[float, float] = 1.0) -> None:
        """Let the timer `name` fire once, after `seconds` (or a draw from a range of seconds).

        A timer of that name that is already set is set anew. In an untimed search the delay means
        nothing: a set timer may fire at any later moment.
        """
        where = self._use("set_timer")
        self._check_timer(name, where)
        self._delays[name] = self._site.delays[name] = seconds_pair(seconds, where)
        self._timers.add(name)

    def _check_timer(self, name: str, where: str) -> None:
        if name not in self._site.timers:
            has = ", ".join(map(repr, self._site.timers)) or "none"
            raise ProtocolError(
                f"{where}: no handler for the timer {name!r} (timers here: {has}); "
                f"add one with @on.timer({name!r})"
            )

    def cancel_timer(self, name: str) -> None:
        """Forget the timer `name`; does nothing where it is not set."""
        self._use("cancel_timer")
        self._timers.discard(name)
        self._delays.pop(name, None)

    @property
    def now(self) -> int:
        """The node's clock, in nanoseconds. Raises `ProtocolError` in a search: it has no time."""
        where = self._use("now")
        if self._readings and isinstance(self._readings[0], int):
            shown = self._readings.pop(0)
            assert isinstance(shown, int)
            return shown
        raise NoClock(
            f"{where}: a search has no clock; use host.set_timer(name, seconds=...), "
            "whose expiry a search tries at every moment"
        )

    # -- chance ----------------------------------------------------------------------------------

    def choose(self, options: Iterable[_T]) -> _T:
        """One of the options: in a search each is a branch of its own."""
        kept, frozen = self._distinct(options, self._use("choose"))
        if len(kept) == 1:
            return kept[0]
        self._options.append(frozen)
        at = len(self._options) - 1
        if at == len(self._picks):
            self._picks.append(0)
        return kept[self._picks[at]]

    def _distinct(self, options: Iterable[_T], where: str) -> tuple[list[_T], list[Frozen]]:
        """The options that differ in content, and their contents, in order."""
        frozen: list[Frozen] = []
        kept: list[_T] = []
        for option in listed(options):
            content = freeze(option, f"{where}: an option")
            if content not in frozen:
                frozen.append(content)
                kept.append(option)
        if not kept:
            raise ProtocolError(f"{where}: nothing to choose from; give at least one option")
        return kept, frozen

    @property
    def random(self) -> Chance:
        """Draws for a randomized protocol; in a search each outcome is a branch."""
        self._use("random")
        return Chance(self)

    # -- disk ------------------------------------------------------------------------------------

    def sync(self) -> None:
        """Wait until every durable field is on disk as it is now.

        Needed where a world's faults have `unsynced_loss`: a crash may then lose what was written
        after the last sync. Raises `DiskFull` where a fault has filled the disk.
        """
        where = self._use("sync")
        is_told = bool(self._readings) and self._readings[0] == FULL
        if is_told:
            self._readings.pop(0)
        if is_told or self._disk_is_full:
            raise DiskFull(f"{where}: the disk is full")
        self._on_sync()

    @property
    def torn(self) -> tuple[str, ...]:
        """Addresses, such as `log[3]`, of records of a write that a crash has cut short.

        The write was never confirmed, so to leave the record out harms nobody. It is here until it
        is written again; until then it reads as some other value.
        """
        self._use("torn")
        return tuple(mark.address for mark in self._marks if mark.what == TORN)

    @property
    def damaged(self) -> tuple[str, ...]:
        """Addresses of durable records that were whole once, and whose checksum fails now.

        It is here until it is written again; until then it reads as some other value.
        """
        self._use("damaged")
        return tuple(mark.address for mark in self._marks if mark.what == DAMAGED)

    # -- for the engine --------------------------------------------------------------------------

    def _use(self, what: str) -> str:
        where = f"{self._where}, host.{what}"
        if self._closed:
            raise ProtocolError(f"{where}: a host is of no use after its handler has returned")
        return where


def seconds_pair(seconds: Any, where: str) -> tuple[float, float]:
    """A delay, or a range of delays, as a range. Raises `ProtocolError` where it is neither."""
    delay = seconds if isinstance(seconds, tuple) else (seconds, seconds)
    numbers = all(isinstance(each, int | float) for each in delay)
    if not numbers or len(delay) != 2 or not 0 <= delay[0] <= delay[1] < float("inf"):
        raise ProtocolError(
            f"{where}: seconds={seconds!r} is not a delay; give a number, or a pair of numbers "
            "with 0 <= low <= high"
        )
    return delay


def check_immutable(value: object, what: str) -> None:
    """Raise `ProtocolError` for a value that could still be changed after it was given away."""
    try:
        hash(value)
    except TypeError:
        raise ProtocolError(
            f"{what} is a mutable {type(value).__name__}; "
            "use a tuple for a list, a frozenset for a set, a tuple of pairs for a dict"
        ) from None


def listed(options: Iterable[_T]) -> list[_T]:
    """The options in their order; those of a set, which has none, in order of content."""
    if isinstance(options, set | frozenset):
        return in_order(options, lambda option: describe(freeze(option)))
    return list(options)


class Chance:
    """Finite draws, each made by `Host.choose`."""

    __slots__ = ("_host",)

    def __init__(self, host: Host) -> None:
        self._host = host

    def choice(self, options: Sequence[_T]) -> _T:
        """One of the options."""
        return self._host.choose(options)

    def randrange(self, start: int, stop: int | None = None) -> int:
        """An integer in start .. stop - 1, or in 0 .. start - 1."""
        return self._host.choose(range(start) if stop is None else range(start, stop))

    def randint(self, low: int, high: int) -> int:
        """An integer in low .. high, both included."""
        return self._host.choose(range(low, high + 1))

    def shuffle(self, items: MutableSequence[Any]) -> None:
        """Put the items in a random order, in place."""
        for last in range(len(items) - 1, 0, -1):
            other = self.randint(0, last)
            items[last], items[other] = items[other], items[last]

    def random(self) -> float:
        """Not to be had in a search: it would be one branch for each float."""
        raise ProtocolError(
            f"{self._host._where}, host.random.random(): a search cannot try every float; "
            "use host.choose([...]) or host.random.randrange(n)"
        )


def picks_text(options: Sequence[Sequence[Frozen]], picks: Sequence[int]) -> str:
    """What was chosen, as text: empty where nothing was."""
    return ", ".join(describe(each[pick]) for each, pick in zip(options, picks, strict=True))
