"""Processes: how one node or one client script takes one local step, on frozen values.

The state of a process is a tuple of frozen values, an event says what happens to it, and `run`
computes every outcome (one for each way to answer `host.choose`). Nothing here knows of worlds:
`tables` numbers what this file computes and remembers it.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Hashable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from happysim.core.choice import Faults
from happysim.core.describe import describe
from happysim.core.determinism import shifted_surroundings
from happysim.core.disk import Mishap
from happysim.core.errors import DeterminismError, DiskFull, HappysimError, ProtocolError
from happysim.core.freeze import (
    Frozen,
    freeze,
    freeze_attributes,
    have_content,
    thaw,
    thaw_attributes,
)
from happysim.core.host import Host, Site, picks_text
from happysim.core.local_step import (
    ADVICE,
    DOWN,
    FAILING,
    NEW,
    UP,
    Event,
    NodeState,
    Outcome,
    Version,
    raised_by,
)
from happysim.core.node import Node
from happysim.core.node_disk import NodeDisk
from happysim.core.script_process import ScriptProcess

# A handler's first runs are all checked for determinism, then one in so many.
_CHECKED_FIRST, _CHECKED_EVERY = 8, 61


@dataclass
class NodeProcess:
    """One node: its class, the values its fields were made with, and its surroundings."""

    name: str
    kind: type[Node]
    made_with: tuple[Frozen, ...]
    site: Site
    faults: Faults

    def __post_init__(self) -> None:
        self._calls: dict[Hashable, int] = {}
        self._wheres: dict[str, str] = {}
        handlers = self.kind.happysim_handlers
        self.site.timers = handlers.timers
        self.disk = NodeDisk(self.kind, self.made_with, self.site, self.faults)
        plain = replace(self.faults, upgrades=())
        self.later = tuple(
            NodeProcess(self.name, kind, self._made_as(kind), self.site.copy(), plain)
            for name, kind in self.faults.upgrades
            if name == self.name
        )

    def _made_as(self, kind: type[Node]) -> tuple[Frozen, ...]:
        """What a node of another class is made with: as this one where fields have its names."""
        try:
            made = kind(self.name)  # type: ignore[call-arg]
            fresh = freeze_fields(made, self.name, f"{kind.__name__}({self.name!r})")
        except TypeError as error:
            raise ProtocolError(
                f"upgrade of {self.name}: {kind.__name__}({self.name!r}) cannot be made: {error}; "
                "give its fields defaults"
            ) from None
        mine = dict(zip(self.kind.happysim_fields, self.made_with, strict=True))
        pairs = zip(kind.happysim_fields, fresh, kind.happysim_durable, strict=True)
        return tuple(default if keep else mine.get(name, default) for name, default, keep in pairs)

    def at(self, state: NodeState) -> NodeProcess:
        """The process of the class that the node runs in a state."""
        return self.later[state.version - 1] if self.later and state.version else self

    def initial(self) -> NodeState:
        """The node before it has started."""
        return self.disk.tracked(NodeState(NEW, self.made_with))

    def events(self, state: NodeState) -> Iterable[Event]:
        """What this node may do by itself, in a fixed order; faults are not among it."""
        if self.at(state) is not self:
            return self.at(state).events(state)
        if state.status == NEW:
            return [Event("start")]
        if state.status != UP:
            return []
        fire = [Event("fire", timer) for timer in state.timers]
        actions = self.kind.happysim_handlers.actions
        enabled = [name for name, guard in actions.items() if self._holds(name, guard, state)]
        return [*fire, *(Event("act", name) for name in enabled)]

    def _holds(self, name: str, guard: Callable[[Any], bool] | None, state: NodeState) -> bool:
        if guard is None:
            return True
        try:
            holds = again = bool(guard(self._thaw(state.fields)))
            if self._is_checked(guard):
                with shifted_surroundings():
                    again = bool(guard(self._thaw(state.fields)))
        except Exception as error:
            raise ProtocolError(
                f"{self._where(name)}: its guard raised {type(error).__name__}: {error}; "
                "a guard only reads fields"
            ) from error
        if again != holds:
            raise DeterminismError(f"{self._where(name)}: its guard is not deterministic; {ADVICE}")
        return holds

    def _is_checked(self, call: Hashable) -> bool:
        """True where a run of a handler, or of a guard, is to be repeated and compared."""
        count = self._calls.get(call, 0)
        self._calls[call] = count + 1
        return count < _CHECKED_FIRST or count % _CHECKED_EVERY == 0

    def _where(self, name: str) -> str:
        """A handler of this node, as errors tell it."""
        known = self._wheres.get(name)
        if known is None:
            known = self._wheres[name] = f"{self.kind.__name__}.{name} on {self.name}"
        return known

    def crashes(self, state: NodeState) -> Iterable[Event]:
        """Each way in which this node may crash now: how many unsynced writes it loses, or more."""
        if self.at(state) is not self:
            return self.at(state).crashes(state)
        if state.status == FAILING or (state.status == UP and self._may_crash):
            return [Event("crash", mishap) for mishap in self.disk.crashes(state)]
        return []

    @property
    def _may_crash(self) -> bool:
        return not self.faults.crashable or self.name in self.faults.crashable

    def fillings(self, state: NodeState) -> Iterable[Event]:
        """That the disk of this node becomes full now, or has room again."""
        if state.full:
            return [Event("free")]
        return [Event("fill")] if state.status == UP and self._may_crash else []

    def restarts(self, state: NodeState) -> Iterable[Event]:
        """Each way in which this node may restart now: as its disk is, or with a disk fault."""
        if state.status != DOWN:
            return []
        if self.at(state) is not self:
            return [*self.at(state).restarts(state), *self._upgrades(state)]
        spoilt = [Event("restart", mishap) for mishap in self.disk.restarts(state)]
        return [Event("restart"), *spoilt, *self._upgrades(state)]

    def _upgrades(self, state: NodeState) -> list[Event]:
        return [
            Event("restart", Version(number, each.kind.__name__))
            for number, each in enumerate(self.later, 1)
            if number > state.version
        ]

    def upgraded(self, state: NodeState, number: int) -> NodeState:
        """A node that is down, with its durable fields carried over to another class by name.

        Raises `ProtocolError` where `migrate` of that class gives what it has no place for.
        """
        old, new = self.at(state), self.later[number - 1]
        pairs = zip(old.kind.happysim_fields, state.fields, strict=True)
        carried = {name: thaw(value) for name, value in pairs if name in old.disk.names}
        migrate = getattr(new.kind, "migrate", None)
        if migrate is None:
            carried = {name: each for name, each in carried.items() if name in new.disk.names}
        else:
            carried = migrate(carried)
        where = f"{new.kind.__name__}.migrate on {self.name}"
        unknown = sorted(set(carried) - set(new.disk.names))
        if unknown:
            raise ProtocolError(
                f"{where}: it gave {', '.join(unknown)}; the durable fields of "
                f"{new.kind.__name__} are {', '.join(new.disk.names) or 'none'}"
            )
        fields = tuple(
            freeze(carried[name], f"{where}: {name}") if name in carried else made
            for name, made in zip(new.kind.happysim_fields, new.made_with, strict=True)
        )
        return new.disk.tracked(NodeState(DOWN, fields, version=number, full=state.full))

    def run(self, state: NodeState, event: Event) -> list[Outcome]:
        """Every outcome of `event` in `state`, in order of what the handler chose."""
        if isinstance(event.what, Version):
            state, event = self.upgraded(state, event.what.number), event._replace(what=None)
        if self.at(state) is not self:
            return self.at(state).run(state, event)
        if isinstance(event.what, Mishap) and event.kind == "restart":
            state = self.disk.restarted(state, event.what)
        if event.kind == "deliver" and not self._knows(event):
            return [Outcome(state)]
        if event.kind in ("fill", "free"):
            return [Outcome(state._replace(full=event.kind == "fill"))]
        if event.kind == "crash":
            assert isinstance(event.what, Mishap)
            after = self.disk.crashed(state, event.what)
            # What this node had asked for as a client may still happen, but it gets no answer.
            return [Outcome(after, records=(("abandon", self.name, None),))]
        calls = self._handler_of(event)
        if calls is None:
            return [Outcome(state._replace(status=UP))]
        name, call = calls
        outcomes: list[tuple[tuple[int, ...], Outcome]] = []
        pending: list[tuple[int, ...]] = [()]
        while pending:
            picks = pending.pop()
            outcome, options, used = self._attempt(state, event, name, call, picks)
            outcomes.append((used, outcome))
            for at in range(len(picks), len(options)):
                pending += [(*used[:at], other) for other in range(1, len(options[at]))]
        if len(outcomes) == 1:
            return [outcomes[0][1]]
        return [outcome for _, outcome in sorted(outcomes, key=lambda entry: entry[0])]

    def _knows(self, event: Event) -> bool:
        """True where this class handles a message. Raises `ProtocolError` if it should."""
        kind: type = event.what[0]  # type: ignore[index] # frozen, a message begins with its class
        if kind in self.kind.happysim_handlers.messages:
            return True
        if not self.faults.ignores_unknown:
            raise unknown_message(self.kind, self.name, kind)
        return False

    def _handler_of(self, event: Event) -> tuple[str, Callable[[Node, Host], Any]] | None:
        """The handler's name, and how to call it."""
        handlers = self.kind.happysim_handlers
        if event.kind == "deliver":
            # Frozen, a message begins with its class.
            name = handlers.messages[event.what[0]]  # type: ignore[index]
            # Each run gets a copy of its own: a hooked value inside a message may be mutable.
            return name, lambda node, host: getattr(node, name)(
                host, event.source, thaw(event.what)
            )
        if event.kind in ("start", "restart"):
            if self.kind.on_start is Node.on_start:
                return None
            name = "on_start"
        else:
            name = str(event.what)
            if event.kind == "fire":
                name = handlers.timers[name]
        return name, lambda node, host: getattr(node, name)(host)

    def _attempt(
        self,
        state: NodeState,
        event: Event,
        name: str,
        call: Callable[[Node, Host], Any],
        picks: tuple[int, ...],
    ) -> tuple[Outcome, list[list[Frozen]], tuple[int, ...]]:
        made = self._run_once(state, event, name, call, picks)
        if self._is_checked(name):
            with shifted_surroundings():
                again = self._run_once(state, event, name, call, picks)
            if again[0] != made[0]:
                raise DeterminismError(self._difference(name, made[0], again[0]))
        return made

    def _run_once(
        self,
        state: NodeState,
        event: Event,
        name: str,
        call: Callable[[Node, Host], Any],
        picks: tuple[int, ...],
    ) -> tuple[Outcome, list[list[Frozen]], tuple[int, ...]]:
        where = self._where(name)
        timers = frozenset(state.timers) - ({event.what} if event.kind == "fire" else set())
        host = Host(self.site, where, timers, picks, event.source or None, event.operation)
        host._readings = list(event.readings)
        host._marks, host._disk_is_full = state.marks, state.full
        node = self._thaw(state.fields)
        synced: list[tuple[Frozen, ...]] = []
        host._on_sync = lambda: synced.append(self._freeze(node, where))
        raised, full = None, False
        try:
            result = call(node, host)
        except DiskFull:
            full, result = True, None
        except HappysimError:
            raise
        except Exception as error:
            raised = raised_by(where, error, getattr(self.kind, name))
            result = None
        host._closed = True
        if result is not None:
            if isinstance(result, Coroutine):
                result.close()
            raise ProtocolError(
                f"{where} returned a {type(result).__name__}; a handler returns nothing "
                "(it must not be a generator or a coroutine either)"
            )
        chosen = picks_text(host._options, host._picks) if host._picks else ""
        used = tuple(host._picks)
        if raised is not None:
            return Outcome(None, choosing=chosen, raised=raised), host._options, used
        # What a handler that let out DiskFull has not synced is undone; a crash follows.
        fields = self._freeze(node, where)
        if full:
            fields = synced[-1] if synced else state.fields
        set_timers = tuple(sorted(host._timers)) if host._timers and not full else ()
        status = FAILING if full else UP
        if self.disk.is_plain:
            after = NodeState(status, fields, set_timers, version=state.version, full=state.full)
        else:
            after = self.disk.written(state, fields, synced)
            after = after._replace(status=status, timers=set_timers)
        delays: tuple[tuple[str, float, float], ...] = ()
        if host._delays:
            delays = tuple((timer, *host._delays[timer]) for timer in sorted(host._delays))
        sends, events, forged = tuple(host._sends), tuple(host._events), tuple(host._forged)
        outcome = Outcome(after, sends, events, chosen, delays=delays, forged=forged)
        return outcome, host._options, used

    def _thaw(self, fields: tuple[Frozen, ...]) -> Node:
        node = object.__new__(self.kind)
        values = vars(node)
        values["name"] = self.name
        thaw_attributes(values, self.kind.happysim_fields, fields)
        return node

    def _freeze(self, node: Node, where: str) -> tuple[Frozen, ...]:
        return freeze_fields(node, self.name, where)

    def _difference(self, name: str, first: Outcome, second: Outcome) -> str:
        where = f"{self._where(name)} is not deterministic"
        if first.raised or second.raised:
            return f"{where}: {first.raised or second.raised} in one of two equal runs; {ADVICE}"
        for field, one, two in zip(
            self.kind.happysim_fields, first.state.fields, second.state.fields, strict=True
        ):
            if one != two:
                shown = f"{describe(one):.60} and {describe(two):.60}"
                return f"{where}: field `{field}` became {shown} in two equal runs; {ADVICE}"
        timers = (first.state, first.delays) != (second.state, second.delays)
        part = "its timers" if timers else "what it sent"
        return f"{where}: {part} differed in two equal runs; {ADVICE}"


