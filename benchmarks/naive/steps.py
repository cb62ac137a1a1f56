"""The naive search: running a handler on a copy of its node, and every step there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from enum import Enum
from typing import Any

from benchmarks.naive.state import (
    BUDGETS,
    DOWN,
    FAILING,
    NEW,
    UP,
    Client,
    Disk,
    Local,
    Packet,
    Setup,
    State,
    content,
    copied,
)
from happysim.core.errors import DiskFull
from happysim.core.history import History
from happysim.core.host import Chance
from happysim.core.node import Node
from happysim.core.script import Operation, Post, Request, Response, Script, Sleep, TimedOut

# -- running a handler -----------------------------------------------------------------------------


class NaiveHost:
    """What a handler is handed here. `picks` says how to answer each `choose` that has a choice."""

    def __init__(
        self,
        setup: Setup,
        name: str,
        timers: frozenset[str],
        picks: list[int],
        packet: Packet | None = None,
    ) -> None:
        self.name, self.peers = name, setup.peers[name]
        self.operation = packet.operation if packet else None
        self._packet, self._picks, self._made = packet, picks, setup.made
        self.widths: list[int] = []
        self.timers = set(timers)
        self.sent: list[Packet] = []
        self.records: list[tuple[str, Any]] = []
        self.on_sync: Callable[[], None] = lambda: None

    def send(self, to: str, message: Any) -> None:
        self.sent.append(Packet(self.name, to, content(message), None, message))

    def broadcast(self, message: Any, to: Any = None) -> None:
        for name in self.peers if to is None else to:
            self.send(name, message)

    def reply(self, message: Any) -> None:
        assert self._packet is not None
        if self._packet.operation is not None:
            self.respond(message)
        elif not self._is_posted():
            self.send(self._packet.source, message)

    def respond(self, value: Any, to: Operation | None = None) -> None:
        operation = to or self.operation
        if operation is not None:
            self.send(operation.client, Response(operation.number, value))
        else:
            assert self._is_posted()

    def _is_posted(self) -> bool:
        """True for a message that a client script sent without awaiting an answer."""
        packet = self._packet
        return packet is not None and isinstance(self._made[packet.source], Script)

    def invoke(self, operation: Any) -> None:
        self.records.append(("invoke", operation))

    def complete(self, result: Any = None) -> None:
        self.records.append(("complete", result))

    def set_timer(self, name: str, seconds: Any = 1.0) -> None:
        self.timers.add(name)

    def cancel_timer(self, name: str) -> None:
        self.timers.discard(name)

    def sync(self) -> None:
        self.on_sync()

    def choose(self, options: Any) -> Any:
        distinct: dict[Any, Any] = {}
        for option in options:
            distinct.setdefault(content(option), option)
        kept = list(distinct.values())
        if len(kept) == 1:
            return kept[0]
        if len(self.widths) == len(self._picks):
            self._picks.append(0)
        self.widths.append(len(kept))
        return kept[self._picks[len(self.widths) - 1]]

    @property
    def random(self) -> Chance:
        return Chance(self)  # type: ignore[arg-type]


def clone(node: Node) -> Node:
    """A copy of a node that a handler may change."""
    made = object.__new__(type(node))
    for name, value in vars(node).items():
        made.__dict__[name] = copied(value)
    return made


def durable(node: Node) -> Disk:
    """What a node that synced now would have on disk."""
    kept = {
        name: copied(getattr(node, name))
        for name, keep in zip(node.happysim_fields, node.happysim_durable, strict=True)
        if keep
    }
    return Disk(tuple(map(content, kept.values())), kept)


def runs(
    state: State,
    name: str,
    call: Callable[[Node, NaiveHost], None],
    fired: str = "",
    packet: Packet | None = None,
) -> Iterator[tuple[Local, NaiveHost] | None]:
    """Each way a handler may run, once for each way to answer `choose`. None: it raised."""
    before: Local = state.local(name)
    picks: list[int] = []
    while True:
        node = clone(before.node)
        host = NaiveHost(state.setup, name, before.timers - {fired}, picks, packet)
        saved: list[Node] = []
        host.on_sync = syncing(before.full, node, saved)
        status = UP
        try:
            call(node, host)
        except DiskFull:
            status, node = FAILING, saved[-1] if saved else clone(before.node)
            host.timers.clear()
        except Exception:
            status = ""
        if status:
            disk = disk_after(state, before, node, [durable(each) for each in saved])
            yield Local(node, status, frozenset(host.timers), disk, before.full), host
        else:
            yield None
        # Count on, like an odometer: the last choice that has another answer takes it.
        while picks and picks[-1] + 1 == host.widths[len(picks) - 1]:
            picks.pop()
        if not picks:
            return
        picks[-1] += 1


def syncing(full: bool, node: Node, saved: list[Node]) -> Callable[[], None]:
    """What a sync does: it keeps the node as it is, where there is room."""

    def sync() -> None:
        if full:
            raise DiskFull
        saved.append(clone(node))

    return sync


def disk_after(state: State, before: Local, node: Node, synced: list[Disk]) -> list[Disk]:
    """Every version that a crash may find on disk, each once, the newest last."""
    if not state.setup.faults.unsynced_loss:
        return []
    older, now = synced[-1:] or before.disk, durable(node)
    return [*(version for version in older if version.content != now.content), now]


# -- what may happen next --------------------------------------------------------------------------


class Instead(Enum):
    """What a step may end in instead of a state."""

    RAISED = "its handler raised"
    HELD_BACK = "a partition does not let it happen now"


# Whether the protocol does it by itself (it is no fault), and what it leads to.
Successor = tuple[bool, State | Instead]


def successors(state: State) -> Iterator[Successor]:
    """Every step that leads on, one by one."""
    yield from deliveries(state)
    for at, name in enumerate(state.setup.names):
        local = state.locals[at]
        if isinstance(local, Client):
            yield from asked(state, name, local)
        elif local.status == NEW:
            yield from acted(state, name, lambda node, host: node.on_start(host))
        elif local.status == UP:
            yield from own_steps(state, name, local)
    yield from network_faults(state)
    yield from crashes_and_restarts(state)


def deliveries(state: State) -> Iterator[Successor]:
    for packet in state.heads():
        local = state.local(packet.target)
        if isinstance(local, Client):
            made = answered(state, packet)
        elif local.status == UP:
            made = handled(state, packet)
        else:
            continue
        if not blocked(state, packet):
            yield from made
        elif next(made, None) is not None:
            # It may not happen now, but the protocol is not at its end either.
            yield True, Instead.HELD_BACK


def handled(state: State, packet: Packet) -> Iterator[Successor]:
    """The ways to deliver a message to a node."""
    name, message = packet.target, packet.message
    before: Local = state.local(name)
    method = before.node.happysim_handlers.messages[type(message)]

    def call(node: Node, host: NaiveHost) -> None:
        getattr(node, method)(host, packet.source, message)

    stays = state.setup.network == "duplicating"
    flight = state.flight if stays else state.without(packet)
    for run in runs(state, name, call, packet=packet):
        if run is None:
            yield True, Instead.RAISED
            continue
        local, host = run
        silent = not host.sent and not host.records and local.key == before.key
        if not silent or state.setup.network == "ordered":
            yield True, moved(state, name, local, flight, host)


def answered(state: State, packet: Packet) -> Iterator[Successor]:
    """The delivery of an answer to a client script."""
    client: Client = state.local(packet.target)
    response: Response = packet.message
    stays = state.setup.network == "duplicating"
    flight = state.flight if stays else state.without(packet)
    if not client.waiting or response.number != client.calls:
        if state.setup.network == "ordered":
            yield True, changed(state, packet.target, client, flight)
        return
    history = state.history.complete(packet.target, response.value)
    yield True, resumed(state, packet.target, response.value, flight, history)


def blocked(state: State, packet: Packet) -> bool:
    """True where a partition lies between two nodes; client scripts reach both sides."""
    if not state.cut:
        return False
    ends = (packet.source, packet.target)
    if any(isinstance(state.setup.made[end], Script) for end in ends):
        return False
    return (packet.source in state.cut) != (packet.target in state.cut)


def own_steps(state: State, name: str, local: Local) -> Iterator[Successor]:
    """The timers and actions of a node that is up."""
    handlers = local.node.happysim_handlers
    for timer in local.timers:
        method = handlers.timers[timer]
        yield from acted(state, name, lambda node, host, m=method: getattr(node, m)(host), timer)
    for method, guard in handlers.actions.items():
        if guard is None or guard(clone(local.node)):
            yield from acted(state, name, lambda node, host, m=method: getattr(node, m)(host))


def acted(
    state: State, name: str, call: Callable[[Node, NaiveHost], None], fired: str = ""
) -> Iterator[Successor]:
    for run in runs(state, name, call, fired):
        if run is None:
            yield True, Instead.RAISED
        else:
            yield True, moved(state, name, run[0], state.flight, run[1])


def asked(state: State, name: str, client: Client) -> Iterator[Successor]:
    """What a client script may do by itself: ask, post, wake, or give up."""
    asks = client.asks
    if asks is None:
        return
    if client.waiting:
        if asks.timeout_ns is not None:
            history = state.history.abandon(name)
            yield True, resumed(state, name, TimedOut(), state.flight, history)
    elif isinstance(asks, Sleep):
        yield True, resumed(state, name, None, state.flight, state.history)
    elif isinstance(asks, Post):
        flight = state.with_sent(state.flight, [posted(name, asks)])
        yield True, resumed(state, name, None, flight, state.history)
    else:
        operation = Operation(name, client.calls)
        sent = Packet(name, asks.to, content(asks.message), operation, asks.message)
        after = Client(client.script, client.answers, True)
        flight = state.with_sent(state.flight, [sent])
        yield True, changed(state, name, after, flight, state.history.invoke(name, asks.message))


def resumed(
    state: State, name: str, value: Any, flight: tuple[Packet, ...], history: History
) -> State | Instead:
    """The state after a client script has got what it waited for."""
    client: Client = state.local(name)
    try:
        after = Client(client.script, (*client.answers, value), False)
    except Exception:
        return Instead.RAISED
    sent = [posted(name, each) for each in after.posted]
    return changed(state, name, after, state.with_sent(flight, sent), history)


def posted(name: str, each: Post | Request) -> Packet:
    return Packet(name, each.to, content(each.message), None, each.message)


def moved(
    state: State, name: str, local: Local, flight: tuple[Packet, ...], host: NaiveHost
) -> State:
    """The state after a handler of `name` has run."""
    history = state.history
    for what, value in host.records:
        history = (history.invoke if what == "invoke" else history.complete)(name, value)
    return changed(state, name, local, state.with_sent(flight, host.sent), history)


def changed(
    state: State,
    name: str,
    local: Local | Client,
    flight: tuple[Packet, ...],
    history: History | None = None,
) -> State:
    at = state.setup.names.index(name)
    after = (*state.locals[:at], local, *state.locals[at + 1 :])
    if history is None or history is state.history:
        known, key = state.history, state.history_key
    else:
        known, key = history, content(history.lanes)
    return State(state.setup, after, flight, state.budgets, state.cut, known, key)


def network_faults(state: State) -> Iterator[Successor]:
    setup = state.setup
    if state.can_pay("drops"):
        for packet in state.heads():
            yield False, paid(state, "drops", flight=state.without(packet))
    if state.can_pay("duplicates") and setup.network != "duplicating":
        for packet in state.heads():
            at = state.flight.index(packet)
            twice = (*state.flight[:at], packet, *state.flight[at:])
            yield False, paid(state, "duplicates", flight=twice)
    if state.cut:
        if state.can_pay("heals"):
            yield False, paid(state, "heals", cut=frozenset())
    elif state.can_pay("partitions"):
        for side in setup.splits:
            yield False, paid(state, "partitions", cut=side)


def paid(state: State, budget: str, **changes: Any) -> State:
    at = BUDGETS.index(budget)
    left = (*state.budgets[:at], state.budgets[at] - 1, *state.budgets[at + 1 :])
    return replace(state, budgets=left, **changes)


def crashes_and_restarts(state: State) -> Iterator[Successor]:
    faults = state.setup.faults
    down = sum(isinstance(each, Local) and each.status == DOWN for each in state.locals)
    for name, local in zip(state.setup.names, state.locals, strict=True):
        if isinstance(local, Client):
            continue
        crashable = not faults.crashable or name in faults.crashable
        if local.status == UP and crashable and down < faults.down_max and state.can_pay("crashes"):
            for version in local.disk or [durable(local.node)]:
                yield False, paid(crashed(state, name, version), "crashes")
        if local.status == FAILING:
            for version in local.disk or [durable(local.node)]:
                yield False, crashed(state, name, version)
        if local.full and state.can_pay("frees"):
            yield False, paid(filled(state, name, False), "frees")
        if local.status == UP and crashable and not local.full and state.can_pay("fills"):
            yield False, paid(filled(state, name, True), "fills")
        if local.status == DOWN and state.can_pay("restarts"):
            for _, after in acted(state, name, lambda node, host: node.on_start(host)):
                yield False, paid(after, "restarts") if isinstance(after, State) else after


def crashed(state: State, name: str, version: Disk) -> State:
    """The state in which `name` is down, and its disk holds `version`."""
    made = state.setup.made[name]
    assert isinstance(made, Node)
    node = clone(made)
    vars(node).update(copied(version.values))
    disk = [version] if state.setup.faults.unsynced_loss else []
    flight = state.flight
    if state.setup.network == "ordered":
        flight = tuple(packet for packet in flight if name not in (packet.source, packet.target))
    history = state.history.abandon(name)
    full = state.local(name).full
    return changed(state, name, Local(node, DOWN, frozenset(), disk, full), flight, history)


def filled(state: State, name: str, full: bool) -> State:
    """The state in which the disk of `name` is full, or has room again."""
    was: Local = state.local(name)
    now = Local(was.node, was.status, was.timers, was.disk, full)
    return changed(state, name, now, state.flight)
