"""Is there one order of all calls, true to real time, in which one correct copy answers the same?

**Source**: Herlihy and Wing, "Linearizability: a correctness condition for concurrent objects",
1990. The search is that of Wing and Gong, "Testing and verifying concurrent objects", 1993, with
the memory of visited configurations of Lowe, "Testing for linearizability", 2017.

The search puts calls in order one by one. A call may come next if it was invoked before any of the
calls left over had returned. A configuration is the set of calls so far (as a client's calls are in
order: how far each client is) and the state of the object; a second way to a configuration is not
followed. An open call may come anywhere after its invocation, or be left out.

Five facts prune it; none makes what is left to find any longer:
- A call that only observes, and whose result is right now, can come first: no other call sees it.
- Of calls with one operation and one result, the first to return can come first: swap the two. So
  can the first to be invoked of open calls with one operation, and a completed call before those.
- An open call that would not change the state can be left out.
- Of two ways to the same completed calls and state, one that used only open calls that the other
  used too is as good.
- A configuration is a dead end if a call that could come next by real time, but has another result,
  stays wrong whatever comes before it. Only the object can tell: `SequentialObject.unreachable`.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from operator import attrgetter
from typing import Any, NamedTuple

from happysim.core.errors import HappysimError
from happysim.core.freeze import Frozen, freeze
from happysim.core.history import Call, History, Span
from happysim.spec.objects import SequentialObject

_FIRST_TURN = 256  # configurations that a part may enter before the next part has its turn
_SHOWN = 6  # calls of an order that an explanation shows, from its end
_WIDTH = 120  # characters of a call or state that it shows

_invoked = attrgetter("invoked")
_returned = attrgetter("returned")


class ObjectError(HappysimError):
    """A sequential object breaks its own contract."""


class Outcome(Enum):
    """The three answers of the checker."""

    LINEARIZABLE = "linearizable"
    NOT_LINEARIZABLE = "not linearizable"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Linearization:
    """What `linearize` found.

    `order` is a witness if the history is linearizable: every completed call, and the open ones
    that took effect. If it is not, `order` is the longest order found on the part that has none,
    and `explanation` says why no call can follow. `configurations` counts the work.
    """

    outcome: Outcome
    order: tuple[Call, ...]
    explanation: str
    configurations: int

    def __bool__(self) -> bool:
        raise TypeError("a Linearization is one of three things, not a bool; compare its `outcome`")


def linearize(
    history: History, object: SequentialObject, budget: int | None = None
) -> Linearization:
    """Search for an order of the calls of `history` in which `object` gives the same results.

    `budget` is how many configurations may be entered before the answer is UNKNOWN; None: no limit.
    The parts of an object (see `SequentialObject.key`) are searched in turns of growing length, so
    a part that is soon refuted ends the search, whatever the others would cost.

    Raises ValueError for a negative budget, HistoryError for a history that no order of events
    makes, and ObjectError or UnknownOperation if the object does not keep its contract.
    """
    if budget is not None and budget < 0:
        raise ValueError(f"a budget is a number of configurations, not {budget}; None is no limit")
    if not hasattr(object, "initial"):
        raise ObjectError(
            f"{type(object).__name__} has no state to start from; set its class attribute `initial`"
        )
    searches = [_Search(_Calls(spans, object), part) for part, spans in _parts(history, object)]
    entered, turn = 0, _FIRST_TURN
    while True:
        for search in searches:
            if search.refuted:
                return _refutation(search, entered)
        unfinished = [search for search in searches if not search.done]
        if not unfinished:
            return Linearization(Outcome.LINEARIZABLE, _merged(searches), "linearizable", entered)
        if budget is not None and entered >= budget:
            why = f"unknown: the budget of {budget} configurations ran out; give a larger one"
            return Linearization(Outcome.UNKNOWN, (), why, entered)
        for search in unfinished:
            entered += search.advance(turn if budget is None else min(turn, budget - entered))
            if search.refuted:
                break
        turn *= 2


def _parts(history: History, object: SequentialObject) -> list[tuple[Any, list[Span]]]:
    """The calls on each part of the object, in order of invocation."""
    parts: dict[Frozen, tuple[Any, list[Span]]] = {}
    for span in history.spans():
        part = object.key(span.call.operation)
        parts.setdefault(freeze(part, "the key"), (part, []))[1].append(span)
    if None in parts and len(parts) > 1:
        keyless = parts[None][1][0].call.operation
        raise ObjectError(
            f"{type(object).__name__}.key() gives None for {keyless!r} but a key for other "
            "operations; give one for every operation, or for none"
        )
    return list(parts.values())


def _numbers(values: Iterable[Any], known: dict[Frozen, int]) -> list[int]:
    """Equal numbers for values that are equal, types included."""
    return [known.setdefault(freeze(value), len(known)) for value in values]


def _alike(kinds: Sequence[Any], of: Sequence[Any]) -> list[int]:
    """For each kind in `of`, the set of calls of that kind."""
    alike: dict[Any, int] = {}
    for i, kind in enumerate(kinds):
        alike[kind] = alike.get(kind, 0) | 1 << i
    return [alike.get(kind, 0) for kind in of]


def _bits(calls: int) -> Iterator[int]:
    while calls:
        low = calls & -calls
        yield low.bit_length() - 1
        calls ^= low


def _lowest_zero(calls: int) -> int:
    return (~calls & (calls + 1)).bit_length() - 1


class _State:
    """A state of the object, with what is known of the calls in it."""

    __slots__ = ("answers", "changed_by", "fits", "tried", "tried_open", "value", "visited")

    def __init__(self, value: Any) -> None:
        self.value = value
        self.answers: dict[int, tuple[_State, Any, int]] = {}  # operation -> state, result, number
        self.tried = self.fits = 0  # completed calls: compared here, and with the right result here
        self.tried_open = self.changed_by = 0  # open calls: compared here, and with an effect here
        self.visited: dict[int, tuple[int, ...]] = {}  # completed calls -> sets of open ones used


class _Calls:
    """The calls on one part of an object, and the object's answers to them.

    A set of completed calls is an integer: bit i is the i-th to return. So the first to return of
    those not in it is its lowest zero. In a set of open calls, bit i is the i-th to be invoked.
    """

    def __init__(self, spans: Sequence[Span], object: SequentialObject) -> None:
        self.object = object
        self.completed = sorted((s for s in spans if s.call.done), key=_returned)
        self.opened = [span for span in spans if not span.call.done]
        self.all = (1 << len(self.completed)) - 1
        self.before = self._invoked_before_return(self.completed)
        self.open_before = self._invoked_before_return(self.opened)

        numbers: dict[Frozen, int] = {}
        self.operations = _numbers((s.call.operation for s in self.completed), numbers)
        self.open_operations = _numbers((s.call.operation for s in self.opened), numbers)
        self._result_numbers: dict[Frozen, int] = {}
        self.results = _numbers((s.call.result for s in self.completed), self._result_numbers)

        kinds = list(zip(self.operations, self.results, strict=True))
        self.twins = _alike(kinds, kinds)
        self.open_twins = _alike(self.open_operations, self.operations)
        self.twins_of_open = _alike(self.open_operations, self.open_operations)
        self.observers = 0
        for i, span in enumerate(self.completed):
            if object.observes(span.call.operation, span.call.result):
                self.observers |= 1 << i
        self.can_rule_out = type(object).unreachable is not SequentialObject.unreachable
        self._states: dict[Frozen, _State] = {}
        self.initial = self._state(object.initial)

    def _invoked_before_return(self, spans: list[Span]) -> list[int]:
        """For each completed call, which of `spans` were invoked before it returned."""
        ranked = sorted((span.invoked, i) for i, span in enumerate(spans))
        before, calls, at = [], 0, 0
        for span in self.completed:
            while at < len(ranked) and ranked[at][0] < _returned(span):
                calls |= 1 << ranked[at][1]
                at += 1
            before.append(calls)
        return before

    def ready(self, placed: int) -> int:
        """The completed calls that may come next: invoked before any call left over returned."""
        return self.before[_lowest_zero(placed)] & ~placed

    def open_ready(self, placed: int, used: int) -> int:
        """The open calls that may come next."""
        return self.open_before[_lowest_zero(placed)] & ~used

    def _state(self, value: Any) -> _State:
        key = freeze(value, "the state")
        known = self._states.get(key)
        if known is None:
            known = self._states[key] = _State(value)
        return known

    def answer(self, state: _State, operation: int, call: Call) -> tuple[_State, Any, int]:
        """The next state, the result and its number."""
        known = state.answers.get(operation)
        if known is None:
            value, result = self.object.apply(state.value, call.operation)
            number = _numbers((result,), self._result_numbers)[0]
            known = state.answers[operation] = (self._state(value), result, number)
        return known

    def try_completed(self, state: _State, calls: int) -> None:
        """Find which of `calls` have their results in `state`."""
        for i in _bits(calls):
            call = self.completed[i].call
            following, _, result = self.answer(state, self.operations[i], call)
            if result == self.results[i]:
                state.fits |= 1 << i
                if following is not state and self.observers >> i & 1:
                    raise ObjectError(
                        f"{type(self.object).__name__}.observes() is true of {call}, but that "
                        f"changes {state.value!r} to {following.value!r}; let it be false there"
                    )
        state.tried |= calls

    def ruled_out(self, state: _State, placed: int, used: int, wrong: int) -> int | None:
        """The first call of `wrong`, all wrong in `state`, that stays so, as far as is known."""
        for i in _bits(wrong):
            call = self.completed[i].call
            earlier = self.before[i] & ~placed & ~(1 << i)
            others = [self.completed[j].call.operation for j in _bits(earlier)]
            others += [self.opened[j].call.operation for j in _bits(self.open_before[i] & ~used)]
            if self.object.unreachable(state.value, call.operation, call.result, others):
                return i
        return None

    def effective(self, state: _State, opened: int) -> int:
        """The open calls of `opened` that would change `state`."""
        for i in _bits(opened & ~state.tried_open):
            if self.answer(state, self.open_operations[i], self.opened[i].call)[0] is not state:
                state.changed_by |= 1 << i
        state.tried_open |= opened
        return opened & state.changed_by

    def order(self, trail: Iterable[int]) -> list[Span]:
        """The calls of a trail: sets of completed calls, and ~i for the open call i."""
        order = []
        for step in trail:
            if step < 0:
                order.append(self.opened[~step])
            else:
                order.extend(self.completed[i] for i in _bits(step))
        return order


class _DeadEnd(NamedTuple):
    """A configuration from which no call can follow, or none that helps `ruled_out`."""

    trail: tuple[int, ...]
    state: _State
    placed: int
    used: int
    ruled_out: int | None


class _Search:
    """The depth-first search for an order of the calls on one part, a turn at a time."""

    def __init__(self, calls: _Calls, part: Any) -> None:
        self.calls = calls
        self.part = part
        self.done = self.refuted = False
        self.dead_end: _DeadEnd | None = None  # the one with the longest order so far
        # The configuration, and which calls are still to be tried next in it.
        self._state = calls.initial
        self._placed = self._used = 0
        self._next = self._next_open = 0
        # How it came about: sets of completed calls, and ~i for the open call i.
        self._trail: list[int] = []
        self._stack: list[tuple[_State, int, int, int, int, int]] = []
        self._enter()
        self._backtrack()

    def advance(self, limit: int) -> int:
        """Enter at most `limit` configurations; returns how many."""
        calls, stack, trail = self.calls, self._stack, self._trail
        for entered in range(limit):
            state, placed, used, opened = self._state, self._placed, self._used, self._next_open
            if self._next:
                call = self._next & -self._next
                i = call.bit_length() - 1
                rest, opened = self._next & ~calls.twins[i], opened & ~calls.open_twins[i]
                self._placed |= call
                self._state = state.answers[calls.operations[i]][0]
                trail.append(call)
            else:
                call = opened & -opened
                i = call.bit_length() - 1
                rest, opened = 0, opened & ~calls.twins_of_open[i]
                self._used |= call
                self._state = state.answers[calls.open_operations[i]][0]
                trail.append(~i)
            if rest or opened:
                stack.append((state, placed, used, rest, opened, len(trail) - 1))
            self._enter()
            self._backtrack()
            if self.done or self.refuted:
                return entered + 1
        return limit

    def _enter(self) -> None:
        """Let observers come first; then, if the configuration is new, find what may be next."""
        calls, state, used = self.calls, self._state, self._used
        self._next = self._next_open = 0
        while True:
            placed = self._placed
            if placed == calls.all:
                self.done = True
                return
            ready = calls.ready(placed)
            if ready & ~state.tried:
                calls.try_completed(state, ready & ~state.tried)
            observed = ready & state.fits & calls.observers
            if not observed:
                break
            self._placed |= observed
            self._trail.append(observed)
        if not _visit(state, placed, used):
            return
        ruled_out = None
        if calls.can_rule_out:
            ruled_out = calls.ruled_out(state, placed, used, ready & ~state.fits)
        if ruled_out is None:
            self._next = ready & state.fits
            self._next_open = calls.effective(state, calls.open_ready(placed, used))
        if not self._next:
            best = self.dead_end
            if best is None or placed.bit_count() > best.placed.bit_count():
                self.dead_end = _DeadEnd(tuple(self._trail), state, placed, used, ruled_out)

    def _backtrack(self) -> None:
        """Go back to the last configuration in which a call is still to be tried."""
        while not self.done and not self._next and not self._next_open:
            if not self._stack:
                self.refuted = True
                return
            saved = self._stack.pop()
            self._state, self._placed, self._used, self._next, self._next_open, length = saved
            del self._trail[length:]

    def order(self) -> list[Span]:
        """The order found so far; once `done`, a witness."""
        return self.calls.order(self._trail)


def _merged(searches: Sequence[_Search]) -> tuple[Call, ...]:
    """One witness from those of all parts."""
    # Of the next calls of all parts, the one invoked first can always come next: if a call left
    # over had returned by then, the next call of its part would have been invoked earlier still.
    spans = heapq.merge(*(search.order() for search in searches), key=_invoked)
    return tuple(span.call for span in spans)


def _visit(state: _State, placed: int, used: int) -> bool:
    """Remember a configuration; False if one as good was visited before."""
    seen = state.visited.get(placed, ())
    for less in seen:
        if less & ~used == 0:
            return False
    state.visited[placed] = (*(more for more in seen if used & ~more), used)
    return True


def _refutation(search: _Search, entered: int) -> Linearization:
    calls, end = search.calls, search.dead_end
    assert end is not None, "a search that never met a dead end has found an order"
    order = calls.order(end.trail)
    later = (calls.all & ~end.placed & ~calls.ready(end.placed)).bit_count()
    part = f" on part {search.part!r}" if search.part is not None else ""
    text = [
        f"not linearizable: no order of the {len(calls.completed)} completed calls{part} gives "
        f"their results; the longest found has {end.placed.bit_count()}:",
        *(["  ..."] if len(order) > _SHOWN else []),
        *(f"  {_short(span)}" for span in order[-_SHOWN:]),
        f"The state is then {_short(repr(end.state.value))}. By real time the next call could be",
        *(f"  {line}" for line in _candidates(calls, end)),
    ]
    if later:
        text.append(f"The calls left over ({later}) were invoked after one of these had returned.")
    found = tuple(span.call for span in order)
    return Linearization(Outcome.NOT_LINEARIZABLE, found, "\n".join(text), entered)


def _candidates(calls: _Calls, end: _DeadEnd) -> Iterator[str]:
    """The calls that real time lets follow a dead end, and why none does."""
    for i in _bits(calls.ready(end.placed)):
        call = _short(calls.completed[i])
        here = _short(repr(end.state.answers[calls.operations[i]][1]))
        if end.state.fits >> i & 1:
            yield f"{call}, which is right here but helps no other call"
        elif i == end.ruled_out:
            yield f"{call}, but the result here is {here}, and no call that may come first helps"
        else:
            yield f"{call}, but the result here is {here}"
    for i in _bits(calls.effective(end.state, calls.open_ready(end.placed, end.used))):
        yield f"{_short(calls.opened[i])}, which may take effect here but helps no other call"


def _short(thing: object) -> str:
    text = str(thing)
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH // 2]} ... {text[-_WIDTH // 2 :]}"