def unknown_message(kind: type[Node], name: str, message: type) -> ProtocolError:
    """The error for a message that the class which a node runs does not handle."""
    return ProtocolError(
        f"{name} runs {kind.__name__}, which does not handle {message.__name__}; add a handler, or "
        "let such messages be dropped with Faults(ignores_unknown=True)"
    )


def freeze_fields(node: Node, name: str, where: str) -> tuple[Frozen, ...]:
    """The content of a node's fields, in order of declaration, without its name."""
    kind = type(node)
    values = vars(node)
    _check_names(kind, values, name, where)
    # Frozen together, so that two fields that hold one list are noticed.
    frozen = freeze_attributes(values, kind.happysim_fields)
    if frozen is not None:
        return frozen
    for field in kind.happysim_fields:
        freeze(values[field], f"{where}: {name}.{field}")
    raise ProtocolError(
        f"{where}: two fields of {name} hold the same list, dict or set; "
        "each field must own its value, so store a copy"
    )


def check_fields(node: Node, name: str, where: str) -> None:
    """Raise what `freeze_fields` raises, where it does."""
    values, kind = vars(node), type(node)
    _check_names(kind, values, name, where)
    if not have_content(values, kind.happysim_fields):
        freeze_fields(node, name, where)


def _check_names(kind: type[Node], values: dict[str, Any], name: str, where: str) -> None:
    if len(values) == len(kind.happysim_fields) + 1 and values.get("name") == name:
        return
    if values.get("name") != name:
        raise ProtocolError(f"{where}: a node's name is fixed ({name!r}); leave it alone")
    for extra in sorted(set(values) - {"name", *kind.happysim_fields}):
        raise ProtocolError(
            f"{where}: {name}.{extra} is not a declared field of {kind.__name__}; "
            f"declare it in the class with a type: `{extra}: ... = ...`"
        )
    for missing in sorted(set(kind.happysim_fields) - set(values)):
        raise ProtocolError(f"{where}: {name}.{missing} was deleted; set it to None instead")


Process = NodeProcess | ScriptProcess
